from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data import Axis
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma import (
    BACKGROUND,
    GammaDetector,
    cross_sections,
    density,
    expected_spectrum,
    lines,
    mass_attenuation,
    scattered_fractions,
    sources,
    transmission,
)
from spectraloom.physics.gamma.response import PHOTON_EDGES, PHOTON_ENERGIES
from spectraloom.physics.gamma.templates import (
    _leaving_probability,
    _soil_flux,
    scattered_backward,
    scattered_by_layer,
)

DETECTOR = GammaDetector("d", Axis.from_polynomial((-8.0, 2.05, 7e-5), 1024))


def window(low: float, high: float) -> slice:
    return DETECTOR.axis.window(low, high)


@pytest.mark.parametrize("nuclide", sources())
def test_shapes_have_unit_area(nuclide: str) -> None:
    shape = expected_spectrum(nuclide, DETECTOR)
    assert shape.shape == (1024,)
    assert shape.min() >= 0.0
    assert shape.sum() == pytest.approx(1.0)
    assert not shape.flags.writeable


@pytest.mark.parametrize(
    ("nuclide", "energy", "reach"),
    [("Cs137", 661.7, 60), ("K40", 1460.8, 90), ("Co60", 1332.5, 60), ("Am241", 59.5, 12)],
)
def test_photopeaks_stand_at_their_lines(nuclide: str, energy: float, reach: float) -> None:
    near = window(energy - reach, energy + reach)
    shape = expected_spectrum(nuclide, DETECTOR)[near] / DETECTOR.axis.widths[near]
    # The continuum falls through the peak and pulls its top down by a little.
    assert DETECTOR.axis.centers[near][shape.argmax()] == pytest.approx(energy, rel=0.01, abs=1.0)


def test_backscatter_adds_a_bump_near_its_energy() -> None:
    bare = GammaDetector("d", DETECTOR.axis, backscatter=0.0)
    with_bump = GammaDetector("d", DETECTOR.axis, backscatter=0.1)
    peak = window(600, 720)
    ratio = [
        shape / shape[peak].sum()
        for shape in (expected_spectrum("Cs137", d) for d in (with_bump, bare))
    ]
    added = (ratio[0] - ratio[1]) / DETECTOR.axis.widths
    assert DETECTOR.axis.centers[added.argmax()] == pytest.approx(195.0, abs=15.0)


@given(energy=st.floats(20.0, 2700.0))
def test_photons_turned_back_have_less_than_the_energy_of_90_degrees(energy: float) -> None:
    shares = scattered_backward(np.array([energy]))[0]
    sideways = energy / (1 + energy / 510.99895)
    backward = energy / (1 + 2 * energy / 510.99895)
    assert shares.sum() == pytest.approx(1.0)
    assert shares[PHOTON_EDGES[:-1] > sideways].sum() == 0.0
    assert shares[PHOTON_EDGES[1:] < backward].sum() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("material", "thickness"), [("Pb", 0.5), ("Fe", 2.0), ("Al", 5.0)])
def test_peaks_fall_exponentially(material: str, thickness: float) -> None:
    # The ratio of two peaks of Eu-152, far apart, above the continuum at their feet.
    def peak(shape: np.ndarray, low: float, high: float) -> float:
        inside = window(low, high)
        feet = np.r_[shape[inside.start - 6 : inside.start], shape[inside.stop : inside.stop + 6]]
        return float(shape[inside].sum() - feet.mean() * (inside.stop - inside.start))

    fine = GammaDetector("fine", DETECTOR.axis, fwhm_662=0.02)
    ratios = []
    for layer in (None, (material, thickness)):
        shape = expected_spectrum("Eu152", fine, layer)
        ratios.append(peak(shape, 330, 358) / peak(shape, 1375, 1440))
    low, high = transmission(material, thickness, [344.3, 1408.0])
    assert ratios[1] / ratios[0] == pytest.approx(low / high, rel=0.05)
    # coherent scattering is not counted as a loss, so the narrow beam falls a little faster
    depth = density(material) * thickness * mass_attenuation(material, 344.3)
    assert np.exp(-depth) < low


