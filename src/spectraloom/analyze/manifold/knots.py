"""How many knots signatures need: as many as predict thicknesses that were left out best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.misfit import left_out_errors
from spectraloom.data.spectra import Spectra
from spectraloom.errors import FitError

KNOTS = (5, 7, 10, 14, 20, 28)


def choose_knots(
    spectra: Spectra,
    deformation: str = "thickness",
    *,
    candidates: Sequence[int] = KNOTS,
    **settings: Any,
) -> int:
    """Number of knots with the least error at values of the deformation that were left out.

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
    """
    most = len(np.unique(spectra.column(deformation)))
    tried = [number for number in candidates if number <= most]
    if not tried:
        raise FitError(f"{most} values of {deformation} are too few for {min(candidates)} knots")
    errors = []
    for number in tried:

        def build(some: Spectra, number: int = number) -> InterpolatedSignature:
            return InterpolatedSignature.from_spectra(some, deformation, knots=number, **settings)

        found = left_out_errors(spectra, build, deformation=deformation)
        errors.append(sum(error**2 for error in found.values()))
    return tried[int(np.argmin(errors))]
