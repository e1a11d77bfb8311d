"""How well a fit explains a spectrum: one number per spectrum and measure."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import gammaln, xlogy

from spectraloom._typing import Array, FloatArray
from spectraloom.errors import DataError

CHUNK = 8192  # spectra compared at a time
_SPARSE = 40.0  # expected counts above which the deviance of a bin follows its expansion
_SURE = 1.645  # standard deviations of chance that a misfit has to exceed


def explained_variance(observed: Array, fitted: Array) -> FloatArray:
    """1 - var(observed - fitted) / var(observed) over channels; nan for a flat spectrum.

    Parameters
    ----------
    observed, fitted : ndarray, shape (n_spectra, n_channels)

    Returns
    -------
    ndarray, shape (n_spectra,)
    """
    # The variance of equal numbers may differ from zero by rounding, so look at the numbers.
    flat = observed.max(axis=1) == observed.min(axis=1)
    whole = np.where(flat, 0.0, np.var(observed, axis=1))
    return _ratio_from_one(np.var(observed - fitted, axis=1), whole)


def cosine(observed: Array, fitted: Array) -> FloatArray:
    """Cosine of the angle between observed and fitted; zero if one of them is empty."""
    product = np.einsum("ij,ij->i", observed, fitted)
    lengths = np.sqrt(
        np.einsum("ij,ij->i", observed, observed) * np.einsum("ij,ij->i", fitted, fitted)
    )
    return np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)


def correlation(observed: Array, fitted: Array) -> FloatArray:
    """Cosine of the mean-centred spectra (Pearson's correlation over channels); zero if flat."""
    return cosine(_centred(observed), _centred(fitted))


def root_cosine(observed: Array, fitted: Array) -> FloatArray:
    """Cosine of the square roots: Poisson noise weighs every channel alike (Bhattacharyya)."""
    return cosine(np.sqrt(np.maximum(observed, 0.0)), np.sqrt(np.maximum(fitted, 0.0)))


def poisson_deviance(observed: Array, fitted: Array) -> FloatArray:
    """Twice the log-likelihood ratio against a perfect fit, summed over channels.

    Channels where the fit is zero count as a fit of 1e-9 counts, so that the answer is finite.
    """
    expected = np.maximum(fitted, 1e-9)
    ratio = np.divide(observed, expected, out=np.ones_like(expected), where=observed > 0)
    terms = np.where(observed > 0, observed * np.log(ratio), 0.0) - (observed - expected)
    return 2.0 * np.asarray(terms.sum(axis=1), dtype=np.float64)


@lru_cache(maxsize=1)
def _sparse_moments() -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Moments of the deviance of a bin on a grid of expected counts."""
    expected = np.geomspace(1e-6, _SPARSE, 400)
    counts = np.arange(160.0)
    means = expected[:, np.newaxis]
    chance = np.exp(xlogy(counts, means) - means - gammaln(counts + 1.0))
    deviance = 2.0 * (xlogy(counts, counts / means) - counts + means)
    mean = (chance * deviance).sum(axis=1)
    variance = (chance * deviance**2).sum(axis=1) - mean**2
    return expected, mean, variance, (chance * deviance * (counts - means)).sum(axis=1)


def deviance_moments(expected: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean and variance of the Poisson deviance of bins, and its covariance with their counts.

    For many counts they are 1, 2 and 0. A bin with few counts has other ones: a mean up to a sixth
    larger about one count, far less below.

    Parameters
    ----------
    expected : ndarray
        Expected counts of each bin.

    Returns
    -------
    mean, variance, covariance : ndarray, of the shape of `expected`
    """
    grid, *sparse = _sparse_moments()
    place = np.log(np.maximum(expected, grid[0]))
    rest = 1.0 / np.maximum(expected, _SPARSE)
    dense = (1.0 + rest / 6.0, 2.0 * (1.0 + rest / 3.0), -rest / 6.0)
    mean, variance, covariance = (
        np.where(expected > _SPARSE, many, np.interp(place, np.log(grid), few))
        for many, few in zip(dense, sparse, strict=True)
    )
    return mean, variance, covariance


def deviance_by_chance(fitted: FloatArray, freedom: int) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the Poisson deviance if the model is right, each (n,).

    Parameters
    ----------
    fitted : ndarray, shape (n, n_bins)
    freedom : int
        Degrees of freedom; what the fit took of that of the bins is taken of all bins alike.
    """
    from spectraloom.analyze.quality_kernel import sum_moments

    grid, means, variances, _ = _sparse_moments()
    first, step = np.log(grid[0]), np.log(grid[1] / grid[0])
    mean, variance = np.empty(len(fitted)), np.empty(len(fitted))
    expected = np.ascontiguousarray(fitted, dtype=np.float64)
    sum_moments(expected, first, step, means, variances, _SPARSE, mean, variance)
    part = freedom / fitted.shape[1]
    return mean * part, np.sqrt(variance * part)


def sure_misfit(
    deviance: FloatArray, mean: FloatArray, spread: FloatArray, totals: FloatArray
) -> FloatArray:
    """Root of what the deviance surely exceeds chance by, per count.

    If the templates are wrong by a relative error e in every channel, the deviance grows by e^2
    for every count: this is a lower limit (95 %) of the relative error of the model, whatever the
    number of counts.

    Parameters
    ----------
    deviance, mean, spread, totals : ndarray, shape (n,)
        The deviance, its mean and standard deviation by chance, and all counts.
    """
    excess = np.maximum(deviance - mean - _SURE * spread, 0.0)
    return np.sqrt(np.divide(excess, totals, out=np.zeros_like(excess), where=totals > 0))


def fit_quality(
    observed: Array, fitted: Array, *, n_parameters: int, poisson: bool
) -> dict[str, FloatArray]:
    """All measures at once, in chunks.

    Parameters
    ----------
    observed, fitted : ndarray, shape (n_spectra, n_channels)
        Data and fit in the channels that were fitted.
    n_parameters : int
        Number of templates, for the degrees of freedom.
    poisson : bool
        Whether the data are counts; only then the deviance means something.

    Returns
    -------
    dict of str to ndarray, shape (n_spectra,)
        ``explained_variance``, ``cosine``, ``correlation`` (mean-centred) and, for counts,
        ``root_cosine``, ``deviance_per_dof`` and ``excess_deviance_per_count`` (see
        :func:`sure_misfit`).

    Raises
    ------
    DataError
        If the shapes differ.
    """
    if observed.shape != fitted.shape:
        raise DataError(f"data of shape {observed.shape} and fit of shape {fitted.shape} differ")
    parts = [
        _chunk_quality(
            np.asarray(observed[start : start + CHUNK], dtype=np.float64),
            np.asarray(fitted[start : start + CHUNK], dtype=np.float64),
            n_parameters,
            poisson,
        )
        for start in range(0, max(len(observed), 1), CHUNK)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _chunk_quality(
    observed: FloatArray, fitted: FloatArray, n_parameters: int, poisson: bool
) -> dict[str, FloatArray]:
    measures = {
        "explained_variance": explained_variance(observed, fitted),
        "cosine": cosine(observed, fitted),
        "correlation": correlation(observed, fitted),
    }
    if poisson:
        deviance = poisson_deviance(observed, fitted)
        freedom = max(observed.shape[1] - n_parameters, 1)
        measures["root_cosine"] = root_cosine(observed, fitted)
        measures["deviance_per_dof"] = deviance / freedom
        measures["excess_deviance_per_count"] = sure_misfit(
            deviance, *deviance_by_chance(fitted, freedom), observed.sum(axis=1)
        )
    return measures


def _centred(spectra: Array) -> FloatArray:
    flat = spectra.max(axis=1, keepdims=True) == spectra.min(axis=1, keepdims=True)
    return np.where(flat, 0.0, spectra - spectra.mean(axis=1, keepdims=True))


def _ratio_from_one(part: FloatArray, whole: FloatArray) -> FloatArray:
    return 1.0 - np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
