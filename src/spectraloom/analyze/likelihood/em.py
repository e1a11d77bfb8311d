"""Expectation maximisation: the plain reference that the fast fit is tested against."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError


def em_amounts(
    counts: FloatArray,
    templates: FloatArray,
    *,
    iterations: int = 100_000,
    tolerance: float = 1e-12,
) -> FloatArray:
    """Amounts that maximise the Poisson likelihood of counts, slowly and plainly.

    Every step multiplies an amount by the mean of observed over expected counts, weighted by its
    template. The likelihood never falls and amounts stay non-negative; convergence is slow.

    Parameters
    ----------
    counts : ndarray, shape (n, n_channels)
    templates : ndarray, shape (k, n_channels)
        Non-negative, none empty.
    iterations : int
        At most so many steps.
    tolerance : float
        Stop when no amount changes by more than this part of all counts.

    Returns
    -------
    ndarray, shape (n, k)

    Raises
    ------
    DataError
        If counts or templates are negative, or a template is empty.

    References
    ----------
    L. A. Shepp, Y. Vardi, IEEE Trans. Med. Imaging 1 (1982) 113, doi:10.1109/TMI.1982.4307558;
    W. H. Richardson, J. Opt. Soc. Am. 62 (1972) 55, doi:10.1364/JOSA.62.000055.
    """
    y = np.asarray(counts, dtype=np.float64)
    shapes = np.asarray(templates, dtype=np.float64)
    areas = shapes.sum(axis=1)
    if (y < 0).any() or (shapes < 0).any() or not (areas > 0).all():
        raise DataError("expectation maximisation needs non-negative counts and templates")
    totals = y.sum(axis=1, keepdims=True)
    amounts = np.repeat(totals / len(shapes), len(shapes), axis=1) / areas
    for _ in range(iterations):
        expected = amounts @ shapes
        ratio = np.divide(y, expected, out=np.zeros_like(y), where=expected > 0)
        better = amounts * (ratio @ shapes.T) / areas
        change = np.abs(better - amounts).max(initial=0.0)
        amounts = better
        if change <= tolerance * totals.max(initial=0.0):
            break
    return amounts
