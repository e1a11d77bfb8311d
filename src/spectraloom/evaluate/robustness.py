"""How accuracy and outlier boundary hold when spectra get noisier or fewer counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from spectraloom.analyze.outlier import study_outliers
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.library import single_labels
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate.metrics import confusion


@dataclass(frozen=True, slots=True)
class RobustnessPoint:
    """One level of disturbance.

    Parameters
    ----------
    disturbance : {"noise", "thinning"}
    level : float
        Standard deviation of the noise relative to the mean counts per channel of a spectrum, or
        the share of counts kept.
    mean_counts : float
        Mean counts per spectrum after the disturbance.
    accuracy : float
        Single-label accuracy of the model, trained on undisturbed spectra.
    cosine : float
        Mean cosine of spectra and fit.
    feature : str
        Feature of the outlier boundary found on disturbed training spectra.
    threshold : float
        That boundary.
    outlier_accuracy : float
        Accuracy of that boundary on held-out rows.
    """

    disturbance: str
    level: float
    mean_counts: float
    accuracy: float
    cosine: float
    feature: str
    threshold: float
    outlier_accuracy: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def add_noise(spectra: Spectra, level: float, rng: np.random.Generator) -> Spectra:
    """Gaussian noise of `level` times the mean of each spectrum; counts stay at zero or above.

    Parameters
    ----------
    spectra : Spectra
        Real spectra.
    level : float
        Relative standard deviation, zero or more.
    rng : numpy.random.Generator

    Raises
    ------
    DataError
        If `level` is negative or the spectra are complex.
    """
    if not level >= 0 or spectra.kind == "complex":
        raise DataError(f"noise of level {level} cannot be added to {spectra.kind}")
    means = np.abs(spectra.values.mean(axis=1, keepdims=True, dtype=np.float64))
    noisy = spectra.values + rng.normal(size=spectra.shape) * level * means
    if spectra.kind in ("counts", "rate"):
        noisy = np.maximum(noisy, 0.0)
    return spectra.replace(values=noisy, variance=None)


def thin(spectra: Spectra, keep: float, rng: np.random.Generator) -> Spectra:
    """Keep each count with probability `keep`: the spectrum of a shorter measurement.

    Fractions of counts, as rebinning leaves them, are rounded at random first.

    Parameters
    ----------
    spectra : Spectra
        Counts.
    keep : float
        In (0, 1].
    rng : numpy.random.Generator

    Raises
    ------
    DataError
        If `keep` is out of range or the spectra are not counts.
    """
    if not 0 < keep <= 1:
        raise DataError(f"the share of counts to keep lies in (0, 1], got {keep}")
    if spectra.kind != "counts":
        raise DataError(f"only counts can be thinned, not {spectra.kind}")
    whole = np.floor(spectra.values + rng.random(spectra.shape)).astype(np.int64)
    times = {
        name: None if value is None else value * keep
        for name, value in (("live_time", spectra.live_time), ("real_time", spectra.real_time))
    }
    return spectra.replace(
        values=rng.binomial(whole, keep).astype(np.float64), variance=None, **times
    )


def robustness(
    model: SupervisedNMF,
    train: Spectra,
    test: Spectra,
    *,
    noise: Sequence[float] = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0),
    kept: Sequence[float] = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02),
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> list[RobustnessPoint]:
    """Accuracy and boundary against added noise and against thinned counts.

    Parameters
    ----------
    model : SupervisedNMF
        Settings; it is cloned and trained on `train` once.
    train, test : Spectra
        Counts with one label each; no spectrum in both.
    noise : sequence of float
        Levels for :func:`add_noise`.
    kept : sequence of float
        Levels for :func:`thin`.
    seed : int
    progress : callable, optional
    """
    fitted = clone(model).fit(train)
    truth = single_labels(test)
    steps = [("noise", level) for level in noise] + [("thinning", level) for level in kept]
    points = []
    for number, (disturbance, level) in enumerate(steps):
        if progress is not None:
            progress(number / len(steps), f"{disturbance} {level:g}")
        change = add_noise if disturbance == "noise" else thin
        rng = np.random.default_rng([seed, number])
        disturbed = change(test, level, rng)
        result = fitted.analyze(disturbed, denoise=False)
        boundary = study_outliers(model, change(train, level, rng), seed=seed).boundary
        points.append(
            RobustnessPoint(
                disturbance,
                float(level),
                float(disturbed.totals.mean()),
                confusion(truth, result.top).accuracy,
                float(np.nanmean(result.quality["cosine"])),
                boundary.feature,
                boundary.threshold,
                boundary.accuracy,
            )
        )
    return points
