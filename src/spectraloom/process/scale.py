"""Divide spectra by their area or by their live time."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn.utils.validation import check_non_negative

from spectraloom._typing import Array, BoolArray, FloatArray
from spectraloom.data import Spectra
from spectraloom.errors import DataError
from spectraloom.process.base import Transformer

Scale = Literal["area", "live_time"]
_ROWS_NAMED = 5


def normalize(spectra: Spectra, by: Scale = "area") -> Spectra:
    """Divide every spectrum by its area, or by its live time.

    Parameters
    ----------
    spectra : Spectra
        By area: real spectra with a positive sum, differences included. By live time: counts.
    by : {"area", "live_time"}
        ``area`` divides by the sum over channels, so that each spectrum sums to one (on points,
        too: the sum, not an integral). ``live_time`` divides by the live time in seconds.

    Returns
    -------
    Spectra
        Kind ``intensity`` by area, ``rate`` by live time, with the variance per channel wherever
        that of the spectra is known (counts are their own variance). Channels are taken as
        independent; a share and the area it is divided by are not, and this is accounted for: a
        share p of N counts has the variance p (1 - p) / N.

    Raises
    ------
    DataError
        If spectra have no positive area or no known live time (it says which), or this kind
        cannot be divided so.
    """
    if by == "area":
        return _by_area(spectra)
    if by == "live_time":
        return _by_live_time(spectra)
    raise DataError(f"spectra are normalised by 'area' or 'live_time', not by {by!r}")


class Normalize(Transformer):
    """Transformer over :func:`normalize`.

    Spectra without a positive sum are an error, as in the function. A plain array says nothing of
    what it holds: negative values in it are refused (difference spectra pass as Spectra), and rows
    of zeros stay zero, as in scikit-learn's own ``Normalizer``.

    Parameters
    ----------
    by : {"area", "live_time"}
        What to divide by. Live times come with Spectra only.
    """

    def __init__(self, by: Scale = "area") -> None:
        self.by = by

    def _check_array(self, values: Array) -> None:
        check_non_negative(values, type(self).__name__)

    def _apply_to_array(self, values: Array) -> Array:
        filled = values.any(axis=1)
        normalized = np.zeros_like(values)
        if filled.any():
            normalized[filled] = super()._apply_to_array(values[filled])
        return normalized

    def _apply(self, spectra: Spectra) -> Spectra:
        return normalize(spectra, self.by)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


def counting_variance(spectra: Spectra) -> Array | None:
    """Variance per channel: the one given, or the counts themselves; None where unknown."""
    if spectra.variance is not None:
        return spectra.variance
    return spectra.values if spectra.kind == "counts" else None


def name_rows(wrong: BoolArray) -> str:
    """Rows that `wrong` marks, for a message: ``3 of 90 spectra (rows 4, 5, 17)``."""
    rows = np.flatnonzero(wrong)
    shown = ", ".join(str(row) for row in rows[:_ROWS_NAMED])
    more = ", ..." if rows.size > _ROWS_NAMED else ""
    return f"{rows.size} of {wrong.size} spectra (rows {shown}{more})"


def known_live_times(spectra: Spectra, doing: str) -> FloatArray:
    """Live times, all positive, or an error that says which are not.

    Raises
    ------
    DataError
        If a live time is unknown or zero.
    """
    times = spectra.live_time
    if times is None:
        raise DataError(f"{doing} needs live times, but the spectra have none")
    wrong = ~(times > 0) | ~np.isfinite(times)
    if wrong.any():
        raise DataError(
            f"{doing} needs positive live times, but {name_rows(wrong)} have none: drop them or "
            "give their live times with spectra.replace(live_time=...)"
        )
    return times


def _by_area(spectra: Spectra) -> Spectra:
    if spectra.kind == "complex":
        raise DataError("complex spectra have no area to divide by: take their magnitude first")
    totals = spectra.totals[:, np.newaxis]
    wrong = ~(totals[:, 0] > 0)
    if wrong.any():
        raise DataError(
            f"cannot normalise by area, because {name_rows(wrong)} have no positive sum: drop "
            "them, e.g. with spectraloom.process.drop_empty"
        )
    shares = spectra.values / totals
    variance = counting_variance(spectra)
    if variance is not None:
        whole = variance.sum(axis=1, dtype=np.float64, keepdims=True)
        # First-order propagation through p = x / sum(x); rounding may leave a tiny negative.
        variance = np.maximum(variance * (1.0 - 2.0 * shares) + shares**2 * whole, 0.0) / totals**2
    return spectra.replace(values=shares, kind="intensity", variance=variance)


def _by_live_time(spectra: Spectra) -> Spectra:
    if spectra.kind != "counts":
        raise DataError(
            f"only counts are divided by live time, and these spectra are {spectra.kind}: "
            "normalise before subtracting or smoothing"
        )
    seconds = known_live_times(spectra, "normalising by live time")[:, np.newaxis]
    variance = spectra.values if spectra.variance is None else spectra.variance
    return spectra.replace(
        values=spectra.values / seconds, kind="rate", variance=variance / seconds**2
    )
