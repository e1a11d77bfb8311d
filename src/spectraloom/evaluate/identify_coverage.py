"""Whether the amounts of identification are as sure as they claim, on simulated mixtures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectraloom._typing import BoolArray, FloatArray
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.mixtures import fit_shape
from spectraloom.analyze.likelihood import Nuisances, fit_templates, profile_intervals
from spectraloom.analyze.likelihood.pileup import pileup_templates
from spectraloom.data.axis import Axis
from spectraloom.data.library import Library
from spectraloom.data.spectra import Spectra

COUNTS = (100, 1000, 10_000, 100_000)
MOST_PILE_UP = 0.02  # of the counts: a microsecond of resolving time at 10,000 counts per second
COVERAGES = (
    "coverage95",
    "coverage95_profile",
    "coverage95_absent",
    "coverage95_variants",
    "coverage95_variants_profile",
)
RATIOS = ("rmse_over_crb", "rmse_over_crb_of_library", "rmse_over_crb_without_pile_up")
_GAINS = 60  # drifts drawn for each number of counts
_PER_GAIN = 25  # spectra for each drift
_EVERY = 3  # of the drifts are for variants, whose profiles take long


def coverage_of_amounts(
    library: Library, model: Identifier, rng: np.random.Generator
) -> dict[str, Any]:
    """Coverage of 95 % intervals, and errors relative to the smallest possible ones.

    Mixtures of two sources, background and pile-up are drawn from the means of the templates; the
    fit knows all sources of the library, and finds gain and pile-up. The drift of the gain is
    drawn from the prior that the fit uses: a detector with gain g records on edges times (1 + g),
    which needs no interpolation.

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
        By number of counts, over the two sources and the background: ``coverage95`` (intervals that
        every answer has) and ``coverage95_profile`` (profile of the likelihood);
        ``coverage95_absent``, over the names that are not there, None if there are none. The same
        two as ``coverage95_variants`` and ``coverage95_variants_profile`` where each source is
        drawn as one of its variants, and all variants of the library are fitted. Then the
        root mean square error divided by Cramer-Rao bounds, which all hold for estimates without
        bias or constraint: ``rmse_over_crb`` by the bound that knows which sources there are but
        has to find gain and pile-up; ``rmse_over_crb_of_library`` by the one that knows only what
        the fit knows, all names of the library; ``rmse_over_crb_without_pile_up`` by the one that
        knows the sources and the pile-up. That amounts cannot be negative is used by the fit and
        by no bound.
    """
    known, background = _means(library), model.background_
    if background is None:
        return {}
    under = fit_shape(background, library.axis)
    settings = model.get_params(deep=False) | {"library": known, "n_bootstrap": 0, "pileup": True}
    background_counts = _counts_of(under, library.axis)
    fitted = Identifier(**settings).fit(background_counts)
    with_variants = Identifier(**settings | {"library": library}).fit(background_counts)
    templates = np.vstack([known.templates, under / under.sum()])
    found: dict[str, Any] = {key: {} for key in (*COVERAGES, *RATIOS)}
    for counts in COUNTS:
        axes = [_moved(library.axis, g) for g in rng.normal(0.0, fitted.gain or 0.0, _GAINS)]
        trials = [_trial(fitted, templates, axis, counts, rng) for axis in axes]
        varied = [
            _variant_trial(with_variants, library, templates[-1], axis, counts, rng)
            for axis in axes[::_EVERY]
        ]
        for key, mean in (_means_of(trials) | _means_of(varied)).items():
            found[key][str(counts)] = mean
    return found


def _trial(
    model: Identifier, templates: FloatArray, axis: Axis, counts: int, rng: np.random.Generator
) -> dict[str, FloatArray | BoolArray]:
    """Spectra of one drift: what was covered, and squared errors over bounds."""
    truth = _draw_amounts(len(templates) - 1, counts, _PER_GAIN, rng)
    expected, pile_up = _with_pile_up(truth @ templates, axis, rng)
    amounts, inside, in_profile = _covered(model, truth, expected, axis, rng)
    there = truth > 0
    squared = (amounts - truth) ** 2
    bounds = [
        bounds_of(truth[row], expected[row], pile_up[row], templates, axis, model)
        for row in range(len(truth))
    ]
    ratios = {
        key: np.concatenate(
            [squared[row][there[row]] / bounds[row][key] for row in range(len(bounds))]
        )
        for key in RATIOS
    }
    return {
        "coverage95": inside[there],
        "coverage95_profile": in_profile[there],
        "coverage95_absent": inside[~there],
        **ratios,
    }


def _variant_trial(
    model: Identifier,
    library: Library,
    background: FloatArray,
    axis: Axis,
    counts: int,
    rng: np.random.Generator,
) -> dict[str, BoolArray]:
    """What was covered in spectra of single variants, of one drift."""
    n_sources = len(library.unique_names)
    shapes = library.templates / library.templates.sum(axis=1, keepdims=True)
    truth = _draw_amounts(n_sources, counts, _PER_GAIN, rng)
    pure = truth[:, -1:] * background
    for column in range(n_sources):
        variants = rng.choice(np.flatnonzero(library.groups == column), _PER_GAIN)
        pure = pure + truth[:, column, np.newaxis] * shapes[variants]
    expected, _ = _with_pile_up(pure, axis, rng)
    _, inside, in_profile = _covered(model, truth, expected, axis, rng)
    there = truth > 0
    return {
        "coverage95_variants": inside[there],
        "coverage95_variants_profile": in_profile[there],
    }


def _with_pile_up(
    pure: FloatArray, axis: Axis, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Mean spectra with a random part of pile-up, and the shape of that."""
    pile_up = pileup_templates(pure, axis, axis.edges)
    strength = rng.uniform(0.0, MOST_PILE_UP, (len(pure), 1)) * pure.sum(axis=1, keepdims=True)
    return pure + strength * pile_up, pile_up


