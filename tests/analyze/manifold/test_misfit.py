from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from spectraloom.analyze import ManifoldUnmixer
from spectraloom.analyze.manifold import TabulatedSignature
from spectraloom.analyze.manifold.fit import fit_manifold
from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.latents import Latents
from spectraloom.analyze.manifold.misfit import (
    chance_of_deviance,
    left_out_errors,
    misfit_p_values,
)
from spectraloom.analyze.manifold.table import manifold_table
from spectraloom.analyze.quality import deviance_moments
from spectraloom.data import Spectra
from spectraloom.errors import DataError, FitError
from spectraloom.evaluate.sphere_trial import SphereTrial

SHARES = np.array([0.2, 0.12, 0.18, 0.5])


def error_of(rate: float, n: int) -> float:
    """Four standard deviations of a share, and what the approximation of the tail may be off."""
    return 4 * np.sqrt(rate * (1 - rate) / n) + 0.1 * rate


@pytest.mark.parametrize("expected", [0.01, 0.3, 1.0, 7.0, 39.0, 41.0, 300.0])
def test_moments_of_the_deviance_are_those_of_draws(expected: float) -> None:
    counts = np.arange(int(expected + 20 * np.sqrt(expected) + 30))
    chance = poisson(expected).pmf(counts)
    plain = 2 * (counts * np.log(np.maximum(counts, 1e-300) / expected) - counts + expected)
    mean = chance @ plain
    exact = (mean, chance @ (plain - mean) ** 2, chance @ (plain * (counts - expected)))
    for got, true in zip(deviance_moments(np.array([expected])), exact, strict=True):
        assert got[0] == pytest.approx(true, abs=3e-4 + 1e-3 * abs(true))


@pytest.mark.parametrize("total", [1000, 20_000, 1_000_000])
def test_a_right_model_alarms_at_the_stated_rate(world, rng, total: int) -> None:
    n = 3000
    fit = fit_manifold(world.draw(rng, total * SHARES, n=n), world.table())
    p_values = misfit_p_values(fit)
    for rate in (0.01, 0.05, 0.5):
        assert (p_values < rate).mean() == pytest.approx(rate, abs=error_of(rate, n))


@pytest.mark.parametrize("total", [60, 300])
def test_with_next_to_no_counts_the_rate_is_about_right(world, rng, total: int) -> None:
    n = 3000
    fit = fit_manifold(world.draw(rng, total * SHARES, n=n), world.table())
    p_values = misfit_p_values(fit)
    for rate in (0.01, 0.05):
        assert (p_values < rate).mean() < 2.5 * rate


def test_what_the_counts_tell_of_the_deviance_matters(world, rng) -> None:
    # With few counts the deviance follows their number, which is fitted: its spread is less.
    fit = fit_manifold(world.draw(rng, 60 * SHARES, n=2000), world.table())
    mean, variance = chance_of_deviance(fit)
    plain = deviance_moments(fit.fitted)[1].sum(axis=1)
    spread = (fit.deviance - mean).std()
    assert spread == pytest.approx(np.sqrt(variance.mean()), rel=0.25)
    assert spread < 0.9 * np.sqrt(plain.mean())


def test_latents_with_priors_take_less_than_one_degree(world, rng) -> None:
    n = 2000
    table = world.table(Latents(known=(5.0, 0.2), gain=1e-5, tilt=0.5))
    fit = fit_manifold(world.draw(rng, 1e5 * SHARES, n=n), table)
    mean, _ = chance_of_deviance(fit)
    excess = (fit.deviance - mean).mean()
    assert abs(excess) < 4 * np.sqrt(2 * 96 / n)


def test_gaussian_noise_alarms_at_the_stated_rate(moving_peak, rng) -> None:
    n, noise = 2000, 0.4
    clean = 30.0 * moving_peak.signature((3.0, 3.5))[0]
    values = clean + noise * rng.standard_normal((n, 100))
    variance = np.full((n, 100), noise**2)
    spectra = Spectra(values, moving_peak.axis, kind="intensity", variance=variance)
    fit = fit_manifold(spectra, manifold_table(moving_peak, None, moving_peak.axis.edges))
    p_values = misfit_p_values(fit)
    for rate in (0.01, 0.05):
        assert (p_values < rate).mean() == pytest.approx(rate, abs=error_of(rate, n))


def test_a_model_error_is_allowed_for(world, rng) -> None:
    n, error = 2000, 0.02
    table = world.table()
    # The truth is off by 2 % in every channel of the sources, another way in every spectrum.
    rows = table.templates(np.array([5.0]))
    amounts = 2e5 * SHARES
    off = 1 + error * rng.standard_normal((n, 3, 96))
    expected = np.einsum("k,kc,nkc->nc", amounts[:3], rows[:3], off) + amounts[3] * rows[3]
    fit = fit_manifold(Spectra(rng.poisson(expected), world.signatures.axis), table)
    errors = np.array([error] * 3 + [0.0])
    assert (misfit_p_values(fit) < 0.05).mean() > 0.2
    allowed = (misfit_p_values(fit, errors) < 0.05).mean()
    assert allowed == pytest.approx(0.05, abs=0.02)


