from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.analyze import SupervisedNMF
from spectraloom.data import Axis, Result, Spectra
from spectraloom.errors import CalibrationError, DataError, FitError, FormatError
from spectraloom.evaluate import split_by_group
from spectraloom.workflow import Training, read_for, study_for_model, train, write_result
from spectraloom.workflow.train import result_table

from .conftest import AXIS, SOURCES, Make


def test_training_and_holding_out(training: Spectra, trained: Training) -> None:
    assert trained.holdout is not None
    assert trained.study is not None
    assert len(trained.holdout.spectra) == 40
    assert trained.model.provenance_["n_spectra"] == 160
    # No spectrum is on two sides.
    held_out = {row.tobytes() for row in trained.holdout.spectra.values}
    assert len(held_out) == 40
    again = training.values.tolist()
    assert sum(np.asarray(row).tobytes() in held_out for row in again) == 40
    assert trained.holdout.confusion.accuracy > 0.95
    assert trained.model.outlier_boundary_ == trained.study.boundary


def test_training_on_everything(training: Spectra) -> None:
    done = train(training, SupervisedNMF(), holdout=0.0, outliers=False)
    assert (done.holdout, done.study) == (None, None)
    assert done.model.provenance_["n_spectra"] == 200
    assert done.model.outlier_boundary_ is None
    direct = SupervisedNMF().fit(training)
    assert np.array_equal(done.model.loadings_, direct.loadings_)
    summary = done.to_dict()
    assert (summary["holdout"], summary["outlier"]) == (None, None)
    assert json.dumps(summary)


def test_the_settings_are_not_changed(training: Spectra) -> None:
    settings = SupervisedNMF(min_share=0.2)
    done = train(training, settings, outliers=False)
    assert done.model is not settings
    assert not hasattr(settings, "loadings_")
    assert done.model.min_share == 0.2


def test_training_is_determined_by_the_seed(training: Spectra) -> None:
    found = [
        train(training, SupervisedNMF(), seed=s, outliers=False).model.loadings_ for s in (1, 1, 2)
    ]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_progress_rises_to_the_end(training: Spectra) -> None:
    seen: list[float] = []
    train(training, SupervisedNMF(), progress=lambda fraction, _: seen.append(fraction))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("holdout", [-0.1, 1.0, 2.0, float("nan")])
def test_a_share_to_hold_out_has_a_range(training: Spectra, holdout: float) -> None:
    with pytest.raises(DataError, match=r"lies in \[0, 1\)"):
        train(training, SupervisedNMF(), holdout=holdout)


def test_a_label_that_is_all_held_out_is_an_error(make: Make) -> None:
    few = Spectra.concatenate([make([("A",), ("background",)], 40), make([("B",)], 1, seed=5)])
    split = {seed: split_by_group(few, test_size=0.4, seed=seed)[1] for seed in range(12)}
    lost = [seed for seed, test in split.items() if len(few) - 1 in test]
    kept = [seed for seed in split if seed not in lost]
    with pytest.raises(FitError, match="leaves no spectrum of B to train on"):
        train(few, SupervisedNMF(), outliers=False, holdout=0.4, seed=lost[0])
    done = train(few, SupervisedNMF(), outliers=False, holdout=0.4, seed=kept[0])
    assert "B" in done.model.classes_


@pytest.mark.parametrize("sets", [[("A",), ("background",)], [*SOURCES, ("A", "B")]])
def test_an_outlier_boundary_needs_sources_that_stand_alone(
    make: Make, sets: list[tuple[str, ...]]
) -> None:
    spectra = make(sets, 60)
    with pytest.raises(FitError, match="--no-outliers, in Python outliers=False"):
        train(spectra, SupervisedNMF())
    assert train(spectra, SupervisedNMF(), outliers=False).holdout is not None


def test_a_study_puts_its_boundary_into_the_model(training: Spectra) -> None:
    model = SupervisedNMF().fit(training)
    study = study_for_model(model, training, method="tree", feature="cosine")
    assert study.boundary.method == "tree"
    assert model.outlier_boundary_ == study.boundary
    with pytest.raises(DataError, match="trained on spectra of kind 'counts'"):
        study_for_model(model, training.replace(kind="intensity"))
    with pytest.raises(FitError, match="no method"):
        study_for_model(model, training, method="guess")  # type: ignore[arg-type]


# -- reading for a model ---------------------------------------------------------------------


