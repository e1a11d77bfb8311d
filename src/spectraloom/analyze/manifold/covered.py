"""Which bins of the data signatures and background tell of."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.data.axis import Axis
from spectraloom.errors import AxisError

_WIDTHS = 3.0  # of the priors of gain and offset that the fitted bins stay inside the signatures
_ROUNDING = 1e-9


def edges_to_fit(
    axis: Axis,
    own: Axis,
    background: Axis | None,
    gain: float,
    offset: float,
    window: tuple[float, float] | None,
) -> FloatArray:
    """Edges of the bins that signatures and background cover, wherever the gain moves them.

    Nothing is expected beyond the end of a template: one count there would forbid a gain.

    Parameters
    ----------
    axis : Axis
        Of the spectra.
    own : Axis
        Of the signatures.
    background : Axis or None
    gain, offset : float
        Widths of their priors, zero where they are not fitted.
    window : (float, float) or None
        Part of the axis to fit.

    Returns
    -------
    ndarray, shape (n + 1,)

    Raises
    ------
    AxisError
        If the axes are of different kinds, or there is no such bin.
    """
    kinds = [(one.quantity, one.unit, one.is_calibrated) for one in (axis, own)]
    if kinds[0] != kinds[1] or not (axis.is_calibrated or axis.n_channels == own.n_channels):
        raise AxisError(
            f"the spectra have {axis.describe()}, the signatures {own.describe()}: "
            f"{_how_to_match(axis, own)}"
        )
    axes = [own] if background is None else [own, background]
    low = max(float(one.edges[0]) for one in axes)
    high = min(float(one.edges[-1]) for one in axes)
    low += abs(low) * _WIDTHS * gain + _WIDTHS * offset
    high -= abs(high) * _WIDTHS * gain + _WIDTHS * offset
    if not low < high:
        raise AxisError(
            f"a gain of {gain:g} and an offset of {offset:g} {own.unit} (standard deviations) "
            "could move every bin beyond the end of the signatures: give smaller ones"
        )
    room = _ROUNDING * (high - low)
    edges = axis.edges
    inside = (edges[:-1] >= low - room) & (edges[1:] <= high + room)
    if window is not None:
        inside &= (axis.centers >= window[0]) & (axis.centers <= window[1])
    if not inside.any():
        part = "" if window is None else " in the window {:g} to {:g}".format(*window)
        raise AxisError(
            f"the spectra ({axis.describe()}) and the signatures, which tell of {low:g} to "
            f"{high:g} {axis.unit}, do not overlap{part}"
        )
    channels = np.flatnonzero(inside)
    return np.asarray(axis[int(channels[0]) : int(channels[-1]) + 1].edges)


def _how_to_match(axis: Axis, own: Axis) -> str:
    """What to do about spectra on another kind of axis than the signatures."""
    if axis.is_calibrated and own.is_calibrated:
        return (
            "they have to measure the same quantity in the same unit: convert the axis of the "
            "spectra"
        )
    if own.is_calibrated:
        return "calibrate the spectra"
    if axis.is_calibrated:
        return "calibrate the spectra that signatures are learned from, and learn them again"
    return "give as many channels, or calibrate both"
