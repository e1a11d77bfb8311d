"""Savitzky-Golay smoothing, on the Anscombe scale for counts."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.signal import savgol_coeffs

from spectraloom._typing import FloatArray
from spectraloom.data import Spectra
from spectraloom.errors import DataError
from spectraloom.process.base import Transformer
from spectraloom.process.linear import apply_matrix, squared


def anscombe(counts: npt.ArrayLike) -> FloatArray:
    """Transform that gives Poisson counts a variance close to one: 2 sqrt(x + 3/8).

    The variance is within 1 % of one from a mean of 4 counts on, and falls to zero with the mean.

    Parameters
    ----------
    counts : array_like
        Counts, zero or more.

    References
    ----------
    F. J. Anscombe, Biometrika 35 (1948) 246, doi:10.1093/biomet/35.3-4.246
    """
    return 2.0 * np.sqrt(np.asarray(counts, dtype=np.float64) + 0.375)


def inverse_anscombe(transformed: npt.ArrayLike) -> FloatArray:
    """Mean counts whose Anscombe transform has the given *mean*.

    Squaring back would be too low by about a quarter of a count, because the mean of a root is
    not the root of the mean. This is the closed form that approximates the exact unbiased inverse
    to 0.02 counts; values below the transform of zero counts give zero.

    Parameters
    ----------
    transformed : array_like
        Means on the Anscombe scale.

    References
    ----------
    M. Makitalo, A. Foi, IEEE Trans. Image Process. 20 (2011) 2697,
    doi:10.1109/TIP.2011.2121085
    """
    z = np.maximum(np.asarray(transformed, dtype=np.float64), float(anscombe(0.0)))
    root = np.sqrt(1.5)
    inverse = z**2 / 4 + root / (4 * z) - 11 / (8 * z**2) + 5 * root / (8 * z**3) - 0.125
    return np.maximum(inverse, 0.0)


def smooth(spectra: Spectra, window: int = 11, order: int = 3) -> Spectra:
    """Fit a polynomial through each channel and its neighbours (Savitzky-Golay).

    Counts are transformed to the Anscombe scale, where their noise is even, smoothed and
    transformed back without bias. Other kinds are smoothed as they are. The abscissa is the
    channel number. Near both ends, the polynomial of the outermost `window` channels is used; a
    spectrum shorter than `window` is fitted as a whole.

    Parameters
    ----------
    spectra : Spectra
        Spectra of any kind, differences included.
    window : int
        Number of channels of the fit, odd.
    order : int
        Order of the polynomial, less than `window`.

    Returns
    -------
    Spectra
        Counts become kind ``intensity``, never negative: expected counts per channel, whose sum
        equals that of the counts only approximately. Other kinds stay what they are. Where the
        variance is known (counts are their own) it is carried along, to first order for counts;
        smoothed neighbours are correlated.

    Raises
    ------
    DataError
        If `window` is not odd and positive, or `order` does not lie below it.

    References
    ----------
    A. Savitzky, M. J. E. Golay, Anal. Chem. 36 (1964) 1627, doi:10.1021/ac60214a047
    """
    if window < 1 or window % 2 == 0:
        raise DataError(f"the smoothing window is an odd number of channels, not {window}")
    if not 0 <= order < window:
        raise DataError(
            f"the order of the polynomial lies between 0 and window - 1 = {window - 1}, got {order}"
        )
    matrix = _savitzky_golay(spectra.n_channels, window, order)
    if spectra.kind == "counts":
        return _smooth_counts(spectra, matrix)
    variance = spectra.variance
    return spectra.replace(
        values=apply_matrix(matrix, spectra.values),
        variance=None if variance is None else apply_matrix(squared(matrix), variance),
    )


class Smooth(Transformer):
    """Transformer over :func:`smooth`.

    Parameters
    ----------
    window : int
        Number of channels of the fit, odd.
    order : int
        Order of the polynomial, less than `window`.
    """

    def __init__(self, window: int = 11, order: int = 3) -> None:
        self.window = window
        self.order = order

    def _apply(self, spectra: Spectra) -> Spectra:
        return smooth(spectra, self.window, self.order)


def _smooth_counts(spectra: Spectra, matrix: sparse.csr_array) -> Spectra:
    smoothed = inverse_anscombe(apply_matrix(matrix, anscombe(spectra.values)))
    if spectra.variance is None:
        noise = np.ones(spectra.shape)  # what the transform is for
    else:
        noise = spectra.variance / (spectra.values + 0.375)
    # Back from the Anscombe scale: dx/dz = z / 2 = sqrt(x + 3/8).
    variance = (smoothed + 0.375) * apply_matrix(squared(matrix), noise)
    return spectra.replace(values=smoothed, kind="intensity", variance=variance)


@lru_cache(maxsize=32)
def _savitzky_golay(n_channels: int, window: int, order: int) -> sparse.csr_array:
    """Matrix of the filter, shape (n_channels, n_channels), polynomial fits at both ends."""
    size = min(window, n_channels)
    order = min(order, size - 1)
    half = size // 2
    first = np.clip(np.arange(n_channels) - half, 0, n_channels - size)
    fits = np.stack([savgol_coeffs(size, order, pos=p, use="dot") for p in range(size)])
    elements = fits[np.arange(n_channels) - first]
    columns = first[:, np.newaxis] + np.arange(size)
    start = np.arange(n_channels + 1) * size
    return sparse.csr_array(
        (elements.ravel(), columns.ravel(), start), shape=(n_channels, n_channels)
    )