@given(
    material=st.sampled_from(["air", "Al", "Fe", "Pb"]),
    thickness=st.floats(1e-4, 5.0),
    energy=st.floats(30.0, 2700.0),
)
def test_a_layer_makes_no_photons(material: str, thickness: float, energy: float) -> None:
    passed = scattered_by_layer((material, thickness), np.array([energy]), np.array([1.0]))
    lost = 1 - transmission(material, thickness, energy)
    assert passed.min() >= 0.0
    assert passed.sum() <= lost * (1 + 1e-9)
    assert passed[PHOTON_EDGES[:-1] > energy].sum() == 0.0


def test_a_thin_layer_scatters_once() -> None:
    energies, photons = np.array([661.657]), np.array([1e6])
    scattered = scattered_by_layer(("Al", 1e-4), energies, photons)
    chance = 1e-4 * density("Al") * cross_sections("Al", energies).incoherent
    once = 1e6 * chance @ scattered_fractions(energies, PHOTON_EDGES)
    np.testing.assert_allclose(scattered, once, rtol=2e-3, atol=1e-5)
    assert scattered_by_layer(("Al", 0.0), energies, photons).sum() == 0.0


@given(before=st.floats(1e-3, 30.0), after=st.floats(1e-3, 30.0))
def test_chance_to_leave_a_layer_is_the_mean_over_depths(before: float, after: float) -> None:
    middle = (np.arange(20000) + 0.5) / 20000
    weight = np.exp(-before * middle)
    mean = np.sum(weight * np.exp(-after * (1 - middle))) / weight.sum()
    closed = _leaving_probability(np.array([before]), np.array([after]))
    assert closed[0, 0] == pytest.approx(mean, rel=1e-5)
    same = _leaving_probability(np.array([before]), np.array([before]))[0, 0]
    assert same == pytest.approx(before * np.exp(-before) / -np.expm1(-before))


def test_soil_absorbs_the_energy_that_it_emits() -> None:
    direct, continuum = _soil_flux()
    energies, born = lines(BACKGROUND)
    absorbed = 0.0
    for at, flux in ((energies, direct), (PHOTON_ENERGIES, continuum)):
        section = cross_sections("SiO2", at)
        kept = scattered_fractions(at, PHOTON_EDGES) @ PHOTON_ENERGIES
        absorbed += np.sum(flux * (section.photoelectric + section.pair) * at)
        absorbed += np.sum(flux * section.incoherent * (at - kept))
    assert absorbed == pytest.approx(np.sum(born * energies), rel=5e-3)


def test_background_shows_potassium_and_thorium_on_a_falling_continuum() -> None:
    shape = expected_spectrum(BACKGROUND, DETECTOR) / DETECTOR.axis.widths
    for energy, reach in ((1460.8, 90), (609.3, 30)):
        near = window(energy - reach, energy + reach)
        centers = DETECTOR.axis.centers[near]
        feet = np.interp(centers, centers[[0, -1]], shape[near][[0, -1]])
        peak = centers[(shape[near] - feet).argmax()]
        assert peak == pytest.approx(energy, abs=0.02 * energy)
    low, middle, high = (shape[window(*w)].mean() for w in ((80, 120), (400, 450), (1000, 1050)))
    assert low > 4 * middle > 8 * high


def test_nuclides_look_the_same_on_another_calibration() -> None:
    other = GammaDetector("d", Axis.regular(-8.0, 2164.0, 543))
    one, two = expected_spectrum("Cs137", DETECTOR), expected_spectrum("Cs137", other)
    share = [shape[d.axis.window(600, 720)].sum() for shape, d in ((one, DETECTOR), (two, other))]
    assert share[0] == pytest.approx(share[1], rel=0.01)


def test_impossible_templates_are_refused() -> None:
    with pytest.raises(DataError, match="thinner absorber"):
        expected_spectrum("Am241", DETECTOR, ("Pb", 1.0))
    with pytest.raises(DataError, match="comes from all sides"):
        expected_spectrum(BACKGROUND, DETECTOR, ("Pb", 0.1))
    with pytest.raises(LabelError, match="known sources"):
        expected_spectrum("Xx1", DETECTOR)
    with pytest.raises(LabelError, match="known materials"):
        expected_spectrum("Cs137", DETECTOR, ("cheese", 1.0))
    with pytest.raises(DataError, match="zero or more"):
        expected_spectrum("Cs137", DETECTOR, ("Pb", -1.0))
