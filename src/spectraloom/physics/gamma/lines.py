"""Strong lines of the sources that the simulator knows, and of any nuclide."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma.background import soil_lines
from spectraloom.physics.gamma.emission import EmissionLines
from spectraloom.physics.gamma.nuclides import Nuclide, nuclide

BACKGROUND = "background"
"""Name of the natural background: K-40 and the series of U-238 and Th-232 in soil."""

_SOURCES = ("Am241", "Ba133", "Co60", "Cs137", "Eu152", "K40", "Ra226", "U235", "U238")
_LEAST_INTENSITY = 1e-3
_LEAST_ENERGY, _MOST_ENERGY = 10.0, 2800.0  # keV; what the detector model takes


class Lines(NamedTuple):
    """Lines of a source, by increasing energy.

    Attributes
    ----------
    energies : ndarray, shape (n_lines,)
        keV.
    intensities : ndarray, shape (n_lines,)
        Photons per decay of the source; for the background, photons per second and kilogram of
        the soil of a default :class:`~spectraloom.physics.gamma.Background`.
    """

    energies: FloatArray
    intensities: FloatArray


def sources() -> tuple[str, ...]:
    """Names of the sources that are simulated by default, the background included."""
    return (*_SOURCES, BACKGROUND)


@lru_cache(maxsize=256)
def lines(source: str) -> Lines:
    """Strong lines of a source with the daughters that it is in equilibrium with.

    Lines of 10 to 2800 keV with at least 0.001 photons per decay of the source (in soil, of the
    head of their series). A :class:`~spectraloom.physics.gamma.Nuclide` has them all.

    Parameters
    ----------
    source : str
        A nuclide, e.g. ``"Cs137"``, or ``"background"``.

    Returns
    -------
    Lines
        Read-only arrays.

    Raises
    ------
    LabelError
        If the source is not in the tables.
    DataError
        If it has no such lines.
    """
    if source == BACKGROUND:
        pairs = [
            (energy, rate * intensity)
            for series, rate in soil_lines()
            for energy, intensity in _strong(series)
        ]
    else:
        pairs = _strong(_named(source).lines)
    if not pairs:
        raise DataError(
            f"neither {source} nor a daughter in equilibrium with it emits photons of "
            f"{_LEAST_ENERGY:g} to {_MOST_ENERGY:g} keV in {_LEAST_INTENSITY:.1%} of its decays"
        )
    energies, intensities = np.array(sorted(pairs), dtype=np.float64).T.copy()
    energies.flags.writeable = False
    intensities.flags.writeable = False
    return Lines(energies, intensities)


def _strong(found: EmissionLines) -> list[tuple[float, float]]:
    """Energies and intensities of the lines that stand out."""
    return [
        (line.energy, line.intensity)
        for line in found.at_least(_LEAST_INTENSITY).rows
        if _LEAST_ENERGY <= line.energy <= _MOST_ENERGY
    ]


def _named(source: str) -> Nuclide:
    try:
        return nuclide(source)
    except LabelError as error:
        raise LabelError(
            f"{error} (known sources: {', '.join(sources())}, and all nuclides)"
        ) from None
