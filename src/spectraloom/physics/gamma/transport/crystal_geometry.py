"""Coaxial solids: where a point is, the ways in and out, and where photons come in; compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spectraloom._typing import FloatArray, IntArray
from spectraloom.physics.gamma.transport.compiling import inlined, part
from spectraloom.physics.gamma.transport.sampling import State, turned, uniform

FRONT, AROUND, POINT = 0, 1, 2
"""Where photons come from: along the axis, evenly from all sides, or from a point on the axis."""


class Geometry(NamedTuple):
    """Solids about one axis, z, in cm. The front of the housing lies at z = 0.

    Attributes
    ----------
    is_round : bool
        Whether all solids are cylinders; else all are boxes.
    solids : ndarray, shape (n_solids, 4)
        Half width and half height (of a cylinder its radius, twice), first and last z. A later
        solid takes the place of what an earlier one has there.
    material : ndarray, shape (n_solids,)
        Row of each solid's material in the tables; -1 for empty space.
    active, hole : int
        Solid that gives a signal, and the hole in it or -1.
    outline : ndarray, shape (4,)
        The solid that just holds all of them.
    """

    is_round: bool
    solids: FloatArray
    material: IntArray
    active: int
    hole: int
    outline: FloatArray


@inlined
def holds(is_round: bool, solid: FloatArray, x: float, y: float, z: float) -> bool:
    """Whether a point lies in a solid."""
    if z < solid[2] or z > solid[3]:
        return False
    if is_round:
        return x * x + y * y <= solid[0] * solid[0]
    return abs(x) <= solid[0] and abs(y) <= solid[1]


@inlined
def solid_at(geometry: Geometry, x: float, y: float, z: float) -> int:
    """The last solid that holds a point, or -1."""
    for solid in range(len(geometry.solids) - 1, -1, -1):
        if holds(geometry.is_round, geometry.solids[solid], x, y, z):
            return solid
    return -1


@part
def way_out(
    is_round: bool,
    solid: FloatArray,
    at: tuple[float, float, float],
    towards: tuple[float, float, float],
) -> float:
    """Length of the straight way from a point inside a solid to its surface."""
    x, y, z = at
    u, v, w = towards
    length = np.inf
    if w > 0.0:
        length = (solid[3] - z) / w
    elif w < 0.0:
        length = (solid[2] - z) / w
    if is_round:
        across = u * u + v * v
        if across > 0.0:
            half = x * u + y * v
            inside = max(solid[0] * solid[0] - x * x - y * y, 0.0)
            length = min(length, (np.sqrt(half * half + across * inside) - half) / across)
        return max(length, 0.0)
    if u != 0.0:
        length = min(length, ((solid[0] if u > 0.0 else -solid[0]) - x) / u)
    if v != 0.0:
        length = min(length, ((solid[1] if v > 0.0 else -solid[1]) - y) / v)
    return max(length, 0.0)


@part
def way_in(
    solid: FloatArray, at: tuple[float, float, float], towards: tuple[float, float, float]
) -> float:
    """Length of the way from a point outside a cylinder to its surface; infinite if it misses."""
    x, y, z = at
    u, v, w = towards
    enter, leave = 0.0, np.inf
    if abs(w) > 1e-12:
        ends = (solid[2] - z) / w, (solid[3] - z) / w
        enter, leave = max(enter, min(ends)), min(leave, max(ends))
    elif z < solid[2] or z > solid[3]:
        return np.inf
    across = u * u + v * v
    outside = x * x + y * y - solid[0] * solid[0]
    if across < 1e-24:
        return np.inf if outside > 0.0 or enter >= leave else enter
    half = x * u + y * v
    root = half * half - across * outside
    if root <= 0.0:
        return np.inf
    root = np.sqrt(root)
    enter, leave = max(enter, (-half - root) / across), min(leave, (root - half) / across)
    return np.inf if enter >= leave else enter


@part
def clearance(geometry: Geometry, x: float, y: float, z: float) -> float:
    """At most the distance from a point in the active crystal to its surface."""
    solid = geometry.solids[geometry.active]
    length = min(z - solid[2], solid[3] - z)
    if not geometry.is_round:
        return min(length, solid[0] - abs(x), solid[1] - abs(y))
    radius = np.sqrt(x * x + y * y)
    length = min(length, solid[0] - radius)
    if geometry.hole >= 0:
        hole = geometry.solids[geometry.hole]
        length = min(length, max(radius - hole[0], hole[2] - z))
    return length


@part
def entry(
    state: State, geometry: Geometry, incidence: int, distance: float
) -> tuple[float, float, float, float, float, float]:
    """Where a photon meets the outline, and its direction."""
    outline = geometry.outline
    across, up, length = outline[0], outline[1], outline[3] - outline[2]
    if incidence == POINT:
        return _from_point(state, geometry, distance)
    x, y, z, u, v, w = 0.0, 0.0, outline[2], 0.0, 0.0, 1.0
    face = 0.0
    if incidence == AROUND:
        cosine = np.sqrt(uniform(state))
        u, v, w = turned(0.0, 0.0, 1.0, cosine, 2.0 * np.pi * uniform(state))
        if geometry.is_round:
            face = uniform(state) * 2.0 * (across + length) / across
        else:
            face = uniform(state) * 2.0 * (1.0 + 0.5 * length * (1.0 / across + 1.0 / up))
    if geometry.is_round:
        if face < 2.0:
            radius, azimuth = across * np.sqrt(uniform(state)), 2.0 * np.pi * uniform(state)
            x, y = radius * np.cos(azimuth), radius * np.sin(azimuth)
            return (x, y, z, u, v, w) if face < 1.0 else (x, y, outline[3], u, v, -w)
        # On the side, at azimuth 0, the inward direction is -x; then turned about the axis.
        azimuth, z = 2.0 * np.pi * uniform(state), outline[2] + length * uniform(state)
        c, s = np.cos(azimuth), np.sin(azimuth)
        return across * c, across * s, z, -w * c - v * s, -w * s + v * c, u
    x, y = across * (2.0 * uniform(state) - 1.0), up * (2.0 * uniform(state) - 1.0)
    if face < 2.0:
        return (x, y, z, u, v, w) if face < 1.0 else (x, y, outline[3], u, v, -w)
    z = outline[2] + length * uniform(state)
    sign = 1.0 if uniform(state) < 0.5 else -1.0
    if face < 2.0 + length / across:  # a side of width `2 up`
        return sign * across, y, z, -sign * w, v, u
    return x, sign * up, z, u, -sign * w, v


@part
def _from_point(
    state: State, geometry: Geometry, distance: float
) -> tuple[float, float, float, float, float, float]:
    """Evenly over the directions from a point before the front that hit the front."""
    across, up = geometry.outline[0], geometry.outline[1]
    radius = across if geometry.is_round else np.sqrt(across * across + up * up)
    least = distance / np.sqrt(distance * distance + radius * radius)
    while True:
        w = 1.0 - (1.0 - least) * uniform(state)
        u, v, w = turned(0.0, 0.0, 1.0, w, 2.0 * np.pi * uniform(state))
        x, y = distance * u / w, distance * v / w
        if geometry.is_round or (abs(x) <= across and abs(y) <= up):
            return x, y, geometry.outline[2], u, v, w
