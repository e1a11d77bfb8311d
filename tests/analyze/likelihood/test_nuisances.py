"""Templates that move: counts are kept, derivatives are right, drift is found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from spectraloom.analyze.likelihood import (
    Nuisances,
    Resolution,
    TemplateTable,
    binned_templates,
    broaden,
    em_amounts,
    fit_templates,
    pileup_templates,
    template_table,
)
from spectraloom.analyze.likelihood.door import templates_of
from spectraloom.analyze.likelihood.moving import locate, make_work, slopes_at
from spectraloom.data import Axis, Library, Spectra
from spectraloom.errors import FitError

RESOLUTION = Resolution(0.08)  # that of the fixtures
WIDE = np.linspace(-3000.0, 6000.0, 901)  # bins far beyond any template


@settings(max_examples=30, deadline=None)
@given(gain=st.floats(-0.3, 0.3), offset=st.floats(-50, 50), broadening=st.floats(0.0, 0.5))
def test_moved_templates_keep_their_counts(
    gain: float, offset: float, broadening: float, wide_table: TemplateTable
) -> None:
    moved = binned_templates(wide_table, WIDE, np.array([gain, offset, broadening]))
    assert (moved >= 0).all()
    np.testing.assert_allclose(moved.sum(axis=1), 1.0, rtol=1e-4)
    if broadening in (0.0, 0.5):
        np.testing.assert_allclose(moved.sum(axis=1), 1.0, rtol=1e-12)


def test_templates_on_their_own_axis_are_themselves(table: TemplateTable, library: Library) -> None:
    own = binned_templates(table, library.axis.edges)
    np.testing.assert_allclose(own, library.templates, atol=1e-14)
    # A count of energy E is recorded at E (1 + gain) + offset: the cumulative curve says so too.
    theta = np.array([0.02, 3.0, 0.0])
    edges = library.axis.edges
    back = (edges - 3.0) / 1.02
    cumulative = np.hstack([np.zeros((4, 1)), np.cumsum(library.templates, axis=1)])
    curve = PchipInterpolator(edges, cumulative, axis=1)
    expected = np.diff(curve(np.clip(back, edges[0], edges[-1])), axis=1)
    np.testing.assert_allclose(binned_templates(table, edges, theta), expected, atol=1e-13)


def test_libraries_on_different_axes_share_a_table_without_leaking(library: Library) -> None:
    short = Library(np.ones((1, 30)), Axis.regular(100.0, 700.0, 30), ("short",))
    table = template_table([library, short])
    inside = binned_templates(table, np.array([20.0, 100.0, 700.0, 1620.0]))[-1]
    np.testing.assert_allclose(inside, [0.0, 1.0, 0.0], atol=1e-14)


def test_layers_are_templates_folded_with_a_wider_resolution(
    wide_table: TemplateTable, library: Library
) -> None:
    folded = broaden(library.templates, library.axis, 0.25, RESOLUTION)
    np.testing.assert_allclose(folded.sum(axis=1), library.templates.sum(axis=1), rtol=1e-12)
    between = binned_templates(wide_table, library.axis.edges, np.array([0.0, 0.0, 0.25]))
    assert (np.abs(between - folded).max(axis=1) < 4e-3 * folded.max(axis=1)).all()


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("theta", [(0.001, 0.1, 0.1), (0.03, -7.0, 0.13), (-0.02, 4.0, 0.41)])
def test_derivatives_are_those_of_finite_differences(
    wide_table: TemplateTable, library: Library, number: int, theta: tuple[float, float, float]
) -> None:
    edges = library.axis.edges
    amounts = np.array([300.0, 200.0, 0.0, 500.0])
    at = np.array(theta)
    step = np.zeros(3)
    step[number] = (1e-6, 1e-3, 1e-5)[number]
    numerical = amounts @ (
        binned_templates(wide_table, edges, at + step)
        - binned_templates(wide_table, edges, at - step)
    ) / (2 * step[number])  # fmt: skip
    work = make_work(4, 160)
    locate(wide_table.grid, edges, at, work.pieces)
    slopes_at(templates_of(wide_table), work.pieces, edges, at, np.ones(3, bool), amounts, work.J)
    np.testing.assert_allclose(work.J[number], numerical, atol=1e-4 * np.abs(numerical).max())


TRUE = {"gain": 0.021, "offset": -6.0, "broadening": 0.23}
PRIOR = {"gain": 0.03, "offset": 8.0, "broadening": 0.3}


@pytest.mark.parametrize("wanted", [("gain",), ("offset",), ("broadening",), tuple(TRUE)])
def test_drift_is_found_within_its_uncertainty(
    wide_table: TemplateTable, library: Library, wanted: tuple[str, ...]
) -> None:
    rng = np.random.default_rng(7)
    truth = np.array([TRUE[name] if name in wanted else 0.0 for name in TRUE])
    amounts = np.array([4000.0, 6000.0, 2000.0, 8000.0])
    shapes = binned_templates(wide_table, library.axis.edges, truth)
    spectra = Spectra(rng.poisson(np.tile(amounts @ shapes, (60, 1))), library.axis)
    fit = fit_templates(
        spectra, wide_table, nuisances=Nuisances(**{name: PRIOR[name] for name in wanted})
    )
    assert fit.converged.all()
    fitted = [name in wanted for name in TRUE]
    assert not fit.nuisances[:, ~np.array(fitted)].any()
    spread = fit.nuisances.std(axis=0)
    assert (spread[fitted] < np.array([0.004, 2.5, 0.1])[fitted]).all()
    # The mean lies within the statistics of sixty fits, and a prior that hardly pulls.
    error = np.abs(fit.nuisances.mean(axis=0) - truth)[fitted]
    assert (error < 4 * spread[fitted] / np.sqrt(60) + 0.05 * np.abs(truth[fitted])).all()
    pull = (fit.amounts - amounts) / fit.uncertainties
    assert np.abs(pull.mean(axis=0)).max() < 0.6
    assert 0.75 < pull.std() < 1.25


def test_a_free_gain_is_the_best_of_all_fixed_gains(table: TemplateTable, library: Library) -> None:
    rng = np.random.default_rng(8)
    amounts = np.array([500.0, 800.0, 300.0, 900.0])
    edges = library.axis.edges
    counts = rng.poisson(amounts @ binned_templates(table, edges, np.array([0.015, 0, 0])))
    fit = fit_templates(
        Spectra(counts[np.newaxis], library.axis), table, nuisances=Nuisances(gain=0.02),
        tolerance=1e-10,
    )  # fmt: skip
    gains = fit.nuisances[0, 0] + np.linspace(-0.004, 0.004, 9)
    values = []
    for gain in gains:
        shapes = binned_templates(table, edges, np.array([gain, 0, 0]))
        expected = em_amounts(counts[np.newaxis], shapes, iterations=4000)[0] @ shapes
        logs = counts * np.log(np.maximum(counts, 1) / expected) - counts + expected
        values.append(2 * logs.sum() + (gain / 0.02) ** 2)
    assert int(np.argmin(values)) == 4
    assert fit.deviance[0] + (fit.nuisances[0, 0] / 0.02) ** 2 == pytest.approx(values[4], abs=1e-4)


def test_a_start_near_the_drift_gives_the_same_answer(
    table: TemplateTable, library: Library
) -> None:
    rng = np.random.default_rng(9)
    shapes = binned_templates(table, library.axis.edges, np.array([0.03, 0, 0]))
    spectra = Spectra(rng.poisson([[900, 900, 100, 900]] @ shapes), library.axis)
    options = {"nuisances": Nuisances(gain=0.02), "tolerance": 1e-10}
    cold = fit_templates(spectra, table, **options)
    warm = fit_templates(spectra, table, start=cold.nuisances, **options)
    np.testing.assert_allclose(warm.nuisances, cold.nuisances, atol=1e-6)
    np.testing.assert_allclose(warm.amounts, cold.amounts, rtol=1e-4, atol=0.01)
    assert warm.iterations[0] <= cold.iterations[0]
    # What is not fitted stays at zero, wherever the start is.
    fixed = fit_templates(spectra, table, start=np.full((1, 3), 0.05))
    assert not fixed.nuisances.any()


def test_a_drift_beyond_the_limit_stays_at_the_limit(
    table: TemplateTable, library: Library
) -> None:
    shapes = binned_templates(table, library.axis.edges, np.array([0.05, 0, 0]))
    spectra = Spectra([[9000.0, 9000, 0, 900]] @ shapes, library.axis)
    fit = fit_templates(spectra, table, nuisances=Nuisances(gain=0.01))
    assert fit.converged.all()
    assert fit.nuisances[0, 0] == pytest.approx(0.03, abs=1e-12)


@pytest.mark.parametrize("width", [0.0, -1.0, np.inf, np.nan])
def test_a_prior_has_a_width(width: float) -> None:
    with pytest.raises(FitError, match="prior width of the gain"):
        Nuisances(gain=width)


def test_pileup_of_very_uneven_bins_needs_little_memory() -> None:
    """A grid as fine as the narrowest bin would have ten million bins."""
    axis = Axis.from_edges(np.r_[0.0, 1e-4, np.linspace(1.0, 1000.0, 200)])
    values = np.zeros((3, axis.n_channels))
    values[0, 100] = 50.0
    values[1] = 1.0
    shapes = pileup_templates(values, axis, axis.edges)
    assert shapes[:2].sum(axis=1) == pytest.approx(1.0)
    assert not shapes[2].any()
    # Two pulses of one energy add up to twice that energy.
    assert shapes[0] @ axis.centers == pytest.approx(2 * axis.centers[100], abs=5.0)
