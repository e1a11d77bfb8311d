from __future__ import annotations

import subprocess
import sys
import threading
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from spectraloom import Axis, Result, Spectra, SupervisedNMF, plot
from spectraloom.analyze.explore import mean_spectra, similarity
from spectraloom.errors import DataError
from spectraloom.plot import as_png, as_svg, style

from .conftest import HOSTILE, legend, make_spectra


def draw() -> Figure:
    return plot.plot_spectra(make_spectra(1))


def test_nothing_imports_pyplot() -> None:
    code = (
        "import sys; import spectraloom as sl; from spectraloom.plot import as_png;"
        "as_png(sl.plot.plot_spectra(sl.Spectra([[1, 2, 3]])));"
        "print('matplotlib.figure' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize("render", [as_png, as_svg])
def test_the_same_data_give_the_same_bytes(render: Callable[[Figure], bytes | str]) -> None:
    figure = draw()
    first = render(figure)
    assert render(figure) == first
    assert render(draw()) == first
    assert render(plot.plot_spectra(make_spectra(2))) != first


@pytest.mark.parametrize("render", [as_png, as_svg])
def test_settings_of_the_user_change_nothing(render: Callable[[Figure], bytes | str]) -> None:
    usual = render(draw())
    theirs = {"axes.facecolor": "black", "font.size": 30, "lines.linewidth": 9, "svg.hashsalt": "x"}
    with matplotlib.rc_context(theirs):
        assert render(draw()) == usual


def test_settings_of_the_user_are_left_alone() -> None:
    before = dict(matplotlib.rcParams)
    as_png(draw())
    with pytest.raises(DataError):
        plot.plot_spectra(make_spectra(1)[:0])
    assert dict(matplotlib.rcParams) == before


def test_threads_do_not_mix_their_settings() -> None:
    before = dict(matplotlib.rcParams)
    expected = as_png(draw())
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(as_png(draw()))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 6
    assert dict(matplotlib.rcParams) == before


def test_png_is_a_png_of_the_asked_size() -> None:
    data = as_png(draw(), dpi=100)
    assert data.startswith(b"\x89PNG\r\n")
    width, height = (int.from_bytes(data[start : start + 4], "big") for start in (16, 20))
    assert (width, height) == (900, 440)
    assert b"tEXtSoftware" not in data


def test_svg_is_well_formed_and_names_neither_date_nor_maker() -> None:
    text = as_svg(draw())
    root = ET.fromstring(text.partition(">")[2] if text.startswith("<?xml") else text)
    assert root.tag.endswith("svg")
    assert "Matplotlib v" not in text
    assert "dc:creator" not in text
    assert "dc:date" not in text


@pytest.mark.parametrize("label", HOSTILE, ids=range(len(HOSTILE)))
def test_any_label_is_shown_as_text(label: str) -> None:
    spectra = Spectra([[3, 5, 2], [1, 0, 4]], columns={"labels": [(label,), ("other",)]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = [
            plot.plot_spectra(spectra, names=[label, "other"]),
            plot.plot_examples(spectra),
            plot.plot_confusion([label, "other"], np.array([[3, 1], [0, 2]])),
        ]
        for figure in figures:
            as_png(figure)
    assert len(legend(figures[0])) == 2
    # Every line of the legend is really there: matplotlib hides those with an underscore.
    assert len(figures[0].legends[0].legend_handles) == 2


def test_any_label_is_shown_as_text_by_every_figure() -> None:
    names = tuple(f"{number}{label}" for number, label in enumerate(HOSTILE))
    k = len(names)
    counts = np.eye(k, 24) * 90 + 1
    spectra = Spectra(counts, columns={"labels": [(name,) for name in names], "detector": names})
    amounts = np.eye(k) + 0.1
    result = Result(
        names,
        amounts,
        amounts > 0.5,
        unit=HOSTILE[0],
        top=np.roll(names, 1),
        denoised=spectra.replace(values=counts + 0.5),
    )
    means = mean_spectra(spectra)
    model = SupervisedNMF(background=None).fit(spectra, [name[:40] for name in names])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in (
            plot.plot_means(means),
            plot.plot_similarity(similarity(means)),
            plot.plot_loadings(model),
            plot.plot_misclassified(spectra, result, names),
            plot.plot_denoised(spectra, result, 0),
            plot.plot_error_statistics(result, np.arange(k) > 2),
            plot.plot_score_scatter(result, names),
            plot.plot_mean_scores(result, names),
        ):
            assert as_png(figure)


@given(st.text(max_size=80))
@example("_a")
@example("$")
@example(" _a")
def test_plain_texts_are_short_one_line_and_no_formula(text: str) -> None:
    shown = style.plain(text)
    assert shown
    assert shown.isprintable() or "\u2007" in shown
    assert not shown.startswith("_")
    assert shown.count("$") == shown.count(r"\$")
    assert len(shown) - shown.count(r"\$") <= 49


def test_what_is_not_special_stays_as_it_is() -> None:
    assert style.plain("Cs-137 + μ (±2 %)") == "Cs-137 + μ (±2 %)"
    assert style.plain("5 $") == r"5 \$"


def test_many_looks_differ() -> None:
    lines = {str(style.line_look(i)) for i in range(28)}
    fills = {str(style.fill_look(i)) for i in range(56)}
    marks = {str(style.marker_look(i)) for i in range(56)}
    assert (len(lines), len(fills), len(marks)) == (28, 56, 56)
    # Neighbours differ by more than colour.
    assert style.line_look(0)["linestyle"] != style.line_look(1)["linestyle"]


def luminance(color: str) -> float:
    """Relative luminance by WCAG 2.1."""
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("color", [style.INK, style.FAINT])
def test_texts_stand_out_from_white(color: str) -> None:
    assert 1.05 / (luminance(color) + 0.05) >= 4.5


def test_numbers_stand_out_from_the_darkest_cell() -> None:
    from matplotlib.colors import to_hex

    from spectraloom.plot.matrix import _MAP

    assert (luminance(to_hex(_MAP(1.0))) + 0.05) / (luminance(style.INK) + 0.05) >= 4.5


def test_legends_take_as_many_columns_as_fit() -> None:
    assert style._columns_that_fit([20] * 5) == 5
    assert style._columns_that_fit([20] * 8) == 5
    assert style._columns_that_fit([200, 200]) == 1
    assert style._columns_that_fit([10]) == 1


def test_a_legend_of_wide_letters_is_no_wider_than_its_figure() -> None:
    axis = Axis.regular(0.0, 100.0, 20)
    names = [f"WWWWW {number}" for number in range(12)]
    figure = plot.plot_spectra(Spectra(np.ones((12, 20)), axis), names=names)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    place = figure.legends[0].get_window_extent(canvas.get_renderer())
    assert place.x0 >= 0
    assert place.x1 <= figure.bbox.width
