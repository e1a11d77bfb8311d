"""How figures look: one palette, one way to make a figure, and one way to bytes."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis as MatplotlibAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from spectraloom._typing import Array
from spectraloom.errors import DataError

# M. Okabe, K. Ito, "Color Universal Design" (2008), the strongest on white first. Their yellow is
# left out: nobody sees it on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "----", "oo", "++")
RIGHT, WRONG = PALETTE[0], PALETTE[1]
INK, FAINT = "#1a1a1a", "#595959"
WIDTH = 9.0
_LONGEST = 48
# Letters on a line of a legend, and those that its key is as wide as.
_LINE, _KEY = 114, 9

# Everything that decides how a figure looks, and nothing that decides how a window opens.
_GROUPS = (
    *("agg.", "axes.", "figure.", "font.", "grid.", "hatch.", "image.", "legend.", "lines."),
    *("markers.", "mathtext.", "patch.", "path.", "savefig.", "scatter.", "svg.", "text."),
    *("xtick.", "ytick."),
)
_SETTINGS: dict[Any, Any] = {
    key: value for key, value in matplotlib.rcParamsDefault.items() if key.startswith(_GROUPS)
} | {
    "font.size": 10.0,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": "#dedede",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "svg.hashsalt": "spectraloom",
    "svg.fonttype": "path",
}
# The settings of matplotlib belong to the whole process, so one thread draws at a time.
_LOCK = threading.RLock()


@contextmanager
def house_style() -> Iterator[None]:
    """Settings of matplotlib in force while a figure is drawn; restored afterwards.

    Whatever the user has set elsewhere does not reach the figure.
    """
    with _LOCK, matplotlib.rc_context(_SETTINGS):
        yield


@contextmanager
def drawing(
    rows: int = 1,
    columns: int = 1,
    *,
    height: float,
    width: float = WIDTH,
    sharex: bool | str = False,
    sharey: bool | str = False,
    ratios: Sequence[float] | None = None,
) -> Iterator[tuple[Figure, Array]]:
    """Make a figure with panels; draw inside the ``with`` block.

    Parameters
    ----------
    rows, columns : int
        Panels.
    height, width : float
        Inches; the default width is right for a page of about 900 pixels.
    sharex, sharey : bool or {"row", "col"}
        As in :meth:`matplotlib.figure.Figure.subplots`.
    ratios : sequence of float, optional
        Relative heights of the rows.

    Yields
    ------
    figure : Figure
    axes : ndarray of Axes, shape (rows, columns)
    """
    with house_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.08, w_pad=0.06)  # type: ignore[union-attr, call-arg]
        axes = figure.subplots(
            rows,
            columns,
            squeeze=False,
            sharex=sharex,  # type: ignore[arg-type]
            sharey=sharey,  # type: ignore[arg-type]
            height_ratios=ratios,
        )
        for ax in axes.flat:
            ax.grid(visible=True)
        yield figure, axes


def grid_of(n: int, columns: int) -> tuple[int, int]:
    """Rows and columns for `n` small panels, at most `columns` side by side."""
    columns = min(n, columns)
    return -(-n // columns), columns


def hide_spare(axes: Array, used: int) -> list[Axes]:
    """The first `used` panels; the others are hidden, and the ones above those get an axis."""
    flat: list[Axes] = list(axes.flat)
    for number, ax in enumerate(flat):
        if number >= used:
            ax.set_visible(False)
            above = number - axes.shape[1]
            if 0 <= above < used:
                flat[above].xaxis.set_tick_params(labelbottom=True)
    return flat[:used]


def line_look(number: int) -> dict[str, Any]:
    """Colour and dashes of the line with this number; 28 differ."""
    return {"color": PALETTE[number % len(PALETTE)], "linestyle": LINES[number % len(LINES)]}


def fill_look(number: int) -> dict[str, Any]:
    """Colour and hatch of the area with this number; 56 differ."""
    return {
        "facecolor": PALETTE[number % len(PALETTE)],
        "hatch": HATCHES[number % len(HATCHES)],
        "edgecolor": "white",
    }


def marker_look(number: int) -> dict[str, Any]:
    """Colour and marker of the points with this number; 56 differ."""
    return {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number % len(MARKERS)]}


def plain(text: object, *, longest: int = _LONGEST) -> str:
    """Text for a figure: shown as it is, whatever a label contains.

    Dollar signs would start a formula, and a leading underscore would hide a legend entry.
    Control characters become spaces, characters that the font lacks a replacement sign; long texts
    are cut.
    """
    shown = "".join(c if c.isprintable() else " " for c in str(text)).strip()
    shown = "".join(c if ord(c) in _characters() else "\ufffd" for c in shown)
    if len(shown) > longest:
        shown = shown[: longest - 1] + "…"
    if shown.startswith("_"):
        shown = "\u2007" + shown  # a space that str.startswith does not skip
    return shown.replace("$", r"\$") or "(no name)"


@lru_cache(maxsize=1)
def _characters() -> frozenset[int]:
    """Code points of the font that matplotlib brings along and that all figures use."""
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def legend_above(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Legend above all panels, where it covers no data, with as many columns as fit."""
    if not handles:
        return
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    # How wide letters are is known once they are drawn; their number is where to begin.
    for columns in range(_columns_that_fit([len(label) + _KEY for label in labels]), 0, -1):
        legend = figure.legend(list(handles), list(labels), loc="outside upper left", ncols=columns)
        if columns == 1 or legend.get_window_extent(renderer).width <= figure.bbox.width:
            return
        legend.remove()


def _columns_that_fit(lengths: Sequence[int]) -> int:
    for columns in range(len(lengths), 1, -1):
        if sum(int(part.max()) for part in np.array_split(lengths, columns)) <= _LINE:
            return columns
    return 1


def percent(value: float, digits: int = 1) -> str:
    """Share as a percentage."""
    return f"{100 * value:.{digits}f} %"


def percent_ticks(axis: MatplotlibAxis) -> None:
    """Write the shares along an axis as percentages."""
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def note(ax: Axes, text: str) -> None:
    """Words in the middle of a panel that has nothing to show."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", wrap=True)


def line_key(**look: Any) -> Line2D:
    """Legend handle of a line."""
    return Line2D([], [], **look)


def require_some(number: int, what: str) -> None:
    """Refuse to draw nothing.

    Raises
    ------
    DataError
        If there are none.
    """
    if number < 1:
        raise DataError(f"there are no {what} to plot: choose at least one")


def require_at_most(number: int, most: int, what: str, instead: str) -> None:
    """Refuse to draw what nobody could read.

    Raises
    ------
    DataError
        If there are more than `most`.
    """
    if number > most:
        raise DataError(f"one figure shows up to {most} {what}, got {number}: {instead}")


def as_png(figure: Figure, *, dpi: int = 120) -> bytes:
    """Figure as PNG; the same data give the same bytes.

    Parameters
    ----------
    figure : Figure
    dpi : int
        Dots per inch.
    """
    stream = io.BytesIO()
    with house_style():
        figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def as_svg(figure: Figure) -> str:
    """Figure as SVG without date or address; the same data give the same text.

    Parameters
    ----------
    figure : Figure
    """
    stream = io.StringIO()
    nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with house_style():
        figure.savefig(stream, format="svg", metadata=nothing)
    return stream.getvalue()


def finite(values: Any) -> Array:
    """The finite ones of some numbers."""
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]
