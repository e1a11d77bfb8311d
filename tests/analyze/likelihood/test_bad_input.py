"""What the fit says to data and libraries that are not as they should be."""

from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze.likelihood import (
    Nuisances,
    TemplateTable,
    fit_templates,
    profile_intervals,
    template_table,
)
from spectraloom.data import Axis, Library, Spectra
from spectraloom.errors import AxisError, DataError, FitError


def test_two_names_with_one_template_are_named(library: Library) -> None:
    twice = np.vstack([library.templates, library.templates[:1] * (1 + 1e-7)])
    with pytest.raises(DataError, match=r"'Cs137' and 'copy' are the same"):
        template_table([Library(twice, library.axis, (*library.names, "copy"))])


@pytest.mark.parametrize("name", ["gain", "offset", "broadening"])
@pytest.mark.parametrize(
    "width", [10**30, 10**400, 0, -1, float("nan"), float("inf"), "0.1", [0.1]]
)
def test_prior_widths_that_are_none_are_refused(name: str, width: object) -> None:
    with pytest.raises(FitError, match=f"prior width of the {name} is a number above 0"):
        Nuisances(**{name: width})  # type: ignore[arg-type]


def test_whole_numbers_are_widths(library: Library, table: TemplateTable) -> None:
    spectra = Spectra(np.round(1e3 * library.templates), library.axis)
    one, other = (
        fit_templates(spectra, table, nuisances=Nuisances(offset=width)) for width in (1, 1.0)
    )
    np.testing.assert_array_equal(one.amounts, other.amounts)
    with pytest.raises(FitError, match="centered at three finite numbers"):
        Nuisances(gain=0.1, centers=(0.0, float("nan"), 0.0))


def test_two_equal_templates_of_one_name_are_one(library: Library, table: TemplateTable) -> None:
    twice = np.vstack([library.templates, library.templates[:1]])
    double = template_table(
        [Library(twice, library.axis, (*library.names, "Cs137"), tuple("00001"))]
    )
    assert double.n_templates == 4
    spectra = Spectra([[500.0, 0, 0, 500]] @ library.templates, library.axis)
    one, two = fit_templates(spectra, table), fit_templates(spectra, double)
    np.testing.assert_array_equal(one.amounts, two.amounts)
    np.testing.assert_array_equal(one.covariance, two.covariance)


@pytest.mark.parametrize("share", [0.5, 1e-3])
def test_templates_that_others_add_up_to_still_converge(library: Library, share: float) -> None:
    mixed = (1 - share) * library.templates[0] + share * library.templates[1]
    table = template_table(
        [Library(np.vstack([library.templates, mixed]), library.axis, (*library.names, "mixed"))]
    )
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.repeat([[400.0, 400, 0, 400]] @ library.templates, 50, axis=0))
    fit = fit_templates(Spectra(counts, library.axis), table, tested=["mixed"])
    assert fit.converged.all()
    np.testing.assert_allclose(fit.fitted.sum(axis=1), counts.sum(axis=1), rtol=1e-4)
    # The rest does without, and where all three are used their amounts are not known.
    np.testing.assert_allclose(fit.ratios[:, 4], 0.0, atol=1e-4)
    used = (fit.amounts[:, [0, 1, 4]] > 0).all(axis=1)
    assert not (fit.uncertainties[used, 4] < 1e4).any()


def test_names_that_look_the_same_inside_the_window_are_named() -> None:
    axis = Axis.regular(0.0, 40.0, 40)
    low, high = np.ones(40), np.ones(40)
    low[5], high[30] = 20.0, 20.0
    table = template_table([Library(np.array([low, high]), axis, ("low", "high"))])
    spectra = Spectra(np.ones((1, 40)), axis)
    assert fit_templates(spectra, table).converged.all()
    with pytest.raises(DataError, match="'low' and 'high' are the same between 10 and 25 keV"):
        fit_templates(spectra, table, window=(10.0, 25.0))


