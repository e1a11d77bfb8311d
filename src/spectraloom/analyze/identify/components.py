"""How many templates a background needs."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from spectraloom._typing import Array, FloatArray, IntArray
from spectraloom.analyze.identify.shape_drift import FEWEST, background_rows, blocks_of_time
from spectraloom.analyze.identify.variants import background_library
from spectraloom.analyze.likelihood import em_amounts
from spectraloom.data.library import Library
from spectraloom.data.spectra import Spectra

_MOST = 4
_ITERATIONS = 200  # far more than a few smooth templates need to predict as well as they can
_UNSEEN = 0.5  # counts that every channel of a template is given: none is impossible


def learned_background(
    spectra: Spectra,
    labels: Array | None,
    name: str | None,
    components: int | str,
    seed: int | None = 0,
) -> Library | None:
    """Templates of the background from training spectra; None where there is none.

    Parameters
    ----------
    spectra : Spectra
    labels : ndarray of object, optional
        None: all spectra are background.
    name : str or None
        Of the background; None for none.
    components : int or "auto"
        Templates; ``"auto"`` takes as many as predict best.
    seed : int or None
    """
    if name is None:
        return None
    number = components
    if not isinstance(number, int):
        rows = background_rows(labels, name, spectra.totals)
        number = components_needed(spectra[rows], seed)
    return background_library(spectra, labels, name, number, seed)


def components_needed(background: Spectra, seed: int | None = 0) -> int:
    """Number of templates that predict background best which they were not learned from.

    Templates are learned with one block of time left out in turn. Of the left-out spectra, half
    of the counts tell how much there is of each template, and the other half, which is
    independent of the first, is predicted. One more template is taken as long as the predictions
    gain more than the standard deviation of that gain.

    Parameters
    ----------
    background : Spectra
        In the order of time; with fewer than 40, or without whole counts, the answer is one.
    seed : int or None
        Of the halves, and of the factorisation.

    References
    ----------
    A. Neufeld, A. Dharamshi, L. L. Gao, D. Witten, J. Mach. Learn. Res. 25 (2024) 57: splitting
    counts by thinning.
    """
    counts: IntArray = np.asarray(background.values).astype(np.int64)
    if len(background) < FEWEST or not np.array_equal(counts, background.values):
        return 1
    half = np.random.default_rng(seed).binomial(counts, 0.5)
    before = _predicted(background, half, counts - half, 1, seed)
    for number in range(2, _MOST + 1):
        after = _predicted(background, half, counts - half, number, seed)
        gain = after - before
        if not gain.sum() > gain.std() * np.sqrt(len(gain)):
            return number - 1
        before = after
    return _MOST


def _predicted(
    background: Spectra, half: IntArray, rest: IntArray, number: int, seed: int | None
) -> FloatArray:
    """Logarithm of the likelihood of one half of the counts given the other, for each spectrum."""
    found = np.zeros(len(background))
    for others, block in blocks_of_time(len(background)):
        library = background_library(background[others], None, "background", number, seed)
        if library is None:
            continue
        shapes = library.templates + _UNSEEN
        shapes = shapes / shapes.sum(axis=1, keepdims=True)
        observed = half[block].astype(np.float64)
        expected = em_amounts(observed, shapes, iterations=_ITERATIONS, tolerance=1e-5) @ shapes
        found[block] = (xlogy(rest[block], np.maximum(expected, 1e-300)) - expected).sum(axis=1)
    return found
