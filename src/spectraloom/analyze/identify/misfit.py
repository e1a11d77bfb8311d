"""When a likelihood fit is not to be trusted: misfit, and conditions of the measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from spectraloom._typing import Array, BoolArray, FloatArray
from spectraloom.analyze.likelihood import LikelihoodFit, Nuisances, TemplateTable
from spectraloom.analyze.quality import deviance_by_chance, fit_quality, sure_misfit
from spectraloom.analyze.remembered import remembered
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError

_AT_LIMIT = 1e-6  # of its prior width that a nuisance at its limit is off it at most
_BROADENING = 2  # number of that nuisance
_BY_CHANCE = 1e-6  # probability under which equal largest contents are no chance
_MOST_EQUAL = 64  # equal contents that are counted
_FULL = (2**16 - 1, 2**24 - 1, 2**31 - 1, 2**32 - 1)  # largest counts of common memories
_MOST_DEAD = 0.5  # dead time above which a spectrum counts as saturated
_MOST_KNOWN = 10_000  # known misfits that a model keeps
_ROUND = 1.0 + 1e-9  # ranks are compared with rates of which they are multiples


class Fitted(Protocol):
    """What flags are told by: data on the bins of a fit, and whether it settled."""

    @property
    def observed(self) -> FloatArray:
        """Data, shape (n, n_bins)."""

    @property
    def converged(self) -> BoolArray:
        """Shape (n,)."""


@remembered
def chance_deviance(fit: LikelihoodFit) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the deviance if the model is right, each of shape (n,).

    For many counts these are the degrees of freedom and the root of twice their number. A bin
    with few counts has another mean: up to a sixth more about one count, far less below.
    """
    if fit.poisson:
        return deviance_by_chance(fit.fitted, fit.degrees_of_freedom)
    mean = np.full(len(fit), float(fit.degrees_of_freedom))
    return mean, np.sqrt(2.0 * mean)


def dispersion_of(fit: LikelihoodFit) -> FloatArray:
    """Deviance over its mean by chance, at least one, shape (n,).

    The squared factor by which the data scatter more about the fit than counts do (McCullagh and
    Nelder, *Generalized Linear Models*, ch. 9.2), in bins of few counts, too.
    """
    mean, _ = chance_deviance(fit)
    return np.maximum(fit.deviance / np.maximum(mean, 1.0), 1.0)


def misfit_per_count(fit: LikelihoodFit) -> FloatArray:
    """See :func:`spectraloom.analyze.quality.sure_misfit`; shape (n,)."""
    totals = np.abs(fit.observed).sum(axis=1)
    return sure_misfit(fit.deviance, *chance_deviance(fit), totals)


