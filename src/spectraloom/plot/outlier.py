"""Outliers: the feature that tells them, where its boundary lies, and how firm all that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from spectraloom._typing import Array, FloatArray
from spectraloom.analyze.outlier import OutlierStudy
from spectraloom.errors import DataError
from spectraloom.plot.style import (
    FAINT,
    INK,
    LINES,
    MARKERS,
    PALETTE,
    RIGHT,
    WRONG,
    drawing,
    legend_above,
    line_key,
    line_look,
    percent_ticks,
    plain,
    require_some,
)

_BINS = 60
_CURVES = ("accuracy", "precision", "recall")
_METHODS = {"tree": "first split", "logistic": "logistic fit", "curves": "best recall at the rate"}


def plot_threshold_curves(study: OutlierStudy) -> Figure:
    """Accuracy, precision and recall against the threshold, with the boundaries found.

    Parameters
    ----------
    study : OutlierStudy
    """
    thresholds = study.curves["threshold"]
    with drawing(height=4.2) as (figure, axes):
        ax = axes[0, 0]
        handles: list[Line2D] = []
        for number, name in enumerate(_CURVES):
            look = line_look(number)
            # A single threshold is a point, not a line.
            marker = "o" if len(thresholds) == 1 else None
            handles += ax.plot(thresholds, study.curves[name], marker=marker, **look)
        marks, texts = _mark_boundaries(ax, study)
        ax.set_ylim(-0.03, 1.03)
        ax.set_xlabel(f"Threshold on {_readable(study.feature)}")
        ax.set_ylabel("Rate, on the rows that taught")
        _limit(ax, study, thresholds)
        legend_above(figure, [*handles, *marks], [*_CURVES, *texts])
    return figure


def plot_outlier_feature(study: OutlierStudy) -> Figure:
    """Distribution of the chosen feature: known against unknown, and by label left out.

    Parameters
    ----------
    study : OutlierStudy
    """
    values = np.asarray(study.features[study.feature], dtype=np.float64)
    low, high = np.quantile(values, [0.001, 0.999])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    sources = sorted(set(study.left_out.tolist()))
    groups = [values[~study.is_outlier]]
    groups += [values[study.is_outlier & (study.left_out == name)] for name in sources]
    with drawing(
        2, height=3.4 + 0.35 * len(groups), sharex=True, ratios=(2.2, 0.4 + 0.4 * len(groups))
    ) as (figure, axes):
        top, below = axes[:, 0]
        for rows, look in ((~study.is_outlier, _KNOWN), (study.is_outlier, _UNKNOWN)):
            heights = np.histogram(np.clip(values[rows], low, high), edges)[0]
            top.stairs(heights / max(int(rows.sum()), 1), edges, fill=True, **look)
        top.set_ylabel("Share of the group")
        percent_ticks(top.yaxis)
        for place, group in enumerate(groups):
            if group.size:
                _draw_box(below, place, group, _UNKNOWN if place else _KNOWN)
        names = ["known", *(f"unknown {plain(name, longest=24)}" for name in sources)]
        below.set_yticks(range(len(names)), names)
        below.set_ylim(len(names) - 0.4, -0.6)
        below.set_xlabel(f"{_capital(study.feature)} (boxes: quartiles; whiskers: 1 % and 99 %)")
        marks, texts = _mark_boundaries(top, study)
        _mark_boundaries(below, study)
        counts = (int((~study.is_outlier).sum()), int(study.is_outlier.sum()))
        legend_above(
            figure,
            [Patch(**_KNOWN), Patch(**_UNKNOWN), *marks],
            [f"known (n = {counts[0]:,})", f"unknown (n = {counts[1]:,})", *texts],
        )
    return figure


def _draw_box(ax: Axes, place: int, values: FloatArray, look: dict[str, Any]) -> None:
    """Box of the quartiles with the median, and whiskers that leave out 1 % at each end."""
    least, low, middle, high, most = np.quantile(values, [0.01, 0.25, 0.5, 0.75, 0.99])
    ax.plot([least, most], [place, place], color=FAINT, linewidth=1.4, zorder=1.5)
    ax.barh(place, high - low, left=low, height=0.6, **look)
    ax.plot([middle, middle], [place - 0.3, place + 0.3], color=INK, linewidth=2.0)


_KNOWN: dict[str, Any] = {"facecolor": RIGHT, "alpha": 0.45, "edgecolor": RIGHT, "hatch": ""}
_UNKNOWN: dict[str, Any] = {"facecolor": WRONG, "alpha": 0.6, "edgecolor": "white", "hatch": "////"}


def plot_importances(study: OutlierStudy) -> Figure:
    """Importance of each feature in the decision tree, and how well it tells outliers alone.

    Parameters
    ----------
    study : OutlierStudy
    """
    names = sorted(study.auc, key=lambda name: (-study.importances.get(name, -1), -study.auc[name]))
    require_some(len(names), "features")
    with drawing(1, 2, height=1.3 + 0.32 * len(names), sharey=True) as (figure, axes):
        left, right = axes[0]
        for place, name in enumerate(names):
            if name in study.importances:
                value = study.importances[name]
                left.barh(place, value, color=PALETTE[0], height=0.65)
                text = f"{value:.3f}"
            else:
                value, text = 0.0, "left out: grows with the counts"
            _value_beside(left, max(value, 0.0), place, text)
            right.barh(place, study.auc[name], color=PALETTE[2], hatch="////", edgecolor="white")
            _value_beside(right, study.auc[name], place, f"{study.auc[name]:.3f}")
        left.set_yticks(range(len(names)), [_readable(name) for name in names])
        left.invert_yaxis()
        left.set_xlabel("Loss of balanced accuracy when permuted")
        most = max([*study.importances.values(), 0.0])
        least = min([*study.importances.values(), 0.0])
        left.set_xlim(least * 1.1, max(most * 1.25, 0.1))
        right.set_xlabel("Area under the ROC curve, alone (0.5 is chance)")
        right.set_xlim(0.5, 1.08)
        for ax in (left, right):
            ax.grid(visible=False, axis="y")
        figure.suptitle(
            f"On {int(study.held_out.sum()):,} held-out rows; the boundary is on "
            f"{_readable(study.feature)}",
            x=0.01,
            ha="left",
            fontsize=10.5,
        )
    return figure


def plot_robustness(
    disturbances: Sequence[str] | Array,
    levels: npt.ArrayLike,
    accuracy: npt.ArrayLike,
    outlier_accuracy: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    features: Sequence[str] | Array | None = None,
) -> Figure:
    """Accuracy and outlier boundary against added noise and against thinned counts.

    All arguments have one entry per level, as the attributes of
    :class:`~spectraloom.evaluate.RobustnessPoint`.

    Parameters
    ----------
    disturbances : sequence of {"noise", "thinning"}, length n
    levels : array_like, shape (n,)
        Relative standard deviation of the noise, or share of counts kept.
    accuracy, outlier_accuracy : array_like, shape (n,)
    thresholds : array_like, shape (n,)
    features : sequence of str, length n, optional
        What each boundary lies on, where that differs: boundaries on one feature are joined by
        lines, because those on different features cannot be compared.

    Raises
    ------
    DataError
        If lengths do not agree or a disturbance is unknown.
    """
    table = [np.asarray(column, dtype=np.float64) for column in (levels, accuracy)]
    table += [np.asarray(column, dtype=np.float64) for column in (outlier_accuracy, thresholds)]
    kinds = np.asarray(disturbances, np.str_)
    named = np.full(kinds.shape, "") if features is None else np.asarray(features, np.str_)
    if len({column.shape for column in (*table, kinds, named)}) != 1 or kinds.ndim != 1:
        raise DataError("levels and everything measured on them have one entry per level each")
    require_some(len(kinds), "levels")
    if unknown := set(kinds.tolist()) - {"noise", "thinning"}:
        raise DataError(f"a disturbance is 'noise' or 'thinning', got {sorted(unknown)}")
    present = [kind for kind in ("noise", "thinning") if (kinds == kind).any()]
    names = list(dict.fromkeys(named.tolist()))
    with drawing(2, len(present), height=5.4, sharex="col", sharey="row") as (figure, axes):
        for column, kind in enumerate(present):
            rows = np.flatnonzero(kinds == kind)
            rows = rows[np.argsort(table[0][rows], kind="stable")]
            _draw_levels(axes[:, column], kind, [part[rows] for part in table], named[rows], names)
        axes[0, 0].set_ylabel("Accuracy")
        lowest = float(np.nanmin([*table[1], *table[2], 1.0]))
        axes[0, 0].set_ylim(np.floor(10 * lowest - 0.2) / 10, 1.01)
        axes[1, 0].set_ylabel("Outlier boundary")
        handles = [line_key(marker=MARKERS[i], **line_look(i)) for i in range(2)]
        handles += [line_key(**_feature_look(i)) for i in range(len(names))]
        texts = ["labels", "outliers", *(_boundary_text(name) for name in names)]
        legend_above(figure, handles, texts)
    return figure


def _draw_levels(
    axes: Array, kind: str, table: list[FloatArray], features: Array, names: list[str]
) -> None:
    top, below = axes
    levels, *rates, thresholds = table
    for number, rate in enumerate(rates):
        top.plot(levels, rate, marker=MARKERS[number], **line_look(number))
    for number, name in enumerate(names):
        rows = features == name
        # A gap where the boundary moved to another feature: its values mean something else.
        below.plot(levels, np.where(rows, thresholds, np.nan), **_feature_look(number))
    if kind == "noise":
        positive = levels[levels > 0]
        linear = float(positive.min()) if positive.size else 1.0
        below.set_xscale("symlog", linthresh=linear, linscale=0.5)
        below.set_xlabel("Added noise (of the mean counts per channel)")
    else:
        below.set_xscale("log")
        below.invert_xaxis()
        below.set_xlabel("Share of the counts kept")
    below.set_xticks(levels, [f"{level:g}" for level in levels])
    below.minorticks_off()


def _boundary_text(feature: str) -> str:
    return f"boundary on {_readable(feature)}" if feature else "boundary"


def _feature_look(number: int) -> dict[str, Any]:
    return {"marker": MARKERS[2 + number % 6], **line_look(2 + number)}


def _mark_boundaries(ax: Axes, study: OutlierStudy) -> tuple[list[Line2D], list[str]]:
    """Vertical lines at the boundaries; legend handles and texts for them."""
    handles, texts = [], []
    for number, (method, boundary) in enumerate(study.boundaries.items()):
        chosen = method == study.chosen
        handles.append(
            ax.axvline(
                boundary.threshold,
                color=INK if chosen else FAINT,
                linewidth=1.8 if chosen else 1.2,
                linestyle="-" if chosen else LINES[1 + number % 3],
            )
        )
        text = f"{_METHODS.get(method, method)}: {boundary.threshold:.4g}"
        texts.append(f"{text} (in use)" if chosen else text)
    return handles, texts


def _limit(ax: Axes, study: OutlierStudy, thresholds: FloatArray) -> None:
    """Leave out thresholds that only a few extreme spectra reach."""
    marks = [boundary.threshold for boundary in study.boundaries.values()]
    low, high = np.quantile(thresholds, [0.01, 0.99])
    low, high = min([low, *marks]), max([high, *marks])
    if high > low:
        ax.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))


def _value_beside(ax: Axes, value: float, place: float, text: str) -> None:
    ax.annotate(
        text, (value, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9
    )


def _capital(feature: str) -> str:
    text = _readable(feature)
    return text[:1].upper() + text[1:]


def _readable(feature: str) -> str:
    return plain(feature.replace("_", " "))
