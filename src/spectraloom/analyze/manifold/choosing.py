"""Compiled forward and backward selection of sources, one spectrum at a time."""

from __future__ import annotations

from math import erfc

import numpy as np

from spectraloom.analyze.compiled import compiled
from spectraloom.analyze.likelihood.parts import MU
from spectraloom.analyze.manifold.batch import fill_covariance, judge_starts
from spectraloom.analyze.manifold.blending import make_room, place_all
from spectraloom.analyze.manifold.kernel import FLOOR, fit_one, prior_misfit

_TURNS = 4  # times the number of sources that a name may come or go


@compiled
def chance(ratio, arc):  # type: ignore[no-untyped-def]
    """Probability of at least this likelihood ratio by chance.

    With `arc` zero, of an amount that cannot be negative: half a chi-square distribution of one
    degree. Else of the largest along a curve of this length of normalised scores.
    """
    if ratio <= 0.0:
        return 1.0
    return min(0.5 * erfc(np.sqrt(0.5 * ratio)) + arc / (2.0 * np.pi) * np.exp(-0.5 * ratio), 1.0)


@compiled
def _fit_set(counts, row, nodes, prior, allowed, starts, search, tolerance, a, s, room, trial):  # type: ignore[no-untyped-def]
    """Fit one set of templates from `a` and `s`, or (with `search`) from the best start."""
    y, variance = counts.y[row], counts.variance[row]
    if search:
        amounts, misfits, coarse = trial
        judge_starts(y, variance, counts.poisson, starts, allowed, amounts, misfits, coarse)
        best = int(np.argmin(misfits))
        a[:] = amounts[best]
        s[:] = starts.latents[best]
    deviance, _ = fit_one(
        y, variance, counts.poisson, counts.edges, nodes, prior, allowed, a, s, tolerance, room
    )
    return deviance + prior_misfit(s, prior)


@compiled
def select_many(  # type: ignore[no-untyped-def]
    counts, nodes, prior, always, starts, arcs, individual, alpha, tolerance, found, chosen,
    p_values, ratios,
):  # fmt: skip
    """Choose the sources of every spectrum.

    Parameters
    ----------
    counts : Counts
    nodes : Nodes
    prior : Prior
    always : (k,) templates that are in every set; the others are one source each
    starts : Starts
    arcs : (k,) length of the curve of normalised scores of each source
    individual : bool, whether each source has a deformation of its own
    alpha : float, probability that any source is added by chance
    tolerance : float
    found : Found, filled here
    chosen : (N, k) bool, filled here
    p_values, ratios : (N, k), filled here: against the set without a source, or with it
    """
    k, n_latents = len(nodes.first), len(prior.center)
    room = make_room(k, n_latents, nodes.counts.shape[1], counts.y.shape[1], nodes.table.shape[1])
    n_starts = len(starts.latents)
    trial = (np.zeros((n_starts, k)), np.zeros(n_starts), np.zeros(starts.templates.shape[2]))
    a, s = np.zeros(k), np.zeros(n_latents)
    other_a, other_s = np.zeros(k), np.zeros(n_latents)
    best_a, best_s = np.zeros(k), np.zeros(n_latents)
    active = np.zeros(k, dtype=np.bool_)
    n_sources = 0
    for j in range(k):
        n_sources += not always[j]
    for row in range(len(counts.y)):
        active[:] = always
        size = 0
        loss = _fit_set(
            counts, row, nodes, prior, active, starts, True, tolerance, a, s, room, trial
        )
        added = -1
        for _ in range(_TURNS * n_sources + 1):
            best, best_p, best_loss = -1, np.inf, loss
            remaining = n_sources - size
            for j in range(k):
                if active[j]:
                    continue
                active[j] = True
                other_a[:] = a
                other_s[:] = s
                search = size == 0 or individual
                new = _fit_set(
                    counts, row, nodes, prior, active, starts, size == 0, tolerance, other_a,
                    other_s, room, trial,
                )  # fmt: skip
                active[j] = False
                ratios[row, j] = max(loss - new, 0.0)
                p_values[row, j] = chance(ratios[row, j], arcs[j] if search else 0.0)
                if p_values[row, j] < best_p or (p_values[row, j] == best_p and new < best_loss):
                    best, best_p, best_loss = j, p_values[row, j], new
                    best_a[:] = other_a
                    best_s[:] = other_s
            grown = best >= 0 and best_p < alpha / remaining
            if grown:
                active[best] = True
                a[:] = best_a
                s[:] = best_s
                loss = best_loss
                size += 1
                added = best
            # Backward: the least of those that are in has to be worth its place.
            worst, worst_p, worst_loss = -1, -1.0, loss
            if size > 0:
                for j in range(k):
                    if not active[j] or always[j]:
                        continue
                    if size == 1 and grown and j == added:
                        ratios[row, j] = max(ratios[row, j], 0.0)
                        continue
                    active[j] = False
                    other_a[:] = a
                    other_s[:] = s
                    new = _fit_set(
                        counts, row, nodes, prior, active, starts, False, tolerance, other_a,
                        other_s, room, trial,
                    )  # fmt: skip
                    active[j] = True
                    ratios[row, j] = max(new - loss, 0.0)
                    p_values[row, j] = chance(
                        ratios[row, j], arcs[j] if size == 1 or individual else 0.0
                    )
                    if p_values[row, j] > worst_p:
                        worst, worst_p, worst_loss = j, p_values[row, j], new
                        best_a[:] = other_a
                        best_s[:] = other_s
            dropped = worst >= 0 and worst_p >= alpha / (n_sources - size + 1)
            if dropped:
                active[worst] = False
                a[:] = best_a
                s[:] = best_s
                loss = worst_loss
                size -= 1
            if not grown and not dropped:
                break
        poisson = counts.poisson
        place_all(nodes, counts.edges, s, a, active | (a > 0.0), poisson, FLOOR, room)
        found.deviance[row] = loss - prior_misfit(s, prior)
        found.iterations[row] = 1
        found.amounts[row] = a
        found.latents[row] = s
        found.fitted[row] = room.channel[MU]
        chosen[row] = active
        fill_covariance(counts.variance[row], poisson, prior, a, s, room, found.covariance[row])
