"""Which nuclides are behind the steel: selection beside the same with the thickness known."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from spectraloom._typing import BoolArray, FloatArray, IntArray
from spectraloom.analyze.manifold.bins import informative_edges
from spectraloom.analyze.manifold.selection import ManifoldSelection, select_sources
from spectraloom.analyze.manifold.signature import TabulatedSignature
from spectraloom.analyze.manifold.table import manifold_table
from spectraloom.data import Spectra
from spectraloom.evaluate.sphere_mixtures import fixed_table
from spectraloom.evaluate.sphere_trial import SphereTrial, expected_of

_MOST = 4  # sources in a spectrum
_COUNTS = (200.0, 1e5)
_BACKGROUND = (0.1, 0.9)
_LEAST = 100.0  # counts of a source that is there
ALPHA = 0.01
_Z95 = 1.959964


def judge_identification(
    trial: SphereTrial, model: TabulatedSignature, *, n: int
) -> dict[str, Any]:
    """Sets of sources in random mixtures at thicknesses that the model has not seen.

    Up to four sources behind one thickness, 200 to 100,000 counts (evenly in the logarithm), a
    tenth to nine tenths of them background, at least 100 counts of a source that is there.

    Parameters
    ----------
    trial : SphereTrial
    model : TabulatedSignature
        Learned from the other thicknesses.
    n : int
        Spectra.

    Returns
    -------
    dict
        ``accuracy`` (of single decisions), ``ppr`` (perfect sets), ``fpr`` and ``fnr`` (spectra
        with a source too many, or too few), ``fpr_of_possible`` (of the spectra that lack any
        source of the library), ``micro_f1``, ``count_error`` (mean relative),
        ``coverage95`` (in perfect sets), ``per_second``; ``adaptive`` on coarser bins; and
        ``ceiling``, the same selection with the true shapes known.
    """
    spectra, truth, places = draw_scenarios(trial, n)
    table = manifold_table(model, trial.background, trial.axis.edges)
    order = [trial.names.index(name) for name in table.names[:-1]]
    select_sources(spectra[:1], table, false_alarm_rate=ALPHA)
    started = time.perf_counter()
    found = select_sources(spectra, table, false_alarm_rate=ALPHA)
    seconds = time.perf_counter() - started
    scores = _scores(found, truth[:, order], n, seconds)
    edges = informative_edges(table)
    coarse = manifold_table(model, trial.background, edges)
    select_sources(spectra[:1], coarse, false_alarm_rate=ALPHA)
    started = time.perf_counter()
    quick = select_sources(spectra, coarse, false_alarm_rate=ALPHA)
    scores["adaptive"] = {
        **_scores(quick, truth[:, order], n, time.perf_counter() - started),
        "bins": len(edges) - 1,
    }
    scores["ceiling"] = _ceiling(trial, spectra, truth, places)
    scores["stated_false_alarms"] = ALPHA
    return scores


def draw_scenarios(trial: SphereTrial, n: int) -> tuple[Spectra, FloatArray, IntArray]:
    """Spectra, true counts (n, k), and number of the thickness of each."""
    rng = np.random.default_rng(0)
    held = np.flatnonzero(~trial.identify_training)
    k = len(trial.names)
    truth, places = np.zeros((n, k)), rng.choice(held, n)
    values = np.zeros((n, trial.axis.n_channels))
    for row in range(n):
        chosen = rng.choice(k, int(rng.integers(0, min(_MOST, k) + 1)), replace=False)
        while True:
            total = np.exp(rng.uniform(*np.log(_COUNTS)))
            under = rng.uniform(*_BACKGROUND)
            if len(chosen) * _LEAST <= total * (1.0 - under):
                break
        rest = total * (1.0 - under) - len(chosen) * _LEAST
        if len(chosen):
            truth[row, chosen] = _LEAST + rest * rng.dirichlet(np.ones(len(chosen)))
        amounts = np.append(truth[row], total * (under if len(chosen) else 1.0))
        values[row] = rng.poisson(expected_of(trial, np.full(k, places[row]), amounts))
    return Spectra(values, trial.axis), truth, places


def _scores(found: ManifoldSelection, truth: FloatArray, n: int, seconds: float) -> dict[str, Any]:
    k = truth.shape[1]
    amounts, errors = found.fit.amounts[:, :k], found.fit.uncertainties[:, :k]
    scores = _set_scores(found.chosen[:, :k], amounts, errors, truth)
    scores["per_second"] = n / seconds
    return scores


def _set_scores(
    chosen: BoolArray, amounts: FloatArray, errors: FloatArray, truth: FloatArray
) -> dict[str, Any]:
    there = truth > 0
    right = (chosen == there).all(axis=1)
    both = chosen & there
    wrong = (chosen & ~there).sum() + (~chosen & there).sum()
    relative = np.abs(amounts - truth)[both] / truth[both]
    sure = both & right[:, np.newaxis]
    inside = np.abs(amounts - truth)[sure] <= _Z95 * errors[sure]
    return {
        "accuracy": float((chosen == there).mean()),
        "ppr": float(right.mean()),
        "fpr": float((chosen & ~there).any(axis=1).mean()),
        "fpr_of_possible": float((chosen & ~there)[~there.all(axis=1)].any(axis=1).mean()),
        "fnr": float((~chosen & there).any(axis=1).mean()),
        "micro_f1": float(2.0 * both.sum() / max(2.0 * both.sum() + wrong, 1.0)),
        "count_error": float(relative.mean()) if relative.size else float("nan"),
        "coverage95": float(inside.mean()) if inside.size else float("nan"),
        "n": len(truth),
    }


def _ceiling(
    trial: SphereTrial, spectra: Spectra, truth: FloatArray, places: IntArray
) -> dict[str, Any]:
    """The same selection with the true shapes, which no method has."""
    k = len(trial.names)
    chosen = np.zeros(truth.shape, dtype=bool)
    amounts, errors = np.zeros(truth.shape), np.zeros(truth.shape)
    for place in np.unique(places):
        rows = np.flatnonzero(places == place)
        table = fixed_table(trial, trial.shapes[place], trial.names)
        found = select_sources(spectra[rows], table, false_alarm_rate=ALPHA)
        chosen[rows], amounts[rows] = found.chosen[:, :k], found.fit.amounts[:, :k]
        errors[rows] = found.fit.uncertainties[:, :k]
    return _set_scores(chosen, amounts, errors, truth)
