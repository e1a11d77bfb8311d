"""Expected spectra: photons at a detector, deposits in its crystal, counts in its channels.

The parts that take long, photons through the surroundings of a source and deposits in the
crystal, are remembered. The rest are products of matrices, which are kept for the detectors and
lines used last: a millisecond for a nuclide of some lines, and a few for one of hundreds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from spectraloom._typing import FloatArray, IntArray
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma.background import (
    BACKGROUND_COMPONENTS,
    Background,
    background_flux,
)
from spectraloom.physics.gamma.compton import (
    ELECTRON_REST_ENERGY,
    scattered_energy,
    scattered_fractions,
)
from spectraloom.physics.gamma.crystal import Crystal, Layer
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.emission import EmissionLines
from spectraloom.physics.gamma.incidence import face, from_where
from spectraloom.physics.gamma.lines import BACKGROUND, sources
from spectraloom.physics.gamma.materials import material_name
from spectraloom.physics.gamma.nuclides import nuclide
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES, PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.response_matrix import Incidence, response_matrix
from spectraloom.physics.gamma.transport.surroundings import Flux, Surroundings, emerging

Absorber: TypeAlias = Layer
"""Material and thickness in cm, e.g. ``("Pb", 0.2)``."""

_LEAST_COUNTED = 1e-6  # of the counts of the strongest line; weaker ones drown
_LOWEST_LINE = 10.0  # keV; softer photons stay in the window of any detector
_REACH = 8.0  # standard deviations beyond which a Gaussian is nothing
_BLOCK = 128  # columns folded at a time
_PEAKS = 16  # peaks folded at a time
_FINEST = 0.25  # keV
LEAST_PASSING = 1e-5
"""Part of the counts of a bare source that must pass an absorber. The tables of lines begin at some
1e-6 photons per decay: behind more, lines too weak for them would show."""

# No photon keeps more than the rest energy of an electron when it is scattered by 90 degrees.
_N_BACKWARD = int(np.searchsorted(PHOTON_EDGES, ELECTRON_REST_ENERGY))
# Responses to bins are kept up to 1, 3 or 10 MeV: 2, 6 or 13 MB each.
_PARTS_OF_BINS = tuple(int(np.searchsorted(PHOTON_EDGES, top)) for top in (1e3, 3e3, 1e4))
_N_RESPONSES = 12
# Responses to lines are kept in blocks of at most so many numbers, 4 MB each.
_LARGEST_BLOCK = 1 << 19
_N_BLOCKS = 24


def expected_counts(
    source: str | EmissionLines,
    detector: GammaDetector,
    surroundings: Surroundings | None = None,
) -> FloatArray:
    """Counts per channel for each decay of a source.

    Parameters
    ----------
    source : str or EmissionLines
        A nuclide with its short-lived daughters (``nuclide(...).lines``), or lines per decay, as
        ``nuclide("Th-232").aged("20 y")`` gives them. Lines below 10 keV are left out, and those
        that are counted less than 1e-6 times as often as the one that is counted most.
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


