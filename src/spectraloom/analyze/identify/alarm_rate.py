"""How often chance alone raises a score above a threshold, in false alarms per hour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import gumbel_r, norm

from spectraloom._typing import FloatArray
from spectraloom.errors import FitError

_LEAST_BLOCKS = 50


@dataclass(frozen=True, slots=True)
class AlarmRate:
    """Rate of false alarms against the threshold, from the largest score of each block of time.

    Alarms at a high threshold are rare and independent, so that the largest score of a block
    follows the Gumbel distribution: the rate falls as exp(-(threshold - location) / scale). It
    counts separate excursions, whatever the dependence of scores that share data.

    Parameters
    ----------
    location, scale : float
        Of the Gumbel distribution.
    block_hours : float
        Length of a block.
    n_blocks : int
        Blocks that it was learned from.

    References
    ----------
    M. R. Leadbetter, G. Lindgren, H. Rootzen, *Extremes and Related Properties of Random
    Sequences and Processes* (1983), ch. 3. S. Coles, *An Introduction to Statistical Modeling of
    Extreme Values* (2001), ch. 3.
    """

    location: float
    scale: float
    block_hours: float
    n_blocks: int

    @classmethod
    def learn(cls, largest: FloatArray, block_hours: float) -> AlarmRate:
        """Rate from the largest score of each block of a background series.

        Parameters
        ----------
        largest : ndarray, shape (n_blocks,)
        block_hours : float
            Length of a block; several times the length over which scores depend on each other.

        Raises
        ------
        FitError
            If there are fewer than 50 blocks, or chance makes no scores at all.
        """
        require_blocks(len(largest), block_hours)
        if not np.ptp(largest) > 0:
            raise FitError("chance gives the same score in all of the background series")
        location, scale = gumbel_r.fit(largest)
        return cls(float(location), float(scale), block_hours, len(largest))

    def per_hour(self, score: FloatArray | float) -> FloatArray:
        """False alarms per hour at a score or above, of the shape of `score`."""
        level = (np.asarray(score, dtype=np.float64) - self.location) / self.scale
        return np.asarray(np.exp(-level) / self.block_hours)

    def threshold(self, per_hour: float, *, confidence: float = 0.95) -> float:
        """Score that chance exceeds at most this often.

        Parameters
        ----------
        per_hour : float
            False alarms per hour.
        confidence : float
            Probability that the true rate is no larger, given how few blocks the scores were
            learned from; 1/2 gives the best estimate.
        """
        wanted = -np.log(per_hour * self.block_hours)
        z = float(norm.ppf(confidence))
        # The upper limit of the log of the rate is -x + z sd(x), and x grows faster than sd(x).
        x = wanted
        for _ in range(100):
            x = wanted + z * self._log_deviation(x)
        return float(self.location + self.scale * x)

    def _log_deviation(self, x: float) -> float:
        """Standard deviation of the log of the rate at the reduced score x.

        From the asymptotic covariance of the maximum-likelihood estimates (N. L. Johnson,
        S. Kotz, N. Balakrishnan, *Continuous Univariate Distributions* 2 (1995), ch. 22).
        """
        variance = 1.1087 + 2.0 * 0.2570 * x + 0.6079 * x**2
        return float(np.sqrt(variance / self.n_blocks))


def require_blocks(n_blocks: int, block_hours: float) -> None:
    """Refuse too few blocks to learn a rate from.

    Raises
    ------
    FitError
        If there are fewer than 50.
    """
    if n_blocks < _LEAST_BLOCKS:
        needed = _LEAST_BLOCKS * block_hours
        digits = 1 - int(np.floor(np.log10(needed)))
        needed = np.ceil(needed * 10.0**digits - 1e-9) / 10.0**digits
        raise FitError(
            f"a rate of false alarms is learned from at least {_LEAST_BLOCKS} blocks of "
            f"{block_hours:.3g} hours, got {max(n_blocks, 0)}: give a series of {needed:g} hours "
            f"or more, or simulate as much (hours={needed:g}, --hours {needed:g})"
        )


def block_maxima(scores: FloatArray, block: int) -> FloatArray:
    """Largest score of each block of time, shape (n // block, ...).

    Parameters
    ----------
    scores : ndarray, shape (n, ...)
        In the order of time.
    block : int
        Scores to a block; what is left over at the end is not used.
    """
    whole = len(scores) // block
    largest: FloatArray = scores[: whole * block].reshape(whole, block, *scores.shape[1:]).max(1)
    return largest
