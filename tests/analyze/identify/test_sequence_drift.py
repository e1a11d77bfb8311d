"""Alarms in series whose gain drifts further than single windows can follow."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from spectraloom.analyze import Identifier
from spectraloom.analyze.identify.drift import GainTracker
from spectraloom.analyze.identify.sequence import SequentialDetector
from spectraloom.analyze.identify.window_gains import WindowGains, at_gains, wander
from spectraloom.data import Axis, Library, Spectra
from spectraloom.data.overlap import overlap_rebin
from spectraloom.errors import DataError, FitError
from spectraloom.physics.gamma import GammaDetector, expected_spectrum

N, RATE = 96, 700.0
AXIS = Axis.regular(0.0, 3000.0, N)
FINE = GammaDetector("fine", Axis.regular(0.0, 3600.0, 1800), fwhm_662=0.07)
NAMES = ("Am241", "Cs137", "Co60")
STATED = 6.0


def moved(name: str, gain: float) -> np.ndarray:
    shape = np.asarray(expected_spectrum(name, FINE))
    edges = FINE.axis.edges * (1.0 + gain)
    return overlap_rebin(shape[np.newaxis] / shape.sum(), edges, AXIS.edges)[0]


def series(gains: np.ndarray, seed: int, passing: dict[int, str] | None = None) -> Spectra:
    """Background at each gain; sources of 25 counts/s for ten seconds from `passing` on."""
    rng = np.random.default_rng(seed)
    expected = np.stack([RATE * moved("background", gain) for gain in gains])
    for start, name in (passing or {}).items():
        for time in range(start, start + 10):
            expected[time] += 25.0 * moved(name, gains[time])
    return Spectra(rng.poisson(expected), AXIS)


@pytest.fixture(scope="module")
def identifier() -> Identifier:
    library = Library(np.stack([moved(name, 0.0) for name in NAMES]), AXIS, NAMES)
    model = Identifier(library, gain=0.01, pileup=False, n_bootstrap=200)
    return model.fit(series(np.zeros(3000), 5))


@pytest.fixture(scope="module")
def detector(identifier: Identifier) -> SequentialDetector:
    settings = {"longest": 8, "hours": 1.2, "gain_walk": 2e-4}
    return SequentialDetector(identifier, STATED, **settings).fit(series(np.zeros(1500), 6))


GAINS = 0.06 * np.sin(np.arange(2700) * 2 * np.pi / 2700.0)


def test_a_drift_keeps_the_stated_rate_where_the_gain_is_followed(
    identifier: Identifier, detector: SequentialDetector
) -> None:
    quiet = series(GAINS, 7)
    expected = STATED * len(quiet) / 3600.0
    followed = detector.process(quiet)
    assert len(followed.alarms) <= expected + 2 * np.sqrt(expected)
    assert followed.gains is not None
    assert np.sqrt(((followed.gains.gains - GAINS)[60:] ** 2).mean()) < 0.006
    # Without it, each window pulls the gain back to zero, and calls what is left a source.
    alone = SequentialDetector(identifier, STATED, longest=8, hours=1.2)
    drifting = alone.fit(series(np.zeros(1500), 6)).process(quiet)
    assert drifting.gains is None
    assert len(drifting.alarms) > expected + 2 * np.sqrt(expected)


def test_sources_are_found_and_named_at_any_gain(detector: SequentialDetector) -> None:
    passing = {start: NAMES[start // 200 % 3] for start in range(200, 2600, 200)}
    found = detector.process(series(GAINS, 8, passing))
    right = [
        any(start <= alarm.start < start + 20 and name in alarm.names for alarm in found.alarms)
        for start, name in passing.items()
    ]
    assert np.mean(right) > 0.9


def test_a_stream_and_blocks_of_any_size_give_the_same(detector: SequentialDetector) -> None:
    quiet = series(GAINS[600:660], 9)
    whole = detector.process(quiet)
    stream = detector.stream()
    parts = [stream.advance(quiet[a:b]) for a, b in ((0, 5), (5, 6), (6, 60))]
    np.testing.assert_allclose(np.concatenate([p[0] for p in parts]), whole.scores, atol=1e-9)
    stream = detector.stream()
    held = [stream.step(spectrum) is not None for spectrum in quiet]
    assert held == whole.on.tolist()


def test_windows_begin_anew_where_the_gain_jumps(identifier: Identifier) -> None:
    gains = np.where(np.arange(300) < 200, 0.0, 0.06)
    windows = WindowGains(GainTracker(identifier, walk=1e-4), 8)
    windows.advance(series(gains, 10))
    (places,) = np.nonzero(windows.track.jumps)
    assert 200 <= places[0] < 210
    last = int(places[-1])
    ends = np.array([last - 1, last, last + 3, last + 7, last + 8])
    centers, spreads, whole = windows.expected(ends, np.full(5, 8))
    # A window may begin at a jump, but hold none later on.
    inside = (ends[:, np.newaxis] - 7 < places) & (places <= ends[:, np.newaxis])
    assert whole.tolist() == (~inside.any(axis=1)).tolist()
    assert whole[1:].tolist() == [False, False, True, True]
    # Nothing is known at the jump; later the gain is.
    assert spreads[3] == pytest.approx(0.01)
    later = windows.expected(np.array([299]), np.array([8]))
    assert later[0][0] == pytest.approx(0.06, abs=0.004)
    assert later[1][0] < 0.006
    assert np.isfinite(centers).all()


def test_expected_gains_use_nothing_of_their_window(identifier: Identifier) -> None:
    walk = 3e-4
    first = series(np.full(40, 0.01), 11)
    other = series(np.full(40, -0.01), 12)
    spliced = Spectra(np.concatenate([first.values[:32], other.values[32:]]), AXIS)
    answers = []
    for one in (first, spliced):
        windows = WindowGains(GainTracker(identifier, walk=walk), 8)
        windows.advance(one)
        answers.append(windows.expected(np.array([39, 39]), np.array([8, 1])))
    # The eight last spectra, which differ, have no part in it; only whether it jumped within them.
    for a, b in zip(answers[0][:2], answers[1][:2], strict=True):
        assert a[0] == b[0]
    assert answers[0][0][1] != answers[1][0][1]
    # The prior of a longer window is wider: the gain walks on while it lasts.
    tracker = GainTracker(identifier, walk=walk)
    tracker.track(first[:32])
    mean_walk = np.random.default_rng(1).normal(0, walk, (20000, 8)).cumsum(axis=1).mean(axis=1)
    wanted = np.hypot(tracker.uncertainty, mean_walk.std())
    assert wanted * 0.98 <= answers[0][1][0] <= wanted * 1.22


def test_a_walk_wanders_and_turns_back(rng: np.random.Generator) -> None:
    gains = wander(100_000, 1e-3, 0.03, rng)
    assert np.abs(gains).max() <= 0.03
    assert np.abs(np.diff(gains)).std() == pytest.approx(1e-3 * np.sqrt(1 - 2 / np.pi), rel=0.02)
    # Turned back at its ends, a walk is everywhere alike.
    assert gains.std() == pytest.approx(0.06 / np.sqrt(12), rel=0.15)


def test_a_moved_peak_is_that_of_the_closed_form() -> None:
    gains = np.array([-0.05, 0.0, 0.03])
    peak = np.diff(norm.cdf(AXIS.edges, 1200.0, 80.0))
    found = at_gains(peak, AXIS.edges, gains)
    truth = np.diff(norm.cdf(AXIS.edges / (1.0 + gains[:, np.newaxis]), 1200.0, 80.0), axis=1)
    np.testing.assert_allclose(found[1], peak, atol=1e-12)
    assert np.abs(found - truth).sum(axis=1).max() < 0.01
    assert np.abs(peak - truth).sum(axis=1)[[0, 2]].min() > 0.2
    assert (found >= 0).all()
    # Beyond its ends a spectrum goes on as in its last channel.
    flat = at_gains(np.ones(N), AXIS.edges, gains)
    np.testing.assert_allclose(flat, np.tile(1.0 / (1.0 + gains), (N, 1)).T)


def test_walks_that_cannot_be_followed_are_refused(identifier: Identifier) -> None:
    quiet = series(np.zeros(100), 1)
    with pytest.raises(FitError, match="walk is above zero"):
        SequentialDetector(identifier, gain_walk=0.0).fit(quiet)
    fixed = Identifier(identifier.library, gain=None, pileup=False, n_bootstrap=0).fit(quiet)
    with pytest.raises(FitError, match="without a prior of the gain"):
        SequentialDetector(fixed, gain_walk=1e-4).fit(quiet)
    bare = Axis.uncalibrated(N)
    with pytest.raises(DataError, match="calibrated axis"):
        GainTracker(identifier).step(quiet[0].replace(axis=bare))
