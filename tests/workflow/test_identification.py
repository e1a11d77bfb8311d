from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.analyze import Identifier
from spectraloom.analyze.likelihood import Resolution
from spectraloom.data import Axis, Result, Spectra
from spectraloom.errors import DataError
from spectraloom.workflow import (
    LeftOut,
    components_of,
    identifier_report,
    identify_files,
    join_results,
    train_identifier,
    try_out,
)
from spectraloom.workflow.identification import IdentifierTraining, trials_for
from spectraloom.workflow.identify_sections import roc_curves
from spectraloom.workflow.train import hold_out
from spectraloom.workflow.trust import training_remarks

from .conftest import AXIS, Make, expected


@pytest.fixture(scope="module")
def identified(training: Spectra) -> IdentifierTraining:
    return train_identifier(training, Identifier(n_bootstrap=100, variants=1), seed=2)


def test_training_holds_out_and_tries(identified: IdentifierTraining) -> None:
    judged = identified.holdout
    assert judged is not None
    assert judged.confusion.accuracy > 0.95
    summary = identified.to_dict()
    assert summary["classes"] == ["A", "B", "C", "background"]
    assert set(summary["injection"]) == {"A", "B", "C"}
    assert all(one["400"] > 0.95 for one in summary["injection"].values())
    assert summary["provenance"]["model"] == "Identifier"


def test_training_on_everything_judges_nothing(training: Spectra) -> None:
    done = train_identifier(training, Identifier(n_bootstrap=0, variants=1), holdout=0)
    assert done.holdout is None
    assert done.tried == {}
    page = identifier_report(done, "").to_html()
    assert ">The library</h2>" in page
    with pytest.raises(DataError, match="share to hold out"):
        train_identifier(training, Identifier(), holdout=1.0)


def test_nothing_is_tried_without_background_or_whole_counts(
    identified: IdentifierTraining, make: Make
) -> None:
    spectra = make([("A",), ("background",)], 20, seed=4)
    assert try_out(identified.model, make([("A",)], 5)) == {}
    assert try_out(identified.model, spectra.replace(values=spectra.values + 0.5)) == {}
    assert set(try_out(identified.model, spectra)["injection"]) == {"A"}


def test_large_libraries_are_tried_with_fewer_spectra() -> None:
    assert trials_for(60, searched=False) == 200
    assert trials_for(1, searched=True) == 200
    assert trials_for(30, searched=True) == 50
    assert trials_for(500, searched=True) == 25


def test_components_add_up_to_the_fit(identified: IdentifierTraining, make: Make) -> None:
    axis = Axis.from_edges(AXIS.edges * 1.01)  # a drift that the fit has to find
    spectra = make([("A", "B", "background")], 3, axis=AXIS, seed=5).replace(axis=axis)
    result = identified.model.analyze(spectra)
    assert result.denoised is not None
    where, observed, parts = components_of(identified.model, spectra, 1)
    assert np.array_equal(where.edges, result.denoised.axis.edges)
    np.testing.assert_array_equal(observed, spectra.values[1, : where.n_channels])
    np.testing.assert_allclose(sum(parts.values()), result.denoised.values[1], rtol=1e-9, atol=1e-9)
    assert abs(parts["A"].sum() - 1000) < 200
    assert int(np.argmax(parts["A"])) == int(np.argmin(np.abs(where.centers - 202.0)))


@pytest.mark.parametrize("selection", ["all", "greedy"])
def test_components_are_those_of_the_answer(training: Spectra, make: Make, selection: str) -> None:
    model = Identifier(
        n_bootstrap=0, variants=2, bins="adaptive", broadening=0.2, offset=2.0, selection=selection,
        resolution=Resolution(0.3),
    ).fit(training)  # fmt: skip
    axis = Axis.from_edges(AXIS.edges * 1.01)
    spectra = make([("A", "B", "background")], 3, seed=8).replace(axis=axis)
    answer = model.analyze(spectra)
    assert model._bins.where(axis)["edges"].size < axis.n_channels
    assert answer.denoised is not None
    for row in range(3):
        _, _, parts = components_of(model, spectra, row)
        total = sum(parts.values())
        np.testing.assert_allclose(total, answer.denoised.values[row], rtol=1e-9, atol=1e-9)
        if selection == "greedy":
            assert set(parts) - {"pile-up"} == set(answer.labels[row])


def test_the_background_held_out_comes_last(make: Make) -> None:
    spectra = make([("A",), ("background",)], 100, seed=9)
    quiet = np.array([entry == ("background",) for entry in spectra.labels])
    number = np.where(quiet, np.cumsum(quiet) - 1, -1)
    spectra = spectra.with_columns(number=number)
    began = np.datetime64("2025-01-01", "s") - number * np.timedelta64(60, "s")
    for given, last in (
        (spectra, range(40, 50)),
        (spectra.with_columns(start_time=began), range(10)),  # the first began last
    ):
        train, test = hold_out(given, 0.2, 1, in_order="background")
        assert test is not None
        assert sorted(n for n in test.columns["number"].tolist() if n >= 0) == list(last)
        assert len(train) + len(test) == 100
        sources = [entry == ("A",) for entry in test.labels]
        assert 5 <= sum(sources) <= 15  # these are drawn
    # A copy of a spectrum that trains does not judge.
    values = spectra.values.copy()
    late, early = np.flatnonzero(number == 45)[0], np.flatnonzero(number == 3)[0]
    values[late] = values[early]
    _, test = hold_out(spectra.replace(values=values), 0.2, 1, in_order="background")
    assert test is not None
    assert 45 not in test.columns["number"]
    # One spectrum of background trains.
    train, _ = hold_out(
        spectra[np.flatnonzero(~quiet | (number == 7))], 0.2, 1, in_order="background"
    )
    assert 7 in train.columns["number"]


