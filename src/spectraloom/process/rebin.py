"""Rebin spectra to another axis without losing a count."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import sparse

from spectraloom._typing import Array, FloatArray, IntArray
from spectraloom.data import Axis, Library, Spectra
from spectraloom.data.overlap import overlap_pieces, share_outside
from spectraloom.errors import AxisError, CalibrationError, DataError
from spectraloom.process.base import Transformer
from spectraloom.process.linear import apply_matrix, squared


def rebin(
    spectra: Spectra, axis: Axis, *, draw: int | np.random.Generator | None = None
) -> Spectra:
    """Move spectra to another axis.

    The axis decides how. On *bins* every value is an integral over its bin, whatever its kind,
    and each new bin receives the share of every old bin that it covers: the sum is preserved. On
    *points* values are samples, and they are interpolated linearly; counts and rates are never
    interpolated.

    Parameters
    ----------
    spectra : Spectra
        Counts, rates or intensities on bins; intensities or complex values on points.
    axis : Axis
        The axis wanted: bins for bins, points for points, the same quantity and unit.
    draw : int or numpy.random.Generator, optional
        Seed or generator. Given one, the whole counts of a channel are dealt out to its new bins
        at random (multinomially), so that they stay whole and Poisson distributed.

    Returns
    -------
    Spectra
        Float values of the same kind, or integer counts if they were drawn. On bins a column
        ``counts_outside`` (``rate_outside``, ``intensity_outside``) says how much of each spectrum
        lies outside the new axis; it adds up when rebinning again. ``variance`` is the exact
        variance of each new channel; neighbours that share an old channel are correlated, which
        a variance per channel cannot say. It is absent where whole channels were merely grouped
        or counts were drawn, because then the counts themselves still say it.

    Raises
    ------
    CalibrationError
        If one of the axes is uncalibrated and the axes differ.
    AxisError
        If the axes measure different things, do not overlap, or one has bins and the other points.
    DataError
        If values of this kind cannot be moved between such axes, or drawn.
    """
    counts = None if draw is None else _whole_counts(spectra)
    if spectra.axis.isclose(axis):
        return _with_outside(
            spectra.replace(axis=axis, values=spectra.values if counts is None else counts),
            np.zeros(len(spectra), dtype=float if counts is None else np.int64),
        )
    _require_comparable(spectra, axis)
    if not axis.binned:
        return _interpolate(spectra, axis)
    if counts is not None and draw is not None:
        return _deal_out(spectra, counts, axis, np.random.default_rng(draw))
    matrix = overlap_matrix(spectra.axis, axis)
    moved = spectra.replace(
        values=apply_matrix(matrix, spectra.values),
        axis=axis,
        variance=_moved_variance(spectra, matrix),
    )
    share = share_outside(spectra.axis.edges, axis.edges)
    cut = np.flatnonzero(share)
    return _with_outside(moved, spectra.values[:, cut] @ share[cut])


def rebin_library(library: Library, axis: Axis) -> Library:
    """Move every template to another axis, as :func:`rebin` moves intensities.

    On bins the sum of a template falls by what lies outside `axis`; templates are not scaled.

    Parameters
    ----------
    library : Library
        Templates to move.
    axis : Axis
        The axis wanted.

    Raises
    ------
    CalibrationError, AxisError
        As :func:`rebin` does.
    """
    moved = rebin(Spectra(library.templates, library.axis, "intensity"), axis)
    return Library(moved.values, axis, library.names, library.variants, library.weights)


class Rebin(Transformer):
    """Transformer over :func:`rebin`.

    Parameters
    ----------
    axis : Axis, optional
        The axis wanted; None means the axis seen in ``fit``.
    draw : int, optional
        Seed for drawing whole counts, see :func:`rebin`.
    """

    _needs_fitted_axis = False

    def __init__(self, axis: Axis | None = None, draw: int | None = None) -> None:
        self.axis = axis
        self.draw = draw

    def _apply(self, spectra: Spectra) -> Spectra:
        return rebin(spectra, self.axis_ if self.axis is None else self.axis, draw=self.draw)


@lru_cache(maxsize=64)
def overlap_matrix(old: Axis, new: Axis) -> sparse.csr_array:
    """Share of every old bin that lies in every new one.

    Parameters
    ----------
    old, new : Axis
        Axes made of bins, in the same unit.

    Returns
    -------
    scipy.sparse.csr_array, shape (n_new, n_old)
        Element (j, i) is the share of old bin i inside new bin j: ``matrix @ counts`` are the
        rebinned counts. A column sums to one if its old bin lies inside the new axis. Read-only,
        because it is remembered for the next call.

    Raises
    ------
    AxisError
        If one of the axes is made of points.
    """
    old_bin, new_bin, fraction = overlap_pieces(old.edges, new.edges)
    return _frozen(new_bin, old_bin, fraction, (new.n_channels, old.n_channels))


@lru_cache(maxsize=64)
def _interpolation_matrix(old: Axis, new: Axis) -> sparse.csr_array:
    points, wanted = old.values, new.values
    left = np.clip(np.searchsorted(points, wanted, side="right") - 1, 0, max(points.size - 2, 0))
    right = np.minimum(left + 1, points.size - 1)
    span = points[right] - points[left]
    weight = np.divide(wanted - points[left], span, out=np.zeros(wanted.size), where=span > 0)
    rows = np.arange(wanted.size)
    return _frozen(
        np.concatenate([rows, rows]),
        np.concatenate([left, right]),
        np.concatenate([1.0 - weight, weight]),
        (wanted.size, points.size),
    )


def _frozen(
    rows: IntArray, columns: IntArray, elements: FloatArray, shape: tuple[int, int]
) -> sparse.csr_array:
    matrix = sparse.csr_array((elements, (rows, columns)), shape=shape)
    for array in (matrix.data, matrix.indices, matrix.indptr):
        array.flags.writeable = False
    return matrix


def _require_comparable(spectra: Spectra, axis: Axis) -> None:
    old = spectra.axis
    for which, one in (("the spectra have", old), ("the axis wanted has", axis)):
        if not one.is_calibrated:
            raise CalibrationError(
                f"cannot rebin from {old.describe()} to {axis.describe()}: {which} no calibration, "
                "so it is unknown where its channels lie; give the spectra a calibrated axis "
                "first, e.g. spectra.replace(axis=Axis.from_polynomial(...))"
            )
    if (old.quantity, old.unit) != (axis.quantity, axis.unit):
        raise AxisError(
            f"cannot rebin from {old.describe()} to {axis.describe()}: "
            f"{old.quantity} in {old.unit} is not {axis.quantity} in {axis.unit}"
        )
    if old.binned != axis.binned:
        raise AxisError(
            f"cannot rebin from {'bins' if old.binned else 'points'} to "
            f"{'bins' if axis.binned else 'points'}: values on bins are integrals over them, "
            "values on points are samples; choose an axis of the same sort"
        )
    low, high = max(old.values[0], axis.values[0]), min(old.values[-1], axis.values[-1])
    if high < low or (axis.binned and high == low):
        raise AxisError(f"no part of {old.describe()} lies in {axis.describe()}")
    if axis.binned and spectra.kind == "complex":
        raise DataError("complex spectra are samples at points, but their axis is made of bins")


def _interpolate(spectra: Spectra, axis: Axis) -> Spectra:
    old = spectra.axis
    if spectra.kind in ("counts", "rate"):
        raise DataError(
            f"{spectra.kind} on points cannot be rebinned, because counts are never interpolated: "
            "give the spectra an axis of bins (Axis.from_edges)"
        )
    if axis.values[0] < old.values[0] or axis.values[-1] > old.values[-1]:
        raise AxisError(
            f"cannot interpolate from {old.describe()} to {axis.describe()}: the new points "
            "reach beyond the old ones; choose points inside"
        )
    matrix = _interpolation_matrix(old, axis)
    return spectra.replace(
        values=apply_matrix(matrix, spectra.values),
        axis=axis,
        variance=_moved_variance(spectra, matrix),
    )


def _moved_variance(spectra: Spectra, matrix: sparse.csr_array) -> FloatArray | None:
    variance = spectra.variance
    if variance is None:
        grouped_only = bool((matrix.data == 1.0).all())
        if spectra.kind != "counts" or grouped_only:
            return None
        variance = spectra.values
    return apply_matrix(squared(matrix), variance)


def _whole_counts(spectra: Spectra) -> IntArray:
    if spectra.kind != "counts":
        raise DataError(
            f"whole counts can be drawn from counts only, not from {spectra.kind}: leave draw out"
        )
    counts = spectra.values.astype(np.int64)
    broken = np.flatnonzero((counts != spectra.values).any(axis=1))
    if broken.size:
        raise DataError(
            f"whole counts cannot be drawn, because {broken.size} of {len(spectra)} spectra hold "
            f"fractions of counts (the first is spectrum {broken[0]}): leave draw out"
        )
    return counts


def _deal_out(spectra: Spectra, counts: IntArray, axis: Axis, rng: np.random.Generator) -> Spectra:
    # A multinomial draw is a chain of binomial ones: of the counts of an old bin that are left,
    # each of its pieces takes a binomial share. Piece number r of every bin is drawn at once.
    old, new, fraction = overlap_pieces(spectra.axis.edges, axis.edges)
    inside = share_outside(spectra.axis.edges, axis.edges) == 0
    last = np.append(np.diff(old) > 0, True)
    number = np.arange(old.size) - np.searchsorted(old, old)
    left, share_left = counts.copy(), np.ones(counts.shape[1])
    values = np.zeros((len(counts), axis.n_channels), dtype=np.int64)
    for r in range(int(number.max()) + 1):
        piece = np.flatnonzero(number == r)
        bins = old[piece]
        chance = np.minimum(fraction[piece] / np.maximum(share_left[bins], fraction[piece]), 1.0)
        chance[last[piece] & inside[bins]] = 1.0  # whatever rounding says
        taken = rng.binomial(left[:, bins], chance)
        left[:, bins] -= taken
        share_left[bins] -= fraction[piece]
        starts = np.flatnonzero(np.diff(new[piece], prepend=-1))
        values[:, new[piece][starts]] += np.add.reduceat(taken, starts, axis=1)
    variance = None
    if spectra.variance is not None:
        # Law of total variance: thinning by f turns variance V of N into f^2 V + f (1 - f) N.
        matrix = overlap_matrix(spectra.axis, axis)
        excess = np.asarray(spectra.variance, dtype=np.float64) - counts
        variance = apply_matrix(squared(matrix), excess) + apply_matrix(matrix, counts)
        variance = np.maximum(variance, 0.0)
    moved = spectra.replace(values=values, axis=axis, variance=variance)
    return _with_outside(moved, left.sum(axis=1))


def _with_outside(spectra: Spectra, outside: Array) -> Spectra:
    if not spectra.axis.binned or spectra.kind == "complex":
        return spectra
    name = f"{spectra.kind}_outside"
    if name in spectra.columns:
        outside = outside + spectra.column(name)
    return spectra.with_columns(**{name: outside})
