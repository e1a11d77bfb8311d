"""Compiled profile of the likelihood over the amount of one name.

A fit in which the sum of some amounts is drawn to an aim lies exactly on the profile, at whatever
sum it ends: for that sum, nothing else could be more likely. So a strong pull walks the profile
without a fit under a constraint.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from spectraloom.analyze.likelihood.batch import place_templates
from spectraloom.analyze.likelihood.kernel import fit_spectrum, prior_misfit
from spectraloom.analyze.likelihood.moving import make_work
from spectraloom.analyze.likelihood.parts import MU

_PULL = 1e6  # precision of the pull, relative to that of the amount alone
_STEPS = 60
_CLOSE = 1e-6  # relative error of the root of the deviance at an end


@njit(cache=True, nogil=True, error_model="numpy")
def profile_many(data, templates, priors, amounts, theta, rises, tolerance, out):  # type: ignore[no-untyped-def]
    """Fill the ends (N, 2) of the intervals where the deviance has risen by `rises`.

    Parameters
    ----------
    data, templates, priors : Data, Templates, Priors
        `priors.member` marks the templates whose sum is profiled.
    amounts, theta : (N, k + l), (N, 3) where the fits ended
    rises : (N,)
    tolerance : float
    out : (N, 2), filled here
    """
    total = amounts.shape[1]
    work = make_work(total, data.y.shape[1])
    allowed = np.zeros(total, dtype=np.bool_)
    a = amounts[0].copy() if len(amounts) else np.zeros(total)
    here = np.zeros(3)
    for row in range(len(amounts)):
        a[:] = amounts[row]
        here[:] = theta[row]
        priors.aim[1] = 0.0
        place_templates(templates, data.edges, here, data.extra[row], work)
        for j in range(total):
            allowed[j] = work.A[j].sum() > 0.0
        base = _refit(data, row, templates, priors, allowed, a, here, tolerance, work)
        best = _marked(a, priors)
        unit = _alone(data, row, priors, work)
        priors.aim[1] = _PULL / unit**2
        start, place = a.copy(), here.copy()
        out[row, 1] = _end(
            data, row, templates, priors, allowed, a, here, tolerance, base, best, best + 2 * unit,
            rises[row], work,
        )  # fmt: skip
        out[row, 0] = 0.0
        if best > 0.0:
            a[:], here[:] = start, place
            place_templates(templates, data.edges, here, data.extra[row], work)
            out[row, 0] = _end(
                data, row, templates, priors, allowed, a, here, tolerance, base, best, 0.0,
                rises[row], work,
            )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _marked(a, priors):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(len(a)):
        if priors.member[j]:
            total += a[j]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _alone(data, row, priors, work):  # type: ignore[no-untyped-def]
    """Standard deviation of the amount if all others were known."""
    most = 0.0
    for j in range(len(work.A)):
        if not priors.member[j]:
            continue
        known = 0.0
        for c in range(work.A.shape[1]):
            # A channel where nothing is expected counts as one where one count is.
            w = 1.0 / max(work.channel[MU, c], 1.0) if data.poisson else 1.0 / data.variance[row, c]
            known += work.A[j, c] ** 2 * w
        most = max(most, known)
    return 1.0 / np.sqrt(most)


@njit(cache=True, nogil=True, error_model="numpy")
def _refit(data, row, templates, priors, allowed, a, theta, tolerance, work):  # type: ignore[no-untyped-def]
    """Fit from where `a` and `theta` are; deviance with the priors of the nuisances."""
    deviance, _ = fit_spectrum(
        data.y[row], data.variance[row], data.poisson, data.edges, templates, priors, allowed, a,
        theta, tolerance, work,
    )  # fmt: skip
    pull = priors.aim[1]
    priors.aim[1] = 0.0
    deviance += prior_misfit(a, theta, priors)
    priors.aim[1] = pull
    return deviance


@njit(cache=True, nogil=True, error_model="numpy")
def _end(  # type: ignore[no-untyped-def]
    data, row, templates, priors, allowed, a, theta, tolerance, base, best, aim, quantile, work
):
    """Amount on the side of `aim` where the root of the rise is that of `quantile`.

    False position on the root of the deviance, which is nearly straight.
    """
    wanted = np.sqrt(quantile)
    inner, inner_gap = best, -wanted
    outer, outer_gap = aim, 0.0
    bracketed = False
    last = 0
    for _ in range(_STEPS):
        priors.aim[0] = aim
        rise = _refit(data, row, templates, priors, allowed, a, theta, tolerance, work) - base
        at = _marked(a, priors)
        gap = np.sqrt(max(rise, 0.0)) - wanted
        if abs(gap) <= _CLOSE * wanted:
            return at
        if gap > 0.0:
            if last == 1:
                inner_gap *= 0.5  # Illinois: an end that stays counts half
            outer, outer_gap, bracketed, last = at, gap, True, 1
        else:
            if aim <= 0.0:
                return 0.0
            if last == -1 and bracketed:
                outer_gap *= 0.5
            inner, inner_gap, last = at, gap, -1
        if bracketed:
            aim = inner + (outer - inner) * inner_gap / (inner_gap - outer_gap)
        else:
            aim = inner + 2.0 * (inner - best)
    return inner
