"""Signatures that deform: how they change, where estimates lie, and how far each is deformed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from spectraloom._typing import Array, FloatArray
from spectraloom.analyze.manifold import Deformation, SignatureModel
from spectraloom.data import Axis
from spectraloom.errors import DataError
from spectraloom.plot.spectra import axis_label, draw_spectrum, frame_spectrum
from spectraloom.plot.style import (
    FAINT,
    PALETTE,
    drawing,
    legend_above,
    line_key,
    plain,
    require_at_most,
    require_some,
)

_MOST_SOURCES = 6
_MOST_ROWS = 60
_LEAST_LINES = 2
_DECADES = 2e-4  # of the largest value: what is shown of a signature
_PALEST = 0.86  # of the colour map, above which yellow lines are lost on white
_TICKS = 5


def plot_deformation(
    signatures: SignatureModel,
    names: Sequence[str] | None = None,
    *,
    n_lines: int = 9,
    at: FloatArray | None = None,
) -> Figure:
    """Signatures deforming along their coordinate, on a logarithmic scale.

    Parameters
    ----------
    signatures : SignatureModel
        Along one deformation, or along several of which the first is shown.
    names : sequence of str, optional
        Sources to show, a panel each; the first six by default.
    n_lines : int
        Lines, at equal steps of the (log) coordinate from end to end.
    at : ndarray, shape (d,), optional
        Values of the deformations; that of the first is not used. Their lower ends by default.

    Raises
    ------
    DataError
        If there is no source, too many, an unknown one, or fewer than two lines.
    """
    chosen = list(signatures.names[:_MOST_SOURCES] if names is None else names)
    _require_sources(chosen, signatures)
    if n_lines < _LEAST_LINES:
        raise DataError(f"a deformation is seen in two lines or more, got {n_lines}")
    first = signatures.deformations[0]
    point = np.array([one.low for one in signatures.deformations]) if at is None else np.array(at)
    places = np.linspace(0.0, 1.0, n_lines)
    rows = []
    for value in first.from_unit(places):
        point[0] = value
        rows.append(signatures.signature(point))
    shapes = np.stack(rows)[:, [signatures.names.index(name) for name in chosen]]
    colors = _colors()
    with drawing(len(chosen), height=1.2 + 2.4 * len(chosen), sharex=True) as (figure, axes):
        for number, (ax, name) in enumerate(zip(axes[:, 0], chosen, strict=True)):
            for place, shape in zip(places, shapes[:, number], strict=True):
                draw_spectrum(ax, signatures.axis, shape, color=colors(place), linewidth=1.1)
            _frame(ax, signatures.axis, shapes[:, number])
            ax.set_title(plain(name))
            ax.set_ylabel("Part of the counts\nper channel")
        _label_below(axes[-1, 0], signatures.axis, shapes)
        _color_bar(figure, axes[:, 0], first, colors)
    return figure


def plot_estimated(
    signatures: SignatureModel,
    values: Mapping[str, float],
    *,
    truth: Mapping[str, Array] | None = None,
) -> Figure:
    """Estimated signatures over the ends of their deformation, and over the truth if it is known.

    Parameters
    ----------
    signatures : SignatureModel
        Along one deformation.
    values : mapping of str to float
        Estimated deformation of each source that is there, in its unit; nan draws the ends alone.
    truth : mapping of str to ndarray, shape (n_channels,), optional
        Signatures that are known, e.g. in a simulation.

    Raises
    ------
    DataError
        If there is no source, too many, an unknown one, or several deformations.
    """
    _require_sources(list(values), signatures)
    if len(signatures.deformations) != 1:
        raise DataError("estimated signatures are drawn along one deformation")
    (one,) = signatures.deformations
    known = dict(truth or {})
    ends: list[dict[str, Any]] = [
        {"color": PALETTE[5], "linestyle": "-", "linewidth": 0.9},
        {"color": PALETTE[4], "linestyle": "-", "linewidth": 0.9},
    ]
    own: dict[str, Any] = {"color": PALETTE[0], "linewidth": 1.6}
    everything: list[FloatArray] = []
    true: dict[str, Any] = {"color": "black", "linestyle": ":", "linewidth": 1.1}
    with drawing(len(values), height=1.4 + 2.0 * len(values), sharex=True) as (figure, axes):
        for ax, (name, value) in zip(axes[:, 0], values.items(), strict=True):
            place = signatures.names.index(name)
            shown = [signatures.signature(end)[place] for end in (one.low, one.high)]
            for shape, look in zip(shown, ends, strict=True):
                draw_spectrum(ax, signatures.axis, shape, **dict(look))
            title = plain(name)
            if np.isfinite(value):
                shown.append(signatures.signature(one.inside(float(value)))[place])
                draw_spectrum(ax, signatures.axis, shown[-1], **dict(own))
                title = f"{title}, {plain(one.name)} {value:.3g} {plain(one.unit)}".rstrip()
            if name in known:
                shape = np.asarray(known[name], dtype=np.float64)
                draw_spectrum(ax, signatures.axis, shape / shape.sum(), **dict(true))
            _frame(ax, signatures.axis, np.stack(shown))
            everything.append(np.stack(shown))
            ax.set_title(title)
            ax.set_ylabel("Part of the counts")
        _label_below(axes[-1, 0], signatures.axis, np.concatenate(everything))
        keys = [line_key(**look) for look in (*ends, own)]
        texts = [_with_unit(one, one.low), _with_unit(one, one.high), "estimated"]
        if known:
            keys.append(line_key(**true))
            texts.append("truth")
        legend_above(figure, keys, texts)
    return figure


def plot_latents(
    deformation: Deformation,
    names: Sequence[str],
    values: FloatArray,
    low: FloatArray,
    high: FloatArray,
    *,
    truth: FloatArray | None = None,
) -> Figure:
    """How far sources are deformed, with 95 % intervals, along the coordinate of the deformation.

    Parameters
    ----------
    deformation : Deformation
    names : sequence of str, length n
        What each row is: sources or spectra.
    values, low, high : ndarray, shape (n,)
        In the unit of the deformation; a value of nan has an interval alone.
    truth : ndarray, shape (n,), optional

    Raises
    ------
    DataError
        If there is nothing to show, too much, or lengths differ.
    """
    n = len(names)
    require_some(n, "rows")
    require_at_most(n, _MOST_ROWS, "rows", "choose those of interest")
    given = [np.asarray(one, dtype=np.float64) for one in (values, low, high)]
    if truth is not None:
        given.append(np.asarray(truth, dtype=np.float64))
    if any(one.shape != (n,) for one in given):
        raise DataError(f"{n} names need {n} values and ends of intervals")
    inner = [
        np.where(
            np.isnan(one), np.nan, deformation.to_unit(np.nan_to_num(one, nan=deformation.low))
        )
        for one in given
    ]
    with drawing(height=1.5 + 0.34 * n) as (figure, axes):
        ax, place = axes[0, 0], np.arange(n)
        ax.hlines(place, inner[1], inner[2], color=PALETTE[0], linewidth=2.2)
        ax.plot(inner[0], place, linestyle="none", marker="o", color=PALETTE[0])
        keys, texts = [line_key(color=PALETTE[0], marker="o")], ["estimate, 95 % interval"]
        if truth is not None:
            look: dict[str, Any] = {"linestyle": "none", "marker": "|", "markersize": 14}
            ax.plot(inner[3], place, color=PALETTE[1], **look)
            keys.append(line_key(color=PALETTE[1], **look))
            texts.append("truth")
        ax.set_yticks(place, [plain(name, longest=30) for name in names])
        ax.set_ylim(n - 0.4, -0.6)
        ax.set_xlim(-0.03, 1.03)
        for end in (0.0, 1.0):
            ax.axvline(end, color=FAINT, linewidth=0.8, linestyle=":")
        ticks = np.linspace(0.0, 1.0, 2 * _TICKS - 1)
        ax.set_xticks(ticks, [f"{deformation.from_unit(one):.3g}" for one in ticks])
        ax.set_xlabel(_axis_text(deformation))
        legend_above(figure, keys, texts)
    return figure


def _require_sources(names: Sequence[str], signatures: SignatureModel) -> None:
    require_some(len(names), "sources")
    require_at_most(len(names), _MOST_SOURCES, "sources", "choose those of interest")
    for name in names:
        if name not in signatures.names:
            raise DataError(f"{name!r} is none of {', '.join(signatures.names)}")


def _frame(ax: Axes, axis: Axis, shapes: FloatArray) -> None:
    frame_spectrum(ax, axis, np.maximum(shapes, shapes.max() * _DECADES), log=True)


def _label_below(ax: Axes, axis: Axis, shapes: FloatArray) -> None:
    """Label of the horizontal axis, which ends where nothing more is seen of any signature."""
    flat = shapes.reshape(-1, axis.n_channels)
    seen = np.flatnonzero((flat > _DECADES * flat.max(axis=1, keepdims=True)).any(axis=0))
    last = min(int(seen[-1]) + 1 + axis.n_channels // 50, len(axis.values) - 1)
    ax.set_xlim(right=float(axis.values[last]))
    ax.set_xlabel(axis_label(axis))


def _colors() -> Colormap:
    """Dark for the lower end, light for the upper; never as light as the paper."""
    whole = colormaps["viridis"]
    return ListedColormap(whole(np.linspace(0.0, _PALEST, 256)))


def _color_bar(figure: Figure, axes: Any, deformation: Deformation, colors: Colormap) -> None:
    bar = figure.colorbar(
        ScalarMappable(Normalize(0.0, 1.0), colors), ax=list(axes), label=_axis_text(deformation)
    )
    bar.set_ticks(np.linspace(0.0, 1.0, _TICKS).tolist())
    bar.ax.yaxis.set_major_formatter(
        FuncFormatter(lambda place, _: f"{float(deformation.from_unit(place)):.3g}")
    )


def _axis_text(deformation: Deformation) -> str:
    name = plain(deformation.name).capitalize()
    return f"{name} ({plain(deformation.unit)})" if deformation.unit else name


def _with_unit(deformation: Deformation, value: float) -> str:
    return plain(f"{value:g} {deformation.unit}".rstrip())
