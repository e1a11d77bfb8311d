from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.analyze.manifold import WeightPath
from spectraloom.errors import FitError, FormatError

PLACES = np.linspace(0.0, 1.0, 41)


def test_a_cubic_is_found_exactly() -> None:
    share = PLACES**2 * (3.0 - 2.0 * PLACES)
    path = WeightPath.fit(PLACES, np.stack([1.0 - share, share], axis=1))
    at = np.linspace(0.0, 1.0, 97)
    expected = at**2 * (3.0 - 2.0 * at)
    np.testing.assert_allclose(path.at(at), np.stack([1.0 - expected, expected], axis=1), atol=1e-9)


def test_three_anchors_one_after_the_other() -> None:
    middle = np.sin(np.pi * PLACES) ** 2
    late = np.where(PLACES > 0.5, 1.0 - middle, 0.0)
    weights = np.stack([1.0 - middle - late, middle, late], axis=1)
    path = WeightPath.fit(PLACES, weights)
    np.testing.assert_allclose(path.at(PLACES), weights, atol=0.03)
    np.testing.assert_allclose(path.at([0.0, 1.0]), np.eye(3)[[0, 2]], atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(2, 30))
def test_whatever_the_weights_the_path_is_monotone_on_the_simplex(
    seed: int, n_anchors: int, n: int
) -> None:
    rng = np.random.default_rng(seed)
    places = np.sort(np.concatenate([[0.0, 1.0], rng.random(n - 2)]))
    path = WeightPath.fit(places, rng.dirichlet(np.ones(n_anchors), n))
    weights = path.at(np.linspace(0.0, 1.0, 201))
    assert weights.min() >= 0.0
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)
    later = np.cumsum(weights[:, ::-1], axis=1)
    assert np.diff(later, axis=0).min() > -1e-9


def test_noise_is_smoothed(rng: np.random.Generator) -> None:
    share = np.clip(PLACES + rng.normal(0.0, 0.02, PLACES.size), 0.0, 1.0)
    path = WeightPath.fit(PLACES, np.stack([1.0 - share, share], axis=1))
    error = path.at(PLACES)[:, 1] - PLACES
    assert np.sqrt(np.mean(error**2)) < 0.75 * np.sqrt(np.mean((share - PLACES) ** 2))


def test_what_is_no_path_is_refused() -> None:
    with pytest.raises(FitError, match="at least two"):
        WeightPath.fit(PLACES, np.ones((41, 1)))
    path = WeightPath.fit(PLACES, np.stack([1.0 - PLACES, PLACES], axis=1))
    for knots, steps in (
        (path.knots[1:], path.steps),
        (path.knots * 2.0, path.steps),
        (path.knots, -path.steps),
        (path.knots, path.steps * 2.0),
        (path.knots, path.steps * np.nan),
    ):
        with pytest.raises(FormatError):
            WeightPath(knots, steps)
