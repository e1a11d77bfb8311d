"""The simulator's benchmark: parameters that are known are found, and errors are seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate import run_simulator_benchmark, simulator, simulator_search
from spectraloom.evaluate.simulator_data import ReferenceSpectrum
from spectraloom.evaluate.simulator_fit import (
    FittedSimulator,
    Lengths,
    Parameters,
    shape_error,
)
from spectraloom.evaluate.simulator_model import deposited, folded
from spectraloom.evaluate.simulator_search import fit, fit_simulator
from spectraloom.evaluate.simulator_target import Target, measured, read
from spectraloom.io import read_groups
from spectraloom.physics.gamma import GammaDetector, spectrum
from spectraloom.physics.gamma.transport.cache import CACHE_DIR_VARIABLE
from spectraloom.physics.gamma.transport.response_matrix import response_matrix

AXIS = Axis.regular(0.0, 2000.0, 400)
VALUES = Parameters(width=0.066, exponent=0.6, noise=0.0, backscatter=0.1)
TRUE = FittedSimulator(
    "NaI", Lengths(7.62, 7.62, 0.05, distance=50.0, height=50.0), VALUES, AXIS, histories=1500
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Few photons, and no lengths tried but what the spectra were made with."""
    monkeypatch.setenv(CACHE_DIR_VARIABLE, str(tmp_path))
    monkeypatch.setattr(simulator_search, "_MATERIALS", {"NaI": (0.045, 0.2)})
    monkeypatch.setattr(simulator_search, "_WIDTHS", (0.03, 0.06, 0.09))
    monkeypatch.setattr(simulator_search, "_WINDOWS", (0.05,))
    monkeypatch.setattr(simulator_search, "_DIAMETERS", (7.62,))
    monkeypatch.setattr(simulator_search, "_ASPECTS", (1.0,))
    monkeypatch.setattr(simulator_search, "_AROUND", ((100.0, 100.0),))
    monkeypatch.setattr(simulator_search, "_free_lengths", lambda _material: ())
    monkeypatch.setattr(simulator_search, "_SEARCH_HISTORIES", 1500)
    monkeypatch.setattr(simulator_search, "_FINAL_HISTORIES", 1500)

    def counts(self: FittedSimulator, one: ReferenceSpectrum) -> np.ndarray:
        return folded(deposited(one, self.arrangement), self.detector, self.weights)

    monkeypatch.setattr(FittedSimulator, "counts", counts)


def made(names: Sequence[str], true: FittedSimulator) -> list[ReferenceSpectrum]:
    """Reference spectra that our own model makes."""
    rng = np.random.default_rng(1)
    found = []
    for name in names:
        empty = ReferenceSpectrum(name, np.zeros(400), np.zeros(400))
        expected = folded(deposited(empty, true.arrangement), true.detector, true.weights)
        counts = rng.poisson(1e6 * expected / expected.sum()).astype(float)
        found.append(ReferenceSpectrum(name, counts, counts))
    return found


def test_counts_are_kept_when_they_are_folded(small: None) -> None:
    wide = GammaDetector("wide", Axis.regular(-500.0, 4000.0, 900), fwhm_662=0.07)
    sharp = replace(wide, fwhm_662=0.001)
    (one,) = made(["Co60"], TRUE)
    some = deposited(one, TRUE.arrangement)
    total = float(some.peaks[0].sum() + some.bins[0].sum())
    for detector in (wide, sharp):
        kept = folded(some, detector, np.array([1.0, 0.0, 0.0])).sum()
        assert kept == pytest.approx(total, rel=1e-6)


