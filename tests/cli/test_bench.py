from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectraloom.evaluate import run_gamma_flow_benchmark
from spectraloom.io import read_groups
from spectraloom.workflow.strict_json import finite

from .conftest import Run

N_CHANNELS = 256
PEAKS = {"Am241": (60,), "Co60": (1173, 1332), "Cs137": (662,), "Unat": (93, 186, 1001)}
STANDARD = {"offset": -12.0, "slope": 8.15, "quad": 0.0012}


def shape(label: str, calibration: dict[str, float]) -> np.ndarray:
    channel = np.arange(N_CHANNELS)
    energy = calibration["offset"] + calibration["slope"] * channel
    energy = energy + calibration["quad"] * channel**2
    if label == "background":
        found = np.exp(-np.maximum(energy, 0) / 400)
        found += 0.3 * np.exp(-0.5 * ((energy - 1461) / 40) ** 2)
    else:
        found = 0.02 * np.exp(-np.maximum(energy, 0) / 900)
        for peak in PEAKS[label]:
            width = 4 + 0.03 * peak
            found = found + np.exp(-0.5 * ((energy - peak) / width) ** 2) / width * 20
    return found / found.sum()


def write_file(
    path: Path,
    detector: str,
    sets: Sequence[tuple[str, ...]],
    n: int,
    *,
    calibrations: Sequence[dict[str, float]] = (STANDARD,),
    seed: int = 0,
) -> None:
    """A file as GAMMA_FLOW writes it: a pickled array of dictionaries."""
    rng = np.random.default_rng([seed, *path.name.encode()])
    entries: list[dict[str, Any]] = []
    for number in range(n):
        labels = sets[number % len(sets)]
        calibration = calibrations[number % len(calibrations)]
        expected = np.zeros(N_CHANNELS)
        for label in labels:
            total = 1500 if label == "background" else rng.uniform(800, 2500)
            expected += total * shape(label, calibration)
        entries.append(
            {
                "spectrum": rng.poisson(expected).astype(float),
                "labels": list(labels),
                "detector": detector,
                "calibration": dict(calibration),
                "absorber material": "None",
                "absorber thickness": "None",
            }
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    np.save(path, array, allow_pickle=True)


RIGHT = {"offset": -9.0, "slope": 8.3, "quad": 0.0009}
DRIFTED = {"offset": -9.0, "slope": 8.32, "quad": 0.0009}


def make_layout(folder: Path, *, multi: bool = True, unknown: bool = True) -> Path:
    """Two measured detectors whose names nothing can know beforehand."""
    raw = folder / "1_numpy_raw"
    for label in ("Am241", "Co60", "Cs137"):
        write_file(raw / f"{label}_simulated.npy", "simulated", [(label,)], 60)
    write_file(raw / "background_20240124_right.npy", "right", [("background",)], 40)
    write_file(
        raw / "background.npy", "tower 7", [("background",)], 40, calibrations=[RIGHT], seed=1
    )
    for detector, calibration in (("right", STANDARD), ("tower 7", RIGHT)):
        name = detector.replace(" ", "")
        write_file(
            raw / f"Am241_{name}.npy",
            detector,
            [("Am241", "background"), ("background",)],
            30,
            calibrations=[calibration],
        )
        write_file(
            raw / f"Co60-1_{name}.npy",
            detector,
            [("Co60", "background")],
            20,
            calibrations=[calibration],
        )
    if multi:
        # Every second record has drifted: those of pure background must not become training.
        write_file(
            raw / "multi-class_right.npy",
            "right",
            [("Co60", "Cs137", "background"), ("background",)],
            40,
            calibrations=[RIGHT, DRIFTED],
        )
    if unknown:
        write_file(
            raw / "Unat_tower7.npy",
            "tower 7",
            [("Unat", "background")],
            20,
            calibrations=[RIGHT],
        )
    (folder / "00_list_of_isotopes").write_text("Am241 Co60", encoding="utf-8")
    return folder


def bench(run: Run, data: Path) -> dict[str, Any]:
    done = run(
        "bench", "gamma-flow", "--data", data, "--no-throughput", "--no-identify", "--json", "-"
    )
    assert done.code == 0, done.err
    assert done.err == ""
    numbers: dict[str, Any] = done.json
    return numbers


def require_keys(numbers: dict[str, Any], *, multi: bool = True, unknown: bool = True) -> None:
    """Everything that the benchmark promises, for us and for the reference alike."""
    for part in (numbers, numbers["reference"]):
        assert 0 <= part["holdout"]["accuracy"] <= 1
        assert 0 <= part["measured"]["accuracy"] <= 1
        for scores in part["measured"]["per_class"].values():
            assert {"precision", "recall", "f1", "n"} <= set(scores)
        assert {"boundaries", "importances", "auc", "feature"} <= set(part["outlier"])
        assert set(part["outlier"]["boundaries"]) == {"tree", "logistic", "curves"}
        assert ("multilabel" in part) is multi
        assert ("unknown" in part) is unknown
        if multi:
            assert {"exact_match", "micro_f1"} <= set(part["multilabel"])
        if unknown:
            assert 0 <= part["unknown"]["auc"] <= 1
    assert "reference" not in numbers["reference"]


def test_two_detectors_with_other_names(run: Run, tmp_path: Path) -> None:
    numbers = bench(run, make_layout(tmp_path / "data"))
    require_keys(numbers)
    protocol = numbers["protocol"]
    assert protocol["detectors"] == ["right", "simulated", "tower 7"]
    assert protocol["sources"] == ["Am241", "Co60", "Cs137"]
    assert protocol["n_train"] + protocol["n_holdout"] == 3 * 60 + 2 * 40
    assert (protocol["n_single"], protocol["n_multi"], protocol["n_unknown"]) == (100, 40, 20)
    assert set(numbers["measured"]["per_detector"]) == {"right", "tower 7"}
    assert numbers["measured"]["accuracy"] > 0.9
    assert numbers["multilabel"]["n"] == 40
    assert numbers["multilabel"]["exact_match"] > 0.8
    assert numbers["provenance"]["data"] == "data"
    assert numbers["provenance"]["attribution"] == ""
    direct = run_gamma_flow_benchmark(
        read_groups(tmp_path / "data"), throughput=False, identify=False
    )
    del numbers["provenance"]
    assert numbers == finite(direct)


@pytest.mark.parametrize(("multi", "unknown"), [(False, True), (True, False), (False, False)])
def test_what_is_not_there_is_not_judged(
    run: Run, tmp_path: Path, multi: bool, unknown: bool
) -> None:
    data = make_layout(tmp_path, multi=multi, unknown=unknown)
    numbers = bench(run, data)
    require_keys(numbers, multi=multi, unknown=unknown)
    shown = run("bench", "gamma-flow", "--data", data, "--no-throughput", "--no-identify")
    assert ("multilabel.micro_f1" in shown.out) is multi
    assert ("unknown.auc" in shown.out) is unknown
    assert "measured.accuracy" in shown.out


def test_files_of_one_name_in_two_folders(run: Run, tmp_path: Path) -> None:
    folder = make_layout(tmp_path / "data", multi=False, unknown=False)
    for detector, calibration in (("right", STANDARD), ("tower 7", RIGHT)):
        write_file(
            folder / detector / "Cs137.npy",
            detector,
            [("Cs137", "background")],
            20,
            calibrations=[calibration],
            seed=len(detector),
        )
    write_file(folder / "made" / "Cs137.npy", "Simulated", [("Cs137",)], 20, seed=9)
    numbers = bench(run, folder)
    assert numbers["protocol"]["n_single"] == 140
    assert numbers["protocol"]["n_train"] + numbers["protocol"]["n_holdout"] == 280
    assert numbers["measured"]["per_class"]["Cs137"]["n"] == 40


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ("*_simulated.npy", "found 0 simulated and 2 background file(s)"),
        ("background*.npy", "found 3 simulated and 0 background file(s)"),
    ],
)
def test_missing_training_files_are_named(run: Run, tmp_path: Path, gone: str, says: str) -> None:
    make_layout(tmp_path)
    for path in (tmp_path / "1_numpy_raw").glob(gone):
        path.unlink()
    done = run("bench", "gamma-flow", "--data", tmp_path, "--no-throughput", "--no-identify")
    assert done.code == 2
    assert says in done.err
    assert len(done.err.splitlines()) == 1


