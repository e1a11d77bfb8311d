"""Text tables: every documented layout, and what is refused with which advice."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spectraloom as sl
from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError
from spectraloom.io.source import Source
from spectraloom.io.tables import layout as table_layout
from spectraloom.io.tables.text import CSV_READER, CSV_WRITER, find_delimiter


def read(text: str | bytes) -> Spectra:
    content = text.encode() if isinstance(text, str) else text
    source = Source.from_bytes(content, "folder/test.csv")
    assert CSV_READER.sniff(source)
    (spectra,) = CSV_READER.read(source)
    return spectra


ROWS = """\
live_time,labels,detector,energy_keV,10,20,40
1.5,Co60,left,first,1,2,3
,Co60|Cs137,right,second,4,5,6
"""


def test_one_spectrum_a_row() -> None:
    spectra = read(ROWS)
    assert spectra.values.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert spectra.values.dtype == np.float64
    assert spectra.axis == Axis.from_edges([5, 15, 30, 50])
    assert spectra.kind == "counts"
    assert spectra.live_time is not None
    np.testing.assert_array_equal(spectra.live_time, [1.5, np.nan])
    assert spectra.real_time is None
    assert spectra.labels.tolist() == [("Co60",), ("Co60", "Cs137")]
    assert spectra.columns["detector"].tolist() == ["left", "right"]
    assert spectra.columns["title"].tolist() == ["first", "second"]
    assert spectra.columns["file"].tolist() == ["test.csv"] * 2
    assert spectra.columns["record"].tolist() == [0, 1]
    note = spectra.attrs["calibration_note"]
    assert spectra.attrs == {
        "source": "test.csv",
        "format": "text table",
        "calibration_note": note,
    }


def turned(text: str) -> str:
    rows = list(csv.reader(io.StringIO(text)))
    return "\n".join(",".join(column) for column in zip(*rows, strict=True))


def test_one_spectrum_a_column_is_the_same_table_turned() -> None:
    assert read(turned(ROWS)).fingerprint() == read(ROWS).fingerprint()


@settings(max_examples=60)
@given(
    st.integers(1, 4),
    st.integers(2, 6),
    st.sampled_from(["channel", "lower_edge_keV", "center_keV", "energy_keV", "wavelength_nm"]),
    st.randoms(use_true_random=False),
)
def test_turning_a_table_never_changes_it(
    n: int, channels: int, marker: str, random: object
) -> None:
    rng = np.random.default_rng(random.randint(0, 2**32))  # type: ignore[attr-defined]
    numbers = np.arange(channels) if marker == "channel" else np.cumsum(rng.uniform(1, 2, channels))
    values = rng.poisson(3.0, (n, channels))
    lines = [["labels", "dose", marker, *map(repr, numbers.tolist())]]
    lines += [["A|B", "0.5", "", *map(str, row)] for row in values.tolist()]
    text = "\n".join(",".join(line) for line in lines) + "\n"
    spectra = read(text)
    assert np.array_equal(spectra.values, values)
    assert spectra.columns["dose"].tolist() == [0.5] * n
    assert read(turned(text)).fingerprint() == spectra.fingerprint()


@pytest.mark.parametrize(
    ("marker", "numbers", "axis"),
    [
        ("channel", "0,1,2", Axis.uncalibrated(3)),
        ("Channel", "1,2,3", Axis.uncalibrated(3)),
        ("lower_edge_keV", "0,2,6", Axis.from_edges([0, 2, 6, 10])),
        ("center_keV", "1,3,5", Axis.from_edges([0, 2, 4, 6])),
        ("centre_keV", "1,3,7", Axis.from_edges([0, 2, 5, 9])),
        ("energy_keV", "1,3,5", Axis.from_edges([0, 2, 4, 6])),
        ("Energy (keV)", "1,3,5", Axis.from_edges([0, 2, 4, 6])),
        ("energy [MeV]", "1,3,5", Axis.from_edges([0, 2, 4, 6], unit="MeV")),
        (
            "Wavelength/nm",
            "1,3,5",
            Axis.from_points([1, 3, 5], quantity="wavelength", unit="nm"),
        ),
        ("shift_ppm", "-1,0,1", Axis.from_points([-1, 0, 1], quantity="shift", unit="ppm")),
        ("lower_edge_ms", "0,1,2", Axis.from_edges([0, 1, 2, 3], quantity="time", unit="ms")),
    ],
)
def test_what_the_numbers_of_the_axis_mean(marker: str, numbers: str, axis: Axis) -> None:
    spectra = read(f"{marker},{numbers}\na,7,8,9\n")
    assert spectra.axis == axis
    assert spectra.values.tolist() == [[7, 8, 9]]
    assert spectra.kind == ("counts" if axis.quantity in ("energy", "channel") else "intensity")


def test_all_edges() -> None:
    spectra = read("edge_keV,0,2,6,7\na,7,8,9,\n")
    assert spectra.axis == Axis.from_edges([0, 2, 6, 7])
    assert spectra.values.tolist() == [[7, 8, 9]]
    with pytest.raises(FormatError, match="lower_edge"):
        read("edge_keV,0,2,6,7\na,7,8,9,10\n")


def test_channel_numbers_need_no_name() -> None:
    for text in ("0,12\n1,15\n2,18\n", "1\t12\n2\t15\n3\t18\n", "0,1,2\n12,15,18\n"):
        spectra = read(text)
        assert spectra.values.tolist() == [[12, 15, 18]]
        assert spectra.axis == Axis.uncalibrated(3)


def test_names_may_stand_anywhere_in_the_head() -> None:
    spectra = read("0,1,2,real time (s),shelf\n7,8,9,60,3\n1,2,3,61,4\n")
    assert spectra.real_time is not None
    assert spectra.real_time.tolist() == [60, 61]
    assert spectra.columns["shelf"].tolist() == [3, 4]
    assert spectra.columns["shelf"].dtype == np.int64


def test_types_of_columns() -> None:
    spectra = read(
        "Label,start time,detector,a,b,c,channel,0,1\n"
        '"[""a|b"", ""c""]",2024-01-31T12:00:00.25+01:00,7,1,0.5,x,,1,2\n'
        ",,8,2,,y,,3,4\n"
    )
    assert spectra.labels.tolist() == [("a|b", "c"), ()]
    assert spectra.columns["start_time"].tolist()[1] is None
    assert spectra.columns["start_time"][0] == np.datetime64("2024-01-31T11:00:00.250000")
    assert spectra.columns["detector"].tolist() == ["7", "8"]
    assert spectra.columns["a"].tolist() == [1, 2]
    np.testing.assert_array_equal(spectra.columns["b"], [0.5, np.nan])
    assert spectra.columns["c"].tolist() == ["x", "y"]


def test_comment_lines_settle_kind_and_layout() -> None:
    spectra = read("# made by hand\n# kind: intensity\n\nchannel,0,1\na,-1,2\n")
    assert spectra.kind == "intensity"
    ambiguous = "channel,1,2\n1,5,6\n2,7,8\n"
    with pytest.raises(FormatError, match="rows or the columns"):
        read(ambiguous)
    assert read("# spectra: rows\n" + ambiguous).values.tolist() == [[5, 6], [7, 8]]
    assert read("# spectra: columns\n" + ambiguous).values.tolist() == [[5, 7], [6, 8]]


def test_german_spreadsheets() -> None:
    text = "Detektor;energy_keV;0,5;1,5\nä;;1,25;2\n"
    for content in (text.encode("latin-1"), text.encode("utf-8-sig"), text.encode("utf-16")):
        spectra = read(content)
        assert spectra.axis.values.tolist() == [0.0, 1.0, 2.0]
        assert spectra.values.tolist() == [[1.25, 2.0]]
        assert spectra.columns["Detektor"].tolist() == ["ä"]
    with pytest.raises(FormatError, match="comma"):
        read("channel;0;1\na;1,5;2.5\n")
    assert read("channel;0;1\na;1.5;2.5\n").values.tolist() == [[1.5, 2.5]]
    with pytest.raises(FormatError, match="expected a number, found '1,5'"):
        read("channel\t0\t1\na\t1,5\t2\n")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_spare_cells(end: str) -> None:
    text = end.join(["", "channel,0,1,,", "a , 1,2,,,", ",,,", "b,3,4", ""])
    spectra = read(text)
    assert spectra.values.tolist() == [[1, 2], [3, 4]]
    assert spectra.columns["title"].tolist() == ["a", "b"]


def test_delimiter_is_found_outside_quotes() -> None:
    assert find_delimiter('"a;b\tc",1,2') == ","
    assert find_delimiter("a,b;c") == ";"
    assert find_delimiter("a;b\tc") == "\t"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,3,6\nb,1,2\n", "'energy_keV'"),
        ("a,b\n1,2\n3,4\n", "'channel'"),
        ("0,1\n1,5\n", "rows or the columns"),
        ("energy_keV,channel,0,1\na,b,1,2\n", "two cells name an axis"),
        ("channel,0,2\na,1,2\n", "steps of 1"),
        ("channel,3,4\na,1,2\n", "from 0 or 1"),
        ("energy_keV,3,2\na,1,2\n", "increase"),
        ("channel,0,1\na,1,\n", "spectrum 0 has no number in channel 1"),
        ("channel,0,1\na,1,x\n", "row 2, column 3: expected a number, found 'x'"),
        ("channel,0,1\na,1,1_0\n", "found '1_0'"),
        ("channel,0,1\na,1,nan\n", "no number"),
        ("channel,0,1\na,1,1e999\n", "no number"),
        ("channel,0,1\na,1,-2\n", "'# kind: intensity'"),
        ("live_time,channel,0,1\n-1,,1,2\n", "live_time"),
        ("live_time,channel,0,1\nlong,,1,2\n", "expected seconds"),
        ("start_time,channel,0,1\nnoon,,1,2\n", "2024-01-31"),
        ("labels,channel,0,1\n[1],,1,2\n", "JSON list"),
        ("a,A,channel,0,1\n1,2,,1,2\n", "two columns"),
        (",channel,0,1\n5,,1,2\n", "no name"),
        ("channel,0,1\na,1,2,3\n", "no name"),
        ("# kind: guess\nchannel,0,1\na,1,2\n", "known: counts"),
        ("# spectra: diagonal\nchannel,0,1\na,1,2\n", "expected '# spectra: rows'"),
        ('channel,0,1\n"a,1,2\n', "damaged"),
    ],
)
def test_what_the_rules_do_not_settle_is_refused(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        CSV_READER.read(Source.from_bytes(text.encode(), "folder/test.csv"))
    assert "folder/test.csv" in str(caught.value)


def test_huge_tables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_layout, "MAX_CELLS", 100)
    text = "channel,0,1\n" + "a,1,2\n" * 10
    assert len(read(text)) == 10
    # One long row would make every row as long.
    with pytest.raises(FormatError, match="million cells"):
        read(text + "b,1,2" + ",1" * 8)


# -- what is a table --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"12\n13\n14\n",
        b"Dear reader, this is\nno table, although, as you see\nit has commas\n",
        b"a,b\nc,d\n",
        b"\x89PNG\r\n\x1a\n1,2\n3,4\n",
        bytes(10_000),
        b"<xml>1,2\n3</xml>\n",
    ],
)
def test_other_content_is_not_taken_for_a_table(content: bytes) -> None:
    assert not CSV_READER.sniff(Source.from_bytes(content, "x.csv"))


def test_instrument_files_are_not_taken_for_tables(formats_dir: Path) -> None:
    files = [path for path in formats_dir.iterdir() if path.suffix != ".json"]
    assert len(files) > 15
    assert not [path.name for path in files if CSV_READER.sniff(Source.from_path(path))]


def test_wide_tables_are_recognised_by_their_first_bytes() -> None:
    n = 16384
    text = "channel," + ",".join(map(str, range(n))) + "\na," + ",".join(["7"] * n) + "\n"
    assert len(text) > 65536
    assert read(text).values.tolist() == [[7.0] * n]


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text('0123456789,;\t\n\r."#-e chanel_kV', max_size=80))
def test_any_content_gives_spectra_or_an_error(content: bytes | str) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    source = Source.from_bytes(raw, "x.csv")
    CSV_READER.sniff(source)
    try:
        (spectra,) = CSV_READER.read(source)
    except FormatError:
        return
    assert spectra.values.size


DOCUMENT = Path(__file__).parents[2] / "docs" / "formats.md"
EXAMPLES = re.findall(r"^```text\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)


def test_the_documented_examples_read() -> None:
    assert len(EXAMPLES) == 8
    rows, columns, *others = map(read, EXAMPLES)
    assert rows.fingerprint() == columns.fingerprint()
    assert rows.values.tolist() == [[12, 15, 18], [13, 18, 20]]
    assert [len(spectra) for spectra in others] == [1, 1, 1, 1, 2, 2]
    assert others[3].values.tolist() == [[12, 15, 18]]
    assert others[3].axis == Axis.from_edges([0, 3, 6, 9])
    assert [spectra.kind for spectra in others] == [
        "counts",
        "counts",
        "intensity",
        "counts",
        "intensity",
        "counts",
    ]


# -- the layout we write ------------------------------------------------------------------------


def example() -> Spectra:
    return Spectra(
        [[1, 2, 3], [4, 5, 2**60 + 1]],
        Axis.from_polynomial((0.1, 3.0, 1e-3), 3),
        live_time=[0.1, np.nan],
        columns={"labels": [("Co60", "Cs137"), ()], "dose": [0.1, 2.0], "energy_keV": 'a,"b"\n'},
        attrs={"note": "α, β"},
    )


def test_front_door_and_plain_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    sl.write(example(), path)
    assert sl.read(path).fingerprint() == example().fingerprint()
    with path.open(newline="", encoding="utf-8") as file:
        settings_, head, first, _ = csv.reader(file)
    assert settings_[0].startswith("# spectraloom table 1 {")
    assert head[:5] == ["live_time", "labels", "dose", "energy_keV", "edge_keV"]
    assert [float(cell) for cell in head[5:]] == example().axis.edges.tolist()
    assert first == ["0.1", '["Co60", "Cs137"]', "0.1", 'a,"b"\n', "", "1", "2", "3", ""]


def test_without_its_first_line_it_is_an_ordinary_table(tmp_path: Path) -> None:
    spectra = Spectra(
        [[1.0, 2.0], [3.0, 4.5]],
        Axis.from_edges([0.1, 0.2, 0.4]),
        live_time=[1.0, 2.0],
        columns={"labels": [("Co60",), ("Co60", "Cs137")], "record": [0, 1]},
    )
    CSV_WRITER.write(spectra, tmp_path / "a.csv")
    content = (tmp_path / "a.csv").read_bytes()
    found = read(content[content.index(b"\n") + 1 :])
    assert found.replace(columns=dict(spectra.columns)).fingerprint() == spectra.fingerprint()
    assert found.labels.tolist() == spectra.labels.tolist()


def test_what_a_table_cannot_hold_is_refused(tmp_path: Path) -> None:
    for spectra, message in (
        (example().replace(variance=np.ones((2, 3))), "variance"),
        (Spectra([[1j, 2]], kind="complex"), "complex"),
        (example().replace(values=np.ones((2, 3), np.longdouble)), "float128|longdouble"),
        (example().with_columns(name="\ud800"), "Unicode"),
    ):
        with pytest.raises(FormatError, match=message):
            sl.write(spectra, tmp_path / "a.csv")
        assert not (tmp_path / "a.csv").exists()


def exact_text(tmp_path: Path) -> str:
    CSV_WRITER.write(example(), tmp_path / "a.csv")
    return (tmp_path / "a.csv").read_bytes().decode()


def test_truncated_anywhere(tmp_path: Path) -> None:
    text = exact_text(tmp_path)
    start = len("# spectraloom table 1 ") + 2
    for length in range(start, len(text)):
        with pytest.raises(FormatError, match=r"test\.csv"):
            read(text[:length])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('""n_spectra"": 2', '""n_spectra"": 3'),
        ('""dtype"": ""int64""', '""dtype"": ""O""'),
        ('""dtype"": ""int64""', '""dtype"": ""int8""'),
        ('""text""', '""U1000000000""'),
        ('[""labels"", ""labels""]', '[""labels"", ""float64""]'),
        ('""kind"": ""counts""', '""kind"": ""guess""'),
        ("3.0, 0.001", "3.0, 0.002"),
        ('""axis""', '""exis""'),
        ('""attrs"": {', '""attrs"": [{'),
        (",1,2,3,", ",1,2,"),
        (",1,2,3,", ",1,2,3.5,"),
        (",1,2,3,", ",1,2,-3,"),
        (",1,2,3,", ",1,2,3,4"),
    ],
)
def test_changed_tables_are_refused(tmp_path: Path, old: str, new: str) -> None:
    text = exact_text(tmp_path)
    assert old in text
    changed = text.replace(old, new)
    with pytest.raises(FormatError, match=r"test\.csv"):
        read(changed)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (",1,2,3,", ",1,abc,3,", "row 3, column 7: expected a whole number, found 'abc'"),
        (",4,5,", ",4,,", "row 4, column 7: expected a whole number, found ''"),
        ("0.1,", "long,", "row 3, column 1: expected a number, found 'long'"),
        (",2.0,", ",much,", "row 4, column 3: expected a number, found 'much'"),
    ],
)
def test_damaged_cells_are_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    before = example().with_columns(energy_keV="a")
    CSV_WRITER.write(before, tmp_path / "a.csv")
    settings_, _, table = (tmp_path / "a.csv").read_text(encoding="utf-8").partition("\n")
    head, _, rows = table.partition("\n")
    assert old in rows
    changed = "\n".join([settings_, head, rows.replace(old, new, 1)])
    with pytest.raises(FormatError, match=f"test.csv: .*{says}"):
        read(changed)
