"""Decision thresholds and detection limits of every name, present or absent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from spectraloom._typing import BoolArray, FloatArray
from spectraloom.analyze.likelihood.door import as_given, templates_of
from spectraloom.analyze.likelihood.fit import (
    CHUNK,
    LikelihoodFit,
    Nuisances,
    data_of,
    priors_of,
    rows_of,
    run_chunks,
)
from spectraloom.analyze.likelihood.parts import Demands
from spectraloom.analyze.likelihood.tables import TemplateTable
from spectraloom.errors import DataError


def ratio_limits(
    fit: LikelihoodFit,
    table: TemplateTable,
    critical: FloatArray,
    *,
    beta: float = 0.05,
    names: Sequence[str] | None = None,
    nuisances: Nuisances | None = None,
    dispersion: FloatArray | None = None,
    least: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Deviation, decision threshold and detection limit under the likelihood-ratio test.

    An amount at the threshold makes a likelihood ratio of about `critical`; an amount at the
    limit makes a smaller one with probability `beta`. Both come from the spectra that are
    expected with such an amount, everything else as fitted: all other names, present or absent,
    and the nuisances are fitted to them without the name, as the test will do. Deviation and
    threshold are those of the mean of the templates of a name; the limit is that of the template
    that is the hardest to find, so that any of them is found there.

    The root of the ratio is taken as Gaussian, with the scatter that the counts give it. That is
    rough for a handful of counts, and where a name has several templates: the test may then take
    the best of them.

    Parameters
    ----------
    fit : LikelihoodFit
    table : TemplateTable
        The one that was fitted.
    critical : ndarray, shape (n, k)
        Ratios above which a name is found.
    beta : float
        Probability to miss an amount at the limit.
    names : sequence of str, optional
        All names of the table by default; others are nan.
    nuisances : Nuisances, optional
        Those of the fit; None holds them at what was fitted.
    dispersion : ndarray, shape (n,), optional
        What ratios are divided by before they are compared.
    least : ndarray, shape (n, k), optional
        Amounts that are needed besides.

    Returns
    -------
    deviation, threshold, limit : ndarray, shape (n, k)
        In counts. The deviation is the standard deviation where the amount is zero; with counts
        at least one of them.

    Raises
    ------
    DataError
        If `beta` is not between 0 and 1/2, or a shape is wrong.

    References
    ----------
    The expected spectrum in the place of many random ones: G. Cowan, K. Cranmer, E. Gross,
    O. Vitells, Eur. Phys. J. C 71 (2011) 1554, doi:10.1140/epjc/s10052-011-1554-0. What the two
    limits mean: ISO 11929-1:2019.
    """
    from spectraloom.analyze.likelihood.asimov import ratio_limits_many

    if not 0 < beta <= 0.5:
        raise DataError(f"beta lies above 0 and up to 1/2, got {beta:g}")
    shape = fit.amounts.shape
    wider = np.ones(len(fit)) if dispersion is None else np.asarray(dispersion, dtype=np.float64)
    floor = np.zeros(shape) if least is None else np.asarray(least, dtype=np.float64)
    for given, what, wanted in (
        (critical, "critical ratios", shape), (floor, "least amounts", shape),
        (wider, "dispersions", shape[:1]),
    ):  # fmt: skip
        if np.shape(given) != wanted:
            raise DataError(f"the {what} have shape {np.shape(given)}, {wanted} is wanted")
    mixing, marks = _mixing(fit, table, names)
    demands = Demands(
        as_given(np.asarray(critical, dtype=np.float64)), as_given(floor), as_given(wider),
        float(-ndtri(beta)), float(-np.log(beta)),
    )  # fmt: skip
    answers = np.empty((3, *shape))
    member = np.zeros(len(fit.groups), dtype=bool)
    data, priors = data_of(fit), priors_of(nuisances or Nuisances(), table, member)

    def solve(first: int) -> int:
        rows = slice(first, min(first + CHUNK, len(fit)))
        ratio_limits_many(
            fit.fitted[rows], rows_of(data, rows), templates_of(table), priors,
            as_given(fit.groups), mixing, marks, fit.template_amounts[rows], fit.nuisances[rows],
            demands._replace(
                critical=demands.critical[rows], least=demands.least[rows],
                dispersion=demands.dispersion[rows],
            ),
            answers[:, rows],
        )  # fmt: skip
        return rows.stop

    run_chunks(solve, len(fit), None)
    return answers[0], answers[1], answers[2]


def _mixing(
    fit: LikelihoodFit, table: TemplateTable, names: Sequence[str] | None
) -> tuple[FloatArray, BoolArray]:
    """How each name is mixed of its templates, and which names are wanted."""
    wanted = table.names if names is None else names
    marks = np.isin(fit.names, [name for name in wanted if name in table.names])
    mixing = np.equal.outer(np.arange(len(fit.names)), table.groups).astype(np.float64)
    mixing /= np.maximum(mixing.sum(axis=1, keepdims=True), 1.0)
    return mixing, np.asarray(marks)
