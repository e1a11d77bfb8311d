from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle, StepPatch

from spectraloom.analyze.outlier import OutlierStudy
from spectraloom.errors import DataError
from spectraloom.plot import (
    as_png,
    plot_importances,
    plot_outlier_feature,
    plot_robustness,
    plot_threshold_curves,
)

from .conftest import legend


def marks(ax: Axes) -> list[float]:
    """Places of the vertical lines."""
    return [
        float(line.get_xdata()[0])
        for line in ax.lines
        if len(set(line.get_xdata())) == 1 and list(line.get_ydata()) == [0, 1]
    ]


def test_curves_and_boundaries_are_those_of_the_study(study: OutlierStudy) -> None:
    figure = plot_threshold_curves(study)
    (ax,) = figure.axes
    for line, name in zip(ax.lines, ("accuracy", "precision", "recall"), strict=False):
        np.testing.assert_array_equal(line.get_xdata(), study.curves["threshold"])
        np.testing.assert_array_equal(line.get_ydata(), study.curves[name])
    assert marks(ax) == [one.threshold for one in study.boundaries.values()]
    assert ax.get_xlabel() == "Threshold on cosine"
    texts = legend(figure)
    assert texts[:3] == ["accuracy", "precision", "recall"]
    in_use = [text for text in texts if text.endswith("(in use)")]
    assert in_use == [f"best recall at the rate: {study.boundary.threshold:.4g} (in use)"]
    low, high = ax.get_xlim()
    assert all(low < mark < high for mark in marks(ax))


def test_a_single_threshold_is_a_point(study: OutlierStudy) -> None:
    curves = {name: values[:1] for name, values in study.curves.items()}
    assert as_png(plot_threshold_curves(replace(study, curves=curves)))


def test_known_and_unknown_are_shares_of_their_own_group(study: OutlierStudy) -> None:
    figure = plot_outlier_feature(study)
    top, below = figure.axes
    groups = [patch.get_data().values for patch in top.patches if isinstance(patch, StepPatch)]
    np.testing.assert_allclose([group.sum() for group in groups], 1.0)
    assert [tick.get_text() for tick in below.get_yticklabels()] == [
        "known",
        "unknown Co60",
        "unknown Cs137",
    ]
    values = study.features["cosine"]
    boxes = [patch for patch in below.patches if isinstance(patch, Rectangle)]
    members = [~study.is_outlier] + [
        study.is_outlier & (study.left_out == name) for name in ("Co60", "Cs137")
    ]
    for box, rows in zip(boxes, members, strict=True):
        low, high = np.percentile(values[rows], [25, 75])
        np.testing.assert_allclose([box.get_x(), box.get_x() + box.get_width()], [low, high])
    expected = [one.threshold for one in study.boundaries.values()]
    assert marks(top) == marks(below) == expected
    assert legend(figure)[0] == f"known (n = {(~study.is_outlier).sum():,})"


def test_studies_without_outliers_or_without_spread(study: OutlierStudy) -> None:
    n = len(study.is_outlier)
    none = replace(study, is_outlier=np.zeros(n, bool))
    figure = plot_outlier_feature(none)
    assert "unknown (n = 0)" in legend(figure)
    assert as_png(figure)
    flat = replace(study, features={**study.features, "cosine": np.ones(n)})
    assert as_png(plot_outlier_feature(flat))


def test_importance_and_auc_stand_side_by_side(study: OutlierStudy) -> None:
    figure = plot_importances(study)
    left, right = figure.axes
    names = [tick.get_text() for tick in left.get_yticklabels()]
    assert sorted(names) == sorted(name.replace("_", " ") for name in study.auc)
    of_name = {name.replace("_", " "): name for name in study.auc}
    aucs = [bar.get_width() for bar in right.patches]
    np.testing.assert_allclose(aucs, [study.auc[of_name[name]] for name in names])
    asked = [
        study.importances[of_name[name]] for name in names if of_name[name] in study.importances
    ]
    np.testing.assert_allclose([bar.get_width() for bar in left.patches], asked)
    assert asked == sorted(asked, reverse=True)
    texts = [text.get_text() for text in left.texts]
    assert texts.count("left out: grows with the counts") == len(names) - len(asked) == 2
    assert as_png(figure)


def test_features_that_only_do_harm(study: OutlierStudy) -> None:
    importances = dict.fromkeys(study.importances, -0.02)
    figure = plot_importances(replace(study, importances=importances))
    assert figure.axes[0].get_xlim()[0] < -0.02
    assert as_png(figure)


# -- robustness ----------------------------------------------------------------------------------

COLUMNS: dict[str, Any] = {
    "disturbances": ["noise", "noise", "noise", "thinning", "thinning"],
    "levels": [0.5, 0.0, 2.0, 1.0, 0.1],
    "accuracy": [0.9, 1.0, 0.7, 1.0, 0.8],
    "outlier_accuracy": [0.8, 0.95, 0.6, 0.95, 0.7],
    "thresholds": [0.4, 0.3, 7.0, 0.3, 0.2],
    "features": ["cosine", "cosine", "share_1", "cosine", "cosine"],
}


def test_levels_are_sorted_and_split_by_disturbance() -> None:
    figure = plot_robustness(**COLUMNS)
    noise, thinning = figure.axes[:2]
    np.testing.assert_array_equal(noise.lines[0].get_xdata(), [0.0, 0.5, 2.0])
    np.testing.assert_array_equal(noise.lines[0].get_ydata(), [1.0, 0.9, 0.7])
    np.testing.assert_array_equal(noise.lines[1].get_ydata(), [0.95, 0.8, 0.6])
    np.testing.assert_array_equal(thinning.lines[0].get_ydata(), [0.8, 1.0])
    assert noise.get_ylim()[0] < 0.6
    below, right = figure.axes[2:]
    assert [tick.get_text() for tick in below.get_xticklabels()] == ["0", "0.5", "2"]
    # More of the disturbance lies further to the right on both.
    assert right.get_xlim()[0] > right.get_xlim()[1]
    assert as_png(figure)


def test_boundaries_on_different_features_are_not_joined() -> None:
    figure = plot_robustness(**COLUMNS)
    cosine, share = (line.get_ydata() for line in figure.axes[2].lines)
    np.testing.assert_array_equal(cosine, [0.3, 0.4, np.nan])
    np.testing.assert_array_equal(share, [np.nan, np.nan, 7.0])
    assert legend(figure) == ["labels", "outliers", "boundary on cosine", "boundary on share 1"]


def test_without_features_there_is_one_boundary() -> None:
    figure = plot_robustness(**{**COLUMNS, "features": None})
    assert legend(figure)[2:] == ["boundary"]
    np.testing.assert_array_equal(figure.axes[2].lines[0].get_ydata(), [0.3, 0.4, 7.0])


@pytest.mark.parametrize("rows", [slice(0, 3), slice(3, 5), slice(1, 2)])
def test_one_disturbance_is_enough(rows: slice) -> None:
    figure = plot_robustness(**{name: column[rows] for name, column in COLUMNS.items()})
    assert len(figure.axes) == 2
    assert as_png(figure)


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="one entry per level"):
        plot_robustness(**{**COLUMNS, "accuracy": [1.0]})
    with pytest.raises(DataError, match=r"'noise' or 'thinning', got \['heat'\]"):
        plot_robustness(**{**COLUMNS, "disturbances": ["heat"] * 5})
    with pytest.raises(DataError, match="no levels"):
        plot_robustness(**{name: [] for name in COLUMNS})
