"""Gamma and x-ray lines of the sources that the simulator knows.

The table ``tables/lines.json`` keeps emitters and sources apart: the 662 keV line belongs to
Ba-137m, and Cs-137 is a source that feeds it. Where the values come from is written in the table.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.errors import LabelError

BACKGROUND = "background"
"""Name of the natural background: K-40 and the series of U-238 and Th-232 in soil."""


class Lines(NamedTuple):
    """Lines of a source, by increasing energy.

    Attributes
    ----------
    energies : ndarray, shape (n_lines,)
        keV.
    intensities : ndarray, shape (n_lines,)
        Photons per decay of the source; for the background, photons per second and kilogram of
        soil.
    """

    energies: FloatArray
    intensities: FloatArray


def sources() -> tuple[str, ...]:
    """Names of all sources, the background included."""
    return tuple(_table()["sources"])


@lru_cache(maxsize=64)
def lines(source: str) -> Lines:
    """Lines of a source with the daughters that it is in equilibrium with.

    Parameters
    ----------
    source : str
        A name out of :func:`sources`, e.g. ``"Cs137"``.

    Returns
    -------
    Lines
        Read-only arrays.

    Raises
    ------
    LabelError
        If the source is not in the table.
    """
    table = _table()
    if source not in table["sources"]:
        raise LabelError(
            f"no lines are known for {source!r}; known sources: {', '.join(table['sources'])}"
        )
    pairs = sorted(
        (energy, rate * intensity)
        for emitter, rate in table["sources"][source].items()
        for energy, intensity in table["emitters"][emitter]
    )
    energies, intensities = np.array(pairs, dtype=np.float64).T.copy()
    energies.flags.writeable = False
    intensities.flags.writeable = False
    return Lines(energies, intensities)


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    text = files("spectraloom.physics.gamma").joinpath("tables/lines.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table
