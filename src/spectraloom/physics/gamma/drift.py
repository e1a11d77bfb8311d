"""Drift of gain and offset, as temperature makes it, and what it does to an expected spectrum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.data import Axis
from spectraloom.errors import AxisError, DataError
from spectraloom.physics.gamma.drift_kernel import move


class Drift(NamedTuple):
    """How the energies of a detector have drifted: E is counted at gain * E + offset.

    Attributes
    ----------
    gain : ndarray, shape (n,)
        One where there is no drift.
    offset : ndarray, shape (n,)
        keV.
    """

    gain: FloatArray
    offset: FloatArray


def drift(
    times: npt.ArrayLike,
    *,
    gain: float = 0.005,
    offset: float = 0.0,
    correlation_time: float = 3600.0,
    seed: int | np.random.Generator,
) -> Drift:
    """Draw gain and offset at some times.

    Both follow one temperature: a random walk that is pulled back to its mean (Ornstein and
    Uhlenbeck 1930), with the correlation exp(-t / correlation_time) between times t apart. It is
    drawn exactly, whatever the times, and has no beginning: the first time is as far from the mean
    as any other.

    Parameters
    ----------
    times : array_like, shape (n,)
        Seconds, not falling.
    gain : float
        Standard deviation of the gain around one.
    offset : float
        Standard deviation of the offset around zero, keV. Below zero it falls as the gain rises.
    correlation_time : float
        Seconds.
    seed : int or numpy.random.Generator
        The same seed gives the same drift.

    Returns
    -------
    Drift
        Gain and offset at each time.

    Raises
    ------
    DataError
        If times fall or a number is out of range.

    Examples
    --------
    >>> walk = drift([0.0, 600.0, 1200.0], gain=0.01, seed=1)
    >>> walk.gain.shape
    (3,)
    """
    at = np.asarray(times, dtype=np.float64)
    if at.ndim != 1 or not np.isfinite(at).all() or (np.diff(at) < 0).any():
        raise DataError("times are a list of seconds that do not fall")
    if not 0 <= gain <= 0.1:
        raise DataError(f"gain is a standard deviation from 0 to 0.1, got {gain:g}")
    if not np.isfinite(offset):
        raise DataError(f"offset is a number of keV, got {offset:g}")
    if not 0 < correlation_time < np.inf:
        raise DataError(f"correlation_time is above 0 s, got {correlation_time:g}")
    steps = np.random.default_rng(seed).standard_normal(at.size)
    kept = np.exp(-np.diff(at) / correlation_time)
    new = np.sqrt(-np.expm1(-2.0 * np.diff(at) / correlation_time))
    temperature = steps.copy()
    for i in range(1, at.size):
        temperature[i] = kept[i - 1] * temperature[i - 1] + new[i - 1] * steps[i]
    return Drift(1.0 + gain * temperature, offset * temperature)


def drifted(
    rates: npt.ArrayLike, axis: Axis, gain: npt.ArrayLike = 1.0, offset: npt.ArrayLike = 0.0
) -> FloatArray:
    """Expected spectra whose energies have drifted to gain * E + offset.

    The edges of the channels move, not the counts in them: a channel is left with its share of
    every channel that has moved over it, and nothing is lost but what moves off the axis.

    Parameters
    ----------
    rates : array_like, shape (n_channels,) or (n_spectra, n_channels)
        Expected counts or rates in each channel.
    axis : Axis
        Bins.
    gain : array_like, shape () or (n_spectra,)
        Above zero.
    offset : array_like, shape () or (n_spectra,)
        In the unit of the axis.

    Returns
    -------
    ndarray, shape (n_channels,) or (n_spectra, n_channels)
        One spectrum and several gains give several.

    Raises
    ------
    DataError
        If a gain is not above zero, or gains and offsets do not fit the spectra.
    AxisError
        If the axis has no bins or another number of channels.
    """
    rows = np.asarray(rates, dtype=np.float64)
    edges = axis.edges
    if rows.ndim not in (1, 2) or rows.shape[-1] != edges.size - 1:
        raise AxisError(
            f"spectra of shape {rows.shape} do not fit the axis: it has {axis.describe()}"
        )
    gains, offsets = np.asarray(gain, dtype=np.float64), np.asarray(offset, dtype=np.float64)
    if not (np.isfinite(gains).all() and (gains > 0).all() and np.isfinite(offsets).all()):
        raise DataError("gains are numbers above zero, and offsets are finite")
    try:
        shape = np.broadcast_shapes(rows.shape[:-1], gains.shape, offsets.shape)
    except ValueError:
        raise DataError(
            f"gains of shape {gains.shape} and offsets of shape {offsets.shape} do not fit spectra "
            f"of shape {rows.shape}: give one for all, or one for each"
        ) from None
    if len(shape) > 1:
        raise DataError(f"gains and offsets are numbers or lists, got shape {shape}")
    n = shape[0] if shape else 1
    moved = np.empty((n, edges.size - 1))
    # Copies, so that one compiled version serves all.
    spectra = np.array(np.broadcast_to(rows, moved.shape))
    each = [np.array(np.broadcast_to(one, n)) for one in (gains, offsets)]
    move(spectra, edges, each[0], each[1], moved)
    return moved.reshape((*shape, edges.size - 1))
