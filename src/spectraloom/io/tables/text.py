"""Text tables of spectra: CSV, TSV and semicolon-separated, read by content, written exactly."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from spectraloom.data import Spectra
from spectraloom.errors import FormatError
from spectraloom.io.source import Source
from spectraloom.io.tables.exact import is_exact, read_exact, write_exact
from spectraloom.io.tables.layout import Table, is_number, read_table

_QUOTED = re.compile(r'"[^"]*"')
_COMMA_NUMBER = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
_LINES_LOOKED_AT = 20
# XML, JSON and "$SPEC_ID:" texts may hold numbers and commas, but no tables.
_OTHER_STARTS = "<{$"
# Text files hold none of these; binary ones nearly always do.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")


class CsvReader:
    """Reads text tables in the layouts of ``docs/formats.md``."""

    name = "text table"
    suffixes: tuple[str, ...] = (".csv", ".tsv", ".txt")

    def sniff(self, source: Source) -> bool:
        """Whether it is text in columns, at least one line of which is mostly numbers."""
        try:
            text = _decode(source.head, source.name, whole=len(source.head) >= source.size)
        except FormatError:
            return False
        if is_exact(text):
            return True
        lines = [line for line in text.splitlines() if line.strip() and not _is_comment(line)]
        if not lines or lines[0].lstrip()[0] in _OTHER_STARTS:
            return False
        whole = lines[:-1] if len(source.head) < source.size and len(lines) > 1 else lines
        delimiter = find_delimiter(whole[0])
        try:
            rows = list(csv.reader(whole[:_LINES_LOOKED_AT], delimiter=delimiter))
        except csv.Error:
            return False
        widths = [_width(row) for row in rows]
        usual = max(set(widths), key=widths.count)
        regular = usual > 1 and 2 * widths.count(usual) >= len(widths)
        return regular and any(map(_is_numeric, rows))

    def read(self, source: Source) -> list[Spectra]:
        """One Spectra.

        Raises
        ------
        FormatError
            If the table is ambiguous, malformed or cut off.
        """
        text = _decode(source.content(), source.name)
        if is_exact(text):
            return [read_exact(text, source.name)]
        lines = io.StringIO(text, newline="")
        first = next((line for line in lines if line.strip() and not _is_comment(line)), "")
        delimiter = find_delimiter(first)
        spectra = read_table(Table(source.name, lambda: _rows(text, delimiter, source.name)))
        columns = {"file": source.file, **spectra.columns}
        attrs = {"source": source.file, "format": self.name, **spectra.attrs}
        return [spectra.replace(columns=columns, attrs=attrs)]


class CsvWriter:
    """Writes the one exact layout of ``docs/formats.md``."""

    name = CsvReader.name
    suffixes: tuple[str, ...] = (".csv",)
    time_precision = 0.0

    def write(self, spectra: Spectra, path: Path) -> None:
        """Write to `path`.

        Raises
        ------
        FormatError
            If the spectra are complex, have a variance, or hold types that a table cannot.
        """
        write_exact(spectra, path)


def find_delimiter(line: str) -> str:
    """Tab if the line has one, else semicolon if it has one, else comma; quoted cells do not count.

    Examples
    --------
    >>> find_delimiter("energy_keV;1,5;2,5")
    ';'
    """
    bare = _QUOTED.sub("", line)
    return next((sign for sign in ("\t", ";") if sign in bare), ",")


def _decode(content: bytes, name: str, *, whole: bool = True) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "latin-1"]
    for encoding in encodings:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            # The first bytes of a file may end within a letter.
            text = decoder.decode(content, final=whole)
        except UnicodeDecodeError:
            continue
        if not is_exact(text) and _CONTROL.search(text):
            break
        return text
    raise FormatError(f"{name}: expected a text table, found binary data")


def _is_comment(line: str) -> bool:
    return line.lstrip().lstrip('"').startswith("#")


def _width(row: list[str]) -> int:
    """Cells up to the last that is not empty."""
    return max((index for index, cell in enumerate(row, 1) if cell.strip()), default=0)


def _is_numeric(row: list[str]) -> bool:
    cells = [cell.strip() for cell in row if cell.strip()]
    numbers = sum(is_number(cell) or bool(_COMMA_NUMBER.fullmatch(cell)) for cell in cells)
    return len(cells) > 1 and 2 * numbers >= len(cells)


def _rows(text: str, delimiter: str, name: str) -> Iterator[list[str]]:
    lines = io.StringIO(text, newline="")
    try:
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        if delimiter == ";":
            yield from _with_points(rows, name)
        else:
            yield from rows
    except csv.Error as error:
        raise FormatError(f"{name}: the table is damaged: {error}") from error


def _with_points(rows: Iterator[list[str]], name: str) -> Iterator[list[str]]:
    """Rows with decimal commas turned into points; both in one table are refused."""
    commas = points = ""
    for row in rows:
        for index, cell in enumerate(row):
            if "," in cell and _COMMA_NUMBER.fullmatch(cell.strip()):
                commas = commas or cell
                row[index] = cell.replace(",", ".")
            elif "." in cell and is_number(cell.strip()):
                points = points or cell
        if commas and points:
            raise FormatError(
                f"{name}: numbers are written with a comma ({commas}) and with a point ({points}); "
                "use one of them"
            )
        yield row


CSV_READER = CsvReader()
CSV_WRITER = CsvWriter()
