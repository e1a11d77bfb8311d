"""Identification: what explains a spectrum, how sure each amount is, and whether rates hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from spectraloom._typing import Array, FloatArray
from spectraloom.data import Axis
from spectraloom.errors import DataError
from spectraloom.plot.spectra import axis_label, draw_band, draw_spectrum, frame_spectrum
from spectraloom.plot.style import (
    FAINT,
    INK,
    PALETTE,
    drawing,
    legend_above,
    line_key,
    line_look,
    marker_look,
    percent_ticks,
    plain,
    require_at_most,
    require_some,
)

_MOST = 28
_MOST_PEAKS = 8
_Z95 = 1.959964


def plot_identified(
    axis: Axis,
    observed: Array,
    components: Mapping[str, Array],
    *,
    peaks: Sequence[tuple[float, str]] = (),
    title: str = "",
) -> Figure:
    """One spectrum, what explains it, and what is left over.

    Parameters
    ----------
    axis : Axis
        Bins of the fit.
    observed : ndarray, shape (n_bins,)
        Counts.
    components : mapping of str to ndarray, shape (n_bins,)
        Expected counts of each name; their sum is the fit.
    peaks : sequence of (float, str)
        Places and names of peaks in the residual; the first eight are shown.
    title : str

    Raises
    ------
    DataError
        If there are no components, too many, or shapes do not agree.
    """
    require_some(len(components), "components")
    require_at_most(len(components), _MOST, "components", "leave out those of no counts")
    counts = np.asarray(observed, dtype=np.float64)
    parts = {name: np.asarray(part, dtype=np.float64) for name, part in components.items()}
    for name, part in parts.items():
        if part.shape != counts.shape or counts.shape != (axis.n_channels,):
            raise DataError(
                f"component {name!r} has shape {part.shape}, the spectrum {counts.shape} and the "
                f"axis {axis.n_channels} bins: all three belong to the fitted bins"
            )
    fit = np.sum(list(parts.values()), axis=0)
    residual = (counts - fit) / np.sqrt(np.maximum(fit, 1.0))
    with drawing(2, height=5.4, sharex=True, ratios=(3, 1)) as (figure, axes):
        top, below = axes[:, 0]
        draw_band(top, axis, np.zeros(len(counts)), counts, facecolor="#cfcfcf", edgecolor="none")
        looks = [line_look(number) for number in range(len(parts))]
        # The fit lies below: where one component is all of it, both are seen.
        fit_look: dict[str, Any] = {"color": INK, "linewidth": 3.0, "alpha": 0.55}
        draw_spectrum(top, axis, fit, **fit_look)
        for part, look in zip(parts.values(), looks, strict=True):
            draw_spectrum(top, axis, part, **look)
        frame_spectrum(top, axis, np.maximum(counts, fit), log=True, counts=True)
        top.set_ylabel("Counts per bin")
        if title:
            top.set_title(plain(title, longest=110))
        draw_spectrum(below, axis, residual, color=FAINT)
        for height in (-2.0, 2.0):
            below.axhline(height, color=FAINT, linewidth=0.8, linestyle=":")
        _mark_peaks(below, residual, peaks[:_MOST_PEAKS])
        below.set_ylabel("Residual (σ)")
        below.set_xlabel(axis_label(axis))
        legend_above(
            figure,
            [
                Patch(facecolor="#cfcfcf", edgecolor="none"),
                line_key(**fit_look),
                *(line_key(**look) for look in looks),
            ],
            ["observed", "fit", *(plain(name, longest=24) for name in parts)],
        )
    return figure


def _mark_peaks(ax: Axes, residual: FloatArray, peaks: Sequence[tuple[float, str]]) -> None:
    top = max(float(residual.max()), 3.0)
    for place, name in peaks:
        ax.axvline(place, color=PALETTE[1], linewidth=0.9)
        ax.text(place, top, plain(name, longest=20), rotation=90, va="top", ha="right", fontsize=8)


def plot_amounts(
    names: Sequence[str],
    amounts: FloatArray,
    uncertainties: FloatArray,
    *,
    intervals: FloatArray | None = None,
    thresholds: FloatArray | None = None,
    limits: FloatArray | None = None,
    found: Sequence[bool] | None = None,
    unit: str = "counts",
) -> Figure:
    """Amounts of one spectrum with 95 % intervals, decision thresholds and detection limits.

    Parameters
    ----------
    names : sequence of str, length k
    amounts, uncertainties : ndarray, shape (k,)
        Uncertainties are standard ones.
    intervals : ndarray, shape (k, 2), optional
        Ends of 95 % intervals; without them they reach 1.96 uncertainties, and not below zero.
    thresholds, limits : ndarray, shape (k,), optional
        nan where there are none.
    found : sequence of bool, length k, optional
        Decisions: those that were not found are drawn hollow.
    unit : str

    Raises
    ------
    DataError
        If there is nothing to show, too much, or lengths differ.
    """
    k = len(names)
    require_some(k, "names")
    require_at_most(k, 60, "names", "choose those of interest")
    missing = np.full(k, np.nan)
    given = [
        np.asarray(missing if one is None else one, dtype=np.float64)
        for one in (amounts, uncertainties, thresholds, limits)
    ]
    if any(one.shape != (k,) for one in given):
        raise DataError(f"{k} names need {k} amounts, uncertainties, thresholds and limits")
    values, errors, low, high = given
    ends = np.column_stack([np.maximum(values - _Z95 * errors, 0.0), values + _Z95 * errors])
    if intervals is not None:
        ends = np.asarray(intervals, dtype=np.float64)
        if ends.shape != (k, 2):
            raise DataError(f"{k} names need intervals of shape ({k}, 2), got {ends.shape}")
    there = np.ones(k, dtype=bool) if found is None else np.asarray(found, dtype=bool)
    with drawing(height=1.5 + 0.38 * k) as (figure, axes):
        ax = axes[0, 0]
        place = np.arange(k)
        ax.hlines(place, *ends.T, color=PALETTE[0], linewidth=2.2)
        for rows, face in ((there, PALETTE[0]), (~there, "white")):
            ax.plot(
                values[rows],
                place[rows],
                linestyle="none",
                marker="o",
                markerfacecolor=face,
                markeredgecolor=PALETTE[0],
            )
        ax.plot(low, place, linestyle="none", marker="|", markersize=14, color=PALETTE[1])
        ax.plot(high, place, linestyle="none", marker="D", color=PALETTE[2])
        ax.set_yticks(place, [plain(name, longest=24) for name in names])
        ax.set_ylim(k - 0.4, -0.6)
        smallest = np.nanmin(np.where(low > 0, low, np.nan)) if (low > 0).any() else 10.0
        ax.set_xscale("symlog", linthresh=float(max(smallest, 1.0)))
        ax.set_xlim(left=0.0)
        ax.set_xlabel(f"Amount ({plain(unit)})")
        legend_above(
            figure,
            [
                line_key(color=PALETTE[0], marker="o"),
                line_key(color=PALETTE[0], marker="o", linestyle="none", markerfacecolor="white"),
                line_key(color=PALETTE[1], marker="|", markersize=12, linestyle="none"),
                line_key(color=PALETTE[2], marker="D", linestyle="none"),
            ],
            ["found, 95 % interval", "not found", "decision threshold", "detection limit"],
        )
    return figure


def plot_roc(curves: Mapping[str, tuple[FloatArray, FloatArray]]) -> Figure:
    """Share found against share of false alarms.

    Parameters
    ----------
    curves : mapping of str to (ndarray, ndarray)
        False alarms, increasing, and what is found at that price.

    Raises
    ------
    DataError
        If there are no curves, or too many.
    """
    require_some(len(curves), "curves")
    require_at_most(len(curves), _MOST, "curves", "choose fewer")
    with drawing(height=4.6, width=6.4) as (figure, axes):
        ax = axes[0, 0]
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9, linestyle=":")
        handles = []
        for number, (false, found) in enumerate(curves.values()):
            handles += ax.plot(false, found, drawstyle="steps-post", **line_look(number))
        ax.set_xlabel("False alarms")
        ax.set_ylabel("Found")
        ax.set_xlim(-0.02, 1.02)
        ax.set_ylim(-0.02, 1.02)
        percent_ticks(ax.xaxis)
        percent_ticks(ax.yaxis)
        legend_above(figure, handles, [plain(name, longest=30) for name in curves])
    return figure


def plot_efficiency(counts: Sequence[float], efficiency: Mapping[str, Sequence[float]]) -> Figure:
    """Share of injected sources that is found, against their counts.

    Parameters
    ----------
    counts : sequence of float, length n
        Counts of the source.
    efficiency : mapping of str to sequence of float, length n
        nan where nothing was injected.

    Raises
    ------
    DataError
        If there is nothing to show, too much, or lengths differ.
    """
    require_some(len(efficiency), "efficiencies")
    require_at_most(len(efficiency), _MOST, "efficiencies", "choose fewer")
    for name, values in efficiency.items():
        if len(values) != len(counts):
            raise DataError(f"{name!r} has {len(values)} efficiencies for {len(counts)} counts")
    with drawing(height=4.2) as (figure, axes):
        ax = axes[0, 0]
        ax.axhline(0.9, color=FAINT, linewidth=0.9, linestyle=":")
        handles = []
        for number, values in enumerate(efficiency.values()):
            look = line_look(number) | marker_look(number)
            handles += ax.plot(counts, values, **look)
        ax.set_xscale("log")
        ax.set_xticks(list(counts), [f"{value:g}" for value in counts])
        ax.minorticks_off()
        ax.set_ylim(-0.03, 1.03)
        ax.set_xlabel("Counts of the source")
        ax.set_ylabel("Found")
        percent_ticks(ax.yaxis)
        legend_above(figure, handles, [plain(name, longest=30) for name in efficiency])
    return figure


def plot_false_alarms(
    curves: Mapping[str, tuple[FloatArray, FloatArray, FloatArray, FloatArray]],
) -> Figure:
    """Observed against stated false-alarm rates, with their intervals; the diagonal is right.

    Parameters
    ----------
    curves : mapping of str to (ndarray, ndarray, ndarray, ndarray)
        Stated rate, observed rate, and the lower and upper end of its interval. A rate of zero
        is drawn at the lower edge.

    Raises
    ------
    DataError
        If there are no curves, or no rates.
    """
    require_some(len(curves), "curves")
    require_some(sum(len(stated) for stated, *_ in curves.values()), "false-alarm rates")
    stated_all = np.concatenate([np.asarray(stated) for stated, *_ in curves.values()])
    bottom, top = 0.2 * float(stated_all.min()), min(3.0 * float(stated_all.max()), 1.0)
    with drawing(height=4.8, width=6.4) as (figure, axes):
        ax = axes[0, 0]
        ax.plot([bottom, top], [bottom, top], color=FAINT, linewidth=0.9, linestyle=":")
        for number, (stated, observed, low, high) in enumerate(curves.values()):
            x = np.asarray(stated) * (1.0 + 0.04 * number)  # beside each other, not on top
            y = np.maximum(np.asarray(observed, dtype=np.float64), bottom)
            ax.vlines(x, np.maximum(low, bottom), high, color=PALETTE[number % len(PALETTE)])
            ax.plot(x, y, linestyle="none", **marker_look(number))
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlim(bottom, top)
        ax.set_ylim(bottom * 0.9, top)
        ax.set_xlabel("Stated false-alarm rate")
        ax.set_ylabel("Observed")
        legend_above(
            figure,
            [line_key(linestyle="none", **marker_look(number)) for number in range(len(curves))],
            [plain(name, longest=40) for name in curves],
        )
    return figure
