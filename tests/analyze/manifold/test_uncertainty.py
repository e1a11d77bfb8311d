from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

from spectraloom.analyze.manifold.fit import fit_manifold
from spectraloom.analyze.manifold.latents import Latents
from spectraloom.analyze.manifold.table import manifold_table
from spectraloom.analyze.manifold.uncertainty import (
    observed_covariance,
    profile_amounts,
    profile_latents,
)
from spectraloom.data import Spectra
from spectraloom.errors import DataError, LabelError

AMOUNTS = (900.0, 500.0, 700.0, 2000.0)
QUANTILE = chi2.ppf(0.95, 1)


def inside(ends: np.ndarray, truth: float) -> float:
    return float(np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])))


# -- observed information ------------------------------------------------------------------------


def test_the_observed_information_is_minus_the_second_derivative(world, rng, log_posterior) -> None:
    table = world.table(Latents(individual=True, tie=0.2))
    fit = fit_manifold(world.draw(rng, AMOUNTS, n=1), table, tolerance=1e-10)
    covariance = observed_covariance(fit)[0]
    center = np.concatenate([fit.template_amounts[0], fit.inner[0]])
    spread = np.sqrt(np.diagonal(covariance))
    # Independent: second differences of the log posterior itself.
    size = len(center)
    steps = 0.05 * spread
    places, signs = [], [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    for i in range(size):
        for j in range(size):
            for one, two in signs:
                place = center.copy()
                place[i] += one * steps[i]
                place[j] += two * steps[j]
                places.append(place)
    ends = log_posterior(fit, np.array(places)).reshape(size, size, 4)
    second = (ends[..., 0] - ends[..., 1] - ends[..., 2] + ends[..., 3]) / (
        4 * np.outer(steps, steps)
    )
    assert np.linalg.inv(-second) / np.outer(spread, spread) == pytest.approx(
        covariance / np.outer(spread, spread), abs=0.02
    )


def test_for_many_counts_it_is_the_expected_information(world, rng) -> None:
    fit = fit_manifold(world.draw(rng, 3000 * np.array(AMOUNTS), n=2), world.table())
    ratio = observed_covariance(fit) / fit.covariance
    assert ratio == pytest.approx(np.ones_like(ratio), abs=0.05)


def test_limits_and_the_unknown_are_marked(world, rng) -> None:
    empty = fit_manifold(
        Spectra(np.zeros((1, 96), dtype=int), world.signatures.axis), world.table()
    )
    covariance = observed_covariance(empty)[0]
    assert not covariance[:4].any()
    assert np.isinf(covariance[4, 4])
    absent = fit_manifold(world.draw(rng, (0, 0, 3000, 3000), n=30), world.table())
    covariance = observed_covariance(absent)
    zero = absent.template_amounts == 0
    assert zero.any()
    variances = np.diagonal(covariance, axis1=1, axis2=2)[:, :4]
    assert not variances[zero].any()
    assert (variances[~zero] > 0).all()


# -- profiles --------------------------------------------------------------------------------------


def test_the_ends_are_where_a_plain_profile_has_them(world, rng) -> None:
    table = world.table()
    fit = fit_manifold(world.draw(rng, 0.3 * np.array(AMOUNTS), n=1), table, tolerance=1e-10)
    y = fit.observed[0]
    steel = world.signatures.deformations[0]

    def deviance(x: np.ndarray) -> float:
        rows = np.vstack(
            [world.signatures.signature(steel.from_unit(x[4])), world.background.templates]
        )
        mu = 100 * x[:4] @ rows + 1e-12
        return float(2 * (mu - y + np.where(y > 0, y * np.log(np.maximum(y, 1e-9) / mu), 0)).sum())

    def rise(number: int, value: float) -> float:
        bounds = [(0.0, None)] * 4 + [(0.0, 1.0)]
        bounds[number] = (value, value)
        best = np.inf
        for u in (0.2, 0.5, 0.8):
            start = np.concatenate([fit.amounts[0] / 100, [u]])
            start[number] = value
            done = minimize(deviance, start, bounds=bounds, options={"ftol": 1e-13, "maxiter": 500})
            best = min(best, done.fun)
        return best - fit.deviance[0] - QUANTILE

    (ends,) = profile_amounts(fit, "C")
    at = fit.amounts[0, 2]
    high = brentq(lambda a: rise(2, a / 100), at, 3 * at, xtol=0.02)
    assert ends[1] == pytest.approx(high, rel=2e-3)
    low = brentq(lambda a: rise(2, a / 100), 1.0, at, xtol=0.02)
    assert ends[0] == pytest.approx(low, rel=2e-3)
    (ends,) = profile_latents(fit, "thickness")
    at = fit.inner[0, 0]
    if rise(4, 1.0) > 0:
        high = steel.from_unit(brentq(lambda u: rise(4, u), at, 1.0, xtol=1e-4))
        assert ends[1] == pytest.approx(high, rel=5e-3)
    else:
        assert ends[1] == 30.0


def test_for_many_counts_profiles_are_the_symmetric_intervals(world, rng) -> None:
    fit = fit_manifold(world.draw(rng, 1000 * np.array(AMOUNTS), n=5), world.table())
    half = np.sqrt(QUANTILE)
    for number, name in enumerate(("A", "B", "C", "ground")):
        plain = fit.amounts[:, number, None] + half * fit.uncertainties[:, number, None] * [[-1, 1]]
        off = (profile_amounts(fit, name) - plain) / fit.uncertainties[:, number, None]
        assert np.abs(off).max() < 0.05
    off = profile_latents(fit, "thickness") - fit.latent_intervals()[:, 0]
    assert np.abs(off / fit.latent_uncertainties).max() < 0.05


def test_without_counts_an_amount_is_below_half_of_the_quantile(world) -> None:
    # The deviance of an amount a in an empty spectrum is 2 a.
    empty = Spectra(np.zeros((1, 96), dtype=int), world.signatures.axis)
    for latents in (Latents(), Latents(individual=True), Latents(gain=0.01)):
        fit = fit_manifold(empty, world.table(latents))
        for name in ("B", "ground"):
            assert profile_amounts(fit, name)[0] == pytest.approx([0.0, QUANTILE / 2], abs=1e-3)
        first = fit.table.layout.names[0]
        assert profile_latents(fit, first)[0] == pytest.approx([0.0, 30.0])


def test_the_thickness_of_an_absent_source_is_anything(world, rng) -> None:
    table = world.table(Latents(individual=True))
    fit = fit_manifold(world.draw(rng, (0, 3000, 0, 3000), n=20), table)
    ends = profile_latents(fit, "thickness of A")
    none = fit.amounts[:, 0] == 0
    assert none.any()
    assert ends[none] == pytest.approx(np.tile([0.0, 30.0], (none.sum(), 1)))


def test_an_upper_limit_holds_for_every_thickness_of_an_absent_source(world, rng) -> None:
    # The limit is that of the thickness which hides the source best, not of where a fit began.
    table = world.table(Latents(individual=True))
    fit = fit_manifold(world.draw(rng, (0, 3000, 0, 3000), n=30), table)
    none = np.flatnonzero(fit.amounts[:, 0] == 0)[:5]
    ends = profile_amounts(fit, "A")[none, 1]
    steel = world.signatures.deformations[0]
    widest = np.zeros(len(none))
    for u in np.linspace(0.02, 0.98, 9):
        held = world.table(Latents(individual=True, known=None))
        value = float(steel.from_unit(u))
        one = manifold_table(
            _held(world.signatures, value), world.background, world.signatures.axis.edges,
            Latents(individual=True),
        )  # fmt: skip
        assert held.names == one.names
        again = fit_manifold(Spectra(fit.observed[none].astype(int), world.signatures.axis), one)
        widest = np.maximum(widest, profile_amounts(again, "A")[:, 1])
    assert (ends > widest * 0.97).all()


def _held(signatures, value: float):  # type: ignore[no-untyped-def]
    """The same signatures, that of A at one thickness."""
    from spectraloom.analyze.manifold.signature import TabulatedSignature

    table = np.array(signatures.table)
    table[:, 0] = signatures.signature(value)[0]
    return TabulatedSignature(signatures.axis, signatures.names, signatures.deformations, table)


def test_a_known_thickness_enters_the_profile(world, rng) -> None:
    spectra = world.draw(rng, 0.2 * np.array(AMOUNTS), n=4)
    wide = profile_latents(fit_manifold(spectra, world.table()), "thickness")
    known = profile_latents(
        fit_manifold(spectra, world.table(Latents(known=(5.0, 0.2)))), "thickness"
    )
    assert (np.diff(known) < 0.85).all()
    assert (np.diff(wide) > 2.0).all()


def test_only_what_was_allowed_is_profiled(world, rng) -> None:
    fit = fit_manifold(world.draw(rng, AMOUNTS, n=2), world.table(), names=["A", "C", "ground"])
    assert np.isnan(profile_amounts(fit, "B")).all()
    assert np.isfinite(profile_amounts(fit, "C")).all()


def test_profiles_under_gaussian_noise(moving_peak, rng) -> None:
    clean = 30.0 * moving_peak.signature((3.0, 3.5))[0]
    noise = 0.4
    spectra = Spectra(
        clean + noise * rng.standard_normal((150, 100)), moving_peak.axis, kind="intensity",
        variance=np.full((150, 100), noise**2),
    )  # fmt: skip
    fit = fit_manifold(spectra, manifold_table(moving_peak, None, moving_peak.axis.edges))
    assert 0.9 <= inside(profile_amounts(fit, "line"), 30.0) <= 0.99
    assert 0.9 <= inside(profile_latents(fit, "shift"), 3.0) <= 0.99
    assert 0.9 <= inside(profile_latents(fit, "width"), 3.5) <= 0.99


def test_wrong_questions_are_refused(world, rng) -> None:
    fit = fit_manifold(world.draw(rng, AMOUNTS, n=1), world.table())
    with pytest.raises(LabelError, match="no name 'X'"):
        profile_amounts(fit, "X")
    with pytest.raises(LabelError, match="no latent 'gain'"):
        profile_latents(fit, "gain")
    for level in (0.0, 1.0, np.nan):
        with pytest.raises(DataError, match="between 0 and 1"):
            profile_amounts(fit, "A", level=level)


# -- coverage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "least", "most"), [(150, 0.92, 0.995), (2500, 0.92, 0.98), (100_000, 0.92, 0.98)]
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    world, rng, total: int, least: float, most: float
) -> None:
    amounts = total * np.array([0.2, 0.12, 0.18, 0.5])
    fit = fit_manifold(world.draw(rng, amounts, n=300), world.table())
    for name, truth in zip(fit.table.names, amounts, strict=True):
        assert least <= inside(profile_amounts(fit, name), truth) <= most
    assert least <= inside(profile_latents(fit, "thickness"), 5.0) <= most


