"""Excel workbooks (``.xlsx``, ``.xlsm``): the layouts of text tables, one table a sheet."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator, Sequence
from typing import Any

from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError, SpectraloomError
from spectraloom.io.instruments.xml_guard import check_xml
from spectraloom.io.source import Source
from spectraloom.io.tables.layout import NoTableError, Table, read_table
from spectraloom.io.zip_guard import member_names, open_zip, read_member

MAX_UNPACKED_BYTES = 256 * 1024**2
MAX_CELLS = 5_000_000
_DECLARATIONS = (b"<!DOCTYPE", b"<!ENTITY")


class ExcelReader:
    """Reads the stored results of formulas, never the formulas or macros."""

    name = "Excel workbook"
    suffixes: tuple[str, ...] = (".xlsx", ".xlsm")

    def sniff(self, source: Source) -> bool:
        """Whether the zip container holds a workbook."""
        return "xl/workbook.xml" in member_names(source)

    def read(self, source: Source) -> list[Spectra]:
        """One Spectra per axis and kind; several tables add a column ``sheet``.

        Sheets without an axis are no tables of spectra: ``attrs["skipped"]`` names them.

        Raises
        ------
        FormatError
            If the workbook is damaged or too large, or no sheet holds a table of spectra.
        """
        _check_parts(source)
        tables: list[tuple[str, Spectra]] = []
        skipped: list[str] = []
        reasons: list[str] = []
        for title, rows in _sheets(source):
            if not rows:
                continue
            name = f"{source.name} [{title}]"
            try:
                tables.append((title, read_table(Table(name, _repeat(rows), _cell))))
            except NoTableError as error:
                skipped.append(title)
                reasons.append(str(error))
        if not tables:
            raise FormatError(reasons[0] if reasons else f"{source.name}: the workbook is empty")
        groups: dict[tuple[Axis, str], list[Spectra]] = {}
        for title, spectra in tables:
            columns = {"file": source.file, **spectra.columns}
            if len(tables) > 1:
                columns.setdefault("sheet", title)
            attrs: dict[str, Any] = {
                "source": source.file,
                "format": self.name,
                **spectra.attrs,
            }
            if skipped:
                attrs["skipped"] = skipped
            part = spectra.replace(columns=columns, attrs=attrs)
            groups.setdefault((part.axis, part.kind), []).append(part)
        try:
            return [Spectra.concatenate(parts) for parts in groups.values()]
        except SpectraloomError as error:
            raise FormatError(f"{source.name}: its sheets do not go together: {error}") from error


def _repeat(rows: list[list[str]]) -> Any:
    return lambda: iter(rows)


def _cell(row: int, column: int) -> str:
    """Where a cell is, as a workbook says it: ``cell B7``."""
    letters = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return f"cell {letters}{row}"


def _check_parts(source: Source) -> None:
    """Sizes first, then every XML part: well formed, shallow and without entities."""
    with open_zip(source, max_unpacked=MAX_UNPACKED_BYTES) as archive:
        for name in archive.namelist():
            if not name.lower().endswith((".xml", ".rels", ".vml")):
                continue
            part = read_member(archive, name, source)
            # In UTF-16 every other byte is zero.
            bare = part.replace(b"\0", b"").upper()
            if any(declaration in bare for declaration in _DECLARATIONS):
                raise FormatError(f"{source.name}: {name} declares entities, which is refused")
            check_xml(part, f"{source.name}: {name}", "an Excel workbook")


def _sheets(source: Source) -> Iterator[tuple[str, list[list[str]]]]:
    import openpyxl

    # A damaged workbook surfaces as almost any exception of the library; whatever it is, the
    # file is at fault and the user is told so.
    try:
        workbook = openpyxl.load_workbook(
            io.BytesIO(source.content()), read_only=True, data_only=True, keep_links=False
        )
    except Exception as error:
        raise FormatError(f"{source.name}: the workbook is damaged: {error}") from error
    try:
        cells = 0
        for sheet in workbook.worksheets:
            try:
                # The declared size of a sheet is a claim; the cells that are there count.
                sheet.reset_dimensions()
                rows: list[list[str]] = []
                for row in sheet.iter_rows(values_only=True):
                    cells += 1 + len(row)
                    if cells > MAX_CELLS:
                        raise FormatError(
                            f"{source.name}: holds more than {MAX_CELLS // 10**6} million cells; "
                            "save it as CSV"
                        )
                    rows.append(_texts(row))
            except FormatError:
                raise
            except Exception as error:
                raise FormatError(
                    f"{source.name}: sheet {sheet.title!r} is damaged: {error}"
                ) from error
            while rows and not any(rows[-1]):
                rows.pop()
            yield sheet.title, rows
    finally:
        workbook.close()


def _texts(row: Sequence[Any]) -> list[str]:
    texts = [_text(value) for value in row]
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    return str(value)


READER = ExcelReader()
