from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError
from spectraloom.process import Normalize, normalize

AXIS = Axis.regular(0.0, 4.0, 4)
MEAN = np.array([5.0, 60.0, 20.0, 15.0])


@given(st.integers(0, 10**6))
def test_area_is_one_and_shape_is_kept(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spectra = Spectra(rng.poisson(MEAN, (5, 4)), AXIS)
    shares = normalize(spectra)
    assert shares.kind == "intensity"
    np.testing.assert_allclose(shares.totals, 1.0)
    np.testing.assert_allclose(shares.values * spectra.totals[:, np.newaxis], spectra.values)
    # In closed form, the variance of a share of N counts is p (1 - p) / N.
    expected = shares.values * (1 - shares.values) / spectra.totals[:, np.newaxis]
    np.testing.assert_allclose(shares.variance, expected, atol=1e-15)  # type: ignore[arg-type]


def test_variance_of_shares_agrees_with_simulation() -> None:
    rng = np.random.default_rng(1)
    shares = normalize(Spectra(rng.poisson(MEAN * 10, (40_000, 4)), AXIS))
    assert shares.variance is not None
    np.testing.assert_allclose(shares.values.var(axis=0), shares.variance.mean(axis=0), rtol=0.04)


def test_variance_of_signed_shares_agrees_with_simulation() -> None:
    rng = np.random.default_rng(2)
    spread = np.array([2.0, 3.0, 1.0, 2.0])
    values = np.array([-10.0, 300.0, 100.0, 10.0]) + spread * rng.normal(size=(40_000, 4))
    variance = np.broadcast_to(spread**2, values.shape)
    shares = normalize(Spectra(values, AXIS, "intensity", variance=variance))
    assert shares.values.min() < 0
    assert shares.variance is not None
    np.testing.assert_allclose(shares.values.var(axis=0), shares.variance.mean(axis=0), rtol=0.04)


def test_live_time_gives_rates() -> None:
    spectra = Spectra([[2, 4, 6, 8], [1, 1, 1, 1]], AXIS, live_time=[2.0, 0.5])
    rates = normalize(spectra, "live_time")
    assert rates.kind == "rate"
    np.testing.assert_array_equal(rates.values, [[1, 2, 3, 4], [2, 2, 2, 2]])
    np.testing.assert_array_equal(rates.variance, [[0.5, 1, 1.5, 2], [4, 4, 4, 4]])  # type: ignore[arg-type]
    known = normalize(spectra.replace(variance=np.full((2, 4), 8.0)), "live_time")
    np.testing.assert_array_equal(known.variance, [[2] * 4, [32] * 4])  # type: ignore[arg-type]


def test_unknown_variance_stays_unknown() -> None:
    assert normalize(Spectra([[1.0, 2.0]], kind="intensity")).variance is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: normalize(Spectra([[1, 2], [0, 0], [3, 4], [0, 0]])), r"2 of 4 .*rows 1, 3\)"),
        (lambda: normalize(Spectra(np.zeros((9, 2)))), r"rows 0, 1, 2, 3, 4, \.\.\.\)"),
        (lambda: normalize(Spectra([[1.0, -2.0]], kind="intensity")), "no positive sum"),
        (lambda: normalize(Spectra([[1j, 2]], kind="complex")), "magnitude"),
        (lambda: normalize(Spectra([[1, 2]]), "live_time"), "the spectra have none"),
        (lambda: normalize(Spectra([[1, 2]] * 3, live_time=[1, np.nan, 0]), "live_time"),
         r"2 of 3 spectra \(rows 1, 2\)"),
        (lambda: normalize(Spectra([[1, 2]], kind="rate", live_time=1), "live_time"),
         "these spectra are rate"),
        (lambda: normalize(Spectra([[1, 2]]), "maximum"), "not by 'maximum'"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_refusals_name_the_rows(call: Callable[[], object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()


def test_transformer_on_arrays() -> None:
    step = Normalize().fit(np.ones((2, 3)))
    np.testing.assert_allclose(
        step.transform([[1.0, 1.0, 2.0], [0, 0, 0]]), [[0.25, 0.25, 0.5], [0, 0, 0]]
    )
    np.testing.assert_array_equal(step.transform(np.zeros((2, 3))), 0.0)
    with pytest.raises(ValueError, match="Negative values"):
        step.transform([[1.0, -1.0, 5.0]])
    signed = Spectra([[1.0, -1.0, 5.0]], kind="intensity")
    np.testing.assert_allclose(step.transform(signed).values, [[0.2, -0.2, 1.0]])
