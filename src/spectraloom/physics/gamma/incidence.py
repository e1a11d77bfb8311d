"""How photons of a point source come upon a crystal, from any distance.

Responses are computed for a parallel beam and for points at a few distances, in units of the
largest side of the crystal. Between them they are interpolated.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.materials import material
from spectraloom.physics.gamma.transport.response_matrix import Incidence

# Distances of the points that are computed, in sizes of the crystal. From nearer than the last,
# each distance is computed by itself.
_NODES = (10.0, 3.0, 1.0, 0.5, 0.3)


def from_where(
    crystal: Crystal, distance: float, energies: FloatArray
) -> list[tuple[Incidence, FloatArray]]:
    """Incidences that stand for a point source, and how many photons come in by each.

    A response to the source is the sum of those to the incidences, each times its part.

    Parameters
    ----------
    crystal : Crystal
        The crystal; the source is on its axis.
    distance : float
        From the source to the front of the housing, cm.
    energies : ndarray, shape (n,)
        Of the photons, keV.

    Returns
    -------
    list of (Incidence, ndarray of shape (n,))
        One or two incidences, with the fluence of each at the front of the housing per photon/cm2
        that the source sends there. Parts change continuously with distance and energy.

    Notes
    -----
    Most of what distance changes is the solid angle in which photons of an energy see the cross
    section of the crystal in the mean depth of their first interaction. Effective areas divided by
    it are interpolated linearly in 1 / distance; for crystals as long as wide and for slabs what
    comes out agrees with points in between to 1 %.
    """
    size = max(crystal.size)
    if distance <= _NODES[-1] * size:
        return [(float(distance), np.ones(len(energies)))]
    far: float | None = None
    for node in _NODES:
        if distance >= node * size:
            near = node * size
            break
        far = node * size
    begin = 0.0 if far is None else 1.0 / far
    part = (1.0 / distance - begin) / (1.0 / near - begin)
    depths = _depths(crystal, np.asarray(energies, dtype=np.float64).tobytes())
    here = face(crystal, distance, depths)
    beyond: Incidence = "front" if far is None else far
    parts = [
        (beyond, (1.0 - part) * here / face(crystal, far, depths)),
        (near, part * here / face(crystal, near, depths)),
    ]
    return [parts[1]] if part >= 1.0 else parts


def face(crystal: Crystal, distance: float | None, depth: FloatArray | float = 0.0) -> FloatArray:
    """Photons of a point source that meet a cross section of the crystal, per fluence.

    Parameters
    ----------
    crystal : Crystal
        The crystal.
    distance : float or None
        From the source to the front of the housing, cm; None for a parallel beam.
    depth : float or ndarray
        Of the cross section below the front of the crystal, cm.

    Returns
    -------
    ndarray, shape of depth
        Photons over fluence at the front of the housing, cm2.
    """
    half = tuple(0.5 * side for side in crystal.size[:-1])
    if distance is None:
        area = np.pi * half[0] ** 2 if len(half) == 1 else 4.0 * half[0] * half[1]
        return np.full(np.shape(depth), area)
    away = distance + sum(thickness for _, thickness in crystal.window) + np.asarray(depth)
    if len(half) == 1:
        # 1 - cosine without its cancellation far away.
        slant = np.hypot(away, half[0])
        return np.asarray(2.0 * np.pi * distance**2 * half[0] ** 2 / (slant * (slant + away)))
    root = np.sqrt(half[0] ** 2 + half[1] ** 2 + away**2)
    return np.asarray(4.0 * np.arctan2(half[0] * half[1], away * root) * distance**2)


@lru_cache(maxsize=128)
def _depths(crystal: Crystal, energies: bytes) -> FloatArray:
    """Mean depth in which photons along the axis interact first, of those that do; cm."""
    length = crystal.size[-1]
    attenuation = material(crystal.material).attenuation(np.frombuffer(energies))
    paths = np.clip(attenuation * length, 1e-3, 500.0)
    return np.asarray(length * (1.0 / paths - 1.0 / np.expm1(paths)) + crystal.dead_layer)