def _covered(
    model: Identifier,
    truth: FloatArray,
    expected: FloatArray,
    axis: Axis,
    rng: np.random.Generator,
) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Amounts of drawn spectra, and whether both kinds of intervals hold the truth."""
    drawn = Spectra(rng.poisson(expected).astype(np.float64), axis)
    amounts, first, last = _found(model, drawn)
    low, high = _profiles(model, drawn)
    return amounts, (first <= truth) & (truth <= last), (low <= truth) & (truth <= high)


def _means_of(trials: Sequence[Mapping[str, FloatArray | BoolArray]]) -> dict[str, float | None]:
    """Shares that were covered, roots of the mean squares; None where there was nothing."""
    means: dict[str, float | None] = {}
    for key in trials[0]:
        values = np.concatenate([one[key] for one in trials])
        mean = float(values.mean()) if values.size else None
        means[key] = mean if mean is None or key in COVERAGES else float(np.sqrt(mean))
    return means


def _found(model: Identifier, spectra: Spectra) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Amounts, and the ends of the intervals that come with them; the background last."""
    result = model.analyze(spectra)
    column = [result.names.index(name) for name in _names(model)]
    low, high = (result.details[f"interval_{end}"][:, column] for end in ("low", "high"))
    return result.amounts[:, column], low, high


def _profiles(model: Identifier, spectra: Spectra) -> tuple[FloatArray, FloatArray]:
    """Ends of the intervals by the profile of the likelihood, the background last."""
    nuisances = Nuisances(gain=model.gain)
    fit = fit_templates(
        spectra, model.table_, window=model.window, nuisances=nuisances, pileup=True
    )
    ends = [
        profile_intervals(fit, model.table_, name, nuisances=nuisances) for name in _names(model)
    ]
    low, high = np.stack(ends, axis=-1).transpose(1, 0, 2)
    return low, high


def _names(model: Identifier) -> list[str]:
    return [*model.library_.unique_names, str(model.background)]


def _moved(axis: Axis, gain: float) -> Axis:
    return Axis.from_edges(axis.edges * (1.0 + gain), quantity=axis.quantity, unit=axis.unit)


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


def bounds_of(
    truth: FloatArray,
    expected: FloatArray,
    pile_up: FloatArray,
    templates: FloatArray,
    axis: Axis,
    model: Identifier,
) -> dict[str, FloatArray]:
    """Cramer-Rao bounds of the variances of the amounts that are there, by key of the ratio.

    Parameters
    ----------
    truth : ndarray, shape (k,)
        Amounts.
    expected : ndarray, shape (n_channels,)
        Mean of the spectrum, with pile-up.
    pile_up : ndarray, shape (n_channels,)
        Its shape.
    templates : ndarray, shape (k, n_channels)
    axis : Axis
    model : Identifier
        Its window and its prior of the gain are used.
    """
    fitted = slice(None) if model.window is None else axis.window(*model.window)
    there = truth > 0
    # d/dg of the content between two edges that move with 1 + g: what flows over the edges.
    density = expected / axis.widths
    at_edges = np.concatenate([[0.0], 0.5 * (density[1:] + density[:-1]), [0.0]])
    flow = axis.edges * at_edges
    nuisances, prior = [pile_up], [0.0]
    if model.gain:
        nuisances.append(flow[:-1] - flow[1:])
        prior.append(1.0 / model.gain**2)

    def bound(sources: FloatArray, first: int) -> FloatArray:
        design = np.vstack([sources, *nuisances[first:]])[:, fitted]
        information = (design / np.maximum(expected[fitted], 1e-300)) @ design.T
        information += np.diag([0.0] * len(sources) + prior[first:])
        return np.asarray(np.diag(np.linalg.inv(information))[: len(sources)])

    return {
        "rmse_over_crb": bound(templates[there], 0),
        "rmse_over_crb_of_library": bound(templates, 0)[there],
        "rmse_over_crb_without_pile_up": bound(templates[there], 1),
    }
