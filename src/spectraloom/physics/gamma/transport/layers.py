"""Photons that leave the layers around a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spectraloom._typing import FloatArray, IntArray
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY
from spectraloom.physics.gamma.elements import HIGHEST_ENERGY, LOWEST_ENERGY
from spectraloom.physics.gamma.materials import Material, material
from spectraloom.physics.gamma.transport.collisions import Media, Strata
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES, PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.layers_kernel import (
    LEAST_COSINE,
    follow_out,
)
from spectraloom.physics.gamma.transport.tables import material_tables

_LEAST_HISTORIES = 32  # of a line, however few of its photons get out
_ROULETTE = 0.02  # of the weight that comes out straight
_NODES = 48

BIN_OF: IntArray = np.minimum(
    np.searchsorted(PHOTON_EDGES, np.arange(PHOTON_EDGES[-1] + 1), side="right") - 1,
    PHOTON_ENERGIES.size - 1,
)
"""Bin of each whole number of keV; the edges are whole numbers."""
BIN_OF.flags.writeable = False

Sphere = tuple[str | Material | None, float]
"""Material and outer radius in cm; None is a gap."""


class Emission(NamedTuple):
    """Photons of a source as if it were a point in the open.

    Attributes
    ----------
    energies : ndarray, shape (n,)
        Lines, keV.
    lines : ndarray, shape (n,)
        Photons per decay.
    bins : ndarray, shape (n_bins,)
        Scattered photons per decay, per bin of ``PHOTON_EDGES``.
    """

    energies: FloatArray
    lines: FloatArray
    bins: FloatArray


def leaving(
    energies: FloatArray,
    intensities: FloatArray,
    spheres: Sequence[Sphere],
    *,
    ball: float,
    distance: float,
    histories: int,
    seed: int,
) -> Emission:
    """What leaves concentric spheres.

    Parameters
    ----------
    energies, intensities : ndarray, shape (n_lines,)
        Lines of the source, keV and photons per decay.
    spheres : sequence of Sphere
        From inside out; at least one.
    ball : float
        Radius of the ball in which the activity is spread evenly, cm; zero for a point.
    distance : float
        From the centre to where the photons are counted, cm; at least the outermost radius.
    histories : int
        Photons to follow, about.
    seed : int
        Of the random numbers.

    Returns
    -------
    Emission
        Fluence at `distance` times the area of the sphere there. The lines are those of the
        source, then those born in the layers.
    """
    media = material_media([name for name, _ in spheres])
    radii = np.array([radius for _, radius in spheres])
    straight = straight_share(energies, media, radii, ball=ball, distance=distance)
    strata = shared_out(energies, intensities, straight, histories, seed)
    scores, _ = follow_out(media, radii, strata, ball, distance, BIN_OF, PHOTON_ENERGIES.size, seed)
    summed = scores.sum(axis=0)
    born = summed[PHOTON_ENERGIES.size :]
    seen = np.flatnonzero(born)
    return Emission(
        np.concatenate([energies, media.secondaries[seen]]),
        np.concatenate([intensities * straight, born[seen]]),
        summed[: PHOTON_ENERGIES.size],
    )


def material_media(names: Sequence[str | Material | None]) -> Media:
    """Tables of the parts of a geometry; None is a gap."""
    # Any material keeps the place of a gap in the tables until it is emptied.
    tables = material_tables([material("air" if name is None else name) for name in names])
    full = np.array([name is not None for name in names], dtype=np.float64)[:, None, None]
    attenuation = tables.attenuation * full
    return Media(
        attenuation,
        attenuation.sum(axis=1),
        tables.emission * full,
        np.append(tables.x_rays.ravel(), ELECTRON_REST_ENERGY),
    )


def straight_share(
    energies: FloatArray, media: Media, radii: FloatArray, *, ball: float, distance: float
) -> FloatArray:
    """Part of the photons that leaves without an interaction: exp(-mu x) over all ways.

    Parameters
    ----------
    energies : ndarray, shape (n_lines,)
        keV.
    media : Media
        Materials of the layers from inside out.
    radii : ndarray, shape (n_layers,)
        Outer radii, cm.
    ball, distance : float
        As in :func:`leaving`.

    Returns
    -------
    ndarray, shape (n_lines,)
        Fluence at `distance` over that of the bare point source.
    """
    lengths, weights = np.diff(radii, prepend=0.0)[np.newaxis], np.ones(1)
    if ball > 0:
        lengths, weights = _ways_out(radii, ball, distance)
    at = np.log(energies / LOWEST_ENERGY) / np.log(HIGHEST_ENERGY / LOWEST_ENERGY)
    grid = np.linspace(0.0, 1.0, media.total.shape[1])
    total = np.array([np.interp(at, grid, row) for row in media.total])
    return np.asarray(weights @ np.exp(-lengths @ total))


def _ways_out(radii: FloatArray, ball: float, distance: float) -> tuple[FloatArray, FloatArray]:
    """Lengths in each layer of ways out of a ball, and their weights (Gauss and Legendre)."""
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    radius = 0.5 * ball * (node + 1.0)[:, np.newaxis]
    at = (radius * node).ravel()
    across = (radius**2 * (1.0 - node**2)).ravel()
    share = (1.5 * weight[:, np.newaxis] * (radius / ball) ** 2 * 0.5 * weight).ravel()
    ends = np.sqrt(np.maximum(radii**2 - across[:, np.newaxis], 0.0))
    begins = np.concatenate([np.zeros((at.size, 1)), ends[:, :-1]], axis=1)
    passed = np.minimum(np.maximum(np.abs(at)[:, np.newaxis], begins), ends) - begins
    lengths = ends - begins - np.sign(at)[:, np.newaxis] * passed
    slant = np.sqrt(np.maximum(1.0 - across / distance**2, LEAST_COSINE**2))
    return lengths, share / slant


def shared_out(
    energies: FloatArray,
    intensities: FloatArray,
    straight: FloatArray,
    histories: int,
    seed: int,
) -> Strata:
    """Histories of each line, by the root of what it scatters outside.

    Parameters
    ----------
    energies, intensities, straight : ndarray, shape (n_lines,)
        Lines, photons per decay and parts that get out straight.
    histories : int
        How many, about.
    seed : int
        Of the random shifts.

    Returns
    -------
    Strata
        Lines without photons have no history.
    """
    worth = np.sqrt(intensities * straight * (1.0 - straight))
    whole = worth.sum()
    share = worth / whole if whole > 0 else np.full(energies.size, 1.0 / max(energies.size, 1))
    count = np.maximum(np.ceil(share * histories).astype(np.int64), _LEAST_HISTORIES)
    count[intensities == 0] = 0
    weights = intensities / np.maximum(count, 1)
    return Strata(
        energies,
        weights,
        count,
        _ROULETTE * weights * np.maximum(straight, 1e-9),
        np.random.default_rng(seed).random((energies.size, 4)),
        np.zeros(energies.size),
    )
