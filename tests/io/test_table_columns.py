"""One spectrum as several columns, as instruments export it: read right or refused."""

from __future__ import annotations

import csv
import io

import numpy as np
import openpyxl
import pytest

from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError
from spectraloom.io.source import Source
from spectraloom.io.tables.excel import READER as EXCEL_READER
from spectraloom.io.tables.text import CSV_READER

COUNTS = [5, 9, 14, 8, 6, 7, 3, 4, 2, 3, 1, 2, 0, 1, 0, 1, 0, 0, 2, 0]
CENTRES = [0.5 + 3.0 * channel for channel in range(len(COUNTS))]
BINS = Axis.from_edges([-1.0 + 3.0 * channel for channel in range(len(COUNTS) + 1)])


def read(text: str) -> Spectra:
    source = Source.from_bytes(text.encode(), "folder/test.csv")
    assert CSV_READER.sniff(source)
    (spectra,) = CSV_READER.read(source)
    return spectra


def turned(text: str) -> str:
    rows = list(csv.reader(io.StringIO(text)))
    return "\n".join(",".join(column) for column in zip(*rows, strict=True)) + "\n"


def columns(head: str, *lines: list[float] | list[int] | range) -> str:
    rows = zip(*lines, strict=True)
    return head + "\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows)


@pytest.mark.parametrize("way", [str, turned])
@pytest.mark.parametrize("first", [0, 1, 7])
@pytest.mark.parametrize(
    "head",
    [
        "channel,energy_keV,counts",
        "Channel,Energy (keV),Counts",
        "Channel #,Energy [keV],Counts",
        "Ch,E (keV),Data",
        "Channel No.,Energy: keV,",
        "Bin Number,center_keV,counts",
    ],
)
def test_channel_energy_and_counts_are_one_spectrum(head: str, first: int, way: object) -> None:
    numbers = range(first, first + len(COUNTS))
    spectra = read(way(columns(head, numbers, CENTRES, COUNTS)))  # type: ignore[operator]
    assert spectra.values.tolist() == [COUNTS]
    assert spectra.axis == BINS
    assert spectra.kind == "counts"
    assert spectra.columns["record"].tolist() == [0]


def test_the_order_of_the_columns_does_not_matter() -> None:
    text = columns("energy_keV,left,channel,right", CENTRES, COUNTS, range(20), COUNTS[::-1])
    spectra = read(text)
    assert spectra.values.tolist() == [COUNTS, COUNTS[::-1]]
    assert spectra.columns["title"].tolist() == ["left", "right"]
    assert spectra.axis == BINS


def test_edges_and_other_markers_beside_channels() -> None:
    lower = read(columns("channel,lower_edge_keV,counts", range(20), CENTRES, COUNTS))
    assert lower.axis == Axis.from_lower_edges(CENTRES)
    assert "calibration_note" not in lower.attrs
    edges = read("channel,edge_keV,counts\n0,0,5\n1,2,6\n2,7,\n")
    assert edges.axis == Axis.from_edges([0, 2, 7])
    assert edges.values.tolist() == [[5, 6]]


def test_what_was_chosen_is_noted() -> None:
    given = read(columns("energy_keV,counts", CENTRES, COUNTS))
    assert given.axis == BINS
    assert "taken as the centres" in given.attrs["calibration_note"]
    assert given.attrs["source"] == "test.csv"
    said = read(columns("center_keV,counts", CENTRES, COUNTS))
    assert said.axis == BINS
    assert "calibration_note" not in said.attrs
    points = read("# kind: intensity\n" + columns("energy_keV,signal", CENTRES, COUNTS))
    assert points.axis == Axis.from_points(CENTRES)
    assert "calibration_note" not in points.attrs
    pixels = read("# kind: counts\n" + columns("wavelength_nm,lamp", CENTRES, COUNTS))
    assert pixels.axis == Axis.from_edges(BINS.edges, quantity="wavelength", unit="nm")


def test_lines_above_that_instruments_write() -> None:
    text = columns("Channel,Energy (keV),Counts", range(20), CENTRES, COUNTS)
    spectra = read("Live Time (s),300,\nReal Time (s),305.5,\nDetector,A7,\n" + text)
    assert spectra.live_time is not None
    assert spectra.real_time is not None
    assert spectra.live_time.tolist() == [300]
    assert spectra.real_time.tolist() == [305.5]
    assert spectra.columns["detector"].tolist() == ["A7"]
    assert spectra.values.tolist() == [COUNTS]
    two = columns("Channel,Energy (keV),a,b", range(20), CENTRES, COUNTS, COUNTS)
    with pytest.raises(FormatError, match=r"'300' of 'Live Time \(s\)' stands beside an axis"):
        read("Live Time (s),300,,\n" + two)


@pytest.mark.parametrize("word", ["counts/s", "Counts per second", "cps", "Count rate", "Rate"])
def test_rates_are_no_counts(word: str) -> None:
    spectra = read(columns(f"channel,{word}", range(20), [c / 300 for c in COUNTS]))
    assert spectra.kind == "rate"
    assert spectra.axis == Axis.uncalibrated(20)


def test_intensities_are_points() -> None:
    spectra = read(columns("Energy (keV),Intensity (a.u.)", CENTRES, COUNTS))
    assert spectra.kind == "intensity"
    assert spectra.axis == Axis.from_points(CENTRES)


