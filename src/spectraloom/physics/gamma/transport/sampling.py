"""Random numbers, directions and scatterings inside compiled kernels.

Each batch of photons has a generator of its own (xoroshiro128+, Blackman and Vigna 2021,
doi:10.1145/3460772), seeded from the seed and the number of the batch. So a result does not depend
on how many threads shared the batches.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY

State = npt.NDArray[np.uint64]
"""Two words; changed in place."""


@njit(cache=True, inline="always")
def _mixed(word: np.uint64) -> np.uint64:
    """Step of splitmix64, which turns neighbouring seeds into unrelated states."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@njit(cache=True)
def generator(seed: int, batch: int) -> State:
    """State of the generator of one batch."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    start = _mixed(np.uint64(seed) + golden) ^ _mixed(np.uint64(batch) * golden + np.uint64(1))
    state = np.empty(2, dtype=np.uint64)
    state[0] = _mixed(start + golden)
    state[1] = _mixed(start + golden + golden)
    return state


@njit(cache=True, inline="always")
def uniform(state: State) -> float:
    """A number from 0 (included) to 1 (excluded)."""
    low, high = state[0], state[1]
    total = low + high
    high ^= low
    state[0] = ((low << np.uint64(24)) | (low >> np.uint64(40))) ^ high ^ (high << np.uint64(16))
    state[1] = (high << np.uint64(37)) | (high >> np.uint64(27))
    return (total >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, inline="always")
def free_path(state: State) -> float:
    """A path in mean free paths: exponential with mean one."""
    return -np.log(1.0 - uniform(state))


@njit(cache=True, inline="always")
def isotropic(state: State) -> tuple[float, float, float]:
    """A direction; all are equally likely."""
    cosine = 2.0 * uniform(state) - 1.0
    sine = np.sqrt(1.0 - cosine * cosine)
    azimuth = 2.0 * np.pi * uniform(state)
    return sine * np.cos(azimuth), sine * np.sin(azimuth), cosine


@njit(cache=True, inline="always")
def turned(
    u: float, v: float, w: float, cosine: float, azimuth: float
) -> tuple[float, float, float]:
    """A direction after a turn by a polar angle about itself."""
    sine = np.sqrt(max(1.0 - cosine * cosine, 0.0))
    x, y = sine * np.cos(azimuth), sine * np.sin(azimuth)
    across = u * u + v * v
    if across < 1e-12:
        return x, y, cosine if w > 0.0 else -cosine
    root = np.sqrt(across)
    return (
        u * cosine + (u * w * x - v * y) / root,
        v * cosine + (v * w * x + u * y) / root,
        w * cosine - root * x,
    )


@njit(cache=True)
def compton(state: State, energy: float) -> tuple[float, float]:
    """A Compton scattering after Klein and Nishina.

    Composition and rejection of Butcher and Messel (1960), Nucl. Phys. 20, 15,
    doi:10.1016/0029-5582(60)90162-0.

    Returns
    -------
    float, float
        Energy after over energy before, and cosine of the angle.
    """
    a = energy / ELECTRON_REST_ENERGY
    least = 1.0 / (1.0 + 2.0 * a)
    first = -np.log(least)
    second = 0.5 * (1.0 - least * least)
    while True:
        if uniform(state) * (first + second) < first:
            ratio = np.exp(-first * uniform(state))
        else:
            ratio = np.sqrt(least * least + (1.0 - least * least) * uniform(state))
        t = (1.0 - ratio) / (a * ratio)
        sine2 = t * (2.0 - t)
        if uniform(state) <= 1.0 - ratio * sine2 / (1.0 + ratio * ratio):
            return ratio, 1.0 - t
