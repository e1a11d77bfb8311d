"""What an identifier would find: thresholds and limits of the decisions that it makes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.identify.significance import significance_of
from spectraloom.analyze.likelihood import LikelihoodFit, Nuisances, TemplateTable, ratio_limits

_BETA = 0.05  # probability to miss an amount at its detection limit


def decision_limits(
    fit: LikelihoodFit,
    table: TemplateTable,
    sources: Sequence[str],
    critical: FloatArray,
    rate: float,
    *,
    model_error: float,
    scatter: FloatArray,
    nuisances: Nuisances | None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Deviation at zero, decision threshold and detection limit of each name of a fit.

    Parameters
    ----------
    fit : LikelihoodFit
    table : TemplateTable
    sources : sequence of str
        Names that are decided on; others are judged as if their ratio followed the theory.
    critical : ndarray, shape (n, n_sources)
        Ratios of the sources that chance reaches at that rate.
    rate : float
        False alarms per name.
    model_error : float
        Part of the other sources that an amount has to exceed, too.
    scatter : ndarray, shape (n,)
        What ratios are divided by before they are judged.
    nuisances : Nuisances or None

    Returns
    -------
    deviation, threshold, limit : ndarray, shape (n, k)
        See :func:`~spectraloom.analyze.likelihood.ratio_limits`.
    """
    column = [fit.names.index(name) for name in sources]
    ratios = np.full(fit.amounts.shape, significance_of(np.array(min(rate, 0.4))) ** 2)
    ratios[:, column] = critical
    own, least = fit.amounts[:, column], np.zeros_like(ratios)
    least[:, column] = model_error * (own.sum(axis=1, keepdims=True) - own)
    return ratio_limits(
        fit, table, ratios, beta=_BETA, nuisances=nuisances, dispersion=scatter,
        least=least,
    )  # fmt: skip
