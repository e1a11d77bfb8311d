"""Random coincidences: the shape that a spectrum gets from pulses that arrive together."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from scipy.signal import fftconvolve

from spectraloom._typing import Array, FloatArray, IntArray
from spectraloom.analyze.remembered import remembered
from spectraloom.data.axis import Axis
from spectraloom.data.overlap import add_pieces, overlap_pieces

_VALUES = 1 << 23  # numbers in memory at a time
_FINEST = 4  # even bins per channel, at most

Pieces: TypeAlias = tuple[IntArray, IntArray, FloatArray]


def pileup_templates(values: Array, axis: Axis, edges: FloatArray) -> FloatArray:
    """Unit-area spectrum of the sums of two pulses of each spectrum, on some bins.

    Two pulses within the resolving time of the electronics are recorded as one with the sum of
    their energies (Knoll, *Radiation Detection and Measurement*, ch. 17): to first order the
    spectrum convolved with itself. The energy scale is taken from the axis, so that two pulses
    add energies, not channel numbers; counts below zero energy take no part.

    Parameters
    ----------
    values : ndarray, shape (n, n_channels)
        Counts.
    axis : Axis
        Calibrated bins.
    edges : ndarray, shape (m + 1,)
        Bins wanted, on the same coordinate.

    Returns
    -------
    ndarray, shape (n, m)
        Zero where a spectrum is empty.
    """
    n_bins, spread, gathered = _pieces(axis, np.ascontiguousarray(edges).tobytes())
    out = np.zeros((len(values), len(edges) - 1))
    chunk = max(_VALUES // (8 * n_bins), 1)
    for start in range(0, len(values), chunk):
        rows = slice(start, start + chunk)
        even = add_pieces(np.maximum(values[rows], 0), spread, axis.n_channels, n_bins)
        summed = np.maximum(fftconvolve(even, even, axes=1), 0.0)
        shapes = add_pieces(summed, gathered, 2 * n_bins - 1, len(edges) - 1)
        areas = shapes.sum(axis=1, keepdims=True)
        out[rows] = np.divide(shapes, areas, out=np.zeros_like(shapes), where=areas > 0)
    return out


@remembered
def _pieces(axis: Axis, edges: bytes) -> tuple[int, Pieces, Pieces]:
    """Number of even bins of energy, how the axis is cut into them, and their sums into edges."""
    bins = np.frombuffer(edges)
    # As fine as the axis, but no finer than needed where a few bins are very narrow.
    span = max(axis.edges[-1], bins[-1]) - min(axis.edges[0], 0.0)
    width = max(float(axis.widths.min()), span / (_FINEST * axis.n_channels))
    n_bins = int(np.ceil(max(axis.edges[-1], bins[-1]) / width))
    energies = np.arange(n_bins + 1) * width
    pairs = np.arange(2 * n_bins) * width  # bins i and j add up to i + j + 1 in the mean
    return (
        n_bins,
        overlap_pieces(axis.edges, energies),
        overlap_pieces(pairs + 0.5 * width, bins),
    )
