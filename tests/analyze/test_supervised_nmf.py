from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from spectraloom.analyze import OutlierBoundary, SupervisedNMF, nnls
from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, DataError, FitError, LabelError
from spectraloom.process import Rebin


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    return a @ b.T


@pytest.fixture
def trained(world: Any) -> SupervisedNMF:
    return SupervisedNMF().fit(world.training(np.random.default_rng(1)))


# -- loadings ----------------------------------------------------------------------------------


def test_loadings_are_the_mean_spectra_with_unit_area(world: Any, trained: SupervisedNMF) -> None:
    training = world.training(np.random.default_rng(1))
    assert tuple(trained.classes_) == world.names  # sorted, the background last
    assert trained.loading_names_.tolist() == list(world.names)
    assert trained.start_ == "means"
    for j, name in enumerate(world.names):
        rows = [entry == (name,) for entry in training.labels]
        mean = training.values[rows].mean(axis=0)
        np.testing.assert_allclose(trained.loadings_[j], mean / mean.sum(), rtol=1e-12)
    np.testing.assert_allclose(trained.loadings_, world.loadings, atol=0.01)


def test_the_background_is_last_whatever_its_name(world: Any, rng: np.random.Generator) -> None:
    training = world.training(rng, 5)
    assert SupervisedNMF(background="Co60").fit(training).classes_[-1] == "Co60"
    plain = SupervisedNMF(background=None).fit(training).classes_.tolist()
    assert plain == sorted(plain)


def test_spectra_of_several_sources_do_not_touch_the_loadings(
    world: Any, rng: np.random.Generator
) -> None:
    training = world.training(rng, 10)
    mixed = world.draw(np.full((20, 5), 300.0), rng)
    both = SupervisedNMF().fit(Spectra.concatenate([training, mixed]))
    np.testing.assert_array_equal(both.loadings_, SupervisedNMF().fit(training).loadings_)


def test_loadings_of_mixtures_keep_their_names(world: Any, rng: np.random.Generator) -> None:
    """No class occurs alone; each pair of sources over background."""
    amounts = []
    for i in range(4):
        for j in range(i + 1, 4):
            block = np.zeros((40, 5))
            block[:, [i, j, 4]] = rng.uniform(300.0, 6000.0, (40, 3))
            amounts.append(block)
    mixtures = world.draw(np.concatenate(amounts), rng)
    model = SupervisedNMF().fit(mixtures)
    assert model.start_ == "mixtures"
    assert tuple(model.classes_) == world.names
    alike = cosines(model.loadings_, world.loadings)
    assert (np.diag(alike) > 0.97).all()
    assert (alike.argmax(axis=1) == np.arange(5)).all()
    # The plain mean of what carries the label is no such loading.
    means = [
        mixtures.values[[name in entry for entry in mixtures.labels]].mean(axis=0)
        for name in world.names
    ]
    assert np.diag(cosines(np.array(means), world.loadings)).min() < 0.9
    assert np.diag(alike).min() > np.diag(cosines(np.array(means), world.loadings)).max()


def test_unlabelled_spectra_give_proposed_loadings(world: Any, rng: np.random.Generator) -> None:
    amounts = rng.uniform(500.0, 8000.0, (150, 5)) * (rng.random((150, 5)) < 0.5)
    amounts = amounts[:, :4][amounts[:, :4].any(axis=1)]
    values = rng.poisson(amounts @ world.loadings[:4])
    model = SupervisedNMF(n_components=4).fit(Spectra(values, world.axis))
    assert model.start_ == "unlabelled"
    assert model.classes_.tolist() == [f"component {j}" for j in range(1, 5)]
    alike = cosines(model.loadings_, world.loadings[:4])
    rows, columns = linear_sum_assignment(-alike)
    assert (alike[rows, columns] > 0.95).all()
    again = SupervisedNMF(n_components=4).fit(Spectra(values, world.axis))
    np.testing.assert_array_equal(model.loadings_, again.loadings_)


# -- amounts, shares, labels -------------------------------------------------------------------


def test_amounts_are_the_true_ones(world: Any, trained: SupervisedNMF) -> None:
    rng = np.random.default_rng(2)
    amounts = rng.uniform(2000.0, 8000.0, (300, 5))
    result = trained.analyze(world.draw(amounts, rng))
    assert result.names == world.names
    assert result.unit == "counts"
    np.testing.assert_allclose(result.amounts.mean(axis=0), amounts.mean(axis=0), rtol=0.03)
    np.testing.assert_allclose(result.amounts, amounts, rtol=0.3)
    np.testing.assert_allclose(result.shares.sum(axis=1), 1.0)
    assert (result.amounts >= 0).all()


