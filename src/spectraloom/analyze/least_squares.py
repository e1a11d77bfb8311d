"""Non-negative least squares of many spectra on one set of templates."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from spectraloom._typing import Array, FloatArray, IntArray
from spectraloom.errors import DataError

CHUNK = 2048  # spectra that a thread solves at a time
_ILL_CONDITIONED = 1e6  # of the normal equations; beyond it amounts lose half their digits


def nnls(
    values: Array,
    templates: FloatArray,
    *,
    weights: FloatArray | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> FloatArray:
    """Amounts x >= 0 that minimise sum_c w_c (y - x @ templates)_c^2 for every row y of `values`.

    Exact active-set solution of the normal equations (block principal pivoting; Lawson and
    Hanson's method where templates are dependent; iterative refinement where they nearly are), in
    chunks and threads. A row's answer does not depend on the others, nor on the number of threads.

    Parameters
    ----------
    values : ndarray, shape (n_spectra, n_channels)
        Real spectra of any numeric type.
    templates : ndarray, shape (n_templates, n_channels)
        Templates, one per row.
    weights : ndarray, shape (n_channels,), optional
        Weight of each squared residual, the same for all spectra; all one by default.
    progress : callable, optional
        Called with the fraction done and a text.

    Returns
    -------
    ndarray, shape (n_spectra, n_templates)
        Float64 amounts.

    Raises
    ------
    DataError
        If the channels differ, a template is empty, or a number is complex or not finite.

    References
    ----------
    L. F. Portugal, J. J. Judice, L. N. Vicente, Math. Comp. 63 (1994) 625,
    doi:10.1090/S0025-5718-1994-1250776-4. C. L. Lawson, R. J. Hanson, *Solving least squares
    problems* (1974), ch. 23. R. Bro, S. de Jong, J. Chemom. 11 (1997) 393 (normal equations).
    """
    from spectraloom.analyze.least_squares_kernel import solve_rows

    values, templates, root = _checked(values, templates, weights)
    norms = np.linalg.norm(templates * root, axis=1)
    if not norms.all():
        raise DataError(f"template {int(np.argmin(norms))} is zero in every channel of the fit")
    unit = np.ascontiguousarray((templates * root / norms[:, np.newaxis]).T)
    gram = unit.T @ unit
    guess = np.linalg.pinv(gram, hermitian=True)
    refine = len(norms) > 1 and bool(np.linalg.cond(gram) > _ILL_CONDITIONED)
    unit *= root[:, np.newaxis]
    plain = np.ascontiguousarray((templates / norms[:, np.newaxis]).T)
    n = len(values)
    amounts = np.empty((n, len(norms)))
    precision = np.float32 if values.dtype == np.float32 else np.float64

    def solve(start: int) -> int:
        stop = min(start + CHUNK, n)
        chunk = np.ascontiguousarray(values[start:stop], dtype=precision)
        if not np.isfinite(chunk).all():
            row = start + int(np.argmin(np.isfinite(chunk).all(axis=1)))
            raise DataError(f"spectrum {row} holds values that are not finite: leave it out")
        chunk = chunk.view()
        chunk.flags.writeable = False  # one compiled kernel for read-only and other arrays
        solve_rows(chunk, plain, unit, gram, guess, refine, amounts[start:stop])
        return stop

    starts = range(0, n, CHUNK)
    if len(starts) <= 1:
        solve(0)
    else:
        with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1)) as pool:
            for stop in pool.map(solve, starts):
                if progress is not None:
                    progress(stop / n, "unmixing")
    amounts /= norms
    return amounts


def standard_errors(
    variances: Array,
    templates: FloatArray,
    groups: IntArray,
    *,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Standard uncertainties of amounts, summed over the templates of each group.

    Propagates the variances through the least squares estimate without the constraint, which is
    linear in the data. A template that is really absent varies less than that, because the
    constraint holds it. A sum over several similar templates may be off by more: the constraint
    acts on each of them, which shifts the sum (by half its uncertainty for two templates that
    differ by 2 %) and widens it by about a tenth.

    Parameters
    ----------
    variances : ndarray, shape (n_spectra, n_channels)
        Variance of each channel; for counts the counts themselves.
    templates : ndarray, shape (n_templates, n_channels)
        The templates fitted.
    groups : ndarray of int, shape (n_templates,)
        Group of each template, from 0.
    weights : ndarray, shape (n_channels,), optional
        Weights of the fit.

    Returns
    -------
    ndarray, shape (n_spectra, n_groups)
    """
    variances, templates, root = _checked(variances, templates, weights)
    member = np.equal.outer(np.arange(groups.max() + 1), groups)
    estimator = member @ (np.linalg.pinv((templates * root).T) * root)
    squared = np.ascontiguousarray((estimator**2).T)
    errors = np.empty((len(variances), len(member)))
    for start in range(0, len(variances), CHUNK):
        chunk = np.asarray(variances[start : start + CHUNK], dtype=np.float64)
        errors[start : start + CHUNK] = np.sqrt(np.maximum(chunk @ squared, 0.0))
    return errors


def _checked(
    values: Array, templates: FloatArray, weights: FloatArray | None
) -> tuple[Array, FloatArray, FloatArray]:
    values, templates = np.asarray(values), np.asarray(templates)
    if "c" in (values.dtype.kind, templates.dtype.kind):
        raise DataError("complex numbers cannot be unmixed: take the real part or the magnitude")
    templates = np.asarray(templates, dtype=np.float64)
    if values.ndim != 2 or templates.ndim != 2 or values.shape[1] != templates.shape[1]:
        raise DataError(
            f"spectra of shape {values.shape} do not fit templates of shape {templates.shape}: "
            "both need the same channels"
        )
    if not np.isfinite(templates).all():
        raise DataError("templates hold finite numbers only")
    if weights is None:
        return values, templates, np.ones(templates.shape[1])
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != templates.shape[1:] or not (np.isfinite(weights) & (weights >= 0)).all():
        raise DataError(
            f"weights have shape {weights.shape}; one finite number >= 0 per channel is expected"
        )
    return values, templates, np.sqrt(weights)
