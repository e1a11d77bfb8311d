from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectraloom.data import Axis
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma import (
    BACKGROUND,
    Background,
    Crystal,
    Flux,
    GammaDetector,
    Surroundings,
    background_rates,
    compton_edge,
    detector,
    detector_counts,
    emerging,
    expected_counts,
    expected_spectrum,
    material,
    nuclide,
    response_matrix,
    sources,
)
from spectraloom.physics.gamma import spectrum as spectrum_module
from spectraloom.physics.gamma.spectrum import turned_back
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES, PHOTON_ENERGIES

DETECTOR = GammaDetector("d", Axis.regular(-100.0, 3400.0, 1750))
BARE = replace(DETECTOR, backscatter=0.0)


def of_lines(energies: list[float], photons: list[float]) -> Flux:
    nothing = np.zeros(PHOTON_ENERGIES.size)
    return Flux(np.array(energies), np.array(photons), nothing, nothing)


def window(low: float, high: float, axis: Axis = DETECTOR.axis) -> slice:
    return axis.window(low, high)


@pytest.fixture
def few_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    """Responses of few histories at few energies, for crystals that no other test has."""
    monkeypatch.setattr(
        spectrum_module,
        "response_matrix",
        lambda crystal, incidence: response_matrix(
            crystal, incidence, histories=10_000, energies=[20.0, 33.0, 34.0, 80.0, 250.0, 700.0]
        ),
    )


@pytest.mark.parametrize("energy", [59.54, 356.0, 661.657, 1332.5, 2614.55])
def test_every_deposit_is_counted(energy: float) -> None:
    counts = detector_counts(of_lines([energy], [1.0]), BARE, distance=1e6)
    response = response_matrix(BARE.crystal, "front")
    deposits = response.deposits([energy], [0.0, 1e4])
    whole = deposits.areas.sum() + deposits.continuum.sum()
    assert counts.sum() == pytest.approx(whole, rel=1e-3)


def test_photons_of_a_bin_look_like_a_line_in_its_middle() -> None:
    at = int(np.searchsorted(PHOTON_EDGES, 661.0)) - 1
    nothing = np.zeros(PHOTON_ENERGIES.size)
    one = nothing.copy()
    one[at] = 1.0
    scattered = detector_counts(Flux(np.zeros(0), np.zeros(0), one, nothing), BARE, distance=500.0)
    line = detector_counts(of_lines([PHOTON_ENERGIES[at]], [1.0]), BARE, distance=500.0)
    np.testing.assert_allclose(scattered, line, atol=5e-3 * line.max())


@pytest.mark.parametrize(
    ("name", "energy", "reach"),
    [("Cs137", 661.7, 60), ("K40", 1460.8, 90), ("Co60", 1332.5, 60), ("Am241", 59.5, 12)],
)
def test_photopeaks_stand_at_their_lines(name: str, energy: float, reach: float) -> None:
    near = window(energy - reach, energy + reach)
    shape = expected_spectrum(name, DETECTOR)[near]
    # The continuum falls through the peak and pulls its top down by a little.
    assert DETECTOR.axis.centers[near][shape.argmax()] == pytest.approx(energy, rel=0.01, abs=2.0)


def test_textbook_features_stand_where_they_belong() -> None:
    sharp = GammaDetector("s", Axis.regular(0.0, 3000.0, 3000), fwhm_662=0.003, backscatter=0.0)
    counts = detector_counts(of_lines([2614.55], [1.0]), sharp, distance=1e4)
    for energy in (2614.55, 2614.55 - 511.0, 2614.55 - 1022.0):
        near = window(energy - 15, energy + 15, sharp.axis)
        peak = sharp.axis.centers[near][counts[near].argmax()]
        assert peak == pytest.approx(energy, abs=2.0)
    counts = detector_counts(of_lines([661.657], [1.0]), sharp, distance=1e4)
    edge = float(compton_edge(661.657))
    near = window(edge - 40, edge + 40, sharp.axis)
    smooth = np.convolve(counts, np.ones(5) / 5, "same")
    steepest = sharp.axis.centers[near][np.diff(smooth[near]).argmin()]
    assert steepest == pytest.approx(edge, abs=4.0)


