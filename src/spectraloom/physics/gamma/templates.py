"""Expected spectra: a source, an absorber around it, and a detector.

The absorber is a closed layer around the source. Photons that pass it untouched follow exp(-mu x).
Those that it scatters are followed down in energy through all further scatterings; between them
they are taken to go straight outward, and after each the depth at which it happened is spread as
if the photon had entered the layer from inside. No number is fitted, but this form was chosen over
two others because it came closest to photon transport through steel spheres (2 to 29 mm; Cs-137,
Co-60 and Ba-133); lead was not compared. Angles, fluorescence and annihilation photons of the
absorber are left out.

The natural background comes from soil in which the activity is spread evenly: the flux inside an
infinite medium, with every Compton scattering followed down in energy. Sky-shine, cosmic rays,
radon in the air and annihilation photons are left out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.linalg import solve_triangular

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError
from spectraloom.physics.gamma.attenuation import cross_sections, density, transmission
from spectraloom.physics.gamma.compton import scattered_energy, scattered_fractions
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.lines import BACKGROUND, lines
from spectraloom.physics.gamma.response import (
    PHOTON_EDGES,
    PHOTON_ENERGIES,
    continuum_response,
    line_response,
    scattered_between_bins,
)

Absorber: TypeAlias = tuple[str, float]
"""Material and thickness in cm, e.g. ``("Pb", 0.2)``."""

_SOIL = "SiO2"
_LEAST_COUNTED = 1e-5


@lru_cache(maxsize=1024)
def expected_spectrum(
    nuclide: str, detector: GammaDetector, absorber: Absorber | None = None
) -> FloatArray:
    """Shape of the spectrum that a detector counts from a source.

    Parameters
    ----------
    nuclide : str
        A name out of :func:`~spectraloom.physics.gamma.sources`, the background included.
    detector : GammaDetector
        The detector.
    absorber : tuple of str and float, optional
        Material and thickness in cm of a layer between source and detector.

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
    photons = lines(nuclide).intensities
    continuum = np.zeros(PHOTON_ENERGIES.size)
    if nuclide == BACKGROUND:
        if absorber is not None:
            raise DataError("the natural background comes from all sides: it has no absorber")
        photons, continuum = _soil_flux()
    else:
        if absorber is not None:
            photons = photons * transmission(*absorber, lines(nuclide).energies)
            continuum = scattered_by_layer(absorber, *lines(nuclide))
        continuum = continuum + detector.backscatter * (photons @ _turned_back(nuclide))
    counts = _nuclide_response(nuclide, detector) @ photons
    counts += continuum_response(detector) @ continuum
    total = counts.sum()
    if not total > _LEAST_COUNTED * lines(nuclide).intensities.sum():
        raise DataError(
            f"less than {_LEAST_COUNTED:g} of the photons of {nuclide} pass the absorber "
            f"{absorber} and fall on the axis ({detector.axis.describe()}), so that lines too weak "
            "for the table would show: take a thinner absorber or a wider axis"
        )
    shape: FloatArray = counts / total
    shape.flags.writeable = False
    return shape


def scattered_by_layer(absorber: Absorber, energies: FloatArray, photons: FloatArray) -> FloatArray:
    """Photons that leave a closed layer after scattering in it.

    Parameters
    ----------
    absorber : tuple of str and float
        Material of the layer and its thickness, cm.
    energies, photons : ndarray, shape (n_lines,)
        Lines that enter the layer, keV and number.

    Returns
    -------
    ndarray, shape (n_bins,)
        Photons per bin of ``PHOTON_EDGES``.
    """
    material, thickness = absorber
    if thickness == 0:
        return np.zeros(PHOTON_ENERGIES.size)
    section = cross_sections(material, energies)
    depth = density(material) * thickness * section.interacting
    interacting = -photons * np.expm1(-depth)
    once = scattered_fractions(energies, PHOTON_EDGES)
    once *= (interacting * section.incoherent / section.interacting)[:, np.newaxis]
    layer = _layer(material, thickness)
    leaves = _leaving_probability(depth, layer.depth)
    stays = ((1.0 - leaves) * once).sum(axis=0)
    again = solve_triangular(layer.system, stays, lower=False)
    return np.asarray((leaves * once).sum(axis=0) + again @ layer.leaving)


