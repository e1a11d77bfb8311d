"""Small steps around files: describing, converting, targets, origin, JSON, trust, simulating."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom import datasets
from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError, FormatError, LabelError
from spectraloom.workflow import (
    Training,
    attribution,
    convert,
    describe,
    doubts,
    simulate_from_text,
)
from spectraloom.workflow.describe import in_words, overview, shared_notes
from spectraloom.workflow.strict_json import finite, strict_json
from spectraloom.workflow.target import require_folder, require_target
from spectraloom.workflow.trust import summary

from .conftest import AXIS, SOURCES, Make

# -- describe --------------------------------------------------------------------------------


def test_facts_are_numbers(make: Make) -> None:
    spectra = make(SOURCES, 8).replace(live_time=[1, 2, 3, 4, 5, 6, np.nan, 8])
    facts = describe(spectra)
    assert facts == json.loads(strict_json(facts))
    assert facts["spectra"] == 8
    assert facts["axis"] == {
        "description": "64 channels, 0 to 1000 keV (energy)",
        "calibrated": True,
        "channels": 64,
        "binned": True,
        "quantity": "energy",
        "low": 0.0,
        "high": 1000.0,
        "unit": "keV",
    }
    assert facts["live_time"] == {"min": 1.0, "max": 8.0, "unknown": 1}
    assert facts["labels"] == {"A": 2, "B": 2, "C": 2, "background": 2}
    assert facts["totals"]["sum"] == spectra.totals.sum()
    words = in_words(facts)
    assert words["live time"] == "1 to 8 s (unknown for 1)"
    assert words["labels"] == "A (2), B (2), C (2), background (2)"
    assert words["axis"] == "64 channels, 0 to 1000 keV (energy)"


def test_counts_are_printed_in_full() -> None:
    spectra = Spectra([[74_305_419.0, 0.0], [1.0, 0.5]])
    assert in_words(describe(spectra))["totals"] == "1.5 to 74,305,419, together 74,305,420.5"
    whole = Spectra([[74_305_419.0, 0.0], [2.0, 3.0]])
    assert in_words(describe(whole))["totals"] == "5 to 74,305,419, together 74,305,424"


def test_an_overview_is_one_line_each() -> None:
    notes = {"skipped": ["notes.md"], "source": "x"}
    first = Spectra(np.ones((3, 2)), columns={"file": ["a", "b", "a"]}, attrs=notes)
    second = Spectra(np.ones((1, 4)) * 1e7, Axis.regular(0, 9, 4), attrs=notes)
    assert overview([first, second]) == [
        {
            "file": "a +1",
            "spectra": "3",
            "channels": "2",
            "axis": "uncalibrated",
            "total": "6",
        },
        {
            "file": "x",
            "spectra": "1",
            "channels": "4",
            "axis": "0 to 9 keV",
            "total": "40,000,000",
        },
    ]
    assert shared_notes([first, second]) == {"skipped": "notes.md"}
    assert shared_notes([Spectra(np.ones((1, 2)))]) == {}


def test_what_was_read_and_where_it_came_from_are_told(tmp_path: Path) -> None:
    before = Spectra(np.ones((1, 8)), live_time=1.0)
    sl.write(before, tmp_path / "a.n42")
    convert(tmp_path / "a.n42", tmp_path / "b.npz")
    words = in_words(describe(sl.read(tmp_path / "b.npz")))
    assert words["source"] == "b.npz"
    assert words["format"] == "Spectraloom npz"
    assert words["origin"] == "a.n42 (N42)"


def test_what_is_not_known_is_not_told() -> None:
    facts = describe(Spectra(np.ones((1, 3)), live_time=np.nan))
    assert set(facts) == {"spectra", "kind", "axis", "totals"}
    assert facts["axis"]["calibrated"] is False
    assert in_words(facts) == {
        "spectra": "1",
        "kind": "counts",
        "axis": "3 channels, uncalibrated",
        "totals": "3",
    }


def test_facts_of_many_kinds_of_spectra() -> None:
    wave = Axis.from_points([1.0, 2.0, 4.0], quantity="wavelength", unit="nm")
    complex_facts = describe(Spectra(np.ones((2, 3)) * 1j, wave, "complex"))
    assert "totals" not in complex_facts
    assert complex_facts["axis"]["binned"] is False
    empty = describe(Spectra(np.ones((0, 3)), wave, "intensity"))
    assert in_words(empty)["totals"] == "unknown"
    times = np.array(["2024-01-31T12:00:00.25", "NaT", "2023-01-01"], dtype="M8[ms]")
    timed = Spectra(np.ones((3, 3)), wave, "intensity", columns={"start_time": times})
    assert describe(timed)["start_time"] == {
        "min": "2023-01-01T00:00:00",
        "max": "2024-01-31T12:00:00",
    }
    never = timed.with_columns(start_time=np.array(["NaT"] * 3, dtype="M8[s]"))
    assert "start_time" not in describe(never)


def test_long_lists_are_cut_for_people_only() -> None:
    names = [f"file {number}" for number in range(30)]
    facts = describe(Spectra(np.ones((30, 2)), columns={"file": names}))
    assert facts["file"] == names
    assert in_words(facts)["file"].endswith("file 11 and 18 more")


# -- convert and targets ---------------------------------------------------------------------


def test_converting_refuses_before_anything_is_written(make: Make, tmp_path: Path) -> None:
    for number, axis in enumerate((AXIS, Axis.regular(0, 900, 64))):
        sl.write(make(SOURCES, 4, axis=axis), tmp_path / f"in{number}.npz")
    (tmp_path / "out-2.npz").write_bytes(b"precious")
    with pytest.raises(FormatError, match=r"out-2\.npz: exists already"):
        convert([tmp_path / "in0.npz", tmp_path / "in1.npz"], tmp_path / "out.npz")
    assert not (tmp_path / "out-1.npz").exists()
    assert (tmp_path / "out-2.npz").read_bytes() == b"precious"


def test_a_source_is_never_replaced(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    sl.write(make(SOURCES, 4), file)
    (tmp_path / "link.npz").symlink_to(file)
    with pytest.raises(FormatError, match="is read here"):
        convert(file, tmp_path / "link.npz", overwrite=True)
    with pytest.raises(FormatError, match="is read here"):
        require_target(tmp_path / "x.npz", sources=[tmp_path / "*.npz", tmp_path / "link.npz"])


def test_targets(tmp_path: Path) -> None:
    assert require_target(tmp_path / "new.csv", endings=(".csv",)) == tmp_path / "new.csv"
    assert require_target("new.csv") == Path("new.csv")
    for path, says in (
        (tmp_path, "this is a folder"),
        (tmp_path / "a" / "b.csv", "there is no folder"),
        (tmp_path / "b.txt", "written as .csv or .json"),
    ):
        with pytest.raises(FormatError, match=says):
            require_target(path, endings=() if path == tmp_path else (".csv", ".json"))


def test_folders_are_looked_at_but_not_made(tmp_path: Path) -> None:
    assert require_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert require_folder("a/b") == Path("a/b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FormatError, match="file is a file"):
            require_folder(path)


# -- origin ----------------------------------------------------------------------------------


def test_who_must_be_named(gamma_flow_zip: Path, tmp_path: Path) -> None:
    known = datasets.attribution("gamma_flow")
    assert attribution(sources=[gamma_flow_zip]) == known
    with zipfile.ZipFile(gamma_flow_zip) as archive:
        for name in archive.namelist():
            if name in ("data_license", "1_numpy_raw/Cs137_simulated.npy"):
                archive.extract(name, tmp_path)
    file = tmp_path / "1_numpy_raw" / "Cs137_simulated.npy"
    for source in (tmp_path, file.parent, file, file.parent / "*.npy"):
        assert attribution(sources=[source]) == known
    assert attribution([], [tmp_path, gamma_flow_zip, file]) == known  # once
    copy = Path(shutil.copy(file, tmp_path.parent / "alone.npy"))
    assert attribution(sources=[copy, tmp_path.parent / "nothing.npy"]) == ""


def test_who_must_be_named_by_the_notes_of_spectra(gamma_flow_zip: Path) -> None:
    groups = sl.read_groups(gamma_flow_zip)
    assert attribution(groups) == datasets.attribution("gamma_flow")
    notes = [{"attribution": "We", "licence": "L"}, {"licence": "Ours"}, {}, {"licence": "Ours"}]
    spectra = [Spectra(np.ones((1, 2)), attrs=attrs) for attrs in notes]
    assert attribution(spectra) == "We\nOurs"
    assert attribution() == ""


# -- JSON ------------------------------------------------------------------------------------


def test_json_is_strict() -> None:
    value = {
        1: np.float32(0.5),
        "nan": float("nan"),
        "list": (np.inf, -np.inf, np.int64(3), np.bool_(True)),
        "array": np.array([[1.0, np.nan], [2.0, 3.0]]),
        "path": Path("a") / "b",
        "none": None,
        "text": "ä\x1b",
    }
    expected = {
        "1": 0.5,
        "nan": None,
        "list": [None, None, 3, True],
        "array": [[1.0, None], [2.0, 3.0]],
        "path": str(Path("a") / "b"),
        "none": None,
        "text": "ä\x1b",
    }
    assert json.loads(strict_json(value)) == finite(value) == expected
    assert strict_json("\x1b").isprintable()


# -- trust -----------------------------------------------------------------------------------


def test_doubts_name_their_reasons(make: Make, trained: Training) -> None:
    model = trained.model
    spectra = make([("A",), ("X",)], 6, seed=2)
    spectra = Spectra.concatenate([spectra, spectra[:1].replace(values=np.zeros((1, 64)))])
    spectra = spectra.with_columns(counts_outside=[0.0, 0, 500, 0, 50, 0, 0])
    result = model.analyze(spectra)
    found = doubts(result, spectra)
    assert found["off the axis"].tolist() == [False, False, True, False, False, False, False]
    assert found["empty"].tolist() == [False] * 6 + [True]
    assert found["outlier"].tolist() == [False, True] * 3 + [False]
    lines = summary(result, spectra, model)
    assert lines[0] == "7 spectra, 2 not in doubt: A in 2."
    assert lines[1].startswith("Do not trust 1 of 7 (empty): ")
    assert lines[2].startswith("Do not trust 3 of 7 (outlier): ")
    assert lines[3].startswith("Do not trust 3 of 7 (poor fit): ")
    assert lines[4].startswith("Do not trust 1 of 7 (off the axis): more than 10% of the counts")
    assert lines[5].startswith("In training, the outlier boundary found ")


def test_a_summary_of_all_and_of_one(make: Make, training: Spectra, trained: Training) -> None:
    unknown = make([("X",)], 1, seed=2)
    lines = summary(trained.model.analyze(unknown), unknown, trained.model)
    assert lines[0] == "1 spectrum, all in doubt."
    bare = sl.SupervisedNMF().fit(training)
    mixed = make([("A", "B"), ("background",), ("B", "A")], 9, seed=2)
    lines = summary(bare.analyze(mixed), mixed, bare)
    assert lines[0] == "9 spectra, 9 not in doubt: A + B in 6, no source in 3."
    assert "has no outlier boundary" in lines[1]
    assert len(lines) == 2


# -- simulate --------------------------------------------------------------------------------

WORDS = {
    "detector": "east",
    "counts": (100.0, 200.0),
    "background": None,
    "absorbers": "none",
    "live_time": 1.0,
    "seed": 0,
}


def test_simulating_from_words() -> None:
    words = {**WORDS, "absorbers": " None , Pb 0.1,  Fe 1e-1"}
    spectra = simulate_from_text("Cs137, Co60 + Cs137", 60, **words)  # type: ignore[arg-type]
    assert {tuple(entry) for entry in spectra.labels} == {("Cs137",), ("Co60", "Cs137")}
    assert set(spectra.column("absorber")) == {"", "Pb 0.1 cm", "Fe 0.1 cm"}


@pytest.mark.parametrize("absorbers", ["", "Pb", "Pb thick", "none,,Pb 1"])
def test_absorbers_that_make_no_sense(absorbers: str) -> None:
    with pytest.raises(DataError, match="an absorber is none, a material and a thickness"):
        simulate_from_text("Cs137", 2, **{**WORDS, "absorbers": absorbers})  # type: ignore[arg-type]


def test_an_absorber_of_no_material_is_named() -> None:
    with pytest.raises(LabelError, match="'Pb 1' is neither"):
        simulate_from_text("Cs137", 2, **{**WORDS, "absorbers": "Pb 1 2"})  # type: ignore[arg-type]


def test_an_unknown_detector_is_named() -> None:
    with pytest.raises(LabelError, match=r"no detector 'south'.*simulated, east, west"):
        simulate_from_text("Cs137", 2, **{**WORDS, "detector": "south"})  # type: ignore[arg-type]
