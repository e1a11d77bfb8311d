from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, norm, poisson

from spectraloom.analyze import Identifier
from spectraloom.analyze.identify.components import components_needed
from spectraloom.analyze.identify.shape_drift import (
    ShapeDrift,
    background_rows,
    blocks_of_time,
    exposure_of,
)
from spectraloom.analyze.identify.tilted import tilted_counts
from spectraloom.analyze.likelihood import Resolution
from spectraloom.data import Axis, Library, Spectra
from spectraloom.data.columns import label_sets
from spectraloom.errors import DataError, FitError

SOURCES = 4


def library(world: Any) -> Library:
    return Library(world.loadings[:SOURCES], world.axis, world.names[:SOURCES])


def drifting(world: Any, n: int, seed: int, change: float, counts: float = 2500.0) -> Spectra:
    """Background whose low energies come and go, independently from spectrum to spectrum."""
    rng = np.random.default_rng(seed)
    bump = np.exp(-0.5 * ((world.axis.centers - 66.0) / 14.0) ** 2)
    part = rng.normal(0.0, change, (n, 1))
    expected = world.loadings[4] + part * bump / bump.sum() * world.loadings[4][:20].mean() * 10
    return Spectra(rng.poisson(counts * np.maximum(expected, 0.0)), world.axis)


# -- importance sampling -------------------------------------------------------------------------


def test_weights_give_the_chances_of_the_background_alone(rng: np.random.Generator) -> None:
    # One channel holds the source: sums over it have a Poisson distribution known exactly.
    expected, shapes = np.array([9.0, 400.0]), np.array([[1.0, 0.0]])
    counts, weights = tilted_counts(expected, shapes, slice(0, 2), 4000, rng)
    assert weights.mean() == pytest.approx(1.0, abs=0.05)
    for least in (12, 18, 24, 30):
        chance = float((weights * (counts[:, 0] >= least)).mean())
        # At 30 counts one of 10 million spectra of background: plain draws would see none.
        assert chance == pytest.approx(poisson.sf(least - 1, 9.0), rel=0.25)


def test_channels_without_background_are_no_stumbling_block(rng: np.random.Generator) -> None:
    expected, shapes = np.array([0.0, 50.0, 0.0]), np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    counts, weights = tilted_counts(expected, shapes, slice(0, 3), 3000, rng)
    assert np.isfinite(weights).all()
    assert weights.mean() == pytest.approx(1.0, abs=0.1)
    assert (weights[counts[:, 0] > 0] < 1e-12).all()  # background alone never makes such a count


# -- change of the background --------------------------------------------------------------------


@pytest.mark.parametrize("added", [0.0, 0.5, 3.0])
def test_the_widening_is_found_and_its_limit_lies_above(added: float) -> None:
    rng = np.random.default_rng(2)
    totals = rng.uniform(1000.0, 4000.0, 400)
    found, above = [], 0
    for _ in range(60):
        roots = rng.normal(size=(400, 1)) * np.sqrt(1.0 + added * totals[:, None] / 2000.0)
        drift = ShapeDrift.learn(norm.sf(roots), totals, totals)
        found.append(drift.slopes[0] * 2000.0)
        above += int((drift.slopes + drift.margins)[0] * 2000.0 >= added)
    if added:
        assert np.mean(found) == pytest.approx(added, rel=0.12)
    else:
        assert np.mean(found) < 0.1
    assert binom.ppf(0.001, 60, 0.84) <= above  # the limit of one standard deviation


def test_what_was_not_seen_does_not_grow_beyond_what_was_looked_at() -> None:
    drift = ShapeDrift(np.array([0.0, 1e-3]), np.array([1e-4, 0.0]), 1000.0)
    at = np.array([0.0, 500.0, 1000.0, 1e5])
    widened = drift.inflation(at, at)
    np.testing.assert_allclose(widened[:, 0], [1.0, 1.05, 1.1, 1.1])
    np.testing.assert_allclose(widened[:, 1], [1.0, 1.5, 2.0, 101.0])
    # Beside a strong source, only the background can change.
    strong = drift.inflation(np.array([1e5]), np.array([1000.0]))
    np.testing.assert_allclose(strong, [[1.0 + 1e-3, 1.0 + 1e-2]])
    assert exposure_of(np.zeros(1), np.ones(1)).tolist() == [0.0]


