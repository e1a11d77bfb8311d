"""How sure amounts and deformations are: observed information and profiles of the likelihood."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.stats import chi2

from spectraloom._typing import BoolArray, FloatArray, IntArray
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.manifold.fit import ManifoldFit
from spectraloom.analyze.manifold.parts import Counts
from spectraloom.errors import DataError, LabelError

_CHUNK = 16  # spectra that a thread profiles at a time
_TOLERANCE = 1e-8  # of the deviance in the fits along the profile
_PART = 0.05  # of a standard deviation, over which the score is differenced
_SMALL = 1e-6  # of a range, or of the largest amount: the least step
_WIDE = 0.1  # of its range: first step along a latent of unknown uncertainty


def profile_amounts(fit: ManifoldFit, name: str, *, level: float = 0.95) -> FloatArray:
    """Interval of the amount of one name that the likelihood allows, everything else refitted.

    The ends are where deviance and prior together are larger than at their minimum by the `level`
    quantile of chi-square with one degree of freedom: deformation, gain and the other amounts are
    free at every place of the profile. The interval is not symmetric, and holds where counts are
    few; its lower end is zero where the name may be absent, the upper one is then a limit that the
    true amount is below with more than `level`.

    Parameters
    ----------
    fit : ManifoldFit
    name : str
        A source, or the background, whose templates count together.
    level : float
        Probability that the interval holds the true amount, between 0 and 1.

    Returns
    -------
    ndarray, shape (n, 2)
        nan where the fit did not converge, or was not allowed the name.

    Raises
    ------
    LabelError
        If the name is none of the fit.
    DataError
        If the level is out of range.

    References
    ----------
    D. J. Venzon, S. H. Moolgavkar, Appl. Stat. 37 (1988) 87, doi:10.2307/2347496; W. A. Rolke,
    A. M. Lopez, J. Conrad, Nucl. Instrum. Meth. A 551 (2005) 493,
    doi:10.1016/j.nima.2005.05.068.
    """
    table = fit.table
    if name not in table.names:
        raise LabelError(f"there is no name {name!r} in the fit, only {', '.join(table.names)}")
    member = table.groups == table.names.index(name)
    out = _profile(fit, member, -1, level)
    out[~fit.allowed[:, member].any(axis=1)] = np.nan
    return out


def profile_latents(fit: ManifoldFit, latent: str, *, level: float = 0.95) -> FloatArray:
    """Interval of one latent in its unit, e.g. a thickness in mm, everything else refitted.

    As :func:`profile_amounts`. An end is the limit of the latent where the profile never rises
    enough: the whole range where nothing is known of it. If values beyond an end are likely again,
    the interval holds them, too.

    Parameters
    ----------
    fit : ManifoldFit
    latent : str
        One of ``fit.table.layout.names``, e.g. ``"thickness"``.
    level : float
        Probability that the interval holds the true value, between 0 and 1.

    Returns
    -------
    ndarray, shape (n, 2)
        nan where the fit did not converge.

    Raises
    ------
    LabelError
        If the latent is none of the fit.
    DataError
        If the level is out of range.
    """
    layout = fit.table.layout
    if latent not in layout.names:
        there = ", ".join(layout.names) or "none"
        raise LabelError(f"there is no latent {latent!r} in the fit; there are: {there}")
    number = layout.names.index(latent)
    ends = _profile(fit, np.zeros(len(fit.table.groups), dtype=bool), number, level)
    scale = layout.scales[number]
    return ends if scale is None else np.asarray(scale.from_unit(ends))


def _profile(fit: ManifoldFit, member: BoolArray, latent: int, level: float) -> FloatArray:
    from spectraloom.analyze.manifold.profiling import profile_many

    if not 0 < level < 1:
        raise DataError(f"the level of an interval lies between 0 and 1, got {level!r}")
    table, k = fit.table, len(fit.table.groups)
    out = np.empty((len(fit), 2))
    steps = np.ones(len(fit))
    if latent >= 0:
        span = float(np.ptp(table.prior.bounds[latent]))
        spread = np.sqrt(np.maximum(fit.covariance[:, k + latent, k + latent], 0.0))
        known = (spread > _SMALL * span) & (spread < span)
        steps = np.where(known, 2.0 * spread, _WIDE * span)

    def solve(first: int) -> None:
        rows = slice(first, first + _CHUNK)
        # Bounds and aim are moved along the profile: each chunk has its own.
        prior = table.prior._replace(
            bounds=table.prior.bounds.copy(), member=member, aim=np.zeros(2)
        )
        profile_many(
            _counts_of(fit, rows),
            table.nodes,
            prior,
            table.starts,
            as_given(fit.allowed[rows]),
            as_given(fit.template_amounts[rows]),
            as_given(fit.inner[rows]),
            latent,
            steps[rows],
            float(chi2.ppf(level, 1)),
            _TOLERANCE,
            out[rows],
        )

    starts = range(0, len(fit), _CHUNK)
    with ThreadPoolExecutor(max(min(len(starts), os.cpu_count() or 1), 1)) as pool:
        list(pool.map(solve, starts))
    out[~fit.converged] = np.nan
    return out


def observed_covariance(fit: ManifoldFit) -> FloatArray:
    """Covariance of template amounts and latents from the observed information.

    The information is the negative second derivative of log likelihood and log prior where the fit
    ended (central differences of the analytic score), instead of its expectation. It knows of the
    curvature of the signatures along the deformation and of the counts that were drawn (Efron and
    Hinkley 1978).

    Parameters
    ----------
    fit : ManifoldFit

    Returns
    -------
    ndarray, shape (n, k + L, k + L)
        As ``fit.covariance``: latents as fits have them; zeros for what is at a limit, and here
        the variance of the rest is that for a latent that is held at its limit; an infinite
        variance where the data say nothing. nan for all that is free where the fit did not end in
        a minimum that is curved on all sides, as at a kink: where gain or offset take an end of the
        signatures across an edge of the data. Fit fewer bins then.

    References
    ----------
    B. Efron, D. V. Hinkley, Biometrika 65 (1978) 457, doi:10.1093/biomet/65.3.457.
    """
    from spectraloom.analyze.manifold.blending import make_room
    from spectraloom.analyze.manifold.profiling import fill_scores

    table = fit.table
    k, size = len(table.groups), fit.covariance.shape[1]
    room = make_room(
        k, size - k, table.nodes.counts.shape[1], len(table.edges) - 1, table.nodes.table.shape[1]
    )
    out = np.where(np.isinf(fit.covariance), np.inf, 0.0)
    counts = _counts_of(fit, slice(None))
    for row in range(len(fit)):
        variances = np.diagonal(fit.covariance[row])
        free = np.flatnonzero(np.isfinite(variances) & (variances > 0))
        if not len(free):
            continue
        places, widths = _around(fit, row, free)
        scores = np.empty_like(places)
        fill_scores(
            counts, row, table.nodes, table.prior, np.zeros(k), np.zeros(size - k), places, room,
            scores,
        )  # fmt: skip
        half = len(free)
        hessian = (scores[:half, free] - scores[half:, free]) / widths[:, np.newaxis]
        out[row][np.ix_(free, free)] = _inverse(-0.5 * (hessian + hessian.T))
    return out


def _around(fit: ManifoldFit, row: int, free: IntArray) -> tuple[FloatArray, FloatArray]:
    """Places ahead and behind along every free parameter, (2 F, k + L), and their distances."""
    k = fit.template_amounts.shape[1]
    center = np.concatenate([fit.template_amounts[row], fit.inner[row]])
    bounds = fit.table.prior.bounds
    low = np.concatenate([np.zeros(k), bounds[:, 0]])
    high = np.concatenate([np.full(k, np.inf), bounds[:, 1]])
    least = np.concatenate([np.full(k, center[:k].max()), np.ptp(bounds, axis=1)]) * _SMALL
    spread = np.sqrt(np.diagonal(fit.covariance[row])[free])
    step = np.maximum(_PART * spread, least[free])
    ahead, behind = (np.tile(center, (len(free), 1)) for _ in range(2))
    at = np.arange(len(free))
    ahead[at, free] = np.minimum(center[free] + step, high[free])
    behind[at, free] = np.maximum(center[free] - step, low[free])
    widths = ahead[at, free] - behind[at, free]
    return np.concatenate([ahead, behind]), widths


def _inverse(information: FloatArray) -> FloatArray:
    """Inverse of a positive definite matrix; nan if it is not."""
    scale = np.sqrt(np.maximum(np.diagonal(information), 0.0))
    if not scale.all():
        return np.full_like(information, np.nan)
    scaled = information / np.outer(scale, scale)
    if not np.linalg.eigvalsh(scaled)[0] > 1e-12:
        return np.full_like(information, np.nan)
    return np.asarray(np.linalg.inv(scaled) / np.outer(scale, scale))


def _counts_of(fit: ManifoldFit, rows: slice) -> Counts:
    return Counts(
        as_given(fit.observed[rows]),
        as_given(fit.variances[rows]),
        fit.table.edges,
        fit.poisson,
    )
