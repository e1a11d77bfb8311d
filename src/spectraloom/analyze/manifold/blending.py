"""Compiled templates between the nodes of their deformations, and their derivatives.

Between two nodes the parabolas centred on either are blended, so that the derivative is
continuous; several deformations make a tensor product of that.
"""

from __future__ import annotations

import numpy as np

from spectraloom.analyze.compiled import compiled, compiled_fast, compiled_within
from spectraloom.analyze.likelihood.moving import locate
from spectraloom.analyze.likelihood.parts import MU, Pieces
from spectraloom.analyze.manifold.parts import Room

_AT = 4  # nodes that a place between two of them depends on


@compiled
def make_room(k, n_latents, n_deformations, n, m):  # type: ignore[no-untyped-def]
    """Room for fits of `k` templates with latents to `n` bins, from `m` places of the table."""
    size = k + n_latents
    pieces = Pieces(
        np.zeros(n + 1, dtype=np.uint64),
        np.zeros((3, n + 1)),
        np.zeros((3, n + 1)),
        np.zeros((2, n + 1)),
    )
    return Room(
        np.zeros((size, n)),
        np.zeros((size, n)),
        np.zeros((4, n)),
        np.zeros((4 + 2 * n_latents, m)),
        pieces,
        np.zeros((size, size)),
        np.zeros((size, size)),
        np.zeros((5, size)),
        np.zeros((5, size), dtype=np.int64),
        np.zeros(k),
        np.zeros(n_latents),
        np.zeros(k, dtype=np.bool_),
        np.zeros((k, 1 + n_deformations, _AT**n_deformations)),
        np.zeros((k, _AT**n_deformations), dtype=np.int64),
        np.zeros(k, dtype=np.int64),
        np.zeros(n_latents, dtype=np.int64),
        np.zeros((n_latents, 2, _AT)),
    )


@compiled_within
def _weigh_nodes(n_nodes, u, first, near, z):  # type: ignore[no-untyped-def]
    """Fill the first of the four nodes around a place `u` from 0 to 1 of latent `z`; weights too.

    `near` has the weights of the four nodes, and their derivatives by `u`.
    """
    for q in range(_AT):
        near[z, 0, q] = 0.0
        near[z, 1, q] = 0.0
    scale = n_nodes - 1.0
    x = min(max(u, 0.0), 1.0) * scale
    piece = min(int(x), n_nodes - 2)
    first[z] = min(max(piece - 1, 0), n_nodes - _AT)
    for center in range(piece, piece + 2):
        if center < 1 or center > n_nodes - 2:
            continue
        t = x - center
        # Share of this parabola: falls from one at its centre to zero at the other node.
        share = 1.0 - abs(t)
        turn = -1.0 if center == piece else 1.0
        if (center == piece and piece == n_nodes - 2) or (center > piece and piece == 0):
            share, turn = 1.0, 0.0
        i = center - 1 - first[z]
        near[z, 0, i] += share * 0.5 * t * (t - 1.0)
        near[z, 0, i + 1] += share * (1.0 - t * t)
        near[z, 0, i + 2] += share * 0.5 * t * (t + 1.0)
        near[z, 1, i] += scale * (share * (t - 0.5) + turn * 0.5 * t * (t - 1.0))
        near[z, 1, i + 1] += scale * (-2.0 * t * share + turn * (1.0 - t * t))
        near[z, 1, i + 2] += scale * (share * (t + 0.5) + turn * 0.5 * t * (t + 1.0))


@compiled_within
def weigh_all_nodes(nodes, s, room):  # type: ignore[no-untyped-def]
    """Weights of the nodes around latents `s`, once for all templates that share them."""
    for z in range(len(s)):
        if nodes.along[z] > 0:
            _weigh_nodes(nodes.along[z], s[z], room.first, room.near, z)


