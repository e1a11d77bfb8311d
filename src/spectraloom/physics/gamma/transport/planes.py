"""Photons of a point source that plates, floor and air scatter to a detector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.physics.gamma.crystal import Layer
from spectraloom.physics.gamma.transport.collisions import Strata
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES, PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.layers import BIN_OF, Emission, material_media
from spectraloom.physics.gamma.transport.planes_kernel import Planes, follow_around

_LEAST_HISTORIES = 8  # of a line or bin that has photons
_NEAREST = 2.0  # cm, about the size of a detector
_ROULETTE = 0.02  # of the weight that comes straight
_OPEN = 0.25  # part of the histories where there is only air, which adds a per cent or so


def scattered(
    emission: Emission,
    straight: tuple[FloatArray, FloatArray],
    *,
    distance: float,
    plates: Sequence[Layer],
    begin: float,
    floor: Layer | None,
    air: str | None,
    histories: int,
    seed: int,
) -> tuple[Emission, FloatArray]:
    """Fluence of photons that come to a detector off the straight way.

    Parameters
    ----------
    emission : Emission
        What a point emits evenly to all sides, photons per decay.
    straight : tuple of ndarray
        Parts of its lines and bins that pass on straight to the detector.
    distance : float
        From source to detector, cm.
    plates : sequence of Layer
        Plates across the way from the source to the detector: material and thickness, cm.
    begin : float
        Where on the way the plates begin, cm from the source.
    floor : Layer or None
        Material of the floor and its depth below source and detector, cm.
    air : str or None
        What fills the rest.
    histories : int
        Photons to follow, about.
    seed : int
        Of the random numbers.

    Returns
    -------
    Emission
        From the plates: x-rays and annihilation photons as lines, scattered photons; per cm2.
    ndarray, shape (n_bins,)
        From floor and air, per cm2.
    """
    media = material_media([*(name for name, _ in plates), floor and floor[0], air])
    faces = begin + np.concatenate([[0.0], np.cumsum([width for _, width in plates])])
    depth = np.inf if floor is None else floor[1]
    planes = Planes(faces, depth, distance, min(_NEAREST, 0.5 * distance))
    if not plates and floor is None:
        histories = int(np.ceil(_OPEN * histories))
    strata = shared_out(emission, straight, histories, seed)
    size = PHOTON_ENERGIES.size
    summed = follow_around(media, planes, strata, BIN_OF, size, seed).sum(axis=0)
    born = summed[2 * size :]
    seen = np.flatnonzero(born)
    return (
        Emission(media.secondaries[seen], born[seen], summed[:size]),
        summed[size : 2 * size],
    )


def shared_out(
    emission: Emission, straight: tuple[FloatArray, FloatArray], histories: int, seed: int
) -> Strata:
    """Histories of lines by the root of their photons, and of bins by their photons.

    See :func:`scattered` for the parameters.
    """
    seen = np.flatnonzero(emission.bins)
    shares = []
    for photons, worth in (
        (emission.lines, np.sqrt(emission.lines)),
        (emission.bins[seen], emission.bins[seen]),
    ):
        whole = worth.sum()
        shares.append(worth / whole * photons.sum() if whole > 0 else worth)
    photons = np.concatenate([emission.lines, emission.bins[seen]])
    share = np.concatenate(shares) / max(photons.sum(), np.finfo(float).tiny)
    count = np.maximum(np.ceil(share * histories).astype(np.int64), _LEAST_HISTORIES)
    count[photons == 0] = 0
    weights = photons / np.maximum(count, 1)
    passing = np.concatenate([straight[0], straight[1][seen]])
    return Strata(
        np.concatenate([emission.energies, PHOTON_ENERGIES[seen]]),
        weights,
        count,
        _ROULETTE * weights * np.maximum(passing, 1e-9),
        np.random.default_rng(seed).random((photons.size, 4)),
        np.concatenate([np.zeros(emission.energies.size), np.diff(PHOTON_EDGES)[seen]]),
    )
