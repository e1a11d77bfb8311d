"""Intervals of amounts that hold where counts are few."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtri

from spectraloom._typing import FloatArray
from spectraloom.analyze.likelihood import (
    LikelihoodFit,
    Nuisances,
    TemplateTable,
    profile_intervals,
)
from spectraloom.errors import DataError

LEVEL = 0.95


def interval_details(
    kind: str,
    fit: LikelihoodFit,
    table: TemplateTable,
    names: Sequence[str],
    nuisances: Nuisances | None,
    errors: tuple[FloatArray, FloatArray],
    scatter: FloatArray,
    progress: Callable[[float, str], None] | None = None,
) -> dict[str, FloatArray]:
    """Ends of 95 % intervals of the amounts of some names, as details of a result.

    Parameters
    ----------
    kind : {"score", "profile"}
        Score intervals follow from the uncertainties, see :func:`score_intervals`. Profiles of the
        likelihood refit everything else along the amount, over all names of the table; the rise of
        the deviance is scaled by the scatter.
    fit : LikelihoodFit
    table : TemplateTable
    names : sequence of str, length k
    nuisances : Nuisances or None
        Those of the fit.
    errors : (ndarray, ndarray), each of shape (n, k)
        Standard uncertainties at the amounts of the fit, and where the true amount is zero.
    scatter : ndarray, shape (n,)
        How many times larger variances are than those of counting.
    progress : callable, optional

    Returns
    -------
    dict
        ``interval_low`` and ``interval_high``, shape (n, k); low is zero where the name may be
        absent.

    Raises
    ------
    DataError
        If the kind is another.
    """
    if kind == "score":
        place = [fit.names.index(name) for name in names]
        own = 1.0 if fit.poisson else 0.0
        low, high = score_intervals(fit.amounts[:, place], *errors, least_growth=own)
        return {"interval_low": low, "interval_high": high}
    if kind != "profile":
        raise DataError(f"intervals are 'score' or 'profile', got {kind!r}")
    ends = np.empty((len(fit), len(names), 2))
    for column, name in enumerate(names):
        if progress is not None:
            progress(column / len(names), f"interval of {name}")
        ends[:, column] = profile_intervals(
            fit, table, name, level=LEVEL, nuisances=nuisances, dispersion=scatter
        )
    # Where templates imitate each other the likelihood is flat, and the fit may end at another
    # amount than the profile starts from.
    amounts = fit.amounts[:, [fit.names.index(name) for name in names]]
    return {
        "interval_low": np.minimum(ends[:, :, 0], amounts),
        "interval_high": np.maximum(ends[:, :, 1], amounts),
    }


def score_intervals(
    amounts: FloatArray,
    errors: FloatArray,
    errors_at_zero: FloatArray,
    level: float = LEVEL,
    *,
    least_growth: float = 1.0,
) -> tuple[FloatArray, FloatArray]:
    """Ends of intervals of counts: the true amounts that would not be surprised by what was found.

    The variance of an estimate grows with the true amount, about in a straight line, which the two
    uncertainties give. An amount a is inside if the estimate lies within z deviations *of a*: too
    low an estimate is not taken for a sure one, as with the estimate less and plus z deviations of
    its own.

    Parameters
    ----------
    amounts, errors, errors_at_zero : ndarray
        Estimates; their standard uncertainties; those for a true amount of zero.
    level : float
    least_growth : float
        Of the variance with the amount: a count adds its own; zero where the noise is the same.

    Returns
    -------
    low, high : ndarray
        Of the shape of the amounts; low is zero or more.

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209, doi:10.1080/01621459.1927.10502953.
    """
    z = float(-ndtri(0.5 * (1.0 - level)))
    growth = np.full_like(amounts, least_growth)
    found = amounts > errors  # below, the difference says little of the slope
    grown = errors**2 - errors_at_zero**2
    growth[found] = np.maximum(grown[found] / amounts[found], least_growth)
    shift = 0.5 * z**2 * growth
    half = np.sqrt((z * errors) ** 2 + shift**2)
    return np.maximum(amounts + shift - half, 0.0), amounts + shift + half
