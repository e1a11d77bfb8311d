"""How well the gain is known from a fit."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.likelihood.door import as_given, templates_of
from spectraloom.analyze.likelihood.fit import (
    CHUNK,
    LikelihoodFit,
    Nuisances,
    data_of,
    rows_of,
    run_chunks,
)
from spectraloom.analyze.likelihood.tables import TemplateTable


def gain_deviations(fit: LikelihoodFit, table: TemplateTable, nuisances: Nuisances) -> FloatArray:
    """Standard deviation of the gain of each spectrum of a fit, shape (n,).

    From the Fisher information of the amounts that are above zero, and of all nuisances with
    their priors; never above the width of the prior. Noise of the templates counts as
    information, so that templates measured with few counts are to be smoothed first.

    Parameters
    ----------
    fit : LikelihoodFit
        Of a gain.
    table : TemplateTable
        That was fitted.
    nuisances : Nuisances
        Those that were fitted.
    """
    from spectraloom.analyze.likelihood.gain_kernel import deviations_many

    data, templates = data_of(fit), templates_of(table)
    amounts, theta, fitted = (
        as_given(part) for part in (fit.template_amounts, fit.nuisances, fit.fitted)
    )
    found = np.empty(len(fit))

    def solve(first: int) -> int:
        rows = slice(first, min(first + CHUNK, len(fit)))
        deviations_many(
            rows_of(data, rows), templates, nuisances.used, nuisances.spreads, amounts[rows],
            theta[rows], fitted[rows], found[rows],
        )  # fmt: skip
        return rows.stop

    run_chunks(solve, len(fit), None)
    return found
