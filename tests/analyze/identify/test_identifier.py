from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.exceptions import NotFittedError

import spectraloom
from spectraloom.analyze import Identifier, variant_library
from spectraloom.data import Axis, Library, Spectra
from spectraloom.errors import AxisError, DataError, FitError
from spectraloom.process import rebin_library, remove_duplicates

SOURCES = 4
RATE = 0.01


def library(world: Any) -> Library:
    return Library(world.loadings[:SOURCES], world.axis, world.names[:SOURCES])


@pytest.fixture(scope="module")
def background(world: Any) -> Spectra:
    rng = np.random.default_rng(1)
    return Spectra(rng.poisson(np.tile(world.loadings[4] * 1e6, (20, 1))), world.axis)


@pytest.fixture(scope="module")
def model(world: Any, background: Spectra) -> Identifier:
    return Identifier(library(world), n_bootstrap=3000, false_alarm_rate=RATE).fit(background)


def draw(world: Any, amounts: list[float], n: int, seed: int, gain: float = 0.0) -> Spectra:
    moved = Axis.from_edges(world.axis.edges * (1.0 + gain))
    shapes = rebin_library(Library(world.loadings, moved, world.names), world.axis).templates
    rng = np.random.default_rng(seed)
    return Spectra(rng.poisson(np.tile(np.array(amounts) @ shapes, (n, 1))), world.axis)


def within(found: int, n: int, rate: float) -> bool:
    """Whether a number of alarms lies in its 99 % binomial interval, widened by a tenth.

    The tenth is the error of the simulated null distribution itself.
    """
    low, high = binom.ppf(0.005, n, 0.9 * rate), binom.ppf(0.995, n, 1.1 * rate)
    return bool(low <= found <= high)


# -- false alarms ------------------------------------------------------------------------------


@pytest.mark.parametrize(("counts", "n"), [(200.0, 8000), (2000.0, 20000), (20000.0, 8000)])
def test_false_alarms_come_at_the_stated_rate(
    model: Identifier, world: Any, counts: float, n: int
) -> None:
    result = model.analyze(draw(world, [0, 0, 0, 0, counts], n, 21))
    assert within(int(result.decisions[:, :SOURCES].any(axis=1).sum()), n, RATE)
    p_values = result.details["p_value"][:, :SOURCES]
    for tail in (0.1, 0.01, 0.001):  # the mean over the names, each with its own null
        assert np.mean(p_values < tail) == pytest.approx(tail, rel=0.25 if tail > 1e-3 else 0.6)
    assert np.isnan(result.details["p_value"][:, SOURCES]).all()


@pytest.mark.parametrize("gain", [-0.03, 0.02])
def test_a_gain_within_the_prior_makes_no_alarms(
    model: Identifier, world: Any, gain: float
) -> None:
    n = 4000
    result = model.analyze(draw(world, [0, 0, 0, 0, 3000.0], n, 22, gain))
    assert result.decisions[:, :SOURCES].any(axis=1).sum() <= binom.ppf(0.995, n, 1.2 * RATE)
    # The drift matters: a model that cannot follow it does not fit a strong source.
    strong = draw(world, [0, 0, 20000.0, 0, 3000.0], 300, 22, gain)
    still = Identifier(library(world), n_bootstrap=0, gain=None).fit(
        draw(world, [0, 0, 0, 0, 1e6], 5, 2)
    )
    assert still.analyze(strong).quality["dispersion"].mean() > 2.0
    moved = model.analyze(strong)
    assert moved.quality["dispersion"].mean() < 1.2
    assert moved.quality["gain"].mean() == pytest.approx(gain, abs=2e-3)


@pytest.mark.parametrize(("source", "counts"), [(0, 100.0), (2, 1000.0), (3, 10000.0)])
def test_a_second_source_is_not_invented(
    model: Identifier, world: Any, source: int, counts: float
) -> None:
    n = 3000
    amounts = [0.0, 0.0, 0.0, 0.0, 1000.0]
    amounts[source] = counts
    result = model.analyze(draw(world, amounts, n, 23))
    others = np.delete(np.arange(SOURCES), source)
    assert result.decisions[:, others].any(axis=1).sum() <= binom.ppf(0.995, n, RATE)
    if counts >= 1000:
        assert result.decisions[:, source].all()
        assert (result.top == world.names[source]).all()


