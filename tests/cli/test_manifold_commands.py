"""Signatures that deform on the command line: train, analyze, evaluate."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import spectraloom as sl
from spectraloom.analyze import ManifoldUnmixer
from spectraloom.cli import main

from .conftest import Run

_STEEL = ",".join(["none", *(f"Fe {0.15 * 1.4**step:.3f}" for step in range(8))])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``steel.npz``, ``quiet.npz``, ``today.npz``, ``steel.loom`` and a report."""
    folder = tmp_path_factory.mktemp("steel")
    commands = [
        ["simulate", "-o", "steel.npz", "--nuclides", "Cs137,Ba133", "-n", "160", "--counts",
         "20000", "40000", "--absorbers", _STEEL],
        ["simulate", "-o", "quiet.npz", "--nuclides", "background", "-n", "20", "--counts",
         "20000", "20000"],
        ["simulate", "-o", "today.npz", "--nuclides", "Cs137,Ba133+Cs137,background", "-n", "9",
         "--absorbers", "Fe 0.7", "--counts", "4000", "4000", "--background", "3000", "3000",
         "--detector", "east", "--seed", "7"],
        ["train", "steel.npz", "quiet.npz", "--model", "manifold", "--unit", "cm", "-o",
         "steel.loom", "--report", "trained", "--gain", "0.01", "--json"],
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in commands:
            assert main(command) == 0, command
    return folder


def test_train_keeps_settings_and_reports(folder: Path) -> None:
    model = sl.load(folder / "steel.loom")
    assert isinstance(model, ManifoldUnmixer)
    assert model.classes_.tolist() == ["Ba133", "Cs137", "background"]
    assert (model.unit, model.gain, model.false_alarm_rate) == ("cm", 0.01, 0.01)
    text = (folder / "trained" / "report.html").read_text(encoding="utf-8")
    assert ">Signatures</h2>" in text
    assert ">Tried out</h2>" in text
    assert "Not drawn" not in text


def test_analyze_tells_amounts_and_thickness(run: Run, folder: Path, tmp_path: Path) -> None:
    found = run(
        "analyze", folder / "steel.loom", folder / "today.npz", "-o", tmp_path / "found.csv",
        "--report", tmp_path / "report",
    )  # fmt: skip
    assert (found.code, found.err) == (0, "")
    assert "thickness" in found.out
    assert "Cs137" in found.out
    assert "in the material" in found.out
    with (tmp_path / "found.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    with_source = [row for row in rows if "Cs137" in row["found"]]
    assert len(with_source) >= 5
    for row in with_source:
        assert float(row["thickness_low"]) <= float(row["thickness"])
        assert float(row["thickness"]) <= float(row["thickness_high"])
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert ">What was found</h2>" in page
    assert "Not drawn" not in page


def test_json_is_complete_and_strict(run: Run, folder: Path) -> None:
    answer = run("analyze", folder / "steel.loom", folder / "today.npz", "--json").json
    assert answer["names"] == ["Ba133", "Cs137", "background"]
    assert {"p_value", "significance"} <= set(answer["details"])
    assert {"thickness", "thickness_low", "gain", "misfit_p_value"} <= set(answer["quality"])
    assert {"outlier", "empty"} <= set(answer["flags"])
    quiet = [i for i, entry in enumerate(answer["labels"]) if entry == ["background"]]
    assert quiet
    assert answer["quality"]["thickness"][quiet[0]] is None


def test_the_profile_and_adaptive_bins_can_be_asked_for(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "own.loom"
    done = run(
        "train", folder / "steel.npz", folder / "quiet.npz", "--model", "manifold", "--unit", "cm",
        "--bins", "adaptive", "--individual", "--tie", "0.2", "--known", "0.7", "0.5", "-o", out,
        "--holdout", "0",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    model = sl.load(out)
    assert isinstance(model, ManifoldUnmixer)
    assert (model.bins, model.tie, model.known) == ("adaptive", 0.2, (0.7, 0.5))
    # Each deformation says whose it is.
    shown = run("analyze", out, folder / "today.npz").out
    assert "Cs137: thickness" in " ".join(shown.split())
    profile = run(
        "analyze", folder / "steel.loom", folder / "today.npz", "--intervals", "profile", "--json"
    ).json
    assert {"interval_low", "interval_high"} <= set(profile["details"])


def test_what_lies_beyond_the_training_is_not_trusted(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    thick = ["simulate", "-o", folder / "thick.npz", "--nuclides", "Cs137", "-n", "3"]
    assert run(*thick, "--counts", "20000", "20000", "--absorbers", "Fe 5").code == 0
    files = (folder / "steel.loom", folder / "thick.npz")
    said = " ".join(run("analyze", *files).out.split())
    assert "Do not trust 3 of 3 (at_range_end)" in said
    run("analyze", *files, "--report", tmp_path)
    assert "or more (over" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_evaluate_judges_amounts_and_thickness(run: Run, folder: Path) -> None:
    files = (folder / "steel.loom", folder / "today.npz")
    told = run("evaluate", *files, "--json").json
    assert told["amounts"]["n"] == 9
    assert told["amounts"]["mean_relative_error"] < 0.1
    assert told["thickness"]["median_error"] < 0.2
    assert told["thickness"]["unit"] == "cm"
    said = " ".join(run("evaluate", *files).out.split())
    assert "are in the 95 % interval" in said


def test_few_values_of_the_deformation_are_remarked(run: Run, folder: Path, tmp_path: Path) -> None:
    made = ["simulate", "-o", tmp_path / "two.npz", "--nuclides", "Cs137", "-n", "20", "--counts"]
    assert run(*made, "20000", "20000", "--absorbers", "none,Fe 3").code == 0
    done = run(
        "train", tmp_path / "two.npz", folder / "quiet.npz", "--model", "manifold", "--unit", "cm",
        "-o", tmp_path / "two.loom",
    )  # fmt: skip
    said = " ".join(done.out.split())
    assert "only 2 different values of thickness" in said
    assert "intervals are too narrow" in said


def test_evaluate_judges_it(run: Run, folder: Path, tmp_path: Path) -> None:
    done = run(
        "evaluate", folder / "steel.loom", folder / "today.npz", "--json", "--report", tmp_path
    )
    assert done.json["exact_match"] > 0.8
    assert "Not drawn" not in (tmp_path / "report.html").read_text(encoding="utf-8")


REFUSED = {
    "--individual goes with": ["train", "steel.npz", "--individual"],
    "--signatures goes with": ["train", "steel.npz", "--signatures", "iae-joint"],
    "--variants goes with": ["train", "steel.npz", "--model", "manifold", "--variants", "2"],
    "no column 'depth'": ["train", "steel.npz", "--model", "manifold", "--deformation", "depth"],
    "share to hold out": ["train", "steel.npz", "--model", "manifold", "--holdout", "1.5"],
    "needs a model for identification": ["analyze", "steel.loom", "today.npz", "--limits"],
    "signatures that deform": ["outlier", "steel.loom", "today.npz"],
    "identif": ["alarms", "steel.loom", "quiet.npz", "today.npz"],
}  # fmt: skip


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_done_is_said_in_one_line(
    run: Run, folder: Path, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    done = run(*REFUSED[said])
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert done.err.count("\n") == 1
