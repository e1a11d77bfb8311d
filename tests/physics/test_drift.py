from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, DataError
from spectraloom.physics.gamma.drift import drift, drifted
from spectraloom.process import rebin

AXIS = Axis.from_polynomial((-8.0, 2.9, 2e-4), 256)
INSIDE = np.zeros(256)
INSIDE[40:200] = 1.0 + np.sin(np.arange(160.0)) ** 2


def test_a_walk_has_its_size_and_its_memory() -> None:
    times = 60.0 * np.arange(200_000)
    walk = drift(times, gain=0.01, offset=-2.0, correlation_time=600.0, seed=1)
    x = (walk.gain - 1.0) / 0.01
    # About 10,000 independent stretches: standard errors of some 1.5 %.
    assert x.std() == pytest.approx(1.0, abs=0.05)
    assert x.mean() == pytest.approx(0.0, abs=0.05)
    for lag in (1, 5, 10, 30):
        assert np.mean(x[lag:] * x[:-lag]) == pytest.approx(np.exp(-lag / 10), abs=0.05)
    np.testing.assert_allclose(walk.offset, -2.0 * x, atol=1e-12)


def test_times_need_not_be_even() -> None:
    # The same two moments far in time are independent, the same moment twice is the same.
    pairs = np.array([drift([0.0, 0.0, 300.0, 1e6], seed=s, gain=0.1) for s in range(4000)])
    x = (pairs[:, 0] - 1.0) / 0.1
    np.testing.assert_array_equal(x[:, 0], x[:, 1])
    correlation = np.corrcoef(x[:, 1:].T)
    assert correlation[0, 1] == pytest.approx(np.exp(-300.0 / 3600.0), abs=0.05)
    assert correlation[0, 2] == pytest.approx(0.0, abs=0.06)
    np.testing.assert_allclose(x.std(axis=0), 1.0, atol=0.05)


def test_a_seed_gives_one_walk() -> None:
    one, same, other = (drift(np.arange(9.0), seed=seed).gain for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()
    still = drift(np.arange(9.0), gain=0.0, seed=1)
    assert (still.gain == 1.0).all()
    assert (still.offset == 0.0).all()


@given(gain=st.floats(0.9, 1.1), offset=st.floats(-8.0, 8.0))
def test_counts_are_kept_and_their_energy_moves(gain: float, offset: float) -> None:
    moved = drifted(INSIDE, AXIS, gain, offset)
    assert moved.min() >= 0.0
    assert moved.sum() == pytest.approx(INSIDE.sum(), rel=1e-12)
    mean = INSIDE @ AXIS.centers / INSIDE.sum()
    assert moved @ AXIS.centers / moved.sum() == pytest.approx(gain * mean + offset, abs=0.2)


@given(gain=st.floats(0.5, 2.0), offset=st.floats(-300.0, 300.0), seed=st.integers(0, 99))
def test_moving_is_rebinning_from_moved_edges(gain: float, offset: float, seed: int) -> None:
    rates = np.random.default_rng(seed).exponential(size=256)
    moved_axis = Axis.from_edges(gain * AXIS.edges + offset)
    expected = rebin(Spectra(rates, moved_axis, "intensity"), AXIS).values[0]
    np.testing.assert_allclose(drifted(rates, AXIS, gain, offset), expected, atol=1e-9)


@given(gain=st.floats(0.95, 1.05), offset=st.floats(-4.0, 4.0))
def test_back_and_forth_only_blurs(gain: float, offset: float) -> None:
    peak = np.exp(-0.5 * ((AXIS.centers - 350.0) / 20.0) ** 2)
    back = drifted(drifted(peak, AXIS, gain, offset), AXIS, 1.0 / gain, -offset / gain)
    assert back.sum() == pytest.approx(peak.sum())
    assert np.abs(back - peak).max() < 0.02
    np.testing.assert_allclose(drifted(peak, AXIS), peak, atol=1e-15)


def test_what_moves_off_the_axis_is_lost() -> None:
    flat = Axis.regular(0.0, 100.0, 100)
    assert drifted(np.ones(100), flat, 1.0, 10.0).sum() == pytest.approx(90.0)
    assert drifted(np.ones(100), flat, 2.0).sum() == pytest.approx(50.0)
    assert drifted(np.ones(100), flat, 1.0, 500.0).sum() == 0.0


def test_one_spectrum_with_many_gains_and_many_with_one() -> None:
    gains = np.array([0.98, 1.0, 1.03])
    many = drifted(INSIDE, AXIS, gains, 1.5)
    assert many.shape == (3, 256)
    for gain, row in zip(gains, many, strict=True):
        np.testing.assert_array_equal(row, drifted(INSIDE, AXIS, gain, 1.5))
    np.testing.assert_array_equal(drifted(np.stack([INSIDE] * 3), AXIS, gains, 1.5), many)
    assert drifted(INSIDE, AXIS, 1.01).shape == (256,)


def test_impossible_drifts_are_refused() -> None:
    with pytest.raises(DataError, match="do not fall"):
        drift([1.0, 0.0], seed=1)
    with pytest.raises(DataError, match="standard deviation"):
        drift([1.0], gain=0.5, seed=1)
    with pytest.raises(DataError, match="offset"):
        drift([1.0], offset=np.inf, seed=1)
    with pytest.raises(DataError, match="correlation_time"):
        drift([1.0], correlation_time=0.0, seed=1)
    with pytest.raises(DataError, match="above zero"):
        drifted(INSIDE, AXIS, -1.0)
    with pytest.raises(DataError, match="one for each"):
        drifted(np.ones((3, 256)), AXIS, [1.0, 1.1])
    with pytest.raises(DataError, match="numbers or lists"):
        drifted(INSIDE, AXIS, [[1.0], [1.1]])
    with pytest.raises(AxisError, match="do not fit"):
        drifted(INSIDE[1:], AXIS)
