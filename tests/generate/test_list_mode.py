from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectraloom.data import Axis
from spectraloom.errors import AxisError, DataError
from spectraloom.generate.list_mode import ListMode, list_mode
from spectraloom.physics.gamma.electronics import live_fraction, recorded

AXIS = Axis.from_polynomial((-20.0, 11.0, 2e-2), 128)
RATES = np.exp(-AXIS.centers / 300.0) + 3.0 * np.exp(-0.5 * ((AXIS.centers - 662.0) / 20.0) ** 2)
RATES *= 2e5 / RATES.sum()

ELECTRONICS: tuple[dict[str, float], ...] = (
    {"dead_time": 5e-6},
    {"dead_time": 5e-6, "paralysable": True},
    {"pile_up_time": 2e-6},
    {"dead_time": 5e-6, "pile_up_time": 1e-6},
    {"dead_time": 5e-6, "pile_up_time": 2e-6, "paralysable": True},
    {"dead_time": 5e-6, "pile_up_time": 1e-5},
)


@pytest.mark.parametrize("electronics", ELECTRONICS)
def test_event_by_event_agrees_with_the_formula(electronics: dict[str, float]) -> None:
    duration = 4.0
    counts = list_mode(RATES, AXIS, duration, seed=7, **electronics).to_spectra()
    expected = duration * recorded(RATES, AXIS, **electronics)
    # Dead time makes counts vary less than Poisson's law says, never more.
    deviation = (counts.values[0] - expected) / np.sqrt(expected)
    assert np.mean(deviation**2) < 1.0 + 3.5 * np.sqrt(2.0 / 128)
    assert np.abs(deviation).max() < 4.5
    assert counts.totals[0] == pytest.approx(expected.sum(), abs=4 * np.sqrt(expected.sum()))
    longest = max(electronics.get("dead_time", 0.0), electronics.get("pile_up_time", 0.0))
    live = live_fraction(2e5, longest, paralysable=bool(electronics.get("paralysable", False)))
    assert counts.live_time is not None
    assert counts.live_time[0] / duration == pytest.approx(float(live), rel=0.01)


def test_without_electronics_every_pulse_counts() -> None:
    counts = list_mode(RATES, AXIS, 2.0, seed=1)
    spectrum = counts.to_spectra()
    assert len(counts.busy) == 0
    assert spectrum.live_time == pytest.approx(2.0)
    deviation = (spectrum.values[0] - 2.0 * RATES) / np.sqrt(2.0 * RATES)
    assert np.mean(deviation**2) == pytest.approx(1.0, abs=4 * np.sqrt(2.0 / 128))
    # Times are spread evenly: their intervals are exponential.
    gaps = np.diff(counts.times)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.02)


def test_dead_time_keeps_counts_apart() -> None:
    counts = list_mode(RATES, AXIS, 0.5, seed=2, dead_time=2e-5)
    assert np.diff(counts.times).min() >= 2e-5
    asleep = list_mode(RATES, AXIS, 0.5, seed=2, dead_time=2e-5, paralysable=True)
    assert (asleep.busy[1:, 0] >= asleep.busy[:-1, 1]).all()
    assert len(asleep) < len(counts)


@settings(max_examples=40, deadline=None)
@given(
    interval=st.floats(0.003, 0.3),
    dead=st.sampled_from([0.0, 1e-5, 1e-3]),
    pile_up=st.sampled_from([0.0, 2e-6]),
    paralysable=st.booleans(),
    rate=st.sampled_from([0.0, 300.0, 3e4]),
)
def test_spectra_hold_every_count_and_all_time(
    interval: float, dead: float, pile_up: float, paralysable: bool, rate: float
) -> None:
    counts = list_mode(
        RATES * (rate / 2e5),
        AXIS,
        0.25,
        seed=3,
        dead_time=dead,
        pile_up_time=pile_up,
        paralysable=paralysable,
    )
    cut, whole = counts.to_spectra(interval), counts.to_spectra()
    assert len(cut) == int(np.ceil(0.25 / interval))
    np.testing.assert_array_equal(cut.values.sum(axis=0), whole.values[0])
    assert whole.totals[0] == len(counts)
    assert cut.real_time is not None
    assert cut.live_time is not None
    assert whole.live_time is not None
    assert cut.real_time.sum() == pytest.approx(0.25)
    assert cut.live_time.sum() == pytest.approx(whole.live_time[0], abs=1e-9)
    assert ((cut.live_time >= 0.0) & (cut.live_time <= cut.real_time)).all()
    for start, row in zip(cut.column("start"), cut.values, strict=True):
        inside = (counts.times >= start) & (counts.times < start + interval)
        np.testing.assert_array_equal(row, np.bincount(counts.channels[inside], minlength=128))


