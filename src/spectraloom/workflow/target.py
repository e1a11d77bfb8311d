"""Where results are written: looked at before the work starts, not after it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from spectraloom.errors import FormatError


def require_target(
    path: str | Path,
    *,
    sources: Iterable[str | Path] = (),
    endings: Iterable[str] = (),
) -> Path:
    """Refuse a file that could not be written, or that would replace what is read.

    Parameters
    ----------
    path : path
        File to write.
    sources : iterable of paths
        What is read to make it.
    endings : iterable of str
        The endings there may be, such as ``".csv"``; any by default.

    Raises
    ------
    FormatError
        If it is a folder, lies in no folder, may not be written, has another ending, or is one of
        the sources.
    """
    path = Path(path)
    known = tuple(endings)
    if known and path.suffix.lower() not in known:
        raise FormatError(f"{path}: results are written as {' or '.join(known)}")
    if path.is_dir():
        raise FormatError(f"{path}: expected a file to write, this is a folder")
    if not path.parent.is_dir():
        raise FormatError(f"{path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise FormatError(f"{path}: may not be written")
    for source in sources:
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise FormatError(f"{path}: is read here, so it cannot be written: choose another file")
    return path


def require_folder(path: str | Path) -> Path:
    """Refuse a folder that could not be made or written to; it is not made yet.

    Raises
    ------
    FormatError
        If it is a file, or may not be written to.
    """
    path = Path(path)
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        raise FormatError(f"{path}: expected a folder, but {there} is a file")
    if not os.access(there, os.W_OK):
        raise FormatError(f"{path}: {there} may not be written to")
    return path
