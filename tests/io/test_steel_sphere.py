"""The steel-sphere layout: names, columns of counts, folders and archives."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spectraloom as sl
from spectraloom.errors import FormatError
from spectraloom.io.source import Source
from spectraloom.io.tables.steel_sphere import READER

SIMULATED = "GRS_NaITl_Co60_STEEL5__2mm.dat"
BACKGROUND = "SPS_NaITl_3pouces_Exp_1keVCanal_Max2200keV_#20012023A.txt"
CONTENT = b"      3279\n         0\n        12\n"


def read(content: bytes, name: str = SIMULATED) -> sl.Spectra:
    source = Source.from_bytes(content, f"folder/{name}")
    assert READER.sniff(source)
    (spectra,) = READER.read(source)
    return spectra


@pytest.mark.parametrize(
    ("name", "nuclide", "thickness", "gain_shift"),
    [
        (SIMULATED, "Co60", 5.2, 0.0),
        ("GRS_NaITl_Tc99m_STEEL0__001mm.dat", "Tc99m", 0.001, 0.0),
        ("GRS_NaITl_Cs137_STEEL30mm.dat", "Cs137", 30.0, 0.0),
        ("GRS_NaITl_Co60_STEEL0__001mm_drift.10dat", "Co60", 0.001, -0.1),
        ("GRS_NaITl_Co60_STEEL0__001mm_drift.neg_3dat", "Co60", 0.001, 0.03),
    ],
)
def test_the_name_of_a_simulation(
    name: str, nuclide: str, thickness: float, gain_shift: float
) -> None:
    spectra = read(CONTENT, name)
    assert spectra.values.tolist() == [[3279.0, 0.0, 12.0]]
    assert spectra.axis.edges.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert (spectra.axis.quantity, spectra.axis.unit) == ("energy", "keV")
    row = {key: column[0] for key, column in spectra.columns.items()}
    assert row == {
        "labels": (nuclide,),
        "detector": "NaITl",
        "material": "steel",
        "thickness": thickness,
        "gain_shift": pytest.approx(gain_shift),
        "file": name,
    }


def test_a_background_says_the_width_of_its_channels() -> None:
    spectra = read(CONTENT, BACKGROUND.replace("1keV", "2.5keV"))
    assert spectra.axis.edges.tolist() == [0.0, 2.5, 5.0, 7.5]
    assert spectra.labels[0] == ("background",)
    assert np.isnan(spectra.columns["thickness"][0])
    assert np.isnan(spectra.columns["gain_shift"][0])


@pytest.mark.parametrize(
    "name",
    [
        "counts.dat",
        "GRS_NaITl_Co60_LEAD5mm.dat",
        "GRS_NaITl_Co60_STEELmm.dat",
        "GRS_NaITl_Co60_STEEL5__2mm.csv",
        "SPS_NaITl_Exp_0keVCanal.txt",
        "SPS_NaITl_Exp.txt",
        f"SPS_NaITl_{'_1keVCanal' * 5000}x.txt",
    ],
)
def test_other_names_are_left_to_other_readers(name: str) -> None:
    source = Source.from_bytes(CONTENT, name)
    assert not READER.sniff(source)
    with pytest.raises(FormatError, match="name is not of the steel-sphere layout"):
        READER.read(source)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"1 2\n", b"-1\n", b"nan\n", b"\x00\x01"])
def test_another_content_is_not_of_the_layout(content: bytes) -> None:
    assert not READER.sniff(Source.from_bytes(content, SIMULATED))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"-3", "line 31: expected one count, found '-3'"),
        (b"", "line 31: expected one count, found ''"),
        (b"1 2", "line 31"),
        (b"abc", "line 31"),
        (b"\xff", "line 31"),
        (b"1e999", "finite"),
    ],
)
def test_a_damaged_line_is_named(line: bytes, message: str) -> None:
    content = b"1\n" * 30 + line + b"\n4\n"
    with pytest.raises(FormatError, match=message):
        sl.read(named(content))


def test_too_large_a_column_is_refused() -> None:
    with pytest.raises(FormatError, match="at most 4 MiB"):
        sl.read(named(b"1\n" * (2 * 1024**2 + 1)))


def test_line_ends_and_fractions_do_not_matter() -> None:
    assert read(b"1\r\n2.5\r\n3e2\r\n\r\n").values.tolist() == [[1.0, 2.5, 300.0]]


def named(content: bytes, name: str = SIMULATED) -> io.BytesIO:
    stream = io.BytesIO(content)
    stream.name = name  # type: ignore[misc]
    return stream


@given(st.binary(max_size=60), st.sampled_from([SIMULATED, BACKGROUND]))
def test_anything_is_read_or_refused(content: bytes, name: str) -> None:
    source = Source.from_bytes(content, name)
    READER.sniff(source)
    try:
        (spectra,) = READER.read(source)
    except FormatError:
        return
    assert len(spectra) == 1


def test_folders_and_archives_give_the_same(tmp_path: Path) -> None:
    inside = "data/Simulation_steel_sphere/Co60"
    members = {f"{inside}/GRS_NaITl_Co60_STEEL{t}mm.dat": CONTENT for t in ("0__001", "2__4")}
    members["data/drift_data/Co60/GRS_NaITl_Co60_STEEL0__001mm_drift.1dat"] = CONTENT
    members[f"data/{BACKGROUND}"] = b"5\n6\n"
    members["data/data_drift"] = b"\x80\x04K\x01."
    for name, content in members.items():
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    for source in (tmp_path / "all", tmp_path / "all.zip"):
        by_length = {len(group): group for group in sl.read_groups(source)}
        assert sorted(by_length) == [1, 3]
        assert sorted(by_length[3].columns["thickness"]) == [0.001, 0.001, 2.4]
        assert sorted(by_length[3].columns["gain_shift"]) == [-0.01, 0.0, 0.0]
        assert by_length[1].values.tolist() == [[5.0, 6.0]]
        assert [Path(name).name for name in by_length[3].attrs["skipped"]] == ["data_drift"]


def test_the_public_data(steel_sphere_zip: Path) -> None:
    simulated, background = sl.read_groups(steel_sphere_zip)
    assert simulated.shape == (384, 2998)
    assert background.shape == (1, 2200)
    thicknesses = np.unique(simulated.columns["thickness"])
    assert (len(thicknesses), thicknesses[0], thicknesses[-1]) == (96, 0.001, 30.0)
    assert sorted(set(simulated.labels)) == [("Ba133",), ("Co57",), ("Co60",), ("Cs137",)]
    thin = simulated.select(labels="Cs137", thickness=0.001)
    centers = thin.axis.centers
    near = (centers > 600) & (centers < 720)
    peak = centers[near][thin.values[0, near].argmax()]
    assert abs(peak - 661.66) < 3.0
