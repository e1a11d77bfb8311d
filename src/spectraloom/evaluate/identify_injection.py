"""Detection efficiency and false alarms: sources injected into background, and none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectraloom._typing import BoolArray, FloatArray, IntArray
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.mixtures import fit_shape
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.library import single_labels
from spectraloom.data.spectra import Spectra
from spectraloom.evaluate.metrics import indicator, rate_of
from spectraloom.evaluate.reference import interpolated_rebin
from spectraloom.evaluate.sets import standard_axis
from spectraloom.process import rebin

INJECTED = (50, 100, 200, 400)
RATE_PER_NAME = 0.005
_TRIALS = 500  # for each source, number of counts and piece of background
_RATES = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_SIMULATED = 4000  # spectra per piece of background
_FEWEST = 10  # expected false alarms below which a rate cannot be judged


def injected(
    quiet: Sequence[tuple[Identifier, Spectra]],
    sources: Spectra,
    names: Sequence[str],
    rng: np.random.Generator,
    *,
    yardstick: SupervisedNMF | None = None,
    trials: int = _TRIALS,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Share of injected sources that are found, and of backgrounds where one is found wrongly.

    Parameters
    ----------
    quiet : sequence of (Identifier, Spectra)
        Background that the model beside it has not seen.
    sources : Spectra
        Spectra of one source each, without background, that no model has seen.
    names : sequence of str
        Sources to inject.
    rng : numpy.random.Generator
    yardstick : SupervisedNMF, optional
        The reference, asked about the same spectra, interpolated as it does.
    trials : int
        Spectra for each source, number of counts and piece of background; backgrounds and
        sources are drawn with replacement.

    Returns
    -------
    ours, theirs : dict
        For each name the efficiency by number of counts, ``counts_for_90pct`` (the fewest tried
        with an efficiency of at least 0.9, or None) and ``false_alarms``; the second is empty
        without a yardstick.
    """
    rate = float(-np.expm1(len(names) * np.log1p(-RATE_PER_NAME)))
    models = [model.with_rate(rate) for model, _ in quiet]
    pieces = [one for _, one in quiet]

    def ask(spectra: Sequence[Spectra]) -> list[BoolArray]:
        """Whether each name is found, by us and by the yardstick."""
        answers = [
            [m.analyze(one).labels for m, one in zip(models, spectra, strict=True)],
        ]
        if yardstick is not None:
            axis = standard_axis(spectra[0].n_channels)
            answers.append(
                [yardstick.predict_sets(interpolated_rebin(one, axis)) for one in spectra]
            )
        return [np.concatenate([indicator(one, names) for one in some]) for some in answers]

    wrong = ask(pieces)
    found: list[dict[str, Any]] = [{}, {}]
    labels = single_labels(sources)
    for column, name in enumerate(names):
        efficiency: list[dict[str, float]] = [{}, {}]
        for counts in INJECTED:
            own = sources[(labels == name) & (sources.totals >= counts)]
            if not len(own):
                continue
            mixed = [inject(one, own, counts, trials, rng) for one in pieces]
            for number, answer in enumerate(ask(mixed)):
                efficiency[number][str(counts)] = float(answer[:, column].mean())
        for number, alarms in enumerate(wrong):
            shares = efficiency[number]
            enough = [int(counts) for counts, share in shares.items() if share >= 0.9]
            # The reference states no rate.
            stated = None if number else RATE_PER_NAME
            found[number][name] = {
                **shares,
                "counts_for_90pct": min(enough, default=None),
                "false_alarms": rate_of(int(alarms[:, column].sum()), len(alarms), stated),
            }
    return found[0], found[1]


def inject(
    background: Spectra, sources: Spectra, counts: int, n: int, rng: np.random.Generator
) -> Spectra:
    """Whole counts of source spectra on top of background, on the axis of the background.

    Counts are drawn without replacement from a source spectrum and dealt out to the channels of
    the background; those that fall outside its axis are lost, as they would be in the detector.

    Parameters
    ----------
    background : Spectra
        Counts.
    sources : Spectra
        Counts; each at least `counts` in all.
    counts : int
        Counts of a source, on its own axis.
    n : int
        Spectra to make.
    rng : numpy.random.Generator
    """
    under = background[rng.integers(len(background), size=n)]
    drawn = np.stack(
        [
            _some_of(np.asarray(sources.values[row], dtype=np.int64), counts, rng)
            for row in rng.integers(len(sources), size=n)
        ]
    )
    moved = rebin(Spectra(drawn, sources.axis), background.axis, draw=rng)
    total = np.asarray(under.values, dtype=np.float64) + moved.values
    return Spectra(total, background.axis)


def _some_of(counts: IntArray, n: int, rng: np.random.Generator) -> IntArray:
    return np.asarray(rng.multivariate_hypergeometric(counts, n, method="marginals"))


def false_alarm_curve(
    quiet: Sequence[tuple[Identifier, Spectra]], rng: np.random.Generator
) -> dict[str, Any]:
    """Observed against stated rate of p-values, on background as measured and as simulated.

    Every spectrum counts once for each source, so that the trials of one spectrum are not quite
    independent. Rates of which fewer than ten false alarms are expected are left out.

    Parameters
    ----------
    quiet : sequence of (Identifier, Spectra)
    rng : numpy.random.Generator
    """
    measured, drawn = [], []
    for model, one in quiet:
        measured.append(_p_values(model, one))
        shape = one.values.sum(axis=0, dtype=np.float64)
        shape /= max(shape.sum(), 1.0)
        if model.background_ is not None and model.background_.axis.isclose(one.axis):
            shape = fit_shape(model.background_, one.axis)
        totals = rng.choice(one.totals, _SIMULATED)
        counts = rng.poisson(totals[:, np.newaxis] * shape).astype(np.float64)
        drawn.append(_p_values(model, Spectra(counts, one.axis)))
    return {
        "measured": _curve(np.concatenate(measured)),
        "simulated": _curve(np.concatenate(drawn)),
    }


def _p_values(model: Identifier, spectra: Spectra) -> FloatArray:
    result = model.analyze(spectra)
    p = result.details["p_value"]
    return p[:, [name != model.background for name in result.names]]


def _curve(p_values: FloatArray) -> list[dict[str, float | None]]:
    return [
        rate_of(int((p_values < rate).sum()), p_values.size, rate)
        for rate in _RATES
        if rate * p_values.size >= _FEWEST
    ]
