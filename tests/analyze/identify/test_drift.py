from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze import Identifier
from spectraloom.analyze.identify.drift import GainTracker
from spectraloom.analyze.likelihood import Nuisances, fit_templates
from spectraloom.analyze.likelihood.gain import gain_deviations
from spectraloom.data import Axis, Library, Spectra
from spectraloom.data.overlap import overlap_rebin
from spectraloom.errors import DataError, FitError
from spectraloom.physics.gamma import GammaDetector, expected_spectrum

N = 128
AXIS = Axis.regular(0.0, 3000.0, N)
FINE = GammaDetector("fine", Axis.regular(0.0, 3600.0, 1800), fwhm_662=0.07)


def unit(name: str) -> np.ndarray:
    shape = np.asarray(expected_spectrum(name, FINE))
    return shape / shape.sum()


BACKGROUND, CAESIUM = unit("background"), unit("Cs137")


def moved(shape: np.ndarray, gain: float) -> np.ndarray:
    """A fine spectrum on the channels of a detector whose gain is off; no count is lost."""
    return overlap_rebin(shape[np.newaxis], FINE.axis.edges * (1.0 + gain), AXIS.edges)[0]


def series(gains: np.ndarray, rate: float, seed: int, source: float = 0.0) -> Spectra:
    rng = np.random.default_rng(seed)
    shape = rate * BACKGROUND + source * CAESIUM
    return Spectra(np.stack([rng.poisson(moved(shape, gain)) for gain in gains]), AXIS)


@pytest.fixture(scope="module")
def identifier() -> Identifier:
    library = Library(moved(CAESIUM, 0.0), AXIS, ("Cs137",))
    exact = np.round(1e7 * moved(BACKGROUND, 0.0)).astype(np.int64)
    settings = {"gain": 0.02, "pileup": False, "n_bootstrap": 0}
    return Identifier(library, **settings).fit(Spectra(exact, AXIS))


def test_a_slow_drift_of_three_percent_is_followed(identifier: Identifier) -> None:
    true = 0.03 * np.sin(np.arange(1800) * 2 * np.pi / 3600.0)
    track = GainTracker(identifier).track(series(true, 700.0, 1))
    errors = (track.gains - true)[60:]
    assert np.sqrt((errors**2).mean()) < 0.002
    assert (np.abs(errors) < 0.003).mean() > 0.9
    assert not track.jumps.any()
    # Single spectra are far from that: the series is what does it.
    alone = fit_templates(
        series(true[::60], 700.0, 1), identifier.table_, nuisances=Nuisances(gain=0.02)
    ).nuisances[:, 0]
    assert np.sqrt(((alone - true[::60]) ** 2).mean()) > 0.006


def test_the_uncertainty_is_that_of_the_errors(identifier: Identifier) -> None:
    rng = np.random.default_rng(3)
    walk = 3e-4
    true = np.clip(np.cumsum(rng.normal(0.0, walk, 2500)), -0.05, 0.05)
    track = GainTracker(identifier, walk=walk).track(series(true, 700.0, 4))
    pulls = ((track.gains - true) / track.uncertainties)[100:]
    assert 0.75 < pulls.std() < 1.3
    assert abs(pulls.mean()) < 0.4


def test_a_jump_is_noticed_and_recovered_from(identifier: Identifier) -> None:
    true = np.where(np.arange(500) < 250, 0.0, -0.03)
    track = GainTracker(identifier, walk=1e-4).track(series(true, 700.0, 5))
    errors = np.abs(track.gains - true)
    (places,) = np.nonzero(track.jumps)
    assert 1 <= len(places) <= 3
    assert 250 <= places[0] < 270
    assert errors[300:].max() < 0.005
    assert errors[150:250].max() < 0.004
    # Without giving up what it knew, the filter would still be on its way.
    stiff = GainTracker(identifier, walk=1e-4)
    stiff._pulled = lambda: False  # type: ignore[method-assign]
    assert np.abs(stiff.track(series(true, 700.0, 5)).gains - true)[260:270].mean() > 0.01


def test_a_constant_gain_sets_off_no_jumps(identifier: Identifier) -> None:
    track = GainTracker(identifier).track(series(np.full(1500, 0.01), 500.0, 6))
    assert not track.jumps.any()


def test_spectra_without_counts_leave_the_gain_and_widen_it(identifier: Identifier) -> None:
    tracker = GainTracker(identifier, walk=1e-3)
    tracker.track(series(np.full(30, 0.01), 2000.0, 7, source=500.0))
    gain, uncertainty = tracker.gain, tracker.uncertainty
    for _ in range(10):
        tracker.step(Spectra(np.zeros((1, N), dtype=np.int64), AXIS))
    assert tracker.gain == pytest.approx(gain)
    assert tracker.uncertainty == pytest.approx(np.hypot(uncertainty, 1e-3 * np.sqrt(10)))
    for _ in range(1000):
        tracker.step(Spectra(np.zeros((1, N), dtype=np.int64), AXIS))
    assert tracker.uncertainty == pytest.approx(0.02)  # never wider than the prior


