"""A simulator whose parameters are estimated, and how far it is from spectra."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from spectraloom._typing import BoolArray, FloatArray
from spectraloom.data import Axis
from spectraloom.evaluate.simulator_data import LOWEST_ENERGY, ReferenceSpectrum, judged_lines
from spectraloom.evaluate.simulator_model import Arrangement, behind_steel
from spectraloom.evaluate.simulator_peaks import (
    JUDGED,
    Peaks,
    Quality,
    References,
    clear_peaks,
    compare_peaks,
)
from spectraloom.physics.gamma import GammaDetector
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.detector import CAESIUM_LINE
from spectraloom.physics.gamma.spectrum import expected_counts
from spectraloom.physics.gamma.transport.surroundings import Surroundings

_LIGHT_ENERGIES = np.array([20, 40, 70, 120, 200, 350, 661.657, 1000, 1500, 2100, 3000])
_LEAST_INTENSITY = 0.002  # photons per decay of a line that is looked for
_WINDOW, _BACK, _FLOOR = "Al", "glass", "concrete"


class Parameters(NamedTuple):
    """What takes no new transport.

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
    floor : float
        What scatters like the floor, over such a floor: part of one, or walls beside it.
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
    floor: float = 1.0


class Lengths(NamedTuple):
    """What photons fly through, cm.

    Attributes
    ----------
    diameter, length : float
        Of the crystal.
    window : float
        Aluminium before it.
    dead_layer : float
        Of germanium; other crystals have none.
    back : float
        Glass behind it.
    distance : float
        From source to window.
    height : float
        Of source and crystal over a floor of concrete.
    """

    diameter: float = 5.0
    length: float = 5.0
    window: float = 0.1
    dead_layer: float = 0.07
    back: float = 0.5
    distance: float = 50.0
    height: float = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class FittedSimulator:
    """What makes the spectra of one detector.

    Attributes
    ----------
    material : str
        Of the crystal.
    lengths : Lengths
        Crystal and surroundings.
    values : Parameters
        The rest.
    axis : Axis
        Of the reference spectra.
    histories : int
        Photons for each energy of a response.
    misfit : float
        Mean squared error over mean square, mean of the spectra fitted.
    cost : float
        What simulators are chosen by: see :mod:`~spectraloom.evaluate.simulator_target`.
    """

    material: str
    lengths: Lengths
    values: Parameters
    axis: Axis
    histories: int
    misfit: float = np.inf
    cost: float = np.inf

    @property
    def arrangement(self) -> Arrangement:
        """All that a transport has to be done for."""
        some = self.lengths
        crystal = Crystal(
            self.material,
            size=(some.diameter, some.length),
            window=((_WINDOW, some.window),),
            back=((_BACK, some.back),),
            dead_layer=some.dead_layer if has_contact(self.material) else 0.0,
        )
        around = Surroundings(distance=some.distance, floor=(_FLOOR, some.height))
        return Arrangement(crystal, around, self.histories)

    @property
    def detector(self) -> GammaDetector:
        """Resolution, light and true calibration."""
        return detector_of(self.values, self.axis, self.arrangement.crystal)

    @property
    def weights(self) -> FloatArray:
        """Of the parts of the photons."""
        return np.array([1.0, self.values.floor, self.values.backscatter])

    def counts(self, one: ReferenceSpectrum) -> FloatArray:
        """Expected counts per decay of a reference spectrum."""
        around = behind_steel(self.arrangement.surroundings, one.thickness)
        counts = expected_counts(one.nuclide, self.detector, around)
        bare = expected_counts(one.nuclide, self.detector, replace(around, floor=None))
        return np.asarray(bare + self.values.floor * (counts - bare))

    def peaks(
        self, one: ReferenceSpectrum, expected: FloatArray, references: References | None = None
    ) -> Peaks:
        """Peaks of a spectrum beside those of its simulation, scaled to as many counts.

        By default those that are good enough to be judged.
        """
        extra = np.maximum(one.variance - np.maximum(one.counts, 0.0), 0.0)
        calibration = self.values.gain, self.values.offset
        return compare_peaks(
            self.references(one) if references is None else references,
            expected,
            extra,
            self.axis,
            self.detector,
            calibration,
        )

    def references(self, one: ReferenceSpectrum, quality: Quality = JUDGED) -> References:
        """Peaks of a spectrum that are clear."""
        plain = detector_of(self.values._replace(backscatter=0.0), self.axis, Crystal())
        calibration = self.values.gain, self.values.offset
        return _references(one, self.axis, plain, calibration, quality)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        lengths, values = self.lengths, self.values
        return {
            "crystal": self.material,
            "size_cm": [lengths.diameter, lengths.length],
            "window_cm": [_WINDOW, lengths.window],
            "back_cm": [_BACK, lengths.back],
            "dead_layer_cm": self.arrangement.crystal.dead_layer,
            "distance_cm": lengths.distance,
            "floor_cm": [_FLOOR, lengths.height],
            "floor": values.floor,
            "gain": values.gain,
            "offset_kev": values.offset,
            "fwhm_662": values.width,
            "fwhm_exponent": values.exponent,
            "fwhm_bend": values.bend,
            "noise_kev": values.noise,
            "light": [list(point) for point in self.detector.light],
            "backscatter": values.backscatter,
        }


def has_contact(material: str) -> bool:
    """Whether a crystal has a contact that is thick enough to stop photons: germanium."""
    return material == "HPGe"


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
    return float(((counts - scaled_to(counts, expected)) ** 2).sum() / (counts @ counts))


def scaled_to(counts: FloatArray, expected: FloatArray) -> FloatArray:
    """The expectation, scaled to counts by least squares."""
    return np.asarray(least_squares_scale(counts, expected) * expected)


def least_squares_scale(counts: FloatArray, expected: FloatArray) -> float:
    """What an expectation is multiplied with to be nearest to counts."""
    return float(counts @ expected) / max(float(expected @ expected), 1e-300)


@lru_cache(maxsize=64)
def _references(
    one: ReferenceSpectrum,
    axis: Axis,
    detector: GammaDetector,
    calibration: tuple[float, float],
    quality: Quality,
) -> References:
    lines = judged_lines(one.nuclide, _LEAST_INTENSITY)
    return clear_peaks(one.counts, one.variance, axis, lines, detector, calibration, quality)
