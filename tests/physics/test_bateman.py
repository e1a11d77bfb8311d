from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from spectraloom.physics.gamma.bateman import Member, activities


def by_matrix(chain: dict[str, Member], time: float) -> np.ndarray:
    """Activities by the matrix exponential of the rate equations."""
    names = list(chain)
    constants = np.log(2.0) / np.array([chain[name].half_life for name in names])
    rates = -np.diag(constants)
    for row, name in enumerate(names):
        for parent, fraction in chain[name].fed_by.items():
            rates[row, names.index(parent)] += fraction * constants[names.index(parent)]
    start = np.zeros(len(names))
    start[0] = 1.0
    return expm(rates * time) @ start * constants / constants[0]


half_lives = st.lists(st.floats(0.1, 10.0), min_size=2, max_size=7)


@settings(max_examples=60)
@given(half_lives=half_lives, time=st.floats(0.01, 30.0), share=st.floats(0.1, 1.0))
def test_branched_chains_agree_with_the_matrix_exponential(
    half_lives: list[float], time: float, share: float
) -> None:
    # each member feeds the next, and the one after that with what is left
    chain = {"0": Member(half_lives[0], {})}
    for index, half_life in enumerate(half_lives[1:], start=1):
        fed = {str(index - 1): share}
        if index > 1:
            fed[str(index - 2)] = 1.0 - share
        chain[str(index)] = Member(half_life, fed)
    found = np.array(list(activities(chain, time).values()))
    np.testing.assert_allclose(found, by_matrix(chain, time), rtol=1e-6, atol=1e-11)


def test_equal_half_lives_are_no_obstacle() -> None:
    chain = {"a": Member(2.0, {}), "b": Member(2.0, {"a": 1.0}), "c": Member(2.0, {"b": 1.0})}
    constant, time = np.log(2.0) / 2.0, 3.0
    x = constant * time
    expected = np.exp(-x) * np.array([1.0, x, x**2 / 2.0])  # the Poisson limit of the sum
    np.testing.assert_allclose(list(activities(chain, time).values()), expected, rtol=1e-12)


def test_a_short_time_in_a_long_series_has_no_noise() -> None:
    # ten steps of a billion years each after one second: t^10 over the product, not rounding
    year = 3.15576e7
    chain = {"0": Member(1e9 * year, {})}
    for index in range(1, 11):
        chain[str(index)] = Member((1.0 + 0.1 * index) * 1e9 * year, {str(index - 1): 1.0})
    constants = np.log(2.0) / np.array([member.half_life for member in chain.values()])
    logs = np.sum(np.log(constants[1:])) - np.sum(np.log(np.arange(1, 11)))
    assert np.log(activities(chain, 1.0)["10"]) == pytest.approx(logs, rel=1e-9)


def test_very_short_and_very_long_lives_go_together() -> None:
    chain = {"slow": Member(1e17, {}), "fast": Member(1e-7, {"slow": 1.0})}
    found = activities(chain, 1.0)
    assert found["fast"] == pytest.approx(1.0)
    gone = activities({"fast": Member(1e-7, {})}, 1e17)
    assert gone["fast"] == 0.0
