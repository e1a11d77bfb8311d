"""Sources behind a shield, and peaks that move, whose truth is known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

import spectraloom
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.manifold.blending import make_room
from spectraloom.analyze.manifold.fit import ManifoldFit
from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.latents import Latents
from spectraloom.analyze.manifold.parts import Counts, Room
from spectraloom.analyze.manifold.profiling import fill_log_posterior, fill_scores
from spectraloom.analyze.manifold.signature import Deformation, TabulatedSignature
from spectraloom.analyze.manifold.table import ManifoldTable, manifold_table
from spectraloom.data import Axis, Library, Spectra
from spectraloom.evaluate.sphere_trial import SphereTrial, prepare_sphere_trial
from spectraloom.evaluate.steel_sphere_data import prepare_steel_sphere

ENERGY = Axis.regular(20.0, 1556.0, 96)
SHIFT = Axis.regular(0.0, 100.0, 100, quantity="chemical shift", unit="ppm")
STEEL = Deformation("thickness", "mm", 0.0, 30.0, softening=0.3)
LINES = {
    "A": ((120.0, 1.0), (420.0, 0.5)),
    "B": ((660.0, 1.0),),
    "C": ((240.0, 0.7), (1250.0, 1.0)),
}


@dataclass(frozen=True)
class Shielded:
    """Lines on a continuum that grows, while the lines of low energy fall, with the shield."""

    names: tuple[str, ...] = tuple(LINES)
    axis: Axis = ENERGY
    deformations: tuple[Deformation, ...] = (STEEL,)

    def signature(self, values: object) -> np.ndarray:
        (thickness,) = np.atleast_1d(np.asarray(values, dtype=float))
        rows = []
        for name in self.names:
            row = np.zeros(self.axis.n_channels)
            for energy, share in LINES[name]:
                sigma = 0.9 * np.sqrt(energy)
                line = np.diff(ndtr((self.axis.edges - energy) / sigma))
                through = np.exp(-thickness * 4.0 / energy**0.6)
                below = np.diff(ndtr((np.minimum(self.axis.edges, energy) - 0.4 * energy) / 150.0))
                row += share * (through * line + (0.3 + 0.5 * (1 - through)) * below)
            rows.append(row / row.sum())
        return np.array(rows)

    def derivative(self, values: object) -> np.ndarray:
        value, step = np.atleast_1d(np.asarray(values, dtype=float)), 1e-5
        ahead, behind = self.signature(value + step), self.signature(value - step)
        return (ahead - behind)[np.newaxis] / (2 * step)


@dataclass(frozen=True)
class MovingPeak:
    """A peak that shifts and broadens on a flat ground: no energy, no counts."""

    axis: Axis = SHIFT
    names: tuple[str, ...] = ("line",)
    deformations: tuple[Deformation, ...] = (
        Deformation("shift", "ppm", -8.0, 8.0),
        Deformation("width", "ppm", 2.0, 6.0),
    )

    def signature(self, values: object) -> np.ndarray:
        shift, width = np.asarray(values, dtype=float)
        row = np.diff(ndtr((self.axis.edges - 45.0 - shift) / width))
        return (row / row.sum())[np.newaxis]

    def derivative(self, values: object) -> np.ndarray:
        value, step = np.asarray(values, dtype=float), 1e-5
        return np.stack(
            [
                (self.signature(value + step * one) - self.signature(value - step * one))
                / (2 * step)
                for one in np.eye(2)
            ]
        )


@dataclass(frozen=True)
class World:
    """Signatures, background and what draws spectra of them."""

    signatures: TabulatedSignature
    background: Library

    def table(self, latents: Latents | None = None, **changes: object) -> ManifoldTable:
        given = {"background": self.background, "edges": ENERGY.edges} | changes
        return manifold_table(
            self.signatures,
            given["background"],
            given["edges"],
            latents,  # type: ignore[arg-type]
        )

    def expected(self, amounts: Sequence[float], thickness: float | Sequence[float]) -> np.ndarray:
        """Of amounts of A, B, C and background, behind one shield or one for each source."""
        each = np.broadcast_to(np.asarray(thickness, dtype=float), 3)
        rows = [self.signatures.signature(each[k])[k] for k in range(3)]
        return np.asarray(amounts) @ np.vstack([*rows, self.background.templates])

    def draw(
        self,
        rng: np.random.Generator,
        amounts: Sequence[float],
        thickness: float | Sequence[float] = 5.0,
        n: int = 1,
    ) -> Spectra:
        expected = self.expected(amounts, thickness)
        return Spectra(rng.poisson(expected, (n, len(expected))), ENERGY)


@pytest.fixture(scope="session")
def world() -> World:
    ground = np.exp(-ENERGY.centers / 400.0)
    signatures = TabulatedSignature.from_model(Shielded(), 65)
    return World(signatures, Library((ground / ground.sum())[np.newaxis], ENERGY, ("ground",)))


@pytest.fixture(scope="session")
def table(world: World) -> ManifoldTable:
    return world.table()


@pytest.fixture(scope="session")
def moving_peak() -> TabulatedSignature:
    return TabulatedSignature.from_model(MovingPeak(), (33, 17))


def _counts_of(fit: ManifoldFit) -> Counts:
    return Counts(as_given(fit.observed), as_given(fit.variances), fit.table.edges, fit.poisson)


def _room_of(table: ManifoldTable) -> Room:
    nodes = table.nodes
    return make_room(  # type: ignore[no-any-return]
        len(table.groups),
        len(table.layout),
        nodes.counts.shape[1],
        len(table.edges) - 1,
        nodes.table.shape[1],
    )


@pytest.fixture(scope="session")
def log_posterior() -> Callable[[ManifoldFit, np.ndarray], np.ndarray]:
    """Log posterior of the first spectrum of a fit at places of amounts and inner latents."""

    def at(fit: ManifoldFit, places: np.ndarray) -> np.ndarray:
        table, out = fit.table, np.zeros(len(places))
        counts, room = _counts_of(fit), _room_of(table)
        fill_log_posterior(counts, 0, table.nodes, table.prior, places, room, out)
        return out

    return at


@pytest.fixture(scope="session")
def scores() -> Callable[[ManifoldFit, np.ndarray, int], np.ndarray]:
    """Derivatives of the log posterior at one place."""

    def at(fit: ManifoldFit, place: np.ndarray, row: int) -> np.ndarray:
        table, k, size = fit.table, len(fit.table.groups), len(fit.table.layout)
        out = np.zeros((1, k + size))
        fill_scores(
            _counts_of(fit), row, table.nodes, table.prior, np.zeros(k), np.zeros(size),
            place[np.newaxis], _room_of(table), out,
        )  # fmt: skip
        return out[0]

    return at


# -- steel spheres


@pytest.fixture(scope="session")
def trial(steel_sphere_zip: Path) -> SphereTrial:
    groups = spectraloom.read_groups(steel_sphere_zip)
    return prepare_sphere_trial(prepare_steel_sphere(groups, drop=18, n_channels=800))


@pytest.fixture(scope="session")
def build() -> Callable[..., TabulatedSignature]:
    """Signatures of a few knots from training spectra."""

    def at(spectra: Spectra, knots: int = 7) -> TabulatedSignature:
        model = InterpolatedSignature.from_spectra(spectra, knots=knots)
        return TabulatedSignature.from_model(model)

    return at


@pytest.fixture(scope="session")
def learned(trial: SphereTrial, build: Callable[..., TabulatedSignature]) -> TabulatedSignature:
    return build(trial.training_spectra(trial.training))


@dataclass(frozen=True)
class Mixture:
    """The mixture of the reference: half background, four nuclides behind steel."""

    trial: SphereTrial
    shares: dict[str, float]

    def amounts(self, total: float) -> np.ndarray:
        return total * np.array([*(self.shares[name] for name in self.trial.names), 0.5])

    def __call__(self, number: int | Sequence[int], total: float) -> np.ndarray:
        """Expected counts at one thickness, or one for each nuclide."""
        each = np.broadcast_to(number, len(self.trial.names))
        rows = [self.trial.shapes[i, k] for k, i in enumerate(each)]
        return self.amounts(total) @ np.vstack([*rows, self.trial.under])


@pytest.fixture(scope="session")
def p4(trial: SphereTrial) -> Mixture:
    return Mixture(trial, {"Co60": 0.2, "Ba133": 0.12, "Co57": 0.08, "Cs137": 0.1})
