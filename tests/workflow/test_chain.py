from __future__ import annotations

import json

import numpy as np
import pytest

from spectraloom.analyze import SupervisedNMF
from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError, LabelError
from spectraloom.evaluate import EvaluationSets
from spectraloom.workflow import Training, chain_report, judge, run_chain
from spectraloom.workflow import chain as chain_module
from spectraloom.workflow.chain import flagged, source_means
from spectraloom.workflow.strict_json import finite

from .conftest import SOURCES, Make, expected


def test_single_sources_are_judged_by_the_largest(make: Make, trained: Training) -> None:
    spectra = make([("A", "background"), ("background",), ("C",)], 30, seed=4)
    judged = judge("x", trained.model, spectra)
    assert judged.truth.tolist() == ["A", "background", "C"] * 10
    assert judged.confusion.accuracy == 1.0
    assert judged.right.all()
    assert judged.sets.exact_match == 1.0
    assert judged.combinations == [("A",), ("background",), ("C",)] * 10


def test_any_source_of_a_mixture_is_right(make: Make, trained: Training) -> None:
    """What comes first in a list of labels says nothing about the amounts."""
    model = trained.model
    spectra = make([("B", "C", "background")], 40, seed=4)
    turned = spectra.with_columns(labels=[("background", "C", "B")] * 40)
    one, other = judge("x", model, spectra), judge("x", model, turned)
    top = model.predict(spectra)
    assert set(top) == {"B", "C"}
    assert one.truth.tolist() == other.truth.tolist() == top.tolist()
    assert one.confusion.accuracy == other.confusion.accuracy == 1.0
    assert one.sets.exact_match == other.sets.exact_match == 1.0
    assert one.combinations == [("B", "C")] * 40
    # What is not there is wrong, and so is background where there is a source.
    wrong = judge("x", model, spectra.with_columns(labels=[("A", "background")] * 40))
    assert wrong.confusion.accuracy == 0.0
    missed = judge(
        "x", model, make([("background",)], 5).with_columns(labels=[("A", "background")] * 5)
    )
    assert missed.confusion.accuracy == 0.0
    assert missed.truth.tolist() == ["A"] * 5


def test_labels_that_the_model_does_not_know_count_as_errors(make: Make, trained: Training) -> None:
    spectra = make([("X", "background"), ("A", "background")], 20, seed=4)
    scores = judge("x", trained.model, spectra).to_dict()
    assert scores["not_in_model"] == ["X"]
    assert scores["accuracy"] == 0.5
    assert scores["exact_match"] <= 0.5
    assert scores["flagged"] == pytest.approx(0.5, abs=0.1)
    assert json.dumps(finite(scores))


def test_judging_agrees_with_predicting(make: Make, trained: Training) -> None:
    spectra = make([("A", "B"), ("C",), ("background",)], 30, seed=9)
    judged = judge("x", trained.model, spectra)
    sets = trained.model.predict_sets(spectra)
    exact = [
        set(found) == set(truth) - {"background"}
        for found, truth in zip(sets, spectra.labels, strict=True)
    ]
    assert judged.sets.exact_match == pytest.approx(np.mean(exact))


def test_without_labels_there_is_nothing_to_judge(make: Make, trained: Training) -> None:
    spectra = make([("A",)], 3)
    with pytest.raises(LabelError, match="1 of 3 spectra have no label"):
        judge("x", trained.model, spectra.with_columns(labels=[("A",), (), ("A",)]))
    with pytest.raises(LabelError, match="no column 'labels'"):
        judge("x", trained.model, spectra.replace(columns={}))
    with pytest.raises(DataError, match="of kind 'rate'"):
        judge("x", trained.model, spectra.replace(kind="rate"))


def test_a_model_without_background(make: Make) -> None:
    spectra = make([("A",), ("B",)], 40)
    model = SupervisedNMF(background=None).fit(spectra)
    judged = judge("x", model, spectra)
    assert judged.confusion.accuracy == 1.0
    assert judged.combinations[:2] == [("A",), ("B",)]
    assert judged.to_dict()["flagged"] is None


# -- the whole chain -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sets(make: Make, training: Spectra) -> EvaluationSets:
    over = [("A", "background"), ("B", "background"), ("C", "background"), ("background",)]
    return EvaluationSets(
        training,
        make(over, 40, detector="d2", seed=1),
        make([("A", "B", "background")], 20, detector="d2", seed=2),
        make([("X", "background")], 20, detector="d2", seed=3),
    )


