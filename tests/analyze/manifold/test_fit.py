from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.optimize import minimize

import spectraloom.analyze.manifold.fit as fit_module
from spectraloom.analyze.manifold.fit import ManifoldFit, fit_manifold
from spectraloom.analyze.manifold.latents import Latents
from spectraloom.analyze.manifold.table import manifold_table
from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, DataError

AMOUNTS = (900.0, 500.0, 700.0, 2000.0)
CHOICES = [
    Latents(),
    Latents(known=(6.0, 0.5)),
    Latents(individual=True, tie=0.2),
    Latents(gain=0.01, offset=3.0, broadening=0.1, tilt=0.2),
]


def at_answer(fit: ManifoldFit, row: int) -> np.ndarray:
    return np.concatenate([fit.template_amounts[row], fit.inner[row]])


# -- the optimum ---------------------------------------------------------------------------------


@pytest.mark.parametrize("latents", CHOICES, ids=["common", "known", "individual", "all"])
def test_the_score_vanishes_where_the_fit_ends(world, rng, scores, latents: Latents) -> None:
    table = world.table(latents)
    fit = fit_manifold(world.draw(rng, AMOUNTS, n=6), table, tolerance=1e-9)
    assert fit.converged.all()
    low, high = table.prior.bounds.T
    for row in range(6):
        score, k = scores(fit, at_answer(fit, row), row), len(AMOUNTS)
        spread = np.sqrt(np.diagonal(fit.covariance[row]))
        at = fit.inner[row]
        inside = np.concatenate([fit.template_amounts[row] > 0, (low < at) & (at < high)])
        # In standard deviations, the answer is that far from where the score is zero.
        assert np.abs(score * spread)[inside].max() < 1e-3
        assert (score[:k][~inside[:k]] <= 0).all()
        assert (score[k:][at == low] <= 0).all()
        assert (score[k:][at == high] >= 0).all()


def test_a_slow_plain_optimiser_finds_nothing_better(world, rng) -> None:
    latents = Latents(individual=True, tie=0.3)
    fit = fit_manifold(world.draw(rng, AMOUNTS, (2.0, 5.0, 9.0), n=3), world.table(latents))
    steel = world.signatures.deformations[0]
    total = sum(AMOUNTS)

    def loss(x: np.ndarray, y: np.ndarray) -> float:
        u = x[4:]
        rows = [world.signatures.signature(steel.from_unit(u[k]))[k] for k in range(3)]
        mu = x[:4] * total @ np.vstack([*rows, world.background.templates]) + 1e-12
        tie = ((u - u.mean()) ** 2).sum() / 0.3**2
        return float(2 * (mu - y - y * np.log(mu / np.maximum(y, 1))).sum() + tie)

    for row in range(3):
        y = fit.observed[row]
        ends = [
            minimize(
                loss, [0.2, 0.1, 0.2, 0.5, u, u, u], args=(y,),
                bounds=[(0, None)] * 4 + [(0, 1)] * 3, options={"maxiter": 500, "ftol": 1e-12},
            )
            for u in (0.3, 0.6)
        ]  # fmt: skip
        slow = min(ends, key=lambda end: end.fun)
        own = loss(np.concatenate([fit.amounts[row] / total, fit.inner[row]]), y)
        assert own <= slow.fun + 1e-3
        assert fit.amounts[row] == pytest.approx(slow.x[:4] * total, abs=0.1 * 25)


def test_the_deviance_is_that_of_amounts_and_latents(world, rng) -> None:
    fit = fit_manifold(world.draw(rng, AMOUNTS, n=2), world.table())
    for row in range(2):
        mu = fit.template_amounts[row] @ fit.table.templates(fit.latents[row])
        y = fit.observed[row]
        plain = 2 * (mu - y + y * np.log(np.maximum(y, 1e-300) / mu)).sum()
        assert fit.fitted[row] == pytest.approx(mu, rel=1e-9)
        assert fit.deviance[row] == pytest.approx(plain, rel=1e-9)
        assert fit.fitted[row].sum() == pytest.approx(y.sum(), rel=1e-5)  # as ML of amounts has it


def test_at_its_deformation_the_amounts_are_those_of_em(world, rng) -> None:
    fit = fit_manifold(world.draw(rng, AMOUNTS, n=1), world.table(), tolerance=1e-9)
    templates = fit.table.templates(fit.latents[0])
    slow = np.full(4, fit.observed.sum() / 4)
    for _ in range(20_000):
        slow *= templates @ (fit.observed[0] / (slow @ templates))
    assert fit.amounts[0] == pytest.approx(slow, rel=1e-4)


