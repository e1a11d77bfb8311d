from __future__ import annotations

import itertools
import json
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_score, recall_score

from spectraloom.analyze import OutlierBoundary, SupervisedNMF
from spectraloom.analyze.grouping import independent_groups
from spectraloom.analyze.outlier import OutlierStudy, _curves, _find_boundaries, study_outliers
from spectraloom.data import Spectra
from spectraloom.errors import DataError, FitError, LabelError


class Spy(SupervisedNMF):
    """A model that notes which spectra it was trained on and asked about."""

    trained: ClassVar[list[np.ndarray]] = []
    asked: ClassVar[list[Spectra]] = []

    def fit(self, X: Any, y: Any = None) -> Spy:
        Spy.trained.append(X.column("id"))
        super().fit(X, y)
        return self

    def features(self, X: Spectra, scores: Any = None) -> dict[str, np.ndarray]:
        Spy.asked.append(X)
        return super().features(X, scores)


@pytest.fixture
def training(world: Any) -> Spectra:
    """Every third spectrum occurs twice, somewhere else in the set."""
    rng = np.random.default_rng(31)
    once = world.training(rng, 30)
    rows = rng.permutation(np.r_[np.arange(len(once)), np.arange(0, len(once), 3)])
    return once[rows].with_columns(id=rows)


def spy_on(training: Spectra, **settings: Any) -> OutlierStudy:
    Spy.trained.clear()
    Spy.asked.clear()
    return study_outliers(Spy(), training, **settings)


# -- no spectrum on two sides ------------------------------------------------------------------


def test_no_spectrum_nor_copy_trains_teaches_and_judges(training: Spectra) -> None:
    study = spy_on(training, add_background=False)
    assert len(Spy.trained) == len(Spy.asked) == 4  # a round per source
    ids = np.concatenate([asked.column("id") for asked in Spy.asked])
    assert len(ids) == len(study.is_outlier)
    trained = set(np.concatenate(Spy.trained).tolist())
    taught = set(ids[~study.held_out].tolist())
    judged = set(ids[study.held_out].tolist())
    assert trained
    assert taught
    assert judged
    assert not trained & taught
    assert not trained & judged
    assert not taught & judged
    for asked in Spy.asked:  # without added background the very spectra are judged
        original = training.values[
            [training.column("id").tolist().index(i) for i in asked.column("id")]
        ]
        np.testing.assert_array_equal(asked.values, original)


def test_each_round_leaves_its_label_out_and_nothing_else(training: Spectra) -> None:
    study = spy_on(training)
    label_of = {
        i: entry[0] for i, entry in zip(training.column("id"), training.labels, strict=True)
    }
    sources = ["Am241", "Co60", "Cs137", "Eu152"]
    for source, trained in zip(sources, Spy.trained, strict=True):
        assert {label_of[i] for i in trained} == {*sources, "background"} - {source}
    ids = np.concatenate([asked.column("id") for asked in Spy.asked])
    expected = np.repeat(sources, [len(asked) for asked in Spy.asked])
    np.testing.assert_array_equal(study.left_out, expected)
    np.testing.assert_array_equal(study.is_outlier, [label_of[i] for i in ids] == expected)
    assert study.is_outlier.any()


def test_background_is_added_from_the_same_side(training: Spectra) -> None:
    study = spy_on(training)
    position = {i: row for row, i in enumerate(training.column("id").tolist())}
    background = {
        row.tobytes(): i
        for row, i, entry in zip(
            training.values.astype(float), training.column("id"), training.labels, strict=True
        )
        if entry == ("background",)
    }
    asked = Spy.asked[0]
    held_out = study.held_out[: len(asked)]
    side = dict(zip(asked.column("id").tolist(), held_out.tolist(), strict=True))
    added = bare = 0
    for row, i, judges in zip(asked.values, asked.column("id"), held_out, strict=True):
        original = training.values[position[i]].astype(float)
        if training.labels[position[i]] == ("background",):
            np.testing.assert_array_equal(row, original)
        elif not np.array_equal(row, original):
            drawn = background[(row - original).tobytes()]  # a KeyError if it is none
            assert side[drawn] == judges
            added += 1
        else:
            bare += 1
    assert added > 20
    assert abs(added - bare) < 0.2 * (added + bare)  # every second source