def test_what_is_judged_is_what_was_fitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The simulator of the package, and the faster folding of a fit, with as many histories."""
    monkeypatch.setenv(CACHE_DIR_VARIABLE, str(tmp_path))
    few = partial(response_matrix, histories=20_000)
    monkeypatch.setattr(spectrum, "response_matrix", few)
    some = replace(TRUE, values=VALUES._replace(floor=0.4, slope=0.004, gain=1.01, offset=3.0))
    for name, thickness in (("Cs137", 0.0), ("Co60", 1.2)):
        one = ReferenceSpectrum(name, np.zeros(400), np.zeros(400), thickness)
        many = replace(some, histories=20_000)
        fitted = folded(deposited(one, many.arrangement), many.detector, many.weights)
        judged = AXIS.edges[:-1] >= 40.0
        own = many.counts(one)
        assert shape_error(own[judged], fitted[judged]) < 1e-4
        assert fitted[judged].sum() == pytest.approx(own[judged].sum(), rel=0.01)
        # Without what the floor scatters they do not agree.
        bare = folded(deposited(one, many.arrangement), many.detector, np.array([1.0, 0.0, 0.1]))
        assert shape_error(own[judged], bare[judged]) > 1e-4


def test_shape_errors_are_those_of_angles() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, 1, 50), rng.uniform(0, 1, 50)
    assert shape_error(x, 3.0 * x) == pytest.approx(0.0, abs=1e-12)
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    assert shape_error(x, y) == pytest.approx(1.0 - cosine**2)


def test_calibration_and_resolution_are_found(small: None) -> None:
    # What is at E is counted at 1.01 E + 4.
    true = replace(TRUE, values=VALUES._replace(gain=1.01, offset=4.0))
    found = fit_simulator(made(["Eu152", "Y88"], true), AXIS)
    got = found.to_dict()
    assert got["crystal"] == "NaI"
    # Distance and floor are not those that the spectra were made with.
    for energy in (122.0, 662.0, 1836.0):
        place = got["gain"] * found.detector.apparent(energy) + got["offset_kev"]
        assert place == pytest.approx(1.01 * energy + 4.0, abs=1.5)
        assert found.detector.fwhm(energy) == pytest.approx(true.detector.fwhm(energy), rel=0.07)
    assert found.misfit < 3e-3


def test_steps_of_a_fit_do_not_wander(small: None) -> None:
    """Peaks that a Gaussian reads wrong do not pull a fit away from where shapes agree."""
    spectra = made(["Ba133", "Co60"], TRUE)
    first = Parameters(width=0.07, gain=1.005, offset=-3.0, backscatter=0.1)
    begun = replace(TRUE, values=first)
    peaks = read(spectra, begun)
    once = fit(spectra, peaks, fit(spectra, peaks, begun, most=60), most=60)
    for energy in (81.0, 303.0, 356.0, 1173.0, 1332.0):
        place = once.values.gain * once.detector.apparent(energy) + once.values.offset
        width = float(TRUE.detector.fwhm(energy))
        assert place == pytest.approx(energy, abs=0.02 * width)
        assert once.detector.fwhm(energy) == pytest.approx(width, rel=0.03)
    again = fit(spectra, peaks, once, most=60)
    assert again.misfit < 1.02 * once.misfit


def test_lengths_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_DIR_VARIABLE, str(tmp_path))
    true = replace(TRUE, lengths=Lengths(4.0, 4.0, 0.3, distance=50.0, height=50.0))
    spectra = made(["Eu152", "Y88"], replace(true, histories=20_000))
    wrong = Lengths(5.5, 5.5, 0.1, distance=50.0, height=50.0)
    peaks = read(spectra, true)
    some = measured(spectra, peaks, replace(true, lengths=wrong, histories=6000))
    monkeypatch.setattr(
        simulator_search, "_free_lengths", lambda _material: ("diameter", "length", "window")
    )
    begun = some.cost
    for _ in range(2):
        some = fit(spectra, peaks, some, lengths=True, most=6)
    # Diameter and length stand for each other; what stops photons and keeps them is their mean.
    size = np.sqrt(some.lengths.diameter * some.lengths.length)
    assert size == pytest.approx(4.0, rel=0.1)
    assert some.lengths.window == pytest.approx(0.3, abs=0.15)
    assert some.cost < begun - 10.0


def test_a_named_crystal_is_not_exchanged(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = {"NaI": (0.045, 0.2), "CsI": (0.045, 0.2)}
    monkeypatch.setattr(simulator_search, "_MATERIALS", widths)
    spectra = made(["Ba133", "Co60"], TRUE)
    fits = [fit_simulator(spectra, AXIS, crystal=name) for name in widths]
    assert [one.to_dict()["crystal"] for one in fits] == ["NaI", "CsI"]
    # Where no name tells, the crystal that made the spectra costs less, also the rarer one.
    assert fit_simulator(spectra, AXIS).material == "NaI"
    rare = made(["Ba133", "Co60"], replace(TRUE, material="CsI"))
    assert fit_simulator(rare, AXIS).material == "CsI"


def test_no_step_of_a_fit_takes_a_better_one_away(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps that only make things worse, as peaks that are read anew may tell, are undone."""
    spectra = made(["Ba133", "Co60"], TRUE)
    peaks = read(spectra, TRUE)
    good = measured(spectra, peaks, TRUE)
    gain = Parameters._fields.index("gain")

    def astray(_residuals: object, begin: np.ndarray, **_named: Any) -> OptimizeResult:
        moved = begin.copy()
        moved[gain] += 0.05
        return OptimizeResult(x=moved)

    monkeypatch.setattr(simulator_search, "least_squares", astray)
    assert fit(spectra, peaks, good) is good
    # From a place as bad, half of such a step back is better.
    bad = replace(TRUE, values=VALUES._replace(gain=0.97))
    some = fit(spectra, peaks, measured(spectra, peaks, bad))
    assert some.values.gain == pytest.approx(0.995) or some.values.gain == pytest.approx(1.02)
    assert some.cost < measured(spectra, peaks, bad).cost