def test_a_name_without_counts_in_the_window_is_named(library: Library) -> None:
    lone = np.zeros((1, 160))
    lone[0, :10] = 1.0
    table = template_table([library, Library(lone, library.axis, ("lone",))])
    spectra = Spectra(np.ones((1, 160)), library.axis)
    with pytest.raises(DataError, match="'lone' have no counts between 420 and 1600 keV"):
        fit_templates(spectra, table, window=(420.0, 1599.0))


def test_a_variant_without_counts_in_the_window_is_left_out(library: Library) -> None:
    lone = np.zeros((1, 160))
    lone[0, :10] = 1.0
    seen = library.select(["Cs137", "Co60", "background"])
    table = template_table([seen, Library(lone, library.axis, ("Cs137",))])
    spectra = Spectra([[500.0, 0, 0, 500]] @ library.templates, library.axis)
    fit = fit_templates(spectra, table, window=(420.0, 1599.0))
    assert fit.template_amounts[0, -1] == 0.0
    assert fit.amounts[0, 0] == pytest.approx(500.0, rel=1e-3)


def test_axes_that_cannot_be_fitted(table: TemplateTable, library: Library) -> None:
    for axis, match in (
        (Axis.uncalibrated(160), "calibrate the spectra"),
        (Axis.regular(2000.0, 3000.0, 160), "do not overlap"),
        (Axis.regular(20.0, 1620.0, 160, unit="MeV"), "calibrate the spectra"),
    ):
        with pytest.raises(AxisError, match=match):
            fit_templates(Spectra(np.ones((1, 160)), axis), table)
    other = Library(np.ones((1, 160)), Axis.uncalibrated(160), ("flat",))
    with pytest.raises(AxisError, match="do not fit"):
        template_table([library, other])


def test_channels_work_where_both_are_in_channels(library: Library) -> None:
    axis = Axis.uncalibrated(160)
    table = template_table([Library(library.templates, axis, library.names)])
    fit = fit_templates(Spectra([[50.0, 60, 70, 80]] @ library.templates, axis), table)
    np.testing.assert_allclose(fit.amounts, [[50.0, 60, 70, 80]], rtol=1e-6)


def test_a_partial_overlap_fits_what_is_seen(library: Library) -> None:
    table = template_table([library.select(["Cs137", "Co60", "background"])])
    half = Axis.regular(520.0, 2120.0, 160)
    counts = np.zeros((1, 160))
    counts[:, :110] = ([[500.0, 400, 0, 600]] @ library.templates)[:, 50:]
    fit = fit_templates(Spectra(counts, half), table, nuisances=Nuisances(gain=0.01))
    assert fit.converged.all()
    np.testing.assert_allclose(fit.amounts[0], [500.0, 400, 600], rtol=0.02)
    assert np.isfinite(fit.uncertainties).all()


def test_empty_spectra_have_nothing(table: TemplateTable) -> None:
    spectra = Spectra(np.zeros((3, 160)), table.axis)
    fit = fit_templates(
        spectra, table, nuisances=Nuisances(gain=0.02), pileup=True, tested=["Cs137"]
    )
    assert fit.converged.all()
    assert not fit.amounts.any()
    assert not fit.deviance.round(6).any()
    assert not fit.ratios.any()
    none = fit_templates(spectra[:0], table)
    assert none.amounts.shape == (0, 4)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint64", "float32", "float64"])
def test_every_type_of_number_gives_the_same(
    dtype: str, table: TemplateTable, library: Library
) -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson([[300, 200, 0, 500]] @ library.templates)
    plain = fit_templates(Spectra(counts, library.axis), table)
    other = fit_templates(Spectra(counts.astype(dtype), library.axis), table)
    np.testing.assert_array_equal(other.amounts, plain.amounts)


