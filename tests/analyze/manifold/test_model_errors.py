from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze import ManifoldUnmixer, load, save
from spectraloom.analyze.manifold import Deformation, TabulatedSignature
from spectraloom.analyze.manifold.answers import at_range_end
from spectraloom.analyze.manifold.fit import fit_manifold
from spectraloom.analyze.manifold.learned import without_empty_channels
from spectraloom.analyze.manifold.model_errors import (
    LeftOutErrors,
    added_covariance,
    model_errors_on,
)
from spectraloom.data import Axis, Library, Spectra
from spectraloom.errors import AxisError, FormatError

AXIS = Axis.regular(0.0, 1200.0, 80)
STEEL = Deformation("thickness", "cm", 0.0, 4.0, 0.04)
NAMES = ("A", "B")
X = AXIS.centers
UNDER = np.exp(-X / 300.0) / np.exp(-X / 300.0).sum()
TRAINED = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.2, 2.0, 3.0, 4.0)


def shape(name: str, thickness: float) -> np.ndarray:
    soft, hard = {"A": (130.0, 660.0), "B": (300.0, 900.0)}[name]
    total = 0.15 * np.exp(-X / 300.0) * (1.0 + 0.3 * thickness) * (hard > X)
    for energy in (soft, hard):
        passed = np.exp(-thickness * (150.0 / energy) ** 1.5)
        total = total + passed * np.exp(-0.5 * ((X - energy) / (0.03 * energy + 6.0)) ** 2)
    return np.asarray(total / total.sum())


def training(counts: float, seed: int = 0, values: tuple[float, ...] = TRAINED) -> Spectra:
    rng = np.random.default_rng(seed)
    rows = [counts * shape(name, t) for name in NAMES for t in values]
    labels = [*((name,) for name in NAMES for _ in values), ("background",)]
    return Spectra(
        rng.poisson(np.array([*rows, 1e7 * UNDER])).astype(float),
        AXIS,
        columns={"labels": labels, "thickness": [*values, *values, np.nan]},
    )


def drawn(amounts: dict[str, float], thickness: float, n: int, seed: int = 1) -> Spectra:
    mu = amounts.get("background", 0.0) * UNDER
    for name in NAMES:
        mu = mu + amounts.get(name, 0.0) * shape(name, thickness)
    return Spectra(np.random.default_rng(seed).poisson(np.tile(mu, (n, 1))).astype(float), AXIS)


def exact() -> TabulatedSignature:
    nodes = STEEL.from_unit(np.linspace(0.0, 1.0, 129))
    rows = np.array([[shape(name, float(t)) for name in NAMES] for t in nodes])
    return TabulatedSignature(AXIS, NAMES, (STEEL,), rows)


def quiet(counts: float, seed: int = 3) -> Spectra:
    return Spectra(np.random.default_rng(seed).poisson(counts * UNDER)[np.newaxis] * 1.0, AXIS)


@pytest.fixture(scope="module")
def rough() -> ManifoldUnmixer:
    """Few counts and few knots: signatures are off, and far beyond what counting explains."""
    return ManifoldUnmixer(unit="cm", knots=4).fit(training(2e4))


@pytest.mark.parametrize("intervals", [None, "profile"])
def test_intervals_cover_with_signatures_that_are_off(rough: ManifoldUnmixer, intervals) -> None:
    true = {"A": 4e4, "B": 4e4, "background": 1e4}
    held, by_chance, amounts = [], [], []
    for number, thickness in enumerate((0.03, 0.15, 0.55, 0.9, 1.6, 2.5)):
        spectra = drawn(true, thickness, 20, seed=number)
        answer = rough.analyze(spectra, intervals=intervals)
        low, high = (answer.quality["thickness_" + end] for end in ("low", "high"))
        held.append((low <= thickness) & (thickness <= high))
        amounts.append(np.abs(answer.amounts[:, 0] - 4e4) <= 1.96 * answer.uncertainties[:, 0])
        ends = rough.unmix(spectra).fit.latent_intervals()[:, 0]
        by_chance.append((ends[:, 0] <= thickness) & (thickness <= ends[:, 1]))
    assert np.mean(by_chance) < 0.6  # what they would be without
    assert np.mean(held) > 0.88
    assert np.mean(amounts) > 0.88


