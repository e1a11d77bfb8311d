"""Materials: elements, compounds and mixtures, and how they weaken a beam of photons."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from spectraloom._nearest import did_you_mean
from spectraloom._typing import FloatArray
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma.elements import (
    CrossSections,
    element_cross_sections,
    elements,
    require_energies,
)

_NUMBER = r"(\d+(?:\.\d+)?)?"
_TOKEN = re.compile(rf"([A-Z][a-z]?){_NUMBER}|(\()|\){_NUMBER}")


@dataclass(frozen=True)
class Material:
    """What something is made of.

    Attributes
    ----------
    name : str
        E.g. ``"steel"``.
    fractions : tuple of (str, float)
        Symbols of the elements and their parts by mass, which sum to one.
    density : float or None
        g/cm3; None where it is not known.
    """

    name: str
    fractions: tuple[tuple[str, float], ...]
    density: float | None = None

    def __post_init__(self) -> None:
        # Materials are compared and remembered by what they are made of.
        object.__setattr__(self, "fractions", tuple(tuple(one) for one in self.fractions))
        unknown = [symbol for symbol, _ in self.fractions if symbol not in elements()]
        if unknown:
            raise LabelError(
                f"material {self.name!r} holds {', '.join(map(repr, unknown))}, which is no symbol "
                "of an element from hydrogen (H) to uranium (U)"
            )
        parts = [part for _, part in self.fractions]
        if not parts or not all(np.isfinite(part) and part > 0 for part in parts):
            raise DataError(f"material {self.name!r} needs parts above zero, got {self.fractions}")
        if abs(sum(parts) - 1.0) > 1e-6:
            raise DataError(
                f"the parts by mass of material {self.name!r} sum to {sum(parts):g}: they must sum "
                "to one; mixture() scales them"
            )
        if self.density is not None and not (np.isfinite(self.density) and self.density > 0):
            raise DataError(
                f"the density of {self.name!r} must be above zero, in g/cm3; got {self.density:g}"
            )

    def replace(self, *, density: float) -> Self:
        """The same material with another density, g/cm3."""
        return type(self)(self.name, self.fractions, density)

    def require_density(self) -> float:
        """Density in g/cm3.

        Raises
        ------
        DataError
            If it is not known.
        """
        if self.density is None:
            name = shown(self.name)
            # A formula is meant as it stands, unless it is all but the name of something.
            hint = did_you_mean(self.name, _spellings(), closeness=0.75)
            raise DataError(
                f"the density of {name} is not known: instead of the name give "
                f"material({name}, density=...), in g/cm3{hint}"
            )
        return self.density

    def cross_sections(self, energy: npt.ArrayLike) -> CrossSections:
        """Cross sections per mass: those of the elements, weighted with their parts.

        Parameters
        ----------
        energy : array_like
            Photon energies, keV, from 1 to 10,000.

        Returns
        -------
        CrossSections
            cm2/g, in the shape of `energy`.

        Raises
        ------
        DataError
            If an energy is outside the tables.
        """
        energies = require_energies(energy)
        sums = [np.zeros(energies.shape) for _ in CrossSections._fields]
        for symbol, part in self.fractions:
            for total, one in zip(sums, element_cross_sections(symbol, energies), strict=True):
                total += part * one
        return CrossSections(*sums)

    def mass_attenuation(self, energy: npt.ArrayLike) -> FloatArray:
        """Mass attenuation coefficient with coherent scattering, cm2/g."""
        return self.cross_sections(energy).total

    def attenuation(self, energy: npt.ArrayLike) -> FloatArray:
        """Linear attenuation coefficient with coherent scattering, 1/cm.

        Raises
        ------
        DataError
            If the density is not known or an energy is outside the tables.
        """
        return np.asarray(self.require_density() * self.mass_attenuation(energy))

    def transmission(self, thickness: float, energy: npt.ArrayLike) -> FloatArray:
        """Fraction of photons that pass a layer with all their energy: exp(-mu x).

        Coherent scattering is not counted as a loss, as it leaves the energy and hardly changes
        the direction. A narrow beam loses those photons too: see :meth:`attenuation`.

        Parameters
        ----------
        thickness : float
            Thickness in cm.
        energy : array_like
            Photon energies, keV.

        Raises
        ------
        DataError
            If the thickness is negative, the density not known or an energy outside the tables.
        """
        if not (np.isfinite(thickness) and thickness >= 0):
            raise DataError(f"a thickness is zero or more, in cm; got {thickness:g}")
        depth = self.require_density() * thickness
        return np.asarray(np.exp(-depth * self.cross_sections(energy).interacting))


def materials() -> tuple[str, ...]:
    """Names of the materials whose make-up and density are known, elements left out."""
    return tuple(_table()["materials"])


@lru_cache(maxsize=256)
def material(name: str | Material, *, density: float | None = None) -> Material:
    """Find a material by its name, or make one from a chemical formula.

    Parameters
    ----------
    name : str
        A name out of :func:`materials` (``"steel"``, ``"water"``), an element (``"Pb"``,
        ``"lead"``) or a formula (``"Gd2O2S"``, ``"Ca(OH)2"``, ``"Cd0.9Zn0.1Te"``). A material is
        given back as it is.
    density : float, optional
        g/cm3. For a known name the density of the table by default; for a formula it stays
        unknown, and what needs it raises.

    Returns
    -------
    Material
        The material.

    Raises
    ------
    LabelError
        If it is neither a name nor a formula.
    DataError
        If the density is not above zero.

    Examples
    --------
    >>> from spectraloom.physics import material
    >>> round(float(material("lead").attenuation(661.7)), 2)
    1.25
    >>> material("Gd2O2S", density=7.32).density
    7.32
    """
    if isinstance(name, Material):
        return name if density is None else name.replace(density=density)
    found = _named(name) or _from_formula(name) or _spelled_otherwise(name)
    if found is None:
        raise _unknown(name)
    return found if density is None else found.replace(density=density)


def material_name(made_of: str | Material) -> str:
    """What a material is called in columns and messages."""
    return made_of.name if isinstance(made_of, Material) else made_of


def mixture(name: str, parts: Mapping[str, float], *, density: float | None = None) -> Material:
    """Mix materials by mass.

    Parameters
    ----------
    name : str
        Name of the mixture.
    parts : mapping of str to float
        Names or formulas as in :func:`material`, and how much of each by mass; the amounts are
        scaled to sum to one.
    density : float, optional
        g/cm3; unknown by default.

    Returns
    -------
    Material
        The mixture.

    Raises
    ------
    LabelError
        If a part is unknown.
    DataError
        If there is no part, or an amount or the density is not above zero.

    Examples
    --------
    >>> from spectraloom.physics import mixture
    >>> mixture("solder", {"Sn": 60, "Pb": 40}, density=8.5).fractions
    (('Sn', 0.6), ('Pb', 0.4))
    """
    if not parts or not all(np.isfinite(amount) and amount > 0 for amount in parts.values()):
        raise DataError(f"mixture {name!r} needs amounts above zero, got {dict(parts)}")
    whole = sum(parts.values())
    summed: dict[str, float] = {}
    for part, amount in parts.items():
        for symbol, fraction in material(part).fractions:
            summed[symbol] = summed.get(symbol, 0.0) + fraction * amount / whole
    return Material(name, tuple(summed.items()), density)


def _named(name: str) -> Material | None:
    """A material out of the table."""
    if name not in materials():
        return None
    density, made_of, _ = _table()["materials"][name]
    parts = made_of if isinstance(made_of, dict) else _parts_by_mass(_atoms(made_of))
    whole = sum(parts.values())
    return Material(name, tuple((symbol, part / whole) for symbol, part in parts.items()), density)


def _from_formula(name: str) -> Material | None:
    """An element, whose density is known, or a compound, whose density is not."""
    atoms = _atoms(name)
    element = elements().get(name)
    density = None if element is None else element.density
    return Material(name, tuple(_parts_by_mass(atoms).items()), density) if atoms else None


def _spelled_otherwise(name: str) -> Material | None:
    """A material or an element by a name in other letters; after formulas: TiN is not tin."""
    other = _spelled().get(name.strip().lower())
    return None if other is None else _named(other) or _from_formula(other)


@lru_cache(maxsize=1)
def _spelled() -> dict[str, str]:
    """Names in small letters: of materials, and of elements with their symbol."""
    table = _table()
    spelled = dict(zip(table["elements"].split(), elements(), strict=True))
    spelled |= {name.lower(): name for name in table["materials"]}
    return spelled | {other: spelled[name.lower()] for other, name in table["spellings"].items()}


def _atoms(formula: str) -> dict[str, float]:
    """Numbers of atoms in a chemical formula with brackets and decimals; none if it is no such."""
    groups: list[dict[str, float]] = [{}]
    position = 0
    for token in _TOKEN.finditer(formula):
        symbol, number, opens, repeat = token.groups()
        closes = not (symbol or opens)
        count = float((number if symbol else repeat) or 1.0)
        if token.start() != position or not count or (closes and len(groups) == 1):
            return {}
        position = token.end()
        if opens:
            groups.append({})
            continue
        added = groups.pop() if closes else {symbol: 1.0}
        for each, atoms in added.items():
            groups[-1][each] = groups[-1].get(each, 0.0) + count * atoms
    complete = position == len(formula) and len(groups) == 1
    return groups[0] if complete and groups[0].keys() <= elements().keys() else {}


def _parts_by_mass(atoms: Mapping[str, float]) -> dict[str, float]:
    mass = {symbol: count * elements()[symbol].weight for symbol, count in atoms.items()}
    whole = sum(mass.values())
    return {symbol: part / whole for symbol, part in mass.items()}


def _unknown(name: str) -> LabelError:
    return LabelError(
        f"{shown(name)} is neither a material nor a chemical formula of the elements H to "
        f"U{did_you_mean(name, _spellings())} "
        f"(known materials: {', '.join(materials())}, and the elements)"
    )


def _spellings() -> list[str]:
    """All names of materials and elements, in the letters that they are known by."""
    spelled = _spelled().items()
    return [name if name.lower() == other else other for other, name in spelled]


def shown(value: Any) -> str:
    """A value as it is written, if that is short; for messages."""
    try:
        text = repr(value)
    except ValueError:  # more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:60]}..."


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    path = files("spectraloom.physics.gamma").joinpath("tables/materials.json")
    stored: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return stored