def test_the_chain_from_training_to_robustness(
    sets: EvaluationSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_module, "_NOISE", (0.0, 1.0))
    monkeypatch.setattr(chain_module, "_KEPT", (1.0, 0.1))
    seen: list[float] = []
    chain = run_chain(sets, progress=lambda fraction, _: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert list(chain.judged) == ["holdout", "single", "multi"]
    assert all(judged.confusion.accuracy > 0.9 for judged in chain.judged.values())
    assert [(p.disturbance, p.level) for p in chain.robustness] == [
        ("noise", 0.0),
        ("noise", 1.0),
        ("thinning", 1.0),
        ("thinning", 0.1),
    ]
    summary = chain.to_dict()
    assert summary["flagged_unknown"] == 1.0
    assert summary["flagged_known"] < 0.2
    assert json.dumps(finite(summary))
    assert chain.model.outlier_boundary_ is not None
    assert chain.to_dict() == run_chain(sets).to_dict()


@pytest.mark.parametrize("left", [(), ("single",), ("multi",), ("unknown",)])
def test_the_chain_goes_on_without_what_is_not_there(
    sets: EvaluationSets, left: tuple[str, ...]
) -> None:
    parts = {name: getattr(sets, name) for name in left}
    some = EvaluationSets(
        sets.training, parts.get("single"), parts.get("multi"), parts.get("unknown")
    )
    chain = run_chain(some, with_robustness=False)
    expected_names = {"holdout", *left} - {"unknown"}
    assert set(chain.judged) == expected_names
    assert (chain.unknown is None) is ("unknown" not in left)
    assert chain.robustness == []
    assert chain_report(chain).title


def test_one_source_has_no_outlier_study(make: Make) -> None:
    training = make([("A",), ("background",)], 40)
    chain = run_chain(EvaluationSets(training, None, None, None))
    assert (chain.study, chain.robustness) == (None, [])
    assert chain.to_dict()["outlier"] is None
    assert flagged(chain.judged["holdout"].result) is None
    assert flagged(None) is None


# -- means -----------------------------------------------------------------------------------


def test_background_is_taken_from_means_that_were_measured_over_it(make: Make) -> None:
    bare = make([("A",), ("background",)], 400, detector="simulated")
    over = make([("A", "background"), ("background",)], 400, detector="d2", seed=5)
    means = source_means(Spectra.concatenate([bare, over]), "background")
    assert means.names == (
        "A (d2)",
        "A (simulated)",
        "background (d2)",
        "background (simulated)",
    )
    for row, name in enumerate(["A", "A", "background", "background"]):
        assert means.means[row] == pytest.approx(1000 * expected(name), abs=4.0)


def test_means_without_any_background(make: Make) -> None:
    spectra = make([("A",), ("B",)], 20)
    assert source_means(spectra, "background").labels == ("A", "B")
    assert source_means(spectra, None).labels == ("A", "B")
    over = make([("A", "background")], 5, axis=Axis.regular(0, 1000, 64))
    assert source_means(over, "background").labels == ("A",)


def test_sources_stay_sources(make: Make) -> None:
    assert EvaluationSets(make(SOURCES, 8), None, None, None).sources == ("A", "B", "C")


def test_errors_of_sets_and_shares_are_counted(make: Make, trained: Training) -> None:
    spectra = make([("A", "background")], 20, counts=5000.0)
    judged = judge("x", trained.model, spectra)
    assert judged.set_errors == {"right": 20, "missed": 0, "spurious": 0, "both": 0}
    assert judged.share_error is None
    other = judge(
        "x", trained.model, spectra.with_columns(labels=[("A", "C")] * 10 + [("B",)] * 10)
    )
    assert other.set_errors == {"right": 0, "missed": 10, "spurious": 0, "both": 10}
    # One half each is what was drawn; all of it A is wrong by one half.
    known = spectra.with_columns(true_A=[2.5] * 20, true_background=[2.5] * 20)
    assert judge("x", trained.model, known).share_error == pytest.approx(0.0, abs=0.03)
    only = spectra.with_columns(true_A=[1.0] * 20, true_background=[np.nan] * 20)
    assert judge("x", trained.model, only).share_error == pytest.approx(0.5, abs=0.03)
