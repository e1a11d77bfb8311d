"""Figures of the tutorials: what the last line of a block gives, if it is a figure.

Our figures are made without pyplot, which keeps no list of them, so that sphinx-gallery's own
scraper does not see them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

from spectraloom.plot import as_png


def scrape(_block: Any, variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """Save the figure of a block and give the text that shows it."""
    # The one name under which sphinx-gallery keeps the value of the last line, until the next.
    figure = variables["example_globals"].get("___")
    if not isinstance(figure, Figure) or figure is variables.get("last_figure"):
        return ""
    variables["last_figure"] = figure
    path = Path(next(variables["image_path_iterator"]))
    path.write_bytes(as_png(figure))
    return str(figure_rst([str(path)], settings["src_dir"], describe(figure)))


def describe(figure: Figure) -> str:
    """Text alternative: titles of the panels and what their axes show."""
    shown = [ax for ax in figure.axes if ax.get_visible()]
    titles = [ax.get_title(place) for ax in shown for place in ("left", "center")]
    named = ", ".join(dict.fromkeys(title for title in titles if title))
    across = next((text for ax in reversed(shown) if (text := ax.get_xlabel())), "")
    up = next((text for ax in shown if (text := ax.get_ylabel())), "")
    labels = " against ".join(text for text in (up, across) if text)
    return ": ".join(" ".join(part.split()) for part in (named, labels) if part) or "Figure"