def test_real_background_kept_apart_gives_the_stated_alarms(gamma_flow_zip: Path) -> None:
    groups = spectraloom.read_groups(gamma_flow_zip)
    files = {}
    for group in groups:
        names = group.columns["file"].astype(str)
        files |= {name.removesuffix(".npy"): group[names == name] for name in np.unique(names)}
    names = ("Am241", "Co60", "Cs137", "Eu152")
    simulated = Spectra.concatenate([files[f"{name}_simulated"] for name in names])
    window = (40.0, 2100.0)
    measured = remove_duplicates(files["background_20240124_left"])
    kept = np.arange(len(measured)) % 5 == 0
    model = Identifier(variant_library(simulated, 4, window=window), window=window).fit(
        measured[~kept]
    )
    result = model.analyze(measured[kept])
    n = int(kept.sum())
    alarms = (result.details["p_value"][:, : len(names)] < 0.005).sum(axis=0)
    assert n > 80
    assert (alarms <= binom.ppf(0.975, n, 0.005)).sum() >= 3  # of four intervals of 95 %
    assert alarms.sum() <= binom.ppf(0.975, n * len(names), 0.005)
    assert not result.flags["outlier"].any()


# -- amounts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [100.0, 1000.0, 10000.0, 100000.0])
def test_intervals_cover_the_true_amounts(model: Identifier, world: Any, counts: float) -> None:
    amounts = np.array([0.4 * counts, 0.0, 0.6 * counts, 0.0, counts])
    result = model.analyze(draw(world, amounts.tolist(), 3000, 31))
    assert result.uncertainties is not None
    inside = np.abs(result.amounts - amounts) < 1.96 * result.uncertainties
    assert 0.93 <= inside[:, [0, 2]].mean() <= 0.965
    assert (result.uncertainties > 0).all()


def test_count_rates_need_live_time(model: Identifier, world: Any) -> None:
    spectra = draw(world, [500.0, 0, 0, 0, 1000.0], 3, 32)
    assert "count_rate" not in model.analyze(spectra).details
    timed = model.analyze(spectra.replace(live_time=np.array([10.0, 20.0, 0.0])))
    rates, errors = (timed.details[f"count_rate{end}"] for end in ("", "_uncertainty"))
    np.testing.assert_allclose(rates[:2], timed.amounts[:2] / [[10.0], [20.0]])
    assert timed.uncertainties is not None
    np.testing.assert_allclose(errors[:2], timed.uncertainties[:2] / [[10.0], [20.0]])
    assert np.isnan(rates[2]).all()


def test_details_thresholds_and_denoised_belong_together(model: Identifier, world: Any) -> None:
    spectra = draw(world, [0, 0, 600.0, 0, 1500.0], 50, 33)
    result = model.analyze(spectra)
    threshold, limit = result.details["decision_threshold"], result.details["detection_limit"]
    assert (limit > threshold).all()
    assert (threshold[:, :SOURCES] > 0).all()
    clear = result.amounts[:, :SOURCES] > 1.5 * threshold[:, :SOURCES]
    assert result.decisions[:, :SOURCES][clear].all()
    assert result.denoised is not None
    assert result.denoised.axis == world.axis
    np.testing.assert_allclose(result.denoised.totals, spectra.totals, rtol=0.1)


@pytest.mark.parametrize("selection", ["all", "greedy"])
def test_the_likelihood_fit_is_that_of_the_answer(
    world: Any, background: Spectra, selection: str
) -> None:
    model = Identifier(library(world), n_bootstrap=0, selection=selection)
    spectra = draw(world, [500.0, 0, 800.0, 0, 2000.0], 5, 37, 0.01)
    with pytest.raises(NotFittedError):
        model.likelihood_fit(spectra)
    result = model.fit(background).analyze(spectra)
    fit = model.likelihood_fit(spectra)
    amounts = fit.amounts[:, [fit.names.index(name) for name in result.names]]
    np.testing.assert_array_equal(amounts, result.amounts)
    np.testing.assert_array_equal(fit.nuisances[:, 0], result.quality["gain"])
    for number, name in enumerate(fit.names):
        parts = fit.template_amounts[:, fit.groups == number].sum(axis=1)
        np.testing.assert_allclose(parts, fit.amounts[:, number], err_msg=name)


