"""Scores of windows of a series: how surely chance does not explain them."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.identify.evidence import places
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.significance import log_p_values
from spectraloom.data.spectra import Spectra


def window_scores(identifier: Identifier, windows: Spectra, start: FloatArray) -> FloatArray:
    """Minus the natural log of the p-values of the names that windows may claim, else zero.

    The p-values are those of :meth:`~spectraloom.analyze.identify.identifier.Identifier.analyze`;
    amounts and limits, which take as long as the fit, are left out.

    Parameters
    ----------
    identifier : Identifier
        Fitted.
    windows : Spectra
        Counts.
    start : ndarray, shape (n_windows, 3)
        Nuisances to start from.

    Returns
    -------
    ndarray, shape (n_windows, n_sources)
        It goes on where p-values are too small for a float.
    """
    evidence = identifier._evidence()
    fit = identifier._fit_names(identifier._as_spectra(windows), evidence, start=start)
    amounts = fit.amounts[:, places(fit, evidence.sources)]
    others = amounts.sum(axis=1, keepdims=True) - amounts
    claimed = amounts > identifier.model_error * others
    return np.where(claimed, -log_p_values(*evidence.tests(fit)), 0.0)