RAMP = [float(number) for number in np.cumsum(np.arange(1, 21) * 0.1)]
WRONG = {
    "energy,counts": "'energy' does not say .*'energy_keV'.*'lower_edge_keV'",
    "Energy,Counts": "'energy_keV'.*'lower_edge_keV'",
    "E,Counts": "'energy_keV'.*'lower_edge_keV'",
    "keV,Counts": "'energy_keV'.*'lower_edge_keV'",
    "Time,Counts": "'lower_edge_keV'",
    "channel,Energy,Counts": "'Energy' looks like an axis.*'energy_keV'",
    "Channel,keV,Counts": "'keV' looks like an axis",
    "Channel,Upper edge (keV),Counts": "looks like an axis",
    "Nr,Energy (keV),Counts": r"'Energy \(keV\)' names an axis.*'Nr'.*write 'channel'",
    "Nr,Energy,Counts": "'Energy' names an axis.*write 'channel'",
    "energy_keV,energy_MeV,counts": "two lines name an axis",
    "lower_edge_keV,Upper edge (keV),counts": "looks like an axis",
    "channel,energy_keV,channel": "no spectrum beside it",
    "channel,counts,counts/s": "counts and rate",
    "channel,counts,Error": "uncertainties",
    "channel,counts,Counts uncertainty": "uncertainties",
    "channel,counts/keV": "density",
    "channel,counts,Live time (s)": "a line of its own",
    "channel,x1": "increases from every channel to the next",
    "channel,counts,": "a line without a title increases",
}


@pytest.mark.parametrize("head", WRONG)
def test_what_may_be_misread_is_refused(head: str) -> None:
    lines: list[list[float] | list[int] | range] = [range(1, 21)]
    for cell in head.split(",")[1:]:
        spectral = cell.lower().startswith("count") and "unc" not in cell
        lines.append(COUNTS if spectral else range(20) if cell == "channel" else RAMP)
    for text in (columns(head, *lines), turned(columns(head, *lines))):
        with pytest.raises(FormatError, match=WRONG[head]):
            read(text)


def test_tables_without_any_name() -> None:
    with pytest.raises(FormatError, match="increases"):
        read(columns("0,0.5,5", range(1, 20), CENTRES[1:], COUNTS[1:]))
    assert read(columns("0,5", range(1, 20), COUNTS[1:])).values.tolist() == [COUNTS]


def test_a_ramp_may_be_a_spectrum_if_the_table_says_so() -> None:
    text = columns("channel,ramp", range(20), RAMP)
    assert read("# kind: counts\n" + text).values.tolist() == [RAMP]
    few = columns("channel,ramp", range(15), RAMP[:15])
    assert read(few).values.tolist() == [RAMP[:15]]


def test_names_in_a_comment_are_not_lost() -> None:
    text = columns("# channel,energy_keV,counts", range(20), CENTRES, COUNTS)
    with pytest.raises(FormatError, match=r"'energy_keV' stands in a comment.*take away the '#'"):
        read(text)
    assert read("# measured, by hand\n" + columns("channel,a", range(20), COUNTS)).kind == "counts"
    assert len(read(columns("# channel,counts", range(20), COUNTS))) == 1


def test_an_energy_of_each_spectrum_is_a_column() -> None:
    spectra = read("energy,time,channel,0,1,2\n662,3,,4,5,6\n1332,4,,1,2,3\n")
    assert spectra.columns["energy"].tolist() == [662, 1332]
    assert spectra.columns["time"].tolist() == [3, 4]
    assert read("time,0,1,2\n662,4,5,6\n").columns["time"].tolist() == [662]


def test_channels_that_are_no_channels() -> None:
    with pytest.raises(FormatError, match=r"'channel' to rise in steps of 1"):
        read("channel,energy_keV,counts\n0,1,5\n2,2,6\n3,3,7\n")
    with pytest.raises(FormatError, match=r"'Channel' to rise in steps of 1"):
        read("energy_keV,Channel,counts\n1,0.5,5\n2,1.5,6\n3,2.5,7\n")


def test_wrong_cells_are_named_by_row_and_column() -> None:
    for text, place in (
        ("# note\n\nchannel,a,b\n0,1,2\n1,3,x\n", "row 5, column 3: expected a number, found 'x'"),
        ("channel,0,1\na,1,2\nb,y,3\n", "row 3, column 2: expected a number, found 'y'"),
        ("channel,0,1\na,1,2\nb,3,\n", "row 3, column 3: spectrum 1 has no number in channel 1"),
        ("channel,energy_keV,a\n0,1,5\n1,2,\n", "row 3, column 3: spectrum 0 has no number"),
        ("channel,0,1\na,1,2,3\n", "row 2, column 4: the cell '3' has no name"),
    ):
        with pytest.raises(FormatError, match=place):
            read(text)


def test_wrong_cells_of_a_workbook_are_named() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [["channel", *range(30)], ["a", *range(5, 35)]]:
        sheet.append(row)
    sheet["AC2"] = "abc"
    stream = io.BytesIO()
    book.save(stream)
    source = Source.from_bytes(stream.getvalue(), "book.xlsx")
    with pytest.raises(FormatError, match=r"book.xlsx \[Sheet\]: cell AC2: .*found 'abc'"):
        EXCEL_READER.read(source)
    sheet["AC2"] = None
    sheet.insert_rows(1, 3)
    sheet["A2"] = "# kind: counts"
    sheet["B5"] = "abc"
    stream = io.BytesIO()
    book.save(stream)
    with pytest.raises(FormatError, match="cell B5"):
        EXCEL_READER.read(Source.from_bytes(stream.getvalue(), "book.xlsx"))


def test_workbooks_note_what_was_chosen() -> None:
    book = openpyxl.Workbook()
    book.active.append(["Channel", "Energy (keV)", "Counts"])
    for row in zip(range(20), CENTRES, COUNTS, strict=True):
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    (spectra,) = EXCEL_READER.read(Source.from_bytes(stream.getvalue(), "book.xlsx"))
    assert spectra.axis == BINS
    assert spectra.values.tolist() == [COUNTS]
    assert "taken as the centres" in spectra.attrs["calibration_note"]
