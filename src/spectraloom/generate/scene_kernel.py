"""Compiled part of :mod:`spectraloom.generate.scene_tables`."""

from __future__ import annotations

from numba import njit

from spectraloom._typing import FloatArray, IntArray


@njit(cache=True, nogil=True)
def interpolate(values: FloatArray, nodes: IntArray, weights: FloatArray, out: FloatArray) -> None:
    """Fill rows of `out` (n, m) with sums of rows of `values`, `nodes` and `weights` being (n, k).

    The sum over nodes is taken in one order, so that a row does not depend on its neighbours.
    """
    n, m = out.shape
    for row in range(n):
        out[row] = 0.0
        for k in range(nodes.shape[1]):
            source = values[nodes[row, k]]
            weight = weights[row, k]
            for column in range(m):
                out[row, column] += weight * source[column]
