"""The fit of amounts against plain expectation maximisation and other slow ways."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from spectraloom.analyze.likelihood import (
    Nuisances,
    TemplateTable,
    em_amounts,
    fit_templates,
    template_table,
)
from spectraloom.analyze.likelihood import fit as fit_module
from spectraloom.data import Axis, Library, Spectra
from spectraloom.errors import DataError


def deviance(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(counts > 0, counts * np.log(counts / expected), 0.0)
    return np.asarray(2.0 * (logs - counts + expected).sum(axis=1))


def random_problem(seed: int, k: int, n: int, counts: float) -> tuple[np.ndarray, Spectra]:
    """Templates of random peaks, some alike, and spectra of a few of them."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, n, (k, 1))
    templates = np.exp(-0.5 * ((np.arange(n) - place) / rng.uniform(1, n / 3, (k, 1))) ** 2)
    templates += 0.02 * rng.random((k, n))
    templates /= templates.sum(axis=1, keepdims=True)
    amounts = rng.dirichlet(np.ones(k), 4) * (rng.random((4, k)) < 0.6) * counts
    return templates, Spectra(
        rng.poisson(amounts @ templates), Axis.regular(0.0, float(n), n, unit="keV")
    )


def table_of(templates: np.ndarray, axis: Axis) -> TemplateTable:
    return template_table([Library(templates, axis, tuple(f"t{j}" for j in range(len(templates))))])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, 7),
    n=st.integers(12, 60),
    counts=st.sampled_from([20.0, 300.0, 1e4, 1e6]),
)
def test_the_fit_is_that_of_expectation_maximisation(
    seed: int, k: int, n: int, counts: float
) -> None:
    templates, spectra = random_problem(seed, k, n, counts)
    fit = fit_templates(spectra, table_of(templates, spectra.axis), tolerance=1e-9)
    slow = em_amounts(spectra.values, templates, iterations=3000)
    of_fit = deviance(spectra.values, np.maximum(fit.amounts @ templates, 1e-12))
    of_slow = deviance(spectra.values, np.maximum(slow @ templates, 1e-12))
    assert fit.converged.all()
    # Never worse, and no better than what slow convergence leaves open.
    assert (of_fit <= of_slow + 1e-6 + 1e-9 * of_slow).all()
    np.testing.assert_allclose(fit.deviance, of_fit, rtol=1e-6, atol=1e-6)


def test_amounts_and_likelihood_equal_those_of_expectation_maximisation(
    table: TemplateTable, library: Library
) -> None:
    rng = np.random.default_rng(1)
    amounts = rng.uniform(0, 2000, (20, 4)) * (rng.random((20, 4)) < 0.7)
    spectra = Spectra(rng.poisson(amounts @ library.templates), library.axis)
    fit = fit_templates(spectra, table, tolerance=1e-10)
    slow = em_amounts(spectra.values, library.templates, iterations=20_000, tolerance=1e-11)
    np.testing.assert_allclose(fit.amounts, slow, rtol=1e-5, atol=1e-2)
    expected = np.maximum(slow @ library.templates, 1e-12)
    np.testing.assert_allclose(
        fit.deviance, deviance(spectra.values, expected), rtol=1e-8, atol=1e-6
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), counts=st.sampled_from([30.0, 3e3, 1e6]))
def test_the_conditions_of_a_maximum_hold(seed: int, counts: float) -> None:
    templates, spectra = random_problem(seed, 6, 40, counts)
    fit = fit_templates(spectra, table_of(templates, spectra.axis), tolerance=1e-10)
    expected = np.maximum(fit.amounts @ templates, 1e-12)
    gradient = (spectra.values / expected - 1.0) @ templates.T
    bound = 1e-4 * np.sqrt((templates**2 / expected[:, np.newaxis, :]).sum(axis=2))
    assert (gradient <= bound).all()
    assert (np.abs(gradient)[fit.amounts > 0] <= bound[fit.amounts > 0]).all()
    # Fitted and observed counts agree where any amount is free: the sum of the conditions.
    np.testing.assert_allclose(
        (fit.amounts @ templates).sum(axis=1), spectra.values.sum(axis=1), rtol=1e-6, atol=1e-4
    )


