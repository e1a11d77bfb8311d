from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import numpy as safetensors
from sklearn.exceptions import NotFittedError

import spectraloom
from spectraloom.analyze import OutlierBoundary, SupervisedNMF, load, load_card, save
from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError, SpectraloomError


def small_model(**changes: Any) -> SupervisedNMF:
    rng = np.random.default_rng(41)
    axis = Axis.from_polynomial((-3.0, 8.0, 0.01), 12)
    spectra = Spectra(
        rng.poisson(np.repeat(40 * np.eye(3, 12) + 2, 6, axis=0)),
        axis,
        columns={
            "labels": ["Cs137"] * 6 + ["Co60"] * 6 + ["background"] * 6,
            "kind": ["a", "b"] * 9,
        },
    )
    model = SupervisedNMF(**{"window": (5.0, 90.0), "variants": "kind", **changes}).fit(spectra)
    boundary = OutlierBoundary("root_cosine", 0.93, False, "curves", 0.9, float("nan"), 0.8)
    return model.set_outlier_boundary(boundary)


def parts(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("card.json")), safetensors.load(
            archive.read("arrays.safetensors")
        )


def write(
    path: Path, card: Any, arrays: dict[str, np.ndarray] | bytes, method: int = zipfile.ZIP_DEFLATED
) -> Path:
    content = arrays if isinstance(arrays, bytes) else safetensors.save(arrays)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("card.json", card if isinstance(card, (str, bytes)) else json.dumps(card))
        archive.writestr("arrays.safetensors", content)
    return path


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return save(small_model(), tmp_path / "model.loom")


# -- round trip --------------------------------------------------------------------------------


def assert_same_answers(model: SupervisedNMF, again: SupervisedNMF, spectra: Spectra) -> None:
    first, second = model.analyze(spectra), again.analyze(spectra)
    assert first.names == second.names
    for name in ("amounts", "decisions", "top", "shares"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert (first.uncertainties is None) == (second.uncertainties is None)
    if first.uncertainties is not None and second.uncertainties is not None:
        np.testing.assert_array_equal(first.uncertainties, second.uncertainties)
    for group in ("quality", "flags"):
        assert set(getattr(first, group)) == set(getattr(second, group))
        for name, values in getattr(first, group).items():
            np.testing.assert_array_equal(values, getattr(second, group)[name])
    assert first.denoised is not None
    assert second.denoised is not None
    np.testing.assert_array_equal(first.denoised.values, second.denoised.values)
    assert json.dumps(first.provenance, sort_keys=True, default=dict) == json.dumps(
        second.provenance, sort_keys=True, default=dict
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"window": None, "variants": 2},
        {"weighting": "none", "min_source_share": 0.0, "background": None},
        {"random_state": None, "variants": np.int64(1), "min_share": np.float32(0.125)},
    ],
)
def test_a_loaded_model_gives_the_very_same_answers(tmp_path: Path, changes: Any) -> None:
    model = small_model(**changes)
    again = load(save(model, tmp_path / "model.loom"))
    rng = np.random.default_rng(42)
    values = rng.poisson(5.0, (40, 12))
    values[3] = 0
    assert model.axis_ is not None
    assert_same_answers(model, again, Spectra(values, model.axis_))
    assert again.axis_ == model.axis_
    assert again.axis_ is not None
    assert again.axis_.calibration == model.axis_.calibration
    assert again.get_params() == model.get_params()
    assert again.start_ == model.start_
    assert again.loading_names_.tolist() == model.loading_names_.tolist()


def test_a_threshold_changed_after_the_fit_is_stored_as_it_is_in_use(tmp_path: Path) -> None:
    model = small_model()
    model.set_params(min_share=0.6, window=(50.0, 60.0))  # the fit's window stays in use
    again = load(save(model, tmp_path / "model.loom"))
    rng = np.random.default_rng(43)
    spectra = Spectra(rng.poisson(6.0, (60, 12)), model.axis_)
    assert_same_answers(model, again, spectra)
    decisions = again.analyze(spectra).decisions
    assert (decisions != small_model().analyze(spectra).decisions).any()


