"""Gain of the windows of a series: what was known of it before each of them began."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from spectraloom._typing import BoolArray, FloatArray, IntArray
from spectraloom.analyze.identify.drift import GainTrack, GainTracker
from spectraloom.data.spectra import Spectra

_SPREADS = 4  # steps of the width of a prior to a factor of two
_CENTERS = 2.0  # steps of its center to a width


class WindowGains:
    """Follow the gain of a series, and say what it is expected to be in a window.

    The prior of a window is what was known before its first spectrum, widened by the walk: what
    the window itself says of the gain is used once, in its own fit.

    Parameters
    ----------
    tracker : GainTracker
        It is reset.
    longest : int
        Longest window in spectra.

    Attributes
    ----------
    track : GainTrack
        Of the spectra taken last.
    """

    def __init__(self, tracker: GainTracker, longest: int) -> None:
        tracker.reset()
        self._tracker = tracker
        self._longest = longest
        self._known = np.zeros((0, 3))  # gain and deviation before a spectrum, jumps up to it
        self._kept = 0
        self._jumps = 0
        self.track = GainTrack(np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool))

    def advance(self, spectra: Spectra) -> None:
        """Take the next spectra of the series."""
        tracker, n = self._tracker, len(spectra)
        known = np.empty((n, 3))
        gains, deviations = np.empty(n), np.empty(n)
        jumps = np.zeros(n, dtype=bool)
        for row, spectrum in enumerate(spectra):
            before = tracker.gain, tracker.uncertainty
            gains[row], deviations[row], jumps[row] = tracker.step(spectrum)
            self._jumps += int(jumps[row])
            if jumps[row]:  # what was known before was given up
                before = 0.0, tracker.widest
            known[row] = *before, self._jumps
        kept = self._known[max(len(self._known) - self._longest + 1, 0) :]
        self._kept = len(kept)
        self._known = np.concatenate([kept, known])
        self.track = GainTrack(gains, deviations, jumps)

    def expected(
        self, ends: IntArray, lengths: IntArray
    ) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Gain of windows, before anything in them was seen.

        Parameters
        ----------
        ends : ndarray of int, shape (n,)
            Last spectrum of each window, among those taken last.
        lengths : ndarray of int, shape (n,)
            Numbers of spectra.

        Returns
        -------
        centers, spreads : ndarray, shape (n,)
            Rounded, so that windows with about the same gain share a fit: the center to half a
            spread, the spread up to steps of a fourth of an octave.
        whole : ndarray of bool, shape (n,)
            Whether the gain did not jump inside of the window.
        """
        tracker = self._tracker
        last = ends + self._kept
        first = last - lengths + 1
        # Variance of the mean of a random walk over its first `lengths` steps.
        walked = (lengths + 1.0) * (2.0 * lengths + 1.0) / (6.0 * lengths) * tracker.interval
        wanted = np.hypot(self._known[first, 1], tracker.walk * np.sqrt(walked))
        spreads = np.minimum(
            2.0 ** (np.ceil(np.log2(wanted) * _SPREADS) / _SPREADS), tracker.widest
        )
        steps = spreads / _CENTERS
        centers = np.round(self._known[first, 0] / steps) * steps
        return centers, spreads, np.asarray(self._known[first, 2] == self._known[last, 2])


def wander(n: int, step: float, reach: float, rng: np.random.Generator) -> FloatArray:
    """Random walk from zero, turned back at plus and minus `reach`, shape (n,).

    Parameters
    ----------
    n : int
    step : float
        Standard deviation of a step.
    reach : float
    rng : numpy.random.Generator
    """
    walked = np.cumsum(rng.normal(0.0, step, n))
    return np.asarray(reach - np.abs((walked + reach) % (4.0 * reach) - 2.0 * reach))


def at_gains(shape: FloatArray, edges: FloatArray, gains: FloatArray) -> FloatArray:
    """A spectrum as it is recorded at other gains, shape (n, n_channels).

    Counts between two edges are spread by a monotone cubic of the cumulative spectrum; beyond its
    ends the spectrum goes on as in its last channel, as the templates of an identifier do.

    Parameters
    ----------
    shape : ndarray, shape (n_channels,)
    edges : ndarray, shape (n_channels + 1,)
    gains : ndarray, shape (n,)

    References
    ----------
    F. N. Fritsch, R. E. Carlson, SIAM J. Numer. Anal. 17 (1980) 238, doi:10.1137/0717021.
    """
    reach = 0.5 * (edges[-1] - edges[0])
    total = np.append(0.0, np.cumsum(shape))
    below = total[0] - reach * shape[0] / (edges[1] - edges[0])
    above = total[-1] + reach * shape[-1] / (edges[-1] - edges[-2])
    curve = PchipInterpolator(
        np.concatenate([[edges[0] - reach], edges, [edges[-1] + reach]]),
        np.concatenate([[below], total, [above]]),
    )
    moved = np.diff(curve(edges / (1.0 + gains[:, np.newaxis])), axis=1)
    return np.asarray(np.maximum(moved, 0.0))
