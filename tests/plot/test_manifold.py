from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spectraloom.analyze.manifold import Deformation, TabulatedSignature
from spectraloom.data import Axis
from spectraloom.errors import DataError
from spectraloom.plot import as_png, plot_deformation, plot_estimated, plot_latents

from .conftest import HOSTILE, all_texts, legend

STEEL = Deformation("thickness", "mm", 0.0, 30.0, 0.3)


def signatures(names: tuple[str, ...] = ("Co60", "Cs137"), **more: Any) -> TabulatedSignature:
    axis = Axis.regular(0.0, 300.0, 30)
    x = np.arange(30.0)
    along = more.get("along", STEEL)
    rows = np.array(
        [
            [
                np.exp(-0.5 * ((x - 6 - 5 * k) / 2) ** 2) * (1 - u / 2) + 0.02
                for k in range(len(names))
            ]
            for u in np.linspace(0.0, 1.0, 9)
        ]
    )
    return TabulatedSignature(axis, names, (along,), rows / rows.sum(axis=2, keepdims=True))


def test_each_line_is_the_signature_at_its_colour() -> None:
    model = signatures()
    figure = plot_deformation(model, n_lines=5)
    first, second, bar = figure.axes
    assert [ax.get_title(loc="left") for ax in (first, second)] == ["Co60", "Cs137"]
    assert first.get_yscale() == "log"
    values = STEEL.from_unit(np.linspace(0.0, 1.0, 5))
    for number, ax in enumerate((first, second)):
        for patch, value in zip(ax.patches, values, strict=True):
            np.testing.assert_allclose(patch.get_data().values, model.signature(value)[number])
        colors = {tuple(patch.get_edgecolor()) for patch in ax.patches}
        assert len(colors) == 5
    assert bar.get_ylabel() == "Thickness (mm)"
    ticks = [text.get_text() for text in bar.get_yticklabels()]
    assert (ticks[0], ticks[-1]) == ("0", "30")


def test_one_source_of_many_can_be_shown() -> None:
    many = signatures(tuple(f"N{k}" for k in range(8)))
    assert len(plot_deformation(many).axes) == 7  # six panels and the colour bar
    figure = plot_deformation(many, ["N7"])
    assert [ax.get_title(loc="left") for ax in figure.axes[:-1]] == ["N7"]


def test_estimates_lie_between_the_ends_and_over_the_truth() -> None:
    model = signatures()
    truth = model.signature(3.0)[1]
    figure = plot_estimated(model, {"Cs137": 2.5, "Co60": np.nan}, truth={"Cs137": 7 * truth})
    known, unknown = figure.axes
    low, high, own, true = (patch.get_data().values for patch in known.patches)
    np.testing.assert_allclose(low, model.signature(0.0)[1])
    np.testing.assert_allclose(high, model.signature(30.0)[1])
    np.testing.assert_allclose(own, model.signature(2.5)[1])
    np.testing.assert_allclose(true, truth)
    assert len(unknown.patches) == 2
    assert known.get_title(loc="left") == "Cs137, thickness 2.5 mm"
    assert legend(figure) == ["0 mm", "30 mm", "estimated", "truth"]


def test_intervals_are_drawn_along_the_coordinate() -> None:
    figure = plot_latents(
        STEEL,
        ["one", "nothing known"],
        np.array([2.0, np.nan]),
        np.array([1.0, 0.0]),
        np.array([4.0, 30.0]),
        truth=np.array([2.5, np.nan]),
    )
    (ax,) = figure.axes
    segments = [line[:, 0].tolist() for line in ax.collections[0].get_segments()]
    assert segments[0] == pytest.approx([STEEL.to_unit(1.0), STEEL.to_unit(4.0)])
    assert segments[1] == [0.0, 1.0]
    estimate, truth = ax.lines[:2]
    assert estimate.get_xdata()[0] == pytest.approx(float(STEEL.to_unit(2.0)))
    assert np.isnan(estimate.get_xdata()[1])
    assert truth.get_xdata()[0] == pytest.approx(float(STEEL.to_unit(2.5)))
    assert legend(figure) == ["estimate, 95 % interval", "truth"]
    labels = [text.get_text() for text in ax.get_xticklabels()]
    assert (labels[0], labels[-1]) == ("0", "30")


def test_what_cannot_be_drawn_is_refused() -> None:
    model = signatures()
    with pytest.raises(DataError, match="none of"):
        plot_deformation(model, ["Eu152"])
    with pytest.raises(DataError, match="two lines"):
        plot_deformation(model, n_lines=1)
    with pytest.raises(DataError, match="sources"):
        plot_estimated(model, {})
    with pytest.raises(DataError, match="2 names need"):
        plot_latents(STEEL, ["a", "b"], np.zeros(1), np.zeros(2), np.zeros(2))
    with pytest.raises(DataError, match="rows"):
        plot_latents(STEEL, [], np.zeros(0), np.zeros(0), np.zeros(0))


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_any_name_can_be_drawn(name: str) -> None:
    along = Deformation(name, name, 0.0, 1.0)
    model = signatures((name, "other"), along=along)
    for figure in (
        plot_deformation(model),
        plot_estimated(model, {name: 0.5}),
        plot_latents(along, [name], np.ones(1), np.zeros(1), np.ones(1)),
    ):
        assert as_png(figure).startswith(b"\x89PNG")
        assert "\x00" not in all_texts(figure)
