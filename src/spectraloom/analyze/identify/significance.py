"""From likelihood ratios to probabilities: how large a ratio chance alone makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.special import (  # scipy.stats is slow
    chdtrc,
    expit,
    gammaln,
    log_ndtr,
    ndtri,
    ndtri_exp,
)

from spectraloom._typing import FloatArray, IntArray
from spectraloom.analyze.identify.shape_drift import ShapeDrift
from spectraloom.analyze.remembered import remembered
from spectraloom.errors import DataError

_SCALES = np.geomspace(0.6, 1.6, 21)
# Ratios whose chance is matched. Those near zero hold the rounding of the fit rather than its
# statistics; decisions are made in the tail.
_PLACES = np.array(
    [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0, 10.0, 12.0, 15.0, 18.0, 21.0, 25.0, 30.0]
)
_FEWEST = 8  # draws above a ratio that say anything about its chance
_LEAST_EFFECTIVE = 3.0  # of them, had all the same weight
_PRECISE = 0.02  # relative error of a chance that no number of draws is asked to beat
_REFINEMENTS = 3
# Places from one level to the next at which critical ratios are found: they bend at the ends.
_BETWEEN = expit(np.append(-np.inf, np.linspace(-7.0, 7.0, 15)))
_SMALLEST = 1e-290  # p-value below which its log is taken without it
_SHAPES = 2  # degrees of freedom that the tail of a thousand draws can tell apart


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class NullDistribution:
    """Distribution of the likelihood ratio of each name where the name is absent.

    A mixture of chi-square distributions with 0, 1, 2 ... degrees of freedom (chi-bar-square:
    amounts cannot be negative, and several templates of a name are tried), times a scale. Theory
    gives one half each of zero and one degree for a single template, and a bound for several;
    weights and scale found by a parametric bootstrap depend on the number of counts.

    Parameters
    ----------
    totals : ndarray, shape (n_levels,)
        Total counts, increasing, at which the distributions are known.
    weights : ndarray, shape (n_levels, k, d + 1)
        Weights of 0 ... d degrees of freedom.
    scales : ndarray, shape (n_levels, k)
    drift : ShapeDrift or None
        How much wider than by chance the roots of the ratios are, since the shape of the
        background changes; None if it is not known to.

    References
    ----------
    H. Chernoff, Ann. Math. Stat. 25 (1954) 573, doi:10.1214/aoms/1177728725. S. G. Self,
    K.-Y. Liang, J. Am. Stat. Assoc. 82 (1987) 605, doi:10.1080/01621459.1987.10478472. The bound
    for several templates: M. D. Perlman, Ann. Math. Stat. 40 (1969) 549,
    doi:10.1214/aoms/1177697723.
    """

    totals: FloatArray
    weights: FloatArray
    scales: FloatArray
    drift: ShapeDrift | None = None

    @staticmethod
    def theory(templates: Sequence[int]) -> NullDistribution:
        """Many counts: half d - 1, half d degrees of freedom for a name with d templates.

        Exact for one template; for more, no weights give larger ratios, so that p-values are too
        large rather than too small.

        Parameters
        ----------
        templates : sequence of int
            Number of templates of each name.
        """
        weights = np.zeros((1, len(templates), max(templates, default=1) + 1))
        for name, number in enumerate(templates):
            weights[0, name, number - 1 : number + 1] = 0.5
        return NullDistribution(np.array([1.0]), weights, np.ones((1, len(templates))))

    def p_values(
        self, ratios: FloatArray, totals: FloatArray, background: FloatArray | None = None
    ) -> FloatArray:
        """Probability of at least this ratio by chance, shape (n, k); one where it is zero.

        Parameters
        ----------
        ratios : ndarray, shape (n, k)
        totals : ndarray, shape (n,)
            Counts of each spectrum.
        background : ndarray, shape (n,), optional
            How many of them are background; all by default.
        """
        scaled = ratios / self._inflation(totals, background)
        return self._mixed_tail(scaled, self._place(totals))

    def significance(
        self,
        p_values: FloatArray,
        ratios: FloatArray,
        totals: FloatArray,
        background: FloatArray | None = None,
    ) -> FloatArray:
        """Gaussian standard deviations of p-values, also of those too small for a float.

        Parameters
        ----------
        p_values : ndarray, shape (n, k)
            What :meth:`p_values` gives for the rest.
        ratios, totals, background
            As in :meth:`p_values`.
        """
        found = significance_of(p_values)
        rows, names = np.nonzero(p_values < _SMALLEST)
        if not len(rows):
            return found
        scaled = (ratios / self._inflation(totals, background))[rows, names]
        place = self._place(totals[rows])
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, len(self.totals) - 1)
        with np.errstate(divide="ignore"):  # a weight of zero has a log of minus infinity
            log_p = np.logaddexp(
                np.log(1.0 - (place - low)) + self._log_tail(scaled, low, names),
                np.log(place - low) + self._log_tail(scaled, high, names),
            )
        found[rows, names] = -ndtri_exp(log_p)
        return found

    def critical(
        self, rate: float, totals: FloatArray, background: FloatArray | None = None
    ) -> FloatArray:
        """Ratio that chance reaches with probability `rate`, shape (n, k); zero if it never does.

        Parameters
        ----------
        rate : float
        totals : ndarray, shape (n,)
            Counts of each spectrum.
        background : ndarray, shape (n,), optional
            How many of them are background; all by default.
        """
        at = self._place(totals)
        places, levels = _critical_levels(self, rate)
        ratios = np.column_stack([np.interp(at, places, one) for one in levels.T])
        return np.asarray(ratios * self._inflation(totals, background))

    def widening(self, totals: FloatArray, background: FloatArray) -> FloatArray:
        """Largest factor over the names by which ratios are larger than by chance, shape (n,)."""
        return np.ones(len(totals)) * np.max(self._inflation(totals, background), axis=-1)

    def _inflation(self, totals: FloatArray, background: FloatArray | None) -> FloatArray | float:
        if self.drift is None:
            return 1.0
        return self.drift.inflation(totals, totals if background is None else background)

    def _place(self, totals: FloatArray) -> FloatArray:
        """Where counts lie among the levels: 1.5 is half way from the second to the third."""
        at = np.log(np.maximum(totals, 1.0))
        return np.asarray(np.interp(at, np.log(self.totals), np.arange(len(self.totals))))

    def _mixed_tail(self, ratios: FloatArray, place: FloatArray) -> FloatArray:
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, len(self.totals) - 1)
        part = (place - low)[:, np.newaxis]
        # Between two levels the probabilities are mixed, not the weights: both are exact at ends.
        return (1.0 - part) * self._tail(ratios, low) + part * self._tail(ratios, high)

    def _tail(self, ratios: FloatArray, level: IntArray) -> FloatArray:
        weights, scales = self.weights[level], self.scales[level]
        scaled = ratios / scales
        tail = np.zeros_like(ratios)
        for degrees in range(1, self.weights.shape[2]):
            tail += weights[:, :, degrees] * chdtrc(degrees, scaled)
        return np.where(ratios > 0, tail, 1.0)

    def _log_tail(self, ratios: FloatArray, level: IntArray, names: IntArray) -> FloatArray:
        """Log of the tail of single ratios far out, of names and at levels, shape (m,).

        The incomplete gamma function is expanded for large arguments (NIST DLMF 8.11.2).
        """
        half = 0.5 * ratios / self.scales[level, names]
        log_p = np.full(len(ratios), -np.inf)
        for degrees in range(1, self.weights.shape[2]):
            a = 0.5 * degrees
            series = 1.0 + (a - 1.0) / half * (1.0 + (a - 2.0) / half * (1.0 + (a - 3.0) / half))
            log_tail = (a - 1.0) * np.log(half) - half - gammaln(a) + np.log(series)
            log_p = np.logaddexp(log_p, np.log(self.weights[level, names, degrees]) + log_tail)
        return log_p


@remembered
def _critical_levels(null: NullDistribution, rate: float) -> tuple[FloatArray, FloatArray]:
    """Places at and between the levels, and the critical ratios there, by bisection.

    Between two levels the critical ratio bends, so that a line from one to the other would decide
    otherwise than the p-values do.
    """
    last = len(null.totals) - 1
    places = np.append(np.add.outer(np.arange(last), _BETWEEN).ravel(), last)
    low = np.zeros((len(places), null.scales.shape[1]))
    high = np.full(low.shape, 1e4)
    for _ in range(60):
        middle = 0.5 * (low + high)
        above = null._mixed_tail(middle, places) > rate
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return places, high


def fit_null(
    ratios: FloatArray, degrees: int, weights: FloatArray | None = None
) -> tuple[FloatArray, float]:
    """Weights of 0 ... `degrees` degrees of freedom, and scale, of ratios drawn without a source.

    Least squares of the chances of reaching a row of ratios, relative to their errors, so that
    the tail counts as much as the body: the weights by non-negative least squares, the scale by
    trial. The draws tell apart two degrees at most.

    Parameters
    ----------
    ratios : ndarray, shape (n,)
    degrees : int
        Most degrees of freedom, at least one; above two it is as good as two.
    weights : ndarray, shape (n,), optional
        Importance weights, one on average: how many times as probable a draw is without the
        source as it was when drawn. All one by default.

    Raises
    ------
    DataError
        If there are fewer than 50 ratios.
    """
    n = len(ratios)
    if n < 50:
        raise DataError(f"a null distribution needs at least 50 draws, got {n}")
    shapes = np.arange(1, min(degrees, _SHAPES) + 1)
    importance = np.ones(n) if weights is None else weights
    above = ratios[:, np.newaxis] >= _PLACES
    # A few draws can outweigh all others: what counts is how many equal ones would say as much.
    # Where the background is next to nothing, weights can be too small to be squared.
    reached, squared = importance @ above, importance**2 @ above
    effective = np.divide(reached, squared, out=np.zeros(len(_PLACES)), where=squared > 0) * reached
    seen = (above.sum(axis=0) >= _FEWEST) & (effective >= _LEAST_EFFECTIVE)
    rare = np.zeros(len(shapes) + 1)
    rare[:2] = 1.0 - 1.0 / n, 1.0 / n  # hardly any seen in n draws: taken as one in n
    if not seen.any():
        return rare, 1.0
    places = _PLACES[seen]
    chance = reached[seen] / n
    variance = (squared[seen] / n - chance**2) / n
    error = np.hypot(np.sqrt(np.maximum(variance, 0.0)) / chance, _PRECISE)
    best = (np.inf, np.zeros(len(shapes)), 1.0)
    for scale in _SCALES:
        tails = chdtrc(shapes, places[:, np.newaxis] / scale)
        model = chance
        for _ in range(_REFINEMENTS):
            # Errors are relative to the fit: relative to what was drawn, low draws count more.
            unit = error * model
            found, _ = nnls(tails / unit[:, np.newaxis], chance / unit)
            model = np.maximum(tails @ found, 1e-300)
        miss = float((((model - chance) / unit) ** 2).sum())
        if miss < best[0]:
            best = (miss, found, float(scale))
    positive = best[1] / max(float(best[1].sum()), 1.0)
    if positive.sum() < rare[1]:
        return rare, 1.0
    return np.append(max(1.0 - float(positive.sum()), 0.0), positive), best[2]


def bootstrap_null(
    draw: Callable[[float, int, np.random.Generator], tuple[FloatArray, FloatArray]],
    totals: Sequence[float],
    n_draws: int,
    degrees: int,
    *,
    seed: int | None = 0,
    progress: Callable[[float, str], None] | None = None,
) -> NullDistribution:
    """Null distribution from simulated spectra without sources.

    The distribution changes slowly with the counts, so each level learns from the draws of its
    neighbours, too.

    Parameters
    ----------
    draw : callable
        ``draw(total, n, rng)`` gives the ratios of `n` spectra of about `total` counts, and their
        importance weights, both of shape (n, k).
    totals : sequence of float
        Levels of total counts.
    n_draws : int
        Spectra per level.
    degrees : int
        Most degrees of freedom.
    seed : int or None
    progress : callable, optional
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for number, total in enumerate(totals):
        if progress is not None:
            progress(number / len(totals), f"null distribution at {total:.0f} counts")
        drawn.append(draw(float(total), n_draws, rng))
    weights, scales = [], []
    for level in range(len(totals)):
        near = drawn[max(level - 1, 0) : level + 2]
        ratios, importance = (np.concatenate([one[part] for one in near]) for part in (0, 1))
        fitted = [fit_null(r, degrees, w) for r, w in zip(ratios.T, importance.T, strict=True)]
        weights.append([one for one, _ in fitted])
        scales.append([one for _, one in fitted])
    return NullDistribution(np.asarray(totals, dtype=float), np.array(weights), np.array(scales))


