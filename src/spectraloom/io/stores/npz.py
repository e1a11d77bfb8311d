"""Our own store in one file: a zip of plain numpy arrays and a JSON text, never a pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spectraloom.data import Spectra
from spectraloom.errors import FormatError
from spectraloom.io.npy.numpy_array import read_array
from spectraloom.io.source import Source
from spectraloom.io.stores.layout import (
    array_keys,
    dump_settings,
    from_arrays,
    load_settings,
    to_arrays,
)
from spectraloom.io.zip_guard import member_names, open_zip, read_member

_SETTINGS = "spectraloom"


class NpzReader:
    """Reads what :class:`NpzWriter` wrote; every field, columns and attrs included."""

    name = "Spectraloom npz"
    suffixes: tuple[str, ...] = (".npz",)

    def sniff(self, source: Source) -> bool:
        """Whether the zip container holds our settings."""
        return f"{_SETTINGS}.npy" in member_names(source)

    def read(self, source: Source) -> list[Spectra]:
        """One Spectra; its attrs are as they were stored.

        Raises
        ------
        FormatError
            If the file is damaged, too large when unpacked, or not ours.
        """
        with open_zip(source) as archive:

            def member(key: str) -> np.ndarray:
                name = f"{key}.npy"
                return read_array(read_member(archive, name, source), f"{source.name}: {name}")

            text = member(_SETTINGS)
            if text.dtype.kind != "U" or text.ndim != 0:
                raise FormatError(f"{source.name}: expected the settings as one text")
            settings = load_settings(str(text), source.name)
            arrays = {key: member(key) for key in array_keys(settings)}
        return [from_arrays(arrays, settings, source.name)]


class NpzWriter:
    """Writes one Spectra, losslessly."""

    name = NpzReader.name
    suffixes: tuple[str, ...] = (".npz",)
    time_precision = 0.0

    def write(self, spectra: Spectra, path: Path) -> None:
        """Write to `path`.

        Raises
        ------
        FormatError
            If the attrs hold something else than JSON types.
        """
        arrays, settings = to_arrays(spectra)
        text = np.array(dump_settings(settings))
        with path.open("wb") as file:
            # The settings come first, so that the file says at once what it is.
            np.savez_compressed(file, allow_pickle=False, **{_SETTINGS: text}, **arrays)


READER = NpzReader()
WRITER = NpzWriter()