def test_groups_and_copies_stay_together(world: Any) -> None:
    """Groups cross labels, and two groups are bound together by a copy."""
    rng = np.random.default_rng(32)
    spectra = world.training(rng, 24)
    groups = np.tile(np.repeat([f"file {i}" for i in range(12)], 2), 5)
    values = np.array(spectra.values)
    values[3] = values[0]  # file 1 holds a copy of a spectrum of file 0
    spectra = spectra.replace(values=values).with_columns(id=np.arange(120), file=groups)
    study = spy_on(spectra, groups=groups, add_background=False)
    ids = np.concatenate([asked.column("id") for asked in Spy.asked])
    sides = {
        "trained": set(groups[np.concatenate(Spy.trained)]),
        "taught": set(groups[ids[~study.held_out]]),
        "judged": set(groups[ids[study.held_out]]),
    }
    assert sum(len(side) for side in sides.values()) == 12
    assert set.union(*sides.values()) == set(groups)
    assert any({"file 0", "file 1"} <= side for side in sides.values())


@given(seed=st.integers(0, 2**32 - 1))
def test_independent_groups_are_the_connected_ones(seed: int) -> None:
    """Against joining again and again until nothing changes."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 8, (15, 1)).astype(float)
    given_groups = rng.integers(0, 8, 15)
    found = independent_groups(Spectra(values), given_groups)
    expected = np.arange(15)
    for _ in range(15):
        for i in range(15):
            for j in range(15):
                if given_groups[i] == given_groups[j] or values[i] == values[j]:
                    expected[i] = expected[j] = min(expected[i], expected[j])
    np.testing.assert_array_equal(
        found[:, np.newaxis] == found, expected[:, np.newaxis] == expected
    )


def test_groups_by_default_are_copies() -> None:
    values = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -0.0], [1.0, 0.0]])
    groups = independent_groups(Spectra(values, kind="intensity"))
    assert groups[0] == groups[2] == groups[3] != groups[1]
    with pytest.raises(DataError, match="one group per spectrum"):
        independent_groups(Spectra(values), np.arange(3))


# -- the boundary ------------------------------------------------------------------------------


def test_each_boundary_separates_what_is_new_from_what_is_known(world: Any) -> None:
    training = world.training(np.random.default_rng(33), 120, counts=(3000.0, 8000.0))
    study = study_outliers(SupervisedNMF(), training)
    assert set(study.boundaries) == {"tree", "logistic", "curves"}
    for method, boundary in study.boundaries.items():
        assert boundary.method == method
        assert boundary.feature == study.feature
        assert boundary.accuracy > 0.95
        assert boundary.recall > 0.9
    assert study.auc[study.feature] > 0.98
    assert study.importances[study.feature] > 0.2
    # A source that none of this has seen, against a known one.
    model = SupervisedNMF().fit(training).set_outlier_boundary(study.boundary)
    rng = np.random.default_rng(34)
    bump = np.exp(-0.5 * ((world.axis.centers - 480.0) / 20.0) ** 2)
    mean = 5000.0 * bump / bump.sum() + 2000.0 * world.loadings[4]
    foreign = Spectra(rng.poisson(np.tile(mean, (50, 1))), world.axis)
    assert model.analyze(foreign).flags["outlier"].mean() > 0.9
    known = world.draw(np.tile([0.0, 0.0, 5000.0, 0.0, 2000.0], (300, 1)), rng)
    assert model.analyze(known).flags["outlier"].mean() < 0.1


def test_rates_of_a_boundary_are_those_on_held_out_rows(training: Spectra) -> None:
    study = study_outliers(SupervisedNMF(), training)
    truth = study.is_outlier[study.held_out]
    for boundary in study.boundaries.values():
        values = study.features[boundary.feature][study.held_out]
        flagged = (
            values > boundary.threshold if boundary.outlier_above else values < boundary.threshold
        )
        assert boundary.accuracy == pytest.approx(accuracy_score(truth, flagged))
        assert boundary.precision == pytest.approx(precision_score(truth, flagged))
        assert boundary.recall == pytest.approx(recall_score(truth, flagged))


def test_the_method_chooses_the_boundary(training: Spectra) -> None:
    for method in ("tree", "logistic", "curves"):
        study = study_outliers(SupervisedNMF(), training, method=method)  # type: ignore[arg-type]
        assert study.chosen == method
        assert study.boundary is study.boundaries[method]


def test_a_feature_can_be_asked_for(training: Spectra) -> None:
    for feature in ("cosine", "score_norm"):
        study = study_outliers(SupervisedNMF(), training, feature=feature)
        assert study.feature == feature
        assert {boundary.feature for boundary in study.boundaries.values()} == {feature}
    assert not study_outliers(SupervisedNMF(), training, feature="cosine").boundary.outlier_above
    assert study_outliers(
        SupervisedNMF(), training, feature="excess_deviance_per_count"
    ).boundary.outlier_above


def test_the_rows_that_judge_have_no_say_in_the_feature() -> None:
    rng = np.random.default_rng(36)
    is_outlier, held_out = np.arange(400) % 2 == 0, np.arange(400) >= 200
    noise = rng.normal(size=400)
    # One feature tells outliers apart where it is learned, the other where it judges.
    features = {
        "taught": np.where(held_out, noise, is_outlier),
        "judged": np.where(held_out | (np.arange(400) >= 30), is_outlier, noise),
    }
    study = _find_boundaries(features, is_outlier, np.full(400, "a"), held_out, None, 0.3, 0)
    assert study.feature == "taught"
    assert study.boundary.accuracy < 0.7


def test_what_grows_with_counts_is_never_chosen_by_itself(training: Spectra) -> None:
    study = study_outliers(SupervisedNMF(), training)
    assert not {"score_norm", "deviance_per_dof"} & set(study.importances)
    assert {"score_norm", "deviance_per_dof"} <= set(study.features)
    assert not any("score_norm" in line or "deviance_per_dof" in line for line in study.tree)


def test_curves_are_what_counting_gives() -> None:
    rng = np.random.default_rng(35)
    scattered = rng.integers(0, 9, 300) + 4.0 * (rng.random(300) < 0.3)
    # The one value of 1 is no quantile, so the threshold between 0 and 2 meets it.
    rare = np.r_[np.zeros(1000), 1.0, np.full(1000, 2.0)]
    for above, values in itertools.product((False, True), (scattered, rare)):
        is_outlier = rng.random(300) < 1 / (1 + np.exp((scattered - 6) * (-1 if above else 1)))
        if values is rare:
            is_outlier = np.arange(2001) % 2 == 0
        curves = _curves(values, is_outlier, above)
        assert (1.0 in curves["threshold"]) == (values is rare)
        for i, threshold in enumerate(curves["threshold"]):
            boundary = OutlierBoundary("x", float(threshold), above, "curves")
            flagged = boundary.flags({"x": values})
            expected = {
                "accuracy": accuracy_score(is_outlier, flagged),
                "precision": precision_score(is_outlier, flagged, zero_division=1.0),
                "recall": recall_score(is_outlier, flagged),
                "false_alarm": (flagged & ~is_outlier).sum() / (~is_outlier).sum(),
            }
            for name, value in expected.items():
                assert curves[name][i] == pytest.approx(value), (above, threshold, name)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.3])
def test_the_curve_boundary_has_the_best_recall_at_its_rate(training: Spectra, rate: float) -> None:
    study = study_outliers(SupervisedNMF(), training, feature="cosine", false_alarm_rate=rate)
    teach = ~study.held_out
    values, truth = study.features["cosine"][teach], study.is_outlier[teach]
    chosen = study.boundaries["curves"].threshold
    assert (values[~truth] < chosen).mean() <= rate
    best = max(
        recall_score(truth, values < threshold)
        for threshold in np.linspace(values.min(), values.max(), 500)
        if (values[~truth] < threshold).mean() <= rate
    )
    # The candidates are quantiles, so a finer grid may be better by a row or two.
    assert recall_score(truth, values < chosen) > best - 0.01


def test_the_logistic_boundary_is_where_one_half_is_crossed() -> None:
    """Two equal normal classes: by symmetry half way between their means."""
    from spectraloom.analyze.outlier import _first_split, _logistic_crossing

    rng = np.random.default_rng(36)
    values = np.r_[rng.normal(2.0, 0.5, 4000), rng.normal(5.0, 0.5, 400)]
    is_outlier = np.arange(4400) >= 4000
    assert _logistic_crossing(values, is_outlier) == pytest.approx(3.5, abs=0.15)
    assert _logistic_crossing(1e-4 * values, is_outlier) == pytest.approx(3.5e-4, abs=0.15e-4)
    assert _first_split(values, is_outlier) == pytest.approx(3.5, abs=0.4)


def test_the_same_seed_gives_the_same_study(training: Spectra) -> None:
    first, second, other = (
        study_outliers(SupervisedNMF(), training, seed=seed) for seed in (3, 3, 4)
    )
    assert first.to_dict() == second.to_dict()
    assert first.tree == second.tree
    np.testing.assert_array_equal(first.held_out, second.held_out)
    for name, values in first.features.items():
        np.testing.assert_array_equal(values, second.features[name])
    assert first.to_dict() != other.to_dict()


def test_a_study_can_be_shown_and_stored(training: Spectra) -> None:
    seen: list[float] = []
    study = study_outliers(
        SupervisedNMF(), training, progress=lambda fraction, text: seen.append(fraction)
    )
    assert seen == [0.0, 0.25, 0.5, 0.75, 1.0]
    stored = json.loads(json.dumps(study.to_dict()))
    assert stored["feature"] == study.feature
    assert stored["n_rows"] == len(study.is_outlier)
    assert stored["boundaries"]["tree"]["threshold"] == study.boundaries["tree"].threshold
    assert study.tree[0].startswith(tuple(study.importances))
    assert all("outlier" in line for line in study.tree if "<=" not in line and ">" not in line)


def test_the_model_given_is_not_changed(training: Spectra) -> None:
    model = SupervisedNMF()
    study_outliers(model, training)
    assert not hasattr(model, "loadings_")


def test_it_works_without_background_and_on_intensities(world: Any, training: Spectra) -> None:
    sources = training[[entry != ("background",) for entry in training.labels]]
    for model in (SupervisedNMF(), SupervisedNMF(background=None)):
        study = study_outliers(model, sources)
        assert study.boundary.accuracy > 0.9
    intensity = training.replace(kind="intensity", values=training.values * 0.01)
    study = study_outliers(SupervisedNMF(), intensity)
    assert "root_cosine" not in study.features
    assert study.boundary.accuracy > 0.8


# -- refusals ----------------------------------------------------------------------------------


def test_three_spectra_per_label_are_just_enough(world: Any) -> None:
    rng = np.random.default_rng(37)
    assert study_outliers(SupervisedNMF(), world.training(rng, 3)).held_out.sum() == 4 * 5
    with pytest.raises(FitError, match="has 2 independent spectra or groups: too few"):
        study_outliers(SupervisedNMF(), world.training(rng, 2))


def test_what_cannot_be_studied_is_refused(world: Any, training: Spectra) -> None:
    one = training[[entry[0] in ("Am241", "background") for entry in training.labels]]
    with pytest.raises(FitError, match=r"at least two sources, got \['Am241'\]"):
        study_outliers(SupervisedNMF(), one)
    with pytest.raises(FitError, match="choose tree, logistic, curves"):
        study_outliers(SupervisedNMF(), training, method="magic")  # type: ignore[arg-type]
    with pytest.raises(LabelError, match="no feature 'colour'; there are share_1"):
        study_outliers(SupervisedNMF(), training, feature="colour")
    copies = training[np.zeros(10, dtype=int)]
    with pytest.raises(FitError, match="has 1 independent spectra"):
        study_outliers(
            SupervisedNMF(), Spectra.concatenate([training, copies.with_columns(labels="x")])
        )
    with pytest.raises(DataError, match="exactly one label"):
        study_outliers(SupervisedNMF(), training.with_columns(labels=[("a", "b")] * len(training)))
    with pytest.raises(LabelError, match="no column 'labels'"):
        study_outliers(SupervisedNMF(), training.replace(columns={}))
    two = training[[entry[0] in ("Am241", "Co60") for entry in training.labels]]
    with pytest.raises(FitError, match="feature 'share_1' is the same for all"):
        study_outliers(SupervisedNMF(), two, feature="share_1")


# -- boundaries by themselves ------------------------------------------------------------------


def test_a_boundary_flags_what_lies_beyond_and_what_cannot_be_computed() -> None:
    values = np.array([0.1, 0.5, 0.9, np.nan, np.inf, -np.inf])
    below = OutlierBoundary("cosine", 0.5, False, "tree")
    above = OutlierBoundary("cosine", 0.5, True, "tree")
    assert below.flags({"cosine": values}).tolist() == [True, False, False, True, True, True]
    assert above.flags({"cosine": values}).tolist() == [False, False, True, True, True, True]
    with pytest.raises(LabelError, match=r"needs the feature .cosine.*there are share_1"):
        below.flags({"share_1": values})


def test_a_boundary_survives_storing() -> None:
    known = OutlierBoundary("cosine", 0.25, True, "curves", 0.9, 0.8, 0.7, 0.1)
    assert OutlierBoundary.from_dict(json.loads(json.dumps(known.to_dict()))) == known
    bare = OutlierBoundary("cosine", 0.25, False, "curves")
    stored = bare.to_dict()
    assert stored["accuracy"] is None
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored
    assert np.isnan(OutlierBoundary.from_dict(stored).precision)
