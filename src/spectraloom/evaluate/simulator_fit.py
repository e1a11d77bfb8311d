"""Parameters of a detector, estimated from spectra of two nuclides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import least_squares, minimize_scalar

from spectraloom._typing import BoolArray, FloatArray, IntArray
from spectraloom.data import Axis
from spectraloom.evaluate.simulator_data import LOWEST_ENERGY, ReferenceSpectrum, judged_lines
from spectraloom.evaluate.simulator_model import Arrangement, behind_steel, deposited, folded
from spectraloom.evaluate.simulator_peaks import (
    FITTED,
    JUDGED,
    Peak,
    Peaks,
    Quality,
    ResolvedLine,
    clear_peaks,
    compare_peaks,
)
from spectraloom.physics.gamma import GammaDetector
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.detector import CAESIUM_LINE
from spectraloom.physics.gamma.materials import material_name
from spectraloom.physics.gamma.spectrum import expected_counts

_LIGHT_ENERGIES = np.array([20, 40, 70, 120, 200, 350, 661.657, 1000, 1500, 2100, 3000])
_CHANNELS_PER_WIDTH = 6.0
_LEAST_INTENSITY = 0.002  # photons per decay of a line that is looked for
_STRENGTH = 0.01  # of beliefs, in units of the error of a shape
_RATIO_ERROR = 0.02  # of a ratio, beside that of counting
# Of positions and widths, as a fraction of the width: a Gaussian does not read them better where
# neighbours are near and the continuum bends.
_PEAK_ERROR = 0.1
# Errors of shapes and of ratios of peaks (squared) below which nothing is gained.
_LEAST_MISFIT, _LEAST_RATIOS = 1e-4, 1e-3


class Parameters(NamedTuple):
    """What is fitted by least squares.

    Attributes
    ----------
    gain, offset : float
        Apparent energy (keV) to what the axis says.
    width, exponent, bend, noise : float
        Resolution, as :class:`~spectraloom.physics.gamma.GammaDetector` has it.
    slope, curvature : float
        Of relative light against the logarithm of energy over 662 keV.
    backscatter : float
        Photons turned back.
    """

    gain: float = 1.0
    offset: float = 0.0
    width: float = 0.07
    exponent: float = 0.57
    bend: float = 0.0
    noise: float = 0.5
    slope: float = 0.0
    curvature: float = 0.0
    backscatter: float = 0.05


_LOW = Parameters(0.9, -30.0, 0.0005, 0.0, -0.15, 0.0, -0.05, -0.05, 0.0)
_HIGH = Parameters(1.1, 30.0, 0.3, 1.2, 0.15, 30.0, 0.05, 0.05, 2.0)
_SCALE = Parameters(0.01, 1.0, 0.005, 0.05, 0.01, 1.0, 0.003, 0.003, 0.02)
# What the spectra leave open stays where most detectors are: a calibration has taken up most of the
# light that is not proportional, and of an offset.
_SPREAD = {"offset": 3.0, "bend": 0.02, "slope": 0.005, "curvature": 0.005}
# Sodium iodide is far more common, and a larger crystal of it looks much alike.
_RARE = {"CsI": 0.5}
# Charge is proportional to energy.
_PROPORTIONAL = {"HPGe": 1e-5, "CZT": 1e-5}


@dataclass(frozen=True, slots=True, eq=False)
class FittedSimulator:
    """What makes the spectra of one detector.

    Attributes
    ----------
    arrangement : Arrangement
        Crystal and surroundings.
    values : Parameters
        The rest.
    axis : Axis
        Of the reference spectra.
    misfit : float
        Mean squared error over mean square, mean of the spectra fitted.
    ratios : float
        Squared mean deviation of the logarithms of peak areas, simulation over reference, within a
        spectrum; mean of the spectra fitted that have several peaks.
    """

    arrangement: Arrangement
    values: Parameters
    axis: Axis
    misfit: float = np.inf
    ratios: float = 0.0

    @property
    def cost(self) -> float:
        """What lengths and materials are chosen by.

        Logarithms of both errors, as for normal errors of unknown size: neither drowns the other.
        Ratios are few, and count half. What is rare takes more to be believed.
        """
        errors = np.log(self.misfit + _LEAST_MISFIT) + 0.5 * np.log(self.ratios + _LEAST_RATIOS)
        return float(errors) + _RARE.get(material_name(self.arrangement.crystal.material), 0.0)

    @property
    def detector(self) -> GammaDetector:
        """Resolution, light and true calibration."""
        return detector_of(self.values, self.axis, self.arrangement.crystal)

    @property
    def weights(self) -> FloatArray:
        """Of the parts of the photons: one, and those turned back."""
        return np.array([1.0, self.values.backscatter])

    def counts(self, one: ReferenceSpectrum) -> FloatArray:
        """Expected counts per decay of a reference spectrum."""
        around = behind_steel(self.arrangement.surroundings, one.thickness)
        return expected_counts(one.nuclide, self.detector, around)

    def peaks(
        self, one: ReferenceSpectrum, expected: FloatArray, quality: Quality = JUDGED
    ) -> Peaks:
        """Peaks of a spectrum beside those of its simulation, scaled to as many counts."""
        extra = np.maximum(one.variance - np.maximum(one.counts, 0.0), 0.0)
        calibration = self.values.gain, self.values.offset
        return compare_peaks(
            self.references(one, quality),
            expected,
            extra,
            self.axis,
            self.detector,
            calibration,
        )

    def references(
        self, one: ReferenceSpectrum, quality: Quality = JUDGED
    ) -> dict[ResolvedLine, Peak]:
        """Peaks of a spectrum that are clear."""
        plain = replace(self.detector, crystal=Crystal(), backscatter=0.0)
        calibration = self.values.gain, self.values.offset
        return _references(one, self.axis, plain, calibration, quality)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        crystal, around = self.arrangement.crystal, self.arrangement.surroundings
        values = self.values
        return {
            "crystal": material_name(crystal.material),
            "size_cm": list(crystal.size),
            "window_cm": [list(layer) for layer in crystal.window],
            "back_cm": [list(layer) for layer in crystal.back],
            "dead_layer_cm": crystal.dead_layer,
            "distance_cm": around.distance,
            "floor_cm": list(around.floor) if around.floor else None,
            "gain": values.gain,
            "offset_kev": values.offset,
            "fwhm_662": values.width,
            "fwhm_exponent": values.exponent,
            "fwhm_bend": values.bend,
            "noise_kev": values.noise,
            "light": [list(point) for point in self.detector.light],
            "backscatter": values.backscatter,
        }


def detector_of(values: Parameters, axis: Axis, crystal: Crystal) -> GammaDetector:
    """The detector that has these parameters."""
    x = np.log(_LIGHT_ENERGIES / CAESIUM_LINE)
    light = 1.0 + values.slope * x + values.curvature * x**2
    return GammaDetector(
        "fitted",
        Axis.from_edges((axis.edges - values.offset) / values.gain),
        crystal=crystal,
        fwhm_662=values.width,
        fwhm_exponent=values.exponent,
        fwhm_bend=values.bend,
        noise=values.noise,
        backscatter=values.backscatter,
        light=tuple(zip(_LIGHT_ENERGIES.tolist(), light.tolist(), strict=True)),
    )


def judged_channels(axis: Axis) -> BoolArray:
    """Channels that lie above 40 keV."""
    return np.asarray(axis.edges[:-1] >= LOWEST_ENERGY)


def shape_error(counts: FloatArray, expected: FloatArray) -> float:
    """Squared error over sum of squares, after scaling the expectation by least squares."""
    scale = float(counts @ expected) / max(float(expected @ expected), 1e-300)
    return float(((counts - scale * expected) ** 2).sum() / (counts @ counts))


def fit_parameters(
    spectra: Sequence[ReferenceSpectrum],
    first: FittedSimulator,
    arrangement: Arrangement | None = None,
    *,
    most: int = 10,
) -> FittedSimulator:
    """Fit what takes no new transport: the squared shape errors of all spectra are made small.

    Parameters
    ----------
    spectra : sequence of ReferenceSpectrum
        Those to fit.
    first : FittedSimulator
        Parameters to begin with.
    arrangement : Arrangement, optional
        Crystal and surroundings; by default those of `first`.
    most : int
        Steps of the fit.
    """
    arrangement = arrangement or first.arrangement
    axis, crystal = first.axis, arrangement.crystal
    deposits = [deposited(one, arrangement) for one in spectra]
    grouped, targets = _grouped(spectra, first.values, axis)
    light = _PROPORTIONAL.get(material_name(crystal.material))
    spreads = _SPREAD if light is None else _SPREAD | {"slope": light, "curvature": light}
    # Shapes alone have false minima, a width or so away from where the peaks are.
    peaks = [(line.energy, peak) for one in spectra for line, peak in first.references(one).items()]

    def residuals(numbers: FloatArray) -> FloatArray:
        values = Parameters(*numbers.tolist())
        detector = detector_of(values, grouped.axis, crystal)
        parts = []
        for some, target in zip(deposits, targets, strict=True):
            expected = grouped.weighed(folded(some, detector, np.array([1.0, values.backscatter])))
            scale = (target @ expected) / max(float(expected @ expected), 1e-300)
            parts.append(scale * expected - target)
        beliefs = [getattr(values, name) / spread for name, spread in spreads.items()]
        off = _peak_errors(values, detector, peaks)
        return np.concatenate([*parts, _STRENGTH * np.append(off, beliefs)])

    low, high = np.array(_LOW), np.array(_HIGH)
    fit = least_squares(
        residuals,
        np.clip(np.array(first.values), low + 1e-6, high - 1e-6),
        bounds=(low, high),
        x_scale=np.array(_SCALE),
        diff_step=[1e-4],
        max_nfev=most,
    )
    return with_errors(spectra, FittedSimulator(arrangement, Parameters(*fit.x.tolist()), axis))


def _peak_errors(
    values: Parameters, detector: GammaDetector, peaks: Sequence[tuple[float, Peak]]
) -> FloatArray:
    """Positions and widths of peaks beside those on the references, in units of their errors."""
    if not peaks:
        return np.zeros(0)
    energies = np.array([energy for energy, _ in peaks])
    positions, widths, areas, known = np.array(
        [(one.position, one.fwhm, one.area, one.area_uncertainty) for _, one in peaks]
    ).T
    errors = np.hypot(_PEAK_ERROR, 0.5 * known / areas)
    at = values.offset + values.gain * detector.apparent(energies)
    wide = values.gain * detector.fwhm(energies)
    return np.concatenate([(at - positions) / widths / errors, np.log(wide / widths) / errors])


def fit_backscatter(
    spectra: Sequence[ReferenceSpectrum], first: FittedSimulator, arrangement: Arrangement
) -> FittedSimulator:
    """The same for another arrangement, but only the photons turned back are fitted."""
    some = replace(first, arrangement=arrangement)
    grouped, targets = _grouped(spectra, some.values, some.axis)
    detector = detector_of(some.values, grouped.axis, arrangement.crystal)
    pairs = [
        [grouped.weighed(folded(deposited(one, arrangement), detector, part)) for part in np.eye(2)]
        for one in spectra
    ]

    def misfit(weight: float) -> float:
        errors = [
            shape_error(target, near + weight * back)
            for target, (near, back) in zip(targets, pairs, strict=True)
        ]
        return float(np.mean(errors))

    found = minimize_scalar(misfit, bounds=(_LOW.backscatter, _HIGH.backscatter), method="bounded")
    values = some.values._replace(backscatter=float(found.x))
    return replace(some, values=values, misfit=float(found.fun), ratios=np.inf)


def with_errors(spectra: Sequence[ReferenceSpectrum], some: FittedSimulator) -> FittedSimulator:
    """Measure errors of shape and of ratios of peaks, with the histories of the arrangement."""
    judged = judged_channels(some.axis)
    misfits, ratios = [], []
    for one in spectra:
        expected = folded(deposited(one, some.arrangement), some.detector, some.weights)
        counts, own = one.counts[judged], expected[judged]
        misfits.append(shape_error(counts, own))
        scaled = expected * float(counts @ own) / max(float(own @ own), 1e-300)
        pairs = some.peaks(one, scaled, FITTED).values()
        number = len(some.references(one, FITTED))
        if number > 1:
            # A peak that the simulation does not show is wrong altogether.
            ratios.append(_log_spread(list(pairs)) + 1.0 - len(pairs) / number)
    return replace(
        some, misfit=float(np.mean(misfits)), ratios=float(np.mean(ratios)) if ratios else 0.0
    )


def _log_spread(pairs: Sequence[tuple[Peak, Peak]]) -> float:
    """Squared mean deviation of the logarithms of areas, simulation over reference.

    Not the variance: that would be one of x rays at the threshold alone, where areas change by
    factors with the least layer.
    """
    if not pairs:
        return 0.0
    logs = np.array([np.log(mine.area / true.area) for true, mine in pairs])
    known = np.array([true.area_uncertainty / true.area for true, _ in pairs])
    weights = 1.0 / np.hypot(_RATIO_ERROR, known)
    order = np.argsort(logs)
    cumulative = np.cumsum(weights[order])
    median = logs[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])]
    return float(weights @ np.abs(logs - median) / weights.sum()) ** 2


@lru_cache(maxsize=64)
def _references(
    one: ReferenceSpectrum,
    axis: Axis,
    detector: GammaDetector,
    calibration: tuple[float, float],
    quality: Quality,
) -> dict[ResolvedLine, Peak]:
    lines = judged_lines(one.nuclide, _LEAST_INTENSITY)
    return clear_peaks(one.counts, one.variance, axis, lines, detector, calibration, quality)


class _Grouped(NamedTuple):
    """Channels joined in groups, so that sums of squares stay those of channels."""

    axis: Axis
    judged: BoolArray
    root_size: FloatArray

    def weighed(self, counts: FloatArray) -> FloatArray:
        """Counts of the groups that are judged."""
        return np.asarray(counts[self.judged] / self.root_size)


def _grouped(
    spectra: Sequence[ReferenceSpectrum], values: Parameters, axis: Axis
) -> tuple[_Grouped, list[FloatArray]]:
    """Groups of channels, and the spectra in them, of norm one."""
    starts = _group_starts(values, axis)
    grouped_axis = Axis.from_edges(np.append(axis.edges[starts], axis.edges[-1]))
    judged = judged_channels(grouped_axis)
    sizes = np.diff(np.append(starts, axis.n_channels))[judged]
    grouped = _Grouped(grouped_axis, judged, np.sqrt(sizes))
    targets = [grouped.weighed(np.add.reduceat(one.counts, starts)) for one in spectra]
    return grouped, [one / np.linalg.norm(one) for one in targets]


def _group_starts(values: Parameters, axis: Axis) -> IntArray:
    """First channels of groups a sixth of the resolution wide."""
    detector = detector_of(values, axis, Crystal())
    widths = detector.fwhm(np.maximum(axis.edges[:-1], LOWEST_ENERGY)) / _CHANNELS_PER_WIDTH
    starts = [0]
    for channel, edge in enumerate(axis.edges[:-1].tolist()):
        # The first channel that is judged starts a group.
        begins = edge >= LOWEST_ENERGY > axis.edges[max(channel - 1, 0)]
        wide = edge + 1e-9 >= axis.edges[starts[-1]] + widths[starts[-1]]
        if channel and (begins or wide):
            starts.append(channel)
    return np.array(starts)
