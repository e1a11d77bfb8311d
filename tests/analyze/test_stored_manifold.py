from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import numpy as safetensors

from spectraloom.analyze import ManifoldUnmixer, load, load_card, save
from spectraloom.analyze.likelihood import Resolution
from spectraloom.analyze.manifold import Deformation, LearnedSignature, TabulatedSignature
from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError

AXIS = Axis.from_polynomial((-3.0, 8.0, 0.01), 40)
NAMES = ("Am241", "Cs137")
ALONG = Deformation("thickness", "mm", 0.0, 10.0, 0.1)
UNDER = np.exp(-np.arange(40) / 12.0)


def shape(name: str, thickness: float) -> np.ndarray:
    x = np.arange(40)
    soft, hard = ((5, 14), (10, 28))[NAMES.index(name)]
    row = np.exp(-0.1 * thickness) * np.exp(-0.5 * ((x - soft) / 1.5) ** 2)
    row = row + np.exp(-0.5 * ((x - hard) / 2.0) ** 2) + 0.01
    return np.asarray(row / row.sum())


def table() -> TabulatedSignature:
    nodes = ALONG.from_unit(np.linspace(0.0, 1.0, 17))
    rows = np.array([[shape(name, float(t)) for name in NAMES] for t in nodes])
    return TabulatedSignature(AXIS, NAMES, (ALONG,), rows)


def background() -> Spectra:
    return Spectra(np.random.default_rng(1).poisson(np.tile(1e4 * UNDER, (5, 1))), AXIS)


def training() -> Spectra:
    values = ALONG.from_unit(np.linspace(0.0, 1.0, 10))
    rows = [5e4 * shape(name, float(t)) for name in NAMES for t in values]
    names = [*np.repeat(NAMES, 10), "background"]
    return Spectra(
        np.random.default_rng(2).poisson(np.array([*rows, 1e5 * UNDER])),
        AXIS,
        columns={
            "labels": [(str(name),) for name in names],
            "thickness": np.append(np.tile(values, 2), np.nan),
        },
    )


def spectra(n: int = 30) -> Spectra:
    rng = np.random.default_rng(3)
    amounts = rng.choice([0.0, 100.0, 1000.0], (n, 2))
    at = rng.uniform(0.0, 10.0, n)
    rows = [
        a[0] * shape("Am241", t) + a[1] * shape("Cs137", t) + 60 * UNDER
        for a, t in zip(amounts, at, strict=True)
    ]
    values = rng.poisson(np.array(rows))
    values[3] = 0
    return Spectra(values, AXIS, live_time=np.full(n, 2.5))


def given_model(**changes: Any) -> ManifoldUnmixer:
    return ManifoldUnmixer(table(), **changes).fit(background())


def autoencoder() -> LearnedSignature:
    nets = pytest.importorskip("spectraloom.nets")
    pytest.importorskip("torch")
    layers = nets.InterpolatoryLayers((2, 2), (3, 3), (1, 2), (0.5,))
    small = nets.LearningSettings(layers=layers, training=nets.TrainingSettings(n_steps=50))
    sources = training()[:-1]
    return LearnedSignature.from_spectra(sources, ALONG, settings=small)


