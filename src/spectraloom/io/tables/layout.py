"""How spectra lie in a table: one a row or one a column, with an axis and columns of metadata.

The rules are few, so that the same table is always read in the same way; ``docs/formats.md`` shows
them with examples. What they do not settle is refused with a message that says what to add.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from spectraloom._typing import Array, FloatArray
from spectraloom.data import Spectra
from spectraloom.errors import FormatError, SpectraloomError
from spectraloom.io.tables.axis import axis_marker, make_axis
from spectraloom.io.tables.columns import canonical_name, read_columns
from spectraloom.io.tables.lines import (
    Lines,
    is_axis_word,
    kind_of,
    own_cells,
    require_named_axis,
    require_no_ramp,
    sort_lines,
)

MAX_CELLS = 50_000_000
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_KINDS = ("counts", "rate", "intensity")
_ADVICE = (
    "put a cell 'channel', 'lower_edge_keV', 'edge_keV', 'center_keV' or 'energy_keV' before the "
    "numbers of the axis, or a first line '# spectra: rows' or '# spectra: columns'"
)
_CENTRES_NOTE = (
    "the table gives one energy for each channel without saying which; taken as the centres, with "
    "edges midway (name them lower_edge_keV if they are lower edges)"
)


class NoTableError(FormatError):
    """There is no axis and so no table of spectra."""


def row_and_column(row: int, column: int) -> str:
    """Where a cell of a text table is."""
    return f"row {row}, column {column + 1}"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as texts, row by row, and as often as one likes.

    Parameters
    ----------
    name : str
        For messages.
    rows : callable
        Gives a fresh iterator over the rows.
    place : callable
        Where a cell is, for messages, by the number of its row from 1 on and of its column
        from 0 on.
    """

    name: str
    rows: Callable[[], Iterator[Sequence[str]]]
    place: Callable[[int, int], str] = row_and_column


@dataclass(slots=True)
class _Shape:
    """What one look over the table tells."""

    settings: dict[str, str] = field(default_factory=dict)
    first_row: list[str] = field(default_factory=list)
    first_column: list[str] = field(default_factory=list)
    width: int = 0


@dataclass(frozen=True, slots=True)
class _Head:
    """The row or column that holds the axis and the names of the metadata."""

    marker: int | None
    coordinates: list[int]
    names: dict[int, str]
    blank: list[int]

    @property
    def is_marked(self) -> bool:
        return self.marker is not None


@dataclass(slots=True)
class _Parts:
    """Cells sorted by what they are."""

    values: FloatArray
    titles: list[str]
    metadata: dict[str, list[str]]
    place: Callable[[int, int], str]


def is_number(cell: str) -> bool:
    """Whether a cell is a plain decimal number."""
    return _NUMBER.fullmatch(cell) is not None


def read_table(table: Table) -> Spectra:
    """Spectra from a table in one of the documented layouts.

    Returns
    -------
    Spectra
        Columns as found in the table, and ``record``, the number of the spectrum in it;
        ``attrs["calibration_note"]`` where the meaning of the axis had to be chosen.

    Raises
    ------
    NoTableError
        If there is no axis.
    FormatError
        If the table is ambiguous or a cell is not what it must be.
    """
    shape = _look(table)
    spectra_in_rows, head = _orientation(table, shape)
    parts = (_split_rows if spectra_in_rows else _split_columns)(table, head, shape)
    cells = shape.first_row if spectra_in_rows else shape.first_column
    marker = "" if head.marker is None else cells[head.marker]
    if not marker:
        require_named_axis(head.names, parts.metadata, table.name)
    coordinates = np.array([float(cells[index]) for index in head.coordinates])
    lines = sort_lines(marker, coordinates, parts.titles, parts.values, table.name)
    titles = [parts.titles[line] for line in lines.spectra]
    metadata = own_cells(parts.metadata, lines.spectra, table.name)
    values, numbers = _checked_values(parts, lines, table.name)
    kind = shape.settings.get("kind")
    if kind is None:
        kind = kind_of(titles, lines.quantity, table.name)
        if kind != "intensity":
            require_no_ramp(values, titles, table.name)
    if kind not in _KINDS:
        raise FormatError(f"{table.name}: '# kind: {kind}' is unknown; known: {', '.join(_KINDS)}")
    if any(titles) and "title" not in metadata:
        metadata["title"] = titles
    times, columns = read_columns(metadata, table.name)
    columns.setdefault("record", np.arange(len(values)))
    way, attrs = lines.way, {}
    if way == "points" and kind != "intensity":
        # Counts are what channels hold, so there are channels around the numbers.
        way, attrs = "centers", {"calibration_note": _CENTRES_NOTE}
    try:
        axis = make_axis(way, numbers, lines.quantity, lines.unit)
        return Spectra(values, axis, kind, columns=columns, attrs=attrs, **times)  # type: ignore[arg-type]
    except SpectraloomError as error:
        hint = "" if kind == "intensity" else "; a line '# kind: intensity' admits negative values"
        raise FormatError(
            f"{table.name}: {error}" + (hint if "negative" in str(error) else "")
        ) from error


