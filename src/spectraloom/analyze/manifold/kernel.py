"""Compiled joint fit of amounts and latents of one spectrum; imported when a fit starts.

A spectrum is explained by mu_c = sum_j a_j X_jc(s), with amounts a >= 0 and latents s inside their
limits: deformations, broadening, tilt of the background, gain and offset. A step solves the
quadratic model inside the bounds exactly, first with the expected (Fisher) information and then
with the observed one (nearly), and is shortened until the likelihood falls.
"""

from __future__ import annotations

import numpy as np

from spectraloom.analyze.compiled import compiled, compiled_fast
from spectraloom.analyze.likelihood.kernel import fall, misfit
from spectraloom.analyze.likelihood.parts import (
    GRADIENT,
    HIGH,
    INDEX,
    LOW,
    MU,
    NEW_MU,
    RESIDUAL,
    STATE,
    STEP,
    WEIGHT,
)
from spectraloom.analyze.likelihood.quadratic import dot, solve_in_box, two_dots
from spectraloom.analyze.manifold.blending import (
    locate_edges,
    mean_of,
    place_all,
    slopes_at,
    templates_at,
)

FLOOR = 1e-12  # expected counts are at least this, so that logarithms and ratios stay finite
_ITERATIONS = 100
_FISHER = 2  # steps with the expected information, before those with the observed one
_EXPECTED = 0.05
_SHORTENINGS = 25
_GOOD = 0.3  # a step is good if the misfit falls by this part of the slope along it
_ROUNDING = 1e-14  # relative error of a deviance, per count
_REACH = 0.25  # part of its range that a latent moves at a time: the model is local
_IDLE = 4  # steps in a row that gain less than the tolerance, though more was expected, end a fit
BLIND = 1e-12  # information on a latent, of its range, under which nothing is known of it


@compiled
def prior_misfit(s, prior):  # type: ignore[no-untyped-def]
    """Squared distance of the latents from their prior."""
    total = 0.0
    for i in range(len(s)):
        pull = 0.0
        for m in range(len(s)):
            pull += prior.precision[i, m] * (s[m] - prior.center[m])
        total += pull * (s[i] - prior.center[i])
    return total


@compiled
def beyond_aim(a, prior):  # type: ignore[no-untyped-def]
    """By how much the sum of the marked amounts exceeds its aim."""
    total = -prior.aim[0]
    for j in range(len(prior.member)):
        if prior.member[j]:
            total += a[j]
    return total


@compiled
def _aim_misfit(a, prior):  # type: ignore[no-untyped-def]
    """Squared distance of the marked amounts from their aim."""
    return beyond_aim(a, prior) ** 2 * prior.aim[1] if prior.aim[1] > 0.0 else 0.0


@compiled_fast
def _weigh(y, variance, poisson, observed, room):  # type: ignore[no-untyped-def]
    """Weights of the bins, and the derivative of the log likelihood by mu.

    With `observed` the weights are nearly those of the observed information; a part of the
    expected one stays, so that bins without counts have a weight.
    """
    mu, weight, residual = room.channel[MU], room.channel[WEIGHT], room.channel[RESIDUAL]
    for c in range(len(y)):
        w = 1.0 / mu[c] if poisson else 1.0 / variance[c]
        residual[c] = (y[c] - mu[c]) * w
        weight[c] = w * (_EXPECTED + (1.0 - _EXPECTED) * y[c] / mu[c]) if observed else w


@compiled_fast
def information(prior, k, size, room):  # type: ignore[no-untyped-def]
    """Fill the lower triangle of the information of the parameters that were chosen."""
    rows, weighted, H = room.rows, room.weighted, room.H
    weight, index = room.channel[WEIGHT], room.number[INDEX]
    for i in range(size):
        left, scaled = rows[index[i]], weighted[i]
        for c in range(rows.shape[1]):
            scaled[c] = left[c] * weight[c]
        m = 0
        while m + 1 <= i:
            H[i, m], H[i, m + 1] = two_dots(scaled, rows[index[m]], rows[index[m + 1]])
            m += 2
        if m == i:
            H[i, i] = dot(scaled, left)
        if index[i] >= k:
            for m in range(i + 1):
                if index[m] >= k:
                    H[i, m] += prior.precision[index[i] - k, index[m] - k]
        elif prior.aim[1] > 0.0 and prior.member[index[i]]:
            for m in range(i + 1):
                if prior.member[index[m]]:
                    H[i, m] += prior.aim[1]


@compiled
def _choose(prior, a, allowed, s, held, room):  # type: ignore[no-untyped-def]
    """Number of parameters that the step may move; their numbers and gradients are filled in.

    Amounts at zero take part where they would grow; latents unless they are `held`, or neither
    the data nor the prior say anything of them.
    """
    rows, residual, index = room.rows, room.channel[RESIDUAL], room.number[INDEX]
    gradient = room.parameter[GRADIENT]
    k = len(a)
    size = 0
    pull = beyond_aim(a, prior) * prior.aim[1] if prior.aim[1] > 0.0 else 0.0
    for j in range(k):
        if a[j] > 0.0 or allowed[j]:
            slope = dot(rows[j], residual)
            if prior.aim[1] > 0.0 and prior.member[j]:
                slope -= pull
            if a[j] > 0.0 or slope > 0.0:
                index[size] = j
                gradient[size] = slope
                size += 1
    if held:
        return size
    for z in range(len(s)):
        span = prior.bounds[z, 1] - prior.bounds[z, 0]
        known = prior.precision[z, z]
        for c in range(rows.shape[1]):
            known += rows[k + z, c] * rows[k + z, c] * room.channel[WEIGHT, c]
        if span <= 0.0 or known * span * span <= BLIND:
            continue
        index[size] = k + z
        gradient[size] = dot(rows[k + z], residual)
        for m in range(len(s)):
            gradient[size] -= prior.precision[z, m] * (s[m] - prior.center[m])
        size += 1
    return size


