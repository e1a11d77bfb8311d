"""How much of each old bin lies in each new one: the arithmetic of count-preserving rebinning."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray, IntArray
from spectraloom.errors import AxisError, DataError

# Rows handled at a time are chosen so that the pieces below stay in the cache.
_PIECES_AT_ONCE = 1 << 18


def overlap_pieces(
    old_edges: npt.ArrayLike, new_edges: npt.ArrayLike
) -> tuple[IntArray, IntArray, FloatArray]:
    """Cut the range that two sets of bins share at every edge of both.

    Parameters
    ----------
    old_edges : array_like, shape (n_old + 1,)
        Strictly increasing bin edges.
    new_edges : array_like, shape (n_new + 1,)
        Strictly increasing bin edges in the same unit.

    Returns
    -------
    old, new : ndarray of int64, shape (n_pieces,)
        Old and new bin that each piece lies in; both are non-decreasing.
    fraction : ndarray of float64, shape (n_pieces,)
        Share of the old bin that the piece covers, in (0, 1].

    Raises
    ------
    AxisError
        If edges are not one-dimensional, finite and strictly increasing.
    """
    before, after = _as_edges("old", old_edges), _as_edges("new", new_edges)
    low, high = max(before[0], after[0]), min(before[-1], after[-1])
    if not low < high:
        nothing = np.empty(0, dtype=np.int64)
        return nothing, nothing, np.empty(0)
    cuts = np.union1d(before, after)
    cuts = cuts[(cuts >= low) & (cuts <= high)]
    old = np.searchsorted(before, cuts[:-1], side="right") - 1
    new = np.searchsorted(after, cuts[:-1], side="right") - 1
    fraction = np.diff(cuts) / np.diff(before)[old]
    return old.astype(np.int64), new.astype(np.int64), fraction


def overlap_rebin(
    values: npt.ArrayLike, old_edges: npt.ArrayLike, new_edges: npt.ArrayLike
) -> FloatArray:
    """Rebin integrals over bins to other bins, preserving their sum.

    Within an old bin the content is taken as uniform, so each new bin receives the share of it
    that it covers. What lies outside the new edges is not in the answer.

    Parameters
    ----------
    values : array_like, shape (n_spectra, n_old)
        Counts, or another quantity that is an integral over each bin.
    old_edges : array_like, shape (n_old + 1,)
        Bin edges of `values`.
    new_edges : array_like, shape (n_new + 1,)
        Bin edges wanted, in the same unit.

    Returns
    -------
    ndarray of float64, shape (n_spectra, n_new)
        Never negative where `values` are not.

    Raises
    ------
    DataError
        If `values` are not (n_spectra, n_old).
    AxisError
        If edges are not one-dimensional, finite and strictly increasing.
    """
    return add_pieces(
        values, overlap_pieces(old_edges, new_edges), np.size(old_edges) - 1, np.size(new_edges) - 1
    )


def add_pieces(
    values: npt.ArrayLike, pieces: tuple[IntArray, IntArray, FloatArray], n_old: int, n_new: int
) -> FloatArray:
    """Rebin by pieces that :func:`overlap_pieces` cut before; the rest as :func:`overlap_rebin`.

    Parameters
    ----------
    values : array_like, shape (n_spectra, n_old)
    pieces : tuple of ndarray
    n_old, n_new : int
        Numbers of bins.
    """
    old, new, fraction = pieces
    given = np.asarray(values)
    if given.ndim != 2 or given.shape[1] != n_old:
        raise DataError(f"values have shape {given.shape}, but the old edges make {n_old} bins")
    rebinned = np.zeros((len(given), n_new))
    if not old.size:
        return rebinned
    # `new` never decreases, so the pieces of one new bin are neighbours.
    starts = np.flatnonzero(np.diff(new, prepend=-1))
    filled = slice(int(new[0]), int(new[-1]) + 1)
    step = max(1, _PIECES_AT_ONCE // old.size)
    for row in range(0, len(given), step):
        cut = given[row : row + step, old] * fraction
        rebinned[row : row + step, filled] = np.add.reduceat(cut, starts, axis=1)
    return rebinned


def share_outside(old_edges: FloatArray, new_edges: FloatArray) -> FloatArray:
    """Share of each old bin that lies outside the new edges, shape (n_old,).

    Exactly zero for an old bin inside them, which one less a sum of fractions would not be.

    Parameters
    ----------
    old_edges, new_edges : ndarray
        Increasing bin edges in the same unit.
    """
    widths = np.diff(old_edges)
    below = np.clip(new_edges[0] - old_edges[:-1], 0.0, widths)
    above = np.clip(old_edges[1:] - new_edges[-1], 0.0, widths)
    return np.asarray((below + above) / widths)


def _as_edges(which: str, given: npt.ArrayLike) -> FloatArray:
    edges = np.asarray(given, dtype=np.float64)
    if edges.ndim != 1 or edges.size < 2:
        raise AxisError(f"the {which} edges need at least two values, got shape {edges.shape}")
    if not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
        raise AxisError(f"the {which} edges must be finite and increase strictly")
    return edges
