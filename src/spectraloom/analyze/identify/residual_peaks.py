"""Peaks that a fit left over, and the sources whose lines lie there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d

from spectraloom._typing import FloatArray, IntArray
from spectraloom.analyze.likelihood import Resolution
from spectraloom.analyze.quality import deviance_moments, poisson_deviance
from spectraloom.data.axis import Axis
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.errors import AxisError, DataError
from spectraloom.physics.gamma import BACKGROUND, Lines, lines, sources

_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
_STRONG = 0.1  # lines weaker than this part of the strongest of their source give no name
_SIDE = 1.5  # a peak is compared with its surroundings up to this many widths away


class ResidualPeak(NamedTuple):
    """A peak in the residual of a fit.

    Attributes
    ----------
    energy : float
        keV, on the scale of the library: the fitted gain and offset are taken back.
    counts : float
        Area above what was fitted and above its surroundings.
    significance : float
        Standard deviations of chance, and of what else the fit misses beside the peak.
    sources : tuple of str
        Whose lines lie within half a width, nearest first.
    """

    energy: float
    counts: float
    significance: float
    sources: tuple[str, ...]


def line_table() -> dict[str, Lines]:
    """Strong lines of all sources that the simulator knows, the natural background left out."""
    table = {}
    for name in sources():
        if name != BACKGROUND:
            found = lines(name)
            strong = found.intensities >= _STRONG * found.intensities.max()
            table[name] = Lines(found.energies[strong], found.intensities[strong])
    return table


def name_residual_peaks(
    result: Result,
    spectra: Spectra,
    table: Mapping[str, Lines] | None = None,
    *,
    resolution: Resolution | None = None,
    threshold: float = 5.0,
) -> tuple[tuple[ResidualPeak, ...], ...]:
    """Find significant peaks in what the fit left over, and name them from a table of lines.

    The residual is filtered with a peak of the width of the detector whose mean over its
    surroundings is taken off, so that a smooth misfit of the continuum gives no peak
    (M. A. Mariscotti, Nucl. Instrum. Methods 50 (1967) 309, doi:10.1016/0029-554X(67)90058-4).
    Where the rest of the spectrum scatters more about the fit than counts do, as with templates
    that were learned from few counts, a peak has to stand out of that: its significance is divided
    by the root of the deviance that is left beside it over its mean by chance (an externally
    studentised residual: R. D. Cook, S. Weisberg, *Residuals and Influence in Regression* (1982),
    ch. 2).

    Parameters
    ----------
    result : Result
        With the fit (``denoised``).
    spectra : Spectra
        Counts over energy in keV that were analysed.
    table : mapping of str to Lines, optional
        :func:`line_table` by default.
    resolution : Resolution, optional
        Width of the peaks.
    threshold : float
        Smallest significance. Hundreds of places are looked at per spectrum; at 5 chance makes
        a peak in fewer than one of a thousand spectra of moderate counts.

    Returns
    -------
    tuple of tuple of ResidualPeak
        Of each spectrum, most significant first.

    Raises
    ------
    AxisError
        If the axis is no energy in keV.
    DataError
        If the result has no fit, the spectra are no counts, or both do not belong together.
    """
    fitted = result.denoised
    if fitted is None or spectra.kind != "counts" or len(fitted) != len(spectra):
        raise DataError("residual peaks need counts and the result of their fit")
    axis = fitted.axis
    if (axis.quantity, axis.unit) != ("energy", "keV"):
        raise AxisError(f"lines are known in keV, the spectra lie on {axis.describe()}")
    first = int(np.searchsorted(spectra.axis.edges, axis.edges[0]))
    observed = spectra.values[:, first : first + axis.n_channels].astype(np.float64)
    if observed.shape != fitted.shape:
        raise DataError("the spectra are not those of the result")
    width = resolution or Resolution()
    filters, areas = _peak_filters(axis, width)
    expected = np.maximum(fitted.values, 1e-9)
    strength = (observed - expected) @ filters.T
    noise = np.sqrt(expected @ (filters**2).T)
    bare = np.divide(strength, noise, out=np.zeros_like(strength), where=noise > 0)
    significance = bare / np.sqrt(_scatter_beside(observed, expected, bare))
    known = line_table() if table is None else table
    scale = 1.0 + result.quality.get("gain", np.zeros(len(spectra)))
    shift = result.quality.get("offset", np.zeros(len(spectra)))
    reach = _half_width(axis, width)
    found = []
    for row in range(len(spectra)):
        places = _local_maxima(significance[row], reach, threshold)
        energies = (axis.centers[places] - shift[row]) / scale[row]
        peaks = [
            ResidualPeak(
                float(energy),
                float(strength[row, place] / areas[place]),
                float(significance[row, place]),
                _names_at(float(energy), known, width),
            )
            for energy, place in zip(energies, places, strict=True)
        ]
        found.append(tuple(sorted(peaks, key=lambda peak: -peak.significance)))
    return tuple(found)


def _scatter_beside(
    observed: FloatArray, expected: FloatArray, significance: FloatArray
) -> FloatArray:
    """Variance of the counts beside each peak over that of chance, at least one, (n, n_bins)."""
    by_chance = deviance_moments(expected)[0].sum(axis=1, keepdims=True)
    left = poisson_deviance(observed, expected)[:, np.newaxis] - significance**2
    return np.maximum(left / np.maximum(by_chance - 1.0, 1.0), 1.0)


def _peak_filters(axis: Axis, width: Resolution) -> tuple[FloatArray, FloatArray]:
    """Zero-area filter around each bin, and what it makes of a peak of one count."""
    centers = axis.centers
    fwhm = width.at(np.maximum(centers, 0.0))
    distance = (centers[np.newaxis, :] - centers[:, np.newaxis]) / fwhm[:, np.newaxis]
    inside = np.abs(distance) <= _SIDE
    peak = np.where(inside, np.exp(-0.5 * (_SIGMA * distance) ** 2) * axis.widths, 0.0)
    peak /= peak.sum(axis=1, keepdims=True)
    near = np.where(inside, 1.0, 0.0)
    filters = peak - near * (peak.sum(axis=1) / near.sum(axis=1))[:, np.newaxis]
    return filters, np.maximum((filters * peak).sum(axis=1), 1e-12)


def _half_width(axis: Axis, width: Resolution) -> int:
    """Bins between two peaks at least: half the width at the middle of the axis."""
    middle = axis.n_channels // 2
    fwhm = float(width.at(axis.centers[middle : middle + 1])[0])
    return max(round(0.5 * fwhm / float(np.median(axis.widths))), 1)


def _local_maxima(values: FloatArray, reach: int, threshold: float) -> IntArray:
    highest = maximum_filter1d(values, 2 * reach + 1, mode="nearest")
    return np.flatnonzero((values >= highest) & (values > threshold))


def _names_at(energy: float, table: Mapping[str, Lines], width: Resolution) -> tuple[str, ...]:
    reach = 0.5 * float(width.at(np.array([max(energy, 0.0)]))[0])
    gaps = {name: float(np.abs(known.energies - energy).min()) for name, known in table.items()}
    return tuple(name for name in sorted(gaps, key=lambda one: gaps[one]) if gaps[name] <= reach)
