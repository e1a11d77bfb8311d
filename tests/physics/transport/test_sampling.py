from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from scipy.stats import chi2, kstest

from spectraloom._typing import FloatArray
from spectraloom.physics.gamma import scattered_energy, scattered_fractions
from spectraloom.physics.gamma.transport.sampling import (
    compton,
    free_path,
    generator,
    isotropic,
    turned,
    uniform,
)

N = 200_000


@njit
def draw_uniform(seed: int, batch: int, n: int) -> FloatArray:
    state = generator(seed, batch)
    return np.array([uniform(state) for _ in range(n)])


@njit
def draw_paths(n: int) -> FloatArray:
    state = generator(5, 0)
    return np.array([free_path(state) for _ in range(n)])


@njit
def draw_scatterings(energy: float, n: int) -> FloatArray:
    state = generator(7, 0)
    drawn = np.empty((n, 2))
    for row in range(n):
        drawn[row, 0], drawn[row, 1] = compton(state, energy)
    return drawn


@njit
def draw_directions(n: int) -> FloatArray:
    state = generator(9, 0)
    drawn = np.empty((n, 3))
    for row in range(n):
        drawn[row, 0], drawn[row, 1], drawn[row, 2] = isotropic(state)
    return drawn


@njit
def turn_each(directions: FloatArray, cosine: float) -> FloatArray:
    state = generator(11, 0)
    turns = np.empty_like(directions)
    for row in range(len(directions)):
        u, v, w = directions[row]
        azimuth = 2.0 * np.pi * uniform(state)
        turns[row, 0], turns[row, 1], turns[row, 2] = turned(u, v, w, cosine, azimuth)
    return turns


def test_uniform_numbers_are_uniform_and_unrelated_between_batches() -> None:
    first, second = draw_uniform(1, 0, N), draw_uniform(1, 1, N)
    assert kstest(first, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(N)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 5 / np.sqrt(N)
    np.testing.assert_array_equal(first, draw_uniform(1, 0, N))
    assert not np.array_equal(first, draw_uniform(2, 0, N))
    assert first.min() >= 0.0
    assert first.max() < 1.0


def test_neighbouring_batches_start_apart() -> None:
    starts = np.array([draw_uniform(3, batch, 1)[0] for batch in range(2000)])
    assert kstest(starts, "uniform").pvalue > 1e-4


def test_free_paths_are_exponential() -> None:
    assert kstest(draw_paths(N), "expon").pvalue > 1e-4


@pytest.mark.parametrize("energy", [15.0, 122.0, 661.657, 2614.5, 9000.0])
def test_scatterings_follow_klein_and_nishina(energy: float) -> None:
    drawn = draw_scatterings(energy, N)
    np.testing.assert_allclose(scattered_energy(energy, drawn[:, 1]), energy * drawn[:, 0])
    least = float(scattered_energy(energy, -1.0))
    edges = np.linspace(least * (1 - 1e-9), energy * (1 + 1e-9), 41)
    counts = np.histogram(energy * drawn[:, 0], edges)[0]
    expected = N * scattered_fractions(energy, edges)[0]
    assert counts.sum() == N
    deviation = ((counts - expected) ** 2 / expected).sum()
    assert deviation < chi2.ppf(1 - 1e-5, len(counts) - 1)


def test_directions_are_isotropic() -> None:
    drawn = draw_directions(N)
    np.testing.assert_allclose((drawn**2).sum(axis=1), 1.0)
    for column in drawn.T:
        assert kstest(column, "uniform", args=(-1.0, 2.0)).pvalue > 1e-4


@pytest.mark.parametrize("cosine", [-1.0, -0.3, 0.0, 0.8, 1.0])
def test_turned_directions_have_the_angle_and_no_preference(cosine: float) -> None:
    before = draw_directions(20_000)
    before[:4] = [[0, 0, 1], [0, 0, -1], [1, 0, 0], [0, 1, 0]]
    after = turn_each(before, cosine)
    np.testing.assert_allclose((before * after).sum(axis=1), cosine, atol=1e-9)
    np.testing.assert_allclose((after**2).sum(axis=1), 1.0, atol=1e-9)
    # What is left after the part along the old direction points anywhere.
    across = after - cosine * before
    assert np.abs(across.mean(axis=0)).max() < 5 / np.sqrt(20_000)
