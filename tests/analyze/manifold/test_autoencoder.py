from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra deep")

from spectraloom import Axis, Spectra
from spectraloom._typing import FloatArray
from spectraloom.analyze.manifold import (
    Deformation,
    LearnedSignature,
    SignatureModel,
    WeightPath,
)
from spectraloom.analyze.manifold.autoencoder import _likeliest_path
from spectraloom.analyze.packed_learned import pack_learned, unpack_learned
from spectraloom.errors import DataError, FitError, FormatError, LabelError
from spectraloom.nets import CHECKPOINT, InterpolatoryLayers, LearningSettings, TrainingSettings

C = 64
AXIS = Axis.regular(0.0, 128.0, C)
VALUES = np.linspace(0.0, 1.0, 25)


def truth(value: float) -> FloatArray:
    """A peak that moves and broadens, and one that moves the other way on a falling slope."""
    c = np.arange(C) + 0.5
    right = np.exp(-0.5 * ((c - 18.0 - 14.0 * value) / (4.0 + 2.0 * value)) ** 2)
    left = np.exp(-0.5 * ((c - 42.0 + 6.0 * value) / 3.0) ** 2) + 0.3 * np.exp(-c / 20.0) * (
        1.0 - value
    )
    left[56:] = 0.0
    right[56:] = 0.0
    return np.stack([left / left.sum(), right / right.sum()])


def examples(values: FloatArray = VALUES) -> Spectra:
    rows = np.concatenate([truth(value) for value in values])
    return Spectra(
        1e6 * rows,
        AXIS,
        "intensity",
        columns={"labels": ["left", "right"] * len(values), "shift": np.repeat(values, 2)},
    )


def settings(n_steps: int = 20, **training: Any) -> LearningSettings:
    each = min(n_steps, 25)
    return LearningSettings(
        layers=InterpolatoryLayers((8, 8, 8), (5, 5, 5), (1, 2, 2), (0.5, 0.5)),
        training=TrainingSettings(
            n_steps=n_steps, averaging=0.97, steps_per_check=each, **training
        ),
        batch_size=8,
        noise_db=40.0,
    )


def learn(spectra: Spectra | None = None, n_steps: int = 20, **keywords: Any) -> LearnedSignature:
    keywords = {"deformation": "shift", "unit": "", "softening": None} | keywords
    keywords.setdefault("settings", settings(n_steps))
    return LearnedSignature.from_spectra(examples() if spectra is None else spectra, **keywords)


def fidelity_db(model: SignatureModel) -> FloatArray:
    """Fidelity at values between those of the training, in decibels, (k,)."""
    between = 0.5 * (VALUES[1:] + VALUES[:-1])
    found = np.array([model.signature(value) for value in between])
    expected = np.array([truth(value) for value in between])
    error = np.sum((found - expected) ** 2, axis=2) / np.sum(expected**2, axis=2)
    return -10.0 * np.log10(np.median(error, axis=0))


@pytest.fixture(scope="module")
def trained() -> LearnedSignature:
    return learn(n_steps=300)


def test_a_moving_peak_is_learned(trained: LearnedSignature) -> None:
    linear = [(1.0 - v) * truth(0.0) + v * truth(1.0) for v in VALUES]
    expected = np.array([truth(v) for v in VALUES])
    error = np.sum((linear - expected) ** 2, axis=2) / np.sum(expected**2, axis=2)
    assert -10.0 * np.log10(np.median(error, axis=0)).max() < 15.0
    assert fidelity_db(trained).min() > 25.0


@pytest.mark.parametrize(
    ("keywords", "anchors"),
    [
        ({"joint": False}, [0.0, 1.0]),
        ({"anchors": 3}, [0.0, 0.5, 1.0]),
        ({"anchors": [0.0, 0.25, 1.0]}, [0.0, 0.25, 1.0]),
    ],
)
def test_one_network_each_and_more_anchors_learn_it_too(
    keywords: dict[str, Any], anchors: list[float]
) -> None:
    model = learn(n_steps=300, **keywords)
    assert fidelity_db(model).min() > 24.0
    assert [one["anchors"] for one in model.card["networks"]][-1] == anchors


def test_it_is_a_signature_model(trained: LearnedSignature) -> None:
    assert isinstance(trained, SignatureModel)
    assert trained.names == ("left", "right")
    assert trained.deformations == (Deformation("shift", "", 0.0, 1.0),)
    rows = trained.signature(0.3)
    assert rows.dtype == np.float64
    assert rows.min() >= 0
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-12)
    step = 1e-5
    slope = (trained.signature(0.3 + step) - trained.signature(0.3 - step)) / (2 * step)
    np.testing.assert_allclose(trained.derivative(0.3)[0], slope, atol=1e-5)
    with pytest.raises(DataError):
        trained.signature(1.2)