def test_live_time_is_cut_where_an_interval_ends() -> None:
    busy = np.array([[0.5, 1.5], [1.75, 2.0]])
    counts = ListMode(np.array([0.5, 1.75]), np.array([0, 1]), AXIS, 3.0, busy)
    spectra = counts.to_spectra(1.0)
    np.testing.assert_allclose(np.asarray(spectra.live_time), [0.5, 0.25, 1.0])
    np.testing.assert_array_equal(spectra.totals, [1, 1, 0])


def test_a_seed_gives_one_list() -> None:
    one, same, other = (list_mode(RATES, AXIS, 0.1, seed, dead_time=1e-6) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.times, same.times)
    np.testing.assert_array_equal(one.channels, same.channels)
    assert len(one) != len(other) or (one.times != other.times).any()


def test_uncalibrated_channels_are_enough_without_pile_up() -> None:
    axis = Axis.uncalibrated(128)
    assert len(list_mode(RATES, axis, 0.01, seed=1, dead_time=1e-6)) > 0
    with pytest.raises(AxisError, match="pile-up"):
        list_mode(RATES, axis, 0.01, seed=1, pile_up_time=1e-6)


def test_arrays_of_the_caller_stay_writeable() -> None:
    times, channels, busy = np.array([0.5, 1.0]), np.array([0, 1]), np.array([[0.5, 0.6]])
    counts = ListMode(times, channels, Axis.regular(0.0, 2.0, 2), 2.0, busy)
    for own, kept in ((times, counts.times), (channels, counts.channels), (busy, counts.busy)):
        assert own.flags.writeable
        assert not kept.flags.writeable


def test_impossible_lists_are_refused() -> None:
    with pytest.raises(DataError, match="zero or more per second"):
        list_mode(-RATES, AXIS, 1.0, seed=1)
    with pytest.raises(AxisError, match="do not fit"):
        list_mode(RATES[1:], AXIS, 1.0, seed=1)
    for duration in (0.0, -1.0, np.nan, 1e9):
        with pytest.raises(DataError, match="duration"):
            list_mode(RATES, AXIS, duration, seed=1)
    with pytest.raises(DataError, match="dead_time"):
        list_mode(RATES, AXIS, 1.0, seed=1, dead_time=-1.0)
    counts = list_mode(RATES, AXIS, 0.01, seed=1)
    for interval in (0.0, -1.0, np.nan, 1e-12):
        with pytest.raises(DataError, match="interval"):
            counts.to_spectra(interval)


@pytest.mark.parametrize(
    ("times", "channels", "busy", "message"),
    [
        ([0.1, 0.2], [1], [], "equal length"),
        ([0.1], [1], [0.1, 0.2], "two columns"),
        ([0.2, 0.1], [1, 1], [], "times must not fall"),
        ([0.1, 1.2], [1, 1], [], "times must not fall"),
        ([np.nan], [1], [], "times must not fall"),
        ([0.1], [1], [[0.1, 0.3], [0.2, 0.4]], "busy must not fall"),
        ([0.1], [128], [], "outside of the axis"),
        ([0.1], [-1], [], "outside of the axis"),
    ],
)
def test_lists_that_are_none_are_refused(
    times: list[float], channels: list[int], busy: list[list[float]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        ListMode(np.array(times), np.array(channels), AXIS, 1.0, np.array(busy or np.empty((0, 2))))
