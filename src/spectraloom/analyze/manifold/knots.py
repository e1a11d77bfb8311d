"""How many knots signatures need: the fewest that predict thicknesses left out as well as any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.misfit import left_out_excess
from spectraloom.data.spectra import Spectra
from spectraloom.errors import FitError

KNOTS = (5, 7, 10, 14, 20, 28, 40, 56)


def choose_knots(
    spectra: Spectra,
    deformation: str = "thickness",
    *,
    candidates: Sequence[int] = KNOTS,
    **settings: Any,
) -> int:
    """Fewest knots that predict values of the deformation which were left out as well as any.

    Every number of knots is judged on the same spectra, by the likelihood of those that were left
    out in turn. Of the numbers whose likelihood is less than the largest by no more than one
    standard error of the difference, the smallest is taken (Breiman et al. 1984): more knots are
    not shown to be better. With few counts that is a rather smooth curve.

    Parameters
    ----------
    spectra : Spectra
        Counts, each with exactly one label, as for
        :meth:`~spectraloom.analyze.manifold.interpolated.InterpolatedSignature.from_spectra`.
    deformation : str
        Column that holds the coordinate.
    candidates : sequence of int
        Numbers to try; those above the number of different values are passed over.
    **settings
        Others of ``from_spectra``.

    Raises
    ------
    FitError
        If no number can be tried.

    Notes
    -----
    Noise that spectra at neighbouring values share, as simulations with the same random numbers
    do, is not told from signal: leaving one out cannot see it, and many knots follow it.

    References
    ----------
    L. Breiman, J. Friedman, R. Olshen, C. Stone, Classification and Regression Trees, Wadsworth
    1984, section 3.4.3, doi:10.1201/9781315139470.
    """
    most = len(np.unique(spectra.column(deformation)))
    tried = sorted({number for number in candidates if number <= most})
    if not tried:
        raise FitError(f"{most} values of {deformation} are too few for {min(candidates)} knots")
    excess = []
    for number in tried:

        def build(some: Spectra, number: int = number) -> InterpolatedSignature:
            return InterpolatedSignature.from_spectra(some, deformation, knots=number, **settings)

        found = left_out_excess(spectra, build, deformation=deformation)
        excess.append(found[np.isfinite(found)])
    # What chance makes of a deviance is the same for all numbers, and drops out of the differences.
    worse = np.array(excess) - excess[int(np.argmin(np.sum(excess, axis=1)))]
    errors = worse.std(axis=1, ddof=1) * np.sqrt(worse.shape[1])
    return tried[int(np.argmax(worse.sum(axis=1) <= errors))]
