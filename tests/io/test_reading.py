from __future__ import annotations

import io
import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.errors import AxisError, FormatError
from spectraloom.io.records import Record, group_records
from spectraloom.io.source import Source


@pytest.fixture
def folder(formats_dir: Path, tmp_path: Path) -> Path:
    """Three SPE files, one of them in a sub-folder, a text, and things that are hidden."""
    root = tmp_path / "measurements"
    (root / "inner" / "deeper").mkdir(parents=True)
    (root / ".hidden").mkdir()
    shutil.copy(formats_dir / "sim_spec.spe", root / "b.spe")
    shutil.copy(formats_dir / "digibase_5min_30_1.spe", root / "a.spe")
    shutil.copy(formats_dir / "sim_spec.spe", root / "inner" / "deeper" / "c.spe")
    shutil.copy(formats_dir / "sim_spec.spe", root / ".hidden" / "d.spe")
    shutil.copy(formats_dir / "sim_spec.spe", root / ".e.spe")
    (root / "notes.md").write_text("# Two detectors on a table\n\nIt was a sunny day.\n")
    return root


def test_folder_is_read_with_its_sub_folders(folder: Path) -> None:
    spectra = sl.read(folder)
    assert spectra.columns["file"].tolist() == ["a.spe", "b.spe", "c.spe"]
    assert spectra.totals.tolist() == [892301, 9964, 9964]
    assert spectra.attrs["skipped"] == [str(folder / "notes.md")]


def test_folder_without_anything_readable(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"nothing to read"):
        sl.read(tmp_path)
    (tmp_path / "notes.md").write_text("nothing here\n")
    with pytest.raises(FormatError, match=r"none of 1 files is of a known format"):
        sl.read(tmp_path)


@pytest.mark.parametrize("isolate", [False, True])
def test_lists_beside_spectra_are_named_and_left_out(
    isolate: bool, formats_dir: Path, tmp_path: Path
) -> None:
    shutil.copy(formats_dir / "sim_spec.spe", tmp_path / "a.spe")
    table = tmp_path / "list.csv"
    table.write_text("file,cosine\na.spe,0.98\nb.spe,0.97\n")
    spectra = sl.read(tmp_path, isolate=isolate)
    assert spectra.attrs["skipped"] == [str(table)]
    assert len(spectra) == 1
    with pytest.raises(FormatError, match=r"list\.csv.*holds the axis"):
        sl.read(table, isolate=isolate)
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as content:
        for file in (tmp_path / "a.spe", table):
            content.write(file, file.name)
    assert sl.read(archive, isolate=isolate).attrs["skipped"] == ["list.csv"]


def test_an_empty_text_is_no_path() -> None:
    with pytest.raises(FormatError, match=r"got an empty text"):
        sl.read("")


def test_a_damaged_file_in_a_folder_is_not_passed_over(folder: Path) -> None:
    damaged = folder / "damaged.spe"
    damaged.write_bytes((folder / "b.spe").read_bytes()[:3000])
    with pytest.raises(FormatError, match=r"damaged\.spe.*cut off"):
        sl.read(folder)


def test_glob(folder: Path) -> None:
    assert len(sl.read(str(folder / "*.spe"))) == 2
    assert len(sl.read(str(folder / "**" / "*.spe"))) == 3
    with pytest.raises(FormatError, match=r"no file matches"):
        sl.read(str(folder / "*.n42"))


def test_a_name_with_pattern_signs_is_a_name_if_it_exists(folder: Path) -> None:
    path = folder / "run[1].spe"
    shutil.copy(folder / "b.spe", path)
    assert sl.read(str(path)).columns["file"].tolist() == ["run[1].spe"]


def test_list_of_sources(folder: Path, formats_dir: Path) -> None:
    stream = io.BytesIO((folder / "a.spe").read_bytes())
    spectra = sl.read([folder / "b.spe", str(folder / "inner"), stream])
    assert spectra.totals.tolist() == [9964, 9964, 892301]
    assert len(sl.read((folder / "b.spe", [folder / "b.spe"]))) == 2
    with pytest.raises(FormatError, match=r"nothing to read"):
        sl.read([])


def test_stream_is_read_from_where_it_stands(folder: Path) -> None:
    stream = io.BytesIO(b"rubbish" + (folder / "a.spe").read_bytes())
    stream.seek(7)
    assert sl.read(stream).totals[0] == 892301


@pytest.mark.parametrize("source", [io.StringIO("text"), b"bytes", 7, None])
def test_what_is_no_source(source: object) -> None:
    with pytest.raises(FormatError, match=r"binary stream|nothing"):
        sl.read(source)  # type: ignore[arg-type]


def test_missing_and_odd_paths(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"gone\.n42: there is no such file"):
        sl.read(tmp_path / "gone.n42")
    with pytest.raises(FormatError, match=r"no valid path|no such file"):
        sl.read("a\0b")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FormatError, match=r"neither"):
            sl.read(tmp_path / "pipe")


