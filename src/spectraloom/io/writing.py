"""The front door of writing: every file is read back and compared before it appears."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError, FormatError
from spectraloom.io.kept import not_kept
from spectraloom.io.reading import read_source
from spectraloom.io.registry import WRITERS, Writer
from spectraloom.io.source import Source
from spectraloom.io.stores import zarr_store

_AXIS_TOLERANCE = 1e-3  # keV
_TIMES = ("live_time", "real_time")


def write(
    spectra: Spectra,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the word every such function uses
    overwrite: bool = False,
) -> list[str]:
    """Write spectra, read them back and compare; the file appears only if all is equal.

    Counts, times and axis are kept, or nothing is written; PCF alone rounds times to the seven
    digits of float32. Columns and notes may have no place in an instrument's format: those are
    returned.

    Parameters
    ----------
    spectra : Spectra
        What to write.
    path : path
        The file (a folder for a zarr store).
    format : str, optional
        Name of a format that :func:`formats` lists as written, e.g. ``"N42"``; otherwise the
        ending of `path` chooses.
    overwrite : bool
        Replace an existing file or zarr store; without it, one is an error. No other folder is
        ever replaced.

    Returns
    -------
    list of str
        What the format does not keep: columns by their names, notes as ``attrs.name``, and
        ``live_time (rounded)`` or ``real_time (rounded)``; empty if all is kept.

    Raises
    ------
    DataError
        If it is something else than spectra.
    FormatError
        If there is no such writer, the file exists, or the format cannot hold the spectra with
        counts and times exact (times in PCF within 1.2e-7) and the axis within 1e-3 keV.
    """
    if not isinstance(spectra, Spectra):
        raise DataError(
            f"files of spectra are written of Spectra, not of {type(spectra).__name__}; libraries "
            "and models are saved with spectraloom.save"
        )
    target = Path(path)
    writer = _writer_for(target, format)
    if target.exists() and not overwrite:
        raise FormatError(f"{target}: exists already; write with overwrite=True to replace it")
    if target.is_dir() and not zarr_store.READER.sniff(Source.from_path(target)):
        raise FormatError(f"{target}: is a folder that holds other things, so it is not replaced")
    if not target.parent.is_dir():
        raise FormatError(f"{target}: there is no folder {target.parent}")
    # Beside the target, so that the final step is a rename on one file system.
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".spectraloom-") as folder:
            draft = Path(folder) / f"draft{writer.suffixes[0]}"
            try:
                writer.write(spectra, draft)
            except FormatError as error:
                raise FormatError(f"{target}: {error}") from error
            found = _compared(spectra, draft, target, writer)
            rounded = [
                f"{name} (rounded)"
                for name in _TIMES
                if _first_difference(getattr(spectra, name), getattr(found, name))
            ]
            lost = rounded + not_kept(spectra, found)
            if target.is_dir():
                target.replace(Path(folder) / "replaced")
            draft.replace(target)
        return lost
    except OSError as error:
        raise FormatError(f"{target}: cannot be written: {error}") from error


def _writer_for(path: Path, format_name: str | None) -> Writer:
    wanted = (format_name or path.suffix).lower().lstrip(".")
    if wanted in ("cnf", "canberra cnf"):
        raise FormatError(
            "CNF is read but never written: the layout is not published, and the one writer there "
            "is loses counts; write N42 or IAEA SPE"
        )
    for writer in WRITERS:
        if wanted == writer.name.lower() or f".{wanted}" in writer.suffixes:
            return writer
    known = ", ".join(f"{writer.name} ({writer.suffixes[0]})" for writer in WRITERS)
    asked = f"format {format_name!r}" if format_name else f"the ending {path.suffix!r}"
    raise FormatError(f"{path}: there is no writer for {asked}; writers: {known}")


def _compared(spectra: Spectra, draft: Path, target: Path, writer: Writer) -> Spectra:
    """What was read back; refused if it is not what was written."""
    try:
        groups = read_source(Source.from_path(draft))
    except FormatError as error:
        why = str(error).replace(str(draft), "it").removeprefix("it: ")
        raise FormatError(
            f"{target}: what was written as {writer.name} cannot be read ({why}): write npz, which "
            "keeps everything"
        ) from error
    found = groups[0] if len(groups) == 1 else None
    what = ""
    if found is None or len(found) != len(spectra):
        what = "the number of spectra"
    elif found.shape != spectra.shape or not np.array_equal(found.values, spectra.values):
        what = "the counts"
    elif not _same_axis(spectra.axis, found.axis):
        what = "the axis"
    else:
        for name in _TIMES:
            difference = _first_difference(
                getattr(spectra, name), getattr(found, name), writer.time_precision
            )
            if difference:
                what = f"the {name.replace('_', ' ')} ({difference})"
    if found is None or what:
        raise FormatError(
            f"{target}: {writer.name} cannot hold {what} exactly: round first, or write npz"
        )
    return found


def _same_axis(one: Axis, other: Axis) -> bool:
    if one.isclose(other):
        return True
    if (one.quantity, one.unit, one.binned) != (other.quantity, other.unit, other.binned):
        return False
    close = one.values.size == other.values.size and one.unit == "keV"
    return close and bool(np.abs(one.values - other.values).max() <= _AXIS_TOLERANCE)


def _first_difference(one: Any, other: Any, relative: float = 0.0) -> str:
    count = len(one if one is not None else other if other is not None else ())
    before = np.full(count, np.nan) if one is None else one
    after = np.full(count, np.nan) if other is None else other
    near = np.abs(after - before) <= relative * np.abs(before)
    differ = np.flatnonzero(~(near | (np.isnan(before) & np.isnan(after))))
    if not differ.size:
        return ""
    row = int(differ[0])
    return f"spectrum {row}: {before[row]!s} s would read back as {after[row]!s} s"