@dataclass(frozen=True, slots=True)
class MisfitBoundary:
    """Probability that a spectrum holds something that the library does not, by its misfit.

    Parameters
    ----------
    center : float
        Misfit at which both are equally likely.
    slope : float
        Logarithm of the odds per unit of misfit.
    """

    center: float
    slope: float

    def probability(self, misfit: FloatArray) -> FloatArray:
        """Outlier probability of each spectrum, for as many outliers as others."""
        return np.asarray(expit(self.slope * (misfit - self.center)))

    @classmethod
    def learn(cls, known: FloatArray, unknown: FloatArray) -> MisfitBoundary:
        """Logistic fit to the misfits of explained and unexplained spectra."""
        values = np.concatenate([known, unknown])
        truth = np.arange(len(values)) >= len(known)
        scale = float(values.std()) or 1.0
        model = LogisticRegression(class_weight="balanced", C=100.0)
        model.fit((values / scale)[:, np.newaxis], truth)
        slope = max(float(model.coef_[0, 0]), 1e-6) / scale
        return cls(float(-model.intercept_[0]) / slope, slope)

    def flagged(self, misfit: FloatArray) -> BoolArray:
        """Spectra that are rather outliers than not, shape (n,)."""
        return np.asarray(self.probability(misfit) > 0.5)

    def to_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return {"center": self.center, "slope": self.slope}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> MisfitBoundary:
        """Boundary from what :meth:`to_dict` gave.

        Raises
        ------
        DataError
            If the probability would not rise with the misfit.
        """
        center, slope = float(stored["center"]), float(stored["slope"])
        if not (np.isfinite(center) and 0 < slope < np.inf):
            raise DataError(f"no boundary lies at {center:g} with a slope of {slope:g}")
        return cls(center, slope)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class KnownMisfits:
    """Misfits of measured spectra that hold nothing unknown: what a further one is held against.

    The p-value of a spectrum is its rank among them (conformal prediction). For a further spectrum
    of the same kind it is below any rate with at most that probability, whatever the distribution.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Increasing.
    false_alarm_rate : float
        p-value up to which a spectrum is called an outlier.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, *Algorithmic Learning in a Random World* (2005), ch. 2.
    """

    values: FloatArray
    false_alarm_rate: float

    def __post_init__(self) -> None:
        rate, n = self.false_alarm_rate, len(self.values)
        if not 0 < rate < 1:
            raise DataError(f"a false-alarm rate lies between 0 and 1, got {rate!r}")
        if not (np.isfinite(self.values).all() and (np.diff(self.values) >= 0).all()):
            raise DataError("known misfits are finite and increase")
        if not (n + 1) * rate * _ROUND >= 1.0:
            raise DataError(
                f"a false-alarm rate of {rate:g} needs at least {int(np.ceil(1.0 / rate)) - 1} "
                f"known spectra, got {n}"
            )

    def __repr__(self) -> str:
        return (
            f"<KnownMisfits: of {len(self.values)} spectra, outliers above {self.center:.3g} "
            f"(false-alarm rate {self.false_alarm_rate:g})>"
        )

    @classmethod
    def of(cls, known: FloatArray, false_alarm_rate: float, seed: int | None = 0) -> KnownMisfits:
        """Sorted misfits; of more than 10,000 spectra as many at random, which are as good.

        Parameters
        ----------
        known : ndarray, shape (n,)
        false_alarm_rate : float
        seed : int or None

        Raises
        ------
        DataError
            If the rate is not between 0 and 1, or the spectra are too few for it.
        """
        if len(known) > _MOST_KNOWN:
            known = np.random.default_rng(seed).choice(known, _MOST_KNOWN, replace=False)
        return cls(np.sort(np.asarray(known, dtype=np.float64)), false_alarm_rate)

    @property
    def center(self) -> float:
        """Largest misfit that is not flagged."""
        most = int(self.false_alarm_rate * (len(self.values) + 1) * _ROUND)
        return float(self.values[len(self.values) - most])

    def p_values(self, misfit: FloatArray) -> FloatArray:
        """Share of the known spectra that fit as badly or worse, itself among them, shape (n,)."""
        n = len(self.values)
        return np.asarray((1.0 + n - np.searchsorted(self.values, misfit)) / (n + 1.0))

    def probability(self, misfit: FloatArray) -> FloatArray:
        """One minus the p-value: share of known spectra that fit better, shape (n,)."""
        return np.asarray(1.0 - self.p_values(misfit))

    def flagged(self, misfit: FloatArray) -> BoolArray:
        """Spectra whose p-value is at most the false-alarm rate, shape (n,)."""
        return np.asarray(self.p_values(misfit) <= self.false_alarm_rate * _ROUND)

    def to_dict(self) -> dict[str, float]:
        """What was learned, without the misfits, for JSON."""
        return {
            "center": self.center,
            "false_alarm_rate": self.false_alarm_rate,
            "n_known": len(self.values),
        }


def trust_of(
    spectra: Spectra,
    fit: LikelihoodFit,
    table: TemplateTable,
    nuisances: Nuisances,
    boundary: MisfitBoundary | KnownMisfits | None,
) -> tuple[dict[str, FloatArray], dict[str, Array]]:
    """Measures of how far a fit is to be trusted, and flags.

    Parameters
    ----------
    spectra : Spectra
    fit : LikelihoodFit
        Of these spectra.
    table : TemplateTable
        The one that was fitted.
    nuisances : Nuisances
        Those that were fitted.
    boundary : MisfitBoundary or KnownMisfits or None
        Where a spectrum is an outlier, if that is known.

    Returns
    -------
    quality, flags : dict of str to ndarray, shape (n,)
        See :meth:`~spectraloom.analyze.identify.identifier.Identifier.analyze`.
    """
    quality = fit_quality(
        fit.observed,
        fit.fitted,
        n_parameters=fit.observed.shape[1] - fit.degrees_of_freedom,
        poisson=fit.poisson,
    )
    quality["dispersion"] = dispersion_of(fit)
    for number, name in enumerate(("gain", "offset", "broadening")):
        if getattr(nuisances, name) is not None:
            quality[name] = fit.nuisances[:, number]
    if fit.extra.shape[1]:
        totals = np.maximum(fit.amounts.sum(axis=1), 1e-300)
        quality["pile_up"] = fit.amounts[:, -1] / totals
    flags = condition_flags(spectra, fit)
    flags["drift_at_limit"] = drift_at_limit(fit, table, nuisances)
    if boundary is not None:
        misfit = misfit_per_count(fit)
        if isinstance(boundary, KnownMisfits):
            quality["outlier_p_value"] = boundary.p_values(misfit)
        quality["outlier_probability"] = boundary.probability(misfit)
        flags["outlier"] = boundary.flagged(misfit)
    return quality, flags


