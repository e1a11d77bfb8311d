from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from spectraloom.generate import Scene, SceneBackground, ScenePass, simulate_scene
from spectraloom.generate.passes import track

from .scene_physics import SMALL, use_plain_physics


@pytest.fixture(autouse=True)
def _plain_physics(monkeypatch: pytest.MonkeyPatch) -> None:
    use_plain_physics(monkeypatch)


TRACKS = {
    "closest": st.floats(10.0, 1e4),
    "speed": st.floats(1.0, 1e4),
    "interval": st.floats(0.05, 10.0),
    "steps": st.integers(1, 200),
}


@given(**TRACKS)
def test_a_pass_is_symmetric_about_its_closest_approach(
    closest: float, speed: float, interval: float, steps: int
) -> None:
    found = track(closest, speed, interval, steps)
    np.testing.assert_allclose(found.distance, found.distance[::-1], rtol=1e-9)
    np.testing.assert_allclose(found.position, -found.position[::-1], atol=1e-6)
    np.testing.assert_allclose(found.time, interval * np.arange(steps), atol=1e-9 * steps)
    half = steps // 2
    assert (np.diff(found.distance[half:]) >= -1e-9 * found.distance[-1]).all()
    assert (found.distance >= closest * (1 - 1e-12)).all()


@given(**TRACKS)
def test_the_distance_gives_the_mean_of_the_inverse_square(
    closest: float, speed: float, interval: float, steps: int
) -> None:
    found = track(closest, speed, interval, steps)
    for step in {0, steps // 2, steps - 1}:
        begin = found.position[step] - 0.5 * speed * interval
        mean, _ = quad(
            lambda s, begin=begin: 1.0 / (1.0 + ((begin + s * speed * interval) / closest) ** 2),
            0.0,
            1.0,
            points=[float(np.clip(-begin / (speed * interval), 0.0, 1.0))],
            limit=200,
        )
        assert (closest / found.distance[step]) ** 2 == pytest.approx(mean, rel=1e-6)


def test_far_and_slow_a_pass_is_a_source_at_rest() -> None:
    found = track(1e5, 1e-3, 1.0, 3)
    np.testing.assert_allclose(found.distance, 1e5, rtol=1e-9)


def test_counts_of_a_pass_follow_the_inverse_square_and_air() -> None:
    passing = ScenePass(
        nuclides=["Cs-137"],
        distance=200.0,
        speed=2.0,
        duration=21.0,
        counts=1e6,
        passes=2,
    )
    scene = Scene(passes=[passing], detectors=[SMALL], background=None, seed=4)
    spectra = simulate_scene(scene)
    assert len(spectra) == 42
    assert spectra.column("pass").tolist() == [0] * 21 + [1] * 21
    counts = spectra.column("true_Cs137")[:21]
    # At the closest approach there are as many as asked for, less what the motion takes.
    assert counts[10] == pytest.approx(
        1e6 * (200.0 / spectra.column("distance")[10]) ** 2, rel=1e-3
    )
    np.testing.assert_allclose(counts, counts[::-1], rtol=1e-6)
    distance = spectra.column("distance")[:21]
    position = spectra.column("position")[:21]
    np.testing.assert_allclose(np.hypot(200.0, position), distance, rtol=0.05)
    attenuated = counts * distance**2
    # Air weakens 662 keV by 9.3e-5 per cm.
    slope = np.log(attenuated[10] / attenuated[0]) / (distance[0] - distance[10])
    assert slope == pytest.approx(1e-4, rel=0.25)
    assert spectra.column("time")[:3].tolist() == [0.0, 1.0, 2.0]


def test_signal_to_noise_is_that_of_the_closest_spectrum() -> None:
    passing = ScenePass(
        nuclides=["Cs-137", "Co-60"], mixture=2, distance=300.0, speed=0.05, duration=5.0,
        signal_to_noise=8.0, passes=3,
    )  # fmt: skip
    spectra = simulate_scene(Scene(passes=[passing], detectors=[SMALL], seed=4))
    net = spectra.column("true_Cs137") + spectra.column("true_Co60")
    noise = np.sqrt(spectra.column("true_background"))
    np.testing.assert_allclose((net / noise)[2::5], 8.0, rtol=1e-3)


def test_some_passes_have_no_source_and_background_stays_the_same_within_one() -> None:
    passing = ScenePass(nuclides=["Cs-137"], passes=20, present=0.25, duration=6.0, activity=1e7)
    scene = Scene(passes=[passing], detectors=[SMALL], background=SceneBackground(), seed=2)
    spectra = simulate_scene(scene)
    run, counts = spectra.column("pass"), spectra.column("true_Cs137")
    with_source = {int(one) for one in run[counts > 0]}
    assert len(with_source) == 5
    for one in range(20):
        mine = run == one
        labels = {tuple(entry) for entry in spectra.labels[mine]}
        assert labels == {("Cs137", "background") if one in with_source else ("background",)}
        # Dead time takes less where there is no source.
        background = spectra.column("true_background")[mine]
        assert np.ptp(background) < 0.05 * background.max()
    assert len(np.unique(spectra.column("true_background").round(6))) > 20
    assert spectra.live_time is not None
    assert spectra.real_time is not None
    np.testing.assert_allclose(spectra.real_time, 1.0)
    assert (spectra.live_time < 1.0).all()
