"""Photons above flat ground: from activity in soil, on it or in the air, to a plane in the air.

Soil fills the space below, air of even density the space above, both without end. The uncollided
flux has a closed form in exponential integrals. The scattered flux is that inside an endless medium
(at each energy as many photons are removed as are born and scattered in), which has every edge and
no noise, times a ratio that varies slowly with energy. The ratio comes from Monte Carlo: Compton
scattering and pair production with its annihilation photons, absorption by weight; after each
collision the flux that flies on uncollided to the plane is scored (last-flight estimator; Lux and
Koblinger 1991, Monte Carlo Particle Transport Methods, chapter 6). So sky-shine, the photons that
air scatters back, is in it. Left out are coherent scattering, fluorescence and bremsstrahlung,
which soil and air hardly emit above 20 keV.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.linalg import solve_triangular
from scipy.special import exp1, expn

from spectraloom._typing import FloatArray, IntArray
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma.checks import as_histories, as_seed
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY, scattered_fractions
from spectraloom.physics.gamma.materials import Material, material
from spectraloom.physics.gamma.transport.batches import side_by_side
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES, PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.sampling import (
    compton,
    free_path,
    generator,
    isotropic,
    turned,
    uniform,
)
from spectraloom.physics.gamma.transport.tables import (
    COMPTON,
    PAIR,
    PHOTO,
    look_up,
    material_tables,
    position,
)

Place: TypeAlias = Literal["soil", "surface", "air"]
"""Where the activity is: evenly in all soil, in its top layer, or evenly in all air."""

_PLACES: dict[str, int] = {"soil": 0, "surface": 1, "air": 2}
_SOIL, _AIR = 0, 1
_BATCHES = 32
_LEAST_ENERGY = 10.0  # keV; softer photons do not come out of a few mm of soil
_DEPTH = 1.5  # mean depth in mean free paths at which photons are started; they are weighted
_MOST_DEPTH = 14.0  # mean free paths to the plane beyond which a photon is given up: exp(-14)
_GROUPS = np.geomspace(_LEAST_ENERGY, PHOTON_EDGES[-1], 81)  # keV
_ABOVE_ZERO = np.maximum(PHOTON_EDGES, 1e-3)
_ROULETTE = 0.05  # part of its first weight below which a photon is followed at even odds


class GroundFlux(NamedTuple):
    """Flux over all directions at a plane above the ground, photons per cm2.

    Attributes
    ----------
    direct : ndarray, shape (n_lines,)
        Uncollided photons of each line.
    annihilation : float
        Uncollided photons of 511 keV from pair production in soil and air.
    scattered : ndarray, shape (n_bins,)
        Scattered ones per bin of ``PHOTON_EDGES``.
    """

    direct: FloatArray
    annihilation: float
    scattered: FloatArray


def ground_flux(
    energies: npt.ArrayLike,
    born: npt.ArrayLike,
    place: Place,
    *,
    height: float = 100.0,
    relaxation: float = 0.3,
    soil: str = "soil",
    histories: int = 500_000,
    seed: int = 0,
) -> GroundFlux:
    """Flux at some height above flat ground.

    Parameters
    ----------
    energies : array_like, shape (n_lines,)
        Lines, keV, from 10 to 10,000.
    born : array_like, shape (n_lines,)
        Photons born of each line: per cm3 of soil or air, per cm2 of a surface.
    place : str
        ``"soil"``, ``"surface"`` or ``"air"``.
    height : float
        Height of the plane above the ground, cm.
    relaxation : float
        Of activity on the surface only: mass depth in g/cm2 at which it has fallen to 1/e. The
        default is that of a fresh deposit on ground that is not smooth (ICRU Report 53, 1994).
    soil : str
        Material of the ground.
    histories : int
        Photons to follow.
    seed : int
        Start of the random numbers; the result does not depend on the number of threads.

    Returns
    -------
    GroundFlux
        For each photon born, as given.

    Raises
    ------
    LabelError
        If the place is none of the three.
    DataError
        If an energy is out of range, lines are missing, or a length or the number of histories is
        not above zero.
    """
    at, photons = _checked(energies, born, place, height, relaxation)
    histories, seed = as_histories(histories), as_seed(seed)
    ground, air = material(soil), material("air")
    depth = relaxation / ground.require_density()
    chosen, weights = _starts(at, photons, histories)
    tables = material_tables((ground, air)).attenuation

    def batch(number: int) -> tuple[FloatArray, float]:
        part = slice(number, None, _BATCHES)
        scattered = np.zeros(PHOTON_EDGES.size - 1)
        annihilation = _follow(
            tables,
            at[chosen[part]],
            weights[part],
            _PLACES[place],
            height,
            depth,
            seed,
            number,
            PHOTON_EDGES,
            scattered,
        )
        return scattered, annihilation

    parts = list(side_by_side(batch, _BATCHES))
    followed = np.sum([scattered for scattered, _ in parts], axis=0)
    endless = endless_flux("air" if place == "air" else soil, at, photons)
    return GroundFlux(
        photons * _uncollided(at, place, height, depth, ground, air),
        float(np.sum([annihilation for _, annihilation in parts])),
        endless.scattered * _smooth_ratio(followed, endless.scattered),
    )


def endless_flux(medium: str, energies: npt.ArrayLike, born: npt.ArrayLike) -> GroundFlux:
    """Flux inside an endless medium with sources spread evenly.

    At each energy mu phi = born + sum over higher energies of incoherent coefficient x phi x share
    of the Klein-Nishina spectrum; pairs give two photons of 511 keV each.

    Parameters
    ----------
    medium : str
        Material whose density is known.
    energies, born : array_like, shape (n_lines,)
        Lines, keV, and photons born of each per cm3.

    Returns
    -------
    GroundFlux
        Photons per cm2.

    Raises
    ------
    LabelError
        If the material is unknown.
    DataError
        If its density is unknown or an energy out of range.
    """
    made_of = material(medium)
    density = made_of.require_density()
    grid = made_of.cross_sections(PHOTON_ENERGIES)
    system = np.diag(density * grid.interacting)
    system -= (density * grid.incoherent[:, np.newaxis] * _between_bins()).T

    def descended(lines: FloatArray, photons: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        section = made_of.cross_sections(lines)
        direct = photons / (density * section.interacting)
        once = (density * section.incoherent * direct) @ scattered_fractions(lines, _ABOVE_ZERO)
        scattered = np.asarray(solve_triangular(system, once, lower=False))
        pairs = section.pair @ direct + grid.pair @ scattered
        return direct, scattered, float(2.0 * density * pairs)

    direct, scattered, turned_out = descended(np.asarray(energies, float), np.asarray(born, float))
    line, again, _ = descended(np.array([ELECTRON_REST_ENERGY]), np.array([turned_out]))
    return GroundFlux(direct, float(line[0]), scattered + again)


@lru_cache(maxsize=1)
def _between_bins() -> FloatArray:
    """Share of the scattered photons of one bin (row) that ends in another."""
    return scattered_fractions(PHOTON_ENERGIES, _ABOVE_ZERO)


def _smooth_ratio(followed: FloatArray, endless: FloatArray) -> FloatArray:
    """Ratio of two spectra, taken over groups of bins and drawn straight between them."""
    group = np.searchsorted(_GROUPS, PHOTON_ENERGIES)
    above, below = (np.bincount(group, part, _GROUPS.size + 1) for part in (followed, endless))
    centre = np.bincount(group, endless * np.log(PHOTON_ENERGIES), _GROUPS.size + 1)
    seen = (above > 0) & (below > 0)
    if not seen.any():
        return np.zeros_like(followed)
    return np.asarray(
        np.interp(
            np.log(PHOTON_ENERGIES),
            (centre / np.where(seen, below, 1.0))[seen],
            (above / np.where(seen, below, 1.0))[seen],
        )
    )


def _checked(
    energies: npt.ArrayLike, born: npt.ArrayLike, place: str, height: float, relaxation: float
) -> tuple[FloatArray, FloatArray]:
    at = np.asarray(energies, dtype=np.float64)
    photons = np.asarray(born, dtype=np.float64)
    if place not in _PLACES:
        raise LabelError(f"activity is in one of {', '.join(_PLACES)}; got {place!r}")
    if at.ndim != 1 or not at.size or at.shape != photons.shape:
        raise DataError(
            "give a list of line energies and as many numbers of photons; got shapes "
            f"{at.shape} and {photons.shape}"
        )
    if not (at.min() >= _LEAST_ENERGY and at.max() <= PHOTON_EDGES[-1]):
        raise DataError(
            f"lines of the ground have {_LEAST_ENERGY:g} to {PHOTON_EDGES[-1]:g} keV; got "
            f"{at.min():g} to {at.max():g}"
        )
    if not (photons > 0).all():
        raise DataError("numbers of photons must be above zero")
    for name, value in (("height", height), ("relaxation", relaxation)):
        if not 0 < value < np.inf:
            raise DataError(f"{name} must be above zero; got {value:g}")
    return at, photons


def _starts(energies: FloatArray, born: FloatArray, histories: int) -> tuple[IntArray, FloatArray]:
    """Line of each history, and the photons that it stands for.

    A line gets histories in proportion to its photons and their energy, to a history or so: what
    scatters from many weak lines is as well known as what scatters from one strong line.
    """
    share = born * energies
    share /= share.sum()
    even = (np.arange(histories) + 0.5) / histories
    chosen = np.searchsorted(np.cumsum(share), even).clip(max=energies.size - 1)
    return chosen, (born / share)[chosen] / histories


def _uncollided(
    energies: FloatArray, place: str, height: float, depth: float, soil: Material, air: Material
) -> FloatArray:
    """Uncollided flux for one photon born per cm3 (of a surface: per cm2) of each line.

    A plane source gives E1(tau) / 2; a half space is the integral of that over its depth.
    """
    below = soil.require_density() * soil.cross_sections(energies).interacting
    above = air.require_density() * air.cross_sections(energies).interacting
    tau = above * height
    if place == "soil":
        return np.asarray(0.5 * expn(2, tau) / below)
    if place == "air":
        return np.asarray(0.5 * (2.0 - expn(2, tau)) / above)
    across = below * depth
    return np.asarray(0.5 * (exp1(tau) - np.exp(tau / across) * exp1(tau * (1.0 + 1.0 / across))))


@njit(cache=True, nogil=True)
def _follow(
    attenuation: FloatArray,
    energies: FloatArray,
    weights: FloatArray,
    place: int,
    height: float,
    depth: float,
    seed: int,
    batch: int,
    edges: FloatArray,
    scattered: FloatArray,
) -> float:
    """Follow photons; adds to `scattered`, returns the uncollided annihilation photons."""
    state = generator(seed, batch)
    annihilation = 0.0
    for history in range(energies.size):
        energy = energies[history]
        first, z = _born(state, attenuation, energy, place, depth)
        first *= weights[history]
        weight = first
        u, v, w = isotropic(state)
        while True:
            z = _moved(state, attenuation, energy, z, w)
            medium = _SOIL if z < 0.0 else _AIR
            step, part = position(energy)
            once = look_up(attenuation[medium, COMPTON], step, part)
            pairs = 2.0 * look_up(attenuation[medium, PAIR], step, part)
            absorbed = look_up(attenuation[medium, PHOTO], step, part)
            weight *= (once + pairs) / (once + 0.5 * pairs + absorbed)
            line = uniform(state) * (once + pairs) >= once
            if line:
                energy = ELECTRON_REST_ENERGY
                u, v, w = isotropic(state)
            else:
                ratio, cosine = compton(state, energy)
                energy *= ratio
                u, v, w = turned(u, v, w, cosine, 2.0 * np.pi * uniform(state))
            if energy < _LEAST_ENERGY:
                break
            tau = _to_plane(attenuation, energy, z, height)
            if tau > _MOST_DEPTH:
                break
            if w != 0.0 and (w > 0.0) == (z < height):
                flux = weight * np.exp(-tau / abs(w)) / abs(w)
                if line:
                    annihilation += flux
                else:
                    scattered[np.searchsorted(edges, energy, side="right") - 1] += flux
            if weight < _ROULETTE * first:
                if uniform(state) < 0.5:
                    break
                weight *= 2.0
    return annihilation


@njit(cache=True, nogil=True)
def _total(attenuation: FloatArray, medium: int, energy: float) -> float:
    """Attenuation coefficient, 1/cm."""
    step, part = position(energy)
    return (
        look_up(attenuation[medium, PHOTO], step, part)
        + look_up(attenuation[medium, COMPTON], step, part)
        + look_up(attenuation[medium, PAIR], step, part)
    )


@njit(cache=True, nogil=True)
def _born(
    state: npt.NDArray[np.uint64], attenuation: FloatArray, energy: float, place: int, depth: float
) -> tuple[float, float]:
    """Weight and height of a birth, cm; of births per cm3 the weight is the depth it stands for."""
    path = free_path(state)
    if place == 1:
        return 1.0, -depth * path
    medium = _SOIL if place == 0 else _AIR
    length = _DEPTH / _total(attenuation, medium, energy)
    z = path * length
    return length * np.exp(path), -z if medium == _SOIL else z


@njit(cache=True, nogil=True)
def _moved(
    state: npt.NDArray[np.uint64], attenuation: FloatArray, energy: float, z: float, w: float
) -> float:
    """Height of the next collision of a photon with vertical direction `w`."""
    left = free_path(state)
    medium = _SOIL if z < 0.0 else _AIR
    total = _total(attenuation, medium, energy)
    if (w > 0.0) == (z < 0.0) and w != 0.0:
        across = total * abs(z / w)
        if left >= across:
            other = _AIR if medium == _SOIL else _SOIL
            return w * (left - across) / _total(attenuation, other, energy)
    return z + w * left / total


@njit(cache=True, nogil=True)
def _to_plane(attenuation: FloatArray, energy: float, z: float, height: float) -> float:
    """Mean free paths straight up or down to the plane."""
    air = _total(attenuation, _AIR, energy)
    if z >= 0.0:
        return air * abs(height - z)
    return air * height - _total(attenuation, _SOIL, energy) * z
