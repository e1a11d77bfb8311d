"""Passes of a source by a detector: where it is, and how near it seems."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spectraloom._typing import FloatArray


class Track(NamedTuple):
    """Spectra of a pass, one after another.

    Attributes
    ----------
    time : ndarray, shape (n,)
        Begin of each spectrum since that of the pass, s.
    position : ndarray, shape (n,)
        Along the way at the middle of each spectrum, cm; zero at the closest approach.
    distance : ndarray, shape (n,)
        Distance at which a source at rest gives what this one gives, cm: the mean of 1/r2 over the
        time of the spectrum is the inverse of its square.
    """

    time: FloatArray
    position: FloatArray
    distance: FloatArray


def track(closest: float, speed: float, interval: float, steps: int) -> Track:
    """Follow a source on a straight line, past the detector in the middle of the pass.

    Parameters
    ----------
    closest : float
        Distance at the closest approach, cm.
    speed : float
        cm/s.
    interval : float
        Time of each spectrum, s.
    steps : int
        Number of spectra.

    Returns
    -------
    Track
        Attenuation by air is not in the mean over a spectrum: it changes little in that time.

    Examples
    --------
    >>> track(100.0, 100.0, 1.0, 3).position
    array([-100.,    0.,  100.])
    """
    edges = (np.arange(steps + 1) - 0.5 * steps) * interval
    ways = edges * speed
    # The integral of 1 / (c2 + x2) is atan(x / c) / c. The difference of two angles is taken as
    # one angle, so that far away, or at a crawl, nothing cancels.
    length = np.diff(ways)
    angle = np.arctan2(closest * length, closest**2 + ways[1:] * ways[:-1])
    middle = 0.5 * (ways[1:] + ways[:-1])
    return Track(edges[:-1] - edges[0], middle, np.sqrt(closest * length / angle))