def test_nothing_changes_where_signatures_and_background_are_known() -> None:
    # A background of rates without live time is not known to be learned from counts.
    known = Spectra(1e4 * UNDER[np.newaxis], AXIS, "intensity", variance=1e-12 * np.ones((1, 80)))
    model = ManifoldUnmixer(exact()).fit(known)
    model.background_ = Library(UNDER[np.newaxis], AXIS, ("background",))
    model.settle(model.fitted_with_)
    spectra = drawn({"A": 2000, "background": 2000}, 0.9, 5)
    answer, fit = model.analyze(spectra), model.unmix(spectra).fit
    low, high = fit.latent_intervals()[:, 0].T
    assert np.array_equal(answer.uncertainties[:, 0], fit.uncertainties[:, 0])
    assert not model.errors_for(AXIS).any
    assert np.allclose(answer.quality["thickness_uncertainty"], fit.latent_uncertainties[:, 0])
    assert np.all(answer.quality["thickness_high"] - answer.quality["thickness_low"] > 0)
    assert np.all((low > 0) & (high < 4))


def test_the_added_covariance_is_what_wrong_templates_make_of_estimates() -> None:
    """Against fits of spectra without noise, drawn from signatures with known errors."""
    signatures, rng = exact(), np.random.default_rng(8)
    model = ManifoldUnmixer(signatures, background=None).fit(quiet(1e6))
    table, value = model.table_for(AXIS), 0.9
    sizes = rng.normal(0.0, 0.02, (40, 80)) * shape("A", value)
    sizes = sizes - sizes.sum(axis=1, keepdims=True) * shape("A", value)
    away = np.vstack([sizes, -sizes])
    left_out = LeftOutErrors(
        np.zeros(80, dtype=np.int64),
        np.linspace(0.0, 1.0, 80),
        np.full(80, 1e30),
        np.tile(shape("A", value), (80, 1)),
        away,
    )
    errors = model_errors_on(table, AXIS, left_out, None)
    amounts = {"A": 1e6, "B": 2e5}
    mean = 1e6 * shape("A", value) + 2e5 * shape("B", value)
    fits = fit_manifold(Spectra(np.maximum(mean + 1e6 * away, 0.0), AXIS), table, tolerance=1e-8)
    center = fit_manifold(Spectra(mean[np.newaxis], AXIS), table, tolerance=1e-8)
    added, _ = added_covariance(center, errors)
    moved = np.column_stack([fits.template_amounts, fits.inner])
    # Values near by count more than others: all are alike but in their rank.
    weights = errors.near(0, float(STEEL.to_unit(value)))[1]
    steps = moved - np.array([amounts["A"], amounts["B"], float(STEEL.to_unit(value))])
    expected = np.einsum("m,mi,mj->ij", weights, steps, steps)
    scale = np.sqrt(np.diagonal(expected))
    assert np.allclose(
        added[0] / np.outer(scale, scale), expected / np.outer(scale, scale), atol=0.1
    )


def test_noise_of_what_was_left_out_is_no_error_of_the_signature() -> None:
    model = ManifoldUnmixer(exact(), background=None).fit(quiet(1e6))
    table, value, n, rng = model.table_for(AXIS), 0.9, 600, np.random.default_rng(2)
    seen = rng.poisson(np.tile(1e4 * shape("A", value), (n, 1))) / 1e4
    left_out = LeftOutErrors(
        np.zeros(n, dtype=np.int64),
        np.linspace(0.4, 0.9, n),
        np.full(n, 1e4),
        seen,
        seen - shape("A", value),
    )
    fit = fit_manifold(drawn({"A": 1e4, "B": 1e3}, value, 1), table)
    naive = LeftOutErrors(*(getattr(left_out, name) for name in ("sources", "places")),
                          np.full(n, 1e30), seen, left_out.differences)  # fmt: skip
    some, all_of_it = (
        np.diagonal(added_covariance(fit, model_errors_on(table, AXIS, one, None))[0][0])
        for one in (left_out, naive)
    )
    assert np.all(some < 0.4 * all_of_it)


@pytest.mark.parametrize(("learned", "tested"), [(1000, 1000), (1000, 10_000), (5000, 20_000)])
def test_a_background_of_few_counts_gives_no_more_alarms_than_stated(
    learned: int, tested: int
) -> None:
    signatures = exact()
    found, flagged = [], []
    for seed in range(12):
        model = ManifoldUnmixer(signatures, false_alarm_rate=0.02).fit(quiet(learned, seed))
        answer = model.analyze(drawn({"background": tested}, 1.0, 40, seed=100 + seed))
        found.append(answer.decisions[:, :2].any(axis=1).mean())
        flagged.append(answer.flags["outlier"].mean())
    assert np.mean(found) < 0.06
    assert np.mean(flagged) < 0.06


