"""Compiled loops over spectra: fits, and the likelihood ratios of names; every spectrum alone."""

from __future__ import annotations

import numpy as np
from numba import njit

from spectraloom.analyze.likelihood.information import group_covariance
from spectraloom.analyze.likelihood.kernel import (
    em_steps,
    expected_counts,
    fit_spectrum,
    prior_misfit,
)
from spectraloom.analyze.likelihood.moving import locate, make_work, templates_at
from spectraloom.analyze.likelihood.parts import CHOSEN, MU, N_NUISANCES, STEP

_EM_START = 3


@njit(cache=True, nogil=True, error_model="numpy")
def fit_many(data, templates, priors, groups, tested, start, tolerance, answers):  # type: ignore[no-untyped-def]
    """Fit every spectrum and test every group marked in `tested`.

    Parameters
    ----------
    data : Data
    templates : Templates
    priors : Priors
    groups : (k + l,) which name each template belongs to
    tested : (n_groups,) bool
    start : (N, 3) nuisances to start from
    tolerance : float
    answers : Answers, filled here: amounts (N, k + l), theta (N, 3), deviance (N,), iterations
        (N,), fitted (N, n), ratios (N, n_groups) likelihood ratios, covariance (N, n_groups,
        n_groups) of the amounts summed over each group
    """
    N, n = data.y.shape
    total = templates.table.shape[1] + data.extra.shape[1]
    work = make_work(total, n)
    room = make_work(total, n)
    allowed = np.ones(total, dtype=np.bool_)
    a = np.zeros(total)
    theta = np.zeros(N_NUISANCES)
    # Without nuisances and templates of their own, spectra share their templates.
    shared = not priors.use.any() and data.extra.shape[1] == 0
    for row in range(N):
        y, variance = data.y[row], data.variance[row]
        if row == 0 or not shared:
            for z in range(N_NUISANCES):
                low, high = priors.bounds[z, 0], priors.bounds[z, 1]
                theta[z] = min(max(start[row, z], low), high) if priors.use[z] else 0.0
            place_templates(templates, data.edges, theta, data.extra[row], work)
        _start(y, data.poisson, allowed, a, work)
        deviance, taken = fit_spectrum(
            y, variance, data.poisson, data.edges, templates, priors, allowed, a, theta,
            tolerance, work,
        )  # fmt: skip
        answers.deviance[row] = deviance
        answers.iterations[row] = taken
        answers.amounts[row] = a
        answers.theta[row] = theta
        answers.fitted[row] = work.channel[MU]
        group_covariance(variance, data.poisson, priors, groups, a, theta, work, answers, row)
        _test(
            data, templates, priors, groups, tested, a, theta, tolerance, work, room, answers, row
        )


@njit(cache=True, nogil=True, error_model="numpy")
def place_templates(templates, edges, theta, extra, work):  # type: ignore[no-untyped-def]
    """Fill all rows of `work.A`, for `theta`."""
    k = templates.table.shape[1]
    total = len(work.A)
    for j in range(total):
        work.number[CHOSEN, j] = j
    locate(templates.grid, edges, theta, work.pieces)
    templates_at(templates, work.pieces, theta, work.number[CHOSEN], k, work.A)
    for j in range(k, total):
        work.A[j] = extra[j - k]


@njit(cache=True, nogil=True, error_model="numpy")
def expected_many(templates, edges, extra, amounts, theta, out):  # type: ignore[no-untyped-def]
    """Fill what is expected on some bins, (N, n), of amounts (N, k + l) at theta (N, 3)."""
    work = make_work(amounts.shape[1], out.shape[1])
    for row in range(len(out)):
        place_templates(templates, edges, theta[row], extra[row], work)
        expected_counts(work.A, amounts[row], False, out[row])


@njit(cache=True, nogil=True, error_model="numpy")
def _start(y, poisson, allowed, a, work):  # type: ignore[no-untyped-def]
    """Amounts to start from: equal parts, improved by a few multiplicative steps for counts.

    Templates without counts in the bins are not allowed.
    """
    total, n = work.A.shape
    sums = work.parameter[STEP]  # room that the fit itself fills later
    counts = 0.0
    for c in range(n):
        counts += max(y[c], 0.0)
    usable = 0
    for j in range(total):
        sums[j] = work.A[j].sum()
        allowed[j] = sums[j] > 0.0
        if allowed[j]:
            usable += 1
    for j in range(total):
        a[j] = counts / (usable * sums[j]) if allowed[j] else 0.0
    if poisson and counts > 0.0:
        em_steps(y, work.A, allowed, sums, a, work.channel[MU], _EM_START)


@njit(cache=True, nogil=True, error_model="numpy")
def _test(  # type: ignore[no-untyped-def]
    data, templates, priors, groups, tested, a, theta, tolerance, work, room, answers, row
):
    """Fill the likelihood ratios of one spectrum against the best fits without each group."""
    y, variance = data.y[row], data.variance[row]
    total = len(a)
    allowed = np.zeros(total, dtype=np.bool_)
    other = np.zeros(total)
    moved = np.zeros(N_NUISANCES)
    for group in range(len(tested)):
        answers.ratios[row, group] = 0.0
        present = 0.0
        for j in range(total):
            allowed[j] = groups[j] != group
            if groups[j] == group:
                present += a[j]
        if not tested[group] or present <= 0.0:
            continue
        other[:] = a
        moved[:] = theta
        room.A[:] = work.A
        without, _ = fit_spectrum(
            y, variance, data.poisson, data.edges, templates, priors, allowed, other, moved,
            tolerance, room,
        )  # fmt: skip
        gap = without - answers.deviance[row]
        gap += prior_misfit(other, moved, priors) - prior_misfit(a, theta, priors)
        answers.ratios[row, group] = max(gap, 0.0)
