"""Bins as coarse as the data model allows: what is lost of the information on any parameter."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import product

import numpy as np

from spectraloom._typing import Array, FloatArray
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.manifold.parts import Room
from spectraloom.analyze.manifold.table import ManifoldTable

MOST_LOST = 0.01  # of the information on any amount or latent
_AIM = 0.7  # part of it that is used at the anchors, as other mixtures may lose more
_PLACES = 9  # along a deformation
_MOST_PLACES = 25  # along several
_RATIOS = (0.1, 10.0)  # of sources to background
_OTHERS = 0.1  # of each other source beside one that is strong
_COUNTS = (1e3, 1e5)  # where priors make the number of counts matter
_TURNS = 6  # mergers, each with more weight on what the one before lost most of
_PRESSURE = 2.0
_FLOOR = 1e-12  # expected counts, as fits have them


@dataclass(frozen=True, slots=True)
class _Anchor:
    """What a bin tells at some amounts and latents.

    `scores` (p, n) are the steps of p estimates, in their standard deviations, per count too many
    in each bin; `expected` (n,) the counts. `rows` (p, n) are derivatives of the expected counts,
    `known` (p, p) is the precision of the prior, and `variances` (p,) are those on the bins.
    """

    scores: FloatArray
    expected: FloatArray
    rows: FloatArray
    known: FloatArray
    variances: FloatArray


def informative_edges(table: ManifoldTable) -> FloatArray:
    """Edges of the coarsest bins that keep 99 % of the information on every parameter.

    Neighbouring bins are merged, those first that cost least (Ward's method along the axis), until
    under 1 % of the Fisher information on any amount or latent would be lost: of each source
    alone with background, of all together, and of all with one that is strong; at nine values of
    the deformation and ten times as many counts of the sources as of the background, and a tenth.
    The information on a parameter is one over its smallest possible variance, all others being
    unknown, too. Other mixtures may lose more: the mergers stop at seven tenths of the 1 %.

    Parameters
    ----------
    table : ManifoldTable
        On the bins that may be merged, for counts.

    Returns
    -------
    ndarray, shape (m + 1,)
        Of the edges of the table.

    References
    ----------
    J. H. Ward, J. Am. Stat. Assoc. 58 (1963) 236, doi:10.1080/01621459.1963.10500845.
    """
    anchors = _anchors(table)
    scores = np.vstack([one.scores for one in anchors])
    counts = np.stack([one.expected for one in anchors])
    owner = np.repeat(np.arange(len(anchors)), [len(one.scores) for one in anchors])
    best = np.arange(len(table.edges))
    if not len(scores):
        return table.edges[best]
    weight = np.ones(len(scores))
    most = _AIM * MOST_LOST
    for _ in range(_TURNS):
        kept, lost = _merge(scores, counts[owner], weight / weight.sum(), most)
        # First order in the loss; what is kept is judged in full.
        if len(kept) < len(best) and max(_lost(one, kept).max() for one in anchors) <= MOST_LOST:
            best = kept
        weight = weight * np.exp(_PRESSURE * (lost / most - 1.0))
    return table.edges[best]


def lost_information(table: ManifoldTable, edges: FloatArray) -> float:
    """Largest part of the information on an amount or latent that coarser bins lose.

    At the amounts and deformations that :func:`informative_edges` looks at.

    Parameters
    ----------
    table : ManifoldTable
        On the finer bins.
    edges : ndarray, shape (m + 1,)
        Of the edges of the table, both ends among them.
    """
    kept = np.searchsorted(table.edges, edges)
    return max(float(_lost(one, kept).max(initial=0.0)) for one in _anchors(table))


def _anchors(table: ManifoldTable) -> list[_Anchor]:
    from spectraloom.analyze.manifold.blending import make_room

    nodes, k, size = table.nodes, len(table.groups), len(table.layout)
    room: Room = make_room(
        k, size, nodes.counts.shape[1], len(table.edges) - 1, nodes.table.shape[1]
    )
    levels = _COUNTS if table.prior.precision.any() else _COUNTS[-1:]
    return [
        _anchor(table, counts * amounts / amounts.sum(), point, room)
        for point in _points(table)
        for amounts in _mixtures(table)
        for counts in levels
    ]


def _points(table: ManifoldTable) -> list[FloatArray]:
    """Latents, deformations alike for all sources and the others at the centre of their prior."""
    own = table.layout.sources
    grid = list(product(np.linspace(0.0, 1.0, _PLACES), repeat=own.shape[1]))
    chosen = np.unique(np.linspace(0, len(grid) - 1, min(len(grid), _MOST_PLACES)).astype(int))
    points = []
    for number in chosen.tolist():
        point = table.prior.center.copy()
        for d, place in enumerate(grid[number]):
            low, high = table.prior.bounds[own[:, d]].T
            point[own[:, d]] = low + place * (high - low)
        points.append(point)
    return points


def _mixtures(table: ManifoldTable) -> list[FloatArray]:
    """Amounts of the templates: sources alone, together, and one of them strong."""
    n_sources = len(table.layout.sources)
    source = table.groups < n_sources
    under = np.where(source, 0.0, 1.0 / max((~source).sum(), 1))
    parts = [*np.eye(n_sources)]
    if n_sources > 1:
        parts.append(np.full(n_sources, 1.0 / n_sources))
        strong = np.eye(n_sources) + _OTHERS
        parts.extend(strong / strong.sum(axis=1, keepdims=True))
    ratios = _RATIOS if under.any() else (1.0,)
    shares = [np.where(source, part[np.minimum(table.groups, n_sources - 1)], 0.0)
              for part in parts]  # fmt: skip
    return [ratio * share + under for share in shares for ratio in ratios]


def _anchor(table: ManifoldTable, amounts: FloatArray, point: FloatArray, room: Room) -> _Anchor:
    from spectraloom.analyze.manifold.batch import fill_inverse
    from spectraloom.analyze.manifold.blending import place_all

    k, size = len(amounts), len(point)
    every = np.ones(k, dtype=bool)
    place_all(table.nodes, as_given(table.edges), point, amounts, every, True, _FLOOR, room)
    covariance = np.empty((k + size, k + size))
    expected = room.channel[0].copy()
    fill_inverse(expected, True, table.prior, amounts, point, room, covariance)
    found = np.diag(covariance)
    free = np.flatnonzero((found > 0.0) & np.isfinite(found))
    known = np.zeros_like(covariance)
    known[k:, k:] = table.prior.precision
    rows, variances = room.rows[free], found[free]
    steps = covariance[np.ix_(free, free)] @ (rows / expected)
    scores = steps / np.sqrt(variances)[:, np.newaxis]
    return _Anchor(scores, expected, rows.copy(), known[np.ix_(free, free)], variances)


def _lost(anchor: _Anchor, kept: Array) -> FloatArray:
    """Part of the information on each parameter that is lost on the bins between `kept`."""
    rows = np.add.reduceat(anchor.rows, kept[:-1], axis=1)
    expected = np.add.reduceat(anchor.expected, kept[:-1])
    information = (rows / expected) @ rows.T + anchor.known
    scale = np.sqrt(np.diag(information))
    if not scale.all():
        return np.ones(len(scale))
    left = np.linalg.pinv(information / np.outer(scale, scale), hermitian=True)
    return np.asarray(1.0 - anchor.variances * scale**2 / np.maximum(np.diag(left), 1e-300))


def _merge(
    scores: FloatArray, counts: FloatArray, weight: FloatArray, most: float
) -> tuple[Array, FloatArray]:
    """Merge neighbours, cheapest first, while each row of `scores` loses less than `most`.

    Two bins of expected counts w and v with scores g and h lose w v / (w + v) (g - h)^2.

    Parameters
    ----------
    scores, counts : ndarray, shape (p, n)
    weight : ndarray, shape (p,)
        Of the rows, in the order of the mergers.
    most : float

    Returns
    -------
    kept : ndarray of int, shape (m + 1,)
        Numbers of the edges that are left.
    lost : ndarray, shape (p,)
    """
    n = scores.shape[1]
    inside, mean = [*counts.T.copy()], [*scores.T.copy()]
    after, before = list(range(1, n + 1)), list(range(-1, n - 1))
    version = [0] * n  # -1 once it is a part of another
    lost = np.zeros(len(scores))
    waiting: list[tuple[float, int, int, int, int]] = []

    def cost(i: int, j: int) -> FloatArray:
        away = mean[i] - mean[j]
        return np.asarray(inside[i] * inside[j] / (inside[i] + inside[j]) * away * away)

    def wait(i: int) -> None:
        j = after[i]
        if i >= 0 and j < n:
            price = float(weight @ cost(i, j))
            heapq.heappush(waiting, (price, i, j, version[i], version[j]))

    for i in range(n):
        wait(i)
    while waiting:
        _, i, j, *versions = heapq.heappop(waiting)
        if versions != [version[i], version[j]]:
            continue
        added = lost + cost(i, j)
        if added.max() > most:
            continue
        lost = added
        total = inside[i] + inside[j]
        mean[i] = (inside[i] * mean[i] + inside[j] * mean[j]) / total
        inside[i] = total
        version[i], version[j] = version[i] + 1, -1
        after[i] = after[j]
        if after[i] < n:
            before[after[i]] = i
        wait(i)
        wait(before[i])
    kept = [i for i in range(n) if version[i] >= 0]
    return np.array([*kept, n]), lost
