"""The front door: read any supported source, and write with a check of what was written."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np

from spectraloom.data import Axis, Spectra
from spectraloom.data.overlap import overlap_rebin
from spectraloom.errors import (
    AxisError,
    DataError,
    FormatError,
    MissingExtraError,
    SpectraloomError,
)
from spectraloom.io.isolate import Isolation, read_isolated
from spectraloom.io.registry import READERS, WRITERS, Reader, Writer
from spectraloom.io.source import Source

AnySource: TypeAlias = "str | os.PathLike[str] | BinaryIO | Sequence[AnySource]"
_AXIS_TOLERANCE = 1e-3  # keV


class Format(NamedTuple):
    """One supported format."""

    name: str
    reads: bool
    writes: bool
    suffixes: tuple[str, ...]


def formats() -> list[Format]:
    """Every supported format, in the order in which content is compared with it."""
    writers = {writer.name: writer for writer in WRITERS}
    known = [
        Format(reader.name, True, reader.name in writers, reader.suffixes) for reader in READERS
    ]
    names = {one.name for one in known}
    known += [Format(w.name, False, True, w.suffixes) for w in WRITERS if w.name not in names]
    return known


# -- reading ---------------------------------------------------------------------------------


def read(
    source: AnySource, *, axis: Axis | None = None, isolate: bool | Isolation = False
) -> Spectra:
    """Read spectra of any supported format into one Spectra.

    Formats are recognised by content, never by the name of the file.

    Parameters
    ----------
    source : path, glob pattern, folder, binary stream, or a sequence of these
        A folder is read with all its sub-folders; hidden files are left out, and files that no
        reader recognises are left out and named in ``attrs["skipped"]``.
    axis : Axis, optional
        Rebin all spectra to this axis, preserving counts; counts outside of it are not in the
        answer.
    isolate : bool or Isolation
        Read each file in a process of its own, with limits on time and memory.

    Returns
    -------
    Spectra
        With columns ``file``, ``record``, ``detector`` ... where known; times that a file does
        not state are nan.

    Raises
    ------
    FormatError
        If there is nothing to read, or a file is of no known format, damaged or cut off.
    AxisError
        If the spectra lie on different axes and `axis` is not given, or cannot be rebinned.

    Examples
    --------
    >>> import spectraloom as sl
    >>> spectra = sl.read("measurements/*.n42")  # doctest: +SKIP
    """
    groups = read_groups(source, isolate=isolate)
    if axis is not None:
        skipped = groups[0].attrs.get("skipped")
        groups = _merge([_on_axis(group, axis) for group in groups])
        if skipped:
            groups = [_with_attrs(group, skipped=skipped) for group in groups]
    if len(groups) == 1:
        return groups[0]
    axes = list(dict.fromkeys(group.axis.describe() for group in groups))
    if len({(g.axis.n_channels, g.axis.values.tobytes()) for g in groups}) == 1:
        kinds = ", ".join(dict.fromkeys(group.kind for group in groups))
        raise FormatError(
            f"{_name_of(source)}: holds spectra of different kinds ({kinds}): "
            "spectraloom.read_groups returns one Spectra for each"
        )
    listed = "; ".join(axes[:6]) + (f"; and {len(axes) - 6} more" if len(axes) > 6 else "")
    raise AxisError(
        f"{_name_of(source)}: holds spectra on {len(groups)} different axes ({listed}): either "
        "rebin them to one with read(..., axis=...), or take one Spectra for each axis from "
        "spectraloom.read_groups"
    )


def read_groups(source: AnySource, *, isolate: bool | Isolation = False) -> list[Spectra]:
    """Read spectra of any supported format, one Spectra for each axis found.

    Parameters
    ----------
    source : path, glob pattern, folder, binary stream, or a sequence of these
        As for :func:`read`.
    isolate : bool or Isolation
        As for :func:`read`.

    Raises
    ------
    FormatError
        If there is nothing to read, or a file is of no known format, damaged or cut off.
    """
    limits = Isolation() if isolate is True else isolate or None
    skipped: list[str] = []
    parts: list[Spectra] = []
    for one, in_folder in _sources(source):
        if in_folder and not one.is_folder and _reader_of(one) is None:
            skipped.append(one.name)
            continue
        parts += read_source(one) if limits is None else read_isolated(one, limits)
    if not parts:
        where = f"; none of {len(skipped)} files is of a known format" if skipped else ""
        raise FormatError(f"{_name_of(source)}: there is nothing to read{where}")
    groups = _merge(parts)
    if skipped:
        groups = [_with_attrs(group, skipped=skipped) for group in groups]
    return groups


def read_source(source: Source) -> list[Spectra]:
    """Read one file, stream or store with the first reader that recognises it.

    Raises
    ------
    FormatError
        If no reader does, or it cannot read it.
    """
    reader = _reader_of(source)
    if reader is None:
        if source.size == 0 and not source.is_folder:
            raise FormatError(f"{source.name}: the file is empty, expected a spectrum file")
        names = ", ".join(reader.name for reader in READERS)
        raise FormatError(
            f"{source.name}: the content is of no known format; expected one of {names}"
        )
    try:
        groups = reader.read(source)
    except (FormatError, MissingExtraError):
        raise
    except SpectraloomError as error:
        raise FormatError(f"{source.name}: not a valid {reader.name} file: {error}") from error
    except (MemoryError, RecursionError) as error:
        raise FormatError(
            f"{source.name}: reading it as {reader.name} needs too much memory"
        ) from error
    if not groups or not all(len(group) for group in groups):
        raise FormatError(f"{source.name}: this {reader.name} file holds no spectrum")
    return groups


def _reader_of(source: Source) -> Reader | None:
    return next((reader for reader in READERS if reader.sniff(source)), None)


def _name_of(source: Any) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, (list, tuple)):
        return f"a list of {len(source)} sources"
    return str(getattr(source, "name", "stream"))


def _sources(source: Any) -> Iterator[tuple[Source, bool]]:
    """Every source, and whether it was found in a folder rather than named."""
    if hasattr(source, "read"):
        yield Source.from_stream(source, str(getattr(source, "name", "stream"))), False
    elif isinstance(source, (str, os.PathLike)):
        yield from _named(os.fspath(source))
    elif isinstance(source, Iterable) and not isinstance(source, (bytes, bytearray)):
        for one in source:
            yield from _sources(one)
    else:
        raise FormatError(
            f"expected a path, a glob pattern, a folder, a binary stream or a list of these, got "
            f"{type(source).__name__}; bytes can be wrapped in io.BytesIO"
        )


def _named(name: str) -> Iterator[tuple[Source, bool]]:
    try:
        exists = Path(name).exists()
    except (OSError, ValueError) as error:
        raise FormatError(f"{name!r}: is no valid path: {error}") from error
    if not exists and glob.has_magic(name):
        found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob has no "**"
        if not found:
            raise FormatError(f"{name}: no file matches this pattern")
        for one in found:
            yield from _file_or_folder(Path(one))
    else:
        yield from _file_or_folder(Path(name))


def _file_or_folder(path: Path) -> Iterator[tuple[Source, bool]]:
    source = Source.from_path(path)
    if not source.is_folder or _reader_of(source) is not None:
        yield source, False
        return
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in list(folders):
            inner = Source.from_path(Path(folder) / name)
            if _reader_of(inner) is not None:
                folders.remove(name)
                yield inner, True
        for name in sorted(files):
            file = Path(folder) / name
            if not name.startswith(".") and file.is_file():
                yield Source.from_path(file), True


def _merge(parts: Sequence[Spectra]) -> list[Spectra]:
    """One Spectra for each axis and kind, in order of first appearance."""
    groups: list[list[Spectra]] = []
    for part in parts:
        for group in groups:
            if group[0].kind == part.kind and group[0].axis.isclose(part.axis):
                group.append(part)
                break
        else:
            groups.append([part])
    try:
        return [Spectra.concatenate(group) for group in groups]
    except DataError as error:
        raise FormatError(f"the files do not fit together: {error}") from error


def _with_attrs(spectra: Spectra, **attrs: Any) -> Spectra:
    return spectra.replace(attrs={**spectra.attrs, **attrs})


def _on_axis(spectra: Spectra, axis: Axis) -> Spectra:
    """Rebin, preserving counts."""
    if spectra.axis.isclose(axis):
        return spectra
    if not spectra.axis.is_calibrated or not axis.is_calibrated:
        raise AxisError(
            f"only calibrated spectra can be rebinned to another axis: {spectra.axis.describe()} "
            f"to {axis.describe()}; calibrate them first, or use spectraloom.read_groups"
        )
    same = (spectra.axis.quantity, spectra.axis.unit) == (axis.quantity, axis.unit)
    if not same or spectra.kind not in ("counts", "rate"):
        raise AxisError(
            f"spectra of kind {spectra.kind!r} over {spectra.axis.describe()} cannot be rebinned "
            f"to {axis.describe()}: use spectraloom.read_groups"
        )
    values = overlap_rebin(spectra.values, spectra.axis.edges, axis.edges)
    variance = spectra.variance
    if variance is not None:
        variance = overlap_rebin(variance, spectra.axis.edges, axis.edges)
    return spectra.replace(values=values, axis=axis, variance=variance)


# -- writing ---------------------------------------------------------------------------------


def write(
    spectra: Spectra,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the word every such function uses
    overwrite: bool = False,
) -> None:
    """Write spectra, read them back and compare; the file appears only if all is equal.

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
        Replace an existing file; without it, one is an error.

    Raises
    ------
    FormatError
        If there is no such writer, the file exists, or the format cannot hold the spectra with
        counts and times exact and the axis within 1e-3 keV.
    """
    target = Path(path)
    writer = _writer_for(target, format)
    if target.exists() and not overwrite:
        raise FormatError(f"{target}: exists already; write with overwrite=True to replace it")
    if not target.parent.is_dir():
        raise FormatError(f"{target}: there is no folder {target.parent}")
    # Beside the target, so that the final step is a rename on one file system.
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".spectraloom-") as folder:
            draft = Path(folder) / f"draft{writer.suffixes[0]}"
            writer.write(spectra, draft)
            _compare(spectra, draft, target, writer)
            if target.is_dir():
                shutil.rmtree(target)
            draft.replace(target)
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


def _compare(spectra: Spectra, draft: Path, target: Path, writer: Writer) -> None:
    """Refuse what does not read back as it was."""
    try:
        groups = read_source(Source.from_path(draft))
    except FormatError as error:
        raise FormatError(f"{target}: what was written as {writer.name} cannot be read") from error
    found = groups[0] if len(groups) == 1 else None
    what = ""
    if found is None or len(found) != len(spectra):
        what = "the number of spectra"
    elif found.shape != spectra.shape or not np.array_equal(found.values, spectra.values):
        what = "the counts"
    elif not _same_axis(spectra.axis, found.axis):
        what = "the axis"
    else:
        for name in ("live_time", "real_time"):
            difference = _first_difference(getattr(spectra, name), getattr(found, name))
            if difference:
                what = f"the {name.replace('_', ' ')} ({difference})"
    if what:
        raise FormatError(
            f"{target}: {writer.name} cannot hold {what} exactly: round first, or write npz"
        )


def _same_axis(one: Axis, other: Axis) -> bool:
    if one.isclose(other):
        return True
    if (one.quantity, one.unit, one.binned) != (other.quantity, other.unit, other.binned):
        return False
    close = one.values.size == other.values.size and one.unit == "keV"
    return close and bool(np.abs(one.values - other.values).max() <= _AXIS_TOLERANCE)


def _first_difference(one: Any, other: Any) -> str:
    count = len(one if one is not None else other if other is not None else ())
    before = np.full(count, np.nan) if one is None else one
    after = np.full(count, np.nan) if other is None else other
    differ = np.flatnonzero(~((before == after) | (np.isnan(before) & np.isnan(after))))
    if not differ.size:
        return ""
    row = int(differ[0])
    return f"spectrum {row}: {before[row]!s} s would read back as {after[row]!s} s"
