"""Compiled algebra of a step: the Fisher information, and the quadratic model inside a box."""

from __future__ import annotations

import numpy as np
from numba import njit

from spectraloom.analyze.likelihood.parts import (
    COLUMN,
    GRADIENT,
    HIGH,
    INDEX,
    LOW,
    NEXT_STATE,
    PLACE,
    STATE,
    STEP,
    WEIGHT,
)

_FAST = {"reassoc", "contract", "arcp", "nsz"}
_PIVOT = 1e-13  # relative size under which a pivot counts as zero
_SMALL = 1e-12  # of an amount, or of a deviance: no reason to exchange parameters
_EXCHANGES = 3  # full exchanges that may fail to improve before single ones


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def dot(a, b):  # type: ignore[no-untyped-def]
    """Sum of products."""
    total = 0.0
    for c in range(len(a)):
        total += a[c] * b[c]
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def two_dots(a, b, c):  # type: ignore[no-untyped-def]
    """Sums of the products of `a` with two others, which read `a` once."""
    first = 0.0
    second = 0.0
    for i in range(len(a)):
        first += a[i] * b[i]
        second += a[i] * c[i]
    return first, second


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def cholesky_solve(H, b, size):  # type: ignore[no-untyped-def]
    """Solve H x = b in place, H symmetric in its lower triangle; False if it is singular."""
    for i in range(size):
        for j in range(i):
            total = H[i, j]
            for m in range(j):
                total -= H[i, m] * H[j, m]
            H[i, j] = total * H[j, j]
        total = H[i, i]
        for m in range(i):
            total -= H[i, m] * H[i, m]
        if not total > _PIVOT * H[i, i]:
            return False
        H[i, i] = 1.0 / np.sqrt(total)  # the inverse is what is needed below
    for i in range(size):
        total = b[i]
        for m in range(i):
            total -= H[i, m] * b[m]
        b[i] = total * H[i, i]
    for i in range(size - 1, -1, -1):
        total = b[i]
        for m in range(i + 1, size):
            total -= H[m, i] * b[m]
        b[i] = total * H[i, i]
    return True


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def information(work, size, priors):  # type: ignore[no-untyped-def]
    """Fill the lower triangle of the Fisher information of the parameters that were chosen."""
    A, J, H, weight = work.A, work.J, work.H, work.channel[WEIGHT]
    weighted, index = work.weighted, work.number[INDEX]
    k, n = A.shape
    for i in range(size):
        one = index[i]
        left = A[one] if one < k else J[one - k]
        scaled = weighted[i]
        for c in range(n):
            scaled[c] = left[c] * weight[c]
        m = 0
        while m < i:
            other = index[m]
            right = A[other] if other < k else J[other - k]
            if m + 1 < i and index[m + 1] < k:
                H[i, m], H[i, m + 1] = two_dots(scaled, right, A[index[m + 1]])
                m += 2
            else:
                H[i, m] = dot(scaled, right)
                m += 1
        H[i, i] = dot(scaled, left)
        if one >= k:
            H[i, i] += 1.0 / priors.spread[one - k] ** 2
        elif priors.member[one]:
            for m in range(i + 1):
                if index[m] < k and priors.member[index[m]]:
                    H[i, m] += priors.aim[1]


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_free(size, ridge, work):  # type: ignore[no-untyped-def]
    """Minimum of the quadratic model over the free parameters, others at their ends."""
    H, trial, state, place = work.H, work.trial, work.number[STATE], work.number[PLACE]
    low, high, step, gradient = (
        work.parameter[LOW],
        work.parameter[HIGH],
        work.parameter[STEP],
        work.parameter[GRADIENT],
    )
    column = work.parameter[COLUMN]
    inner = 0
    for i in range(size):
        if state[i] == 0:
            place[inner] = i
            inner += 1
        else:
            step[i] = low[i] if state[i] < 0 else high[i]
    for i in range(inner):
        row = place[i]
        for m in range(i + 1):
            trial[i, m] = H[row, place[m]]
        trial[i, i] *= 1.0 + ridge
        total = gradient[row]
        for other in range(size):
            if state[other] != 0:
                total -= H[max(row, other), min(row, other)] * step[other]
        column[i] = total
    if not cholesky_solve(trial, column, inner):
        return False
    for i in range(inner):
        step[place[i]] = column[i]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _exchange(size, only_last, work):  # type: ignore[no-untyped-def]
    """Move parameters that break a condition to where they belong; number that broke one."""
    H, state, next_state, step = (
        work.H,
        work.number[STATE],
        work.number[NEXT_STATE],
        work.parameter[STEP],
    )
    low, high, gradient = work.parameter[LOW], work.parameter[HIGH], work.parameter[GRADIENT]
    broken = 0
    for i in range(size - 1, -1, -1):
        target = state[i]
        if state[i] == 0:
            slack = _SMALL * abs(low[i])
            if step[i] < low[i] - slack:
                target = -1
            elif step[i] > high[i] + slack:
                target = 1
        elif low[i] < high[i]:
            pull = gradient[i]
            for m in range(size):
                pull -= H[max(i, m), min(i, m)] * step[m]
            outward = pull < 0.0 if state[i] < 0 else pull > 0.0
            if not outward and pull * pull > _SMALL * H[i, i]:
                target = 0
        if target != state[i]:
            broken += 1
            if not only_last or broken == 1:
                next_state[i] = target
    return broken


@njit(cache=True, nogil=True, error_model="numpy")
def solve_in_box(size, work):  # type: ignore[no-untyped-def]
    """Minimum of the quadratic model between `low` and `high`, left in the row STEP.

    Block principal pivoting; where blocks do not get better, one parameter is exchanged at a time,
    which ends for certain (Portugal, Judice and Vicente 1994,
    doi:10.1090/S0025-5718-1994-1250776-4).

    Returns
    -------
    ridge : float, relative, that was needed against a singular matrix; negative if it failed
    """
    state, next_state, low, high = (
        work.number[STATE],
        work.number[NEXT_STATE],
        work.parameter[LOW],
        work.parameter[HIGH],
    )
    ridge = 0.0
    for i in range(size):
        state[i] = 0 if low[i] < high[i] else -1
    best = size + 1
    tries = _EXCHANGES
    for _ in range(10 * size + 50):
        if not _solve_free(size, ridge, work):
            ridge = max(10.0 * ridge, 1e-9)
            if ridge > 1.0:
                return -1.0
            continue
        for i in range(size):
            next_state[i] = state[i]
        broken = _exchange(size, tries == 0, work)
        if broken == 0:
            return ridge
        if broken < best:
            best = broken
            tries = _EXCHANGES
        elif tries > 0:
            tries -= 1
        for i in range(size):
            state[i] = next_state[i]
    return -1.0
