"""Interactions of photons that are never absorbed but carry weights, compiled.

Of what an interaction sets free - a Compton photon, two annihilation photons, K x-rays - one is
followed, with the weight that makes it right on average (Lux, I. and Koblinger, L. 1991, Monte
Carlo Particle Transport Methods, CRC Press).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from spectraloom._typing import FloatArray, IntArray
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY
from spectraloom.physics.gamma.transport.sampling import State, uniform
from spectraloom.physics.gamma.transport.tables import COMPTON, PAIR, PHOTO, look_up, position

BATCHES = 64
"""Parts of the work, each with a tally of its own; independent of the number of threads."""
LEAST_ENERGY = 5.0
"""keV; photons below are given up, as they hardly leave the spot."""
MOST_FLIGHTS = 300
"""Flights of a photon before it is given up."""
STRETCH = 0.6
"""How much longer flights toward the detector are, so that enough interact far on in thick layers:
the depth goes as exp(-(1 - STRETCH) t) straight on, and the weight makes up for it."""

_X_RAYS = 8  # of a material in the tables
_FOLLOW_COMPTON = 0.75  # at least, where x-rays or annihilation photons could be followed instead
_EVEN = np.array([0.8566748838545029, 0.733891856627126, 0.6287067210378087, 0.5385972572236101])


class Media(NamedTuple):
    """Materials by the parts of a geometry; a gap has no attenuation.

    Attributes
    ----------
    attenuation : ndarray, shape (n_parts, 3, n_energies)
        As in :class:`~spectraloom.physics.gamma.transport.tables.MaterialTables`.
    total : ndarray, shape (n_parts, n_energies)
        The sum of the three.
    emission : ndarray, shape (n_parts, 8, n_energies)
        Chances of K x-rays.
    secondaries : ndarray, shape (n_parts * 8 + 1,)
        Energies of K x-rays of each part and of annihilation photons, keV.
    """

    attenuation: FloatArray
    total: FloatArray
    emission: FloatArray
    secondaries: FloatArray


class Strata(NamedTuple):
    """Photons that start, line by line.

    Attributes
    ----------
    energies : ndarray, shape (n_lines,)
        keV.
    weights : ndarray, shape (n_lines,)
        Photons that one history stands for.
    histories : ndarray of int, shape (n_lines,)
        How many of each line.
    floors : ndarray, shape (n_lines,)
        Weights below which photons play roulette, counted with their chance to get out.
    shifts : ndarray, shape (n_lines, 4)
        Random shifts of the sequences that the first flights are drawn from, from 0 to 1.
    widths : ndarray, shape (n_lines,)
        keV over which photons spread evenly about `energies`; zero for lines.
    """

    energies: FloatArray
    weights: FloatArray
    histories: IntArray
    floors: FloatArray
    shifts: FloatArray
    widths: FloatArray


@njit(cache=True, inline="always")
def klein_nishina(number: float, energy: float) -> tuple[float, float, float]:
    """A Compton scattering from one random number, with a weight instead of a rejection.

    The two parts r and 1/r of the cross section in r = E'/E are sampled exactly, the rest of it is
    the weight. It needs always one number, so that neighbouring cases share their random numbers.

    Returns
    -------
    float, float, float
        Energy after over energy before, cosine of the angle, and weight, which is one on average.
    """
    a = energy / ELECTRON_REST_ENERGY
    least = 1.0 / (1.0 + 2.0 * a)
    log = -np.log(least)
    flat = 0.5 * (1.0 - least * least)
    # The whole of r + 1/r - 2u + u^2 with u = (1/r - 1) / a.
    whole = flat + log - 2.0 / a * (log - 1.0 + least)
    whole += (1.0 / least - least - 2.0 * log) / (a * a)
    at = number * (log + flat)
    ratio = np.sqrt(least * least + 2.0 * at) if at < flat else np.exp(flat - at)
    turn = (1.0 - ratio) / (a * ratio)
    kept = 1.0 - turn * (2.0 - turn) * ratio / (1.0 + ratio * ratio)
    return ratio, 1.0 - turn, kept * (log + flat) / whole


@njit(cache=True, inline="always")
def chosen(
    media: Media, medium: int, energy: float, state: State
) -> tuple[int, float, float, float]:
    """What is followed after an interaction: -1 for a Compton photon, or a secondary.

    Returns
    -------
    int, float, float, float
        The choice, the factor of the weight, and the parts of the weight that end and are born.
    """
    step, part = position(energy)
    photo = look_up(media.attenuation[medium, PHOTO], step, part)
    compton = look_up(media.attenuation[medium, COMPTON], step, part)
    pair = look_up(media.attenuation[medium, PAIR], step, part)
    total = photo + compton + pair
    shining = 0.0
    for ray in range(_X_RAYS):
        shining += look_up(media.emission[medium, ray], step, part)
    others = 2.0 * pair + photo * shining
    ended, born = (photo + pair) / total, others / total
    if others <= 0.0:
        return -1, compton / total, ended, born
    share = max(_FOLLOW_COMPTON, compton / (compton + others))
    number = uniform(state)
    if number < share:
        return -1, compton / (total * share), ended, born
    left = (number - share) / (1.0 - share) * others - 2.0 * pair
    factor = others / (total * (1.0 - share))
    if left < 0.0:
        return media.secondaries.size - 1, factor, ended, born
    ray = 0
    while ray < _X_RAYS - 1:
        left -= photo * look_up(media.emission[medium, ray], step, part)
        if left < 0.0:
            break
        ray += 1
    return medium * _X_RAYS + ray, factor, ended, born


@njit(cache=True, inline="always")
def even_point(index: int, shifts: FloatArray, dimension: int) -> float:
    """A coordinate of a sequence that fills a cube evenly (Roberts 2018), moved by a shift."""
    at = shifts[dimension] + (index + 1) * _EVEN[dimension]
    return at - np.floor(at)
