"""What every writer of instrument files asks of spectra before it writes them."""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np

from spectraloom._typing import Array
from spectraloom.data import Spectra
from spectraloom.errors import FormatError

# What XML cannot hold, and the control characters that it can.
_NO_TEXT = re.compile("[^ -~\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")


def require_counts(spectra: Spectra, format_name: str) -> None:
    """Refuse what an instrument format cannot hold.

    Raises
    ------
    FormatError
        If there are no spectra, they are no counts, carry a variance of their own, or the axis is
        neither one of energy bins in keV nor bare channels.
    """
    if len(spectra) == 0:
        raise FormatError(f"{format_name}: there are no spectra to write")
    if spectra.kind != "counts" or spectra.variance is not None:
        raise FormatError(
            f"{format_name} holds counts; these spectra are of kind {spectra.kind!r}"
            f"{' with a variance' if spectra.variance is not None else ''}: "
            "write them as npz or zarr"
        )
    axis = spectra.axis
    if not axis.binned or (axis.is_calibrated and (axis.quantity, axis.unit) != ("energy", "keV")):
        raise FormatError(
            f"{format_name} holds spectra over energy bins in keV or bare channels, not over "
            f"{axis.describe()}: write them as npz or zarr"
        )


def require_one(spectra: Spectra, format_name: str) -> None:
    """Refuse several spectra for a format that holds one.

    Raises
    ------
    FormatError
        If there is not exactly one.
    """
    if len(spectra) != 1:
        raise FormatError(
            f"{format_name} holds one spectrum, there are {len(spectra)}: write one file each, "
            "or use N42 or PCF"
        )


def text_column(spectra: Spectra, name: str) -> list[str]:
    """A column of texts on one line each; empty where there is none.

    Control characters, which no text format can hold, become blanks; reading back tells that the
    column has changed.
    """
    column = spectra.columns.get(name)
    if column is None or column.dtype.kind != "U":
        return [""] * len(spectra)
    return [" ".join(_NO_TEXT.sub(" ", str(text)).split()) for text in column]


def start_moments(spectra: Spectra) -> list[datetime | None]:
    """The column ``start_time``, to the microsecond; None where it is not known."""
    column = spectra.columns.get("start_time")
    if column is None or column.dtype.kind != "M":
        return [None] * len(spectra)
    moments = column.astype("M8[us]").tolist()
    # A year beyond 9999 comes as a number.
    return [moment if isinstance(moment, datetime) else None for moment in moments]


def time_or_zero(times: Array | None, row: int) -> float:
    """Live or real time for formats that write zero for "not known"."""
    return 0.0 if times is None or np.isnan(times[row]) else float(times[row])
