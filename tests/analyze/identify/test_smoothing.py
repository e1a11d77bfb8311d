from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spectraloom.analyze import Identifier
from spectraloom.analyze.identify.drift import GainTracker
from spectraloom.analyze.identify.smoothing import smooth_counts
from spectraloom.data import Axis, Library, Spectra
from spectraloom.data.overlap import overlap_rebin
from spectraloom.physics.gamma import GammaDetector, expected_spectrum

N = 512
AXIS = Axis.regular(0.0, 2200.0, N)
FINE = GammaDetector("fine", Axis.regular(0.0, 2800.0, 1400), fwhm_662=0.07)
SOURCES = ("Cs137", "Co60", "Am241")


def moved(name: str, gain: float) -> np.ndarray:
    shape = np.asarray(expected_spectrum(name, FINE))
    edges = FINE.axis.edges * (1.0 + gain)
    return overlap_rebin(shape[np.newaxis] / shape.sum(), edges, AXIS.edges)[0]


BACKGROUND = moved("background", 0.0)
LIBRARY = Library(np.stack([moved(name, 0.0) for name in SOURCES]), AXIS, SOURCES)


@settings(max_examples=40, deadline=None)
@given(arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 500)))
def test_counts_are_kept_and_none_is_negative(counts: np.ndarray) -> None:
    smooth = smooth_counts(counts)
    assert smooth.shape == counts.shape
    assert smooth.sum() == pytest.approx(counts.sum())
    assert (smooth >= 0).all()


@pytest.mark.parametrize("total", [4e3, 3e4, 6e5])
def test_smooth_counts_are_nearer_to_the_truth(total: float) -> None:
    rng = np.random.default_rng(1)
    expected = total * BACKGROUND
    seen = expected > 0
    noise, left = [], []
    for _ in range(5):
        counts = rng.poisson(expected)
        smooth = smooth_counts(counts)
        noise.append(((counts - expected)[seen] ** 2 / expected[seen]).sum())
        left.append(((smooth - expected)[seen] ** 2 / expected[seen]).sum())
    assert np.mean(noise) == pytest.approx(seen.sum(), rel=0.1)
    assert np.mean(left) < 0.5 * np.mean(noise)


def test_a_peak_of_many_counts_and_a_lower_threshold_stay() -> None:
    centers = np.arange(300)
    expected = 300.0 * np.exp(-centers / 90.0)
    expected += 4e4 / (3 * np.sqrt(2 * np.pi)) * np.exp(-0.5 * ((centers - 150) / 3.0) ** 2)
    expected[:12] = 0.0
    smooth = smooth_counts(np.random.default_rng(2).poisson(expected))
    assert not smooth[:12].any()
    np.testing.assert_allclose(smooth[13:40], expected[13:40], rtol=0.12)
    assert smooth[140:161].sum() == pytest.approx(expected[140:161].sum(), rel=0.02)
    assert smooth[150] == pytest.approx(expected[150], rel=0.05)


def test_few_channels_and_no_counts_stay_as_they_are() -> None:
    np.testing.assert_array_equal(smooth_counts(np.array([3, 0, 8, 1])), [3, 0, 8, 1])
    np.testing.assert_array_equal(smooth_counts(np.zeros(50, dtype=np.int64)), np.zeros(50))


def test_a_background_is_smoothed_where_templates_move_and_only_there() -> None:
    counts = np.random.default_rng(3).poisson(50 * BACKGROUND[np.newaxis] * 800)
    moving = Identifier(LIBRARY, n_bootstrap=0).fit(Spectra(counts, AXIS))
    assert moving.background_ is not None
    assert moving.background_.templates.sum() == pytest.approx(counts.sum())
    np.testing.assert_allclose(moving.background_.templates[0], smooth_counts(counts[0]))
    free = Axis.uncalibrated(N)
    fixed = Identifier(Library(LIBRARY.templates, free, SOURCES), n_bootstrap=0)
    fixed.fit(Spectra(counts, free))
    assert fixed.background_ is not None
    np.testing.assert_array_equal(fixed.background_.templates, counts)


@pytest.mark.parametrize(("trained", "counts"), [(40, 200), (40, 800), (400, 800), (400, 2000)])
def test_a_constant_gain_is_found_within_its_uncertainty(trained: int, counts: int) -> None:
    # The noise of a background template, moved by a gain, is no knowledge of the gain: taken for
    # one, the errors here are 10 to 50 times the stated uncertainties. These leave out what the
    # template itself does not know, which is as large where little was learned from: squares then
    # have twice the median of a normal error, 0.45, nine in ten are below 9, and some are large.
    settings = {"gain": 0.02, "pileup": False, "n_bootstrap": 0}
    last = [0, 9, 24]
    pulls = []
    for seed in range(48):
        rng = np.random.default_rng(seed)
        quiet = Spectra(rng.poisson(800 * BACKGROUND, (trained, N)), AXIS)
        tracker = GainTracker(Identifier(LIBRARY, **settings).fit(quiet))
        gain = rng.normal(0.0, 0.02)
        series = Spectra(rng.poisson(counts * moved("background", gain), (25, N)), AXIS)
        track = tracker.track(series)
        pulls.append((track.gains - gain)[last] / track.uncertainties[last])
        assert track.uncertainties[-1] < 0.005  # a claim, not a shrug
    squares = np.array(pulls) ** 2
    assert (squares < 9.0).mean() > 0.85
    assert np.median(squares) < 1.5


def test_an_answer_says_how_well_it_knows_the_gain() -> None:
    rng = np.random.default_rng(9)
    settings = {"gain": 0.02, "pileup": False, "n_bootstrap": 0}
    quiet = Spectra(rng.poisson(800 * BACKGROUND, (400, N)), AXIS)
    model = Identifier(LIBRARY, **settings).fit(quiet)
    pulls = []
    for counts in (800, 8000):
        for gain in (-0.02, 0.0, 0.015):
            spectra = Spectra(rng.poisson(counts * moved("background", gain), (20, N)), AXIS)
            quality = model.analyze(spectra).quality
            assert (quality["gain_uncertainty"] <= 0.02).all()
            pulls.append((quality["gain"] - gain) / quality["gain_uncertainty"])
            # A gain is relative: plus where counts are recorded above their energies. Medians of 20
            # spectra spread by 0.003 and 0.001.
            assert abs(np.median(quality["gain"]) - gain) < (0.01 if counts == 800 else 0.004)
    assert 0.7 < np.sqrt((np.array(pulls) ** 2).mean()) < 1.6
    few = model.analyze(Spectra(np.zeros((1, N), dtype=np.int64), AXIS)).quality
    assert few["gain_uncertainty"][0] == pytest.approx(0.02)
    free = Identifier(LIBRARY, **settings | {"gain": None}).fit(quiet)
    assert "gain_uncertainty" not in free.analyze(quiet[:2]).quality
