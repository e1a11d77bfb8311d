from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.patches import Rectangle, StepPatch

from spectraloom import Result, Spectra
from spectraloom.errors import DataError
from spectraloom.plot import (
    as_png,
    plot_error_statistics,
    plot_mean_scores,
    plot_score_scatter,
)

from .conftest import all_texts, legend


def made_up(n: int, names: tuple[str, ...] = ("a", "b", "c"), seed: int = 0) -> Result:
    rng = np.random.default_rng(seed)
    amounts = rng.gamma(1.0, 100.0, (n, len(names)))
    return Result(
        names,
        amounts,
        amounts > 50,
        top=np.asarray(names)[amounts.argmax(axis=1)],
        quality={"explained_variance": rng.uniform(0.5, 1, n), "cosine": rng.uniform(0.8, 1, n)},
    )


# -- right and wrong -----------------------------------------------------------------------------


def test_each_group_is_shown_by_shares_of_its_own() -> None:
    result = made_up(400)
    right = np.arange(400) % 10 > 0
    figure = plot_error_statistics(result, right)
    assert [ax.get_xlabel().partition(";")[0] for ax in figure.axes] == [
        "Explained variance",
        "Cosine",
        "Share of the label given",
        "Total of the fit (counts)",
    ]
    assert legend(figure) == ["right (n = 360)", "wrong (n = 40)"]
    for ax in figure.axes:
        groups = [patch.get_data().values for patch in ax.patches if isinstance(patch, StepPatch)]
        assert len(groups) == 2
        np.testing.assert_allclose([group.sum() for group in groups], 1.0)
    # Told apart without colour.
    assert [patch.get_hatch() for patch in figure.axes[0].patches] == [None, "////"]
    values, edges, _ = figure.axes[1].patches[1].get_data()
    cosines = np.clip(result.quality["cosine"][~right], edges[0], edges[-1])
    expected = [((cosines >= a) & (cosines < b)).sum() for a, b in pairwise(edges)]
    expected[-1] += (cosines == edges[-1]).sum()
    np.testing.assert_allclose(values, np.array(expected) / 40)


def test_extreme_values_go_to_the_outer_bars() -> None:
    result = made_up(300)
    fields = {name: getattr(result, name) for name in Result.__slots__}
    variance = result.quality["explained_variance"].copy()
    variance[0] = -1e6
    wild = Result(**{**fields, "quality": {"explained_variance": variance}})
    ax = plot_error_statistics(wild, np.ones(300, bool)).axes[0]
    edges = ax.patches[0].get_data().edges
    assert edges[0] > 0
    outside = ((variance < edges[0]) | (variance > edges[-1])).sum()
    assert f"{outside} beyond" in ax.get_xlabel()


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("n", [1, 7])
def test_one_group_may_be_empty(right: bool, n: int) -> None:
    figure = plot_error_statistics(made_up(n), np.full(n, right))
    assert [len(ax.patches) for ax in figure.axes] == [1] * 4
    assert as_png(figure)


def test_values_that_are_not_there_are_left_out() -> None:
    nan = np.full(4, np.nan)
    result = Result(("a",), np.zeros((4, 1)), np.zeros((4, 1), bool), quality={"cosine": nan})
    figure = plot_error_statistics(result, np.array([True, True, False, False]))
    assert figure.axes[1].get_xlabel() == "Largest share"
    assert all_texts(figure).count("no values") == 2
    assert as_png(figure)


def test_the_length_of_right_is_checked() -> None:
    with pytest.raises(DataError, match=r"5 results, but 'right' has shape \(4,\)"):
        plot_error_statistics(made_up(5), np.ones(4, bool))


# -- scatter matrix ------------------------------------------------------------------------------


def points(figure: Any) -> list[Any]:
    return [
        np.concatenate([c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)])
        for ax in figure.axes
        if ax.collections
    ]


