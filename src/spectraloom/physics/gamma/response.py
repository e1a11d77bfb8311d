"""What a crystal makes of incoming photons.

A photon that interacts is absorbed (photoelectric effect), scattered (Compton, Klein-Nishina
spectrum) or turned into a pair. A scattered or annihilation photon leaves the crystal with the
probability (1 - exp(-mu c)) / (mu c), where c is the mean chord length of the crystal, that is,
as if it were born evenly along a chord of that length, and otherwise interacts again. Followed
over all energies this is one triangular system of linear equations for the distribution of the
*escaped* energy, from which photopeak, Compton continuum, counts between edge and peak, and single
and double escape peaks all come. No number is fitted; the form of the probability was chosen over
Wigner's 1 / (1 + mu c) because it came closer to photon transport and to handbooks.

Left out: where in the crystal a photon interacts, x-rays and electrons that escape, coincidence
summing, pile-up, an electronic threshold, and light that is not proportional to energy.
Knoll, G. F. (2010), Radiation Detection and Measurement, 4th ed., chapter 10, describes them all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError
from spectraloom.physics.gamma.attenuation import cross_sections, density, transmission
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY, scattered_fractions
from spectraloom.physics.gamma.detector import GammaDetector

_STEP = 4.0

# 511 keV is the centre of a bin, so that escape peaks stand where they belong.
PHOTON_EDGES: FloatArray = np.arange(1.0, 2802.0, _STEP)
PHOTON_EDGES.flags.writeable = False
PHOTON_ENERGIES: FloatArray = 0.5 * (PHOTON_EDGES[1:] + PHOTON_EDGES[:-1])
PHOTON_ENERGIES.flags.writeable = False

# A photon of bin i that loses another of bin j deposits (i - j) steps.
_DEPOSITS = PHOTON_ENERGIES.size
_DEPOSIT_EDGES = _STEP * (np.arange(_DEPOSITS + 1) - 0.5)


class _Escape(NamedTuple):
    """Escaped energy of photons that interact: share with none, share per bin."""

    none: FloatArray
    bins: FloatArray


class _Crystal(NamedTuple):
    """A crystal, solved: what escapes after one scattering, and in a pair event."""

    material: str
    after_scattering: _Escape
    after_pair: _Escape


def line_response(detector: GammaDetector, energies: npt.ArrayLike) -> FloatArray:
    """Counts per channel from one photon of each line that reaches a detector.

    Parameters
    ----------
    detector : GammaDetector
        The detector; photons arrive along its axis.
    energies : array_like, shape (n_lines,)
        Energies of the lines, keV, from 1 to 2801.

    Returns
    -------
    ndarray, shape (n_channels, n_lines)
        Expected counts. A column sums to the probability of an interaction, less what falls off
        the ends of the axis.

    Raises
    ------
    DataError
        If an energy is out of range.
    """
    at = np.asarray(energies, dtype=np.float64)
    low, high = PHOTON_EDGES[0], PHOTON_EDGES[-1]
    if at.ndim != 1 or not at.size or not (at.min() >= low and at.max() <= high):
        raise DataError(
            f"the detector model takes a list of line energies from {low:g} to {high:g} keV, "
            f"got {at}"
        )
    escape = escaped_energy(detector, at)
    folded = detector.fold_lines(at) * escape.none
    folded += _folding(detector).deposits @ _deposited(at, escape.bins)
    return np.asarray(folded * interaction_probability(detector, at))


def interaction_probability(detector: GammaDetector, energy: npt.ArrayLike) -> FloatArray:
    """Chance that a photon passes the window and interacts in the crystal."""
    crystal = detector.crystal
    depth = density(crystal.material) * crystal.size[-1]
    counted = -np.expm1(-depth * cross_sections(crystal.material, energy).interacting)
    for layer in crystal.window:
        counted = counted * transmission(*layer, energy)
    return np.asarray(counted)


@lru_cache(maxsize=1)
def scattered_between_bins() -> FloatArray:
    """Share of the scattered photons of one bin that ends in another.

    Returns
    -------
    ndarray, shape (n_bins, n_bins)
        From row to column, both on ``PHOTON_EDGES``; lower triangular; read-only.
    """
    shares = scattered_fractions(PHOTON_ENERGIES, PHOTON_EDGES)
    shares.flags.writeable = False
    return shares


def escape_probability(optical_chord: npt.ArrayLike) -> FloatArray:
    """Chance that a photon born in a body leaves it untouched.

    Parameters
    ----------
    optical_chord : array_like
        Mean chord length of the body (4 V / S) times the attenuation coefficient; above zero.

    Returns
    -------
    ndarray
        (1 - exp(-m)) / m, the mean of exp(-mu s) over births spread evenly along the mean chord.
        For a sphere of one mean free path radius it gives 0.552, where the exact value is 0.527
        (Case, de Hoffmann and Placzek 1953).
    """
    m = np.asarray(optical_chord, dtype=np.float64)
    return np.asarray(-np.expm1(-m) / m)


def escaped_energy(detector: GammaDetector, energy: npt.ArrayLike) -> _Escape:
    """Distribution of the energy that leaves the crystal, for photons that interact in it.

    Parameters
    ----------
    detector : GammaDetector
        Only its crystal matters.
    energy : array_like, shape (n,)
        Photon energies, keV.

    Returns
    -------
    tuple of ndarray
        ``none``, shape (n,), the share with full absorption (the intrinsic peak-to-total ratio),
        and ``bins``, shape (n, n_bins), the shares per bin of ``PHOTON_EDGES``. Together they
        sum to one.
    """
    crystal = _solve_crystal(detector.crystal.material, detector.crystal.mean_chord)
    return _escape(crystal, np.atleast_1d(np.asarray(energy, dtype=np.float64)))


def _escape(crystal: _Crystal, energies: FloatArray) -> _Escape:
    section = cross_sections(crystal.material, energies)
    photo, compton, pair = (
        part / section.interacting
        for part in (section.photoelectric, section.incoherent, section.pair)
    )
    scattered = compton[:, np.newaxis] * scattered_fractions(energies, PHOTON_EDGES)
    # The last sliver of energy, below the grid, is absorbed.
    below = compton - scattered.sum(axis=1)
    _, after, pairs = crystal
    return _Escape(
        photo + below + scattered @ after.none + pair * pairs.none,
        scattered @ after.bins + np.outer(pair, pairs.bins),
    )


@lru_cache(maxsize=16)
def _solve_crystal(material: str, mean_chord: float) -> _Crystal:
    """Solve the chain of scatterings for a crystal of some mean chord length, cm."""
    n = PHOTON_ENERGIES.size
    section = cross_sections(material, PHOTON_ENERGIES)
    leaves = escape_probability(density(material) * mean_chord * section.interacting)
    compton = section.incoherent / section.interacting
    scattered = compton[:, np.newaxis] * scattered_between_bins()
    pair = section.pair / section.interacting
    # Unknown: row i holds the escaped energy of an interacting photon of bin i; column 0 none.
    again = np.eye(n) - scattered * (1.0 - leaves)
    source = np.empty((n, n + 1))
    source[:, 1:] = scattered * leaves
    source[:, 0] = 1.0 - pair - scattered.sum(axis=1)
    solved = solve_triangular(again, source, lower=True)
    # A pair needs only the row of 511 keV, far below its own threshold, which is right already.
    annihilation = int(np.searchsorted(PHOTON_EDGES, ELECTRON_REST_ENERGY)) - 1
    one = (1.0 - leaves[annihilation]) * solved[annihilation]
    one[1 + annihilation] += leaves[annihilation]
    pairs = _Escape(*_two_photons(one))
    source[:, 0] += pair * pairs.none
    source[:, 1:] += np.outer(pair, pairs.bins)
    solved = solve_triangular(again, source, lower=True)
    after = (1.0 - leaves)[:, np.newaxis] * solved
    after[np.arange(n), 1 + np.arange(n)] += leaves
    return _Crystal(material, _Escape(after[:, 0], after[:, 1:]), pairs)


def _two_photons(one: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Escaped energy of two independent photons from that of one (entry 0: none)."""
    none, bins = one[0], one[1:]
    together = 2.0 * none * bins
    # Centres of bins i and j add up half-way between bins i + j and i + j + 1; what would lie
    # beyond the grid cannot occur, as two photons of 511 keV hold less than half of it.
    both = np.convolve(bins, bins)[: bins.size]
    together += 0.5 * both
    together[1:] += 0.5 * both[:-1]
    return none**2, together