def test_backscatter_adds_a_bump_at_its_energy() -> None:
    added = expected_counts("Cs137", DETECTOR) - expected_counts("Cs137", BARE)
    assert DETECTOR.axis.centers[added.argmax()] == pytest.approx(195.0, abs=15.0)


@given(energy=st.floats(20.0, 2700.0), photons=st.floats(0.1, 1e6))
def test_as_many_photons_are_turned_back_as_came(energy: float, photons: float) -> None:
    turned = turned_back(of_lines([energy], [photons]))
    assert turned.sum() == pytest.approx(photons)
    sideways, backward = energy / (1 + energy / 510.999), energy / (1 + 2 * energy / 510.999)
    assert turned[PHOTON_EDGES[:-1] > sideways].sum() == 0.0
    assert turned[PHOTON_EDGES[1:] < backward].sum() == pytest.approx(0.0, abs=1e-9 * photons)


@pytest.mark.parametrize(("energy", "distance"), [(59.54, 77.0), (661.657, 100.0), (122.0, 200.0)])
def test_counts_are_those_that_a_point_gives_at_its_distance(
    energy: float, distance: float
) -> None:
    counts = detector_counts(of_lines([energy], [1.0]), BARE, distance=distance)
    point = response_matrix(
        BARE.crystal, distance, histories=100_000, energies=[energy, 1.02 * energy]
    )
    deposits = point.deposits([energy], [0.0, 1e4])
    whole = deposits.areas.sum() + deposits.continuum.sum()
    assert counts.sum() == pytest.approx(whole, rel=0.01)


def test_from_very_far_counts_fall_with_the_square_of_the_distance() -> None:
    far, farther = (
        expected_counts("Cs137", BARE, Surroundings(distance=d, air=False)).sum()
        for d in (1e5, 2e5)
    )
    assert far / farther == pytest.approx(4.0, rel=1e-3)


@pytest.mark.usefixtures("few_histories")
def test_of_a_near_source_no_more_is_turned_back_than_it_emits() -> None:
    axis = Axis.regular(0.0, 750.0, 75)
    fast = GammaDetector("fast", axis, Crystal("NaI", (3.1, 3.1)), backscatter=0.06)

    def added(distance: float) -> float:
        flux = of_lines([661.657], [1.0 / (4.0 * np.pi * distance**2)])
        bare = detector_counts(flux, replace(fast, backscatter=0.0), distance=distance).sum()
        counts = detector_counts(flux, fast, distance=distance).sum()
        assert counts < 0.6  # of a photon per decay; half of them fly away
        return float((counts - bare) / bare)

    far = added(1000.0)
    for distance in (0.01, 0.1, 0.5, 3.0):
        assert 0.3 * far < added(distance) < 3.0 * far


def test_what_a_shield_leaves_of_weak_lines_is_counted() -> None:
    # Of americium behind lead only lines of some 1e-6 photons per decay remain, 662 keV before all.
    counts = expected_counts("Am241", BARE, Surroundings(shells=(("Pb", 0.5),)))
    lines = nuclide("Am241").lines
    passed = material("Pb").transmission(0.5, lines.energies)
    photons = lines.intensities * passed / (4.0 * np.pi * 100.0**2)
    strongest = lines.energies[photons.argmax()]
    assert strongest == pytest.approx(662.4, abs=0.1)
    assert lines.intensities[photons.argmax()] < 1e-5
    # What is scattered by little adds some, air and the depth of the crystal take some.
    response = response_matrix(BARE.crystal, "front")
    peaks = photons * np.interp(lines.energies, response.energies, response.full)
    inside = (lines.energies > 600) & (lines.energies < 780)
    assert counts[window(600, 780)].sum() == pytest.approx(peaks[inside].sum(), rel=0.1)
    # Nearly all the rest is scattered on the way or in the crystal.
    assert counts[window(0, 75)].sum() < 0.1 * counts.sum()
    assert expected_counts("Pu241", BARE).sum() > 0.0


