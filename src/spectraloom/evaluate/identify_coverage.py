"""Whether the amounts of identification are as sure as they claim, on simulated mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.mixtures import fit_shape
from spectraloom.data.axis import Axis
from spectraloom.data.library import Library
from spectraloom.data.spectra import Spectra

COUNTS = (100, 1000, 10_000, 100_000)
_GAINS = 60  # drifts drawn for each number of counts
_PER_GAIN = 25  # spectra for each drift
_Z95 = 1.959964


def coverage_of_amounts(
    library: Library, model: Identifier, rng: np.random.Generator
) -> dict[str, Any]:
    """Coverage of 95 % intervals, and errors relative to the smallest possible ones.

    Mixtures of two sources and background are drawn from the means of the templates; the fit knows
    all sources of the library. The drift of the gain is drawn from the prior that the fit
    uses: a detector with gain g records on edges times (1 + g), which needs no interpolation.

    Parameters
    ----------
    library : Library
        Sources.
    model : Identifier
        Fitted; its background and window are used.
    rng : numpy.random.Generator

    Returns
    -------
    dict
        ``coverage95`` and ``rmse_over_crb`` by number of counts; the second is the root mean
        square error of the amounts divided by the Cramer-Rao bound, which knows the two sources
        and has to find the gain.
    """
    known, background = _means(library), model.background_
    if background is None:
        return {}
    under = fit_shape(background, library.axis)
    settings = model.get_params(deep=False) | {
        "library": known,
        "n_bootstrap": 0,
        "pileup": False,
    }
    fitted = Identifier(**settings).fit(_counts_of(under, library.axis))
    gain = fitted.gain or 0.0
    templates = np.vstack([known.templates, under / under.sum()])
    covered: dict[str, float] = {}
    errors: dict[str, float] = {}
    for counts in COUNTS:
        inside, relative = [], []
        for shift in np.clip(rng.normal(0.0, gain, _GAINS), -2.0 * gain, 2.0 * gain):
            truth = _draw_amounts(len(known), counts, _PER_GAIN, rng)
            axis = Axis.from_edges(
                library.axis.edges * (1.0 + shift),
                quantity=library.axis.quantity,
                unit=library.axis.unit,
            )
            drawn = Spectra(rng.poisson(truth @ templates).astype(np.float64), axis)
            amounts, sigma = _found(fitted, drawn, known.unique_names)
            there = truth > 0
            inside.append((np.abs(amounts - truth) <= _Z95 * sigma)[there])
            bounds = [_bound(row, templates, axis, fitted.window, gain) for row in truth]
            relative.append(((amounts - truth) ** 2)[there] / np.concatenate(bounds))
        covered[str(counts)] = float(np.concatenate(inside).mean())
        errors[str(counts)] = float(np.sqrt(np.concatenate(relative).mean()))
    return {"coverage95": covered, "rmse_over_crb": errors}


def _found(
    model: Identifier, spectra: Spectra, sources: tuple[str, ...]
) -> tuple[FloatArray, FloatArray]:
    """Amounts and uncertainties, the background last."""
    result = model.analyze(spectra)
    column = [result.names.index(name) for name in (*sources, str(model.background))]
    assert result.uncertainties is not None  # noqa: S101 - identification gives them
    return result.amounts[:, column], result.uncertainties[:, column]


def _means(library: Library) -> Library:
    """One unit-area template per name."""
    groups = library.groups
    sums = np.stack(
        [library.templates[groups == j].sum(axis=0) for j in range(len(library.unique_names))]
    )
    return Library(sums / sums.sum(axis=1, keepdims=True), library.axis, library.unique_names)


def _counts_of(template: FloatArray, axis: Axis) -> Spectra:
    return Spectra(np.round(1e7 * template / template.sum())[np.newaxis], axis)


def _draw_amounts(n_sources: int, counts: int, n: int, rng: np.random.Generator) -> FloatArray:
    """Amounts of two sources and, last, the background: each at least a fifth of the counts."""
    amounts = np.zeros((n, n_sources + 1))
    shares = 0.2 + 0.4 * rng.dirichlet(np.ones(3), n)
    for row in range(n):
        chosen = rng.choice(n_sources, min(2, n_sources), replace=False)
        amounts[row, chosen] = counts * shares[row, : len(chosen)]
        amounts[row, -1] = counts * shares[row, 2]
    return amounts


def _bound(
    truth: FloatArray,
    templates: FloatArray,
    axis: Axis,
    window: tuple[float, float] | None,
    gain: float,
) -> FloatArray:
    """Cramer-Rao bound of the variances of the amounts that are there."""
    fitted = slice(None) if window is None else axis.window(*window)
    there = np.flatnonzero(truth > 0)
    expected = truth @ templates
    # d/dg of the content between two edges that move with 1 + g: what flows over the edges.
    density = expected / axis.widths
    at_edges = np.concatenate([[0.0], 0.5 * (density[1:] + density[:-1]), [0.0]])
    flow = axis.edges * at_edges
    columns = [templates[j] for j in there]
    prior = np.zeros(len(there) + 1)
    if gain:
        columns.append(flow[:-1] - flow[1:])
        prior[-1] = 1.0 / gain**2
    design = np.stack(columns)[:, fitted]
    information = (design / np.maximum(expected[fitted], 1e-300)) @ design.T
    information += np.diag(prior[: len(columns)])
    return np.asarray(np.diag(np.linalg.inv(information))[: len(there)])
