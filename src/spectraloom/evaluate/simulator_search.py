"""Parameters of a simulator, estimated from spectra of two nuclides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from scipy.optimize import least_squares

from spectraloom._typing import FloatArray, Progress
from spectraloom.data import Axis
from spectraloom.errors import DataError
from spectraloom.evaluate.simulator_data import ReferenceSpectrum
from spectraloom.evaluate.simulator_fit import (
    FittedSimulator,
    Lengths,
    Parameters,
    has_contact,
    scaled_to,
)
from spectraloom.evaluate.simulator_peaks import References
from spectraloom.evaluate.simulator_target import Target, measured, read
from spectraloom.physics.gamma.detector import CAESIUM_LINE

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
_WINDOWS = (0.1, 0.5)  # cm of aluminium to start from
# Sizes to start from: diameters (cm), and lengths over diameters.
_DIAMETERS, _ASPECTS = (1.0, 2.0, 4.0, 8.0), (0.7, 1.4)
_ROUGH = {"NaI": (7.62, 7.62)}  # the usual size, where the material is known
_ROUGHLY = (5.0, 5.0)
# Distances and heights to start from, cm: near and far sources, and floors beside the way or under
# it, are valleys of their own.
_AROUND = ((100.0, 100.0), (100.0, 15.0), (40.0, 10.0), (16.0, 40.0))
# Small crystals have few counts in peaks, and a history in them takes less time.
_SEARCH_HISTORIES, _FINAL_HISTORIES = 50_000, 400_000
_SEARCH_SIZE = 4.0  # cm; the smaller, the more histories, up to four times as many
_LOW = Parameters(0.9, -30.0, 0.0005, 0.0, -0.15, 0.0, -0.05, -0.05, 0.0, 0.0)
_HIGH = Parameters(1.1, 30.0, 0.3, 1.2, 0.15, 30.0, 0.05, 0.05, 2.0, 5.0)
_SCALE = Parameters(0.01, 1.0, 0.005, 0.05, 0.01, 1.0, 0.003, 0.003, 0.02, 0.2)
_SHORTEST = Lengths(0.5, 0.5, 0.005, 0.01, 0.05, 5.0, 4.0)
_LONGEST = Lengths(20.0, 20.0, 2.0, 0.2, 10.0, 200.0, 500.0)
_LENGTH_SCALE = 0.2  # of logarithms of lengths
# Steps of derivatives: in units of the scale of a parameter, and of a logarithm of a length, where
# it has to be seen above the scatter of the histories.
_STEP, _LENGTH_STEP = 1e-3, 0.08
_PARTS_OF_STEP = (1.0, 0.5, 0.25)
_BEST = 3  # beginnings that are fitted on
_CLOSE = 5.0  # of the cost; those that cost less than that above the best have lengths fitted
_READINGS = 2  # of peaks, before they are the same for all
_ROUNDS = 3  # at most, of the fit of lengths, after the best is known


def fit_simulator(
    spectra: Sequence[ReferenceSpectrum],
    axis: Axis,
    *,
    crystal: str | None = None,
    progress: Progress | None = None,
) -> FittedSimulator:
    """Find crystal, surroundings, calibration, resolution and light.

    Materials, sizes and surroundings are tried; then all lengths are fitted together with the rest
    by least squares, with derivatives by differences, each with a transport of its own. Widths of
    the peaks tell the materials that come into question.

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
    rough = _rough(spectra, axis, crystal)
    # The same peaks from here on: costs are compared.
    peaks = read(spectra, rough)
    starts = _starts(spectra, peaks, rough, crystal, report)
    fits = []
    for number, start in enumerate(starts):
        report(0.3 + 0.3 * number / len(starts), "fitting lengths")
        fits.append(fit(spectra, peaks, start, lengths=True))
    best = _cheapest(fits)
    for number in range(_ROUNDS):
        report(0.6 + 0.3 * number / _ROUNDS, "fitting lengths")
        again = fit(spectra, peaks, best, lengths=True)
        if again is best:
            break
        best = again
    report(0.9, "fitting with full statistics")
    full = measured(spectra, peaks, replace(best, histories=_FINAL_HISTORIES))
    return fit(spectra, peaks, full, most=40)


def _cheapest(fits: Sequence[FittedSimulator]) -> FittedSimulator:
    return min(fits, key=lambda one: one.cost)


def _rough(spectra: Sequence[ReferenceSpectrum], axis: Axis, known: str | None) -> FittedSimulator:
    """About where peaks are and how wide, whatever the crystal."""
    guesses = []
    diameter, length = _ROUGH.get(known or "", _ROUGHLY)
    for width, window, (distance, height) in product(_WIDTHS, _WINDOWS, _AROUND):
        lengths = Lengths(diameter, length, window, distance=distance, height=height)
        values = Parameters(width=width, noise=min(0.5, 300.0 * width))
        guess = FittedSimulator(known or "NaI", lengths, values, axis, _SEARCH_HISTORIES)
        guesses.append(fit_scatter(spectra, guess))
    best = min(guesses, key=lambda one: one.misfit)
    # Peaks that were not clear with a first width are with a better one.
    for _ in range(_READINGS):
        best = fit(spectra, read(spectra, best), replace(best, cost=np.inf))
    return best


