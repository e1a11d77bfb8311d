"""Energy that photons hand to electrons in air: air kerma."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.physics.gamma.attenuation import cross_sections
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY

_NANOGRAY_PER_HOUR = 1.602176634e-13 * 1e9 * 3600.0  # of keV/(g s): keV/g is 1.602e-13 Gy


def energy_transfer(material: str, energy: npt.ArrayLike) -> FloatArray:
    """Mass energy-transfer coefficient, cm2/g.

    Photoelectric effect hands over all of the energy, Compton scattering the mean loss of the
    Klein-Nishina spectrum, pair production all but two rest energies. Energy of x-rays that leave
    the spot is not taken off, which in air matters below 5 keV only. Of what is handed over air
    loses less than 1 % to bremsstrahlung up to 3 MeV.

    Parameters
    ----------
    material : str
        A material, element or formula.
    energy : array_like
        Photon energies, keV, from 1 to 10,000.
    """
    at = np.asarray(energy, dtype=np.float64)
    section = cross_sections(material, at)
    pair = np.maximum(1.0 - 2.0 * ELECTRON_REST_ENERGY / at, 0.0)
    compton = 1.0 - mean_scattered_energy(at) / at
    return np.asarray(section.photoelectric + section.incoherent * compton + section.pair * pair)


def mean_scattered_energy(energy: npt.ArrayLike) -> FloatArray:
    """Mean energy of a photon after a Compton scattering (Klein and Nishina), keV.

    Parameters
    ----------
    energy : array_like
        Energy before, keV; at least 1 keV, below which the closed form loses digits.
    """
    at = np.asarray(energy, dtype=np.float64)
    a = at / ELECTRON_REST_ENERGY
    low = 1.0 / (1.0 + 2.0 * a)
    whole = _moment(np.ones_like(a), a, 0) - _moment(low, a, 0)
    first = _moment(np.ones_like(a), a, 1) - _moment(low, a, 1)
    return np.asarray(at * first / whole)


def _moment(r: FloatArray, a: FloatArray, power: int) -> FloatArray:
    """Antiderivative of r^power (r + 1/r - 2 u + u^2), u = (1/r - 1) / a, for power 0 or 1."""
    log = np.log(r)
    if power == 0:
        return np.asarray(0.5 * r**2 + log - 2.0 / a * (log - r) + (r - 2.0 * log - 1.0 / r) / a**2)
    return np.asarray(
        r**3 / 3.0 + r - 2.0 / a * (r - 0.5 * r**2) + (log - 2.0 * r + 0.5 * r**2) / a**2
    )


def air_kerma_rate(energies: npt.ArrayLike, flux: npt.ArrayLike) -> float:
    """Air kerma rate of a flux of photons, nGy/h.

    Parameters
    ----------
    energies : array_like, shape (n,)
        keV, from 1 to 10,000.
    flux : array_like, shape (n,)
        Photons per cm2 and second at these energies.

    Notes
    -----
    Below 3 MeV air kerma and absorbed dose in air differ by less than 1 %.
    """
    at = np.asarray(energies, dtype=np.float64)
    handed = at * energy_transfer("air", at)
    return float(_NANOGRAY_PER_HOUR * (handed @ np.asarray(flux, dtype=np.float64)))
