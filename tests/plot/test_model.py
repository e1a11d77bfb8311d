from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle, StepPatch

from spectraloom import Axis, Result, Spectra, SupervisedNMF
from spectraloom.errors import DataError
from spectraloom.plot import (
    as_png,
    plot_confusion,
    plot_denoised,
    plot_loadings,
    plot_misclassified,
)
from spectraloom.plot.style import RIGHT, WRONG

from .conftest import all_texts, frames, legend


def lines(ax: Axes) -> list[Any]:
    """Values of the spectra drawn as lines, in order."""
    return [
        patch.get_data().values
        for patch in ax.patches
        if isinstance(patch, StepPatch) and not patch.get_fill()
    ]


def areas(ax: Axes) -> list[Any]:
    return [
        patch.get_data().values
        for patch in ax.patches
        if isinstance(patch, StepPatch) and patch.get_fill()
    ]


def shaded(ax: Axes) -> int:
    """Number of spans over the height of a panel that are hatched."""
    spans = [patch for patch in ax.patches if isinstance(patch, (Rectangle, Polygon))]
    return sum(bool(patch.get_hatch()) for patch in spans)


# -- loadings ------------------------------------------------------------------------------------


def test_a_panel_per_class_holds_its_loading(model: SupervisedNMF) -> None:
    figure = plot_loadings(model)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == ["Co60", "Cs137", "background"]
    for ax, loading in zip(shown, model.loadings_, strict=True):
        np.testing.assert_array_equal(lines(ax), [loading])
        assert shaded(ax) == 2  # below and above the window
    assert shown[-1].get_xlabel() == "Energy (keV)"
    assert legend(figure) == ["not fitted"]


def test_variants_share_the_panel_of_their_class(spectra: Spectra) -> None:
    model = SupervisedNMF(variants=2).fit(spectra)
    figure = plot_loadings(model)
    assert figure.axes[0].get_title(loc="left") == "Co60 (2 variants)"
    assert len(lines(figure.axes[0])) == 2
    assert len(lines(figure.axes[2])) == 1
    assert figure.legends == []  # everything is fitted
    assert shaded(figure.axes[0]) == 0


def test_loadings_of_one_class_of_a_plain_array() -> None:
    X = np.array([[1.0, 5, 2], [2, 4, 1]])
    figure = plot_loadings(SupervisedNMF(background=None).fit(X, ["a", "a"]))
    assert figure.axes[0].get_xlabel() == "Channel"
    assert as_png(figure)


# -- confusion -----------------------------------------------------------------------------------


def test_right_and_wrong_cells_are_framed_by_position() -> None:
    # The same letters in another order are another label.
    matrix = np.array([[3, 1, 0], [2, 0, 0], [0, 0, 4]])
    figure = plot_confusion(["ab", "ba", "c"], matrix)
    assert frames(figure.axes[0]) == {
        (0, 0): (RIGHT, "-"),
        (2, 2): (RIGHT, "-"),
        (0, 1): (WRONG, "--"),
        (1, 0): (WRONG, "--"),
    }
    assert legend(figure) == ["right: 7 spectra", "wrong: 3 spectra"]
    texts = all_texts(figure)
    assert "3\n75.0 %" in texts
    assert "1\n25.0 %" in texts
    assert figure.axes[0].get_xlabel() == "Predicted label"
    assert figure.axes[0].get_ylabel() == "True label"


@given(hnp.arrays(np.int64, st.integers(1, 6).map(lambda k: (k, k)), elements=st.integers(0, 9)))
def test_exactly_the_cells_with_spectra_are_framed(matrix: Any) -> None:
    framed = frames(plot_confusion([f"n{i}" for i in range(len(matrix))], matrix).axes[0])
    assert set(framed) == set(zip(*map(tuple, np.nonzero(matrix)), strict=True))
    assert all((color == RIGHT) == (i == j) for (i, j), (color, _) in framed.items())


def test_a_label_that_never_occurs_has_no_shares() -> None:
    figure = plot_confusion(["a", "b"], np.array([[0, 0], [1, 2]]))
    assert all_texts(figure).count("–") == 2
    assert as_png(figure)


@pytest.mark.parametrize(("k", "text"), [(12, "5\n100.0 %"), (13, "5"), (24, "5")])
def test_shares_are_left_out_of_small_cells(k: int, text: str) -> None:
    figure = plot_confusion([f"n{i}" for i in range(k)], 5 * np.eye(k, dtype=int))
    assert [cell.get_text() for cell in figure.axes[0].texts].count(text) == k