class _Folding(NamedTuple):
    photons: FloatArray
    deposits: FloatArray


@lru_cache(maxsize=16)
def _folding(detector: GammaDetector) -> _Folding:
    return _Folding(detector.fold_bins(PHOTON_EDGES), detector.fold_bins(_DEPOSIT_EDGES))


@lru_cache(maxsize=16)
def continuum_response(detector: GammaDetector) -> FloatArray:
    """Counts per channel from one photon in each bin of ``PHOTON_EDGES``.

    Parameters
    ----------
    detector : GammaDetector
        The detector; photons arrive along its axis.

    Returns
    -------
    ndarray, shape (n_channels, n_bins)
        Expected counts; read-only.
    """
    n = PHOTON_ENERGIES.size
    escape = escaped_energy(detector, PHOTON_ENERGIES)
    deposits = np.zeros((n, n))
    for row in range(n):
        deposits[row, : row + 1] = escape.bins[row, row::-1]
    folding = _folding(detector)
    counts = folding.photons * escape.none + folding.deposits @ deposits.T
    response = np.asarray(counts * interaction_probability(detector, PHOTON_ENERGIES))
    response.flags.writeable = False
    return response


def _deposited(energies: FloatArray, escaped: FloatArray) -> FloatArray:
    """Histograms of deposited energy, shape (n_deposits, n_lines), from those of escaped energy."""
    deposited = np.empty((_DEPOSITS, energies.size))
    for line, (energy, bins) in enumerate(zip(energies, escaped, strict=True)):
        rising = np.append(0.0, np.cumsum(bins[::-1]))
        cumulative = np.interp(_DEPOSIT_EDGES, energy - PHOTON_EDGES[::-1], rising)
        # The bin of escaped energy that holds the line itself reaches a fraction of a step
        # below zero deposit; that fraction belongs to the first bin.
        cumulative[0] = 0.0
        deposited[:, line] = np.diff(cumulative)
    return deposited
