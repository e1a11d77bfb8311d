from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spectraloom.analyze import Identifier
from spectraloom.analyze.identify.alarm_rate import AlarmRate, block_maxima
from spectraloom.analyze.identify.alarms import AlarmSeries
from spectraloom.analyze.identify.sequence import SequentialDetector, _Memory
from spectraloom.data import Axis, Library, Spectra
from spectraloom.errors import AxisError, DataError, FitError, LabelError

N = 40
RATE = 500.0
AXIS = Axis.regular(0.0, 2000.0, N)


def peak(energy: float, width: float) -> np.ndarray:
    """A peak with a step below it, of unit area."""
    centers = AXIS.centers
    shape = np.exp(-0.5 * ((centers - energy) / width) ** 2)
    shape = shape / shape.sum() + 0.8 * (centers < 0.7 * energy) / (centers < 0.7 * energy).sum()
    return shape / shape.sum()


SHAPES = {"Am241": peak(120.0, 50.0), "Cs137": peak(660.0, 60.0), "Co60": peak(1250.0, 90.0)}
BACKGROUND = np.exp(-AXIS.centers / 400.0) / np.exp(-AXIS.centers / 400.0).sum()


def wandering(n: int) -> np.ndarray:
    """Level that goes between 1/sqrt(2) and sqrt(2) of the mean: a factor 2, in ten minutes."""
    return RATE * 2.0 ** (0.5 * np.sin(np.arange(n) * 2 * np.pi / 600.0))


def quiet(n: int, seed: int, level: np.ndarray | float = RATE) -> Spectra:
    rng = np.random.default_rng(seed)
    return Spectra(rng.poisson(np.broadcast_to(level, n)[:, np.newaxis] * BACKGROUND), AXIS)


def with_source(n: int, start: int, stop: int, name: str, rate: float, seed: int) -> Spectra:
    background = quiet(n, seed)
    times = np.arange(n)
    there = ((times >= start) & (times < stop))[:, np.newaxis]
    rng = np.random.default_rng(seed + 1)
    return Spectra(background.values + rng.poisson(rate * there * SHAPES[name]), AXIS)


def count_events(scores: np.ndarray, threshold: float, hold: int) -> int:
    """Separate excursions, counted in the plainest way."""
    events, last = 0, -(10**9)
    for time in np.flatnonzero(scores >= threshold).tolist():
        events += time - last > hold
        last = time
    return events


@pytest.fixture(scope="module")
def identifier() -> Identifier:
    library = Library(np.stack(list(SHAPES.values())), AXIS, tuple(SHAPES))
    settings = {"gain": None, "pileup": False, "n_bootstrap": 0}
    return Identifier(library, **settings).fit(quiet(2000, 1))


@pytest.fixture(scope="module")
def detector(identifier: Identifier) -> SequentialDetector:
    return SequentialDetector(identifier, 6.0, longest=16, hours=5.0).fit(quiet(2000, 1))


@pytest.fixture(scope="module")
def long_run(detector: SequentialDetector) -> AlarmSeries:
    """Six hours without a source, whose background level wanders by a factor 2."""
    n = 6 * 3600
    return detector.process(quiet(n, 3, wandering(n)))


def test_false_alarms_come_at_the_stated_rate(
    detector: SequentialDetector, long_run: AlarmSeries
) -> None:
    hours = len(long_run) / 3600.0
    stated = detector.alarms_per_hour
    observed = len(long_run.alarms) / hours
    # At or below, within two standard deviations of the count, and not far below.
    assert observed <= stated + 2 * np.sqrt(stated / hours)
    assert observed >= 0.4 * stated


def test_alarms_are_separate_excursions(
    detector: SequentialDetector, long_run: AlarmSeries
) -> None:
    largest = long_run.scores.max(axis=1)
    events = count_events(largest, detector.threshold_, detector.longest)
    # The scores of the series are the largest per name over windows; alarms follow from them.
    assert len(long_run.alarms) == events
    for one, other in itertools.pairwise(long_run.alarms):
        assert other.start - one.last >= detector.longest


@pytest.mark.parametrize("rate", [2.0, 5.0, 12.0])
def test_the_rate_model_predicts_another_series(
    detector: SequentialDetector, long_run: AlarmSeries, rate: float
) -> None:
    threshold = detector.rate_.threshold(rate, confidence=0.5)
    assert detector.rate_.per_hour(threshold) == pytest.approx(rate)
    hours = len(long_run) / 3600.0
    events = count_events(long_run.scores.max(axis=1), threshold, detector.longest)
    expected = rate * hours
    assert 0.45 * expected - 2 * np.sqrt(expected) <= events
    assert events <= 1.35 * expected + 2 * np.sqrt(expected)