def test_the_answer_does_not_depend_on_the_start(world, rng) -> None:
    table = world.table()
    spectra = world.draw(rng, AMOUNTS, n=5)
    best = fit_manifold(spectra, table)
    for thickness in (0.1, 3.0, 25.0):
        again = fit_manifold(spectra, table, start=np.full((5, 1), thickness))
        assert again.deviance == pytest.approx(best.deviance, abs=2e-3)
        assert again.latents == pytest.approx(best.latents, rel=0.02)


@pytest.mark.parametrize("thickness", [0.0, 0.4, 5.0, 29.0])
def test_exact_spectra_give_the_truth(world, thickness: float) -> None:
    expected = world.expected(AMOUNTS, thickness)
    spectra = Spectra(1000 * expected[np.newaxis], world.signatures.axis, kind="counts")
    fit = fit_manifold(spectra, world.table(), tolerance=1e-8)
    assert fit.amounts[0] == pytest.approx(1000 * np.array(AMOUNTS), rel=1e-3)
    assert fit.latents[0, 0] == pytest.approx(thickness, abs=0.01 + 0.002 * thickness)
    assert fit.deviance[0] < 1e-2


# -- chunks, threads, order ----------------------------------------------------------------------


def test_chunks_threads_and_order_change_nothing(world, rng, monkeypatch) -> None:
    table = world.table(Latents(individual=True, tie=0.2))
    spectra = world.draw(rng, AMOUNTS, n=40)
    whole = fit_manifold(spectra, table)
    order = rng.permutation(40)
    turned = fit_manifold(spectra[order], table)
    monkeypatch.setattr(fit_module, "_CHUNK", 7)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    alone = fit_manifold(spectra, table)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    many = fit_manifold(spectra, table)
    for name in ("amounts", "latents", "deviance", "covariance", "fitted", "iterations"):
        for other in (alone, many):
            assert np.array_equal(getattr(other, name), getattr(whole, name))
        assert np.array_equal(getattr(turned, name), getattr(whole, name)[order])


def test_progress_is_told(world, rng) -> None:
    told: list[float] = []
    fit_manifold(
        world.draw(rng, AMOUNTS, n=70), world.table(), progress=lambda f, _: told.append(f)
    )
    assert told[-1] == 1.0
    assert len(told) == 2


# -- what may be in the data ----------------------------------------------------------------------


def test_fits_end_where_next_to_nothing_is_known(world, rng) -> None:
    # Shields of their own, no tie, few counts: the curvature is far from the expected one.
    amounts = 100 * np.array([0.2, 0.12, 0.18, 0.5])
    spectra = world.draw(rng, amounts, n=300)
    fit = fit_manifold(spectra, world.table(Latents(individual=True)))
    assert fit.converged.all()
    again = fit_manifold(spectra, fit.table, start=fit.latents)
    better = fit.deviance - again.deviance
    # Now and then another start finds a valley that is a little deeper.
    assert np.quantile(better, 0.97) < 5e-3
    assert better.max() < 0.3


@pytest.mark.parametrize("latents", CHOICES, ids=["common", "known", "individual", "all"])
def test_a_spectrum_without_counts_answers_nothing(world, latents: Latents) -> None:
    fit = fit_manifold(Spectra(np.zeros((1, 96), dtype=int), world.signatures.axis),
                       world.table(latents))  # fmt: skip
    assert not fit.amounts.any()
    assert fit.converged.all()
    assert fit.deviance[0] == pytest.approx(0.0, abs=1e-6)
    intervals = fit.latent_intervals()
    if latents.known is None:
        assert intervals[0, 0] == pytest.approx([0.0, 30.0])
    assert np.isfinite(fit.latents).all()


def test_counts_of_the_background_alone(world, rng) -> None:
    fit = fit_manifold(world.draw(rng, (0, 0, 0, 3000), n=50), world.table())
    assert fit.converged.all()
    share = fit.amounts[:, :3].sum(axis=1) / fit.amounts.sum(axis=1)
    assert np.median(share) < 0.06
    assert fit.amounts.sum(axis=1) == pytest.approx(fit.observed.sum(axis=1), rel=1e-4)


def test_one_source_with_and_without_background(world, rng) -> None:
    one = world.signatures.select(["B"])
    expected = 2000 * one.signature(4.0)[0]
    spectra = Spectra(rng.poisson(expected, (100, 96)), one.axis)
    alone = manifold_table(one, None, one.axis.edges)
    fit = fit_manifold(spectra, alone)
    assert fit.converged.all()
    assert fit.amounts[:, 0] == pytest.approx(fit.observed.sum(axis=1), rel=1e-4)
    off = (fit.latents[:, 0].mean() - 4.0) / (fit.latents[:, 0].std() / 10)
    assert abs(off) < 4
    both = fit_manifold(spectra, manifold_table(one, world.background, one.axis.edges))
    assert both.table.names == ("B", "ground")
    assert (both.deviance <= fit.deviance + 1e-3).all()