def test_gross_errors_of_peaks_do_not_outweigh_the_rest(small: None) -> None:
    spectra = made(["Eu152", "Y88"], TRUE)
    # An x-ray that the tables have wrong, say: twice the counts around 122 keV.
    centers = AXIS.centers
    first = spectra[0]
    more = np.where(np.abs(centers - 122.0) < 15.0, 2.0, 1.0) * first.counts
    spectra[0] = replace(first, counts=more, variance=more)
    target = Target.at(spectra, read(spectra, TRUE), TRUE)
    residuals = target.residuals(TRUE)
    assert np.isfinite(residuals).all()
    n_shapes = sum(one.size for one in target.shapes)
    assert 5.0 < np.abs(residuals[n_shapes:]).max() < 15.0


def test_a_wrong_simulation_is_seen(
    small: None, steel_sphere_zip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = [_some(one) for one in read_groups(steel_sphere_zip)]
    groups = [one for one in groups if len(one)]
    fits: list[FittedSimulator] = []

    def fit(*given: Any, **named: Any) -> FittedSimulator:
        fits.append(fit_simulator(*given, **named))
        return fits[0]

    monkeypatch.setattr(simulator, "fit_simulator", fit)
    right = run_simulator_benchmark(groups, speed=False)
    assert right["protocol"]["detectors"]["steel sphere"]["fitted_nuclides"] == ["Ba133", "Co60"]
    assert {one["nuclide"] for one in right["shape"]["per_spectrum"]} == {"Co57", "Cs137"}
    assert right["shape"]["cosine"] > 0.98
    assert right["shape"]["nmse_db"] < right["shape"]["noise_limit_db"]
    assert right["attenuation"]["error"] < 0.1
    assert right["peaks"]["position_error_kev"] < 5.0

    # The same fit, but what it makes is moved, and weakened too much.
    monkeypatch.setattr(simulator, "fit_simulator", lambda *_, **__: fits[0])
    honest = FittedSimulator.counts
    monkeypatch.setattr(
        FittedSimulator,
        "counts",
        lambda self, one: np.roll(honest(self, one), 10) * np.exp(-2.0 * one.thickness),
    )
    wrong = run_simulator_benchmark(groups, speed=False)
    assert wrong["shape"]["nmse_db"] < right["shape"]["nmse_db"] - 5.0
    assert wrong["attenuation"]["error"] > 5.0 * right["attenuation"]["error"]
    assert wrong["peaks"]["position_error_kev"] > 15.0


def _some(group: Spectra) -> Spectra:
    thickness = group.column("thickness")
    keep = np.isin(thickness, [0.001, 5.2, 10.3, 20.5]) & (group.column("gain_shift") == 0)
    return group[keep]


def test_other_data_are_refused() -> None:
    with pytest.raises(DataError, match="no spectra"):
        run_simulator_benchmark([])
    with pytest.raises(DataError, match="GADRAS reference folder"):
        run_simulator_benchmark([Spectra(np.ones((3, 400)), AXIS)])
