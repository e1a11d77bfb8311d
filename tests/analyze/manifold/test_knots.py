from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from spectraloom import Axis, Spectra
from spectraloom._typing import FloatArray
from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.knots import choose_knots
from spectraloom.errors import FitError

C = 24
AXIS = Axis.regular(0.0, 240.0, C)
VALUES = np.linspace(0.0, 1.0, 41)
# Splines with more knots can be all that those with fewer can: the knots are among theirs.
CANDIDATES = (3, 5, 9, 17, 33)


def bent(values: FloatArray, n_knots: int = 5) -> FloatArray:
    """Shapes whose logarithm is a natural spline through knots, up and down in turn."""
    channels = np.arange(C)
    heights = np.cos(np.pi * np.arange(n_knots))[:, np.newaxis] * np.sin(0.9 * channels)
    curve = CubicSpline(np.linspace(0.0, 1.0, n_knots), 0.4 * heights, bc_type="natural")
    rows = np.exp(curve(values))
    return rows / rows.sum(axis=1, keepdims=True)


def smooth(values: FloatArray) -> FloatArray:
    """A peak that moves and sinks: no spline."""
    channels = np.arange(C) + 0.5
    centre = 8.0 + 7.0 * values[:, np.newaxis] ** 2
    rows = 0.05 + np.exp(-0.5 * ((channels - centre) / 2.5) ** 2 - values[:, np.newaxis])
    return rows / rows.sum(axis=1, keepdims=True)


def spectra_of(counts: FloatArray, values: FloatArray = VALUES) -> Spectra:
    columns = {"labels": ["A"] * len(values), "shift": values}
    return Spectra(counts, AXIS, columns=columns)


def chosen(spectra: Spectra) -> int:
    return choose_knots(spectra, "shift", candidates=CANDIDATES, unit="", softening=None)


@pytest.mark.parametrize("seed", range(3))
def test_knots_of_the_truth_are_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert chosen(spectra_of(rng.poisson(20_000 * bent(VALUES)).astype(float))) == 5


@pytest.mark.parametrize("counts", [10_000.0, 1e6])
def test_another_number_would_not_be_much_nearer_the_truth(counts: float) -> None:
    between = 0.5 * (VALUES[1:] + VALUES[:-1])
    truth = smooth(between)
    found, by_number = [], []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        spectra = spectra_of(rng.poisson(counts * smooth(VALUES)).astype(float))
        errors = {}
        for number in CANDIDATES:
            model = InterpolatedSignature.from_spectra(
                spectra, "shift", knots=number, unit="", softening=None
            )
            rows = np.array([model.signature(value)[0] for value in between])
            errors[number] = float(((rows - truth) ** 2 / truth).sum())
        found.append(errors[chosen(spectra)])
        by_number.append([errors[number] for number in CANDIDATES])
    assert np.mean(found) < 1.4 * np.mean(by_number, axis=0).min()


def test_fewer_counts_bear_fewer_knots() -> None:
    rng = np.random.default_rng(1)
    few, many = (chosen(spectra_of(rng.poisson(n * smooth(VALUES)) * 1.0)) for n in (300.0, 1e6))
    assert few < many


def test_spectra_with_less_noise_than_counts_have_count_too() -> None:
    # All deviances are below those of chance: which one is least still says what is best.
    assert chosen(spectra_of(20_000 * bent(VALUES, n_knots=9))) == 9


def test_numbers_that_cannot_be_tried_are_passed_over_or_refused() -> None:
    values = np.linspace(0.0, 1.0, 6)
    spectra = spectra_of(np.round(1e4 * smooth(values)), values)
    assert chosen(spectra) in (3, 5)
    with pytest.raises(FitError, match="6 values of shift are too few for 9 knots"):
        choose_knots(spectra, "shift", candidates=[9, 17])
