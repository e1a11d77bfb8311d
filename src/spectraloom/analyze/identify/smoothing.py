"""Measured templates without their counting noise, as smooth as their counts allow."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.optimize import minimize_scalar

from spectraloom._typing import BoolArray, FloatArray

_ORDER = 2  # differences of the logarithm that are drawn to zero
_BEND = np.array([1.0, -2.0, 1.0])
_POWERS = np.arange(6.0, -4.0, -1.0)  # of ten: strengths that are tried
_FINE = 0.05  # to which the power is found
_FEWEST = 8  # channels
_ROUGH = 4.0  # standard deviations at which a channel is no part of a smooth curve
_BESIDE = 20  # channels that tell what is expected in empty ones at an end
_BY_CHANCE = 7.0  # counts that are expected where none come with a probability of a thousandth
_ROUNDS = 20
_STEPS = 100
_SETTLED = 1e-6  # of the penalised deviance
_FLOOR = 1e-11  # keeps the matrix regular where next to nothing is expected


def smooth_counts(counts: FloatArray) -> FloatArray:
    """Expected counts of the channels of a spectrum, as smooth as its counts do not contradict.

    The noise of a measured template is structure that moves with the gain, so a fit takes it for
    knowledge of the gain: with n counts in a channel, its slope per channel is uncertain by about
    sqrt(2 n), and per unit of gain by that times the number of the channel. The estimate is the
    maximum of the Poisson likelihood less a penalty on the second differences of the logarithm,
    whose strength has the largest marginal likelihood. Channels that differ from it by more than
    four standard deviations, as at a lower threshold, take no part in it and stay as measured.

    Parameters
    ----------
    counts : ndarray, shape (n,)
        Poisson distributed, not negative.

    Returns
    -------
    ndarray, shape (n,)
        With the sum of the counts; zero at the ends where there are none although there should be.
        The counts themselves where there are fewer than eight channels.

    References
    ----------
    P. H. C. Eilers, B. D. Marx, Stat. Sci. 11 (1996) 89, doi:10.1214/ss/1038425655: penalised
    counts. S. N. Wood, J. R. Stat. Soc. B 73 (2011) 3, doi:10.1111/j.1467-9868.2010.00749.x: the
    strength from the Laplace approximation of the marginal likelihood.
    """
    (seen,) = np.nonzero(counts)
    if not len(seen) or seen[-1] - seen[0] + 1 < _FEWEST:
        return np.asarray(counts, dtype=np.float64)
    first = _end(counts[seen[0] :], int(seen[0]))
    last = _end(counts[seen[-1] :: -1], len(counts) - 1 - int(seen[-1]))
    inner = slice(seen[0] - first, seen[-1] + 1 + last)
    smooth = np.zeros(len(counts))
    smooth[inner] = _smooth_inside(np.asarray(counts[inner], dtype=np.float64))
    return smooth * (counts.sum() / smooth.sum())


def _end(counts: FloatArray, empty: int) -> int:
    """How many of the `empty` channels before the first counts are so by chance: all or none."""
    return empty if empty * counts[:_BESIDE].mean() < _BY_CHANCE else 0


def _smooth_inside(y: FloatArray) -> FloatArray:
    """The same without zeros at the ends."""
    rough = np.zeros(len(y), dtype=bool)
    for _ in range(_ROUNDS):
        smooth = _best(y, rough)
        # Anscombe's root has unit variance down to few counts.
        away = 2.0 * (np.sqrt(y + 0.375) - np.sqrt(smooth + 0.375))
        more = ~rough & (np.abs(away) > _ROUGH)
        if not more.any():
            break
        rough |= more
    return np.where(rough, y, smooth)


def _best(y: FloatArray, rough: BoolArray) -> FloatArray:
    """Smooth with the strength of the largest marginal likelihood."""
    kept = ~(rough[:-2] | rough[1:-1] | rough[2:])
    state = np.log(np.convolve(y + 0.5, np.ones(5) / 5.0, "same"))

    def cost(power: float) -> float:
        nonlocal state
        state, found = _penalised(y, 10.0**power, kept, state)
        return found

    if not kept.any():
        return y
    first = float(_POWERS[int(np.argmin([cost(power) for power in _POWERS]))])
    best = minimize_scalar(
        cost, bounds=(first - 1.0, first + 1.0), method="bounded", options={"xatol": _FINE}
    )
    return np.asarray(np.exp(_penalised(y, 10.0**best.x, kept, state)[0]))


def _penalised(
    y: FloatArray, strength: float, kept: BoolArray, start: FloatArray
) -> tuple[FloatArray, float]:
    """Logarithm of the best curve of a strength, and minus twice its log marginal likelihood."""
    bands = strength * _penalty_bands(kept)

    def bends(curve: FloatArray) -> FloatArray:
        return np.asarray(np.where(kept, np.diff(curve, _ORDER), 0.0))

    def misfit(curve: FloatArray) -> float:
        return float(2.0 * (np.exp(curve) - y * curve).sum() + strength * (bends(curve) ** 2).sum())

    def factor(curve: FloatArray) -> FloatArray:
        matrix = bands.copy()
        matrix[-1] += np.exp(curve) + _FLOOR * (1.0 + strength)
        return np.asarray(cholesky_banded(matrix))

    curve, least = start, misfit(start)
    for _ in range(_STEPS):
        gradient = y - np.exp(curve) - strength * np.convolve(bends(curve), _BEND)
        step = cho_solve_banded((factor(curve), False), gradient)
        part, new = 1.0, curve + step
        with np.errstate(over="ignore"):
            while not (now := misfit(new)) <= least and part > _SETTLED:
                part /= 2.0
                new = curve + part * step
        if not now <= least:
            break
        curve, won, least = new, least - now, now
        if won < _SETTLED:
            break
    determinant = 2.0 * np.log(factor(curve)[-1]).sum()
    return curve, float(least + determinant - kept.sum() * np.log(strength))


def _penalty_bands(kept: BoolArray) -> FloatArray:
    """D' D of the second differences that are kept, upper bands, shape (3, n)."""
    n = len(kept) + _ORDER
    bands = np.zeros((_ORDER + 1, n))
    for apart in range(_ORDER + 1):
        for first in range(_ORDER + 1 - apart):
            last = first + apart
            bands[_ORDER - apart, last : n - _ORDER + last] += _BEND[first] * _BEND[last] * kept
    return bands
