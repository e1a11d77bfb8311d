"""Compiled fit of one spectrum; imported when a fit starts.

A spectrum is explained by mu_c = sum_j a_j A_jc(theta), with amounts a >= 0 and up to three
nuisance parameters theta: gain, offset and broadening. Amounts and nuisances are fitted together
by scoring: a step solves the quadratic model inside the bounds exactly, first with the expected
(Fisher) information and then with the observed one, and is shortened until the likelihood falls.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from spectraloom.analyze.likelihood.moving import locate, slopes_at, templates_at
from spectraloom.analyze.likelihood.parts import (
    CHOSEN,
    GRADIENT,
    HIGH,
    INDEX,
    LOW,
    MU,
    N_NUISANCES,
    NEW_MU,
    RESIDUAL,
    STATE,
    STEP,
    WEIGHT,
)
from spectraloom.analyze.likelihood.quadratic import dot, information, solve_in_box

_FAST = {"reassoc", "contract", "arcp", "nsz"}
_FLOOR = 1e-12  # expected counts are at least this, so that logarithms and ratios stay finite
_ITERATIONS = 100
_FISHER = 1  # steps with the expected information, before those with the observed one
_EXPECTED = 0.02
_SHORTENINGS = 20
_GOOD = 0.4  # a step is good if the misfit falls by this part of the slope along it
_ROUNDING = 1e-14  # relative error of a deviance, per count
_REACH = 0.2  # part of its range that a nuisance moves at a time: the model is local


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def expected_counts(A, a, poisson, mu):  # type: ignore[no-untyped-def]
    """Mu = a @ A; for counts above zero."""
    k, n = A.shape
    for c in range(n):
        mu[c] = _FLOOR if poisson else 0.0
    for j in range(k):
        x = a[j]
        if x > 0.0:
            for c in range(n):
                mu[c] += x * A[j, c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def misfit(y, variance, mu, poisson):  # type: ignore[no-untyped-def]
    """Poisson deviance, or the sum of squared residuals over variances."""
    total = 0.0
    if poisson:
        for c in range(len(y)):
            total += mu[c] - y[c]
            if y[c] > 0.0:
                total += y[c] * np.log(y[c] / mu[c])
        return max(2.0 * total, 0.0)
    for c in range(len(y)):
        total += (y[c] - mu[c]) * (y[c] - mu[c]) / variance[c]
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def fall(y, variance, mu, new_mu, poisson):  # type: ignore[no-untyped-def]
    """By how much the misfit falls from `mu` to `new_mu`, without the loss of a difference."""
    total = 0.0
    if poisson:
        for c in range(len(y)):
            total += mu[c] - new_mu[c]
            if y[c] > 0.0:
                total += y[c] * np.log(new_mu[c] / mu[c])
        return 2.0 * total
    for c in range(len(y)):
        total += (new_mu[c] - mu[c]) * (2.0 * y[c] - mu[c] - new_mu[c]) / variance[c]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def prior_misfit(a, theta, priors):  # type: ignore[no-untyped-def]
    """Squared distances from the priors, in standard deviations."""
    total = 0.0
    for z in range(N_NUISANCES):
        if priors.use[z]:
            total += ((theta[z] - priors.center[z]) / priors.spread[z]) ** 2
    if priors.aim[1] > 0.0:
        total += beyond_aim(a, priors) ** 2 * priors.aim[1]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def beyond_aim(a, priors):  # type: ignore[no-untyped-def]
    """By how much the sum of the marked amounts exceeds its aim."""
    total = -priors.aim[0]
    for j in range(len(a)):
        if priors.member[j]:
            total += a[j]
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def em_steps(y, A, allowed, sums, a, mu, steps):  # type: ignore[no-untyped-def]
    """Multiplicative steps towards the maximum of the likelihood, from any positive start."""
    for _ in range(steps):
        expected_counts(A, a, True, mu)
        for c in range(len(y)):
            mu[c] = y[c] / mu[c]
        for j in range(len(a)):
            if allowed[j] and a[j] > 0.0:
                a[j] *= dot(A[j], mu) / sums[j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _weigh(y, variance, poisson, work):  # type: ignore[no-untyped-def]
    """Weights of the channels, and the derivative of the log likelihood by mu."""
    mu, weight, residual = work.channel[MU], work.channel[WEIGHT], work.channel[RESIDUAL]
    for c in range(len(y)):
        w = 1.0 / mu[c] if poisson else 1.0 / variance[c]
        weight[c] = w
        residual[c] = (y[c] - mu[c]) * w


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _observe(y, work):  # type: ignore[no-untyped-def]
    """Turn the weights of the expected information into those of the observed one (nearly).

    A small part of the expected one stays, so that channels without counts have a weight.
    """
    mu, weight = work.channel[MU], work.channel[WEIGHT]
    for c in range(len(y)):
        weight[c] *= _EXPECTED + (1.0 - _EXPECTED) * y[c] / mu[c]


@njit(cache=True, nogil=True, error_model="numpy")
def _free_parameters(priors, a, allowed, theta, held, work):  # type: ignore[no-untyped-def]
    """Number of parameters that the step may move; their numbers and gradients are filled in.

    Amounts at zero take part where they would grow, nuisances unless they are `held`.
    """
    A, J, residual, index = work.A, work.J, work.channel[RESIDUAL], work.number[INDEX]
    gradient = work.parameter[GRADIENT]
    k = len(a)
    size = 0
    pull = beyond_aim(a, priors) * priors.aim[1]
    for j in range(k):
        if a[j] > 0.0 or allowed[j]:
            slope = dot(A[j], residual)
            if priors.member[j]:
                slope -= pull
            if a[j] > 0.0 or slope > 0.0:
                index[size] = j
                gradient[size] = slope
                size += 1
    for z in range(N_NUISANCES):
        if priors.use[z] and not held:
            index[size] = k + z
            gradient[size] = dot(J[z], residual)
            gradient[size] -= (theta[z] - priors.center[z]) / priors.spread[z] ** 2
            size += 1
    return size


@njit(cache=True, nogil=True, error_model="numpy")
def _set_box(priors, allowed, a, theta, size, work):  # type: ignore[no-untyped-def]
    """Fill how far each parameter may go down and up; True if amounts have to leave."""
    index, low, high = work.number[INDEX], work.parameter[LOW], work.parameter[HIGH]
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
            reach = _REACH * (priors.bounds[z, 1] - priors.bounds[z, 0])
            low[i] = max(priors.bounds[z, 0] - theta[z], -reach)
            high[i] = min(priors.bounds[z, 1] - theta[z], reach)
    return leaving


@njit(cache=True, nogil=True, error_model="numpy")
def _propose(a, theta, size, part, work):  # type: ignore[no-untyped-def]
    """Fill the parameters after a part of the step."""
    new_a, new_theta, index, step = (
        work.new_a,
        work.new_theta,
        work.number[INDEX],
        work.parameter[STEP],
    )
    state = work.number[STATE]
    k = len(a)
    new_a[:] = a
    new_theta[:] = theta
    for i in range(size):
        j = index[i]
        if j >= k:
            new_theta[j - k] += part * step[i]
        elif part == 1.0 and state[i] < 0:
            new_a[j] = 0.0
        else:
            new_a[j] = max(a[j] + part * step[i], 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def move_to(templates, edges, priors, theta, a, work):  # type: ignore[no-untyped-def]
    """Bring the templates that are present to `theta`, if any nuisance is fitted."""
    chosen = work.number[CHOSEN]
    if not priors.use.any():
        return
    size = 0
    for j in range(len(a)):
        if a[j] > 0.0:
            chosen[size] = j
            size += 1
    locate(templates.grid, edges, theta, work.pieces)
    templates_at(templates, work.pieces, theta, chosen, size, work.A)


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(  # type: ignore[no-untyped-def]
    y, variance, poisson, edges, templates, priors, a, theta, size, slope, leaving, slack, work
):
    """Go along the step as far as the misfit falls well; False if it does not fall at all.

    A parabola with the slope at the start and the value at the end says how far to go instead.
    """
    A, mu, new_a, new_theta = work.A, work.channel[MU], work.new_a, work.new_theta
    new_mu = work.channel[NEW_MU]
    before = prior_misfit(a, theta, priors)
    part = 1.0
    for _ in range(_SHORTENINGS):
        _propose(a, theta, size, part, work)
        move_to(templates, edges, priors, new_theta, new_a, work)
        expected_counts(A, new_a, poisson, new_mu)
        won = before - prior_misfit(new_a, new_theta, priors)
        won += fall(y, variance, mu, new_mu, poisson)
        if leaving or won >= _GOOD * part * slope or (part == 1.0 and abs(won) <= slack):
            a[:] = new_a
            theta[:] = new_theta
            mu[:] = new_mu
            return True
        bend = (2.0 * slope * part - won) / part**2
        part = min(max(slope / bend, 0.1 * part), 0.9 * part)
    move_to(templates, edges, priors, theta, a, work)
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _complete(templates, allowed, a, theta, work):  # type: ignore[no-untyped-def]
    """Bring the templates that are absent to `theta`."""
    chosen = work.number[CHOSEN]
    size = 0
    for j in range(len(a)):
        if allowed[j] and a[j] <= 0.0:
            chosen[size] = j
            size += 1
    templates_at(templates, work.pieces, theta, chosen, size, work.A)


@njit(cache=True, nogil=True, error_model="numpy")
def fit_spectrum(  # type: ignore[no-untyped-def]
    y, variance, poisson, edges, templates, priors, allowed, a, theta, tolerance, work
):
    """Fit one spectrum, from what `a` and `theta` hold.

    Parameters
    ----------
    y, variance : (n,) data and, for Gaussian noise, variances
    poisson : bool
    edges : (n + 1,)
    templates : Templates
    priors : Priors
    allowed : (k + l,) templates that may be used; others leave with the first step
    a, theta : (k + l,), (3,) start, and answer
    tolerance : float, of the deviance
    work : Work; its A holds all templates at `theta`. On return A, J and mu belong to the answer

    Returns
    -------
    deviance : float, without the priors
    taken : int, iterations; negative if there was no convergence
    """
    moving = priors.use.any()
    if moving:
        locate(templates.grid, edges, theta, work.pieces)
        slopes_at(templates, work.pieces, edges, theta, priors.use, a, work.J)
    expected_counts(work.A, a, poisson, work.channel[MU])
    slack = y.sum() if poisson else misfit(y, variance, work.channel[MU], poisson)
    slack *= _ROUNDING
    taken = 0
    settled = held = False
    while not settled and taken < _ITERATIONS:
        taken += 1
        _weigh(y, variance, poisson, work)
        if poisson and taken > _FISHER:
            _observe(y, work)
        size = _free_parameters(priors, a, allowed, theta, held, work)
        information(work, size, priors)
        leaving = _set_box(priors, allowed, a, theta, size, work)
        if solve_in_box(size, work) < 0.0:
            break
        slope = 0.0
        for i in range(size):
            slope += work.parameter[GRADIENT, i] * work.parameter[STEP, i]
        settled = slope <= tolerance + slack and not leaving
        advanced = _advance(
            y, variance, poisson, edges, templates, priors, a, theta, size, slope, leaving, slack,
            work,
        )  # fmt: skip
        if moving:
            slopes_at(templates, work.pieces, edges, theta, priors.use, a, work.J)
            _complete(templates, allowed, a, theta, work)
        if not advanced:
            # Templates have a kink where an end of their axis passes an edge of the data: a
            # minimum there has slopes on both sides. The nuisances stay, the amounts go on.
            if held or not moving:
                break
            held, settled = True, False
    return misfit(y, variance, work.channel[MU], poisson), taken if settled else -taken
