"""Identification on the command line: train, analyze, evaluate."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.analyze import Identifier
from spectraloom.cli import main
from spectraloom.workflow.strict_json import finite

from .conftest import NUCLIDES, Run


@pytest.fixture(scope="session")
def trained(world: Path) -> Path:
    """Folder with ``id.loom`` and a report."""
    code = main(
        ["train", str(world / "train.npz"), "-o", str(world / "id.loom"), "--model", "identify",
         "--variants", "2", "--window", "30", "2000", "--report", str(world / "identified"),
         "--json"]
    )  # fmt: skip
    assert code == 0
    return world


def test_train_keeps_settings(trained: Path) -> None:
    model = sl.load(trained / "id.loom")
    assert isinstance(model, Identifier)
    assert model.classes_.tolist() == [*NUCLIDES, "background"]
    assert (model.variants, model.window, model.false_alarm_rate) == (2, (30.0, 2000.0), 1e-3)


def test_the_report_shows_spectrum_amounts_and_rates(trained: Path) -> None:
    text = (trained / "identified" / "report.html").read_text(encoding="utf-8")
    for heading in ("The library", "Hold-out", "Detection and false alarms"):
        assert f">{heading}</h2>" in text
    assert text.count("<img ") == 7
    assert "Not drawn" not in text
    assert "<script" not in text


def test_train_says_what_was_found_of_injected_sources(
    run: Run, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spectraloom.workflow import IdentifierTraining, identification

    def quick(*given: Any, **more: Any) -> IdentifierTraining:
        given[1].set_params(n_bootstrap=100)
        return train(*given, **more)

    train = identification.train_identifier
    monkeypatch.setattr("spectraloom.workflow.train_identifier", quick)
    arguments = ["--model", "identify", "--false-alarm-rate", 0.01, "--gain", 0, "--variants", 2]
    target = tmp_path / "m.loom"
    done = run("train", world / "train.npz", "-o", target, *arguments)
    assert (done.code, done.err) == (0, "")
    assert "400 counts" in done.out
    assert "false-alarm rate  0.01" in done.out
    model = sl.load(target)
    assert isinstance(model, Identifier)
    assert (model.false_alarm_rate, model.gain) == (0.01, None)
    found = run("train", world / "train.npz", "-o", target, *arguments, "--json").json
    assert set(found["injection"]) == set(NUCLIDES)
    assert found["holdout"]["exact_match"] > 0.9
    assert found["false_alarms"]["simulated"][0]["stated"] == 0.1


def test_options_of_one_model_are_refused_by_the_other(run: Run, world: Path) -> None:
    done = run("train", world / "train.npz", "--gain", 0.02)
    assert done.code == 2
    assert "--gain goes with --model identify" in done.err
    done = run("analyze", world / "model.loom", world / "test.npz", "--limits")
    assert done.code == 2
    assert "--limits needs a model for identification" in done.err


def test_analyze_gives_what_python_gives(run: Run, trained: Path) -> None:
    found = run("analyze", trained / "id.loom", trained / "test.npz", "--json").json
    model, spectra = sl.load(trained / "id.loom"), sl.read(trained / "test.npz")
    assert found == json.loads(json.dumps(finite(model.analyze(spectra).to_dict())))
    truth = [set(entry) - {"background"} for entry in spectra.labels]
    said = [set(entry) - {"background"} for entry in found["labels"]]
    known = [row for row, entry in enumerate(truth) if "U235" not in entry]
    assert np.mean([truth[row] == said[row] for row in known]) > 0.9
    strange = [row for row, entry in enumerate(truth) if "U235" in entry]
    assert np.mean([found["flags"]["outlier"][row] for row in strange]) > 0.8


def test_analyze_prints_significance_and_limits(run: Run, trained: Path) -> None:
    done = run("analyze", trained / "id.loom", trained / "test.npz", "--limits")
    assert (done.code, done.err) == (0, "")
    shown = " ".join(done.out.split())
    for text in ("p-value", "decision threshold", "detection limit", "0.001 are said to hold one"):
        assert text in shown
    assert "no: outlier" in shown
    assert "nan" not in shown
    plain = run("analyze", trained / "id.loom", trained / "test.npz")
    assert "detection limit" not in plain.out


def test_tables_hold_the_details(run: Run, trained: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    assert run("analyze", trained / "id.loom", trained / "test.npz", "-o", target).code == 0
    with target.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    result = sl.load(trained / "id.loom").analyze(sl.read(trained / "test.npz"))
    assert len(rows) == len(result)
    for name in NUCLIDES:
        column = result.names.index(name)
        for detail in ("p_value", "significance", "decision_threshold", "detection_limit"):
            assert [float(row[f"{detail} {name}"]) for row in rows] == pytest.approx(
                result.details[detail][:, column].tolist()
            )
    assert {row["p_value background"] for row in rows} == {""}


def test_analyze_takes_files_on_several_axes(run: Run, trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "w.npz"
    assert run("simulate", "-o", other, "-n", 3, "--detector", "west").code == 0
    found = run("analyze", trained / "id.loom", trained / "test.npz", other, "--json").json
    assert len(found["labels"]) == 63
    alone = run("analyze", trained / "id.loom", other, "--json").json
    assert found["amounts"][60:] == alone["amounts"]  # nothing was rebinned
    done = run(
        "analyze", trained / "id.loom", trained / "test.npz", other,
        "--denoised", tmp_path / "d.npz",
    )  # fmt: skip
    assert done.code == 2
    assert "one axis at a time" in done.err


def test_evaluate_and_outlier(run: Run, trained: Path, tmp_path: Path) -> None:
    report = tmp_path / "out"
    found = run(
        "evaluate", trained / "id.loom", trained / "test.npz", "--labels",
        "Cs137,Co60,background", "--report", report, "--json",
    ).json  # fmt: skip
    assert found["n"] == 40
    assert found["exact_match"] > 0.9
    assert "Not drawn" not in (report / "report.html").read_text(encoding="utf-8")
    done = run("outlier", trained / "id.loom", trained / "train.npz")
    assert done.code == 2
    assert "learns what an outlier is when it is trained" in done.err


def test_spectra_that_are_not_as_they_should_be(run: Run, trained: Path, tmp_path: Path) -> None:
    """One line that names the fault and code 2, or an answer with a flag."""
    test = sl.read(trained / "test.npz")
    far = test.replace(axis=sl.Axis.regular(1e4, 2e4, test.n_channels))
    sl.write(far, tmp_path / "far.npz")
    done = run("analyze", trained / "id.loom", tmp_path / "far.npz")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "do not overlap" in done.err
    with np.load(trained / "test.npz", allow_pickle=False) as stored:
        parts = {name: stored[name] for name in stored.files}
    parts["values"] = parts["values"].astype(np.float64)
    parts["values"][0, 5] = -3.0
    np.savez(tmp_path / "negative.npz", **parts)
    done = run("analyze", trained / "id.loom", tmp_path / "negative.npz")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "counts cannot be negative" in done.err
    values = np.asarray(test.values, dtype=np.float64)[:4].copy()
    values[0] *= 0.75
    values[1] = 0.0
    values[2, 10] = 2**16 - 1
    sl.write(test[:4].replace(values=values), tmp_path / "odd.npz")
    found = run("analyze", trained / "id.loom", tmp_path / "odd.npz", "--json").json
    assert found["flags"]["fractional"] == [True, False, False, False]
    assert found["flags"]["empty"] == [False, True, False, False]
    assert found["flags"]["saturated"] == [False, False, True, False]
    assert found["labels"][1] == []
    whole = run("analyze", trained / "id.loom", trained / "test.npz", "--json").json
    assert found["labels"][3] == whole["labels"][3]
    assert not any(flags[3] for name, flags in found["flags"].items() if name != "outlier")


def test_two_names_for_one_spectrum_are_refused(run: Run, world: Path, tmp_path: Path) -> None:
    train = sl.read(world / "train.npz")
    alone = train[np.array([tuple(entry) == ("Cs137",) for entry in train.labels])]
    again = alone.with_columns(labels=[("Ba137m",)] * len(alone))
    sl.write(sl.Spectra.concatenate([train, again]), tmp_path / "twice.npz")
    done = run(
        "train", tmp_path / "twice.npz", "-o", tmp_path / "id.loom", "--model", "identify",
        "--variants", "1", "--holdout", "0",
    )  # fmt: skip
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "'Ba137m'" in done.err
    assert "'Cs137'" in done.err
    assert "are the same" in done.err
    assert not (tmp_path / "id.loom").exists()