def test_the_ends_are_the_anchors_and_the_path_runs_between(trained: LearnedSignature) -> None:
    path = trained.path("left")
    np.testing.assert_allclose(path.at([0.0, 1.0]), np.eye(2), atol=1e-12)
    assert (np.diff(path.at(np.linspace(0, 1, 50))[:, 1]) >= 0).all()
    ends = np.array([trained.signature(0.0), trained.signature(1.0)])
    anchors = np.array([truth(0.0), truth(1.0)])
    error = np.sum((ends - anchors) ** 2, axis=2) / np.sum(anchors**2, axis=2)
    assert error.max() < 0.02


def test_the_table_is_what_the_network_decodes(trained: LearnedSignature) -> None:
    import torch

    network = trained.network("right").double()
    weights = trained.path("right").at([0.25])
    with torch.no_grad():
        decoded = network.at(torch.as_tensor(weights)).numpy()[0]
    used = trained.card["networks"][0]["n_channels"]
    assert used == 56  # beyond there is nothing in any spectrum
    np.testing.assert_allclose(trained.table.table[32][:, :used], decoded, rtol=1e-9, atol=1e-15)
    assert not trained.table.table[..., used:].any()
    with pytest.raises(LabelError, match="no signature of up"):
        trained.path("up")


def test_the_card_tells_what_happened(trained: LearnedSignature) -> None:
    card = trained.card
    assert json.loads(json.dumps(dict(card))) == dict(card)
    assert card["data"] == examples().fingerprint()
    (network,) = card["networks"]
    assert network["anchors"] == [0.0, 1.0]
    assert not set(network["validation"]) & set(network["anchors"])
    assert len(network["validation"]) == 3
    assert len(network["scores_db"]) == 12
    # The figure stands for how far the table is off where the network was not trained.
    held = network["validation"]
    found = np.array([trained.signature(v) for v in held])
    expected = np.array([truth(v) for v in held])
    error = np.sum((found - expected) ** 2, axis=2) / np.sum(expected**2, axis=2)
    np.testing.assert_allclose(
        list(network["validation_nmse_db"].values()),
        np.median(10 * np.log10(error), axis=0),
        atol=0.05,
    )


def test_a_seed_decides_all() -> None:
    one, same = learn(), learn()
    other = learn(settings=settings(seed=1))
    np.testing.assert_array_equal(one.table.table, same.table.table)
    assert one.card == same.card
    assert np.abs(one.table.table - other.table.table).max() > 1e-6


def test_individual_networks_do_not_know_each_other() -> None:
    both = learn(joint=False)
    alone = learn(examples().select(labels="right"))
    np.testing.assert_allclose(both.table.select(["right"]).table, alone.table.table, rtol=1e-12)
    assert [one["names"] for one in both.card["networks"]] == [["left"], ["right"]]


def test_it_resumes_where_it_was(tmp_path: Path) -> None:
    whole = learn(n_steps=50)
    told = []

    def interrupt(done: float, _: str) -> None:
        told.append(done)
        if done > 0.8:
            raise KeyError("interrupted")

    with pytest.raises(KeyError):
        learn(n_steps=50, folder=tmp_path, progress=interrupt)
    assert [path.name for path in tmp_path.rglob("*.ckpt")] == [CHECKPOINT]
    told.clear()
    again = learn(
        n_steps=50, folder=tmp_path, resume=True, progress=lambda done, _: told.append(done)
    )
    assert len(told) == 25  # what came after the last checkpoint
    assert told[-1] == pytest.approx(1.0)
    np.testing.assert_array_equal(again.table.table, whole.table.table)
    with pytest.raises(FitError, match="give the folder"):
        learn(resume=True)
    with pytest.raises(FitError, match="has no checkpoints"):
        learn(folder=tmp_path / "elsewhere", resume=True)