def test_scores_are_weighted_least_squares(world: Any, trained: SupervisedNMF) -> None:
    spectra = world.training(np.random.default_rng(3), 4)
    expected = nnls(spectra.values, trained.loadings_, weights=trained.weights_)
    np.testing.assert_array_equal(trained.transform(spectra), expected)
    np.testing.assert_allclose(trained.inverse_transform(expected), expected @ trained.loadings_)


def test_every_single_source_is_recognised(world: Any, trained: SupervisedNMF) -> None:
    fresh = world.training(np.random.default_rng(4), 50)
    truth = [entry[0] for entry in fresh.labels]
    assert (trained.predict(fresh) == truth).all()
    found = trained.predict_sets(fresh)
    expected = [() if name == "background" else (name,) for name in truth]
    right = [found[i] == expected[i] for i in range(len(truth))]
    assert np.mean(right) > 0.97


def test_sources_are_found_under_background(world: Any, trained: SupervisedNMF) -> None:
    rng = np.random.default_rng(5)
    mixed = world.draw(np.tile([0.0, 900.0, 0.0, 500.0, 4000.0], (50, 1)), rng)
    found = trained.predict_sets(mixed)
    assert all(entry == ("Co60", "Eu152") for entry in found)  # largest first
    result = trained.analyze(mixed)
    assert all(set(entry) == {"Co60", "Eu152", "background"} for entry in result.labels)
    assert set(result.top) == {"Co60"}
    plain = SupervisedNMF(min_source_share=0.0).fit(world.training(np.random.default_rng(1)))
    # The reference demands a tenth of everything and misses the weaker one (500 of 5400).
    assert np.mean([entry == ("Co60",) for entry in plain.predict_sets(mixed)]) > 0.6


def test_the_reference_rule_is_a_share_of_everything(world: Any) -> None:
    rng = np.random.default_rng(6)
    model = SupervisedNMF(min_share=0.2, min_source_share=0.0, weighting="none")
    model.fit(world.training(rng, 30))
    mixed = world.draw(rng.uniform(0.0, 3000.0, (60, 5)), rng)
    shares = model.shares(mixed)
    found = model.predict_sets(mixed)
    for row, entry in zip(shares, found, strict=True):
        assert set(entry) == {n for n, s in zip(world.names[:4], row[:4], strict=True) if s > 0.2}


def test_denoising_brings_spectra_nearer_to_the_truth(world: Any, trained: SupervisedNMF) -> None:
    rng = np.random.default_rng(7)
    amounts = rng.uniform(0.0, 2000.0, (100, 5))
    spectra = world.draw(amounts, rng)
    truth = amounts @ world.loadings
    before = ((spectra.values - truth) ** 2).sum(axis=1)
    denoised = trained.analyze(spectra).denoised
    assert denoised is not None
    after = ((denoised.values - truth) ** 2).sum(axis=1)
    assert after.mean() < 0.15 * before.mean()
    assert (after < before).mean() > 0.98
    np.testing.assert_array_equal(trained.denoise(spectra).values, denoised.values)
    assert denoised.columns["labels"].tolist() == spectra.columns["labels"].tolist()
    assert denoised.kind == "counts"
    assert trained.analyze(spectra, denoise=False).denoised is None


def test_float32_stays_float32_where_it_is_large(world: Any, trained: SupervisedNMF) -> None:
    spectra = world.training(np.random.default_rng(8), 3)
    single = spectra.replace(values=spectra.values.astype(np.float32))
    result = trained.analyze(single)
    assert result.denoised is not None
    assert result.denoised.dtype == np.float32
    assert result.amounts.dtype == np.float64
    np.testing.assert_array_equal(result.amounts, trained.analyze(spectra).amounts)


# -- the auto share among sources --------------------------------------------------------------


def test_auto_share_lets_single_sources_of_the_training_be_single(world: Any) -> None:
    training = world.training(np.random.default_rng(9), 200, counts=(50.0, 400.0))
    model = SupervisedNMF().fit(training)
    assert 0.1 < model.min_source_share_ < 0.5  # noisy enough that the choice matters
    source = np.array([entry != ("background",) for entry in training.labels])
    relative = model.shares(training)[source][:, :4]
    relative = relative / relative.sum(axis=1, keepdims=True)
    own = np.repeat(np.arange(4), 200)
    relative[np.arange(800), own] = 0.0
    assert np.mean(relative.max(axis=1) > model.min_source_share_) == pytest.approx(0.005, abs=1e-3)


