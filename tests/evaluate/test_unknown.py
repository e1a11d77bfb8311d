"""Thresholds for unknown sources: never from the spectra that they judge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from spectraloom.evaluate.unknown import roc_points, unknown_scores

N = 400


def scored(rng: np.random.Generator, detectors: list[str], files: int = 4) -> dict[str, Any]:
    """Scores that differ from detector to detector and from file to file."""
    detector = rng.choice(detectors, N)
    file = rng.integers(files, size=N).astype(np.str_)
    unknown = rng.random(N) < 0.2
    score = rng.exponential(1.0, N) + 1.5 * unknown + 0.3 * file.astype(float)
    score += np.array([0.5 * detectors.index(name) for name in detector])
    return {"score": score, "unknown": unknown, "detectors": detector, "files": file}


def judged_one_by_one(given: dict[str, Any]) -> tuple[float, float]:
    """Restated: one threshold for every spectrum, by a loop."""
    rows = [
        (float(s), bool(u), str(d), str(f))
        for s, u, d, f in zip(
            given["score"], given["unknown"], given["detectors"], given["files"], strict=True
        )
    ]
    above: dict[bool, list[bool]] = {True: [], False: []}
    for score, strange, detector, file in rows:
        others = [s for s, u, d, _ in rows if not u and d != detector]
        if not others:
            others = [s for s, u, _, f in rows if not u and f != file]
        others.sort()
        # At most 5 % of them lie above.
        fewest = next(s for s in others if sum(o > s for o in others) <= 0.05 * len(others))
        above[strange].append(score > fewest)
    return float(np.mean(above[True])), float(np.mean(above[False]))


@pytest.mark.parametrize("detectors", [["left"], ["left", "right"], ["a", "b", "c"]])
def test_thresholds_are_those_of_a_plain_loop(
    detectors: list[str], rng: np.random.Generator
) -> None:
    given = scored(rng, detectors)
    found = unknown_scores(**given)
    recall, alarms = judged_one_by_one(given)
    assert found["recall_at_5pct"] == pytest.approx(recall)
    assert found["false_alarms_at_5pct"]["observed"] == pytest.approx(alarms)
    assert found["false_alarms_at_5pct"]["stated"] == 0.05
    assert found["auc"] == pytest.approx(roc_auc_score(given["unknown"], given["score"]))
    source = "other files" if len(detectors) == 1 else "other detectors"
    assert found["threshold_from"] == [source]
    assert set(found["per_detector"]) == set(detectors)
    parts = found["per_detector"].values()
    assert sum(one["n"] for one in parts) == found["n"] == given["unknown"].sum()
    weighted = sum(one["recall_at_5pct"] * one["n"] for one in parts) / found["n"]
    assert weighted == pytest.approx(recall)


def test_the_threshold_of_a_detector_does_not_see_its_own_spectra(
    rng: np.random.Generator,
) -> None:
    given = scored(rng, ["left", "right"])
    before = unknown_scores(**given)["per_detector"]["left"]["recall_at_5pct"]
    own = (given["detectors"] == "left") & ~given["unknown"]
    given["score"] = np.where(own, 1e6, given["score"])
    after = unknown_scores(**given)["per_detector"]
    assert after["left"]["recall_at_5pct"] == before
    assert after["left"]["false_alarms_at_5pct"]["observed"] == 1.0
    assert after["right"]["recall_at_5pct"] == 0.0


def test_the_threshold_of_a_file_does_not_see_that_file(rng: np.random.Generator) -> None:
    given = scored(rng, ["left"])
    given["unknown"] &= given["files"] == "2"
    before = unknown_scores(**given)["recall_at_5pct"]
    own = (given["files"] == "2") & ~given["unknown"]
    given["score"] = np.where(own, 1e6, given["score"])
    assert unknown_scores(**given)["recall_at_5pct"] == before


def test_equal_spectra_give_the_stated_rate(rng: np.random.Generator) -> None:
    given = scored(rng, ["left", "right"])
    given["score"] = rng.normal(size=N)
    low, high = (unknown_scores(**given)["false_alarms_at_5pct"][end] for end in ("low", "high"))
    assert low < 0.05 < high


def test_without_other_spectra_nothing_is_said() -> None:
    score, unknown = np.arange(10.0), np.arange(10) >= 7
    detectors, files = np.full(10, "left"), np.full(10, "a")
    found = unknown_scores(score, unknown, detectors, files)
    assert found["auc"] == 1.0
    assert found["recall_at_5pct"] is None
    assert found["false_alarms_at_5pct"] is None
    assert found["threshold_from"] == ["nothing"]
    # Unknown sources in a file of their own have a threshold, the known have none.
    files = np.where(unknown, "b", "a")
    found = unknown_scores(score, unknown, detectors, files)
    assert found["recall_at_5pct"] == 1.0
    assert found["false_alarms_at_5pct"] is None
    # A detector with unknown sources only takes the threshold of the other, which has none.
    detectors = np.where(unknown, "right", "left")
    found = unknown_scores(score, unknown, detectors, files)
    assert found["recall_at_5pct"] == 1.0
    assert found["threshold_from"] == ["nothing", "other detectors"]
    assert found["per_detector"]["left"]["auc"] is None


def test_the_curve_runs_from_nothing_to_everything(rng: np.random.Generator) -> None:
    curve = roc_points(rng.normal(1.0, 1.0, 200), rng.normal(0.0, 1.0, 300))
    false, found = np.array(curve["false_alarms"]), np.array(curve["found"])
    assert (np.diff(found) >= 0).all()
    assert (found[-1], false[-1]) == (1.0, 1.0)
    area = float(np.sum(np.diff(false) * (found[1:] + found[:-1]) / 2))
    assert area == pytest.approx(0.76, abs=0.05)  # Phi(1 / sqrt 2)
