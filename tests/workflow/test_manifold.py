from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.analyze import ManifoldUnmixer
from spectraloom.data import Spectra
from spectraloom.errors import DataError, LabelError
from spectraloom.generate import demo_detectors, simulate_gamma
from spectraloom.workflow import (
    ManifoldTraining,
    components_of_manifold,
    identify_files,
    manifold_report,
    read_deforming,
    train_manifold,
    try_out_manifold,
    unmixed_report,
)
from spectraloom.workflow.manifold import held_out_values
from spectraloom.workflow.manifold_sections import own_text, shared_text
from spectraloom.workflow.trust import summary

EAST = demo_detectors()["east"]
STEEL = tuple(0.15 * 1.3**step for step in range(11))  # cm


def steel_spectra(seed: int = 1) -> Spectra:
    sources = simulate_gamma(
        ["Ba133", "Cs137"],
        EAST,
        240,
        counts=(2e4, 4e4),
        absorbers=[None, *(("Fe", each) for each in STEEL)],
        seed=seed,
    )
    background = simulate_gamma(["background"], EAST, 20, counts=(2e4, 2e4), seed=seed + 1)
    return Spectra.concatenate([sources, background])


@pytest.fixture(scope="module")
def training() -> ManifoldTraining:
    return train_manifold(steel_spectra(), ManifoldUnmixer(unit="cm"), holdout=0.3, seed=2)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spectra = simulate_gamma(
        [("Ba133", "Cs137"), "Cs137", "background"],
        EAST,
        9,
        counts=(4e3, 4e3),
        absorbers=[("Fe", 0.6)],
        background_counts=(4e3, 4e3),
        seed=5,
    )
    path = tmp_path_factory.mktemp("mixed") / "mixed.npz"
    sl.write(spectra, path)
    return path


def test_held_out_values_lie_inside_and_are_learned_from_in_the_end(
    training: ManifoldTraining,
) -> None:
    held = training.held_out
    assert len(held) == 3
    assert (held > 0).all()
    assert held.max() < max(STEEL)
    assert training.model.learning_["n_spectra"] == 240
    whole = ManifoldUnmixer(unit="cm").fit(steel_spectra())
    assert np.array_equal(training.model.signatures_.table, whole.signatures_.table)
    (one,) = training.model.signatures_.deformations
    assert (one.low, one.high) == (0.0, pytest.approx(max(STEEL)))


def test_it_is_tried_out_on_mixtures_of_what_was_held_out(training: ManifoldTraining) -> None:
    strong = training.tried["mixtures"]["20000"]
    assert strong["sets_right"] > 0.9
    assert strong["mean_relative_error"] < 0.06
    assert strong["coverage"] > 0.85
    assert strong["deformation_coverage"] > 0.85
    alarms = training.tried["false_alarms"]
    assert alarms["stated"] == 0.01
    assert alarms["low"] < 0.015
    told = training.to_dict()
    assert told["held_out"] == training.held_out.tolist()
    assert told["classes"] == ["Ba133", "Cs137", "background"]


def test_a_wrong_signature_is_seen_in_the_trial(training: ManifoldTraining) -> None:
    spectra = steel_spectra()
    rows = np.isin(spectra.columns["thickness"], training.held_out)
    right = try_out_manifold(training.model, spectra[rows], seed=1)["mixtures"]["20000"]
    wrong = spectra[rows].with_columns(
        thickness=np.where(spectra.columns["thickness"][rows] > 0.5, 0.2, 2.0)
    )
    worse = try_out_manifold(training.model, wrong, seed=1)["mixtures"]["20000"]
    assert worse["deformation_coverage"] < 0.3 < right["deformation_coverage"]


def test_nothing_is_held_out_on_request(training: ManifoldTraining) -> None:
    spectra = steel_spectra()
    model = ManifoldUnmixer(unit="cm")
    assert len(held_out_values(spectra, model, 0.0, 1)) == 0
    with pytest.raises(DataError, match="share to hold out"):
        train_manifold(spectra, model, holdout=1.0)
    with pytest.raises(LabelError, match="--deformation"):
        train_manifold(spectra, ManifoldUnmixer(deformation="depth"))
    assert try_out_manifold(training.model, spectra[:0]) == {}


def test_files_are_unmixed_and_reported(training: ManifoldTraining, mixed: Path) -> None:
    result, groups = identify_files(training.model, mixed)
    spectra = groups[0]
    assert [set(entry) for entry in result.labels] == [set(entry) for entry in spectra.labels]
    text = shared_text(training.model, result, 0)
    assert text.startswith("thickness ")
    assert text.endswith(" cm)")
    assert own_text(training.model, result, 0, 0) == ""
    lines = summary(result, None, training.model)
    assert any("thickness from 0 to" in line for line in lines)
    page = unmixed_report(training.model, result, groups, "").to_html()
    for heading in ("What was found", "Spectra"):
        assert f">{heading}</h2>" in page
    assert "Not drawn" not in page
    assert page.count("<img ") >= 5


def test_the_report_of_the_training_shows_signatures_and_trial(training: ManifoldTraining) -> None:
    page = manifold_report(training, "someone").to_html()
    for heading in ("Signatures", "Tried out"):
        assert f">{heading}</h2>" in page
    assert "Not drawn" not in page
    bare = manifold_report(dataclasses.replace(training, tried={}), "").to_html()
    assert ">Tried out</h2>" not in bare


def test_components_add_up_to_the_fit(training: ManifoldTraining, mixed: Path) -> None:
    spectra = sl.read(mixed)
    axis, observed, parts = components_of_manifold(training.model, spectra, 0)
    denoised = training.model.analyze(spectra[:1]).denoised
    assert denoised is not None
    assert axis.n_channels == denoised.n_channels == len(observed)
    np.testing.assert_allclose(sum(parts.values()), denoised.values[0], rtol=1e-6, atol=1e-9)


def test_every_source_has_its_own_text(mixed: Path, training: ManifoldTraining) -> None:
    model = ManifoldUnmixer(training.model.signatures_, individual=True, gain=0.01)
    model.fit(simulate_gamma(["background"], EAST, 5, counts=(2e4, 2e4), seed=9))
    result = model.analyze(sl.read(mixed))
    assert shared_text(model, result, 0).startswith("gain ")
    column = result.names.index("Cs137")
    row = next(i for i, entry in enumerate(result.labels) if "Cs137" in entry)
    assert own_text(model, result, row, column).startswith("thickness ")
    assert own_text(model, result, row, result.names.index("background")) == ""


def test_the_steel_sphere_files_are_read_for_training(steel_sphere_zip: Path) -> None:
    spectra = read_deforming(steel_sphere_zip)
    labels = {entry[0] for entry in spectra.labels}
    assert labels == {"Ba133", "Co57", "Co60", "Cs137", "background"}
    # The background ends earlier than the simulations: beyond, nothing is known of it.
    assert spectra.axis.edges[-1] == 2200.0
    background = np.array([entry == ("background",) for entry in spectra.labels])
    assert np.isnan(spectra.columns["thickness"][background]).all()
    assert len(np.unique(spectra.columns["thickness"][~background])) == 96