def significance_of(p_values: FloatArray) -> FloatArray:
    """Gaussian standard deviations with the same one-sided probability; zero at 1/2 or more."""
    return np.maximum(-ndtri(np.clip(p_values, 1e-300, 1.0)), 0.0)


def significance_of_log(log_p: FloatArray) -> FloatArray:
    """The same from the natural log of p-values, however small these are."""
    return np.maximum(-ndtri_exp(np.minimum(log_p, 0.0)), 0.0)


def log_p_values(p_values: FloatArray, significance: FloatArray) -> FloatArray:
    """Natural log of p-values, also of those too small for a float.

    Parameters
    ----------
    p_values, significance : ndarray of one shape
        What :class:`NullDistribution` gives.
    """
    known = np.log(np.clip(p_values, _SMALLEST, 1.0))
    return np.where(p_values < _SMALLEST, log_ndtr(-significance), known)


def per_name_rate(false_alarm_rate: float, n_names: int) -> float:
    """Rate per name so that any of `n_names` false alarms has the rate stated (Sidak 1967)."""
    if not 0 < false_alarm_rate < 1:
        raise DataError(f"a false-alarm rate lies between 0 and 1, got {false_alarm_rate!r}")
    return float(-np.expm1(np.log1p(-false_alarm_rate) / max(n_names, 1)))
