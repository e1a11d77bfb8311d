"""What is made small when a simulator is fitted.

What is fitted costs half of a sum of squares, each in units of its error, as for normal errors:

- shapes. What is wrong with them is not counting but the model, by how much is not known: it is
  taken from the misfit itself. It comes from a few places, the largest peaks and the continuum
  below them, and spectra of one nuclide share it. An error of unknown size costs its logarithm;
  near a fit that is half of its square over its size;
- positions, widths and areas of peaks, read in the same way on simulation and reference;
- beliefs, for what spectra leave open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from spectraloom._typing import BoolArray, FloatArray, IntArray
from spectraloom.data import Axis
from spectraloom.evaluate.simulator_data import LOWEST_ENERGY, ReferenceSpectrum
from spectraloom.evaluate.simulator_fit import (
    FittedSimulator,
    Parameters,
    detector_of,
    has_contact,
    judged_channels,
    least_squares_scale,
    scaled_to,
    shape_error,
)
from spectraloom.evaluate.simulator_model import PARTS, Deposited, deposited, folded
from spectraloom.evaluate.simulator_peaks import FITTED, SAME_PEAK, Peak, References
from spectraloom.physics.gamma import GammaDetector
from spectraloom.physics.gamma.crystal import Crystal

_CHANNELS_PER_WIDTH = 6.0
_FEATURES = 6.0  # independent errors of a shape
_LEAST_MISFIT = 1e-4  # below which a shape is as good as it can be
# Errors of positions and widths, as a fraction of the width, and of the logarithm of areas: where
# the simulation tells what a Gaussian reads wrong of them, and where it does not.
_PLACE_ERROR, _RAW_PLACE_ERROR = 0.02, 0.1
_AREA_ERROR, _RAW_AREA_ERROR = 0.04, 0.1
_MOST_WRONG = 0.2  # of position or width; beyond it the simulation has no such peak yet
_GROSS = 5.0  # errors, from which on they count by their logarithm
_MISSING = 50.0  # errors that a peak counts that the simulation does not show
# What the spectra leave open stays where most detectors are: a calibration has taken up most of
# the light that is not proportional, and of an offset.
_BELIEFS = {
    "offset": (0.0, 3.0),
    "bend": (0.0, 0.02),
    "slope": (0.0, 0.005),
    "curvature": (0.0, 0.005),
    "floor": (1.0, 1.0),
}
# Sodium iodide is ten times as common, and a larger crystal of it looks much alike.
_RARE = {"CsI": float(np.log(10.0))}
_PROPORTIONAL = ("HPGe", "CZT")
_PROPORTIONAL_SPREAD = 1e-5  # charge is proportional to energy
# Of lengths (cm): the usual value, and by which factor it varies.
_USUAL = {
    "window": (0.1, 3.0),
    "dead_layer": (0.07, 1.5),
    "back": (1.0, 3.0),
    "distance": (50.0, 3.0),
}
_ASPECT = 1.6  # factor by which length over diameter varies
_HEIGHT = (0.3, 3.0)  # of the floor, over the distance


class _Seen(NamedTuple):
    """A peak of a reference, freed of what a Gaussian reads wrong of the simulated one."""

    energy: float
    reach: float
    position: float
    fwhm: float
    log_area: float
    place_error: float
    area_error: float


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What a fit that begins at a simulator makes small.

    Attributes
    ----------
    spectra : tuple of ReferenceSpectrum
        Those to fit.
    axis : Axis
        Channels joined in groups, a sixth of the resolution wide.
    judged : ndarray of bool
        Groups that are judged.
    root_size : ndarray
        Root of the number of channels in these, so that sums of squares stay those of channels.
    shapes : tuple of ndarray
        The spectra in groups, of norm one.
    errors : tuple of float
        Of the shapes.
    seen : tuple of tuple of _Seen
        Peaks.
    """

    spectra: tuple[ReferenceSpectrum, ...]
    axis: Axis
    judged: BoolArray
    root_size: FloatArray
    shapes: tuple[FloatArray, ...]
    errors: tuple[float, ...]
    seen: tuple[tuple[_Seen, ...], ...]

    @classmethod
    def at(
        cls,
        spectra: Sequence[ReferenceSpectrum],
        references: Sequence[References],
        begun: FittedSimulator,
    ) -> Target:
        """Prepare a fit that begins at a simulator."""
        plain = cls.of(spectra, begun)
        alike = Counter(one.nuclide for one in spectra)
        errors = [
            np.sqrt((shape_error(shape, own) + _LEAST_MISFIT) * alike[one.nuclide] / _FEATURES)
            for one, shape, own in zip(spectra, plain.shapes, plain.expected(begun), strict=True)
        ]
        seen = tuple(
            tuple(_seen(one, peaks, begun)) for one, peaks in zip(spectra, references, strict=True)
        )
        return replace(plain, errors=tuple(map(float, errors)), seen=seen)

    @classmethod
    def of(cls, spectra: Sequence[ReferenceSpectrum], begun: FittedSimulator) -> Target:
        """Shapes alone."""
        axis = begun.axis
        starts = _group_starts(begun.values, axis)
        grouped = Axis.from_edges(np.append(axis.edges[starts], axis.edges[-1]))
        judged = judged_channels(grouped)
        root_size = np.sqrt(np.diff(np.append(starts, axis.n_channels))[judged])
        joined = [np.add.reduceat(one.counts, starts)[judged] / root_size for one in spectra]
        shapes = tuple(one / np.linalg.norm(one) for one in joined)
        return cls(tuple(spectra), grouped, judged, root_size, shapes, (), ())

    def expected(self, some: FittedSimulator) -> list[FloatArray]:
        """Counts of the groups that are judged, as some simulator expects them."""
        return self._folded(some, some.weights)

    def parts(self, some: FittedSimulator) -> list[FloatArray]:
        """The same of each part of the photons, shape (n_parts, n_groups)."""
        each = [self._folded(some, part) for part in np.eye(len(PARTS))]
        return [np.stack(one) for one in zip(*each, strict=True)]

    def _folded(self, some: FittedSimulator, weights: FloatArray) -> list[FloatArray]:
        arrangement = some.arrangement
        detector = detector_of(some.values, self.axis, arrangement.crystal)
        return [
            folded(deposited(one, arrangement), detector, weights)[self.judged] / self.root_size
            for one in self.spectra
        ]

    def residuals(self, some: FittedSimulator) -> FloatArray:
        """All deviations in units of their errors."""
        expected = self.expected(some)
        shapes = [
            (scaled_to(shape, own) - shape) / error
            for shape, own, error in zip(self.shapes, expected, self.errors, strict=True)
        ]
        arrangement = some.arrangement
        detector = detector_of(some.values, self.axis, arrangement.crystal)
        peaks = [
            _peak_errors(some.values, detector, deposited(one, arrangement), seen)
            for one, seen in zip(self.spectra, self.seen, strict=True)
        ]
        return np.concatenate([*shapes, *peaks, _beliefs(some)])


