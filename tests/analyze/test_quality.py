from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import explained_variance_score
from sklearn.metrics.pairwise import cosine_similarity

from spectraloom.analyze.quality import (
    CHUNK,
    correlation,
    cosine,
    explained_variance,
    fit_quality,
    poisson_deviance,
    root_cosine,
)
from spectraloom.errors import DataError

MEASURES = {
    "explained_variance",
    "cosine",
    "correlation",
    "root_cosine",
    "deviance_per_dof",
    "excess_deviance_per_count",
}


def pair(rng: np.random.Generator, n: int = 20) -> tuple[np.ndarray, np.ndarray]:
    fitted = rng.uniform(0.1, 30.0, (n, 50))
    return rng.poisson(fitted).astype(float), fitted


def test_explained_variance_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    observed, fitted = pair(rng)
    expected = explained_variance_score(observed.T, fitted.T, multioutput="raw_values")
    np.testing.assert_allclose(explained_variance(observed, fitted), expected)
    assert expected.max() < 1.0


def test_cosine_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    observed, fitted = pair(rng)
    fitted -= 5.0
    expected = np.diag(cosine_similarity(observed, fitted))
    np.testing.assert_allclose(cosine(observed, fitted), expected)


def test_correlation_is_pearsons(rng: np.random.Generator) -> None:
    observed, fitted = pair(rng)
    expected = [stats.pearsonr(o, f).statistic for o, f in zip(observed, fitted, strict=True)]
    np.testing.assert_allclose(correlation(observed, fitted), expected)


def test_root_cosine_is_the_bhattacharyya_coefficient(rng: np.random.Generator) -> None:
    observed, fitted = pair(rng)
    shares = observed / observed.sum(1, keepdims=True), fitted / fitted.sum(1, keepdims=True)
    np.testing.assert_allclose(root_cosine(observed, fitted), np.sqrt(shares[0] * shares[1]).sum(1))


def test_deviance_is_twice_the_log_likelihood_ratio(rng: np.random.Generator) -> None:
    observed, fitted = pair(rng)
    expected = 2 * (
        stats.poisson.logpmf(observed, np.maximum(observed, 1e-300))
        - stats.poisson.logpmf(observed, fitted)
    ).sum(axis=1)
    np.testing.assert_allclose(poisson_deviance(observed, fitted), expected, rtol=1e-9)


def test_deviance_of_a_true_model_has_its_expected_size(rng: np.random.Generator) -> None:
    fitted = np.full((4000, 60), 50.0)
    quality = fit_quality(rng.poisson(fitted).astype(float), fitted, n_parameters=0, poisson=True)
    assert quality["deviance_per_dof"].mean() == pytest.approx(1.0, abs=0.01)


def test_deviance_stays_finite_where_the_fit_is_zero() -> None:
    deviance = poisson_deviance(np.array([[3.0, 0.0], [0.0, 0.0]]), np.zeros((2, 2)))
    assert np.isfinite(deviance).all()
    assert deviance[0] == pytest.approx(6 * np.log(3e9) - 6, rel=1e-6)
    assert deviance[1] == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.7, 123.4567, 7.3e5])
def test_a_flat_spectrum_has_no_variance_to_explain(value: float) -> None:
    """Rounding in the mean of 0.1 must not pass for structure."""
    flat = np.full((1, 300), value)
    bumpy = np.linspace(0.0, 1.0, 300)[np.newaxis] ** 2
    assert np.isnan(explained_variance(flat, bumpy)).all()
    assert correlation(flat, bumpy) == 0.0
    assert correlation(bumpy, flat) == 0.0


def test_an_empty_spectrum_or_fit_has_cosine_zero() -> None:
    empty, ramp = np.zeros((1, 5)), np.arange(5.0)[np.newaxis]
    for measure in (cosine, correlation, root_cosine):
        assert measure(empty, ramp) == 0.0
        assert measure(ramp, empty) == 0.0
        assert measure(ramp, ramp) == pytest.approx(1.0)


@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(1e-3, 1e3))
def test_cosines_do_not_depend_on_the_size_of_a_spectrum(seed: int, factor: float) -> None:
    observed, fitted = pair(np.random.default_rng(seed), 3)
    for measure in (cosine, correlation, root_cosine):
        np.testing.assert_allclose(measure(factor * observed, fitted), measure(observed, fitted))
    np.testing.assert_allclose(
        explained_variance(factor * observed, factor * fitted), explained_variance(observed, fitted)
    )