def test_spectra_without_labels_are_refused(run: Run, tmp_path: Path) -> None:
    make_layout(tmp_path)
    write_file(tmp_path / "1_numpy_raw" / "strange_right.npy", "right", [()], 5)
    done = run("bench", "gamma-flow", "--data", tmp_path, "--no-throughput", "--no-identify")
    assert done.code == 2
    assert "5 spectra" in done.err
    assert "have no label" in done.err


def test_an_empty_measurement_is_judged_too(run: Run, tmp_path: Path) -> None:
    make_layout(tmp_path)
    path = tmp_path / "1_numpy_raw" / "Unat_tower7.npy"
    entries = np.load(path, allow_pickle=True)
    entries[0]["spectrum"] = np.zeros(N_CHANNELS)
    np.save(path, entries, allow_pickle=True)
    require_keys(bench(run, tmp_path))


@pytest.fixture(scope="module")
def unpacked(gamma_flow_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gamma_flow")
    with zipfile.ZipFile(gamma_flow_zip) as archive:
        archive.extractall(folder)
    return folder


def test_the_real_data_as_a_zip_and_as_a_folder(
    run: Run, gamma_flow_zip: Path, unpacked: Path, tmp_path: Path
) -> None:
    target = tmp_path / "numbers.json"
    done = run(
        "bench",
        "gamma-flow",
        "--data",
        gamma_flow_zip,
        "--no-throughput",
        "--no-identify",
        "--json",
        target,
    )
    assert done.code == 0
    numbers = json.loads(target.read_text(encoding="utf-8"))
    require_keys(numbers)
    shown = " ".join(done.out.split())
    for text in (shown, numbers["provenance"]["attribution"]):
        assert "Federal Office for Radiation Protection (BfS)" in text
    ours, theirs = numbers["measured"]["accuracy"], numbers["reference"]["measured"]["accuracy"]
    assert f"measured.accuracy {ours:.4f} {theirs:.4f}" in shown
    assert theirs == pytest.approx(0.974, abs=0.004)
    folder = bench(run, unpacked)
    assert folder.pop("provenance")["attribution"] == numbers.pop("provenance")["attribution"]
    # Files come in another order, so that splits and draws differ a little.
    for key in ("n_single", "n_multi", "n_unknown", "detectors", "sources"):
        assert folder["protocol"][key] == numbers["protocol"][key]
    assert folder["measured"]["accuracy"] == pytest.approx(ours, abs=0.01)


def test_one_detector_of_the_real_data_under_another_name(
    run: Run, unpacked: Path, tmp_path: Path
) -> None:
    """Nothing may hang on the name of the detector."""
    shutil.copytree(unpacked / "1_numpy_raw", tmp_path / "1_numpy_raw")
    for path in sorted((tmp_path / "1_numpy_raw").glob("*_left.npy")):
        entries = np.load(path, allow_pickle=True)
        for entry in entries:
            entry["detector"] = "right"
        np.save(path.with_name(path.name.replace("left", "right")), entries, allow_pickle=True)
        path.unlink()
    numbers = bench(run, tmp_path)
    require_keys(numbers)
    assert numbers["protocol"]["detectors"] == ["right", "simulated"]
    reference = numbers["reference"]
    assert reference["measured"]["accuracy"] == pytest.approx(0.974, abs=0.004)
    assert reference["multilabel"]["exact_match"] == pytest.approx(0.69, abs=0.01)
