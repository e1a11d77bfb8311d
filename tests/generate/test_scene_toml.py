from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data import Axis
from spectraloom.errors import DataError, LabelError, SpectraloomError
from spectraloom.generate import (
    Scene,
    SceneBackground,
    SceneDrift,
    ScenePass,
    SceneSource,
    read_scene,
    ready_scene,
    scenes,
    simulate_scene,
)
from spectraloom.generate.scene_draw import draw_plan
from spectraloom.generate.scene_toml import _scene, scene_from_text
from spectraloom.physics import material, mixture
from spectraloom.physics.gamma import detector

from .scene_physics import use_plain_physics

WHOLE = """
name = "all keys"
description = "what it is for"
spectra = 20
detectors = ["NaI 3x3", "csi handheld"]
axis = { low = 20, high = 2000, channels = 330 }
live_time = [1, 60]
label_noise = 0.1
seed = 12

[background]
vary = false
factor = [0.5, 2]
alone = 0.25

[drift]
gain = 0.01
offset = -2
correlation_time = 600

[[sources]]
nuclides = ["Cs-137", "60Co"]
mixture = [1, 2]
age = ["1 y", 86400]
absorbers = ["none", "Pb 0.5", { material = "Fe", thickness = [0, 2] }]
distance = [60, 300]
body = { material = "water", radius = 10 }
floor = { material = "concrete", height = 100 }
activity = [1e4, 1e6]
weight = 2

[[sources]]
nuclides = ["Ba-133"]
unknown = true
signal_to_noise = 5

[[passes]]
nuclides = ["Eu-152"]
passes = 3
speed = [0.5, 2]
interval = 0.5
duration = 20
present = 0.5
distance = 250
"""


def test_a_file_says_the_same_as_python(tmp_path: Path) -> None:
    file = tmp_path / "scene.toml"
    file.write_text(WHOLE, encoding="utf-8")
    expected = Scene(
        name="all keys",
        description="what it is for",
        spectra=20,
        detectors=("NaI 3x3", "CsI handheld"),
        axis=Axis.regular(20.0, 2000.0, 330),
        live_time=(1, 60),
        label_noise=0.1,
        seed=12,
        background=SceneBackground(vary=False, factor=(0.5, 2.0), alone=0.25),
        drift=SceneDrift(gain=0.01, offset=-2.0, correlation_time=600.0),
        sources=(
            SceneSource(
                nuclides=("Cs137", "Co60"),
                mixture=(1, 2),
                age=("1 y", "1 d"),
                absorbers=(None, ("Pb", 0.5), ("Fe", (0.0, 2.0))),
                distance=(60.0, 300.0),
                body=("water", 10.0),
                floor=("concrete", 100.0),
                activity=(1e4, 1e6),
                weight=2.0,
            ),
            SceneSource(nuclides=("Ba133",), unknown=True, signal_to_noise=5.0),
        ),
        passes=(
            ScenePass(
                nuclides=("Eu152",),
                passes=3,
                speed=(0.5, 2.0),
                interval=0.5,
                duration=20.0,
                present=0.5,
                distance=250.0,
            ),
        ),
    )
    assert read_scene(file) == expected
    assert scene_from_text(WHOLE) == expected


def test_what_is_left_out_is_as_in_python() -> None:
    text = 'spectra = 3\n[[sources]]\nnuclides = ["Co-60"]'
    assert scene_from_text(text, "short") == Scene(
        name="short", spectra=3, sources=[SceneSource(nuclides=["Co-60"])]
    )
    assert scene_from_text("background = false\n" + text).background is None
    assert scene_from_text("background = true\n" + text).background == SceneBackground()


def test_a_density_makes_a_material_of_a_formula() -> None:
    scene = scene_from_text("""
spectra = 3
[[sources]]
nuclides = ["Co-60"]
absorbers = ["none", { material = "Gd2O2S", density = 7.3, thickness = [0.1, 1] }]
body = { material = "CsBr", density = 4.4, radius = 2 }
""")
    phosphor = material("Gd2O2S", density=7.3)
    assert scene.sources[0].absorbers == (None, (phosphor, (0.1, 1.0)))
    assert scene.sources[0].body == (material("CsBr", density=4.4), 2.0)
    own = mixture("own", {"Pb": 1, "PVT": 1}, density=2.0)
    source = SceneSource(nuclides=["Co-60"], absorbers=["none", "Fe 1", (own, 1)], floor=(own, 50))
    assert source.absorbers == (None, ("Fe", (1.0, 1.0)), (own, (1.0, 1.0)))
    assert source.floor == (own, 50.0)


