"""Spectra as they are, and the labels of their axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectraloom._typing import Array
from spectraloom.analyze.explore import label_text
from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError
from spectraloom.plot.style import (
    drawing,
    legend_above,
    line_key,
    line_look,
    plain,
    require_at_most,
    require_some,
)

_MOST = 28
_VALUES = {
    "counts": "Counts per channel",
    "rate": "Count rate per channel (1/s)",
    "intensity": "Intensity",
    "complex": "Magnitude",
}
# A logarithmic axis spans at most this: what is smaller is noise of a mean or of a model.
_DECADES = 1e-4


def plot_spectra(
    spectra: Spectra, *, names: Sequence[str] | None = None, log: bool = True
) -> Figure:
    """Spectra on top of each other.

    Parameters
    ----------
    spectra : Spectra
        At most 28. Complex spectra are shown by their magnitude.
    names : sequence of str, optional
        Names for the legend; by default the labels, where there are any, and the row.
    log : bool
        Logarithmic values; where some are negative the scale is linear around zero, or all over.

    Raises
    ------
    DataError
        If there are no spectra, or too many, or another number of names.
    """
    require_some(len(spectra), "spectra")
    require_at_most(len(spectra), _MOST, "spectra", "choose rows, e.g. spectra[:10]")
    texts = _names_of(spectra) if names is None else list(names)
    if len(texts) != len(spectra):
        raise DataError(f"there are {len(spectra)} spectra, but {len(texts)} names")
    values = np.abs(spectra.values) if spectra.kind == "complex" else spectra.values
    with drawing(height=4.4) as (figure, axes):
        ax = axes[0, 0]
        looks = [line_look(number) for number in range(len(spectra))]
        for row, look in zip(values, looks, strict=True):
            draw_spectrum(ax, spectra.axis, row, **look)
        frame_spectrum(ax, spectra.axis, values, log=log, counts=spectra.kind == "counts")
        ax.set_xlabel(axis_label(spectra.axis))
        ax.set_ylabel(value_label(spectra))
        if len(spectra) > 1 or names is not None:
            legend_above(
                figure, [line_key(**look) for look in looks], [plain(text) for text in texts]
            )
        elif texts[0]:
            ax.set_title(plain(texts[0]))
    return figure


def axis_label(axis: Axis) -> str:
    """Quantity and unit of an axis, e.g. ``Energy (keV)``; ``Channel`` if uncalibrated."""
    if not axis.is_calibrated:
        return "Channel"
    quantity = plain(axis.quantity[:1].upper() + axis.quantity[1:])
    return f"{quantity} ({plain(axis.unit)})" if axis.unit else quantity


def value_label(spectra: Spectra) -> str:
    """What the values of some spectra are."""
    return _VALUES[spectra.kind]


def title_of(spectra: Spectra, row: int) -> str:
    """Label set of a spectrum, or nothing where there are no labels."""
    return label_text(spectra.labels[row]) if "labels" in spectra.columns else ""


def draw_spectrum(ax: Axes, axis: Axis, values: Array, **look: Any) -> None:
    """One spectrum: steps on bins, a line on points."""
    if axis.binned:
        color = look.pop("color")
        ax.stairs(values, axis.edges, baseline=None, edgecolor=color, **look)
    else:
        # A lone point has no line to it.
        marker = "o" if axis.n_channels == 1 else None
        ax.plot(axis.centers, values, marker=marker, **look)


def draw_band(ax: Axes, axis: Axis, low: Array, high: Array, **look: Any) -> None:
    """Area between two spectra."""
    if axis.binned:
        ax.stairs(high, axis.edges, baseline=low, fill=True, **look)
    else:
        ax.fill_between(axis.centers, low, high, **look)


def frame_spectrum(ax: Axes, axis: Axis, values: Array, *, log: bool, counts: bool = False) -> None:
    """Limits and scale that show what there is.

    Parameters
    ----------
    ax : Axes
    axis : Axis
        What lies along the horizontal.
    values : ndarray
        Everything that is shown.
    log : bool
        Whether a logarithmic scale is wanted. Negative values give a linear part around zero; it
        is all linear where they are as large as a tenth of the others, or where all are zero.
    counts : bool
        Whether one count is the least there can be.
    """
    if axis.values.size > 1:
        ax.set_xlim(float(axis.values[0]), float(axis.values[-1]))
    positive = values[values > 0]
    if not log or not positive.size:
        return
    top = float(positive.max())
    lowest = -float(values.min())
    if lowest > 0:
        # What is negative is mostly noise: the linear part holds all of it, so that it stays small.
        linear = 10.0 ** np.ceil(np.log10(max(lowest, top * _DECADES)))
        if 10.0 * linear <= top:
            ax.set_yscale("symlog", linthresh=linear)
            ax.set_ylim(-1.6 * linear, top * 1.6)
        return
    bottom = 0.7 * max(float(positive.min()), top * _DECADES)
    if counts and top > 2:
        bottom = 0.5  # below a single count, which is seen, and above an empty channel
    ax.set_yscale("log", nonpositive="clip")
    ax.set_ylim(bottom, top * 1.6)


def _names_of(spectra: Spectra) -> list[str]:
    return [f"{title_of(spectra, row)} #{row}".strip() for row in range(len(spectra))]
