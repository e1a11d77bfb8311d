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
    values, errors = activity(
        result(), {"Co60": (0.02, 0.002), "Cs137": 0.05}, {"Co60": (2.0, 0.1)}
    )
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
    _, errors = activity(result(), {"Co60": (0.02, 0.001)}, {"Co60": (2.0, 0.02)})
    assert errors[0, 0] == pytest.approx(draws.std(), rel=0.03)


def test_rates_serve_as_they_are() -> None:
    values, _ = activity(result(details={}, unit="counts/s"), {"Co60": 0.5})
    np.testing.assert_allclose(values[:, 0], [400.0, 100.0])


def test_what_cannot_be_an_activity_is_refused() -> None:
    with pytest.raises(DataError, match="live time"):
        activity(result(details={}), {"Co60": 0.5})
    with pytest.raises(LabelError, match="Ra226"):
        activity(result(), {"Ra226": 0.5})
    for wrong in (0.0, -1.0, float("nan"), (0.5, -0.1)):
        with pytest.raises(DataError, match="efficiency of Co60"):
            activity(result(), {"Co60": wrong})
    with pytest.raises(DataError, match="branching of Co60"):
        activity(result(), {"Co60": 0.5}, {"Co60": 0.0})
