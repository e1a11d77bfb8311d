"""Photons in a crystal and its housing, one history after the other; compiled.

Photons fly by delta tracking (Woodcock et al. 1965, ANL-7050): steps are drawn with the largest
coefficient of all materials, and an end point counts as a collision with the share that the
material there has of it. So no boundary has to be found. The first step of an incoming photon is
forced to end inside, and the photon carries the chance of that as its weight.

At a collision: photoelectric effect with a K x-ray, Compton scattering off free electrons with the
tabulated incoherent cross section, or pair production with two annihilation photons from the same
place. Electrons deposit their energy on the spot, but near a surface of the active crystal part of
it leaves, and part becomes bremsstrahlung (see ``electrons.py``). Electrons from outside do not
enter the active crystal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spectraloom._typing import FloatArray, IntArray
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY
from spectraloom.physics.gamma.transport.compiling import inlined, kernel, part
from spectraloom.physics.gamma.transport.crystal_geometry import (
    Geometry,
    clearance,
    entry,
    holds,
    solid_at,
    way_in,
    way_out,
)
from spectraloom.physics.gamma.transport.electrons import (
    bremsstrahlung,
    bremsstrahlung_photons,
    energy_after,
    reach,
)
from spectraloom.physics.gamma.transport.sampling import (
    State,
    compton,
    free_path,
    generator,
    isotropic,
    turned,
    uniform,
)
from spectraloom.physics.gamma.transport.tables import COMPTON, PHOTO, look_up, position

_LEAST_PHOTON = 4.0  # keV; softer photons deposit on the spot
_LEAST_ELECTRON = 100.0  # keV; softer ones go less than 0.02 mm in a crystal and hardly radiate
_SAME_ENERGY = 1e-6  # keV; sums of the energies of one history differ by rounding only
_COLUMNS = 7  # place, direction and energy of a photon
_STACK = 64  # photons that wait; a cascade from 10 MeV makes a handful

SIGNAL, ELSEWHERE, AWAY = 0, 1, 2
"""Where energy ends: in the active crystal, in the rest of the detector, outside."""


class Physics(NamedTuple):
    """What the materials do to photons; rows and grids as in ``MaterialTables``.

    Attributes
    ----------
    attenuation : ndarray, shape (n_materials, 3, n_energies)
        1/cm, by process.
    total : ndarray, shape (n_materials, n_energies)
        Sum over the processes.
    majorant : ndarray, shape (n_energies,)
        Largest total of all materials.
    x_rays, emission : ndarray
        K x-rays.
    density, number : float
        Stopping density, g/cm3, and mean atomic number of the active crystal, for electrons.
    """

    attenuation: FloatArray
    total: FloatArray
    majorant: FloatArray
    x_rays: FloatArray
    emission: FloatArray
    density: float
    number: float


class Bins(NamedTuple):
    """What a deposit can count as, at one energy of incoming photons.

    Attributes
    ----------
    peaks : ndarray, shape (n_peaks,)
        Energies of lines, keV.
    knots : ndarray, shape (n_segments + 1,)
        keV, from zero to the energy of the photon.
    first : ndarray, shape (n_segments + 1,)
        Number of the bin that starts at each knot; bins are even between knots.
    """

    peaks: FloatArray
    knots: FloatArray
    first: IntArray


@inlined
def _fly(
    state: State, geometry: Geometry, physics: Physics, photon: FloatArray, forced: float
) -> int:
    """Move a photon to its next collision; the solid where it is, or -1 if it gets away.

    `photon` holds place, direction and energy. A first step `forced` above zero ends inside.
    """
    step, part = position(photon[6])
    majorant = look_up(physics.majorant, step, part)
    while True:
        length = forced if forced > 0.0 else free_path(state) / majorant
        photon[0] += length * photon[3]
        photon[1] += length * photon[4]
        photon[2] += length * photon[5]
        x, y, z = photon[0], photon[1], photon[2]
        if forced <= 0.0 and not holds(geometry.is_round, geometry.outline, x, y, z):
            return -1
        forced = 0.0
        solid = solid_at(geometry, x, y, z)
        if solid < 0 or geometry.material[solid] < 0:
            continue
        total = look_up(physics.total[geometry.material[solid]], step, part)
        if uniform(state) * majorant < total:
            return solid


@part
def _put(
    stack: FloatArray,
    count: int,
    photon: FloatArray,
    towards: tuple[float, float, float],
    energy: float,
) -> int:
    """Keep a new photon from the same place for later."""
    new = stack[count]
    new[0], new[1], new[2] = photon[0], photon[1], photon[2]
    new[3], new[4], new[5] = towards
    new[6] = energy
    return count + 1


@inlined
def _left_by(
    geometry: Geometry,
    physics: Physics,
    photon: FloatArray,
    towards: tuple[float, float, float],
    energy: float,
) -> float:
    """Energy an electron from the place of the photon takes out of the active crystal."""
    longest = reach(energy, physics.density)
    at = photon[0], photon[1], photon[2]
    if clearance(geometry, at[0], at[1], at[2]) >= longest:
        return 0.0
    length = way_out(geometry.is_round, geometry.solids[geometry.active], at, towards)
    if geometry.hole >= 0:
        length = min(length, way_in(geometry.solids[geometry.hole], at, towards))
    return energy_after(energy, length / longest)


@inlined
def _electron(
    state: State,
    geometry: Geometry,
    physics: Physics,
    stack: FloatArray,
    count: int,
    photon: FloatArray,
    towards: tuple[float, float, float],
    energy: float,
    sums: FloatArray,
) -> int:
    """Stop an electron of the active crystal; the photons on the stack afterwards."""
    left = energy
    if energy > _LEAST_ELECTRON:
        expected = bremsstrahlung_photons(energy, physics.number)
        chance = free_path(state)
        while chance < expected and count < _STACK - 4:
            chance += free_path(state)
            radiated = bremsstrahlung(state, energy)
            if radiated < left:
                left -= radiated
                count = _put(stack, count, photon, isotropic(state), radiated)
        lost = _left_by(geometry, physics, photon, towards, left)
        sums[ELSEWHERE] += lost
        left -= lost
    sums[SIGNAL] += left
    return count


@inlined
def _absorb(
    state: State, physics: Physics, material: int, stack: FloatArray, count: int, photon: FloatArray
) -> tuple[float, int]:
    """Photoelectric effect: energy that stays, and the photons on the stack afterwards."""
    energy = photon[6]
    step, part = position(energy)
    draw = uniform(state)
    for line in range(physics.x_rays.shape[1]):
        x_ray = physics.x_rays[material, line]
        if x_ray <= 0.0:
            break
        draw -= look_up(physics.emission[material, line], step, part)
        if draw < 0.0:
            if x_ray < energy:
                return energy - x_ray, _put(stack, count, photon, isotropic(state), x_ray)
            break
    return energy, count


@inlined
def _collide(
    state: State,
    geometry: Geometry,
    physics: Physics,
    stack: FloatArray,
    count: int,
    photon: FloatArray,
    solid: int,
    sums: FloatArray,
) -> int:
    """One collision. The photon goes on with the energy it has left, which may be none."""
    material, signal = geometry.material[solid], solid == geometry.active
    before, towards = photon[6], (photon[3], photon[4], photon[5])
    step, part = position(before)
    draw = uniform(state) * look_up(physics.total[material], step, part)
    draw -= look_up(physics.attenuation[material, PHOTO], step, part)
    tracks = 1
    if draw < 0.0:
        released, count = _absorb(state, physics, material, stack, count, photon)
        after = 0.0
    elif before <= 2.0 * ELECTRON_REST_ENERGY or draw < look_up(
        physics.attenuation[material, COMPTON], step, part
    ):
        ratio, cosine = compton(state, before)
        after = before * ratio
        released = before - after
        azimuth = 2.0 * np.pi * uniform(state)
        u, v, w = turned(towards[0], towards[1], towards[2], cosine, azimuth)
        photon[3], photon[4], photon[5] = u, v, w
        # The electron takes the momentum that the photon lost.
        x, y, z = towards[0] - ratio * u, towards[1] - ratio * v, towards[2] - ratio * w
        norm = 1.0 / np.sqrt(max(x * x + y * y + z * z, 1e-300))
        towards = (x * norm, y * norm, z * norm)
    else:
        tracks = 2
        released = before - 2.0 * ELECTRON_REST_ENERGY
        after = 0.0
        u, v, w = isotropic(state)
        count = _put(stack, count, photon, (u, v, w), ELECTRON_REST_ENERGY)
        count = _put(stack, count, photon, (-u, -v, -w), ELECTRON_REST_ENERGY)
    photon[6] = after
    if not signal:
        sums[ELSEWHERE] += released
        return count
    share = released if tracks == 1 else released * uniform(state)
    for _ in range(tracks):
        count = _electron(state, geometry, physics, stack, count, photon, towards, share, sums)
        share = released - share
    return count


@inlined
def _history(
    state: State,
    geometry: Geometry,
    physics: Physics,
    stack: FloatArray,
    photon: FloatArray,
    forced: float,
    sums: FloatArray,
) -> None:
    """Follow the photon on the stack and all that come from it; where their energy ends."""
    count = 1
    while count > 0:
        count -= 1
        for column in range(_COLUMNS):
            photon[column] = stack[count, column]
        while photon[6] > 0.0:
            solid = _fly(state, geometry, physics, photon, forced)
            forced = 0.0
            if solid < 0:
                sums[AWAY] += photon[6]
                break
            count = _collide(state, geometry, physics, stack, count, photon, solid, sums)
            if photon[6] < _LEAST_PHOTON:
                sums[SIGNAL if solid == geometry.active else ELSEWHERE] += photon[6]
                break


@inlined
def _place(signal: float, bins: Bins) -> int:
    """Number of the peak or bin, peaks first, that a deposit counts in."""
    peaks, knots = bins.peaks, bins.knots
    for peak in range(len(peaks)):
        if abs(signal - peaks[peak]) < _SAME_ENERGY:
            return peak
    segment = 0
    while segment < len(knots) - 2 and signal >= knots[segment + 1]:
        segment += 1
    number = bins.first[segment + 1] - bins.first[segment]
    part = (signal - knots[segment]) / (knots[segment + 1] - knots[segment])
    return len(peaks) + bins.first[segment] + min(int(part * number), number - 1)


@kernel
def deposits(
    energy: float,
    geometry: Geometry,
    physics: Physics,
    incidence: int,
    distance: float,
    bins: Bins,
    histories: int,
    seed: int,
    batch: int,
) -> tuple[FloatArray, FloatArray]:
    """Histories of incoming photons of one energy.

    Parameters
    ----------
    energy : float
        keV.
    geometry, physics, bins
        The detector and what is counted.
    incidence : int
        ``FRONT``, ``AROUND`` or ``POINT``.
    distance : float
        Of the point from the front of the housing, cm.
    histories : int
        Photons that meet the outline of the detector.
    seed, batch : int
        What the random numbers start from.

    Returns
    -------
    counts : ndarray, shape (n_peaks + n_bins,)
        Photons that count in each peak and bin.
    energies : ndarray, shape (3,)
        keV in the active crystal, elsewhere in the detector and away from it, of the photons that
        meet at least one end of a step in the outline.
    """
    counts = np.zeros(len(bins.peaks) + bins.first[-1])
    energies = np.zeros(3)
    _histories(
        energy,
        geometry,
        physics,
        (incidence, distance),
        bins,
        histories,
        (generator(seed, batch), np.empty((_STACK, _COLUMNS)), np.empty(_COLUMNS), np.empty(3)),
        (counts, energies),
    )
    return counts, energies


@part
def _histories(
    energy: float,
    geometry: Geometry,
    physics: Physics,
    incidence: tuple[int, float],
    bins: Bins,
    histories: int,
    work: tuple[State, FloatArray, FloatArray, FloatArray],
    tallies: tuple[FloatArray, FloatArray],
) -> None:
    """Follow the photons of `deposits` and add to its tallies."""
    geometry = Geometry(
        geometry.is_round,
        geometry.solids,
        geometry.material,
        geometry.active,
        geometry.hole,
        geometry.outline,
    )
    physics = Physics(
        physics.attenuation,
        physics.total,
        physics.majorant,
        physics.x_rays,
        physics.emission,
        physics.density,
        physics.number,
    )
    bins = Bins(bins.peaks, bins.knots, bins.first)
    state, stack = work[0], work[1]
    photon, sums = work[2], work[3]
    counts, energies = tallies[0], tallies[1]
    step, part = position(energy)
    majorant = look_up(physics.majorant, step, part)
    for _ in range(histories):
        x, y, z, u, v, w = entry(state, geometry, incidence[0], incidence[1])
        length = way_out(geometry.is_round, geometry.outline, (x, y, z), (u, v, w))
        weight = -np.expm1(-majorant * length)
        if weight <= 0.0:
            continue
        first = stack[0]
        first[0], first[1], first[2], first[3], first[4], first[5] = x, y, z, u, v, w
        first[6] = energy
        for end in range(3):
            sums[end] = 0.0
        forced = -np.log1p(-weight * uniform(state)) / majorant
        _history(state, geometry, physics, stack, photon, forced, sums)
        for end in range(3):
            energies[end] += weight * sums[end]
        if sums[SIGNAL] > 0.0:
            counts[_place(sums[SIGNAL], bins)] += weight
