"""Speed of identification and of the fit under the likelihood."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import nnls as scipy_nnls

from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.likelihood import fit_templates, template_table
from spectraloom.data.library import Library
from spectraloom.data.spectra import Spectra
from spectraloom.process import rebin_library

N_SPECTRA = 20_000
_SINGLE = 100  # spectra analysed one at a time


def measure_identification(
    model: Identifier,
    library: Library,
    measured: Sequence[Spectra],
    *,
    n_spectra: int = N_SPECTRA,
    seed: int = 0,
) -> dict[str, Any]:
    """Speed of the complete identification on measured spectra, and of the bare fit.

    Parameters
    ----------
    model : Identifier
        Fitted.
    library : Library
        Sources; with the background of the model they are the templates of the bare fit.
    measured : sequence of Spectra
        What to identify; the longest piece is repeated to `n_spectra`.
    n_spectra : int
    seed : int
        Seed of the spectra of the bare fit, which are drawn from the templates.

    Returns
    -------
    dict
        ``identify_per_second``; ``one_spectrum_ms`` (median of single calls in a warm process);
        ``poisson_fit_per_second`` (amounts and covariance, no nuisances),
        ``poisson_fit_scipy_nnls_per_second`` (a loop over the same spectra and templates, without
        uncertainties), ``poisson_fit_speedup``, ``poisson_fit_templates``.
    """
    longest = max(measured, key=len)
    many = longest[np.arange(n_spectra) % len(longest)]
    model.analyze(many[:300])
    seconds, _ = _timed(lambda: model.analyze(many))
    one_by_one = [longest[[row % len(longest)]] for row in range(_SINGLE)]
    model.analyze(one_by_one[0])
    single = [_timed(partial(model.analyze, one))[0] for one in one_by_one]
    found: dict[str, Any] = {
        "identify_per_second": n_spectra / seconds,
        "one_spectrum_ms": 1e3 * float(np.median(single)),
    }
    templates = library
    if model.background_ is not None:
        under = rebin_library(model.background_, library.axis)
        templates = Library(
            np.vstack([library.templates, under.templates]),
            library.axis,
            (*library.names, *under.names),
            (*library.variants, *under.variants),
        )
    return found | _bare_fit(templates, n_spectra, np.random.default_rng(seed))


def _bare_fit(library: Library, n: int, rng: np.random.Generator) -> dict[str, Any]:
    loadings = library.templates / library.templates.sum(axis=1, keepdims=True)
    mixing = rng.dirichlet(np.full(len(loadings), 0.2), n) * rng.uniform(500.0, 5000.0, (n, 1))
    counts = rng.poisson(mixing @ loadings).astype(np.float64)
    spectra, table = Spectra(counts, library.axis), template_table([library])
    fit_templates(spectra[:300], table)  # compile first
    ours, _ = _timed(lambda: fit_templates(spectra, table))
    theirs, _ = _timed(lambda: [scipy_nnls(loadings.T, row) for row in counts])
    return {
        "poisson_fit_per_second": n / ours,
        "poisson_fit_scipy_nnls_per_second": n / theirs,
        "poisson_fit_speedup": theirs / ours,
        "poisson_fit_templates": len(loadings),
    }


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    outcome = work()
    return time.perf_counter() - start, outcome
