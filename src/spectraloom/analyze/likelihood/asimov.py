"""Compiled thresholds and limits of the likelihood-ratio test.

What the test will see of an amount is taken from the spectrum that is expected with that amount,
without noise: the best fit to it without the name gives the ratio that the test reaches in the
middle, and the slopes of the ratio by the counts give its scatter.
"""

from __future__ import annotations

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

_LEAST_PART = 0.05  # of what is expected without the name, that a channel keeps without it
_STEPS = 20
_TOLERANCE = 1e-3  # relative, of an amount
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
    mixing : (n_groups, k) how a group is mixed of its templates
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
    for row in range(N):
        for j in range(k):
            work.number[CHOSEN, j] = j
        locate(templates.grid, data.edges, theta[row], work.pieces)
        templates_at(templates, work.pieces, theta[row], work.number[CHOSEN], k, work.A)
        for j in range(k, len(groups)):
            work.A[j] = data.extra[row, j - k]
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
                data, row, group, groups, priors, beside, theta[row], demands, lines, work
            )


@njit(cache=True, nogil=True, error_model="numpy")
def _of_group(data, row, group, groups, priors, beside, theta, demands, lines, work):  # type: ignore[no-untyped-def]
    """Deviation at zero, threshold and limit of one group in one spectrum."""
    area = lines[SHAPE].sum()
    if not area > 0.0:
        return np.nan, np.nan, np.nan
    near = _set_parameters(groups, group, priors, beside, theta, True, work)
    deviation = _deviation(data, row, near, priors, 0.0, lines, work)
    wider = np.sqrt(demands.dispersion[row])
    root = max(np.sqrt(demands.critical[row, group]), _LEAST_ROOT) * wider
    threshold = root * max(deviation, 1.0 / area)
    size = _set_parameters(groups, group, priors, beside, theta, False, work)
    threshold = _threshold(data, row, size, priors, root, threshold, lines, work)
    threshold = max(threshold, demands.least[row, group])
    near = _set_parameters(groups, group, priors, beside, theta, True, work)
    more = demands.quantile * wider
    limit = threshold + more * deviation
    # The deviation grows with the amount; a few steps settle where the two agree.
    for _ in range(_STEPS):
        better = threshold + more * _deviation(data, row, near, priors, limit, lines, work)
        change = abs(better - limit)
        limit = better
        if not change > _TOLERANCE * limit:
            break
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


@njit(cache=True, nogil=True, error_model="numpy")
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
def _keep_present(size, work):  # type: ignore[no-untyped-def]
    """Leave out templates that are absent and did not move: they will not; number of the rest."""
    index, low, high = work.number[INDEX], work.parameter[LOW], work.parameter[HIGH]
    kept = 0
    for i in range(size):
        j = index[i]
        if j >= len(work.A) or low[i] < 0.0 or work.parameter[STEP, i] > 0.0:
            index[kept], low[kept], high[kept] = j, low[i], high[i]
            work.parameter[STEP, kept] = work.parameter[STEP, i]
            kept += 1
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
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
def _threshold(data, row, size, priors, root, start, lines, work):  # type: ignore[no-untyped-def]
    """Amount whose expected ratio has the root `root`; the root is nearly in proportion to it."""
    amount = start
    lines[TAKEN] = 0.0
    for step in range(_STEPS):
        ratio = _expected(data, row, size, priors, amount, lines, work)
        if not ratio > 0.0:
            return np.nan
        if step == 0:
            size = _keep_present(size, work)
        better = amount * root / np.sqrt(ratio)
        change = abs(better - amount)
        amount = better
        if not change > _TOLERANCE * amount:
            break
    return amount


@njit(cache=True, nogil=True, error_model="numpy")
def _expected(data, row, size, priors, amount, lines, work):  # type: ignore[no-untyped-def]
    """Likelihood ratio of the spectrum that is expected with an amount.

    To third order in the difference of with and without, the deviance is that of a Gaussian with
    the variance a third of the way between the two; how far the others go to imitate the amount
    follows from these weights, the ratio from the deviance itself.
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
        return np.nan
    ratio = 0.0
    lines[TAKEN] = 0.0
    for i in range(size):
        j = work.number[INDEX, i]
        line = work.A[j] if j < total else work.J[j - total]
        part = work.parameter[STEP, i] / amount
        for c in range(n):
            lines[TAKEN, c] += part * line[c]
        if j >= total:
            ratio += (work.parameter[STEP, i] / priors.spread[j - total]) ** 2
    if not data.poisson:
        for c in range(n):
            ratio += (amount * (lines[SHAPE, c] - lines[TAKEN, c])) ** 2 * weight[c]
        return ratio
    for c in range(n):
        gone[c] = max(lines[BASE, c] + amount * lines[TAKEN, c], _LEAST_PART * lines[BASE, c])
        ratio += 2.0 * (gone[c] - there[c] + there[c] * np.log(there[c] / gone[c]))
    return ratio
