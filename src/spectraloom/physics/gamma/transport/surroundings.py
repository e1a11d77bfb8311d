"""What is around a source, and the photons that reach the detector through it.

Layers that enclose the source are solved first, by Monte Carlo in one dimension
(:mod:`~spectraloom.physics.gamma.transport.layers_kernel`): all that leaves the outermost sphere,
spread over the sphere through the detector, is the fluence there. What leaves them is then the
source of what plates across the way, floor and air scatter to the detector
(:mod:`~spectraloom.physics.gamma.transport.planes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError
from spectraloom.physics.gamma.checks import (
    NEAREST,
    as_histories,
    as_layer,
    as_layers,
    as_length,
    as_seed,
)
from spectraloom.physics.gamma.crystal import Layer
from spectraloom.physics.gamma.elements import require_energies
from spectraloom.physics.gamma.materials import Material, material, shown
from spectraloom.physics.gamma.transport.cache import Shapes, remembered
from spectraloom.physics.gamma.transport.grid import PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.layers import Emission, leaving
from spectraloom.physics.gamma.transport.planes import scattered


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around a source and on its way to the detector.

    Parameters
    ----------
    distance : float
        From the centre of the source to the front of the housing of the detector, cm.
    shells : tuple of Layer
        Layers closed around the source, from inside out: material and thickness in cm.
    cavity : float
        Inner radius of the innermost shell, cm. Zero: the shells begin at the source.
    slabs : tuple of Layer
        Wide plates across the way, from the source to the detector, one upon the other; they stand
        halfway between the outermost shell and the detector.
    source : Layer or None
        Material and radius in cm of a ball in which the activity is spread evenly; None is a point.
    floor : Layer or None
        Material of a wide flat floor, and the height of source and detector above it, cm.
    air : bool
        Whether there is air between source and detector and around.

    Raises
    ------
    DataError
        If something is of another type, a length is not above zero (a cavity may be zero, the
        distance is at least 0.001) or above 1e6, a material has no density, there is a cavity but
        no shell, or the parts do not fit between source, detector and floor.
    LabelError
        If a material is not known.
    """

    distance: float = 100.0
    shells: tuple[Layer, ...] = ()
    cavity: float = 0.0
    slabs: tuple[Layer, ...] = ()
    source: Layer | None = None
    floor: Layer | None = None
    air: bool = True

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "distance", as_length("distance", self.distance, least=NEAREST))
        for name in ("shells", "slabs"):
            put(self, name, as_layers(name, getattr(self, name)))
        for name in ("source", "floor"):
            if getattr(self, name) is not None:
                put(self, name, as_layer(name, getattr(self, name)))
        if isinstance(self.cavity, bool) or self.cavity != 0.0:
            put(self, "cavity", as_length("cavity", self.cavity))
            if not self.shells:
                raise DataError("a cavity is the room within shells, and there are no shells")
        if not isinstance(self.air, bool):
            raise DataError(f"air is true or false, got {shown(self.air)}")
        if self.source is not None and 0.0 < self.cavity < self.source[1]:
            raise DataError(
                f"a source of radius {self.source[1]:g} cm does not fit into a cavity of radius "
                f"{self.cavity:g} cm: make the cavity wider, or zero to begin at the source"
            )
        if self.outside + self.plates > self.distance:
            raise DataError(
                f"source and shells reach to {self.outside:g} cm and the slabs are "
                f"{self.plates:g} cm thick: that does not fit before a detector at a distance of "
                f"{self.distance:g} cm"
            )
        if self.floor is not None and self.floor[1] < self.outside:
            raise DataError(
                f"source and shells, of radius {self.outside:g} cm, do not fit above a floor "
                f"{self.floor[1]:g} cm below the centre"
            )

    @property
    def outside(self) -> float:
        """Radius of source and shells, cm."""
        return max(self._inside, sum(thickness for _, thickness in self.shells) + self._inside)

    @property
    def plates(self) -> float:
        """Thickness of all slabs, cm."""
        return float(sum(thickness for _, thickness in self.slabs))

    @property
    def _inside(self) -> float:
        ball = 0.0 if self.source is None else self.source[1]
        return max(self.cavity if self.shells else 0.0, ball)

    def spheres(self) -> tuple[tuple[str | Material | None, float], ...]:
        """Material and outer radius of ball, gap and shells, from inside out; None is a gap."""
        found: list[tuple[str | Material | None, float]] = []
        radius = 0.0
        if self.source is not None:
            radius = self.source[1]
            found.append((self.source[0], radius))
        if self._inside > radius:
            radius = self._inside
            found.append((None, radius))
        for made_of, thickness in self.shells:
            radius += thickness
            found.append((made_of, radius))
        return tuple(found)


