from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spectraloom.analyze.identify.misfit import (
    KnownMisfits,
    MisfitBoundary,
    chance_deviance,
    condition_flags,
    cut_off,
    dispersion_of,
    drift_at_limit,
    misfit_per_count,
)
from spectraloom.analyze.likelihood import (
    LikelihoodFit,
    Nuisances,
    fit_templates,
    template_table,
)
from spectraloom.data import Library, Spectra
from spectraloom.errors import DataError


def fitted(world: Any, expected: np.ndarray, n: int) -> LikelihoodFit:
    table = template_table([Library(world.loadings[[2, 4]], world.axis, ("Cs137", "background"))])
    values = np.random.default_rng(7).poisson(np.tile(expected, (n, 1)))
    return fit_templates(Spectra(values, world.axis), table)


@pytest.mark.parametrize("counts", [100.0, 400.0, 2000.0, 50000.0])
def test_chance_is_what_a_right_model_shows(world: Any, counts: float) -> None:
    fit = fitted(world, counts * world.loadings[[2, 4]].mean(axis=0), 2000)
    mean, spread = chance_deviance(fit)
    assert fit.deviance.mean() == pytest.approx(mean.mean(), rel=0.02)
    assert fit.deviance.std() == pytest.approx(spread.mean(), rel=0.12)
    assert dispersion_of(fit).mean() < 1.09
    assert (misfit_per_count(fit) > 0).mean() < 0.09  # 5 % by construction


def test_the_misfit_is_the_relative_error_of_the_templates(world: Any) -> None:
    rng = np.random.default_rng(8)
    wrong = world.loadings[4] * (1.0 + 0.08 * rng.choice([-1.0, 1.0], world.axis.n_channels))
    for counts in (3e5, 3e6):
        misfit = misfit_per_count(fitted(world, counts * wrong, 50))
        assert misfit.mean() == pytest.approx(0.08, rel=0.12)


def test_gaussian_data_have_their_degrees_of_freedom(world: Any) -> None:
    fit = replace(fitted(world, 100 * world.loadings[4], 5), poisson=False)
    mean, spread = chance_deviance(fit)
    assert (mean == fit.degrees_of_freedom).all()
    np.testing.assert_allclose(spread, np.sqrt(2 * fit.degrees_of_freedom))


@pytest.mark.parametrize("limit", [32767, 999_999, 4095])
def test_channels_that_are_cut_off_are_saturated(world: Any, limit: int) -> None:
    rng = np.random.default_rng(12)
    shape = world.loadings[4] / world.loadings[4].max()
    whole = rng.poisson(np.tile(1.5 * limit * shape, (20, 1)))
    cut = np.minimum(whole, limit)
    assert (cut == limit).sum(axis=1).min() >= 10
    fit = fitted(world, 100 * world.loadings[4], 20)
    for counts in (cut, cut.astype(np.float64)):
        assert condition_flags(Spectra(counts, world.axis), fit)["saturated"].all()
    assert not condition_flags(Spectra(whole, world.axis), fit)["saturated"].any()


@pytest.mark.parametrize("n_channels", [64, 4096])
@pytest.mark.parametrize("mean", [0.01, 1.0, 30.0, 1e3, 3e3, 1e5])
def test_flat_spectra_are_not_cut_off(mean: float, n_channels: int) -> None:
    """Equal largest contents are the more common the flatter a spectrum is."""
    counts = np.random.default_rng(13).poisson(mean, (500, n_channels))
    assert not cut_off(counts).any()
    assert not cut_off(counts[:0]).any()
    assert not cut_off(counts[:, :1]).any()