def test_different_axes_are_an_error_with_two_ways_out(formats_dir: Path) -> None:
    files = [formats_dir / "falcon5000.spe", formats_dir / "alcatraz14.spe"]
    with pytest.raises(AxisError) as caught:
        sl.read(files)
    message = str(caught.value)
    for part in ("4096 channels", "8192 channels", "axis=", "read_groups"):
        assert part in message
    groups = sl.read_groups(files)
    assert [group.n_channels for group in groups] == [4096, 8192]


def test_axis_rebins_and_preserves_counts(formats_dir: Path) -> None:
    files = [formats_dir / "falcon5000.spe", formats_dir / "alcatraz14.spe"]
    wide = sl.Axis.regular(-10.0, 3200.0, 500)
    spectra = sl.read(files, axis=wide)
    assert spectra.axis == wide
    assert np.allclose(spectra.totals, [683658, 132978], rtol=1e-12)
    assert spectra.live_time is not None
    assert spectra.live_time.tolist() == [841.42, 900.0]
    # Independently: counts below an edge, by interpolating the cumulative counts.
    one = sl.read(files[0])
    cumulative = np.append(0.0, np.cumsum(one.values[0]))
    expected = np.diff(np.interp(wide.edges, one.axis.edges, cumulative))
    assert np.allclose(spectra.values[0], expected, atol=1e-6)


def test_axis_is_the_same_as_rebinning_afterwards(formats_dir: Path) -> None:
    from spectraloom.process import rebin

    narrow = sl.Axis.regular(50.0, 1500.0, 300)
    for name in ("falcon5000.spe", "nai3x3_sr90.pcf"):
        spectra = sl.read(formats_dir / name, axis=narrow)
        expected = rebin(sl.read(formats_dir / name), narrow)
        assert np.allclose(spectra.values, expected.values, rtol=1e-12)
        assert spectra.variance is not None
        assert expected.variance is not None
        assert np.allclose(spectra.variance, expected.variance, rtol=1e-12)
        outside = spectra.columns["counts_outside"]
        assert np.allclose(outside, expected.columns["counts_outside"])
        assert np.allclose(spectra.totals + outside, sl.read(formats_dir / name).totals)
        assert outside[0] > 0
    with pytest.raises(AxisError, match=r"no part of"):
        sl.read(formats_dir / "falcon5000.spe", axis=sl.Axis.regular(5000, 6000, 10))


def test_axis_keeps_what_was_left_out_in_mind(formats_dir: Path, tmp_path: Path) -> None:
    shutil.copy(formats_dir / "falcon5000.spe", tmp_path)
    shutil.copy(formats_dir / "alcatraz14.spe", tmp_path)
    (tmp_path / "notes.md").write_text("notes\n")
    spectra = sl.read(tmp_path, axis=sl.Axis.regular(0.0, 3000.0, 100))
    assert spectra.attrs["skipped"] == [str(tmp_path / "notes.md")]


def test_axis_needs_calibrated_spectra(formats_dir: Path) -> None:
    with pytest.raises(AxisError, match=r"only calibrated spectra"):
        sl.read(formats_dir / "sim_spec.spe", axis=sl.Axis.regular(0, 3000, 100))
    wavelengths = sl.Axis.regular(200, 900, 100, quantity="wavelength", unit="nm")
    with pytest.raises(AxisError, match=r"cannot be rebinned"):
        sl.read(formats_dir / "falcon5000.spe", axis=wavelengths)


def test_groups_of_one_file(formats_dir: Path) -> None:
    groups = sl.read_groups(formats_dir / "ba133_source_640s.n42")
    assert [len(group) for group in groups] == [1] * 8
    assert [group.attrs["source"] for group in groups] == ["ba133_source_640s.n42"] * 8


def test_records_are_grouped_in_file_order() -> None:
    one, other = sl.Axis.from_polynomial((0, 3), 4), sl.Axis.from_polynomial((0, 3.1), 4)
    near = sl.Axis.from_polynomial((0, 3 * (1 + 1e-9)), 4)
    counts = [np.full(4, value) for value in range(5)]
    records = [
        Record(counts[0], one, 1.0, 2.0, {"title": "a"}),
        Record(counts[1], other),
        Record(counts[2], near, columns={"sample": 3}),
        Record(counts[3], sl.Axis.uncalibrated(4)),
        Record(counts[4], other, columns={"start_time": np.datetime64("2020-01-01", "us")}),
    ]
    first, second, third = group_records(records, {"format": "test"})
    assert first.values[:, 0].tolist() == [0, 2]
    assert second.values[:, 0].tolist() == [1, 4]
    assert third.values[:, 0].tolist() == [3]
    assert first.columns["title"].tolist() == ["a", ""]
    assert np.array_equal(first.columns["sample"], [np.nan, 3], equal_nan=True)
    assert np.isnat(second.columns["start_time"]).tolist() == [True, False]
    assert first.live_time is not None
    assert np.array_equal(first.live_time, [1.0, np.nan], equal_nan=True)
    assert first.attrs["format"] == "test"