def test_auto_share_is_never_below_min_share_nor_above_a_half(world: Any) -> None:
    rng = np.random.default_rng(10)
    clear = SupervisedNMF(min_share=0.07).fit(world.training(rng, 20, counts=(1e6, 1e6)))
    assert clear.min_source_share_ == 0.07
    noisy = SupervisedNMF().fit(world.training(rng, 200, counts=(3.0, 5.0)))
    assert noisy.min_source_share_ == 0.5
    fixed = SupervisedNMF(min_source_share=0.23).fit(world.training(rng, 5))
    assert fixed.min_source_share_ == 0.23
    one = world.draw(np.tile([500.0, 0, 0, 0, 0], (9, 1)), rng)
    assert SupervisedNMF().fit(one).min_source_share_ == 0.1


# -- variants ----------------------------------------------------------------------------------


def shielded(world: Any, rng: np.random.Generator, n: int = 40) -> Spectra:
    """Each source bare and behind an absorber that eats low energies."""
    bare = world.training(rng, n)
    rates = np.exp(-((200.0 / world.axis.centers) ** 1.5))
    thick = world.draw(np.repeat(np.eye(5)[:4], n, axis=0) * 4000.0, rng)
    behind = thick.replace(values=rng.binomial(thick.values, rates))
    return Spectra.concatenate(
        [bare.with_columns(absorber=["none"] * len(bare)), behind.with_columns(absorber="Pb")]
    )


def test_variants_by_column_are_the_means_of_its_values(
    world: Any, rng: np.random.Generator
) -> None:
    training = shielded(world, rng)
    model = SupervisedNMF(variants="absorber").fit(training)
    expected = [f"{name} {kind}" for name in world.names[:4] for kind in ("Pb", "none")]
    assert model.loading_names_.tolist() == [*expected, "background"]
    assert model.loading_classes_.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    rows = [
        entry == ("Cs137",) and kind == "Pb"
        for entry, kind in zip(training.labels, training.column("absorber"), strict=True)
    ]
    mean = training.values[rows].mean(axis=0)
    np.testing.assert_allclose(model.loadings_[4], mean / mean.sum())
    result = model.analyze(training)
    assert result.amounts.shape == (len(training), 5)
    np.testing.assert_allclose(
        result.amounts[:, 1], model.transform(training)[:, 2:4].sum(axis=1), rtol=1e-12
    )


def test_variants_by_number_find_the_absorber_without_being_told(
    world: Any, rng: np.random.Generator
) -> None:
    training = shielded(world, rng)
    told = SupervisedNMF(variants="absorber").fit(training)
    found = SupervisedNMF(variants=2).fit(training)
    assert found.loading_names_.tolist()[:2] == ["Am241 1", "Am241 2"]
    assert found.loading_names_[-1] == "background"  # of which there is one
    for j in range(4):
        alike = cosines(found.loadings_[2 * j : 2 * j + 2], told.loadings_[2 * j : 2 * j + 2])
        assert max(np.trace(alike), np.trace(alike[::-1])) > 1.98
    one = SupervisedNMF().fit(training)
    deviance = [
        model.analyze(training).quality["deviance_per_dof"].mean() for model in (one, found)
    ]
    assert deviance[1] < 0.8 * deviance[0]
    again = SupervisedNMF(variants=2).fit(training)
    np.testing.assert_array_equal(found.loadings_, again.loadings_)


def test_there_are_no_more_variants_than_different_spectra() -> None:
    X = np.array([[5.0, 0, 1], [5, 0, 1], [0, 5, 1], [0, 6, 1], [1, 6, 2]])
    model = SupervisedNMF(variants=3, background=None).fit(X, ["a", "a", "b", "b", "b"])
    assert model.loading_classes_.tolist() == [0, 1, 1, 1]


# -- window and weights ------------------------------------------------------------------------


