from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from spectraloom import Axis, Spectra
from spectraloom.analyze.explore import (
    MeanSpectra,
    Similarity,
    mean_spectra,
    random_examples,
    similarity,
)
from spectraloom.errors import AxisError, DataError
from spectraloom.plot import as_png, plot_examples, plot_means, plot_similarity
from spectraloom.plot.style import WRONG

from .conftest import all_texts, frames, legend


def steps(ax: Axes) -> list[StepPatch]:
    return [patch for patch in ax.patches if isinstance(patch, StepPatch)]


def test_a_panel_per_label_with_a_line_and_a_band_per_detector(spectra: Spectra) -> None:
    figure = plot_means(mean_spectra(spectra))
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left").split(" (")[0] for ax in shown] == [
        "Co60",
        "Cs137",
        "background",
    ]
    assert "(n = 15 + 15)" in shown[0].get_title(loc="left")
    detectors = spectra.column("detector")
    of_label = np.array([entry == ("Cs137",) for entry in spectra.labels])
    lines = [patch.get_data() for patch in steps(shown[1]) if not patch.get_fill()]
    bands = [patch.get_data() for patch in steps(shown[1]) if patch.get_fill()]
    for name, line, band in zip(("left", "right"), lines, bands, strict=True):
        rows = spectra.values[of_label & (detectors == name)]
        np.testing.assert_allclose(line.values, rows.mean(axis=0))
        np.testing.assert_allclose(band.values, rows.mean(axis=0) + rows.std(axis=0, ddof=1))
        low = rows.mean(axis=0) - rows.std(axis=0, ddof=1)
        np.testing.assert_allclose(band.baseline[low > 0], low[low > 0])
    assert legend(figure) == ["left", "right", "± one standard deviation of the spectra"]
    # The last panel of each column says what lies along it.
    assert [ax.get_xlabel() for ax in shown] == ["", "Energy (keV)", "Energy (keV)"]


def test_a_window_cuts_the_axis(spectra: Spectra) -> None:
    figure = plot_means(mean_spectra(spectra), window=(300.0, 600.0))
    edges = steps(figure.axes[0])[0].get_data().edges
    assert edges[0] >= 250
    assert edges[-1] <= 650
    with pytest.raises(AxisError, match="no channel lies between"):
        plot_means(mean_spectra(spectra), window=(9000.0, 9001.0))


def test_subtracted_means_may_be_negative(spectra: Spectra) -> None:
    means = mean_spectra(spectra, subtract="background")
    assert means.means.min() < 0
    figure = plot_means(means)
    assert figure.axes[0].get_yscale() != "log"
    assert as_png(figure)
    fewer = replace(means, means=np.maximum(means.means, -0.5))
    assert plot_means(fewer).axes[0].get_yscale() == "symlog"
    assert plot_means(means, log=False).axes[0].get_yscale() == "linear"


def test_one_label_without_detector_on_points() -> None:
    axis = Axis.from_points([200.0, 300.0, 500.0], quantity="wavelength", unit="nm")
    spectra = Spectra([[1.0, 4, 2], [2, 3, 1]], axis, "intensity", columns={"labels": ["Fe", "Fe"]})
    figure = plot_means(mean_spectra(spectra))
    assert legend(figure)[0] == "mean"
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [1.5, 3.5, 1.5])
    assert as_png(figure)


def test_examples_say_label_and_total(spectra: Spectra) -> None:
    examples = random_examples(spectra, 2)
    figure = plot_examples(examples)
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()]
    expected = [
        f"{entry[0]}\n{total:,.0f} counts"
        for entry, total in zip(examples.labels, examples.values.sum(axis=1), strict=True)
    ]
    assert titles == expected


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_every_column_of_examples_has_a_labelled_axis(spectra: Spectra, n: int) -> None:
    figure = plot_examples(spectra[:n])
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert len(shown) == n
    assert sum(ax.get_xlabel() == "Energy (keV)" for ax in shown) == min(n, 3)
    as_png(figure)
    for ax in shown:
        ticks = any(tick.label1.get_visible() for tick in ax.xaxis.get_major_ticks())
        assert ticks == bool(ax.get_xlabel())


def test_examples_without_labels() -> None:
    figure = plot_examples(Spectra([[0.5, 0.25, 0.0]], kind="rate"))
    assert figure.axes[0].get_title(loc="left") == "0.75 counts/s"


def test_similarity_frames_the_pairs_it_warns_of() -> None:
    names = ("a (left)", "a (right)", "b (left)")
    matrix = np.array([[1, 0.5, 0.9], [0.5, 1, 0.2], [0.9, 0.2, 1]])
    alike = Similarity(
        names, matrix, ((names[0], names[1], 0.5),), ((names[0], names[2], 0.9),), 0.8
    )
    figure = plot_similarity(alike)
    ax = figure.axes[0]
    framed = frames(ax)
    assert set(framed) == {(0, 1), (1, 0), (0, 2), (2, 0)}
    assert framed[0, 2] == framed[2, 0] == (WRONG, "-")
    assert framed[0, 1] == framed[1, 0] != framed[0, 2]
    assert framed[0, 1][1] == "--"  # told apart without colour
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(names)
    assert "0.50" in all_texts(figure)
    assert legend(figure) == [
        "one label, but below 0.8: 1 pair(s)",
        "different labels, but 0.8 or more: 1 pair(s)",
    ]


def test_similarity_of_one_mean(spectra: Spectra) -> None:
    figure = plot_similarity(
        similarity(mean_spectra(spectra[spectra.column("detector") == "left"][:5]))
    )
    assert frames(figure.axes[0]) == {}
    assert as_png(figure)


def test_numbers_are_left_out_where_nobody_could_read_them() -> None:
    names = tuple(f"n{i}" for i in range(30))
    figure = plot_similarity(Similarity(names, np.eye(30), (), (), 0.8))
    assert "1.00" not in all_texts(figure)


def test_nothing_and_too_much_are_refused() -> None:
    none = np.zeros((0, 3))
    with pytest.raises(DataError, match="no mean spectra"):
        plot_means(MeanSpectra((), (), none, none, np.zeros(0), Axis.uncalibrated(3)))
    with pytest.raises(DataError, match="no spectra"):
        plot_examples(Spectra(none))
    with pytest.raises(DataError, match="up to 40 spectra"):
        plot_examples(Spectra(np.ones((41, 2))))
    with pytest.raises(DataError, match="no mean spectra"):
        plot_similarity(Similarity((), np.zeros((0, 0)), (), (), 0.8))