@compiled_within
def _find_nodes(nodes, j, room):  # type: ignore[no-untyped-def]
    """Fill the rows of the table that template `j` is blended of, with weights."""
    node, weights, near = room.node, room.weight, room.near
    n_deformations = nodes.counts.shape[1]
    node[j, 0] = nodes.first[j]
    for d in range(n_deformations + 1):
        weights[j, d, 0] = 1.0
    size = 1
    if n_deformations == 1 and nodes.counts[j, 0] > 1:
        # As the loops below have it, without the products: the case of most fits.
        z = nodes.latent[j, 0]
        for q in range(_AT):
            node[j, q] = nodes.first[j] + room.first[z] + q
            weights[j, 0, q] = near[z, 0, q]
            weights[j, 1, q] = near[z, 1, q]
        room.size[j] = _AT
        return
    for d in range(n_deformations):
        n_nodes = nodes.counts[j, d]
        if n_nodes == 1:
            for e in range(size):
                weights[j, 1 + d, e] = 0.0
            continue
        z = nodes.latent[j, d]
        # The last coordinate is the fastest: those before it step over all of its nodes.
        stride = 1
        for later in range(d + 1, n_deformations):
            stride *= nodes.counts[j, later]
        for e in range(size - 1, -1, -1):
            row = node[j, e]
            for q in range(_AT - 1, -1, -1):
                at = e * _AT + q
                for other in range(n_deformations):
                    factor = near[z, 1, q] if other == d else near[z, 0, q]
                    weights[j, 1 + other, at] = weights[j, 1 + other, e] * factor
                weights[j, 0, at] = weights[j, 0, e] * near[z, 0, q]
                node[j, at] = row + (room.first[z] + q) * stride
        size *= _AT
    room.size[j] = size


@compiled_fast
def add_rows(table, node, weight, size, factor, line):  # type: ignore[no-untyped-def]
    """Add `factor` times the weighted rows of a table to `line`, four at a time."""
    e = 0
    while e + 3 < size:
        r0, r1, r2, r3 = table[node[e]], table[node[e + 1]], table[node[e + 2]], table[node[e + 3]]
        w0, w1, w2, w3 = (
            factor * weight[e],
            factor * weight[e + 1],
            factor * weight[e + 2],
            factor * weight[e + 3],
        )
        for c in range(len(line)):
            line[c] += w0 * r0[c] + w1 * r1[c] + w2 * r2[c] + w3 * r3[c]
        e += 4
    while e < size:
        r0, w0 = table[node[e]], factor * weight[e]
        for c in range(len(line)):
            line[c] += w0 * r0[c]
        e += 1


@compiled_within
def _fill_row(table, node, weight, size, line):  # type: ignore[no-untyped-def]
    """Fill `line` with the weighted rows of a table; what is below zero becomes zero."""
    n = len(line)
    if size == _AT:
        r0, r1, r2, r3 = table[node[0]], table[node[1]], table[node[2]], table[node[3]]
        w0, w1, w2, w3 = weight[0], weight[1], weight[2], weight[3]
        for c in range(n):
            line[c] = max(w0 * r0[c] + w1 * r1[c] + w2 * r2[c] + w3 * r3[c], 0.0)
        return
    if size == 1:
        r0, w0 = table[node[0]], weight[0]
        for c in range(n):
            line[c] = max(w0 * r0[c], 0.0)
        return
    for c in range(n):
        line[c] = 0.0
    add_rows(table, node, weight, size, 1.0, line)
    for c in range(n):
        line[c] = max(line[c], 0.0)


@compiled_fast
def _at_edges(values, slopes, pieces, start, line):  # type: ignore[no-untyped-def]
    """Cubic of values and slopes on the grid at the moved edges; `start` is 0 for a slope."""
    weights = pieces.value if start > 0.0 else pieces.slope
    for e in range(len(line)):
        i = pieces.low[e]
        value = values[i]
        line[e] = (
            start * value
            + weights[0, e] * (values[i + np.uint64(1)] - value)
            + weights[1, e] * slopes[i]
            + weights[2, e] * slopes[i + np.uint64(1)]
        )


@compiled
def locate_edges(nodes, edges, s, room):  # type: ignore[no-untyped-def]
    """Find the pieces of the grid under the edges, moved by gain and offset."""
    theta = np.zeros(3)
    for z in range(2):
        if nodes.moved[z] >= 0:
            theta[z] = s[nodes.moved[z]]
    locate(nodes.grid, edges, theta, room.pieces)