def test_what_lies_outside_the_window_does_not_matter(world: Any, rng: np.random.Generator) -> None:
    model = SupervisedNMF(window=(50.0, 1200.0)).fit(world.training(rng, 20))
    channels = world.axis.window(50.0, 1200.0)
    inside = np.zeros(128, dtype=bool)
    inside[channels] = True
    assert (model.weights_[~inside] == 0).all()
    assert (model.weights_[inside] > 0).all()
    np.testing.assert_allclose(model.loadings_[:, channels].sum(axis=1), 1.0)
    assert (model.loadings_[:, ~inside] > 0).any()  # still there, so that denoising shows all
    spectra = world.training(rng, 3)
    spoiled = np.array(spectra.values)
    spoiled[:, ~inside] = 10_000
    spoiled_result = model.analyze(spectra.replace(values=spoiled))
    result = model.analyze(spectra)
    np.testing.assert_array_equal(spoiled_result.amounts, result.amounts)
    for name, values in result.quality.items():
        np.testing.assert_array_equal(spoiled_result.quality[name], values)
    cut = SupervisedNMF().fit(world.training(np.random.default_rng(0), 20)[:, channels])
    assert cut.analyze(spectra[:, channels]).amounts.shape == (15, 5)


def test_a_window_means_the_same_for_arrays_and_uncalibrated_spectra(
    world: Any, rng: np.random.Generator
) -> None:
    training = world.training(rng, 10)
    labels = [entry[0] for entry in training.labels]
    uncalibrated = Spectra(training.values, kind="intensity", columns={"labels": labels})
    of_spectra = SupervisedNMF(window=(3, 90)).fit(uncalibrated)
    of_array = SupervisedNMF(window=(3, 90)).fit(np.asarray(training.values, float), labels)
    np.testing.assert_array_equal(np.flatnonzero(of_array.weights_), np.arange(3, 90))
    np.testing.assert_array_equal(of_array.weights_, of_spectra.weights_)
    np.testing.assert_array_equal(
        of_array.transform(np.asarray(training.values, float)), of_spectra.transform(uncalibrated)
    )
    with pytest.raises(AxisError, match="no channel lies between"):
        SupervisedNMF(window=(90, 3)).fit(np.asarray(training.values, float), labels)
    with pytest.raises(AxisError, match="no channel lies between"):
        SupervisedNMF(window=(5000.0, 6000.0)).fit(training)


def test_weights_follow_the_mean_loading(world: Any, rng: np.random.Generator) -> None:
    training = world.training(rng, 20)
    model = SupervisedNMF().fit(training)
    mean = model.loadings_.mean(axis=0)
    expected = 1.0 / np.maximum(mean, 1e-3 * mean.max())
    np.testing.assert_allclose(model.weights_, expected / expected.max())
    assert (SupervisedNMF(weighting="none").fit(training).weights_ == 1).all()
    rate = training.replace(values=training.values / 10.0, kind="rate")
    np.testing.assert_allclose(SupervisedNMF().fit(rate).weights_, model.weights_)
    intensity = training.replace(kind="intensity")
    assert (SupervisedNMF().fit(intensity).weights_ == 1).all()


def test_poisson_weights_make_amounts_more_certain(world: Any) -> None:
    """Of a mixture in equal parts, whose mean spectrum is the mean loading."""
    rng = np.random.default_rng(11)
    training = world.training(rng, 40)
    spectra = world.draw(np.full((4000, 5), 1000.0), rng)
    spread = {
        weighting: SupervisedNMF(weighting=weighting).fit(training).transform(spectra).std(axis=0)
        for weighting in ("none", "poisson")
    }
    assert (spread["poisson"] < spread["none"]).all()
    assert (spread["poisson"][[3, 4]] < 0.87 * spread["none"][[3, 4]]).all()


# -- other spectra than gamma ------------------------------------------------------------------


def lines_on_points(rng: np.random.Generator, signed: bool) -> tuple[Spectra, np.ndarray]:
    axis = Axis.from_points(np.linspace(300.0, 800.0, 200), quantity="wavelength", unit="nm")
    shapes = [np.exp(-0.5 * ((axis.values - c) / 6.0) ** 2) for c in (380.0, 520.0, 690.0)]
    if signed:
        shapes[1] = shapes[1] - np.roll(shapes[1], 15)
    amounts = np.repeat(np.eye(3), 15, axis=0) * rng.uniform(5.0, 20.0, (45, 1))
    values = amounts @ np.array(shapes) + 0.05 * rng.normal(size=(45, 200))
    labels = np.repeat(["Ca", "Fe", "Na"], 15)
    spectra = Spectra(values, axis, "intensity", columns={"labels": labels})
    return spectra, np.array(shapes)


