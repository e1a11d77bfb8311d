from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze.manifold.answers import absent_uncertainties, latent_intervals
from spectraloom.analyze.manifold.fit import fit_manifold
from spectraloom.analyze.manifold.latents import Latents


def test_an_amount_is_no_surer_where_its_deformation_lies_at_a_limit(world, rng) -> None:
    n = 400
    spectra = world.draw(rng, (600, 600, 0, 2000), (5.0, 0.2, 5.0), n=n)
    table = world.table(Latents(individual=True))
    fit = fit_manifold(spectra, table, names=["A", "B", "ground"])
    end = fit.inner[:, 1] == 0.0
    assert 0.2 < end.mean() < 0.8
    said, error = fit.uncertainties[:, 1], np.abs(fit.amounts[:, 1] - 600)
    assert np.median(said[end]) == pytest.approx(np.median(said[~end]), rel=0.25)
    assert (error[end] <= 1.96 * said[end]).mean() > 0.93
    assert 0.93 < (error <= 1.96 * said).mean() < 0.995
    # The latent itself stays marked.
    k = len(table.groups)
    assert not fit.covariance[end, k + 1].any()
    assert not fit.covariance[end, :, k + 1].any()
    assert np.linalg.eigvalsh(fit.covariance[end][:, :2, :2]).min() > 0


def test_what_is_absent_is_no_surer_either_where_a_deformation_lies_at_a_limit(world, rng) -> None:
    spectra = world.draw(rng, (0, 600, 0, 2000), 0.0, n=200)
    fit = fit_manifold(spectra, world.table(), names=["B", "ground"])
    end = fit.inner[:, 0] == 0.0
    near = ~end & (fit.inner[:, 0] < 0.3)
    assert min(end.sum(), near.sum()) > 20
    said = absent_uncertainties(fit)[:, 0]
    assert np.median(said[end]) == pytest.approx(np.median(said[near]), rel=0.1)


@pytest.mark.parametrize("thickness", [0.0, 0.2, 2.0])
def test_intervals_hold_the_thickness_near_the_bare_source(world, rng, thickness: float) -> None:
    n = 400
    spectra = world.draw(rng, (0, 600, 0, 2000), thickness, n=n)
    fit = fit_manifold(spectra, world.table(), names=["B", "ground"])
    low, high = latent_intervals(fit, profile=False)[:, 0].T
    held = (low <= thickness + 1e-9) & (thickness <= high)
    assert held.mean() > 0.95 - 3 * np.sqrt(0.95 * 0.05 / n)


def test_many_counts_need_no_profile(world, rng) -> None:
    fit = fit_manifold(world.draw(rng, (1e6, 5e5, 7e5, 2e6), n=4), world.table())
    assert np.array_equal(latent_intervals(fit, profile=False), fit.latent_intervals())
