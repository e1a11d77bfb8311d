"""The steel-sphere benchmark on the real files, with few spectra."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.signature import TabulatedSignature
from spectraloom.cli import app
from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate import prepare_steel_sphere, run_steel_sphere_benchmark
from spectraloom.evaluate.sphere_latents import judge_drift, shifted
from spectraloom.evaluate.sphere_mixtures import scores_of
from spectraloom.evaluate.sphere_trial import (
    SphereTrial,
    bound_of,
    expected_of,
    prepare_sphere_trial,
    protocols_of,
)
from spectraloom.evaluate.steel_sphere_data import SteelSphereSets
from spectraloom.io import read_groups


@pytest.fixture(scope="module")
def trial(steel_sphere_zip: Path) -> SphereTrial:
    return prepare_sphere_trial(prepare_steel_sphere(read_groups(steel_sphere_zip)))


def test_the_command_gives_every_figure(steel_sphere_zip: Path, tmp_path: Path) -> None:
    out = tmp_path / "numbers.json"
    done = CliRunner().invoke(
        app,
        ["bench", "steel-sphere", "--data", str(steel_sphere_zip), "--json", str(out),
         "--spectra", "40", "--no-networks"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    numbers = json.loads(out.read_text())
    for counts in ("2500", "100000"):
        level = numbers["P4"][counts]
        assert level["mre"] < 0.15
        assert 0.8 < level["rmse_over_crb"] < 1.3
        assert 0.85 < level["coverage95"] <= 1.0
        assert level["seconds_per_spectrum"] > 0
        theirs = numbers["reference"]["P4"][counts]
        # Signatures that do not deform are far off.
        assert theirs["poisson_bare"]["mre"] > 3 * level["mre"]
        assert theirs["nnls_bare"]["mre"] > 3 * level["mre"]
    multi = numbers["multi"]["100000"]
    assert multi["individual"]["mre"] < 0.04 < multi["common"]["mre"]
    assert numbers["ident"]["ppr"] > numbers["ident"]["ceiling"]["ppr"] - 0.06
    assert numbers["ident"]["fpr"] < 0.05
    assert numbers["misfit"]["100000"]["gain_2pct"] > 0.95
    assert numbers["misfit"]["100000"]["model"] <= 0.1
    assert abs(numbers["latents"]["100000"]["bias"]["gain"]) < 1e-3
    assert numbers["iae"]["interpolated"]["count_bias"] < 0.004
    assert numbers["iae"]["interpolated"]["knots"] == 7
    assert numbers["drift"] == {}  # no drift spectra are there
    assert "P4, 2500 counts" in done.output


def test_protocols_are_held_out(trial: SphereTrial) -> None:
    protocol = protocols_of(trial)[0]
    assert protocol.name == "P4"
    assert trial.thickness[protocol.thickness] == pytest.approx(5.2)
    assert not trial.training[protocol.thickness]
    assert trial.training[[0, -1]].all()
    assert trial.training.sum() in (70, 71)
    assert (~trial.identify_training).sum() in (17, 18, 19)
    used = trial.training_spectra(trial.training)
    assert set(np.unique(used.column("thickness"))) == set(trial.thickness[trial.training])


def test_other_nuclides_get_protocols_of_their_own(trial: SphereTrial) -> None:
    names = ("Y88", "I131", "Ga67", "Bi207", "Eu152")
    shapes = np.repeat(trial.shapes, 2, axis=1)[:, : len(names)]
    other = SphereTrial(
        trial.spectra, names, trial.thickness, shapes, trial.background, trial.training,
        trial.identify_training,
    )  # fmt: skip
    found = {one.name: one for one in protocols_of(other)}
    assert list(found) == ["P12k", "P12a"]
    assert len(found["P12k"].fitted) == 4
    assert found["P12a"].fitted == names
    assert sum(found["P12k"].shares.values()) == pytest.approx(0.5)


def test_the_bound_is_that_of_the_inverse_information(trial: SphereTrial) -> None:
    """Against known thickness: the unknown one costs, and tables of the report agree."""
    truth = 2500 * np.array([0.12, 0.08, 0.2, 0.1, 0.5])  # Ba133, Co57, Co60, Cs137, background
    place = protocols_of(trial)[0].thickness
    deviations, thickness = bound_of(trial, place, truth, range(4))
    # Section on bounds of the published protocol: 12.5, 13.0, 8.5, 12.6 and 6.4 per cent, 1.24 mm.
    expected = np.array([12.50, 12.98, 8.47, 12.64, 6.40])
    assert 100 * deviations / truth == pytest.approx(expected, rel=0.03)
    assert thickness == pytest.approx(1.24, rel=0.05)
    mu = expected_of(trial, np.full(4, place), truth)
    rows = np.vstack([trial.shapes[place], trial.under])
    known = np.sqrt(np.diag(np.linalg.inv((rows / np.maximum(mu, 1e-12)) @ rows.T)))
    assert (known < deviations).all()


def test_scores_by_hand() -> None:
    amounts = np.array([[110.0, 5.0], [90.0, 0.0]])
    scores = scores_of(amounts, np.array([100.0, 0.0]), np.array([10.0, 1.0]), np.full((2, 2), 4.0))
    assert scores["mre"] == pytest.approx(0.1)
    assert scores["rmse_over_crb"] == pytest.approx(1.0)
    assert scores["coverage95"] == 0.0
    assert scores["spurious_counts"] == pytest.approx(2.5)


def test_a_shifted_gain_keeps_counts_inside_and_moves_the_mean() -> None:
    axis = Axis.regular(0.0, 1000.0, 500)
    row = np.exp(-0.5 * ((axis.centers - 400.0) / 20.0) ** 2)[np.newaxis]
    moved = shifted(row, axis, 0.02)
    assert moved.sum() == pytest.approx(row.sum(), rel=1e-6)
    assert moved[0] @ axis.centers / moved.sum() == pytest.approx(408.0, abs=0.2)


def test_drift_finds_the_gain_of_spectra_that_were_shifted(trial: SphereTrial) -> None:
    model = TabulatedSignature.from_model(
        InterpolatedSignature.from_spectra(trial.training_spectra(trial.training), "thickness")
    )
    bare = trial.shapes[0]
    drift = Spectra(
        np.round(1e6 * shifted(bare, trial.axis, 0.03)),
        trial.axis,
        columns={
            "labels": [(name,) for name in trial.names],
            "thickness": np.full(4, 0.001),
            "gain_shift": np.full(4, 0.03),
        },
    )
    found = judge_drift(trial, drift, model, n=10)["+0.03"]["100000"]
    assert found["gain_error"] < 2e-3
    assert found["mre"] < 0.05


def test_spectra_without_background_or_of_another_layout_are_refused(
    trial: SphereTrial, steel_sphere_zip: Path
) -> None:
    sets = SteelSphereSets(trial.spectra, None, None)
    with pytest.raises(DataError, match="background"):
        prepare_sphere_trial(sets)
    with pytest.raises(DataError, match="steel-sphere"):
        run_steel_sphere_benchmark([Spectra(np.ones((1, 5)))], networks=False)
    with pytest.raises(DataError, match="at least 20"):
        run_steel_sphere_benchmark(read_groups(steel_sphere_zip), n=3)
