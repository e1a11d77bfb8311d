"""Figures of the public example data: nothing warns, and numbers agree with a plain count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spectraloom as sl
from spectraloom import plot
from spectraloom.analyze.explore import mean_spectra, random_examples, similarity
from spectraloom.analyze.outlier import study_outliers
from spectraloom.evaluate import confusion
from spectraloom.evaluate.sets import sort_by_role, standard_axis

from .conftest import frames, legend


@pytest.fixture(scope="module")
def sets(gamma_flow_zip: Path) -> Any:
    return sort_by_role(sl.read_groups(gamma_flow_zip), standard_axis(256))


@pytest.fixture(scope="module")
def model(sets: Any) -> sl.SupervisedNMF:
    return sl.SupervisedNMF(window=(45.0, 2200.0)).fit(sets.training)


@pytest.fixture(scope="module")
def truth(sets: Any) -> Any:
    sources = [[name for name in entry if name != "background"] for entry in sets.single.labels]
    return np.array([names[0] if names else "background" for names in sources])


def test_exploring(sets: Any) -> None:
    means = mean_spectra(sets.single)
    for figure in (
        plot.plot_means(means),
        plot.plot_examples(random_examples(sets.single, 2)),
        plot.plot_similarity(similarity(means)),
    ):
        assert plot.as_png(figure)


def test_the_model_and_its_errors(sets: Any, model: sl.SupervisedNMF, truth: Any) -> None:
    result = model.analyze(sets.single)
    right = result.top == truth
    counted = confusion(truth, result.top)
    figure = plot.plot_confusion(counted.names, counted.matrix)
    assert legend(figure) == [
        f"right: {right.sum():,} spectra",
        f"wrong: {(~right).sum():,} spectra",
    ]
    assert len(frames(figure.axes[0])) == np.count_nonzero(counted.matrix)
    for figure in (
        plot.plot_loadings(model),
        plot.plot_misclassified(sets.single, result, truth),
        plot.plot_denoised(sets.single, result, 0, model=model),
        plot.plot_error_statistics(result, right),
        plot.plot_score_scatter(result, truth),
        plot.plot_mean_scores(result, truth),
    ):
        assert plot.as_png(figure)


def test_outliers(sets: Any, model: sl.SupervisedNMF) -> None:
    study = study_outliers(model, sets.training[::4])
    for figure in (
        plot.plot_outlier_feature(study),
        plot.plot_threshold_curves(study),
        plot.plot_importances(study),
    ):
        assert plot.as_png(figure)