def test_models_of_arrays_and_with_numbers_for_labels(tmp_path: Path) -> None:
    X = np.repeat(5.0 * np.eye(3, 6), 4, axis=0) + 0.5
    model = SupervisedNMF(window=(0, 5)).fit(X, np.repeat([5, 1, 12], 4))
    again = load(save(model, tmp_path / "model.loom"))
    assert again.axis_ is None
    assert again.outlier_boundary_ is None
    assert (
        again.predict(X).tolist() == model.predict(X).tolist() == np.repeat([5, 1, 12], 4).tolist()
    )
    assert again.predict(X).dtype == model.predict(X).dtype
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def test_a_stored_model_can_be_stored_again(stored: Path, tmp_path: Path) -> None:
    again = save(load(stored), tmp_path / "again.loom")
    (card, arrays), (card_again, arrays_again) = parts(stored), parts(again)
    assert card == card_again
    assert set(arrays) == set(arrays_again)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, arrays_again[name])


def test_the_boundary_comes_back(stored: Path) -> None:
    boundary = load(stored).outlier_boundary_
    assert boundary is not None
    assert (boundary.feature, boundary.threshold, boundary.outlier_above) == (
        "root_cosine", 0.93, False
    )  # fmt: skip
    assert np.isnan(boundary.precision)


def test_the_front_door_saves_and_loads(tmp_path: Path) -> None:
    path = spectraloom.save(small_model(), str(tmp_path / "model.loom"))
    assert path == tmp_path / "model.loom"
    assert isinstance(spectraloom.load(str(path)), SupervisedNMF)
    assert [file.name for file in tmp_path.iterdir()] == ["model.loom"]  # no draft is left


def test_saving_replaces_an_older_model(stored: Path) -> None:
    before = stored.read_bytes()
    save(small_model(window=None), stored)
    assert stored.read_bytes() != before
    assert load(stored).window is None


# -- what is inside ----------------------------------------------------------------------------


def test_a_file_holds_json_and_numbers_and_nothing_else(stored: Path) -> None:
    with zipfile.ZipFile(stored) as archive:
        assert sorted(archive.namelist()) == ["arrays.safetensors", "card.json"]
        # As they are, so that the size of the file bounds what reading it takes.
        assert archive.getinfo("arrays.safetensors").compress_type == zipfile.ZIP_STORED
        arrays = archive.read("arrays.safetensors")
        card = json.loads(archive.read("card.json"))
    # The layout of safetensors: length of a JSON header, header, raw numbers up to the end.
    (length,) = struct.unpack("<Q", arrays[:8])
    header = json.loads(arrays[8 : 8 + length])
    ends = [entry["data_offsets"][1] for entry in header.values()]
    assert max(ends) == len(arrays) - 8 - length
    assert set(header) == {"loadings_", "loading_classes_", "weights_", "axis"}
    assert card["spectraloom"] == spectraloom.__version__
    assert card["format"] == 1
    for content in (arrays, json.dumps(card).encode()):
        with pytest.raises((pickle.UnpicklingError, EOFError, KeyError, ValueError)):
            pickle.loads(content)


def test_the_card_can_be_read_alone(stored: Path) -> None:
    card = load_card(stored)
    assert card["classes"] == ["Co60", "Cs137", "background"]
    assert card["parameters"]["window"] == [5.0, 90.0]
    assert card["n_channels"] == 12
    assert card["provenance"]["data_sha256"]


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    class Other(SupervisedNMF):
        pass

    with pytest.raises(SpectraloomError, match="Other cannot be saved; known: SupervisedNMF"):
        save(Other(), tmp_path / "model.loom")
    with pytest.raises(NotFittedError):
        save(SupervisedNMF(), tmp_path / "model.loom")
    assert list(tmp_path.iterdir()) == []


# -- hostile files -----------------------------------------------------------------------------