def test_steps_and_track_agree_and_a_track_starts_fresh(identifier: Identifier) -> None:
    spectra = series(np.linspace(0.0, 0.01, 40), 800.0, 8)
    tracker = GainTracker(identifier)
    first = tracker.track(spectra)
    again = tracker.track(spectra)
    np.testing.assert_array_equal(first.gains, again.gains)
    tracker.reset()
    stepped = [tracker.step(spectrum) for spectrum in spectra]
    np.testing.assert_array_equal([gain for gain, _, _ in stepped], first.gains)
    np.testing.assert_array_equal([error for _, error, _ in stepped], first.uncertainties)


def test_the_deviation_is_the_curvature_of_the_profile(identifier: Identifier) -> None:
    spectrum = series(np.array([0.004]), 20000.0, 9, source=5000.0)
    nuisances = Nuisances(gain=0.02)
    fit = fit_templates(spectrum, identifier.table_, nuisances=nuisances, tolerance=1e-9)
    deviation = gain_deviations(fit, identifier.table_, nuisances)[0]
    # A very narrow prior holds the gain away from its best: the deviance rises by the square.
    best = fit.nuisances[0, 0]
    deviances = []
    for shift in (-2.0, 2.0):
        held = Nuisances(gain=1e-9, centers=(best + shift * deviation, 0.0, 0.0))
        start = np.array([held.centers])
        away = fit_templates(
            spectrum, identifier.table_, nuisances=held, start=start, tolerance=1e-9
        )
        assert away.nuisances[0, 0] == pytest.approx(held.centers[0], abs=1e-8)
        deviances.append(away.deviance[0] - fit.deviance[0])
    assert np.mean(deviances) == pytest.approx(4.0, rel=0.1)


def test_bad_input_is_refused(identifier: Identifier) -> None:
    with pytest.raises(FitError, match="fitted identifier"):
        GainTracker(Identifier())
    for walk, interval in ((0.0, 1.0), (1e-3, -1.0), (np.nan, 1.0)):
        with pytest.raises(FitError, match="above zero"):
            GainTracker(identifier, walk=walk, interval=interval)
    without = Identifier(identifier.library, gain=None, n_bootstrap=0, pileup=False)
    without.fit(Spectra(np.ones((1, N), dtype=np.int64), AXIS))
    with pytest.raises(FitError, match="without a prior of the gain"):
        GainTracker(without)
    with pytest.raises(DataError, match="one spectrum of counts"):
        GainTracker(identifier).step(series(np.zeros(2), 10.0, 1))
    with pytest.raises(DataError, match="one spectrum of counts"):
        GainTracker(identifier).step(Spectra(np.ones((1, N)), AXIS, "intensity"))


def test_the_settings_of_the_fit_are_used_whatever_is_set_later(identifier: Identifier) -> None:
    spectra = series(np.linspace(0.0, 0.01, 20), 3000.0, 12)
    before = GainTracker(identifier).track(spectra)
    changed = Identifier(identifier.library, gain=0.02, pileup=False, n_bootstrap=0)
    exact = np.round(1e7 * moved(BACKGROUND, 0.0)).astype(np.int64)
    changed.fit(Spectra(exact, AXIS)).set_params(gain=None, offset=5.0, window=(0.0, 100.0))
    np.testing.assert_array_equal(GainTracker(changed).track(spectra).gains, before.gains)


def test_window_and_pileup_are_those_of_the_identifier(identifier: Identifier) -> None:
    exact = np.round(1e7 * moved(BACKGROUND, 0.0)).astype(np.int64)
    given = {"gain": 0.02, "n_bootstrap": 0, "window": (200.0, 1500.0), "pileup": True}
    model = Identifier(identifier.library, **given).fit(Spectra(exact, AXIS))
    spectrum = series(np.array([0.01]), 20000.0, 13, source=5000.0)
    tracker = GainTracker(model)
    tracker.step(spectrum)
    fitted = float(model.analyze(spectrum).quality["gain"][0])
    assert tracker.gain == pytest.approx(fitted, abs=1e-5)  # the same fit under the same prior
    changed = spectrum.values.copy()
    changed[:, AXIS.window(1600.0, 3000.0)] += 50  # outside of the window, so without influence
    other = GainTracker(Identifier(identifier.library, **given | {"pileup": False}).fit(
        Spectra(exact, AXIS)
    ))  # fmt: skip
    first = other.step(spectrum)[0]
    assert other.gain == first
    other.reset()
    assert other.step(Spectra(changed, AXIS))[0] == first
