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

from spectraloom.analyze import Identifier, load, load_card, save
from spectraloom.analyze.likelihood import Resolution
from spectraloom.data import Axis, Library, Spectra
from spectraloom.errors import FormatError

AXIS = Axis.from_polynomial((-3.0, 8.0, 0.01), 24)
SHAPES = np.array([np.exp(-0.5 * ((np.arange(24) - c) / 2.0) ** 2) + 0.02 for c in (4, 10, 17)])
BACKGROUND = np.exp(-np.arange(24) / 6.0)


def spectra(n: int = 40, seed: int = 5) -> Spectra:
    rng = np.random.default_rng(seed)
    amounts = rng.choice([0.0, 30.0, 300.0], (n, 3))
    values = rng.poisson(amounts @ SHAPES + 60 * BACKGROUND)
    values[3] = 0
    return Spectra(values, AXIS, live_time=np.full(n, 2.5))


def model(n_quiet: int = 45, **changes: Any) -> Identifier:
    rng = np.random.default_rng(6)
    library = Library(
        np.vstack([SHAPES, SHAPES[2] + SHAPES[0] * 0.2]), AXIS, ("Am241", "Cs137", "Co60", "Co60")
    )
    given: dict[str, Any] = {
        "library": library,
        "n_bootstrap": 50,
        "window": (5.0, 170.0),
        "gain": 0.01,
        "resolution": Resolution(0.08),
        **changes,
    }
    background = Spectra(rng.poisson(np.tile(60 * BACKGROUND, (n_quiet, 1))), AXIS)
    return Identifier(**given).fit(background)


def labelled_model() -> Identifier:
    rng = np.random.default_rng(7)
    values = rng.poisson(np.repeat(np.vstack([80 * SHAPES, 60 * BACKGROUND]), 20, axis=0))
    names = np.repeat(["Am241", "Cs137", "Co60", "background"], 20)
    return Identifier(variants=2, n_bootstrap=50, false_alarm_rate=0.01).fit(
        Spectra(values, AXIS, columns={"labels": names})
    )


