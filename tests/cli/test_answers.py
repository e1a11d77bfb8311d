"""What analyze adds on request, what it leaves out, and the outlier boundary of identifiers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.analyze import ConformalSets, Identifier, activity
from spectraloom.errors import FormatError
from spectraloom.generate import demo_detectors, simulate_gamma
from spectraloom.workflow import components_of, read_efficiencies

from .conftest import NUCLIDES, Run

TABLE = """# of the door detector
name, efficiency, uncertainty, branching, branching_uncertainty
Cs137, 0.02, 0.001, 0.851, 0.002
Co60, 0.03, , ,
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, world: Path) -> Path:
    """``id.loom``, ``known.npz`` with known sources, ``eff.csv`` and a folder with bad files."""
    folder = tmp_path_factory.mktemp("answers")
    model = Identifier(variants=1, n_bootstrap=100, window=(30.0, 2000.0))
    sl.save(model.fit(sl.read(world / "train.npz")), folder / "id.loom")
    known = simulate_gamma(
        ["Cs137", ("Co60", "Cs137"), "Eu152"],
        demo_detectors()["west"],
        90,
        background_counts=(300.0, 600.0),
        seed=8,
    )
    sl.write(known, folder / "known.npz")
    (folder / "eff.csv").write_text(TABLE, encoding="utf-8")
    (folder / "mixed").mkdir()
    sl.write(known[:5], folder / "mixed" / "good.npz")
    sl.write(sl.Spectra(known.values[:3]), folder / "mixed" / "bare.npz")
    (folder / "mixed" / "cut.npz").write_bytes((folder / "known.npz").read_bytes()[:3000])
    return folder


def test_activities_are_rates_over_efficiency_and_branching(
    run: Run, place: Path, tmp_path: Path
) -> None:
    files = [place / "id.loom", place / "known.npz", "--efficiency", place / "eff.csv"]
    found = run("analyze", *files, "--json").json
    result = sl.load(place / "id.loom").analyze(sl.read(place / "known.npz"))
    column = result.names.index("Cs137")
    rate = result.details["count_rate"][:, column]
    values = np.array(found["details"]["activity"], dtype=float)[:, column]
    np.testing.assert_allclose(values, rate / (0.02 * 0.851))
    expected = activity(result, {"Cs137": (0.02, 0.001), "Co60": 0.03}, {"Cs137": (0.851, 0.002)})
    errors = np.array(found["details"]["activity_uncertainty"], dtype=float)
    np.testing.assert_allclose(errors, expected.uncertainties)
    assert found["details"]["activity"][0][result.names.index("Eu152")] is None
    limits = np.array(found["details"]["activity_detection_limit"], dtype=float)[:, column]
    times = sl.read(place / "known.npz").live_time
    assert times is not None
    expected_limits = result.details["detection_limit"][:, column] / times / (0.02 * 0.851)
    np.testing.assert_allclose(limits, expected_limits)
    assert found["provenance"]["efficiency"]["Co60"] == [0.03, 0.0]
    target = tmp_path / "out.csv"
    done = run("analyze", *files, "-o", target, "--report", tmp_path / "report")
    assert (done.code, done.err) == (0, "")
    assert " Bq " in done.out
    said = " ".join(done.out.split())
    assert "No activity of Eu152, found here" in said
    assert "The efficiency of Co60 was given no uncertainty" in said
    assert "limit (Bq)" in run("analyze", *files, "--limits").out
    with target.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["activity Cs137"]) for row in rows] == pytest.approx(values.tolist())
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Activity (Bq)" in page
    assert page.count("<img ") == 4
    assert "Not drawn" not in page


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line names the columns"),
        ("name\nCs137\n", "first line names the columns"),
        ("name,efficiency,energy\nCs137,1,661\n", "first line names the columns"),
        ("name,efficiency\n", "no efficiency below"),
        ("name,efficiency\nCs137,many\n", "efficiency of Cs137 is a number"),
        ("name,efficiency\nCs137\n", "2 cells"),
        ("name,efficiency\nCs137,1\nCs137,2\n", "another name"),
    ],
)
def test_bad_tables_of_efficiencies_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "e.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        read_efficiencies(path)


