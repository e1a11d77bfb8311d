"""Subtract a background and carry the variance along."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.data import Spectra
from spectraloom.data.axis import require_same_axis
from spectraloom.errors import DataError
from spectraloom.process.scale import counting_variance, known_live_times


def subtract_background(
    spectra: Spectra, background: Spectra, *, scale: npt.ArrayLike | None = None
) -> Spectra:
    """Subtract a background, scaled to the live time of each spectrum.

    Parameters
    ----------
    spectra : Spectra
        Spectra to subtract from.
    background : Spectra
        One spectrum for all, or one for each, of the same kind on the same axis. Several
        measurements of one background are summed first, see
        :func:`spectraloom.process.aggregate`.
    scale : array_like, scalar or shape (n_spectra,), optional
        Factor of the background, without uncertainty. None means the ratio of live times for
        counts and one for rates; other kinds need it.

    Returns
    -------
    Spectra
        Kind ``intensity`` (complex stays complex), negative where the background wins, with the
        variance ``var + scale^2 var_background`` per channel; counts are their own variance.
        There is no variance if one of the two is unknown.

    Raises
    ------
    AxisError
        If the axes differ.
    DataError
        If kinds or numbers of spectra do not agree, or the scale is unknown.
    """
    require_same_axis(spectra.axis, background.axis, "subtracting a background")
    if spectra.kind != background.kind:
        raise DataError(
            f"cannot subtract a background of {background.kind} from {spectra.kind}: bring both "
            "to one kind first, e.g. with spectraloom.process.normalize"
        )
    if len(background) not in (1, len(spectra)):
        raise DataError(
            f"there are {len(background)} backgrounds for {len(spectra)} spectra: give one, or "
            "one for each"
        )
    factor = _factors(spectra, background, scale)[:, np.newaxis]
    # Unsigned counts would wrap around below zero; the factor makes them float64 first.
    difference = spectra.values - factor * background.values
    variance, other = counting_variance(spectra), counting_variance(background)
    known = None if variance is None or other is None else variance + factor**2 * other
    return spectra.replace(
        values=difference,
        kind="complex" if spectra.kind == "complex" else "intensity",
        variance=known,
    )


def _factors(spectra: Spectra, background: Spectra, scale: npt.ArrayLike | None) -> FloatArray:
    if scale is None:
        if spectra.kind == "counts":
            own = known_live_times(spectra, "scaling a background to the spectra")
            return own / known_live_times(background, "scaling a background")
        if spectra.kind == "rate":
            return np.ones(len(spectra))
        raise DataError(
            f"{spectra.kind} spectra do not say how a background scales to them: give scale="
        )
    given = np.asarray(scale, dtype=np.float64)
    if given.shape not in ((), (1,), (len(spectra),)):
        raise DataError(f"scale has shape {given.shape}, but there are {len(spectra)} spectra")
    if not np.isfinite(given).all() or (given < 0).any():
        raise DataError("the scale of a background is a finite number that is zero or more")
    return np.broadcast_to(given, (len(spectra),))
