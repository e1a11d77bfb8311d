"""Nuclides: half-lives, decays, photon lines, and what grows in from them.

The table ``tables/nuclides.json`` is made by ``scripts/build_gamma_tables.py`` from the UK decay
data library of 2012; each entry names its source. Emitter and parent are kept apart: the line of
662 keV belongs to Ba-137m, which Cs-137 feeds.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from spectraloom._nearest import did_you_mean
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma.bateman import Member, activities
from spectraloom.physics.gamma.emission import EmissionLines, own_lines, weighted

DecayMode: TypeAlias = Literal["alpha", "beta-", "ec/beta+", "it"]

YEAR = 365.25 * 86400.0
"""s."""

_UNITS = {
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "y": YEAR,
    "ky": 1e3 * YEAR,
    "My": 1e6 * YEAR,
    "Gy": 1e9 * YEAR,
}
_AVOGADRO = 6.02214076e23
_FRESH = 30.0 * 86400.0  # s; daughters that live longer are not taken to be in equilibrium
_SPELLINGS = (
    re.compile(r"(?P<symbol>[A-Za-z]{1,2})[- _]?(?P<mass>\d{1,3})(?P<state>m[12]?|n|g)?"),
    re.compile(r"(?P<mass>\d{1,3})(?P<state>m[12]?|n|g)?[- _]?(?P<symbol>[A-Za-z]{1,2})"),
)
_STATES = {None: "", "g": "", "m": "m", "m1": "m", "m2": "n", "n": "n"}


class Decay(NamedTuple):
    """A way in which a nuclide decays.

    Attributes
    ----------
    daughter : str
        What it becomes, e.g. ``"Ba137m"``.
    mode : str
        ``"alpha"``, ``"beta-"``, ``"ec/beta+"`` (electron capture or positron) or ``"it"``
        (isomeric transition).
    fraction : float
        Part of all decays.
    source : str
        Where the fraction comes from.
    """

    daughter: str
    mode: DecayMode
    fraction: float
    source: str


@dataclass(frozen=True)
class Nuclide:
    """A radioactive nuclide.

    Attributes
    ----------
    name : str
        E.g. ``"Ba137m"``; a second isomer ends in n.
    half_life : float
        s.
    decays : tuple of Decay
        What it becomes. Spontaneous fission has no daughter here, so that fractions may sum to
        less than one.
    own_lines : EmissionLines
        What it emits itself, per decay; lines of daughters are not in it.
    source : str
        Where half-life and lines come from.
    """

    name: str
    half_life: float
    decays: tuple[Decay, ...]
    own_lines: EmissionLines
    source: str

    @property
    def label(self) -> str:
        """The name as it is written: ``"Ba-137m"``; ``"Hf-178m2"`` for a second isomer."""
        return _label(self.name)

    @property
    def mass_number(self) -> int:
        """Protons and neutrons."""
        return int(re.split(r"(\d+)", self.name)[1])

    @property
    def decay_constant(self) -> float:
        """1/s."""
        return float(np.log(2.0) / self.half_life)

    @property
    def specific_activity(self) -> float:
        """Bq/g of the pure nuclide, with the mass number for the atomic mass (0.1 %)."""
        return self.decay_constant * _AVOGADRO / self.mass_number

    @property
    def chain(self) -> tuple[str, ...]:
        """The nuclide and the radioactive ones below it, each after those that feed it."""
        return tuple(_chain(self.name))

    @property
    def equilibrium(self) -> dict[str, float]:
        """Activities of the daughters that soon are in equilibrium, over its own.

        Taken in are daughters that live less than half as long as the nuclide and at most 30 days,
        up to the first that does not, at the ratio that they come to: the one of transient
        equilibrium, b T / (T - t) for half-lives T of the nuclide and t of its daughter.
        """
        found = {self.name: 1.0}
        for name, member in _chain(self.name).items():
            if name != self.name and member.half_life < min(0.5 * self.half_life, _FRESH):
                fed = sum(found.get(parent, 0.0) * part for parent, part in member.fed_by.items())
                if fed:
                    found[name] = fed * self.half_life / (self.half_life - member.half_life)
        return found

    @property
    def lines(self) -> EmissionLines:
        """Lines per decay, with those of the daughters in :attr:`equilibrium`."""
        return _together(self.equilibrium)

    def activities(self, time: float | str) -> dict[str, float]:
        """Activities in the chain some time after the nuclide was pure.

        Parameters
        ----------
        time : float or str
            In s, or a text such as ``"20 y"``; see :func:`seconds`.

        Returns
        -------
        dict of str to float
            Bq of each member for each Bq of the nuclide at time zero (Bateman 1910).

        Raises
        ------
        DataError
            If the time is negative or no time.
        """
        return activities(_chain(self.name), seconds(time))

    def aged(self, time: float | str) -> EmissionLines:
        """Lines of the whole chain some time after the nuclide was pure.

        Parameters
        ----------
        time : float or str
            In s, or a text such as ``"20 y"``.

        Returns
        -------
        EmissionLines
            Photons per second for each Bq of the nuclide at time zero.

        Raises
        ------
        DataError
            If the time is negative or no time.
        """
        return _together(self.activities(time))


@lru_cache(maxsize=1024)
def nuclide(name: str) -> Nuclide:
    """Find a nuclide.

    Parameters
    ----------
    name : str
        E.g. ``"Eu-152"``, ``"Eu152"``, ``"eu152"``, ``"152Eu"``, ``"Ba-137m"``, ``"Hf178m2"``.

    Returns
    -------
    Nuclide
        Its data.

    Raises
    ------
    LabelError
        If it is not in the tables; the message names the nearest that are.

    Examples
    --------
    >>> from spectraloom.physics import nuclide
    >>> caesium = nuclide("Cs-137")
    >>> strongest = max(caesium.lines.rows, key=lambda line: line.intensity)
    >>> strongest.emitter, strongest.energy, round(strongest.intensity, 3)
    ('Ba137m', 661.657, 0.85)
    """
    found = _standard(name)
    stored = _table()["nuclides"].get(found)
    if stored is None:
        raise LabelError(_not_there(name, found))
    sources = _table()["sources"]
    return Nuclide(
        found,
        stored["half_life"],
        tuple(Decay(d, mode, part, sources[source]) for d, mode, part, source in stored["decays"]),
        own_lines(found, stored["lines"]),
        sources[stored["source"]],
    )


def nuclides() -> tuple[str, ...]:
    """Names of all nuclides in the tables, by atomic number and mass."""
    return tuple(_table()["nuclides"])


def seconds(time: float | str) -> float:
    """A time in seconds.

    Parameters
    ----------
    time : float or str
        Seconds, or a number and a unit out of s, min, h, d, y, ky, My, Gy: ``"20 y"``.

    Raises
    ------
    DataError
        If it is negative, not finite, or no such text.
    """
    value: float
    if isinstance(time, str):
        read = re.fullmatch(r"\s*([0-9.]+(?:[eE][-+]?\d+)?)\s*([A-Za-z]*)\s*", time)
        unit = _UNITS.get(read[2] or "s") if read else None
        try:
            value = float(read[1]) * unit if read and unit else np.nan
        except ValueError:
            value = np.nan
    else:
        value = float(time)
    if not (np.isfinite(value) and value >= 0):
        raise DataError(
            f"a time is zero or more, in seconds or with a unit ({', '.join(_UNITS)}) as in "
            f"'20 y'; got {time!r}"
        )
    return value


def in_words(time: float) -> str:
    """A time in the largest unit up to years of which it is one or more, e.g. ``"30.04 y"``.

    Parameters
    ----------
    time : float
        s.
    """
    fitting = [unit for unit, length in _UNITS.items() if length <= min(time, YEAR)] or ["s"]
    return f"{time / _UNITS[fitting[-1]]:.4g} {fitting[-1]}"


def _together(amounts: dict[str, float]) -> EmissionLines:
    return weighted({name: nuclide(name).own_lines for name in amounts}, amounts)


@lru_cache(maxsize=1024)
def _chain(name: str) -> dict[str, Member]:
    """Members of the chain below a nuclide, each after those that feed it."""
    table = _table()["nuclides"]
    ordered: list[str] = []

    def visit(member: str) -> None:
        for daughter, *_ in table[member]["decays"]:
            if daughter in table and daughter not in ordered:
                visit(daughter)
        ordered.append(member)

    visit(name)
    fed_by: dict[str, dict[str, float]] = {member: {} for member in reversed(ordered)}
    for member in ordered:
        for daughter, _, fraction, _ in table[member]["decays"]:
            if daughter in fed_by:
                fed_by[daughter][member] = fed_by[daughter].get(member, 0.0) + fraction
    return {member: Member(table[member]["half_life"], fed) for member, fed in fed_by.items()}


def _standard(name: str) -> str:
    """The name as the table writes it, or an empty text if it is no name of a nuclide."""
    for spelling in _SPELLINGS:
        read = spelling.fullmatch(name.strip())
        if read:
            return f"{read['symbol'].capitalize()}{int(read['mass'])}{_STATES[read['state']]}"
    return ""


def _label(name: str) -> str:
    symbol, mass, state = re.split(r"(\d+)", name)
    return f"{symbol}-{mass}{'m2' if state == 'n' else state}"


def _not_there(name: str, standard: str) -> str:
    known = nuclides()
    read = re.match(r"([A-Z][a-z]?)(\d+)", standard)
    same = [other for other in known if read and re.match(rf"{read[1]}\d", other)]
    if read and same:
        mass = int(read[2])
        near = sorted(same, key=lambda other: abs(nuclide(other).mass_number - mass))[:5]
        return (
            f"nuclide {name!r} is stable or not in the tables; the nearest of {read[1]} are "
            f"{', '.join(nuclide(other).label for other in near)}"
        )
    hint = did_you_mean(standard or name, map(_label, known))
    return f"no nuclide {name!r} in the tables: write it as Eu-152 or Ba-137m{hint}"


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    path = files("spectraloom.physics.gamma").joinpath("tables/nuclides.json")
    stored: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return stored
