"""Gaps in a series: where spectra do not follow each other in time."""

from __future__ import annotations

import itertools

import numpy as np

from spectraloom._typing import Array, BoolArray
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError

_MISSED = 2.0  # intervals from one beginning to the next: a spectrum or more is missing
_CLOCK = 1.0  # seconds that beginnings are often rounded to


def start_times(spectra: Spectra) -> Array | None:
    """When each spectrum began, shape (n,); None where some do not say."""
    times = spectra.columns.get("start_time")
    if times is None or times.dtype.kind != "M" or np.isnat(times).any():
        return None
    return times


def after_gaps(spectra: Spectra, interval: float, latest: Array | None = None) -> BoolArray:
    """Whether spectra began later than they would if none were missing before them, shape (n,).

    Parameters
    ----------
    spectra : Spectra
        In the order of time. Where some do not say when they began no gap is known.
    interval : float
        Seconds from one spectrum to the next. A gap is longer than two of them and one second
        more, as times are often given in whole seconds.
    latest : ndarray of datetime64, shape (1,), optional
        When the spectrum before the first one began.

    Raises
    ------
    DataError
        If the spectra are not in the order of time.
    """
    times = start_times(spectra)
    if times is None:
        return np.zeros(len(spectra), dtype=bool)
    before = times[:1] if latest is None else latest
    passed = np.diff(np.concatenate([before, times])) / np.timedelta64(1, "us") / 1e6
    if (passed < 0).any():
        row = int(np.argmax(passed < 0))
        raise DataError(
            f"a series is in the order of time, but spectrum {row} began at {times[row]}, before "
            "the one in front of it: sort the spectra by start_time"
        )
    return np.asarray(passed > _MISSED * interval + _CLOCK)


def stretches(new: BoolArray) -> list[slice]:
    """Rows between gaps, in order; one slice if there is none.

    Parameters
    ----------
    new : ndarray of bool, shape (n,)
        As :func:`after_gaps` gives it.
    """
    bounds = [0, *(np.flatnonzero(new[1:]) + 1).tolist(), len(new)]
    return [slice(first, stop) for first, stop in itertools.pairwise(bounds)]