def test_conformal_sets_are_shown_beside_the_decision(
    run: Run, place: Path, tmp_path: Path
) -> None:
    files = [place / "id.loom", place / "known.npz"]
    asked = ["--conformal", place / "known.npz", "--coverage", 0.8]
    found = run("analyze", *files, *asked, "--json").json
    spectra = sl.read(place / "known.npz")
    result = sl.load(place / "id.loom").analyze(spectra)
    sets = ConformalSets.calibrate(result, spectra.labels, 0.2)
    assert found["columns"]["conformal_set"] == [list(entry) for entry in sets.sets(result)]
    assert found["labels"] == [list(entry) for entry in result.labels]
    held = [
        set(true) - {"background"} <= set(entry)
        for true, entry in zip(spectra.labels, found["columns"]["conformal_set"], strict=True)
    ]
    assert np.mean(held) >= 0.8
    assert found["provenance"]["conformal"]["n_calibration"] == 90
    done = run("analyze", *files, *asked, "-o", tmp_path / "t.csv")
    assert "at least 80% of the spectra like the 90 labelled ones" in " ".join(done.out.split())
    assert "conformal_set" in (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()[0]


def test_spectra_that_cannot_calibrate_sets_are_refused(
    run: Run, place: Path, world: Path, tmp_path: Path
) -> None:
    files = [place / "id.loom", place / "known.npz"]
    done = run("analyze", *files, "--conformal", place / "known.npz", "--coverage", 1.5)
    assert done.code == 2
    assert "coverage lies between 0 and 1" in done.err
    done = run("analyze", *files, "--conformal", world / "test.npz")
    assert done.code == 2
    assert "U235" in done.err
    bare = sl.read(place / "known.npz").with_columns(labels=[()] * 90)
    sl.write(bare, tmp_path / "bare.npz")
    done = run("analyze", *files, "--conformal", tmp_path / "bare.npz")
    assert done.code == 2
    assert "90 of 90 calibration spectra have no label" in done.err
    for option in (["--efficiency", place / "eff.csv"], ["--conformal", "x"], ["--report", "x"]):
        done = run("analyze", world / "model.loom", world / "test.npz", *option)
        assert done.code == 2
        assert f"{option[0]} needs a model for identification" in done.err


@pytest.mark.parametrize("kind", ["identify", "nmf"])
def test_bad_files_are_left_out_on_request(run: Run, place: Path, world: Path, kind: str) -> None:
    model = place / "id.loom" if kind == "identify" else world / "model.loom"
    assert run("analyze", model, place / "mixed").code == 2
    done = run("analyze", model, place / "mixed", "--skip-bad", "--json")
    assert done.code == 3
    assert len(done.json["labels"]) == 5
    left = {Path(one["file"]).name: one["reason"] for one in done.json["left_out"]}
    assert set(left) == {"bare.npz", "cut.npz"}
    assert "uncalibrated" in left["bare.npz"]
    shown = run("analyze", model, place / "mixed", "--skip-bad")
    assert shown.code == 3
    assert shown.out.count("Left out:") == 2
    good = run("analyze", model, place / "mixed" / "good.npz", "--skip-bad", "--json")
    assert good.code == 0
    assert good.json["left_out"] == []
    none = run("analyze", model, place / "mixed" / "bare.npz", "--skip-bad")
    assert none.code == 2
    assert "none of 1 files can be used" in none.err


def test_known_spectra_set_the_boundary_of_an_identifier(
    run: Run, place: Path, world: Path, tmp_path: Path
) -> None:
    target = tmp_path / "calibrated.loom"
    before = (place / "id.loom").read_bytes()
    asked = [place / "id.loom", place / "known.npz", "--rate", 0.1, "-o", target]
    found = run("outlier", *asked, "--json").json
    assert found["known spectra"] == 90
    assert found["flagged of them"] <= 0.1
    old = sl.load(place / "id.loom")
    was = old.analyze(sl.read(place / "known.npz")).flags["outlier"]
    assert found["flagged of them before"] == pytest.approx(was.mean())
    assert found["that was before"] == pytest.approx(old.misfit_boundary_.center)
    boundary = sl.load(target).misfit_boundary_
    assert found["outlier above a misfit per count of"] == pytest.approx(boundary.center)
    assert (place / "id.loom").read_bytes() == before
    spectra = sl.read(place / "known.npz")
    flags = sl.load(target).analyze(spectra).flags["outlier"]
    assert flags.mean() == pytest.approx(found["flagged of them"])
    for arguments, message in (
        ([world / "test.npz", "--rate", 0.1], "U235, which the model does not know"),
        ([place / "known.npz", "--rate", 0.001], "known spectra"),
        ([place / "known.npz", "--rate", 0.1, "--method", "tree"], "--method goes with"),
    ):
        done = run("outlier", place / "id.loom", *arguments)
        assert done.code == 2
        assert message in done.err
    done = run("outlier", world / "model.loom", world / "train.npz", "--rate", 0.1)
    assert done.code == 2
    assert "--rate goes with a model for identification" in done.err
    assert (place / "id.loom").read_bytes() == before


def test_parts_as_variants_are_reached_from_the_command_line(
    run: Run, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spectraloom.workflow import IdentifierTraining, identification

    def quick(*given: object, **more: object) -> IdentifierTraining:
        given[1].set_params(n_bootstrap=0)  # type: ignore[attr-defined]
        return train(*given, **more | {"holdout": 0})  # type: ignore[arg-type]

    train = identification.train_identifier
    monkeypatch.setattr("spectraloom.workflow.train_identifier", quick)
    target = tmp_path / "m.loom"
    asked = ["-o", target, "--variants", "nmf:2", "--bins", "adaptive", "--json"]
    done = run("train", world / "train.npz", "--model", "identify", *asked)
    assert done.code == 0, done.err
    model = sl.load(target)
    assert isinstance(model, Identifier)
    assert (model.variants, model.bins) == ("nmf:2", "adaptive")
    assert sorted(model.library_.names) == sorted([*NUCLIDES] * 2)
    for kind, rest in (("nmf", asked), ("nmf", asked[:4]), ("manifold", asked[:4])):
        done = run("train", world / "train.npz", "--model", kind, *rest)
        assert done.code == 2
        assert "goes with --model" in done.err


def test_profile_intervals_are_reached_from_the_command_line(
    run: Run, place: Path, world: Path, tmp_path: Path
) -> None:
    sl.write(sl.read(place / "known.npz")[:2], tmp_path / "two.npz")
    files = [place / "id.loom", tmp_path / "two.npz"]
    given = run("analyze", *files, "--intervals", "profile", "--json").json["details"]
    model, spectra = sl.load(place / "id.loom"), sl.read(tmp_path / "two.npz")
    wanted, plain = (model.analyze(spectra, intervals=kind) for kind in ("profile", "score"))
    for end in ("interval_low", "interval_high"):
        np.testing.assert_array_equal(given[end], wanted.details[end])
        assert not np.allclose(wanted.details[end], plain.details[end])
    done = run("analyze", world / "model.loom", tmp_path / "two.npz", "--intervals", "profile")
    assert done.code == 2
    assert "--intervals needs a model for identification" in done.err


def test_pictures_of_a_greedy_answer_hold_what_it_holds(world: Path) -> None:
    train = sl.read(world / "train.npz")
    model = Identifier(variants=1, n_bootstrap=0, selection="greedy").fit(train)
    spectra = sl.read(world / "test.npz")
    row = next(i for i, entry in enumerate(spectra.labels) if set(entry) == {"Cs137", "background"})
    answer = model.analyze(spectra[[row]])
    chosen = {name for name, x in zip(answer.names, answer.amounts[0], strict=True) if x > 0}
    assert chosen == {"Cs137", "background"}
    axis, observed, parts = components_of(model, spectra, row)
    assert set(parts) - {"pile-up"} <= chosen
    assert answer.denoised is not None
    np.testing.assert_allclose(sum(parts.values()), answer.denoised.values[0], rtol=0.02, atol=0.1)
    assert axis.n_channels == len(observed)
    everything = Identifier(variants=1, n_bootstrap=0).fit(train)
    assert set(components_of(everything, spectra, row)[2]) - {"pile-up"} > chosen