def test_a_perfect_fit_is_perfect(rng: np.random.Generator) -> None:
    observed, _ = pair(rng)
    quality = fit_quality(observed, observed, n_parameters=3, poisson=True)
    for name in ("explained_variance", "cosine", "correlation", "root_cosine"):
        np.testing.assert_allclose(quality[name], 1.0)
    assert (np.abs(quality["deviance_per_dof"]) < 1e-8).all()
    assert (quality["excess_deviance_per_count"] == 0).all()


def test_all_measures_together_are_the_single_ones(rng: np.random.Generator) -> None:
    observed, fitted = pair(rng)
    quality = fit_quality(observed, fitted, n_parameters=7, poisson=True)
    assert set(quality) == MEASURES
    deviance = poisson_deviance(observed, fitted)
    np.testing.assert_allclose(quality["explained_variance"], explained_variance(observed, fitted))
    np.testing.assert_allclose(quality["cosine"], cosine(observed, fitted))
    np.testing.assert_allclose(quality["correlation"], correlation(observed, fitted))
    np.testing.assert_allclose(quality["root_cosine"], root_cosine(observed, fitted))
    np.testing.assert_allclose(quality["deviance_per_dof"], deviance / 43)
    # The mean and the standard deviation of the deviance that chance makes, by drawing.
    drawn = rng.poisson(np.tile(fitted, (4000, 1, 1))).astype(float)
    by_chance = np.array([poisson_deviance(one, fitted) for one in drawn]) * 43 / 50
    above = deviance - by_chance.mean(axis=0) - 1.645 * by_chance.std(axis=0) * np.sqrt(50 / 43)
    np.testing.assert_allclose(
        quality["excess_deviance_per_count"] ** 2 * observed.sum(axis=1),
        np.maximum(above, 0),
        atol=1.0,
    )


@pytest.mark.parametrize("counts", [5.0, 64.0, 200.0, 1e3, 1e5])
def test_what_is_explained_has_no_excess_at_any_number_of_counts(counts: float) -> None:
    rng = np.random.default_rng(1)
    shape = np.exp(-np.arange(64.0) / 15.0)
    expected = np.tile(counts * shape / shape.sum(), (2000, 1))
    quality = fit_quality(
        rng.poisson(expected).astype(float), expected, n_parameters=0, poisson=True
    )
    assert (quality["excess_deviance_per_count"] > 0).mean() < 0.08


def test_excess_deviance_does_not_grow_with_counts_but_deviance_does() -> None:
    """The same relative misfit at 1, 10 and 100 times the counts, without noise."""
    truth = 200.0 * (1.2 + np.sin(np.arange(80.0)))
    wrong = truth * (1 + 0.2 * np.cos(np.arange(80.0)))
    factors = np.array([[10.0], [100.0], [1000.0]])
    quality = fit_quality(factors * truth, factors * wrong, n_parameters=2, poisson=True)
    assert quality["deviance_per_dof"][2] > 50 * quality["deviance_per_dof"][0]
    np.testing.assert_allclose(
        quality["excess_deviance_per_count"][1:], quality["excess_deviance_per_count"][0], rtol=0.1
    )


def test_more_parameters_than_channels_leave_one_degree_of_freedom() -> None:
    quality = fit_quality(np.ones((1, 3)), np.full((1, 3), 2.0), n_parameters=9, poisson=True)
    assert quality["deviance_per_dof"] == poisson_deviance(np.ones((1, 3)), np.full((1, 3), 2.0))


def test_what_is_no_count_has_no_deviance(rng: np.random.Generator) -> None:
    observed, fitted = pair(rng)
    quality = fit_quality(observed - 20.0, fitted, n_parameters=3, poisson=False)
    assert set(quality) == {"explained_variance", "cosine", "correlation"}


def test_chunks_do_not_matter_and_integers_are_taken(rng: np.random.Generator) -> None:
    fitted = rng.uniform(1.0, 9.0, (CHUNK + 3, 4)).astype(np.float32)
    observed = rng.poisson(fitted).astype(np.uint16)
    whole = fit_quality(observed, fitted, n_parameters=1, poisson=True)
    last = fit_quality(observed[-5:], fitted[-5:], n_parameters=1, poisson=True)
    for name, values in whole.items():
        assert values.shape == (CHUNK + 3,)
        np.testing.assert_array_equal(values[-5:], last[name])
    none = fit_quality(observed[:0], fitted[:0], n_parameters=1, poisson=True)
    assert {values.shape for values in none.values()} == {(0,)}


def test_shapes_must_agree() -> None:
    with pytest.raises(DataError, match="differ"):
        fit_quality(np.ones((2, 3)), np.ones((2, 4)), n_parameters=1, poisson=True)