@pytest.mark.parametrize("signed", [False, True])
def test_intensities_on_wavelengths(rng: np.random.Generator, signed: bool) -> None:
    spectra, shapes = lines_on_points(rng, signed)
    model = SupervisedNMF(background=None).fit(spectra)
    assert (np.diag(cosines(model.loadings_, shapes)) > 0.999).all()
    np.testing.assert_allclose(np.abs(model.loadings_).sum(axis=1), 1.0)
    assert (model.loadings_ < 0).any()
    assert (model.predict(spectra) == spectra.column("labels")).all()
    result = model.analyze(spectra)
    assert result.unit == "intensity"
    assert result.uncertainties is None  # nothing says how noisy they are
    assert set(result.quality) == {
        "share_1", "share_2", "share_3", "score_norm", "explained_variance", "cosine", "correlation"
    }  # fmt: skip
    assert result.quality["explained_variance"].min() > 0.9
    known = spectra.replace(variance=np.full(spectra.shape, 0.05**2))
    assert model.analyze(known).uncertainties is not None


def test_counts_explained_by_signed_loadings_may_be_negative(rng: np.random.Generator) -> None:
    spectra, _ = lines_on_points(rng, signed=True)
    model = SupervisedNMF(background=None).fit(spectra)
    counts = spectra.replace(values=rng.poisson(5.0, spectra.shape), kind="counts")
    denoised = model.denoise(counts)
    assert denoised.kind == "intensity"
    assert (denoised.values < 0).any()


@pytest.mark.parametrize("settings", [{}, {"n_components": 2}])
def test_negative_spectra_cannot_start_a_factorisation(
    rng: np.random.Generator, settings: dict[str, Any]
) -> None:
    spectra, _ = lines_on_points(rng, signed=True)
    labels = None if settings else [("a", "b")] * len(spectra)
    bare = spectra.replace(columns={})
    with pytest.raises(FitError, match="45 of 45 spectra hold negative values"):
        SupervisedNMF(**settings).fit(bare, labels)


def test_complex_spectra_are_refused(trained: SupervisedNMF, world: Any) -> None:
    complex_spectra = Spectra(np.ones((2, 128)) * 1j, world.axis, "complex")
    for work in (trained.transform, trained.analyze, trained.predict, trained.fit):
        with pytest.raises(DataError, match="take the real part or the magnitude"):
            work(complex_spectra)


# -- axis --------------------------------------------------------------------------------------


def test_another_axis_is_refused_with_the_way_out(world: Any, trained: SupervisedNMF) -> None:
    other = Axis.regular(0.0, 1300.0, 128)
    spectra = Spectra(np.ones((2, 128)), other)
    for work in (trained.transform, trained.predict, trained.analyze, trained.denoise):
        with pytest.raises(AxisError, match="rebin first") as caught:
            work(spectra)
        assert world.axis.describe() in str(caught.value)
        assert other.describe() in str(caught.value)
    with pytest.raises(AxisError, match="rebin first"):
        trained.predict(Spectra(np.ones((2, 128))))  # uncalibrated is another axis, too


def test_a_model_of_arrays_takes_any_axis_of_its_length(world: Any) -> None:
    training = world.training(np.random.default_rng(12), 4)
    labels = [entry[0] for entry in training.labels]
    model = SupervisedNMF().fit(np.asarray(training.values, float), labels)
    assert model.axis_ is None
    assert len(model.predict(training)) == 20
    with pytest.raises(DataError, match="expecting 128 features"):
        model.predict(training[:, :100])


# -- few spectra -------------------------------------------------------------------------------


def test_rows_are_analysed_independently(world: Any, trained: SupervisedNMF) -> None:
    spectra = world.training(np.random.default_rng(13), 6)
    whole, one = trained.analyze(spectra), trained.analyze(spectra[7])
    assert len(one) == 1
    np.testing.assert_array_equal(one.amounts[0], whole.amounts[7])
    assert one.uncertainties is not None
    assert whole.uncertainties is not None
    np.testing.assert_allclose(one.uncertainties[0], whole.uncertainties[7], rtol=1e-12)
    assert one.top is not None
    assert whole.top is not None
    assert one.top[0] == whole.top[7]
    for name in whole.quality:
        np.testing.assert_allclose(one.quality[name], whole.quality[name][7:8], rtol=1e-12)


