"""Decisions on sources that are all fitted at once, or that are known to be there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectraloom._typing import BoolArray, FloatArray, Progress
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.manifold.confirming import refit
from spectraloom.analyze.manifold.fit import ManifoldFit, empty_answers, fit_manifold, fit_of
from spectraloom.analyze.manifold.model_errors import ModelErrors, added_covariance
from spectraloom.analyze.manifold.parts import Counts
from spectraloom.analyze.manifold.selection import (
    ManifoldSelection,
    RatioTests,
    prior_widths,
    score_pieces,
)
from spectraloom.analyze.manifold.table import ManifoldTable
from spectraloom.data.spectra import Spectra


def choose_at_once(
    spectra: Spectra,
    table: ManifoldTable,
    *,
    rate: float,
    errors: ModelErrors | None = None,
    tolerance: float = 1e-3,
    progress: Progress | None = None,
) -> ManifoldSelection:
    """Fit all sources, test each against the fit without it, and fit those that were found.

    The chance of a likelihood ratio is that of a first source, whose deformation nothing but the
    prior tells: where other sources tell it, the rate is below the stated one.

    Parameters
    ----------
    spectra : Spectra
        On an axis that has the edges of the table.
    table : ManifoldTable
    rate : float
        p-value of a source below which it is chosen.
    errors : ModelErrors, optional
        As for :func:`~spectraloom.analyze.manifold.selection.select_sources`.
    tolerance : float
        Of the deviance.
    progress : callable, optional

    Raises
    ------
    DataError
        If sources deform along several coordinates.
    """
    pieces = score_pieces(table)
    n_sources = len(table.layout.sources)
    full = fit_manifold(spectra, table, tolerance=tolerance)
    ratios = np.full(full.amounts.shape, np.nan)
    for number, name in enumerate(table.names[:n_sources]):
        if progress is not None:
            progress(number / n_sources, f"testing {name}")
        rest = [other for other in table.names if other != name]
        without = fit_manifold(spectra, table, names=rest, tolerance=tolerance)
        ratios[:, number] = np.maximum(_loss(without) - _loss(full), 0.0)
    if errors is not None:
        ratios = ratios / added_covariance(full, errors)[1]
    tests = _tests(table, ratios[:, :n_sources], pieces)
    n_names = len(table.names)
    p_values = tests.by_name(tests.p_values, n_names)
    chosen = _chosen(p_values, rate, n_sources)
    kept = _fit_chosen(full, table, chosen, tolerance)
    return ManifoldSelection(
        kept, chosen, p_values, ratios, tests.by_name(tests.significance, n_names)
    )


def _fit_chosen(
    full: ManifoldFit, table: ManifoldTable, chosen: BoolArray, tolerance: float
) -> ManifoldFit:
    """Fits of the sources that were found."""
    counts = Counts(
        as_given(full.observed), as_given(full.variances), table.edges, bool(full.poisson)
    )
    found = empty_answers(len(full), table)
    allowed = chosen[:, table.groups]
    refit(counts, table, found, allowed, np.arange(len(full)), tolerance)
    free = allowed.sum(axis=1) + len(table.layout)
    return fit_of(table, counts, found, np.maximum(full.observed.shape[1] - free, 1), allowed)


def take_known(
    spectra: Spectra,
    table: ManifoldTable,
    names: Sequence[str],
    *,
    tolerance: float = 1e-3,
    progress: Progress | None = None,
) -> ManifoldSelection:
    """Fit sources that are known to be there; nothing is tested.

    Parameters
    ----------
    spectra : Spectra
        On an axis that has the edges of the table.
    table : ManifoldTable
    names : sequence of str
        Of sources; a background is always fitted.
    tolerance : float
        Of the deviance.
    progress : callable, optional
    """
    n_sources = len(table.layout.sources)
    wanted = [*names, *table.names[n_sources:]]
    fit = fit_manifold(spectra, table, names=wanted, tolerance=tolerance, progress=progress)
    untested = np.full(fit.amounts.shape, np.nan)
    chosen = np.isin(table.names, wanted) & (fit.amounts > 0)
    chosen[:, n_sources:] = True
    return ManifoldSelection(fit, chosen, untested, untested, untested)


def _tests(table: ManifoldTable, ratios: FloatArray, pieces: FloatArray) -> RatioTests:
    """What chance makes of ratios (n, k) of sources of whose deformation the prior alone tells."""
    centers = np.full(len(pieces), 0.5)
    if table.layout.sources.shape[1]:
        centers = table.prior.center[table.layout.sources[:, 0]]
    known = np.column_stack([centers, prior_widths(table)])
    return RatioTests(ratios, np.tile(known, (len(ratios), 1, 1)), pieces, len(pieces))


def _loss(fit: ManifoldFit) -> FloatArray:
    """Deviance and distance of the latents from their prior: what a fit makes small."""
    away = fit.inner - fit.table.prior.center
    return fit.deviance + np.einsum("ni,ij,nj->n", away, fit.table.prior.precision, away)


def _chosen(p_values: FloatArray, rate: float, n_sources: int) -> BoolArray:
    chosen = np.nan_to_num(p_values, nan=1.0) < rate
    chosen[:, n_sources:] = True
    return np.asarray(chosen)
