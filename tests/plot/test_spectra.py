from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import StepPatch

from spectraloom import Axis, Spectra
from spectraloom.errors import DataError
from spectraloom.plot import as_png, plot_spectra
from spectraloom.plot.spectra import axis_label

from .conftest import legend


def test_bins_are_drawn_as_steps_between_their_edges(spectra: Spectra) -> None:
    figure = plot_spectra(spectra[[0, 40]])
    (ax,) = figure.axes
    steps = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    assert len(steps) == 2
    for patch, row in zip(steps, (0, 40), strict=True):
        values, edges, _ = patch.get_data()
        np.testing.assert_array_equal(values, spectra.values[row])
        np.testing.assert_array_equal(edges, spectra.axis.edges)
    assert ax.get_xlabel() == "Energy (keV)"
    assert ax.get_ylabel() == "Counts per channel"
    assert ax.get_yscale() == "log"
    assert legend(figure) == ["Co60 #0", "Cs137 #1"]


def test_a_single_count_is_seen_on_the_logarithmic_scale() -> None:
    (ax,) = plot_spectra(Spectra([[0, 1, 5000, 12]])).axes
    low, high = ax.get_ylim()
    assert 0 < low < 1
    assert high > 5000


def test_points_are_joined_by_lines() -> None:
    axis = Axis.from_points([400.0, 401.5, 404.0], quantity="wavelength", unit="nm")
    (ax,) = plot_spectra(Spectra([[1.0, 3.0, 2.0]], axis, kind="intensity")).axes
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), axis.centers)
    assert ax.get_xlabel() == "Wavelength (nm)"
    assert ax.get_ylabel() == "Intensity"


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        (Axis.uncalibrated(4), "Channel"),
        (Axis.regular(0, 4, 4), "Energy (keV)"),
        (Axis.from_points([1.0, 2.0], quantity="shift", unit="ppm"), "Shift (ppm)"),
        (Axis.from_points([1.0, 2.0], quantity="m/z", unit=""), "M/z"),
    ],
)
def test_axis_labels(axis: Axis, text: str) -> None:
    assert axis_label(axis) == text


@pytest.mark.parametrize(
    ("values", "kind", "scale", "label"),
    [
        ([[0, 0, 0]], "counts", "linear", "Counts per channel"),
        ([[-4.0, 2.0, 900.0]], "intensity", "symlog", "Intensity"),
        ([[-4.0, 2.0, 9.0]], "intensity", "linear", "Intensity"),
        ([[-4.0, -2.0, -9.0]], "intensity", "linear", "Intensity"),
        ([[0.5, 2.0, 0.0]], "rate", "log", "Count rate per channel (1/s)"),
        ([[3 + 4j, 1j, 2]], "complex", "log", "Magnitude"),
    ],
)
def test_every_kind_finds_a_scale(
    values: list[list[float]], kind: str, scale: str, label: str
) -> None:
    figure = plot_spectra(Spectra(values, kind=kind))
    (ax,) = figure.axes
    assert ax.get_yscale() == scale
    assert ax.get_ylabel() == label
    assert as_png(figure)


def test_complex_spectra_are_shown_by_their_magnitude() -> None:
    (ax,) = plot_spectra(Spectra([[3 + 4j, 1j, 2]], kind="complex")).axes
    np.testing.assert_allclose(ax.patches[0].get_data().values, [5, 1, 2])


def test_a_linear_scale_on_request(spectra: Spectra) -> None:
    (ax,) = plot_spectra(spectra[0], log=False).axes
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize("axis", [Axis.uncalibrated(1), Axis.from_points([3.0])])
def test_one_channel_is_a_spectrum(axis: Axis) -> None:
    assert as_png(plot_spectra(Spectra([[7]], axis)))


def test_own_names_go_to_the_legend() -> None:
    figure = plot_spectra(Spectra([[1, 2], [3, 4]]), names=["before", "after"])
    assert legend(figure) == ["before", "after"]


def test_nothing_too_much_and_wrong_names_are_refused(spectra: Spectra) -> None:
    with pytest.raises(DataError, match="no spectra to plot"):
        plot_spectra(spectra[:0])
    with pytest.raises(DataError, match=r"up to 28 spectra, got 90: choose rows"):
        plot_spectra(spectra)
    with pytest.raises(DataError, match="2 spectra, but 1 names"):
        plot_spectra(spectra[:2], names=["one"])


def test_negative_noise_stays_in_the_linear_part() -> None:
    (ax,) = plot_spectra(Spectra([[-4.0, 3.0, 900.0, 0.001]], kind="intensity")).axes
    assert ax.yaxis.get_transform().linthresh == 10.0
    low, high = ax.get_ylim()
    assert low < -4
    assert high > 900