MODELS: dict[str, Callable[[], ManifoldUnmixer]] = {
    "given": given_model,
    "interpolated": lambda: ManifoldUnmixer(knots=4).fit(training()),
    "knots": lambda: ManifoldUnmixer(knots=[0.0, 1.0, 10.0]).fit(training()),
    "individual": lambda: given_model(individual=True, tie=0.3, known=(3.0, 2.0)),
    "moving": lambda: given_model(gain=0.01, broadening=0.1, resolution=Resolution(0.08)),
    "no background": lambda: given_model(background=None),
    "window": lambda: given_model(window=(20.0, 250.0), bins="adaptive", selection="all"),
    "autoencoder": lambda: ManifoldUnmixer(autoencoder()).fit(background()),
    "array": lambda: ManifoldUnmixer().fit(
        training().values, np.array([entry[0] for entry in training().labels])
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_gives_the_very_same_answers(tmp_path: Path, name: str) -> None:
    before = MODELS[name]()
    after = load(save(before, tmp_path / "model.loom"))
    assert isinstance(after, ManifoldUnmixer)
    some = spectra() if name != "array" else Spectra(spectra().values)
    first, second = before.analyze(some), after.analyze(some)
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())
    assert first.denoised is not None
    assert second.denoised is not None
    np.testing.assert_array_equal(first.denoised.values, second.denoised.values)
    mine, other = before.get_params(), after.get_params()
    assert (mine.pop("signatures") is None) == (other.pop("signatures") is None)
    for setting in ("knots", "known"):
        assert np.array_equal(mine.pop(setting), other.pop(setting))
    assert mine == other
    assert after.signature_errors_ == before.signature_errors_


def test_a_learned_model_keeps_its_network_and_card(tmp_path: Path) -> None:
    given_ = autoencoder()
    path = save(ManifoldUnmixer(given_).fit(background()), tmp_path / "model.loom")
    card = load_card(path)
    assert card["signatures"]["learned"]["model_card"]["networks"][0]["names"] == list(NAMES)
    after = load(path)
    assert isinstance(after, ManifoldUnmixer)
    assert isinstance(after.signatures, LearnedSignature)
    assert json.dumps(dict(after.signatures.card)) == json.dumps(dict(given_.card))
    assert set(after.signatures.state) == set(given_.state)


def test_a_loaded_model_can_be_fitted_again(tmp_path: Path) -> None:
    again = load(save(MODELS["interpolated"](), tmp_path / "model.loom"))
    assert isinstance(again, ManifoldUnmixer)
    again.fit(training())
    assert again.classes_.tolist() == [*NAMES, "background"]


# -- hostile files -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(given_model(), tmp_path_factory.mktemp("stored") / "model.loom")


def parts(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("card.json")), safetensors.load(
            archive.read("arrays.safetensors")
        )


def write(path: Path, card: Any, arrays: dict[str, np.ndarray]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("card.json", json.dumps(card))
        archive.writestr("arrays.safetensors", safetensors.save(arrays))
    return path


Change = Callable[[dict[str, Any], dict[str, np.ndarray]], Any]
TABLE = "signatures_table"
HOSTILE: dict[str, Change] = {
    "no signatures": lambda c, a: c.update(signatures=None),
    "another class name": lambda c, a: c.update(classes=["Am241", "Co60", "background"]),
    "fewer classes": lambda c, a: c.update(classes=c["classes"][:1]),
    "too few names": lambda c, a: c["signatures"].update(names=["Am241"]),
    "a name twice": lambda c, a: c["signatures"].update(names=["Am241", "Am241"]),
    "empty range": lambda c, a: c["signatures"]["deformations"][0].update(high=0.0),
    "no deformation": lambda c, a: c["signatures"].update(deformations=[]),
    "no logarithm": lambda c, a: c["signatures"]["deformations"][0].update(softening=-1.0),
    "negative signature": lambda c, a: a[TABLE].__setitem__((0, 0, 0), -0.1),
    "signature not finite": lambda c, a: a[TABLE].__setitem__((0, 0, 0), np.nan),
    "signature not of unit area": lambda c, a: a.update({TABLE: 2.0 * a[TABLE]}),
    "cut signature": lambda c, a: a.update({TABLE: a[TABLE][..., :-1].copy()}),
    "too few nodes": lambda c, a: a.update({TABLE: a[TABLE][:2].copy()}),
    "single precision": lambda c, a: a.update({TABLE: a[TABLE].astype(np.float32)}),
    "renamed background": lambda c, a: c["background"].update(names=["Am241"]),
    "negative background": lambda c, a: a.update(background=-a["background"]),
    "cut axis": lambda c, a: a.update(axis=a["axis"][:-1].copy()),
    "another number of channels": lambda c, a: c.update(n_channels=7),
    "rate out of range": lambda c, a: c["parameters"].update(false_alarm_rate=2.0),
    "unknown setting": lambda c, a: c["parameters"].update(command="ls"),
    "unknown model": lambda c, a: c["parameters"].update(model="ls"),
    "unknown selection": lambda c, a: c["fitted_with"].update(selection="some"),
    "unknown bins": lambda c, a: c["fitted_with"].update(bins="some"),
    "individual is no answer": lambda c, a: c["fitted_with"].update(individual="no"),
    "individual is a number": lambda c, a: c["fitted_with"].update(individual=1),
    "an entry too many": lambda c, a: c["fitted_with"].update(more=1),
    "an entry too few": lambda c, a: c["fitted_with"].pop("tilt"),
    "prior of three numbers": lambda c, a: c["fitted_with"].update(known=[1.0, 2.0, 3.0]),
    "narrow knowledge": lambda c, a: c["fitted_with"].update(known=[1.0, 1e-320]),
    "narrow tie": lambda c, a: c["fitted_with"].update(individual=True, tie=1e-320),
    "narrow tilt": lambda c, a: c["fitted_with"].update(tilt=1e-320),
    "narrow broadening": lambda c, a: c["fitted_with"].update(broadening=1e-320),
    "huge gain": lambda c, a: c["fitted_with"].update(gain=10**400),
    "width of no peak": lambda c, a: c["fitted_with"].update(
        broadening=0.1, resolution=[0.07, 661.0, 1e5]
    ),
    "number as deformation": lambda c, a: c["signatures"]["deformations"][0].update(name=5),
    "taken deformation": lambda c, a: c["signatures"]["deformations"][0].update(name="gain"),
    "endless range": lambda c, a: c["signatures"]["deformations"][0].update(
        low=-1e308, high=1e308, softening=None
    ),
    "endless softening": lambda c, a: c["signatures"]["deformations"][0].update(softening=1e300),
    "negative prior": lambda c, a: c["fitted_with"].update(gain=-0.1),
    "prior of one number": lambda c, a: c["fitted_with"].update(known=[1.0]),
    "window of one": lambda c, a: c["fitted_with"].update(window=[1.0]),
    "window beyond the axis": lambda c, a: c["fitted_with"].update(window=[9e9, 1e10]),
    "error of another name": lambda c, a: c.update(signature_errors={"Co60": 0.1}),
    "error not finite": lambda c, a: c.update(signature_errors={"Am241": float("nan")}),
    "numbers that are names": lambda c, a: c.update(numeric_labels=True),
    "no provenance": lambda c, a: c.update(provenance=None),
    "missing array": lambda c, a: a.pop(TABLE),
    "missing entry": lambda c, a: c.pop("fitted_with"),
    "the other model": lambda c, a: c.update({"class": "Identifier"}),
    "learned without a network": lambda c, a: c.update(signatures={"learned": c["signatures"]}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_card_or_array_that_does_not_fit_is_refused(
    stored: Path, tmp_path: Path, name: str
) -> None:
    card, arrays = parts(stored)
    arrays = {key: value.copy() for key, value in arrays.items()}
    HOSTILE[name](card, arrays)
    with pytest.raises(FormatError):
        load(write(tmp_path / "bad.loom", card, arrays))


@settings(max_examples=60)
@given(data=st.data())
def test_mutations_give_a_model_or_a_format_error(
    stored: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with zipfile.ZipFile(stored) as archive:
        card, arrays = archive.read("card.json"), archive.read("arrays.safetensors")
    target = data.draw(st.sampled_from(["card", "arrays"]))
    content = bytearray(card if target == "card" else arrays)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "model.loom"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("card.json", bytes(content) if target == "card" else card)
        archive.writestr("arrays.safetensors", bytes(content) if target == "arrays" else arrays)
    try:
        again = load(path)
    except FormatError:
        return
    assert isinstance(again, ManifoldUnmixer)
