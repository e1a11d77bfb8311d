from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectraloom.data import Spectra
from spectraloom.errors import DataError
from spectraloom.generate import (
    Scene,
    SceneBackground,
    SceneDrift,
    ScenePass,
    SceneSource,
    scene_expected,
    scene_spectra,
    simulate_scene,
)
from spectraloom.generate.scene_draw import draw_plan
from spectraloom.generate.scene_expected import BLOCK, expected_rows, scene_tables
from spectraloom.physics.gamma.electronics import recorded
from spectraloom.physics.gamma.transport.surroundings import Surroundings

from .scene_physics import OTHER, SMALL, plain_background, plain_counts, use_plain_physics


@pytest.fixture(autouse=True)
def _plain_physics(monkeypatch: pytest.MonkeyPatch) -> None:
    use_plain_physics(monkeypatch)


def truth(spectra: Spectra) -> np.ndarray:
    names = [n for n in spectra.columns if n.startswith("true_") and n != "true_labels"]
    return np.stack([spectra.columns[name] for name in names])


RICH = Scene(
    name="rich",
    spectra=300,
    detectors=(SMALL, OTHER),
    live_time=(1.0, 10.0),
    background=SceneBackground(alone=0.1, factor=(0.5, 2.0)),
    drift=SceneDrift(gain=0.01, offset=1.0),
    label_noise=0.1,
    sources=(
        SceneSource(
            nuclides=["Cs-137", "Co-60", "Am-241"],
            mixture=(1, 3),
            absorbers=(None, ("Fe", 0.1), ("Pb", (0.01, 0.1))),
            distance=(50.0, 400.0),
            counts=(100.0, 1e4),
        ),
        SceneSource(nuclides=["Ba-133"], activity=(1e6, 1e9), age="3 y", weight=0.5),
        SceneSource(nuclides=["Na-22"], unknown=True, signal_to_noise=(1.0, 30.0)),
    ),
    passes=(ScenePass(nuclides=["Ir-192"], passes=4, duration=10.0, activity=1e8),),
    seed=5,
)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**63 - 1), blocks=st.integers(1, 5))
def test_the_same_seed_gives_the_same_spectra_in_any_chunks(seed: int, blocks: int) -> None:
    scene = replace(RICH, spectra=150)
    first = simulate_scene(scene, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene_spectra, "_CHUNK", blocks * BLOCK)
        patch.setattr(scene_spectra.os, "cpu_count", lambda: blocks)
        again = simulate_scene(replace(scene, seed=seed))
    assert first.fingerprint() == again.fingerprint()
    assert simulate_scene(scene, seed=seed ^ 1).fingerprint() != first.fingerprint()


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32))
def test_truth_adds_up_to_what_was_expected(seed: int) -> None:
    scene = replace(RICH, spectra=50, seed=seed)
    plan = draw_plan(scene, np.random.SeedSequence(seed))
    values, expected = expected_rows(scene, plan, scene_tables(scene, plan), np.arange(len(plan)))
    np.testing.assert_allclose(expected.counts.sum(axis=1), values.sum(axis=1), rtol=1e-9)
    assert (values >= 0).all()
    assert (expected.counts >= 0).all()


@given(seed=st.integers(0, 2**32), most=st.integers(1, 3))
def test_shares_of_a_mixture_sum_to_one(seed: int, most: int) -> None:
    source = SceneSource(nuclides=["Cs-137", "Co-60", "Am-241"], mixture=(1, most), counts=500.0)
    scene = Scene(spectra=30, sources=[source], detectors=[SMALL], background=None, seed=seed)
    plan = draw_plan(scene, np.random.SeedSequence(seed))
    np.testing.assert_allclose(plan.share.sum(axis=1), 1.0)
    there = plan.member >= 0
    assert set(there.sum(axis=1)) <= set(range(1, most + 1))
    for row in plan.member:
        inside = row[row >= 0]
        assert len(set(inside)) == len(inside)
    np.testing.assert_allclose(truth(simulate_scene(scene)).sum(axis=0), 500.0, rtol=1e-9)


