"""Whether a spectrum fits signatures that deform: p-values of the deviance, and the model's error.

A source that deforms off its manifold, or a gain that nobody fits, leaves a deviance that chance
does not explain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import chi2

from spectraloom._typing import BoolArray, FloatArray
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.manifold.fit import ManifoldFit, fit_manifold
from spectraloom.analyze.manifold.parts import Room
from spectraloom.analyze.manifold.signature import SignatureModel
from spectraloom.analyze.manifold.table import manifold_table
from spectraloom.analyze.quality import deviance_moments
from spectraloom.data.library import single_labels
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, FitError

_FOLDS = 5


def misfit_p_values(
    fit: ManifoldFit,
    model_errors: FloatArray | None = None,
    learned_from: FloatArray | None = None,
) -> FloatArray:
    """Probability that a right model gives at least the deviance of each spectrum.

    Of spectra that the model explains, a share p has a p-value below p: an alarm below 0.01 is
    false in one of a hundred. Bins of few counts have their own moments, what the fit took of the
    freedom is taken off, and so is what the counts of the spectrum tell about its deviance
    (McCullagh 1986); a gamma distribution has this mean and variance. Where there are only some ten
    counts for each parameter, false alarms are up to twice as frequent as stated.

    A model is never exact. A relative error e of the signature of a source adds about e^2 to the
    deviance for every one of its counts; with `model_errors` the deviance is held against what
    chance and this error give together. A template that was itself learned from N counts has their
    noise: of a in the spectrum, a bin that expects a x of them has a^2 x / N more variance.

    Parameters
    ----------
    fit : ManifoldFit
    model_errors : ndarray, shape (n_names,), optional
        Relative error of each name, as :func:`left_out_errors` gives it for the sources; zero by
        default.
    learned_from : ndarray, shape (k,), optional
        Counts that each template was learned from, whose noise no model error holds; infinite by
        default.

    Returns
    -------
    ndarray, shape (n,)
        nan where the fit did not converge.

    Raises
    ------
    DataError
        If there is not one error of zero or more for each name.

    References
    ----------
    P. McCullagh, J. Am. Stat. Assoc. 81 (1986) 104, doi:10.1080/01621459.1986.10478244.
    """
    mean, variance = chance_of_deviance(fit)
    if model_errors is not None:
        more = _error_deviance(fit, np.asarray(model_errors, dtype=np.float64))
        # Of a non-central chi-square distribution.
        mean, variance = mean + more, variance + 4.0 * more
    if learned_from is not None and np.isfinite(learned_from).any():
        first, second = _template_noise(fit, learned_from)
        left = np.maximum(1.0 - _parameters_taken(fit) / fit.fitted.shape[1], 0.0)
        mean, variance = mean + left * first, variance + left * (4.0 * first + 2.0 * second)
    scale = 0.5 * variance / np.maximum(mean, 1e-300)
    degrees = np.maximum(mean, 1e-300) / scale
    some = (mean > 0) & fit.observed.any(axis=1)
    p_values = np.where(some, chi2.sf(fit.deviance / scale, degrees), 1.0)
    return np.where(fit.converged, p_values, np.nan)


def chance_of_deviance(fit: ManifoldFit) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the deviance if the model is right, each of shape (n,).

    Parameters
    ----------
    fit : ManifoldFit
    """
    taken = _parameters_taken(fit)
    if not fit.poisson:
        mean = np.maximum(fit.fitted.shape[1] - taken, 0.0)
        return mean, np.maximum(2.0 * mean, 1e-12)
    means, variances, covariances = deviance_moments(fit.fitted)
    known, room = np.zeros(len(fit)), _room_for(fit)
    pulls = covariances / np.sqrt(fit.fitted)
    most = np.einsum("ij,ij->i", pulls, pulls)
    # What the amounts tell of the deviance matters only where many bins have few counts.
    for row in np.flatnonzero(most > 1e-3 * variances.sum(axis=1)).tolist():
        own = np.diagonal(fit.covariance[row])
        rows = _placed(fit, row, room)[np.isfinite(own) & (own > 0)] / np.sqrt(fit.fitted[row])
        if len(rows):
            basis, _ = np.linalg.qr(rows.T)
            known[row] = np.sum((basis.T @ pulls[row]) ** 2)
    mean = np.maximum(means.sum(axis=1) - taken, 0.0)
    return mean, np.maximum(variances.sum(axis=1) - 2.0 * taken - known, 1e-12)


