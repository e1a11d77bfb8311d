"""Signatures and background on nodes and on the bins of the data, as compiled fits take them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from spectraloom._typing import FloatArray, IntArray
from spectraloom.analyze.likelihood import Resolution
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.likelihood.tables import broaden, cumulative_on
from spectraloom.analyze.manifold.latents import (
    LEAST_WIDTH,
    MOST_BROADENING,
    MOST_TILT,
    LatentLayout,
    Latents,
    lay_out,
)
from spectraloom.analyze.manifold.parts import Nodes, Prior, Starts
from spectraloom.analyze.manifold.signature import SignatureModel, TabulatedSignature
from spectraloom.data.axis import Axis
from spectraloom.data.library import Library
from spectraloom.errors import AxisError, DataError, FitError

_BROADENING_NODES = 7
_TILT_NODES = 5  # the family is a straight line between two spectra
_STARTS = 7  # along a deformation
_GAIN_STARTS = (-1.5, 0.0, 1.5)
_WIDE_GAIN = 0.015  # prior width above which fits start at several gains
_MOST_STARTS = 200
_COARSE = 64  # bins that starts are judged on


@dataclass(frozen=True, slots=True, eq=False)
class ManifoldTable:
    """All that a fit needs but the spectra.

    Parameters
    ----------
    names : tuple of str, length n_names
        Sources, and the background last if there is one.
    groups : ndarray of int, shape (k,)
        Which name each template belongs to.
    edges : ndarray, shape (n + 1,)
        Bins of the data that are fitted.
    axis : Axis
        Of the signatures.
    latents : Latents
    layout : LatentLayout
    nodes : Nodes
    starts : Starts
    """

    names: tuple[str, ...]
    groups: IntArray
    edges: FloatArray
    axis: Axis
    latents: Latents
    layout: LatentLayout
    nodes: Nodes
    starts: Starts

    @property
    def prior(self) -> Prior:
        """Prior and limits of the latents."""
        return self.layout.prior

    def templates(self, values: FloatArray) -> FloatArray:
        """Templates on the bins at latents in their units, shape (k, n).

        Parameters
        ----------
        values : ndarray, shape (L,)
        """
        return templates_on(self.nodes, self.edges, self.layout.to_inner(np.asarray(values)))


def manifold_table(
    signatures: SignatureModel,
    background: Library | None,
    edges: FloatArray,
    latents: Latents | None = None,
) -> ManifoldTable:
    """Put signatures and background on the bins of the data.

    Parameters
    ----------
    signatures : SignatureModel
        Of the sources, on bins.
    background : Library or None
        One name, with as many templates as its shape may mix.
    edges : ndarray, shape (n + 1,)
        Bins of the data, in the quantity and unit of the signatures. Templates move to them
        without losing counts.
    latents : Latents, optional

    Raises
    ------
    AxisError
        If signatures and background measure different things, or the bins do not overlap them.
    DataError
        If the background has several names, or one of the sources' names, or the edges do not
        increase.
    FitError
        If a prior is narrower than fits can tell.
    """
    chosen = latents or Latents()
    axis = signatures.axis
    bins = np.asarray(edges, dtype=np.float64)
    if bins.ndim != 1 or len(bins) < 2 or not (np.diff(bins) > 0).all():
        raise DataError("the edges of the bins are two or more increasing coordinates")
    if min(bins[-1], axis.edges[-1]) <= max(bins[0], axis.edges[0]):
        raise AxisError(
            f"the bins from {bins[0]:g} to {bins[-1]:g} {axis.unit} do not overlap the signatures "
            f"({axis.describe()})"
        )
    least = LEAST_WIDTH * float(np.diff(bins).mean())
    if chosen.offset is not None and chosen.offset < least:
        raise FitError(
            f"the prior width of offset is {least:g} {axis.unit} at least (on these bins), got "
            f"{chosen.offset!r}; None leaves it out"
        )
    tabulated = (
        signatures
        if isinstance(signatures, TabulatedSignature)
        else TabulatedSignature.from_model(signatures)
    )
    layout = lay_out(chosen, tabulated.deformations, tabulated.names, axis.unit)
    blocks = _source_blocks(tabulated, layout, chosen.resolution)
    groups = list(range(len(tabulated.names)))
    names = tabulated.names
    own = [(axis, block) for block in blocks]
    if background is not None:
        _require_background(background, tabulated)
        groups += [len(names)] * len(background.names)
        names = (*names, background.unique_names[0])
        own += [(background.axis, block) for block in _background_blocks(background, layout)]
    nodes = _nodes_of(own, layout, bins, chosen.moving)
    groups_array = np.array(groups, dtype=np.int64)
    starts = _starts_of(nodes, layout, chosen, bins, tabulated.names)
    return ManifoldTable(names, groups_array, as_given(bins), axis, chosen, layout, nodes, starts)


def _require_background(background: Library, signatures: TabulatedSignature) -> None:
    axis = signatures.axis
    if (background.axis.quantity, background.axis.unit) != (axis.quantity, axis.unit):
        raise AxisError(
            f"the background lies on {background.axis.describe()}, the signatures on "
            f"{axis.describe()}"
        )
    if len(background.unique_names) != 1 or background.unique_names[0] in signatures.names:
        raise DataError(
            "the background is one name that is no source, with one or more templates; got "
            f"{', '.join(background.unique_names)}"
        )
    if (background.templates < 0).any() or not background.templates.sum(axis=1).all():
        raise DataError("a template of the background is negative or empty")


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """One template at its nodes, shape (n_rows, n_channels), with nodes and latent per place."""

    rows: FloatArray
    counts: tuple[int, ...]
    latent: tuple[int, ...]


def _source_blocks(
    signatures: TabulatedSignature, layout: LatentLayout, resolution: Resolution | None
) -> list[_Block]:
    table, axis = signatures.table, signatures.axis
    d = len(signatures.deformations)
    blocks = []
    for k in range(len(signatures.names)):
        rows = table[..., k, :].reshape(-1, axis.n_channels)
        counts, latent = table.shape[:d], tuple(int(i) for i in layout.sources[k])
        if layout.broadening >= 0:
            widths = np.linspace(0.0, MOST_BROADENING, _BROADENING_NODES)
            wider = [broaden(rows, axis, float(one), resolution or Resolution()) for one in widths]
            rows = np.stack(wider, axis=1).reshape(-1, axis.n_channels)
            counts, latent = (*counts, _BROADENING_NODES), (*latent, layout.broadening)
        blocks.append(_Block(rows, counts, latent))
    return blocks


def _background_blocks(background: Library, layout: LatentLayout) -> list[_Block]:
    blocks = []
    for template in background.templates:
        rows = (template / template.sum())[np.newaxis]
        counts: tuple[int, ...] = ()
        latent: tuple[int, ...] = ()
        if layout.tilt >= 0:
            across = np.linspace(-1.0, 1.0, len(template))
            slopes = np.linspace(-MOST_TILT, MOST_TILT, _TILT_NODES)[:, np.newaxis]
            rows = rows * (1.0 + slopes * across)
            rows = rows / rows.sum(axis=1, keepdims=True)
            counts, latent = (_TILT_NODES,), (layout.tilt,)
        blocks.append(_Block(rows, counts, latent))
    return blocks


def _nodes_of(
    own: list[tuple[Axis, _Block]], layout: LatentLayout, edges: FloatArray, moving: bool
) -> Nodes:
    most = max((len(block.counts) for _, block in own), default=0)
    counts = np.ones((len(own), most), dtype=np.int64)
    latent = np.full((len(own), most), -1, dtype=np.int64)
    first = np.cumsum([0, *(len(block.rows) for _, block in own)])[:-1]
    for j, (_, block) in enumerate(own):
        counts[j, : len(block.counts)] = block.counts
        latent[j, : len(block.latent)] = block.latent
    along = np.zeros(len(layout), dtype=np.int64)
    along[latent[counts > 1]] = counts[counts > 1]
    grid = edges
    if moving:
        grid = np.unique(np.concatenate([axis.edges for axis, _ in own]))
    parts = [cumulative_on(block.rows, axis, grid) for axis, block in own]
    values = np.concatenate([value for value, _ in parts])
    slopes = np.concatenate([slope for _, slope in parts])
    if not moving:
        values, slopes = np.diff(values, axis=1), np.zeros((0, len(edges) - 1))
    return Nodes(
        as_given(values),
        as_given(slopes),
        as_given(grid if moving else np.zeros(values.shape[1])),
        as_given(first.astype(np.int64)),
        as_given(counts),
        as_given(latent),
        as_given(along),
        as_given(np.array(layout.moved if moving else (-1, -1), dtype=np.int64)),
    )


def templates_on(nodes: Nodes, edges: FloatArray, inner: FloatArray) -> FloatArray:
    """Templates on bins at latents as fits have them, shape (k, n).

    Parameters
    ----------
    nodes : Nodes
    edges : ndarray, shape (n + 1,)
    inner : ndarray, shape (L,)
    """
    from spectraloom.analyze.manifold.blending import locate_edges, make_room, templates_at

    k, n = len(nodes.first), len(edges) - 1
    room = make_room(k, len(inner), nodes.counts.shape[1], n, nodes.table.shape[1])
    s = np.array(inner, dtype=np.float64)
    if len(nodes.slopes):
        locate_edges(nodes, as_given(edges), s, room)
    templates_at(nodes, s, np.ones(k, dtype=bool), room)
    return np.asarray(room.rows[:k])


def _starts_of(
    nodes: Nodes,
    layout: LatentLayout,
    latents: Latents,
    edges: FloatArray,
    sources: tuple[str, ...],
) -> Starts:
    """Latents to start from: along every deformation (alike for all sources), and along gain."""
    d = layout.sources.shape[1]
    along = (np.arange(_STARTS) + 0.5) / _STARTS
    gains = [0.0]
    if latents.gain is not None and latents.gain > _WIDE_GAIN:
        gains = [factor * latents.gain for factor in _GAIN_STARTS]
    while len(along) ** d * len(gains) > _MOST_STARTS and len(along) > 2:
        along = (np.arange(len(along) - 1) + 0.5) / (len(along) - 1)
    points = []
    for gain in gains:
        for place in product(along, repeat=d):
            point = layout.prior.center.copy()
            for number in range(d):
                if number == 0 and latents.known is not None and sources:
                    continue
                point[layout.sources[:, number]] = place[number]
            if layout.moved[0] >= 0:
                point[layout.moved[0]] = gain
            points.append(point)
    inner = np.unique(np.array(points).reshape(len(points), len(layout)), axis=0)
    if not len(layout):
        inner = np.zeros((1, 0))
    order = np.lexsort(inner.T[: len(layout)]) if len(layout) else np.array([0])
    inner = inner[order]
    fine = np.stack([templates_on(nodes, edges, point) for point in inner])
    amount = np.sqrt(fine.mean(axis=(0, 1)))
    place = np.cumsum(amount) - 0.5 * amount
    coarse = np.minimum((place / max(amount.sum(), 1e-300) * _COARSE).astype(np.int64), _COARSE - 1)
    _, coarse = np.unique(coarse, return_inverse=True)
    templates = np.zeros((*fine.shape[:2], int(coarse.max()) + 1))
    for fine_bin, coarse_bin in enumerate(coarse.tolist()):
        templates[:, :, coarse_bin] += fine[:, :, fine_bin]
    return Starts(as_given(inner), as_given(templates), as_given(coarse.astype(np.int64)))