def test_no_spectra_give_no_results(world: Any, trained: SupervisedNMF) -> None:
    none = trained.analyze(world.training(np.random.default_rng(14), 2)[:0])
    assert len(none) == 0
    assert none.amounts.shape == (0, 5)
    assert {len(values) for values in none.quality.values()} == {0}
    with pytest.raises(DataError, match="there are no spectra"):
        SupervisedNMF().fit(world.training(np.random.default_rng(14), 2)[:0])


def test_an_empty_spectrum_is_flagged_and_is_background(world: Any, trained: SupervisedNMF) -> None:
    values = np.array(world.training(np.random.default_rng(15), 1).values)
    values[2] = 0
    result = trained.analyze(Spectra(values, world.axis))
    assert result.flags["empty"].tolist() == [False, False, True, False, False]
    assert (result.amounts[2] == 0).all()
    assert (result.shares[2] == 0).all()
    assert result.labels[2] == ()
    assert result.top is not None
    assert result.top[2] == "background"
    assert np.isnan(result.quality["explained_variance"][2])


# -- labels ------------------------------------------------------------------------------------


def test_y_comes_before_the_column(world: Any, rng: np.random.Generator) -> None:
    training = world.training(rng, 3)
    model = SupervisedNMF(background=None).fit(training, ["x"] * 7 + ["y"] * 8)
    assert model.classes_.tolist() == ["x", "y"]


def test_order_and_repetition_of_labels_mean_nothing(world: Any, rng: np.random.Generator) -> None:
    training = world.training(rng, 3)
    odd = [entry * 2 for entry in training.labels]
    model = SupervisedNMF().fit(training, odd)
    np.testing.assert_array_equal(model.loadings_, SupervisedNMF().fit(training).loadings_)
    mixed = world.draw(np.full((6, 5), 900.0), rng)
    pairs = [("a", "b"), ("b", "a"), ("b", "a"), {"a", "b"}, ["b", "a"], ("a", "b")]
    ordered = SupervisedNMF(background=None).fit(mixed, [("a", "b")] * 6)
    shuffled = SupervisedNMF(background=None).fit(mixed, pairs)
    np.testing.assert_array_equal(ordered.loadings_, shuffled.loadings_)


@pytest.mark.parametrize("missing", [None, "", (), ("",), float("nan"), np.nan])
def test_a_missing_label_is_not_a_class(world: Any, missing: Any) -> None:
    training = world.training(np.random.default_rng(16), 2)
    labels = [entry[0] for entry in training.labels]
    labels[4] = missing
    with pytest.raises(LabelError, match="1 of 10 training spectra have no label"):
        SupervisedNMF().fit(training, labels)


def test_labels_that_do_not_fit_are_refused(world: Any) -> None:
    training = world.training(np.random.default_rng(16), 2)
    with pytest.raises(FitError, match="10 spectra, but 3 labels"):
        SupervisedNMF().fit(training, ["a", "b", "c"])
    for wrong in (np.eye(10), "Am241", np.array("Am241")):
        with pytest.raises(FitError, match="one label or label set per spectrum"):
            SupervisedNMF().fit(training, wrong)
    with pytest.raises(FitError, match="give labels"):
        SupervisedNMF().fit(training.replace(columns={}))


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.float64, np.float32])
def test_numbers_come_back_as_numbers(rng: np.random.Generator, dtype: type) -> None:
    X = np.abs(rng.normal(0.1, 0.05, (30, 6))) + np.repeat(np.eye(3, 6), 10, axis=0) * 5
    y = np.repeat([3, 10, 7], 10).astype(dtype)
    model = SupervisedNMF().fit(X, y)
    assert model.predict(X).dtype == dtype
    assert (model.predict(X) == y).all()
    listed = SupervisedNMF().fit(X, y.tolist())
    assert (listed.predict(X) == y).all()
    assert SupervisedNMF().fit(X, [str(label) for label in y]).predict(X).dtype.kind == "U"
    with pytest.warns(DataConversionWarning):
        SupervisedNMF().fit(X, y[:, np.newaxis])


