"""Crystal and surroundings of a detector, searched for spectra of two nuclides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from spectraloom.data import Axis
from spectraloom.errors import DataError
from spectraloom.evaluate.simulator_data import ReferenceSpectrum
from spectraloom.evaluate.simulator_fit import (
    FittedSimulator,
    Parameters,
    fit_backscatter,
    fit_parameters,
    with_errors,
)
from spectraloom.evaluate.simulator_model import Arrangement
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.detector import CAESIUM_LINE
from spectraloom.physics.gamma.transport.surroundings import Surroundings

Progress = Callable[[float, str], None]

# Widths at 662 keV, as a fraction, that a fit begins with, before anything is known.
_WIDTHS = (0.002, 0.004, 0.008, 0.016, 0.03, 0.06, 0.09, 0.12)
# Between which widths at 662 keV detectors of a material lie.
_MATERIALS = {
    "HPGe": (0.0, 0.006),
    "CZT": (0.006, 0.04),
    "LaBr3": (0.018, 0.045),
    "NaI": (0.045, 0.2),
    "CsI": (0.045, 0.2),
}
_WINDOWS = (0.05, 0.5)  # cm of aluminium to start from
# Diameters and lengths to start from, cm: cubes, long and flat ones, as they are built in.
_SIZES = ((1.2, 1.2), (2.5, 2.5), (3.6, 5.0), (5.0, 3.0), (5.0, 5.0), (7.62, 7.62))
_ROUGH = {"NaI": (7.62, 7.62)}  # the usual size, where the material is known
_CONTACT = 0.07  # cm of germanium that gives no signal
_FLOOR = ("concrete", 100.0)
# Near and far sources, with a floor and without, are valleys of their own.
_AROUND = (
    Surroundings(floor=_FLOOR),
    Surroundings(),
    Surroundings(distance=40.0, floor=_FLOOR),
    Surroundings(distance=16.0),
)
_STEPS = (1.6, 1.25, 1.1)  # factors that lengths are tried with
_SEARCH_HISTORIES, _FINAL_HISTORIES = 60_000, 400_000
_LENGTHS = {
    "window": (0.005, 2.0),
    "size": (0.3, 20.0),
    "distance": (5.0, 200.0),
    "dead layer": (0.01, 0.2),
}
_BEST = 3  # beginnings that are fitted on
_FEW = 4  # steps of a fit of what is tried
_LEAST_GAIN = 0.01  # of the cost, which is a logarithm


def fit_simulator(
    spectra: Sequence[ReferenceSpectrum],
    axis: Axis,
    *,
    crystal: str | None = None,
    progress: Progress | None = None,
) -> FittedSimulator:
    """Find crystal, surroundings, calibration, resolution and light.

    Calibration, resolution, light and the photons turned back from behind make the squared shape
    errors small. Material and lengths, which take a new transport, are tried in turn, each with a
    larger and a smaller value; they are judged by shapes and by ratios of peaks. Widths of the
    peaks tell the materials that come into question.

    Parameters
    ----------
    spectra : sequence of ReferenceSpectrum
        Those to fit.
    axis : Axis
        Of all of them.
    crystal : str, optional
        Material of the crystal; without it, what has such widths of peaks is tried.
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
    best = _start(spectra, axis, crystal, report)
    moves = [move for move in _MOVES if crystal is None or move is not _material]
    for number, step in enumerate(_STEPS):
        for position, move in enumerate(moves):
            done = (number + position / len(moves)) / len(_STEPS)
            report(0.2 + 0.7 * done, f"fitting {move.__name__[1:]}")
            best = _improved(best, spectra, move, step)
        best = _better(best, fit_parameters(spectra, best))
    report(0.9, "fitting with full statistics")
    final = replace(best.arrangement, histories=_FINAL_HISTORIES)
    full = with_errors(spectra, replace(best, arrangement=final))
    return _better(full, fit_parameters(spectra, full, most=40))


def _better(*fits: FittedSimulator) -> FittedSimulator:
    """Least squares of shapes may raise the cost, which counts ratios of peaks, too."""
    return min(fits, key=lambda one: one.cost)


def _start(
    spectra: Sequence[ReferenceSpectrum], axis: Axis, known: str | None, report: Progress
) -> FittedSimulator:
    """The best of some materials, sizes and surroundings to begin with."""
    guesses = []
    for width, thickness, around in product(_WIDTHS, _WINDOWS, _AROUND):
        size = _ROUGH.get(known or "", (5.0, 5.0))
        crystal = Crystal(known or "NaI", size=size, window=(("Al", thickness),))
        arrangement = Arrangement(crystal, around, histories=_SEARCH_HISTORIES)
        values = Parameters(width=width, noise=min(0.5, 300.0 * width))
        guess = FittedSimulator(arrangement, values, axis)
        guesses.append(fit_backscatter(spectra, guess, arrangement))
    rough = fit_parameters(spectra, min(guesses, key=lambda one: one.misfit), most=20)
    width = float(rough.detector.fwhm(CAESIUM_LINE)) / CAESIUM_LINE
    fits = []
    made_of = [name for name, (low, high) in _MATERIALS.items() if low <= width < high]
    made_of = [known] if known else made_of
    for number, material in enumerate(made_of or _MATERIALS):
        report(0.2 * number / len(made_of or _MATERIALS), f"trying {material}")
        contact = _CONTACT if material == "HPGe" else 0.0
        for size, around in product(_SIZES, _AROUND):
            crystal = replace(
                rough.arrangement.crystal, material=material, size=size, dead_layer=contact
            )
            arrangement = replace(rough.arrangement, crystal=crystal, surroundings=around)
            # Too large a crystal has widened the peaks to fill the continuum.
            fits.append(fit_parameters(spectra, rough, arrangement, most=6))
    near = sorted(fits, key=lambda one: one.cost)[:_BEST]
    return _better(*near, *(fit_parameters(spectra, one) for one in near))


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


def _dead_layer(some: Arrangement, step: float) -> Iterator[Arrangement]:
    """Only contacts of germanium are that thick."""
    if some.crystal.material != "HPGe":
        return
    now = some.crystal.dead_layer
    for factor in (step, 1.0 / step):
        yield _crystal(some, dead_layer=_between(factor * now, "dead layer"))


def _material(some: Arrangement, _step: float) -> Iterator[Arrangement]:
    """The others that have such a resolution."""
    own = _MATERIALS[str(some.crystal.material)]
    for name, others in _MATERIALS.items():
        if name != some.crystal.material and others[0] < own[1] and own[0] < others[1]:
            yield _crystal(some, material=name, dead_layer=0.0)


_MOVES: tuple[Move, ...] = (
    _size,
    _length,
    _window,
    _dead_layer,
    _material,
    _distance,
    _floor,
    _back,
)


def _improved(
    best: FittedSimulator, spectra: Sequence[ReferenceSpectrum], move: Move, step: float
) -> FittedSimulator:
    """Go on in one direction as long as it helps."""
    for number in range(len(list(move(best.arrangement, step)))):
        while True:
            tried = list(move(best.arrangement, step))
            if number >= len(tried) or tried[number] == best.arrangement:
                break
            other = fit_parameters(spectra, best, tried[number], most=_FEW)
            if other.cost > best.cost - _LEAST_GAIN:
                break
            best = other
    return best
