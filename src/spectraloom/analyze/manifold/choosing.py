"""Compiled forward and backward selection of sources, one spectrum at a time."""

from __future__ import annotations

from math import erfc

import numpy as np

from spectraloom.analyze.compiled import compiled
from spectraloom.analyze.likelihood.parts import MU
from spectraloom.analyze.manifold.batch import fill_covariance, fill_inverse, judge_starts
from spectraloom.analyze.manifold.blending import make_room, place_all
from spectraloom.analyze.manifold.kernel import FLOOR, fit_one, prior_misfit
from spectraloom.analyze.manifold.parts import Trial

_TURNS = 4  # times the number of sources that a name may come or go
_VAGUE = 0.25  # of the range of a deformation: it is known no better, and is looked for anew
_FAR = 9.0  # standard deviations from what is known of a deformation, where nothing happens


@compiled
def chance(ratio, pieces, center, width):  # type: ignore[no-untyped-def]
    """Probability of at least this likelihood ratio by chance.

    Of an amount that cannot be negative it is half a chi-square distribution of one degree, where
    its deformation is known. Else the ratio is the largest along a curve of normalised scores, less
    what a deformation costs that is not the known one: an upcrossing of a boundary that rises on
    both sides, by Rice's formula.

    Parameters
    ----------
    ratio : float
    pieces : (P,) lengths of the curve over equal parts of the deformation
    center, width : float
        What is known of the deformation, as a part of its range, without the amount; the width is
        infinite where nothing is.
    """
    if ratio <= 0.0:
        return 1.0
    total = 0.5 * erfc(np.sqrt(0.5 * ratio))
    n = len(pieces)
    for i in range(n):
        # The piece that holds the centre lies a quarter of its length from it, on average.
        away = max(abs((i + 0.5) / n - center), 0.25 / n) / width
        if pieces[i] <= 0.0 or not away < _FAR:
            continue
        level = ratio + away * away
        # Slope of the boundary, in standard deviations of that of the scores.
        slope = away / (width * np.sqrt(level) * n * pieces[i])
        gain = np.exp(-0.5 * slope**2) / np.sqrt(2.0 * np.pi)
        gain -= 0.5 * slope * erfc(slope / np.sqrt(2.0))
        total += pieces[i] * gain * np.exp(-0.5 * level) / np.sqrt(2.0 * np.pi)
    return min(total, 1.0)


@compiled
def fill_each_chance(ratios, pieces, known, out):  # type: ignore[no-untyped-def]
    """Chance of every ratio (N, k), by the curves (k, P) and what is known (N, k, 2) of each."""
    for row in range(len(ratios)):
        for j in range(ratios.shape[1]):
            out[row, j] = chance(ratios[row, j], pieces[j], known[row, j, 0], known[row, j, 1])


@compiled
def _know(problem, row, a, s, trial):  # type: ignore[no-untyped-def]
    """Fill what the set that lies in the room tells of all that is free."""
    counts = problem.counts
    fill_inverse(
        counts.variance[row], counts.poisson, problem.prior, a, s, trial.room, trial.covariance
    )


@compiled
def _width_of(problem, j, trial):  # type: ignore[no-untyped-def]
    """Standard deviation of the deformation of a source, as far as it is known without it."""
    latent = problem.own[j]
    if latent < 0:
        return np.inf
    at = len(problem.own) + latent
    variance = trial.covariance[at, at]
    return np.sqrt(variance) if variance > 0.0 else np.inf


@compiled
def _center_of(problem, j, s):  # type: ignore[no-untyped-def]
    """Deformation of a source where the set without it puts it."""
    return s[problem.own[j]] if problem.own[j] >= 0 else 0.5


@compiled
def _fit_set(problem, row, active, search, a, s, trial):  # type: ignore[no-untyped-def]
    """Fit the active templates from `a` and `s`, or (with `search`) from the best start.

    Returns
    -------
    loss : float, deviance with the prior
    """
    counts, starts, prior = problem.counts, problem.starts, problem.prior
    y, variance = counts.y[row], counts.variance[row]
    if search:
        judge_starts(y, starts, active, trial.amounts, trial.misfits, trial.coarse)
        best = int(np.argmin(trial.misfits))
        a[:] = trial.amounts[best]
        s[:] = starts.latents[best]
    deviance, taken = fit_one(
        y, variance, counts.poisson, counts.edges, problem.nodes, prior, active, a, s,
        problem.tolerance, trial.room,
    )  # fmt: skip
    trial.taken[0] = taken
    return deviance + prior_misfit(s, prior)


