from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze.identify.activity import activity
from spectraloom.data import Result
from spectraloom.errors import DataError, LabelError

NAMES = ("Co60", "Cs137", "background")


def result(**changes: object) -> Result:
    amounts = np.array([[200.0, 0.0, 900.0], [50.0, 80.0, 850.0]])
    errors = np.array([[20.0, 5.0, 33.0], [10.0, 12.0, 31.0]])
    details = {"count_rate": amounts / 10.0, "count_rate_uncertainty": errors / 10.0}
    given = {"details": details, "uncertainties": errors, **changes}
    return Result(NAMES, amounts, amounts > 0, **given)  # type: ignore[arg-type]


def test_activity_is_rate_over_efficiency_and_branching() -> None:
    found = activity(result(), {"Co60": (0.02, 0.002), "Cs137": 0.05}, {"Co60": (2.0, 0.1)})
    values, errors = found.values, found.uncertainties
    np.testing.assert_allclose(values[:, :2], [[500.0, 0.0], [125.0, 160.0]])
    assert np.isnan(values[:, 2]).all()
    assert np.isnan(errors[:, 2]).all()
    np.testing.assert_allclose(errors[:, 1], [10.0, 24.0])
    np.testing.assert_allclose(errors[0, 0], 500.0 * np.sqrt(0.1**2 + 0.1**2 + 0.05**2))


def test_uncertainties_agree_with_draws() -> None:
    rng = np.random.default_rng(5)
    draws = rng.normal(20.0, 2.0, 200_000) / (
        rng.normal(0.02, 0.001, 200_000) * rng.normal(2.0, 0.02, 200_000)
    )
    found = activity(result(), {"Co60": (0.02, 0.001)}, {"Co60": (2.0, 0.02)})
    assert found.uncertainties[0, 0] == pytest.approx(draws.std(), rel=0.03)


def test_rates_serve_as_they_are() -> None:
    found = activity(result(details={}, unit="counts/s"), {"Co60": 0.5})
    np.testing.assert_allclose(found.values[:, 0], [400.0, 100.0])
    assert found.decision_threshold is None
    assert found.interval_high is None


def limits() -> dict[str, np.ndarray]:
    """Details in counts (or counts/s) with limits and intervals."""
    given = result()
    assert given.uncertainties is not None
    counts = {
        "decision_threshold": np.full((2, 3), 15.0),
        "detection_limit": np.full((2, 3), 33.0),
        "interval_low": np.maximum(given.amounts - 1.9 * given.uncertainties, 0.0),
        "interval_high": given.amounts + 2.1 * given.uncertainties,
    }
    rates = {"count_rate": given.amounts, "count_rate_uncertainty": given.uncertainties}
    return counts | {name: values * 0.1 for name, values in rates.items()}


@pytest.mark.parametrize("unit", ["counts", "counts/s"])
def test_limits_and_intervals_follow_the_same_factor(unit: str) -> None:
    given = result(details=limits(), unit=unit)
    seconds = 10.0 if unit == "counts" else 1.0
    found = activity(given, {"Co60": 0.02, "Cs137": (0.05, 0.005)})
    for ours, name in (
        (found.decision_threshold, "decision_threshold"),
        (found.detection_limit, "detection_limit"),
        (found.interval_low, "interval_low"),
        (found.interval_high, "interval_high"),
    ):
        assert ours is not None
        np.testing.assert_allclose(ours[:, 0], given.details[name][:, 0] / seconds / 0.02)
        assert np.isnan(ours[:, 2]).all()
    assert found.decision_threshold is not None
    np.testing.assert_allclose(found.decision_threshold[:, 1], 15.0 / seconds / 0.05)


def test_intervals_hold_the_truth_where_the_efficiency_is_uncertain() -> None:
    rng = np.random.default_rng(3)
    n, true, relative = 40_000, 500.0, 0.15
    amounts = rng.normal(true * 0.02, 1.0, n)[:, np.newaxis]
    efficiency = 0.02 * (1.0 + relative * rng.standard_normal(n))
    held = 0
    for at in range(400):
        part = slice(100 * at, 100 * at + 100)
        own = amounts[part]
        details = {"interval_low": own - 1.96, "interval_high": own + 1.96}
        one = Result(
            ("A",), own, own > 0, unit="counts/s", uncertainties=np.ones_like(own), details=details
        )
        value = float(efficiency[100 * at])
        found = activity(one, {"A": (value, relative * value)})
        assert found.interval_low is not None
        assert found.interval_high is not None
        held += int(((found.interval_low < true) & (true < found.interval_high)).sum())
    assert held / n == pytest.approx(0.95, abs=0.03)  # 400 efficiencies


def test_an_absent_name_has_an_upper_limit_that_knows_the_efficiency() -> None:
    found = activity(result(details=limits()), {"Cs137": (0.05, 0.005)})
    low, high = found.interval_low, found.interval_high
    assert low is not None
    assert high is not None
    assert low[0, 1] == 0.0
    sure = 2.1 * 5.0 / 10.0 / 0.05
    assert high[0, 1] == pytest.approx(sure / np.sqrt(1.0 - (1.96 * 0.1) ** 2))
    # (A - a)^2 = d^2 + (1.96 r A)^2 at both ends of a source that is there
    value = found.values[1, 1]
    for end, steps in ((low[1, 1], 1.9), (high[1, 1], 2.1)):
        distance = steps * 12.0 / 10.0 / 0.05
        assert (end - value) ** 2 == pytest.approx(distance**2 + (1.96 * 0.1 * end) ** 2)
    open_ended = activity(result(details=limits()), {"Cs137": (0.05, 0.04)})
    assert open_ended.interval_high is not None
    assert np.isinf(open_ended.interval_high[:, 1]).all()


def test_spectra_without_live_time_have_no_activity() -> None:
    details = limits()
    for name in ("count_rate", "count_rate_uncertainty"):
        details[name][1] = np.nan
    found = activity(result(details=details), {"Co60": 0.02})
    assert found.detection_limit is not None
    assert np.isnan(found.detection_limit[:, 0]).tolist() == [False, True]
    assert repr(found) == "<Activity: 2 spectra, becquerel of Co60>"


def test_what_cannot_be_an_activity_is_refused() -> None:
    with pytest.raises(DataError, match="live time"):
        activity(result(details={}), {"Co60": 0.5})
    with pytest.raises(LabelError, match="Ra226"):
        activity(result(), {"Ra226": 0.5})
    for wrong in (0.0, -1.0, float("nan"), (0.5, -0.1)):
        with pytest.raises(DataError, match="efficiency of Co60"):
            activity(result(), {"Co60": wrong})
    with pytest.raises(DataError, match=r"per cent, write 0\.017"):
        activity(result(), {"Co60": 1.7})
    assert activity(result(), {"Co60": 0.5}, {"Co60": 2.0}).values[0, 0] == 20.0
    with pytest.raises(DataError, match="branching of Co60"):
        activity(result(), {"Co60": 0.5}, {"Co60": 0.0})
