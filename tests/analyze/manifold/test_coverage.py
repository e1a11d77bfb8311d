from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze.manifold import (
    Latents,
    ManifoldFit,
    fit_manifold,
    manifold_table,
    profile_amounts,
    profile_latents,
)
from spectraloom.data import Spectra

DIFFERENT = {"Ba133": 2.4, "Co57": 1.1, "Co60": 20.1, "Cs137": 9.1}


def nearest(trial, thickness: float) -> int:  # type: ignore[no-untyped-def]
    return int(np.argmin(np.abs(trial.thickness - thickness)))


def fitted(trial, learned, latents: Latents, expected: np.ndarray, n: int, rng) -> ManifoldFit:  # type: ignore[no-untyped-def]
    table = manifold_table(learned, trial.background, trial.axis.edges, latents)
    fit = fit_manifold(Spectra(rng.poisson(expected, (n, len(expected))), trial.axis), table)
    assert fit.converged.all()
    return fit


def held(ends: np.ndarray, truth: float) -> float:
    return float(np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])))


def require(shares: list[float], n: int, slack: float = 0.0) -> None:
    """Each share of intervals that hold the truth, and their mean, within chance of 95 %."""
    error = np.sqrt(0.95 * 0.05 / n)
    assert min(shares) > 0.95 - 3.5 * error - slack
    assert abs(np.mean(shares) - 0.95) < 2.5 * error + slack


@pytest.mark.parametrize("total", [2500, 100_000])
def test_a_common_thickness(trial, learned, p4, rng, total: int) -> None:
    n, truth = 300, p4.amounts(total)
    number = nearest(trial, 5.2)
    assert not trial.training[number]
    fit = fitted(trial, learned, Latents(), p4(number, total), n, rng)
    shares = [held(profile_amounts(fit, a), t) for a, t in zip(fit.table.names, truth, strict=True)]
    require([*shares, held(profile_latents(fit, "thickness"), 5.2)], n, 0.005)
    wald = np.abs(fit.amounts - truth) <= 1.96 * fit.uncertainties
    require(wald.mean(axis=0).tolist(), n, 0.005)
    bound = np.median(fit.uncertainties, axis=0)
    errors = np.sqrt(((fit.amounts - truth) ** 2).mean(axis=0)) / bound
    assert np.exp(np.log(errors).mean()) < 1.05 + 3 / np.sqrt(2 * n * 3)


def test_a_thickness_for_each_nuclide(trial, learned, p4, rng) -> None:
    n, total = 200, 100_000
    truth = p4.amounts(total)
    numbers = [nearest(trial, DIFFERENT[name]) for name in trial.names]
    fit = fitted(trial, learned, Latents(individual=True, tie=0.2), p4(numbers, total), n, rng)
    shares = [held(profile_amounts(fit, a), t) for a, t in zip(fit.table.names, truth, strict=True)]
    require(shares, n, 0.005)
    for name, number in zip(trial.names, numbers, strict=True):
        ends = profile_latents(fit, f"thickness of {name}")
        assert held(ends, trial.thickness[number]) > 0.89
    error = (np.abs(fit.amounts - truth) / truth).mean()
    assert error < 0.03
    shared = fitted(trial, learned, Latents(), p4(numbers, total), 20, rng)
    assert (np.abs(shared.amounts - truth) / truth).mean() > 0.1


def test_thickness_gain_and_resolution_together(trial, learned, p4, rng) -> None:
    n, total = 200, 100_000
    truth = p4.amounts(total)
    latents = Latents(gain=0.01, broadening=0.1)
    table = manifold_table(learned, trial.background, trial.axis.edges, latents)
    assert table.layout.names == ("thickness", "broadening", "gain")
    values = np.array([5.2, 0.06, 0.006])
    fit = fitted(trial, learned, latents, truth @ table.templates(values), n, rng)
    for got, spread, true in (
        (fit.amounts, fit.uncertainties, truth),
        (fit.latents, fit.latent_uncertainties, values),
    ):
        bound = np.median(spread, axis=0)
        assert (np.sqrt(((got - true) ** 2).mean(axis=0)) / bound).max() < 1.2
        assert np.abs((got.mean(axis=0) - true) / bound).max() < 0.35
    require([held(profile_latents(fit, "thickness"), 5.2)], n, 0.005)
