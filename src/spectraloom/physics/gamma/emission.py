"""Lists of photon lines, each with the nuclide that emits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self, TypeAlias, cast

import numpy as np

from spectraloom._typing import FloatArray

LineKind: TypeAlias = Literal["gamma", "x-ray", "annihilation"]


class Line(NamedTuple):
    """A line of photons.

    Attributes
    ----------
    energy, energy_uncertainty : float
        keV; one standard deviation, zero where none is stated.
    intensity, intensity_uncertainty : float
        Photons per decay of the nuclide at the head of the list.
    kind : str
        ``"gamma"``, ``"x-ray"`` or ``"annihilation"``: the two photons of 511 keV of each positron
        that stops and annihilates.
    emitter : str
        The nuclide that emits it, e.g. ``"Ba137m"`` for the line of 662 keV of Cs-137.
    """

    energy: float
    energy_uncertainty: float
    intensity: float
    intensity_uncertainty: float
    kind: LineKind
    emitter: str


@dataclass(frozen=True)
class EmissionLines:
    """Lines by increasing energy, as rows and as arrays.

    Attributes
    ----------
    rows : tuple of Line
        The lines.
    energies : ndarray, shape (n_lines,)
        keV; read-only.
    intensities : ndarray, shape (n_lines,)
        Photons per decay; read-only.
    """

    rows: tuple[Line, ...]
    energies: FloatArray = field(init=False, repr=False, compare=False)
    intensities: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.rows))
        object.__setattr__(self, "rows", ordered)
        for name, values in (
            ("energies", [line.energy for line in ordered]),
            ("intensities", [line.intensity for line in ordered]),
        ):
            array = np.array(values, dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.rows)

    def at_least(self, intensity: float) -> Self:
        """The lines of at least so many photons per decay."""
        return type(self)(tuple(line for line in self.rows if line.intensity >= intensity))


def own_lines(
    emitter: str, stored: Iterable[tuple[float, float, float, float, str]]
) -> EmissionLines:
    """Lines of one nuclide out of the rows of the table."""
    return EmissionLines(
        tuple(
            Line(energy, spread, value, deviation, cast("LineKind", kind), emitter)
            for energy, spread, value, deviation, kind in stored
        )
    )


def weighted(lines: Mapping[str, EmissionLines], activities: Mapping[str, float]) -> EmissionLines:
    """Lines of several nuclides together.

    Parameters
    ----------
    lines : mapping of str to EmissionLines
        Lines of each nuclide per decay of its own.
    activities : mapping of str to float
        Decays of each nuclide per decay of the head of the list.
    """
    return EmissionLines(
        tuple(
            line._replace(
                intensity=activity * line.intensity,
                intensity_uncertainty=activity * line.intensity_uncertainty,
            )
            for name, activity in activities.items()
            if activity > 0
            for line in lines[name].rows
        )
    )