def drift_at_limit(fit: LikelihoodFit, table: TemplateTable, nuisances: Nuisances) -> BoolArray:
    """Whether gain, offset or resolution went as far as they may, shape (n,).

    The detector may then have drifted further than the templates could follow. That peaks are
    not widened at all is no limit.
    """
    reach = nuisances.bounds(table).T.copy()
    fixed = ~nuisances.used | (reach[0] >= reach[1])
    reach[:, fixed] = [[-np.inf], [np.inf]]
    reach[0, _BROADENING] = -np.inf
    near = _AT_LIMIT * nuisances.spreads
    low, high = reach[0] + near, reach[1] - near
    return np.asarray(((fit.nuisances <= low) | (fit.nuisances >= high)).any(axis=1))


def condition_flags(spectra: Spectra, fit: Fitted) -> dict[str, Array]:
    """Conditions under which an answer is not, or not fully, to be trusted.

    Returns
    -------
    dict of str to ndarray of bool, shape (n,)
        ``empty``: no counts; ``not_converged``: the fit did not settle; ``fractional``: counts
        that are not whole, so that they no longer follow the Poisson distribution exactly;
        ``saturated``: a channel at the limit of a common memory, several channels cut off at the
        same content, or more than half of the time dead.
    """
    values = spectra.values
    flags: dict[str, Array] = {
        "empty": np.asarray(~fit.observed.any(axis=1)),
        "not_converged": ~fit.converged,
    }
    if spectra.kind == "counts":
        whole = np.ones(len(spectra), dtype=bool)
        if values.dtype.kind == "f":
            whole = np.asarray((values == np.floor(values)).all(axis=1))
        flags["fractional"] = np.asarray(~whole)
        full: Array = np.asarray(np.isin(values, _FULL).any(axis=1)) | cut_off(values)
        if spectra.live_time is not None and spectra.real_time is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                dead = 1.0 - spectra.live_time / spectra.real_time
            full = full | (np.nan_to_num(dead, nan=0.0, posinf=0.0, neginf=0.0) > _MOST_DEAD)
        flags["saturated"] = full
    return flags


def cut_off(counts: Array) -> BoolArray:
    """Whether the largest content of a spectrum stands in more channels than by chance, (n,).

    The largest of n counts of mean m are about sqrt(m / (2 log n)) apart, the k-th gap a k-th of
    that on average; the gaps are exponential and independent (A. Renyi, Acta Math. Acad. Sci.
    Hung. 4 (1953) 191, doi:10.1007/BF02127580). Spectra that are not flat have wider gaps. Below
    some 900 counts nothing is said: equal contents are too common there.

    Parameters
    ----------
    counts : ndarray, shape (n, n_channels)
    """
    largest = counts.max(axis=1, initial=0).astype(np.float64)
    equal = (counts == largest[:, np.newaxis]).sum(axis=1)
    several = np.flatnonzero((equal > 2) & (largest > 0))
    if not len(several):
        return np.zeros(len(counts), dtype=bool)
    apart = np.sqrt(largest[several] / (2.0 * np.log(counts.shape[1])))
    gap = np.arange(1, _MOST_EQUAL)
    chance = np.log(-np.expm1(-gap / apart[:, np.newaxis]))
    chance[gap >= equal[several, np.newaxis]] = 0.0
    flagged = np.zeros(len(counts), dtype=bool)
    flagged[several] = chance.sum(axis=1) < np.log(_BY_CHANCE)
    return flagged
