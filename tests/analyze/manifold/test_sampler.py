from __future__ import annotations

import sys

import numpy as np
import pytest

from spectraloom.analyze.manifold.fit import fit_manifold
from spectraloom.analyze.manifold.latents import Latents
from spectraloom.analyze.manifold.sampler import Posterior, sample_posterior
from spectraloom.analyze.manifold.uncertainty import profile_amounts, profile_latents
from spectraloom.data import Spectra
from spectraloom.errors import DataError, MissingExtraError

AMOUNTS = np.array([20_000.0, 12_000.0, 18_000.0, 50_000.0])


def test_with_many_counts_all_intervals_agree(world, rng) -> None:
    spectrum = world.draw(rng, AMOUNTS)
    table = world.table()
    fit = fit_manifold(spectrum, table)
    posterior = sample_posterior(spectrum, table, n_steps=2500, seed=3)
    assert posterior.reliable
    assert 0.2 < posterior.acceptance < 0.7
    spread = fit.uncertainties[0]
    assert posterior.amounts.mean(axis=0) == pytest.approx(fit.amounts[0], abs=0.15 * spread.max())
    assert posterior.amounts.std(axis=0) == pytest.approx(spread, rel=0.08)
    assert posterior.latents.std(axis=0) == pytest.approx(fit.latent_uncertainties[0], rel=0.08)
    for kind in ("shortest", "central"):
        ends = posterior.amount_intervals(kind=kind)
        for number, name in enumerate(table.names):
            (profile,) = profile_amounts(fit, name)
            assert ends[number] == pytest.approx(profile, abs=0.25 * spread[number])
    (profile,) = profile_latents(fit, "thickness")
    ends = posterior.latent_intervals(kind="central")[0]
    assert ends == pytest.approx(profile, abs=0.25 * fit.latent_uncertainties[0, 0])
    # The shortest interval is that, with as many samples inside.
    short = posterior.amount_intervals(0.8)
    assert (np.diff(short) <= np.diff(posterior.amount_intervals(0.8, "central")) + 1e-9).all()
    inside = (posterior.amounts >= short[:, 0]) & (posterior.amounts <= short[:, 1])
    assert inside.mean(axis=0) == pytest.approx(np.full(4, 0.8), abs=0.01)


def test_a_posterior_in_closed_form_is_found(rng) -> None:
    # One template, no latent that matters: the posterior of the amount is a gamma distribution.
    from scipy.stats import gamma

    from spectraloom.analyze.manifold.signature import Deformation, TabulatedSignature
    from spectraloom.analyze.manifold.table import manifold_table
    from spectraloom.data import Axis

    axis = Axis.uncalibrated(3)
    rows = np.tile([0.2, 0.3, 0.5], (5, 1, 1))
    one = TabulatedSignature(axis, ("a",), (Deformation("x", "", -1.0, 4.0),), rows)
    table = manifold_table(one, None, axis.edges)
    spectrum = Spectra(np.array([[1, 0, 3]]), axis)
    posterior = sample_posterior(spectrum, table, n_steps=4000, seed=1)
    truth = gamma(5)
    for level in (0.5, 0.9):
        ends = posterior.amount_intervals(level, "central")[0]
        assert truth.cdf(ends) == pytest.approx([(1 - level) / 2, (1 + level) / 2], abs=0.015)
    # The latent is anywhere in its range.
    assert np.quantile(posterior.latents, [0.1, 0.5, 0.9]) == pytest.approx(
        [-0.5, 1.5, 3.5], abs=0.12
    )


def test_a_prior_is_sampled_where_the_data_say_nothing(world, rng) -> None:
    table = world.table(Latents(known=(6.0, 0.05), tilt=0.1))
    spectrum = world.draw(rng, (0, 0, 0, 30))
    posterior = sample_posterior(spectrum, table, n_steps=2000, seed=2)
    thickness = posterior.latents[:, 0]
    assert thickness.mean() == pytest.approx(6.0, abs=0.02)
    assert thickness.std() == pytest.approx(0.05, rel=0.15)
    assert (posterior.amounts >= 0).all()
    assert posterior.latent_names == ("thickness", "tilt")
    assert posterior.units == ("mm", "")


def test_seeds_make_the_samples(world, rng) -> None:
    spectrum, table = world.draw(rng, AMOUNTS / 100), world.table()
    one, same, other = (
        sample_posterior(spectrum, table, n_steps=40, seed=seed) for seed in (5, 5, 6)
    )
    assert np.array_equal(one.amounts, same.amounts)
    assert not np.array_equal(one.amounts, other.amounts)
    assert not one.reliable
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    sample_posterior(spectrum, table, n_steps=10)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_names_that_are_not_allowed_stay_out(world, rng) -> None:
    posterior = sample_posterior(
        world.draw(rng, AMOUNTS / 100), world.table(), names=["A", "ground"], n_steps=50
    )
    assert not posterior.amounts[:, 1:3].any()
    assert posterior.amounts[:, 0].std() > 0


def test_a_background_is_in_it_whatever_names_are_given(world, rng) -> None:
    posterior = sample_posterior(
        world.draw(rng, AMOUNTS / 100), world.table(), names=["A"], n_steps=50
    )
    assert posterior.amounts[:, -1].std() > 0


def test_intervals_of_the_posterior_cover(world, rng) -> None:
    # Truths drawn from the prior: then Bayesian intervals have to cover as they say.
    table, steel = world.table(Latents(known=(5.0, 1.5))), world.signatures.deformations[0]
    inside = []
    for seed in range(14):
        u = table.prior.center[0] + rng.standard_normal() / np.sqrt(table.prior.precision[0, 0])
        thickness = float(steel.from_unit(np.clip(u, 0.0, 1.0)))
        amounts = rng.uniform(0.0, 1500.0, 4)
        posterior = sample_posterior(
            world.draw(rng, amounts, thickness), table, n_steps=300, seed=seed
        )
        for ends, truth in (
            (posterior.amount_intervals(0.8, "central"), amounts),
            (posterior.latent_intervals(0.8, "central"), np.array([thickness])),
        ):
            inside += ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).tolist()
    assert np.mean(inside) == pytest.approx(0.8, abs=0.14)


def test_wrong_questions_are_refused(world, rng, monkeypatch) -> None:
    table = world.table()
    with pytest.raises(DataError, match="one spectrum"):
        sample_posterior(world.draw(rng, AMOUNTS, n=2), table)
    with pytest.raises(DataError, match="at least one step"):
        sample_posterior(world.draw(rng, AMOUNTS), table, n_steps=0)
    posterior = Posterior(("a",), (), (), np.ones((5, 1)), np.ones((5, 0)), 0.3, 1.0, 5)
    with pytest.raises(DataError, match="between 0 and 1"):
        posterior.amount_intervals(1.0)
    with pytest.raises(DataError, match="'shortest' or 'central'"):
        posterior.amount_intervals(kind="widest")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "emcee", None)
    with pytest.raises(MissingExtraError, match=r"spectraloom\[sampling\]"):
        sample_posterior(world.draw(rng, AMOUNTS), table)
