from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
)

from spectraloom.errors import DataError
from spectraloom.evaluate import confusion, set_scores, share_error
from spectraloom.evaluate.metrics import indicator, set_errors

NAMES = ("Am241", "Co60", "Cs137", "Eu152")
labels = st.sampled_from([*NAMES, "background"])
sets = st.lists(st.sampled_from([*NAMES, "background"]), max_size=5).map(tuple)


@given(pairs=st.lists(st.tuples(labels, labels), min_size=1, max_size=40))
def test_confusion_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    true, predicted = zip(*pairs, strict=True)
    found = confusion(true, predicted)
    names = list(found.names)
    assert names == sorted(set(true) | set(predicted))
    if len(names) > 1:  # of a single label scikit-learn warns
        np.testing.assert_array_equal(found.matrix, confusion_matrix(true, predicted, labels=names))
    assert found.accuracy == pytest.approx(accuracy_score(true, predicted))
    precision, recall, f1, support = precision_recall_fscore_support(
        true, predicted, labels=names, zero_division=np.nan
    )
    for i, name in enumerate(names):
        assert found.precision[name] == pytest.approx(precision[i], nan_ok=True)
        assert found.recall[name] == pytest.approx(recall[i], nan_ok=True)
        assert found.f1[name] == pytest.approx(f1[i], nan_ok=True)
    per_class = found.per_class()
    assert set(per_class) == set(true)
    for name, scores in per_class.items():
        assert scores["n"] == support[names.index(name)]
        assert scores["recall"] == found.recall[name]


def test_confusion_rows_are_true_and_columns_predicted() -> None:
    found = confusion(["a", "a", "b"], ["a", "b", "b"])
    assert found.matrix.tolist() == [[1, 1], [0, 1]]
    assert found.recall == {"a": 0.5, "b": 1.0}
    assert found.precision == {"a": 1.0, "b": 0.5}


def test_confusion_takes_iterators_and_nothing() -> None:
    assert confusion(iter("ab"), iter("aa")).accuracy == 0.5
    none = confusion([], [])
    assert np.isnan(none.accuracy)
    assert none.per_class() == {}
    with pytest.raises(DataError, match="2 true labels, but 1 predicted"):
        confusion(["a", "b"], ["a"])


@given(pairs=st.lists(st.tuples(sets, sets), min_size=1, max_size=30))
def test_set_scores_are_those_of_scikit_learn(
    pairs: list[tuple[tuple[str, ...], tuple[str, ...]]],
) -> None:
    true, predicted = zip(*pairs, strict=True)
    found = set_scores(true, predicted, names=NAMES)
    truth = np.array([[name in entry for name in NAMES] for entry in true])
    guess = np.array([[name in entry for name in NAMES] for entry in predicted])
    settings = {"average": "micro", "zero_division": np.nan}
    assert found.n == len(pairs)
    assert found.exact_match == pytest.approx(accuracy_score(truth, guess))
    assert found.micro_f1 == pytest.approx(f1_score(truth, guess, **settings), nan_ok=True)
    assert found.micro_precision == pytest.approx(
        precision_score(truth, guess, **settings), nan_ok=True
    )
    assert found.micro_recall == pytest.approx(recall_score(truth, guess, **settings), nan_ok=True)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, guess, average=None, zero_division=np.nan
    )
    for i, name in enumerate(NAMES):
        scores = found.per_class[name]
        assert scores["precision"] == pytest.approx(precision[i], nan_ok=True)
        assert scores["recall"] == pytest.approx(recall[i], nan_ok=True)
        assert scores["f1"] == pytest.approx(f1[i], nan_ok=True)
        assert scores["n"] == support[i]
    # A label that is neither there nor called says nothing about the method.
    defined = f1[np.isfinite(f1)]
    expected = defined.mean() if defined.size else float("nan")
    assert found.macro_f1 == pytest.approx(expected, nan_ok=True)


@given(entries=st.lists(sets, min_size=1, max_size=12), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_labels_means_nothing(entries: list[tuple[str, ...]], seed: int) -> None:
    """The reference compared a sorted list with one in order of score."""
    rng = np.random.default_rng(seed)
    shuffled = [tuple(rng.permutation(entry).tolist()) for entry in entries]
    scores = set_scores(entries, shuffled, names=NAMES)
    assert scores.exact_match == 1.0
    assert (set_errors(entries, shuffled) == "right").all()


def test_a_lone_text_is_one_label_and_not_its_letters() -> None:
    scores = set_scores(["Cs137", "Co60"], [("Cs137",), "Cs137"], names=("Cs137", "Co60"))
    assert scores.exact_match == 0.5
    assert scores.micro_f1 == 0.5
    found = indicator(np.array(["Cs137", "Co60"]), ("Cs137", "C", "Co60"))
    assert found.tolist() == [[True, False, False], [False, False, True]]
    assert set_errors(["Cs137"], ["Cs173"]).tolist() == ["both"]


def test_names_that_do_not_count_are_left_out() -> None:
    true = [("Cs137", "background"), ("background",)]
    predicted = [("Cs137",), ()]
    assert set_scores(true, predicted, names=["Cs137"]).exact_match == 1.0
    assert set_scores(true, predicted, names=["Cs137", "background"]).exact_match == 0.0


def test_set_scores_refuse_what_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="2 true label sets, but 1 predicted"):
        set_scores([("a",), ()], [("a",)], names=["a"])
    with pytest.raises(DataError, match="nothing to compare"):
        set_scores([], [], names=["a"])
    with pytest.raises(DataError, match="nothing to compare"):
        set_scores([("a",)], [("a",)], names=[])


def test_set_scores_are_plain_for_json() -> None:
    scores = set_scores([("a",)], [("a",)], names=["a"]).to_dict()
    assert json.loads(json.dumps(scores))["micro_f1"] == 1.0
    assert set(scores) >= {"exact_match", "micro_f1", "macro_f1", "per_class", "n"}


def test_kinds_of_errors_are_told_apart() -> None:
    true = [("a", "b"), ("a",), ("a",), (), ("a", "b")]
    predicted = [("b", "a"), (), ("a", "b"), ("a",), ("b", "c")]
    assert set_errors(true, predicted).tolist() == [
        "right", "missed", "spurious", "spurious", "both"
    ]  # fmt: skip
    with pytest.raises(DataError, match="1 true label sets, but 2 predicted"):
        set_errors([()], [(), ()])


def test_share_error_is_the_total_variation_distance(rng: np.random.Generator) -> None:
    true, found = rng.dirichlet(np.ones(4), 20), rng.dirichlet(np.ones(4), 20)
    # Half the summed difference is the most that any set of names differs by.
    expected = [np.maximum(t - f, 0).sum() for t, f in zip(true, found, strict=True)]
    assert share_error(true, found) == pytest.approx(np.mean(expected))
    assert share_error(true, true) == 0.0
    assert share_error(np.eye(2), np.eye(2)[::-1]) == 1.0


def test_shares_of_different_shapes_are_not_compared() -> None:
    for wrong in (np.ones((1, 3)), np.ones(3), np.ones((2, 2))):
        with pytest.raises(DataError, match="cannot be compared"):
            share_error(np.ones((2, 3)), wrong)
    with pytest.raises(DataError, match="cannot be compared"):
        share_error(np.ones((0, 3)), np.ones((0, 3)))
