"""Our zarr store: readable by others, in chunks, and refused when damaged or foreign."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError
from spectraloom.io.source import Source
from spectraloom.io.stores import zarr_store
from spectraloom.io.stores.zarr_store import READER, WRITER


def example() -> Spectra:
    return Spectra(
        np.arange(40.0).reshape(10, 4),
        Axis.from_polynomial((0.1, 3.0), 4),
        live_time=np.arange(10.0),
        columns={"labels": [("Co60",)] * 10, "detector": "left", "start": np.datetime64("2024")},
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    WRITER.write(example(), tmp_path / "a.zarr")
    return tmp_path / "a.zarr"


def read(path: Path) -> Spectra:
    (spectra,) = READER.read(Source.from_path(path))
    return spectra


def test_front_door(tmp_path: Path) -> None:
    sl.write(example(), tmp_path / "b.zarr")
    sl.write(example(), tmp_path / "b.zarr", overwrite=True)
    assert sl.read(tmp_path / "b.zarr").fingerprint() == example().fingerprint()
    assert sl.read(tmp_path).fingerprint() == example().fingerprint()


def test_xarray_opens_it(store: Path) -> None:
    import xarray as xr

    with xr.open_zarr(store, consolidated=False) as dataset:
        assert dataset["values"].dims == ("spectrum", "channel")
        assert np.array_equal(dataset["values"], example().values)
        assert dataset["column_detector"].to_numpy().tolist() == ["left"] * 10


def test_chunks_hold_whole_spectra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_store, "CHUNK_BYTES", 3 * 4 * 8)
    WRITER.write(example(), tmp_path / "a.zarr")
    metadata = json.loads((tmp_path / "a.zarr/values/zarr.json").read_text())
    assert metadata["chunk_grid"]["configuration"]["chunk_shape"] == [3, 4]
    assert len(list((tmp_path / "a.zarr/values/c").rglob("0"))) >= 4
    assert read(tmp_path / "a.zarr").fingerprint() == example().fingerprint()


def test_types_that_zarr_lacks_are_refused(tmp_path: Path) -> None:
    spectra = example().replace(values=example().values.astype(np.longdouble))
    with pytest.raises(FormatError, match="zarr cannot hold 'values'"):
        WRITER.write(spectra, tmp_path / "a.zarr")


def edit(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    metadata = json.loads(file.read_text())
    change(metadata)
    file.write_text(json.dumps(metadata))


def test_lost_and_damaged_chunks_are_noticed(store: Path) -> None:
    chunk = store / "values/c/0/0"
    content = chunk.read_bytes()
    chunk.unlink()
    with pytest.raises(FormatError, match="missing"):
        read(store)
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        chunk.write_bytes(bytes(damaged))
        try:
            found = read(store)
        except FormatError:
            continue
        assert found.fingerprint() == example().fingerprint()
    chunk.write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match="damaged"):
        read(store)
    chunk.write_bytes(b"")
    with pytest.raises(FormatError, match="damaged"):
        read(store)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(shape=[10**9, 10**6]),
        lambda m: m["chunk_grid"]["configuration"].update(chunk_shape=[10**12, 4]),
        lambda m: m.update(shape=[-1, 4]),
        lambda m: m.update(shape="ten"),
        lambda m: m.update(codecs=[{"name": "numcodecs.pickle"}]),
        lambda m: m.update(codecs=None),
        lambda m: m.update(storage_transformers=[{"name": "x"}]),
        lambda m: m.update(zarr_format=2),
        lambda m: m.update(data_type="int8"),
        lambda m: m.update(node_type="group"),
        lambda m: m["attributes"].clear(),
        lambda m: m["attributes"].update(numpy_dtype="O"),
    ],
)
def test_hostile_metadata_is_refused(store: Path, change: Any) -> None:
    edit(store / "values/zarr.json", change)
    with pytest.raises(FormatError, match=r"a\.zarr"):
        read(store)


def test_other_folders_are_not_ours(store: Path, tmp_path: Path) -> None:
    assert READER.sniff(Source.from_path(store))
    assert not READER.sniff(Source.from_path(tmp_path))
    assert not READER.sniff(Source.from_bytes(b"{}", "x"))
    edit(store / "zarr.json", lambda m: m["attributes"].clear())
    assert not READER.sniff(Source.from_path(store))
    with pytest.raises(FormatError, match="Spectraloom wrote"):
        read(store)
    (store / "zarr.json").write_text("[" * 100_000)
    assert not READER.sniff(Source.from_path(store))
    with pytest.raises(FormatError, match="damaged"):
        read(store)


def test_a_missing_array_is_noticed(store: Path) -> None:
    (store / "live_time/zarr.json").unlink()
    with pytest.raises(FormatError, match=r"zarr\.json"):
        read(store)