def test_too_few_or_empty_spectra_teach_nothing() -> None:
    with pytest.raises(DataError, match="at least 40 spectra, got 39"):
        ShapeDrift.learn(np.full((39, 1), 0.5), np.ones(39), np.ones(39))
    with pytest.raises(DataError, match="no background"):
        ShapeDrift.learn(np.full((40, 1), 0.5), np.ones(40), np.zeros(40))


def test_blocks_of_time_leave_out_every_row_once() -> None:
    pairs = list(blocks_of_time(43))
    assert np.concatenate([block for _, block in pairs]).tolist() == list(range(43))
    for others, block in pairs:
        assert (np.diff(block) == 1).all()
        assert sorted([*others, *block]) == list(range(43))


def test_background_is_what_is_labelled_so_and_holds_counts() -> None:
    labels = label_sets(["background", "Cs137", ("background", "Cs137"), "background"])
    counts = np.array([5, 5, 5, 0])
    assert background_rows(labels, "background", counts).tolist() == [0]
    assert background_rows(None, "background", counts).tolist() == [0, 1, 2]


def test_false_alarms_on_a_changing_background_keep_the_stated_rate(world: Any) -> None:
    rate, n = 0.01, 2500
    judged = drifting(world, n, 3, 0.25)
    few = Identifier(library(world), n_bootstrap=400, false_alarm_rate=rate).fit(
        drifting(world, 39, 4, 0.25)
    )
    assert few.null_.drift is None
    assert "fewer than 40" in few.provenance_["false_alarms"]["change_of_background"]
    alarms = few.analyze(judged).decisions[:, :SOURCES].any(axis=1).sum()
    assert alarms > 3 * rate * n  # the shape of the background matters
    model = Identifier(library(world), n_bootstrap=400, false_alarm_rate=rate).fit(
        drifting(world, 300, 4, 0.25)
    )
    told = model.provenance_["false_alarms"]
    assert "300 spectra" in told["change_of_background"]
    assert told["widening"]["Am241"] > 1.2 > told["widening"]["Co60"] >= 1.0
    result = model.analyze(judged)
    for tail in (0.1, 0.02):
        # Of 300 spectra the widening is known to a tenth; its upper limit is taken.
        assert 0.3 * tail < (result.details["p_value"][:, 0] < tail).mean() < 1.2 * tail
    alarms = result.decisions[:, :SOURCES].any(axis=1).sum()
    assert alarms <= binom.ppf(0.995, n, 1.1 * rate)


def test_a_steady_background_costs_little(world: Any) -> None:
    settings: dict[str, Any] = {"n_bootstrap": 1000, "random_state": 5}
    model = Identifier(library(world), **settings).fit(drifting(world, 300, 6, 0.0))
    bare = Identifier(library(world), **settings).fit(drifting(world, 39, 6, 0.0))
    spectra = drifting(world, 50, 7, 0.0)
    thresholds = [
        np.median(one.analyze(spectra).details["decision_threshold"][:, :SOURCES], axis=0)
        for one in (model, bare)
    ]
    # The limit of one standard deviation, of 300 spectra, is about a tenth.
    assert np.median(thresholds[0] / thresholds[1]) < 1.2


def test_ratios_of_each_name_alone_are_calibrated_on_measurements_too(world: Any) -> None:
    model = Identifier(library(world), n_bootstrap=100, selection="greedy").fit(
        drifting(world, 100, 8, 0.5)
    )
    assert model.null_.drift is not None
    inflation = model.null_.drift.inflation(np.array([2500.0]), np.array([2500.0]))[0]
    assert inflation[0] > 1.5 > inflation[1]


# -- chance, simulated ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chance(world: Any) -> Identifier:
    shape = world.loadings[4] * 1e6
    background = Spectra(np.random.default_rng(1).poisson(np.tile(shape, (5, 1))), world.axis)
    return Identifier(library(world), n_bootstrap=1000).fit(background)


