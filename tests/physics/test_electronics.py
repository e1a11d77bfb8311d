from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data import Axis
from spectraloom.errors import AxisError, DataError
from spectraloom.physics.gamma.electronics import live_fraction, recorded

# Wide enough that no sum of the pulses below leaves it.
WIDE = Axis.regular(0.0, 30_000.0, 3000)
SHAPE = np.zeros(3000)
SHAPE[5:150] = np.exp(-np.arange(5, 150) / 60.0)
SHAPE[66] += 20.0


def test_dead_time_follows_the_textbook() -> None:
    # Knoll: m = n / (1 + n tau) and m = n exp(-n tau).
    rates = np.array([0.0, 1e4, 1e5])
    np.testing.assert_allclose(live_fraction(rates, 1e-5), [1.0, 1 / 1.1, 0.5])
    np.testing.assert_allclose(
        live_fraction(rates, 1e-5, paralysable=True), np.exp([0.0, -0.1, -1.0])
    )


@given(rates=st.lists(st.floats(0.0, 1e6), min_size=2, max_size=8), time=st.floats(0.0, 1e-4))
def test_more_pulses_find_a_detector_less_often_ready(rates: list[float], time: float) -> None:
    rising = np.sort(rates)
    for paralysable in (False, True):
        live = live_fraction(rising, time, paralysable=paralysable)
        assert (np.diff(live) <= 0.0).all()
        assert ((live >= 0.0) & (live <= 1.0)).all()
    # However many pulses come, one that is not paralysed records no more than one per dead time.
    if time:
        assert (rising * live_fraction(rising, time) <= 1.0 / time).all()


@given(total=st.floats(1.0, 1e6), time=st.floats(0.0, 3e-6), dead=st.floats(0.0, 1e-5))
def test_counts_and_energy_are_kept(total: float, time: float, dead: float) -> None:
    rates = SHAPE * (total / SHAPE.sum())
    counts = recorded(rates, WIDE, dead_time=dead, pile_up_time=time)
    assert counts.min() >= 0.0
    live = float(live_fraction(total, max(dead, time)))
    assert counts.sum() == pytest.approx(total * live, rel=1e-9)
    # A recorded count holds 1 + r t pulses on average, and so as much energy. A channel of the
    # sums is right to a small fraction of its width.
    energy = counts @ WIDE.centers
    expected = live * (1.0 + total * time) * (rates @ WIDE.centers)
    assert energy == pytest.approx(expected, rel=2e-3)


def test_with_pile_up_alone_no_energy_is_lost() -> None:
    rates = SHAPE * (3e5 / SHAPE.sum())
    counts = recorded(rates, WIDE, pile_up_time=2e-6)
    assert counts @ WIDE.centers == pytest.approx(rates @ WIDE.centers, rel=1e-3)


def test_first_order_is_the_spectrum_convolved_with_itself() -> None:
    rates = SHAPE * (1e4 / SHAPE.sum())
    time = 1e-8
    sums = recorded(rates, WIDE, pile_up_time=time) - rates * np.exp(-1e4 * time) / (1 + 1e4 * time)
    # Slowly: pairs of channels, each spread over the triangle that two even spreads make.
    slow = np.zeros(WIDE.n_channels)
    filled = np.flatnonzero(rates)
    for i in filled:
        for j in filled:
            both = rates[i] * rates[j] * time
            slow[i + j] += 0.5 * both  # centres add up to an edge between two channels
            slow[i + j + 1] += 0.5 * both
    # A line of one channel ends a quarter of a channel wider.
    assert np.abs(sums - slow).max() < 0.06 * slow.max()
    smooth = np.r_[20:65, 80:120, 145:205]
    assert np.abs(sums - slow)[smooth].max() < 2e-3 * slow[smooth].max()
    assert sums.sum() == pytest.approx(slow.sum(), rel=1e-3)
    peak = slice(2 * 66 - 1, 2 * 66 + 4)
    assert sums[peak].sum() == pytest.approx(slow[peak].sum(), rel=0.01)


def test_a_line_has_sum_peaks_at_its_multiples() -> None:
    rates = np.zeros(3000)
    rates[66] = 1e5
    counts = recorded(rates, WIDE, pile_up_time=3e-6)
    chance = [np.exp(-0.3) * 0.3**k / f / 1.3 for k, f in ((0, 1), (1, 1), (2, 2), (3, 6))]
    for order, expected in enumerate(chance):
        middle = (order + 1) * WIDE.centers[66]
        near = np.abs(WIDE.centers - middle) < 100.0
        assert counts[near].sum() == pytest.approx(1e5 * expected, rel=1e-6)
        mean = counts[near] @ WIDE.centers[near] / counts[near].sum()
        assert mean == pytest.approx(middle, abs=1.0)


@pytest.mark.parametrize("low", [-55.0, 0.0, 103.0])
def test_uneven_channels_hold_the_same_sums(low: float) -> None:
    even = Axis.regular(low, low + 3000.0, 3000)
    uneven = Axis.from_polynomial((low, 1.8, 4.0e-4), 1500)
    spectra = []
    for axis in (even, uneven):
        share = np.diff(np.clip((axis.edges - 600.0) / 50.0, 0.0, 1.0))
        counts = recorded(1e5 * share, axis, pile_up_time=1e-6)
        spectra.append(np.interp(np.arange(700.0, 2700.0, 50.0), axis.edges[1:], counts.cumsum()))
    np.testing.assert_allclose(spectra[0], spectra[1], rtol=2e-3)


def test_an_axis_that_no_sum_reaches_loses_them() -> None:
    axis = Axis.regular(500.0, 900.0, 100)
    rates = np.zeros(100)
    rates[40] = 1e5
    counts = recorded(rates, axis, pile_up_time=1e-6)
    assert counts[40] == pytest.approx(1e5 * np.exp(-0.1) / 1.1)
    assert counts.sum() == pytest.approx(counts[40])


def test_spectra_are_independent_of_each_other() -> None:
    rates = np.outer([0.0, 1e3, 1e5, 4e5], SHAPE / SHAPE.sum())
    together = recorded(rates, WIDE, dead_time=4e-6, pile_up_time=1e-6, paralysable=True)
    for one, row in zip(rates, together, strict=True):
        alone = recorded(one, WIDE, dead_time=4e-6, pile_up_time=1e-6, paralysable=True)
        np.testing.assert_allclose(alone, row, rtol=1e-9, atol=1e-9)
    assert recorded(np.empty((0, 3000)), WIDE, pile_up_time=1e-6).shape == (0, 3000)


def test_impossible_electronics_are_refused() -> None:
    with pytest.raises(DataError, match="dead_time"):
        live_fraction(1.0, -1e-6)
    with pytest.raises(DataError, match="dead_time"):
        recorded(SHAPE, WIDE, dead_time=-1e-6, pile_up_time=1e-6)
    with pytest.raises(DataError, match="pile_up_time"):
        recorded(SHAPE, WIDE, pile_up_time=np.nan)
    with pytest.raises(DataError, match="zero or more per second"):
        recorded(-SHAPE, WIDE)
    with pytest.raises(DataError, match="lower rate"):
        recorded(SHAPE * 1e6, WIDE, pile_up_time=1e-3)
    with pytest.raises(AxisError, match="do not fit"):
        recorded(SHAPE[1:], WIDE)
    with pytest.raises(AxisError, match="no bins"):
        recorded(SHAPE, Axis.from_points(WIDE.centers))
