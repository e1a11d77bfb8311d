"""Many answers at once: when a label is wrong, and how shares lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from spectraloom._typing import Array, BoolArray, FloatArray
from spectraloom.data import Result
from spectraloom.errors import DataError
from spectraloom.plot.style import (
    RIGHT,
    WRONG,
    drawing,
    fill_look,
    finite,
    legend_above,
    line_key,
    marker_look,
    percent,
    percent_ticks,
    plain,
    require_at_most,
    require_some,
)
from spectraloom.plot.truth import truth_texts

_MOST_NAMES = 6
_MOST_POINTS = 1500
_MOST_LABELS = 56
_BINS = 30


def plot_error_statistics(result: Result, right: BoolArray) -> Figure:
    """How right and wrong answers differ: goodness of fit, largest share and total.

    Parameters
    ----------
    result : Result
    right : array_like of bool, shape (n_spectra,)
        Whether the answer is right.

    Raises
    ------
    DataError
        If the length differs or there are no spectra.
    """
    mask = np.asarray(right, dtype=bool)
    if mask.shape != (len(result),):
        raise DataError(f"there are {len(result)} results, but 'right' has shape {mask.shape}")
    require_some(len(result), "results")
    panels: list[tuple[str, FloatArray, bool]] = [
        (label, np.asarray(result.quality[name], dtype=np.float64), False)
        for name, label in (("explained_variance", "Explained variance"), ("cosine", "Cosine"))
        if name in result.quality
    ]
    panels.append((_top_share_label(result), _top_share(result), False))
    panels.append((f"Total of the fit ({plain(result.unit)})", result.amounts.sum(axis=1), True))
    rows = -(-len(panels) // 2)
    with drawing(rows, 2, height=0.7 + 2.5 * rows) as (figure, axes):
        for (label, values, log), ax in zip(panels, axes.flat, strict=False):
            _draw_both(ax, label, values, mask, log)
        legend_above(
            figure,
            [Patch(**_RIGHT_FILL), Patch(**_WRONG_FILL)],
            [f"right (n = {mask.sum():,})", f"wrong (n = {(~mask).sum():,})"],
        )
    return figure


_RIGHT_FILL: dict[str, Any] = {"facecolor": RIGHT, "alpha": 0.45, "edgecolor": RIGHT}
_WRONG_FILL: dict[str, Any] = {"facecolor": "none", "edgecolor": WRONG, "hatch": "////"}
_WRONG_FILL["linewidth"] = 1.4


def _draw_both(ax: Axes, label: str, values: FloatArray, right: BoolArray, log: bool) -> None:
    """Two histograms of shares of their own group, so that few wrong ones are seen beside many."""
    known = finite(values)
    if log:
        known = known[known > 0]
    if not known.size:
        ax.set_xlabel(label)
        ax.text(0.5, 0.5, "no values", transform=ax.transAxes, ha="center", va="center")
        return
    # A few extreme values would squeeze all others into one bar.
    low, high = np.quantile(known, [0.005, 0.995]) if known.size > 50 else _range(known)
    if low == high:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    edges = np.geomspace(low, high, _BINS + 1) if log else np.linspace(low, high, _BINS + 1)
    for rows, look in ((right, _RIGHT_FILL), (~right, _WRONG_FILL)):
        group = finite(values[rows])
        if group.size:
            heights = np.histogram(np.clip(group, low, high), edges)[0] / group.size
            ax.stairs(heights, edges, fill=True, **look)
    beyond = int(((known < low) | (known > high)).sum())
    ax.set_xscale("log" if log else "linear")
    ax.set_xlabel(f"{label}; {beyond} beyond, in the outer bars" if beyond else label)
    ax.set_ylabel("Share of the group")
    percent_ticks(ax.yaxis)


def _range(values: FloatArray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _top_share_label(result: Result) -> str:
    return "Largest share" if result.top is None else "Share of the label given"


def _top_share(result: Result) -> FloatArray:
    if result.top is None:
        return result.shares.max(axis=1)
    chosen = result.top[:, np.newaxis] == np.asarray(result.names)
    return np.where(chosen, result.shares, 0.0).sum(axis=1)


def _true_labels(result: Result, truth: Sequence[Any] | Array) -> tuple[Array, list[str]]:
    """True label of each spectrum as text, and each label once; no more than a figure can show."""
    true = truth_texts(truth, len(result))
    require_some(len(result), "results")
    labels = sorted(set(true.tolist()))
    require_at_most(len(labels), _MOST_LABELS, "labels", "choose spectra of fewer labels")
    return true, labels


def plot_score_scatter(result: Result, truth: Sequence[Any] | Array, *, seed: int = 0) -> Figure:
    """Scatter matrix of the shares, with colour and marker by true label.

    Of more than 1500 spectra a random sample is shown, and of more than 6 names those with the
    largest mean share.

    Parameters
    ----------
    result : Result
    truth : sequence of str or label sets, length n_spectra
    seed : int
        Seed of the sample.

    Raises
    ------
    DataError
        If the length differs, there is nothing to show, or too much for one figure.
    """
    true, labels = _true_labels(result, truth)
    rows = np.arange(len(result))
    if len(rows) > _MOST_POINTS:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:_MOST_POINTS])
    shares, true = result.shares[rows], true[rows]
    order = np.sort(np.argsort(-shares.mean(axis=0), kind="stable")[:_MOST_NAMES])
    k = len(order)
    with drawing(k, k, height=1.0 + 1.5 * max(k, 2), sharex="col") as (figure, axes):
        for i in range(k):
            for j in range(k):
                _draw_cell(
                    axes[i, j], shares[:, order[i]], shares[:, order[j]], true, labels, i - j
                )
        for i, name in enumerate(result.names[column] for column in order):
            axes[i, 0].set_ylabel(f"{plain(name, longest=16)}" if i else "Spectra")
            axes[-1, i].set_xlabel(f"Share of\n{plain(name, longest=16)}")
        handles = [
            line_key(linestyle="none", **marker_look(number)) for number in range(len(labels))
        ]
        texts = [f"true {plain(label, longest=32)}" for label in labels]
        handles.append(line_key(linestyle="none"))
        texts.append("on the diagonal: number of spectra")
        if k < len(result.names):
            handles.append(line_key(linestyle="none"))
            texts.append(f"{k} of {len(result.names)} names: those with the largest mean share")
        if len(rows) < len(result):
            handles.append(line_key(linestyle="none"))
            texts.append(f"random {len(rows):,} of {len(result):,} spectra")
        legend_above(figure, handles, texts)
    return figure


def _draw_cell(
    ax: Axes, up: FloatArray, across: FloatArray, true: Array, labels: list[str], offset: int
) -> None:
    """Below the diagonal points, on it histograms, above it nothing: it would say the same."""
    if offset < 0:
        ax.set_visible(False)
        return
    edges = np.linspace(0.0, 1.0, 26)
    for number, label in enumerate(labels):
        members = true == label
        look = marker_look(number)
        if offset:
            ax.scatter(across[members], up[members], s=11, alpha=0.55, linewidths=0, **look)
        elif members.any():
            heights = np.histogram(across[members], edges)[0]
            ax.stairs(heights, edges, edgecolor=look["color"], linewidth=1.2)
    ax.set_xlim(-0.03, 1.03)
    if offset:
        ax.set_ylim(-0.03, 1.03)
    else:
        ax.set_yscale("symlog", linthresh=1.0)


def plot_mean_scores(result: Result, truth: Sequence[Any] | Array) -> Figure:
    """Mean share of each name for each true label, as stacked bars.

    Parameters
    ----------
    result : Result
    truth : sequence of str or label sets, length n_spectra

    Raises
    ------
    DataError
        If the length differs, there is nothing to show, or too much for one figure.
    """
    true, labels = _true_labels(result, truth)
    shares = result.shares
    means = np.stack([shares[true == label].mean(axis=0) for label in labels])
    sizes = [int((true == label).sum()) for label in labels]
    with drawing(height=1.5 + 0.45 * len(labels)) as (figure, axes):
        ax = axes[0, 0]
        start = np.zeros(len(labels))
        looks = [fill_look(j) for j in range(len(result.names))]
        for j, look in enumerate(looks):
            ax.barh(range(len(labels)), means[:, j], left=start, height=0.7, linewidth=0.6, **look)
            for i, value in enumerate(means[:, j]):
                if value >= 0.06:
                    ax.text(
                        start[i] + value / 2,
                        i,
                        percent(value, 0),
                        ha="center",
                        va="center",
                        fontsize=9,
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2},
                    )
            start = start + means[:, j]
        names = [
            f"{plain(text, longest=32)} ({n:,})" for text, n in zip(labels, sizes, strict=True)
        ]
        ax.set_yticks(range(len(labels)), names)
        ax.invert_yaxis()
        ax.grid(visible=False, axis="y")
        ax.set_xlim(0.0, 1.0)
        percent_ticks(ax.xaxis)
        ax.set_xlabel("Mean share")
        ax.set_ylabel("True label (spectra)")
        legend_above(
            figure, [Patch(**look) for look in looks], [plain(name) for name in result.names]
        )
    return figure
