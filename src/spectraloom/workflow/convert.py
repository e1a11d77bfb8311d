"""Convert files of spectra to another format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spectraloom.errors import FormatError
from spectraloom.io import read_groups, write
from spectraloom.io.reading import axis_texts
from spectraloom.workflow.target import require_target


@dataclass(frozen=True, slots=True)
class Converted:
    """One file that was written.

    Parameters
    ----------
    path : Path
        The file.
    spectra : int
        Their number.
    axis : str
        Their axis in words.
    files : tuple of str
        Names of the files they come from, where known.
    not_kept : tuple of str
        Columns and notes (``attrs.name``) that the format does not keep.
    """

    path: Path
    spectra: int
    axis: str
    files: tuple[str, ...]
    not_kept: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "path": str(self.path),
            "spectra": self.spectra,
            "axis": self.axis,
            "files": list(self.files),
            "not_kept": list(self.not_kept),
        }


def convert(
    source: str | Path | Sequence[str | Path],
    to: str | Path,
    *,
    file_format: str | None = None,
    overwrite: bool = False,
) -> list[Converted]:
    """Read spectra of any format and write them; what was written is read back and compared.

    Parameters
    ----------
    source : path, glob pattern, folder or sequence of these
    to : path
        File to write. Spectra on several axes go to one file for each: ``out-1.npz``,
        ``out-2.npz`` ... in the order of :func:`spectraloom.read_groups`.
    file_format : str, optional
        Name of a format that is written; otherwise the ending of `to` chooses.
    overwrite : bool
        Replace existing files.

    Returns
    -------
    list of Converted
        What was written, from which files, and what the format does not keep.

    Raises
    ------
    FormatError
        If there is nothing to read, a target exists or cannot be written, or the format cannot
        hold the spectra exactly.
    """
    to = Path(to)
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    groups = read_groups(sources)
    targets = [to]
    if len(groups) > 1:
        numbers = range(1, len(groups) + 1)
        targets = [to.with_name(f"{to.stem}-{number}{to.suffix}") for number in numbers]
    for target in targets:
        require_new(target, overwrite=overwrite, sources=sources)
    written = []
    for group, target, axis in zip(groups, targets, axis_texts(groups), strict=True):
        lost = write(group, target, format=file_format, overwrite=overwrite)
        files = dict.fromkeys(map(str, group.columns.get("file", ())))
        written.append(Converted(target, len(group), axis, tuple(filter(None, files)), tuple(lost)))
    return written


def require_new(path: Path, *, overwrite: bool, sources: Sequence[str | Path] = ()) -> None:
    """Refuse a target that exists, unless it may be replaced, or cannot be written.

    Raises
    ------
    FormatError
        Which of these it is.
    """
    if path.exists() and not overwrite:
        raise FormatError(
            f"{path}: exists already; --overwrite (in Python overwrite=True) replaces it"
        )
    if path.is_dir() and path.suffix == ".zarr":  # a store that is a folder
        return
    require_target(path, sources=sources)