# -- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_share": 1.0}, "min_share is a number from 0"),
        ({"min_share": -0.1}, "min_share is a number from 0"),
        ({"min_share": float("nan")}, "min_share is a number from 0"),
        ({"min_share": "0.1"}, "min_share is a number from 0"),
        ({"min_source_share": 1.0}, "min_source_share is 'auto' or"),
        ({"min_source_share": "auot"}, "min_source_share is 'auto' or"),
        ({"min_source_share": None}, "min_source_share is 'auto' or"),
        ({"weighting": "gauss"}, "weighting is 'poisson' or 'none'"),
        ({"variants": 0}, "variants is a positive number or a column"),
        ({"variants": 1.5}, "variants is a positive number or a column"),
        ({"variants": None}, "variants is a positive number or a column"),
        ({"n_components": 0}, "n_components is a positive number"),
        ({"n_components": 2.0}, "n_components is a positive number"),
        ({"window": (1.0,)}, "window is None or"),
        ({"window": 5.0}, "window is None or"),
        ({"background": 0}, "background is a label"),
    ],
)
def test_settings_out_of_range_are_named(world: Any, settings: Any, message: str) -> None:
    with pytest.raises(FitError, match=message):
        SupervisedNMF(**settings).fit(world.training(np.random.default_rng(0), 2))


def test_other_ways_to_go_wrong_have_their_message(world: Any, rng: np.random.Generator) -> None:
    training = world.training(rng, 3)
    with pytest.raises(LabelError, match="no column 'absorber'"):
        SupervisedNMF(variants="absorber").fit(training)
    with pytest.raises(FitError, match="names a column, but X is a plain array"):
        SupervisedNMF(variants="absorber").fit(np.ones((2, 4)), ["a", "b"])
    with pytest.raises(FitError, match="9 components cannot be told apart in 3 spectra"):
        SupervisedNMF(n_components=9).fit(np.eye(3))
    with pytest.raises(FitError, match="class 'Am241' has no counts in the window"):
        SupervisedNMF(window=(900.0, 1000.0)).fit(training)
    with pytest.raises(DataError, match="analyze takes Spectra"):
        SupervisedNMF().fit(training).analyze(training.values)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="inverse_transform"):
        SupervisedNMF().fit(training).denoise(training.values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "method", ["transform", "predict", "predict_sets", "shares", "denoise", "analyze", "features"]
)
def test_an_unfitted_model_says_so(world: Any, method: str) -> None:
    with pytest.raises(NotFittedError):
        getattr(SupervisedNMF(), method)(world.training(np.random.default_rng(0), 2))
    with pytest.raises(NotFittedError):
        SupervisedNMF().set_outlier_boundary(None)


# -- results -----------------------------------------------------------------------------------


def test_a_result_says_where_it_came_from(world: Any, trained: SupervisedNMF) -> None:
    spectra = world.training(np.random.default_rng(17), 2)
    result = trained.analyze(spectra.with_columns(detector="left"))
    assert set(result.columns) == {"labels", "detector"}
    assert result.provenance["model"] == "SupervisedNMF"
    training = world.training(np.random.default_rng(1))
    assert result.provenance["data_sha256"] == training.fingerprint()
    assert result.provenance["settings"]["min_share"] == 0.1
    assert json.loads(json.dumps(result.to_dict(), allow_nan=True))["names"] == list(world.names)
    assert len(result.to_frame()) == 10


def test_features_are_the_quality_of_the_result(world: Any, trained: SupervisedNMF) -> None:
    spectra = world.training(np.random.default_rng(18), 3)
    features, result = trained.features(spectra), trained.analyze(spectra)
    assert set(features) == set(result.quality)
    ordered = -np.sort(-result.shares, axis=1)
    for rank in range(5):
        np.testing.assert_array_equal(features[f"share_{rank + 1}"], ordered[:, rank])
    np.testing.assert_allclose(features["score_norm"], np.linalg.norm(result.amounts, axis=1))
    for name, values in features.items():
        np.testing.assert_array_equal(result.quality[name], values)


def test_the_quality_shows_a_source_that_is_not_known(world: Any, trained: SupervisedNMF) -> None:
    rng = np.random.default_rng(19)
    known = world.training(rng, 20)
    without = SupervisedNMF().fit(known[[entry != ("Co60",) for entry in known.labels]])
    foreign = known[[entry == ("Co60",) for entry in known.labels]]
    for name, sign in (("cosine", -1), ("root_cosine", -1), ("excess_deviance_per_count", 1)):
        alien, own = without.features(foreign)[name], trained.features(foreign)[name]
        assert (sign * alien).min() > (sign * own).max()