def _parameters_taken(fit: ManifoldFit) -> FloatArray:
    """Degrees of freedom that the free parameters took; those with a prior take less than one."""
    k = fit.template_amounts.shape[1]
    variances = np.diagonal(fit.covariance, axis1=1, axis2=2)
    free = np.isfinite(variances) & (variances > 0)
    inner = np.where(np.isfinite(fit.covariance[:, k:, k:]), fit.covariance[:, k:, k:], 0.0)
    priors = np.einsum("nij,ji->n", inner, fit.table.prior.precision)
    return np.asarray(free.sum(axis=1) - priors)


def _room_for(fit: ManifoldFit) -> Room:
    from spectraloom.analyze.manifold.blending import make_room

    nodes, k, n_latents = fit.table.nodes, fit.template_amounts.shape[1], fit.inner.shape[1]
    room: Room = make_room(
        k, n_latents, nodes.counts.shape[1], fit.fitted.shape[1], nodes.table.shape[1]
    )
    return room


def _placed(fit: ManifoldFit, row: int, room: Room) -> FloatArray:
    """Templates and derivatives by the latents where a fit ended, shape (k + L, n_bins)."""
    from spectraloom.analyze.manifold.blending import place_all
    from spectraloom.analyze.manifold.kernel import FLOOR

    table, k = fit.table, fit.template_amounts.shape[1]
    place_all(
        table.nodes,
        as_given(table.edges),
        fit.inner[row].copy(),
        fit.template_amounts[row].copy(),
        np.ones(k, dtype=bool),
        fit.poisson,
        FLOOR,
        room,
    )
    return np.asarray(room.rows)


def _error_deviance(fit: ManifoldFit, errors: FloatArray) -> FloatArray:
    """What relative errors of the signatures add to the deviance, shape (n,)."""
    table = fit.table
    if errors.shape != (len(table.names),) or not (np.isfinite(errors) & (errors >= 0)).all():
        raise DataError(
            f"expected an error of zero or more for each of {', '.join(table.names)}, got {errors}"
        )
    weights = errors[table.groups] ** 2
    more, room = np.zeros(len(fit)), _room_for(fit)
    for row in range(len(fit)):
        present = np.flatnonzero((fit.template_amounts[row] > 0) & (weights > 0))
        if not len(present):
            continue
        counts = _placed(fit, row, room)[present] * fit.template_amounts[row][present, np.newaxis]
        spread = fit.fitted[row] if fit.poisson else fit.variances[row]
        more[row] = weights[present] @ np.sum(counts**2 / spread, axis=1)
    return more


