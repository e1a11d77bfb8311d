"""Errors of learned signatures and of a learned background: what they add to variances.

A signature between the values that it was learned from is off, by its noise and by what its model
cannot follow. How far shows at values that are left out. What of that looks like an amount or like
a deformation is an error of these, however many counts a spectrum has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import Array, BoolArray, FloatArray, IntArray
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.manifold.fit import ManifoldFit
from spectraloom.analyze.manifold.parts import Room
from spectraloom.analyze.manifold.signature import Deformation, SignatureModel
from spectraloom.analyze.manifold.table import ManifoldTable
from spectraloom.data.axis import Axis
from spectraloom.data.library import single_labels
from spectraloom.data.spectra import Spectra
from spectraloom.errors import FormatError

_NEAR = 0.5  # times the root of their number: values left out that tell of the error at one value
_RANK = 1e-12  # of the largest eigenvalue of an information; what is less is rounding
_LEAST = 1e-9  # of the largest expected content of a bin, so that empty ones do not tell all


@dataclass(frozen=True, slots=True, eq=False)
class LeftOutErrors:
    """By how much signatures were off at values of the deformation that were left out.

    Parameters
    ----------
    sources : ndarray of int, shape (m,)
        Number of the source, increasing.
    places : ndarray, shape (m,)
        Deformation as fits have it, increasing for each source.
    counts : ndarray, shape (m,)
        Of the spectra that were left out: their noise is part of the difference.
    seen : ndarray, shape (m, n_channels)
        Their sum, of unit area.
    differences : ndarray, shape (m, n_channels)
        `seen` less the signature that was learned without them.
    """

    sources: IntArray
    places: FloatArray
    counts: FloatArray
    seen: FloatArray
    differences: FloatArray

    def __post_init__(self) -> None:
        shape = self.seen.shape
        lengths = {len(self.sources), len(self.places), len(self.counts), len(self.differences)}
        if len(shape) != 2 or lengths != {shape[0]} or self.differences.shape != shape:
            raise FormatError("errors of signatures have a source, place, count and row each")
        numbers = (self.places, self.counts, self.seen, self.differences)
        if not all(np.isfinite(one).all() for one in numbers) or (self.counts <= 0).any():
            raise FormatError("errors of signatures are finite, of a positive number of counts")


def left_out_differences(
    spectra: Spectra,
    models: Sequence[tuple[BoolArray, SignatureModel]],
    deformation: Deformation,
    names: Sequence[str],
    *,
    labels: str = "labels",
) -> LeftOutErrors:
    """What was seen at values left out, and by how much signatures without them were off.

    Parameters
    ----------
    spectra : Spectra
        Counts, one label each.
    models : sequence of (ndarray of bool, SignatureModel)
        As :func:`~spectraloom.analyze.manifold.misfit.left_out_models` gives them.
    deformation : Deformation
    names : sequence of str
        Sources, in their order.
    labels : str
        Column that holds the labels.
    """
    given = single_labels(spectra, labels)
    values = np.asarray(spectra.columns[deformation.name], dtype=np.float64)
    found: list[tuple[int, float, float, FloatArray, FloatArray]] = []
    for out, model in models:
        pairs = set(zip(given[out].tolist(), values[out].tolist(), strict=True))
        for name, value in sorted(pairs):
            rows = out & (given == name) & (values == value)
            total = spectra.values[rows].sum(axis=0, dtype=np.float64)
            if not total.sum() > 0:
                continue
            seen = total / total.sum()
            away = seen - model.signature(value)[list(model.names).index(name)]
            place = float(deformation.to_unit(value))
            found.append((list(names).index(name), place, float(total.sum()), seen, away))
    found.sort(key=lambda one: one[:2])
    n = spectra.n_channels
    return LeftOutErrors(
        np.array([one[0] for one in found], dtype=np.int64),
        np.array([one[1] for one in found], dtype=np.float64),
        np.array([one[2] for one in found], dtype=np.float64),
        np.array([one[3] for one in found], dtype=np.float64).reshape(-1, n),
        np.array([one[4] for one in found], dtype=np.float64).reshape(-1, n),
    )


@dataclass(frozen=True, slots=True, eq=False)
class ModelErrors:
    """Errors of the templates of a table, on its bins.

    Parameters
    ----------
    table : ManifoldTable
    sources, places : ndarray, shape (m,)
        As in :class:`LeftOutErrors`.
    differences, noise : ndarray, shape (m, n)
        Of signatures of unit area: what was seen less what was predicted, and the variance of it
        that is the noise of what was seen.
    learned_from : ndarray, shape (k,)
        Counts that each template was learned from, whose noise `differences` does not hold;
        infinite where that is nothing.
    """

    table: ManifoldTable
    sources: IntArray
    places: FloatArray
    differences: FloatArray
    noise: FloatArray
    learned_from: FloatArray

    @property
    def any(self) -> bool:
        """Whether any template has an error that is known."""
        return bool(len(self.sources) or np.isfinite(self.learned_from).any())

    def near(self, source: int, place: float) -> tuple[IntArray, FloatArray]:
        """Values left out that tell of the error of a source at a place, and their weights.

        Parameters
        ----------
        source : int
        place : float
            Its deformation as fits have it.
        """
        own = np.flatnonzero(self.sources == source)
        if not len(own):
            return own, np.zeros(0)
        # Values are dense where signatures change fast: nearness is counted in values.
        rank = np.interp(place, self.places[own], np.arange(len(own)))
        width = max(1.0, _NEAR * np.sqrt(len(own)))
        weights = np.exp(-0.5 * ((np.arange(len(own)) - rank) / width) ** 2)
        return own, weights / weights.sum()


def model_errors_on(
    table: ManifoldTable,
    axis: Axis,
    left_out: LeftOutErrors | None,
    background_counts: FloatArray | None,
) -> ModelErrors:
    """Put the errors of signatures and background on the bins of a table.

    Parameters
    ----------
    table : ManifoldTable
    axis : Axis
        Of the signatures.
    left_out : LeftOutErrors or None
    background_counts : ndarray or None
        Counts that each template of the background was learned from.
    """
    k, n_bins = len(table.groups), len(table.edges) - 1
    learned_from = np.full(k, np.inf)
    if background_counts is not None:
        learned_from[len(table.layout.sources) :] = background_counts
    if left_out is None or table.layout.sources.shape[1] != 1:
        none = np.zeros((0, n_bins))
        return ModelErrors(
            table, np.zeros(0, dtype=np.int64), np.zeros(0), none, none, learned_from
        )
    differences, seen = (
        _on_bins(rows, axis, table.edges) for rows in (left_out.differences, left_out.seen)
    )
    noise = seen / left_out.counts[:, np.newaxis]
    return ModelErrors(table, left_out.sources, left_out.places, differences, noise, learned_from)


def _on_bins(rows: FloatArray, axis: Axis, edges: FloatArray) -> FloatArray:
    """Contents of bins, those of the channels being spread evenly."""
    sums = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rows, axis=1)], axis=1)
    at = np.array([np.interp(edges, axis.edges, one) for one in sums]).reshape(len(rows), -1)
    return np.asarray(np.diff(at, axis=1).reshape(len(rows), len(edges) - 1))


def added_covariance(fit: ManifoldFit, errors: ModelErrors) -> tuple[FloatArray, FloatArray]:
    """What errors of the model add to the covariance, and to the variance of what is not there.

    A template that is off by d in each bin moves the estimates by G d, where G is the inverse of
    the Fisher information times the derivatives over the variances of the bins. The covariance of d
    of a signature is the mean over the values left out near by, less the noise of the spectra left
    out; of a template learned from N counts it is that of their noise.

    Parameters
    ----------
    fit : ManifoldFit
    errors : ModelErrors

    Returns
    -------
    added : ndarray, shape (n, k + L, k + L)
        Of template amounts and latents, also of latents at their limits; zeros for amounts that
        are zero.
    factors : ndarray, shape (n, n_names)
        By how much the variance of the amount of each source is larger than by chance, if none of
        it is there; one for the background.
    """
    k, size = fit.template_amounts.shape[1], fit.covariance.shape[1]
    added = np.zeros((len(fit), size, size))
    factors = np.ones((len(fit), len(fit.table.names)))
    if not errors.any:
        return added, factors
    n_sources = len(fit.table.layout.sources)
    room = _room(fit)
    for row in range(len(fit)):
        rows, weights = _placed(fit, row, room)
        amounts = fit.template_amounts[row]
        pieces = _pieces(fit, row, errors, rows[:k])
        there = np.append(amounts > 0, _told(fit, rows[k:], weights))
        free = np.flatnonzero(there)
        if not len(free) or not pieces:
            continue
        moved = _moved(fit, rows, weights, free, pieces)
        added[row][np.ix_(free, free)] = sum(moved[0].values())
        for j in range(n_sources):
            parts, by_chance = moved
            tested = free
            if not there[j]:
                tested = np.union1d(free, [j])
                parts, by_chance = _moved(fit, rows, weights, tested, pieces)
            at = int(np.searchsorted(tested, j))
            others = sum(float(part[at, at]) for own, part in parts.items() if own != j)
            if by_chance[at, at] > 0:
                factors[row, j] = 1.0 + others / by_chance[at, at]
    return added, factors


def _pieces(
    fit: ManifoldFit, row: int, errors: ModelErrors, templates: FloatArray
) -> dict[int, tuple[FloatArray, FloatArray]]:
    """For each template that is present: errors (m, n) in counts, and variances (n,) beside them.

    Negative variances are the noise that is part of the errors.
    """
    amounts, own = fit.template_amounts[row], fit.table.layout.sources
    pieces: dict[int, tuple[FloatArray, FloatArray]] = {}
    for j in np.flatnonzero(amounts > 0).tolist():
        rows = np.zeros((0, templates.shape[1]))
        variance = amounts[j] ** 2 * templates[j] / errors.learned_from[j]
        if j < len(own) and own.shape[1] == 1:
            which, weights = errors.near(j, float(fit.inner[row, own[j, 0]]))
            rows = amounts[j] * np.sqrt(weights)[:, np.newaxis] * errors.differences[which]
            variance = variance - amounts[j] ** 2 * (weights @ errors.noise[which])
        if len(rows) or variance.any():
            pieces[j] = (rows, variance)
    return pieces


def _moved(
    fit: ManifoldFit,
    rows: FloatArray,
    weights: FloatArray,
    free: Array,
    pieces: dict[int, tuple[FloatArray, FloatArray]],
) -> tuple[dict[int, FloatArray], FloatArray]:
    """Covariance of what is free by the error of each template, and that by chance."""
    inverse = _inverse(fit, rows, weights, free)
    gain = inverse @ (rows[free] * weights)
    return {
        j: _not_negative((gain @ errors.T) @ (errors @ gain.T) + (gain * variance) @ gain.T)
        for j, (errors, variance) in pieces.items()
    }, inverse


def _inverse(fit: ManifoldFit, rows: FloatArray, weights: FloatArray, free: Array) -> FloatArray:
    k = fit.template_amounts.shape[1]
    information = (rows[free] * weights) @ rows[free].T
    prior = np.zeros((len(rows), len(rows)))
    prior[k:, k:] = fit.table.prior.precision
    information = information + prior[np.ix_(free, free)]
    scale = 1.0 / np.sqrt(np.maximum(np.diagonal(information), 1e-300))
    scaled = information * np.outer(scale, scale)
    return np.asarray(np.linalg.pinv(scaled, rcond=_RANK, hermitian=True) * np.outer(scale, scale))


def _not_negative(matrix: FloatArray) -> FloatArray:
    """The nearest covariance: noise taken off may be more than was there."""
    scale = np.sqrt(np.maximum(np.abs(np.diagonal(matrix)), 1e-300))
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T * np.outer(scale, scale))


def _told(fit: ManifoldFit, slopes: FloatArray, weights: FloatArray) -> BoolArray:
    """Latents that the spectrum or a prior say anything of."""
    from spectraloom.analyze.manifold.kernel import BLIND

    known = np.einsum("ic,c,ic->i", slopes, weights, slopes)
    known = known + np.diagonal(fit.table.prior.precision)
    return np.asarray(known * np.ptp(fit.table.prior.bounds, axis=1) ** 2 > BLIND)


def _room(fit: ManifoldFit) -> Room:
    from spectraloom.analyze.manifold.blending import make_room

    nodes, k = fit.table.nodes, fit.template_amounts.shape[1]
    room: Room = make_room(
        k, fit.inner.shape[1], nodes.counts.shape[1], fit.fitted.shape[1], nodes.table.shape[1]
    )
    return room


def _placed(fit: ManifoldFit, row: int, room: Room) -> tuple[FloatArray, FloatArray]:
    """Templates and derivatives where a fit ended, (k + L, n), and one over variances, (n,)."""
    from spectraloom.analyze.manifold.blending import place_all
    from spectraloom.analyze.manifold.kernel import FLOOR

    table, k = fit.table, fit.template_amounts.shape[1]
    amounts, inner = fit.template_amounts[row].copy(), fit.inner[row].copy()
    every = np.ones(k, dtype=bool)
    place_all(table.nodes, as_given(table.edges), inner, amounts, every, fit.poisson, FLOOR, room)
    if not fit.poisson:
        return room.rows, 1.0 / fit.variances[row]
    fitted = fit.fitted[row]
    return room.rows, 1.0 / np.maximum(fitted, max(float(fitted.max()) * _LEAST, FLOOR))
