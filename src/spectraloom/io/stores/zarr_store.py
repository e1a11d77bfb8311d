"""Our own store as a folder: zarr version 3, in chunks of spectra, lossless."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from spectraloom._lazy import optional
from spectraloom._typing import Array
from spectraloom.data import Spectra
from spectraloom.errors import FormatError
from spectraloom.io.source import Source
from spectraloom.io.stores.layout import (
    array_keys,
    dump_settings,
    from_arrays,
    load_settings,
    to_arrays,
)
from spectraloom.io.zip_guard import allowed_bytes

CHUNK_BYTES = 4 * 1024**2
_SETTINGS = "spectraloom"
_MAX_METADATA_BYTES = 16 * 1024**2
# Other codecs may run code (pickle) or are never written by us.
_CODECS = {"bytes", "vlen-utf8", "zstd"}
_TYPE = "numpy_dtype"


class ZarrReader:
    """Reads what :class:`ZarrWriter` wrote; needs the extra ``scale``."""

    name = "Spectraloom zarr"
    suffixes: tuple[str, ...] = (".zarr",)

    def sniff(self, source: Source) -> bool:
        """Whether this is a folder with our settings."""
        if not source.is_folder or source.path is None:
            return False
        try:
            return _SETTINGS in _attributes(_metadata(source.path, source.name))
        except FormatError:
            return False

    def read(self, source: Source) -> list[Spectra]:
        """One Spectra; its attrs are as they were stored.

        Raises
        ------
        FormatError
            If the store is damaged, too large when unpacked, or not ours.
        """
        zarr = optional("zarr", extra="scale")
        folder = source.path
        if folder is None or not source.is_folder:
            raise FormatError(f"{source.name}: expected a folder, a zarr store")
        text = _attributes(_metadata(folder, source.name)).get(_SETTINGS)
        if not isinstance(text, str):
            raise FormatError(f"{source.name}: expected a zarr store that Spectraloom wrote")
        settings = load_settings(text, source.name)
        keys = array_keys(settings)
        try:
            on_disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        except OSError as error:
            raise FormatError(f"{source.name}: cannot be read: {error}") from error
        budget = allowed_bytes(on_disk)
        for key in keys:
            budget -= _checked_bytes(folder / key, source.name, budget)
        arrays = {key: _read_array(zarr, folder / key, source.name) for key in keys}
        return [from_arrays(arrays, settings, source.name)]


class ZarrWriter:
    """Writes one Spectra, losslessly; needs the extra ``scale``."""

    name = ZarrReader.name
    suffixes: tuple[str, ...] = (".zarr",)
    time_precision = 0.0

    def write(self, spectra: Spectra, path: Path) -> None:
        """Write a folder at `path`, which must not exist.

        Raises
        ------
        FormatError
            If the attrs hold something else than JSON types, or zarr cannot hold a column.
        """
        zarr = optional("zarr", extra="scale")
        arrays, settings = to_arrays(spectra)
        text = dump_settings(settings)
        group = zarr.open_group(str(path), mode="w-", zarr_format=3, attributes={_SETTINGS: text})
        for key, array in arrays.items():
            try:
                # Every chunk is written and sealed, so that a lost or damaged one is noticed.
                stored = group.create_array(
                    key,
                    compressors=zarr.codecs.ZstdCodec(level=3, checksum=True),
                    config={"write_empty_chunks": True},
                    shape=array.shape,
                    dtype=str if array.dtype.kind == "U" else array.dtype,
                    chunks=_chunks(array),
                    attributes={_TYPE: array.dtype.str},
                    dimension_names=_dimensions(key, array, spectra),
                )
                stored[...] = array
            except (TypeError, ValueError) as error:
                raise FormatError(f"zarr cannot hold {key!r} ({array.dtype}): {error}") from error


def _chunks(array: Array) -> tuple[int, ...]:
    row_bytes = max(1, array.itemsize * math.prod(array.shape[1:]))
    rows = max(1, min(len(array), CHUNK_BYTES // row_bytes))
    return (rows, *(max(1, length) for length in array.shape[1:]))


def _dimensions(key: str, array: Array, spectra: Spectra) -> tuple[str, ...]:
    if key == "axis_values":
        return ("edge",) if spectra.axis.binned else ("channel",)
    return ("spectrum", "channel")[: array.ndim]


def _metadata(folder: Path, name: str) -> dict[str, Any]:
    file = folder / "zarr.json"
    try:
        if not file.is_file() or file.stat().st_size > _MAX_METADATA_BYTES:
            raise FormatError(
                f"{name}: expected a zarr store of version 3, no {file.name} is there"
            )
        metadata = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{name}: {file.name} is damaged: {error}") from error
    if not isinstance(metadata, dict) or metadata.get("zarr_format") != 3:
        raise FormatError(f"{name}: expected zarr version 3")
    return metadata


def _attributes(metadata: dict[str, Any]) -> dict[str, Any]:
    attributes = metadata.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _checked_bytes(folder: Path, name: str, budget: int) -> int:
    """Bytes that an array unpacks to, after looking at all it declares."""
    metadata = _metadata(folder, name)
    try:
        codecs = {codec["name"] for codec in metadata["codecs"]}
        shape = metadata["shape"]
        chunk = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        lengths = [*shape, *chunk]
        if not all(type(length) is int and length >= 0 for length in lengths):
            raise FormatError(f"{name}: array {folder.name!r} declares the shape {shape}")
        itemsize = np.dtype(_attributes(metadata)[_TYPE]).itemsize
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{name}: array {folder.name!r} is not one we wrote: {error}") from error
    if not codecs <= _CODECS or metadata.get("storage_transformers"):
        raise FormatError(
            f"{name}: array {folder.name!r} is packed by {sorted(codecs - _CODECS)}; "
            f"only {sorted(_CODECS)} are read"
        )
    needed = max(8, itemsize) * max(math.prod(shape), math.prod(chunk))
    if needed > budget:
        raise FormatError(
            f"{name}: array {folder.name!r} would unpack to {needed / 1024**2:.0f} MiB, "
            "far more than the store holds"
        )
    return needed


def _read_array(zarr: Any, folder: Path, name: str) -> Array:
    try:
        stored = zarr.open_array(str(folder), mode="r", zarr_format=3)
        if stored.size and stored.nchunks_initialized != stored.nchunks:
            raise FormatError(f"{stored.nchunks - stored.nchunks_initialized} chunks are missing")
        array = np.asarray(stored[...])
        wanted = np.dtype(_attributes(_metadata(folder, name))[_TYPE])
        if array.dtype != wanted:
            if (array.dtype.kind, wanted.kind) not in {("T", "U"), ("O", "U")} and (
                array.dtype.newbyteorder("=") != wanted.newbyteorder("=")
            ):
                raise FormatError(f"holds {array.dtype}, expected {wanted}")
            array = array.astype(wanted)
    except Exception as error:
        # A damaged chunk surfaces as whatever its codec raises; none of it concerns the user.
        raise FormatError(f"{name}: array {folder.name!r} is damaged: {error}") from error
    return array


READER = ZarrReader()
WRITER = ZarrWriter()