def test_half_the_amounts_at_the_detection_limit_and_95_percent_are_found(
    model: Identifier, world: Any
) -> None:
    empty = model.analyze(draw(world, [0, 0, 0, 0, 2000.0], 200, 34))
    limit = float(np.median(empty.details["detection_limit"][:, 2]))
    at_limit = model.analyze(draw(world, [0, 0, limit, 0, 2000.0], 2000, 35))
    assert 0.9 < at_limit.decisions[:, 2].mean() < 0.99


# -- outliers ----------------------------------------------------------------------------------


def test_unknown_sources_are_flagged_and_known_ones_are_not(world: Any) -> None:
    known = library(world).select(["Am241", "Co60", "Cs137"])
    model = Identifier(known, n_bootstrap=200).fit(draw(world, [0, 0, 0, 0, 1e6], 3, 41))
    unknown = model.analyze(draw(world, [0, 0, 0, 4000.0, 1000.0], 100, 42))
    fine = model.analyze(draw(world, [800.0, 0, 4000.0, 0, 1000.0], 100, 43))
    assert unknown.flags["outlier"].mean() > 0.95
    assert not fine.flags["outlier"].any()


def test_outliers_calibrated_on_known_spectra_come_at_the_stated_rate(
    model: Identifier, world: Any
) -> None:
    # Spectra that the library explains badly: a tenth of another shape in all of them.
    rng = np.random.default_rng(44)

    def known(n: int) -> Spectra:
        wrong = rng.uniform(0.0, 0.3, (n, 1)) * np.roll(world.loadings[2], 9)
        return Spectra(rng.poisson(3000 * (world.loadings[2] + wrong)), world.axis)

    twin = model.with_rate(RATE).calibrate_outliers(known(400), 0.1)
    result = twin.analyze(known(2000))
    flagged = result.flags["outlier"].mean()
    p_values = result.quality["outlier_p_value"]
    assert np.mean(p_values < 0.3) == pytest.approx(0.3, abs=0.08)
    np.testing.assert_allclose(result.quality["outlier_probability"], 1.0 - p_values)
    assert "outlier_p_value" not in model.analyze(known(5)).quality
    # Of 400 known spectra the quantile is known to 1.5 %.
    assert flagged == pytest.approx(0.1, abs=0.05)
    assert twin.misfit_boundary_ != model.misfit_boundary_
    with pytest.raises(DataError, match="at least 19 known spectra"):
        twin.calibrate_outliers(known(10), 0.05)


# -- making the library ------------------------------------------------------------------------


def test_labelled_spectra_make_the_library(world: Any) -> None:
    rng = np.random.default_rng(51)
    train = world.training(rng, 20, (20000.0, 40000.0))
    model = Identifier(variants=2, n_bootstrap=200).fit(train)
    assert model.classes_.tolist() == list(world.names)
    test = world.draw(np.array([[800.0, 0, 700, 0, 1500], [0, 0, 0, 0, 1500]]), rng)
    sets = model.predict_sets(test)
    assert set(sets[0]) == {"Am241", "Cs137"}
    assert sets[1] == ()
    assert model.predict(test).tolist() == [sets[0][0], "background"]


def test_numbers_for_labels_come_back_as_numbers(world: Any) -> None:
    rng = np.random.default_rng(52)
    shapes = world.loadings[[0, 2]] * 5000
    model = Identifier(variants=1, background=None).fit(
        rng.poisson(np.repeat(shapes, 10, axis=0)), np.repeat([3, 7], 10)
    )
    assert model.predict(rng.poisson(shapes)).tolist() == [3.0, 7.0]
    assert np.isnan(model.predict(np.zeros((1, world.axis.n_channels)))).all()


