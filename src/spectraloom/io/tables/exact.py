"""The one table layout we write: it says everything about itself and reads back exactly.

One line of settings (a comment cell), a row of names with all bin edges, then one spectrum a row.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.data import Spectra
from spectraloom.data.columns import decode_column, encode_column, is_label_sets
from spectraloom.errors import FormatError, SpectraloomError
from spectraloom.io.stores.layout import dump_settings, make_axis
from spectraloom.io.tables.axis import axis_marker

SIGN = "# spectraloom table 1 "
_VALUE_TYPES = frozenset(
    {f"{kind}{size}" for kind in ("int", "uint") for size in (8, 16, 32, 64)}
    | {"float32", "float64"}
)
_TIMES = ("live_time", "real_time")
_EXACT_INTEGER = 2.0**53
_FIRST_ROW = 3  # of spectra, below the settings and the names


def is_exact(text: str) -> bool:
    """Whether the text starts as tables do that we wrote."""
    return text.startswith((SIGN, f'"{SIGN}'))


def write_exact(spectra: Spectra, path: Path) -> None:
    """Write a table that :func:`read_exact` reads back bit by bit.

    Raises
    ------
    FormatError
        If the spectra are complex, have a variance, or hold types that a table cannot.
    """
    if spectra.variance is not None or spectra.kind == "complex":
        what = "a variance" if spectra.variance is not None else "complex values"
        raise FormatError(f"a CSV table cannot hold {what}; write npz or zarr")
    if spectra.dtype.name not in _VALUE_TYPES:
        raise FormatError(f"a CSV table cannot hold values of {spectra.dtype}")
    times = {name: getattr(spectra, name) for name in _TIMES if getattr(spectra, name) is not None}
    columns = [(name, _column_type(name, column), column) for name, column in _items(spectra)]
    settings = {
        "n_spectra": len(spectra),
        "kind": spectra.kind,
        "dtype": spectra.dtype.name,
        "axis": spectra.axis.to_dict(),
        "times": list(times),
        "columns": [[name, kind] for name, kind, _ in columns],
        "attrs": dict(spectra.attrs),
    }
    marker, coordinates = _axis_cells(spectra)
    blank = [""] if spectra.axis.binned and marker != "channel" else []
    texts = [
        *(list(map(repr, array.tolist())) for array in times.values()),
        *(_column_cells(column) for _, _, column in columns),
    ]
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\r\n")
            table.writerow([SIGN + dump_settings(settings)])
            table.writerow([*times, *(name for name, _, _ in columns), marker, *coordinates])
            for row, values in enumerate(spectra.values):
                head = [cells[row] for cells in texts]
                table.writerow([*head, "", *_value_cells(values), *blank])
    except UnicodeEncodeError as error:
        raise FormatError(f"a text is not Unicode: {error}") from error


def read_exact(text: str, name: str) -> Spectra:
    """Spectra from what :func:`write_exact` wrote.

    Raises
    ------
    FormatError
        If the table is cut off, was changed, or is malformed.
    """
    if not text.endswith("\n"):
        raise FormatError(f"{name}: the table is cut off: its last line does not end")
    try:
        settings = _settings(text, name)
        rows = _rows(text, name)
        head = next(rows, [])
        columns: list[tuple[str, str]] = [(str(a), str(b)) for a, b in settings["columns"]]
        times = [str(key) for key in settings["times"]]
        if not set(times) <= set(_TIMES):
            raise FormatError(f"{name}: unknown times {times}")
        first = len(times) + len(columns)
        axis_values = _axis_values(head[first:], settings["axis"])
        axis = make_axis(axis_values, settings["axis"])
        texts, values = _body(rows, head, first, axis.n_channels, settings, name)
        cells = dict(zip(range(first), texts, strict=True))
        return Spectra(
            values,
            axis,
            settings["kind"],
            columns={
                key: _read_column(cells[len(times) + index], kind, len(times) + index)
                for index, (key, kind) in enumerate(columns)
            },
            attrs=settings["attrs"],
            **{key: _read_column(cells[i], "float64", i) for i, key in enumerate(times)},
        )
    except (SpectraloomError, KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        if isinstance(error, FormatError) and str(error).startswith(name):
            raise
        raise FormatError(
            f"{name}: the table says that Spectraloom wrote it, but it is damaged or was changed "
            f"({error}); without its first line it reads as an ordinary table"
        ) from error


def _settings(text: str, name: str) -> dict[str, Any]:
    line = text[: text.index("\n")].rstrip("\r")
    if line.startswith('"'):
        line = line.rstrip(",")
        if not line.endswith('"'):
            raise FormatError(f"{name}: the settings in the first line are damaged")
        line = line[1:-1].replace('""', '"')
    try:
        settings = json.loads(line.removeprefix(SIGN))
    except RecursionError as error:
        raise FormatError(f"{name}: the settings in the first line are damaged") from error
    if not isinstance(settings, dict) or not isinstance(settings["attrs"], dict):
        raise FormatError(f"{name}: the settings in the first line are damaged")
    if settings["dtype"] not in _VALUE_TYPES or type(settings["n_spectra"]) is not int:
        raise FormatError(f"{name}: the settings in the first line are damaged")
    return settings


def _rows(text: str, name: str) -> Iterator[list[str]]:
    # The settings may be longer than the csv module takes as one cell, so they are left out.
    lines = io.StringIO(text, newline="")
    lines.seek(text.index("\n") + 1)
    try:
        yield from csv.reader(lines, strict=True)
    except csv.Error as error:
        raise FormatError(f"{name}: the table is damaged: {error}") from error


def _axis_cells(spectra: Spectra) -> tuple[str, list[str]]:
    axis = spectra.axis
    if not axis.is_calibrated and axis == type(axis).uncalibrated(axis.n_channels):
        return "channel", [str(channel) for channel in range(axis.n_channels)]
    marker = f"edge_{axis.unit}" if axis.binned else f"{axis.quantity}_{axis.unit}"
    known = axis_marker(marker)
    if known is None or known[1:] != (axis.quantity, axis.unit):
        marker = "axis"
    return marker, list(map(repr, axis.values.tolist()))


def _axis_values(cells: Sequence[str], settings: dict[str, Any]) -> Array:
    if cells[:1] == ["channel"]:
        values = np.array([float(cell) for cell in cells[1:]])
        return np.append(values, len(values)) if settings["binned"] else values
    return np.array([float(cell) for cell in cells[1:]])


def _body(
    rows: Iterator[list[str]],
    head: list[str],
    first: int,
    n_channels: int,
    settings: dict[str, Any],
    name: str,
) -> tuple[list[list[str]], Array]:
    number: Any = int if settings["dtype"].startswith(("int", "uint")) else float
    texts: list[list[str]] = [[] for _ in range(first)]
    values: list[Array] = []
    start, stop = first + 1, first + 1 + n_channels
    for row in rows:
        if len(row) != len(head) or any(row[stop:]) or row[first]:
            raise FormatError(
                f"{name}: spectrum {len(values)} has {len(row)} cells, expected {len(head)}"
            )
        cells = _numbers(row[start:stop], number, _FIRST_ROW + len(values), start + 1)
        values.append(np.array(cells, settings["dtype"]))
        for column, cell in zip(texts, row[:first], strict=True):
            column.append(cell)
    if len(values) != settings["n_spectra"]:
        raise FormatError(
            f"{name}: holds {len(values)} spectra, its first line says {settings['n_spectra']}"
        )
    stacked = np.stack(values) if values else np.zeros((0, n_channels), settings["dtype"])
    return texts, stacked


def _value_cells(values: Array) -> list[str]:
    if values.dtype.kind in "iu":
        return list(map(str, values.tolist()))
    wide = values.astype(np.float64)
    whole = (wide == np.rint(wide)) & (np.abs(wide) < _EXACT_INTEGER) & ~np.signbit(wide)
    if whole.all():
        return list(map(str, wide.astype(np.int64).tolist()))
    return list(map(repr, wide.tolist()))


def _items(spectra: Spectra) -> list[tuple[str, Array]]:
    return list(spectra.columns.items())


def _column_type(name: str, column: Array) -> str:
    if is_label_sets(column):
        return "labels"
    if column.dtype.kind == "U":
        return "text"
    kind = column.dtype.newbyteorder("=").name
    if column.dtype.kind in "biufM" and kind not in ("datetime64", "float128", "longdouble"):
        return kind
    raise FormatError(f"a CSV table cannot hold the column {name!r} of {column.dtype}")


def _column_cells(column: Array) -> list[str]:
    if is_label_sets(column) or column.dtype.kind == "U":
        return encode_column(column).tolist()
    if column.dtype.kind == "M":
        return np.datetime_as_string(column).tolist()
    return list(map(repr, column.tolist()))


def _numbers(
    cells: Sequence[str], number: Any, row: int, column: int, *, down: bool = False
) -> list[Any]:
    """Numbers of cells that begin at `row` and `column` and go to the right, or down."""
    try:
        return [number(cell) for cell in cells]
    except ValueError:
        for index, cell in enumerate(cells):
            try:
                number(cell)
            except ValueError as error:
                place = f"row {row + index * down}, column {column + index * (not down)}"
                what = "a whole number" if number is int else "a number"
                raise FormatError(f"{place}: expected {what}, found {cell[:40]!r}") from error
        raise


def _read_column(cells: list[str], kind: str, column: int) -> Array:
    if kind in ("labels", "text"):
        return decode_column(np.array(cells, dtype=np.str_), sets=kind == "labels")
    if kind == "bool":
        if not set(cells) <= {"True", "False"}:
            raise FormatError("a column of True and False holds something else")
        return np.array([cell == "True" for cell in cells], dtype=bool)
    if kind.startswith("datetime64["):
        return np.array(cells, dtype=np.dtype(kind))
    if kind in _VALUE_TYPES or kind == "float16":
        number: Any = float if kind.startswith("float") else int
        return np.array(_numbers(cells, number, _FIRST_ROW, column + 1, down=True), kind)
    raise FormatError(f"unknown type of column {kind[:40]!r}")