@pytest.mark.parametrize("counts", [300.0, 1e5])
def test_covariance_is_the_inverse_of_the_numerical_information(
    table: TemplateTable, library: Library, counts: float
) -> None:
    amounts = counts * np.array([[0.3, 0.2, 0.1, 0.4]])
    expected = amounts @ library.templates
    # A spectrum equal to its expectation: the observed information is the expected one.
    fit = fit_templates(Spectra(expected, library.axis), table, tolerance=1e-12)
    np.testing.assert_allclose(fit.amounts, amounts, rtol=1e-6)

    def half(a: np.ndarray) -> float:
        return 0.5 * float(deviance(expected, a[np.newaxis] @ library.templates)[0])

    steps = 0.02 * fit.uncertainties[0]
    information = np.empty((4, 4))
    for i in range(4):
        for j in range(4):
            one, other = np.eye(4)[i] * steps, np.eye(4)[j] * steps
            base = amounts[0]
            information[i, j] = (
                half(base + one + other) - half(base + one - other)
                - half(base - one + other) + half(base - one - other)
            ) / (4 * steps[i] * steps[j])  # fmt: skip
    np.testing.assert_allclose(fit.covariance[0], np.linalg.inv(information), rtol=2e-2)


def test_names_with_several_templates_add_amounts_and_covariances(library: Library) -> None:
    grouped = template_table(
        [Library(library.templates, library.axis, ("a", "b", "b", "c"), tuple("0010"))]
    )
    single = template_table([library])
    rng = np.random.default_rng(2)
    spectra = Spectra(rng.poisson([[300, 200, 250, 500]] @ library.templates), library.axis)
    fit, parts = fit_templates(spectra, grouped), fit_templates(spectra, single)
    np.testing.assert_allclose(fit.template_amounts, parts.amounts, rtol=1e-6)
    member = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1.0]])
    np.testing.assert_allclose(fit.amounts, parts.amounts @ member, rtol=1e-6)
    np.testing.assert_allclose(fit.covariance[0], member.T @ parts.covariance[0] @ member, 1e-5)


def test_the_ratio_is_the_difference_to_a_fit_without_the_name(
    table: TemplateTable, library: Library
) -> None:
    rng = np.random.default_rng(3)
    amounts = np.array([[40.0, 0, 0, 900], [300, 200, 100, 500], [0, 0, 0, 800]])
    spectra = Spectra(rng.poisson(amounts @ library.templates), library.axis)
    fit = fit_templates(spectra, table, tested=["Cs137", "Co60"])
    for name in ("Cs137", "Co60"):
        rest = library.select([other for other in library.names if other != name])
        without = fit_templates(spectra, template_table([rest]))
        ratio = fit.ratios[:, fit.names.index(name)]
        np.testing.assert_allclose(ratio, without.deviance - fit.deviance, atol=2e-5)
    assert not fit.ratios[:, 2:].any()


