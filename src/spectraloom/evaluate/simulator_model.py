"""Spectra as our simulator expects them, for reference spectra of known origin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from spectraloom._typing import FloatArray
from spectraloom.evaluate.simulator_data import ReferenceSpectrum
from spectraloom.physics.gamma import GammaDetector
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.incidence import face, from_where
from spectraloom.physics.gamma.spectrum import source_lines, turned_back
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES, PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.response_matrix import (
    Incidence,
    ResponseMatrix,
    default_energies,
    response_matrix,
)
from spectraloom.physics.gamma.transport.surroundings import Surroundings, emerging

_SHELL = "steel"
_LEAST_ENERGY, _MOST_ENERGY = 16.0, 3400.0
_LEAST_PEAK = 1e-7  # of the largest
_DEPOSIT_EDGES = PHOTON_EDGES[PHOTON_EDGES <= _MOST_ENERGY + 100.0]
# Widths of more bins of deposited energy than that do not tell a bin from a line; less wide ones
# leave the continuum as it is.
_SMOOTH = 2.0
_REACH = 6.0  # standard deviations beyond which a Gaussian is nothing


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What photons fly through: all that a transport has to be done for.

    Parameters
    ----------
    crystal : Crystal
        The detector.
    surroundings : Surroundings
        With a floor; without the steel of a single spectrum.
    histories : int
        Photons for each energy of a response.
    """

    crystal: Crystal
    surroundings: Surroundings
    histories: int


class Deposited(NamedTuple):
    """Expected deposits of energy per decay, from each part of the photons.

    Attributes
    ----------
    energies : ndarray, shape (n_peaks,)
        Of full energy and escape peaks, keV.
    peaks : ndarray, shape (n_parts, n_peaks)
        Counts in them.
    bins : ndarray, shape (n_parts, n_bins)
        Counts in the continuum, per bin of deposited energy.
    """

    energies: FloatArray
    peaks: FloatArray
    bins: FloatArray


PARTS = ("source", "floor", "backscatter")
"""Photons of the source with what shells and air scatter; those that a wide floor scatters; and
those that are turned back by what stands behind the detector."""


def deposited(one: ReferenceSpectrum, arrangement: Arrangement) -> Deposited:
    """Energy that the photons of a spectrum leave in a crystal."""
    return _deposited(one.nuclide, one.thickness, arrangement)


