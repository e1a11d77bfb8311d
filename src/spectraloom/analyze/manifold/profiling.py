"""Compiled profiles of the likelihood over one amount or one latent, and the score.

A fit in which a sum of amounts is drawn to an aim lies exactly on the profile, at whatever sum it
ends: for that sum nothing else could be more likely. A latent is simply held at its value.
"""

from __future__ import annotations

import numpy as np

from spectraloom.analyze.compiled import compiled
from spectraloom.analyze.likelihood.kernel import misfit
from spectraloom.analyze.likelihood.parts import MU, RESIDUAL
from spectraloom.analyze.likelihood.quadratic import dot
from spectraloom.analyze.manifold.blending import (
    locate_edges,
    make_room,
    mean_of,
    place_all,
    templates_at,
)
from spectraloom.analyze.manifold.kernel import FLOOR, beyond_aim, fit_one, prior_misfit

_PULL = 1e6  # precision of the pull, relative to that of the amount alone
_STEPS = 60
_CLOSE = 1e-6  # relative error of the root of the deviance at an end
_BETTER = 1e-3  # of the deviance: a minimum this much deeper on the way is a better fit
_RESTARTS = 3
_OUTSIDE = 6  # places beyond an end that are looked at for a second valley


@compiled
def profile_many(  # type: ignore[no-untyped-def]
    counts, nodes, prior, starts, allowed, amounts, latents, latent, steps, quantile, tolerance, out
):
    """Fill the ends (N, 2) of the intervals where deviance and prior rise by `quantile`.

    Parameters
    ----------
    counts, nodes, prior, starts : Counts, Nodes, Prior, Starts
        `prior.member` marks the templates whose sum is profiled; the prior is overwritten.
    allowed : (N, k) templates that may be used
    amounts, latents : (N, k), (N, L) where the fits ended
    latent : int, the latent that is profiled instead, or -1
    steps : (N,) first step outwards along a latent
    quantile, tolerance : float
    out : (N, 2), filled here
    """
    k, n_latents = amounts.shape[1], latents.shape[1]
    n, m = counts.y.shape[1], nodes.table.shape[1]
    room = make_room(k, n_latents, nodes.counts.shape[1], n, m)
    low = high = 0.0
    if latent >= 0:
        low, high = prior.bounds[latent, 0], prior.bounds[latent, 1]
    best = (np.zeros(k), np.zeros(n_latents))
    found = (np.zeros(k), np.zeros(n_latents))
    lowest = np.zeros(1)
    for row in range(len(amounts)):
        best[0][:] = amounts[row]
        best[1][:] = latents[row]
        for _ in range(_RESTARTS):
            prior.aim[1] = 0.0
            if latent >= 0:
                prior.bounds[latent, 0], prior.bounds[latent, 1] = low, high
            base = _refit(counts, row, nodes, prior, allowed[row], best, tolerance, room)
            center = best[1][latent] if latent >= 0 else beyond_aim(best[0], prior)
            step = steps[row]
            if latent < 0:
                prior.aim[0] = 0.0
                center = beyond_aim(best[0], prior)
                step = 2.0 * _alone(counts, row, prior, room)
                prior.aim[1] = _PULL * 4.0 / step**2
            lowest[0] = base
            for side in range(2):
                limit = (low, high)[side] if latent >= 0 else (0.0, np.inf)[side]
                out[row, side] = _end(
                    counts, row, nodes, prior, starts, allowed[row], best, found, lowest, base,
                    latent, center, step if side else -step, limit, quantile, tolerance, room,
                )  # fmt: skip
            if lowest[0] >= base - _BETTER:
                break
            best[0][:] = found[0]
            best[1][:] = found[1]
    if latent >= 0:
        prior.bounds[latent, 0], prior.bounds[latent, 1] = low, high
    prior.aim[1] = 0.0


@compiled
def _refit(counts, row, nodes, prior, allowed, state, tolerance, room):  # type: ignore[no-untyped-def]
    """Fit from `state`; deviance with the prior of the latents, without the pull."""
    deviance, _ = fit_one(
        counts.y[row], counts.variance[row], counts.poisson, counts.edges, nodes, prior, allowed,
        state[0], state[1], tolerance, room,
    )  # fmt: skip
    return deviance + prior_misfit(state[1], prior)


