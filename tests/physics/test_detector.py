from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data import Axis
from spectraloom.errors import AxisError, DataError
from spectraloom.physics.gamma import GammaDetector
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.detector import ANNIHILATION_FWHM

AXIS = Axis.regular(-200.0, 3200.0, 1700)


@given(energy=st.floats(0.0, 2800.0), width=st.floats(0.01, 0.15))
def test_folding_keeps_every_count_inside_a_wide_axis(energy: float, width: float) -> None:
    detector = GammaDetector("d", AXIS, fwhm_662=width)
    folded = detector.fold_lines([energy])
    assert folded.min() >= 0.0
    assert folded.sum() == pytest.approx(1.0, abs=1e-9)
    assert detector.fold_bins([energy, energy + 4.0]).sum() == pytest.approx(1.0, abs=1e-9)


def test_counts_beyond_the_axis_are_the_only_ones_lost() -> None:
    half = GammaDetector("d", Axis.regular(0.0, 661.657, 300))
    assert half.fold_lines([661.657]).sum() == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("energy", [60.0, 661.657, 1332.5])
def test_width_and_place_of_a_folded_line(energy: float) -> None:
    detector = GammaDetector("d", Axis.regular(0.0, 2000.0, 8000), fwhm_662=0.07)
    line = detector.fold_lines([energy])[:, 0]
    centers = detector.axis.centers
    above = centers[line >= 0.5 * line.max()]
    assert centers[line.argmax()] == pytest.approx(energy, abs=0.3)
    expected = 0.07 * 661.657 * (energy / 661.657) ** 0.57
    assert above[-1] - above[0] == pytest.approx(expected, abs=0.6)


def test_default_widths_are_those_of_measured_crystals() -> None:
    detector = GammaDetector("d", AXIS)
    assert detector.fwhm(661.657) / 661.657 == pytest.approx(0.07)
    assert detector.fwhm(1332.5) / 1332.5 == pytest.approx(0.052, abs=0.001)


def width(axis: Axis, line: np.ndarray) -> float:
    """Full width at half maximum, between the channels where half is passed."""
    above = np.flatnonzero(line >= 0.5 * line.max())
    ends = []
    for inside, outside in ((above[0], above[0] - 1), (above[-1], above[-1] + 1)):
        part = (line[inside] - 0.5 * line.max()) / (line[inside] - line[outside])
        ends.append(axis.centers[inside] + part * (axis.centers[outside] - axis.centers[inside]))
    return float(ends[1] - ends[0])


@pytest.mark.parametrize("annihilation", [511.0, ELECTRON_REST_ENERGY])
def test_the_annihilation_line_is_wider_than_its_neighbours(annihilation: float) -> None:
    axis = Axis.regular(490.0, 540.0, 1000)
    germanium = GammaDetector("d", axis, fwhm_662=0.0022, fwhm_exponent=0.5, noise=0.6)
    # Tl-208 and Sr-85 have their lines of 510.77 and 514.01 keV just beside.
    wide, *narrow = germanium.fold_lines([annihilation, 510.77, 514.01]).T
    resolution = float(germanium.fwhm(511.0))
    assert [width(axis, line) for line in narrow] == pytest.approx([resolution] * 2, rel=0.01)
    assert width(axis, wide) == pytest.approx(np.hypot(resolution, 2.4), rel=0.01)
    assert wide.sum() == pytest.approx(1.0, abs=1e-9)
    assert np.average(axis.centers, weights=wide) == pytest.approx(511.0, abs=0.01)


def test_a_scintillator_hardly_sees_the_width_of_the_annihilation_line() -> None:
    detector = GammaDetector("d", AXIS)
    plain = float(detector.sigma(511.0))
    assert plain < float(detector.line_sigma(511.0)) < 1.003 * plain
    others = np.array([80.0, 510.98, 511.02, 661.657, 1021.998])
    np.testing.assert_array_equal(detector.line_sigma(others), detector.sigma(others))


