"""Intervals of an amount from the profile of the likelihood, for few counts."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from spectraloom._typing import FloatArray
from spectraloom.analyze.likelihood.door import templates_of
from spectraloom.analyze.likelihood.fit import LikelihoodFit, Nuisances, data_of, priors_of
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

    Returns
    -------
    ndarray, shape (n, 2)
        nan where the fit did not converge.

    Raises
    ------
    DataError
        If the name is unknown, or the level out of range.

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
    out = np.empty((len(fit), 2))
    profile_many(
        data_of(fit), templates_of(table), priors, fit.template_amounts,
        fit.nuisances, float(chi2.ppf(level, 1)), TOLERANCE, out,
    )  # fmt: skip
    out[~fit.converged] = np.nan
    return out