def test_a_detector_is_a_ready_one_with_other_numbers() -> None:
    scene = scene_from_text("""
spectra = 3
[[sources]]
nuclides = ["Co-60"]
[[detectors]]
name = "first"
like = "NaI 3x3"
[[detectors]]
name = "mine"
like = "CsI handheld"
fwhm_662 = 0.075
dead_time = 4e-6
crystal = { size = [3, 3] }
[[detectors]]
name = "other"
like = "NaI 3x3"
[detectors.crystal]
material = "Lu2SiO5"
density = 7.4
window = ["Al 0.1", { material = "CsBr", density = 4.4, thickness = 0.2 }]
""")
    axis = detector("NaI 3x3").axis
    handheld = detector("CsI handheld")
    mine, other = scene.ready[1:]
    assert mine == replace(
        handheld,
        name="mine",
        axis=axis,
        fwhm_662=0.075,
        dead_time=4e-6,
        crystal=replace(handheld.crystal, size=(3.0, 3.0)),
    )
    assert other.crystal == replace(
        detector("NaI 3x3").crystal,
        material=material("Lu2SiO5", density=7.4),
        window=(("Al", 0.1), (material("CsBr", density=4.4), 0.2)),
    )
    inline = (
        'detectors = ["NaI 3x3", { name = "b", like = "NaI 3x3", crystal = { density = 3 } }]\n'
    )
    assert scene_from_text(inline + HEAD).ready[1].crystal.material == material("NaI", density=3.0)