class Bomb:
    """Would leave a trace if it was unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


def test_a_pickle_is_refused_and_not_run(tmp_path: Path, stored: Path) -> None:
    trace = tmp_path / "trace"
    payload = pickle.dumps(Bomb(trace))
    bare = tmp_path / "bare.loom"
    bare.write_bytes(payload)
    card, _ = parts(stored)
    inside = write(tmp_path / "inside.loom", card, payload)
    as_card = write(tmp_path / "card.loom", payload, parts(stored)[1])
    array = io.BytesIO()
    np.save(array, np.array([Bomb(trace)], dtype=object), allow_pickle=True)
    as_array = write(tmp_path / "array.loom", card, array.getvalue())
    for path in (bare, inside, as_card, as_array):
        with pytest.raises(FormatError):
            load(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"\0" * 1000, b"{}", b"not a model at all", b"PK\x05\x06" + b"\0" * 18],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.loom"
    path.write_bytes(content)
    for work in (load, load_card):
        with pytest.raises(FormatError, match=r"odd\.loom"):
            work(path)


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no such file"):
        load(tmp_path / "nothing.loom")
    with pytest.raises(FormatError):
        load(tmp_path)


def test_a_file_cut_off_anywhere_is_refused(stored: Path, tmp_path: Path) -> None:
    content = stored.read_bytes()
    path = tmp_path / "cut.loom"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(FormatError, match=r"cut\.loom"):
            load(path)


def test_the_future_is_refused_with_the_way_out(stored: Path) -> None:
    card, arrays = parts(stored)
    write(stored, {**card, "format": 2, "spectraloom": "9.9"}, arrays)
    with pytest.raises(FormatError, match=r"saved by Spectraloom 9\.9, in format 2.*upgrade"):
        load(stored)


NESTED = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "card",
    ["", "{", "[]", "null", "3", '"card"', "{}", b"\xff\xfe", NESTED, f'{{"class": {NESTED}}}'],
)
def test_a_card_that_is_none_is_refused(stored: Path, card: str | bytes) -> None:
    write(stored, card, parts(stored)[1])
    for work in (load, load_card):
        with pytest.raises(FormatError):
            work(stored)


Change = Callable[[dict[str, Any], dict[str, np.ndarray]], None]
HOSTILE_CHANGES: dict[str, Change] = {
    "unknown class": lambda c, a: c.update({"class": "os.system"}),
    "class of no type": lambda c, a: c.update({"class": ["SupervisedNMF"]}),
    "format of text": lambda c, a: c.update({"format": "new"}),
    "format without end": lambda c, a: c.update({"format": float("inf")}),
    "format missing": lambda c, a: c.pop("format"),
    "parameters missing": lambda c, a: c.pop("parameters"),
    "unknown parameter": lambda c, a: c["parameters"].update({"hook": "x"}),
    "parameter out of range": lambda c, a: c["parameters"].update({"min_share": 7}),
    "parameter of text": lambda c, a: c["parameters"].update({"min_share": "x"}),
    "window of three": lambda c, a: c["parameters"].update({"window": [1, 2, 3]}),
    "classes missing": lambda c, a: c.pop("classes"),
    "a class too many": lambda c, a: c["classes"].append("more"),
    "a class too few": lambda c, a: c["classes"].pop(),
    "classes nested": lambda c, a: c.update({"classes": [["a", "b"], ["c", "d"], ["e", "f"]]}),
    "loading names too few": lambda c, a: c["loading_names"].pop(),
    "another number of channels": lambda c, a: c.update({"n_channels": 11}),
    "channels of text": lambda c, a: c.update({"n_channels": "many"}),
    "share not a number": lambda c, a: c.update({"min_source_share": float("nan")}),
    "share too large": lambda c, a: c.update({"min_source_share": 2}),
    "labels of objects": lambda c, a: c.update({"label_dtype": "O"}),
    "labels of nonsense": lambda c, a: c.update({"label_dtype": "nonsense"}),
    "boundary incomplete": lambda c, a: c["outlier_boundary"].pop("threshold"),
    "boundary of text": lambda c, a: c.update({"outlier_boundary": "none"}),
    "axis of text": lambda c, a: c.update({"axis": "energy"}),
    "provenance of text": lambda c, a: c.update({"provenance": "me"}),
    "axis without values": lambda c, a: a.pop("axis"),
    "axis too short": lambda c, a: a.update({"axis": a["axis"][:-1]}),
    "axis falling": lambda c, a: a.update({"axis": a["axis"][::-1].copy()}),
    "loadings missing": lambda c, a: a.pop("loadings_"),
    "loadings transposed": lambda c, a: a.update({"loadings_": a["loadings_"].T.copy()}),
    "loadings not finite": lambda c, a: a.update({"loadings_": a["loadings_"] * np.nan}),
    "loadings empty": lambda c, a: a.update({"loadings_": a["loadings_"] * 0}),
    "loadings whole": lambda c, a: a.update({"loadings_": (9 * a["loadings_"]).astype(int)}),
    "weights short": lambda c, a: a.update({"weights_": a["weights_"][:5]}),
    "weights of two axes": lambda c, a: a.update({"weights_": np.ones((12, 1))}),
    "weights zero": lambda c, a: a.update({"weights_": a["weights_"] * 0}),
    "weights negative": lambda c, a: a.update({"weights_": -a["weights_"]}),
    "weights not finite": lambda c, a: a.update({"weights_": a["weights_"] * np.inf}),
    "classes out of range": lambda c, a: a.update({"loading_classes_": a["loading_classes_"] + 1}),
    "classes negative": lambda c, a: a.update({"loading_classes_": a["loading_classes_"] - 1}),
    "classes broken": lambda c, a: a.update({"loading_classes_": a["loading_classes_"] + 0.5}),
    "classes short": lambda c, a: a.update({"loading_classes_": a["loading_classes_"][:2]}),
}


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", HOSTILE_CHANGES)
def test_a_card_or_array_that_does_not_fit_is_refused(stored: Path, name: str) -> None:
    card, arrays = parts(stored)
    load(write(stored, card, arrays))  # the way of writing is not what is refused
    HOSTILE_CHANGES[name](card, arrays)
    write(stored, card, arrays)
    with pytest.raises(FormatError, match=r"model\.loom: "):
        load(stored)


def test_a_missing_member_is_named(tmp_path: Path, stored: Path) -> None:
    with zipfile.ZipFile(tmp_path / "half.loom", "w") as archive:
        archive.writestr("card.json", json.dumps(parts(stored)[0]))
    with pytest.raises(FormatError, match=r"expected a \.loom file"):
        load(tmp_path / "half.loom")


def test_what_would_unpack_to_too_much_is_refused_before_it_does(
    tmp_path: Path, stored: Path
) -> None:
    card, arrays = parts(stored)
    zeros = b"\0" * (80 * 2**20)
    path = write(tmp_path / "bomb.loom", card, zeros)
    assert path.stat().st_size < 2**20
    with pytest.raises(FormatError, match=r"arrays\.safetensors is larger than 64 MiB"):
        load(path)
    long_card = write(tmp_path / "card.loom", b" " * (9 * 2**20), arrays)
    with pytest.raises(FormatError, match=r"card\.json is larger than 8 MiB"):
        load_card(long_card)


def test_a_size_that_lies_is_found_out(tmp_path: Path, stored: Path) -> None:
    """The directory declares few bytes for a member that unpacks to many."""
    card, _ = parts(stored)
    path = write(tmp_path / "liar.loom", card, b"\0" * (2 * 2**20))
    content = bytearray(path.read_bytes())
    real = struct.pack("<I", 2 * 2**20)
    assert content.count(real) == 2
    path.write_bytes(bytes(content).replace(real, struct.pack("<I", 100)))
    with pytest.raises(FormatError):
        load(path)


def test_an_array_set_whose_header_lies_is_refused(stored: Path) -> None:
    card, arrays = parts(stored)
    content = safetensors.save(arrays)
    (length,) = struct.unpack("<Q", content[:8])
    headers = [
        struct.pack("<Q", 2**60) + content[8:],
        struct.pack("<Q", length - 1) + content[8:],
        content.replace(b"[12]", b"[99]", 1),
        content[:-8],
        content + b"\0" * 8,
    ]
    for broken in headers:
        write(stored, card, broken)
        with pytest.raises(FormatError):
            load(stored)


@settings(max_examples=150)
@given(data=st.data())
def test_flipped_bytes_give_a_model_or_a_format_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Never another error, never a crash; a model that loads still works."""
    folder = tmp_path_factory.mktemp("fuzz")
    content = bytearray(save(small_model(), folder / "model.loom").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    path = folder / "mutated.loom"
    path.write_bytes(bytes(content))
    try:
        model = load(path)
    except FormatError:
        return
    assert np.isfinite(model.shares(np.ones((2, 12)))).all()


@settings(max_examples=150)
@given(data=st.data())
def test_mutations_inside_the_container_do_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """The checksums of the zip are right here, so that the parsers behind them are met."""
    folder = tmp_path_factory.mktemp("fuzz")
    path = save(small_model(), folder / "model.loom")
    with zipfile.ZipFile(path) as archive:
        members = {name: bytearray(archive.read(name)) for name in archive.namelist()}
    name = data.draw(st.sampled_from(sorted(members)))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(members[name]) - 1))
        members[name][position] = data.draw(st.integers(0, 255))
    write(path, bytes(members["card.json"]), bytes(members["arrays.safetensors"]))
    try:
        model = load(path)
    except FormatError:
        return
    spectra = Spectra(np.ones((2, 12)), model.axis_)
    assert np.isfinite(model.shares(spectra)).all()
    assert len(model.predict_sets(spectra)) == 2


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    model = SupervisedNMF(background=None).fit(np.array([[9.0, 1], [1, 9]]), [b"a", b"b"])
    assert model.classes_.tolist() == ["a", "b"]
    with pytest.raises(FormatError, match=r"x\.loom: the model cannot be written: No such file"):
        save(model, tmp_path / "nowhere" / "x.loom")
    (tmp_path / "taken").mkdir()
    with pytest.raises(FormatError, match="taken: the model cannot be written"):
        save(model, tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
