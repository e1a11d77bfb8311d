"""The simulator's benchmark: parameters that are known are found, and errors are seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate import run_simulator_benchmark, simulator, simulator_search
from spectraloom.evaluate.simulator_data import ReferenceSpectrum
from spectraloom.evaluate.simulator_fit import (
    FittedSimulator,
    Parameters,
    fit_parameters,
    shape_error,
)
from spectraloom.evaluate.simulator_model import Arrangement, deposited, folded
from spectraloom.evaluate.simulator_search import fit_simulator
from spectraloom.io import read_groups
from spectraloom.physics.gamma import GammaDetector
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.transport.cache import CACHE_DIR_VARIABLE
from spectraloom.physics.gamma.transport.surroundings import Surroundings

AXIS = Axis.regular(0.0, 2000.0, 400)
ARRANGEMENT = Arrangement(Crystal(), Surroundings(distance=50.0), histories=1500)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Few photons, and nothing tried but what the spectra were made with."""
    monkeypatch.setenv(CACHE_DIR_VARIABLE, str(tmp_path))
    monkeypatch.setattr(simulator_search, "_MATERIALS", {"NaI": (0.045, 0.2)})
    monkeypatch.setattr(simulator_search, "_WIDTHS", (0.03, 0.06, 0.09))
    monkeypatch.setattr(simulator_search, "_WINDOWS", (0.05,))
    monkeypatch.setattr(simulator_search, "_SIZES", ((7.62, 7.62),))
    monkeypatch.setattr(simulator_search, "_AROUND", (Surroundings(),))
    monkeypatch.setattr(simulator_search, "_MOVES", ())
    monkeypatch.setattr(simulator_search, "_SEARCH_HISTORIES", 1500)
    monkeypatch.setattr(simulator_search, "_FINAL_HISTORIES", 1500)

    def counts(self: FittedSimulator, one: ReferenceSpectrum) -> np.ndarray:
        return folded(deposited(one, self.arrangement), self.detector, self.weights)

    monkeypatch.setattr(FittedSimulator, "counts", counts)


def made(names: Sequence[str], detector: GammaDetector, backscatter: float) -> list:
    """Reference spectra that our own model makes."""
    rng = np.random.default_rng(1)
    found = []
    for name in names:
        empty = ReferenceSpectrum(name, np.zeros(400), np.zeros(400))
        expected = folded(deposited(empty, ARRANGEMENT), detector, np.array([1.0, backscatter]))
        counts = rng.poisson(1e6 * expected / expected.sum()).astype(float)
        found.append(ReferenceSpectrum(name, counts, counts))
    return found


def test_counts_are_kept_when_they_are_folded(small: None) -> None:
    wide = GammaDetector("wide", Axis.regular(-500.0, 4000.0, 900), fwhm_662=0.07)
    sharp = replace(wide, fwhm_662=0.001)
    (one,) = made(["Co60"], replace(wide, axis=AXIS), 0.0)
    some = deposited(one, ARRANGEMENT)
    total = float(some.peaks[0].sum() + some.bins[0].sum())
    for detector in (wide, sharp):
        kept = folded(some, detector, np.array([1.0, 0.0])).sum()
        assert kept == pytest.approx(total, rel=1e-6)


def test_shape_errors_are_those_of_angles() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, 1, 50), rng.uniform(0, 1, 50)
    assert shape_error(x, 3.0 * x) == pytest.approx(0.0, abs=1e-12)
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    assert shape_error(x, y) == pytest.approx(1.0 - cosine**2)


def test_calibration_and_resolution_are_found(small: None) -> None:
    true = AXIS.edges
    # Channels that are 1 % and 4 keV off: what is at E is counted at 1.01 E + 4.
    detector = GammaDetector(
        "true", Axis.from_edges((true - 4.0) / 1.01), fwhm_662=0.066, fwhm_exponent=0.6
    )
    found = fit_simulator(made(["Eu152", "Y88"], detector, 0.1), AXIS)
    got = found.to_dict()
    assert got["crystal"] == "NaI"
    # The distance is not the one that the spectra were made at.
    for energy in (122.0, 662.0, 1836.0):
        place = got["gain"] * found.detector.apparent(energy) + got["offset_kev"]
        assert place == pytest.approx(1.01 * energy + 4.0, abs=1.5)
        assert found.detector.fwhm(energy) == pytest.approx(detector.fwhm(energy), rel=0.07)
    assert found.misfit < 2e-3


def test_steps_of_a_fit_do_not_wander(small: None) -> None:
    """Peaks that a Gaussian reads wrong do not pull a fit away from where shapes agree."""
    detector = GammaDetector("true", AXIS, fwhm_662=0.066, fwhm_exponent=0.6)
    spectra = made(["Ba133", "Co60"], detector, 0.1)
    first = Parameters(width=0.07, gain=1.005, offset=-3.0, backscatter=0.1)
    once = fit_parameters(spectra, FittedSimulator(ARRANGEMENT, first, AXIS), most=60)
    for energy in (81.0, 303.0, 356.0, 1173.0, 1332.0):
        place = once.values.gain * once.detector.apparent(energy) + once.values.offset
        assert place == pytest.approx(energy, abs=0.02 * detector.fwhm(energy))
        assert once.detector.fwhm(energy) == pytest.approx(detector.fwhm(energy), rel=0.03)
    again = fit_parameters(spectra, once, most=60)
    assert again.misfit < 1.02 * once.misfit
    assert again.cost < once.cost + 0.1


def test_a_named_crystal_is_not_exchanged(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = {"NaI": (0.045, 0.2), "CsI": (0.045, 0.2)}
    monkeypatch.setattr(simulator_search, "_MATERIALS", widths)
    monkeypatch.setattr(simulator_search, "_MOVES", (simulator_search._material,))
    spectra = made(["Ba133", "Co60"], GammaDetector("true", AXIS, fwhm_662=0.066), 0.1)
    fits = [fit_simulator(spectra, AXIS, crystal=name) for name in widths]
    assert [one.to_dict()["crystal"] for one in fits] == ["NaI", "CsI"]


def test_no_step_of_a_fit_takes_a_better_one_away(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps that only make things worse, as least squares of shapes may by the cost, are undone."""
    spectra = made(["Ba133", "Co60"], GammaDetector("true", AXIS, fwhm_662=0.066), 0.1)
    honest = simulator_search.fit_parameters
    costs: list[float] = []

    def worse(*given: Any, **named: Any) -> FittedSimulator:
        found = honest(*given, **named)
        moved = found.values._replace(gain=1.01 * found.values.gain)
        found = replace(found, values=moved, misfit=100.0 * found.misfit)
        costs.append(found.cost)
        return found

    monkeypatch.setattr(simulator_search, "fit_parameters", worse)
    good = honest(spectra, FittedSimulator(ARRANGEMENT, Parameters(), AXIS))
    monkeypatch.setattr(simulator_search, "_start", lambda *_: good)
    found = fit_simulator(spectra, AXIS)
    # One after each round, and one with full statistics.
    assert len(costs) == len(simulator_search._STEPS) + 1
    assert found.values == good.values
    assert found.cost < min(costs)


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
