"""Compiled templates on the bins of a spectrum, moved by gain, offset and broadening.

The integral of a template over a bin is the difference of its cumulative distribution between the
edges of the bin, so a template that is moved keeps its counts. A count of energy E is recorded at
E (1 + gain) + offset, in peaks widened by 1 + broadening.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from spectraloom.analyze.likelihood.parts import N_NUISANCES, Pieces, Work

_FAST = {"reassoc", "contract", "arcp", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy")
def make_work(total, n):  # type: ignore[no-untyped-def]
    """Room for fits of `total` templates to `n` bins."""
    size = total + N_NUISANCES
    pieces = Pieces(
        np.zeros(n + 1, dtype=np.uint64),
        np.zeros((3, n + 1)),
        np.zeros((3, n + 1)),
        np.zeros((2, n + 1)),
    )
    return Work(
        np.zeros((total, n)),
        np.zeros((N_NUISANCES, n)),
        np.zeros((4, n)),
        pieces,
        np.zeros((size, n)),
        np.zeros((size, size)),
        np.zeros((size, size)),
        np.zeros((5, size)),
        np.zeros((5, size), dtype=np.int64),
        np.zeros(total),
        np.zeros(N_NUISANCES),
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def locate(grid, edges, theta, pieces):  # type: ignore[no-untyped-def]
    """Find the piece of the grid under every moved edge, and the weights of its cubic.

    With t from 0 to 1 along a piece of length h, the Hermite cubic is
    c0 + (c1 - c0) rise(t) + s0 left(t) + s1 right(t); beyond the grid it is constant.
    """
    last = len(grid) - 2
    scale = 1.0 / (1.0 + theta[0])
    low = 0
    for e in range(len(edges)):
        x = (edges[e] - theta[1]) * scale
        while low < last and grid[low + 1] < x:
            low += 1
        h = grid[low + 1] - grid[low]
        t = min(max((x - grid[low]) / h, 0.0), 1.0)
        inside = 1.0 if grid[0] < x < grid[last + 1] else 0.0
        t2 = t * t
        pieces.low[e] = low
        pieces.value[0, e] = (3.0 - 2.0 * t) * t2
        pieces.value[1, e] = ((t - 2.0) * t + 1.0) * t * h
        pieces.value[2, e] = (t - 1.0) * t2 * h
        pieces.slope[0, e] = inside * 6.0 * (t - t2) / h
        pieces.slope[1, e] = inside * (3.0 * t2 - 4.0 * t + 1.0)
        pieces.slope[2, e] = inside * (3.0 * t2 - 2.0 * t)


@njit(cache=True, nogil=True, error_model="numpy")
def layer_weights(nodes, broadening):  # type: ignore[no-untyped-def]
    """Smooth interpolation between layers, and its derivative.

    Between two nodes the parabolas centred on either are blended (a Catmull-Rom cubic), so that
    the derivative is continuous; between the first and the last two there is one parabola.

    Returns
    -------
    layer : int, first layer used
    used : int, number of layers
    weight, dweight : (4,)
    """
    weight = np.zeros(4)
    dweight = np.zeros(4)
    weight[0] = 1.0
    if len(nodes) < 3:
        return 0, 1, weight, dweight
    step = nodes[1] - nodes[0]
    u = (broadening - nodes[0]) / step
    piece = min(max(int(np.floor(u)), 0), len(nodes) - 2)
    first = max(piece - 1, 0)
    weight[0] = 0.0
    for center in (piece, piece + 1):
        if center < 1 or center > len(nodes) - 2:
            continue
        t = u - center
        # Share of this parabola: falls from one at its centre to zero at the other node.
        share, slope = 1.0 - abs(t), (-1.0 if center == piece else 1.0)
        if (center == piece and piece == len(nodes) - 2) or (center > piece and piece == 0):
            share, slope = 1.0, 0.0
        i = center - 1 - first
        values = (0.5 * t * (t - 1.0), 1.0 - t * t, 0.5 * t * (t + 1.0))
        slopes = (t - 0.5, -2.0 * t, t + 0.5)
        for q in range(3):
            weight[i + q] += share * values[q]
            dweight[i + q] += (share * slopes[q] + slope * values[q]) / step
    return first, min(4, len(nodes) - first), weight, dweight


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _add_line(cumulative, slopes, low, weights, start, factor, line):  # type: ignore[no-untyped-def]
    """Add `factor` times a cubic at the edges to `line`; `start` is 1 for values, 0 for slopes."""
    for e in range(len(line)):
        i = low[e]
        first = cumulative[i]
        line[e] += factor * (
            start * first
            + weights[0, e] * (cumulative[i + np.uint64(1)] - first)
            + weights[1, e] * slopes[i]
            + weights[2, e] * slopes[i + np.uint64(1)]
        )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def templates_at(templates, pieces, theta, chosen, size, A):  # type: ignore[no-untyped-def]
    """Fill the rows `chosen[:size]` of A: the templates integrated over the bins.

    Parameters
    ----------
    templates : Templates
    pieces : Pieces, from :func:`locate` at `theta`
    theta : (3,)
    chosen : (>= size,) numbers of templates; those that do not move are passed over
    A : (>= k, n), filled here
    """
    k = templates.table.shape[1]
    layer, used, weight, _ = layer_weights(templates.nodes, theta[2])
    line = pieces.line[0]
    for i in range(size):
        j = chosen[i]
        if j >= k:
            continue
        line[:] = 0.0
        for q in range(used):
            _add_line(
                templates.table[layer + q, j],
                templates.slopes[layer + q, j],
                pieces.low,
                pieces.value,
                1.0,
                weight[q],
                line,
            )
        for c in range(A.shape[1]):
            A[j, c] = max(line[c + 1] - line[c], 0.0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def slopes_at(templates, pieces, edges, theta, use, a, J):  # type: ignore[no-untyped-def]
    """Fill J (3, n): derivatives of the expected counts of amounts `a` by the nuisances."""
    n = J.shape[1]
    k = templates.table.shape[1]
    scale = 1.0 / (1.0 + theta[0])
    layer, used, weight, dweight = layer_weights(templates.nodes, theta[2])
    density = pieces.line[0]
    widening = pieces.line[1]
    density[:] = 0.0
    widening[:] = 0.0
    for j in range(k):
        if a[j] <= 0.0:
            continue
        for q in range(used):
            C = templates.table[layer + q, j]
            S = templates.slopes[layer + q, j]
            if use[0] or use[1]:
                _add_line(C, S, pieces.low, pieces.slope, 0.0, weight[q] * a[j], density)
            if use[2]:
                _add_line(C, S, pieces.low, pieces.value, 1.0, dweight[q] * a[j], widening)
    for c in range(n):
        # An edge e belongs to (e - offset) / (1 + gain) on the grid, which falls as gain grows.
        low = (edges[c] - theta[1]) * scale * scale
        high = (edges[c + 1] - theta[1]) * scale * scale
        J[0, c] = density[c] * low - density[c + 1] * high
        J[1, c] = scale * (density[c] - density[c + 1])
        J[2, c] = widening[c + 1] - widening[c]
