"""Small made spectra: three sources and a background, of Gaussian peaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from spectraloom.analyze import SupervisedNMF
from spectraloom.data import Axis, Spectra
from spectraloom.workflow import Training, train

AXIS = Axis.regular(0.0, 1000.0, 64)
PLACES = {"A": (200.0,), "B": (500.0, 650.0), "C": (850.0,), "X": (350.0,)}

Make = Callable[..., Spectra]


def expected(label: str, axis: Axis = AXIS) -> np.ndarray:
    """Shape of unit area."""
    if label == "background":
        shape = np.exp(-axis.centers / 300.0)
    else:
        shape = sum(
            np.exp(-0.5 * ((axis.centers - place) / 30.0) ** 2) for place in PLACES[label]
        ) + np.zeros(axis.n_channels)
    return np.asarray(shape / shape.sum())


@pytest.fixture(scope="session")
def make() -> Make:
    def draw(
        sets: Sequence[tuple[str, ...]],
        n: int,
        *,
        axis: Axis = AXIS,
        detector: str = "d1",
        seed: int = 0,
        counts: float = 1000.0,
    ) -> Spectra:
        rng = np.random.default_rng(seed)
        labels = [sets[number % len(sets)] for number in range(n)]
        means = [counts * sum(expected(label, axis) for label in entry) for entry in labels]
        values = rng.poisson(np.array(means).reshape(n, axis.n_channels)).astype(float)
        columns = {"labels": labels, "detector": [detector] * n}
        return Spectra(values, axis, live_time=np.ones(n), columns=columns)

    return draw


SOURCES = [("A",), ("B",), ("C",), ("background",)]


@pytest.fixture(scope="session")
def training(make: Make) -> Spectra:
    return make(SOURCES, 200)


@pytest.fixture(scope="session")
def trained(training: Spectra) -> Training:
    return train(training, SupervisedNMF())
