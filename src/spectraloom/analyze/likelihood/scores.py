"""Compiled score tests of templates that a fit left out."""

from __future__ import annotations

import numpy as np
from numba import njit

from spectraloom.analyze.likelihood.batch import place_templates
from spectraloom.analyze.likelihood.moving import make_work
from spectraloom.analyze.likelihood.parts import COLUMN, INDEX, RESIDUAL, WEIGHT
from spectraloom.analyze.likelihood.quadratic import dot

_LEAST = 1e-9  # expected counts of a bin
_KNOWN = 1e-9  # part of its own information that a template has to bring beside the others
_PIVOT = 1e-12  # relative size under which a template is made of those before it


@njit(cache=True, nogil=True, error_model="numpy")
def score_many(fitted, data, templates, groups, wanted, beside, theta, ratios):  # type: ignore[no-untyped-def]
    """Fill the score test of every group marked in `wanted`: that of its best template.

    Parameters
    ----------
    fitted : (N, n) expected counts of the fits
    data, templates : Data, Templates
    groups : (k,) which name each template belongs to
    wanted : (n_groups,) bool
    beside : (N, k + l) bool, which templates have an amount in the fit
    theta : (N, 3) where the fits ended
    ratios : (N, n_groups), filled here; zero where no amount would be positive
    """
    N, n = fitted.shape
    total = beside.shape[1]
    work = make_work(total, n)
    index, weight, residual = work.number[INDEX], work.channel[WEIGHT], work.channel[RESIDUAL]
    ratios[:] = 0.0
    for row in range(N):
        place_templates(templates, data.edges, theta[row], data.extra[row], work)
        for c in range(n):
            expected = max(fitted[row, c], _LEAST)
            weight[c] = 1.0 / expected if data.poisson else 1.0 / data.variance[row, c]
            residual[c] = (data.y[row, c] - expected) * weight[c]
        size = 0
        for j in range(total):
            if beside[row, j]:
                index[size] = j
                size += 1
        _factor(size, work)
        for j in range(len(groups)):
            if wanted[groups[j]]:
                ratio = _score(j, size, work)
                ratios[row, groups[j]] = max(ratios[row, groups[j]], ratio)


@njit(cache=True, nogil=True, error_model="numpy")
def _factor(size, work):  # type: ignore[no-untyped-def]
    """Fill H with the Cholesky factor of the information of the templates in the fit.

    Its diagonal is inverted, and zero for a template that those before it add up to.
    """
    H, weight = work.H, work.channel[WEIGHT]
    for i in range(size):
        line = work.A[work.number[INDEX, i]]
        scaled = work.weighted[i]
        for c in range(len(weight)):
            scaled[c] = line[c] * weight[c]
        for m in range(i):
            part = dot(scaled, work.A[work.number[INDEX, m]])
            for q in range(m):
                part -= H[i, q] * H[m, q]
            H[i, m] = part * H[m, m]
        own = dot(scaled, line)
        rest = own
        for m in range(i):
            rest -= H[i, m] * H[i, m]
        H[i, i] = 1.0 / np.sqrt(rest) if rest > _PIVOT * own else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _score(j, size, work):  # type: ignore[no-untyped-def]
    """Slope of the likelihood squared, over its variance given the templates in the fit."""
    line, H, taken = work.A[j], work.H, work.parameter[COLUMN]
    slope = dot(line, work.channel[RESIDUAL])
    if not slope > 0.0:
        return 0.0
    own = 0.0
    for c in range(len(line)):
        own += line[c] * line[c] * work.channel[WEIGHT, c]
    variance = own
    for i in range(size):
        part = dot(work.weighted[i], line)
        for q in range(i):
            part -= H[i, q] * taken[q]
        taken[i] = part * H[i, i]
        variance -= taken[i] * taken[i]
    return slope**2 / variance if variance > _KNOWN * own else 0.0
