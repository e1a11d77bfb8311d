"""Thresholds and limits of the likelihood-ratio test, against fits and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2

from spectraloom.analyze.likelihood import (
    Nuisances,
    TemplateTable,
    fit_templates,
    ratio_limits,
    template_table,
)
from spectraloom.data import Axis, Library, Spectra
from spectraloom.errors import DataError

CRITICAL = float(chi2.isf(2 * 0.01, 1))  # one false alarm in a hundred
DRAWS = 4000
WINDOW = (40.0, 1500.0)  # a gain moves the ends of the templates, which lie outside


def limits_at(
    library: Library,
    table: TemplateTable,
    amounts: list[float],
    nuisances: Nuisances | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    exact = Spectra(np.array([amounts]) @ library.templates, library.axis)
    fit = fit_templates(exact, table, window=WINDOW, nuisances=nuisances, tolerance=1e-12)
    critical = np.full(fit.amounts.shape, CRITICAL)
    return ratio_limits(fit, table, critical, nuisances=nuisances)


@pytest.mark.parametrize("gain", [None, 0.02])
@pytest.mark.parametrize("counts", [50.0, 300.0, 3e3, 1e5])
@pytest.mark.parametrize("name", [0, 1, 2])
def test_the_limit_is_found_as_often_as_stated(
    name: int, counts: float, gain: float | None, table: TemplateTable, library: Library
) -> None:
    amounts = [0.0, 0.0, 0.0, counts]
    nuisances = None if gain is None else Nuisances(gain=gain)
    _, _, limit = limits_at(library, table, amounts, nuisances)
    amounts[name] = limit[0, name]
    rng = np.random.default_rng(100 + name)
    drawn = Spectra(
        rng.poisson(np.tile(np.array(amounts) @ library.templates, (DRAWS, 1))), library.axis
    )
    fit = fit_templates(
        drawn, table, window=WINDOW, nuisances=nuisances, tested=[library.names[name]]
    )
    found = (fit.ratios[:, name] > CRITICAL).mean()
    assert 0.925 < found < 0.975


@pytest.mark.parametrize("beside", [[0.0, 0.0, 0.0, 300.0], [0.0, 500.0, 100.0, 2000.0]])
def test_an_amount_at_the_threshold_makes_the_critical_ratio(
    beside: list[float], table: TemplateTable, library: Library
) -> None:
    nuisances = Nuisances(gain=0.01)
    _, threshold, limit = limits_at(library, table, beside, nuisances)
    amounts = np.array([beside, beside])
    amounts[:, 0] = threshold[0, 0], limit[0, 0]
    fit = fit_templates(
        Spectra(amounts @ library.templates, library.axis), table, window=WINDOW,
        nuisances=nuisances, tested=["Cs137"], tolerance=1e-12,
    )  # fmt: skip
    assert fit.ratios[0, 0] == pytest.approx(CRITICAL, rel=0.02)
    assert np.sqrt(fit.ratios[1, 0]) > np.sqrt(CRITICAL) + 1.4


@pytest.mark.parametrize("background", [1.0, 5.0, 400.0])
def test_one_peak_over_known_background_has_a_closed_form(background: float) -> None:
    """Known from its own channel; the ratio of y counts is that of two Poisson means."""
    axis = Axis.regular(0.0, 2.0, 2)
    table = template_table(
        [Library([[1.0, 0.0]], axis, ("peak",)), Library([[1.0, 1e6]], axis, ("flat",))]
    )
    expected = np.array([[background, background * 1e6]])
    fit = fit_templates(Spectra(expected, axis), table, tolerance=1e-12)
    deviation, threshold, limit = ratio_limits(fit, table, np.full((1, 2), CRITICAL))

    def ratio(amount: float) -> float:
        there = background + amount
        return float(2.0 * (there * np.log(there / background) - amount))

    wanted = brentq(lambda amount: ratio(amount) - CRITICAL, 1e-6, 1e4)
    assert threshold[0, 0] == pytest.approx(wanted, rel=5e-3)
    assert deviation[0, 0] == pytest.approx(max(np.sqrt(background), 1.0), rel=1e-3)
    # The counts that a twentieth of all spectra stays below, by the expansion of the quantile.
    mean = background + limit[0, 0]
    quantile = mean - 1.645 * np.sqrt(mean) + (1.645**2 - 1.0) / 6.0
    assert quantile - background == pytest.approx(wanted, abs=0.04 * np.sqrt(mean) + 0.1)


def test_where_nothing_is_expected_a_source_must_send_a_count(
    table: TemplateTable, library: Library
) -> None:
    fit = fit_templates(Spectra(np.zeros((1, library.axis.n_channels)), library.axis), table)
    deviation, threshold, limit = ratio_limits(fit, table, np.full(fit.amounts.shape, CRITICAL))
    assert (deviation > 1.0 - 1e-9).all()
    assert (threshold > 0).all()
    assert (limit > -np.log(0.05) - 1e-9).all()


def test_over_dispersion_and_least_amounts_raise_both(
    table: TemplateTable, library: Library
) -> None:
    beside = np.array([[0.0, 0.0, 0.0, 1e5]])
    fit = fit_templates(Spectra(beside @ library.templates, library.axis), table)
    critical = np.full(fit.amounts.shape, CRITICAL)
    plain = ratio_limits(fit, table, critical, names=["Cs137"])
    assert np.isnan(plain[1][:, 1:]).all()
    wide = ratio_limits(fit, table, critical, dispersion=np.array([4.0]))
    for one, other in zip(plain, wide, strict=True):
        assert other[0, 0] == pytest.approx(2.0 * one[0, 0], rel=0.05)
    least = np.full(critical.shape, 3.0 * plain[2][0, 0])
    _, threshold, limit = ratio_limits(fit, table, critical, least=least)
    assert threshold[0, 0] == least[0, 0]
    assert limit[0, 0] > least[0, 0] + 1.6 * plain[0][0, 0]


def test_gaussian_limits_are_straight(table: TemplateTable, library: Library) -> None:
    shape = library.templates[3]
    spectra = Spectra(
        1e4 * shape[np.newaxis], library.axis, kind="intensity", variance=np.full((1, 160), 9.0)
    )
    fit = fit_templates(spectra, table)
    deviation, threshold, limit = ratio_limits(
        fit, table, np.full(fit.amounts.shape, 4.0), names=["Am241"]
    )
    assert threshold[0, 2] == pytest.approx(2.0 * deviation[0, 2], rel=0.02)
    assert limit[0, 2] == pytest.approx(3.645 * deviation[0, 2], rel=0.05)


def test_the_limit_is_that_of_the_template_that_is_hardest_to_find(
    table: TemplateTable, library: Library
) -> None:
    """A name with two templates has the larger of the limits of the two; it needs no order."""
    shapes = library.templates
    pair = np.stack([shapes[0], 0.5 * shapes[0] + 0.5 * shapes[3]])
    beside = Spectra(300.0 * shapes[[3]], library.axis)

    def limits(rows: np.ndarray) -> tuple[float, float]:
        names = ("Cs137",) * len(rows) + ("background",)
        known = template_table([Library(np.vstack([rows, shapes[3]]), library.axis, names)])
        fit = fit_templates(beside, known, window=WINDOW, tolerance=1e-12)
        _, threshold, limit = ratio_limits(fit, known, np.full(fit.amounts.shape, CRITICAL))
        return float(threshold[0, 0]), float(limit[0, 0])

    (_, easy), (_, hard) = limits(pair[:1]), limits(pair[1:])
    assert hard > 1.8 * easy
    for rows in (pair, pair[::-1]):
        threshold, limit = limits(rows)
        assert limit == pytest.approx(hard, rel=0.02)
        assert threshold < easy


def test_limits_do_not_depend_on_a_present_name_itself(
    table: TemplateTable, library: Library
) -> None:
    amounts = np.array([[0.0, 500, 0, 3000], [900.0, 500, 0, 3000]])
    fit = fit_templates(Spectra(amounts @ library.templates, library.axis), table, tolerance=1e-10)
    critical = np.full(fit.amounts.shape, CRITICAL)
    for answer in ratio_limits(fit, table, critical, names=["Cs137"]):
        assert answer[1, 0] == pytest.approx(answer[0, 0], rel=0.02)


def test_bad_settings(table: TemplateTable, library: Library) -> None:
    fit = fit_templates(Spectra(100 * library.templates, library.axis), table)
    critical = np.full(fit.amounts.shape, 4.0)
    with pytest.raises(DataError, match="beta"):
        ratio_limits(fit, table, critical, beta=0.7)
    with pytest.raises(DataError, match="critical ratios"):
        ratio_limits(fit, table, critical[:2])
    with pytest.raises(DataError, match="dispersions"):
        ratio_limits(fit, table, critical, dispersion=np.ones(2))