MODELS: dict[str, Callable[[], Identifier]] = {
    "library": model,
    "labelled": labelled_model,
    "theory": lambda: model(n_bootstrap=0, gain=None, pileup=False, window=None),
    "broadened": lambda: model(broadening=0.1, offset=1.0, random_state=None),
    "greedy": lambda: model(selection="greedy"),
    "calibrated": lambda: model().calibrate_outliers(spectra(60, 8), 0.1),
    "rate": lambda: model().with_rate(0.2),
    "steady": lambda: model(n_quiet=30),
    "components": lambda: model(background_components="auto"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_gives_the_very_same_answers(tmp_path: Path, name: str) -> None:
    before = MODELS[name]()
    after = load(save(before, tmp_path / "model.loom"))
    assert isinstance(after, Identifier)
    first, second = before.analyze(spectra()), after.analyze(spectra())
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())
    assert first.denoised is not None
    assert second.denoised is not None
    np.testing.assert_array_equal(first.denoised.values, second.denoised.values)
    assert after.with_rate(0.3).analyze(spectra()).decisions.sum() >= second.decisions.sum()
    settings_before, settings_after = before.get_params(), after.get_params()
    assert (settings_before.pop("library") is None) == (settings_after.pop("library") is None)
    assert settings_before == settings_after


def test_settings_changed_after_the_fit_change_nothing_but_the_decision(tmp_path: Path) -> None:
    one = model()
    before = one.analyze(spectra())
    one.set_params(window=(50.0, 60.0), gain=None, selection="greedy", false_alarm_rate=0.5)
    for changed in (one, load(save(one, tmp_path / "model.loom"))):
        after = changed.analyze(spectra())
        np.testing.assert_array_equal(before.amounts, after.amounts)
        np.testing.assert_array_equal(before.details["p_value"], after.details["p_value"])
        assert after.decisions.sum() > before.decisions.sum()


def test_a_loaded_model_can_be_fitted_again(tmp_path: Path) -> None:
    again = load(save(model(), tmp_path / "model.loom"))
    again.fit(Spectra(np.random.default_rng(1).poisson(np.tile(60 * BACKGROUND, (30, 1))), AXIS))
    assert again.classes_.tolist() == ["Am241", "Cs137", "Co60", "background"]


# -- hostile files -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(model(), tmp_path_factory.mktemp("stored") / "model.loom")


def parts(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("card.json")), safetensors.load(
            archive.read("arrays.safetensors")
        )


def write(path: Path, card: Any, arrays: dict[str, np.ndarray] | bytes) -> Path:
    content = arrays if isinstance(arrays, bytes) else safetensors.save(arrays)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("card.json", json.dumps(card))
        archive.writestr("arrays.safetensors", content)
    return path


def test_the_card_is_readable_and_names_the_model(stored: Path) -> None:
    card = load_card(stored)
    assert card["class"] == "Identifier"
    assert card["parameters"]["false_alarm_rate"] == 1e-3
    assert card["classes"] == ["Am241", "Cs137", "Co60", "background"]


Change = Callable[[dict[str, Any], dict[str, np.ndarray]], Any]
HOSTILE: dict[str, Change] = {
    "no library": lambda c, a: c.update(library=None),
    "another class name": lambda c, a: c.update(classes=["Am241", "Cs137", "Eu152", "background"]),
    "fewer classes": lambda c, a: c.update(classes=c["classes"][:2]),
    "renamed template": lambda c, a: c["library"].update(names=["Am241", "Cs137", "Co60", "Eu"]),
    "too few names": lambda c, a: c["library"].update(names=["Am241"]),
    "renamed background": lambda c, a: c["background"].update(names=["Am241"]),
    "negative template": lambda c, a: a.update(library_templates=-a["library_templates"]),
    "empty template": lambda c, a: a.update(library_templates=0 * a["library_templates"]),
    "template not finite": lambda c, a: a["library_templates"].__setitem__((0, 0), np.nan),
    "cut template": lambda c, a: a.update(library_templates=a["library_templates"][:, :-1].copy()),
    "cut axis": lambda c, a: a.update(axis=a["axis"][:-1].copy()),
    "another number of channels": lambda c, a: c.update(n_channels=7),
    "weights above one": lambda c, a: a.update(null_weights=2 * a["null_weights"]),
    "negative weights": lambda c, a: a.update(null_weights=-a["null_weights"]),
    "weights not numbers": lambda c, a: a["null_weights"].__setitem__((0, 0, 0), np.nan),
    "weights of fewer sources": lambda c, a: a.update(null_weights=a["null_weights"][:, :1].copy()),
    "scale zero": lambda c, a: a.update(null_scales=0 * a["null_scales"]),
    "scale not finite": lambda c, a: a.update(null_scales=np.inf * a["null_scales"]),
    "levels not increasing": lambda c, a: a.update(null_totals=a["null_totals"][::-1].copy()),
    "no levels": lambda c, a: a.update(null_totals=a["null_totals"][:0].copy()),
    "single precision": lambda c, a: a.update(null_scales=a["null_scales"].astype(np.float32)),
    "rate out of range": lambda c, a: c["parameters"].update(false_alarm_rate=2.0),
    "unknown setting": lambda c, a: c["parameters"].update(command="ls"),
    "unknown selection": lambda c, a: c["fitted_with"].update(selection="some"),
    "negative prior": lambda c, a: c["fitted_with"].update(gain=-0.1),
    "window of one": lambda c, a: c["fitted_with"].update(window=[1.0]),
    "boundary of texts": lambda c, a: c.update(outlier_boundary={"center": "x", "slope": "y"}),
    "boundary not finite": lambda c, a: c.update(
        outlier_boundary={"center": float("nan"), "slope": 1.0}
    ),
    "boundary that falls": lambda c, a: c.update(outlier_boundary={"center": 0.1, "slope": -1.0}),
    "negative change": lambda c, a: a.update(drift_slopes=a["drift_slopes"] - 1.0),
    "change of fewer sources": lambda c, a: a.update(drift_margins=a["drift_margins"][:1].copy()),
    "change not finite": lambda c, a: a["drift_slopes"].__setitem__(0, np.inf),
    "change of no counts": lambda c, a: c.update(background_reach=0.0),
    "no change": lambda c, a: a.pop("drift_slopes"),
    "known misfits without a rate": lambda c, a: a.update(known_misfits=np.arange(30.0)),
    "misfits that fall": lambda c, a: (
        a.update(known_misfits=np.arange(30.0)[::-1].copy()),
        c.update(outlier_boundary={"false_alarm_rate": 0.1}),
    ),
    "too few misfits": lambda c, a: (
        a.update(known_misfits=np.arange(3.0)),
        c.update(outlier_boundary={"false_alarm_rate": 0.1}),
    ),
    "no provenance": lambda c, a: c.update(provenance=None),
    "missing array": lambda c, a: a.pop("null_scales"),
    "missing entry": lambda c, a: c.pop("fitted_with"),
    "the other model": lambda c, a: c.update({"class": "SupervisedNMF"}),
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
    assert isinstance(again, Identifier)