def _starts(
    spectra: Sequence[ReferenceSpectrum],
    peaks: Sequence[References],
    rough: FittedSimulator,
    known: str | None,
    report: Progress,
) -> list[FittedSimulator]:
    """The best of some materials, sizes and surroundings to begin with."""
    width = float(rough.detector.fwhm(CAESIUM_LINE)) / CAESIUM_LINE
    made_of = [name for name, (low, high) in _MATERIALS.items() if low <= width < high]
    made_of = [known] if known else made_of or list(_MATERIALS)
    fits = []
    for number, material in enumerate(made_of):
        report(0.2 * number / len(made_of), f"trying {material}")
        tries = product(_DIAMETERS, _ASPECTS, _WINDOWS, _AROUND)
        for diameter, aspect, window, (distance, height) in tries:
            length = aspect * diameter
            lengths = Lengths(diameter, length, window, distance=distance, height=height)
            tried = replace(
                rough,
                material=material,
                lengths=lengths,
                histories=_search_histories(diameter),
                cost=np.inf,
            )
            fits.append(fit(spectra, peaks, tried, most=6))
    near = sorted(fits, key=lambda one: one.cost)[:_BEST]
    most = max(one.histories for one in near)
    again = [
        fit(spectra, peaks, measured(spectra, peaks, replace(one, histories=most))) for one in near
    ]
    least = _cheapest(again).cost
    return sorted((one for one in again if one.cost < least + _CLOSE), key=lambda one: one.cost)


def _search_histories(diameter: float) -> int:
    return int(_SEARCH_HISTORIES * np.clip(_SEARCH_SIZE / diameter, 1.0, 4.0))


def fit_scatter(spectra: Sequence[ReferenceSpectrum], first: FittedSimulator) -> FittedSimulator:
    """Fit to shapes only what floor and backscatter add; `cost` is not known after it."""
    target = Target.of(spectra, first)
    parts = target.parts(first)

    def errors(numbers: FloatArray) -> FloatArray:
        weights = np.append(1.0, numbers)
        return np.concatenate(
            [
                scaled_to(shape, weights @ part) - shape
                for shape, part in zip(target.shapes, parts, strict=True)
            ]
        )

    bounds = (_LOW.floor, _LOW.backscatter), (_HIGH.floor, _HIGH.backscatter)
    found = least_squares(errors, (first.values.floor, first.values.backscatter), bounds=bounds)
    floor, backscatter = found.x.tolist()
    values = first.values._replace(floor=floor, backscatter=backscatter)
    return replace(first, values=values, misfit=2.0 * float(found.cost) / len(spectra))


def fit(
    spectra: Sequence[ReferenceSpectrum],
    peaks: Sequence[References],
    first: FittedSimulator,
    *,
    lengths: bool = False,
    most: int = 10,
) -> FittedSimulator:
    """Least squares of all that is wrong.

    Parameters
    ----------
    spectra : sequence of ReferenceSpectrum
        Those to fit.
    peaks : sequence of dict
        Of each of them.
    first : FittedSimulator
        To begin with.
    lengths : bool
        Whether to fit lengths, too.
    most : int
        Places that the fit looks at.

    Returns
    -------
    FittedSimulator
        Where the fit ends, if that costs less than its beginning; else a place on the way there,
        or the beginning. Infinite is a cost that is not known.
    """
    target = Target.at(spectra, peaks, first)
    shortest = _shortest(spectra)
    free = _free_lengths(first.material) if lengths else ()
    low = np.append(np.array(_LOW), np.log([getattr(shortest, name) for name in free]))
    high = np.append(np.array(_HIGH), np.log([getattr(_LONGEST, name) for name in free]))
    scale = np.append(np.array(_SCALE), np.full(len(free), _LENGTH_SCALE))
    steps = np.append(_STEP * np.array(_SCALE), np.full(len(free), _LENGTH_STEP))
    begin = np.append(np.array(first.values), np.log([getattr(first.lengths, one) for one in free]))
    n_values = len(_LOW)

    def simulator(numbers: FloatArray) -> FittedSimulator:
        sizes = dict(zip(free, np.exp(numbers[n_values:]).tolist(), strict=True))
        return replace(
            first,
            values=Parameters(*numbers[:n_values].tolist()),
            lengths=first.lengths._replace(**sizes),
        )

    def residuals(numbers: FloatArray) -> FloatArray:
        return target.residuals(simulator(numbers))

    def slopes(numbers: FloatArray, indices: Sequence[int]) -> FloatArray:
        here = residuals(numbers)
        columns = np.zeros((here.size, len(indices)))
        for column, index in enumerate(indices):
            moved = numbers.copy()
            inside = numbers[index] + steps[index] <= high[index]
            moved[index] += steps[index] if inside else -steps[index]
            columns[:, column] = (residuals(moved) - here) / (moved[index] - numbers[index])
        return columns

    inside = 1e-6 * (high - low)
    begin = np.clip(begin, low + inside, high - inside)
    # Those by lengths change little during a fit, and each takes a transport.
    by_lengths = slopes(begin, range(n_values, begin.size))

    def derivatives(numbers: FloatArray) -> FloatArray:
        return np.hstack([slopes(numbers, range(n_values)), by_lengths])

    found = least_squares(
        residuals,
        begin,
        jac=derivatives,
        bounds=(low, high),
        x_scale=scale,
        max_nfev=most,
    )
    # Peaks that are read anew may tell that this was too far.
    for part in _PARTS_OF_STEP:
        some = measured(spectra, peaks, simulator(begin + part * (found.x - begin)))
        if some.cost < first.cost:
            return some
    return first


def _shortest(spectra: Sequence[ReferenceSpectrum]) -> Lengths:
    """Shells of steel stay off detector and floor."""
    around = 1.2 * max(one.thickness for one in spectra)
    return _SHORTEST._replace(
        distance=max(_SHORTEST.distance, around), height=max(_SHORTEST.height, around)
    )


def _free_lengths(material: str) -> tuple[str, ...]:
    return tuple(one for one in Lengths._fields if one != "dead_layer" or has_contact(material))