class _Layer(NamedTuple):
    """A layer on ``PHOTON_EDGES``."""

    depth: FloatArray  # thickness in mean free paths
    system: FloatArray  # acts on interacting photons, gives those that started to interact
    leaving: FloatArray  # from row to column: scattered, and out of the layer


@lru_cache(maxsize=4)
def _layer(material: str, thickness: float) -> _Layer:
    section = cross_sections(material, PHOTON_ENERGIES)
    depth = density(material) * thickness * section.interacting
    scattered = scattered_between_bins() * (section.incoherent / section.interacting)[:, np.newaxis]
    leaves = _leaving_probability(depth, depth)
    system = np.eye(depth.size) - ((1.0 - leaves) * scattered).T
    return _Layer(depth, system, leaves * scattered)


def _leaving_probability(before: FloatArray, after: FloatArray) -> FloatArray:
    """Chance that a photon scattered in a layer leaves it straight outward.

    It interacts at depth t of the layer (thickness one) with probability density
    a exp(-a t) / (1 - exp(-a)) and passes the rest with exp(-b (1 - t)).

    Parameters
    ----------
    before : ndarray, shape (n,)
        Thickness a of the layer in mean free paths of the photons that come in.
    after : ndarray, shape (m,)
        The same, b, for the scattered photons.

    Returns
    -------
    ndarray, shape (n, m)
        Probabilities.
    """
    a = before[:, np.newaxis]
    difference = np.abs(a - after)
    equal = difference < 1e-9
    mean = np.where(equal, 1.0, -np.expm1(-difference) / np.where(equal, 1.0, difference))
    return np.asarray(np.exp(-np.minimum(a, after)) * mean * a / -np.expm1(-a))


def scattered_backward(energies: FloatArray) -> FloatArray:
    """Spectra of photons turned back by more than 90 degrees.

    Parameters
    ----------
    energies : ndarray, shape (n_lines,)
        Energies before scattering, keV.

    Returns
    -------
    ndarray, shape (n_lines, n_bins)
        Shares of each line per bin of ``PHOTON_EDGES``; rows sum to one.
    """
    shares = np.empty((energies.size, PHOTON_ENERGIES.size))
    for line, energy in enumerate(energies):
        # The bin that holds the energy of 90 degrees is cut there, not taken whole.
        edges = np.minimum(PHOTON_EDGES, scattered_energy(energy, 0.0))
        shares[line] = scattered_fractions(energy, edges)[0]
    return shares / shares.sum(axis=1, keepdims=True)


@lru_cache(maxsize=64)
def _turned_back(nuclide: str) -> FloatArray:
    return scattered_backward(lines(nuclide).energies)


@lru_cache(maxsize=64)
def _nuclide_response(nuclide: str, detector: GammaDetector) -> FloatArray:
    return line_response(detector, lines(nuclide).energies)


@lru_cache(maxsize=1)
def _soil_flux() -> tuple[FloatArray, FloatArray]:
    """Flux of the background inside soil: of its lines, and per bin after scattering.

    At each energy as many photons are removed as are born and scattered in:
    mu phi = born + sum over higher energies of (incoherent cross section x phi x share).
    """
    energies, born = lines(BACKGROUND)
    section = cross_sections(_SOIL, energies)
    direct = born / section.interacting
    once = (direct * section.incoherent) @ scattered_fractions(energies, PHOTON_EDGES)
    grid = cross_sections(_SOIL, PHOTON_ENERGIES)
    system = np.diag(grid.interacting)
    system -= (grid.incoherent[:, np.newaxis] * scattered_between_bins()).T
    return direct, np.asarray(solve_triangular(system, once, lower=False))