@compiled
def _set_box(prior, allowed, a, s, size, room):  # type: ignore[no-untyped-def]
    """Fill how far each parameter may go down and up; True if amounts have to leave."""
    index, low, high = room.number[INDEX], room.parameter[LOW], room.parameter[HIGH]
    k = len(a)
    leaving = False
    for i in range(size):
        j = index[i]
        if j < k:
            low[i] = -a[j]
            high[i] = np.inf if allowed[j] else -a[j]
            leaving = leaving or not allowed[j]
        else:
            z = j - k
            reach = _REACH * (prior.bounds[z, 1] - prior.bounds[z, 0])
            low[i] = max(prior.bounds[z, 0] - s[z], -reach)
            high[i] = min(prior.bounds[z, 1] - s[z], reach)
    return leaving


@compiled
def _propose(a, s, size, part, room):  # type: ignore[no-untyped-def]
    """Fill the parameters after a part of the step."""
    index, step, state = room.number[INDEX], room.parameter[STEP], room.number[STATE]
    k = len(a)
    for j in range(k):
        room.new_a[j] = a[j]
    for z in range(len(s)):
        room.new_s[z] = s[z]
    for i in range(size):
        j = index[i]
        if j >= k:
            room.new_s[j - k] += part * step[i]
        elif part == 1.0 and state[i] < 0:
            room.new_a[j] = 0.0
        else:
            room.new_a[j] = max(a[j] + part * step[i], 0.0)


@compiled
def _move(nodes, edges, a, s, room):  # type: ignore[no-untyped-def]
    """Bring the templates that are present to latents `s`."""
    if len(s) == 0:
        return
    if nodes.slopes.shape[0] > 0:
        locate_edges(nodes, edges, s, room)
    for j in range(len(a)):
        room.wanted[j] = a[j] > 0.0
    templates_at(nodes, s, room.wanted, room)


@compiled
def _advance(  # type: ignore[no-untyped-def]
    y, variance, poisson, edges, nodes, prior, a, s, size, slope, leaving, slack, room
):
    """Go along the step as far as the misfit falls well; -1 if it does not fall at all.

    Returns by how much it fell, zero if amounts had to leave. A parabola with the slope at the
    start and the value at the end says how far to go instead.
    """
    mu, new_mu = room.channel[MU], room.channel[NEW_MU]
    before = prior_misfit(s, prior) + _aim_misfit(a, prior)
    part = 1.0
    for _ in range(_SHORTENINGS):
        _propose(a, s, size, part, room)
        _move(nodes, edges, room.new_a, room.new_s, room)
        mean_of(room.new_a, poisson, FLOOR, room.rows, new_mu)
        won = before - prior_misfit(room.new_s, prior) - _aim_misfit(room.new_a, prior)
        won += fall(y, variance, mu, new_mu, poisson)
        if leaving or won >= _GOOD * part * slope or (part == 1.0 and abs(won) <= slack):
            a[:] = room.new_a
            s[:] = room.new_s
            mu[:] = new_mu
            return 0.0 if leaving else max(won, 0.0)
        bend = (2.0 * slope * part - won) / part**2
        part = min(max(slope / bend, 0.1 * part), 0.7 * part)
    _move(nodes, edges, a, s, room)
    return -1.0


@compiled
def fit_one(  # type: ignore[no-untyped-def]
    y, variance, poisson, edges, nodes, prior, allowed, a, s, tolerance, room
):
    """Fit one spectrum, from what `a` and `s` hold.

    Parameters
    ----------
    y, variance : (n,) data and, for Gaussian noise, variances
    poisson : bool
    edges : (n + 1,)
    nodes : Nodes
    prior : Prior
    allowed : (k,) templates that may be used; others leave with the first step
    a, s : (k,), (L,) start, and answer
    tolerance : float, of the deviance
    room : Room. On return its rows and mean belong to the answer

    Returns
    -------
    deviance : float, without the prior
    taken : int, iterations; negative if there was no convergence
    """
    place_all(nodes, edges, s, a, allowed | (a > 0.0), poisson, FLOOR, room)
    slack = y.sum() if poisson else misfit(y, variance, room.channel[MU], poisson)
    slack *= _ROUNDING
    taken = 0
    idle = 0
    settled = held = False
    while not settled and taken < _ITERATIONS:
        taken += 1
        _weigh(y, variance, poisson, poisson and taken > _FISHER, room)
        size = _choose(prior, a, allowed, s, held, room)
        information(prior, len(a), size, room)
        leaving = _set_box(prior, allowed, a, s, size, room)
        if solve_in_box(size, room) < 0.0:
            break
        slope = 0.0
        for i in range(size):
            slope += room.parameter[GRADIENT, i] * room.parameter[STEP, i]
        settled = slope <= tolerance + slack and not leaving
        won = _advance(
            y, variance, poisson, edges, nodes, prior, a, s, size, slope, leaving, slack, room
        )
        if len(s):
            for j in range(len(a)):
                room.wanted[j] = allowed[j] and a[j] <= 0.0
            templates_at(nodes, s, room.wanted, room)
            slopes_at(nodes, edges, s, a, room)
        idle = idle + 1 if won <= tolerance + slack and not leaving else 0
        settled = settled or (idle >= _IDLE and taken > _FISHER)
        if won < 0.0:
            # A minimum at a kink, where a template leaves the data, has slopes on both sides:
            # the latents stay, the amounts go on.
            if held or not len(s):
                break
            held, settled = True, False
    return misfit(y, variance, room.channel[MU], poisson), taken if settled else -taken
