"""Compiled kernel of the non-negative least squares solver; imported when a fit starts.

Works on the normal equations: G = A^T A is shared by all spectra, b = A^T y is small, so that a
spectrum costs a few Cholesky factorisations of the size of its active templates.
"""

from __future__ import annotations

import numpy as np

from spectraloom.analyze.compiled import compiled

_PIVOT = 1e-13  # relative size under which a Cholesky pivot counts as zero
_TOLERANCE = 1e-12  # relative size under which an amount or gradient counts as zero
_REFINEMENTS = 2
_EXCHANGES = 3  # full exchanges that may fail to improve before single exchanges


@compiled
def _solve_passive(G, b, passive, size, factor, x):  # type: ignore[no-untyped-def]
    """Solve G[P, P] x = b[P] by Cholesky; False where G[P, P] is numerically singular."""
    for i in range(size):
        row = passive[i]
        for j in range(i):
            total = G[row, passive[j]]
            for m in range(j):
                total -= factor[i, m] * factor[j, m]
            factor[i, j] = total * factor[j, j]
        total = G[row, row]
        for m in range(i):
            total -= factor[i, m] * factor[i, m]
        if total <= _PIVOT * G[row, row]:
            return False
        factor[i, i] = 1.0 / np.sqrt(total)
    for i in range(size):
        total = b[passive[i]]
        for m in range(i):
            total -= factor[i, m] * x[m]
        x[i] = total * factor[i, i]
    for i in range(size - 1, -1, -1):
        total = x[i]
        for m in range(i + 1, size):
            total -= factor[m, i] * x[m]
        x[i] = total * factor[i, i]
    return True


@compiled
def _block_pivoting(G, b, start, scale, inside, passive, factor, x, w, out):  # type: ignore[no-untyped-def]
    """Block principal pivoting; True and the answer in `out` once the KKT conditions hold."""
    k = len(b)
    for j in range(k):
        inside[j] = start[j] > 0.0
    best = k + 1
    tries = _EXCHANGES
    for _ in range(5 * k + 20):
        size = 0
        for j in range(k):
            if inside[j]:
                passive[size] = j
                size += 1
        if not _solve_passive(G, b, passive, size, factor, x):
            return False
        wrong = 0
        last = -1
        for i in range(size):
            if x[i] < 0.0:
                wrong += 1
                last = max(last, passive[i])
        for j in range(k):
            w[j] = 0.0
            if not inside[j]:
                total = b[j]
                for i in range(size):
                    total -= G[j, passive[i]] * x[i]
                w[j] = total
                if total > _TOLERANCE * scale:
                    wrong += 1
                    last = max(last, j)
        if wrong == 0:
            for j in range(k):
                out[j] = 0.0
            for i in range(size):
                out[passive[i]] = x[i]
            return True
        if wrong < best:
            best = wrong
            tries = _EXCHANGES
        elif tries > 0:
            tries -= 1
        else:
            # Murty's rule: exchange only the last violation; slow, but it cannot cycle.
            inside[last] = not inside[last]
            continue
        for i in range(size):
            if x[i] < 0.0:
                inside[passive[i]] = False
        for j in range(k):
            if w[j] > _TOLERANCE * scale:
                inside[j] = True
    return False


@compiled
def _lawson_hanson(G, b, scale, inside, passive, factor, x, out):  # type: ignore[no-untyped-def]
    """Lawson and Hanson's active set; used where templates are (nearly) dependent."""
    k = len(b)
    barred = np.zeros(k, dtype=np.bool_)
    for j in range(k):
        inside[j] = False
        out[j] = 0.0
    for _ in range(10 * k + 20):
        entering = -1
        largest = _TOLERANCE * scale
        for j in range(k):
            if not inside[j] and not barred[j]:
                total = b[j]
                for m in range(k):
                    total -= G[j, m] * out[m]
                if total > largest:
                    largest = total
                    entering = j
        if entering < 0:
            return
        inside[entering] = True
        for inner in range(k + 1):
            size = 0
            for j in range(k):
                if inside[j]:
                    passive[size] = j
                    size += 1
            if not _solve_passive(G, b, passive, size, factor, x):
                # The entering template adds nothing that is not there already.
                inside[entering] = False
                barred[entering] = True
                break
            step = 1.0
            for i in range(size):
                j = passive[i]
                if x[i] <= 0.0 and out[j] - x[i] > 0.0:
                    step = min(step, out[j] / (out[j] - x[i]))
                elif x[i] <= 0.0:
                    step = 0.0
            for i in range(size):
                j = passive[i]
                out[j] += step * (x[i] - out[j])
            if step >= 1.0:
                for j in range(k):
                    barred[j] = False
                break
            if step == 0.0 and out[entering] <= 0.0 and inner == 0:
                inside[entering] = False
                barred[entering] = True
                out[entering] = 0.0
                break
            for i in range(size):
                j = passive[i]
                if out[j] <= _TOLERANCE * abs(x[i]) or out[j] <= 0.0:
                    out[j] = 0.0
                    inside[j] = False


@compiled
def _project(row, unit, b):  # type: ignore[no-untyped-def]
    """B = row @ unit, where row may be of any numeric type; vectorised over templates."""
    channels, k = unit.shape
    for j in range(k):
        b[j] = 0.0
    for c in range(channels):
        y = np.float64(row[c])
        if y != 0.0:
            for j in range(k):
                b[j] += y * unit[c, j]


@compiled
def _refine(row, plain, unit, G, passive, factor, residual, b, x, out):  # type: ignore[no-untyped-def]
    """Correct the active amounts in `out` by what the residual of the spectrum itself says.

    The normal equations square the condition number; the residual does not (iterative refinement).
    """
    size = 0
    for j in range(len(out)):
        if out[j] > 0.0:
            passive[size] = j
            size += 1
    for _ in range(_REFINEMENTS):
        for c in range(len(row)):
            fit = 0.0
            for i in range(size):
                fit += plain[c, passive[i]] * out[passive[i]]
            residual[c] = row[c] - fit
        _project(residual, unit, b)
        if not _solve_passive(G, b, passive, size, factor, x):
            return
        for i in range(size):
            out[passive[i]] = max(out[passive[i]] + x[i], 0.0)


@compiled
def solve_rows(values, plain, unit, G, guess, refine, out):  # type: ignore[no-untyped-def]
    """Solve min_x ||y - unit x||^2, x >= 0, for every row y of `values`, into `out`.

    `plain` holds the templates as columns, `unit` the same weighted so that ``y @ unit`` is the
    right side of the normal equations; `guess` is the inverse of G, whose unconstrained answers
    give the signs that the search starts from. `refine` is for nearly dependent templates.
    """
    n = len(values)
    k = len(G)
    b = np.empty(k)
    start = np.empty(k)
    inside = np.empty(k, dtype=np.bool_)
    passive = np.empty(k, dtype=np.int64)
    factor = np.empty((k, k))
    x = np.empty(k)
    w = np.empty(k)
    residual = np.empty(values.shape[1])
    for row in range(n):
        _project(values[row], unit, b)
        scale = 0.0
        for j in range(k):
            scale = max(scale, abs(b[j]))
        if scale == 0.0:
            for j in range(k):
                out[row, j] = 0.0
            continue
        _project(b, guess, start)
        if not _block_pivoting(G, b, start, scale, inside, passive, factor, x, w, out[row]):
            _lawson_hanson(G, b, scale, inside, passive, factor, x, out[row])
        if refine:
            _refine(values[row], plain, unit, G, passive, factor, residual, b, x, out[row])