def test_windows_share_the_budget_evenly_and_less_dearly_than_bonferroni(
    detector: SequentialDetector,
) -> None:
    assert sum(detector.shares_.values()) == pytest.approx(1.0)
    even = 1.0 / len(detector.windows)
    assert all(0.5 * even < share < 2 * even for share in detector.shares_.values())
    # Long windows overlap more: they may have larger p-values.
    assert detector.offsets_[0] > detector.offsets_[-1] + 0.5
    assert detector.offsets_.mean() == pytest.approx(0.0, abs=1e-12)
    tests = 3600.0 * len(detector.windows) * len(detector.names)
    assert detector.threshold_ < np.log(tests / detector.alarms_per_hour)


@pytest.mark.parametrize("rate", [3000.0, 30000.0])
def test_the_window_of_a_very_strong_source_is_as_long_as_the_source(
    detector: SequentialDetector, rate: float
) -> None:
    # Its p-values are too small for a float, in the longest window as well as in the best.
    result = detector.process(with_source(80, 40, 42, "Cs137", rate, seed=16))
    best = max(result.alarms, key=lambda alarm: alarm.best.score).best
    assert (best.name, best.length, best.since) == ("Cs137", 2, 40)
    assert result.lengths[41] == 2
    # The ratio of the likelihoods of the two seconds, in the plainest way.
    shapes = np.outer([2 * RATE, 0.0], BACKGROUND) + np.outer([0.0, 1.0], SHAPES["Cs137"])
    expected = shapes[0] + 2 * rate * shapes[1]
    scale = expected.sum() / shapes[0].sum()
    ratio = 2 * (expected * np.log(expected / (scale * shapes[0]))).sum()
    assert ratio > 40.0**2
    assert best.significance == pytest.approx(np.sqrt(ratio), rel=0.05)
    assert best.score == pytest.approx(0.5 * ratio, rel=0.1)


def test_a_source_is_found_while_it_is_there(detector: SequentialDetector) -> None:
    result = detector.process(with_source(200, 100, 110, "Cs137", 100.0, seed=6))
    (alarm,) = [alarm for alarm in result.alarms if alarm.last >= 100]
    assert 100 <= alarm.start <= 102
    assert alarm.names[0] == "Cs137"
    # The most significant window holds the ten seconds of the source, and little else.
    best = alarm.best
    assert best.length in (8, 16)
    assert 107 <= best.peak <= 116
    assert best.since == best.peak - best.length + 1
    assert best.significance > 8
    assert best.per_hour < 1e-6
    # Held until the longest window has left it behind, and as long again without any.
    assert 109 <= alarm.last < 110 + detector.longest
    assert result.on[alarm.start : alarm.last + detector.longest].all()
    assert not result.on[alarm.last + detector.longest :].any()
    assert not result.on[: alarm.start].any()


def test_two_sources_far_apart_are_two_alarms(detector: SequentialDetector) -> None:
    first = with_source(300, 60, 70, "Am241", 150.0, seed=7)
    second = with_source(300, 200, 210, "Co60", 150.0, seed=9)
    result = detector.process(Spectra(first.values + second.values, AXIS))
    assert [alarm.names[0] for alarm in result.alarms] == ["Am241", "Co60"]


def test_a_mixture_gives_both_names(detector: SequentialDetector) -> None:
    first = with_source(120, 60, 100, "Am241", 150.0, seed=7)
    second = with_source(120, 60, 100, "Co60", 150.0, seed=9)
    result = detector.process(Spectra(first.values + second.values, AXIS))
    assert set(result.alarms[-1].names) == {"Am241", "Co60"}


def test_a_source_that_stays_hides_none_that_pass_by(detector: SequentialDetector) -> None:
    first = with_source(420, 50, 420, "Am241", 400.0, seed=21)
    twice = [with_source(420, start, start + 20, "Co60", 150.0, seed=23) for start in (150, 300)]
    passing = sum((one.values - quiet(420, 23).values) for one in twice)
    result = detector.process(Spectra(first.values + passing, AXIS))
    (alarm,) = [alarm for alarm in result.alarms if alarm.start >= 50]
    assert alarm.names == ("Am241", "Co60")
    assert [one.name for one in alarm.sightings] == ["Am241", "Co60", "Co60"]
    for one, start in zip(alarm.sightings, (50, 150, 300), strict=True):
        assert start <= one.start <= start + 2
        assert one.significance > 8
    # Each has an end of its own.
    assert alarm.sightings[0].last == alarm.last == 419
    assert [170 <= alarm.sightings[1].last <= 186, 320 <= alarm.sightings[2].last <= 336] == [1, 1]


