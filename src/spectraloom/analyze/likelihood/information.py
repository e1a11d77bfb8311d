"""Compiled covariances and limits from the Fisher information."""

from __future__ import annotations

import numpy as np
from numba import njit

from spectraloom.analyze.likelihood.moving import locate, make_work, templates_at
from spectraloom.analyze.likelihood.parts import (
    CHOSEN,
    GRADIENT,
    INDEX,
    MU,
    N_NUISANCES,
    RESIDUAL,
    STEP,
    WEIGHT,
)
from spectraloom.analyze.likelihood.quadratic import cholesky_solve, dot, information

_FLOOR = 1e-12
_LIMIT_STEPS = 50
_LIMIT_TOLERANCE = 1e-6


@njit(cache=True, nogil=True, error_model="numpy")
def group_covariance(  # type: ignore[no-untyped-def]
    variance, poisson, priors, groups, a, theta, work, answers, row
):
    """Fill the covariance of the amounts summed over groups, of the fit that `work` holds.

    Amounts at zero do not take part, as if their templates were absent; nuisances inside their
    limits do.
    """
    out = answers.covariance[row]
    out[:] = 0.0
    total, n = work.A.shape
    for c in range(n):
        work.channel[WEIGHT, c] = 1.0 / work.channel[MU, c] if poisson else 1.0 / variance[c]
    size = 0
    for j in range(total):
        if a[j] > 0.0:
            work.number[INDEX, size] = j
            size += 1
    for z in range(N_NUISANCES):
        if priors.use[z] and priors.bounds[z, 0] < theta[z] < priors.bounds[z, 1]:
            work.number[INDEX, size] = total + z
            size += 1
    information(work, size, priors)
    scale = work.parameter[GRADIENT]
    for i in range(size):
        scale[i] = 1.0 / np.sqrt(work.H[i, i])
    for group in range(len(out)):
        # Solve for the sum of the group: C s, where s picks its templates.
        inside = False
        for i in range(size):
            for m in range(i + 1):
                work.trial[i, m] = work.H[i, m] * scale[i] * scale[m]
            own = work.number[INDEX, i] < total and groups[work.number[INDEX, i]] == group
            work.parameter[STEP, i] = scale[i] if own else 0.0
            inside = inside or own
        if not inside:
            continue
        if not cholesky_solve(work.trial, work.parameter[STEP], size):
            out[group] = np.nan
            out[:, group] = np.nan
            continue
        for i in range(size):
            if work.number[INDEX, i] < total:
                out[group, groups[work.number[INDEX, i]]] += work.parameter[STEP, i] * scale[i]


@njit(cache=True, nogil=True, error_model="numpy")
def limits_many(  # type: ignore[no-untyped-def]
    fitted, data, templates, groups, mixing, tested, amounts, theta, quantiles, thresholds, limits
):
    """Decision thresholds and detection limits (ISO 11929) of every group marked in `tested`.

    A group is represented by the mixture `mixing` (n_groups, k) of its templates; the other
    templates that are present are fitted beside it. Filled: thresholds and limits (N, n_groups).
    """
    N, n = fitted.shape
    k = templates.table.shape[1]
    total = k + data.extra.shape[1]
    work = make_work(total, n)
    base = np.empty(n)
    shape = np.empty(n)
    for row in range(N):
        for j in range(k):
            work.number[CHOSEN, j] = j
        locate(templates.grid, data.edges, theta[row], work.pieces)
        templates_at(templates, work.pieces, theta[row], work.number[CHOSEN], k, work.A)
        for j in range(k, total):
            work.A[j] = data.extra[row, j - k]
        for group in range(len(tested)):
            thresholds[row, group] = np.nan
            limits[row, group] = np.nan
            if not tested[group]:
                continue
            size = without_group(
                fitted[row], groups, mixing, amounts[row], group, work, base, shape
            )
            threshold, limit = _limit(
                base, shape, size, data.variance[row], data.poisson, quantiles, work
            )
            thresholds[row, group] = threshold
            limits[row, group] = limit


@njit(cache=True, nogil=True, error_model="numpy")
def without_group(fitted, groups, mixing, amounts, group, work, base, shape):  # type: ignore[no-untyped-def]
    """Fill the expected counts without a group, and its shape; number of templates beside it."""
    n = len(base)
    k = mixing.shape[1]
    base[:] = fitted
    shape[:] = 0.0
    size = 0
    for j in range(len(amounts)):
        if j < k and mixing[group, j] > 0.0:
            for c in range(n):
                shape[c] += mixing[group, j] * work.A[j, c]
        if amounts[j] <= 0.0:
            continue
        if groups[j] == group:
            for c in range(n):
                base[c] = max(base[c] - amounts[j] * work.A[j, c], _FLOOR)
        else:
            work.number[INDEX, size] = j
            size += 1
    return size


@njit(cache=True, nogil=True, error_model="numpy")
def _limit(base, shape, size, variance, poisson, quantiles, work):  # type: ignore[no-untyped-def]
    """Decision threshold and detection limit of one group in one spectrum."""
    spread = _deviation(base, size, shape, 0.0, variance, poisson, work)
    threshold = quantiles[0] * spread
    limit = threshold + quantiles[1] * spread
    # The spread grows with the amount; a few steps settle where the two agree.
    for _ in range(_LIMIT_STEPS):
        wider = _deviation(base, size, shape, limit, variance, poisson, work)
        better = threshold + quantiles[1] * wider
        change = abs(better - limit)
        limit = better
        if not change > _LIMIT_TOLERANCE * limit:
            break
    return threshold, limit


@njit(cache=True, nogil=True, error_model="numpy")
def _deviation(base, size, shape, amount, variance, poisson, work):  # type: ignore[no-untyped-def]
    """Standard deviation of the amount of `shape` if `amount` of it were there."""
    n = len(base)
    F, column, scale = work.trial, work.parameter[STEP], work.parameter[GRADIENT]
    for c in range(n):
        expected = base[c] + amount * shape[c]
        work.channel[WEIGHT, c] = 1.0 / expected if poisson else 1.0 / variance[c]
    for i in range(size + 1):
        left = work.A[work.number[INDEX, i]] if i < size else shape
        for c in range(n):
            work.channel[RESIDUAL, c] = left[c] * work.channel[WEIGHT, c]
        for m in range(i + 1):
            right = work.A[work.number[INDEX, m]] if m < size else shape
            F[i, m] = dot(work.channel[RESIDUAL], right)
        if not F[i, i] > 0.0:
            return np.nan
        scale[i] = 1.0 / np.sqrt(F[i, i])
        column[i] = 0.0
    for i in range(size + 1):
        for m in range(i + 1):
            F[i, m] *= scale[i] * scale[m]
    column[size] = scale[size]
    if not cholesky_solve(F, column, size + 1):
        return np.nan
    return np.sqrt(column[size] * scale[size])