def test_a_boundary_flags_outliers(world: Any, trained: SupervisedNMF) -> None:
    spectra = world.training(np.random.default_rng(20), 3)
    assert set(trained.analyze(spectra).flags) == {"empty"}
    cosine = trained.features(spectra)["cosine"]
    threshold = float(np.median(cosine))
    trained.set_outlier_boundary(OutlierBoundary("cosine", threshold, False, "tree"))
    flags = trained.analyze(spectra).flags["outlier"]
    np.testing.assert_array_equal(flags, cosine < threshold)
    trained.set_outlier_boundary(OutlierBoundary("root_cosine", 0.5, False, "tree"))
    rate = spectra.replace(values=spectra.values / 3.0, kind="rate")
    with pytest.raises(LabelError, match="needs the feature 'root_cosine'"):
        trained.analyze(rate)
    trained.set_outlier_boundary(None)
    assert set(trained.analyze(rate).flags) == {"empty"}


def test_progress_is_reported(world: Any, trained: SupervisedNMF) -> None:
    seen: list[float] = []
    many = Spectra(
        np.tile(world.training(np.random.default_rng(0), 1).values, (1000, 1)), world.axis
    )
    trained.analyze(many, progress=lambda fraction, text: seen.append(fraction))
    assert seen[-1] == 1.0
    assert seen == sorted(seen)


# -- inside scikit-learn -----------------------------------------------------------------------


def test_a_pipeline_brings_other_axes_along(world: Any, rng: np.random.Generator) -> None:
    """Labels survive the rebinning, so that fit needs no y."""
    target = Axis.regular(0.0, 1280.0, 64)
    training = world.training(rng, 20)
    chain = make_pipeline(Rebin(target), SupervisedNMF()).fit(training)
    assert chain[-1].axis_ == target
    truth = np.array([entry[0] for entry in training.labels])
    assert (chain.predict(training) == truth).mean() > 0.99
    assert chain.fit(training, truth).transform(training).shape == (100, 5)


def test_grid_search_keeps_axis_and_columns_in_each_fold(
    world: Any, rng: np.random.Generator
) -> None:
    training = shielded(world, rng, 12)
    labels = np.array([entry[0] for entry in training.labels])
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(
        SupervisedNMF(),
        {"variants": [1, "absorber"], "window": [(30.0, 130.0), None]},
        scoring="accuracy",
        cv=folds,
    ).fit(training, labels)
    assert search.best_params_["window"] is None  # a window without peaks cannot be best
    assert search.best_estimator_.axis_ == world.axis
    assert search.best_score_ > 0.95
    assert search.cv_results_["mean_test_score"].min() < 0.9
    scores = cross_val_score(search.best_estimator_, training, labels, scoring="accuracy", cv=folds)
    assert scores.mean() == pytest.approx(search.best_score_)


def test_settings_survive_cloning(world: Any) -> None:
    model = SupervisedNMF(min_share=0.2, window=(50.0, 900.0), variants=2)
    assert clone(model).get_params() == model.get_params()


def test_tables_name_the_scores(world: Any, rng: np.random.Generator) -> None:
    pandas = pytest.importorskip("pandas")
    training = world.training(rng, 4)
    model = SupervisedNMF().fit(training).set_output(transform="pandas")
    table = model.transform(training)
    assert isinstance(table, pandas.DataFrame)
    assert table.columns.tolist() == list(world.names)


def test_a_table_seen_once_is_forgotten(world: Any, rng: np.random.Generator) -> None:
    pandas = pytest.importorskip("pandas")
    training = world.training(rng, 3)
    labels = [entry[0] for entry in training.labels]
    table = pandas.DataFrame(np.asarray(training.values, float)).rename(columns=str)
    model = SupervisedNMF().fit(table, pandas.Series(labels))
    assert model.feature_names_in_[0] == "0"
    model.fit(training)
    model.predict(np.asarray(training.values, float))  # a leftover name would warn here


def test_score_is_the_share_of_right_largest_sources() -> None:
    X = np.array([[9.0, 1, 0], [8, 2, 0], [0, 1, 9], [0, 2, 8]])
    y = ["left", "left", "right", "right"]
    model = SupervisedNMF(background=None).fit(X, y)
    assert model.score(X, y) == 1.0
    assert model.score(X, ["left", "left", "left", "right"]) == 0.75
    assert model.score(X, [("left", "right")] * 4) == 1.0
    with pytest.raises(LabelError, match="nothing to score"):
        model.score(X)