def test_the_annihilation_line_is_as_wide_as_free_electrons_make_it() -> None:
    # Electrons that fill a ball in the space of momenta show a parabola along any direction, and
    # half of a momentum (times c) is what one photon gains. Aluminium: three electrons an atom.
    electrons = 3 * 2.699 / 26.982 * 6.02214e23 * 1e-21  # 1/nm3
    most = 197.327 * (3 * np.pi**2 * electrons) ** (1 / 3) * 1e-3  # keV, times c
    assert np.sqrt(2.0) * most / 2.0 == pytest.approx(ANNIHILATION_FWHM, rel=0.03)
    # And as the angle that photons miss a straight line by: momentum across over m c.
    assert np.deg2rad(0.54) * ELECTRON_REST_ENERGY / 2.0 == pytest.approx(
        ANNIHILATION_FWHM, abs=0.02 / 0.54 * ANNIHILATION_FWHM
    )


def test_a_bin_is_folded_like_many_lines_in_it() -> None:
    detector = GammaDetector("d", AXIS, fwhm_exponent=0.0)
    lines = detector.fold_lines(np.arange(500.01, 540.0, 0.02)).mean(axis=1)
    np.testing.assert_allclose(detector.fold_bins([500.0, 540.0])[:, 0], lines, atol=1e-6)


def test_noise_adds_in_quadrature() -> None:
    detector = GammaDetector("d", AXIS, fwhm_662=0.03, fwhm_exponent=0.5, noise=4.0)
    light = 0.03 * 661.657 * np.sqrt(100.0 / 661.657)
    assert float(detector.fwhm(100.0)) == pytest.approx(np.sqrt(16.0 + light**2))
    assert float(detector.sigma(100.0)) == pytest.approx(float(detector.fwhm(100.0)) / 2.354820)


def test_a_bend_changes_the_exponent_with_energy() -> None:
    plain = GammaDetector("d", AXIS, fwhm_exponent=0.6)
    bent = GammaDetector("d", AXIS, fwhm_exponent=0.6, fwhm_bend=-0.05)
    assert bent.fwhm(661.657) == pytest.approx(plain.fwhm(661.657))
    # The slope of its logarithm is the exponent and twice the bend for each factor e.
    at = 661.657 * np.exp(-1.5)
    near = np.log(bent.fwhm([0.999 * at, 1.001 * at]))
    slope = np.diff(near)[0] / np.log(1.001 / 0.999)
    assert slope == pytest.approx(0.6 + 2.0 * 0.05 * 1.5, abs=1e-6)
    with pytest.raises(DataError, match="fwhm_bend"):
        GammaDetector("d", AXIS, fwhm_bend=0.5)


LIGHT = ((20.0, 1.15), (60.0, 1.12), (662.0, 1.0), (2600.0, 0.97))


def test_lines_stand_where_their_light_says() -> None:
    axis = Axis.regular(-50.0, 3000.0, 6100)
    detector = GammaDetector("d", axis, fwhm_662=0.02, light=LIGHT)
    energies = np.array([10.0, 60.0, 662.0, 2600.0])
    np.testing.assert_allclose(detector.apparent(energies), [11.5, 67.2, 662.0, 2522.0])
    # Half-way between two points in log energy.
    middle = np.sqrt(20.0 * 60.0)
    assert float(detector.apparent(middle)) == pytest.approx(1.135 * middle)
    means = axis.centers @ detector.fold_lines(energies)
    np.testing.assert_allclose(means, detector.apparent(energies), atol=0.02)
    spread = detector.fold_bins([600.0, 662.0, 700.0])
    np.testing.assert_allclose(spread.sum(axis=0), 1.0, atol=1e-9)
    low, middle, high = detector.apparent([600.0, 662.0, 700.0])
    means = axis.centers @ spread
    np.testing.assert_allclose(means, [(low + middle) / 2, (middle + high) / 2], atol=0.02)


def test_proportional_light_changes_nothing() -> None:
    plain, flat = (GammaDetector("d", AXIS, light=light) for light in ((), ((662.0, 1.0),)))
    np.testing.assert_array_equal(plain.fold_lines([500.0]), flat.fold_lines([500.0]))
    assert plain.apparent(500.0) == 500.0