def read(spectra: Sequence[ReferenceSpectrum], some: FittedSimulator) -> tuple[References, ...]:
    """Clear peaks of the spectra, where a simulator expects them."""
    return tuple(some.references(one, FITTED) for one in spectra)


def measured(
    spectra: Sequence[ReferenceSpectrum],
    references: Sequence[References],
    some: FittedSimulator,
) -> FittedSimulator:
    """The simulator with its misfit and its cost, with the histories that it has.

    Costs are comparable for the same peaks and histories only.
    """
    judged = judged_channels(some.axis)
    alike = Counter(one.nuclide for one in spectra)
    misfits, cost = [], 0.5 * float((_beliefs(some) ** 2).sum()) + _RARE.get(some.material, 0.0)
    for one, peaks in zip(spectra, references, strict=True):
        expected = scaled_counts(one, some)
        misfits.append(shape_error(one.counts[judged], expected[judged]))
        cost += 0.5 * _FEATURES / alike[one.nuclide] * np.log(misfits[-1] + _LEAST_MISFIT)
        pairs = some.peaks(one, expected, peaks)
        cost += 0.5 * float((_read_errors(list(pairs.values())) ** 2).sum())
        missing = len(peaks) - len(pairs)
        cost += 0.5 * 3 * missing * float(_bounded(np.array(_MISSING))) ** 2
    return replace(some, misfit=float(np.mean(misfits)), cost=float(cost))


def scaled_counts(one: ReferenceSpectrum, some: FittedSimulator) -> FloatArray:
    """The simulation with as many counts as the reference."""
    expected = folded(deposited(one, some.arrangement), some.detector, some.weights)
    judged = judged_channels(some.axis)
    return np.asarray(expected * least_squares_scale(one.counts[judged], expected[judged]))