def body_rows(table: Table) -> Iterator[tuple[int, list[str]]]:
    """Rows and their numbers from 1 on.

    Left out are comment lines at the top, empty rows, and empty cells at the end of a row.
    """
    top = True
    for number, row in enumerate(table.rows(), start=1):
        cells = [cell.strip() for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells or (top and cells[0].startswith("#")):
            continue
        top = False
        yield number, cells


def _look(table: Table) -> _Shape:
    shape = _Shape()
    for row in table.rows():
        first = next((cell.strip() for cell in row if cell.strip()), "")
        if first.startswith("#"):
            key, colon, value = first[1:].partition(":")
            if colon and key.strip().lower() in ("spectra", "kind"):
                shape.settings[key.strip().lower()] = value.strip().lower()
            else:
                _require_no_names(row, table.name)
        elif first:
            break
    cells = 0
    for _, row in body_rows(table):
        if not shape.first_row:
            shape.first_row = row
        shape.first_column.append(row[0])
        shape.width = max(shape.width, len(row))
        cells += len(row)
        # Short rows are filled up, so a single long one must not make the table huge.
        if max(cells, shape.width * len(shape.first_column)) > MAX_CELLS:
            raise FormatError(
                f"{table.name}: holds more than {MAX_CELLS // 10**6} million cells; "
                "split it or store it as npz or zarr"
            )
    if not shape.first_row:
        raise NoTableError(f"{table.name}: expected a table, found no cells")
    shape.first_row += [""] * (shape.width - len(shape.first_row))
    return shape


def _require_no_names(row: Sequence[str], name: str) -> None:
    """Names that a program has written as a comment would be lost, and with them the axis."""
    cells = [cell.strip().lstrip("#").strip() for cell in row]
    for cell in cells if len(cells) > 1 else ():
        found = axis_marker(cell)
        if is_axis_word(cell) or (found is not None and found[0] != "channel"):
            raise FormatError(
                f"{name}: {cell!r} stands in a comment, so it names no axis: take away the '#' "
                "before that line"
            )


def _head(cells: Sequence[str], name: str) -> _Head | None:
    markers, coordinates, blank = [], [], []
    names: dict[int, str] = {}
    for index, cell in enumerate(cells):
        if not cell:
            blank.append(index)
        elif is_number(cell):
            coordinates.append(index)
        elif axis_marker(cell) is not None:
            markers.append(index)
        else:
            names[index] = cell
    if not coordinates or len(markers) > 1:
        if coordinates and len(markers) > 1:
            raise FormatError(
                f"{name}: two cells name an axis, {cells[markers[0]]!r} and "
                f"{cells[markers[1]]!r}: leave one"
            )
        return None
    if not markers:
        numbers = [float(cells[index]) for index in coordinates]
        first = numbers[0]
        if (
            len(numbers) < 2
            or first not in (0.0, 1.0)
            or any(number != first + step for step, number in enumerate(numbers))
        ):
            return None
    return _Head(markers[0] if markers else None, coordinates, names, blank)


def _orientation(table: Table, shape: _Shape) -> tuple[bool, _Head]:
    asked = shape.settings.get("spectra")
    if asked not in (None, "rows", "columns"):
        raise FormatError(
            f"{table.name}: expected '# spectra: rows' or '# spectra: columns', found {asked!r}"
        )
    rows = _head(shape.first_row, table.name) if asked != "columns" else None
    columns = _head(shape.first_column, table.name) if asked != "rows" else None
    if rows is not None and len(shape.first_column) < 2:
        rows = None
    if columns is not None and shape.width < 2:
        columns = None
    if rows is not None and columns is not None:
        if rows.is_marked == columns.is_marked:
            raise FormatError(
                f"{table.name}: the spectra may be the rows or the columns of this table: {_ADVICE}"
            )
        rows, columns = (rows, None) if rows.is_marked else (None, columns)
    if rows is not None:
        return True, rows
    if columns is not None:
        return False, columns
    raise NoTableError(
        f"{table.name}: expected a table of spectra whose first row or first column holds the "
        f"axis, found none: {_ADVICE}"
    )


def _split_rows(table: Table, head: _Head, shape: _Shape) -> _Parts:
    _require_distinct(head, table.name)
    values: list[FloatArray] = []
    titles: list[str] = []
    places: list[int] = []
    metadata: dict[str, list[str]] = {name: [] for name in head.names.values()}
    rows = body_rows(table)
    next(rows)
    for number, row in rows:
        cells = row + [""] * (shape.width - len(row))
        _require_blank(cells, head.blank, number, 0, table)
        values.append(_numbers(cells, head.coordinates, number, 0, table))
        titles.append("" if head.marker is None else cells[head.marker])
        places.append(number)
        for index, name in head.names.items():
            metadata[name].append(cells[index])

    def place(line: int, coordinate: int) -> str:
        return table.place(places[line], head.coordinates[coordinate])

    return _Parts(np.stack(values), titles, metadata, place)


def _split_columns(table: Table, head: _Head, shape: _Shape) -> _Parts:
    _require_distinct(head, table.name)
    n = shape.width - 1
    values: list[FloatArray] = []
    titles = [""] * n
    places: list[int] = []
    metadata: dict[str, list[str]] = {}
    coordinates = set(head.coordinates)
    every = list(range(n))
    for index, (number, row) in enumerate(body_rows(table)):
        cells = row[1:] + [""] * (shape.width - len(row))
        if index in coordinates:
            values.append(_numbers(cells, every, number, 1, table))
            places.append(number)
        elif index == head.marker:
            titles = cells
        elif index in head.names:
            metadata[head.names[index]] = cells
        else:
            _require_blank(cells, every, number, 1, table)

    def place(line: int, coordinate: int) -> str:
        return table.place(places[coordinate], line + 1)

    return _Parts(np.ascontiguousarray(np.stack(values).T), titles, metadata, place)


def _require_distinct(head: _Head, name: str) -> None:
    names = [canonical_name(text) for text in head.names.values()]
    for text in names:
        if names.count(text) > 1:
            raise FormatError(f"{name}: two columns of metadata are named {text!r}")


def _require_blank(
    cells: Sequence[str], blank: Sequence[int], row: int, shift: int, table: Table
) -> None:
    for index in blank:
        if cells[index]:
            raise FormatError(
                f"{table.name}: {table.place(row, index + shift)}: the cell {cells[index][:40]!r} "
                "has no name at the head of its line"
            )


def _numbers(
    cells: Sequence[str], wanted: Sequence[int], row: int, shift: int, table: Table
) -> FloatArray:
    """Numbers of one row; an empty cell is nan, until it is known whether it may be empty."""
    chosen = [cells[index] for index in wanted]
    try:
        numbers = np.array([float(cell) if cell else np.nan for cell in chosen])
        plain = "_" not in "".join(chosen)
    except ValueError:
        plain = False
    if not plain:
        wrong = next((i for i in wanted if cells[i] and not is_number(cells[i])), wanted[0])
        raise FormatError(
            f"{table.name}: {table.place(row, wrong + shift)}: expected a number, found "
            f"{cells[wrong][:40]!r}"
        )
    return numbers


def _checked_values(parts: _Parts, lines: Lines, name: str) -> tuple[Array, FloatArray]:
    """Values of the spectra, and the numbers of the axis."""
    values, numbers = parts.values[lines.spectra], lines.coordinates
    if lines.way == "edges":
        if values.shape[1] < 2:
            raise FormatError(f"{name}: expected at least two edges")
        if not np.isnan(values[:, -1]).all():
            raise FormatError(
                f"{name}: the last edge closes the last channel, its cells must be empty; if the "
                "numbers are lower edges, name them 'lower_edge_...'"
            )
        values = values[:, :-1]
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, channel = np.argwhere(wrong)[0]
        raise FormatError(
            f"{name}: {parts.place(lines.spectra[row], channel)}: spectrum {row} has no number in "
            f"channel {channel}: fill the cell (a formula whose result was never stored reads as "
            "empty)"
        )
    return values, numbers
