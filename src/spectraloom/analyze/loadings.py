"""Ways to obtain loadings: class means, variants of a class, and factorisation of mixtures."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from spectraloom._typing import Array, BoolArray, FloatArray, IntArray
from spectraloom.errors import FitError

_ITERATIONS = 1000


def class_means(values: Array, classes: Array, names: Sequence[str]) -> FloatArray:
    """Mean spectrum of each class, shape (len(names), n_channels)."""
    return np.stack([values[classes == name].mean(axis=0, dtype=np.float64) for name in names])


def split_into_variants(
    values: Array, n_variants: int, fitted: slice, seed: int | None
) -> IntArray:
    """Number of the variant of each spectrum of one class, by k-means.

    Clusters the square roots of the spectra scaled to unit area, on which Poisson noise is the
    same in every channel.

    Parameters
    ----------
    values : ndarray, shape (n, n_channels)
        Spectra of one class.
    n_variants : int
        At most as many variants as spectra.
    fitted : slice
        Channels that the model fits.
    seed : int or None
        Seed of the k-means starts.
    """
    part = np.maximum(np.asarray(values[:, fitted], dtype=np.float64), 0.0)
    areas = part.sum(axis=1, keepdims=True)
    roots = np.sqrt(np.divide(part, areas, out=np.zeros_like(part), where=areas > 0))
    n_variants = min(n_variants, len(np.unique(roots, axis=0)))
    if n_variants < 2:
        return np.zeros(len(values), dtype=np.int64)
    clusters = KMeans(n_variants, n_init=4, random_state=seed).fit_predict(roots)
    return np.asarray(clusters, dtype=np.int64)


def loadings_from_mixtures(values: Array, present: BoolArray, seed: int | None) -> FloatArray:
    """Loadings of classes that occur in mixtures only, by masked factorisation.

    Scikit-learn's multiplicative updates under the Kullback-Leibler loss (the Poisson likelihood)
    never leave zero, so a score that starts at zero, because its label is absent, stays there:
    each loading keeps its name.

    Parameters
    ----------
    values : ndarray, shape (n, n_channels)
        Non-negative spectra.
    present : ndarray of bool, shape (n, k)
        Which class is in which spectrum.
    seed : int or None
        Seed of the start.

    Returns
    -------
    ndarray, shape (k, n_channels)

    Raises
    ------
    FitError
        If a value is negative, or a component would be empty.
    """
    spectra = _non_negative(values)
    totals = spectra.sum(axis=1, keepdims=True)
    scores = np.where(present, totals / np.maximum(present.sum(axis=1, keepdims=True), 1), 0.0)
    rng = np.random.default_rng(seed)
    start = np.stack([spectra[column].mean(axis=0) for column in present.T])
    start = start * rng.uniform(0.5, 1.5, start.shape) + 1e-9
    start /= start.sum(axis=1, keepdims=True)
    model = NMF(
        present.shape[1],
        init="custom",
        solver="mu",
        beta_loss="kullback-leibler",
        max_iter=_ITERATIONS,
        tol=1e-6,
    )
    return _fit_nmf(model, spectra, W=scores, H=start)


def loadings_without_labels(values: Array, n_components: int, seed: int | None) -> FloatArray:
    """Proposed loadings of unlabelled spectra: scikit-learn's NMF from an SVD start.

    Returns
    -------
    ndarray, shape (n_components, n_channels)

    Raises
    ------
    FitError
        If a value is negative, there are too few spectra, or a component would be empty.
    """
    spectra = _non_negative(values)
    if n_components > min(spectra.shape):
        raise FitError(
            f"{n_components} components cannot be told apart in {spectra.shape[0]} spectra of "
            f"{spectra.shape[1]} channels: ask for {min(spectra.shape)} at most"
        )
    model = NMF(
        n_components,
        init="nndsvda",
        solver="mu",
        beta_loss="kullback-leibler",
        max_iter=_ITERATIONS,
        random_state=seed,
    )
    return _fit_nmf(model, spectra)


def _non_negative(values: Array) -> FloatArray:
    spectra = np.asarray(values, dtype=np.float64)
    below = int((spectra < 0).any(axis=1).sum())
    if below:
        raise FitError(
            f"{below} of {len(spectra)} spectra hold negative values, which a non-negative "
            "factorisation cannot explain: give spectra of single classes, whose means may be "
            "negative, or spectra without the subtraction"
        )
    return spectra


def _fit_nmf(model: NMF, spectra: FloatArray, **start: FloatArray) -> FloatArray:
    with warnings.catch_warnings():
        # A start that is not fully converged is still a start; the scores are exact afterwards.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit_transform(spectra, **start)
    loadings: FloatArray = np.asarray(model.components_, dtype=np.float64)
    if not loadings.sum(axis=1).all():
        raise FitError("the factorisation left a component empty: ask for fewer components")
    return loadings