def test_columns_say_what_was_drawn() -> None:
    spectra = simulate_scene(RICH)
    assert len(spectra) == len(RICH) == 340
    single = spectra.column("pass") < 0
    assert single.sum() == 300
    alone = np.array([tuple(e) == ("background",) for e in spectra.column("true_labels")])
    assert alone.sum() == 30
    for label, true, counts in zip(
        spectra.labels, spectra.column("true_labels"), truth(spectra).T, strict=True
    ):
        names = [n[5:] for n in spectra.columns if n.startswith("true_") and n != "true_labels"]
        there = {name for name, value in zip(names, counts, strict=True) if value > 0}
        assert there == set(true)
        assert label[-1] == true[-1] == "background"
        if "Na22" in true:
            assert label == ("unknown", "background")
    assert set(spectra.column("detector")) == {"small", "other"}
    assert np.isnan(spectra.column("distance")[alone]).all()
    thin = spectra.column("material") == "Pb"
    thickness = spectra.column("thickness")
    assert thickness[thin].min() >= 0.01
    assert thickness[thin].max() <= 0.1
    assert thickness[thin].std() > 0.01
    assert (thickness[spectra.column("material") == ""] == 0).all()
    assert set(spectra.column("absorber")[spectra.column("material") == "Fe"]) == {"Fe 0.1 cm"}
    assert spectra.column("activity_Ba133").max() > 1e6
    ages = spectra.column("age")
    barium = np.array(["Ba133" in entry for entry in spectra.column("true_labels")])
    np.testing.assert_allclose(ages[barium], 3 * 365.25 * 86400)
    assert np.isnan(ages[~barium]).all()
    assert spectra.attrs["scene"] == "rich"
    noise = np.sqrt(spectra.column("true_background"))
    sodium = spectra.column("true_Na22")
    ratio = (sodium / noise)[sodium > 0]
    assert ratio.min() > 0.95
    assert ratio.max() < 31


def test_label_noise_changes_one_name_in_as_many_spectra_as_asked() -> None:
    source = SceneSource(nuclides=["Cs-137", "Co-60", "Am-241"], mixture=(1, 2))
    passing = ScenePass(nuclides=["Ir-192"], passes=10, duration=5.0)
    scene = Scene(
        spectra=200, sources=[source], passes=[passing], detectors=[SMALL], label_noise=0.2, seed=3
    )
    spectra = simulate_scene(scene)
    labels, true = spectra.labels, spectra.column("true_labels")
    wrong = np.array([set(one) != set(other) for one, other in zip(labels, true, strict=True)])
    assert wrong[:200].sum() == 40
    by_pass = wrong[200:].reshape(10, 5)
    assert (by_pass.all(axis=1) | ~by_pass.any(axis=1)).all()
    assert by_pass.all(axis=1).sum() == 2
    for one, other in zip(labels[wrong], true[wrong], strict=True):
        assert len(one) == len(other)
        assert len(set(one) - set(other)) == 1
        assert len(set(one)) == len(one)


def test_counts_are_poisson_around_the_expected_shape() -> None:
    source = SceneSource(nuclides=["Cs-137"], counts=5000.0, distance=150.0)
    scene = Scene(spectra=4000, sources=[source], detectors=[SMALL], background=None, seed=8)
    values = simulate_scene(scene).values
    shape = plain_counts("Cs137", SMALL, Surroundings(distance=150.0))
    mean = 5000.0 * shape / shape.sum()
    some = mean > 1
    ratio = values[:, some].var(axis=0, ddof=1) / mean[some]
    assert ratio.mean() == pytest.approx(1.0, abs=5 * np.sqrt(2 / 4000 / some.sum()))
    score = (values.mean(axis=0) - mean)[some] / np.sqrt(mean[some] / 4000)
    assert np.abs(score).max() < 5
    assert values[:, mean == 0].sum() == 0
    # Streams of neighbours have nothing to do with each other.
    totals = values.sum(axis=1)
    assert abs(np.corrcoef(totals[:-1], totals[1:])[0, 1]) < 5 / np.sqrt(4000)


def test_activity_gives_rate_dead_time_and_pile_up() -> None:
    source = SceneSource(nuclides=["Cs-137"], activity=3e9, distance=100.0)
    scene = Scene(
        spectra=3,
        sources=[source],
        detectors=[SMALL],
        background=SceneBackground(vary=False),
        live_time=2.0,
        seed=1,
    )
    spectra = simulate_scene(scene)
    plan = draw_plan(scene, np.random.SeedSequence(0))
    rates = 3e9 * plain_counts("Cs137", SMALL, Surroundings(distance=100.0))
    rates = rates + plan.background[0] @ np.array([*plain_background(SMALL).values()])
    assert rates.sum() > 1e5
    piled = recorded(rates, SMALL.axis, dead_time=2e-6, pile_up_time=5e-7)
    live = 1.0 / (1.0 + 2e-6 * rates.sum())
    np.testing.assert_allclose(spectra.live_time, 2.0)  # type: ignore[arg-type]
    np.testing.assert_allclose(spectra.real_time, 2.0 / live)  # type: ignore[arg-type]
    expected = piled / live * 2.0
    score = (spectra.values - expected) / np.sqrt(expected)
    assert np.abs(score).max() < 6
    # Sums lie above 662 keV, where there would be background alone.
    above = SMALL.axis.centers > 900
    assert expected[above].sum() > 20 * 2.0 * (rates[above]).sum()
    np.testing.assert_allclose(truth(spectra).sum(axis=0), expected.sum(), rtol=1e-9)