def test_it_is_packed_without_torch(trained: LearnedSignature, tmp_path: Path) -> None:
    card, arrays = pack_learned(trained)
    again = unpack_learned(json.loads(json.dumps(card)), arrays)
    assert again.names == trained.names
    assert again.axis == trained.axis
    assert again.deformations == trained.deformations
    assert again.card == trained.card
    np.testing.assert_array_equal(again.table.table, trained.table.table)
    import torch

    weights = torch.tensor([[0.4, 0.6]])
    with torch.no_grad():
        expected, found = (m.network("left").at(weights) for m in (trained, again))
    assert torch.equal(expected, found)
    np.savez(tmp_path / "arrays.npz", **arrays)
    (tmp_path / "card.json").write_text(json.dumps(card))
    code = (
        "import json, sys, pathlib, numpy as np\n"
        "from spectraloom.analyze.packed_learned import unpack_learned\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "card = json.loads((folder / 'card.json').read_text())\n"
        "model = unpack_learned(card, dict(np.load(folder / 'arrays.npz')))\n"
        "model.signature(0.5), model.path('left')\n"
        "print('torch' in sys.modules, 'lightning' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_damaged_models_are_refused(trained: LearnedSignature) -> None:
    card, arrays = pack_learned(trained)
    wrong = copy.deepcopy(card)
    wrong["model_card"]["networks"][0]["names"] = ["left"]
    with pytest.raises(FormatError, match="the signatures of"):
        unpack_learned(wrong, arrays)
    key = next(name for name in arrays if name.endswith("conv.weight"))
    with pytest.raises(FormatError, match="not finite"):
        unpack_learned(card, arrays | {key: arrays[key] * np.nan})
    with pytest.raises(FormatError):
        unpack_learned(card, arrays | {"state.0.path.steps": arrays["state.0.path.steps"] * 2})
    with pytest.raises(DataError):
        unpack_learned(card, arrays | {"table": arrays["table"] * 2})


def test_copies_are_equal(trained: LearnedSignature) -> None:
    again = copy.deepcopy(trained)
    np.testing.assert_array_equal(again.table.table, trained.table.table)
    assert again.card == trained.card
    assert "joint" in repr(trained)


def test_counts_at_one_value_are_summed_and_incomplete_values_left_out() -> None:
    spectra = examples(np.linspace(0.0, 1.0, 9))
    halves = spectra.replace(values=spectra.values / 2)
    extra = examples(np.array([0.3])).select(labels="left")
    model = learn(Spectra.concatenate([halves, halves, extra]))
    assert model.card["networks"][0]["values"] == np.linspace(0.0, 1.0, 9).tolist()
    np.testing.assert_allclose(model.table.table, learn(spectra).table.table, rtol=1e-6, atol=1e-9)


def test_beyond_its_training_a_source_is_held_constant() -> None:
    wide = Deformation("shift", "", -1.0, 2.0)
    model = learn(deformation=wide)
    np.testing.assert_allclose(model.signature(-1.0), model.signature(-0.1), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.signature(1.5), model.signature(1.1), rtol=1e-9, atol=1e-12)


def test_what_cannot_be_learned_from_is_refused() -> None:
    spectra = examples(np.linspace(0.0, 1.0, 6))
    with pytest.raises(FitError, match="different values"):
        learn(examples(np.array([0.5])))
    with pytest.raises(FitError, match="further values"):
        learn(spectra, anchors=5)
    with pytest.raises(FitError, match="further values"):
        learn(spectra, anchors=1)
    with pytest.raises(FitError, match="anchors at training values"):
        learn(spectra, anchors=[0.0, 0.31, 1.0])
    with pytest.raises(FitError, match="anchors at training values"):
        learn(spectra, anchors=[0.2, 1.0])
    with pytest.raises(FitError, match="zero or more"):
        learn(spectra.replace(values=spectra.values - 10.0))
    values = spectra.values.copy()
    values[3] = 0.0
    with pytest.raises(FitError, match=r"of right at 0\.2 are empty"):
        learn(spectra.replace(values=values))
    rows = np.arange(12)
    apart = spectra[(rows % 2 == 0) == (rows < 6)]
    with pytest.raises(FitError, match="joint=False"):
        learn(apart)
    with pytest.raises(FitError, match="at least"):
        learn(settings=LearningSettings())  # layers for longer spectra


def test_networks_of_single_sources_keep_checkpoints_of_their_own(tmp_path: Path) -> None:
    told: list[float] = []
    first = learn(
        n_steps=50, joint=False, folder=tmp_path, progress=lambda done, _: told.append(done)
    )
    assert told[-1] == 1.0
    assert len(list(tmp_path.rglob("*.ckpt"))) == 2
    again = learn(n_steps=50, joint=False, folder=tmp_path, resume=True)
    np.testing.assert_array_equal(again.table.table, first.table.table)


def test_the_path_leads_through_the_likeliest_weights() -> None:
    # The encoder is wrong by a tenth, differently for places and spectra; the likelihood is not.
    places = np.linspace(0.0, 1.0, 41)
    share = places**2
    ends = np.array([truth(0.0), truth(1.0)])

    def decode(weights: FloatArray) -> FloatArray:
        return np.einsum("na,akc->nkc", weights, ends)

    wrong = np.clip(share + 0.1 * np.sin(np.pi * places), 0.0, 1.0)
    first = WeightPath.fit(places, np.stack([1.0 - wrong, wrong], axis=1))
    assert np.abs(first.at(places)[:, 1] - share).max() > 0.08
    spectra = decode(np.stack([1.0 - share, share], axis=1))
    path = _likeliest_path(first, decode, places, spectra)
    np.testing.assert_allclose(path.at(places)[:, 1], share, atol=2e-3)
