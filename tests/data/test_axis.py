from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data import Axis, Calibration
from spectraloom.data.axis import require_same_axis, shift_polynomial
from spectraloom.errors import AxisError, CalibrationError

POLYNOMIAL = Axis.from_polynomial((-11.07, 8.08, 0.00104), 256)
FULL_RANGE = Axis.from_full_range_fraction((-5.0, 3000.0, 40.0, -10.0, 12.0), 512)
EDGES = Axis.from_edges([0.0, 1.0, 3.0, 7.5, 20.0])
POINTS = Axis.from_points([200.0, 200.5, 202.0, 207.0], quantity="wavelength", unit="nm")
EVERY = (POLYNOMIAL, FULL_RANGE, EDGES, POINTS, Axis.uncalibrated(16))


def test_polynomial_gives_the_lower_edge_of_each_channel() -> None:
    for i in (0, 1, 100, 256):
        assert POLYNOMIAL.values[i] == pytest.approx(-11.07 + 8.08 * i + 0.00104 * i * i, abs=1e-9)
    assert POLYNOMIAL.n_channels == 256


def test_full_range_fraction_follows_the_standard() -> None:
    for i in (0, 7, 512):
        x = i / 512
        expected = -5 + 3000 * x + 40 * x**2 - 10 * x**3 + 12 / (1 + 60 * x)
        assert FULL_RANGE.values[i] == pytest.approx(expected, abs=1e-9)


def test_slopes_agree_with_differences() -> None:
    for axis in (POLYNOMIAL, FULL_RANGE):
        assert axis.calibration is not None
        n, at, step = axis.n_channels, np.array([0.5, 3.0, 100.0]), 1e-4
        change = axis.calibration.evaluate(at + step, n) - axis.calibration.evaluate(at - step, n)
        np.testing.assert_allclose(axis.calibration.slope(at, n), change / (2 * step), rtol=1e-6)


@pytest.mark.parametrize("axis", EVERY, ids=repr)
def test_channel_and_coordinate_invert_each_other(axis: Axis) -> None:
    channel = np.linspace(0, axis.values.size - 1, 1013)
    back = axis.channel_at(axis.value_at(channel))
    # The ends are rounded before they are compared with the axis.
    np.testing.assert_allclose(back[1:-1], channel[1:-1], atol=1e-8)
    np.testing.assert_array_equal(axis.channel_at(axis.values), np.arange(axis.values.size))


@given(
    st.tuples(st.floats(-50, 50), st.floats(0.1, 20), st.floats(0, 1e-3), st.floats(0, 1e-7)),
    st.integers(1, 4096),
    st.floats(0, 1),
)
def test_any_increasing_polynomial_is_inverted(
    coefficients: tuple[float, ...], n: int, fraction: float
) -> None:
    axis = Axis.from_polynomial(coefficients, n)
    energy = axis.values[0] + fraction * (axis.values[-1] - axis.values[0])
    channel = float(axis.channel_at(energy))
    assert axis.calibration is not None
    assert float(axis.calibration.evaluate(channel, n)) == pytest.approx(energy, abs=1e-6)


def test_scalars_and_what_lies_outside() -> None:
    assert np.isnan(POLYNOMIAL.channel_at(-20.0))
    assert np.isnan(POLYNOMIAL.channel_at([1e9, math.nan])).all()
    assert np.isnan(POLYNOMIAL.value_at([-0.5, 256.5])).all()
    assert float(EDGES.value_at(1.5)) == 2.0
    assert float(POINTS.channel_at(201.25)) == pytest.approx(1.5)


def test_centres_widths_and_edges() -> None:
    np.testing.assert_allclose(EDGES.centers, [0.5, 2.0, 5.25, 13.75])
    np.testing.assert_allclose(EDGES.widths, [1.0, 2.0, 4.5, 12.5])
    np.testing.assert_array_equal(POINTS.centers, POINTS.values)
    with pytest.raises(AxisError, match="made of points"):
        _ = POINTS.widths


def test_lower_edges_repeat_the_last_width() -> None:
    axis = Axis.from_lower_edges([0.0, 1.0, 3.0])
    np.testing.assert_array_equal(axis.values, [0, 1, 3, 5])
    with pytest.raises(AxisError, match="two lower edges"):
        Axis.from_lower_edges([1.0])