class Flux(NamedTuple):
    """Fluence of photons at a detector, per decay of the source.

    Attributes
    ----------
    energies : ndarray, shape (n,)
        Lines, keV: those of the source in their order, then K x-rays and annihilation photons of
        the layers.
    direct : ndarray, shape (n,)
        Photons per cm2 that come straight from where they were born.
    front : ndarray, shape (n_bins,)
        Photons per cm2 scattered last in source, shells or slabs, per bin of ``PHOTON_EDGES``.
    around : ndarray, shape (n_bins,)
        Photons per cm2 scattered last in floor or air, and the x-rays and annihilation photons of
        the floor.
    """

    energies: FloatArray
    direct: FloatArray
    front: FloatArray
    around: FloatArray


_SHAPES: Shapes = {
    "energies": ("n",),
    "direct": ("n",),
    "front": (PHOTON_ENERGIES.size,),
    "around": (PHOTON_ENERGIES.size,),
}


def emerging(
    energies: npt.ArrayLike,
    intensities: npt.ArrayLike,
    surroundings: Surroundings,
    *,
    histories: int = 200_000,
    seed: int = 0,
) -> Flux:
    """Photons that reach a detector.

    Parameters
    ----------
    energies, intensities : array_like, shape (n_lines,)
        Lines of the source: keV and photons per decay.
    surroundings : Surroundings
        What is around the source and on the way.
    histories : int
        Photons to follow in each step of the calculation, about.
    seed : int
        Of the random numbers. The result does not depend on the number of threads, and changes
        smoothly with thicknesses and distances, as neighbouring cases share their random numbers.

    Returns
    -------
    Flux
        Per decay.

    Raises
    ------
    DataError
        If lines are not two columns of the same length, an energy is outside the tables, an
        intensity is below zero, or there is no history.
    """
    at, photons = _require_lines(energies, intensities)
    histories, seed = as_histories(histories), as_seed(seed)
    if not isinstance(surroundings, Surroundings):
        raise DataError(f"what is around a source is Surroundings, got {shown(surroundings)}")
    kept = remembered(
        "flux",
        (at, photons, surroundings, histories, seed),
        _SHAPES,
        lambda: _computed(at, photons, surroundings, histories, seed)._asdict(),
    )
    return Flux(**kept)


def _computed(
    energies: FloatArray,
    intensities: FloatArray,
    surroundings: Surroundings,
    histories: int,
    seed: int,
) -> Flux:
    emission = Emission(energies, intensities, np.zeros(PHOTON_ENERGIES.size))
    spheres = surroundings.spheres()
    if spheres:
        emission = leaving(
            energies,
            intensities,
            spheres,
            ball=0.0 if surroundings.source is None else surroundings.source[1],
            distance=surroundings.distance,
            histories=histories,
            seed=seed,
        )
    lines = straight_way(emission.energies, surroundings)
    bins = straight_way(PHOTON_ENERGIES, surroundings)
    spread = 4.0 * np.pi * surroundings.distance**2
    plates = Emission(np.zeros(0), np.zeros(0), np.zeros(PHOTON_ENERGIES.size))
    around = np.zeros(PHOTON_ENERGIES.size)
    if surroundings.slabs or surroundings.floor or surroundings.air:
        room = surroundings.distance - surroundings.outside - surroundings.plates
        plates, around = scattered(
            emission,
            (lines, bins),
            distance=surroundings.distance,
            plates=surroundings.slabs,
            begin=surroundings.outside + 0.5 * max(room, 0.0),
            floor=surroundings.floor,
            air="air" if surroundings.air else None,
            histories=histories,
            seed=seed,
        )
    return Flux(
        np.concatenate([emission.energies, plates.energies]),
        np.concatenate([emission.lines * lines / spread, plates.lines]),
        emission.bins * bins / spread + plates.bins,
        around,
    )


def straight_way(energies: FloatArray, surroundings: Surroundings) -> FloatArray:
    """Part of the photons that passes slabs and air between the shells and the detector."""
    passed = np.ones(energies.size)
    for made_of, thickness in surroundings.slabs:
        passed = passed * material(made_of).transmission(thickness, energies)
    if surroundings.air:
        way = max(surroundings.distance - surroundings.outside - surroundings.plates, 0.0)
        passed = passed * material("air").transmission(way, energies)
    return passed


def _require_lines(
    energies: npt.ArrayLike, intensities: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    at = require_energies(energies)
    photons = np.asarray(intensities, dtype=np.float64)
    if at.ndim != 1 or at.shape != photons.shape or not at.size:
        raise DataError(
            "lines are an energy and an intensity each, in two lists of the same length; got "
            f"shapes {at.shape} and {photons.shape}"
        )
    if not (np.isfinite(photons) & (photons >= 0)).all():
        raise DataError("intensities are photons per decay, finite and not below zero")
    return at, photons
