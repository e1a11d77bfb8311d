"""Expected spectra: photons at a detector, deposits in its crystal, counts in its channels.

The parts that take long, photons through the surroundings of a source and deposits in the
crystal, are remembered. The rest are products of matrices: milliseconds for a nuclide.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_array

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma.background import (
    BACKGROUND_COMPONENTS,
    Background,
    background_flux,
)
from spectraloom.physics.gamma.compton import scattered_energy, scattered_fractions
from spectraloom.physics.gamma.crystal import Crystal, Layer
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.emission import EmissionLines
from spectraloom.physics.gamma.lines import BACKGROUND, sources
from spectraloom.physics.gamma.nuclides import nuclide
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES, PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.response_matrix import Incidence, response_matrix
from spectraloom.physics.gamma.transport.surroundings import Flux, Surroundings, emerging

Absorber: TypeAlias = Layer
"""Material and thickness in cm, e.g. ``("Pb", 0.2)``."""

_NEAR = 10.0  # sizes of the crystal from which on a source is far, and its photons parallel
_LEAST_INTENSITY = 1e-4  # photons per decay; weaker lines drown
_LOWEST_LINE = 10.0  # keV; softer photons stay in the window of any detector
_REACH = 8.0  # standard deviations beyond which a Gaussian is nothing
_BLOCK = 128  # columns folded at a time
_FINEST = 0.25  # keV
_LEAST_PASSING = 1e-5


def expected_counts(
    source: str | EmissionLines,
    detector: GammaDetector,
    surroundings: Surroundings | None = None,
) -> FloatArray:
    """Counts per channel for each decay of a source.

    Parameters
    ----------
    source : str or EmissionLines
        A nuclide with the daughters it is in equilibrium with, or lines per decay, as
        ``nuclide("Th-232").aged("20 y")`` gives them. Lines of less than 0.0001 photons per decay
        or below 10 keV are left out.
    detector : GammaDetector
        The detector; the source lies on its axis.
    surroundings : Surroundings, optional
        What is around; by default a bare source at 1 m in air.

    Returns
    -------
    ndarray, shape (n_channels,)
        Expected counts; times the activity in Bq they are counts per second.

    Raises
    ------
    LabelError
        If there is no such nuclide.
    DataError
        If the source has no such lines, or one of them is above the tables.
    """
    around = Surroundings() if surroundings is None else surroundings
    lines = source_lines(source)
    flux = emerging(lines.energies, lines.intensities, around)
    return detector_counts(flux, detector, distance=around.distance)


@lru_cache(maxsize=1024)
def expected_spectrum(
    name: str, detector: GammaDetector, absorber: Absorber | None = None
) -> FloatArray:
    """Shape of the spectrum that a detector counts from a source at 1 m, or of the background.

    Parameters
    ----------
    name : str
        A nuclide, or ``"background"`` for the natural background in its median make-up.
    detector : GammaDetector
        The detector.
    absorber : tuple of str and float, optional
        Material and thickness in cm of a closed layer around the source.

    Returns
    -------
    ndarray, shape (n_channels,)
        Sums to one over the axis of the detector; read-only.

    Raises
    ------
    LabelError
        If the source or the material is unknown.
    DataError
        If next to nothing passes the absorber, or the background is to pass one.
    """
    if name == BACKGROUND:
        if absorber is not None:
            raise DataError("the natural background comes from all sides: it has no absorber")
        counts = Background().weights @ np.array(list(background_rates(detector).values()))
    else:
        counts = _behind(name, detector, absorber)
    total = counts.sum()
    if not total > 0:
        raise DataError(f"nothing of {name} is counted on the axis: {detector.axis.describe()}")
    shape = np.asarray(counts / total)
    shape.flags.writeable = False
    return shape


def _behind(name: str, detector: GammaDetector, absorber: Absorber | None) -> FloatArray:
    bare = expected_counts(_named(name), detector)
    if absorber is None or absorber[1] == 0:
        return bare
    counts = expected_counts(name, detector, Surroundings(shells=(absorber,)))
    if not counts.sum() > _LEAST_PASSING * bare.sum():
        raise DataError(
            f"less than {_LEAST_PASSING:g} of what is counted of {name} on the axis "
            f"({detector.axis.describe()}) passes the absorber {absorber}, so that lines too weak "
            "for the table would show: take a thinner absorber or a wider axis"
        )
    return counts


def _named(source: str) -> str:
    try:
        return nuclide(source).name
    except LabelError as error:
        raise LabelError(
            f"{error} (known sources: {', '.join(sources())}, and all nuclides)"
        ) from None


def source_lines(source: str | EmissionLines) -> EmissionLines:
    """Lines of a source that a detector can see.

    Raises
    ------
    LabelError
        If there is no such nuclide.
    DataError
        If it has none.
    """
    lines = nuclide(source).lines if isinstance(source, str) else source
    strong = EmissionLines(
        tuple(one for one in lines.at_least(_LEAST_INTENSITY).rows if one.energy >= _LOWEST_LINE)
    )
    if not len(strong):
        named = source if isinstance(source, str) else "the source"
        raise DataError(
            f"neither {named} nor a daughter in equilibrium with it emits photons of at least "
            f"{_LOWEST_LINE:g} keV in {_LEAST_INTENSITY:.2%} of its decays"
        )
    return strong


@lru_cache(maxsize=64)
def background_rates(detector: GammaDetector) -> dict[str, FloatArray]:
    """What a detector counts of each part of the natural background.

    Parameters
    ----------
    detector : GammaDetector
        The detector, 1 m above ground.

    Returns
    -------
    dict of str to ndarray, shape (n_channels,)
        Counts per second for each of ``BACKGROUND_COMPONENTS``, per unit of it; read-only. The
        ``weights`` of a :class:`~spectraloom.physics.gamma.background.Background` multiply them.
    """
    found = {}
    for component in BACKGROUND_COMPONENTS:
        flux = background_flux(component)
        rates = _line_counts(detector, "around", flux.energies, flux.direct)
        rates += _bin_counts(detector, "around", flux.around)
        rates.flags.writeable = False
        found[component] = rates
    return found


def detector_counts(flux: Flux, detector: GammaDetector, *, distance: float) -> FloatArray:
    """Counts per channel from photons of a source on the axis of a detector.

    Parameters
    ----------
    flux : Flux
        Photons per cm2 at the front of the detector.
    detector : GammaDetector
        The detector. Its `backscatter` adds photons that the room turns back.
    distance : float
        From the source to the front of the housing, cm.

    Returns
    -------
    ndarray, shape (n_channels,)
        Expected counts.

    Raises
    ------
    DataError
        If an energy is above those of the tables.
    """
    incidence, weakened = from_where(detector.crystal, distance)
    counts = _line_counts(detector, incidence, flux.energies, flux.direct)
    counts += _bin_counts(detector, incidence, flux.front)
    around = flux.around + detector.backscatter * turned_back(flux)
    return np.asarray(weakened * counts + _bin_counts(detector, "around", around))


def turned_back(flux: Flux) -> FloatArray:
    """Photons that come from the front, after one scattering by more than 90 degrees.

    Parameters
    ----------
    flux : Flux
        Photons at the detector.

    Returns
    -------
    ndarray, shape (n_bins,)
        Photons per bin of ``PHOTON_EDGES``, as many as come from the front (Klein and Nishina,
        free electrons).
    """
    return np.asarray(flux.direct @ _backward(flux.energies) + flux.front @ _backward_of_bins())


def _backward(energies: FloatArray) -> FloatArray:
    shares = np.empty((len(energies), len(PHOTON_ENERGIES)))
    for row, energy in enumerate(energies):
        # The bin that holds the energy of 90 degrees is cut there, not taken whole.
        edges = np.clip(PHOTON_EDGES, 1e-3, scattered_energy(energy, 0.0))
        shares[row] = scattered_fractions(energy, edges)[0]
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


@lru_cache(maxsize=1)
def _backward_of_bins() -> FloatArray:
    return _backward(PHOTON_ENERGIES)


def from_where(crystal: Crystal, distance: float) -> tuple[Incidence, float]:
    """How photons of a source come in, and the fluence inside over that at the front.

    Parameters
    ----------
    crystal : Crystal
        The crystal.
    distance : float
        From the source to the front of the housing, cm.
    """
    size = crystal.size
    if distance < _NEAR * max(size):
        return float(distance), 1.0
    # A far source: parallel, but weaker at the middle of the crystal than at the window.
    return "front", (distance / (distance + 0.5 * size[-1])) ** 2


def _line_counts(
    detector: GammaDetector, incidence: Incidence, energies: FloatArray, photons: FloatArray
) -> FloatArray:
    """Counts of lines: peaks where they are, what is between them by bins."""
    edges = _fine_edges(detector)
    seen = np.flatnonzero(photons > 0)
    deposits = response_matrix(detector.crystal, incidence).deposits(energies[seen], edges)
    counts = _folded_bins(detector) @ (deposits.continuum @ photons[seen])
    peaks = (deposits.areas * photons[seen]).ravel()
    at = deposits.energies.ravel()
    there = np.flatnonzero((peaks > 0) & (at > 0))
    there = there[np.argsort(at[there])]
    return np.asarray(counts + _folded_lines(detector, at[there], peaks[there]))


def _bin_counts(detector: GammaDetector, incidence: Incidence, photons: FloatArray) -> FloatArray:
    """Counts of photons given per bin of ``PHOTON_EDGES``."""
    if not photons.any():
        return np.zeros(detector.axis.n_channels)
    deposits = _deposits_of_bins(detector.crystal, incidence) @ photons
    return np.asarray(_folded_coarse(detector) @ deposits)


@lru_cache(maxsize=16)
def _deposits_of_bins(crystal: Crystal, incidence: Incidence) -> FloatArray:
    """Deposits of one photon per cm2 in each bin, shape (n_bins, n_bins) on ``PHOTON_EDGES``."""
    response = response_matrix(crystal, incidence)
    within = response.energies[-1] >= PHOTON_ENERGIES
    energies = PHOTON_ENERGIES[within]
    deposits = response.deposits(energies, PHOTON_EDGES)
    matrix = np.zeros((len(PHOTON_ENERGIES), len(PHOTON_ENERGIES)))
    matrix[:, within] = deposits.continuum
    half = 0.5 * np.diff(PHOTON_EDGES)[within]
    columns = np.flatnonzero(within)
    for at, areas, moving in zip(deposits.energies, deposits.areas, response.moving, strict=True):
        # Lines that move with the photon are as wide as its bin.
        width = np.where(moving > 0, half, 1e-3)
        inner = np.clip(PHOTON_EDGES[:, np.newaxis], at - width, at + width)
        matrix[:, columns] += np.diff((inner - at) / (2.0 * width), axis=0) * areas
    return matrix


def _fine_edges(detector: GammaDetector) -> FloatArray:
    """Bins of deposits as narrow as the resolution asks for, up to the end of the axis."""
    top = _highest_deposit(detector)
    finest = max(_FINEST, 0.5 * float(detector.sigma(100.0)))
    parts = max(1, int(np.ceil(2.0 / finest)))
    coarse = PHOTON_EDGES[: int(np.searchsorted(PHOTON_EDGES, top)) + 1]
    steps = np.arange(parts) / parts
    inner = coarse[:-1, np.newaxis] + np.diff(coarse)[:, np.newaxis] * steps
    return np.append(inner.ravel(), coarse[-1])


def _highest_deposit(detector: GammaDetector) -> float:
    """Deposit above which nothing is counted on the axis, keV."""
    reach = PHOTON_EDGES[1:]
    counted = detector.apparent(reach) - _REACH * detector.sigma(reach) < detector.axis.edges[-1]
    return float(reach[counted][-1]) if counted.any() else float(reach[0])


@lru_cache(maxsize=16)
def _folded_bins(detector: GammaDetector) -> csr_array:
    return _folded(detector, _fine_edges(detector))


@lru_cache(maxsize=16)
def _folded_coarse(detector: GammaDetector) -> csr_array:
    return _folded(detector, PHOTON_EDGES)


def _folded(detector: GammaDetector, edges: FloatArray) -> csr_array:
    """Share of each bin of deposits that every channel counts, shape (n_channels, n_bins)."""
    rows, columns, shares = [], [], []
    for first in range(0, len(edges) - 1, _BLOCK):
        part = edges[first : first + _BLOCK + 1]
        reached = _within_reach(detector, part)
        if reached.stop > reached.start:
            dense = _only(detector, reached).fold_bins(part)
            row, column = np.nonzero(dense)
            rows.append(row + reached.start)
            columns.append(column + first)
            shares.append(dense[row, column])
    if not rows:
        return csr_array((detector.axis.n_channels, len(edges) - 1))
    entries = np.concatenate(shares), (np.concatenate(rows), np.concatenate(columns))
    return csr_array(entries, shape=(detector.axis.n_channels, len(edges) - 1))


def _folded_lines(detector: GammaDetector, energies: FloatArray, counts: FloatArray) -> FloatArray:
    """Counts of sharp deposits, by increasing energy, in all channels."""
    found = np.zeros(detector.axis.n_channels)
    for first in range(0, len(energies), _BLOCK):
        part = slice(first, first + _BLOCK)
        reached = _within_reach(detector, energies[part])
        if reached.stop > reached.start:
            shares = _only(detector, reached).fold_lines(energies[part])
            found[reached] += shares @ counts[part]
    return found


def _within_reach(detector: GammaDetector, energies: FloatArray) -> slice:
    """Channels that count any of some deposits."""
    at, reach = detector.apparent(energies), _REACH * detector.sigma(energies)
    edges = detector.axis.edges
    low = int(np.searchsorted(edges, (at - reach).min())) - 1
    high = int(np.searchsorted(edges, (at + reach).max()))
    return slice(max(low, 0), min(high, len(edges) - 1))


def _only(detector: GammaDetector, channels: slice) -> GammaDetector:
    """The detector with some of its channels only."""
    return replace(detector, axis=detector.axis[channels])
