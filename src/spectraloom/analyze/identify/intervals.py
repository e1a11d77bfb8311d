"""Intervals of amounts that hold where counts are few."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.identify.misfit import dispersion_of
from spectraloom.analyze.likelihood import (
    LikelihoodFit,
    Nuisances,
    TemplateTable,
    profile_intervals,
)
from spectraloom.errors import DataError

LEVEL = 0.95


def interval_details(
    kind: str | None,
    fit: LikelihoodFit,
    table: TemplateTable,
    names: Sequence[str],
    nuisances: Nuisances | None,
    progress: Callable[[float, str], None] | None = None,
) -> dict[str, FloatArray]:
    """Ends of 95 % intervals of the amounts of some names, as details of a result.

    Parameters
    ----------
    kind : {"profile", None}
        None gives none. Profiles of the likelihood refit everything else along the amount, over
        all names of the table; the rise of the deviance is scaled by the over-dispersion of the
        fit.
    fit : LikelihoodFit
    table : TemplateTable
    names : sequence of str, length k
    nuisances : Nuisances or None
        Those of the fit.
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
    if kind is None:
        return {}
    if kind != "profile":
        raise DataError(f"intervals are 'profile' or None, got {kind!r}")
    ends = np.empty((len(fit), len(names), 2))
    scale = dispersion_of(fit)
    for column, name in enumerate(names):
        if progress is not None:
            progress(column / len(names), f"interval of {name}")
        ends[:, column] = profile_intervals(
            fit, table, name, level=LEVEL, nuisances=nuisances, dispersion=scale
        )
    # Where templates imitate each other the likelihood is flat, and the fit may end at another
    # amount than the profile starts from.
    amounts = fit.amounts[:, [fit.names.index(name) for name in names]]
    return {
        "interval_low": np.minimum(ends[:, :, 0], amounts),
        "interval_high": np.maximum(ends[:, :, 1], amounts),
    }
