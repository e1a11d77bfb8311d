"""Zip archives of spectrum files, and the public example data as a whole."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError
from spectraloom.io import archive as archive_module
from spectraloom.io.source import Source
from spectraloom.io.stores import npz


def zipped(members: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    stream.seek(0)
    return stream


def npy(values: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(values))
    return stream.getvalue()


def npz_bytes(spectra: Spectra, folder: Path) -> bytes:
    npz.WRITER.write(spectra, folder / "a.npz")
    return (folder / "a.npz").read_bytes()


def test_members_are_read_by_content_and_merged_by_axis(tmp_path: Path) -> None:
    groups = sl.read_groups(
        zipped(
            {
                "a/one.npy": npy([[1, 2, 3]]),
                "a/table": b"channel,0,1,2\nx,4,5,6\n",
                "store.bin": npz_bytes(Spectra([[7, 8]], Axis.from_edges([0, 1, 2])), tmp_path),
                "README.txt": b"hello",
                "LICENSE": b"free\n",
                "__MACOSX/._one.npy": b"junk",
                ".hidden": b"junk",
                "folder/": b"",
                "inner.zip": zipped({"one.npy": npy([[1, 2, 3]])}).read(),
            }
        )
    )
    first, second = groups
    assert first.values.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert first.columns["file"].tolist() == ["one.npy", "table"]
    assert second.values.tolist() == [[7, 8]]
    assert first.attrs["skipped"] == ["README.txt", "LICENSE", "inner.zip"]
    assert first.attrs["licence"] == "free"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "no member"),
        ({"README": b"hello"}, "README"),
        ({"a.npy": npy([[1, 2]])[:-1], "b.npy": npy([[1, 2]])}, r"a\.npy"),
    ],
)
def test_archives_without_spectra_or_with_damaged_ones(
    members: dict[str, bytes], message: str
) -> None:
    with pytest.raises(FormatError, match=message):
        archive_module.READER.read(Source.from_bytes(zipped(members).read(), "a.zip"))


def test_containers_inside_count_with_what_they_unpack_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = npz_bytes(Spectra(np.zeros((10, 1000))), tmp_path)
    many = zipped({f"{i}.npz": inner for i in range(5)}).read()
    source = Source.from_bytes(many, "a.zip")
    assert len(archive_module.READER.read(source)[0]) == 50
    monkeypatch.setattr(archive_module, "allowed_bytes", lambda packed: 3 * 80_000)
    with pytest.raises(FormatError, match="too much"):
        archive_module.READER.read(source)


def test_the_public_example_data(gamma_flow_zip: Path) -> None:
    groups = sl.read_groups(gamma_flow_zip)
    assert [len(group) for group in groups] == [4893, 1247, 2870, 633]
    assert {group.n_channels for group in groups} == {256}
    counts = Counter(
        (str(detector), label)
        for group in groups
        for detector, labels in zip(group.columns["detector"], group.labels, strict=True)
        for label in labels
    )
    # Numbers of simulated spectra as published with the data.
    simulated = {label: n for (detector, label), n in counts.items() if detector == "simulated"}
    assert simulated == {"Am241": 814, "Co60": 1351, "Cs137": 1230, "Eu152": 1498}
    for group in groups:
        assert "Federal Office for Radiation Protection" in group.attrs["licence"]
        assert group.attrs["skipped"] == ["README_data.txt", "00_list_of_isotopes", "data_license"]
    # Channel 0 of the simulated spectra has its centre at the file's offset of -12.2 keV.
    np.testing.assert_allclose(groups[0].axis.value_at(0.5), -12.2)


def test_a_folder_reads_as_its_archive(gamma_flow_zip: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(gamma_flow_zip) as archive:
        for name in ("1_numpy_raw/Am241_left.npy", "1_numpy_raw/Co60-2_left.npy", "data_license"):
            archive.extract(name, tmp_path)
    first, second = sl.read_groups(tmp_path)
    assert (len(first), len(second)) == (643, 633)
    assert set(first.columns["file"].tolist()) == {"Am241_left.npy"}
