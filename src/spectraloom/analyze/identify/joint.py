"""Names that imitate each other: surely one of them, but each could be the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from scipy.special import chdtrc

from spectraloom._typing import BoolArray, FloatArray
from spectraloom.analyze.likelihood import LikelihoodFit

_RIDGE = 1e-10  # of a correlation matrix: look-alikes are nearly singular
SURE = 1e-4  # p-value of a name that is surely there, whatever the rate of false alarms is set to


def surely_unnamed(
    fit: LikelihoodFit, sources: Sequence[str], found: BoolArray, scatter: FloatArray, rate: float
) -> BoolArray:
    """Spectra in which the sources that were not found are together no chance, shape (n,).

    Two names with nearly the same templates share the counts of one source: without either of
    them the fit is as good, so that neither is significant. Their amounts are tested together,
    with their covariance (Wald). The chance is that of the theory for all of their templates,
    which is too large rather than too small.

    Parameters
    ----------
    fit : LikelihoodFit
        Of all names at once.
    sources : sequence of str, length k
    found : ndarray of bool, shape (n, k)
        Sources that are significant alone.
    scatter : ndarray, shape (n,)
        How many times larger variances are than those of counting.
    rate : float
        p-value below which it is no chance.

    References
    ----------
    A. Wald, Trans. Am. Math. Soc. 54 (1943) 426, doi:10.1090/S0002-9947-1943-0012401-3; the bound
    as in :meth:`~spectraloom.analyze.identify.significance.NullDistribution.theory`.
    """
    place = [fit.names.index(name) for name in sources]
    amounts = np.where(found, 0.0, fit.amounts[:, place])
    among = amounts > 0
    degrees = ~found @ np.array([(fit.groups == number).sum() for number in place])
    rows = np.flatnonzero(among.any(axis=1))
    out = np.zeros(len(fit), dtype=bool)
    if not len(rows):
        return out
    both = among[rows, :, np.newaxis] & among[rows, np.newaxis, :]
    own = np.ix_(rows, np.array(place), np.array(place))
    inner = np.where(both, fit.covariance[own], np.eye(len(place)))
    usable = np.isfinite(inner).all(axis=(1, 2))
    rows, inner = rows[usable], inner[usable]
    scale = np.sqrt(np.diagonal(inner, axis1=1, axis2=2))  # look-alikes are nearly singular
    unit = inner / (scale[:, :, np.newaxis] * scale[:, np.newaxis, :])
    part = amounts[rows] / scale
    solved = np.linalg.solve(unit + _RIDGE * np.eye(len(place)), part[:, :, np.newaxis])[:, :, 0]
    ratio = (part * solved).sum(axis=1) / scatter[rows]
    most = degrees[rows]
    chance = 0.5 * (chdtrc(np.maximum(most - 1, 1), ratio) + chdtrc(np.maximum(most, 1), ratio))
    out[rows] = chance < rate
    return out


_SHARED = ("edges", "groups")  # the same for all spectra of a fit


def rows_of_fit(fit: LikelihoodFit, rows: BoolArray) -> LikelihoodFit:
    """Some spectra of a fit."""
    return replace(fit, **{name: array[rows] for name, array in _by_spectrum(fit).items()})


def with_rows(fit: LikelihoodFit, rows: BoolArray, part: LikelihoodFit) -> LikelihoodFit:
    """Fit in which some spectra are those of another fit over the same names."""
    mixed = {name: array.copy() for name, array in _by_spectrum(fit).items()}
    for name, array in _by_spectrum(part).items():
        mixed[name][rows] = array
    return replace(fit, **mixed)


def _by_spectrum(fit: LikelihoodFit) -> dict[str, Any]:
    every = {field.name: getattr(fit, field.name) for field in fields(fit)}
    return {
        name: value
        for name, value in every.items()
        if isinstance(value, np.ndarray) and name not in _SHARED
    }