def test_spectra_on_another_axis_are_welcome(model: Identifier, world: Any) -> None:
    finer = Axis.regular(20.0, 1300.0, 200)
    shapes = rebin_library(Library(world.loadings, world.axis, world.names), finer).templates
    expected = np.array([0, 0, 900.0, 0, 2000.0]) @ shapes
    values = np.random.default_rng(53).poisson(np.tile(expected, (60, 1)))
    result = model.analyze(Spectra(values, finer))
    assert (result.top == "Cs137").all()
    assert result.amounts[:, 2].mean() == pytest.approx(900.0, rel=0.03)
    assert result.denoised is not None
    assert result.denoised.axis.edges[-1] <= world.axis.edges[-1] + finer.widths[-1]


def test_a_background_out_of_the_library_serves(world: Any) -> None:
    whole = Library(world.loadings, world.axis, world.names)
    sources_only = draw(world, [0, 0, 500.0, 0, 500.0], 5, 54).with_columns(labels=["Cs137"] * 5)
    model = Identifier(whole, n_bootstrap=0).fit(sources_only)
    assert model.background_ is not None
    assert model.analyze(draw(world, [0, 0, 900.0, 0, 900.0], 5, 55)).top.tolist() == ["Cs137"] * 5  # type: ignore[union-attr]


def test_intensities_with_a_variance_follow_the_theory(model: Identifier, world: Any) -> None:
    rng = np.random.default_rng(56)
    expected = 50.0 * world.loadings[4]
    values = rng.normal(np.tile(expected, (4000, 1)), 0.02)
    spectra = Spectra(values, world.axis, kind="intensity", variance=np.full(values.shape, 4e-4))
    result = model.analyze(spectra)
    assert result.unit == "intensity"
    assert result.decisions[:, :SOURCES].any(axis=1).sum() <= binom.ppf(0.999, 4000, 1.2 * RATE)


# -- bad input ---------------------------------------------------------------------------------


def test_negative_counts_are_refused(model: Identifier, world: Any) -> None:
    with pytest.raises(DataError, match=r"[Nn]egative"):
        model.predict(np.full((1, world.axis.n_channels), -1.0))
    with pytest.raises(DataError, match=r"[Nn]egative"):
        Spectra(np.full((1, world.axis.n_channels), -1.0), world.axis)


def test_fractions_empty_and_saturated_spectra_are_flagged(model: Identifier, world: Any) -> None:
    values = draw(world, [0, 0, 900.0, 0, 2000.0], 4, 61).values.astype(np.float64)
    values[0] += 0.25
    values[1] = 0.0
    values[2, 5] = 2**16 - 1
    times = {"live_time": np.array([1.0, 1, 1, 0.3]), "real_time": np.ones(4)}
    result = model.analyze(Spectra(values, world.axis, **times))
    assert result.flags["fractional"].tolist() == [True, False, False, False]
    assert result.flags["empty"].tolist() == [False, True, False, False]
    assert result.flags["saturated"].tolist() == [False, False, True, True]
    assert result.decisions[0, 2]
    assert result.decisions[3, 2]
    assert not result.decisions[1].any()
    assert result.amounts[1].tolist() == [0.0] * 5
    assert result.top is not None
    assert result.top[1] == "background"


def test_no_spectra_at_all_give_an_empty_result(model: Identifier, world: Any) -> None:
    result = model.analyze(Spectra(np.zeros((0, world.axis.n_channels), int), world.axis))
    assert len(result) == 0
    assert result.names == world.names


@pytest.mark.parametrize(
    "axis",
    [
        Axis.regular(1400.0, 3000.0, 128),
        Axis.uncalibrated(128),
        Axis.regular(0.0, 1280.0, 128, quantity="wavelength", unit="nm"),
    ],
)
def test_an_axis_that_does_not_fit_is_refused(model: Identifier, axis: Axis) -> None:
    with pytest.raises(AxisError):
        model.analyze(Spectra(np.ones((2, 128), int), axis))


