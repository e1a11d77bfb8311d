"""Coverage: how often the truth lies within the stated uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spectraloom.analyze import SupervisedNMF
from spectraloom.data import Axis, Spectra
from spectraloom.process import rebin

ONE_SIGMA, TWO_SIGMA = 0.6827, 0.9545
N = 3000


def exact_model(world: Any, axis: Axis | None = None, **settings: Any) -> SupervisedNMF:
    """Model whose loadings are the true ones, so that only counting statistics is left."""
    truth = Spectra(world.loadings * 1e6, world.axis, columns={"labels": list(world.names)})
    return SupervisedNMF(**settings).fit(truth if axis is None else rebin(truth, axis))


def coverage(model: SupervisedNMF, spectra: Spectra, amounts: np.ndarray, sigmas: float) -> Any:
    result = model.analyze(spectra, denoise=False)
    assert result.uncertainties is not None
    return (np.abs(result.amounts - amounts) <= sigmas * result.uncertainties).mean(axis=0)


@pytest.mark.parametrize("weighting", ["poisson", "none"])
def test_amounts_inside_the_constraint_are_covered(world: Any, weighting: Any) -> None:
    amounts = np.array([900.0, 1500.0, 1200.0, 2000.0, 4000.0])
    spectra = world.draw(np.tile(amounts, (N, 1)), np.random.default_rng(21))
    model = exact_model(world, weighting=weighting)
    found = coverage(model, spectra, amounts, 1.0)
    np.testing.assert_allclose(found, ONE_SIGMA, atol=0.03)
    np.testing.assert_allclose(coverage(model, spectra, amounts, 2.0), TWO_SIGMA, atol=0.015)


def test_amounts_on_the_constraint_are_covered_more_often(world: Any) -> None:
    amounts = np.array([0.0, 1500.0, 0.0, 0.0, 4000.0])
    spectra = world.draw(np.tile(amounts, (N, 1)), np.random.default_rng(22))
    found = coverage(exact_model(world), spectra, amounts, 1.0)
    assert (found > ONE_SIGMA - 0.03).all()
    assert (found[[0, 2, 3]] > 0.8).all()


def test_rebinned_counts_are_covered(world: Any) -> None:
    """Rebinning splits channels, whose parts vary together: the variances alone are too small."""
    axis = Axis.regular(0.0, 1280.0, 190)
    amounts = np.array([900.0, 1500.0, 1200.0, 2000.0, 4000.0])
    spectra = world.draw(np.tile(amounts, (N, 1)), np.random.default_rng(23))
    moved = rebin(spectra, axis)
    assert moved.variance is not None
    assert moved.variance.sum() < 0.8 * moved.values.sum()
    found = coverage(exact_model(world, axis), moved, amounts, 1.0)
    assert (found > ONE_SIGMA - 0.03).all()
    # The upper bound is a close one but for the sharpest source.
    assert (found[1:] < ONE_SIGMA + 0.05).all()


def test_given_variances_are_used_where_the_values_do_not_tell(world: Any) -> None:
    amounts = np.array([9.0, 15.0, 12.0, 20.0, 40.0])
    rng = np.random.default_rng(24)
    sigma = np.linspace(0.01, 0.03, 128)
    values = amounts @ world.loadings + sigma * rng.normal(size=(N, 128))
    spectra = Spectra(
        values, world.axis, "intensity", variance=np.broadcast_to(sigma**2, values.shape)
    )
    truth = Spectra(
        world.loadings * 1e6, world.axis, "intensity", columns={"labels": list(world.names)}
    )
    found = coverage(SupervisedNMF().fit(truth), spectra, amounts, 1.0)
    np.testing.assert_allclose(found, ONE_SIGMA, atol=0.03)


def test_a_larger_variance_than_counting_is_kept(world: Any) -> None:
    """E.g. a calibration uncertainty added to the counts."""
    model = exact_model(world)
    spectra = world.draw(np.full((3, 5), 900.0), np.random.default_rng(25))
    more = spectra.replace(variance=4.0 * spectra.values)
    plain, wide = (model.analyze(part).uncertainties for part in (spectra, more))
    np.testing.assert_allclose(wide, 2.0 * np.asarray(plain))


def test_uncertainties_of_variants_are_those_of_their_sum(world: Any) -> None:
    """Two nearly equal templates are each uncertain; the amount of their class is not."""
    rng = np.random.default_rng(26)
    shifted = 0.98 * world.loadings[2] + 0.02 * world.loadings[4]
    values = np.vstack([world.loadings, shifted]) * 1e6
    names = [*world.names, "Cs137"]
    training = Spectra(values, world.axis, columns={"labels": names, "kind": ["a"] * 5 + ["b"]})
    model = SupervisedNMF(variants="kind").fit(training)
    amounts = np.array([0.0, 0.0, 5000.0, 0.0, 5000.0])
    result = model.analyze(world.draw(np.tile(amounts, (1500, 1)), rng))
    assert result.uncertainties is not None
    stated = result.uncertainties[:, 2].mean()
    # Not the 68 % of single templates: the constraint acts on each variant and shifts their sum.
    assert result.amounts[:, 2].std() == pytest.approx(stated, rel=0.2)
    assert abs(result.amounts[:, 2].mean() - 5000.0) < 0.8 * stated
    assert (np.abs(result.amounts[:, 2] - 5000.0) < 2 * stated).mean() > 0.85
    # Each variant alone is far more uncertain than their sum.
    assert model.transform(world.draw(np.tile(amounts, (300, 1)), rng))[:, 2].std() > 3 * stated


def test_rates_without_variance_state_no_uncertainty(world: Any) -> None:
    spectra = world.training(np.random.default_rng(27), 1)
    rate = spectra.replace(values=spectra.values / 10.0, kind="rate")
    result = exact_model(world).analyze(rate)
    assert result.uncertainties is None
    assert result.unit == "counts/s"