@compiled
def _alone(counts, row, prior, room):  # type: ignore[no-untyped-def]
    """Standard deviation of the amount if all else were known."""
    most = 0.0
    for j in range(len(prior.member)):
        if not prior.member[j]:
            continue
        known = 0.0
        for c in range(room.rows.shape[1]):
            # A channel where nothing is expected counts as one where one count is.
            w = 1.0 / counts.variance[row, c]
            if counts.poisson:
                w = 1.0 / max(room.channel[MU, c], 1.0)
            known += room.rows[j, c] ** 2 * w
        most = max(most, known)
    return 1.0 / np.sqrt(most)


@compiled
def _gap_at(  # type: ignore[no-untyped-def]
    counts, row, nodes, prior, allowed, state, found, lowest, base, latent, value, wanted,
    tolerance, room,
):  # fmt: skip
    """Where the profile is near `value`, and the root of its rise less the `wanted` one."""
    if latent >= 0:
        prior.bounds[latent, 0] = prior.bounds[latent, 1] = value
        state[1][latent] = value
    else:
        prior.aim[0] = value
    level = _refit(counts, row, nodes, prior, allowed, state, tolerance, room)
    if level < lowest[0]:
        lowest[0] = level
        found[0][:] = state[0]
        found[1][:] = state[1]
    at = value
    if latent < 0:
        at = beyond_aim(state[0], prior) + value
    return at, np.sqrt(max(level - base, 0.0)) - wanted


@compiled
def _end(  # type: ignore[no-untyped-def]
    counts, row, nodes, prior, starts, allowed, best, found, lowest, base, latent, center, step,
    limit, quantile, tolerance, room,
):  # fmt: skip
    """Outermost place on one side of the centre where the rise is `quantile`, or the limit.

    Steps that double until the rise is too large; false position on the root of the rise, which is
    nearly straight; then a look further out, where the profile may have a second valley.
    """
    wanted = np.sqrt(quantile)
    inside = (best[0].copy(), best[1].copy())
    state = (best[0].copy(), best[1].copy())
    inner, inner_gap = center, -wanted
    if inner == limit:
        return limit
    value = center + step
    outer, outer_gap = limit, 0.0
    bracketed = False
    last = 0
    short = 0.0  # of its aim, which the data hold an amount back from
    for _ in range(_STEPS):
        beyond = value <= limit if step < 0.0 else value >= limit
        value = limit if beyond else value
        state[0][:] = inside[0]
        state[1][:] = inside[1]
        if latent < 0 and center <= 0.0 and inner == center:
            _best_start(counts, row, nodes, prior, starts, allowed, state, value, tolerance, room)
        at, gap = _gap_at(
            counts, row, nodes, prior, allowed, state, found, lowest, base, latent, value, wanted,
            tolerance, room,
        )  # fmt: skip
        short = value - at
        if gap > 0.0:
            if last == 1:
                inner_gap *= 0.5  # Illinois: an end that stays counts half
            outer, outer_gap, bracketed, last = at, gap, True, 1
        else:
            if beyond:
                return limit
            if last == -1 and bracketed:
                outer_gap *= 0.5
            inner, inner_gap, last = at, gap, -1
            inside[0][:] = state[0]
            inside[1][:] = state[1]
        if abs(gap) <= _CLOSE * wanted:
            further = _second_valley(
                counts, row, nodes, prior, allowed, inside, state, found, lowest, base, latent,
                at, limit, wanted, tolerance, room,
            )  # fmt: skip
            if further == at:
                return at
            # The search goes on from the outermost place that is not excluded.
            inner, inner_gap, outer, bracketed, last = further, -wanted, limit, False, 0
            inside[0][:] = state[0]
            inside[1][:] = state[1]
            value = further + step
            continue
        if bracketed:
            value = inner + (outer - inner) * inner_gap / (inner_gap - outer_gap)
        else:
            value = inner + 2.0 * (inner - center)
        value += short
    return inner


