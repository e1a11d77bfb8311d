"""What dead time and pile-up make of an expected spectrum.

A pulse that finds the detector ready is recorded. Those that follow within the resolving time are
added to it: one count at the sum of their energies. Those that follow later, while the detector is
still dead, are lost. In a non-paralysable detector they leave no trace; in a paralysable one each
begins the dead time anew, from which it wakes only after a pause as long as the dead time.

For pulses that come at random (Poisson) at a rate r all of it has a closed form. The number of
pulses that join a recorded one is Poisson with mean r times the resolving time, whatever came
before, so the spectrum of what is recorded is that of one pulse, convolved with itself once for
each that joins. Pulse shapes are left out: a sum counts in full or not at all, and none is
rejected. Pulses outside of the axis are not known and count for nothing.

Knoll, G. F. (2010), Radiation Detection and Measurement, 4th ed., chapters 4.VII and 17.VIII.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft

from spectraloom._typing import FloatArray, IntArray
from spectraloom.data import Axis
from spectraloom.data.overlap import add_pieces, overlap_pieces
from spectraloom.errors import AxisError, DataError

_MOST_PILE_UP = 5.0
_LEAST_SHARE = 1e-12  # of sums of still more pulses, which are left out
_CELLS_PER_CHANNEL = 2.0
_MOST_CELLS = 1 << 16


def live_fraction(
    rate: npt.ArrayLike, dead_time: float, *, paralysable: bool = False
) -> FloatArray:
    """Share of pulses that find the detector ready.

    It is also the share of time in which the detector is ready, as pulses come at random.

    Parameters
    ----------
    rate : array_like
        Pulses per second, recorded or not.
    dead_time : float
        Seconds.
    paralysable : bool
        Whether a pulse in the dead time prolongs it.

    Returns
    -------
    ndarray
        1 / (1 + r t), or exp(-r t) if paralysable, in the shape of `rate`.

    Raises
    ------
    DataError
        If a rate or the dead time is negative.

    Examples
    --------
    >>> float(live_fraction(1e5, 10e-6))
    0.5
    """
    rates = np.asarray(rate, dtype=np.float64)
    _require_rates(rates)
    _require_time("dead_time", dead_time)
    expected = rates * dead_time
    return np.asarray(np.exp(-expected) if paralysable else 1.0 / (1.0 + expected))


def recorded(
    rates: npt.ArrayLike,
    axis: Axis,
    *,
    dead_time: float = 0.0,
    pile_up_time: float = 0.0,
    paralysable: bool = False,
) -> FloatArray:
    """Rates that are recorded, after pile-up and dead time.

    Parameters
    ----------
    rates : array_like, shape (n_channels,) or (n_spectra, n_channels)
        Expected pulses per second in each channel.
    axis : Axis
        Bins in keV, on which energies of pulses add up.
    dead_time : float
        Seconds. While pulses add up nothing else can be recorded: where `pile_up_time` is longer,
        it is the dead time.
    pile_up_time : float
        Resolving time, seconds.
    paralysable : bool
        Whether a pulse in the dead time prolongs it.

    Returns
    -------
    ndarray, shape of `rates`
        Expected counts per second of real time. With pile-up alone every pulse ends in one of
        them, so that the sum of their energies is that of the pulses; what adds up to more than
        the axis holds is not counted.

    Raises
    ------
    DataError
        If rates or times are negative, or more than 5 pulses are expected in the resolving time.
    AxisError
        If the axis has no bins or another number of channels.
    """
    given = np.asarray(rates, dtype=np.float64)
    _require_rates(given)
    _require_time("dead_time", dead_time)
    _require_time("pile_up_time", pile_up_time)
    if given.ndim not in (1, 2) or given.shape[-1] != axis.edges.size - 1:
        raise AxisError(
            f"rates of shape {given.shape} do not fit the axis: it has {axis.describe()}"
        )
    rows = np.atleast_2d(given)
    totals = rows.sum(axis=1)
    live = live_fraction(totals, max(dead_time, pile_up_time), paralysable=paralysable)
    joining = totals * pile_up_time
    if not joining.size or joining.max() == 0.0:
        return np.asarray(rows * live[:, np.newaxis]).reshape(given.shape)
    if joining.max() > _MOST_PILE_UP:
        raise DataError(
            f"{joining.max():.3g} pulses are expected within the resolving time, but a spectrum is "
            f"computed for up to {_MOST_PILE_UP:g}: take a lower rate or a shorter time"
        )
    shapes = np.exp(-joining)[:, np.newaxis] * rows + _sums(rows, totals, joining, axis.edges)
    return np.asarray(shapes * live[:, np.newaxis]).reshape(given.shape)


class _Cells(NamedTuple):
    """Cells on which energies add up: their edges are whole multiples of their width."""

    into: tuple[IntArray, IntArray, FloatArray]  # pieces of channels in cells
    back: tuple[IntArray, IntArray, FloatArray]  # pieces of cells in channels
    n: int
    below: int  # cells by which the sum of two first cells lies below the first cell ...
    above: int  # ... or above it


@lru_cache(maxsize=4)
def _cells(stored: bytes) -> _Cells:
    edges = np.frombuffer(stored)
    low, high = edges[0], edges[-1]
    width = max(np.diff(edges).min() / _CELLS_PER_CHANNEL, (high - low) / _MOST_CELLS)
    # Cells are centred on whole multiples of their width, where sums of two centres lie again.
    first, last = round(low / width), round(high / width)
    cells = width * (np.arange(first, last + 2) - 0.5)
    cells[0], cells[-1] = min(cells[0], low), max(cells[-1], high)
    return _Cells(
        overlap_pieces(edges, cells),
        overlap_pieces(cells, edges),
        len(cells) - 1,
        max(-first, 0),
        max(first, 0),
    )


def _sums(
    rows: FloatArray, totals: FloatArray, joining: FloatArray, edges: FloatArray
) -> FloatArray:
    """Rates of sums of two and more pulses per channel, shape (n, n_channels)."""
    into, back, n, below, above = _cells(np.asarray(edges, dtype=np.float64).tobytes())
    n_channels = rows.shape[1]
    # The highest rates come first: the rows that need sums of so many pulses are the first ones.
    order = np.argsort(-joining, kind="stable")
    joining, totals = joining[order], totals[order]
    pulses = add_pieces(rows[order], into, n_channels, n)
    length = next_fast_len(2 * n, real=True)
    shape = rfft(pulses / np.where(totals > 0, totals, 1.0)[:, np.newaxis], length)
    summed, term, number = np.zeros_like(pulses), pulses, 0
    chance = np.exp(-joining)
    left = -np.expm1(-joining)  # of the pulses that others join
    while (some := int(np.searchsorted(-left, -_LEAST_SHARE))) > 0:
        number += 1
        joining, chance = joining[:some], chance[:some] * joining[:some] / number
        left = left[:some] - chance
        # The convolution begins at twice the first cell; only what lies on the axis is kept.
        whole = irfft(rfft(term[:some], length) * shape[:some], length)
        term = np.zeros((some, n))
        kept = whole[:, below : below + max(n - above, 0)]
        term[:, above : above + kept.shape[1]] = np.maximum(kept, 0.0)
        summed[:some] += chance[:, np.newaxis] * term
    found = np.empty_like(rows)
    found[order] = add_pieces(summed, back, n, n_channels)
    return found


def _require_rates(rates: FloatArray) -> None:
    if not (np.isfinite(rates).all() and (rates >= 0).all()):
        raise DataError("rates are numbers of zero or more per second")


def _require_time(name: str, time: float) -> None:
    if not 0 <= time < np.inf:
        raise DataError(f"{name} is a time of zero or more, in seconds; got {time:g}")