@lru_cache(maxsize=512)
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
    if not counts.sum() > LEAST_PASSING * bare.sum():
        raise DataError(
            f"less than {LEAST_PASSING:g} of what is counted of {name} on the axis "
            f"({detector.axis.describe()}) passes {absorber[1]:g} cm of "
            f"{material_name(absorber[0])}, so that lines too weak for the table would show: "
            "take a thinner absorber or a wider axis"
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
    seen = EmissionLines(
        tuple(one for one in lines.rows if one.energy >= _LOWEST_LINE and one.intensity > 0)
    )
    if not len(seen):
        named = source if isinstance(source, str) else "the source"
        raise DataError(
            f"neither {named} nor a daughter in equilibrium with it emits photons of at least "
            f"{_LOWEST_LINE:g} keV"
        )
    return seen


@lru_cache(maxsize=32)
def background_rates(detector: GammaDetector) -> Mapping[str, FloatArray]:
    """What a detector counts of each part of the natural background.

    Parameters
    ----------
    detector : GammaDetector
        The detector, 1 m above ground.

    Returns
    -------
    mapping of str to ndarray, shape (n_channels,)
        Counts per second for each of ``BACKGROUND_COMPONENTS``, per unit of it; read-only. The
        ``weights`` of a :class:`~spectraloom.physics.gamma.background.Background` multiply them.
    """
    found = {}
    for component in BACKGROUND_COMPONENTS:
        flux = background_flux(component)
        rates = _line_counts(detector, "around", flux.energies, flux.direct)
        rates += _folded_coarse(detector) @ _bin_deposits(detector.crystal, "around", flux.around)
        rates.flags.writeable = False
        found[component] = rates
    return MappingProxyType(found)


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
    crystal = detector.crystal
    scattered = from_where(crystal, distance, PHOTON_ENERGIES)
    nearest, _ = scattered[-1]
    energies, direct = _counted(crystal, nearest, flux.energies, flux.direct)
    counts = np.zeros(detector.axis.n_channels)
    for incidence, parts in from_where(crystal, distance, energies):
        counts += _line_counts(detector, incidence, energies, parts * direct)
    # Photons are turned back if they come near the detector: of a source before the window, those
    # that fly away from it do not.
    reaching = float(face(crystal, distance) / face(crystal, None))
    back = turned_back(flux._replace(energies=energies, direct=direct))
    around = flux.around + detector.backscatter * reaching * back
    deposits = _bin_deposits(crystal, "around", around)
    for incidence, parts in scattered:
        deposits += _bin_deposits(crystal, incidence, parts * flux.front)
    return np.asarray(counts + _folded_coarse(detector) @ deposits)


def _counted(
    crystal: Crystal, incidence: Incidence, energies: FloatArray, photons: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Lines, and their photons, without those that drown in the others."""
    response = response_matrix(crystal, incidence)
    if (energies > response.energies[-1]).any():
        return energies, photons  # they are refused where they are folded
    areas = np.interp(energies, response.energies, response.total, left=0.0)
    counts = photons * areas
    seen = counts > _LEAST_COUNTED * counts.max(initial=0.0)
    return energies[seen], photons[seen]


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
    turned = np.zeros(len(PHOTON_ENERGIES))
    last = _end(flux.front)
    turned[:_N_BACKWARD] = _weighted(flux.direct, _backward_of_lines(_key(flux.energies)))
    turned[:_N_BACKWARD] += _weighted(flux.front[:last], _backward_of_bins()[:last])
    return turned


def _backward(energies: FloatArray) -> FloatArray:
    """Where photons go that are turned back, shape (n, _N_BACKWARD)."""
    # The bin that holds the energy of 90 degrees is cut there, not taken whole.
    sideways = scattered_energy(energies, 0.0)[:, np.newaxis]
    edges = np.clip(PHOTON_EDGES[: _N_BACKWARD + 1], 1e-3, sideways)
    shares = scattered_fractions(energies, edges)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


@lru_cache(maxsize=32)
def _backward_of_lines(energies: bytes) -> FloatArray:
    return _backward(np.frombuffer(energies))


@lru_cache(maxsize=1)
def _backward_of_bins() -> FloatArray:
    return _backward(PHOTON_ENERGIES)


def _key(energies: FloatArray) -> bytes:
    """Energies as something to remember a result by."""
    return np.asarray(energies, dtype=np.float64).tobytes()


def _weighted(photons: FloatArray, responses: FloatArray) -> FloatArray:
    """Sum of responses (n, m), each times its number of photons (n,)."""
    # A product of matrices would wake threads for less than they cost, and round as they divide it.
    return np.asarray(np.einsum("i,ij->j", photons, responses))


def _end(photons: FloatArray) -> int:
    """Number of bins up to the last that holds photons."""
    filled = np.flatnonzero(photons)
    return int(filled[-1]) + 1 if filled.size else 0


_Entries: TypeAlias = tuple[FloatArray, IntArray, IntArray]
"""Values of a matrix with their rows and columns."""


class _LineResponse(NamedTuple):
    """What one photon per cm2 of each line leaves in a detector."""

    peaks: csr_array  # (n_channels, n_lines) counts
    continuum: FloatArray  # (n_lines, n_bins) deposits in `_fine_edges`


def _line_counts(
    detector: GammaDetector, incidence: Incidence, energies: FloatArray, photons: FloatArray
) -> FloatArray:
    """Counts of lines: peaks where they are, what is between them by bins."""
    seen = np.flatnonzero(photons > 0)
    energies, photons = energies[seen], photons[seen]
    folded = _folded_bins(detector)
    counts, deposits = (np.zeros(n) for n in folded.shape)
    step = max(1, _LARGEST_BLOCK // folded.shape[1])
    for first in range(0, len(seen), step):
        some = slice(first, first + step)
        response = _line_response(detector, incidence, _key(energies[some]))
        counts += response.peaks @ photons[some]
        deposits += _weighted(photons[some], response.continuum)
    return np.asarray(counts + folded @ deposits)


@lru_cache(maxsize=_N_BLOCKS)
def _line_response(detector: GammaDetector, incidence: Incidence, lines: bytes) -> _LineResponse:
    response = response_matrix(detector.crystal, incidence)
    deposits = response.deposits(np.frombuffer(lines), _fine_edges(detector))
    # Peaks of all lines by rising energy: those folded at once so reach few channels.
    kind, line = np.nonzero((deposits.areas > 0) & (deposits.energies > 0))
    order = np.argsort(deposits.energies[kind, line], kind="stable")
    kind, line = kind[order], line[order]
    at, areas = deposits.energies[kind, line], deposits.areas[kind, line]
    found: list[_Entries] = []
    for first in range(0, len(at), _PEAKS):
        some = slice(first, first + _PEAKS)
        reached = _within_reach(detector, at[some])
        if reached.stop > reached.start:
            dense = detector.fold_lines(at[some], reached) * areas[some]
            row, column = np.nonzero(dense)
            found.append((dense[row, column], row + reached.start, line[some][column]))
    shape = (detector.axis.n_channels, deposits.areas.shape[1])
    return _LineResponse(_sparse(found, shape), np.ascontiguousarray(deposits.continuum.T))


def _sparse(found: list[_Entries], shape: tuple[int, int]) -> csr_array:
    """Matrix out of parts: values, rows and columns."""
    if not found:
        return csr_array(shape)
    values, rows, columns = (np.concatenate(part) for part in zip(*found, strict=True))
    places = rows.astype(np.int32), columns.astype(np.int32)
    return csr_array((values, places), shape=shape)


def _bin_deposits(crystal: Crystal, incidence: Incidence, photons: FloatArray) -> FloatArray:
    """Deposits of photons, both in bins of ``PHOTON_EDGES``."""
    deposits = np.zeros(len(PHOTON_ENERGIES))
    last = _end(photons)
    if last:
        # Photons deposit no more than they have: bins above the last of them take no part.
        part = min(n for n in _PARTS_OF_BINS if n >= last)
        responses = _deposits_of_bins(crystal, incidence, part)[:last]
        deposits[:part] = _weighted(photons[:last], responses)
    return deposits


@lru_cache(maxsize=_N_RESPONSES)
def _deposits_of_bins(crystal: Crystal, incidence: Incidence, n: int) -> FloatArray:
    """Deposits of one photon per cm2 in each of the first bins of ``PHOTON_EDGES``.

    Returns an array of shape (n photon bins, n deposit bins).
    """
    response = response_matrix(crystal, incidence)
    edges, energies = PHOTON_EDGES[: n + 1], PHOTON_ENERGIES[:n]
    energies = energies[energies <= response.energies[-1]]
    deposits = response.deposits(energies, edges)
    matrix = np.zeros((n, n))
    matrix[: len(energies)] = deposits.continuum.T
    half = 0.5 * np.diff(edges)[: len(energies)]
    for at, areas, moving in zip(deposits.energies, deposits.areas, response.moving, strict=True):
        # Lines that move with the photon are as wide as its bin.
        width = np.where(moving > 0, half, 1e-3)[:, np.newaxis]
        inner = np.clip(edges, at[:, np.newaxis] - width, at[:, np.newaxis] + width)
        matrix[: len(energies)] += np.diff(inner, axis=1) * (areas[:, np.newaxis] / (2.0 * width))
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
    found: list[_Entries] = []
    for first in range(0, len(edges) - 1, _BLOCK):
        part = edges[first : first + _BLOCK + 1]
        reached = _within_reach(detector, part)
        if reached.stop > reached.start:
            dense = detector.fold_bins(part, reached)
            row, column = np.nonzero(dense)
            found.append((dense[row, column], row + reached.start, column + first))
    return _sparse(found, (detector.axis.n_channels, len(edges) - 1))


def _within_reach(detector: GammaDetector, energies: FloatArray) -> slice:
    """Channels that count any of some deposits."""
    at, reach = detector.apparent(energies), _REACH * detector.line_sigma(energies)
    edges = detector.axis.edges
    low = int(np.searchsorted(edges, (at - reach).min())) - 1
    high = int(np.searchsorted(edges, (at + reach).max()))
    return slice(max(low, 0), min(high, len(edges) - 1))
