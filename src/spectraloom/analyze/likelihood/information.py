"""Compiled covariances from the Fisher information, and spectra without one name."""

from __future__ import annotations

import numpy as np
from numba import njit

from spectraloom.analyze.likelihood.parts import (
    GRADIENT,
    INDEX,
    MU,
    N_NUISANCES,
    STEP,
    WEIGHT,
)
from spectraloom.analyze.likelihood.quadratic import cholesky_solve, information

_FLOOR = 1e-12


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
