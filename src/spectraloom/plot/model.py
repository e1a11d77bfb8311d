"""A model and its answers: loadings, one decomposition, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from spectraloom._typing import Array, FloatArray, IntArray
from spectraloom.analyze import SupervisedNMF
from spectraloom.data import Axis, Result, Spectra
from spectraloom.errors import DataError
from spectraloom.plot.explore import quantity
from spectraloom.plot.matrix import Dash, draw_matrix, frame_cell, frame_key
from spectraloom.plot.spectra import axis_label, draw_band, draw_spectrum, frame_spectrum
from spectraloom.plot.spectra import value_label as values_of
from spectraloom.plot.style import (
    FAINT,
    INK,
    PALETTE,
    RIGHT,
    WRONG,
    drawing,
    grid_of,
    hide_spare,
    legend_above,
    line_key,
    line_look,
    note,
    percent,
    percent_ticks,
    plain,
    require_at_most,
    require_some,
)
from spectraloom.plot.truth import truth_texts

_MOST_CLASSES = 40
_MOST_SHARES = 12
_OBSERVED: dict[str, Any] = {"facecolor": "#cfcfcf", "edgecolor": "none"}
_FIT: dict[str, Any] = {"color": INK, "linewidth": 1.5}


def plot_loadings(model: SupervisedNMF, *, log: bool = True) -> Figure:
    """Loadings of a fitted model: a panel per class, a line per variant.

    Parameters
    ----------
    model : SupervisedNMF
        Fitted.
    log : bool
        Logarithmic values.

    Raises
    ------
    DataError
        If there are too many classes for one figure.
    """
    classes = list(model.classes_)
    require_at_most(len(classes), _MOST_CLASSES, "classes", "plot their loadings yourself")
    axis = model.axis_ or Axis.uncalibrated(model.n_features_in_)
    rows, columns = grid_of(len(classes), 2)
    with drawing(rows, columns, height=0.9 + 2.0 * rows, sharex=True) as (figure, axes):
        panels = hide_spare(axes, len(classes))
        for j, (name, ax) in enumerate(zip(classes, panels, strict=True)):
            own = model.loadings_[model.loading_classes_ == j]
            for number, loading in enumerate(own):
                draw_spectrum(ax, axis, loading, **line_look(number))
            frame_spectrum(ax, axis, own, log=log)
            shaded = _shade_outside(ax, axis, model.weights_)
            many = f" ({len(own)} variants)" if len(own) > 1 else ""
            ax.set_title(f"{plain(name)}{many}")
        for ax in axes[:, 0]:
            ax.set_ylabel("Loading (share)")
        for ax in panels[-columns:]:
            ax.set_xlabel(axis_label(axis))
        _legend_outside(figure, [], [], shaded)
    return figure


def plot_confusion(names: Sequence[str], matrix: IntArray) -> Figure:
    """Confusion matrix: number of spectra and share of the row; right and wrong ones framed.

    Of more than 12 labels the shares are shades only, of more than 24 the numbers, too.

    Parameters
    ----------
    names : sequence of str, length k
    matrix : ndarray of int, shape (k, k)
        Rows are true, columns predicted labels, both in the order of `names`.

    Raises
    ------
    DataError
        If the shape does not fit the names, there is nothing to show, or too much for one figure.
    """
    counts = np.asarray(matrix)
    k = len(names)
    if counts.shape != (k, k):
        raise DataError(
            f"{k} names need a matrix of shape {(k, k)}, rows true and columns predicted, got "
            f"{counts.shape}"
        )
    require_some(k, "labels")
    require_at_most(k, _MOST_CLASSES, "labels", "join labels first")
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full((k, k), np.nan), where=totals > 0)
    texts = [
        [_cell(counts[i, j], shares[i, j], k > _MOST_SHARES) for j in range(k)] for i in range(k)
    ]
    right = int(np.trace(counts))
    wrong = int(counts.sum()) - right
    with drawing(height=1.6 + 0.5 * max(k, 4)) as (figure, axes):
        ax = axes[0, 0]
        image = draw_matrix(ax, list(names), shares, texts)
        bar = figure.colorbar(image, ax=ax, label="Share of the true label", shrink=0.8)
        percent_ticks(bar.ax.yaxis)
        for i, j in zip(*np.nonzero(counts), strict=True):
            frame_cell(ax, i, j, *(_RIGHT_FRAME if i == j else _WRONG_FRAME))
        ax.set_xlabel("Predicted label")
        ax.set_ylabel("True label")
        legend_above(
            figure,
            [frame_key(*_RIGHT_FRAME), frame_key(*_WRONG_FRAME)],
            [f"right: {right:,} spectra", f"wrong: {wrong:,} spectra"],
        )
    return figure


_RIGHT_FRAME: tuple[str, Dash] = (RIGHT, "-")
_WRONG_FRAME: tuple[str, Dash] = (WRONG, "--")


def _cell(count: int, share: float, small: bool) -> str:
    if not np.isfinite(share):
        return "–"
    return f"{count:,}\n{percent(share)}" if count and not small else f"{count:,}"


def plot_misclassified(
    spectra: Spectra, result: Result, truth: Sequence[Any] | Array, *, n: int = 3
) -> Figure:
    """Examples of wrong labels: the spectrum, its fit, what was said and what is true.

    The most frequent mistakes come first, one example of each before a second of any; the
    example is the one with the median total of its kind.

    Parameters
    ----------
    spectra : Spectra
    result : Result
        Of these spectra, with one label each (``top``).
    truth : sequence of str or label sets, length n_spectra
        True labels.
    n : int
        Number of examples.

    Raises
    ------
    DataError
        If lengths do not agree, `n` is not positive, or the result has no ``top``.
    """
    require_some(n, "examples")
    require_at_most(n, 20, "examples", "choose fewer")
    said = _require_top(result)
    true = truth_texts(truth, len(result))
    _require_same_length(spectra, result)
    rows = _typical_errors(true, said, spectra.totals, n)
    if not rows:
        with drawing(height=1.4) as (figure, axes):
            note(axes[0, 0], f"None of the {len(spectra):,} spectra was misclassified.")
        return figure
    with drawing(len(rows), height=0.9 + 2.4 * len(rows), sharex=True) as (figure, axes):
        for row, ax in zip(rows, axes[:, 0], strict=True):
            _draw_fit(ax, spectra, result, row)
            ax.set_title(
                f"Said {plain(said[row])}, true {plain(true[row])} (spectrum {row})\n"
                f"{_shares_text(result, row)}{_quality_text(result, row)}"
            )
        axes[-1, 0].set_xlabel(axis_label(spectra.axis))
        handles: list[Any] = [Patch(**_OBSERVED)]
        labels = ["observed"]
        if result.denoised is not None:
            handles, labels = [*handles, line_key(**_FIT)], [*labels, "denoised"]
        wrong = int((true != said).sum())
        handles.append(line_key(linestyle="none"))
        labels.append(f"{wrong:,} of {len(true):,} spectra are misclassified")
        legend_above(figure, handles, labels)
    return figure


def _draw_fit(ax: Axes, spectra: Spectra, result: Result, row: int) -> None:
    observed = spectra.values[row]
    draw_band(ax, spectra.axis, np.zeros(len(observed)), observed, **_OBSERVED)
    if result.denoised is not None:
        draw_spectrum(ax, spectra.axis, result.denoised.values[row], zorder=3, **_FIT)
    frame_spectrum(ax, spectra.axis, observed, log=True, counts=spectra.kind == "counts")
    ax.set_ylabel(values_of(spectra))


def _typical_errors(true: Array, said: Array, totals: Array, n: int) -> list[int]:
    """Rows of up to `n` wrong labels, kinds of error in turn, the most frequent kind first."""
    wrong = np.flatnonzero(true != said)
    kinds: dict[tuple[str, str], list[int]] = {}
    for row in wrong:
        kinds.setdefault((str(true[row]), str(said[row])), []).append(int(row))
    queues = []
    for members in sorted(kinds.values(), key=len, reverse=True):
        ordered = sorted(members, key=lambda row: float(totals[row]))
        middle = (len(ordered) - 1) // 2
        queues.append(sorted(ordered, key=lambda row: abs(ordered.index(row) - middle)))
    deepest = max(map(len, queues), default=0)
    return [queue[i] for i in range(deepest) for queue in queues if i < len(queue)][:n]


def plot_denoised(
    spectra: Spectra, result: Result, row: int, *, model: SupervisedNMF | None = None
) -> Figure:
    """One spectrum, its fit, the components of the fit, and the residual below.

    Parameters
    ----------
    spectra : Spectra
    result : Result
        Of these spectra, with the denoised ones.
    row : int
        Which spectrum.
    model : SupervisedNMF, optional
        The model that gave the result. With it the contribution of each class is drawn, and the
        channels that were not fitted are shaded.

    Raises
    ------
    DataError
        If lengths do not agree or the result holds no denoised spectra.
    IndexError
        If there is no such row.

    Notes
    -----
    Residuals are in standard deviations: of the variance of the spectra where they have one, else
    of Poisson counts with the fitted mean, taken as one at least. Intensities without a variance
    give plain differences.
    """
    _require_same_length(spectra, result)
    if result.denoised is None:
        raise DataError("the result holds no denoised spectra: analyze with denoise=True")
    one = spectra[row]
    row = row % len(spectra)
    fit = np.asarray(result.denoised.values[row], dtype=np.float64)
    with drawing(2, height=5.6, sharex=True, ratios=(3, 1)) as (figure, axes):
        top, below = axes[:, 0]
        handles: list[Any] = [Patch(**_OBSERVED), line_key(**_FIT)]
        labels = ["observed", "fit"]
        shaded = False
        _draw_fit(top, spectra, result, row)
        if model is not None:
            for j, part in enumerate(_components(model, one)):
                if part.any():
                    handles.append(_draw_component(top, one.axis, part, j))
                    labels.append(f"{plain(result.names[j])}: {_amount_text(result, row, j)}")
            for ax in (top, below):
                shaded = _shade_outside(ax, one.axis, model.weights_)
        top.set_title(f"{_shares_text(result, row)}{_quality_text(result, row)}")
        if _draw_residual(below, one, fit):
            handles.append(Patch(**_TWO_SIGMA))
            labels.append("±2 σ")
        below.set_xlabel(axis_label(one.axis))
        _legend_outside(figure, handles, labels, shaded)
    return figure


def _draw_component(ax: Axes, axis: Axis, part: FloatArray, number: int) -> Line2D:
    """Contribution of one class; its legend handle."""
    look = line_look(number)
    draw_band(ax, axis, np.zeros_like(part), part, facecolor=look["color"], alpha=0.12, linewidth=0)
    draw_spectrum(ax, axis, part, **look)
    return line_key(**look)


def _draw_residual(ax: Axes, one: Spectra, fit: FloatArray) -> bool:
    """Residual of one spectrum; say whether it is in standard deviations."""
    sigma = residual_scale(one, fit)
    residual = one.values[0] - fit
    if sigma is not None:
        residual = np.divide(residual, sigma, out=np.zeros_like(residual), where=sigma > 0)
        ax.axhspan(-2.0, 2.0, **_TWO_SIGMA)
    ax.axhline(0.0, color=FAINT, linewidth=0.8)
    draw_spectrum(ax, one.axis, residual, color=INK, linewidth=0.9)
    ax.set_ylabel("Residual" if sigma is None else "Residual (σ)")
    return sigma is not None


def residual_scale(one: Spectra, fit: FloatArray) -> FloatArray | None:
    """Standard deviation of each channel of one spectrum, or None where nothing says it.

    Parameters
    ----------
    one : Spectra
        A single spectrum.
    fit : ndarray, shape (n_channels,)
    """
    if one.variance is not None:
        return np.sqrt(np.asarray(one.variance[0], dtype=np.float64))
    if one.kind == "counts":
        return np.sqrt(np.maximum(fit, 1.0))
    if one.kind == "rate" and one.live_time is not None and one.live_time[0] > 0:
        time = float(one.live_time[0])
        return np.sqrt(np.maximum(fit * time, 1.0)) / time
    return None


def _components(model: SupervisedNMF, one: Spectra) -> FloatArray:
    """Contribution of each class to one spectrum, shape (n_classes, n_channels)."""
    parts = model.transform(one)[0][:, np.newaxis] * model.loadings_
    return np.stack(
        [parts[model.loading_classes_ == j].sum(axis=0) for j in range(len(model.classes_))]
    )


def _amount_text(result: Result, row: int, j: int) -> str:
    text = f"{quantity(float(result.amounts[row, j]))}"
    if result.uncertainties is not None:
        text += f" ± {quantity(float(result.uncertainties[row, j]))}"
    return f"{text} {plain(result.unit)}"


def _shares_text(result: Result, row: int) -> str:
    shares = result.shares[row]
    order = np.argsort(-shares, kind="stable")[:4]
    texts = [
        f"{plain(result.names[j], longest=16)} {percent(shares[j])}" for j in order if shares[j]
    ]
    return ", ".join(texts) or "nothing found"


def _quality_text(result: Result, row: int) -> str:
    return f"; cosine {result.quality['cosine'][row]:.3f}" if "cosine" in result.quality else ""


def _shade_outside(ax: Axes, axis: Axis, weights: FloatArray) -> bool:
    """Shade the channels with zero weight at both ends; say whether there are any."""
    fitted = np.flatnonzero(weights)
    first, last = int(fitted[0]), int(fitted[-1])
    step = 1 if axis.binned else 0
    spans = []
    if first > 0:
        spans.append((axis.values[0], axis.values[first]))
    if last < axis.n_channels - 1:
        spans.append((axis.values[last + step], axis.values[-1]))
    for low, high in spans:
        ax.axvspan(low, high, **_OUTSIDE)
    return bool(spans)


_OUTSIDE: dict[str, Any] = {
    "facecolor": "#eeeeee",
    "edgecolor": "#b0b0b0",
    "hatch": "///",
    "zorder": 0.5,
}
_OUTSIDE["linewidth"] = 0
_TWO_SIGMA: dict[str, Any] = {"color": PALETTE[5], "alpha": 0.3, "linewidth": 0}


def _legend_outside(figure: Figure, handles: list[Any], labels: list[str], shaded: bool) -> None:
    if shaded:
        handles, labels = [*handles, Patch(**_OUTSIDE)], [*labels, "not fitted"]
    legend_above(figure, handles, labels)


def _require_top(result: Result) -> Array:
    if result.top is None:
        raise DataError("the result has no single label per spectrum (top): nothing to compare")
    return result.top


def _require_same_length(spectra: Spectra, result: Result) -> None:
    if len(spectra) != len(result):
        raise DataError(
            f"there are {len(spectra)} spectra, but a result of {len(result)}: give the spectra "
            "that were analysed"
        )
