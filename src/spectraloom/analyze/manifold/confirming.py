"""Whether chosen sources are more than errors of the other templates make of them."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import BoolArray, FloatArray, IntArray
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.manifold.fit import ManifoldFit, empty_answers, fit_counts, fit_of
from spectraloom.analyze.manifold.model_errors import ModelErrors, added_covariance
from spectraloom.analyze.manifold.parts import Counts, Found
from spectraloom.analyze.manifold.selection import RatioTests
from spectraloom.analyze.manifold.table import ManifoldTable


def confirm(
    counts: Counts,
    table: ManifoldTable,
    found: Found,
    chosen: BoolArray,
    tests: RatioTests,
    errors: ModelErrors,
    false_alarm_rate: float,
    tolerance: float,
) -> RatioTests:
    """Tests that know of the errors of the model; sources that fail them are dropped.

    The ratio of a source is about the square of its amount over its standard deviation by chance.
    Errors of the other templates make that deviation larger where there is none of it; the ratio
    is divided by this. The source that is worth its place least is dropped, and the others are
    fitted and tested again, until all are worth theirs.

    Parameters
    ----------
    counts : Counts
    table : ManifoldTable
    found : Found
        Changed where sources are dropped.
    chosen : ndarray of bool, shape (n, k)
        Templates; changed likewise.
    tests : RatioTests
        By chance alone.
    errors : ModelErrors
    false_alarm_rate : float
    tolerance : float
        Of the deviance.
    """
    n_sources = tests.n_sources
    ratios, known = tests.ratios.copy(), tests.known.copy()
    judged = ratios.copy()
    rows = np.arange(len(chosen))
    while len(rows):
        fit = _fit(counts, table, found, chosen, rows)
        factors = added_covariance(fit, errors)[1][:, table.groups]
        judged[rows] = ratios[rows] / factors
        p_values = RatioTests(judged[rows], known[rows], tests.pieces, n_sources).p_values
        there = chosen[rows, :n_sources]
        tried = np.where(there, p_values[:, :n_sources], -1.0)
        worst = np.argmax(tried, axis=1)
        remaining = 1 + (~there).sum(axis=1)
        fails = tried[np.arange(len(rows)), worst] >= false_alarm_rate / remaining
        rows, worst = rows[fails], worst[fails]
        chosen[rows, worst] = False
        if len(rows):
            refit(counts, table, found, chosen, rows, tolerance)
            _test_again(counts, table, found, chosen, rows, tolerance, ratios, known)
    return RatioTests(judged, known, tests.pieces, n_sources)


def refit(
    counts: Counts,
    table: ManifoldTable,
    found: Found,
    allowed: BoolArray,
    rows: IntArray,
    tolerance: float,
) -> None:
    """Fit some spectra, each with its own set of templates.

    Parameters
    ----------
    counts : Counts
    table : ManifoldTable
    found : Found
        Changed in these rows.
    allowed : ndarray of bool, shape (n, k)
    rows : ndarray of int
    tolerance : float
        Of the deviance.
    """
    for one in np.unique(allowed[rows], axis=0):
        own = rows[(allowed[rows] == one).all(axis=1)]
        part = _part(counts, own)
        for into, fitted in zip(
            found, fit_counts(part, table, one, tolerance=tolerance), strict=True
        ):
            into[own] = fitted


def _part(counts: Counts, rows: IntArray) -> Counts:
    return counts._replace(y=as_given(counts.y[rows]), variance=as_given(counts.variance[rows]))


def _rows(found: Found, rows: IntArray) -> Found:
    return Found(*(one[rows] for one in found))


def _fit(
    counts: Counts, table: ManifoldTable, found: Found, chosen: BoolArray, rows: IntArray
) -> ManifoldFit:
    own = _rows(found, rows)
    degrees = np.ones(len(rows), dtype=np.int64)
    return fit_of(table, _part(counts, rows), own, degrees, chosen[rows])


def _test_again(
    counts: Counts,
    table: ManifoldTable,
    found: Found,
    chosen: BoolArray,
    rows: IntArray,
    tolerance: float,
    ratios: FloatArray,
    known: FloatArray,
) -> None:
    """Fill ratios of the sources that are left, and what is known of their deformation."""
    own, k = table.layout.sources, chosen.shape[1]
    loss = _loss(table, found)
    for j in range(len(own)):
        has = rows[chosen[rows, j]]
        if not len(has):
            continue
        without = chosen.copy()
        without[has, j] = False
        other = empty_answers(len(chosen), table)
        refit(counts, table, other, without, has, tolerance)
        ratios[has, j] = np.maximum(_loss(table, _rows(other, has)) - loss[has], 0.0)
        if own.shape[1]:
            at = own[j, 0]
            known[has, j, 0] = other.latents[has, at]
            spread = other.covariance[has, k + at, k + at]
            known[has, j, 1] = np.where(spread > 0, np.sqrt(np.maximum(spread, 0.0)), np.inf)


def _loss(table: ManifoldTable, found: Found) -> FloatArray:
    """Deviance and distance of the latents from their prior."""
    away = found.latents - table.prior.center
    return np.asarray(found.deviance + np.einsum("ni,ij,nj->n", away, table.prior.precision, away))
