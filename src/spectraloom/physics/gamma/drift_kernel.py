"""Compiled part of :mod:`spectraloom.physics.gamma.drift`."""

from __future__ import annotations

from numba import njit

from spectraloom._typing import FloatArray


@njit(cache=True, nogil=True)
def move(
    rates: FloatArray, edges: FloatArray, gains: FloatArray, offsets: FloatArray, moved: FloatArray
) -> None:
    """Fill `moved` (n, m) with `rates` (n, m) whose energies became gain * E + offset.

    Both sets of edges are walked along together; every piece between two of them goes from one
    channel to one other.
    """
    n, m = moved.shape
    for row in range(n):
        gain, offset = gains[row], offsets[row]
        moved[row] = 0.0
        old = new = 0
        low = gain * edges[0] + offset
        high = gain * edges[1] + offset
        at = max(low, edges[0])
        while old < m and new < m:
            if high <= at:
                old += 1
                if old < m:
                    low, high = high, gain * edges[old + 1] + offset
            elif edges[new + 1] <= at:
                new += 1
            else:
                end = min(high, edges[new + 1])
                moved[row, new] += rates[row, old] * ((end - at) / (high - low))
                at = end