def test_an_empty_spectrum_raises_no_alarm(world) -> None:
    empty = Spectra(np.zeros((1, 96), dtype=int), world.signatures.axis)
    fit = fit_manifold(empty, world.table())
    assert misfit_p_values(fit)[0] == 1.0


@pytest.mark.parametrize("errors", [[0.1], [0.1, 0.1, 0.1, -0.1], [0.1, np.nan, 0.1, 0.1]])
def test_wrong_errors_are_refused(world, rng, errors: list[float]) -> None:
    fit = fit_manifold(world.draw(rng, 1000 * SHARES), world.table())
    with pytest.raises(DataError, match="for each of A, B, C, ground"):
        misfit_p_values(fit, np.array(errors))


# -- steel spheres


@pytest.fixture(scope="module")
def errors(trial: SphereTrial, build) -> np.ndarray:
    found = left_out_errors(trial.training_spectra(trial.training), build)
    return np.array([*(found[name] for name in trial.names), 0.0])


@pytest.mark.parametrize("total", [2500, 100_000])
def test_held_out_thicknesses_alarm_at_the_stated_rate(
    trial, learned, errors, p4, rng, total: int
) -> None:
    table = manifold_table(learned, trial.background, trial.axis.edges)
    expected = np.repeat([p4(i, total) for i in np.flatnonzero(~trial.training)], 40, axis=0)
    fit = fit_manifold(Spectra(rng.poisson(expected), trial.axis), table)
    p_values = misfit_p_values(fit, errors)
    for rate in (0.01, 0.05):
        assert (p_values < rate).mean() < rate + error_of(rate, len(expected)) + 0.2 * rate
    assert (p_values < 0.05).mean() > 0.025


def test_an_unmodelled_gain_shift_alarms(trial, learned, errors, p4, rng) -> None:
    table = manifold_table(learned, trial.background, trial.axis.edges)
    number = int(np.argmin(np.abs(trial.thickness - 5.2)))
    assert not trial.training[number]
    truth = TabulatedSignature(
        trial.axis, trial.names, learned.deformations, np.repeat(trial.shapes[[number]], 3, axis=0)
    )
    moved = manifold_table(truth, trial.background, trial.axis.edges, Latents(gain=0.02))
    rows = moved.templates(np.array([5.2, 0.02]))
    weights = np.array([p4.shares[name] for name in trial.names] + [0.5])
    spectra = Spectra(rng.poisson(1e5 * weights @ rows, (100, 800)), trial.axis)
    p_values = misfit_p_values(fit_manifold(spectra, table), errors)
    assert (p_values < 0.01).mean() > 0.95


def test_a_coarse_model_has_an_error_that_left_out_spectra_show(trial, build, p4, rng) -> None:
    spectra = trial.training_spectra(trial.training)
    coarse = left_out_errors(spectra, lambda some: build(some, knots=2))
    fine = left_out_errors(spectra, build)
    assert sum(coarse.values()) > 3 * sum(fine.values())
    model = build(spectra, knots=2)
    table = manifold_table(model, trial.background, trial.axis.edges)
    held = np.flatnonzero(~trial.training)
    expected = np.repeat([p4(i, 100_000) for i in held], 10, axis=0)
    fit = fit_manifold(Spectra(rng.poisson(expected), trial.axis), table)
    allowed = np.array([*(coarse[name] for name in trial.names), 0.0])
    without, with_them = (
        (misfit_p_values(fit, one) < 0.05).mean() for one in (np.zeros(5), allowed)
    )
    assert without > 0.5
    assert with_them < 0.25


def test_the_error_of_a_model_needs_counts_and_values(trial, build) -> None:
    spectra = trial.training_spectra(trial.training)
    two = spectra[np.isin(spectra.columns["thickness"], trial.thickness[[0, -1]])]
    with pytest.raises(FitError, match="three values"):
        left_out_errors(two, build)


def test_sources_may_have_been_measured_at_values_of_their_own(world) -> None:
    # A fold over the values of all would leave out both inner values of B, or B as a whole.
    rng = np.random.default_rng(2)
    values = {
        "A": np.linspace(0.0, 30.0, 12),
        "B": np.array([1.0, 4.0, 20.0]),
        "C": np.array([2.0, 9.0]),
    }
    rows, names, at = [], [], []
    for number, (name, thicknesses) in enumerate(values.items()):
        for thickness in thicknesses:
            rows.append(rng.poisson(1e5 * world.signatures.signature(thickness)[number]))
            names.append((name,))
            at.append(float(thickness))
    columns = {"labels": names, "thickness": at}
    spectra = Spectra(np.array(rows), world.signatures.axis, columns=columns)
    built: list[list[str]] = []

    def build(some: Spectra) -> InterpolatedSignature:
        built.append(sorted({entry[0] for entry in some.labels}))
        return InterpolatedSignature.from_spectra(some, world.signatures.deformations[0], knots=4)

    errors = left_out_errors(spectra, build)
    assert set(errors) == {"A", "B"}  # C has no value that could be left out
    assert all(0.0 <= error < 0.5 for error in errors.values())
    assert built == [["A", "B", "C"]] * 5
    assert set(ManifoldUnmixer(background=None).fit(spectra).signature_errors_) == {"A", "B"}
