"""Compiled loops over spectra: starts, fits and covariances; every spectrum alone."""

from __future__ import annotations

import numpy as np

from spectraloom.analyze.compiled import compiled, compiled_fast
from spectraloom.analyze.likelihood.parts import INDEX, MU, WEIGHT
from spectraloom.analyze.likelihood.quadratic import dot
from spectraloom.analyze.manifold.blending import make_room, place_all
from spectraloom.analyze.manifold.kernel import BLIND, FLOOR, fit_one, information, prior_misfit

_EM_START = 6
_PIVOT = 1e-11  # of a correlation matrix; what is less is mostly rounding
_RIVAL = 9.0  # of the deviance on coarse bins: a start this much worse may still end better


@compiled
def fit_many(counts, nodes, prior, allowed, starts, given, tolerance, found):  # type: ignore[no-untyped-def]
    """Fit every spectrum, from the best of the starts.

    Parameters
    ----------
    counts : Counts
    nodes : Nodes
    prior : Prior
    allowed : (k,) templates that may be used
    starts : Starts
    given : (N, L) latents to start from instead, or (0, L)
    tolerance : float
    found : Found, filled here
    """
    k, n_latents = len(nodes.first), len(prior.center)
    n, m = counts.y.shape[1], nodes.table.shape[1]
    room = make_room(k, n_latents, nodes.counts.shape[1], n, m)
    trials = np.zeros((len(starts.latents), k))
    misfits = np.zeros(len(starts.latents))
    coarse = np.zeros(starts.templates.shape[2])
    best_a, best_s = np.zeros(k), np.zeros(n_latents)
    a, s = np.zeros(k), np.zeros(n_latents)
    for row in range(len(counts.y)):
        y, variance = counts.y[row], counts.variance[row]
        judge_starts(y, starts, allowed, trials, misfits, coarse)
        first = int(np.argmin(misfits))
        best, best_taken = np.inf, -1
        last_is_best = False
        for start in range(len(misfits)):
            if len(given) > 0 and start > 0:
                break
            if len(given) == 0 and not _worth(start, first, misfits):
                continue
            a[:] = trials[start]
            s[:] = given[row] if len(given) > 0 else starts.latents[start]
            deviance, taken = fit_one(
                y, variance, counts.poisson, counts.edges, nodes, prior, allowed, a, s,
                tolerance, room,
            )  # fmt: skip
            last_is_best = deviance + prior_misfit(s, prior) < best
            if last_is_best:
                best, best_taken = deviance + prior_misfit(s, prior), taken
                best_a[:] = a
                best_s[:] = s
        if not last_is_best:
            place_all(nodes, counts.edges, best_s, best_a, allowed, counts.poisson, FLOOR, room)
        found.deviance[row] = best - prior_misfit(best_s, prior)
        found.iterations[row] = best_taken
        found.amounts[row] = best_a
        found.latents[row] = best_s
        found.fitted[row] = room.channel[MU]
        fill_covariance(variance, counts.poisson, prior, best_a, best_s, room,
                        found.covariance[row])  # fmt: skip


@compiled
def _worth(start, first, misfits):  # type: ignore[no-untyped-def]
    """Whether a fit begins there: at the best start, and at separate minima nearly as good."""
    if start == first:
        return True
    here = misfits[start]
    if here > misfits[first] + _RIVAL:
        return False
    before = start > 0 and misfits[start - 1] <= here
    after = start + 1 < len(misfits) and misfits[start + 1] < here
    return not (before or after)


@compiled_fast
def judge_starts(y, starts, allowed, trials, misfits, coarse):  # type: ignore[no-untyped-def]
    """Fill amounts and misfit for every start, by multiplicative steps on coarse bins."""
    coarse[:] = 0.0
    for c in range(len(y)):
        coarse[starts.coarse[c]] += max(y[c], 0.0)
    total = coarse.sum()
    n_coarse = len(coarse)
    mu = np.empty(n_coarse)
    for start in range(len(trials)):
        templates, a = starts.templates[start], trials[start]
        usable = 0
        for j in range(len(a)):
            usable += allowed[j]
        for j in range(len(a)):
            a[j] = total / usable if allowed[j] else 0.0
        for step in range(_EM_START + 1):
            mu[:] = FLOOR
            for j in range(len(a)):
                if a[j] > 0.0:
                    for c in range(n_coarse):
                        mu[c] += a[j] * templates[j, c]
            if step == _EM_START or total <= 0.0:
                break
            for c in range(n_coarse):
                mu[c] = coarse[c] / mu[c]
            for j in range(len(a)):
                if a[j] > 0.0:
                    a[j] *= dot(templates[j], mu) / max(templates[j].sum(), FLOOR)
        lost = 0.0
        for c in range(n_coarse):
            lost += mu[c] - coarse[c]
            if coarse[c] > 0.0:
                lost += coarse[c] * np.log(coarse[c] / mu[c])
        misfits[start] = 2.0 * lost