@lru_cache(maxsize=1024)
def _deposited(name: str, thickness: float, arrangement: Arrangement) -> Deposited:
    source = source_lines(name)
    around = behind_steel(arrangement.surroundings, thickness)
    lines = source.energies, source.intensities
    flux = emerging(*lines, around)
    bare = emerging(*lines, replace(around, floor=None)).around
    crystal, n = arrangement.crystal, arrangement.histories
    distance = around.distance
    seen = (flux.energies >= _LEAST_ENERGY) & (flux.energies <= _MOST_ENERGY) & (flux.direct > 0)
    energies, direct = flux.energies[seen], flux.direct[seen]
    near = np.zeros(_DEPOSIT_EDGES.size - 1)
    areas, at = np.zeros(0), np.zeros(0)
    for incidence, parts in from_where(crystal, distance, energies):
        found = _matrix(crystal, incidence, n).deposits(energies, _DEPOSIT_EDGES)
        # The peaks of a crystal are at the same energies however photons come in.
        at = found.energies.ravel()
        counts = (found.areas * (parts * direct)).ravel()
        areas = areas + counts if areas.size else counts
        near += found.continuum @ (parts * direct)
    for incidence, parts in from_where(crystal, distance, PHOTON_ENERGIES):
        near += _of_bins(_matrix(crystal, incidence, n)) @ (parts * flux.front)
    clear = areas > _LEAST_PEAK * areas.max()
    peaks = np.zeros((len(PARTS), int(clear.sum())))
    peaks[0] = areas[clear]
    # What is scattered makes no peaks, and fewer photons do.
    sides = _of_bins(_matrix(crystal, "around", max(n // 4, 1)))
    reaching = face(crystal, distance) / face(crystal, None)
    from_floor = np.maximum(flux.around - bare, 0.0)
    air, floor, back = (sides @ np.stack([bare, from_floor, reaching * turned_back(flux)], 1)).T
    bins = np.stack([near + air, floor, back])
    for array in (peaks, bins):
        array.flags.writeable = False
    return Deposited(at[clear], peaks, bins)


def behind_steel(surroundings: Surroundings, thickness: float) -> Surroundings:
    """The surroundings with a sphere of steel around the source, cm."""
    if not thickness:
        return surroundings
    return replace(surroundings, shells=(*surroundings.shells, (_SHELL, thickness)))


@lru_cache(maxsize=24)
def _matrix(crystal: Crystal, incidence: Incidence, histories: int) -> ResponseMatrix:
    """Response that is kept by itself, as what is made of it is."""
    grid = default_energies(crystal)
    above = int(np.searchsorted(grid, _MOST_ENERGY))
    return response_matrix(crystal, incidence, histories=histories, energies=grid[: above + 1])


@lru_cache(maxsize=24)
def _of_bins(matrix: ResponseMatrix) -> FloatArray:
    """Deposits per bin from one photon per cm2 in each bin of photon energy."""
    used = (PHOTON_ENERGIES >= _LEAST_ENERGY) & (PHOTON_EDGES[1:] <= _MOST_ENERGY)
    energies = PHOTON_ENERGIES[used]
    found = matrix.deposits(energies, _DEPOSIT_EDGES)
    counts = found.continuum.copy()
    rows = np.searchsorted(_DEPOSIT_EDGES, found.energies, side="right") - 1
    columns = np.broadcast_to(np.arange(energies.size), rows.shape)
    np.add.at(counts, (np.maximum(rows, 0).ravel(), columns.ravel()), found.areas.ravel())
    whole = np.zeros((counts.shape[0], PHOTON_ENERGIES.size))
    whole[:, used] = counts
    whole.flags.writeable = False
    return whole


def folded(some: Deposited, detector: GammaDetector, weights: FloatArray) -> FloatArray:
    """Counts per channel from deposits.

    Parameters
    ----------
    some : Deposited
        Deposited energy.
    detector : GammaDetector
        Resolution, light and axis.
    weights : ndarray, shape (n_parts,)
        Of the parts of the photons.

    Returns
    -------
    ndarray, shape (n_channels,)
        Expected counts per decay.
    """
    peaks, bins = weights @ some.peaks, weights @ some.bins
    counts = _lines(some.energies, peaks, detector)
    widths = np.diff(_DEPOSIT_EDGES)
    middle = widths.size // 3
    if detector.fwhm(_DEPOSIT_EDGES[middle]) > _SMOOTH * widths[middle]:
        return counts + _lines(_DEPOSIT_EDGES[:-1] + 0.5 * widths, bins, detector)
    cumulative = np.append(0.0, np.cumsum(bins))
    at = detector.apparent(_DEPOSIT_EDGES)
    return counts + np.diff(np.interp(detector.axis.edges, at, cumulative))


def _lines(energies: FloatArray, areas: FloatArray, detector: GammaDetector) -> FloatArray:
    """Gaussians, each over the channels that it reaches."""
    edges, centers, sigma = (
        detector.axis.edges,
        detector.apparent(energies),
        detector.line_sigma(energies),
    )
    first = np.searchsorted(edges, centers - _REACH * sigma)
    number = np.searchsorted(edges, centers + _REACH * sigma) - first
    starts = np.cumsum(number) - number
    which = np.repeat(np.arange(energies.size), number)
    at = first[which] + np.arange(which.size) - starts[which]
    below = ndtr((edges[at] - centers[which]) / sigma[which]) * areas[which]
    # What lies below each edge: from here on a line is below all of them.
    cumulative = np.bincount(at, below, edges.size)
    ended = np.bincount(first + number, areas, edges.size + 1)[:-1]
    return np.diff(cumulative + np.cumsum(ended))
