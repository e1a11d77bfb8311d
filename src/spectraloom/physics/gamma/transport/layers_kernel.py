"""Photons from the centre of concentric layers to the outside, compiled.

Everything is the same in all directions, so that a photon is known by its distance from the centre
and the cosine between its direction and the way outward. Along its line the distance p from the
point nearest the centre is the only coordinate: a layer of outer radius R ends at p = sqrt(R^2 -
b^2), and the optical depth from that point is an odd function of p.

Each flight scores the chance to get outside without another interaction (last-flight estimator),
then is made to interact inside (forced collision). No photon is absorbed: of what an interaction
sets free - a Compton photon, two annihilation photons, K x-rays - one is followed, with the weight
it takes to be right on average (Lux and Koblinger 1991, Monte Carlo Particle Transport Methods).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from spectraloom._typing import FloatArray, IntArray
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY
from spectraloom.physics.gamma.transport.sampling import State, generator, uniform
from spectraloom.physics.gamma.transport.tables import COMPTON, PAIR, PHOTO, look_up, position

BATCHES = 64
"""Parts of the work, each with a tally of its own; independent of the number of threads."""
LEAST_ENERGY = 5.0
"""keV; photons below are given up, as they hardly leave the spot."""

X_RAYS = 8
"""K x-rays in the tables of a material."""

_FOLLOW_COMPTON = 0.75  # at least, where x-rays or annihilation photons could be followed instead
LEAST_COSINE = 0.05  # of photons that graze a sphere, whose fluence has no bound
_MOST_FLIGHTS = 300
_STRETCH = 0.6  # of ways outward, so that enough photons interact far out in thick layers
_GOLDEN = np.array([0.8566748838545029, 0.733891856627126, 0.6287067210378087, 0.5385972572236101])

ABSORBED, BORN, DROPPED, LEAKED = 0, 1, 2, 3
"""Columns of the ledger: weights that end, that secondaries add, given up, and that get out."""


class Layers(NamedTuple):
    """Concentric layers from inside out; a gap has no attenuation.

    Attributes
    ----------
    radii : ndarray, shape (n_layers,)
        Outer radii, cm.
    attenuation : ndarray, shape (n_layers, 3, n_energies)
        As in :class:`~spectraloom.physics.gamma.transport.tables.MaterialTables`.
    total : ndarray, shape (n_layers, n_energies)
        The sum of the three.
    emission : ndarray, shape (n_layers, 8, n_energies)
        Chances of K x-rays.
    secondaries : ndarray, shape (n_layers * 8 + 1,)
        Energies of K x-rays of each layer and of annihilation photons, keV.
    """

    radii: FloatArray
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
    """

    energies: FloatArray
    weights: FloatArray
    histories: IntArray
    floors: FloatArray
    shifts: FloatArray


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
def _depth(at: float, ends: FloatArray, total: FloatArray) -> float:
    """Optical depth between the point nearest the centre and another, with the sign of `at`."""
    reach, inner, depth = abs(at), 0.0, 0.0
    for layer in range(ends.size):
        outer = min(ends[layer], reach)
        if outer > inner:
            depth += total[layer] * (outer - inner)
            inner = outer
    return depth if at >= 0.0 else -depth


@njit(cache=True, inline="always")
def _at_depth(depth: float, ends: FloatArray, total: FloatArray) -> tuple[float, int]:
    """Inverse of `_depth`, and the layer that holds the point."""
    left, inner, last, end = abs(depth), 0.0, 0, 0.0
    for layer in range(ends.size):
        width = ends[layer] - inner
        if width <= 0.0:
            continue
        thick = total[layer] * width
        if thick > 0.0:
            last, end = layer, ends[layer]
            if left <= thick:
                end = inner + left / total[layer]
                break
            left -= thick
        inner = ends[layer]
    return (end if depth >= 0.0 else -end), last


@njit(cache=True, inline="always")
def _chosen(
    layers: Layers, layer: int, energy: float, state: State
) -> tuple[int, float, float, float]:
    """What is followed after an interaction: -1 for a Compton photon, or a secondary.

    Returns
    -------
    int, float, float, float
        The choice, the factor of the weight, and the parts of the weight that end and are born.
    """
    step, part = position(energy)
    photo = look_up(layers.attenuation[layer, PHOTO], step, part)
    compton = look_up(layers.attenuation[layer, COMPTON], step, part)
    pair = look_up(layers.attenuation[layer, PAIR], step, part)
    total = photo + compton + pair
    shining = 0.0
    for ray in range(X_RAYS):
        shining += look_up(layers.emission[layer, ray], step, part)
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
        return layers.secondaries.size - 1, factor, ended, born
    ray = 0
    while ray < X_RAYS - 1:
        left -= photo * look_up(layers.emission[layer, ray], step, part)
        if left < 0.0:
            break
        ray += 1
    return layer * X_RAYS + ray, factor, ended, born


@njit(cache=True, inline="always")
def _point(index: int, shifts: FloatArray, dimension: int) -> float:
    """A coordinate of a sequence that fills a cube evenly (Roberts 2018), moved by a shift."""
    at = shifts[dimension] + (index + 1) * _GOLDEN[dimension]
    return at - np.floor(at)