def test_every_pair_of_names_is_scattered_once(result: Result, truth: Any) -> None:
    figure = plot_score_scatter(result, truth)
    shown = points(figure)
    assert len(shown) == 3
    shares = result.shares
    # Panels run row by row: (1, 0), (2, 0), (2, 1).
    for found, (up, across) in zip(shown, [(1, 0), (2, 0), (2, 1)], strict=True):
        expected = shares[:, [across, up]]
        order = np.argsort(truth, kind="stable")
        np.testing.assert_allclose(found, expected[order])
    assert legend(figure) == [
        "true Co60",
        "true Cs137",
        "true background",
        "on the diagonal: number of spectra",
    ]
    markers = [handle.get_marker() for handle in figure.legends[0].legend_handles[:3]]
    assert len(set(markers)) == 3


def test_many_spectra_are_sampled_by_the_seed() -> None:
    result = made_up(4000)
    truth = ["one", "two"] * 2000
    first, again = plot_score_scatter(result, truth), plot_score_scatter(result, truth)
    other = plot_score_scatter(result, truth, seed=1)
    assert len(points(first)[0]) == 1500
    assert legend(first)[-1] == "random 1,500 of 4,000 spectra"
    np.testing.assert_array_equal(points(first), points(again))
    assert not np.array_equal(points(first), points(other))


def test_of_many_names_those_with_the_largest_shares() -> None:
    names = tuple("abcdefghij")
    amounts = np.tile(np.arange(10.0), (20, 1))
    result = Result(names, amounts, amounts > 5)
    figure = plot_score_scatter(result, ["x"] * 20)
    shown = [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()]
    assert shown == [f"Share of\n{name}" for name in "efghij"]
    assert legend(figure)[-1] == "6 of 10 names: those with the largest mean share"


def test_one_name_has_a_histogram_only() -> None:
    result = Result(("a",), np.ones((5, 1)), np.ones((5, 1), bool))
    figure = plot_score_scatter(result, [("x",), ("x", "y"), ("y", "x"), (), ("x",)])
    assert legend(figure)[:3] == ["true no label", "true x", "true x + y"]
    (ax,) = figure.axes
    heights = [patch.get_data().values.sum() for patch in ax.patches]
    assert heights == [1, 2, 2]
    assert as_png(figure)


# -- mean scores ---------------------------------------------------------------------------------


def test_bars_are_the_mean_shares(result: Result, truth: Any) -> None:
    figure = plot_mean_scores(result, truth)
    (ax,) = figure.axes
    bars = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    widths = np.array([bar.get_width() for bar in bars]).reshape(3, 3).T
    for i, label in enumerate(("Co60", "Cs137", "background")):
        rows = [row for row in range(len(result)) if truth[row] == label]
        mean = sum(result.shares[row] for row in rows) / len(rows)
        np.testing.assert_allclose(widths[i], mean, atol=1e-12)
    np.testing.assert_allclose(widths.sum(axis=1), 1.0)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "Co60 (30)",
        "Cs137 (30)",
        "background (30)",
    ]
    assert legend(figure) == list(result.names)
    assert len({bar.get_hatch() for bar in bars}) == 3
    assert ax.get_xlabel() == "Mean share"


def test_sets_of_labels_have_a_bar_each() -> None:
    figure = plot_mean_scores(made_up(4), [("b", "a"), ("a", "b"), ("a",), {"b"}])
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert ticks == ["a (1)", "a + b (2)", "b (1)"]


def test_spectra_in_which_nothing_was_found() -> None:
    result = Result(("a",), np.zeros((2, 1)), np.zeros((2, 1), bool))
    assert as_png(plot_mean_scores(result, ["x", "x"]))
    assert as_png(plot_score_scatter(result, ["x", "x"]))


@pytest.mark.parametrize("draw", [plot_mean_scores, plot_score_scatter])
def test_lengths_and_numbers_are_checked(draw: Any) -> None:
    with pytest.raises(DataError, match="5 spectra, but 4 true labels"):
        draw(made_up(5), ["a"] * 4)
    with pytest.raises(DataError, match="no results"):
        draw(made_up(0), [])
    with pytest.raises(DataError, match="up to 56 labels"):
        draw(made_up(60), [str(i) for i in range(60)])


def test_real_sets_of_labels(spectra: Spectra, result: Result) -> None:
    assert legend(plot_score_scatter(result, spectra.labels))[0] == "true Co60"
