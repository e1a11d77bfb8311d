"""Compiled thresholds and limits of the likelihood-ratio test.

What the test will see of an amount is taken from the spectrum that is expected with that amount,
without noise: the best fit to it without the name gives the ratio that the test reaches in the
middle, and the slopes of the ratio by the counts give its scatter.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from spectraloom.analyze.likelihood.information import without_group
from spectraloom.analyze.likelihood.moving import locate, make_work, slopes_at, templates_at
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
    STEP,
    WEIGHT,
)
from spectraloom.analyze.likelihood.quadratic import dot, information, solve_in_box

# Rows of `lines`: what is expected without the group, the shape of the group, and what the
# others take of it where they are fitted without it.
BASE, SHAPE, TAKEN = range(3)

_FAST = {"reassoc", "contract", "arcp", "nsz"}
_LEAST_PART = 0.05  # of what is expected without the name, that a channel keeps without it
_STEPS = 20
_TOLERANCE = 0.01  # relative change of an amount after which the next would be far smaller
_THIN = 0.1  # expected counts that a channel has at least, where it is asked who imitates whom
_LEAST_ROOT = 0.1  # of the ratio: at high rates any amount decides; a limit needs some threshold


@njit(cache=True, nogil=True, error_model="numpy")
def ratio_limits_many(  # type: ignore[no-untyped-def]
    fitted, data, templates, priors, groups, mixing, tested, amounts, theta, demands, answers
):
    """Fill the deviation at zero, threshold and limit of every group marked in `tested`.

    Parameters
    ----------
    fitted : (N, n) expected counts of the fits
    data, templates, priors : Data, Templates, Priors
    groups : (k + l,) which name each template belongs to
    mixing : (n_groups, k) how a group is mixed of its templates, for its threshold
    tested : (n_groups,) bool
    amounts, theta : (N, k + l), (N, 3) where the fits ended
    demands : Demands
    answers : (3, N, n_groups), filled here
    """
    N, n = fitted.shape
    k = templates.table.shape[1]
    work = make_work(k + data.extra.shape[1], n)
    lines = np.empty((3, n))
    beside = np.empty(len(groups))
    pure = np.eye(k)
    alike = np.empty((len(groups) + N_NUISANCES, len(groups) + N_NUISANCES))
    for row in range(N):
        for j in range(k):
            work.number[CHOSEN, j] = j
        locate(templates.grid, data.edges, theta[row], work.pieces)
        templates_at(templates, work.pieces, theta[row], work.number[CHOSEN], k, work.A)
        for j in range(k, len(groups)):
            work.A[j] = data.extra[row, j - k]
        _compare(data, row, fitted[row], templates, priors, amounts[row], theta[row], work, alike)
        for group in range(len(tested)):
            answers[:, row, group] = np.nan
            if not tested[group]:
                continue
            without_group(
                fitted[row], groups, mixing, amounts[row], group, work, lines[BASE], lines[SHAPE]
            )
            for j in range(len(groups)):
                beside[j] = 0.0 if groups[j] == group else amounts[row, j]
            if priors.use.any():
                slopes_at(
                    templates, work.pieces, data.edges, theta[row], priors.use, beside, work.J
                )
            answers[:, row, group] = _of_group(
                data, row, group, groups, priors, mixing, pure, beside, theta[row], alike, demands,
                lines, work,
            )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _of_group(  # type: ignore[no-untyped-def]
    data, row, group, groups, priors, mixing, pure, beside, theta, alike, demands, lines, work
):
    """Deviation at zero, threshold and limit of one group in one spectrum.

    The limit is that of the template of the group that is the hardest to find, or of their
    mixture if that is harder.
    """
    area = lines[SHAPE].sum()
    if not area > 0.0:
        return np.nan, np.nan, np.nan
    least = demands.least[row, group]
    size = _set_parameters(groups, group, priors, beside, theta, True, work)
    deviation = _deviation(data, row, size, priors, 0.0, lines, work)
    above = _deviation(data, row, size, priors, least, lines, work) if least > 0.0 else 0.0
    wider = np.sqrt(demands.dispersion[row])
    root = max(np.sqrt(demands.critical[row, group]), _LEAST_ROOT) * wider
    more = demands.quantile * wider
    start = root * max(deviation, 1.0 / area)
    size = _set_parameters(groups, group, priors, beside, theta, False, work)
    size = _keep_needed(size, start + more * deviation, mixing[group], alike, lines, work)
    threshold = _amount_at(data, row, size, priors, root, 0.0, start, lines, work)
    start = threshold * (1.0 + more / root)
    if mixing[group].max() < 1.0:
        size = _set_parameters(groups, group, priors, beside, theta, False, work)
        hardest, known = _hardest(size, start, mixing[group], pure, alike, work)
        mixture = mixing[group]
        if hardest >= 0:
            mixture = pure[hardest]
            start = (root + more) / np.sqrt(known)
            lines[SHAPE] = work.A[hardest]
            area = lines[SHAPE].sum()
        size = _keep_needed(size, start, mixture, alike, lines, work)
    limit = _amount_at(data, row, size, priors, root, more, start, lines, work)
    if data.poisson and np.isnan(threshold):
        # Nothing is expected: the ratio knows no scale, but one count is the least there is.
        threshold = root * max(deviation, 1.0 / area)
        limit = threshold + more * np.sqrt(threshold / area)
    if threshold < least:
        # What decides is the least amount that is claimed beside the other sources.
        threshold, limit = least, max(limit, least + more * above)
    if data.poisson:
        # No amount is known better than to a count, and a source that sends none is missed.
        deviation = max(deviation, 1.0 / area)
        limit = max(limit, demands.silent / area)
    return deviation * wider, threshold, limit


@njit(cache=True, nogil=True, error_model="numpy")
def _set_parameters(groups, group, priors, beside, theta, near, work):  # type: ignore[no-untyped-def]
    """Fill which parameters may imitate the group, and how far they may go; their number.

    `near` is for an amount so small that nothing absent is needed, and no end is reached.
    """
    index, low, high = work.number[INDEX], work.parameter[LOW], work.parameter[HIGH]
    total = len(groups)
    size = 0
    for j in range(total):
        if groups[j] != group and (beside[j] > 0.0 or not near):
            index[size], high[size] = j, np.inf
            low[size] = -np.inf if near else -beside[j]
            size += 1
    for z in range(N_NUISANCES):
        if priors.use[z]:
            index[size] = total + z
            low[size] = min(priors.bounds[z, 0] - theta[z], 0.0)
            high[size] = max(priors.bounds[z, 1] - theta[z], 0.0)
            if near:
                low[size], high[size] = -np.inf, np.inf
            size += 1
    return size


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _imitate(size, priors, amount, lines, work):  # type: ignore[no-untyped-def]
    """Fill the step that explains `amount` of the shape best; False if there is none."""
    total = len(work.A)
    weight, wanted = work.channel[WEIGHT], work.channel[RESIDUAL]
    for c in range(len(weight)):
        wanted[c] = amount * lines[SHAPE, c] * weight[c]
    for i in range(size):
        j = work.number[INDEX, i]
        line = work.A[j] if j < total else work.J[j - total]
        work.parameter[GRADIENT, i] = dot(line, wanted)
    information(work, size, priors)
    return solve_in_box(size, work) >= 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _compare(data, row, fitted, templates, priors, amounts, theta, work, alike):  # type: ignore[no-untyped-def]
    """Fill the products of all templates and nuisances, weighted as the fit weighs channels."""
    size = 0
    for j in range(len(alike)):
        if j < len(work.A) or priors.use[j - len(work.A)]:
            work.number[INDEX, size] = j
            size += 1
    if priors.use.any():
        slopes_at(templates, work.pieces, data.edges, theta, priors.use, amounts, work.J)
    for c in range(len(fitted)):
        expected = max(fitted[c], _THIN)
        work.channel[WEIGHT, c] = 1.0 / expected if data.poisson else 1.0 / data.variance[row, c]
    information(work, size, priors)
    for i in range(size):
        for m in range(i + 1):
            one, other = work.number[INDEX, i], work.number[INDEX, m]
            alike[one, other] = alike[other, one] = work.H[i, m]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _set_alike(size, alike, work):  # type: ignore[no-untyped-def]
    """Fill the information of the parameters by the products that are known."""
    index = work.number[INDEX]
    for i in range(size):
        for m in range(i + 1):
            work.H[i, m] = alike[index[i], index[m]]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _known(size, amount, mixture, alike, work):  # type: ignore[no-untyped-def]
    """Likelihood ratio of an amount of a mixture, over its square; no channel is looked at."""
    H, gradient, step, index = (
        work.H,
        work.parameter[GRADIENT],
        work.parameter[STEP],
        work.number[INDEX],
    )
    gradient[:size] = 0.0
    own = 0.0
    for j in range(len(mixture)):
        if mixture[j] > 0.0:
            for i in range(size):
                gradient[i] += amount * mixture[j] * alike[index[i], j]
            for m in range(len(mixture)):
                own += mixture[j] * mixture[m] * alike[j, m]
    if not solve_in_box(size, work) >= 0.0:
        return np.nan
    taken = 0.0
    for i in range(size):
        taken += step[i] * (2.0 * gradient[i] - H[i, i] * step[i])
        for m in range(i):
            taken -= 2.0 * step[i] * H[i, m] * step[m]
    return own - taken / amount**2


@njit(cache=True, nogil=True, error_model="numpy")
def _hardest(size, amount, mixture, pure, alike, work):  # type: ignore[no-untyped-def]
    """Template that is harder to find than the mixture and the others, and what is known of it.

    The template is -1 where none is.
    """
    _set_alike(size, alike, work)
    hardest, least = -1, _known(size, amount, mixture, alike, work)
    for j in range(len(mixture)):
        if mixture[j] > 0.0:
            known = _known(size, amount, pure[j], alike, work)
            if 0.0 < known < least:
                hardest, least = j, known
    return hardest, least


@njit(cache=True, nogil=True, error_model="numpy")
def _keep_needed(size, amount, mixture, alike, lines, work):  # type: ignore[no-untyped-def]
    """Leave out absent templates that no part of an amount would go to; number of the rest.

    What the rest takes of the amount is filled in, to begin with.
    """
    index, low, high = work.number[INDEX], work.parameter[LOW], work.parameter[HIGH]
    step = work.parameter[STEP]
    lines[TAKEN] = 0.0
    _set_alike(size, alike, work)
    if np.isnan(_known(size, amount, mixture, alike, work)):
        return size
    kept = 0
    for i in range(size):
        if index[i] >= len(work.A) or low[i] < 0.0 or step[i] > 0.0:
            index[kept], low[kept], high[kept] = index[i], low[i], high[i]
            step[kept] = step[i]
            kept += 1
    _take(kept, amount, lines, work)
    return kept


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _take(size, amount, lines, work):  # type: ignore[no-untyped-def]
    """Fill what the step takes of each count of the amount."""
    total = len(work.A)
    taken = lines[TAKEN]
    taken[:] = 0.0
    for i in range(size):
        j = work.number[INDEX, i]
        line = work.A[j] if j < total else work.J[j - total]
        part = work.parameter[STEP, i] / amount
        for c in range(len(taken)):
            taken[c] += part * line[c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _deviation(data, row, size, priors, amount, lines, work):  # type: ignore[no-untyped-def]
    """Standard deviation of the amount where `amount` of the group is there."""
    weight = work.channel[WEIGHT]
    for c in range(len(weight)):
        expected = lines[BASE, c] + amount * lines[SHAPE, c]
        weight[c] = 1.0 / expected if data.poisson else 1.0 / data.variance[row, c]
    if not _imitate(size, priors, 1.0, lines, work):
        return np.nan
    known = 0.0
    for c in range(len(weight)):
        known += lines[SHAPE, c] ** 2 * weight[c]
    for i in range(size):
        known -= work.parameter[GRADIENT, i] * work.parameter[STEP, i]
    return 1.0 / np.sqrt(known) if known > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _amount_at(data, row, size, priors, root, below, start, lines, work):  # type: ignore[no-untyped-def]
    """Amount whose root of the ratio is `root`, `below` standard deviations under its middle.

    The root is nearly in proportion to the amount.
    """
    amount = start
    for _ in range(_STEPS):
        ratio, scatter, skew = _expected(data, row, size, priors, amount, lines, work)
        if below > 0.0:
            ratio -= _lost(size, work)
        if not ratio > 0.0:
            return np.nan
        middle = np.sqrt(ratio)
        low = middle - below * scatter
        if below > 0.0:
            # The root bends with the counts, and these are skew.
            bend = 0.5 * below**2 * (scatter**2 - 1.0) - (below**2 - 1.0) / 6.0 * skew
            low -= bend / middle
        better = amount * max(1.0 + (root - low) / middle, 0.1)
        change = abs(better - amount)
        amount = better
        if not change > _TOLERANCE * amount:
            break
    return amount


@njit(cache=True, nogil=True, error_model="numpy")
def _lost(size, work):  # type: ignore[no-untyped-def]
    """What the ratio loses in the middle because absent templates have no negative amounts.

    With the name in the fit, noise would take such a template below zero in half of the spectra;
    without the name it is above zero, and noise goes both ways. An amount of d standard deviations
    loses the mean square of what zero cuts off at zero, less the same at d.
    """
    loss = 0.0
    for i in range(size):
        if work.parameter[LOW, i] == 0.0 and work.parameter[STEP, i] > 0.0:
            d = work.parameter[STEP, i] * np.sqrt(work.H[i, i])
            beyond = 0.5 * math.erfc(d / math.sqrt(2.0))
            density = math.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi)
            loss += 0.5 - (1.0 + d * d) * beyond + d * density
    return loss


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _expected(data, row, size, priors, amount, lines, work):  # type: ignore[no-untyped-def]
    """Likelihood ratio of the spectrum that is expected with an amount, and its distribution.

    To third order in the difference of with and without, the deviance is that of a Gaussian with
    the variance a third of the way between the two; how far the others go to imitate the amount
    follows from these weights, the ratio from the deviance itself. The slopes of half the ratio by
    the counts give the standard deviation of its root, and the third over the second cumulant.
    """
    total = len(work.A)
    n = lines.shape[1]
    weight, there, gone = work.channel[WEIGHT], work.channel[MU], work.channel[NEW_MU]
    for c in range(n):
        there[c] = lines[BASE, c] + amount * lines[SHAPE, c]
        gone[c] = max(lines[BASE, c] + amount * lines[TAKEN, c], _LEAST_PART * lines[BASE, c])
        weight[c] = 1.0 / data.variance[row, c]
        if data.poisson:
            weight[c] = 3.0 / (2.0 * gone[c] + there[c])
    if not _imitate(size, priors, amount, lines, work):
        return np.nan, np.nan, np.nan
    ratio = 0.0
    _take(size, amount, lines, work)
    for i in range(size):
        j = work.number[INDEX, i]
        if j >= total:
            ratio += (work.parameter[STEP, i] / priors.spread[j - total]) ** 2
    if not data.poisson:
        for c in range(n):
            ratio += (amount * (lines[SHAPE, c] - lines[TAKEN, c])) ** 2 * weight[c]
        return ratio, 1.0, 0.0
    second, third = 0.0, 0.0
    for c in range(n):
        gone[c] = max(lines[BASE, c] + amount * lines[TAKEN, c], _LEAST_PART * lines[BASE, c])
        slope = np.log(there[c] / gone[c])
        ratio += 2.0 * (gone[c] - there[c] + there[c] * slope)
        second += there[c] * slope**2
        third += there[c] * slope**3
    return ratio, np.sqrt(second / ratio), third / second
