from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom._typing import FloatArray
from spectraloom.errors import LabelError
from spectraloom.generate import scene_expected, simulate_scene
from spectraloom.physics.gamma import GammaDetector
from spectraloom.physics.gamma.background import BACKGROUND_COMPONENTS
from spectraloom.workflow import find_scene
from spectraloom.workflow.simulate import _detector, detector_names

from .conftest import Run

SCENE = """
description = "two sources"
spectra = 12
detectors = ["NaI 3x3"]
axis = { low = 0, high = 3000, channels = 128 }
seed = 4

[[sources]]
nuclides = ["Cs-137", "Co-60"]
counts = [300, 600]
"""


@pytest.fixture(autouse=True)
def _no_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flat spectra: what the commands do does not depend on physics."""

    def flat(_source: object, detector: GammaDetector, _around: object) -> FloatArray:
        return np.full(detector.axis.n_channels, 1e-6)

    def background(detector: GammaDetector) -> dict[str, FloatArray]:
        return {name: np.full(detector.axis.n_channels, 1e-3) for name in BACKGROUND_COMPONENTS}

    monkeypatch.setattr(scene_expected, "expected_counts", flat)
    monkeypatch.setattr(scene_expected, "background_rates", background)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    file = tmp_path / "mine.toml"
    file.write_text(SCENE, encoding="utf-8")
    return file


@pytest.mark.parametrize("ending", ["npz", "zarr"])
def test_a_scene_becomes_a_file(run: Run, scene: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"train.{ending}"
    done = run("simulate", scene, "-o", out, "--json")
    assert done.code == 0, done.err
    assert done.json == {"spectra": 12, "written": str(out), "not_kept": []}
    drawn = sl.read(out)
    assert drawn.shape == (12, 128)
    assert drawn.fingerprint() == simulate_scene(find_scene(str(scene))).fingerprint()
    assert {"true_Cs137", "true_labels", "distance"} <= set(drawn.columns)


def test_seed_and_number_are_taken_from_the_command_line(
    run: Run, scene: Path, tmp_path: Path
) -> None:
    prints = {}
    for name, extra in (("own", []), ("four", ["--seed", 4]), ("five", ["--seed", 5])):
        assert run("simulate", scene, "-o", tmp_path / f"{name}.npz", *extra).code == 0
        prints[name] = sl.read(tmp_path / f"{name}.npz").fingerprint()
    assert prints["own"] == prints["four"] != prints["five"]
    assert "spectra  7" in run("simulate", scene, "-o", tmp_path / "n.npz", "-n", 7).out


def test_a_ready_scene_goes_by_its_name(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "x.npz"
    assert run("simulate", "unknowns", "-o", out, "-n", 40).code == 0
    assert ("unknown", "background") in {tuple(entry) for entry in sl.read(out).labels}


def test_the_gallery_is_listed(run: Run) -> None:
    shown = run("simulate", "--list")
    assert shown.code == 0
    assert "handheld" in shown.out
    listed = run("simulate", "--list", "--json").json
    gallery = listed["scenes"]
    assert {"scene", "spectra", "description"} == set(gallery[0])
    assert {"handheld", "portal", "laboratory"} <= {one["scene"] for one in gallery}
    assert all(one["spectra"] > 0 for one in gallery)
    assert {"NaI 3x3", "HPGe coaxial", "simulated", "east"} <= set(listed["detectors"])
    assert all(name in " ".join(shown.out.split()) for name in listed["detectors"])


def test_every_detector_that_is_listed_can_be_named() -> None:
    names = detector_names()
    assert len(names) == len(set(names)) > 8
    for name in (*names, "hpge Coaxial"):
        seen_by = _detector(name)
        assert seen_by.name.lower() == name.lower()
    with pytest.raises(LabelError, match=r"did you mean 'HPGe coaxial'.*of the demo: simulated"):
        _detector("HPGe coax")


def test_the_number_of_a_scene_of_passes_is_that_of_its_passes() -> None:
    portal = find_scene("portal", spectra=5)
    assert [one.passes for one in portal.passes] == [5]
    assert len(portal) == 5 * portal.passes[0].steps
    walk_by = find_scene("walk_by")
    assert len(walk_by.passes) == 2
    for n in (1, 2, 7, 1000):
        drawn = find_scene("walk_by", spectra=n)
        assert sum(one.passes for one in drawn.passes) == n
        assert len(drawn.passes) == min(n, 2)
        assert {one.speed for one in drawn.passes} <= {one.speed for one in walk_by.passes}
    both = find_scene("handheld", spectra=7)
    assert both.spectra == 7


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["simulate", "handhelt", "-o", "{t}/x.npz"], "did you mean 'handheld'"),
        (["simulate", "{t}/no.toml", "-o", "{t}/x.npz"], "No such file"),
        (["simulate", "{t}/mine.toml"], "Missing option '--out'"),
        (
            ["simulate", "{t}/mine.toml", "-o", "{t}/x.npz", "--nuclides", "Cs137"],
            "a scene says this itself: leave out --nuclides",
        ),
        (
            ["simulate", "{t}/mine.toml", "-o", "{t}/x.npz", "--live-time", "2"],
            "leave out --live-time",
        ),
        (
            ["simulate", "portal", "-o", "{t}/x.npz", "-n", "9000000"],
            "too large for memory",
        ),
        (
            ["simulate", "-o", "{t}/x.npz", "-n", "9000000"],
            "too large for memory",
        ),
        (["simulate", "-o", "{t}/x.npz", "--detector", "NaI 3x4"], "did you mean 'NaI 3x3'"),
        (["simulate", "{t}/mine.toml", "-o", "{t}/mine.toml"], "exists already"),
        (["simulate", "{t}/wrong.toml", "-o", "{t}/x.npz"], "sources 1: there is no key 'count'"),
    ],
)
def test_mistakes_are_one_line(
    run: Run, scene: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(scene.read_text(encoding="utf-8").replace("counts =", "count ="), "utf-8")
    done = run(*(one.replace("{t}", str(tmp_path)) for one in arguments))
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "x.npz").exists()
