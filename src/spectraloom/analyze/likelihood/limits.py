"""Decision thresholds and detection limits of every name, present or absent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from spectraloom._typing import FloatArray
from spectraloom.analyze.likelihood.door import as_given, templates_of
from spectraloom.analyze.likelihood.fit import LikelihoodFit
from spectraloom.analyze.likelihood.parts import Data
from spectraloom.analyze.likelihood.tables import TemplateTable
from spectraloom.errors import DataError


def detection_limits(
    fit: LikelihoodFit,
    table: TemplateTable,
    *,
    alpha: float = 0.05,
    beta: float = 0.05,
    names: Sequence[str] | None = None,
    quantiles: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Decision threshold and detection limit of the amount of each name.

    The amount of a name above its decision threshold is found wrongly with probability `alpha`
    where the name is absent; an amount at its detection limit is missed with probability `beta`.
    Both follow from the standard deviation that the fit of the full spectrum would have if the
    true amount were zero, or the limit, with everything else as fitted. A name is represented by
    the mean of its templates. Nuisances are held at what was fitted.

    Parameters
    ----------
    fit : LikelihoodFit
        Of counts.
    table : TemplateTable
        The one that was fitted.
    alpha, beta : float
        Probabilities of the errors of the first and second kind.
    quantiles : ndarray, shape (n, k), optional
        Decision thresholds in standard deviations, where the decision is another test than
        amount over standard deviation; instead of `alpha`.
    names : sequence of str, optional
        All names of the table by default; others are nan.

    Returns
    -------
    threshold, limit : ndarray, shape (n, k)
        In counts.

    Raises
    ------
    DataError
        If a probability is not between 0 and 1/2.

    References
    ----------
    ISO 11929-1:2019. L. A. Currie, Anal. Chem. 40 (1968) 586, doi:10.1021/ac60259a007.
    """
    from spectraloom.analyze.likelihood.information import limits_many

    if not (0 < alpha <= 0.5 and 0 < beta <= 0.5):
        raise DataError(f"alpha and beta lie above 0 and up to 1/2, got {alpha:g} and {beta:g}")
    n, k = fit.amounts.shape
    wanted = table.names if names is None else names
    marks = np.isin(fit.names, [name for name in wanted if name in table.names])
    mixing = np.equal.outer(np.arange(k), table.groups).astype(np.float64)
    mixing /= np.maximum(mixing.sum(axis=1, keepdims=True), 1.0)
    thresholds, limits = np.empty((n, k)), np.empty((n, k))
    data = Data(
        as_given(fit.observed), as_given(fit.variances), as_given(fit.edges), as_given(fit.extra),
        fit.poisson,
    )  # fmt: skip
    steps = np.full((n, k), norm.isf(alpha)) if quantiles is None else as_given(quantiles)
    limits_many(
        fit.fitted, data, templates_of(table), as_given(fit.groups), mixing, marks,
        fit.template_amounts, fit.nuisances, (steps, float(norm.isf(beta))),
        thresholds, limits,
    )  # fmt: skip
    return thresholds, limits