@compiled
def _forward(problem, row, active, size, loss, a, s, trial, p_values, ratios, known):  # type: ignore[no-untyped-def]
    """Add the source that chance explains least, if that is less than the rate.

    Returns
    -------
    added : int, -1 for none
    loss : float
    """
    best, best_p, best_loss = -1, np.inf, loss
    remaining = 0
    counts = problem.counts
    place_all(problem.nodes, counts.edges, s, a, active, counts.poisson, FLOOR, trial.room)
    _know(problem, row, a, s, trial)
    for j in range(len(active)):
        if active[j]:
            continue
        remaining += 1
        active[j] = True
        trial.a[:] = a
        trial.s[:] = s
        width = _width_of(problem, j, trial)
        # Sources that hardly deform leave the deformation to be found.
        search = size == 0 or (width > _VAGUE and not problem.individual)
        new = _fit_set(problem, row, active, search, trial.a, trial.s, trial)
        active[j] = False
        ratios[j] = max(loss - new, 0.0)
        known[j, 0], known[j, 1] = _center_of(problem, j, s), width
        p_values[j] = chance(ratios[j], problem.pieces[j], known[j, 0], known[j, 1])
        if p_values[j] < best_p or (p_values[j] == best_p and new < best_loss):
            best, best_p, best_loss = j, p_values[j], new
            trial.best_a[:] = trial.a
            trial.best_s[:] = trial.s
    if best < 0 or best_p >= problem.alpha / remaining:
        return -1, loss
    active[best] = True
    a[:] = trial.best_a
    s[:] = trial.best_s
    return best, best_loss


@compiled
def _backward(problem, row, active, loss, a, s, trial, p_values, ratios, known):  # type: ignore[no-untyped-def]
    """Drop the source that chance explains best, if it is no longer worth its place.

    Returns
    -------
    dropped : int, -1 for none
    loss : float
    """
    worst, worst_p, worst_loss = -1, -1.0, loss
    remaining = 1  # that would be left to add again
    for j in range(len(active)):
        if not active[j]:
            remaining += 1
        if not active[j] or problem.always[j]:
            continue
        active[j] = False
        trial.a[:] = a
        trial.s[:] = s
        new = _fit_set(problem, row, active, False, trial.a, trial.s, trial)
        active[j] = True
        ratios[j] = max(new - loss, 0.0)
        _know(problem, row, trial.a, trial.s, trial)
        known[j, 0] = _center_of(problem, j, trial.s)
        known[j, 1] = _width_of(problem, j, trial)
        p_values[j] = chance(ratios[j], problem.pieces[j], known[j, 0], known[j, 1])
        if p_values[j] > worst_p:
            worst, worst_p, worst_loss = j, p_values[j], new
            trial.best_a[:] = trial.a
            trial.best_s[:] = trial.s
    if worst < 0 or worst_p < problem.alpha / remaining:
        return -1, loss
    active[worst] = False
    a[:] = trial.best_a
    s[:] = trial.best_s
    return worst, worst_loss


@compiled
def _make_trial(problem):  # type: ignore[no-untyped-def]
    nodes, starts = problem.nodes, problem.starts
    k, n_latents = len(nodes.first), len(problem.prior.center)
    n, m = problem.counts.y.shape[1], nodes.table.shape[1]
    return Trial(
        np.zeros((len(starts.latents), k)),
        np.zeros(len(starts.latents)),
        np.zeros(starts.templates.shape[2]),
        np.zeros(k),
        np.zeros(n_latents),
        np.zeros(k),
        np.zeros(n_latents),
        np.zeros(1, dtype=np.int64),
        np.zeros((k + n_latents, k + n_latents)),
        make_room(k, n_latents, nodes.counts.shape[1], n, m),
    )


@compiled
def select_many(problem, found, chosen, p_values, ratios, known):  # type: ignore[no-untyped-def]
    """Choose the sources of every spectrum.

    Parameters
    ----------
    problem : Problem
    found : Found, filled here
    chosen : (N, k) bool, filled here
    p_values, ratios : (N, k), filled here: against the set without a source, or with it
    known : (N, k, 2), filled here: what is known of the deformation without the source, its place
        and how well
    """
    counts, prior = problem.counts, problem.prior
    trial = _make_trial(problem)
    room = trial.room
    k = len(problem.always)
    a, s = np.zeros(k), np.zeros(len(prior.center))
    active = np.zeros(k, dtype=np.bool_)
    n_sources = k - problem.always.sum()
    for row in range(len(counts.y)):
        active[:] = problem.always
        size = 0
        loss = _fit_set(problem, row, active, True, a, s, trial)
        for _ in range(_TURNS * n_sources + 1):
            added, loss = _forward(
                problem, row, active, size, loss, a, s, trial, p_values[row], ratios[row],
                known[row],
            )  # fmt: skip
            size += added >= 0
            dropped = -1
            if size > 0 and not (added >= 0 and size == 1):
                dropped, loss = _backward(
                    problem, row, active, loss, a, s, trial, p_values[row], ratios[row],
                    known[row],
                )  # fmt: skip
            size -= dropped >= 0
            if added < 0 and dropped < 0:
                break
        # Once more in full: what was tried last is not what was kept.
        loss = _fit_set(problem, row, active, False, a, s, trial)
        found.deviance[row] = loss - prior_misfit(s, prior)
        found.iterations[row] = trial.taken[0]
        found.amounts[row] = a
        found.latents[row] = s
        found.fitted[row] = room.channel[MU]
        chosen[row] = active
        fill_covariance(
            counts.variance[row], counts.poisson, prior, a, s, room, found.covariance[row]
        )
