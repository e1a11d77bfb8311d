"""Radon daughters that rain brings to the ground."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError
from spectraloom.physics.gamma.nuclides import nuclide


def washed_out(
    time: npt.ArrayLike,
    duration: npt.ArrayLike,
    rate: npt.ArrayLike,
    ratio: npt.ArrayLike = 1.0,
) -> FloatArray:
    """Activity of Pb-214 and Bi-214 on the ground after it began to rain.

    Rain brings both at an even rate; on the ground Pb-214 decays to Bi-214 (Bateman 1910).

    Parameters
    ----------
    time : array_like
        s since the rain began; before, there is none.
    duration : array_like
        s that it rains.
    rate : array_like
        Activity of Pb-214 that comes down, Bq/(m2 s): that of the rain water in Bq/L times the
        rain in mm/s.
    ratio : array_like
        Activity of Bi-214 over that of Pb-214 in the rain; near one where the daughters are near
        equilibrium in the cloud.

    Returns
    -------
    ndarray, shape (..., 2)
        Bq/m2 of Pb-214 and Bi-214.

    Raises
    ------
    DataError
        If a duration, rate or ratio is negative, or anything is not finite.
    """
    at, lasts, brought, mixed = np.broadcast_arrays(
        *(np.asarray(part, dtype=np.float64) for part in (time, duration, rate, ratio))
    )
    for name, part in (("duration", lasts), ("rate", brought), ("ratio", mixed)):
        if not (np.isfinite(part) & (part >= 0)).all():
            raise DataError(f"the {name} of rain is zero or more; got {part!r}")
    if not np.isfinite(at).all():
        raise DataError(f"a time is a finite number of seconds; got {time!r}")
    lead, bismuth = (nuclide(name).decay_constant for name in ("Pb214", "Bi214"))
    raining = np.clip(at, 0.0, lasts)
    dry = np.maximum(at - lasts, 0.0)
    grown = -np.expm1(-lead * raining) / lead
    other = -np.expm1(-bismuth * raining) / bismuth
    feeding = bismuth / (bismuth - lead)
    first = brought * grown
    second = brought * (mixed * other + feeding * (grown - other))
    kept, later = np.exp(-lead * dry), np.exp(-bismuth * dry)
    return np.stack([first * kept, second * later + first * feeding * (kept - later)], axis=-1)