def test_fractional_counts_are_fitted_as_they_are(table: TemplateTable, library: Library) -> None:
    counts = [[0.3, 0.2, 0.0, 0.25]] @ library.templates
    fit = fit_templates(Spectra(counts, library.axis), table, tolerance=1e-10)
    np.testing.assert_allclose(fit.amounts, [[0.3, 0.2, 0.0, 0.25]], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("gain", [None, 0.02])
def test_huge_counts_converge(gain: float | None, table: TemplateTable, library: Library) -> None:
    rng = np.random.default_rng(2)
    truth = np.array([[3e11, 1e9, 0, 5e11], [1e9, 1e3, 0, 0], [0, 0, 0, 1e12]])
    counts = rng.poisson(truth @ library.templates)
    assert counts.max() > 1e9
    fit = fit_templates(Spectra(counts, library.axis), table, nuisances=Nuisances(gain=gain))
    assert fit.converged.all()
    # Unit-area templates are exact to about 1e-16; six standard deviations.
    assert (
        np.abs(fit.amounts - truth) <= 6 * fit.uncertainties + 1e-6 * truth.max(axis=1)[:, None]
    ).all()


def test_a_very_wrong_model_ends_no_worse_than_without_drift(
    table: TemplateTable, library: Library
) -> None:
    rng = np.random.default_rng(3)
    counts = np.zeros((40, 160))
    counts[np.arange(40), rng.integers(0, 160, 40)] = 10.0 ** rng.uniform(0, 9, 40)
    counts += rng.poisson(0.1, counts.shape)
    spectra = Spectra(counts, library.axis)
    fixed = fit_templates(spectra, table)
    free = fit_templates(spectra, table, nuisances=Nuisances(gain=0.02, offset=5.0))
    assert fixed.converged.all()
    assert np.isfinite(free.amounts).all()
    objective = free.deviance + ((free.nuisances[:, :2] / (0.02, 5.0)) ** 2).sum(axis=1)
    assert (objective <= fixed.deviance * (1 + 1e-9) + 1e-5).all()


def test_one_channel_is_enough_for_one_name() -> None:
    axis = Axis.regular(0.0, 10.0, 1)
    table = template_table([Library([[1.0]], axis, ("one",))])
    fit = fit_templates(Spectra([[25]], axis), table)
    assert fit.amounts[0, 0] == pytest.approx(25.0)
    assert fit.uncertainties[0, 0] == pytest.approx(5.0)


def test_settings_that_do_not_fit_the_spectra(table: TemplateTable, library: Library) -> None:
    spectra = Spectra(np.ones((2, 160)), library.axis)
    with pytest.raises(DataError, match="2 rows of gain, offset and broadening"):
        fit_templates(spectra, table, start=np.zeros((3, 3)))
    with pytest.raises(DataError, match="edges of the axis"):
        fit_templates(spectra, table, edges=np.array([20.0, 25.0, 100.0]))
    with pytest.raises(DataError, match="increasing"):
        fit_templates(spectra, table, edges=np.array([100.0, 40.0]))
    with pytest.raises(DataError, match="not both"):
        fit_templates(spectra, table, edges=np.array([40.0, 100.0]), window=(40.0, 100.0))
    with pytest.raises(DataError, match="need a variance"):
        fit_templates(Spectra(np.ones((2, 160)), library.axis, "intensity"), table)
    zero = Spectra(np.ones((2, 160)), library.axis, "intensity", variance=np.zeros((2, 160)))
    with pytest.raises(DataError, match="variance of a channel is zero"):
        fit_templates(zero, table)
    fit = fit_templates(spectra, table)
    with pytest.raises(DataError, match="no name 'K40'"):
        profile_intervals(fit, table, "K40")
    with pytest.raises(DataError, match="level of an interval"):
        profile_intervals(fit, table, "Cs137", level=95)


def test_libraries_that_are_no_templates(library: Library) -> None:
    for row, match in ((-np.ones(160), "'bad' is negative"), (np.zeros(160), "'bad' is empty")):
        with pytest.raises(DataError, match=match):
            template_table(
                [
                    Library(
                        np.vstack([library.templates, row]), library.axis, (*library.names, "bad")
                    )
                ]
            )
    with pytest.raises(DataError, match="equally spaced"):
        template_table([library], nodes=(0.0, 0.1, 0.5))
