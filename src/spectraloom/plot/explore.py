"""A first look: means, examples and how alike the classes are."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from spectraloom.analyze.explore import MeanSpectra, Similarity
from spectraloom.data import Spectra
from spectraloom.plot.matrix import Dash, draw_matrix, frame_cell, frame_key
from spectraloom.plot.spectra import (
    axis_label,
    draw_band,
    draw_spectrum,
    frame_spectrum,
    title_of,
    value_label,
)
from spectraloom.plot.style import (
    PALETTE,
    WRONG,
    drawing,
    grid_of,
    hide_spare,
    legend_above,
    line_key,
    line_look,
    plain,
    require_at_most,
    require_some,
)

_MOST_PANELS = 40
_MOST_CELLS = 40
_TOO_FAR: tuple[str, Dash] = (PALETTE[3], "--")
_TOO_CLOSE: tuple[str, Dash] = (WRONG, "-")


def plot_means(
    means: MeanSpectra, *, log: bool = True, window: tuple[float, float] | None = None
) -> Figure:
    """Mean spectra with their spread: a panel per label, a line per detector.

    Parameters
    ----------
    means : MeanSpectra
    log : bool
        Logarithmic values; linear around zero where a mean is negative, as after subtraction.
    window : (float, float), optional
        Part of the axis to show, in its unit.

    Raises
    ------
    AxisError
        If no channel lies in the window.
    DataError
        If there is nothing to show, or too much for one figure.
    """
    require_some(len(means), "mean spectra")
    labels = list(dict.fromkeys(means.labels))
    detectors = list(dict.fromkeys(means.detectors))
    require_at_most(len(labels), _MOST_PANELS, "labels", "choose some of them before the means")
    channels = slice(0, means.axis.n_channels) if window is None else means.axis.window(*window)
    rows, columns = grid_of(len(labels), 2)
    with drawing(rows, columns, height=0.9 + 2.3 * rows, sharex=True) as (figure, axes):
        panels = hide_spare(axes, len(labels))
        for label, ax in zip(labels, panels, strict=True):
            _draw_means(ax, means, label, detectors, channels, log)
        for ax in axes[:, 0]:
            ax.set_ylabel("Mean per channel")
        _label_bottom(panels, columns, axis_label(means.axis))
        looks = [line_look(number) for number in range(len(detectors))]
        handles: list[object] = [line_key(**look) for look in looks]
        texts = [plain(name) if name else "mean" for name in detectors]
        handles.append(Patch(facecolor="#8c8c8c", alpha=0.35))
        legend_above(figure, handles, [*texts, "± one standard deviation of the spectra"])
    return figure


def _draw_means(
    ax: Axes,
    means: MeanSpectra,
    label: str,
    detectors: list[str],
    channels: slice,
    log: bool,
) -> None:
    members = [k for k, name in enumerate(means.labels) if name == label]
    axis = means.axis[channels]
    shown = means.means[members][:, channels]
    numbers = []
    for k, mean in zip(members, shown, strict=True):
        spread = means.spreads[k, channels]
        look = line_look(detectors.index(means.detectors[k]))
        # On a logarithmic scale a band below zero has no lower edge; the axis cuts it.
        low = mean - spread if mean.min() < 0 or not log else np.maximum(mean - spread, 1e-300)
        draw_band(
            ax,
            axis,
            low,
            mean + spread,
            facecolor=look["color"],
            alpha=0.2,
            linewidth=0,
            zorder=0.8,
        )
        draw_spectrum(ax, axis, mean, **look)
        numbers.append(f"{means.n_spectra[k]:,}")
    shown = np.concatenate([shown, shown + means.spreads[members][:, channels]])
    frame_spectrum(ax, axis, shown, log=log)
    ax.set_title(f"{plain(label, longest=34)} (n = {' + '.join(numbers)})")


def plot_examples(spectra: Spectra, *, log: bool = True) -> Figure:
    """Small pictures of single spectra, each with its label and its total.

    Parameters
    ----------
    spectra : Spectra
        E.g. from :func:`~spectraloom.analyze.explore.random_examples`; at most 40.
    log : bool
        Logarithmic values.

    Raises
    ------
    DataError
        If there are no spectra, or too many for one figure.
    """
    require_some(len(spectra), "spectra")
    require_at_most(len(spectra), _MOST_PANELS, "spectra", "draw fewer examples per label")
    values = np.abs(spectra.values) if spectra.kind == "complex" else spectra.values
    totals = values.sum(axis=1, dtype=np.float64)
    unit = {"counts": " counts", "rate": " counts/s"}.get(spectra.kind, " in all")
    rows, columns = grid_of(len(spectra), 3)
    with drawing(rows, columns, height=0.5 + 2.0 * rows, sharex=True) as (figure, axes):
        panels = hide_spare(axes, len(spectra))
        for row, ax in enumerate(panels):
            draw_spectrum(ax, spectra.axis, values[row], color=PALETTE[0], linewidth=1.0)
            frame_spectrum(ax, spectra.axis, values[row], log=log, counts=spectra.kind == "counts")
            label = title_of(spectra, row)
            start = f"{plain(label, longest=34)}\n" if label else ""
            ax.set_title(f"{start}{quantity(totals[row])}{unit}")
        for ax in axes[:, 0]:
            ax.set_ylabel(value_label(spectra))
        _label_bottom(panels, columns, axis_label(spectra.axis))
    return figure


def plot_similarity(similarity: Similarity) -> Figure:
    """Cosine similarity of all pairs, with the pairs that deserve a look framed.

    Parameters
    ----------
    similarity : Similarity

    Raises
    ------
    DataError
        If there is nothing to show, or too much for one figure.
    """
    k = len(similarity.names)
    require_some(k, "mean spectra")
    require_at_most(k, _MOST_CELLS, "mean spectra", "choose fewer labels or detectors")
    names = list(similarity.names)
    texts = [[f"{value:.2f}" for value in row] for row in similarity.matrix]
    with drawing(height=1.6 + 0.5 * max(k, 4)) as (figure, axes):
        ax = axes[0, 0]
        image = draw_matrix(ax, names, similarity.matrix, texts)
        # Cosines of differences may be negative.
        image.set_clim(min(0.0, float(similarity.matrix.min())), 1.0)
        figure.colorbar(image, ax=ax, label="Cosine similarity", shrink=0.8)
        for pairs, frame in ((similarity.too_far, _TOO_FAR), (similarity.too_close, _TOO_CLOSE)):
            for first, second, _ in pairs:
                i, j = names.index(first), names.index(second)
                frame_cell(ax, i, j, *frame)
                frame_cell(ax, j, i, *frame)
        threshold = f"{similarity.threshold:g}"
        legend_above(
            figure,
            [frame_key(*_TOO_FAR), frame_key(*_TOO_CLOSE)],
            [
                f"one label, but below {threshold}: {len(similarity.too_far)} pair(s)",
                f"different labels, but {threshold} or more: {len(similarity.too_close)} pair(s)",
            ],
        )
    return figure


def quantity(value: float) -> str:
    """Number for a title: whole and grouped where it is large, three digits where small."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:.3g}"


def _label_bottom(panels: list[Axes], columns: int, text: str) -> None:
    for ax in panels[-columns:]:
        ax.set_xlabel(text)
