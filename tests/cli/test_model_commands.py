from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.analyze import load_card
from spectraloom.workflow import judge, read_for, read_prepared, study_for_model, train
from spectraloom.workflow.strict_json import finite

from .conftest import NUCLIDES, Run


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def model(world: Path, tmp_path: Path) -> Path:
    """A copy of the model, as some commands write into it."""
    return Path(shutil.copy(world / "model.loom", tmp_path / "model.loom"))


# -- train -----------------------------------------------------------------------------------


def test_train_gives_what_python_gives(run: Run, world: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.loom"
    found = run("train", world / "train.npz", "-o", target, "--json").json
    done = train(read_prepared(world / "train.npz"), sl.SupervisedNMF())
    assert found.pop("model") == str(target)
    assert found.pop("trained_on") == {"axes": 1, "duplicates_removed": 0, "n": 240, "rebinned": 0}
    assert found == json.loads(json.dumps(done.to_dict()))
    saved = sl.load(target)
    assert np.array_equal(saved.loadings_, done.model.loadings_)
    assert saved.outlier_boundary_ == done.model.outlier_boundary_
    assert found["classes"] == [*NUCLIDES, "background"]
    assert found["holdout"]["accuracy"] > 0.95


def test_train_writes_a_report(run: Run, world: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.loom"
    report = tmp_path / "deep" / "out"
    done = run("train", world / "train.npz", "-o", target, "--report", report)
    assert (done.code, done.err) == (0, "")
    assert str(report / "report.html") in done.out
    text = (report / "report.html").read_text(encoding="utf-8")
    for heading in ("The model", "Hold-out", "Outliers"):
        assert f">{heading}</h2>" in text
    assert "<script" not in text
    assert 'src="http' not in text


def test_train_chooses_labels_detectors_limit_and_window(
    run: Run, world: Path, tmp_path: Path
) -> None:
    target = tmp_path / "m.loom"
    arguments = ["--labels", "Co60, Cs137,background", "--detectors", "simulated", "--limit", 20]
    arguments += ["--window", 100, 1500, "--holdout", 0, "--min-share", 0.2]
    found = run("train", world / "train.npz", "-o", target, *arguments, "--json").json
    assert found["classes"] == ["Co60", "Cs137", "background"]
    assert found["holdout"] is None
    assert found["provenance"]["n_spectra"] == 60
    settings = load_card(target)["parameters"]
    assert settings["window"] == [100.0, 1500.0]
    assert settings["min_share"] == 0.2
    saved = sl.load(target)
    assert saved.axis_ is not None
    fitted = saved.axis_.centers[saved.weights_ > 0]
    assert 100 <= fitted.min() < 105
    assert 1495 < fitted.max() <= 1500


@pytest.mark.parametrize(("variants", "loadings"), [("absorber", 7), ("2", 7), ("1", 4)])
def test_train_makes_variants(
    run: Run, world: Path, tmp_path: Path, variants: str, loadings: int
) -> None:
    arguments = ["-o", tmp_path / "m.loom", "--variants", variants, "--no-outliers", "--json"]
    found = run("train", world / "train.npz", *arguments).json
    assert found["n_loadings"] == loadings  # the background has no variants
    assert found["outlier"] is None
    assert load_card(tmp_path / "m.loom")["outlier_boundary"] is None


def test_train_takes_another_background(run: Run, world: Path, tmp_path: Path) -> None:
    arguments = ["-o", tmp_path / "m.loom", "--background", "Eu152", "--no-outliers", "--json"]
    assert run("train", world / "train.npz", *arguments).json["classes"][-1] == "Eu152"


def test_train_depends_on_the_seed_alone(run: Run, world: Path, tmp_path: Path) -> None:
    found = [
        run("train", world / "train.npz", "-o", tmp_path / "m.loom", "--seed", s, "--json").json
        for s in (3, 3, 4)
    ]
    assert found[0] == found[1]
    assert found[0]["provenance"]["data_sha256"] != found[2]["provenance"]["data_sha256"]


# -- analyze ---------------------------------------------------------------------------------


def test_analyze_gives_what_python_gives(run: Run, world: Path) -> None:
    found = run("analyze", world / "model.loom", world / "test.npz", "--json").json
    fitted = sl.load(world / "model.loom")
    spectra = read_for(fitted, world / "test.npz")
    assert spectra.axis == fitted.axis_
    result = fitted.analyze(spectra)
    assert found == json.loads(json.dumps(result.to_dict()))
    assert found["columns"]["counts_outside"] == pytest.approx(
        (sl.read(world / "test.npz").totals - spectra.totals).tolist(), abs=1e-9
    )


def test_analyze_writes_tables(run: Run, world: Path, tmp_path: Path) -> None:
    for name in ("out.csv", "out.json"):
        done = run("analyze", world / "model.loom", world / "test.npz", "-o", tmp_path / name)
        assert done.code == 0
        assert str(tmp_path / name) in done.out
    rows = table(tmp_path / "out.csv")
    stored = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    truth = sl.read(world / "test.npz").labels
    names = stored["names"]
    assert names == [*NUCLIDES, "background"]
    assert [row["spectrum"] for row in rows] == [str(number) for number in range(60)]
    for row, entry, labels, amounts in zip(
        rows, truth, stored["labels"], stored["amounts"], strict=True
    ):
        assert row["labels"] == " + ".join(entry)
        assert row["found"] == " + ".join(labels)
        assert sum(float(row[f"share {name}"]) for name in names) == pytest.approx(1.0)
        assert [float(row[f"amount {name}"]) for name in names] == pytest.approx(amounts)
        assert all(float(row[f"uncertainty {name}"]) > 0 for name in names)
        assert row["outlier"] == str("U235" in entry)
    known = [row for row, entry in enumerate(truth) if "U235" not in entry]
    right = [set(stored["labels"][row]) | {"background"} == set(truth[row]) for row in known]
    assert len(known) == 40
    assert sum(right) >= 34


def test_analyze_writes_denoised_spectra(run: Run, world: Path, tmp_path: Path) -> None:
    target = tmp_path / "denoised.npz"
    arguments = ["analyze", world / "model.loom", world / "test.npz", "--denoised", target]
    assert run(*arguments).code == 0
    assert run(*arguments).code == 0  # what was computed may be computed again
    denoised = sl.read(target)
    observed = read_for(sl.load(world / "model.loom"), world / "test.npz")
    assert denoised.axis == observed.axis
    known = ["U235" not in entry for entry in observed.labels]
    assert denoised.totals[known] == pytest.approx(observed.totals[known], rel=0.05)
    assert np.abs(np.diff(denoised.values)).sum() < np.abs(np.diff(observed.values)).sum()


def test_analyze_takes_files_on_several_axes(run: Run, world: Path, tmp_path: Path) -> None:
    assert run("simulate", "-o", tmp_path / "w.npz", "-n", 3, "--detector", "west").code == 0
    sources = [world / "test.npz", tmp_path / "w.npz", world / "train.npz"]
    found = run("analyze", world / "model.loom", *sources, "--json").json
    detectors = ["east"] * 60 + ["west"] * 3 + ["simulated"] * 240
    assert found["columns"]["detector"] == detectors


# -- evaluate --------------------------------------------------------------------------------


def test_evaluate_gives_what_python_gives(run: Run, world: Path, tmp_path: Path) -> None:
    report = tmp_path / "out"
    found = run(
        "evaluate", world / "model.loom", world / "test.npz", "--report", report, "--json"
    ).json
    assert found.pop("report") == str(report / "report.html")
    assert "<h1>" in (report / "report.html").read_text(encoding="utf-8")
    fitted = sl.load(world / "model.loom")
    judged = judge("x", fitted, read_prepared(world / "test.npz", axis=fitted.axis_))
    assert found == finite(judged.to_dict())
    assert found["not_in_model"] == ["U235"]
    assert found["accuracy"] == pytest.approx(40 / 60)
    assert found["flagged"] == pytest.approx(20 / 60)


def test_evaluate_chooses_labels(run: Run, world: Path) -> None:
    arguments = ["--labels", "Cs137,Co60,background", "--detectors", "east", "--json"]
    found = run("evaluate", world / "model.loom", world / "test.npz", *arguments).json
    assert (found["n"], found["accuracy"], found["not_in_model"]) == (40, 1.0, [])


# -- outlier ---------------------------------------------------------------------------------


def test_outlier_stores_the_boundary(run: Run, world: Path, model: Path, tmp_path: Path) -> None:
    before = sl.load(model)
    arguments = ["--method", "logistic", "--feature", "cosine", "--report", tmp_path / "out"]
    found = run("outlier", model, world / "train.npz", *arguments, "--json").json
    assert (found["feature"], found["chosen"]) == ("cosine", "logistic")
    after = sl.load(model)
    boundary = after.outlier_boundary_
    assert boundary is not None
    assert boundary != before.outlier_boundary_
    assert boundary.to_dict() == found["boundaries"]["logistic"]
    assert np.array_equal(before.loadings_, after.loadings_)
    study = study_for_model(
        before, read_prepared(world / "train.npz"), method="logistic", feature="cosine"
    )
    assert study.boundary == boundary
    assert ">Outliers</h2>" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_boundary_changes_what_is_trusted(run: Run, world: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.loom"
    assert run("train", world / "train.npz", "-o", model, "--no-outliers").code == 0
    before = run("analyze", model, world / "test.npz")
    assert "not tested" in before.out
    assert "no outlier boundary" in " ".join(before.out.split())
    assert run("outlier", model, world / "train.npz").code == 0
    after = run("analyze", model, world / "test.npz")
    assert "not tested" not in after.out
    assert "no: outlier" in after.out
    assert "Do not trust 20 of 60 (outlier)" in " ".join(after.out.split())
    assert "40 not in doubt: " in after.out