def test_lines_that_drown_change_nothing() -> None:
    strong, weak = of_lines([661.657], [1.0]), of_lines([661.657, 300.0], [1.0, 1e-7])
    np.testing.assert_array_equal(
        detector_counts(weak, BARE, distance=100.0), detector_counts(strong, BARE, distance=100.0)
    )
    seen = of_lines([661.657, 300.0], [1.0, 1e-5])
    more = detector_counts(seen, BARE, distance=100.0).sum()
    assert more > detector_counts(strong, BARE, distance=100.0).sum()


def test_background_rates_cannot_be_changed() -> None:
    rates = background_rates(DETECTOR)
    with pytest.raises(TypeError):
        rates["K-40"] = np.zeros(3)  # type: ignore[index]


@pytest.mark.parametrize(("made_of", "thickness"), [("Pb", 0.5), ("Fe", 2.0), ("Al", 5.0)])
def test_peaks_fall_exponentially(made_of: str, thickness: float) -> None:
    def peak(layers: tuple[tuple[str, float], ...]) -> float:
        sharp = replace(BARE, fwhm_662=0.01)
        counts = expected_counts("Cs137", sharp, Surroundings(shells=layers, air=False))
        inside = window(640, 684)
        # Photons scattered by small angles lie just below the peak, none above it.
        feet = 0.5 * (counts[inside.start - 4 : inside.start].mean() + counts[inside.stop])
        return float((counts[inside] - feet).sum())

    passed = float(material(made_of).transmission(thickness, 661.657))
    assert peak(((made_of, thickness),)) / peak(()) == pytest.approx(passed, rel=0.03)


def test_counts_add_up_over_lines() -> None:
    both = nuclide("Co-60").lines.at_least(0.5)
    flux = emerging(both.energies, both.intensities, Surroundings(air=False))
    parts = [
        detector_counts(of_lines([energy], [direct]), BARE, distance=100.0)
        for energy, direct in zip(flux.energies, flux.direct, strict=True)
    ]
    whole = detector_counts(flux, BARE, distance=100.0)
    np.testing.assert_allclose(whole, sum(parts), rtol=1e-6, atol=1e-15)


def test_counts_add_up_over_bins_of_low_and_high_energy() -> None:
    nothing = np.zeros(PHOTON_ENERGIES.size)
    parts = []
    for energy in (150.0, 999.0, 1003.0, 2900.0, 3100.0, 9990.0):
        one = nothing.copy()
        one[np.searchsorted(PHOTON_EDGES, energy) - 1] = 1e3 / energy
        parts.append(Flux(np.zeros(0), np.zeros(0), one, 0.5 * one))
    front, around = (sum(getattr(one, name) for one in parts) for name in ("front", "around"))
    whole = Flux(np.zeros(0), np.zeros(0), np.asarray(front), np.asarray(around))
    each = [detector_counts(one, DETECTOR, distance=100.0) for one in parts]
    assert all(counts.sum() > 0.0 for counts in each)
    np.testing.assert_allclose(
        detector_counts(whole, DETECTOR, distance=100.0), sum(each), rtol=1e-9, atol=1e-12
    )


def test_so_many_lines_that_they_are_done_in_parts_are_all_counted() -> None:
    # 600 lines of one energy, more than fit into one block, are as good as one of 600 photons.
    fine = replace(BARE, axis=Axis.regular(0.0, 1500.0, 3000))
    many = detector_counts(of_lines([661.657] * 600, [1.0] * 600), fine, distance=500.0)
    one = detector_counts(of_lines([661.657], [600.0]), fine, distance=500.0)
    np.testing.assert_allclose(many, one, rtol=1e-9, atol=1e-12)


@settings(max_examples=10)
@given(gain=st.floats(0.9, 1.1))
def test_another_axis_counts_the_same_photons(gain: float) -> None:
    other = replace(BARE, axis=Axis.regular(-100.0, 3400.0 * gain, 700))
    one = expected_counts("Co60", BARE).sum()
    assert expected_counts("Co60", other).sum() == pytest.approx(one, rel=1e-6)


def test_shapes_have_unit_area() -> None:
    for name in sources():
        shape = expected_spectrum(name, DETECTOR)
        assert shape.min() >= 0.0
        assert shape.sum() == pytest.approx(1.0)
        assert not shape.flags.writeable


