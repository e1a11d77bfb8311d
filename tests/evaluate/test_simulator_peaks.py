"""Peaks of known area, measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from spectraloom.data import Axis
from spectraloom.evaluate.simulator_peaks import (
    FITTED,
    clear_peaks,
    compare_peaks,
    measure_peak,
    resolved_lines,
)
from spectraloom.physics.gamma import GammaDetector, nuclide
from spectraloom.physics.gamma.emission import EmissionLines, Line

AXIS = Axis.regular(0.0, 1000.0, 500)
SIGMA_TO_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))


def spectrum(center: float, fwhm: float, area: float, level: float, step: float) -> np.ndarray:
    peak = area * np.diff(norm.cdf(AXIS.edges, center, fwhm / SIGMA_TO_FWHM))
    below = step * (1.0 - norm.cdf(AXIS.centers, center, fwhm / SIGMA_TO_FWHM))
    return peak + level + below


@given(
    center=st.floats(300.0, 700.0),
    fwhm=st.floats(15.0, 60.0),
    area=st.floats(5e3, 1e6),
    step=st.floats(0.0, 20.0),
)
def test_a_peak_without_noise_is_measured_exactly(
    center: float, fwhm: float, area: float, step: float
) -> None:
    counts = spectrum(center, fwhm, area, 10.0, step)
    found = measure_peak(counts, counts, AXIS, center + 0.2 * fwhm, 1.15 * fwhm)
    assert found is not None
    assert found.area == pytest.approx(area, rel=1e-3)
    assert found.position == pytest.approx(center, abs=1e-2 * fwhm)
    assert found.fwhm == pytest.approx(fwhm, rel=1e-3)
    assert found.clear()


def test_the_stated_uncertainty_is_that_of_repeated_measurements() -> None:
    rng = np.random.default_rng(1)
    expected = spectrum(500.0, 35.0, 4000.0, 12.0, 5.0)
    areas, stated = [], []
    for _ in range(200):
        counts = rng.poisson(expected).astype(float)
        found = measure_peak(counts, counts, AXIS, 500.0, 35.0)
        assert found is not None
        areas.append(found.area)
        stated.append(found.area_uncertainty)
    spread = float(np.std(areas))
    # Width and position are fitted, too, and widen the spread beyond what is stated.
    assert 0.95 * np.mean(stated) < spread < 1.5 * np.mean(stated)
    assert abs(np.mean(areas) - 4000.0) < 4.0 * spread / np.sqrt(200)


def test_background_that_was_taken_off_makes_an_area_less_certain() -> None:
    counts = spectrum(500.0, 35.0, 4000.0, 12.0, 0.0)
    sure = measure_peak(counts, counts, AXIS, 500.0, 35.0)
    less = measure_peak(counts, counts + 400.0, AXIS, 500.0, 35.0)
    assert sure is not None
    assert less is not None
    assert less.area_uncertainty > 1.5 * sure.area_uncertainty


def test_no_peak_is_none() -> None:
    flat = np.full(500, 50.0)
    assert (
        measure_peak(flat, flat, AXIS, 500.0, 30.0) is None
        or not measure_peak(flat, flat, AXIS, 500.0, 30.0).clear()
    )  # type: ignore[union-attr]
    assert measure_peak(flat, flat, AXIS, 10.0, 30.0) is None
    assert measure_peak(flat, flat, AXIS, 1200.0, 30.0) is None


def lines(*pairs: tuple[float, float]) -> EmissionLines:
    return EmissionLines(tuple(Line(e, 0.0, i, 0.0, "gamma", "Xx1") for e, i in pairs))


def test_lines_are_resolved_where_neighbours_are_weak_or_far() -> None:
    def width(energy: np.ndarray) -> np.ndarray:
        return np.full_like(energy, 10.0)

    found = resolved_lines(lines((100.0, 1.0), (101.0, 1.0), (200.0, 1.0), (212.0, 0.5)), width)
    assert [(one.energy, one.intensity) for one in found] == [(100.5, 2.0)]
    # The weak neighbour of a strong line is none of its own.
    found = resolved_lines(lines((300.0, 1.0), (315.0, 0.01)), width)
    assert [one.energy for one in found] == [300.0]


def test_more_lines_are_resolved_by_a_better_detector() -> None:
    europium = nuclide("Eu152").lines.at_least(0.002)
    fine = resolved_lines(europium, lambda energy: np.full_like(energy, 2.0))
    coarse = resolved_lines(europium, lambda energy: 0.07 * energy)
    assert len(fine) > 3 * len(coarse) > 0
    assert any(abs(one.energy - 1408.0) < 0.2 for one in fine)


def test_peaks_of_a_reference_are_found_again_on_a_simulation() -> None:
    detector = GammaDetector("d", AXIS, fwhm_662=0.05)
    pair = lines((300.0, 1.0), (700.0, 1.0))
    fwhm = detector.fwhm([300.0, 700.0])
    # A gain of 1.01 and an offset of 2 keV move both peaks.
    places = [1.01 * energy + 2.0 for energy in (300.0, 700.0)]
    reference = spectrum(places[0], 1.01 * fwhm[0], 5e4, 20.0, 3.0)
    reference += spectrum(places[1], 1.01 * fwhm[1], 2e4, 20.0, 3.0)
    simulated = spectrum(places[0], 1.01 * fwhm[0], 4e4, 20.0, 3.0)
    simulated += spectrum(places[1], 1.01 * fwhm[1], 2e4, 20.0, 3.0)
    found = clear_peaks(reference, reference, AXIS, pair, detector, (1.01, 2.0))
    assert [line.energy for line in found] == [300.0, 700.0]
    both = compare_peaks(found, simulated, np.zeros(500), AXIS, detector, (1.01, 2.0))
    ratios = [own.area / true.area for true, own in both.values()]
    assert ratios == pytest.approx([0.8, 1.0], rel=5e-3)


def test_fits_use_peaks_that_are_not_judged() -> None:
    detector = GammaDetector("d", AXIS, fwhm_662=0.05)
    one = lines((500.0, 1.0))
    # The area is certain to about 5 %.
    counts = spectrum(500.0, float(detector.fwhm(500.0)), 900.0, 5.0, 0.0)
    assert not clear_peaks(counts, counts, AXIS, one, detector, (1.0, 0.0))
    assert len(clear_peaks(counts, counts, AXIS, one, detector, (1.0, 0.0), FITTED)) == 1
