"""Bins of deposited energy that move with the energy of the photon.

The continuum of a response has features that move as the energy of the photon does: the Compton
edge, the escape edges, the backscatter. Between two energies of a grid a response is interpolated
on bins whose knots follow those features, so that an edge moves and does not fade over into two.
"""

from __future__ import annotations

import numpy as np

from spectraloom._typing import FloatArray, IntArray
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY, compton_edge

_CROSSING = 0.5 * ELECTRON_REST_ENERGY
"""keV; here the Compton edge and the energy of a photon scattered back are the same."""
_ESCAPES = 1300.0
"""keV; from here the knots follow the escape of annihilation photons too."""

BOUNDS: tuple[float, ...] = (_CROSSING, _ESCAPES)
"""keV; where one layout ends and the next begins."""
N_BINS = 240
"""Bins of each layout."""

_NUMBERS = ((80, 80, 80), (64, 112, 64), (32, 48, 48, 32, 48, 32))  # bins of each segment


def first_bins(layout: int) -> IntArray:
    """Number of the bin that begins at each knot of a layout, and the number of bins at the end."""
    return np.concatenate([[0], np.cumsum(_NUMBERS[layout])]).astype(np.int64)


def knots(layout: int, energy: float) -> FloatArray:
    """Deposited energies that the bins of a layout are even between, keV.

    Parameters
    ----------
    layout : int
        0 below the first of `BOUNDS`, 1 up to the second, 2 above.
    energy : float
        Of the photon, keV.
    """
    edge = float(compton_edge(energy))
    back = energy - edge
    if layout == 0:
        return np.array([0.0, edge, back, energy])
    if layout == 1:
        return np.array([0.0, back, edge, energy])
    double, single = energy - 2.0 * ELECTRON_REST_ENERGY, energy - ELECTRON_REST_ENERGY
    between = double + float(compton_edge(ELECTRON_REST_ENERGY))
    return np.array([0.0, back, double, between, single, edge, energy])


def bin_edges(layout: int, energy: float) -> FloatArray:
    """Edges of all bins of a layout, keV; shape (N_BINS + 1,)."""
    first = first_bins(layout)
    return np.interp(np.arange(N_BINS + 1), first, knots(layout, energy))
