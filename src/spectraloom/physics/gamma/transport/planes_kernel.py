"""Photons that plates, floor and air scatter to a detector, compiled.

The source is at the origin, the detector on the z axis, plates stand across that axis and the floor
is everything below a plane along it. Each collision scores what reaches the detector straight from
there (next-event estimator). Air weakens and scatters so little that a flight is forced either to
collide in plate or floor, or in air, where places near the detector are drawn as often as they
count (equiangular sampling: Kulla, C. and Fajardo, M. 2012, Comput. Graph. Forum 31, 1519,
doi:10.1111/j.1467-8659.2012.03148.x).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from spectraloom._typing import FloatArray, IntArray
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY
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
from spectraloom.physics.gamma.transport.sampling import State, generator, turned, uniform
from spectraloom.physics.gamma.transport.tables import look_up, position

_TO_AIR = 0.25  # of the flights that could collide elsewhere too
_ENDLESS = 1e7  # cm

Photon = tuple[float, float, float, float, float, float]
"""Place and direction."""


class Planes(NamedTuple):
    """Plates, floor and air; the parts of the media in this order.

    Attributes
    ----------
    faces : ndarray, shape (n_plates + 1,)
        Where plates begin and end on the way to the detector, cm.
    floor : float
        Depth of the floor below source and detector, cm; infinite for none.
    distance : float
        From source to detector, cm.
    nearest : float
        Collisions nearer to the detector than this count as if they were so far, cm.
    """

    faces: FloatArray
    floor: float
    distance: float
    nearest: float


@njit(cache=True)
def _spans(
    planes: Planes, photon: Photon, length: float, begins: FloatArray, ends: FloatArray
) -> bool:
    """Where a line is in each part; the last row is plates and air together.

    Returns
    -------
    bool
        Whether it starts in the floor.
    """
    x, _, z, u, _, w = photon
    plates = planes.faces.size - 1
    low, high, inside = 0.0, length, x < -planes.floor
    begins[plates], ends[plates] = 0.0, 0.0
    if inside:
        low = min((-planes.floor - x) / u, length) if u > 0.0 else length
        ends[plates] = low
    elif u < 0.0:
        high = min((-planes.floor - x) / u, length)
        begins[plates], ends[plates] = high, length
    for plate in range(plates):
        near, far = planes.faces[plate] - z, planes.faces[plate + 1] - z
        if abs(w) < 1e-9:
            within = near <= 0.0 < far
            begins[plate], ends[plate] = low, (high if within else low)
            continue
        first, last = min(near / w, far / w), max(near / w, far / w)
        begins[plate] = min(max(first, low), high)
        ends[plate] = min(max(last, low), high)
    begins[plates + 1], ends[plates + 1] = low, high
    return inside


@njit(cache=True, inline="always")
def _passed(
    reach: float, begins: FloatArray, ends: FloatArray, total: FloatArray
) -> tuple[float, float]:
    """Optical depth of plates and floor, and of air, over the first part of a line."""
    last = begins.size - 1
    solid, air = 0.0, max(min(ends[last], reach) - begins[last], 0.0)
    for part in range(last):
        way = max(min(ends[part], reach) - begins[part], 0.0)
        solid += total[part] * way
        if part < last - 1:
            air -= way
    return solid, total[last] * max(air, 0.0)


@njit(cache=True)
def _in_solid(
    depth: float,
    inside: bool,
    w: float,
    begins: FloatArray,
    ends: FloatArray,
    total: FloatArray,
) -> tuple[float, int]:
    """Way to an optical depth in plates and floor, and the part that is there."""
    floor = begins.size - 2
    at, found = 0.0, floor
    for turn in range(floor + 1):
        part = (floor if turn == 0 else turn - 1) if inside else turn
        if part < floor and w < 0.0:
            part = floor - 1 - part
        thick = total[part] * (ends[part] - begins[part])
        if thick <= 0.0:
            continue
        at, found = ends[part], part
        if depth <= thick:
            at = begins[part] + depth / total[part]
            break
        depth -= thick
    return at, found


@njit(cache=True, inline="always")
def _fill(media: Media, energy: float, total: FloatArray) -> None:
    step, part = position(energy)
    for medium in range(total.size):
        total[medium] = look_up(media.total[medium], step, part)


@njit(cache=True, inline="always")
def _flown_in_air(
    planes: Planes,
    photon: Photon,
    total: FloatArray,
    number: float,
    to_air: float,
    begins: FloatArray,
    ends: FloatArray,
) -> tuple[float, int, float]:
    """A flight that ends in air.

    Half of the ends are even in the angle under which the detector sees the line, the others fall
    with the square of the way, so that no photon that flies on has a weight without bound.
    """
    x, y, z, u, v, w = photon
    last = begins.size - 1
    low, high, scale = begins[last], ends[last], planes.distance
    along = planes.distance - z
    foot = along * w - x * u - y * v
    off = np.sqrt(max(x * x + y * y + along * along - foot * foot, 0.0)) + 1e-6
    first = np.arctan((low - foot) / off)
    whole = np.arctan((high - foot) / off) - first
    begin, reach = low / (low + scale), high / (high + scale) - low / (low + scale)
    if number < 0.5:
        way = foot + off * np.tan(first + 2.0 * number * whole)
    else:
        drawn = begin + (2.0 * number - 1.0) * reach
        way = scale * drawn / (1.0 - drawn)
    if not low <= way < high:
        return 0.0, last, 0.0
    for plate in range(last - 1):
        if begins[plate] <= way < ends[plate]:
            return 0.0, last, 0.0
    solid, air = _passed(way, begins, ends, total)
    density = 0.5 * off / (whole * (off * off + (way - foot) ** 2))
    density += 0.5 * scale / (reach * (way + scale) ** 2)
    return way, last, total[last] * np.exp(-solid - air) / (density * to_air)


@njit(cache=True, inline="always")
def _direction(choice: float, azimuth: float) -> tuple[float, float, float, float]:
    """A way from the source, and its weight.

    Half of the ways are isotropic. The others are drawn as the angle t to the detector contributes
    to a single scattering in thin air, pi - t per angle, which there are most of near t = 0.
    """
    if choice < 0.5:
        angle = np.arccos(1.0 - 4.0 * choice)
    else:
        angle = np.pi * (1.0 - np.sqrt(2.0 - 2.0 * choice))
    sine = np.sin(angle)
    toward = 2.0 * (np.pi - angle) / (np.pi * np.pi)
    weight = sine / (0.5 * sine + toward) if sine > 0.0 else 0.0
    turn = 2.0 * np.pi * azimuth
    return sine * np.cos(turn), sine * np.sin(turn), np.cos(angle), weight


@njit(cache=True)
def _flown(
    planes: Planes,
    photon: Photon,
    total: FloatArray,
    number: float,
    state: State,
    begins: FloatArray,
    ends: FloatArray,
) -> tuple[float, int, float]:
    """A forced flight: its length, the part it ends in, and the factor of the weight."""
    inside = _spans(planes, photon, _ENDLESS, begins, ends)
    last = begins.size - 1
    solid, air = _passed(_ENDLESS, begins, ends, total)
    if solid + air <= 0.0:
        return 0.0, last, 0.0
    to_air = _TO_AIR
    if solid <= 1e-12 or air <= 0.0:
        to_air = 1.0 if air > 0.0 else 0.0
    if uniform(state) >= to_air:
        # Only plates are to be passed; in the floor longer flights would lead away.
        through = ends[last - 1] <= begins[last - 1]
        short = 1.0 - STRETCH * max(photon[5], 0.0) if through else 1.0
        depth = -np.log1p(number * np.expm1(-short * solid)) / short
        factor = np.exp((short - 1.0) * depth) * -np.expm1(-short * solid) / short
        way, part = _in_solid(depth, inside, photon[5], begins, ends, total)
        return way, part, factor * np.exp(-_passed(way, begins, ends, total)[1]) / (1.0 - to_air)
    return _flown_in_air(planes, photon, total, number, to_air, begins, ends)


@njit(cache=True, inline="always")
def _per_angle(energy: float, cosine: float) -> tuple[float, float]:
    """Energy after a scattering by an angle, and its chance per steradian."""
    a = energy / ELECTRON_REST_ENERGY
    least = 1.0 / (1.0 + 2.0 * a)
    log = -np.log(least)
    whole = 0.5 * (1.0 - least * least) + log - 2.0 / a * (log - 1.0 + least)
    whole += (1.0 / least - least - 2.0 * log) / (a * a)
    ratio = 1.0 / (1.0 + a * (1.0 - cosine))
    height = ratio * ratio * (ratio + 1.0 / ratio - 1.0 + cosine * cosine)
    return energy * ratio, 0.5 * height * a / (np.pi * whole)


@njit(cache=True)
def _reaching(
    media: Media,
    planes: Planes,
    photon: Photon,
    energy: float,
    isotropic: bool,
    scratch: tuple[FloatArray, FloatArray, FloatArray],
) -> tuple[float, float, float]:
    """Energy of a photon sent to the detector, its fluence there, and the depth on the way."""
    begins, ends, total = scratch
    x, y, z, u, v, w = photon
    along = planes.distance - z
    length = np.sqrt(x * x + y * y + along * along)
    if length <= 0.0:
        return energy, 0.0, 0.0
    there = (x, y, z, -x / length, -y / length, along / length)
    chance = 0.25 / np.pi
    if not isotropic:
        cosine = (along * w - x * u - y * v) / length
        energy, chance = _per_angle(energy, min(max(cosine, -1.0), 1.0))
    _fill(media, energy, total)
    _spans(planes, there, length, begins, ends)
    solid, air = _passed(length, begins, ends, total)
    bound = max(length, planes.nearest)
    return energy, chance * np.exp(-solid - air) / (bound * bound), solid + air


@njit(cache=True)
def _follow(
    media: Media,
    planes: Planes,
    start: tuple[float, float, float],
    index: int,
    shifts: FloatArray,
    state: State,
    bins: IntArray,
    scores: FloatArray,
) -> None:
    """One history; `start` is energy, weight and the weight below which it plays roulette."""
    energy, weight, least = start
    parts = media.total.shape[0]
    scratch = (np.empty(parts), np.empty(parts), np.empty(parts))
    begins, ends, total = scratch
    n_bins = (scores.size - media.secondaries.size) // 2
    x, y, z = 0.0, 0.0, 0.0
    u, v, w, factor = _direction(even_point(index, shifts, 2), even_point(index, shifts, 3))
    weight *= factor
    for flight in range(MOST_FLIGHTS):
        _fill(media, energy, total)
        number = uniform(state) if flight else even_point(index, shifts, 0)
        photon = (x, y, z, u, v, w)
        way, part, factor = _flown(planes, photon, total, number, state, begins, ends)
        weight *= factor
        if weight <= 0.0:
            return
        x, y, z = x + way * u, y + way * v, z + way * w
        choice, factor, _, _ = chosen(media, part, energy, state)
        weight *= factor
        scattered = choice < 0
        if not scattered:
            energy = media.secondaries[choice]
        photon = (x, y, z, u, v, w)
        seen, fluence, depth = _reaching(media, planes, photon, energy, not scattered, scratch)
        plate = part < parts - 2
        if plate and not scattered:
            scores[2 * n_bins + choice] += weight * fluence
        else:
            scores[bins[int(seen)] + (0 if plate else n_bins)] += weight * fluence
        if weight * np.exp(-depth) < least:
            if uniform(state) >= 0.5:
                return
            weight *= 2.0
        number = uniform(state) if flight else even_point(index, shifts, 1)
        turn = 2.0 * np.pi * uniform(state)
        if scattered:
            ratio, cosine, fair = klein_nishina(number, energy)
            energy *= ratio
            weight *= fair
            u, v, w = turned(u, v, w, cosine, turn)
        else:
            w = 2.0 * number - 1.0
            sine = np.sqrt(1.0 - w * w)
            u, v = sine * np.cos(turn), sine * np.sin(turn)
        if energy < LEAST_ENERGY:
            return


@njit(cache=True, nogil=True)
def _follow_batch(
    media: Media,
    planes: Planes,
    strata: Strata,
    bins: IntArray,
    seed: int,
    batch: int,
    scores: FloatArray,
) -> None:
    """Every so many histories; adds to `scores`."""
    for line in range(strata.energies.size):
        weight, shifts = strata.weights[line], strata.shifts[line]
        for index in range(batch, strata.histories[line], BATCHES):
            state = generator(seed, line * 4294967296 + index)
            energy = strata.energies[line]
            if strata.widths[line] > 0.0:
                energy += strata.widths[line] * (uniform(state) - 0.5)
            start = (energy, weight, strata.floors[line])
            _follow(media, planes, start, index, shifts, state, bins, scores)


def follow_around(
    media: Media,
    planes: Planes,
    strata: Strata,
    bins: IntArray,
    n_bins: int,
    seed: int,
) -> FloatArray:
    """Fluence at the detector of photons that plates, floor and air scatter or set free.

    Parameters
    ----------
    media : Media
        Materials of the plates, the floor and the air.
    planes : Planes
        Where they are.
    strata : Strata
        What starts from the source, evenly to all sides.
    bins : ndarray of int
        Bin of each whole number of keV.
    n_bins : int
        Number of bins.
    seed : int
        Of the random numbers; the result does not depend on the number of threads.

    Returns
    -------
    ndarray, shape (BATCHES, 2 * n_bins + n_secondaries)
        Photons per cm2 in parts: per bin those of the plates, per bin those of floor and air, and
        per line of `media.secondaries` those of the plates.
    """
    scores = np.zeros((BATCHES, 2 * n_bins + media.secondaries.size))

    def one(batch: int) -> None:
        _follow_batch(media, planes, strata, bins, seed, batch, scores[batch])

    for _ in side_by_side(one, BATCHES):
        pass
    return scores
