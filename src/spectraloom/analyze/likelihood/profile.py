"""Intervals of an amount from the profile of the likelihood, for few counts."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from spectraloom._typing import FloatArray
from spectraloom.analyze.likelihood.door import templates_of
from spectraloom.analyze.likelihood.fit import (
    CHUNK,
    LikelihoodFit,
    Nuisances,
    data_of,
    priors_of,
    rows_of,
    run_chunks,
)
from spectraloom.analyze.likelihood.tables import TemplateTable
from spectraloom.errors import DataError

TOLERANCE = 1e-8  # of the deviance in the fits along the profile


def profile_intervals(
    fit: LikelihoodFit,
    table: TemplateTable,
    name: str,
    *,
    level: float = 0.95,
    nuisances: Nuisances | None = None,
    dispersion: FloatArray | None = None,
) -> FloatArray:
    """Interval of the amount of one name that the likelihood allows, everything else refitted.

    The ends are where the deviance is larger than at its minimum by the `level` quantile of
    chi-square with one degree of freedom. Unlike amount and uncertainty the interval is not
    symmetric, and holds where counts are few; the lower end is zero where the name may be absent.

    Parameters
    ----------
    fit : LikelihoodFit
    table : TemplateTable
        The one that was fitted.
    name : str
    level : float
        Probability that the interval holds the true amount, between 0 and 1.
    nuisances : Nuisances, optional
        Those of the fit: they are refitted along the profile.
    dispersion : ndarray, shape (n,), optional
        Factor by which the deviance varies more than by chance: it has to rise by as much more.

    Returns
    -------
    ndarray, shape (n, 2)
        nan where the fit did not converge.

    Raises
    ------
    DataError
        If the name is unknown, the level out of range, or there is not one dispersion above zero
        for each spectrum.

    References
    ----------
    D. J. Venzon, S. H. Moolgavkar, Appl. Stat. 37 (1988) 87, doi:10.2307/2347496; W. A. Rolke,
    A. M. Lopez, J. Conrad, Nucl. Instrum. Meth. A 551 (2005) 493,
    doi:10.1016/j.nima.2005.05.068.
    """
    from spectraloom.analyze.likelihood.profiling import profile_many

    if name not in fit.names:
        raise DataError(f"there is no name {name!r} in the fit, only {', '.join(fit.names)}")
    if not 0 < level < 1:
        raise DataError(f"the level of an interval lies between 0 and 1, got {level!r}")
    member = fit.groups == fit.names.index(name)
    priors = priors_of(nuisances or Nuisances(), table, member)
    factor = np.ones(len(fit)) if dispersion is None else np.asarray(dispersion, dtype=np.float64)
    if factor.shape != (len(fit),) or not (factor > 0).all():
        raise DataError(f"{len(fit)} dispersions above zero are wanted, got shape {factor.shape}")
    rises = chi2.ppf(level, 1) * factor
    data, out = data_of(fit), np.empty((len(fit), 2))

    def solve(first: int) -> int:
        rows = slice(first, min(first + CHUNK, len(fit)))
        profile_many(
            rows_of(data, rows), templates_of(table), priors._replace(aim=np.zeros(2)),
            fit.template_amounts[rows], fit.nuisances[rows], rises[rows], TOLERANCE, out[rows],
        )  # fmt: skip
        return rows.stop

    run_chunks(solve, len(fit), None)
    out[~fit.converged] = np.nan
    return out
