"""Columns of metadata in tables: their names, and what their texts mean."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence

import numpy as np

from spectraloom._typing import Array, FloatArray
from spectraloom.data.columns import label_sets
from spectraloom.errors import FormatError

_ALIASES = {
    "live_time_s": "live_time",
    "real_time_s": "real_time",
    "label": "labels",
}
_TIMES = ("live_time", "real_time")
# Serial numbers and the like are names even where they look like numbers.
_TEXTS = {"title", "detector", "absorber", "material", "file", "source_type", "sheet"}
_PUNCTUATION = re.compile(r"[\s\-_()\[\]/:,#]+")
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)


def canonical_name(cell: str) -> str:
    """Name in lower case, with one underscore for blanks, brackets and other signs.

    ``Energy (keV)`` becomes ``energy_kev``. Times also lose their unit: ``Live time [s]`` becomes
    ``live_time``.
    """
    name = _PUNCTUATION.sub("_", cell.strip().lower()).strip("_")
    return _ALIASES.get(name, name)


def read_columns(
    metadata: Mapping[str, Sequence[str]], name: str
) -> tuple[dict[str, FloatArray], dict[str, Array]]:
    """Times, and columns by name.

    Parameters
    ----------
    metadata : mapping of str to sequence of str
        Cells by the name they have in the table.
    name : str
        Of the table, for messages.

    Raises
    ------
    FormatError
        If a cell of a known column is not what it must be.
    """
    times: dict[str, FloatArray] = {}
    columns: dict[str, Array] = {}
    for given, cells in metadata.items():
        canonical = canonical_name(given)
        where = f"{name}: column {given!r}"
        if canonical in _TIMES:
            times[canonical] = _floats(cells, where)
        elif canonical == "labels":
            columns["labels"] = label_sets([read_label_set(cell, where) for cell in cells])
        elif canonical == "start_time":
            columns["start_time"] = np.array(
                [_moment(cell, where) for cell in cells], dtype="datetime64[us]"
            )
        elif canonical in _TEXTS:
            columns[canonical] = np.array(list(cells), dtype=np.str_)
        else:
            columns[given] = _guess(cells)
    return times, columns


def read_label_set(cell: str, where: str) -> tuple[str, ...]:
    """Label set from a cell: a JSON list, or labels with ``|`` between them.

    Raises
    ------
    FormatError
        If it looks like JSON but is not a list of texts.
    """
    if not cell.startswith("["):
        return tuple(label.strip() for label in cell.split("|") if label.strip())
    try:
        labels = json.loads(cell)
    except (ValueError, RecursionError):
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise FormatError(
            f"{where}: expected labels such as Co60|Cs137 or a JSON list of texts, "
            f"found {cell[:40]!r}"
        )
    return tuple(labels)


def _floats(cells: Sequence[str], where: str) -> FloatArray:
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError as error:
        raise FormatError(f"{where}: expected seconds: {error}") from error


def _moment(cell: str, where: str) -> np.datetime64:
    if not cell:
        return np.datetime64("NaT")
    try:
        moment = datetime.datetime.fromisoformat(cell)
        if moment.tzinfo is not None:
            moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise FormatError(
            f"{where}: expected a time as 2024-01-31T12:00:00, found {cell[:40]!r}"
        ) from error
    return np.datetime64(moment, "us")


def _guess(cells: Sequence[str]) -> Array:
    """Integers if all cells are, numbers if all are numbers or empty, else texts."""
    if cells and all(_INTEGER.fullmatch(cell) for cell in cells):
        return np.array([int(cell) for cell in cells], dtype=np.int64)
    try:
        if any(cells) and not any("_" in cell for cell in cells):
            return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        pass
    return np.array(list(cells), dtype=np.str_)
