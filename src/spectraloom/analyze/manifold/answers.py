"""From fits to answers: what is known of latents, of absent sources, and of the fit itself."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from spectraloom._typing import Array, BoolArray, FloatArray, IntArray
from spectraloom.analyze.manifold.fit import ManifoldFit
from spectraloom.analyze.manifold.signature import Deformation
from spectraloom.analyze.manifold.uncertainty import profile_amounts, profile_latents
from spectraloom.analyze.quality import fit_quality
from spectraloom.data.axis import Axis
from spectraloom.data.spectra import Spectra

_CLOSE = 2.0  # standard deviations from a limit
_SHARP = 0.02  # of its range: along a wider interval what spectra tell of a deformation changes
_TWO_SIDED = 1.96  # standard deviations from the estimate to an end of a 95 % interval


def with_model_errors(fit: ManifoldFit, added: FloatArray) -> ManifoldFit:
    """The fit with a covariance that holds the errors of the model.

    Parameters
    ----------
    fit : ManifoldFit
    added : ndarray, shape (n, k + L, k + L)
        See :func:`~spectraloom.analyze.manifold.model_errors.added_covariance`.
    """
    variances = np.diagonal(fit.covariance, axis1=1, axis2=2)
    free = np.isfinite(variances) & (variances > 0)
    both = free[:, :, np.newaxis] & free[:, np.newaxis]
    return replace(fit, covariance=np.where(both, fit.covariance + added, fit.covariance))


def latent_intervals(
    fit: ManifoldFit, *, profile: bool, added: FloatArray | None = None
) -> FloatArray:
    """95 % intervals of the latents in their units, shape (n, L, 2).

    Parameters
    ----------
    fit : ManifoldFit
    profile : bool
        Whether all come from the profile of the likelihood; else only those where its curvature
        says little: of latents within two standard deviations of a limit, and of deformations that
        are known no better than to a fiftieth of their range.
    added : ndarray, shape (n, k + L, k + L), optional
        What errors of the model add to the covariance. They are added to the distances between
        estimate and ends in squares.
    """
    if added is None:
        added = np.zeros_like(fit.covariance)
    intervals = with_model_errors(fit, added).latent_intervals()
    k = fit.template_amounts.shape[1]
    variances = np.diagonal(fit.covariance, axis1=1, axis2=2)[:, k:]
    low, high = fit.table.prior.bounds.T
    room = np.minimum(fit.inner - low, high - fit.inner)  # none at a limit, where variances are 0
    spread = np.sqrt(np.maximum(variances, 0.0))
    doubtful = room <= _CLOSE * spread
    own = np.unique(fit.table.layout.sources)
    doubtful[:, own] |= spread[:, own] > _SHARP
    for place, name in enumerate(fit.table.layout.names):
        known = np.isfinite(variances[:, place])
        rows = np.flatnonzero(known if profile else known & doubtful[:, place])
        if len(rows):
            ends = profile_latents(rows_of(fit, rows), name)
            more = added[rows, k + place, k + place]
            scale, limits = fit.table.layout.scales[place], fit.table.prior.bounds[place]
            inner = ends if scale is None else scale.to_unit(ends)
            wider = np.clip(_wider(inner, fit.inner[rows, place], more), *limits)
            wider = np.where((inner <= limits[0]) | (inner >= limits[1]), inner, wider)
            moved = wider if scale is None else scale.from_unit(wider)
            intervals[rows, place] = np.where(more[:, np.newaxis] > 0, moved, ends)
    return intervals


def _wider(ends: FloatArray, estimates: FloatArray, added: FloatArray) -> FloatArray:
    """Ends (n, 2) of 95 % intervals with more variance (n,) than they were found with."""
    more = _TWO_SIDED * np.sqrt(np.maximum(added, 0.0))
    low = np.minimum(estimates - np.hypot(estimates - ends[:, 0], more), ends[:, 0])
    high = np.maximum(estimates + np.hypot(ends[:, 1] - estimates, more), ends[:, 1])
    return np.column_stack([low, high])


def amount_intervals(fit: ManifoldFit, added: FloatArray | None = None) -> dict[str, FloatArray]:
    """Details ``interval_low`` and ``interval_high``: 95 %, from the profile of the likelihood.

    Parameters
    ----------
    fit : ManifoldFit
    added : ndarray, shape (n, k + L, k + L), optional
        As for :func:`latent_intervals`.
    """
    groups = fit.table.groups
    columns = []
    for number, name in enumerate(fit.table.names):
        ends = profile_amounts(fit, name)
        if added is not None:
            own = np.flatnonzero(groups == number)
            more = added[:, own][:, :, own].sum(axis=(1, 2))
            wider = np.maximum(_wider(ends, fit.amounts[:, number], more), 0.0)
            ends = np.where(more[:, np.newaxis] > 0, wider, ends)
        columns.append(ends)
    ends = np.stack(columns, axis=1)
    return {"interval_low": ends[..., 0], "interval_high": ends[..., 1]}


def rows_of(fit: ManifoldFit, rows: IntArray) -> ManifoldFit:
    """Fits of some spectra.

    Parameters
    ----------
    fit : ManifoldFit
    rows : ndarray of int
    """
    cut = {
        one.name: getattr(fit, one.name)[rows]
        for one in fields(fit)
        if isinstance(getattr(fit, one.name), np.ndarray)
    }
    return replace(fit, **cut)


def latent_answers(
    fit: ManifoldFit,
    deformations: tuple[Deformation, ...],
    intervals: FloatArray,
    chosen: BoolArray,
) -> tuple[dict[str, Array], dict[str, FloatArray]]:
    """Values, uncertainties and intervals of the latents.

    Where no source was found that deforms, the value and uncertainty of a deformation are nan, and
    its interval is the whole range. At an end of its range it has an interval, but no uncertainty.

    Parameters
    ----------
    fit : ManifoldFit
    deformations : tuple of Deformation
        Of the signatures.
    intervals : ndarray, shape (n, L, 2)
        In the units of the latents.
    chosen : ndarray of bool, shape (n, n_names)
        Sources that were found.

    Returns
    -------
    quality : dict of str to ndarray, shape (n,)
        ``thickness``, ``thickness_uncertainty``, ``thickness_low`` and ``thickness_high`` for a
        deformation that all sources share, and likewise for gain, offset, broadening and tilt.
    details : dict of str to ndarray, shape (n, n_names)
        The same for deformations that each source has its own of.
    """
    layout, k = fit.table.layout, fit.template_amounts.shape[1]
    variances = np.diagonal(fit.covariance, axis1=1, axis2=2)[:, k:]
    values, errors = fit.latents.copy(), fit.latent_uncertainties.copy()
    unknown = ~_told_of(fit, chosen)
    errors[unknown | ~np.isfinite(variances) | (variances <= 0)] = np.nan
    values[unknown] = np.nan
    intervals = np.where(unknown[..., np.newaxis], _whole_ranges(fit), intervals)
    parts = {
        "": values,
        "_uncertainty": errors,
        "_low": intervals[..., 0],
        "_high": intervals[..., 1],
    }
    n_names, own = len(fit.table.names), layout.sources
    quality: dict[str, Array] = {}
    details: dict[str, FloatArray] = {}
    for number, one in enumerate(deformations):
        for ending, array in parts.items():
            if not fit.table.latents.individual:
                quality[one.name + ending] = array[:, own[0, number]]
                continue
            wide = np.full((len(fit), n_names), np.nan)
            wide[:, : len(own)] = array[:, own[:, number]]
            details[one.name + ending] = wide
    for place, name in enumerate(layout.names):
        if place not in own:
            quality |= {name + ending: array[:, place] for ending, array in parts.items()}
    return quality, details


def _told_of(fit: ManifoldFit, chosen: BoolArray) -> BoolArray:
    """Latents of which something is known, shape (n, L): deformations by sources that were found.

    Of the others, what neither a spectrum nor a prior tells.
    """
    layout, k = fit.table.layout, fit.template_amounts.shape[1]
    variances = np.diagonal(fit.covariance, axis1=1, axis2=2)[:, k:]
    told = np.isfinite(variances)
    own = layout.sources
    for latent in np.unique(own):
        (sources,) = np.nonzero((own == latent).any(axis=1))
        there = chosen[:, sources] & (fit.amounts[:, sources] > 0)
        told[:, latent] &= there.any(axis=1)
    return np.asarray(told)


def _whole_ranges(fit: ManifoldFit) -> FloatArray:
    """Limits of the latents in their units, shape (L, 2)."""
    return fit.table.layout.to_values(fit.table.prior.bounds.T).T


def at_range_end(fit: ManifoldFit, chosen: BoolArray) -> BoolArray:
    """Whether a deformation lies at an end of its range beyond which it may go on, shape (n,).

    Nothing lies before the zero of a softened one, such as a thickness.

    Parameters
    ----------
    fit : ManifoldFit
    chosen : ndarray of bool, shape (n, n_names)
        Sources that were found.
    """
    layout = fit.table.layout
    told = _told_of(fit, chosen)
    out = np.zeros(len(fit), dtype=bool)
    for latent in np.unique(layout.sources):
        scale, (low, high) = layout.scales[latent], fit.table.prior.bounds[latent]
        here = fit.inner[:, latent]
        out |= told[:, latent] & (here >= high)
        if scale is None or not scale.starts_at_nothing:
            out |= told[:, latent] & (here <= low)
    return out


def absent_uncertainties(fit: ManifoldFit) -> FloatArray:
    """Standard uncertainty that every amount has; for absent names the one around zero.

    Parameters
    ----------
    fit : ManifoldFit

    Returns
    -------
    ndarray, shape (n, n_names)
        Of an absent name, that of a template with as much of it as of nothing: the Fisher
        information of the amounts and latents that were fitted, and of this template where the
        fitted latents put it. nan where it lies beyond the bins.
    """
    from spectraloom.analyze.manifold.blending import make_room, place_all
    from spectraloom.analyze.manifold.kernel import FLOOR

    table, errors = fit.table, fit.uncertainties
    nodes, groups = table.nodes, table.groups
    k, size = fit.template_amounts.shape[1], len(table.layout)
    room = make_room(k, size, nodes.counts.shape[1], len(table.edges) - 1, nodes.table.shape[1])
    everything = np.ones(k, dtype=np.bool_)
    for row in range(len(fit)):
        if (errors[row] > 0).all():
            continue
        amounts, inner = fit.template_amounts[row].copy(), fit.inner[row].copy()
        place_all(nodes, table.edges, inner, amounts, everything, fit.poisson, FLOOR, room)
        expected = np.maximum(fit.fitted[row], _least(fit.fitted[row]))
        weights = 1.0 / (expected if fit.poisson else fit.variances[row])
        information = (room.rows * weights) @ room.rows.T
        information[k:, k:] += table.prior.precision
        free = np.append(amounts > 0, np.diagonal(information)[k:] > 0)
        for name in np.flatnonzero(errors[row] <= 0):
            own = np.flatnonzero(groups == name)
            errors[row, name] = min(_alone(information, free, int(one)) for one in own)
    return errors


def _least(fitted: FloatArray) -> float:
    """Counts of a bin below which it would tell an amount with no error at all.

    Nothing is expected in the bins of an empty spectrum. A single count stands for chance there.
    """
    return max(float(fitted.max()) * 1e-9, 1.0 / len(fitted))


def _alone(information: FloatArray, free: Array, one: int) -> float:
    """Uncertainty of one parameter beside those that are free."""
    others = np.flatnonzero(free)
    left = information[one, one]
    if left <= 0:
        return float("nan")
    if len(others):
        cross = information[others, one]
        scale = 1.0 / np.sqrt(np.diagonal(information)[others])
        inner = information[np.ix_(others, others)] * np.outer(scale, scale)
        taken = cross * scale
        left -= taken @ np.linalg.lstsq(inner, taken, rcond=1e-12)[0]
    return float(1.0 / np.sqrt(left)) if left > 1e-12 * information[one, one] else float("inf")


def fit_measures(fit: ManifoldFit) -> dict[str, Array]:
    """Measures of :func:`~spectraloom.analyze.quality.fit_quality`.

    Parameters
    ----------
    fit : ManifoldFit
    """
    n_bins = fit.observed.shape[1]
    taken = n_bins - np.asarray(fit.degrees_of_freedom)
    quality: dict[str, Array] = {}
    # Spectra with as many names share their degrees of freedom.
    for number in np.unique(taken) if len(taken) else [0]:
        rows = taken == number
        part = fit_quality(
            fit.observed[rows], fit.fitted[rows], n_parameters=int(number), poisson=fit.poisson
        )
        for name, values in part.items():
            quality.setdefault(name, np.empty(len(fit)))[rows] = values
    return quality


def denoised_spectra(spectra: Spectra, fit: ManifoldFit) -> Spectra:
    """The fit as spectra, on the bins that were fitted.

    Parameters
    ----------
    spectra : Spectra
    fit : ManifoldFit
    """
    edges = fit.table.edges
    first, last = np.searchsorted(spectra.axis.edges, edges[[0, -1]])
    if last - first == len(edges) - 1:
        return spectra[:, int(first) : int(last)].replace(values=fit.fitted, variance=None)
    axis = Axis.from_edges(edges, quantity=spectra.axis.quantity, unit=spectra.axis.unit)
    return Spectra(
        fit.fitted,
        axis,
        spectra.kind,
        live_time=spectra.live_time,
        real_time=spectra.real_time,
        columns=spectra.columns,
        attrs=spectra.attrs,
    )
