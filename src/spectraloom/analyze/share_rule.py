"""GAMMA_FLOW's decision rule on shares, and its extension to several sources."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectraloom._typing import Array, BoolArray, FloatArray, IntArray


def shares_of(amounts: FloatArray) -> FloatArray:
    """Amounts divided by their sum per spectrum; zero where nothing was found."""
    totals = amounts.sum(axis=1, keepdims=True)
    return np.divide(amounts, totals, out=np.zeros_like(amounts), where=totals > 0)


def is_source(names: Sequence[str], background: str | None) -> BoolArray:
    """Which names are sources rather than background, shape (k,)."""
    return np.array([name != background for name in names], dtype=bool)


def source_shares(shares: FloatArray, source: BoolArray) -> FloatArray:
    """Shares among the sources alone: background left out, the rest scaled to one."""
    return shares_of(np.where(source, shares, 0.0))


def decide_by_share(
    shares: FloatArray,
    names: Sequence[str],
    *,
    min_share: float,
    min_source_share: float = 0.0,
    background: str | None = None,
) -> BoolArray:
    """Which names are present.

    A spectrum holds a source if any source has more than `min_share` of everything: this is the
    rule of GAMMA_FLOW. With ``min_source_share=0`` the present names are those above `min_share`,
    exactly as there. Otherwise the background, however strong, no longer hides a second source:
    where one source was found, the largest counts as present, and each further one that has more
    than `min_source_share` *of the sources*.

    Parameters
    ----------
    shares : ndarray, shape (n, k)
        Shares per spectrum, each row with sum one (or zero).
    names : sequence of str, length k
        Names of the columns.
    min_share : float
        Smallest share of everything.
    min_source_share : float
        Smallest share among the sources; 0 leaves the rule of the reference.
    background : str, optional
        Name that is no source.

    Returns
    -------
    ndarray of bool, shape (n, k)
    """
    above = shares > min_share
    source = is_source(names, background)
    if min_source_share <= 0:
        return above
    found = (above & source).any(axis=1, keepdims=True)
    relative = source_shares(shares, source)
    largest = relative >= relative.max(axis=1, keepdims=True, initial=0.0)
    return np.where(source, found & (largest | (relative > min_source_share)), above)


def top_source(
    shares: FloatArray, names: Sequence[str], *, min_share: float, background: str | None = None
) -> Array:
    """Name of the largest source above `min_share`, else the background.

    Where no name is the background, the largest share decides; the first name if all are zero.

    Returns
    -------
    ndarray of str, shape (n,)
    """
    source = is_source(names, background)
    largest: IntArray = np.argmax(np.where(source, shares, -1.0), axis=1)
    top = np.asarray(names)[largest]
    if background is None or background not in names:
        return top
    strong = shares[np.arange(len(shares)), largest] > min_share
    return np.where(strong & source[largest], top, background)