def test_source_looks_before_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(b"x" * 100_000)
    source = Source.from_path(path)
    assert (source.size, len(source.head), source.file) == (100_000, 65536, "big.bin")
    assert len(source.content()) == 100_000
    assert Source.from_path(tmp_path).is_folder
    with pytest.raises(FormatError, match=r"this is a folder"):
        Source.from_path(tmp_path).content()


def test_formats_lists_readers_and_writers() -> None:
    known = {one.name: one for one in sl.io.formats()}
    assert known["N42"].writes
    assert known["IEC 61455"].reads
    assert not known["IEC 61455"].writes
    assert all(suffix.startswith(".") for one in known.values() for suffix in one.suffixes)


def test_different_axes_are_told_apart(formats_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(AxisError) as caught:
        sl.read(formats_dir / "falcon5000*")
    text = str(caught.value)
    listed = text[text.index("(") + 1 : text.index("): either")].split("; 4096 ")
    assert len(listed) == len(set(listed)) == 3
    groups = sl.read_groups(formats_dir / "falcon5000*")
    for part, group in zip(listed, groups, strict=True):
        assert all(name in part for name in sorted(set(group.column("file")))[:3])
    # Axes that differ between their ends only, and spectra of several kinds on one axis.
    bent = np.linspace(0, 100, 5)
    bent[2] += 0.01
    counts = np.ones((1, 4))
    for number, one in enumerate(
        [
            sl.Spectra(counts, sl.Axis.from_edges(np.linspace(0, 100, 5))),
            sl.Spectra(counts, sl.Axis.from_edges(bent)),
            sl.Spectra(counts, sl.Axis.from_edges(bent), "rate"),
        ]
    ):
        sl.write(one, tmp_path / f"{number}.npz")
    with pytest.raises(AxisError, match=r"\(energy; 50 in the middle\), counts; .*rate"):
        sl.read(tmp_path)


def test_one_broken_file_stops_all_and_says_how_to_go_on(formats_dir: Path, tmp_path: Path) -> None:
    shutil.copy(formats_dir / "falcon5000.spe", tmp_path / "b.spe")
    (tmp_path / "a.spe").write_bytes((tmp_path / "b.spe").read_bytes()[:2000])
    for source in (tmp_path, tmp_path / "*.spe", [tmp_path / "a.spe", tmp_path / "b.spe"]):
        with pytest.raises(FormatError, match=r"a\.spe: .*to go on without this one, move it away"):
            sl.read(source)
    with pytest.raises(FormatError) as caught:
        sl.read(tmp_path / "a.spe")
    assert "to go on" not in str(caught.value)
    (tmp_path / "b.spe").unlink()
    with pytest.raises(FormatError, match="move it away"):
        sl.read([tmp_path / "a.spe", tmp_path / "missing.spe"])


def test_stores_name_themselves_and_their_origin(formats_dir: Path, tmp_path: Path) -> None:
    source = formats_dir / "falcon5000.cnf"
    for first, second in (("a.npz", "b.csv"), ("c.csv", "d.zarr")):
        sl.write(sl.read(source), tmp_path / first)
        once = sl.read(tmp_path / first)
        sl.write(once, tmp_path / second)
        twice = sl.read(tmp_path / second)
        for found, name in ((once, first), (twice, second)):
            assert found.attrs["source"] == name
            assert found.attrs["format"] in ("Spectraloom npz", "Spectraloom zarr", "text table")
            assert found.attrs["origin"] == "falcon5000.cnf (Canberra CNF)"
    assert twice.attrs["format"] == "Spectraloom zarr"
    sl.write(sl.Spectra(np.ones((1, 4))), tmp_path / "made.npz")
    made = sl.read(tmp_path / "made.npz")
    assert dict(made.attrs) == {"source": "made.npz", "format": "Spectraloom npz"}


def test_an_empty_folder_is_named_in_a_list_too(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=rf"{re.escape(str(tmp_path))}: there is nothing"):
        sl.read([tmp_path])
    with pytest.raises(FormatError, match=r"an empty list: there is nothing"):
        sl.read([])


def test_rates_with_and_without_variance_are_groups_of_their_own(tmp_path: Path) -> None:
    rates = sl.Spectra(np.ones((2, 8)), sl.Axis.regular(0, 80, 8), "rate")
    sl.write(rates, tmp_path / "a.npz")
    sl.write(rates.replace(variance=np.ones((2, 8))), tmp_path / "b.npz")
    assert [one.variance is None for one in sl.read_groups(tmp_path)] == [True, False]
    with pytest.raises(FormatError, match="rate without a variance, rate with a variance"):
        sl.read(tmp_path)
