"""Bins of photon energy that all parts of the simulator share."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import FloatArray


def _edges() -> FloatArray:
    steps = ((0.0, 1000.0, 2.0), (1000.0, 3000.0, 5.0), (3000.0, 10000.0, 20.0))
    parts = [np.arange(start, stop, step) for start, stop, step in steps]
    edges = np.concatenate([*parts, [10000.0]])
    edges.flags.writeable = False
    return edges


PHOTON_EDGES: FloatArray = _edges()
"""keV; bins 2 keV wide to 1 MeV, 5 keV to 3 MeV and 20 keV to 10 MeV."""

PHOTON_ENERGIES: FloatArray = 0.5 * (PHOTON_EDGES[:-1] + PHOTON_EDGES[1:])
"""keV; centres of the bins."""
PHOTON_ENERGIES.flags.writeable = False
