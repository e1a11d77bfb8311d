"""Decisions on sources that are all fitted at once, or that are known to be there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from spectraloom._typing import BoolArray, FloatArray
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.manifold.fit import ManifoldFit, fit_manifold
from spectraloom.analyze.manifold.selection import (
    ManifoldSelection,
    prior_widths,
    score_pieces,
)
from spectraloom.analyze.manifold.table import ManifoldTable
from spectraloom.data.spectra import Spectra

Progress = Callable[[float, str], None]


def choose_at_once(
    spectra: Spectra,
    table: ManifoldTable,
    *,
    rate: float,
    tolerance: float = 1e-3,
    progress: Progress | None = None,
) -> ManifoldSelection:
    """Fit all sources, and test each against the fit without it.

    The chance of a likelihood ratio is that of a first source, whose deformation nothing but the
    prior tells: where other sources tell it, the rate is below the stated one.

    Parameters
    ----------
    spectra : Spectra
        On an axis that has the edges of the table.
    table : ManifoldTable
    rate : float
        p-value of a source below which it is chosen.
    tolerance : float
        Of the deviance.
    progress : callable, optional

    Raises
    ------
    DataError
        If sources deform along several coordinates.
    """
    pieces = score_pieces(table)
    n_sources = len(table.layout.sources)
    full = fit_manifold(spectra, table, tolerance=tolerance)
    ratios = np.full(full.amounts.shape, np.nan)
    for number, name in enumerate(table.names[:n_sources]):
        if progress is not None:
            progress(number / n_sources, f"testing {name}")
        rest = [other for other in table.names if other != name]
        without = fit_manifold(spectra, table, names=rest, tolerance=tolerance)
        ratios[:, number] = np.maximum(_loss(without) - _loss(full), 0.0)
    p_values = np.full(ratios.shape, np.nan)
    p_values[:, :n_sources] = _chances(table, ratios[:, :n_sources], pieces)
    return ManifoldSelection(full, _chosen(p_values, rate, n_sources), p_values, ratios)


def take_known(
    spectra: Spectra,
    table: ManifoldTable,
    names: Sequence[str],
    *,
    tolerance: float = 1e-3,
    progress: Progress | None = None,
) -> ManifoldSelection:
    """Fit sources that are known to be there; nothing is tested.

    Parameters
    ----------
    spectra : Spectra
        On an axis that has the edges of the table.
    table : ManifoldTable
    names : sequence of str
        Of sources; a background is always fitted.
    tolerance : float
        Of the deviance.
    progress : callable, optional
    """
    n_sources = len(table.layout.sources)
    wanted = [*names, *table.names[n_sources:]]
    fit = fit_manifold(spectra, table, names=wanted, tolerance=tolerance, progress=progress)
    untested = np.full(fit.amounts.shape, np.nan)
    chosen = np.isin(table.names, wanted) & (fit.amounts > 0)
    chosen[:, n_sources:] = True
    return ManifoldSelection(fit, chosen, untested, untested)


def _chances(table: ManifoldTable, ratios: FloatArray, pieces: FloatArray) -> FloatArray:
    """Probability of at least these likelihood ratios by chance, shape (n, k)."""
    from spectraloom.analyze.manifold.choosing import fill_chances

    centers = np.full(len(pieces), 0.5)
    if table.layout.sources.shape[1]:
        centers = table.prior.center[table.layout.sources[:, 0]]
    out = np.empty(ratios.shape)
    fill_chances(as_given(ratios), pieces, as_given(centers), prior_widths(table), out)
    return out


def _loss(fit: ManifoldFit) -> FloatArray:
    """Deviance and distance of the latents from their prior: what a fit makes small."""
    away = fit.inner - fit.table.prior.center
    return fit.deviance + np.einsum("ni,ij,nj->n", away, fit.table.prior.precision, away)


def _chosen(p_values: FloatArray, rate: float, n_sources: int) -> BoolArray:
    chosen = np.nan_to_num(p_values, nan=1.0) < rate
    chosen[:, n_sources:] = True
    return np.asarray(chosen)
