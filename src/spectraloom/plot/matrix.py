"""Square matrices with a number in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle

from spectraloom._typing import FloatArray
from spectraloom.plot.style import INK, plain

# Cells that are smaller hold no readable number.
_MOST_NUMBERS = 24
# Light enough for dark numbers on every cell.
_MAP = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#7fb2d6"])
Dash = Literal["-", "--"]


def draw_matrix(
    ax: Axes, names: Sequence[str], shade: FloatArray, texts: Sequence[Sequence[str]]
) -> AxesImage:
    """Shaded cells with texts; names on both sides.

    Parameters
    ----------
    ax : Axes
    names : sequence of str, length k
    shade : ndarray, shape (k, k)
        Between 0 and 1; nan stays white.
    texts : sequence of sequences of str, shape (k, k)
        Left out where the cells are too small for them.
    """
    k = len(names)
    image = ax.imshow(shade, cmap=_MAP, vmin=0.0, vmax=1.0, aspect="auto")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    shown = [plain(name, longest=32) for name in names]
    ax.set_xticks(range(k), shown, rotation=0 if _fits(shown) else 45, ha=_side(shown))
    ax.set_yticks(range(k), shown)
    ax.tick_params(length=0)
    size = float(np.clip(60.0 / k, 6.0, 9.5))
    if k <= _MOST_NUMBERS:
        for i in range(k):
            for j in range(k):
                ax.text(
                    j,
                    i,
                    texts[i][j],
                    ha="center",
                    va="center",
                    color=INK,
                    fontsize=size,
                )
    return image


def frame_cell(ax: Axes, row: int, column: int, color: str, dash: Dash) -> None:
    """Frame one cell, inside its own borders, on a white ground that sets it off."""
    ax.add_patch(
        Rectangle(
            (column - 0.46, row - 0.46),
            0.92,
            0.92,
            fill=False,
            edgecolor=color,
            linewidth=2.4,
            linestyle=dash,
            path_effects=[patheffects.withStroke(linewidth=5.0, foreground="white")],
        )
    )


def frame_key(color: str, dash: Dash) -> Patch:
    """Legend handle of a framed cell."""
    return Patch(fill=False, edgecolor=color, linewidth=2.4, linestyle=dash)


def _fits(names: Sequence[str]) -> bool:
    return sum(len(name) + 2 for name in names) < 72


def _side(names: Sequence[str]) -> Any:
    return "center" if _fits(names) else "right"