def test_one_label_and_no_errors() -> None:
    figure = plot_confusion(["only"], np.array([[12]]))
    assert legend(figure) == ["right: 12 spectra", "wrong: 0 spectra"]
    assert as_png(figure)


def test_a_matrix_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match=r"2 names need a matrix of shape \(2, 2\)"):
        plot_confusion(["a", "b"], np.zeros((2, 3), int))
    with pytest.raises(DataError, match="no labels"):
        plot_confusion([], np.zeros((0, 0), int))
    with pytest.raises(DataError, match="up to 40 labels"):
        plot_confusion([str(i) for i in range(41)], np.eye(41, dtype=int))


# -- misclassified -------------------------------------------------------------------------------


def with_errors(result: Result, wrong: dict[int, str]) -> Result:
    top = np.array(result.top, dtype="<U20")
    for row, name in wrong.items():
        top[row] = name
    fields = {name: getattr(result, name) for name in Result.__slots__}
    return Result(**{**fields, "top": top})


def test_misclassified_spectra_say_what_is_true(
    spectra: Spectra, result: Result, truth: Any
) -> None:
    # Rows 0 to 29 are Co60, 30 to 59 Cs137.
    wrong = with_errors(result, {1: "Cs137", 2: "Cs137", 3: "Cs137", 40: "background"})
    figure = plot_misclassified(spectra, wrong, truth)
    assert len(figure.axes) == 3
    titles = [ax.get_title(loc="left").split(" (")[0] for ax in figure.axes]
    # Each kind of error once, the more frequent first, before a second example of one.
    assert titles == [
        "Said Cs137, true Co60",
        "Said background, true Cs137",
        "Said Cs137, true Co60",
    ]
    middle = sorted((1, 2, 3), key=lambda row: spectra.totals[row])[1]
    assert f"(spectrum {middle})" in figure.axes[0].get_title(loc="left")
    np.testing.assert_array_equal(areas(figure.axes[0]), [spectra.values[middle]])
    assert result.denoised is not None
    np.testing.assert_array_equal(lines(figure.axes[0]), [result.denoised.values[middle]])
    share = result.shares[middle, 0]
    assert f"Co60 {100 * share:.1f} %" in figure.axes[0].get_title(loc="left")
    assert f"cosine {result.quality['cosine'][middle]:.3f}" in figure.axes[0].get_title(loc="left")
    assert legend(figure)[-1] == "4 of 90 spectra are misclassified"
    assert as_png(figure)


def test_fewer_errors_than_asked_for(spectra: Spectra, result: Result, truth: Any) -> None:
    wrong = with_errors(result, {7: "background"})
    assert len(plot_misclassified(spectra, wrong, truth, n=5).axes) == 1


def test_no_error_is_said_in_words(spectra: Spectra, result: Result, truth: Any) -> None:
    assert (result.top == truth).all()
    figure = plot_misclassified(spectra, result, truth)
    assert "None of the 90 spectra was misclassified." in all_texts(figure)
    assert as_png(figure)


def test_truth_may_be_label_sets(spectra: Spectra, result: Result) -> None:
    assert "None of the 90" in all_texts(plot_misclassified(spectra, result, spectra.labels))


def test_misclassified_without_denoised(spectra: Spectra, model: SupervisedNMF) -> None:
    result = with_errors(model.analyze(spectra, denoise=False), {3: "Cs137"})
    figure = plot_misclassified(spectra, result, spectra.labels)
    assert lines(figure.axes[0]) == []
    assert "denoised" not in legend(figure)


def test_lengths_have_to_agree(spectra: Spectra, result: Result, truth: Any) -> None:
    with pytest.raises(DataError, match="90 spectra, but 89 true labels"):
        plot_misclassified(spectra, result, truth[1:])
    with pytest.raises(DataError, match="5 spectra, but a result of 90"):
        plot_misclassified(spectra[:5], result, truth)
    with pytest.raises(DataError, match="no examples"):
        plot_misclassified(spectra, result, truth, n=0)
    fields = {name: getattr(result, name) for name in Result.__slots__}
    with pytest.raises(DataError, match="no single label"):
        plot_misclassified(spectra, Result(**{**fields, "top": None}), truth)


