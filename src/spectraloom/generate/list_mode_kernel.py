"""Compiled part of :mod:`spectraloom.generate.list_mode`."""

from __future__ import annotations

import numpy as np
from numba import njit

from spectraloom._typing import FloatArray, IntArray


@njit(cache=True)
def record(
    times: FloatArray,
    energies: FloatArray,
    dead_time: float,
    pile_up_time: float,
    paralysable: bool,
) -> tuple[IntArray, FloatArray, IntArray, FloatArray, FloatArray]:
    """Decide pulse by pulse what is recorded.

    Returns
    -------
    tuple of ndarray
        For every record: which pulse began it, the sum of energies, how many pulses joined, and
        begin and end of the time in which the detector was busy.
    """
    n = times.size
    kept = np.empty(n, dtype=np.int64)
    sums = np.empty(n)
    joined = np.empty(n, dtype=np.int64)
    begins = np.empty(n)
    ends = np.empty(n)
    found = 0
    for i in range(n):
        if found and times[i] < ends[found - 1]:
            if times[i] < begins[found - 1] + pile_up_time:
                sums[found - 1] += energies[i]
                joined[found - 1] += 1
            if paralysable:
                ends[found - 1] = times[i] + dead_time
            continue
        kept[found] = i
        sums[found] = energies[i]
        joined[found] = 0
        begins[found] = times[i]
        ends[found] = times[i] + dead_time
        found += 1
    return kept[:found], sums[:found], joined[:found], begins[:found], ends[:found]
