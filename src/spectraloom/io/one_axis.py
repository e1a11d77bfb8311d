"""Bringing what was read onto one axis: the plain case of ``spectraloom.process.rebin``.

Reading lies below processing, so the few lines that it needs are here, on the same kernel; the
answer is the same, column ``counts_outside`` and variance included.
"""

from __future__ import annotations

import numpy as np

from spectraloom.data import Axis, Spectra
from spectraloom.data.overlap import overlap_pieces, overlap_rebin, share_outside
from spectraloom.errors import AxisError


def on_axis(spectra: Spectra, axis: Axis) -> Spectra:
    """Rebin counts or rates, preserving them.

    Parameters
    ----------
    spectra : Spectra
        Calibrated counts or rates over bins.
    axis : Axis
        The bins wanted, of the same quantity and unit.

    Returns
    -------
    Spectra
        With a column ``counts_outside`` (``rate_outside``): what of each spectrum lies outside
        the new axis.

    Raises
    ------
    AxisError
        If an axis is uncalibrated or of points, they measure different things or do not overlap.
    """
    old = spectra.axis
    outside = f"{spectra.kind}_outside"
    if old.isclose(axis):
        if spectra.kind not in ("counts", "rate"):
            return spectra
        return spectra.with_columns(**{outside: np.zeros(len(spectra))})
    if not old.is_calibrated or not axis.is_calibrated:
        raise AxisError(
            f"only calibrated spectra can be rebinned to another axis: {old.describe()} to "
            f"{axis.describe()}; calibrate them first, or use spectraloom.read_groups"
        )
    same = (old.quantity, old.unit) == (axis.quantity, axis.unit)
    if not same or spectra.kind not in ("counts", "rate"):
        raise AxisError(
            f"spectra of kind {spectra.kind!r} over {old.describe()} cannot be rebinned to "
            f"{axis.describe()} while reading: use spectraloom.read_groups, then "
            "spectraloom.process.rebin"
        )
    old_bins, new_bins, fraction = overlap_pieces(old.edges, axis.edges)
    if not old_bins.size:
        raise AxisError(f"no part of {old.describe()} lies in {axis.describe()}")
    values = overlap_rebin(spectra.values, old.edges, axis.edges)
    variance = spectra.variance
    if variance is None and spectra.kind == "counts" and (fraction < 1.0).any():
        variance = spectra.values
    if variance is not None:
        # A share f of counts with variance V has the variance f^2 V.
        moved = np.zeros((len(spectra), axis.n_channels))
        starts = np.flatnonzero(np.diff(new_bins, prepend=-1))
        pieces = np.asarray(variance, dtype=np.float64)[:, old_bins] * fraction**2
        moved[:, new_bins[starts]] = np.add.reduceat(pieces, starts, axis=1)
        variance = moved
    cut = share_outside(old.edges, axis.edges)
    rebinned = spectra.replace(values=values, axis=axis, variance=variance)
    return rebinned.with_columns(**{outside: spectra.values @ cut})