@pytest.mark.parametrize("counts", [150.0, 700.0, 3300.0, 15000.0])
def test_the_stated_tail_holds_at_and_between_levels(
    chance: Identifier, world: Any, counts: float
) -> None:
    n = 6000
    drawn = np.random.default_rng(9).poisson(counts * np.tile(world.loadings[4], (n, 1)))
    p_values = chance.analyze(Spectra(drawn, world.axis)).details["p_value"][:, :SOURCES]
    for rate, error in ((0.1, 0.08), (0.01, 0.2), (0.001, 0.6)):
        alarms, tries = int((p_values < rate).sum()), p_values.size
        assert binom.ppf(1e-3, tries, rate * (1 - error)) <= alarms
        assert alarms <= binom.ppf(1 - 1e-3, tries, rate * (1 + error))


def test_chance_is_simulated_for_the_counts_in_the_window(world: Any) -> None:
    # Most counts lie outside of the window: looked up by those inside, the tail is the same.
    shape = world.loadings[4] * 1e6
    background = Spectra(np.random.default_rng(1).poisson(np.tile(shape, (5, 1))), world.axis)
    sources = library(world).select(["Co60", "Cs137"])
    model = Identifier(sources, n_bootstrap=600, window=(500.0, 1280.0)).fit(background)
    n, inside = 6000, world.loadings[4][50:].sum()
    assert inside < 0.2
    drawn = np.random.default_rng(10).poisson(120.0 / inside * np.tile(world.loadings[4], (n, 1)))
    p_values = model.analyze(Spectra(drawn, world.axis)).details["p_value"][:, :2]
    assert (p_values < 0.01).mean() == pytest.approx(0.01, rel=0.35)


def test_no_amount_is_surer_than_one_count(world: Any) -> None:
    for background in (None, "background"):
        model = Identifier(library(world), n_bootstrap=0, background=background).fit(
            drifting(world, 5, 14, 0.0)
        )
        empty = Spectra(np.zeros((1, 128), int), world.axis)
        result = model.analyze(empty)
        assert result.uncertainties is not None
        assert (result.uncertainties[0, :SOURCES] >= 1.0).all()
        assert (result.details["decision_threshold"][0, :SOURCES] > 1.0).all()
        assert (result.details["detection_limit"][0, :SOURCES] > 2.9).all()  # e^-3 is 5 %


# -- settings ------------------------------------------------------------------------------------


def test_names_without_counts_in_the_window_are_named_at_once(world: Any) -> None:
    peak = np.zeros(128)
    peak[3:9] = 1.0
    own = Library(np.vstack([world.loadings[2], peak]), world.axis, ("Cs137", "Low"))
    with pytest.raises(FitError, match="of Low have no counts between 400 and 1000 keV"):
        Identifier(own, window=(400.0, 1000.0)).fit(drifting(world, 5, 1, 0.0))


def test_components_follow_what_the_background_is_made_of(world: Any) -> None:
    steady = drifting(world, 60, 11, 0.0, counts=20000.0)
    assert components_needed(steady) == 1
    rng = np.random.default_rng(12)
    other = np.exp(-world.axis.centers / 60.0)
    part = rng.uniform(0.0, 0.3, (80, 1))
    mixed = (1.0 - part) * world.loadings[4] + part * other / other.sum()
    varied = Spectra(rng.poisson(20000.0 * mixed), world.axis)
    assert components_needed(varied) == 2
    assert components_needed(varied[:39]) == 1
    model = Identifier(library(world), background_components="auto", n_bootstrap=0).fit(varied)
    assert model.background_ is not None
    assert len(model.background_) == 2
    assert model.analyze(varied).quality["deviance_per_dof"].mean() < 1.1


def test_uncalibrated_axes_are_calibrated_on_measurements(world: Any) -> None:
    axis = Axis.uncalibrated(128)
    own = Library(world.loadings[:2], axis, world.names[:2])
    quiet = drifting(world, 60, 13, 0.0)
    model = Identifier(own, n_bootstrap=100).fit(quiet.replace(axis=axis))
    assert model.null_.drift is not None


@pytest.mark.parametrize("wrong", [(-1.0,), (0.07, 0.0), (float("nan"),), (0.07, 600.0, np.inf)])
def test_a_resolution_that_makes_no_sense_is_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="of a resolution is finite"):
        Resolution(*wrong)
