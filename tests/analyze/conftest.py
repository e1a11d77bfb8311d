"""A small world whose truth is known: four sources and a background, on 128 channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from spectraloom.data import Axis, Spectra

PEAKS = {
    "Am241": [(60.0, 1.0)],
    "Co60": [(1170.0, 0.35), (1250.0, 0.35)],
    "Cs137": [(660.0, 0.5)],
    "Eu152": [(120.0, 0.3), (340.0, 0.3), (780.0, 0.2)],
}


@dataclass(frozen=True)
class World:
    """Names, unit-area loadings and an axis; draws Poisson spectra of given amounts."""

    names: tuple[str, ...]
    loadings: np.ndarray
    axis: Axis

    def draw(
        self, amounts: np.ndarray, rng: np.random.Generator, labels: Sequence[object] | None = None
    ) -> Spectra:
        amounts = np.atleast_2d(np.asarray(amounts, dtype=float))
        if labels is None:
            labels = [
                tuple(name for name, amount in zip(self.names, row, strict=True) if amount > 0)
                for row in amounts
            ]
        return Spectra(
            rng.poisson(amounts @ self.loadings), self.axis, columns={"labels": list(labels)}
        )

    def training(
        self, rng: np.random.Generator, n: int = 60, counts: tuple[float, float] = (800.0, 5000.0)
    ) -> Spectra:
        """`n` spectra of each class alone."""
        amounts = np.repeat(np.eye(len(self.names)), n, axis=0)
        return self.draw(amounts * rng.uniform(*counts, (len(amounts), 1)), rng)


@pytest.fixture(scope="session")
def world() -> World:
    axis = Axis.regular(0.0, 1280.0, 128)
    energy = axis.centers
    loadings = []
    for peaks in PEAKS.values():
        spectrum = np.zeros(energy.size)
        for position, area in peaks:
            width = 1.2 * np.sqrt(position)
            shape = np.exp(-0.5 * ((energy - position) / width) ** 2)
            spectrum += area * shape / shape.sum()
            flat = (energy < 0.75 * position).astype(float)
            spectrum += 0.6 * area * flat / flat.sum()
        loadings.append(spectrum / spectrum.sum())
    background = np.exp(-energy / 250.0)
    loadings.append(background / background.sum())
    return World((*PEAKS, "background"), np.array(loadings), axis)
