from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from spectraloom.analyze.identify.conformal import ConformalSets
from spectraloom.data import Result
from spectraloom.errors import DataError, LabelError

NAMES = ("Am241", "Co60", "Cs137", "background")


def drawn(rng: np.random.Generator, n: int) -> tuple[Result, list[tuple[str, ...]]]:
    """Results whose p-values are badly off: true names have p = u^3, others uniform."""
    present = rng.random((n, 3)) < 0.4
    present[np.arange(n), rng.integers(3, size=n)] = True  # one source at least
    p = np.where(present, rng.random((n, 3)) ** 3, rng.random((n, 3)))
    p_values = np.column_stack([p, np.full(n, np.nan)])
    ones = np.ones((n, 4))
    result = Result(NAMES, ones, ones > 0, details={"p_value": p_values})
    truth = [(*np.array(NAMES[:3])[row], "background") for row in present]
    return result, truth


def missed(sets: np.ndarray, truth: list[tuple[str, ...]]) -> int:
    return sum(
        not set(true) - {"background"} <= set(found)
        for found, true in zip(sets, truth, strict=True)
    )


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_sets_hold_all_true_names_with_the_stated_probability(alpha: float) -> None:
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(400):  # 60 labelled spectra each, and 50 to judge
        sets = ConformalSets.calibrate(*drawn(rng, 60), alpha)
        result, truth = drawn(rng, 50)
        wrong += missed(sets.sets(result), truth)
    # Draws that share their labelled spectra vary together: the interval counts 400 of them.
    rank = int(np.ceil(61 * (1 - alpha)))
    expected = 1 - rank / 61
    spread = np.sqrt(expected * (1 - expected) * (1 / 60 + 1 / 50) / 400)
    assert abs(wrong / 20000 - expected) < 4 * spread
    assert expected <= alpha
    # The bare rule "p below alpha is present" misses far more: the test can fail.
    result, truth = drawn(rng, 4000)
    bare = ConformalSets(alpha, alpha)
    assert missed(bare.sets(result), truth) > binom.ppf(0.9999, 4000, alpha)


def test_background_does_not_dilute_the_coverage() -> None:
    rng = np.random.default_rng(14)
    result, truth = drawn(rng, 60)
    p_values = np.column_stack([rng.random((500, 3)), np.full(500, np.nan)])
    quiet = Result(NAMES, np.ones((500, 4)), np.ones((500, 4)), details={"p_value": p_values})
    both = np.concatenate([result.details["p_value"], quiet.details["p_value"]])
    ones = np.ones((560, 4))
    joined = Result(NAMES, ones, ones, details={"p_value": both})
    alone = ConformalSets.calibrate(result, truth, 0.1)
    assert ConformalSets.calibrate(joined, truth + [("background",)] * 500, 0.1) == alone
    assert alone.n == 60
    judged, true = drawn(rng, 4000)
    # Given the labelled spectra the coverage varies by about 0.04.
    assert missed(alone.sets(judged), true) < 0.22 * 4000
    with pytest.raises(DataError, match="labelled spectra of sources"):
        ConformalSets.calibrate(quiet, [("background",)] * 500, 0.1)


def test_too_few_labelled_spectra_give_the_set_of_everything() -> None:
    rng = np.random.default_rng(12)
    sets = ConformalSets.calibrate(*drawn(rng, 8), alpha=0.1)
    assert sets.largest == 1.0
    result, _ = drawn(rng, 5)
    assert all(set(found) == set(NAMES[:3]) for found in sets.sets(result))
    assert not sets.decisions(result)[:, 3].any()
    assert ConformalSets.calibrate(*drawn(rng, 9), alpha=0.1).largest < 1.0


def test_names_come_by_their_p_values() -> None:
    details = {"p_value": np.array([[0.03, 0.5, 0.001, np.nan], [0.9, 0.8, 0.7, np.nan]])}
    result = Result(NAMES, np.ones((2, 4)), np.ones((2, 4)), details=details)
    assert ConformalSets(0.05, 0.1).sets(result).tolist() == [("Cs137", "Am241"), ()]


def test_what_cannot_be_calibrated_is_refused() -> None:
    result, truth = drawn(np.random.default_rng(13), 30)
    with pytest.raises(DataError, match="alpha"):
        ConformalSets.calibrate(result, truth, 0.0)
    with pytest.raises(DataError, match="30 spectra, but 29"):
        ConformalSets.calibrate(result, truth[:-1])
    with pytest.raises(LabelError, match="Ra226"):
        ConformalSets.calibrate(result, [("Ra226",), *truth[1:]])
    bare = Result(NAMES, result.amounts, result.decisions)
    with pytest.raises(DataError, match="p-values"):
        ConformalSets.calibrate(bare, truth)