def test_drift_at_its_limit_is_flagged(world: Any) -> None:
    table = template_table([Library(world.loadings[[2, 4]], world.axis, ("Cs137", "background"))])
    settings = Nuisances(gain=0.01, broadening=0.1)
    counts = 2e4 * world.loadings[2] + 1e4 * world.loadings[4]
    for factor, expected in ((1.0, False), (1.02, False), (1.05, True)):
        edges = world.axis.edges
        moved = np.diff(np.interp(edges / factor, edges, np.append(0.0, np.cumsum(counts))))
        drawn = Spectra(np.random.default_rng(14).poisson(moved[np.newaxis]), world.axis)
        fit = fit_templates(drawn, table, nuisances=settings)
        assert drift_at_limit(fit, table, settings).tolist() == [expected]
    assert not drift_at_limit(fitted(world, counts, 3), table, Nuisances()).any()


def test_a_boundary_is_learned_between_both() -> None:
    rng = np.random.default_rng(9)
    known, unknown = rng.normal(0.1, 0.02, 300), rng.normal(0.4, 0.1, 300)
    boundary = MisfitBoundary.learn(known, unknown)
    assert 0.12 < boundary.center < 0.3
    assert (boundary.probability(known) > 0.5).mean() < 0.05
    assert (boundary.probability(unknown) > 0.5).mean() > 0.9
    assert MisfitBoundary.from_dict(boundary.to_dict()) == boundary
    assert boundary.probability(np.array([-1e9, 1e9])).tolist() == [0.0, 1.0]


def test_known_misfits_are_exceeded_at_the_stated_rate_whatever_the_distribution() -> None:
    rng = np.random.default_rng(10)
    exceeded, p_values = 0, []
    for _ in range(4000):
        drawn = rng.pareto(1.0, 41)
        known = KnownMisfits.of(drawn[:40], 0.1)
        p_values.append(known.p_values(drawn[40:])[0])
        exceeded += int(known.flagged(drawn[40:])[0])
        assert known.flagged(drawn[40:])[0] == (drawn[40] > known.center)
    # A rank of at most 4 of 41.
    assert exceeded / 4000 == pytest.approx(4 / 41, abs=4 * np.sqrt(0.1 * 0.9 / 4000))
    for rate in (0.05, 0.3, 0.8):
        stated = np.floor(41 * rate) / 41
        assert np.mean(np.array(p_values) <= rate) == pytest.approx(stated, abs=0.03)


def test_ties_of_misfits_make_no_outliers() -> None:
    # Misfits are cut at zero, so that many spectra have none at all.
    known = KnownMisfits.of(np.concatenate([np.zeros(60), np.linspace(0.1, 0.2, 39)]), 0.05)
    assert known.p_values(np.array([0.0, 0.15, 0.3])).tolist() == [1.0, 0.21, 0.01]
    assert known.probability(np.array([0.0])).tolist() == [0.0]
    assert known.flagged(np.array([0.0, 0.15, 0.3])).tolist() == [False, False, True]
    assert not KnownMisfits.of(np.zeros(99), 0.05).flagged(np.zeros(1)).any()


def test_of_many_misfits_some_are_kept() -> None:
    values = np.random.default_rng(11).normal(size=30_000)
    known = KnownMisfits.of(values, 0.01)
    assert len(known.values) == 10_000
    assert known.center == pytest.approx(np.quantile(values, 0.99), abs=0.1)


def test_few_spectra_and_rates_out_of_range_are_refused() -> None:
    with pytest.raises(DataError, match="at least 9 known spectra, got 8"):
        KnownMisfits.of(np.arange(8.0), 0.1)
    assert KnownMisfits.of(np.arange(9.0), 0.1).center == 8.0
    for wrong in (0.0, 1.0, float("nan")):
        with pytest.raises(DataError, match="false-alarm rate"):
            KnownMisfits.of(np.arange(9.0), wrong)
    with pytest.raises(DataError, match="finite and increase"):
        KnownMisfits(np.array([1.0, 0.0, 2.0]), 0.5)
    with pytest.raises(DataError, match="slope"):
        MisfitBoundary.from_dict({"center": 0.1, "slope": 0.0})