def test_answers_depend_neither_on_chunks_nor_on_company(
    table: TemplateTable, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    amounts = rng.uniform(0, 800, (150, 4))
    spectra = Spectra(rng.poisson(amounts @ library.templates), library.axis)
    options = {"nuisances": Nuisances(gain=0.02), "pileup": True, "tested": ["Cs137"]}
    whole = fit_templates(spectra, table, **options)
    monkeypatch.setattr(fit_module, "CHUNK", 17)
    pieces = fit_templates(spectra, table, **options)
    monkeypatch.setattr(fit_module.os, "cpu_count", lambda: 1)
    alone = fit_templates(spectra[140:141], table, **options)
    for field in ("amounts", "covariance", "nuisances", "deviance", "ratios", "fitted"):
        np.testing.assert_array_equal(getattr(whole, field), getattr(pieces, field))
        np.testing.assert_array_equal(getattr(whole, field)[140:141], getattr(alone, field))


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(4)), seed=st.integers(0, 1000))
def test_the_order_of_templates_does_not_matter(
    order: list[int], seed: int, table: TemplateTable, library: Library
) -> None:
    rng = np.random.default_rng(seed)
    spectra = Spectra(rng.poisson([[300, 0, 50, 500]] @ library.templates), library.axis)
    moved = template_table(
        [Library(library.templates[order], library.axis, tuple(library.names[j] for j in order))]
    )
    straight = fit_templates(spectra, table, tolerance=1e-10)
    other = fit_templates(spectra, moved, tolerance=1e-10)
    np.testing.assert_allclose(other.amounts, straight.amounts[:, order], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(
        other.uncertainties, straight.uncertainties[:, order], rtol=1e-4, atol=1e-3
    )


@settings(max_examples=15, deadline=None)
@given(factor=st.floats(1e-9, 1e9), seed=st.integers(0, 1000))
def test_gaussian_fits_follow_the_unit_of_the_data(
    factor: float, seed: int, table: TemplateTable, library: Library
) -> None:
    rng = np.random.default_rng(seed)
    values = [[300, 0, 50, 500]] @ library.templates + rng.normal(0, 1.0, (1, 160))
    fits = [
        fit_templates(
            Spectra(unit * values, library.axis, "intensity", variance=np.full((1, 160), unit**2)),
            table,
        )
        for unit in (1.0, factor)
    ]
    np.testing.assert_allclose(fits[1].amounts, factor * fits[0].amounts, rtol=1e-6)
    np.testing.assert_allclose(fits[1].uncertainties, factor * fits[0].uncertainties, rtol=1e-6)
    np.testing.assert_allclose(fits[1].deviance, fits[0].deviance, rtol=1e-6)


def test_gaussian_noise_is_weighted_least_squares(table: TemplateTable, library: Library) -> None:
    rng = np.random.default_rng(5)
    variance = rng.uniform(0.5, 20.0, (30, 160))
    amounts = rng.uniform(0, 500, (30, 4)) * (rng.random((30, 4)) < 0.6)
    values = amounts @ library.templates + rng.normal(0, np.sqrt(variance))
    fit = fit_templates(Spectra(values, library.axis, "intensity", variance=variance), table)
    for row in range(30):
        weight = 1.0 / np.sqrt(variance[row])
        slow, distance = nnls((library.templates * weight).T, values[row] * weight)
        np.testing.assert_allclose(fit.amounts[row], slow, rtol=1e-6, atol=1e-5)
        assert fit.deviance[row] == pytest.approx(distance**2, rel=1e-9)
        free = slow > 0
        weighted = (library.templates * weight)[free]
        np.testing.assert_allclose(
            fit.covariance[row][np.ix_(free, free)], np.linalg.inv(weighted @ weighted.T), 1e-6
        )


@pytest.mark.parametrize("seconds", [1.0, 10.0])
def test_rates_of_few_counts_are_not_biased(
    seconds: float, table: TemplateTable, library: Library
) -> None:
    rng = np.random.default_rng(16)
    truth = np.array([20.0, 30.0, 25.0, 100.0])
    counts = rng.poisson(np.tile(seconds * truth @ library.templates, (400, 1)))
    rates = Spectra(counts / seconds, library.axis, "rate", live_time=seconds)
    of_rates = fit_templates(rates, table).amounts
    of_counts = fit_templates(Spectra(counts, library.axis), table).amounts / seconds
    spread = of_counts.std(axis=0)
    np.testing.assert_array_less(
        np.abs(of_rates.mean(axis=0) - of_counts.mean(axis=0)), 0.15 * spread
    )
    assert of_rates.std(axis=0) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("seconds", [0.0, np.nan])
def test_rates_without_a_live_time_are_refused(
    seconds: float, table: TemplateTable, library: Library
) -> None:
    rates = Spectra(library.templates, library.axis, "rate", live_time=seconds)
    with pytest.raises(DataError, match="live time above zero"):
        fit_templates(rates, table)


def test_rates_get_their_variance_from_the_live_time(
    table: TemplateTable, library: Library
) -> None:
    rng = np.random.default_rng(6)
    counts = rng.poisson([[30_000, 20_000, 10_000, 50_000]] @ library.templates)
    rates = Spectra(counts / 50.0, library.axis, "rate", live_time=50.0)
    of_rates = fit_templates(rates, table)
    of_counts = fit_templates(Spectra(counts, library.axis), table)
    np.testing.assert_allclose(of_rates.amounts * 50.0, of_counts.amounts, rtol=0.02)
    np.testing.assert_allclose(of_rates.uncertainties * 50.0, of_counts.uncertainties, rtol=0.02)