def test_pile_up_that_cannot_be_seen_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SceneSource(nuclides=["Cs-137"], activity=(1e3, 1e4))
    scene = Scene(spectra=20, sources=[source], detectors=[SMALL], background=None, seed=1)
    without = simulate_scene(scene)
    monkeypatch.setattr(scene_expected, "_LEAST_SUMS", 0.0)
    with_all = simulate_scene(scene)
    np.testing.assert_allclose(truth(without), truth(with_all), rtol=1e-6)


def test_drift_moves_peaks_and_is_in_the_columns() -> None:
    source = SceneSource(nuclides=["Cs-137"], counts=1e7)
    scene = Scene(
        spectra=20,
        sources=[source],
        detectors=[SMALL],
        background=None,
        drift=SceneDrift(gain=0.03),
        seed=1,
    )
    spectra = simulate_scene(scene)
    gain = spectra.column("gain")
    assert 0.01 < gain.std() < 0.06
    centres = SMALL.axis.centers
    near = (centres > 480) & (centres < 880)
    values = spectra.values[:, near] - spectra.values[:, near].min(axis=1, keepdims=True)
    place = (values * centres[near]).sum(axis=1) / values.sum(axis=1)
    assert np.corrcoef(place, gain)[0, 1] > 0.95
    still = simulate_scene(replace(scene, drift=None))
    assert (still.column("gain") == 1).all()


def test_background_alone_and_none() -> None:
    scene = Scene(spectra=5, detectors=[SMALL], background=SceneBackground(alone=1.0), seed=1)
    spectra = simulate_scene(scene)
    assert {tuple(one) for one in spectra.labels} == {("background",)}
    assert np.ptp(spectra.column("true_background")) > 0
    same = replace(scene, background=SceneBackground(alone=1.0, vary=False))
    assert np.ptp(simulate_scene(same).column("true_background")) == 0
    source = SceneSource(nuclides=["Cs-137"])
    bare = simulate_scene(Scene(spectra=5, sources=[source], detectors=[SMALL], background=None))
    assert "true_background" not in bare.columns
    assert {tuple(one) for one in bare.labels} == {("Cs137",)}


def test_all_detectors_lie_on_the_axis_of_the_first() -> None:
    source = SceneSource(nuclides=["Cs-137"])
    scene = Scene(spectra=30, sources=[source], detectors=[OTHER, SMALL])
    spectra = simulate_scene(scene)
    assert spectra.axis == OTHER.axis
    chosen = simulate_scene(replace(scene, axis=SMALL.axis, detectors=(OTHER, SMALL)))
    assert chosen.axis == SMALL.axis


def test_behind_a_thick_shield_an_activity_is_not_seen() -> None:
    source = SceneSource(nuclides=["Am-241"], absorbers=["Pb 50"], activity=1e6)
    gone = simulate_scene(Scene(spectra=3, sources=[source], detectors=[SMALL], seed=2))
    assert (gone.column("true_Am241") < 1e-9).all()
    assert (gone.column("true_background") > 0).all()
    assert {tuple(one) for one in gone.column("true_labels")} == {("Am241", "background")}
    fading = replace(source, absorbers=[("Pb", (0.0, 6.0))], activity=1e9)
    scene = Scene(spectra=300, sources=[fading], detectors=[SMALL], background=None, seed=2)
    drawn = simulate_scene(replace(scene, detectors=[replace(SMALL, dead_time=0, pile_up_time=0)]))
    seen = drawn.column("true_Am241")
    expected = [
        1e9
        * plain_counts("Am241", SMALL, Surroundings(shells=(("Pb", max(thickness, 1e-9)),))).sum()
        for thickness in drawn.column("thickness")
    ]
    assert min(expected) < 1e-5 * max(expected)
    np.testing.assert_allclose(seen, expected, rtol=0.2, atol=1e-6)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            SceneSource(nuclides=["Am-241"], absorbers=[("Pb", (0.0, 3.0))]),
            "next to nothing of Am241 passes 3 cm of Pb",
        ),
        (
            # Lines of 1e-6 photons per decay would pass; weaker ones are not in the tables.
            SceneSource(nuclides=["Am-241"], absorbers=[("Pb", (0.0, 0.8))]),
            "passes 0.8 cm of Pb, less than 1e-05 of its counts",
        ),
        (SceneSource(nuclides=["Cs-137"], counts=1e12), "at most 1e\\+09 are possible"),
    ],
)
def test_what_cannot_be_is_said(source: SceneSource, says: str) -> None:
    with pytest.raises(DataError, match=says):
        simulate_scene(Scene(spectra=2, sources=[source], detectors=[SMALL]))


def test_progress_rises_to_one() -> None:
    told: list[tuple[float, str]] = []
    simulate_scene(RICH, progress=lambda done, text: told.append((done, text)))
    fractions = [done for done, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any("transport of Cs137" in text for _, text in told)