@njit(cache=True, inline="always")
def _way_out(
    layers: Layers, energy: float, radius: float, cosine: float, ends: FloatArray, total: FloatArray
) -> tuple[float, float, float]:
    """Square of the least distance from the centre, depth of the place, and depth still to pass.

    `ends` and `total` are filled with where the layers end on the line, and their coefficients.
    """
    step, part = position(energy)
    across = radius * radius * (1.0 - cosine * cosine)
    for layer in range(ends.size):
        total[layer] = look_up(layers.total[layer], step, part)
        ends[layer] = np.sqrt(max(layers.radii[layer] * layers.radii[layer] - across, 0.0))
    here = _depth(radius * cosine, ends, total)
    return across, here, _depth(ends[-1], ends, total) - here


@njit(cache=True, inline="always")
def _turned(cosine: float, angle: float, turn: float) -> float:
    """Cosine to the way outward after a scattering; `turn` is the azimuth in whole turns."""
    side = np.sqrt(max((1.0 - cosine * cosine) * (1.0 - angle * angle), 0.0))
    return min(max(cosine * angle + side * np.cos(2.0 * np.pi * turn), -1.0), 1.0)


@njit(cache=True)
def _follow(
    layers: Layers,
    photon: tuple[float, float, float, float],
    least: float,
    index: int,
    shifts: FloatArray,
    state: State,
    distance: float,
    bins: IntArray,
    scores: FloatArray,
    ledger: FloatArray,
) -> None:
    """One history; `photon` is energy, weight, radius and cosine."""
    energy, weight, radius, cosine = photon
    ends, total = np.empty(layers.radii.size), np.empty(layers.radii.size)
    tag = -1
    for flight in range(_MOST_FLIGHTS):
        across, here, way = _way_out(layers, energy, radius, cosine, ends, total)
        through = weight * np.exp(-way)
        ledger[LEAKED] += through
        if tag >= 0:
            slant = np.sqrt(max(1.0 - across / (distance * distance), 0.0))
            scores[tag] += through / max(slant, LEAST_COSINE)
        if flight and through < least:
            if uniform(state) >= 0.5:
                return
            weight *= 2.0
        if way <= 0.0:
            return
        number = uniform(state) if flight else _point(index, shifts, 0)
        short = 1.0 - _STRETCH * max(cosine, 0.0)
        deep = -np.log1p(number * np.expm1(-short * way)) / short
        weight *= np.exp((short - 1.0) * deep) * -np.expm1(-short * way) / short
        at, layer = _at_depth(here + deep, ends, total)
        radius = min(np.sqrt(across + at * at), layers.radii[-1])
        cosine = 0.0 if radius == 0.0 else min(max(at / radius, -1.0), 1.0)
        choice, factor, ended, born = _chosen(layers, layer, energy, state)
        ledger[ABSORBED] += weight * ended
        ledger[BORN] += weight * born
        weight *= factor
        number = uniform(state) if flight else _point(index, shifts, 1)
        turn = uniform(state)
        if choice < 0:
            ratio, angle, fair = klein_nishina(number, energy)
            energy *= ratio
            weight *= fair
            cosine = _turned(cosine, angle, turn)
            tag = bins[int(energy)]
        else:
            energy, cosine = layers.secondaries[choice], 2.0 * number - 1.0
            tag = scores.size - layers.secondaries.size + choice
        if energy < LEAST_ENERGY:
            break
    ledger[DROPPED] += weight


@njit(cache=True, parallel=True)
def follow_out(
    layers: Layers,
    strata: Strata,
    ball: float,
    distance: float,
    bins: IntArray,
    n_bins: int,
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    """Scattered photons and secondaries that leave the layers.

    Parameters
    ----------
    layers : Layers
        The layers.
    strata : Strata
        What starts.
    ball : float
        Radius of the ball in which photons start evenly, cm; zero for a point.
    distance : float
        From the centre to the detector, cm. Photons that cross a sphere of this radius aslant count
        by one over the cosine, which makes their number a fluence.
    bins : ndarray of int
        Bin of each whole number of keV.
    n_bins : int
        Number of bins.
    seed : int
        Of the random numbers.

    Returns
    -------
    ndarray, shape (BATCHES, n_bins + n_secondaries)
        Photons per bin and per line of `layers.secondaries`, in parts.
    ndarray, shape (BATCHES, 4)
        The ledger.
    """
    scores = np.zeros((BATCHES, n_bins + layers.secondaries.size))
    ledger = np.zeros((BATCHES, 4))
    for batch in prange(BATCHES):
        for line in range(strata.energies.size):
            energy, weight = strata.energies[line], strata.weights[line]
            least, shifts = strata.floors[line], strata.shifts[line]
            for index in range(batch, strata.histories[line], BATCHES):
                state = generator(seed, line * 4294967296 + index)
                photon = (energy, weight, 0.0, 1.0)
                if ball > 0.0:
                    radius = ball * np.cbrt(_point(index, shifts, 2))
                    photon = (energy, weight, radius, 2.0 * _point(index, shifts, 3) - 1.0)
                _follow(
                    layers,
                    photon,
                    least,
                    index,
                    shifts,
                    state,
                    distance,
                    bins,
                    scores[batch],
                    ledger[batch],
                )
    return scores, ledger