@compiled_fast
def templates_at(nodes, s, wanted, room):  # type: ignore[no-untyped-def]
    """Fill the rows of the templates that are `wanted`; edges are located already."""
    rows, moving = room.rows, nodes.slopes.shape[0] > 0
    n = rows.shape[1]
    weigh_all_nodes(nodes, s, room)
    for j in range(len(wanted)):
        if not wanted[j]:
            continue
        _find_nodes(nodes, j, room)
        node, weight, size = room.node[j], room.weight[j, 0], room.size[j]
        if not moving:
            _fill_row(nodes.table, node, weight, size, rows[j])
            continue
        values, slopes, line = room.grid[0], room.grid[1], room.pieces.line[0]
        values[:] = 0.0
        slopes[:] = 0.0
        add_rows(nodes.table, node, weight, size, 1.0, values)
        add_rows(nodes.slopes, node, weight, size, 1.0, slopes)
        _at_edges(values, slopes, room.pieces, 1.0, line)
        for c in range(n):
            rows[j, c] = max(line[c + 1] - line[c], 0.0)


@compiled_fast
def slopes_at(nodes, edges, s, a, room):  # type: ignore[no-untyped-def]
    """Fill the rows of the latents: derivatives of the expected counts of amounts `a`.

    The templates with an amount are at `s` already. Latents that none of them depends on get zeros.
    """
    k, n = len(a), room.rows.shape[1]
    n_latents = len(s)
    moving = nodes.slopes.shape[0] > 0
    grid = room.grid
    if moving:
        grid[2:] = 0.0
    else:
        room.rows[k:] = 0.0
    for j in range(k):
        if a[j] <= 0.0:
            continue
        node, size = room.node[j], room.size[j]
        for d in range(nodes.counts.shape[1]):
            if nodes.counts[j, d] == 1:
                continue
            place, weight = nodes.latent[j, d], room.weight[j, 1 + d]
            if moving:
                add_rows(nodes.table, node, weight, size, a[j], grid[4 + 2 * place])
                add_rows(nodes.slopes, node, weight, size, a[j], grid[5 + 2 * place])
            else:
                add_rows(nodes.table, node, weight, size, a[j], room.rows[k + place])
        if moving:
            add_rows(nodes.table, node, room.weight[j, 0], size, a[j], grid[2])
            add_rows(nodes.slopes, node, room.weight[j, 0], size, a[j], grid[3])
    if not moving:
        return
    line = room.pieces.line[0]
    for place in range(n_latents):
        if place == nodes.moved[0] or place == nodes.moved[1]:
            continue
        _at_edges(grid[4 + 2 * place], grid[5 + 2 * place], room.pieces, 1.0, line)
        for c in range(n):
            room.rows[k + place, c] = line[c + 1] - line[c]
    _at_edges(grid[2], grid[3], room.pieces, 0.0, line)
    gain = s[nodes.moved[0]] if nodes.moved[0] >= 0 else 0.0
    offset = s[nodes.moved[1]] if nodes.moved[1] >= 0 else 0.0
    scale = 1.0 / (1.0 + gain)
    for c in range(n):
        # An edge e belongs to (e - offset) / (1 + gain) on the grid, which falls as gain grows.
        if nodes.moved[0] >= 0:
            low, high = (edges[c] - offset) * scale**2, (edges[c + 1] - offset) * scale**2
            room.rows[k + nodes.moved[0], c] = line[c] * low - line[c + 1] * high
        if nodes.moved[1] >= 0:
            room.rows[k + nodes.moved[1], c] = scale * (line[c] - line[c + 1])


@compiled_fast
def mean_of(a, poisson, floor, rows, mu):  # type: ignore[no-untyped-def]
    """Expected counts of amounts `a`."""
    n = rows.shape[1]
    for c in range(n):
        mu[c] = floor if poisson else 0.0
    for j in range(len(a)):
        x = a[j]
        if x > 0.0:
            for c in range(n):
                mu[c] += x * rows[j, c]


@compiled
def place_all(nodes, edges, s, a, allowed, poisson, floor, room):  # type: ignore[no-untyped-def]
    """Templates, derivatives and mean at amounts `a` and latents `s`."""
    if nodes.slopes.shape[0] > 0:
        locate_edges(nodes, edges, s, room)
    templates_at(nodes, s, allowed, room)
    slopes_at(nodes, edges, s, a, room)
    mean_of(a, poisson, floor, room.rows, room.channel[MU])