def _template_noise(fit: ManifoldFit, learned_from: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sums over the bins of the part of the variance that is the noise of templates, and squared.

    Parameters
    ----------
    fit : ManifoldFit
    learned_from : ndarray, shape (k,)
    """
    first, second = np.zeros(len(fit)), np.zeros(len(fit))
    room = _room_for(fit)
    for row in range(len(fit)):
        amounts = fit.template_amounts[row]
        rows = _placed(fit, row, room)[: len(amounts)]
        spread = fit.fitted[row] if fit.poisson else fit.variances[row]
        part = (amounts**2 / learned_from) @ rows / spread
        first[row], second[row] = part.sum(), part @ part
    return first, second


def left_out_errors(
    spectra: Spectra,
    build: Callable[[Spectra], SignatureModel],
    *,
    deformation: str = "thickness",
    labels: str = "labels",
) -> dict[str, float]:
    """Relative error of the signature of every source, at values it was not built from.

    What the deviance of :func:`left_out_excess` is per count, is the squared relative error of the
    model, noise of the spectra aside.

    Parameters
    ----------
    spectra, build, deformation, labels
        As in :func:`left_out_excess`.

    Returns
    -------
    dict of str to float
        Root of the mean excess per count, zero where there is none; without the sources that were
        seen at fewer than three values.

    Raises
    ------
    FitError
        If the spectra are no counts, or no source has three values to leave one out.
    """
    models = left_out_models(spectra, build, deformation=deformation, labels=labels)
    return errors_of(spectra, models, labels=labels)


def errors_of(
    spectra: Spectra, models: Sequence[tuple[BoolArray, SignatureModel]], *, labels: str = "labels"
) -> dict[str, float]:
    """Relative error of the signature of every source, by models without some of the spectra.

    Parameters
    ----------
    spectra : Spectra
    models : sequence of (ndarray of bool, SignatureModel)
        As :func:`left_out_models` gives them.
    labels : str
        Column that holds the labels.
    """
    excess = excess_of(spectra, models, labels=labels)
    per_count = excess / np.maximum(spectra.values.sum(axis=1), 1.0)
    given = single_labels(spectra, labels)
    judged = {str(name): per_count[(given == name) & np.isfinite(excess)] for name in set(given)}
    return {
        name: float(np.sqrt(max(judged[name].mean(), 0.0)))
        for name in sorted(judged)
        if len(judged[name])
    }


def left_out_excess(
    spectra: Spectra,
    build: Callable[[Spectra], SignatureModel],
    *,
    deformation: str = "thickness",
    labels: str = "labels",
) -> FloatArray:
    """Deviance beyond chance of every spectrum, by signatures it was not built from.

    Of each source, every fifth value of the deformation (but for its first and its last) is left
    out in turn, the signatures are built from the others, and the spectra left out are fitted with
    their source alone.

    Parameters
    ----------
    spectra : Spectra
        Counts, each with exactly one label.
    build : callable
        Signatures from training spectra, e.g. ``InterpolatedSignature.from_spectra``.
    deformation : str
        Column that holds the coordinate.
    labels : str
        Column that holds the labels.

    Returns
    -------
    ndarray, shape (n,)
        Below zero where a spectrum is nearer than chance would have it; nan at the first and the
        last value of each source, which are never left out.

    Raises
    ------
    FitError
        If the spectra are no counts, or no source has three values to leave one out.
    """
    models = left_out_models(spectra, build, deformation=deformation, labels=labels)
    return excess_of(spectra, models, labels=labels)


def left_out_models(
    spectra: Spectra,
    build: Callable[[Spectra], SignatureModel],
    *,
    deformation: str = "thickness",
    labels: str = "labels",
) -> list[tuple[BoolArray, SignatureModel]]:
    """Signatures built without a part of the spectra, and which part that is.

    Parameters
    ----------
    spectra, build, deformation, labels
        As in :func:`left_out_excess`.

    Raises
    ------
    FitError
        If the spectra are no counts, or no source has three values to leave one out.
    """
    if spectra.kind != "counts":
        raise FitError(f"the error of a model is judged on counts, got {spectra.kind!r}")
    given = single_labels(spectra, labels)
    values = np.asarray(spectra.columns[deformation], dtype=np.float64)
    # Sources may have been measured at values of their own: the folds are those of each source, so
    # that all keep their ends, and none is left out as a whole.
    inner = {str(name): np.unique(values[given == name])[1:-1] for name in np.unique(given)}
    if not any(len(some) for some in inner.values()):
        raise FitError(f"leaving one out takes three values of {deformation} at least")
    models = []
    for fold in range(min(_FOLDS, max(len(some) for some in inner.values()))):
        out = np.zeros(len(values), dtype=bool)
        for name, some in inner.items():
            out |= (given == name) & np.isin(values, some[fold::_FOLDS])
        models.append((out, build(spectra[~out])))
    return models


def excess_of(
    spectra: Spectra, models: Sequence[tuple[BoolArray, SignatureModel]], *, labels: str = "labels"
) -> FloatArray:
    """Deviance beyond chance of every spectrum, by models that it was left out of.

    Parameters
    ----------
    spectra, models, labels
        As in :func:`errors_of`.

    Returns
    -------
    ndarray, shape (n,)
        nan for spectra that were never left out.
    """
    given = single_labels(spectra, labels)
    excess = np.full(len(spectra), np.nan)
    for out, model in models:
        table = manifold_table(model, None, spectra.axis.edges)
        for name in np.unique(given[out]).tolist():
            rows = np.flatnonzero(out & (given == name))
            fit = fit_manifold(spectra[rows], table, names=[name])
            mean, _ = chance_of_deviance(fit)
            excess[rows] = fit.deviance - mean
    return excess
