from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls as scipy_nnls

from spectraloom.analyze import nnls
from spectraloom.analyze.least_squares import CHUNK, standard_errors
from spectraloom.errors import DataError


def scipy_rows(values: np.ndarray, templates: np.ndarray) -> np.ndarray:
    return np.array([scipy_nnls(templates.T, row, maxiter=1000)[0] for row in values])


def objective(values: np.ndarray, templates: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    return np.sqrt(((values - amounts @ templates) ** 2).sum(axis=1))


def best_of_all_subsets(row: np.ndarray, templates: np.ndarray) -> float:
    """Least residual over every set of active templates whose free solution is non-negative."""
    k = len(templates)
    best = float(np.linalg.norm(row))
    for active in chain.from_iterable(combinations(range(k), size) for size in range(1, k + 1)):
        free = np.linalg.lstsq(templates[list(active)].T, row, rcond=None)[0]
        if (free >= 0).all():
            best = min(best, float(np.linalg.norm(row - free @ templates[list(active)])))
    return best


def mixed(rng: np.random.Generator, n: int, k: int, channels: int) -> tuple[np.ndarray, ...]:
    """Poisson spectra of unit-area peaks on a continuum, some templates absent."""
    x = np.arange(channels)
    centers = rng.uniform(0, channels, (k, 1))
    templates = np.exp(-0.5 * ((x - centers) / 4.0) ** 2) + 0.3 * np.exp(-x / (0.3 * channels))
    templates /= templates.sum(axis=1, keepdims=True)
    amounts = rng.uniform(0.0, 3000.0, (n, k)) * (rng.random((n, k)) < 0.6)
    return rng.poisson(amounts @ templates).astype(float), templates, amounts


# -- against scipy -----------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "channels"), [(1, 1), (1, 5), (2, 2), (5, 256), (18, 256), (30, 40)])
def test_answers_are_those_of_scipy(rng: np.random.Generator, k: int, channels: int) -> None:
    for templates in (rng.random((k, channels)), rng.normal(size=(k, channels))):
        values = rng.normal(1.0, 2.0, (60, channels))
        expected = scipy_rows(values, templates)
        assert (expected > 0).any()
        scale = np.abs(expected).max(axis=1, keepdims=True) + 1e-300
        assert (np.abs(nnls(values, templates) - expected) <= 1e-6 * scale).all()


def test_answers_are_those_of_scipy_for_spectra(rng: np.random.Generator) -> None:
    values, templates, _ = mixed(rng, 300, 18, 256)
    found, expected = nnls(values, templates), scipy_rows(values, templates)
    assert ((expected > 0).any(axis=0) & (expected == 0).any(axis=0)).all()
    assert (np.abs(found - expected) <= 1e-6 * expected.max(axis=1, keepdims=True)).all()


@pytest.mark.parametrize("apart", [1e-2, 1e-3, 1e-4, 1e-5])
def test_nearly_dependent_templates(rng: np.random.Generator, apart: float) -> None:
    """The normal equations square the condition number; what they lose is regained."""
    templates = rng.random(64) + apart * rng.random((6, 64))
    amounts = rng.uniform(1.0, 2.0, (40, 6))
    values = amounts @ templates
    found = nnls(values, templates)  # inside the allowed region: nothing hides an error
    np.testing.assert_allclose(found, amounts, rtol=1e-6)
    noisy = values + 0.1 * apart * rng.normal(size=values.shape)
    found, expected = nnls(noisy, templates), scipy_rows(noisy, templates)
    assert (np.abs(found - expected) <= 1e-6 * expected.max(axis=1, keepdims=True)).all()
    weights = rng.uniform(0.5, 2.0, 64)
    found = nnls(values, templates, weights=weights)
    np.testing.assert_allclose(found, amounts, rtol=1e-6)


@pytest.mark.parametrize(("k", "channels"), [(4, 20), (12, 20), (30, 12), (9, 3)])
def test_dependent_templates_reach_the_same_misfit(
    rng: np.random.Generator, k: int, channels: int
) -> None:
    """Duplicates, or more templates than channels: many answers, one least misfit."""
    distinct = rng.random((max(k // 2, 1), channels))
    repeated = distinct[rng.integers(0, len(distinct), k)] * rng.uniform(0.5, 2.0, (k, 1))
    for templates in (repeated, rng.normal(size=(k, channels))):
        values = rng.normal(0.5, 2.0, (80, channels))
        found = nnls(values, templates)
        assert (found >= 0).all()
        np.testing.assert_allclose(
            objective(values, templates, found),
            objective(values, templates, scipy_rows(values, templates)),
            rtol=1e-7,
            atol=1e-9,
        )


def test_no_set_of_templates_does_better(rng: np.random.Generator) -> None:
    """Against trying out every active set: no solver is trusted."""
    templates = rng.normal(size=(5, 9))
    values = rng.normal(size=(30, 9))
    found = objective(values, templates, nnls(values, templates))
    best = [best_of_all_subsets(row, templates) for row in values]
    np.testing.assert_allclose(found, best, rtol=1e-10)


# -- conditions that define the answer ---------------------------------------------------------


@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(1, 12),
    channels=st.integers(1, 40),
    exponent=st.integers(-8, 8),
    signed=st.booleans(),
)
def test_the_optimality_conditions_hold(
    seed: int, k: int, channels: int, exponent: int, signed: bool
) -> None:
    rng = np.random.default_rng(seed)
    templates = rng.normal(size=(k, channels)) if signed else rng.random((k, channels)) + 1e-3
    values = rng.normal(0.3, 1.0, (7, channels)) * 10.0**exponent
    amounts = nnls(values, templates)
    assert (amounts >= 0).all()
    gradient = (values - amounts @ templates) @ templates.T
    size = np.linalg.norm(values, axis=1, keepdims=True) * np.linalg.norm(templates, axis=1)
    assert (gradient <= 1e-7 * size).all()
    assert (np.abs(gradient) <= 1e-7 * size)[amounts > 0].all()


@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(1e-6, 1e6))
def test_scaling_data_or_a_template_scales_the_amounts(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    values, templates, _ = mixed(rng, 5, 4, 30)
    amounts = nnls(values, templates)
    np.testing.assert_allclose(nnls(factor * values, templates), factor * amounts, rtol=1e-9)
    scaled = templates * np.array([[factor], [1.0], [1.0], [1.0]])
    expected = amounts / np.array([factor, 1.0, 1.0, 1.0])
    # A template that others can nearly replace is determined to its condition only.
    np.testing.assert_allclose(nnls(values, scaled), expected, rtol=1e-6, atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_templates_and_channels_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, templates, _ = mixed(rng, 5, 6, 40)
    order, channels = rng.permutation(6), rng.permutation(40)
    amounts = nnls(values, templates)
    np.testing.assert_allclose(
        nnls(values[:, channels], templates[order][:, channels]), amounts[:, order], atol=1e-6
    )


def test_exact_mixtures_are_taken_apart(rng: np.random.Generator) -> None:
    _, templates, amounts = mixed(rng, 50, 7, 120)
    np.testing.assert_allclose(nnls(amounts @ templates, templates), amounts, atol=1e-6)


def test_data_that_oppose_every_template_give_zero() -> None:
    assert (nnls(-np.ones((3, 6)), np.ones((2, 6)) + np.eye(2, 6)) == 0).all()


def test_empty_spectra_no_spectra_and_no_templates(rng: np.random.Generator) -> None:
    values, templates, _ = mixed(rng, 4, 3, 20)
    values[1] = 0.0
    amounts = nnls(values, templates)
    assert (amounts[1] == 0).all()
    assert (amounts[[0, 2, 3]] > 0).any(axis=1).all()
    assert nnls(values[:0], templates).shape == (0, 3)
    assert nnls(values, templates[:0]).shape == (4, 0)


# -- types, layout, chunks ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.uint64, np.float32, np.bool_])
def test_every_type_of_number_is_taken(rng: np.random.Generator, dtype: type) -> None:
    values = rng.integers(0, 2 if dtype is np.bool_ else 120, (9, 30)).astype(dtype)
    templates = rng.random((4, 30))
    np.testing.assert_array_equal(
        nnls(values, templates), nnls(values.astype(np.float64), templates)
    )


def test_float32_is_added_up_in_double_precision(rng: np.random.Generator) -> None:
    values = rng.random((3, 4096)).astype(np.float32) + np.float32(1000.0)
    exact = values.astype(np.float64).mean(axis=1)
    np.testing.assert_allclose(nnls(values, np.ones((1, 4096)))[:, 0], exact, rtol=1e-13)


def test_memory_layout_does_not_matter(rng: np.random.Generator) -> None:
    values, templates, _ = mixed(rng, 12, 5, 40)
    expected = nnls(values, templates)
    frozen = values.copy()
    frozen.flags.writeable = False
    wide = np.zeros((12, 80))
    wide[:, ::2] = values
    layouts = {
        "read-only": frozen,
        "Fortran": np.asfortranarray(values),
        "strided": wide[:, ::2],
        "reversed": np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1],
        "list": values.tolist(),
    }
    for name, layout in layouts.items():
        np.testing.assert_array_equal(nnls(layout, templates), expected, err_msg=name)
    np.testing.assert_array_equal(nnls(values, np.asfortranarray(templates)), expected)


def test_inputs_are_left_as_they_are(rng: np.random.Generator) -> None:
    values, templates, _ = mixed(rng, 6, 3, 20)
    weights = rng.random(20)
    before = values.copy(), templates.copy(), weights.copy()
    nnls(values, templates, weights=weights)
    for array, copy in zip((values, templates, weights), before, strict=True):
        np.testing.assert_array_equal(array, copy)
        assert array.flags.writeable


def test_a_row_does_not_depend_on_the_others(rng: np.random.Generator) -> None:
    block, templates, _ = mixed(rng, 97, 6, 25)
    values = np.tile(block, (CHUNK * 2 // 97 + 3, 1))  # three chunks, so several threads
    assert len(values) > 2 * CHUNK
    whole = nnls(values, templates)
    np.testing.assert_array_equal(whole[:97], whole[97 * 20 : 97 * 21])
    np.testing.assert_array_equal(whole[:97], nnls(block, templates))
    np.testing.assert_array_equal(whole[5:6], nnls(block[5:6], templates))
    np.testing.assert_array_equal(whole, nnls(values, templates))  # same again


def test_progress_goes_up_to_the_end(rng: np.random.Generator) -> None:
    seen: list[float] = []
    values = rng.random((2 * CHUNK + 5, 4))
    nnls(values, rng.random((2, 4)), progress=lambda fraction, text: seen.append(fraction))
    assert seen == sorted(seen)
    assert len(seen) == 3
    assert seen[-1] == 1.0


# -- weights -----------------------------------------------------------------------------------


def test_weights_scale_the_residuals(rng: np.random.Generator) -> None:
    values, templates, _ = mixed(rng, 20, 5, 50)
    weights = rng.uniform(0.1, 10.0, 50)
    root = np.sqrt(weights)
    expected = scipy_rows(values * root, templates * root)
    np.testing.assert_allclose(nnls(values, templates, weights=weights), expected, atol=1e-7)
    assert np.abs(expected - scipy_rows(values, templates)).max() > 1.0


def test_channels_of_weight_zero_are_left_out(rng: np.random.Generator) -> None:
    values, templates, _ = mixed(rng, 20, 3, 50)
    weights = np.r_[np.zeros(10), np.ones(40)]
    spoiled = values.copy()
    spoiled[:, :10] = 1e6
    np.testing.assert_allclose(
        nnls(spoiled, templates, weights=weights), nnls(values[:, 10:], templates[:, 10:])
    )


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_are_none_are_refused(bad: float, dtype: type) -> None:
    values = np.ones((CHUNK + 4, 3), dtype=dtype)
    values[CHUNK + 2, 1] = bad
    with pytest.raises(DataError, match=f"spectrum {CHUNK + 2} holds values that are not finite"):
        nnls(values, np.eye(3))
    with pytest.raises(DataError, match="templates hold finite"):
        nnls(np.ones((2, 3)), np.diag([1.0, bad, 1.0]))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="same channels"):
        nnls(np.ones((2, 5)), np.ones((2, 4)))
    with pytest.raises(DataError, match="same channels"):
        nnls(np.ones(5), np.ones((2, 5)))
    with pytest.raises(DataError, match="template 1 is zero"):
        nnls(np.ones((2, 3)), np.array([[1.0, 0, 0], [0, 0, 0]]))
    with pytest.raises(DataError, match="template 0 is zero"):
        nnls(np.ones((2, 3)), np.eye(3), weights=np.array([0.0, 1.0, 1.0]))
    for weights in (np.ones(2), np.array([1.0, -1.0, 1.0]), np.array([1.0, np.nan, 1.0])):
        with pytest.raises(DataError, match="weights have shape"):
            nnls(np.ones((2, 3)), np.eye(3), weights=weights)
    for values, templates in ((np.ones((2, 3)) * 1j, np.eye(3)), (np.ones((2, 3)), np.eye(3) * 1j)):
        with pytest.raises(DataError, match="complex"):
            nnls(values, templates)


# -- uncertainties -----------------------------------------------------------------------------


def test_standard_errors_are_the_textbook_ones(rng: np.random.Generator) -> None:
    """Covariance (A^T W A)^-1 A^T W V W A (A^T W A)^-1, element by element."""
    _, templates, _ = mixed(rng, 1, 4, 30)
    variances = rng.uniform(1.0, 5.0, (6, 30))
    weights = rng.uniform(0.5, 2.0, 30)
    inverse = np.linalg.inv((templates * weights) @ templates.T)
    groups = np.array([0, 1, 1, 2])
    member = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    expected = []
    for row in variances:
        middle = (templates * weights**2 * row) @ templates.T
        covariance = member @ inverse @ middle @ inverse @ member.T
        expected.append(np.sqrt(np.diag(covariance)))
    found = standard_errors(variances, templates, groups, weights=weights)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_standard_errors_are_the_spread_over_repetitions(rng: np.random.Generator) -> None:
    _, templates, _ = mixed(rng, 1, 4, 60)
    mean = np.array([4000.0, 6000.0, 3000.0, 5000.0]) @ templates
    weights = 1.0 / np.maximum(mean, 1.0)
    drawn = rng.poisson(mean, (20_000, 60))
    spread = nnls(drawn, templates, weights=weights).std(axis=0)
    stated = standard_errors(mean[np.newaxis], templates, np.arange(4), weights=weights)[0]
    np.testing.assert_allclose(stated, spread, rtol=0.03)


def test_a_constraint_makes_them_upper_bounds(rng: np.random.Generator) -> None:
    """Where an amount is really zero the others vary less than stated."""
    _, templates, _ = mixed(rng, 1, 4, 60)
    mean = np.array([4000.0, 0.0, 3000.0, 0.0]) @ templates
    spread = nnls(rng.poisson(mean, (5000, 60)), templates).std(axis=0)
    stated = standard_errors(mean[np.newaxis], templates, np.arange(4))[0]
    assert (spread < 1.03 * stated).all()
    assert (spread[[1, 3]] < 0.8 * stated[[1, 3]]).all()


def test_templates_that_cannot_be_told_apart_have_a_certain_sum(rng: np.random.Generator) -> None:
    template = rng.random(40)
    twice = np.stack([template, template])
    variances = np.full((1, 40), 2.0)
    np.testing.assert_allclose(
        standard_errors(variances, twice, np.array([0, 0])),
        standard_errors(variances, template[np.newaxis], np.array([0])),
    )


def test_standard_errors_do_not_depend_on_chunks(rng: np.random.Generator) -> None:
    variances = rng.random((CHUNK + 7, 6)).astype(np.float32)
    templates, groups = rng.random((2, 6)), np.arange(2)
    whole = standard_errors(variances, templates, groups)
    np.testing.assert_allclose(whole[-3:], standard_errors(variances[-3:], templates, groups))
    assert whole.shape == (CHUNK + 7, 2)