@compiled
def _best_start(counts, row, nodes, prior, starts, allowed, state, value, tolerance, room):  # type: ignore[no-untyped-def]
    """Where a name is absent, its own deformation is anywhere: begin where it hides best."""
    lowest = np.inf
    trial = (state[0].copy(), state[1].copy())
    first = (state[0].copy(), state[1].copy())
    prior.aim[0] = value
    for start in range(-1, len(starts.latents)):
        trial[0][:] = first[0]
        trial[1][:] = first[1] if start < 0 else starts.latents[start]
        level = _refit(counts, row, nodes, prior, allowed, trial, tolerance, room)
        if level < lowest:
            lowest = level
            state[0][:] = trial[0]
            state[1][:] = trial[1]


@compiled
def _second_valley(  # type: ignore[no-untyped-def]
    counts, row, nodes, prior, allowed, inside, state, found, lowest, base, latent, at, limit,
    wanted, tolerance, room,
):  # fmt: skip
    """Outermost of some places beyond the end of a latent that is not excluded, or the end."""
    if latent < 0 or at == limit:
        return at
    for i in range(_OUTSIDE):
        value = limit + (at - limit) * i / _OUTSIDE
        state[0][:] = inside[0]
        state[1][:] = inside[1]
        _, gap = _gap_at(
            counts, row, nodes, prior, allowed, state, found, lowest, base, latent, value, wanted,
            tolerance, room,
        )  # fmt: skip
        if gap < 0.0:
            return value
    return at


@compiled
def fill_scores(counts, row, nodes, prior, a, s, places, room, out):  # type: ignore[no-untyped-def]
    """Derivatives of log likelihood and log prior by amounts and latents, at several places.

    Parameters
    ----------
    counts, row, nodes, prior : Counts, int, Nodes, Prior
    a, s : (k,), (L,) room
    places : (P, k + L)
    room : Room
    out : (P, k + L), filled here
    """
    k, n_latents = len(a), len(s)
    mu, residual = room.channel[MU], room.channel[RESIDUAL]
    every = np.ones(k, dtype=np.bool_)
    for p in range(len(places)):
        a[:] = places[p, :k]
        s[:] = places[p, k:]
        place_all(nodes, counts.edges, s, a, every, counts.poisson, FLOOR, room)
        for c in range(len(mu)):
            w = 1.0 / mu[c] if counts.poisson else 1.0 / counts.variance[row, c]
            residual[c] = (counts.y[row, c] - mu[c]) * w
        for i in range(k + n_latents):
            out[p, i] = dot(room.rows[i], residual)
        for z in range(n_latents):
            for m in range(n_latents):
                out[p, k + z] -= prior.precision[z, m] * (s[m] - prior.center[m])


@compiled
def fill_log_posterior(counts, row, nodes, prior, places, room, out):  # type: ignore[no-untyped-def]
    """Log likelihood and log prior, but for a constant, at several places.

    Minus infinity where an amount is negative or a latent beyond its limits.

    Parameters
    ----------
    counts, row, nodes, prior : Counts, int, Nodes, Prior
    places : (P, k + L)
    room : Room
    out : (P,), filled here
    """
    k = len(nodes.first)
    a, s = np.zeros(k), np.zeros(len(prior.center))
    every = np.ones(k, dtype=np.bool_)
    mu = room.channel[MU]
    for p in range(len(places)):
        a[:] = places[p, :k]
        s[:] = places[p, k:]
        out[p] = -np.inf
        inside = True
        for j in range(k):
            inside = inside and a[j] >= 0.0
        for z in range(len(s)):
            inside = inside and prior.bounds[z, 0] <= s[z] <= prior.bounds[z, 1]
        if not inside:
            continue
        if nodes.slopes.shape[0] > 0:
            locate_edges(nodes, counts.edges, s, room)
        templates_at(nodes, s, every, room)
        mean_of(a, counts.poisson, FLOOR, room.rows, mu)
        level = misfit(counts.y[row], counts.variance[row], mu, counts.poisson)
        out[p] = -0.5 * (level + prior_misfit(s, prior))