def test_background_shows_potassium_on_a_falling_continuum() -> None:
    shape = expected_spectrum(BACKGROUND, DETECTOR)
    near = window(1460.8 - 90, 1460.8 + 90)
    feet = np.interp(
        DETECTOR.axis.centers[near], DETECTOR.axis.centers[near][[0, -1]], shape[near][[0, -1]]
    )
    peak = DETECTOR.axis.centers[near][(shape[near] - feet).argmax()]
    assert peak == pytest.approx(1460.8, abs=15)
    low, middle, high = (shape[window(*w)].mean() for w in ((80, 120), (400, 450), (1000, 1050)))
    assert low > 4 * middle > 8 * high
    rates = Background().weights @ np.array(list(background_rates(DETECTOR).values()))
    np.testing.assert_allclose(rates / rates.sum(), shape)
    assert 200 < rates[window(40, 3000)].sum() < 500  # counts/s of a 3-inch crystal in the open


@pytest.mark.usefixtures("few_histories")
def test_a_near_source_is_seen_from_its_point() -> None:
    # Half of the photons at the very window go into the crystal.
    wide = replace(BARE, crystal=Crystal("NaI", (7.6, 7.6)))
    near = expected_counts("Am241", wide, Surroundings(distance=0.5, air=False))
    lines = nuclide("Am241").lines
    photons = lines.intensities[np.abs(lines.energies - 59.54) < 0.1].sum()
    share = near[window(45, 75)].sum() / photons
    assert 0.3 < share < 0.5


@pytest.mark.usefixtures("few_histories")
def test_a_germanium_line_keeps_its_place() -> None:
    hpge = detector("HPGe coaxial")
    small = replace(hpge, crystal=Crystal("Ge", (3.0, 3.0)), backscatter=0.0)
    small = replace(small, axis=Axis.regular(0.0, 1500.0, 6000))
    counts = detector_counts(of_lines([661.657], [1.0]), small, distance=100.0)
    inside = small.axis.window(655, 668)
    centers = small.axis.centers[inside]
    assert np.average(centers, weights=counts[inside]) == pytest.approx(661.657, abs=0.1)


@pytest.mark.usefixtures("few_histories")
def test_annihilation_is_a_broad_peak_of_as_many_counts() -> None:
    hpge = detector("HPGe coaxial", Axis.regular(0.0, 600.0, 6000))
    small = replace(hpge, crystal=Crystal("Ge", (3.0, 3.5)), backscatter=0.0)
    inside = small.axis.window(500, 522)
    centers = small.axis.centers[inside]
    peaks = []
    for energy in (nuclide("F-18").lines.energies[-1], 511.5):
        counts = detector_counts(of_lines([energy], [1.0]), small, distance=100.0)[inside]
        above = centers[counts > 0.5 * counts.max()]
        assert above.mean() == pytest.approx(energy, abs=0.06)
        peaks.append((counts.sum(), above[-1] - above[0] + 0.1))
    (broad, wide), (plain, narrow) = peaks
    assert broad == pytest.approx(plain, rel=0.01)
    assert narrow == pytest.approx(float(small.fwhm(511.5)), abs=0.11)
    assert wide == pytest.approx(np.hypot(float(small.fwhm(511.0)), 2.4), abs=0.11)


def test_impossible_spectra_are_refused() -> None:
    with pytest.raises(DataError, match="thinner absorber"):
        expected_spectrum("Am241", DETECTOR, ("Pb", 1.0))
    with pytest.raises(DataError, match="comes from all sides"):
        expected_spectrum(BACKGROUND, DETECTOR, ("Pb", 0.1))
    with pytest.raises(LabelError, match="known sources"):
        expected_spectrum("Xx1", DETECTOR)
    with pytest.raises(LabelError, match="known materials"):
        expected_spectrum("Cs137", DETECTOR, ("cheese", 1.0))
    with pytest.raises(DataError, match="above zero"):
        expected_spectrum("Cs137", DETECTOR, ("Pb", -1.0))
    with pytest.raises(DataError, match="neither H3"):
        expected_spectrum("H3", DETECTOR)