def test_a_background_that_drifts_shows_in_what_was_held_out(make: Make) -> None:
    # Radon comes slowly: rows in between would have neighbours that know it.
    def drifting(n: int) -> Spectra:
        rng = np.random.default_rng(3)
        part = np.linspace(0.0, 0.25, n)[:, np.newaxis]
        means = 3000 * ((1 - part) * expected("background") + part * expected("X"))
        labels = [("background",)] * n
        return Spectra(rng.poisson(means), AXIS, columns={"labels": labels})

    sources = make([("A",), ("B",)], 40, seed=10)
    sources = sources.replace(live_time=None, columns={"labels": sources.labels})
    done = train_identifier(
        Spectra.concatenate([sources.replace(values=sources.values.astype(int)), drifting(200)]),
        Identifier(n_bootstrap=0, variants=1), seed=2,
    )  # fmt: skip
    assert done.holdout is not None
    own = [entry == ("background",) for entry in done.holdout.spectra.labels]
    held = done.holdout.spectra.values[np.array(own)]
    centers = [(one @ AXIS.centers) / one.sum() for one in held]
    learned = done.model.background_.templates.mean(axis=0)
    assert min(centers) > (learned @ AXIS.centers) / learned.sum()


def test_profiles_are_passed_on(identified: IdentifierTraining, make: Make, tmp_path: Path) -> None:
    spectra = make([("A", "background")], 2, seed=11)
    sl.write(spectra, tmp_path / "two.npz")
    found, _ = identify_files(identified.model, tmp_path / "two.npz", intervals="profile")
    wanted = identified.model.analyze(spectra, intervals="profile")
    plain = identified.model.analyze(spectra)
    for end in ("interval_low", "interval_high"):
        np.testing.assert_array_equal(found.details[end], wanted.details[end])
        assert not np.allclose(found.details[end], plain.details[end])


def test_results_are_joined_row_by_row(identified: IdentifierTraining, make: Make) -> None:
    first = make([("A",)], 3, seed=6)
    second = make([("B",)], 2, seed=7).with_columns(title=["x", "y"])
    results = [identified.model.analyze(one) for one in (first, second)]
    joined = join_results(results)
    assert len(joined) == 5
    np.testing.assert_array_equal(joined.amounts[3:], results[1].amounts)
    assert joined.labels[:3].tolist() == results[0].labels.tolist()
    assert joined.columns["labels"].tolist() == [("A",)] * 3 + [("B",)] * 2
    assert "title" not in joined.columns
    assert set(joined.details) == set(results[0].details)
    assert joined.denoised is None
    assert join_results(results[:1]) is results[0]
    assert isinstance(joined, Result)


def test_roc_curves_run_from_nothing_to_everything(identified: IdentifierTraining) -> None:
    assert identified.holdout is not None
    curves = roc_curves(identified.holdout)
    assert set(curves) == {"A", "B", "C"}
    for false, found in curves.values():
        assert (false[0], found[0], false[-1], found[-1]) == (0.0, 0.0, 1.0, 1.0)
        assert (np.diff(false) >= 0).all()
        assert np.trapezoid(found, false) > 0.99


def test_what_a_trained_identifier_should_be_asked_is_said(
    identified: IdentifierTraining,
) -> None:
    model = identified.model
    assert training_remarks(model, {}) == []
    before = model.provenance_
    model.provenance_ = {"false_alarms": {"widening": {"A": 1.2, "B": 3.4, "C": 2.1}}}
    try:
        (wide,) = training_remarks(model, {})
        assert "2 of 3 sources" in wide
        assert "B 3.4 times" in wide
    finally:
        model.provenance_ = before

    def rate(stated: float, low: float, high: float) -> dict[str, float]:
        return {"stated": stated, "observed": 0.5 * (low + high), "low": low, "high": high}

    right = rate(0.1, 0.08, 0.12)
    assert training_remarks(model, {"false_alarms": {"measured": [right]}}) == []
    rates = [rate(0.1, 0.03, 0.05), right, rate(0.01, 0.011, 0.024)]
    (said,) = training_remarks(model, {"false_alarms": {"measured": rates}})
    assert "more often than stated" in said
    assert "where 1 % are stated" in said
    (said,) = training_remarks(model, {"false_alarms": {"measured": rates[:2]}})
    assert "less often than stated" in said


def test_rates_are_identified_and_never_mixed_with_counts(
    identified: IdentifierTraining, make: Make, tmp_path: Path
) -> None:
    counts = make([("A",), ("background",)], 4, seed=7)
    rates = counts.replace(values=counts.values / 2.0, kind="rate", live_time=np.full(4, 2.0))
    sl.write(counts, tmp_path / "a.npz")
    sl.write(rates, tmp_path / "b.npz")
    result, _ = identify_files(identified.model, tmp_path / "b.npz")
    assert result.unit == "counts/s"
    assert result.top is not None
    assert result.top[0] == "A"
    with pytest.raises(DataError, match="their amounts have other units"):
        identify_files(identified.model, tmp_path)
    left: list[LeftOut] = []
    result, _ = identify_files(identified.model, tmp_path, left_out=left)
    assert (result.unit, len(result), len(left)) == ("counts", 4, 1)
