from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.stats import binom, chi2, norm

from spectraloom.analyze.identify.significance import (
    NullDistribution,
    bootstrap_null,
    fit_null,
    per_name_rate,
    significance_of,
)
from spectraloom.errors import DataError


def chi_bar(rng: np.random.Generator, n: int, weights: list[float], scale: float) -> np.ndarray:
    degrees = rng.choice(len(weights), n, p=weights)
    return scale * np.where(degrees > 0, rng.chisquare(np.maximum(degrees, 1), n), 0.0)


def test_theory_of_one_template_is_half_a_chi_square() -> None:
    ratios = np.array([[0.0, 2.7, 9.0]])
    p = NullDistribution.theory([1, 1, 1]).p_values(ratios, np.array([500.0]))
    np.testing.assert_allclose(p, [[1.0, 0.5 * chi2.sf(2.7, 1), norm.sf(3.0)]], rtol=1e-12)


def test_theory_bounds_what_several_templates_give(rng: np.random.Generator) -> None:
    # Ratio of a cone of three templates in Gaussian noise: what the non-negative fit explains.
    for spread in (0.3, 1.0, 3.0):
        shapes = np.exp(-0.5 * ((np.arange(12)[:, None] - [4.0, 5.0, 6.0]) / spread) ** 2)
        noise = rng.normal(size=(1500, 12))
        ratios = np.array([row @ row - nnls(shapes, row)[1] ** 2 for row in noise])[:, None]
        null = NullDistribution.theory([3])
        for rate in (0.3, 0.1, 0.03):
            found = (null.p_values(ratios, np.full(1500, 100.0)) < rate).sum()
            assert found <= binom.ppf(0.999, 1500, rate)


@pytest.mark.parametrize(
    ("weights", "scale"),
    [([0.5, 0.5], 1.0), ([0.4, 0.35, 0.2, 0.05], 0.9), ([0.5, 0.3, 0.2], 1.3)],
)
def test_the_tail_is_uniform_beyond_the_draws(weights: list[float], scale: float) -> None:
    rng = np.random.default_rng(3)
    fitted, factor = fit_null(chi_bar(rng, 4000, weights, scale), len(weights) - 1)
    null = NullDistribution(np.array([1.0]), fitted[None, None], np.array([[factor]]))
    fresh = chi_bar(rng, 400_000, weights, scale)[:, None]
    p = null.p_values(fresh, np.full(len(fresh), 10.0))
    assert np.mean(p < 0.1) == pytest.approx(0.1, rel=0.08)
    assert np.mean(p < 0.01) == pytest.approx(0.01, rel=0.2)
    assert np.mean(p < 0.001) == pytest.approx(0.001, rel=0.4)


def test_many_tiny_ratios_do_not_bend_the_tail() -> None:
    # Rounding of a fit makes ratios near zero; the decision is made in the tail.
    rng = np.random.default_rng(4)
    clean = chi_bar(rng, 4000, [0.5, 0.5], 1.0)
    dirty = np.where((clean == 0) & (rng.random(4000) < 0.6), rng.uniform(0, 1e-3, 4000), clean)
    tails = [
        NullDistribution(np.array([1.0]), w[None, None], np.array([[s]])).p_values(
            np.array([[10.0]]), np.array([1.0])
        )
        for w, s in (fit_null(clean, 1), fit_null(dirty, 1))
    ]
    assert tails[0] == pytest.approx(tails[1], rel=1e-9)


def test_ratios_never_seen_are_rare_and_too_few_draws_are_refused() -> None:
    weights, scale = fit_null(np.zeros(200), 2)
    assert weights[1] == pytest.approx(1 / 200)
    assert weights.sum() == pytest.approx(1.0)
    assert scale == 1.0
    with pytest.raises(DataError, match="at least 50"):
        fit_null(np.zeros(49), 1)


def test_between_levels_the_probability_lies_between() -> None:
    weights = np.array([[[0.5, 0.5]], [[0.9, 0.1]]])
    null = NullDistribution(np.array([100.0, 10000.0]), weights, np.ones((2, 1)))
    ratios = np.full((4, 1), 5.0)
    p = null.p_values(ratios, np.array([1.0, 100.0, 1000.0, 1e9]))[:, 0]
    assert p[0] == p[1] == pytest.approx(0.5 * chi2.sf(5.0, 1))
    assert p[2] == pytest.approx(0.3 * chi2.sf(5.0, 1))
    assert p[3] == pytest.approx(0.1 * chi2.sf(5.0, 1))