def test_uncalibrated_is_a_state() -> None:
    axis = Axis.uncalibrated(4)
    assert not axis.is_calibrated
    assert axis.calibration is None
    assert "uncalibrated" in axis.describe()
    assert axis != Axis.regular(0, 4, 4)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Axis.from_edges([0, 2, 1]), CalibrationError, "channel 1 it goes from 2 to 1"),
        (lambda: Axis.from_edges([0, 1, 1]), CalibrationError, "increase strictly"),
        (lambda: Axis.from_edges([0, math.nan]), CalibrationError, "finite"),
        (lambda: Axis.from_edges([[0, 1]]), AxisError, "one-dimensional"),
        (lambda: Axis.from_edges([1]), AxisError, "at least 2"),
        (lambda: Axis.from_polynomial((0.0,), 4), CalibrationError, "offset and slope"),
        (lambda: Axis.from_polynomial((0.0, -1.0), 4), CalibrationError, "increase strictly"),
        (lambda: Axis.from_polynomial((0.0, 1.0), 0), AxisError, "at least one channel"),
        (lambda: Axis.regular(0, 1, 0), AxisError, "at least one channel"),
        (lambda: Axis.uncalibrated(0), AxisError, "at least one channel"),
        (lambda: EDGES.window(30, 40), AxisError, "no channel lies between 30 and 40 keV"),
        (lambda: EDGES[::2], AxisError, "contiguous"),
        (lambda: EDGES[3:3], AxisError, "contiguous"),
    ],
)
def test_bad_axes_are_refused(build, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message):
        build()


def test_a_slice_keeps_the_exact_calibration() -> None:
    part = POLYNOMIAL[40:100]
    np.testing.assert_array_equal(part.values, POLYNOMIAL.values[40:101])
    assert part.calibration is not None
    np.testing.assert_allclose(
        part.calibration.evaluate(np.arange(61), 60), part.values, rtol=0, atol=1e-9
    )
    cut = FULL_RANGE[3:9]
    assert cut.calibration == Calibration("lower edges")
    assert cut.n_channels == 6
    assert POLYNOMIAL[:] is POLYNOMIAL
    assert POINTS[1:3].n_channels == 2


def test_shifting_a_polynomial_moves_its_argument() -> None:
    coefficients = (1.0, 2.0, -0.5, 0.125)
    shifted = np.polynomial.Polynomial(shift_polynomial(coefficients, -0.5))
    x = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(shifted(x + 0.5), np.polynomial.Polynomial(coefficients)(x))


def test_window_takes_channels_by_their_centre() -> None:
    assert EDGES.window(0.5, 5.25) == slice(0, 3)
    assert EDGES.window(0.6, 5.0) == slice(1, 2)


def test_equality_hash_and_closeness() -> None:
    again = Axis.from_polynomial((-11.07, 8.08, 0.00104), 256)
    assert again == POLYNOMIAL
    assert hash(again) == hash(POLYNOMIAL)
    assert hash(Axis.from_edges([-0.0, 1.0])) == hash(Axis.from_edges([0.0, 1.0]))
    near = Axis.from_edges(POLYNOMIAL.values + 1e-7)
    assert near != POLYNOMIAL
    assert near.isclose(POLYNOMIAL)
    assert not Axis.from_edges(POLYNOMIAL.values + 1e-3).isclose(POLYNOMIAL)
    assert POLYNOMIAL != "an axis"
    points = Axis.from_points(EDGES.values)
    assert points != EDGES
    assert not points.isclose(EDGES)
    assert Axis.from_edges(EDGES.values, unit="MeV") != EDGES
    assert Axis.from_points([1.0]).isclose(Axis.from_points([1.0 + 1e-12]))


def test_different_axes_are_both_named() -> None:
    with pytest.raises(AxisError) as caught:
        require_same_axis(POLYNOMIAL, EDGES, "adding")
    message = str(caught.value)
    assert POLYNOMIAL.describe() in message
    assert EDGES.describe() in message
    assert "adding" in message
    assert "rebin" in message


@pytest.mark.parametrize("axis", EVERY, ids=repr)
def test_dictionary_copy_and_transfer_give_the_axis_back(axis: Axis) -> None:
    copies = (
        Axis.from_dict(axis.values, axis.to_dict()),
        copy.deepcopy(axis),
        pickle.loads(pickle.dumps(axis)),
    )
    for other in copies:
        assert other == axis
        assert other.calibration == axis.calibration
        assert not other.values.flags.writeable


def test_an_axis_does_not_change_with_its_source() -> None:
    edges = np.array([0.0, 1.0, 2.0])
    axis = Axis.from_edges(edges)
    edges[1] = 1.5
    np.testing.assert_array_equal(axis.values, [0, 1, 2])
    with pytest.raises(ValueError, match="read-only"):
        axis.values[0] = 1
