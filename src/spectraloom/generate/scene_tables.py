"""Expected counts of a source behind any thickness of an absorber at any distance.

Transport is done at a few thicknesses and distances. Between them the logarithm of counts times
the square of the distance is interpolated, by cubic polynomials (Lagrange) through the four nearest
of them in each direction; it is close to a straight line, as attenuation is exponential. Least
close it is where one line fades into the continuum of others, which costs some per cent in the few
channels around it at that thickness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import FloatArray, IntArray
from spectraloom.errors import DataError
from spectraloom.generate.scene_kernel import interpolate
from spectraloom.physics.gamma.materials import Material, material

_STENCIL = 4  # nodes that take part in each direction
_PER_PATH = 2.0  # nodes of thickness per mean free path ...
_PROBE = 150.0  # ... of photons of this energy, keV
_LEAST_NODES, _MOST_NODES = 8, 16
_BASE = 100.0  # cm; distances are this times powers of two, the same for all scenes
_FLOOR = 1e-10  # of all counts; what a channel has less is nothing
_FAINTEST = 1e-250  # counts per decay


@dataclass(frozen=True, slots=True, eq=False)
class SourceTable:
    """Expected counts per decay at nodes of thickness and distance.

    Attributes
    ----------
    thicknesses : ndarray, shape (n_t,)
        cm, rising.
    distances : ndarray, shape (n_d,)
        cm, rising.
    counts : ndarray, shape (n_t * n_d, n_channels)
        Expected counts per decay; distances change fastest.
    logs : ndarray, shape (n_t * n_d, n_channels + 1)
        Logarithms of what is interpolated, and of what was added to it in each channel.
    """

    thicknesses: FloatArray
    distances: FloatArray
    counts: FloatArray
    logs: FloatArray

    def at(self, thickness: FloatArray, distance: FloatArray) -> FloatArray:
        """Expected counts per decay.

        Parameters
        ----------
        thickness, distance : ndarray, shape (n,)
            Within the nodes, cm.

        Returns
        -------
        ndarray, shape (n, n_channels)
        """
        if len(self.counts) == 1:
            return np.broadcast_to(self.counts[0], (len(distance), self.counts.shape[1]))
        rows, row_weights = _stencil(self.thicknesses, thickness)
        columns, column_weights = _stencil(np.log(self.distances), np.log(distance))
        n = len(distance)
        nodes = rows[:, :, np.newaxis] * len(self.distances) + columns[:, np.newaxis, :]
        weights = row_weights[:, :, np.newaxis] * column_weights[:, np.newaxis, :]
        logs = np.empty((n, self.logs.shape[1]))
        interpolate(self.logs, nodes.reshape(n, -1), weights.reshape(n, -1), logs)
        found = np.exp(logs)
        counts = np.maximum(found[:, :-1] - found[:, -1:], 0.0)
        return np.asarray(counts / (distance**2)[:, np.newaxis])


def source_table(
    expected: Callable[[float, float], FloatArray],
    thicknesses: FloatArray,
    distances: FloatArray,
    *,
    may_vanish: bool = False,
) -> SourceTable:
    """Compute the nodes.

    Parameters
    ----------
    expected : callable
        Thickness and distance in cm to expected counts per decay, shape (n_channels,).
    thicknesses, distances : ndarray
        Nodes, cm, rising.
    may_vanish : bool
        Whether it may be that nothing at all arrives at a node.

    Raises
    ------
    DataError
        If nothing arrives although it may not be.
    """
    counts = np.array([expected(one, other) for one in thicknesses for other in distances])
    totals = counts.sum(axis=1, keepdims=True)
    if not (may_vanish or totals.min() > _FAINTEST):
        raise DataError(
            f"nothing of a source is counted from behind {thicknesses[-1]:g} cm of its absorber at "
            f"{distances[-1]:g} cm: take a thinner one, less distance, or another axis"
        )
    totals = np.maximum(totals, _FAINTEST)
    squared = np.tile(distances**2, len(thicknesses))[:, np.newaxis]
    logs = np.log(np.hstack([counts + _FLOOR * totals, _FLOOR * totals]) * squared)
    return SourceTable(thicknesses, distances, counts, logs)


def thickness_nodes(made_of: str | Material, low: float, high: float) -> FloatArray:
    """Thicknesses at which transport is done, closer to each other where the absorber is thin.

    Parameters
    ----------
    made_of : str or Material
        Material.
    low, high : float
        Ends, cm; both are nodes.

    Returns
    -------
    ndarray
        cm.
    """
    if low == high:
        return np.array([low])
    paths = -np.log(max(float(material(made_of).transmission(high - low, _PROBE)), 1e-300))
    n = int(np.clip(np.ceil(_PER_PATH * paths), _LEAST_NODES, _MOST_NODES))
    return np.asarray(low + (high - low) * np.linspace(0.0, 1.0, n) ** 3)


def distance_nodes(low: float, high: float) -> FloatArray:
    """Distances at which transport is done.

    Parameters
    ----------
    low, high : float
        Ends, cm; both are nodes.

    Returns
    -------
    ndarray
        cm. Between the ends they are the same for all ranges, so that results are kept.
    """
    if low == high:
        return np.array([low])
    first, last = np.ceil(np.log2(1.1 * low / _BASE)), np.floor(np.log2(high / 1.1 / _BASE))
    between = _BASE * 2.0 ** np.arange(first, last + 1)
    return np.concatenate([[low], between, [high]])


def _stencil(nodes: FloatArray, at: FloatArray) -> tuple[IntArray, FloatArray]:
    """Nodes that take part in an interpolation, and their weights, both of shape (n, k)."""
    k = min(_STENCIL, len(nodes))
    first = np.clip(np.searchsorted(nodes, at) - k // 2, 0, len(nodes) - k)
    taken = first[:, np.newaxis] + np.arange(k)
    x = nodes[taken]
    weights = np.ones(taken.shape)
    for i in range(k):
        for j in range(k):
            if i != j:
                weights[:, i] *= (at - x[:, j]) / (x[:, i] - x[:, j])
    return taken, weights
