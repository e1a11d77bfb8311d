from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError
from spectraloom.process import Normalize, Rebin, Smooth, Transformer, Window

AXIS = Axis.regular(0.0, 3000.0, 60)
OTHER = Axis.regular(0.0, 2900.0, 60)
STEPS = [Rebin(), Window(100.0, 2000.0), Normalize(), Smooth()]
by_name = pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)


def spectra(axis: Axis = AXIS) -> Spectra:
    rng = np.random.default_rng(4)
    return Spectra(
        rng.poisson(9.0, (12, axis.n_channels)), axis, columns={"detector": ["a", "b"] * 6}
    )


@parametrize_with_checks([Rebin(), Window(), Normalize(), Smooth()])
def test_scikit_learn_accepts_them(estimator: Any, check: Any) -> None:
    check(estimator)


@by_name
def test_spectra_in_spectra_out_array_in_array_out(step: Transformer) -> None:
    step = clone(step).fit(spectra())
    moved = step.transform(spectra())
    assert isinstance(moved, Spectra)
    assert moved.column("detector").tolist() == ["a", "b"] * 6
    assert step.n_features_in_ == 60
    assert step.axis_ == AXIS
    array = step.transform(spectra().values)
    assert isinstance(array, np.ndarray)
    np.testing.assert_allclose(array, moved.values)
    array[0, 0] = 1.0  # an array belongs to the caller
    np.testing.assert_array_equal(clone(step).fit_transform(spectra()).values, moved.values)


@by_name
def test_spectra_on_another_axis_are_refused_but_by_rebin(step: Transformer) -> None:
    step = clone(step).fit(spectra())
    if isinstance(step, Rebin):
        assert step.transform(spectra(OTHER)).axis == AXIS
        return
    with pytest.raises(AxisError) as caught:
        step.transform(spectra(OTHER))
    assert AXIS.describe() in str(caught.value)
    assert OTHER.describe() in str(caught.value)


@by_name
def test_an_unfitted_step_says_so(step: Transformer) -> None:
    with pytest.raises(NotFittedError):
        clone(step).transform(spectra())


def test_fitting_on_a_table_and_then_on_spectra_forgets_the_table() -> None:
    pandas = pytest.importorskip("pandas")
    step = Smooth().fit(pandas.DataFrame(np.ones((3, 2)), columns=["x", "y"]))
    assert step.feature_names_in_.tolist() == ["x", "y"]
    step.fit(spectra())
    assert not hasattr(step, "feature_names_in_")
    assert step.transform(spectra().values).shape == (12, 60)


def test_a_chain_learns_from_spectra_of_two_detectors() -> None:
    rng = np.random.default_rng(5)
    energy = AXIS.centers
    shapes = np.stack([np.exp(-energy / 400), np.exp(-(((energy - 1500) / 300) ** 2))])
    truth = np.arange(80) % 2
    train = Spectra(rng.poisson(20 * shapes[truth]), AXIS)
    chain = make_pipeline(
        Rebin(), Window(50.0, 2800.0), Smooth(5, 2), Normalize(), PCA(2), KNeighborsClassifier(3)
    )
    assert cross_val_score(chain, train, truth, cv=4).mean() > 0.95
    mapped = np.stack([np.interp(OTHER.centers, energy, shape) for shape in shapes])
    test = Spectra(rng.poisson(20 * mapped[truth]), OTHER)
    assert chain.fit(train, truth).score(test, truth) > 0.95


def test_the_base_does_nothing_by_itself() -> None:
    with pytest.raises(NotImplementedError, match="Transformer"):
        Transformer().fit(spectra()).transform(spectra())
