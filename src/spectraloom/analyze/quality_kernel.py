"""Compiled sums of what chance makes of the deviance; imported when a fit was made."""

from __future__ import annotations

import numpy as np

from spectraloom.analyze.compiled import compiled


@compiled
def sum_moments(expected, first, step, means, variances, most, mean, variance):  # type: ignore[no-untyped-def]
    """Fill the sums over bins of mean and variance of the Poisson deviance.

    Parameters
    ----------
    expected : (n, m) expected counts
    first, step : float, logarithm of the first place of the tables, and between two places
    means, variances : (k,) tables
    most : float, expected counts above which the expansion for many counts holds
    mean, variance : (n,), filled here
    """
    last = len(means) - 2
    for row in range(len(expected)):
        one, two = 0.0, 0.0
        for c in range(expected.shape[1]):
            x = expected[row, c]
            if x > most:
                one += 1.0 + 1.0 / (6.0 * x)
                two += 2.0 + 2.0 / (3.0 * x)
                continue
            place = (np.log(max(x, 1e-300)) - first) / step
            place = min(max(place, 0.0), last + 1.0)
            low = min(int(place), last)
            part = place - low
            one += means[low] + part * (means[low + 1] - means[low])
            two += variances[low] + part * (variances[low + 1] - variances[low])
        mean[row] = one
        variance[row] = two
