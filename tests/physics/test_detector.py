from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data import Axis
from spectraloom.errors import AxisError, DataError
from spectraloom.physics.gamma import GammaDetector

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


def test_a_bin_is_folded_like_many_lines_in_it() -> None:
    detector = GammaDetector("d", AXIS, fwhm_exponent=0.0)
    lines = detector.fold_lines(np.arange(500.01, 540.0, 0.02)).mean(axis=1)
    np.testing.assert_allclose(detector.fold_bins([500.0, 540.0])[:, 0], lines, atol=1e-6)


def test_mean_chord_of_a_cylinder_as_high_as_wide() -> None:
    # 4 V / S with r = 3, h = 6: 4 pi r^2 h / (2 pi r^2 + 2 pi r h) = 2 r h / (r + h)
    assert GammaDetector("d", AXIS, diameter=6.0, height=6.0).mean_chord == pytest.approx(4.0)


def test_detectors_that_make_no_sense_are_refused() -> None:
    with pytest.raises(AxisError, match="energy bins in keV"):
        GammaDetector("d", Axis.uncalibrated(10))
    with pytest.raises(AxisError, match="energy bins in keV"):
        GammaDetector("d", Axis.from_points([1.0, 2.0]))
    with pytest.raises(DataError, match="fraction of"):
        GammaDetector("d", AXIS, fwhm_662=7.0)
    with pytest.raises(DataError, match="height"):
        GammaDetector("d", AXIS, height=0.0)
    with pytest.raises(DataError, match="backscatter"):
        GammaDetector("d", AXIS, backscatter=-0.1)
