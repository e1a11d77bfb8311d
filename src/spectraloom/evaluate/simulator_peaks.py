"""Peaks of known lines, measured on reference and simulation in the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.optimize import least_squares
from scipy.special import erfc

from spectraloom._typing import FloatArray
from spectraloom.data import Axis
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.emission import EmissionLines

Widths = Callable[[FloatArray], FloatArray]
References: TypeAlias = "dict[ResolvedLine, Peak]"
Peaks: TypeAlias = "dict[ResolvedLine, tuple[Peak, Peak]]"

_FWHM_PER_SIGMA = float(2.0 * np.sqrt(2.0 * np.log(2.0)))
# In units of the full width at half maximum.
SAME_PEAK = 0.25
"""Widths; lines that close are one peak."""
_RANGE = 1.5  # of a fit, on either side
_CLEAR = 2.2  # up to here the lines of others count as neighbours
_ROUNDS = 3  # of weighting by what was fitted


class Quality(NamedTuple):
    """Which peaks are used.

    Attributes
    ----------
    neighbours : float
        Most photons of other lines within 2.2 widths, over those of the peak.
    height : float
        Least height over what is under the peak, as a fraction of that.
    uncertainty : float
        Most uncertainty of the area on the reference, as a fraction of it.
    """

    neighbours: float = 0.05
    height: float = 0.5
    uncertainty: float = 0.03


JUDGED = Quality()
FITTED = Quality(neighbours=0.2, height=0.25, uncertainty=0.1)
"""More peaks than are judged: what is near them is on the simulation, too."""


class ResolvedLine(NamedTuple):
    """Lines that make one peak.

    Attributes
    ----------
    energy : float
        Mean, weighted with the intensities, keV.
    intensity : float
        Photons per decay, together.
    """

    energy: float
    intensity: float


class Peak(NamedTuple):
    """A peak on a spectrum.

    Attributes
    ----------
    position, fwhm : float
        keV on the axis of the spectrum.
    area, area_uncertainty : float
        Counts.
    height : float
        Over what is under the peak, as a fraction of that.
    """

    position: float
    fwhm: float
    area: float
    area_uncertainty: float
    height: float

    def clear(self, quality: Quality = JUDGED) -> bool:
        """Whether it stands out, and is counted, well enough to be compared."""
        sure = self.area_uncertainty <= quality.uncertainty * self.area
        return self.height > quality.height and self.area > 0 and sure


def resolved_lines(
    lines: EmissionLines, fwhm: Widths, neighbours: float = JUDGED.neighbours
) -> tuple[ResolvedLine, ...]:
    """Lines that a detector sees as peaks of their own.

    Parameters
    ----------
    lines : EmissionLines
        Lines of a nuclide.
    fwhm : callable
        Full width at half maximum, keV, at energies in keV.
    neighbours : float
        Most photons of other lines within 2.2 widths, over those of the peak.

    Returns
    -------
    tuple of ResolvedLine
        By increasing energy.
    """
    energies, photons = lines.energies, lines.intensities
    widths = fwhm(energies)
    found = []
    free = photons > 0
    for strongest in np.argsort(-photons, kind="stable"):
        if not free[strongest]:
            continue
        away = np.abs(energies - energies[strongest]) / widths[strongest]
        own, near = away <= SAME_PEAK, (away > SAME_PEAK) & (away < _CLEAR)
        free[own] = False
        sum_own = photons[own].sum()
        if photons[near].sum() < neighbours * sum_own:
            mean = float(energies[own] @ photons[own] / sum_own)
            found.append(ResolvedLine(mean, float(sum_own)))
        # A neighbour of a stronger line is no peak of its own.
    return tuple(sorted(found))


def measure_peak(
    counts: FloatArray, variance: FloatArray, axis: Axis, energy: float, fwhm: float
) -> Peak | None:
    """Fit a Gaussian on a straight line and a step to the counts around an energy.

    Weights are those of Poisson counts with the expectation that was fitted, three times in turn,
    plus what the variance holds beside the counts (a background that was taken off).

    Parameters
    ----------
    counts : ndarray, shape (n_channels,)
        Counts, or expected counts.
    variance : ndarray, shape (n_channels,)
        Of the counts.
    axis : Axis
        In keV.
    energy, fwhm : float
        Where the peak should be and how wide, on that axis; keV.

    Returns
    -------
    Peak or None
        None if the peak is not on the axis, or there is none.
    """
    edges = axis.edges
    inside = (edges[1:] > energy - _RANGE * fwhm) & (edges[:-1] < energy + _RANGE * fwhm)
    if inside.sum() < 6 or energy - _RANGE * fwhm < edges[0] or energy + _RANGE * fwhm > edges[-1]:
        return None
    first = int(np.argmax(inside))
    part = slice(first, first + int(inside.sum()))
    y, extra = counts[part], np.maximum(variance[part] - np.maximum(counts[part], 0.0), 0.0)
    bins = edges[first : part.stop + 1]
    shape = np.array([energy, fwhm / _FWHM_PER_SIGMA])
    weights: FloatArray = 1.0 / np.sqrt(np.maximum(variance[part], 1.0))
    low = np.array([energy - 0.5 * fwhm, 0.5 * shape[1]])
    high = np.array([energy + 0.5 * fwhm, 1.8 * shape[1]])
    for _ in range(_ROUNDS):

        def misfit(at: FloatArray, weights: FloatArray = weights) -> FloatArray:
            parts = _parts(bins, at)
            amounts = _amounts(parts, y, weights)
            return np.asarray((parts @ amounts - y) * weights)

        fit = least_squares(misfit, shape, bounds=(low, high), x_scale=shape[1])
        shape = np.asarray(fit.x, dtype=np.float64)
        parts = _parts(bins, shape)
        amounts = _amounts(parts, y, weights)
        weights = np.asarray(1.0 / np.sqrt(np.maximum(parts @ amounts, 1.0) + extra))
    weighted = parts * weights[:, np.newaxis]
    covariance = np.linalg.pinv(weighted.T @ weighted)
    if not amounts[0] > 0 or np.isclose(shape, low).any() or np.isclose(shape, high).any():
        return None
    under = max(float((parts[:, 1:] @ amounts[1:]).mean()), 1e-12)
    return Peak(
        float(shape[0]),
        float(shape[1] * _FWHM_PER_SIGMA),
        float(amounts[0]),
        float(np.sqrt(covariance[0, 0])),
        float((parts[:, 0] * amounts[0]).max() / under),
    )


def clear_peaks(
    counts: FloatArray,
    variance: FloatArray,
    axis: Axis,
    lines: EmissionLines,
    detector: GammaDetector,
    calibration: tuple[float, float],
    quality: Quality = JUDGED,
) -> References:
    """Peaks on a reference that are resolved, stand out and are well counted.

    Parameters
    ----------
    counts, variance : ndarray, shape (n_channels,)
        The reference.
    axis : Axis
        In keV.
    lines : EmissionLines
        Lines of the nuclide.
    detector : GammaDetector
        Tells which lines are resolved, and how wide and where they are.
    calibration : tuple of float
        Gain and offset, keV: apparent energy to what the axis says.
    quality : Quality
        Which are used.

    Returns
    -------
    dict of ResolvedLine to Peak
        Those found.
    """
    found = {}
    for line in resolved_lines(lines, detector.line_fwhm, quality.neighbours):
        at, width = _expected(line, detector, calibration)
        peak = measure_peak(counts, variance, axis, at, width)
        if peak is not None and peak.clear(quality):
            found[line] = peak
    return found


def compare_peaks(
    references: References,
    expected: FloatArray,
    extra: FloatArray,
    axis: Axis,
    detector: GammaDetector,
    calibration: tuple[float, float],
) -> Peaks:
    """Peaks on a reference beside those on its simulation.

    Parameters
    ----------
    references : mapping of ResolvedLine to Peak
        See :func:`clear_peaks`.
    expected : ndarray, shape (n_channels,)
        The simulation, scaled to as many counts.
    extra : ndarray, shape (n_channels,)
        Variance of the reference beside that of its counts, for the same weights.
    axis, detector, calibration
        As for :func:`clear_peaks`.

    Returns
    -------
    dict of ResolvedLine to (Peak, Peak)
        Reference and simulation.
    """
    found: Peaks = {}
    variance = np.maximum(expected, 0.0) + extra
    for line, reference in references.items():
        at, width = _expected(line, detector, calibration)
        own = measure_peak(expected, variance, axis, at, width)
        if own is not None and own.area > 0:
            found[line] = reference, own
    return found


def _expected(
    line: ResolvedLine, detector: GammaDetector, calibration: tuple[float, float]
) -> tuple[float, float]:
    """Where a peak is on the axis, and how wide."""
    gain, offset = calibration
    return (
        float(offset + gain * detector.apparent(line.energy)),
        float(gain * detector.line_fwhm(line.energy)),
    )


def _amounts(parts: FloatArray, y: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.lstsq(parts * weights[:, np.newaxis], y * weights)[0], np.float64)


def _parts(bins: FloatArray, shape: FloatArray) -> FloatArray:
    """Peak of area one, constant, slope and step, per channel."""
    center, sigma = shape
    middle, width = 0.5 * (bins[1:] + bins[:-1]), np.diff(bins)
    standard = (bins - center) / (np.sqrt(2.0) * sigma)
    peak = -0.5 * np.diff(erfc(standard))
    x = (middle - center) / sigma
    step = 0.5 * erfc(x / np.sqrt(2.0))
    return np.stack([peak, width, width * x, width * step], axis=1)
