"""Spectra of background with chance excesses drawn on purpose, weighted by how rare they are."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import FloatArray

_TILTS = (1.2, 2.5, 4.0)  # standard deviations of an amount
_PLAIN = 0.4  # part of the spectra that is drawn without any
_SMALLEST = 1e-300


def tilted_counts(
    expected: FloatArray, shapes: FloatArray, fitted: slice, n: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Poisson spectra of which many look as if a source were there, and their weights.

    Rare ratios decide, and drawing background long enough to see them takes too long. Some spectra
    are drawn with a small amount of a source instead; each weighs the probability to be drawn
    without it over the probability to be drawn as it was, whatever the amount (importance sampling
    from a mixture). Weighted sums are those of the background alone.

    Parameters
    ----------
    expected : ndarray, shape (n_channels,)
        Background.
    shapes : ndarray, shape (k, n_channels)
        Unit-area templates.
    fitted : slice
        Channels that a decision will look at.
    n : int
        Number of spectra.
    rng : numpy.random.Generator

    Returns
    -------
    counts : ndarray, shape (n, n_channels)
    weights : ndarray, shape (n,)
        One on average.

    References
    ----------
    E. Veach, L. J. Guibas, Proc. SIGGRAPH (1995) 419, doi:10.1145/218380.218498 (the balance
    heuristic).
    """
    amounts = np.multiply.outer(_TILTS, _deviations(expected[fitted], shapes[:, fitted]))
    added = (amounts[:, :, np.newaxis] * shapes).reshape(-1, shapes.shape[1])
    plain = int(_PLAIN * n)
    which = np.zeros(n, dtype=np.int64)
    which[plain:] = 1 + np.resize(rng.permutation(len(added)), n - plain)
    share = np.bincount(which, minlength=len(added) + 1) / n
    means = expected + np.vstack([np.zeros_like(expected), added])
    counts = rng.poisson(means[which]).astype(np.float64)
    logs = np.log(np.maximum(means[1:], _SMALLEST) / np.maximum(expected, _SMALLEST))
    times = counts @ logs.T - added.sum(axis=1)
    # How many times as probable as without a source, over all ways to draw a spectrum.
    return counts, 1.0 / (share[0] + np.exp(np.minimum(times, 700.0)) @ share[1:])


def _deviations(expected: FloatArray, shapes: FloatArray) -> FloatArray:
    """Standard deviation of the amount of each shape, fitted beside the background at zero."""
    floor = np.maximum(expected, 1e-12)
    information = (shapes**2 / floor).sum(axis=1) - shapes.sum(axis=1) ** 2 / floor.sum()
    deviations = 1.0 / np.sqrt(np.maximum(information, 1e-12))
    # One count is the least that can be seen; more than all counts are never needed.
    return np.asarray(np.clip(deviations, 1.0, max(float(floor.sum()), 1.0)))
