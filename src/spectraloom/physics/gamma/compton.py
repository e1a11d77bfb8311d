"""Compton scattering of photons off free electrons at rest.

Klein, O. and Nishina, Y. (1929), Z. Phys. 52, 853, doi:10.1007/BF01366453. The recoil spectrum
is integrated over bins in closed form, so that no photon is lost to a quadrature.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError

ELECTRON_REST_ENERGY = 510.99895
"""keV (CODATA 2018)."""

_ELECTRON_RADIUS_SQUARED = 7.940787e-26  # cm2


def scattered_energy(energy: npt.ArrayLike, cosine: npt.ArrayLike) -> FloatArray:
    """Energy of a photon after scattering, keV.

    Parameters
    ----------
    energy : array_like
        Energy before, keV.
    cosine : array_like
        Cosine of the scattering angle.
    """
    energy = np.asarray(energy, dtype=np.float64)
    return energy / (1.0 + energy / ELECTRON_REST_ENERGY * (1.0 - np.asarray(cosine)))


def compton_edge(energy: npt.ArrayLike) -> FloatArray:
    """Largest energy an electron can take from a photon, keV."""
    energy = np.asarray(energy, dtype=np.float64)
    return np.asarray(energy - scattered_energy(energy, -1.0))


def klein_nishina(energy: npt.ArrayLike) -> FloatArray:
    """Total cross section per electron, cm2.

    Parameters
    ----------
    energy : array_like
        Photon energy, keV; at least 1 keV, below which the closed form loses digits.
    """
    a = np.asarray(energy, dtype=np.float64) / ELECTRON_REST_ENERGY
    whole = _antiderivative(np.ones_like(a), a) - _antiderivative(1.0 / (1.0 + 2.0 * a), a)
    return np.asarray(np.pi * _ELECTRON_RADIUS_SQUARED / a * whole)


def scattered_fractions(energy: npt.ArrayLike, edges: npt.ArrayLike) -> FloatArray:
    """Where scattered photons end up: fraction per bin of energy after scattering.

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies before scattering, keV.
    edges : array_like, shape (n_bins + 1,) or (n, n_bins + 1)
        Increasing bin edges, keV, above zero; the same for all photons or for each its own.

    Returns
    -------
    ndarray, shape (n, n_bins)
        Rows sum to one if the bins cover every energy a scattered photon can have.

    Raises
    ------
    DataError
        If an energy or an edge is not above zero.
    """
    energies = np.atleast_1d(np.asarray(energy, dtype=np.float64))
    bins = np.asarray(edges, dtype=np.float64)
    if not (energies > 0).all() or not (bins > 0).all():
        raise DataError("energies and bin edges of scattered photons must be above 0 keV")
    a = (energies / ELECTRON_REST_ENERGY)[:, np.newaxis]
    lowest = 1.0 / (1.0 + 2.0 * a)
    ratio = np.clip(bins / energies[:, np.newaxis], lowest, 1.0)
    cumulative = _antiderivative(ratio, a)
    whole = _antiderivative(np.ones_like(a), a) - _antiderivative(lowest, a)
    # Neighbouring edges that clip to one value must give exactly zero, not rounding noise.
    return np.maximum(np.diff(cumulative, axis=1) / whole, 0.0)


def _antiderivative(ratio: FloatArray, a: FloatArray) -> FloatArray:
    """Antiderivative of the cross section in r = E'/E, up to pi r_e^2 / a.

    The integrand is r + 1/r - 2u + u^2 with u = (1/r - 1) / a = 1 - cos(angle).
    """
    log = np.log(ratio)
    first = 0.5 * ratio**2 + log
    linear = -2.0 / a * (log - ratio)
    square = (ratio - 2.0 * log - 1.0 / ratio) / a**2
    return np.asarray(first + linear + square)
