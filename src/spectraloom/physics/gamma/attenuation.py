"""Photon cross sections of a few materials, from a table, by log-log interpolation.

The table ``tables/attenuation.json`` says how its values were made and how well they agree with
those published by NIST.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError, LabelError


class CrossSections(NamedTuple):
    """Cross sections per mass at some energies, cm2/g.

    Attributes
    ----------
    photoelectric, coherent, incoherent, pair : ndarray
        Photoelectric effect, Rayleigh scattering, Compton scattering with bound electrons, pair
        production in the field of the nucleus.
    """

    photoelectric: FloatArray
    coherent: FloatArray
    incoherent: FloatArray
    pair: FloatArray

    @property
    def total(self) -> FloatArray:
        """All four: the narrow-beam mass attenuation coefficient."""
        return self.photoelectric + self.coherent + self.incoherent + self.pair

    @property
    def interacting(self) -> FloatArray:
        """All but coherent scattering, which leaves no energy and hardly turns the photon."""
        return self.photoelectric + self.incoherent + self.pair


def materials() -> tuple[str, ...]:
    """Names of the materials in the table."""
    return tuple(_table())


def density(material: str) -> float:
    """Density of a material, g/cm3 (air at 20 degrees Celsius).

    Raises
    ------
    LabelError
        If the material is not in the table.
    """
    return float(_entry(material)["density"])


def cross_sections(material: str, energy: npt.ArrayLike) -> CrossSections:
    """Cross sections per mass.

    Parameters
    ----------
    material : str
        A name out of :func:`materials`, e.g. ``"Pb"``.
    energy : array_like
        Photon energies, keV, from 10 to 3000. Below 10 keV the values at 10 keV are used.

    Raises
    ------
    LabelError
        If the material is not in the table.
    DataError
        If an energy is above the table or not positive.
    """
    entry = _entry(material)
    energy = np.asarray(energy, dtype=np.float64)
    highest = float(entry["energy"][-1])
    if energy.size and not (energy.min() > 0 and energy.max() <= highest):
        raise DataError(
            f"cross sections are known above 0 and up to {highest:g} keV, got energies from "
            f"{energy.min():g} to {energy.max():g} keV"
        )
    at = np.log(energy)
    grid = entry["log_energy"]
    photoelectric, coherent, incoherent = (
        np.exp(np.interp(at, grid, entry[f"log_{kind}"]))
        for kind in ("photoelectric", "coherent", "incoherent")
    )
    # Pair production is zero below its threshold, where it has no logarithm.
    pair = np.interp(energy, entry["energy"], entry["pair"])
    return CrossSections(photoelectric, coherent, incoherent, np.asarray(pair, dtype=np.float64))


def mass_attenuation(material: str, energy: npt.ArrayLike) -> FloatArray:
    """Mass attenuation coefficient with coherent scattering, cm2/g.

    See :func:`cross_sections` for the parameters and errors.
    """
    return cross_sections(material, energy).total


def transmission(material: str, thickness: float, energy: npt.ArrayLike) -> FloatArray:
    """Fraction of photons that pass a layer with all their energy: exp(-mu x).

    Coherent scattering is not counted as a loss, as it leaves the energy and hardly changes the
    direction. A narrow beam loses those photons too: see :func:`mass_attenuation`.

    Parameters
    ----------
    material : str
        A name out of :func:`materials`.
    thickness : float
        Thickness in cm.
    energy : array_like
        Photon energies, keV.

    Raises
    ------
    DataError
        If the thickness is negative or an energy is outside the table.
    """
    if not (np.isfinite(thickness) and thickness >= 0):
        raise DataError(f"a thickness is zero or more, in cm; got {thickness:g}")
    depth = density(material) * thickness
    return np.asarray(np.exp(-depth * cross_sections(material, energy).interacting))


def _entry(material: str) -> dict[str, Any]:
    table = _table()
    if material not in table:
        raise LabelError(
            f"no cross sections are known for {material!r}; known materials: {', '.join(table)}"
        )
    return table[material]


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, Any]]:
    path = files("spectraloom.physics.gamma").joinpath("tables/attenuation.json")
    stored: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))["materials"]
    for entry in stored.values():
        for kind in ("energy", "photoelectric", "coherent", "incoherent"):
            entry[f"log_{kind}"] = np.log(entry[kind])
    return stored
