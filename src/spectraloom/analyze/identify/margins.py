"""What lies at, and beyond, the ends of a library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spectraloom._typing import BoolArray, FloatArray
from spectraloom.analyze.likelihood import (
    LikelihoodFit,
    Resolution,
    TemplateTable,
    binned_templates,
    template_table,
)
from spectraloom.data.axis import Axis
from spectraloom.data.library import Library
from spectraloom.errors import AxisError, FitError

_BROADENINGS = tuple(np.linspace(0.0, 0.5, 6))
_MOST_COVERED = 0.9  # part of a template that a spectrum covers, below which it is flagged
_LEAST_AREA = 1e-6  # part of a template below which it cannot be fitted


def table_of(
    library: Library,
    background: Library | None,
    *,
    broadened: bool = False,
    resolution: Resolution | None = None,
) -> TemplateTable:
    """Templates of sources and background as fits move them, with margins on a calibrated axis.

    Parameters
    ----------
    library : Library
    background : Library or None
        It has the resolution of the detector already.
    broadened : bool
        Whether broadenings of the sources are tabulated.
    resolution : Resolution, optional
    """
    libraries = [library] if background is None else [library, background]
    table = template_table(
        libraries,
        broadened=[True, False][: len(libraries)],
        nodes=_BROADENINGS if broadened else (0.0,),
        resolution=resolution,
    )
    return with_margins(table) if library.axis.is_calibrated else table


def with_margins(table: TemplateTable) -> TemplateTable:
    """Table whose templates go on beyond both ends with the density of their last bin.

    A library ends where its detector did. With a smaller gain, bins at the end of a spectrum
    would lie outside of it: expecting nothing there, a single count would forbid that gain. The
    margins are half as wide as the library; what they hold is not part of the unit area.
    """
    grid = table.grid
    reach = 0.5 * (grid[-1] - grid[0])
    first = (table.table[:, :, 1] - table.table[:, :, 0]) / (grid[1] - grid[0])
    last = (table.table[:, :, -1] - table.table[:, :, -2]) / (grid[-1] - grid[-2])
    return replace(
        table,
        grid=np.concatenate([[grid[0] - reach], grid, [grid[-1] + reach]]),
        table=_enclosed(
            table.table[:, :, 0] - reach * first, table.table, table.table[:, :, -1] + reach * last
        ),
        slopes=_enclosed(first, table.slopes, last),
    )


def covered(
    axis: Axis, low: float, high: float, window: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Part of a window, or of the axis, that a library from `low` to `high` says something of.

    Raises
    ------
    AxisError
        If there is none.
    """
    if not axis.is_calibrated:
        return window
    start, stop = (axis.edges[0], axis.edges[-1]) if window is None else window
    first, last = max(float(start), float(low)), min(float(stop), float(high))
    if not first < last:
        raise AxisError(
            f"the spectra ({axis.describe()}"
            f"{'' if window is None else f', of which {start:g} to {stop:g} are fitted'}) and the "
            f"library ({low:g} to {high:g} {axis.unit}) do not overlap"
        )
    return first, last


def partly_covered(
    fit: LikelihoodFit,
    table: TemplateTable,
    ends: tuple[float, float],
    names: Sequence[str],
    found: BoolArray,
) -> BoolArray:
    """Whether much of a source that was found lies where the spectrum does not reach, shape (n,).

    Its amount is then extrapolated by the shape of its templates.

    Parameters
    ----------
    fit : LikelihoodFit
        On calibrated axes.
    table : TemplateTable
        The one that was fitted.
    ends : (float, float)
        Part of the axis that the model is meant to fit.
    names : sequence of str, length k
    found : ndarray of bool, shape (n, k)
    """
    first, last = fit.edges[0], fit.edges[-1]
    parts = binned_templates(
        table, np.array([min(ends[0], first), first, last, max(ends[1], last)])
    )
    here, meant = parts[:, 1], parts.sum(axis=1)
    partly = np.zeros(len(fit), dtype=bool)
    for name, there in zip(names, found.T, strict=True):
        own = np.flatnonzero(table.groups == table.names.index(name))
        amounts = fit.template_amounts[:, own]
        partly |= there & (amounts @ here[own] < _MOST_COVERED * (amounts @ meant[own]))
    return partly


def require_counts(table: TemplateTable, axis: Axis, window: tuple[float, float] | None) -> None:
    """Refuse a window without counts of some name.

    Raises
    ------
    AxisError
        If the window and the axis of the library do not overlap.
    FitError
        If a name has no counts in the window.
    """
    ends = covered(axis, float(axis.edges[0]), float(axis.edges[-1]), window)
    if ends is None:
        return
    areas = binned_templates(table, np.array(ends, dtype=np.float64))[:, 0]
    empty = [
        name
        for number, name in enumerate(table.names)
        if not areas[table.groups == number].max() > _LEAST_AREA
    ]
    if empty:
        raise FitError(
            f"the templates of {', '.join(empty)} have no counts between {ends[0]:g} and "
            f"{ends[1]:g} {axis.unit}: take a larger window, or leave the names out"
        )


def _enclosed(before: FloatArray, inner: FloatArray, after: FloatArray) -> FloatArray:
    parts = [before[:, :, np.newaxis], inner, after[:, :, np.newaxis]]
    return np.ascontiguousarray(np.concatenate(parts, axis=2))
