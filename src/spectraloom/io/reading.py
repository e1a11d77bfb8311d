"""The front door of reading: paths, patterns, folders, streams and lists of them."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from spectraloom.data import Axis, Spectra
from spectraloom.errors import (
    AxisError,
    DataError,
    FormatError,
    MissingExtraError,
    SpectraloomError,
)
from spectraloom.io import archive
from spectraloom.io.isolate import Isolation, read_isolated
from spectraloom.io.one_axis import on_axis
from spectraloom.io.records import of_this_file
from spectraloom.io.registry import READERS, WRITERS, Reader
from spectraloom.io.source import Source
from spectraloom.io.tables.layout import NoTableError

AnySource: TypeAlias = "str | os.PathLike[str] | BinaryIO | Sequence[AnySource]"

_MOST_AXES, _MOST_FILES = 6, 3  # named in a message
_DIGITS = (7, 9, 12, 17)


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
        reader recognises, or tables without an axis, are left out and named in
        ``attrs["skipped"]``.
    axis : Axis, optional
        Rebin all spectra to this axis, preserving counts; what lies outside of it is told by the
        column ``counts_outside``.
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
        groups = _merge([on_axis(group, axis) for group in groups])
        if skipped:
            groups = [_with_attrs(group, skipped=skipped) for group in groups]
    if len(groups) == 1:
        return groups[0]
    if len({(g.axis.n_channels, g.axis.values.tobytes()) for g in groups}) == 1:
        kinds = ", ".join(dict.fromkeys(map(_kind_of, groups)))
        raise FormatError(
            f"{_name_of(source)}: holds spectra of different kinds ({kinds}): "
            "spectraloom.read_groups returns one Spectra for each"
        )
    listed = [
        f"{text}{files}" for text, files in zip(axis_texts(groups), _in_files(groups), strict=True)
    ]
    more = f"; and {len(listed) - _MOST_AXES} more" if len(listed) > _MOST_AXES else ""
    raise AxisError(
        f"{_name_of(source)}: holds spectra on {len(groups)} different axes "
        f"({'; '.join(listed[:_MOST_AXES])}{more}): either rebin them to one with "
        "read(..., axis=...), or take one Spectra for each axis from spectraloom.read_groups"
    )


def axis_texts(groups: Sequence[Spectra]) -> list[str]:
    """Axis of each group in words, with as many digits as tell them apart.

    Parameters
    ----------
    groups : sequence of Spectra
        As :func:`read_groups` gives them.
    """
    several = len({group.kind for group in groups}) > 1
    kinds = [f", {group.kind}" if several else "" for group in groups]
    texts = [group.axis.describe() + kind for group, kind in zip(groups, kinds, strict=True)]
    for digits in _DIGITS:
        alike = [texts.count(text) > 1 for text in texts]
        for row, group in enumerate(groups):
            axis = group.axis
            if alike[row] and axis.is_calibrated:
                first, middle, last = (axis.values[i] for i in (0, axis.values.size // 2, -1))
                texts[row] = (
                    f"{axis.n_channels} {'channels' if axis.binned else 'points'}, "
                    f"{first:.{digits}g} to {last:.{digits}g} {axis.unit} ({axis.quantity}; "
                    f"{middle:.{digits}g} in the middle){kinds[row]}"
                )
    return texts


def _in_files(groups: Sequence[Spectra]) -> list[str]:
    found = [list(dict.fromkeys(map(str, group.columns.get("file", ())))) for group in groups]
    if len({name for names in found for name in names}) < 2:
        return [""] * len(groups)
    texts = []
    for names in found:
        more = f" and {len(names) - _MOST_FILES} more" if len(names) > _MOST_FILES else ""
        texts.append(f" in {', '.join(names[:_MOST_FILES])}{more}" if names else "")
    return texts


def read_groups(
    source: AnySource,
    *,
    isolate: bool | Isolation = False,
    on_bad: Callable[[str, FormatError], None] | None = None,
) -> list[Spectra]:
    """Read spectra of any supported format, one Spectra for each axis found.

    Parameters
    ----------
    source : path, glob pattern, folder, binary stream, or a sequence of these
        As for :func:`read`.
    isolate : bool or Isolation
        As for :func:`read`.
    on_bad : callable, optional
        Called with the name of each file that cannot be read, and why; reading goes on without
        it. By default one such file stops all.

    Raises
    ------
    FormatError
        If there is nothing to read, or a file is of no known format, damaged or cut off.
    """
    limits = Isolation() if isolate is True else isolate or None
    skipped: list[str] = []
    parts: list[Spectra] = []
    sources = _sources(source)
    for number, (one, in_folder) in enumerate(sources):
        if in_folder and not one.is_folder and _reader_of(one) is None:
            skipped.append(one.name)
            continue
        try:
            parts += read_source(one) if limits is None else read_isolated(one, limits)
        except FormatError as error:
            if in_folder and isinstance(error, NoTableError):
                skipped.append(one.name)  # notes and lists lie beside spectra
            elif on_bad is not None:
                on_bad(one.name, error)
            elif in_folder or number > 0 or _has_more(sources):
                # One broken file stops all, so that none is missed.
                raise type(error)(
                    f"{error}; no other file was read either: to go on without this one, move it "
                    "away or name the others"
                ) from error
            else:
                raise
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
    if reader is archive.READER:  # it says what its members are
        return groups
    return [of_this_file(group, source.file, reader.name) for group in groups]


def _has_more(sources: Iterator[tuple[Source, bool]]) -> bool:
    try:
        return next(sources, None) is not None
    except FormatError:
        return True


def _reader_of(source: Source) -> Reader | None:
    return next((reader for reader in READERS if reader.sniff(source)), None)


def _name_of(source: Any) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, (list, tuple)):
        names = [_name_of(one) for one in source]
        more = f" and {len(names) - _MOST_FILES} more" if len(names) > _MOST_FILES else ""
        return f"{', '.join(names[:_MOST_FILES])}{more}" if names else "an empty list"
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
    if not name:
        raise FormatError("expected a path, got an empty text; the current folder is '.'")
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
    """One Spectra for each axis and kind of noise, in order of first appearance."""
    groups: list[list[Spectra]] = []
    for part in parts:
        for group in groups:
            if _kind_of(group[0]) == _kind_of(part) and group[0].axis.isclose(part.axis):
                group.append(part)
                break
        else:
            groups.append([part])
    try:
        return [Spectra.concatenate(group) for group in groups]
    except DataError as error:
        raise FormatError(f"the files do not fit together: {error}") from error


def _kind_of(spectra: Spectra) -> str:
    """Kind of spectra; counts bring their own variance, others only if the file has it."""
    if spectra.kind == "counts":
        return spectra.kind
    return f"{spectra.kind} {'without' if spectra.variance is None else 'with'} a variance"


def _with_attrs(spectra: Spectra, **attrs: Any) -> Spectra:
    return spectra.replace(attrs={**spectra.attrs, **attrs})
