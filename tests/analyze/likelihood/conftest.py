"""Templates of peaks on continua, whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze.likelihood import Resolution, TemplateTable, template_table
from spectraloom.data import Axis, Library

RESOLUTION = Resolution(0.08)
AXIS = Axis.regular(20.0, 1620.0, 160)
PEAKS = {"Cs137": (662.0,), "Co60": (1173.0, 1332.0), "Am241": (60.0,), "background": ()}


def shapes(axis: Axis = AXIS) -> np.ndarray:
    """Unit-area templates, shape (4, n)."""
    energy = axis.centers
    sigma = RESOLUTION.at(energy) / 2.3548
    rows = []
    for peaks in PEAKS.values():
        row = 0.3 * np.exp(-energy / 250.0) / 25.0
        for peak in peaks:
            near = np.exp(-0.5 * ((energy - peak) / np.interp(peak, energy, sigma)) ** 2)
            row = row + near / near.sum() / len(peaks)
            row = row + 0.02 * (energy < 0.7 * peak)
        rows.append(row * axis.widths)
    templates = np.array(rows)
    return templates / templates.sum(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def library() -> Library:
    return Library(shapes(), AXIS, tuple(PEAKS))


@pytest.fixture(scope="session")
def table(library: Library) -> TemplateTable:
    return template_table([library])


@pytest.fixture(scope="session")
def wide_table(library: Library) -> TemplateTable:
    """With layers of broadening."""
    return template_table([library], nodes=np.linspace(0.0, 0.5, 6), resolution=RESOLUTION)