@given(
    light=st.lists(st.floats(0.8, 1.25), min_size=2, max_size=6),
    energies=st.lists(st.floats(0.0, 4000.0), min_size=2, max_size=20),
)
def test_more_energy_never_gives_less_light(light: list[float], energies: list[float]) -> None:
    points = tuple(zip(np.geomspace(10.0, 3000.0, len(light)), light, strict=True))
    fine = np.geomspace(5.0, 4000.0, 4000)
    at = np.interp(np.log(fine), np.log([energy for energy, _ in points]), light) * fine
    if (np.diff(at) < 0.0).any():
        with pytest.raises(DataError, match="less of it"):
            GammaDetector("d", AXIS, light=points)
    elif (np.diff(light) > -0.1).all():
        apparent = GammaDetector("d", AXIS, light=points).apparent(np.sort(energies))
        assert (np.diff(apparent) >= 0.0).all()


def test_detectors_are_equal_by_value() -> None:
    one, other = (
        GammaDetector("d", Axis.regular(0.0, 3000.0, 512), Crystal("CsI", (2.0, 2.0)), light=light)
        for light in (((30.0, 1.1), (662.0, 1.0)), ([30, 1.1], [662, 1]))
    )
    assert one == other
    assert hash(one) == hash(other)


def test_detectors_that_make_no_sense_are_refused() -> None:
    with pytest.raises(AxisError, match="energy bins in keV"):
        GammaDetector("d", Axis.uncalibrated(10))
    with pytest.raises(AxisError, match="energy bins in keV"):
        GammaDetector("d", Axis.from_points([1.0, 2.0]))
    with pytest.raises(DataError, match="fraction of"):
        GammaDetector("d", AXIS, fwhm_662=7.0)
    for name, wrong in (("crystal", "NaI"), ("axis", "keV"), ("name", 5), ("fwhm_662", "7 %")):
        with pytest.raises(DataError, match=name):
            GammaDetector(**({"name": "d", "axis": AXIS} | {name: wrong}))  # type: ignore[arg-type]
    for broken in (3, (("a", 1.0),), ((60.0,),)):
        with pytest.raises(DataError, match="light is a list"):
            GammaDetector("d", AXIS, light=broken)  # type: ignore[arg-type]
    for name in ("noise", "backscatter", "dead_time", "pile_up_time"):
        with pytest.raises(DataError, match=name):
            GammaDetector("d", AXIS, **{name: -0.1})
    for light in (((60.0, 1.0), (30.0, 1.1)), ((0.0, 1.0),), ((60.0, -1.0),), ((60.0, np.nan),)):
        with pytest.raises(DataError, match="light"):
            GammaDetector("d", AXIS, light=light)
    with pytest.raises(DataError, match="less of it"):
        GammaDetector("d", AXIS, light=((60.0, 1.2), (70.0, 0.9)))


def test_numbers_in_other_units_are_refused() -> None:
    with pytest.raises(AxisError, match=r"ends at 3 keV.*not MeV"):
        GammaDetector("d", Axis.regular(0.0, 3.0, 1024))
    for name in ("dead_time", "pile_up_time"):
        assert getattr(GammaDetector("d", AXIS, **{name: 1e-3}), name) == 1e-3
        with pytest.raises(DataError, match=f"{name} is in seconds and up to 0.001"):
            GammaDetector("d", AXIS, **{name: 5.0})


def test_some_channels_count_what_they_do_among_all() -> None:
    detector = GammaDetector("d", AXIS)
    energies = np.array([5.0, 60.0, 661.7, 1332.0])
    for part in (slice(0, 3), slice(2, 40), slice(AXIS.n_channels - 5, AXIS.n_channels)):
        np.testing.assert_array_equal(
            detector.fold_lines(energies, part), detector.fold_lines(energies)[part]
        )
        np.testing.assert_array_equal(
            detector.fold_bins(energies, part), detector.fold_bins(energies)[part]
        )