def test_spectra_come_onto_the_axis_of_the_model(
    make: Make, trained: Training, tmp_path: Path
) -> None:
    other = make([("A",)], 3, axis=Axis.regular(-50.0, 900.0, 90))
    sl.write(other, tmp_path / "a.npz")
    sl.write(make([("B",)], 2), tmp_path / "b.npz")
    spectra = read_for(trained.model, [tmp_path / "a.npz", tmp_path / "b.npz"])
    assert spectra.axis == AXIS
    assert trained.model.predict(spectra).tolist() == ["A"] * 3 + ["B"] * 2
    assert spectra.totals[:3] + spectra.column("counts_outside")[:3] == pytest.approx(other.totals)


def test_spectra_of_another_kind_or_without_calibration_are_refused(
    make: Make, trained: Training, tmp_path: Path
) -> None:
    spectra = make([("A",)], 3)
    sl.write(spectra.replace(kind="rate"), tmp_path / "rate.npz")
    sl.write(spectra.replace(axis=Axis.uncalibrated(64)), tmp_path / "channels.npz")
    with pytest.raises(DataError, match="these are of kind 'rate'"):
        read_for(trained.model, tmp_path / "rate.npz")
    with pytest.raises(CalibrationError, match="64 channels, uncalibrated"):
        read_for(trained.model, tmp_path / "channels.npz")


def test_a_model_of_plain_arrays_takes_what_has_its_channels(make: Make, tmp_path: Path) -> None:
    spectra = make(SOURCES, 40)
    plain = SupervisedNMF().fit(spectra.values, [entry[0] for entry in spectra.labels])
    assert plain.axis_ is None
    sl.write(spectra.replace(kind="intensity"), tmp_path / "a.npz")
    assert read_for(plain, tmp_path / "a.npz").axis == AXIS
    sl.write(
        make(SOURCES, 4, axis=Axis.regular(0, 9, 10)).replace(kind="intensity"), tmp_path / "b.npz"
    )
    with pytest.raises(DataError, match="plain arrays of 64 channels"):
        read_for(plain, tmp_path / "b.npz")


# -- writing results -------------------------------------------------------------------------


@pytest.fixture
def result(make: Make, trained: Training) -> Result:
    spectra = make([("A", "background"), ("B", "C")], 4).with_columns(
        start_time=np.array(["2024-01-31T12:00:00", "NaT"] * 2, dtype="M8[ns]"),
        file=["a,b.npz", 'c"d', "e\nf", "g"],
        gain=np.ones(4),
    )
    return trained.model.analyze(spectra)


def test_a_table_has_a_row_for_each_spectrum(result: Result) -> None:
    head, rows = result_table(result)
    assert len(rows) == len(result)
    assert len(set(head)) == len(head)
    assert all(len(row) == len(head) for row in rows)
    cells = [dict(zip(head, row, strict=True)) for row in rows]
    assert cells[0]["labels"] == "A + background"
    assert set(cells[0]["found"].split(" + ")) == {"A", "background"}
    assert [row["start_time"] for row in cells[:2]] == ["2024-01-31T12:00:00.000000000", None]
    assert "gain" not in head  # what was not asked for stays in the file
    for i, row in enumerate(cells):
        for j, name in enumerate(result.names):
            assert row[f"amount {name}"] == result.amounts[i, j]
            assert row[f"share {name}"] == result.shares[i, j]
        assert row["cosine"] == result.quality["cosine"][i]
        assert row["outlier"] is bool(result.flags["outlier"][i])


def test_a_csv_file_reads_back(result: Result, tmp_path: Path) -> None:
    write_result(result, tmp_path / "x.CSV")
    with (tmp_path / "x.CSV").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows] == ["a,b.npz", 'c"d', "e\nf", "g"]
    assert [float(row["amount A"]) for row in rows] == result.amounts[:, 0].tolist()
    assert [row["start_time"] for row in rows][1] == ""


def test_a_json_file_is_strict(result: Result, tmp_path: Path) -> None:
    broken = Result(
        result.names,
        result.amounts,
        result.decisions,
        quality={"cosine": np.array([np.nan, np.inf, 1.0, 0.5])},
    )
    write_result(broken, tmp_path / "x.json")

    def refuse(name: str) -> Any:
        raise ValueError(name)

    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    stored = json.loads(text, parse_constant=refuse)
    assert stored["quality"]["cosine"] == [None, None, 1.0, 0.5]
    assert stored["amounts"] == result.amounts.tolist()
    head, rows = result_table(broken)
    assert [row[head.index("cosine")] for row in rows] == [None, None, 1.0, 0.5]


@pytest.mark.parametrize("name", ["x.txt", "x", "no/x.csv"])
def test_what_cannot_be_written_is_refused(result: Result, tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError):
        write_result(result, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