def test_what_comes_right_after_a_short_strong_source_is_named(
    detector: SequentialDetector,
) -> None:
    strong = with_source(120, 50, 52, "Am241", 4000.0, seed=25)
    later = with_source(120, 56, 90, "Co60", 100.0, seed=27).values - quiet(120, 27).values
    (alarm,) = detector.process(Spectra(strong.values + later, AXIS)).alarms
    assert [one.name for one in alarm.sightings] == ["Am241", "Co60"]
    assert 56 <= alarm.sightings[1].start <= 66


def timed(spectra: Spectra, gaps: dict[int, float]) -> Spectra:
    """A spectrum a second, with so many seconds missing before some."""
    passed = np.arange(len(spectra), dtype=float)
    for row, seconds in gaps.items():
        passed[row:] += seconds
    began = np.datetime64("2025-01-01T10:00:00", "us") + (1e6 * passed).astype("timedelta64[us]")
    return spectra.with_columns(start_time=began)


def test_windows_and_alarms_end_at_gaps(detector: SequentialDetector) -> None:
    # A source in pieces of one second, hours apart: no window may sum them.
    weak = with_source(160, 100, 132, "Cs137", 40.0, seed=29)
    whole = detector.process(timed(weak, {}))
    assert whole.alarms
    np.testing.assert_array_equal(whole.scores, detector.process(weak).scores)
    apart = timed(weak, dict.fromkeys(range(101, 132), 7200.0))
    pieces = detector.process(apart)
    assert (pieces.lengths[101:132] == 1).all()
    (alarm,) = [alarm for alarm in whole.alarms if alarm.start >= 90]
    assert alarm.best.length > 8
    # The parts before, between and after gaps are those of series of their own.
    gaps = timed(weak, {40: 3600.0, 110: 5.0})
    parts = detector.process(gaps)
    alone = [detector.process(weak[a:b]) for a, b in ((0, 40), (40, 110), (110, 160))]
    np.testing.assert_allclose(parts.scores, np.concatenate([p.scores for p in alone]), atol=1e-9)
    assert len(parts.alarms) == sum(len(p.alarms) for p in alone)
    assert [a.start >= 110 for a in parts.alarms if a.start >= 90] == [False, True]
    # A clock of whole seconds makes no gaps, nor does one spectrum that is late.
    np.testing.assert_array_equal(detector.process(timed(weak, {90: 1.5})).scores, whole.scores)
    stream = detector.stream()
    held = [stream.step(spectrum) for spectrum in gaps]
    assert [alarm is not None for alarm in held] == parts.on.tolist()
    with pytest.raises(DataError, match="order of time"):
        detector.process(timed(weak, {50: -20.0}))


def test_a_measured_background_is_cut_at_its_gaps(identifier: Identifier) -> None:
    settings = {"longest": 4, "hours": None}
    series = quiet(1800, 31)
    cut = SequentialDetector(identifier, 6.0, **settings).fit(timed(series, {900: 60.0}))
    alone = [cut._window_scores(cut._memory(), series.values[a : a + 900]) for a in (0, 900)]
    expected = SequentialDetector(identifier, 6.0, **settings)
    expected._learn(np.concatenate([scores.max(axis=2)[3:] for scores in alone]))
    assert cut.threshold_ == expected.threshold_
    # No window fits into pieces of three spectra: there is nothing to learn from.
    pieces = timed(series, dict.fromkeys(range(3, 1800, 3), 60.0))
    with pytest.raises(FitError, match="at least 50 blocks"):
        SequentialDetector(identifier, 6.0, **settings).fit(pieces)


def test_a_stream_gives_the_answers_of_the_batch(detector: SequentialDetector) -> None:
    series = with_source(150, 60, 80, "Co60", 80.0, seed=11)
    result = detector.process(series)
    stream = detector.stream()
    held = [stream.step(spectrum) for spectrum in series]
    assert [alarm is not None for alarm in held] == result.on.tolist()
    last = {alarm.start: alarm for alarm in held if alarm is not None}
    assert tuple(last.values()) == result.alarms
    raised = [time for time, alarm in enumerate(held) if alarm and alarm.start == time]
    assert raised == [alarm.start for alarm in result.alarms]


