"""From likelihood ratios to probabilities: how large a ratio chance alone makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import chi2, norm

from spectraloom._typing import FloatArray, IntArray
from spectraloom.errors import DataError

_LEAST_RATIO = 0.06  # at high rates any amount decides; a limit needs some threshold
_SCALES = np.geomspace(0.6, 1.6, 17)
_EM_STEPS = 60
# Ratios below this are not told apart: decisions are made in the tail, and the many ratios near
# zero hold the rounding of the fit rather than its statistics.
_BODY = 1.0
_SHAPES = 2  # degrees of freedom that the tail of a thousand draws can tell apart


@dataclass(frozen=True, slots=True, eq=False)
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

    def p_values(self, ratios: FloatArray, totals: FloatArray) -> FloatArray:
        """Probability of at least this ratio by chance, shape (n, k); one where it is zero.

        Parameters
        ----------
        ratios : ndarray, shape (n, k)
        totals : ndarray, shape (n,)
            Counts of each spectrum.
        """
        place = np.interp(
            np.log(np.maximum(totals, 1.0)), np.log(self.totals), np.arange(len(self.totals))
        )
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, len(self.totals) - 1)
        part = (place - low)[:, np.newaxis]
        # Between two levels the probabilities are mixed, not the weights: both are exact at ends.
        return (1.0 - part) * self._tail(ratios, low) + part * self._tail(ratios, high)

    def critical(self, rate: float, totals: FloatArray) -> FloatArray:
        """Ratio that chance reaches with probability `rate`, shape (n, k); zero if it never does.

        Parameters
        ----------
        rate : float
        totals : ndarray, shape (n,)
            Counts of each spectrum.
        """
        at = np.log(np.maximum(totals, 1.0))
        return np.column_stack(
            [
                np.interp(at, np.log(self.totals), column)
                for column in _critical_levels(self, rate).T
            ]
        )

    def steps(self, rate: float, totals: FloatArray) -> FloatArray:
        """Critical ratios as standard deviations of an amount, shape (n, k)."""
        return np.asarray(np.sqrt(np.maximum(self.critical(rate, totals), _LEAST_RATIO)))

    def _tail(self, ratios: FloatArray, level: IntArray) -> FloatArray:
        weights, scales = self.weights[level], self.scales[level]
        scaled = ratios / scales
        tail = np.zeros_like(ratios)
        for degrees in range(1, self.weights.shape[2]):
            tail += weights[:, :, degrees] * chi2.sf(scaled, degrees)
        return np.where(ratios > 0, tail, 1.0)


@lru_cache(maxsize=32)
def _critical_levels(null: NullDistribution, rate: float) -> FloatArray:
    """Critical ratios at the levels of a null distribution, by bisection, shape (n_levels, k)."""
    levels: IntArray = np.arange(len(null.totals), dtype=np.int64)
    low = np.zeros(null.scales.shape)
    high = np.full(null.scales.shape, 1e4)
    for _ in range(60):
        middle = 0.5 * (low + high)
        above = null._tail(middle, levels) > rate
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return high


def fit_null(ratios: FloatArray, degrees: int) -> tuple[FloatArray, float]:
    """Weights of 0 ... `degrees` degrees of freedom, and scale, of ratios drawn without a source.

    Maximum likelihood of the ratios above one, all below counting alike: the weights by
    expectation-maximisation, the scale by trial. The draws tell apart two degrees at most.

    Parameters
    ----------
    ratios : ndarray, shape (n,)
    degrees : int
        Most degrees of freedom, at least one; above two it is as good as two.

    Raises
    ------
    DataError
        If there are fewer than 50 ratios.
    """
    if len(ratios) < 50:
        raise DataError(f"a null distribution needs at least 50 draws, got {len(ratios)}")
    shapes = np.arange(1, min(degrees, _SHAPES) + 1)
    high = ratios[ratios > _BODY]
    if not len(high):
        weights = np.zeros(len(shapes) + 1)
        weights[1] = 1.0 / len(ratios)  # none seen in n draws: rarer than one in n
        weights[0] = 1.0 - weights[1]
        return weights, 1.0
    n_low = len(ratios) - len(high)
    best = (-np.inf, np.zeros(len(shapes) + 1), 1.0)
    for scale in _SCALES:
        low = np.append(1.0, chi2.cdf(_BODY / scale, shapes))
        densities = np.zeros((len(high), len(shapes) + 1))
        densities[:, 1:] = chi2.pdf(high[:, np.newaxis] / scale, shapes) / scale
        weights = np.append(0.5, np.full(len(shapes), 0.5 / len(shapes)))
        for _ in range(_EM_STEPS):
            below = low * weights
            joint = densities * weights
            parts = (joint / joint.sum(axis=1, keepdims=True)).sum(axis=0)
            weights = (n_low * below / below.sum() + parts) / len(ratios)
        likelihood = float(n_low * np.log(low @ weights) + np.log(densities @ weights).sum())
        if likelihood > best[0]:
            best = (likelihood, weights, float(scale))
    return best[1], best[2]


def bootstrap_null(
    draw: Callable[[float, int, np.random.Generator], FloatArray],
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
        ``draw(total, n, rng)`` gives the ratios of `n` spectra of about `total` counts, shape
        (n, k).
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
        near = np.concatenate(drawn[max(level - 1, 0) : level + 2])
        fitted = [fit_null(column, degrees) for column in near.T]
        weights.append([one for one, _ in fitted])
        scales.append([one for _, one in fitted])
    return NullDistribution(np.asarray(totals, dtype=float), np.array(weights), np.array(scales))


def significance_of(p_values: FloatArray) -> FloatArray:
    """Gaussian standard deviations with the same one-sided probability; zero at 1/2 or more."""
    return np.maximum(norm.isf(np.clip(p_values, 1e-300, 1.0)), 0.0)


def per_name_rate(false_alarm_rate: float, n_names: int) -> float:
    """Rate per name so that any of `n_names` false alarms has the rate stated (Sidak 1967)."""
    if not 0 < false_alarm_rate < 1:
        raise DataError(f"a false-alarm rate lies between 0 and 1, got {false_alarm_rate!r}")
    return float(-np.expm1(np.log1p(-false_alarm_rate) / max(n_names, 1)))
