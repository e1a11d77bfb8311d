"""Photon cross sections of a material by its name."""

from __future__ import annotations

import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.physics.gamma.elements import CrossSections
from spectraloom.physics.gamma.materials import material


def density(name: str) -> float:
    """Density of a material, g/cm3 (air at 20 degrees Celsius).

    Raises
    ------
    LabelError
        If the material is not known.
    DataError
        If it is a formula, whose density is not known.
    """
    return material(name).require_density()


def cross_sections(name: str, energy: npt.ArrayLike) -> CrossSections:
    """Cross sections per mass.

    Parameters
    ----------
    name : str
        A material, an element or a formula, as in :func:`~spectraloom.physics.gamma.material`.
    energy : array_like
        Photon energies, keV, from 1 to 10,000.

    Raises
    ------
    LabelError
        If the material is not known.
    DataError
        If an energy is outside the tables.
    """
    return material(name).cross_sections(energy)


def mass_attenuation(name: str, energy: npt.ArrayLike) -> FloatArray:
    """Mass attenuation coefficient with coherent scattering, cm2/g.

    See :func:`cross_sections` for the parameters and errors.
    """
    return material(name).mass_attenuation(energy)


def transmission(name: str, thickness: float, energy: npt.ArrayLike) -> FloatArray:
    """Fraction of photons that pass a layer with all their energy: exp(-mu x).

    Coherent scattering is not counted as a loss: see
    :meth:`~spectraloom.physics.gamma.Material.transmission`.

    Parameters
    ----------
    name : str
        A material whose density is known.
    thickness : float
        Thickness in cm.
    energy : array_like
        Photon energies, keV.

    Raises
    ------
    LabelError
        If the material is not known.
    DataError
        If the thickness is negative, the density not known or an energy outside the tables.
    """
    return material(name).transmission(thickness, energy)