def test_blocks_of_any_size_give_the_same_scores(detector: SequentialDetector) -> None:
    series = quiet(90, 13)
    whole = detector.process(series)
    stream = detector.stream()
    parts = [stream.advance(series[a:b]) for a, b in ((0, 5), (5, 6), (6, 60), (60, 90))]
    np.testing.assert_allclose(np.concatenate([p[0] for p in parts]), whole.scores, atol=1e-9)
    np.testing.assert_array_equal(np.concatenate([p[1] for p in parts]), whole.lengths)


def test_scores_are_the_p_values_of_the_summed_windows(
    detector: SequentialDetector, identifier: Identifier
) -> None:
    series = with_source(30, 20, 30, "Cs137", 60.0, seed=17)
    result = detector.process(series)
    for time in (3, 19, 29):
        best = np.zeros(3)
        for length, offset in zip(detector.windows, detector.offsets_, strict=True):
            if length > time + 1:
                continue
            total = series.values[time - length + 1 : time + 1].sum(axis=0)
            answer = identifier.analyze(Spectra(total, AXIS))
            for j in range(3):
                p_value = answer.details["p_value"][0, j]
                if answer.amounts[0, j] > 0 and p_value < 1:
                    large = answer.amounts[0, :3].sum() - answer.amounts[0, j]
                    if answer.amounts[0, j] > identifier.model_error * large:
                        best[j] = max(best[j], -np.log(p_value) - offset)
        np.testing.assert_allclose(result.scores[time], best, rtol=1e-6, atol=1e-9)


@given(
    arrays(np.int64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.integers(0, 1000)),
    st.integers(1, 29),
)
def test_memory_sums_windows_exactly(values: np.ndarray, cut: int) -> None:
    memory = _Memory(8, 3)
    seen = 0
    for part in (values[:cut], values[cut:]):
        if not len(part):
            continue
        sums, number, end = memory.windows(part, (1, 2, 4, 8))
        expected = {
            (time, place): values[time - length + 1 : time + 1].sum(axis=0)
            for place, length in enumerate((1, 2, 4, 8))
            for time in range(seen, seen + len(part))
            if time + 1 >= length
        }
        found = {
            (seen + e, n): s for e, n, s in zip(end.tolist(), number.tolist(), sums, strict=True)
        }
        assert found.keys() == expected.keys()
        assert all((found[key] == expected[key]).all() for key in expected)
        seen += len(part)
        assert len(memory._kept) == min(seen, 7)


def test_a_stronger_source_is_found_sooner(detector: SequentialDetector) -> None:
    weak, strong = (detector.time_to_detect("Cs137", rate, trials=30) for rate in (12.0, 80.0))
    assert strong.detected == 1.0
    assert strong.median <= 2.0
    assert strong.median + 3 < weak.median < weak.limit
    assert (strong.seconds >= 1.0).all()


def test_a_source_too_weak_is_found_by_chance_only(detector: SequentialDetector) -> None:
    none = detector.time_to_detect("Cs137", 1e-3, trials=100)
    by_chance = detector.alarms_per_hour * none.limit / 3600.0
    assert none.detected <= by_chance + 3 * np.sqrt(by_chance / 100)
    assert none.median == np.inf


def test_time_to_detect_is_near_the_simple_theory(detector: SequentialDetector) -> None:
    # A window of length L has the significance R sqrt(L F) of the amount's Fisher information F
    # per second; the median alarm comes about when that reaches the threshold.
    rate = 25.0
    templates = np.stack([*SHAPES.values(), BACKGROUND])
    beside = [1, 3]  # the source, and the background that is fitted with it
    F = (templates[beside] / (RATE * BACKGROUND)) @ templates[beside].T
    sigma = np.sqrt(np.linalg.inv(F)[0, 0])
    seconds = detector.time_to_detect("Cs137", rate, trials=60).median
    wanted = -2 * np.log(np.exp(-detector.threshold_))  # of the likelihood ratio, nearly
    expected = (np.sqrt(wanted - 2.5) * sigma / rate) ** 2
    assert 0.5 * expected < seconds < 2.0 * expected


def test_bad_settings_are_refused(identifier: Identifier) -> None:
    background = quiet(200, 1)
    for settings, message in (
        ({"longest": 12}, "power of two"),
        ({"alarms_per_hour": 0.0}, "alarms_per_hour is above zero"),
        ({"alarms_per_hour": 80.0}, "told apart below"),
        ({"interval": -1.0}, "interval is above zero"),
        ({"confidence": 1.0}, "confidence"),
        ({"longest": 8.0}, "whole number"),
        ({"longest": True}, "whole number"),
        ({"hours": 0.0}, "hours to simulate are above zero"),
        ({"hours": -1.0}, "hours to simulate are above zero"),
        ({"hours": 1e-9}, "at least 50 blocks"),
        ({"hours": 0.1}, "at least 50 blocks"),
        ({"hours": None}, "at least 50 blocks"),
    ):
        with pytest.raises(FitError, match=message):
            SequentialDetector(identifier, **settings).fit(background)
    with pytest.raises(FitError, match="no counts"):
        SequentialDetector(identifier).fit(Spectra(np.zeros((100, N), dtype=int), AXIS))
    with pytest.raises(FitError, match="fitted with a background"):
        SequentialDetector(Identifier()).fit(background)


