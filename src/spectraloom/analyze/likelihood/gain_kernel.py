"""Compiled part of :mod:`spectraloom.analyze.likelihood.gain`."""

from __future__ import annotations

import numpy as np
from numba import njit

from spectraloom.analyze.likelihood.batch import place_templates
from spectraloom.analyze.likelihood.moving import make_work, slopes_at
from spectraloom.analyze.likelihood.parts import GRADIENT, N_NUISANCES, RESIDUAL, STEP, WEIGHT
from spectraloom.analyze.likelihood.quadratic import cholesky_solve, dot

_LEAST = 1e-3  # expected counts of a channel, below which its slope tells nothing
_RIDGE = 1e-9  # of the scaled information, where templates cannot be told apart


@njit(cache=True, nogil=True, error_model="numpy")
def deviations_many(data, templates, used, spreads, amounts, theta, fitted, out):  # type: ignore[no-untyped-def]
    """Fill the standard deviations of the gain (N,) at amounts (N, k + l) and theta (N, 3)."""
    total = amounts.shape[1]
    work = make_work(total, fitted.shape[1])
    for row in range(len(out)):
        a, extra, t = amounts[row], data.extra[row], theta[row]
        place_templates(templates, data.edges, t, extra, work)
        slopes_at(templates, work.pieces, data.edges, t, used, a, work.J)
        for c in range(fitted.shape[1]):
            noise = max(fitted[row, c], _LEAST) if data.poisson else data.variance[row, c]
            work.channel[WEIGHT, c] = 1.0 / noise
        out[row] = _deviation(used, spreads, a, work)


@njit(cache=True, nogil=True, error_model="numpy")
def _deviation(used, spreads, a, work):  # type: ignore[no-untyped-def]
    """Standard deviation of the gain; the rows of `work` hold its place."""
    H, scale, column = work.trial, work.parameter[GRADIENT], work.parameter[STEP]
    size = 0
    for z in range(N_NUISANCES):  # the gain is the first parameter
        if used[z]:
            work.weighted[size] = work.J[z]
            H[size, size] = 1.0 / spreads[z] ** 2
            size += 1
    moving = size
    for j in range(len(a)):
        if a[j] > 0.0:
            work.weighted[size] = work.A[j]
            H[size, size] = 0.0
            size += 1
    heavy = work.channel[RESIDUAL]
    for i in range(size):
        heavy[:] = work.weighted[i] * work.channel[WEIGHT]
        for m in range(i):
            H[i, m] = dot(heavy, work.weighted[m])
        H[i, i] += dot(heavy, work.weighted[i])
        scale[i] = 1.0 / np.sqrt(H[i, i])
        column[i] = 0.0
    for i in range(size):
        for m in range(i):
            H[i, m] *= scale[i] * scale[m]
        H[i, i] = 1.0 + (_RIDGE if i >= moving else 0.0)
    column[0] = scale[0]
    if not cholesky_solve(H, column, size):
        return spreads[0]
    return min(np.sqrt(column[0] * scale[0]), spreads[0])