@compiled
def fill_covariance(variance, poisson, prior, a, s, room, out):  # type: ignore[no-untyped-def]
    """Inverse of the Fisher information: of amounts above zero, and latents inside their limits.

    Latents of which nothing is known have an infinite variance, all else that is not free zeros.
    What is not known of a latent at its limit is part of the variance of the amounts all the same:
    the true one may lie inside.
    """
    fill_inverse(variance, poisson, prior, a, s, room, out)
    k = len(a)
    for z in range(len(s)):
        inside = prior.bounds[z, 0] < s[z] < prior.bounds[z, 1]
        if not inside and out[k + z, k + z] < np.inf:
            out[k + z] = 0.0
            out[:, k + z] = 0.0


@compiled
def fill_inverse(variance, poisson, prior, a, s, room, out):  # type: ignore[no-untyped-def]
    """Inverse of the Fisher information of amounts above zero and latents, also at their limits.

    Latents of which nothing is known have an infinite variance, absent amounts zeros.
    """
    out[:] = 0.0
    k, n_latents = len(a), len(s)
    weight, index = room.channel[WEIGHT], room.number[INDEX]
    for c in range(len(weight)):
        weight[c] = 1.0 / room.channel[MU, c] if poisson else 1.0 / variance[c]
    size = 0
    for j in range(k):
        if a[j] > 0.0:
            index[size] = j
            size += 1
    for z in range(n_latents):
        known = prior.precision[z, z]
        for c in range(len(weight)):
            known += room.rows[k + z, c] * room.rows[k + z, c] * weight[c]
        span = prior.bounds[z, 1] - prior.bounds[z, 0]
        if known * span * span <= BLIND:
            out[k + z, k + z] = np.inf
        else:
            index[size] = k + z
            size += 1
    if size == 0:
        return
    information(prior, k, size, room)
    scaled = np.empty((size, size))
    scale = np.empty(size)
    for i in range(size):
        scale[i] = 1.0 / np.sqrt(room.H[i, i]) if room.H[i, i] > 0.0 else 0.0
    for i in range(size):
        for m in range(i + 1):
            scaled[i, m] = scaled[m, i] = room.H[i, m] * scale[i] * scale[m]
        scaled[i, i] = 1.0 + 1e-12  # templates that are nearly the same
    inverse = np.empty((size, size))
    _invert(scaled, inverse)
    for i in range(size):
        for m in range(size):
            out[index[i], index[m]] = inverse[i, m] * scale[i] * scale[m]


@compiled
def _invert(matrix, inverse):  # type: ignore[no-untyped-def]
    """Fill the inverse of a symmetric matrix with ones along its diagonal; it is overwritten.

    By its Cholesky factors, where rounding leaves them; the library call takes longer than a step
    of a fit for the sizes that are usual here.
    """
    size = len(matrix)
    factor = inverse
    for i in range(size):
        for m in range(i + 1):
            total = matrix[i, m]
            for q in range(m):
                total -= factor[i, q] * factor[m, q]
            if m < i:
                factor[i, m] = total * factor[m, m]
            elif total > _PIVOT:
                factor[i, i] = 1.0 / np.sqrt(total)  # the inverse is what is needed below
            else:
                inverse[:] = np.linalg.inv(matrix)
                return
    for i in range(size):  # the inverse of the factor, in the same place
        for m in range(i):
            total = 0.0
            for q in range(m, i):
                total -= factor[i, q] * factor[q, m]
            factor[i, m] = total * factor[i, i]
    for i in range(size):
        for m in range(i + 1):
            total = 0.0
            for q in range(i, size):
                total += factor[q, i] * factor[q, m]
            matrix[i, m] = matrix[m, i] = total
    inverse[:] = matrix
