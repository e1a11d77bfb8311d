"""Coefficients of materials on one grid of energies, as compiled kernels read them.

The grid is even in the logarithm of the energy, so that a look-up needs one logarithm and no
search. An absorption edge is smeared over one step, 0.9 % of its energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from spectraloom._typing import FloatArray
from spectraloom.physics.gamma.elements import HIGHEST_ENERGY, LOWEST_ENERGY, element_cross_sections
from spectraloom.physics.gamma.fluorescence import k_shells
from spectraloom.physics.gamma.materials import Material

PHOTO, COMPTON, PAIR = 0, 1, 2
"""Rows of `attenuation`."""

_POINTS = 1024
_GRID = np.geomspace(LOWEST_ENERGY, HIGHEST_ENERGY, _POINTS)
_PER_LOG = (_POINTS - 1) / float(np.log(HIGHEST_ENERGY / LOWEST_ENERGY))
_MOST_X_RAYS = 8
_LEAST_X_RAY = 5.0  # keV; softer ones hardly leave the spot


class MaterialTables(NamedTuple):
    """Materials of a geometry; plain arrays, so that kernels take it whole.

    Attributes
    ----------
    attenuation : ndarray, shape (n_materials, 3, n_energies)
        Linear coefficients of photoelectric effect, Compton scattering and pair production, 1/cm.
        Coherent scattering is left out: it leaves the energy and hardly turns the photon.
    x_rays : ndarray, shape (n_materials, 8)
        Energies of K x-rays, keV, the most frequent ones; zero where there are fewer.
    emission : ndarray, shape (n_materials, 8, n_energies)
        Chance that a photoelectric effect is followed by the x-ray.
    """

    attenuation: FloatArray
    x_rays: FloatArray
    emission: FloatArray


def material_tables(materials: Sequence[Material]) -> MaterialTables:
    """Tables of some materials, in their order.

    Raises
    ------
    DataError
        If the density of one is not known.
    """
    parts = [_one(one) for one in materials]
    return MaterialTables(*(np.array(column) for column in zip(*parts, strict=True)))


@lru_cache(maxsize=64)
def _one(material: Material) -> MaterialTables:
    density = material.require_density()
    section = material.cross_sections(_GRID)
    attenuation = density * np.array([section.photoelectric, section.incoherent, section.pair])
    rows: list[tuple[float, float, FloatArray]] = []
    for symbol, part in material.fractions:
        shell = k_shells().get(symbol)
        if shell is None:
            continue
        own = part * element_cross_sections(symbol, _GRID).photoelectric / section.photoelectric
        shining = np.where(shell.edge <= _GRID, shell.share * shell.fluorescence_yield * own, 0.0)
        rows += [
            (float((rate * shining).max()), energy, rate * shining)
            for energy, rate in shell.lines
            if energy >= _LEAST_X_RAY
        ]
    rows.sort(key=lambda row: -row[0])
    x_rays, emission = np.zeros(_MOST_X_RAYS), np.zeros((_MOST_X_RAYS, _POINTS))
    for row, (_, energy, chances) in enumerate(rows[:_MOST_X_RAYS]):
        x_rays[row], emission[row] = energy, chances
    return MaterialTables(attenuation, x_rays, emission)


@njit(cache=True, inline="always")
def position(energy: float) -> tuple[int, float]:
    """Step of the grid that holds an energy, and how far into it, from 0 to 1."""
    at = np.log(energy / LOWEST_ENERGY) * _PER_LOG
    if at <= 0.0:
        return 0, 0.0
    step = int(at)
    if step >= _POINTS - 1:
        return _POINTS - 2, 1.0
    return step, at - step


@njit(cache=True, inline="always")
def look_up(row: FloatArray, step: int, part: float) -> float:
    """A tabulated value, straight between the points of the grid."""
    return row[step] + part * (row[step + 1] - row[step])