def test_the_bootstrap_finds_what_depends_on_the_counts() -> None:
    def draw(total: float, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        drawn = chi_bar(rng, n, [0.5, 0.5], 1.0 if total < 1e3 else 1.4)[:, None]
        return drawn, np.ones((n, 1))

    levels = [1e2, 2e2, 4e2, 1e4, 2e4, 4e4]
    told: list[float] = []
    null = bootstrap_null(draw, levels, 2000, 1, seed=1, progress=lambda f, _: told.append(f))
    assert told == [number / 6 for number in range(6)]
    again = bootstrap_null(draw, levels, 2000, 1, seed=1)
    np.testing.assert_array_equal(null.weights, again.weights)
    p = null.p_values(np.full((2, 1), 9.0), np.array([1e2, 4e4]))[:, 0]
    assert p[0] == pytest.approx(0.5 * chi2.sf(9.0, 1), rel=0.25)
    assert p[1] == pytest.approx(0.5 * chi2.sf(9.0 / 1.4, 1), rel=0.25)


def test_significance_is_the_gaussian_of_the_same_probability() -> None:
    np.testing.assert_allclose(significance_of(norm.sf([0.0, 1.0, 3.0, 6.0])), [0, 1, 3, 6])
    assert significance_of(np.array([0.9, 1.0])).tolist() == [0.0, 0.0]
    assert np.isfinite(significance_of(np.array([0.0]))).all()


def test_the_rate_per_name_gives_the_rate_of_all() -> None:
    for rate in (1e-9, 1e-3, 0.2):
        assert 1 - (1 - per_name_rate(rate, 7)) ** 7 == pytest.approx(rate, rel=1e-6)
    for wrong in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(DataError, match="false-alarm rate"):
            per_name_rate(wrong, 3)


@pytest.mark.parametrize("rate", [0.3, 1e-2, 1e-4])
def test_the_critical_ratio_has_the_rate_as_its_p_value(rate: float) -> None:
    weights = np.array([[[0.4, 0.4, 0.2], [0.5, 0.5, 0.0]], [[0.5, 0.3, 0.2], [0.8, 0.2, 0.0]]])
    null = NullDistribution(np.array([100.0, 1e4]), weights, np.array([[1.0, 1.2], [0.9, 1.0]]))
    ratios = null.critical(rate, np.array([100.0, 1e4]))
    found = null.p_values(ratios, np.array([100.0, 1e4]))
    possible = (1 - weights[:, :, 0]) > rate
    np.testing.assert_allclose(found[possible], rate, rtol=1e-6)
    assert (ratios[~possible] < 1e-9).all()
    middle = null.critical(rate, np.array([1e3]))
    assert (middle >= ratios.min(axis=0)).all()
    assert (middle <= ratios.max(axis=0)).all()


def test_threshold_and_p_value_agree_between_levels() -> None:
    weights = np.array([[[0.4, 0.4, 0.2]], [[0.9, 0.1, 0.0]]])
    null = NullDistribution(np.array([100.0, 1e4]), weights, np.array([[1.2], [0.9]]))
    totals = np.geomspace(100.0, 1e4, 37)
    found = null.p_values(null.critical(1e-4, totals), totals)
    np.testing.assert_allclose(found, 1e-4, rtol=0.1)


def test_draws_that_next_to_never_happen_say_nothing() -> None:
    # Background of next to no counts: all large ratios were drawn with a source, on purpose.
    ratios = np.concatenate([np.zeros(100), np.linspace(0.3, 40.0, 100)])
    for weight in (1e-170, 1e-200, 1e-300):
        weights, scale = fit_null(ratios, 2, np.where(ratios > 0, weight, 2.0))
        assert weights[1] == pytest.approx(1 / 200)
        assert scale == 1.0
    # One draw of great weight is no tail.
    weights, _ = fit_null(ratios, 2, np.where(ratios == ratios.max(), 1.0, 1e-9))
    assert weights[1] == pytest.approx(1 / 200)


def test_significance_goes_on_where_p_values_end() -> None:
    weights = np.array([[[0.4, 0.3, 0.3]], [[0.2, 0.5, 0.3]]])
    null = NullDistribution(np.array([100.0, 1000.0]), weights, np.array([[1.1], [0.9]]))
    totals = np.full(4, 300.0)
    near = np.array([[10.0], [300.0], [1200.0], [1300.0]])
    p_values = null.p_values(near, totals)
    by_p = significance_of(p_values)
    np.testing.assert_allclose(null.significance(p_values, near, totals), by_p)
    # The same by the log, as if these p-values had been too small.
    by_log = null.significance(np.zeros((4, 1)), near, totals)
    np.testing.assert_allclose(by_log[1:], by_p[1:], rtol=1e-6)
    far = np.array([[1000.0], [1600.0], [1e4], [1e5]])
    p_values = null.p_values(far, totals)
    assert (p_values[1:] == 0).all()
    found = null.significance(p_values, far, totals)[:, 0]
    # Far out the level with the larger scale has all of the tail.
    np.testing.assert_allclose(found, np.sqrt(far[:, 0] / 1.1), rtol=4e-3)
    assert (np.diff(found) > 0).all()