def test_coverage_with_a_shield_of_each_source(world, rng) -> None:
    # Shields that differ as the prior says they do.
    steel = world.signatures.deformations[0]
    u = np.clip(0.5 + 0.2 * rng.standard_normal((60, 3)), 0.05, 0.95)
    amounts = np.array([20_000.0, 12_000.0, 18_000.0, 50_000.0])
    spectra = Spectra.concatenate([world.draw(rng, amounts, steel.from_unit(row)) for row in u])
    fit = fit_manifold(spectra, world.table(Latents(individual=True, tie=0.2)))
    shares = [
        inside(profile_amounts(fit, n), t) for n, t in zip(fit.table.names, amounts, strict=True)
    ]
    assert np.mean(shares) > 0.91
    for k, name in enumerate(fit.table.layout.names):
        ends = profile_latents(fit, name)
        truth = steel.from_unit(u[:, k])
        assert np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])) > 0.86


def test_thickness_gain_and_resolution_together_are_unbiased(world, rng) -> None:
    latents = Latents(gain=0.02, broadening=0.2)
    table = world.table(latents)
    amounts = np.array([20_000.0, 12_000.0, 18_000.0, 50_000.0])
    values = np.array([5.0, 0.1, 0.008])  # thickness, broadening, gain
    expected = amounts @ table.templates(values)
    n = 150
    fit = fit_manifold(Spectra(rng.poisson(expected, (n, 96)), world.signatures.axis), table)
    assert fit.converged.all()
    # The prior pulls broadening and gain a little, by its share of the information.
    for got, spread, truth in (
        (fit.amounts, fit.uncertainties, amounts),
        (fit.latents, fit.latent_uncertainties, values),
    ):
        bound = np.median(spread, axis=0)
        assert np.abs((got.mean(axis=0) - truth) / bound).max() < 0.35
        assert (np.sqrt(((got - truth) ** 2).mean(axis=0)) / bound).max() < 1.2
    assert 0.9 <= inside(profile_latents(fit, "thickness"), 5.0) <= 0.99
