"""List mode: every count with its time, drawn from an expected spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray, IntArray
from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, DataError
from spectraloom.generate.list_mode_kernel import record

_MOST_PULSES = 10**8  # some gigabytes
_MOST_INTERVALS = 10**7


@dataclass(frozen=True, slots=True, eq=False)
class ListMode:
    """Counts one by one.

    Attributes
    ----------
    times : ndarray of float, shape (n,)
        Seconds since the start, not falling.
    channels : ndarray of int, shape (n,)
        Channel of each count.
    axis : Axis
        What the channels mean.
    duration : float
        Seconds of real time.
    busy : ndarray, shape (m, 2)
        Begin and end of every time in which no count could be recorded, seconds; they follow one
        another and do not overlap.

    Raises
    ------
    DataError
        If shapes do not agree, times fall or lie outside of the duration, or a channel is not one.
    """

    times: FloatArray
    channels: IntArray
    axis: Axis
    duration: float
    busy: FloatArray

    def __post_init__(self) -> None:
        n, m = len(self.times), len(self.busy)
        if self.times.shape != (n,) or self.channels.shape != (n,) or self.busy.shape != (m, 2):
            raise DataError(
                "times and channels are lists of equal length and busy has two columns; got shapes "
                f"{self.times.shape}, {self.channels.shape} and {self.busy.shape}"
            )
        for name, moments in (("times", self.times), ("busy", self.busy.ravel())):
            steps = np.diff(moments, prepend=0.0, append=self.duration)
            if not (np.isfinite(self.duration) and (steps >= 0).all()):
                raise DataError(f"{name} must not fall, from 0 s to the end at {self.duration:g} s")
        if n and not (self.channels.min() >= 0 and self.channels.max() < self.axis.n_channels):
            raise DataError(f"there are channels outside of the axis: {self.axis.describe()}")
        for name in ("times", "channels", "busy"):
            # A view, so that the array of the caller stays writeable.
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return self.times.size

    def to_spectra(self, interval: float | None = None) -> Spectra:
        """Sort the counts into spectra.

        Parameters
        ----------
        interval : float, optional
            Real time of each spectrum, s; the last is shorter if they do not fill the duration.
            None puts all counts into one.

        Returns
        -------
        Spectra
            Counts with real and live times and the column ``start`` (s). Every count is in one of
            them.

        Raises
        ------
        DataError
            If the interval is not above zero, or far too short.
        """
        length = self.duration if interval is None else interval
        if not (0 < length < np.inf and self.duration / length <= _MOST_INTERVALS):
            raise DataError(
                "an interval is a time above 0 s of which at most ten million make up the "
                f"{self.duration:g} s of this list, got {length:g}"
            )
        # An interval that is short of the end by rounding only is the last one.
        n = max(int(np.ceil(self.duration / length * (1.0 - 1e-12))), 1)
        edges = np.append(length * np.arange(n), self.duration)
        which = np.searchsorted(edges[1:-1], self.times, side="right")
        n_channels = self.axis.n_channels
        counts = np.bincount(which * n_channels + self.channels, minlength=n * n_channels)
        real = np.diff(edges)
        return Spectra(
            counts.reshape(n, n_channels).astype(np.int64),
            self.axis,
            live_time=np.clip(real - np.diff(self._busy_until(edges)), 0.0, real),
            real_time=real,
            columns={"start": edges[:-1]},
            attrs={"source": "simulated by spectraloom.generate.list_mode"},
        )

    def _busy_until(self, times: FloatArray) -> FloatArray:
        """How long the detector was busy until some times, s."""
        if not len(self.busy):
            return np.zeros(times.size)
        lengths = self.busy[:, 1] - self.busy[:, 0]
        ends = np.append(0.0, np.cumsum(lengths))
        last = np.searchsorted(self.busy[:, 0], times, side="right")
        begun = np.maximum(last - 1, 0)
        inside = np.clip(times - self.busy[begun, 0], 0.0, lengths[begun])
        return np.asarray(np.where(last > 0, ends[begun] + inside, 0.0))


def list_mode(
    expected_rates: npt.ArrayLike,
    axis: Axis,
    duration: float,
    seed: int | np.random.Generator,
    *,
    dead_time: float = 0.0,
    pile_up_time: float = 0.0,
    paralysable: bool = False,
) -> ListMode:
    """Draw the counts of a measurement one by one, with dead time and pile-up.

    Pulses come at random times. What becomes of each is decided one after the other by the rules
    that :mod:`spectraloom.physics.gamma.electronics` states; the expected spectrum of the counts
    is :func:`~spectraloom.physics.gamma.electronics.recorded`.

    Parameters
    ----------
    expected_rates : array_like, shape (n_channels,)
        Expected pulses per second in each channel. Within a channel energies are spread evenly,
        which matters to sums only.
    axis : Axis
        Bins. Energies add up on it, so it needs a calibration if there is pile-up.
    duration : float
        Seconds of real time.
    seed : int or numpy.random.Generator
        The same seed gives the same counts.
    dead_time : float
        Seconds after a pulse in which no other is recorded.
    pile_up_time : float
        Seconds after a pulse in which the energy of another is added to it. Where it is longer
        than `dead_time`, it is the dead time.
    paralysable : bool
        Whether a pulse in the dead time prolongs it.

    Returns
    -------
    ListMode
        The counts. Sums of more than the axis holds are not among them, but keep the detector
        busy.

    Raises
    ------
    DataError
        If a number is out of range.
    AxisError
        If the axis does not fit the rates, or has no calibration where it needs one.

    Examples
    --------
    >>> import numpy as np
    >>> from spectraloom import Axis
    >>> counts = list_mode(np.full(8, 20.0), Axis.regular(0, 800, 8), 10.0, seed=1, dead_time=1e-4)
    >>> counts.to_spectra(1.0).shape
    (10, 8)
    """
    rates = _require_rates(expected_rates, axis)
    for name, time in (("dead_time", dead_time), ("pile_up_time", pile_up_time)):
        if not 0 <= time < np.inf:
            raise DataError(f"{name} is a time of zero or more, in seconds; got {time:g}")
    if pile_up_time > 0 and not axis.is_calibrated:
        raise AxisError(f"energies add up in pile-up, but the axis has {axis.describe()}")
    pulses = float(rates.sum() * duration) if 0 < duration < np.inf else np.inf
    if pulses > _MOST_PULSES:
        raise DataError(
            f"duration is above 0 s and short enough for {_MOST_PULSES:g} pulses; got "
            f"{duration:g} s at {rates.sum():g} pulses per second"
        )
    rng = np.random.default_rng(seed)
    n = int(rng.poisson(pulses))
    times = np.sort(rng.uniform(0.0, duration, n))
    channels = _draw_channels(rates, n, rng)
    if max(dead_time, pile_up_time) == 0.0:
        return ListMode(times, channels, axis, float(duration), np.empty((0, 2)))
    energies = np.zeros(n)
    if pile_up_time > 0:
        energies = axis.edges[channels] + axis.widths[channels] * rng.random(n)
    kept, sums, joined, begins, ends = record(
        times, energies, max(dead_time, pile_up_time), pile_up_time, paralysable
    )
    found = channels[kept]
    # A single pulse stays in its channel whatever rounding makes of its energy.
    summed = joined > 0
    found[summed] = np.searchsorted(axis.edges, sums[summed], side="right") - 1
    inside = (found >= 0) & (found < axis.n_channels)
    busy = np.stack([begins, np.minimum(ends, duration)], axis=1)
    return ListMode(times[kept][inside], found[inside], axis, float(duration), busy)


def _draw_channels(rates: FloatArray, n: int, rng: np.random.Generator) -> IntArray:
    """Channels of pulses in order of time."""
    if not n:
        return np.empty(0, dtype=np.int64)
    per_channel = rng.multinomial(n, rates / rates.sum())
    channels = np.repeat(np.arange(rates.size), per_channel)
    return np.asarray(rng.permutation(channels), dtype=np.int64)


def _require_rates(expected_rates: npt.ArrayLike, axis: Axis) -> FloatArray:
    rates = np.asarray(expected_rates, dtype=np.float64)
    if rates.ndim != 1 or rates.size != axis.edges.size - 1:
        raise AxisError(
            f"rates of shape {rates.shape} do not fit the axis: it has {axis.describe()}"
        )
    if not (np.isfinite(rates).all() and (rates >= 0).all()):
        raise DataError("rates are numbers of zero or more per second")
    return rates
