from __future__ import annotations

import numpy as np
import pytest

from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, CalibrationError
from spectraloom.process import Window, window

AXIS = Axis.regular(0.0, 100.0, 10)
SPECTRA = Spectra(np.arange(20).reshape(2, 10), AXIS, variance=np.ones((2, 10)))


def test_channels_by_their_centres() -> None:
    part = window(SPECTRA, 15.0, 44.0)
    np.testing.assert_array_equal(part.values, SPECTRA.values[:, 1:4])
    np.testing.assert_array_equal(part.axis.values, [10, 20, 30, 40])
    assert part.dtype == SPECTRA.dtype
    assert part.variance is not None
    assert part.variance.shape == (2, 3)


def test_open_ends() -> None:
    assert window(SPECTRA, None, 40.0).n_channels == 4
    assert window(SPECTRA, 40.0).n_channels == 6
    assert window(SPECTRA) is SPECTRA


def test_other_kinds_and_points_pass() -> None:
    points = Axis.from_points([1.0, 2.0, 3.0], quantity="shift", unit="ppm")
    part = window(Spectra([[1j, 2j, 3j]], points, "complex"), 2.0, 3.0)
    np.testing.assert_array_equal(part.values, [[2j, 3j]])


def test_refusals() -> None:
    with pytest.raises(AxisError, match="no channel"):
        window(SPECTRA, 200.0, 300.0)
    with pytest.raises(AxisError, match="no channel"):
        window(SPECTRA, 60.0, 20.0)
    with pytest.raises(CalibrationError, match="spectra\\[:, first:last\\]"):
        window(Spectra([[1, 2]]), 0.0, 1.0)


def test_transformer() -> None:
    moved = Window(15.0, 44.0).fit_transform(SPECTRA)
    np.testing.assert_array_equal(moved.values, window(SPECTRA, 15.0, 44.0).values)
