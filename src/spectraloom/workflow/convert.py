"""Convert files of spectra to another format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from spectraloom.errors import FormatError
from spectraloom.io import read_groups, write
from spectraloom.workflow.target import require_target


def convert(
    source: str | Path | Sequence[str | Path],
    to: str | Path,
    *,
    file_format: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
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
    list of Path
        What was written.

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
    for group, target in zip(groups, targets, strict=True):
        write(group, target, format=file_format, overwrite=overwrite)
    return targets


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
