from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spectraloom import Axis
from spectraloom.errors import DataError
from spectraloom.plot import (
    as_png,
    plot_amounts,
    plot_efficiency,
    plot_false_alarms,
    plot_identified,
    plot_roc,
)

from .conftest import HOSTILE, all_texts, legend

AXIS = Axis.regular(0.0, 1500.0, 48)


def parts(names: tuple[str, ...] = ("Cs137", "background")) -> dict[str, Any]:
    x = np.arange(48)
    return {
        name: 40.0 * np.exp(-0.5 * ((x - 6 * number) / 4.0) ** 2)
        for number, name in enumerate(names)
    }


def test_an_identified_spectrum_shows_fit_components_and_residual(rng: Any) -> None:
    components = parts()
    fit = sum(components.values())
    observed = rng.poisson(fit)
    figure = plot_identified(AXIS, observed, components, peaks=[(700.0, "662 keV Cs137")])
    assert legend(figure) == ["observed", "fit", "Cs137", "background"]
    top, below = figure.axes
    assert below.get_xlabel() == "Energy (keV)"
    residual = below.patches[0].get_data().values
    np.testing.assert_allclose(residual, (observed - fit) / np.sqrt(np.maximum(fit, 1.0)))
    assert "662 keV Cs137" in all_texts(figure)
    assert top.get_ylabel() == "Counts per bin"
    assert as_png(figure)


def test_identified_texts_are_shown_as_they_are() -> None:
    figure = plot_identified(AXIS, np.ones(48), parts(HOSTILE), title=HOSTILE[0])
    assert as_png(figure)


def test_an_identified_spectrum_must_fit_its_axis() -> None:
    with pytest.raises(DataError, match="no components"):
        plot_identified(AXIS, np.ones(48), {})
    with pytest.raises(DataError, match="belong to the fitted bins"):
        plot_identified(AXIS, np.ones(40), parts())
    assert as_png(plot_identified(AXIS, np.zeros(48), {"nothing": np.zeros(48)}))


def test_amounts_have_intervals_thresholds_and_limits() -> None:
    figure = plot_amounts(
        ["Am241", "Cs137", "background"],
        np.array([0.0, 300.0, 2000.0]),
        np.array([10.0, 20.0, 50.0]),
        thresholds=np.array([30.0, 40.0, np.nan]),
        limits=np.array([60.0, 80.0, np.nan]),
        found=[False, True, True],
    )
    ax = figure.axes[0]
    intervals = list(ax.collections[0].get_segments())
    ends = np.array([[segment[0][0], segment[1][0]] for segment in intervals])
    np.testing.assert_allclose(
        ends, [[0, 19.6], [260.8, 339.2], [1902.0, 2098.0]], rtol=1e-3, atol=1e-9
    )
    faces = [line.get_markerfacecolor() for line in ax.lines[:2]]
    assert len(ax.lines[0].get_xdata()) == 2  # found
    assert len(ax.lines[1].get_xdata()) == 1  # not found
    assert faces[1] == "white"
    assert legend(figure)[-1] == "detection limit"
    assert as_png(figure)
    assert as_png(plot_amounts(["x"], np.zeros(1), np.zeros(1)))
    with pytest.raises(DataError, match="3 names need 3 amounts"):
        plot_amounts(["a", "b", "c"], np.zeros(2), np.zeros(3))


def test_curves_are_drawn_as_given() -> None:
    false, found = np.array([0.0, 0.1, 1.0]), np.array([0.0, 0.8, 1.0])
    figure = plot_roc({"Cs137": (false, found), "_b$": (found, false)})
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), found)
    assert len(legend(figure)) == 2
    assert as_png(figure)
    with pytest.raises(DataError, match="no curves"):
        plot_roc({})


def test_efficiency_against_counts() -> None:
    figure = plot_efficiency([50, 100], {"Co60": [0.5, 0.9], "Eu152": [np.nan, 0.2]})
    ax = figure.axes[0]
    assert ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["50", "100"]
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [0.5, 0.9])
    assert as_png(figure)
    with pytest.raises(DataError, match="2 efficiencies for 1 counts"):
        plot_efficiency([50], {"Co60": [0.5, 0.9]})


def test_false_alarms_lie_on_logarithmic_scales() -> None:
    stated = np.array([0.1, 0.01])
    observed, low, high = np.array([0.09, 0.0]), np.array([0.08, 0.0]), np.array([0.1, 0.004])
    figure = plot_false_alarms({"measured": (stated, observed, low, high)})
    ax = figure.axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    diagonal = ax.lines[0]
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    points = ax.lines[1].get_ydata()
    assert points[0] == 0.09
    assert points[1] == pytest.approx(0.002)  # none at all, at the lower edge
    assert as_png(figure)
    with pytest.raises(DataError, match="no false-alarm rates"):
        plot_false_alarms({"measured": (np.array([]),) * 4})
