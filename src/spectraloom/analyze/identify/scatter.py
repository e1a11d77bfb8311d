"""How much more than by counting amounts scatter: misfit, and the error of the background."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.identify.misfit import dispersion_of
from spectraloom.analyze.likelihood import LikelihoodFit
from spectraloom.data.library import Library


def counts_of(fit: LikelihoodFit, background: Library | None) -> tuple[FloatArray, FloatArray]:
    """All counts that were fitted, and those of the background, each of shape (n,).

    Rates and intensities are worth the counts that would have their relative variance: for rates,
    those that were counted.
    """
    under = np.zeros(len(fit))
    if background is not None:
        under = fit.amounts[:, fit.names.index(background.names[0])]
    if fit.poisson:
        return fit.observed.sum(axis=1), under
    sums = fit.fitted.sum(axis=1)
    worth = sums / fit.variances.sum(axis=1)
    return sums * worth, under * worth


def learned_counts(background: Library | None) -> float:
    """Counts that the background was learned from; infinite where it is not known to be learned."""
    if background is None or background.weights is None:
        return np.inf
    return float(background.weights.sum())


def scatter_of(fit: LikelihoodFit, background: Library | None) -> FloatArray:
    """Factor by which variances are larger than those of counting, at least one, shape (n,).

    The over-dispersion of the fit, and no less than the noise of a background that was itself
    learned from counts: B counts of it, of T in the spectrum, learned from N, add B**2 / N to the
    variance T. A fit need not show it: the error looks like a source as often as like noise, and
    a smoothed background has no other.
    """
    totals, under = counts_of(fit, background)
    # The amount reaches beyond the bins that are fitted, as the counts do it was learned from.
    inside = np.minimum(under, totals)
    part = np.divide(inside, totals, out=np.zeros(len(fit)), where=totals > 0)
    return np.maximum(dispersion_of(fit), 1.0 + part * under / learned_counts(background))