# -- denoised ------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [0, 45, -1])
def test_components_add_up_to_the_fit(
    spectra: Spectra, model: SupervisedNMF, result: Result, row: int
) -> None:
    assert result.denoised is not None
    figure = plot_denoised(spectra, result, row, model=model)
    top, below = figure.axes
    *parts, _ = sorted(lines(top), key=np.sum)
    fit = result.denoised.values[row]
    drawn = lines(top)
    np.testing.assert_array_equal(drawn[0], fit)
    np.testing.assert_allclose(np.sum(drawn[1:], axis=0), fit, atol=1e-9)
    assert parts
    np.testing.assert_array_equal(areas(top)[0], spectra.values[row])
    expected = (spectra.values[row] - fit) / np.sqrt(np.maximum(fit, 1.0))
    np.testing.assert_allclose(lines(below)[0], expected)
    assert below.get_ylabel() == "Residual (σ)"
    assert below.get_xlabel() == "Energy (keV)"
    assert (shaded(top), shaded(below)) == (2, 2)
    keys = legend(figure)
    assert keys[:2] == ["observed", "fit"]
    assert keys[-2:] == ["±2 σ", "not fitted"]
    assert len(keys) == 4 + len(drawn) - 1
    assert as_png(figure)


def test_amounts_have_their_uncertainty_and_unit(
    spectra: Spectra, model: SupervisedNMF, result: Result
) -> None:
    figure = plot_denoised(spectra, result, 4, model=model)
    assert result.uncertainties is not None
    amount, error = result.amounts[4, 0], result.uncertainties[4, 0]
    assert any(text == f"Co60: {amount:,.0f} ± {error:.3g} counts" for text in legend(figure)), (
        legend(figure)
    )
    title = figure.axes[0].get_title(loc="left")
    assert title.startswith(f"Co60 {100 * result.shares[4, 0]:.1f} %")
    assert title.endswith(f"cosine {result.quality['cosine'][4]:.3f}")


def test_without_the_model_only_the_fit_is_drawn(spectra: Spectra, result: Result) -> None:
    figure = plot_denoised(spectra, result, 0)
    assert len(lines(figure.axes[0])) == 1
    assert legend(figure) == ["observed", "fit", "±2 σ"]


def test_the_variance_of_the_spectra_scales_the_residual(
    spectra: Spectra, model: SupervisedNMF
) -> None:
    given_variance = spectra.replace(kind="intensity", variance=np.full(spectra.shape, 4.0))
    result = model.analyze(given_variance)
    assert result.denoised is not None
    below = plot_denoised(given_variance, result, 2).axes[1]
    expected = (spectra.values[2] - result.denoised.values[2]) / 2.0
    np.testing.assert_allclose(lines(below)[0], expected)


def test_rates_know_their_counts(spectra: Spectra, model: SupervisedNMF) -> None:
    rates = spectra.replace(values=spectra.values / 5.0, kind="rate", live_time=5.0)
    counts_result, rates_result = model.analyze(spectra), model.analyze(rates)
    of_counts = lines(plot_denoised(spectra, counts_result, 1).axes[1])[0]
    of_rates = lines(plot_denoised(rates, rates_result, 1).axes[1])[0]
    np.testing.assert_allclose(of_rates, of_counts, rtol=1e-6, atol=1e-9)


def test_intensities_without_variance_have_plain_residuals() -> None:
    axis = Axis.from_points([1.0, 2.0, 4.0], quantity="wavelength", unit="nm")
    spectra = Spectra([[1.0, 3, 1], [4, 1, 1]], axis, "intensity", columns={"labels": ["a", "b"]})
    model = SupervisedNMF(background=None).fit(spectra)
    figure = plot_denoised(spectra, model.analyze(spectra), 0, model=model)
    assert figure.axes[1].get_ylabel() == "Residual"
    assert figure.axes[1].get_xlabel() == "Wavelength (nm)"
    assert "±2 σ" not in legend(figure)
    assert as_png(figure)


def test_an_empty_spectrum_has_nothing_found(spectra: Spectra, model: SupervisedNMF) -> None:
    empty = spectra.replace(values=np.zeros(spectra.shape))
    figure = plot_denoised(empty, model.analyze(empty), 0, model=model)
    assert figure.axes[0].get_title(loc="left").startswith("nothing found")
    assert as_png(figure)


def test_what_cannot_be_drawn_is_refused(
    spectra: Spectra, model: SupervisedNMF, result: Result
) -> None:
    with pytest.raises(DataError, match="denoise=True"):
        plot_denoised(spectra, model.analyze(spectra, denoise=False), 0)
    with pytest.raises(IndexError, match="no number 90"):
        plot_denoised(spectra, result, 90)
    with pytest.raises(DataError, match="a result of 90"):
        plot_denoised(spectra[:3], result, 0)
