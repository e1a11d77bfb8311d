"""Parameters of a detector, estimated from spectra of two nuclides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from spectraloom._typing import BoolArray, FloatArray, IntArray
from spectraloom.data import Axis
from spectraloom.errors import DataError
from spectraloom.evaluate.simulator_data import LOWEST_ENERGY, ReferenceSpectrum, judged_lines
from spectraloom.evaluate.simulator_model import Arrangement, behind_steel, deposited, folded
from spectraloom.evaluate.simulator_peaks import Peaks, compare_peaks
from spectraloom.physics.gamma import GammaDetector
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.detector import CAESIUM_LINE
from spectraloom.physics.gamma.spectrum import expected_counts

Progress = Callable[[float, str], None]

_LIGHT_ENERGIES = np.array([20, 40, 70, 120, 200, 350, 661.657, 1000, 1500, 2100, 3000])

# Crystals, and widths at 662 keV (as a fraction) that detectors of them have.
_MATERIALS = {
    "NaI": (0.06, 0.075, 0.09),
    "CsI": (0.065, 0.08, 0.1),
    "LaBr3": (0.025, 0.035),
    "CZT": (0.01, 0.02),
    "HPGe": (0.0018, 0.003),
}
# A calibration takes most of it up: what is left of a factor e in energy, and its square.
_LIGHT_SPREAD, _OFFSET_SPREAD = 0.02, 3.0  # keV
_PROPORTIONAL = 1e-4  # spread of light that does not bend
_WORTH = 0.7  # of the misfit that light must leave to be bent
_STRENGTH = 0.01  # of these beliefs, in units of the error of a shape
_CHANNELS_PER_WIDTH = 6.0
_LEAST_INTENSITY = 0.002  # photons per decay of a line that is looked for
_FAR = 1.5  # times the least misfit
_SIZES = (1.2, 3.8, 7.62)  # cm, to start from
_FLOOR = ("concrete", 100.0)
_STEPS = (1.6, 1.25)  # factors that lengths are tried with
_SEARCH_HISTORIES, _FINAL_HISTORIES = 20_000, 400_000
_LENGTHS = {"window": (0.005, 2.0), "size": (0.3, 20.0), "distance": (5.0, 200.0)}


@dataclass(frozen=True, slots=True, eq=False)
class FittedSimulator:
    """What makes the spectra of one detector.

    Attributes
    ----------
    arrangement : Arrangement
        Crystal and surroundings.
    values : ndarray, shape (n_values,)
        The rest; see :meth:`detector` and :meth:`weights`.
    axis : Axis
        Of the reference spectra.
    misfit : float
        Mean squared error over mean square, mean of the spectra fitted.
    ratios : float
        Variance of the logarithms of peak areas, simulation over reference, within a spectrum;
        mean of the spectra fitted that have several peaks.
    bent : bool
        Whether the light is not proportional to energy.
    """

    arrangement: Arrangement
    values: FloatArray
    axis: Axis
    misfit: float
    ratios: float = 0.0
    bent: bool = False

    @property
    def cost(self) -> float:
        """What lengths and materials are chosen by: shapes and ratios of peaks."""
        return self.misfit + self.ratios

    @property
    def detector(self) -> GammaDetector:
        """Resolution, light and true calibration."""
        return _detector(self.values, self.axis, self.arrangement.crystal)

    @property
    def weights(self) -> FloatArray:
        """Of the parts of the photons: one, and those turned back."""
        return _weights(self.values)

    def counts(self, one: ReferenceSpectrum) -> FloatArray:
        """Expected counts per decay of a reference spectrum."""
        around = behind_steel(self.arrangement.surroundings, one.thickness)
        return expected_counts(one.nuclide, self.detector, around)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        crystal, around = self.arrangement.crystal, self.arrangement.surroundings
        gain, offset, width, exponent, noise = self.values[:5]
        return {
            "crystal": crystal.material,
            "size_cm": list(crystal.size),
            "window_cm": [list(layer) for layer in crystal.window],
            "back_cm": [list(layer) for layer in crystal.back],
            "dead_layer_cm": crystal.dead_layer,
            "distance_cm": around.distance,
            "floor_cm": list(around.floor) if around.floor else None,
            "gain": gain,
            "offset_kev": offset,
            "fwhm_662": width,
            "fwhm_exponent": exponent,
            "noise_kev": noise,
            "light": [list(point) for point in self.detector.light],
            "backscatter": float(self.values[-1]),
        }


# Values: gain, offset, width, exponent, noise, slope and curvature of light against the logarithm
# of energy, photons turned back.
_N_LIGHT = 2
_FIRST = np.array([1.0, 0.0, 0.07, 0.57, 0.5, *[0.0] * _N_LIGHT, 0.05])
_LOW = np.array([0.9, -30.0, 0.0005, 0.0, 0.0, *[-0.05] * _N_LIGHT, 0.0])
_HIGH = np.array([1.1, 30.0, 0.3, 1.0, 30.0, *[0.05] * _N_LIGHT, 2.0])
_SCALE = np.array([0.01, 1.0, 0.005, 0.05, 1.0, *[0.003] * _N_LIGHT, 0.02])


def _detector(values: FloatArray, axis: Axis, crystal: Crystal) -> GammaDetector:
    gain, offset, width, exponent, noise = values[:5].tolist()
    x = np.log(_LIGHT_ENERGIES / CAESIUM_LINE)
    light = 1.0 + values[5] * x + values[6] * x**2
    return GammaDetector(
        "fitted",
        Axis.from_edges((axis.edges - offset) / gain),
        crystal=crystal,
        fwhm_662=width,
        fwhm_exponent=exponent,
        noise=noise,
        backscatter=float(values[-1]),
        light=tuple(zip(_LIGHT_ENERGIES.tolist(), light.tolist(), strict=True)),
    )


def _weights(values: FloatArray) -> FloatArray:
    return np.array([1.0, values[-1]])


def judged_channels(axis: Axis) -> BoolArray:
    """Channels that lie above 40 keV."""
    return np.asarray(axis.edges[:-1] >= LOWEST_ENERGY)


def shape_error(counts: FloatArray, expected: FloatArray) -> float:
    """Squared error over sum of squares, after scaling the expectation by least squares."""
    scale = float(counts @ expected) / max(float(expected @ expected), 1e-300)
    return float(((counts - scale * expected) ** 2).sum() / (counts @ counts))


def fit_simulator(
    spectra: Sequence[ReferenceSpectrum],
    axis: Axis,
    *,
    progress: Progress | None = None,
) -> FittedSimulator:
    """Find crystal, surroundings, calibration, resolution and light.

    The squared shape errors of all spectra, and those of the ratios of their peaks, are made small.
    Resolution, calibration, light and the photons turned back from behind are fitted by least
    squares; material and lengths, which take a new transport, are tried in turn, each with a larger
    and a smaller value.

    Parameters
    ----------
    spectra : sequence of ReferenceSpectrum
        Those to fit.
    axis : Axis
        Of all of them.
    progress : callable, optional

    Raises
    ------
    DataError
        If there is no spectrum.
    """
    if not spectra:
        raise DataError("a simulator is fitted to one spectrum or more, got none")
    report = progress or (lambda _fraction, _text: None)
    report(0.0, "starting the fit")
    best = _with_light(_start(spectra, axis, report), spectra)
    for number, step in enumerate(_STEPS):
        for position, move in enumerate(_MOVES):
            report(0.2 + 0.3 * (number + position / len(_MOVES)), f"fitting {move.__name__[1:]}")
            best = _improved(best, spectra, move, step)
    final = replace(best.arrangement, histories=_FINAL_HISTORIES)
    report(0.8, "fitting with full statistics")
    best = _fitted(spectra, axis, final, best.values, 40, best.bent)
    return best if best.bent else _with_light(best, spectra)


def _with_light(best: FittedSimulator, spectra: Sequence[ReferenceSpectrum]) -> FittedSimulator:
    """Bend the light if that is worth it: what one nuclide asks for may be wrong for others."""
    bent = _fitted(spectra, best.axis, best.arrangement, best.values, 30, True)
    return bent if bent.cost < _WORTH * best.cost else best


def _start(spectra: Sequence[ReferenceSpectrum], axis: Axis, report: Progress) -> FittedSimulator:
    """The best of some materials, sizes and surroundings to begin with."""
    tried = []
    for material, widths in _MATERIALS.items():
        arrangement = Arrangement(Crystal(material), histories=_SEARCH_HISTORIES)
        values = [np.array(_FIRST) for _ in widths]
        for one, width in zip(values, widths, strict=True):
            one[2] = width
        errors = [_misfit(one, spectra, axis, arrangement) for one in values]
        tried.append((min(errors), arrangement, values[int(np.argmin(errors))]))
    least = min(error for error, *_ in tried)
    # A width that is far off cannot be mended; the others are fitted before they are compared.
    near = [some for some in tried if some[0] < _FAR * least]
    first = [
        (_crystal(arrangement, size=(size, size)), values)
        for _, arrangement, values in near
        for size in _SIZES
    ]
    fits = []
    for number, (arrangement, values) in enumerate(first):
        report(0.15 * number / len(first), f"trying {arrangement.crystal.material}")
        fits.append(_fitted(spectra, axis, arrangement, values, 10))
    best = min(fits, key=lambda one: one.cost)
    report(0.15, "trying a floor")
    over = replace(best.arrangement.surroundings, floor=_FLOOR)
    floored = replace(best.arrangement, surroundings=over)
    other = _fitted(spectra, axis, floored, best.values, 10)
    return min(best, other, key=lambda one: one.cost)


Move = Callable[[Arrangement, float], Iterator[Arrangement]]


def _crystal(some: Arrangement, **changed: Any) -> Arrangement:
    return replace(some, crystal=replace(some.crystal, **changed))


def _between(value: float, kind: str) -> float:
    low, high = _LENGTHS[kind]
    return float(min(max(value, low), high))


def _size(some: Arrangement, step: float) -> Iterator[Arrangement]:
    for factor in (step, 1.0 / step):
        yield _crystal(
            some, size=tuple(_between(factor * one, "size") for one in some.crystal.size)
        )


def _length(some: Arrangement, step: float) -> Iterator[Arrangement]:
    diameter, length = some.crystal.size
    for factor in (step, 1.0 / step):
        yield _crystal(some, size=(diameter, _between(factor * length, "size")))


def _window(some: Arrangement, step: float) -> Iterator[Arrangement]:
    made_of, thickness = some.crystal.window[0]
    for factor in (step**2, step**-2):
        yield _crystal(some, window=((made_of, _between(factor * thickness, "window")),))


def _back(some: Arrangement, step: float) -> Iterator[Arrangement]:
    now = some.crystal.back[0][1] if some.crystal.back else 0.0
    for thickness in (step * now, now / step) if now else (0.5, 2.0):
        yield _crystal(some, back=(("glass", thickness),))


def _distance(some: Arrangement, step: float) -> Iterator[Arrangement]:
    around = some.surroundings
    for factor in (step**2, step**-2):
        distance = _between(factor * around.distance, "distance")
        yield replace(some, surroundings=replace(around, distance=distance))


def _floor(some: Arrangement, step: float) -> Iterator[Arrangement]:
    around = some.surroundings
    now = around.floor[1] if around.floor else _FLOOR[1] / step
    for height in (step * now, now / step):
        yield replace(some, surroundings=replace(around, floor=(_FLOOR[0], height)))


_MOVES: tuple[Move, ...] = (_distance, _size, _length, _window, _floor, _back)


def _improved(
    best: FittedSimulator, spectra: Sequence[ReferenceSpectrum], move: Move, step: float
) -> FittedSimulator:
    """Go on in one direction as long as it helps."""
    for number in range(2):
        while True:
            arrangement = list(move(best.arrangement, step))[number]
            if arrangement == best.arrangement:
                break
            other = _fitted(spectra, best.axis, arrangement, best.values, 6, best.bent)
            if other.cost > 0.99 * best.cost:
                break
            best = other
    return best


def _fitted(
    spectra: Sequence[ReferenceSpectrum],
    axis: Axis,
    arrangement: Arrangement,
    first: FloatArray,
    most: int,
    bent: bool = False,
) -> FittedSimulator:
    deposits = [deposited(one, arrangement) for one in spectra]
    starts = _group_starts(first, axis, arrangement.crystal)
    grouped = Axis.from_edges(np.append(axis.edges[starts], axis.edges[-1]))
    judged = judged_channels(grouped)
    # Groups of n channels weigh so that the sum of squares stays that of channels.
    weigh = 1.0 / np.sqrt(np.diff(np.append(starts, axis.n_channels)))[judged]
    targets = [np.add.reduceat(one.counts, starts)[judged] * weigh for one in spectra]
    targets = [one / np.linalg.norm(one) for one in targets]

    def residuals(values: FloatArray) -> FloatArray:
        detector, weights = _detector(values, grouped, arrangement.crystal), _weights(values)
        parts = []
        for some, target in zip(deposits, targets, strict=True):
            expected = folded(some, detector, weights)[judged] * weigh
            scale = (target @ expected) / max(float(expected @ expected), 1e-300)
            parts.append(scale * expected - target)
        # What the spectra leave open stays where most detectors are.
        light = values[5 : 5 + _N_LIGHT] / (_LIGHT_SPREAD if bent else _PROPORTIONAL)
        beliefs = _STRENGTH * np.append(light, values[1] / _OFFSET_SPREAD)
        return np.concatenate([*parts, beliefs])

    start = np.clip(first, _LOW + 1e-6, _HIGH - 1e-6)
    fit = least_squares(
        residuals, start, bounds=(_LOW, _HIGH), x_scale=_SCALE, diff_step=1e-4, max_nfev=most
    )
    misfit = _misfit(fit.x, spectra, axis, arrangement)
    ratios = _ratio_error(fit.x, spectra, axis, arrangement)
    return FittedSimulator(arrangement, fit.x, axis, misfit, ratios, bent)


def peaks_of(
    one: ReferenceSpectrum,
    expected: FloatArray,
    values: FloatArray,
    detector: GammaDetector,
    axis: Axis,
) -> Peaks:
    """Peaks of a spectrum beside those of its simulation, scaled to as many counts."""
    lines = judged_lines(one.nuclide, _LEAST_INTENSITY)
    calibration = float(values[0]), float(values[1])
    return compare_peaks(one.counts, one.variance, expected, axis, lines, detector, calibration)


def _ratio_error(
    values: FloatArray,
    spectra: Sequence[ReferenceSpectrum],
    axis: Axis,
    arrangement: Arrangement,
) -> float:
    """Mean variance of the logarithms of peak areas, simulation over reference."""
    detector, weights = _detector(values, axis, arrangement.crystal), _weights(values)
    judged = judged_channels(axis)
    errors = []
    for one in spectra:
        expected = folded(deposited(one, arrangement), detector, weights)
        counts, own = one.counts[judged], expected[judged]
        scaled = expected * float(counts @ own) / max(float(own @ own), 1e-300)
        pairs = peaks_of(one, scaled, values, detector, axis).values()
        if len(pairs) > 1:
            errors.append(np.var([np.log(mine.area / true.area) for true, mine in pairs]))
    return float(np.mean(errors)) if errors else 0.0


def _group_starts(values: FloatArray, axis: Axis, crystal: Crystal) -> IntArray:
    """First channels of groups a sixth of the resolution wide."""
    detector = _detector(values, axis, crystal)
    widths = detector.fwhm(np.maximum(axis.edges[:-1], LOWEST_ENERGY)) / _CHANNELS_PER_WIDTH
    starts = [0]
    for channel, edge in enumerate(axis.edges[:-1].tolist()):
        # The first channel that is judged starts a group.
        begins = edge >= LOWEST_ENERGY > axis.edges[max(channel - 1, 0)]
        wide = edge + 1e-9 >= axis.edges[starts[-1]] + widths[starts[-1]]
        if channel and (begins or wide):
            starts.append(channel)
    return np.array(starts)


def _misfit(
    values: FloatArray,
    spectra: Sequence[ReferenceSpectrum],
    axis: Axis,
    arrangement: Arrangement,
) -> float:
    """Mean shape error with the histories of the arrangement."""
    detector, weights = _detector(values, axis, arrangement.crystal), _weights(values)
    judged = judged_channels(axis)
    errors = [
        shape_error(
            one.counts[judged], folded(deposited(one, arrangement), detector, weights)[judged]
        )
        for one in spectra
    ]
    return float(np.mean(errors))
