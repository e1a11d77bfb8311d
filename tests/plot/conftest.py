"""Small spectra, models and studies that the figures are drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from spectraloom import Axis, Result, Spectra, SupervisedNMF
from spectraloom.analyze.outlier import OutlierStudy, study_outliers

NAMES = ("Co60", "Cs137", "background")
# What a label can hold: formulas, hidden legend entries, markup, broken and foreign characters.
HOSTILE = (
    r"$\frac{1",
    "a$b$c",
    "_hidden",
    "<script>alert(1)</script>",
    "two\nlines\x00.",
    "\ud800",
    "x" * 500,
    "放射 ☢",
    "",
    "{braces} %s",
    r"\alpha^_",
)


def templates(n_channels: int = 48) -> Any:
    """Two peaked shapes and a falling background, each of unit area."""
    x = np.arange(n_channels)
    shapes = [np.exp(-0.5 * ((x - center) / 2.0) ** 2) for center in (34, 18)]
    shapes.append(np.exp(-x / 15.0))
    return np.array([shape / shape.sum() for shape in shapes])


def make_spectra(n_per_label: int = 30, names: tuple[str, ...] = NAMES) -> Spectra:
    """Poisson spectra of single labels, seen by two detectors."""
    rng = np.random.default_rng(5)
    labels = np.repeat(names, n_per_label)
    rows = [rng.poisson(templates()[NAMES.index(name)] * 800 + 0.4) for name in labels]
    detectors = np.where(np.arange(len(labels)) % 2, "left", "right")
    return Spectra(
        np.array(rows),
        Axis.regular(0.0, 1500.0, 48),
        live_time=1.0,
        columns={"labels": [(str(name),) for name in labels], "detector": detectors},
    )


@pytest.fixture(scope="session")
def spectra() -> Spectra:
    return make_spectra()


@pytest.fixture(scope="session")
def truth(spectra: Spectra) -> Any:
    return np.array([entry[0] for entry in spectra.labels])


@pytest.fixture(scope="session")
def model(spectra: Spectra) -> SupervisedNMF:
    return SupervisedNMF(window=(100.0, 1400.0)).fit(spectra)


@pytest.fixture(scope="session")
def result(model: SupervisedNMF, spectra: Spectra) -> Result:
    return model.analyze(spectra)


@pytest.fixture(scope="session")
def study(spectra: Spectra) -> OutlierStudy:
    return study_outliers(SupervisedNMF(), spectra, feature="cosine")


def legend(figure: Figure) -> list[str]:
    """Texts of the legend of a figure."""
    return [text.get_text() for box in figure.legends for text in box.get_texts()]


def all_texts(figure: Figure) -> str:
    """Every text that is in a figure, in one."""
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def frames(ax: Axes) -> dict[tuple[int, int], tuple[str, str]]:
    """Row and column of each framed cell, with the colour and dashes of the frame."""
    return {
        (
            round(patch.get_y() + patch.get_height() / 2),
            round(patch.get_x() + patch.get_width() / 2),
        ): (
            to_hex(patch.get_edgecolor()).upper(),
            patch.get_linestyle(),
        )
        for patch in ax.patches
        if isinstance(patch, Rectangle)
    }
