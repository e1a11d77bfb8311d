"""The identification block of the benchmark, on made-up data of the same layout and the public."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.data import Axis, Result, Spectra
from spectraloom.evaluate import identify, identify_coverage, identify_injection
from spectraloom.evaluate.identify import clean_rows, judge_trial, prepare_trial
from spectraloom.evaluate.identify_coverage import _bound
from spectraloom.evaluate.identify_injection import false_alarm_curve, inject, rate_of
from spectraloom.evaluate.identify_speed import measure_identification
from spectraloom.io import read_groups

from .test_gamma_flow import SOURCES, N, made_up


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Fewer draws than in the benchmark; the rules are the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identify, "Identifier", functools.partial(Identifier, n_bootstrap=100))
        patch.setattr(identify_injection, "_TRIALS", 60)
        patch.setattr(identify_injection, "_SIMULATED", 500)
        patch.setattr(identify_coverage, "_GAINS", 12)
        yield


@pytest.fixture(scope="module")
def judged(quick: None) -> tuple[identify.IdentificationTrial, dict[str, Any]]:
    trial = prepare_trial(made_up(np.random.default_rng(1)))
    return trial, judge_trial(trial)


def test_the_block_has_what_it_promises(
    judged: tuple[identify.IdentificationTrial, dict[str, Any]],
) -> None:
    trial, numbers = judged
    assert json.loads(json.dumps(numbers)) == numbers
    assert trial.sources == SOURCES
    assert numbers["multilabel"]["exact_match"] > 0.9
    assert numbers["multilabel"]["micro_f1"] > 0.95
    assert set(numbers["multilabel"]["per_detector"]) == {"left", "right"}
    assert numbers["measured"]["clean_accuracy"] > 0.95
    assert numbers["measured"]["wrong_nuclide_rate"] < 0.05
    assert numbers["measured"]["n"] == 60
    assert numbers["unknown"]["auc"] > 0.9
    assert numbers["unknown"]["n"] == 16
    assert numbers["unknown"]["n_known"] == 86
    assert {"multilabel", "measured"} <= set(numbers["without_min_share"])
    assert set(numbers["injection"]) == set(SOURCES)
    for one in numbers["injection"].values():
        shares = [one[str(counts)] for counts in identify_injection.INJECTED]
        assert shares[-1] > 0.9
        assert shares[0] < shares[-1] + 0.05
        assert one["false_alarms"]["n"] > 10
    for key in ("coverage95", "rmse_over_crb"):
        assert set(numbers[key]) == {"100", "1000", "10000", "100000"}
    assert all(0.88 < value < 0.99 for value in numbers["coverage95"].values())
    assert all(0.85 < value < 1.2 for value in numbers["rmse_over_crb"].values())
    assert numbers["protocol"]["detectors"] == ["left", "right"]
    assert set(numbers["reference"]["injection"]) == set(SOURCES)
    roc = numbers["unknown"]["roc"]
    assert roc["false_alarms"] == sorted(roc["false_alarms"])
    assert roc["found"] == sorted(roc["found"])


def test_nothing_that_is_judged_was_trained_on(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[np.ndarray] = []
    asked: list[np.ndarray] = []
    fit, analyze = Identifier.fit, Identifier.analyze
    make = identify.variant_library

    def noting_fit(self: Identifier, X: Any, y: Any = None, **more: Any) -> Identifier:
        taught.append(np.asarray(X.values, dtype=float))
        return fit(self, X, y, **more)

    def noting_analyze(self: Identifier, X: Any, **more: Any) -> Result:
        asked.append(np.asarray(X.values, dtype=float))
        return analyze(self, X, **more)

    def noting_library(spectra: Spectra, *given: Any, **more: Any) -> Any:
        taught.append(np.asarray(spectra.values, dtype=float))
        return make(spectra, *given, **more)

    monkeypatch.setattr(identify, "variant_library", noting_library)
    monkeypatch.setattr(Identifier, "fit", noting_fit)
    trial = prepare_trial(made_up(np.random.default_rng(2)))
    monkeypatch.setattr(Identifier, "analyze", noting_analyze)
    judge_trial(trial)
    seen = {row.tobytes() for values in taught for row in values}
    judged = {row.tobytes() for values in asked for row in values}
    assert len(seen) > 50
    assert len(judged) > 100
    assert not seen & judged
    # What is injected was not taught either.
    assert not seen & {row.tobytes() for row in np.asarray(trial.simulated.values, dtype=float)}


def test_a_detector_without_background_takes_that_of_the_others(quick: None) -> None:
    groups = [
        one
        for one in made_up(np.random.default_rng(3))
        if str(one.column("file")[0]) != "background_right"
    ]
    trial = prepare_trial(groups)
    assert trial.borrowed == ("right",)
    assert set(trial.models) == {"left", "right"}
    assert set(trial.quiet) == {"left"}
    assert "right" in judge_trial(trial)["measured"]["per_detector"]


def test_clean_rows_follow_the_gross_counts_of_a_file() -> None:
    totals = np.array([100.0, 110, 114, 130, 900, 100, 116, 300])
    labels = [("background",)] * 4 + [("Cs137", "background")] + [("background",)] * 3
    spectra = Spectra(
        totals[:, np.newaxis] * np.ones((8, 2)) / 2,
        columns={"labels": labels, "file": ["a"] * 5 + ["b"] * 3, "detector": ["d"] * 8},
    )
    limit = [1.15 * np.quantile(totals[:5], 0.05), 1.15 * np.quantile(totals[5:], 0.05)]
    expected = [t <= limit[0] for t in totals[:4]] + [True] + [t <= limit[1] for t in totals[5:]]
    assert clean_rows([spectra]).tolist() == expected
    assert expected == [True, True, True, False, True, True, True, False]
    # The file counts as a whole, also where its spectra come in pieces.
    pieces = [spectra[:2], spectra[2:6], spectra[6:]]
    assert clean_rows(pieces).tolist() == expected


def test_injected_counts_are_whole_and_as_many_as_said(rng: np.random.Generator) -> None:
    under = Spectra(rng.poisson(20.0, (7, 40)), Axis.regular(0.0, 2000.0, 40))
    shape = np.exp(-0.5 * ((np.arange(64) - 30) / 3.0) ** 2)
    sources = Spectra(rng.poisson(60.0 * shape, (5, 64)), Axis.regular(-10.0, 1900.0, 64))
    mixed = inject(under, sources, 150, 300, rng)
    assert (mixed.values == np.floor(mixed.values)).all()
    added = {
        tuple(row)
        for row in (mixed.totals[:, np.newaxis] - under.totals[np.newaxis, :]).astype(int)
    }
    assert all(150 in row for row in added)
    # In the mean the source has its own shape, on the axis of the background.
    gained = mixed.values.mean(axis=0) - under.values.mean(axis=0)
    peak = under.axis.centers[int(np.argmax(gained))]
    assert abs(peak - sources.axis.centers[30]) < 60.0


@pytest.mark.parametrize(("alarms", "n"), [(0, 50), (3, 97), (50, 50), (17, 4000)])
def test_the_interval_of_a_rate_is_the_exact_one(alarms: int, n: int) -> None:
    found = rate_of(alarms, n, 0.005)
    expected = binomtest(alarms, n).proportion_ci(0.95, method="exact")
    assert found["observed"] == alarms / n
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


class Stub:
    """Answers with p-values that are uniform, raised to a power."""

    background = "background"
    background_ = None

    def __init__(self, power: float) -> None:
        self.rng, self.power = np.random.default_rng(0), power

    def analyze(self, spectra: Spectra) -> Result:
        p = np.column_stack(
            [self.rng.uniform(size=(len(spectra), 2)) ** self.power, np.full(len(spectra), np.nan)]
        )
        return Result(("a", "b", "background"), np.ones(p.shape), p < 0.5, details={"p_value": p})


def test_a_curve_of_false_alarms_tells_right_from_wrong(rng: np.random.Generator) -> None:
    quiet = Spectra(rng.poisson(5.0, (3000, 8)), Axis.regular(0.0, 8.0, 8))
    right = false_alarm_curve([(Stub(1.0), quiet)], rng)  # type: ignore[list-item]
    for curve in right.values():
        assert curve[0]["stated"] == 0.1
        inside = [one["low"] <= one["stated"] <= one["high"] for one in curve]
        assert sum(inside) >= len(inside) - 1
    assert right["measured"][0]["n"] == 6000
    wrong = false_alarm_curve([(Stub(2.0), quiet)], rng)  # type: ignore[list-item]
    assert all(one["low"] > one["stated"] for one in wrong["measured"])


def test_the_bound_is_the_inverse_of_the_information() -> None:
    """Against numerical derivatives of moved templates, on a smooth case."""
    axis = Axis.regular(100.0, 1100.0, 400)
    x = axis.edges

    def content(gain: float) -> np.ndarray:
        low, high = x[:-1] / (1 + gain), x[1:] / (1 + gain)
        peak = np.exp(-0.5 * ((0.5 * (low + high) - 600.0) / 60.0) ** 2) * (high - low)
        slope = np.exp(-0.5 * (low + high) / 400.0) * (high - low)
        return np.stack([peak / 150.4, slope / 280.0])

    truth = np.array([400.0, 900.0])
    templates = content(0.0)
    step = 1e-5
    moved = truth @ (content(step) - content(-step)) / (2 * step)
    design = np.vstack([templates, moved])
    information = (design / (truth @ templates)) @ design.T + np.diag([0, 0, 1 / 0.02**2])
    expected = np.diag(np.linalg.inv(information))[:2]
    found = _bound(truth, templates, axis, None, 0.02)
    np.testing.assert_allclose(found, expected, rtol=0.05)  # counts flow over the ends, too
    fixed = _bound(truth, templates, axis, None, 0.0)
    np.testing.assert_allclose(
        fixed, np.diag(np.linalg.inv((templates / (truth @ templates)) @ templates.T)), rtol=1e-9
    )
    assert (fixed <= found).all()


def test_speed_is_measured(
    judged: tuple[identify.IdentificationTrial, dict[str, Any]],
) -> None:
    trial, _ = judged
    model = trial.models["left"]
    found = measure_identification(model, trial.library, trial.parts.multi, n_spectra=300)
    assert set(found) == {
        "identify_per_second", "one_spectrum_ms", "poisson_fit_per_second",
        "poisson_fit_scipy_nnls_per_second", "poisson_fit_speedup", "poisson_fit_templates",
    }  # fmt: skip
    assert all(np.isfinite(value) and value > 0 for value in found.values())
    assert found["poisson_fit_templates"] == len(trial.library) + 2  # the background has two
    assert found["poisson_fit_speedup"] == pytest.approx(
        found["poisson_fit_per_second"] / found["poisson_fit_scipy_nnls_per_second"]
    )
    assert model.axis_ is not None
    assert model.axis_.n_channels == N


@pytest.fixture(scope="module")
def public(gamma_flow_zip: Path) -> dict[str, Any]:
    trial = prepare_trial(read_groups(gamma_flow_zip))
    return judge_trial(trial)


def test_the_public_data_are_identified(public: dict[str, Any]) -> None:
    assert public["multilabel"]["exact_match"] >= 0.85
    assert public["multilabel"]["micro_f1"] >= 0.925
    assert public["measured"]["clean_accuracy"] >= 0.995
    assert public["measured"]["clean_accuracy"] > public["reference"]["measured"]["clean_accuracy"]
    assert public["unknown"]["auc"] >= 0.93
    assert public["unknown"]["recall_at_5pct"] >= 0.5


def test_weak_sources_are_found_where_the_reference_finds_none(public: dict[str, Any]) -> None:
    for name, most in {"Am241": 100, "Co60": 100, "Cs137": 100, "Eu152": 400}.items():
        # A little below 0.9, for the number of draws.
        assert public["injection"][name][str(most)] > 0.87, name
    reference = public["reference"]["injection"]
    assert all(one["100"] < 0.1 for one in reference.values())


def test_amounts_are_as_sure_as_they_claim(public: dict[str, Any]) -> None:
    """A few hundred amounts per level: the benchmark itself draws more."""
    # 100 counts in all are few for a symmetric interval.
    for counts, low in {"100": 0.90, "1000": 0.92, "10000": 0.92, "100000": 0.92}.items():
        assert low < public["coverage95"][counts] < 0.98, counts
    assert all(0.9 < value < 1.15 for value in public["rmse_over_crb"].values())