HEAD = 'spectra = 3\n[[sources]]\nnuclides = ["Co-60"]\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("spectra = ", "this is no TOML"),
        ("spectra = 3\nsouces = []", "no key 'souces'; did you mean 'sources'"),
        (HEAD + "distanc = 3", "sources 1: there is no key 'distanc'; did you mean 'distance'"),
        (HEAD + "speed = 3", "sources 1: there is no key 'speed'"),
        (HEAD + "[drift]\ngian = 0.1", "drift: there is no key 'gian'; did you mean 'gain'"),
        ("spectra = 3", "single spectra need sources"),
        ('[[sources]]\nnuclides = ["Co-60"]', "there is nothing to draw"),
        ("spectra = 3\n[[sources]]\ncounts = 3", "sources 1: nuclides are missing"),
        ('spectra = 3\n[[sources]]\nnuclides = "Co-60"', "write \\['Co-60'\\]"),
        ('spectra = 3\n[[sources]]\nnuclides = ["Co-61x"]', "no nuclide 'Co-61x'"),
        ('spectra = 3\n[[sources]]\nnuclides = ["Co-60", "60Co"]', "names Co60 twice"),
        ('spectra = 3\n[[sources]]\nnuclides = ["H-3"]', "emits photons"),
        ("spectra = true\n" + HEAD[12:], "spectra is a whole number"),
        ("spectra = 1.5\n" + HEAD[12:], "spectra is a whole number"),
        ("spectra = 99999999999\n" + HEAD[12:], "from 0 to 10000000"),
        ("spectra = 9000000\n" + HEAD[12:], "too large for memory"),
        (HEAD + "distance = 0", "distance is a number of 0.001 or more and up to 100000, got 0"),
        (HEAD + "distance = [3, 2]", "distance is a pair"),
        (HEAD + "distance = [1, 2, 3]", "distance is a number or a pair"),
        (HEAD + "distance = nan", "distance is a number"),
        (HEAD + "counts = -5", "counts is a number"),
        (HEAD + "counts = 5\nactivity = 5", "give one of counts, signal_to_noise, activity"),
        (HEAD + "mixture = 2", "mixture is a whole number from 1 to 1"),
        (HEAD + 'absorbers = ["led 1"]', "did you mean 'lead'"),
        (HEAD + 'absorbers = ["Pb"]', "an absorber is none, a material and a thickness"),
        (HEAD + 'absorbers = ["Pb -1"]', "thickness is a number of 0 or more"),
        (HEAD + 'absorbers = ["CsBr 1"]', "density of 'CsBr' is not known"),
        (HEAD + 'absorbers = [{ material = "CsBr", thickness = 1 }]', "'CsBr' is not known"),
        (
            HEAD + 'absorbers = [{ material = "CsBr", density = -1, thickness = 1 }]',
            "sources 1: density is a number above 0",
        ),
        (HEAD + "absorbers = []", "absorbers is a list of 1 to"),
        (HEAD + 'absorbers = ["Pb 200"]', "does not fit"),
        (HEAD + 'age = "3 parsecs"', "a time is zero or more"),
        (HEAD + "age = [[1]]", "age is a time"),
        (HEAD + 'age = "100000 y"', "sources 1: Co60 has decayed: .*1e\\+05 years"),
        (HEAD + 'body = ["water", 3]', "body is { material"),
        (HEAD + 'body = { material = "water", radius = 300 }', "does not fit"),
        (HEAD + "unknown = 1", "unknown is true or false"),
        (HEAD + "weight = 0", "weight is a number above 0"),
        (HEAD + "[background]\nalone = 2", "alone is a number of 0 or more and up to 1"),
        ("background = false\n" + HEAD + "signal_to_noise = 3", "there is none"),
        ("label_noise = 0.1\n" + HEAD, "label_noise needs two nuclides"),
        ('detectors = ["NaI 3x4"]\n' + HEAD, "did you mean 'NaI 3x3'"),
        ('detectors = ["NaI 3x3", "nai 3X3"]\n' + HEAD, "different names"),
        ('detectors = "NaI 3x3"\n' + HEAD, "detectors is a list of names"),
        ('detectors = [{ name = "a" }]\n' + HEAD, "detectors 1: a detector is { name"),
        ('detectors = [{ name = "a", like = "NaI 3x4" }]\n' + HEAD, "did you mean 'NaI 3x3'"),
        (
            'detectors = [{ name = "a", like = "NaI 3x3", fwhm = 1 }]\n' + HEAD,
            "detectors 1: there is no key 'fwhm'; did you mean 'fwhm_662'",
        ),
        (
            'detectors = [{ name = "a", like = "NaI 3x3", crystal = { size = 3 } }]\n' + HEAD,
            "detectors 1: crystal: size is",
        ),
        (
            'detectors = [{ name = "a", like = "NaI 3x3", crystal = { window = "Al" } }]\n' + HEAD,
            "window is a list of layers",
        ),
        (
            'detectors = [{ name = "a", like = "NaI 3x3", dead_time = 5 }]\n' + HEAD,
            "dead_time is in seconds",
        ),
        ("axis = { low = 0, high = 100 }\n" + HEAD, "an axis is"),
        ("axis = { low = 0, high = -1, channels = 2 }\n" + HEAD, "high is a number above 0"),
        ("sources = 3", "sources are up to"),
        ("sources = [3]", "sources 1 is a table"),
        ('spectra = 3\n[[passes]]\nnuclides = ["Co-60"]\nspeed = 0', "speed is a number of 0.01"),
        ('[[passes]]\nnuclides = ["Co-60"]\ninterval = 1e-4', "at most 100000 are possible"),
        ('[[passes]]\nnuclides = ["Co-60"]\nweight = 2', "passes have no weight"),
        ('[[passes]]\nnuclides = ["Co-60"]\nspeed = 90', "2,700 m away"),
        ('background = false\n[[passes]]\nnuclides = ["Co-60"]\npresent = 0.5', "without source"),
        (HEAD + '[[sources]]\nnuclides = ["Co-60"]\nunknown = true', "known and unknown"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(SpectraloomError, match=says):
        scene_from_text(text)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 10**12)
    | st.sampled_from([10**400, -(10**400), 1e-320, 1e308])
    | st.floats()
    | st.sampled_from(["none", "Pb 0.5", "Cs-137", "", "1 y", "NaI 3x3", "water"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["material", "radius", "nuclides", "gain", "low", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
KEYS = st.sampled_from([one.name for kind in (ScenePass, Scene) for one in fields(kind)])


@given(
    top=st.dictionaries(KEYS, VALUES, max_size=3),
    inner=st.dictionaries(KEYS, VALUES, max_size=3),
    key=st.sampled_from(["sources", "passes"]),
)
def test_any_values_give_a_scene_or_an_error_of_ours(
    top: dict[str, object], inner: dict[str, object], key: str
) -> None:
    given_values = {"spectra": 5, **top, key: [{"nuclides": ["Cs-137"], **inner}]}
    try:
        scene = _scene(given_values)
    except SpectraloomError:
        return
    if scene.spectra < 100 and len(scene) < 1000:
        plan = draw_plan(scene, np.random.SeedSequence(0))
        assert len(plan) == len(scene)


def test_a_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    for name, content, says in (
        ("binary", bytes(range(256)), "UTF-8"),
        ("large", b"#" * 1_000_001, "at most 1,000,000 bytes"),
        ("wrong", b"spectra = 3", "wrong.toml: single spectra"),
    ):
        file = tmp_path / f"{name}.toml"
        file.write_bytes(content)
        with pytest.raises(DataError, match=says):
            read_scene(file)
    with pytest.raises(FileNotFoundError):
        read_scene(tmp_path / "none.toml")


# -- gallery ---------------------------------------------------------------------------------


def test_the_gallery_has_scenes_with_descriptions() -> None:
    assert 6 <= len(scenes()) <= 12
    assert all(len(text) > 20 for text in scenes().values())


def test_an_unknown_scene_names_the_nearest() -> None:
    with pytest.raises(LabelError, match="no scene 'handhelt'; did you mean 'handheld'"):
        ready_scene("handhelt")


@pytest.mark.parametrize("name", sorted(scenes()))
def test_scenes_of_the_gallery_can_be_drawn(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_plain_physics(monkeypatch)
    scene = ready_scene(name)
    assert scene.name == name
    small = replace(
        scene,
        spectra=min(scene.spectra, 120),
        passes=tuple(replace(one, passes=12) for one in scene.passes),
    )
    spectra = simulate_scene(small)
    assert len(spectra) == len(small)
    assert spectra.values.sum() > 0
    labels = {label for entry in spectra.labels for label in entry}
    assert "background" in labels
    assert len(labels) >= 3
