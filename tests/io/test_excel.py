"""Excel workbooks: the same layouts, and what a hostile workbook may not do."""

from __future__ import annotations

import datetime
import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

import spectraloom as sl
from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError
from spectraloom.io.source import Source
from spectraloom.io.tables import excel
from spectraloom.io.tables.excel import READER

TABLE = [
    ["live_time", "labels", "start time", "energy_keV", 10, 20.5, 40],
    [1.5, "Co60|Cs137", datetime.datetime(2024, 1, 31, 12), "first", 1, 2, 3],
    [None, "Am241", None, "second", 4, 5.25, 6],
]


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def read(content: bytes) -> list[Spectra]:
    source = Source.from_bytes(content, "folder/book.xlsx")
    assert READER.sniff(source)
    return READER.read(source)


def test_one_sheet() -> None:
    (spectra,) = read(workbook(Data=TABLE))
    assert spectra.values.tolist() == [[1, 2, 3], [4, 5.25, 6]]
    assert spectra.axis == Axis.from_edges([4.75, 15.25, 30.25, 49.75])
    assert spectra.live_time is not None
    np.testing.assert_array_equal(spectra.live_time, [1.5, np.nan])
    assert spectra.labels.tolist() == [("Co60", "Cs137"), ("Am241",)]
    assert spectra.columns["start_time"][0] == np.datetime64("2024-01-31T12:00:00")
    assert spectra.columns["title"].tolist() == ["first", "second"]
    assert spectra.columns["file"].tolist() == ["book.xlsx"] * 2
    assert spectra.attrs["source"] == "book.xlsx"
    assert spectra.attrs["format"] == "Excel workbook"


def test_turned_sheet_is_the_same() -> None:
    turned = [list(column) for column in zip(*TABLE, strict=True)]
    assert read(workbook(Data=turned))[0].fingerprint() == (
        read(workbook(Data=TABLE))[0].fingerprint()
    )


def test_several_sheets_and_a_note() -> None:
    other = [["channel", 0, 1], ["a", 7, 8]]
    notes = [["Measured by hand"], ["in the cellar"]]
    first, second = read(workbook(A=TABLE, Notes=notes, B=other, C=TABLE, Empty=[]))
    assert len(first) == 4
    assert first.columns["sheet"].tolist() == ["A", "A", "C", "C"]
    assert second.columns["sheet"].tolist() == ["B"]
    assert first.attrs["skipped"] == ["Notes"]


def test_a_bad_table_beside_a_good_one_is_an_error() -> None:
    with pytest.raises(FormatError, match=r"\[B\].*expected a number"):
        read(workbook(A=TABLE, B=[["channel", 0, 1], ["a", 7, "many"]]))


def test_front_door(tmp_path: Path) -> None:
    path = tmp_path / "measured.data"
    path.write_bytes(workbook(Data=TABLE))
    assert sl.read(path).values.tolist() == [[1, 2, 3], [4, 5.25, 6]]


def test_formulas_without_a_stored_result_are_not_zero() -> None:
    with pytest.raises(FormatError, match="formula"):
        read(workbook(Data=[["channel", 0, 1], ["a", 7, "=1+1"]]))


@pytest.mark.parametrize("sheets", [{"A": []}, {"A": [["hello"]]}, {"A": [["a", "b"], [1, 2]]}])
def test_no_table(sheets: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match=r"book\.xlsx"):
        read(workbook(**sheets))


# -- hostile workbooks ---------------------------------------------------------------------


def changed(change: Callable[[str, bytes], bytes | None]) -> bytes:
    """The workbook with its parts changed; None leaves a part out."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(Data=TABLE))) as old,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return stream.getvalue()


def in_sheet(old: bytes, new: bytes) -> bytes:
    def change(name: str, content: bytes) -> bytes:
        if name.endswith("sheet1.xml"):
            assert old in content
            return content.replace(old, new)
        return content

    return changed(change)


BOMB = b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(encoding: str) -> None:
    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("sheet1.xml"):
            return content
        text = content.decode().removeprefix('<?xml version="1.0" encoding="UTF-8"?>')
        return (f'<?xml version="1.0" encoding="{encoding}"?>' + BOMB.decode() + text).encode(
            encoding
        )

    with pytest.raises(FormatError, match="entit"):
        read(changed(change))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(FormatError, match="deep"):
        read(in_sheet(b"<sheetData>", b"<sheetData>" + b"<a>" * 100_000))


def test_rows_and_columns_far_away_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.process_time()
    with pytest.raises(FormatError, match="million cells"):
        read(in_sheet(b'<row r="3"', b'<row r="999999999"'))
    assert time.process_time() - start < 20
    # The declared size of the sheet is not believed.
    found = read(in_sheet(b'ref="A1:G3"', b'ref="A1:XFD1048576"'))
    assert found[0].values.tolist() == [[1, 2, 3], [4, 5.25, 6]]
    monkeypatch.setattr(excel, "MAX_CELLS", 20)
    with pytest.raises(FormatError, match="million cells"):
        read(workbook(Data=TABLE))


def test_zip_bomb_is_refused_before_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "MAX_UNPACKED_BYTES", 2**20)
    assert len(read(workbook(Data=TABLE))) == 1
    bomb = in_sheet(b"</sheetData>", b"</sheetData>" + b" " * 2**20)
    assert len(bomb) < 20_000
    with pytest.raises(FormatError, match="zip bomb"):
        read(bomb)


@pytest.mark.parametrize(
    "part", ["xl/worksheets/sheet1.xml", "[Content_Types].xml", "xl/_rels/workbook.xml.rels"]
)
def test_missing_and_damaged_parts(part: str) -> None:
    for change in (
        lambda name, content: None if name == part else content,
        lambda name, content: content[: len(content) // 2] if name == part else content,
        lambda name, content: b"<a/>" if name == part else content,
    ):
        with pytest.raises(FormatError, match=r"book\.xlsx"):
            read(changed(change))


def test_truncated() -> None:
    content = workbook(Data=TABLE)
    for length in range(0, len(content), 97):
        with pytest.raises(FormatError):
            READER.read(Source.from_bytes(content[:length], "book.xlsx"))