def test_only_the_names_allowed_are_used(world, rng) -> None:
    fit = fit_manifold(world.draw(rng, AMOUNTS, n=3), world.table(), names=["A", "ground"])
    assert not fit.amounts[:, 1:3].any()
    assert (fit.amounts[:, [0, 3]] > 0).all()
    assert fit.allowed.tolist() == [[True, False, False, True]] * 3
    with pytest.raises(DataError, match="none of A, B, C, ground"):
        fit_manifold(world.draw(rng, AMOUNTS), world.table(), names=["X"])


def test_different_shields_need_their_own_latents(world, rng) -> None:
    spectra = world.draw(rng, (9e4, 5e4, 7e4, 2e5), (1.0, 6.0, 18.0), n=20)
    own = fit_manifold(spectra, world.table(Latents(individual=True, tie=0.3)))
    shared = fit_manifold(spectra, world.table())
    truth = np.array([9e4, 5e4, 7e4, 2e5])
    assert np.abs(own.amounts.mean(axis=0) / truth - 1).max() < 0.02
    assert np.abs(shared.amounts.mean(axis=0) / truth - 1).max() > 0.05
    assert own.latents.mean(axis=0) == pytest.approx([1.0, 6.0, 18.0], rel=0.1)


def test_data_on_another_axis_are_refused(world) -> None:
    with pytest.raises(AxisError, match="the spectra lie on"):
        fit_manifold(Spectra(np.ones((1, 96), dtype=int), Axis.uncalibrated(96)), world.table())
    other = Axis.regular(20.0, 1556.0, 90, quantity="energy", unit="keV")
    with pytest.raises((AxisError, DataError)):
        fit_manifold(Spectra(np.ones((1, 90), dtype=int), other), world.table())


@pytest.mark.parametrize("start", [np.zeros((2, 1)), np.full((1, 1), np.nan), np.zeros((1, 2))])
def test_a_wrong_start_is_refused(world, rng, start: np.ndarray) -> None:
    with pytest.raises(DataError, match="1 rows of 1 finite numbers"):
        fit_manifold(world.draw(rng, AMOUNTS), world.table(), start=start)


# -- other domains ---------------------------------------------------------------------------------


def _lines(peak, rng, n: int, noise: float, values: Sequence[float]) -> Spectra:  # type: ignore[no-untyped-def]
    clean = 50.0 * peak.signature(values)[0] + 20.0 * np.full(100, 0.01)
    return Spectra(
        clean + noise * rng.standard_normal((n, 100)), peak.axis, kind="intensity",
        variance=np.full((n, 100), noise**2),
    )  # fmt: skip


def test_a_peak_that_shifts_and_broadens_under_gaussian_noise(moving_peak, rng) -> None:
    from spectraloom.data import Library

    ground = Library(np.full((1, 100), 0.01), moving_peak.axis, ("ground",))
    table = manifold_table(moving_peak, ground, moving_peak.axis.edges)
    assert table.layout.units == ("ppm", "ppm")
    fit = fit_manifold(_lines(moving_peak, rng, 300, 0.5, (3.2, 3.7)), table)
    assert fit.converged.all()
    assert not fit.poisson
    for values, spreads, truth in (
        (fit.amounts, fit.uncertainties, (50.0, 20.0)),
        (fit.latents, fit.latent_uncertainties, (3.2, 3.7)),
    ):
        pulls = (values - np.array(truth)) / spreads
        assert np.abs(pulls.mean(axis=0)).max() < 0.25
        assert np.abs(pulls.std(axis=0) - 1).max() < 0.15
    assert fit.deviance.mean() == pytest.approx(96, abs=4 * np.sqrt(2 * 96 / 300))


def test_the_log_posterior_is_half_of_deviance_and_prior(world, rng, log_posterior) -> None:
    table = world.table(Latents(known=(6.0, 0.5)))
    fit = fit_manifold(world.draw(rng, AMOUNTS, n=1), table)
    places = np.tile(at_answer(fit, 0), (4, 1))
    places[1, 0] = -1.0
    places[2, 4] = 1.01
    places[3, 4] += 0.01
    out = log_posterior(fit, places)
    off = fit.inner[0, 0] - table.prior.center[0]
    assert out[0] == pytest.approx(-0.5 * (fit.deviance[0] + off**2 * table.prior.precision[0, 0]))
    assert np.isneginf(out[1:3]).all()
    assert np.isfinite(out[3])
    assert out[3] < out[0]