def test_uncalibrated_spectra_need_as_many_channels(world: Any) -> None:
    axis = Axis.uncalibrated(128)
    model = Identifier(Library(world.loadings, axis, world.names), n_bootstrap=0).fit(
        Spectra(np.ones((1, 128), int), axis)
    )
    with pytest.raises(AxisError, match="channels"):
        model.analyze(Spectra(np.ones((2, 100), int), Axis.uncalibrated(100)))


def test_two_names_with_the_same_template_are_refused(world: Any, background: Spectra) -> None:
    shapes = np.vstack([world.loadings[:2], 3.0 * world.loadings[1]])
    with pytest.raises((DataError, FitError), match=r"Co60.*Fe60|Fe60.*Co60"):
        Identifier(Library(shapes, world.axis, ("Am241", "Co60", "Fe60")), n_bootstrap=0).fit(
            background
        )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"false_alarm_rate": 0.0}, "false-alarm rate"),
        ({"n_bootstrap": 10}, "n_bootstrap"),
        ({"n_bootstrap": 100.0}, "n_bootstrap"),
        ({"n_bootstrap": True}, "n_bootstrap"),
        ({"background_components": "some"}, "background_components"),
        ({"model_error": -0.1}, "model_error"),
        ({"min_share": 1.0}, "min_share"),
        ({"selection": "some"}, "selection"),
        ({"background_components": 0}, "background_components"),
        ({"gain": -1.0}, "gain"),
    ],
)
def test_settings_out_of_range_are_refused(
    world: Any, background: Spectra, settings: dict[str, object], words: str
) -> None:
    with pytest.raises((DataError, FitError), match=words):
        Identifier(library(world), **settings).fit(background)  # type: ignore[arg-type]


def test_nothing_to_make_a_library_of_is_said(world: Any, background: Spectra) -> None:
    with pytest.raises(FitError, match="requires y"):
        Identifier().fit(background)
    with pytest.raises(FitError, match="no spectrum with exactly one source"):
        Identifier().fit(background.with_columns(labels=["background"] * len(background)))
    only = Library(world.loadings[4:], world.axis, ("background",))
    with pytest.raises(FitError, match="no source"):
        Identifier(only).fit(background)


# -- the same whatever the machine ---------------------------------------------------------------


def test_threads_and_neighbours_change_nothing(model: Identifier, world: Any) -> None:
    spectra = draw(world, [50.0, 0, 80.0, 0, 900.0], 700, 71)
    whole = model.analyze(spectra)
    with mock.patch.object(os, "cpu_count", return_value=1):
        alone = model.analyze(spectra)
    parts = [model.analyze(spectra[rows]) for rows in (slice(0, 13), slice(13, 700))]
    for name in ("amounts", "decisions", "uncertainties"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(alone, name))
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_allclose(getattr(whole, name), joined, rtol=1e-12)
    np.testing.assert_array_equal(whole.details["p_value"], alone.details["p_value"])


def test_another_rate_is_another_decision_and_nothing_else(model: Identifier, world: Any) -> None:
    spectra = draw(world, [0, 0, 25.0, 0, 1000.0], 300, 72)
    strict, loose = model.with_rate(1e-6), model.with_rate(0.3)
    assert model.false_alarm_rate == RATE
    np.testing.assert_array_equal(strict.analyze(spectra).amounts, loose.analyze(spectra).amounts)
    found = [one.analyze(spectra).decisions[:, 2].sum() for one in (strict, model, loose)]
    assert found[0] < found[1] < found[2]


def test_counts_at_the_ends_of_the_library_do_not_forbid_a_gain(world: Any) -> None:
    # A single count in the last bin is no evidence of anything.
    model = Identifier(library(world), n_bootstrap=0).fit(draw(world, [0, 0, 0, 0, 1e6], 3, 73))
    spectra = draw(world, [0, 0, 0, 0, 2000.0], 500, 74)
    values = spectra.values.copy()
    values[:, -1] += 1
    result = model.analyze(Spectra(values, world.axis))
    assert not result.flags["not_converged"].any()
    assert result.details["p_value"][:, :SOURCES].min() > 1e-6
