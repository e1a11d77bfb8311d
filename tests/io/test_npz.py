"""Our npz store and the zip guard: damaged, foreign and oversized files are refused."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spectraloom as sl
from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError
from spectraloom.io import zip_guard
from spectraloom.io.source import Source
from spectraloom.io.stores.layout import to_arrays
from spectraloom.io.stores.npz import READER


def example() -> Spectra:
    return Spectra(
        np.arange(12.0).reshape(3, 4),
        Axis.from_polynomial((0.1, 3.0), 4),
        live_time=[1.0, 2.0, 3.0],
        columns={"labels": [("Co60",), ("Cs137",), ()], "detector": "left"},
    )


def packed(**changes: Any) -> bytes:
    """The example's file with some arrays or settings changed; ``...`` leaves one out."""
    arrays, settings_ = to_arrays(example())
    settings_.update(changes.pop("settings", {}))
    text = changes.pop("text", json.dumps(settings_))
    members = {"spectraloom": np.array(text), **arrays, **changes}
    stream = io.BytesIO()
    np.savez_compressed(
        stream, **{name: array for name, array in members.items() if array is not ...}
    )
    return stream.getvalue()


def read(content: bytes) -> Spectra:
    (spectra,) = READER.read(Source.from_bytes(content, "test.npz"))
    return spectra


def test_front_door(tmp_path: Path) -> None:
    sl.write(example(), tmp_path / "a.npz")
    assert sl.read(tmp_path / "a.npz").fingerprint() == example().fingerprint()
    with (tmp_path / "a.npz").open("rb") as stream:
        assert sl.read(stream).fingerprint() == example().fingerprint()


def test_unchanged_helper_reads() -> None:
    assert read(packed()).fingerprint() == example().fingerprint()


@pytest.mark.parametrize(
    "changes",
    [
        {"values": ...},
        {"axis_values": ...},
        {"live_time": ...},
        {"column_detector": ...},
        {"values": np.zeros((3, 5))},
        {"values": np.full((3, 4), -1.0)},
        {"values": np.full((3, 4), np.nan)},
        {"values": np.zeros(12)},
        {"values": np.full((3, 4), "a")},
        {"axis_values": np.zeros(5)},
        {"axis_values": np.arange(5.0)},  # not what the stored calibration gives
        {"live_time": np.zeros(4)},
        {"live_time": np.full(3, -1.0)},
        {"column_labels": np.array(["Co60", "[]", "[]"])},
        {"column_labels": np.array(["[1]", "[]", "[]"])},
        {"column_detector": np.array(["left"])},
        {"column_detector": np.zeros(3, dtype=[("a", float)])},
        {"spectraloom": np.array([1, 2])},
        {"text": "{"},
        {"text": "[" * 100_000},
        {"text": "[]"},
        {"settings": {"layout": 2}},
        {"settings": {"kind": "guess"}},
        {"settings": {"axis": {}}},
        {"settings": {"axis": None}},
        {"settings": {"columns": ["../../etc/passwd"]}},
        {"settings": {"columns": [["a"]]}},
        {"settings": {"arrays": ["values"]}},
        {"settings": {"arrays": ["values", "axis_values", "more"]}},
        {"settings": {"attrs": []}},
    ],
)
def test_malformed_stores_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match=r"test\.npz"):
        read(packed(**changes))


def test_objects_are_never_unpickled() -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    content = io.BytesIO(packed(values=...))
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("values.npy", stream.getvalue())
    with pytest.raises(FormatError, match="numbers or texts"):
        read(content.getvalue())


GOOD = packed()


@pytest.mark.parametrize("length", [*range(4, 200), *range(200, len(GOOD), 37)])
def test_truncated_anywhere(length: int) -> None:
    source = Source.from_bytes(GOOD[:length], "test.npz")
    assert not READER.sniff(source)
    with pytest.raises(FormatError):
        READER.read(source)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=3))
def test_mutated_bytes_give_the_spectra_or_an_error(changes: list[tuple[int, int]]) -> None:
    content = bytearray(GOOD)
    for position, value in changes:
        content[position] = value
    try:
        found = read(bytes(content))
    except FormatError:
        return
    assert found.fingerprint() == example().fingerprint()  # every member has a checksum


# -- the guard of zip containers ---------------------------------------------------------------


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_a_bomb_is_refused_by_its_declared_size(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped({"spectraloom.npy": bytes(3 * 1024**2)})
    source = Source.from_bytes(bomb, "bomb.npz")
    with zip_guard.open_zip(source) as archive:
        assert archive.namelist() == ["spectraloom.npy"]
    monkeypatch.setattr(zip_guard, "MAX_BYTES", 1024**2)
    assert len(bomb) * zip_guard.MAX_RATIO < 3 * 1024**2
    with pytest.raises(FormatError, match="zip bomb"):
        zip_guard.open_zip(source)
    assert not READER.sniff(source)


def test_a_bomb_that_lies_about_its_size_unpacks_to_what_it_declared() -> None:
    bomb = bytearray(zipped({"a": bytes(1024**2)}))
    for sign, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        position = bomb.index(sign) + offset
        bomb[position : position + 4] = struct.pack("<I", 100)
    source = Source.from_bytes(bytes(bomb), "bomb.zip")
    with zip_guard.open_zip(source) as archive, pytest.raises(FormatError, match="damaged"):
        zip_guard.read_member(archive, "a", source)


def test_limits_of_the_allowance() -> None:
    assert zip_guard.allowed_bytes(10) == zip_guard.MAX_BYTES
    assert zip_guard.allowed_bytes(10**7) == 200 * 10**7
    assert zip_guard.allowed_bytes(10**12) == zip_guard.MAX_UNPACKED_BYTES


def test_methods_without_bound_and_encryption_are_refused() -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(FormatError, match="method"):
            zip_guard.open_zip(Source.from_bytes(zipped({"a": b"b"}, method), "a.zip"))
    encrypted = bytearray(zipped({"a": b"b"}))
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(FormatError, match="encrypted"):
        zip_guard.open_zip(Source.from_bytes(bytes(encrypted), "a.zip"))


def test_directories_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Source.from_bytes(zipped({f"{i:04d}": b"" for i in range(300)}), "many.zip")
    monkeypatch.setattr(zip_guard, "MAX_MEMBERS", 299)
    with pytest.raises(FormatError, match="300 members"):
        zip_guard.open_zip(many)
    monkeypatch.setattr(zip_guard, "MAX_DIRECTORY_BYTES", 1000)
    with pytest.raises(FormatError, match="directory takes"):
        zip_guard.open_zip(many)
