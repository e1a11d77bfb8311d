"""Photons from the centre of concentric layers to the outside, compiled.

Everything is the same in all directions, so that a photon is known by its distance from the centre
and the cosine between its direction and the way outward. Along its line the distance p from the
point nearest the centre is the only coordinate: a layer of outer radius R ends at p = sqrt(R^2 -
b^2), and the optical depth from that point is an odd function of p.

Each flight scores the chance to get outside without another interaction (last-flight estimator),
then is made to interact inside (forced collision). What it becomes is chosen by
:func:`~spectraloom.physics.gamma.transport.collisions.chosen`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from spectraloom._typing import FloatArray, IntArray
from spectraloom.physics.gamma.transport.batches import side_by_side
from spectraloom.physics.gamma.transport.collisions import (
    BATCHES,
    LEAST_ENERGY,
    MOST_FLIGHTS,
    STRETCH,
    Media,
    Strata,
    chosen,
    even_point,
    klein_nishina,
)
from spectraloom.physics.gamma.transport.sampling import State, generator, uniform
from spectraloom.physics.gamma.transport.tables import look_up, position

LEAST_COSINE = 0.05
"""Of photons that cross the sphere through the detector aslant, whose fluence has no bound."""

ABSORBED, BORN, DROPPED, LEAKED = 0, 1, 2, 3
"""Columns of the ledger: weights that end, that secondaries add, given up, and that get out."""


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
def _way_out(
    media: Media,
    radii: FloatArray,
    energy: float,
    radius: float,
    cosine: float,
    ends: FloatArray,
    total: FloatArray,
) -> tuple[float, float, float]:
    """Square of the least distance from the centre, depth of the place, and depth still to pass.

    `ends` and `total` are filled with where the layers end on the line, and their coefficients.
    """
    step, part = position(energy)
    across = radius * radius * (1.0 - cosine * cosine)
    for layer in range(ends.size):
        total[layer] = look_up(media.total[layer], step, part)
        ends[layer] = np.sqrt(max(radii[layer] * radii[layer] - across, 0.0))
    here = _depth(radius * cosine, ends, total)
    return across, here, _depth(ends[-1], ends, total) - here


@njit(cache=True, inline="always")
def _turned(cosine: float, angle: float, turn: float) -> float:
    """Cosine to the way outward after a scattering; `turn` is the azimuth in whole turns."""
    side = np.sqrt(max((1.0 - cosine * cosine) * (1.0 - angle * angle), 0.0))
    return min(max(cosine * angle + side * np.cos(2.0 * np.pi * turn), -1.0), 1.0)


@njit(cache=True)
def _follow(
    media: Media,
    radii: FloatArray,
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
    ends, total = np.empty(radii.size), np.empty(radii.size)
    tag = -1
    for flight in range(MOST_FLIGHTS):
        across, here, way = _way_out(media, radii, energy, radius, cosine, ends, total)
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
        number = uniform(state) if flight else even_point(index, shifts, 0)
        short = 1.0 - STRETCH * max(cosine, 0.0)
        deep = -np.log1p(number * np.expm1(-short * way)) / short
        weight *= np.exp((short - 1.0) * deep) * -np.expm1(-short * way) / short
        at, layer = _at_depth(here + deep, ends, total)
        radius = min(np.sqrt(across + at * at), radii[-1])
        cosine = 0.0 if radius == 0.0 else min(max(at / radius, -1.0), 1.0)
        choice, factor, ended, born = chosen(media, layer, energy, state)
        ledger[ABSORBED] += weight * ended
        ledger[BORN] += weight * born
        weight *= factor
        number = uniform(state) if flight else even_point(index, shifts, 1)
        turn = uniform(state)
        if choice < 0:
            ratio, angle, fair = klein_nishina(number, energy)
            energy *= ratio
            weight *= fair
            cosine = _turned(cosine, angle, turn)
            tag = bins[int(energy)]
        else:
            energy, cosine = media.secondaries[choice], 2.0 * number - 1.0
            tag = scores.size - media.secondaries.size + choice
        if energy < LEAST_ENERGY:
            break
    ledger[DROPPED] += weight


@njit(cache=True, nogil=True)
def _follow_batch(
    media: Media,
    radii: FloatArray,
    strata: Strata,
    ball: float,
    distance: float,
    bins: IntArray,
    seed: int,
    batch: int,
    scores: FloatArray,
    ledger: FloatArray,
) -> None:
    """Every so many histories; adds to `scores` and `ledger`."""
    for line in range(strata.energies.size):
        energy, weight = strata.energies[line], strata.weights[line]
        least, shifts = strata.floors[line], strata.shifts[line]
        for index in range(batch, strata.histories[line], BATCHES):
            state = generator(seed, line * 4294967296 + index)
            photon = (energy, weight, 0.0, 1.0)
            if ball > 0.0:
                radius = ball * np.cbrt(even_point(index, shifts, 2))
                photon = (energy, weight, radius, 2.0 * even_point(index, shifts, 3) - 1.0)
            _follow(
                media, radii, photon, least, index, shifts, state, distance, bins, scores, ledger
            )


def follow_out(
    media: Media,
    radii: FloatArray,
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
    media : Media
        Materials of the layers from inside out.
    radii : ndarray, shape (n_layers,)
        Outer radii, cm.
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
        Of the random numbers; the result does not depend on the number of threads.

    Returns
    -------
    ndarray, shape (BATCHES, n_bins + n_secondaries)
        Photons per bin and per line of `media.secondaries`, in parts.
    ndarray, shape (BATCHES, 4)
        The ledger.
    """
    scores = np.zeros((BATCHES, n_bins + media.secondaries.size))
    ledger = np.zeros((BATCHES, 4))

    def one(batch: int) -> None:
        rows = scores[batch], ledger[batch]
        _follow_batch(media, radii, strata, ball, distance, bins, seed, batch, *rows)

    for _ in side_by_side(one, BATCHES):
        pass
    return scores, ledger
