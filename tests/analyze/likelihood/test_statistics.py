"""Stated uncertainties, error rates and bounds against many simulated spectra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, chi2

from spectraloom.analyze.likelihood import (
    LikelihoodFit,
    Nuisances,
    TemplateTable,
    binned_templates,
    fit_templates,
    profile_intervals,
    template_table,
)
from spectraloom.data import Library, Spectra

DRAWS = 4000


def draws(library: Library, amounts: np.ndarray, n: int, seed: int) -> Spectra:
    rng = np.random.default_rng(seed)
    return Spectra(rng.poisson(np.tile(amounts @ library.templates, (n, 1))), library.axis)


@pytest.mark.parametrize("counts", [1e2, 1e3, 1e5])
def test_intervals_of_amounts_cover_the_truth(
    counts: float, table: TemplateTable, library: Library
) -> None:
    """Averaged over names and draws; interior amounts, as a bound at zero makes it one-sided."""
    amounts = counts * np.array([0.4, 0.3, 0.0, 0.3])
    fit = fit_templates(draws(library, amounts, DRAWS, 1), table)
    inside = np.abs(fit.amounts - amounts) <= 1.96 * fit.uncertainties
    coverage = inside[:, amounts > 0].mean()
    assert 0.93 < coverage < 0.965


@pytest.mark.parametrize("counts", [1e3, 1e5])
def test_errors_are_those_of_the_cramer_rao_bound(
    counts: float, table: TemplateTable, library: Library
) -> None:
    amounts = counts * np.array([0.3, 0.3, 0.2, 0.2])
    fit = fit_templates(draws(library, amounts, DRAWS, 2), table)
    expected = amounts @ library.templates
    bound = np.sqrt(np.diag(np.linalg.inv((library.templates / expected) @ library.templates.T)))
    rmse = np.sqrt(((fit.amounts - amounts) ** 2).mean(axis=0))
    assert (rmse < 1.05 * bound).all()
    assert (rmse > 0.9 * bound).all()
    np.testing.assert_allclose(fit.uncertainties.mean(axis=0), bound, rtol=0.05)


def test_coverage_holds_with_a_fitted_gain(table: TemplateTable, library: Library) -> None:
    rng = np.random.default_rng(3)
    amounts = np.array([3000.0, 3000.0, 2000.0, 4000.0])
    gains = rng.normal(0.0, 0.01, 1500)
    edges = library.axis.edges
    counts = [
        rng.poisson(amounts @ binned_templates(table, edges, np.array([gain, 0.0, 0.0])))
        for gain in gains
    ]
    fit = fit_templates(
        Spectra(np.array(counts), library.axis), table, nuisances=Nuisances(gain=0.01),
        window=(60.0, 1500.0),
    )  # fmt: skip
    inside = np.abs(fit.amounts - amounts) <= 1.96 * fit.uncertainties
    assert 0.93 < inside.mean() < 0.965
    assert np.sqrt(np.mean((fit.nuisances[:, 0] - gains) ** 2)) < 0.002


def test_the_ratio_of_an_absent_name_is_half_zero_and_half_chi_square(
    table: TemplateTable, library: Library
) -> None:
    fit = fit_templates(
        draws(library, np.array([0, 0, 3000.0, 7000.0]), DRAWS, 4), table, tested=["Cs137"]
    )
    ratios = fit.ratios[:, 0]
    for level in (0.25, 0.05, 0.01):
        seen = int((ratios > chi2.isf(2 * level, 1)).sum())
        low, high = binom.interval(0.999, DRAWS, level)
        assert low <= seen <= high


def profile_of(fit: LikelihoodFit, table: TemplateTable, name: str) -> np.ndarray:
    return profile_intervals(fit, table, name, level=0.95)


def test_profiles_are_fisher_intervals_at_many_counts(
    table: TemplateTable, library: Library
) -> None:
    fit = fit_templates(draws(library, np.array([3e5, 3e5, 2e5, 2e5]), 20, 7), table)
    for number, name in enumerate(library.names):
        ends = profile_of(fit, table, name)
        half = 1.959964 * fit.uncertainties[:, number]
        np.testing.assert_allclose(ends[:, 0], fit.amounts[:, number] - half, atol=0.02 * half[0])
        np.testing.assert_allclose(ends[:, 1], fit.amounts[:, number] + half, atol=0.02 * half[0])


def test_the_ends_of_a_profile_are_where_the_deviance_has_risen(library: Library) -> None:
    """One template alone: the deviance along the amount is known."""
    table = template_table([library.select(["Cs137"])])
    n = np.array([9, 25, 400])
    rng = np.random.default_rng(8)
    counts = np.array([rng.multinomial(total, library.templates[0]) for total in n])
    ends = profile_of(fit_templates(Spectra(counts, library.axis), table), table, "Cs137")
    for side in range(2):
        rise = 2 * (ends[:, side] - n + n * np.log(n / ends[:, side]))
        np.testing.assert_allclose(rise, chi2.ppf(0.95, 1), rtol=1e-4)
    assert (ends[:, 0] < n).all()
    assert (ends[:, 1] > n).all()


def test_an_empty_spectrum_has_an_upper_end(library: Library, table: TemplateTable) -> None:
    fit = fit_templates(Spectra(np.zeros((1, 160)), library.axis), table)
    ends = profile_of(fit, table, "Cs137")
    np.testing.assert_allclose(ends, [[0.0, chi2.ppf(0.95, 1) / 2]], rtol=1e-4)


@pytest.mark.parametrize("amount", [0.0, 8.0, 30.0])
def test_profiles_cover_where_counts_are_few(
    amount: float, table: TemplateTable, library: Library
) -> None:
    spectra = draws(library, np.array([amount, 0.0, 5.0, 25.0]), 1500, 9)
    ends = profile_of(fit_templates(spectra, table), table, "Cs137")
    inside = (ends[:, 0] <= amount + 1e-6) & (amount <= ends[:, 1])
    assert 0.93 < inside.mean() < (1.0 if amount == 0 else 0.985)
    assert (ends[:, 0] <= ends[:, 1]).all()


def test_profiles_with_a_gain_and_several_templates_are_wider(library: Library) -> None:
    shifted = np.roll(library.templates[:1], 2, axis=1)
    several = template_table([library, Library(shifted, library.axis, ("Cs137",))])
    single = template_table([library])
    spectra = draws(library, np.array([300.0, 200.0, 0.0, 500.0]), 10, 10)
    nuisances = Nuisances(gain=0.02)
    narrow = profile_of(fit_templates(spectra, single), single, "Cs137")
    wide = profile_intervals(
        fit_templates(spectra, several, nuisances=nuisances), several, "Cs137", nuisances=nuisances
    )
    assert (np.diff(wide)[:, 0] > 0.999 * np.diff(narrow)[:, 0]).mean() > 0.8
    assert (wide[:, 0] < 300 + 80).all()
    assert (wide[:, 1] > 300 - 80).all()