def test_a_fit_that_fails_changes_nothing(identifier: Identifier) -> None:
    background = quiet(400, 1)
    fitted = SequentialDetector(identifier, longest=4, hours=0.3).fit(background)
    before = dict(vars(fitted))
    fitted.hours = None  # too few spectra
    with pytest.raises(FitError, match="at least 50 blocks"):
        fitted.fit(quiet(100, 2))
    assert vars(fitted) == {**before, "hours": None}
    with pytest.raises(FitError, match="no counts"):
        fitted.fit(quiet(0, 2))


def test_bad_series_are_refused(detector: SequentialDetector, identifier: Identifier) -> None:
    with pytest.raises(FitError, match="call fit"):
        SequentialDetector(identifier).process(quiet(3, 1))
    with pytest.raises(AxisError):
        detector.process(Spectra(np.ones((3, N)), Axis.regular(0.0, 1000.0, N)))
    with pytest.raises(DataError, match="counts"):
        detector.process(Spectra(np.ones((3, N)), AXIS, "intensity"))
    with pytest.raises(DataError, match="no spectra"):
        detector.process(quiet(3, 1)[:0])
    with pytest.raises(DataError, match="one spectrum"):
        detector.stream().step(quiet(2, 1))
    with pytest.raises(LabelError):
        detector.time_to_detect("Ra226", 10.0)
    with pytest.raises(DataError, match="above zero"):
        detector.time_to_detect("Cs137", 0.0)
    for limit in (0.0, -5.0, np.inf, np.nan):
        with pytest.raises(DataError, match="seconds to wait"):
            detector.time_to_detect("Cs137", 10.0, limit=limit)


def test_a_measured_series_can_be_used_as_it_is(identifier: Identifier) -> None:
    series = quiet(3600, 19)
    measured = SequentialDetector(identifier, 6.0, longest=8, hours=None).fit(series)
    simulated = SequentialDetector(identifier, 6.0, longest=8, hours=1.0).fit(series)
    assert measured.threshold_ == pytest.approx(simulated.threshold_, abs=1.2)
    again = SequentialDetector(identifier, 6.0, longest=8, hours=None).fit(series)
    assert again.threshold_ == measured.threshold_


def test_empty_spectra_raise_no_alarm(detector: SequentialDetector) -> None:
    result = detector.process(Spectra(np.zeros((40, N), dtype=np.int64), AXIS))
    assert not result.alarms
    assert (result.scores == 0).all()


def test_progress_reaches_the_end(identifier: Identifier) -> None:
    seen: list[float] = []
    SequentialDetector(identifier, longest=4, hours=0.3).fit(
        quiet(100, 1), progress=lambda part, text: seen.append(part)
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_rate_of_independent_scores_is_learned(rng: np.random.Generator) -> None:
    # Exponential scores, 1000 a block: 1000 exp(-u) of them lie above u.
    largest = block_maxima(rng.exponential(size=4_000_000), 1000)
    rate = AlarmRate.learn(largest, 0.5)
    for score in (8.0, 10.0, 12.0):
        assert rate.per_hour(score) == pytest.approx(2000.0 * np.exp(-score), rel=0.15)


def test_confidence_holds_what_it_says(rng: np.random.Generator) -> None:
    wanted = 0.05
    exceeded = 0
    for _ in range(300):
        rate = AlarmRate.learn(rng.gumbel(3.0, 1.2, 80), 1.0)
        threshold = rate.threshold(wanted, confidence=0.9)
        exceeded += np.exp(-(threshold - 3.0) / 1.2) > wanted
    assert 12 <= exceeded <= 50  # 30 expected


def test_block_maxima_leave_out_the_rest() -> None:
    scores = np.array([[1.0, 5.0], [3.0, 2.0], [0.0, 9.0], [4.0, 1.0], [99.0, 99.0]])
    np.testing.assert_array_equal(block_maxima(scores, 2), [[3.0, 5.0], [4.0, 9.0]])


def test_rate_needs_scores_that_differ() -> None:
    with pytest.raises(FitError, match="same score"):
        AlarmRate.learn(np.zeros(80), 1.0)
