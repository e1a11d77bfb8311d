"""Photon cross sections of the elements from hydrogen to uranium, 1 keV to 10 MeV.

The table ``tables/elements.npz`` is made by ``scripts/build_gamma_tables.py`` and says where its
values come from. Its totals agree with NIST XCOM to 0.3 % from 30 keV to 3 MeV.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY

LOWEST_ENERGY = 1.0
"""keV; the cross sections begin here."""
HIGHEST_ENERGY = 10000.0
"""keV; the cross sections end here."""

_LOGARITHMIC = ("photoelectric", "coherent", "incoherent")
_THRESHOLD = 2.0 * ELECTRON_REST_ENERGY


class CrossSections(NamedTuple):
    """Cross sections per mass at some energies, cm2/g.

    Attributes
    ----------
    photoelectric, coherent, incoherent, pair : ndarray
        Photoelectric effect, Rayleigh scattering, Compton scattering with bound electrons, pair
        production in the fields of the nucleus and of the electrons.
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


class Element(NamedTuple):
    """An element.

    Attributes
    ----------
    symbol : str
        E.g. ``"Pb"``.
    atomic_number : int
        Protons.
    weight : float
        Standard atomic weight, g/mol.
    density : float
        g/cm3 at room temperature.
    """

    symbol: str
    atomic_number: int
    weight: float
    density: float


class _Curves(NamedTuple):
    """What is interpolated: over the logarithm of the energy."""

    at: FloatArray
    logs: tuple[FloatArray, ...]  # photoelectric, coherent, incoherent
    pair: FloatArray  # over (1 - threshold / energy)^3, which takes the steep rise away


@lru_cache(maxsize=1)
def elements() -> dict[str, Element]:
    """All elements of the table by symbol, hydrogen to uranium."""
    table = _table()
    columns = (table[name].tolist() for name in ("symbols", "weights", "densities"))
    return {
        symbol: Element(symbol, number, weight, density)
        for number, (symbol, weight, density) in enumerate(zip(*columns, strict=True), start=1)
    }


def element_cross_sections(symbol: str, energy: npt.ArrayLike) -> CrossSections:
    """Cross sections of an element.

    Interpolated in logarithms between energies that bracket each absorption edge.

    Parameters
    ----------
    symbol : str
        Of an element from hydrogen to uranium, e.g. ``"Pb"``.
    energy : array_like
        Photon energies, keV, from 1 to 10,000.

    Returns
    -------
    CrossSections
        In the shape of `energy`.

    Raises
    ------
    LabelError
        If there is no such element in the table.
    DataError
        If an energy is outside the table.
    """
    curves = _curves(symbol)
    energies = require_energies(energy)
    at = np.log(energies)
    photoelectric, coherent, incoherent = (
        np.exp(np.interp(at, curves.at, curve)) for curve in curves.logs
    )
    above = np.maximum(1.0 - _THRESHOLD / energies, 0.0)
    pair = above**3 * np.interp(at, curves.at, curves.pair)
    return CrossSections(photoelectric, coherent, incoherent, np.asarray(pair))


def require_energies(energy: npt.ArrayLike) -> FloatArray:
    """Energies as an array.

    Raises
    ------
    DataError
        If one is outside the tables.
    """
    energies = np.asarray(energy, dtype=np.float64)
    if energies.size and not (energies.min() >= LOWEST_ENERGY and energies.max() <= HIGHEST_ENERGY):
        raise DataError(
            f"cross sections are known from {LOWEST_ENERGY:g} to {HIGHEST_ENERGY:g} keV, got "
            f"energies from {energies.min():g} to {energies.max():g} keV"
        )
    return energies


@lru_cache(maxsize=1)
def _table() -> dict[str, npt.NDArray[np.generic]]:
    with (
        files("spectraloom.physics.gamma").joinpath("tables/elements.npz").open("rb") as stream,
        np.load(stream, allow_pickle=False) as stored,
    ):
        return {name: stored[name] for name in stored.files}


@lru_cache(maxsize=92)
def _curves(symbol: str) -> _Curves:
    if symbol not in elements():
        raise LabelError(
            f"no element {symbol!r} in the tables of cross sections: they hold the symbols of "
            "hydrogen (H) to uranium (U)"
        )
    table = _table()
    first = np.asarray(table["first"], dtype=np.int64)
    number = elements()[symbol].atomic_number
    part = slice(int(first[number - 1]), int(first[number]))
    energy = np.asarray(table["energy"][part], dtype=np.float64)
    values = {name: np.asarray(table[name][part], dtype=np.float64) for name in _LOGARITHMIC}
    pair = np.asarray(table["pair"][part], dtype=np.float64)
    produced = pair > 0
    reduced = np.zeros_like(pair)
    reduced[produced] = pair[produced] / (1.0 - _THRESHOLD / energy[produced]) ** 3
    reduced[~produced] = reduced[produced][0]
    logs = tuple(np.log(values[name]) for name in _LOGARITHMIC)
    return _Curves(np.log(energy), logs, reduced)
