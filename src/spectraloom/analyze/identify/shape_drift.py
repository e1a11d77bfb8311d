"""How far a background whose shape changes looks like a source: learned from its spectra."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from spectraloom._typing import Array, FloatArray, IntArray
from spectraloom.errors import DataError

FEWEST = 40  # spectra of background below which a change of shape is not told from chance
_FOLDS = 5
_ROOT = 0.85  # roots below this are not told apart: a fifth of them lies above by chance
# Widening of the variance at the counts of the spectra that is tried, from none to 100.
_TRIED = np.append(0.0, np.geomspace(1e-3, 100.0, 240))
_SURE = 1.0  # standard deviations of the upper limit


@dataclass(frozen=True, slots=True, eq=False)
class ShapeDrift:
    """Variance that changes of the background add to the signed roots of likelihood ratios.

    A background that differs by a small shape from the one that was learned adds to the amount of
    a name in proportion to the background B. The root of the ratio is the amount over its
    deviation, which grows as the root of the total counts T: its variance grows from one to
    ``1 + slope * B**2 / T``. On top of the best estimate comes the margin to its upper limit. What
    was not seen need not grow with the counts, so that the margin grows only up to the counts of
    the spectra that it was learned from.

    Parameters
    ----------
    slopes : ndarray, shape (k,)
        Best estimate for each name, per count.
    margins : ndarray, shape (k,)
        Upper limit less best estimate, per count.
    reach : float
        Typical ``B**2 / T`` of the spectra that it was learned from.

    References
    ----------
    Random effects in the log-likelihood: P. McCullagh, J. A. Nelder, *Generalized Linear Models*
    (1989), ch. 14.5; the limit of one parameter by the drop of its likelihood: S. S. Wilks, Ann.
    Math. Stat. 9 (1938) 60, doi:10.1214/aoms/1177732360.
    """

    slopes: FloatArray
    margins: FloatArray
    reach: float

    def inflation(self, totals: FloatArray, background: FloatArray) -> FloatArray:
        """Factor by which ratios are larger than by chance, shape (n, k); at least one.

        Parameters
        ----------
        totals, background : ndarray, shape (n,)
            Counts of each spectrum, and how many of them are background.
        """
        exposure = exposure_of(totals, background)[:, np.newaxis]
        known = exposure * self.slopes
        return np.asarray(1.0 + known + np.minimum(exposure, self.reach) * self.margins)

    @classmethod
    def learn(cls, p_values: FloatArray, totals: FloatArray, background: FloatArray) -> ShapeDrift:
        """Widening of the roots of background spectra that the background was not learned from.

        Maximum likelihood of a normal distribution whose lower part is only counted, and the
        upper limit where the likelihood has fallen by one half: 84 %, were the spectra
        independent.

        Parameters
        ----------
        p_values : ndarray, shape (n, k)
            Probabilities of the ratios if the shape did not change.
        totals, background : ndarray, shape (n,)
            Counts of each spectrum, and how many of them are background.

        Raises
        ------
        DataError
            If there are fewer than 40 spectra.
        """
        if len(p_values) < FEWEST:
            raise DataError(
                f"a change of the background is learned from at least {FEWEST} spectra, got "
                f"{len(p_values)}"
            )
        exposure = exposure_of(totals, background)
        reach = float(np.median(exposure))
        if not reach > 0:
            raise DataError("half of the spectra hold no background: nothing can be learned")
        roots = norm.isf(np.clip(p_values, 1e-300, 1.0))
        spreads = np.sqrt(1.0 + _TRIED[:, np.newaxis] * (exposure / reach))
        ends = np.array([_widening(column, spreads) for column in roots.T]) / reach
        return cls(ends[:, 0], ends[:, 1] - ends[:, 0], reach)


def exposure_of(totals: FloatArray, background: FloatArray) -> FloatArray:
    """Square of the background over all counts, at most all counts, shape (n,)."""
    part = np.minimum(background, totals)
    return np.divide(part**2, totals, out=np.zeros(len(totals)), where=totals > 0)


def _widening(roots: FloatArray, spreads: FloatArray) -> tuple[float, float]:
    """Added variance that explains some roots best, and the most that explains them."""
    high = roots > _ROOT
    scaled = np.minimum(roots[high], 1e150) / spreads[:, high]
    likelihood = (norm.logpdf(scaled) - np.log(spreads[:, high])).sum(axis=1)
    likelihood = likelihood + norm.logcdf(_ROOT / spreads[:, ~high]).sum(axis=1)
    best = int(np.argmax(likelihood))
    most = np.flatnonzero(likelihood >= likelihood[best] - 0.5 * _SURE**2)[-1]
    return float(_TRIED[best]), float(_TRIED[most])


def blocks_of_time(n: int, folds: int = _FOLDS) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows to learn from and rows to judge, for contiguous blocks of `n` rows in turn.

    Neighbours in time are alike: taken at random, rows would be judged by their own neighbours.
    """
    rows: IntArray = np.arange(n, dtype=np.int64)
    for block in np.array_split(rows, folds):
        yield np.delete(rows, block), block


def background_rows(labels: Array | None, name: str, counts: FloatArray) -> IntArray:
    """Spectra that are background alone, or all without labels, and hold counts.

    Parameters
    ----------
    labels : ndarray of label sets or None
    name : str
        Label of the background.
    counts : ndarray, shape (n,)
        Total counts.
    """
    keep = counts > 0
    if labels is not None:
        keep = keep & np.array([tuple(entry) == (name,) for entry in labels], dtype=bool)
    return np.asarray(np.flatnonzero(keep), dtype=np.int64)