def test_errors_of_a_strong_source_are_not_taken_for_another(rough: ManifoldUnmixer) -> None:
    extra = []
    for thickness in (0.15, 0.55, 1.6, 2.5):
        answer = rough.analyze(drawn({"A": 3e5, "background": 1e4}, thickness, 15))
        assert answer.decisions[:, 0].all()
        extra.append(answer.decisions[:, 1].mean())
    assert np.mean(extra) < 0.05


def test_a_deformation_beyond_its_range_is_flagged(rough: ManifoldUnmixer) -> None:
    beyond = rough.analyze(drawn({"A": 2e4, "background": 2000}, 6.0, 20))
    inside = rough.analyze(drawn({"A": 2e4, "background": 2000}, 1.0, 20))
    assert beyond.flags["at_range_end"].mean() > 0.9
    assert not inside.flags["at_range_end"].any()
    fit = ManifoldUnmixer(exact()).fit(quiet(1e6)).unmix(drawn({"A": 2e4}, 0.0, 10))
    assert (fit.fit.inner[:, 0] == 0).any()
    assert not at_range_end(fit.fit, fit.chosen).any()  # nothing lies before no steel at all


def test_strong_sources_differ_in_significance(rough: ManifoldUnmixer) -> None:
    sure = [
        rough.analyze(drawn({"A": amount, "background": 2000}, 1.0, 1)).details["significance"]
        for amount in (5e3, 5e4, 5e5)
    ]
    ranks = [float(one[0, 0]) for one in sure]
    assert ranks == sorted(ranks)
    assert ranks[1] > 100
    assert ranks[2] > 1.5 * ranks[1]


@pytest.mark.parametrize("selection", ["greedy", "all"])
def test_a_thickness_is_told_where_a_source_was_found_and_only_there(selection: str) -> None:
    model = ManifoldUnmixer(exact(), selection=selection, false_alarm_rate=0.2).fit(quiet(1e6))
    answer = model.analyze(drawn({"A": 10, "background": 500}, 1.0, 60))
    found = answer.decisions[:, :2].any(axis=1)
    assert 0 < found.sum() < 60
    assert np.array_equal(np.isfinite(answer.quality["thickness"]), found)
    assert np.all(answer.quality["thickness_low"][~found] == 0.0)
    assert np.all(answer.quality["thickness_high"][~found] == 4.0)
    assert not answer.amounts[:, :2][~answer.decisions[:, :2]].any()


def test_a_loaded_model_knows_its_errors(rough: ManifoldUnmixer, tmp_path) -> None:
    save(rough, tmp_path / "rough.loom")
    again = load(tmp_path / "rough.loom")
    spectra = drawn({"A": 4e4, "background": 1e4}, 0.9, 4)
    before, after = rough.analyze(spectra), again.analyze(spectra)
    assert np.array_equal(before.uncertainties, after.uncertainties)
    assert np.array_equal(before.quality["thickness_high"], after.quality["thickness_high"])


def test_channels_without_background_forbid_no_counts() -> None:
    counts = np.array([0.0, 0.0, 5.0, 1.0, 0.0, 1.0, 3.0])
    library = Library(counts[np.newaxis], Axis.uncalibrated(7), ("b",), (), np.array([10.0]))
    (filled,) = without_empty_channels(library).templates
    assert filled[counts == 0].sum() == pytest.approx(2.0)  # as many as were seen once
    assert np.array_equal(filled[counts > 0], counts[counts > 0])
    exact_one = Library(counts[np.newaxis], Axis.uncalibrated(7), ("b",))
    assert without_empty_channels(exact_one) is exact_one


def test_errors_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(FormatError, match="a source, place"):
        LeftOutErrors(np.zeros(2, dtype=np.int64), np.zeros(1), np.ones(2), np.ones((2, 3)),
                      np.ones((2, 3)))  # fmt: skip
    with pytest.raises(FormatError, match="positive number"):
        LeftOutErrors(np.zeros(1, dtype=np.int64), np.zeros(1), np.zeros(1), np.ones((1, 3)),
                      np.ones((1, 3)))  # fmt: skip


def test_priors_that_leave_no_bin_are_refused_in_words() -> None:
    with pytest.raises(AxisError, match="give smaller ones"):
        ManifoldUnmixer(exact(), gain=5.0).fit(quiet(1e5))


def test_values_of_each_source_are_counted() -> None:
    spectra = training(2e4, values=(0.0, 4.0))
    assert ManifoldUnmixer(unit="cm").fit(spectra).learning_["values"] == {"A": 2, "B": 2}