def _seen(one: ReferenceSpectrum, peaks: References, some: FittedSimulator) -> list[_Seen]:
    """Clear peaks of a reference, by what was read of them here and there."""
    pairs = some.peaks(one, scaled_counts(one, some), peaks)
    deposits = deposited(one, some.arrangement)
    gain, offset = some.values.gain, some.values.offset
    found = []
    for line, peak in peaks.items():
        known = peak.area_uncertainty / peak.area
        reach = SAME_PEAK * float(some.detector.line_fwhm(line.energy))
        raw = _Seen(
            line.energy,
            reach,
            peak.position,
            peak.fwhm,
            float(np.log(peak.area)),
            float(np.hypot(_RAW_PLACE_ERROR, 0.5 * known)),
            float(np.hypot(_RAW_AREA_ERROR, known)),
        )
        own = pairs[line][1] if line in pairs else None
        area = float(_full_energy(deposits, np.array([line.energy]), np.array([reach]))[0])
        if own is not None and area > 0:
            moved = offset + gain * float(some.detector.apparent(line.energy)) - own.position
            wider = gain * float(some.detector.line_fwhm(line.energy)) / own.fwhm
            if max(abs(moved) / own.fwhm, abs(np.log(wider))) < _MOST_WRONG:
                raw = raw._replace(
                    position=peak.position + moved,
                    fwhm=peak.fwhm * wider,
                    log_area=float(np.log(peak.area / own.area * area)),
                    place_error=float(np.hypot(_PLACE_ERROR, 0.5 * known)),
                    area_error=float(np.hypot(_AREA_ERROR, known)),
                )
        found.append(raw)
    return found


def _full_energy(some: Deposited, energies: FloatArray, reach: FloatArray) -> FloatArray:
    """Counts in peaks that are no further than that from energies, per decay."""
    near = np.abs(some.energies - energies[:, np.newaxis]) <= reach[:, np.newaxis]
    return np.asarray(near @ some.peaks[0])


def _peak_errors(
    values: Parameters, detector: GammaDetector, some: Deposited, seen: tuple[_Seen, ...]
) -> FloatArray:
    """Positions, widths and areas beside those on the references, in units of their errors."""
    if not seen:
        return np.zeros(0)
    energies, reach, positions, widths, log_areas, place_errors, area_errors = np.array(seen).T
    at = values.offset + values.gain * detector.apparent(energies)
    wide = values.gain * detector.line_fwhm(energies)
    areas = np.log(np.maximum(_full_energy(some, energies, reach), 1e-300)) - log_areas
    place = (at - positions) / widths
    return _in_errors(place, np.log(wide / widths), areas, place_errors, area_errors)


def _read_errors(pairs: list[tuple[Peak, Peak]]) -> FloatArray:
    """The same, of peaks that were read on reference and simulation."""
    if not pairs:
        return np.zeros(0)
    known = np.array([true.area_uncertainty / true.area for true, _ in pairs])
    place = np.array([(mine.position - true.position) / true.fwhm for true, mine in pairs])
    wide = np.array([np.log(mine.fwhm / true.fwhm) for true, mine in pairs])
    areas = np.array([np.log(mine.area / true.area) for true, mine in pairs])
    place_errors, area_errors = np.hypot(_PLACE_ERROR, 0.5 * known), np.hypot(_AREA_ERROR, known)
    return _in_errors(place, wide, areas, place_errors, area_errors)


def _in_errors(
    place: FloatArray,
    wide: FloatArray,
    areas: FloatArray,
    place_errors: FloatArray,
    area_errors: FloatArray,
) -> FloatArray:
    """Deviations of positions (in widths) and of logarithms of widths and areas."""
    weighed = _about_median(areas, area_errors) / area_errors
    return _bounded(np.concatenate([place / place_errors, wide / place_errors, weighed]))


def _about_median(values: FloatArray, errors: FloatArray) -> FloatArray:
    """What values are apart from their median, with weights: how many decays there were is free."""
    order = np.argsort(values)
    cumulative = np.cumsum(1.0 / errors[order])
    median = values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])]
    return np.asarray(values - median)


def _bounded(errors: FloatArray) -> FloatArray:
    """Deviations, of which gross ones count by their logarithm."""
    return np.asarray(_GROSS * np.arcsinh(errors / _GROSS))


def _beliefs(some: FittedSimulator) -> FloatArray:
    """What is usual, in units of how much it varies."""
    found = []
    for name, (usual, spread) in _BELIEFS.items():
        if name in ("slope", "curvature") and some.material in _PROPORTIONAL:
            spread = _PROPORTIONAL_SPREAD
        found.append((getattr(some.values, name) - usual) / spread)
    lengths = some.lengths
    for name, (usual, factor) in _USUAL.items():
        if name != "dead_layer" or has_contact(some.material):
            found.append(np.log(getattr(lengths, name) / usual) / np.log(factor))
    found.append(np.log(lengths.length / lengths.diameter) / np.log(_ASPECT))
    usual, factor = _HEIGHT
    found.append(np.log(lengths.height / lengths.distance / usual) / np.log(factor))
    return np.array(found)


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
