from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.manifold.blending import make_room, place_all
from spectraloom.analyze.manifold.latents import Latents
from spectraloom.analyze.manifold.signature import Deformation, TabulatedSignature
from spectraloom.analyze.manifold.table import ManifoldTable, manifold_table
from spectraloom.data import Axis

EVERYTHING = Latents(individual=True, tie=0.2, broadening=0.1, tilt=0.1, gain=0.01, offset=2.0)
CHOICES = {
    "common": Latents(),
    "individual": Latents(individual=True),
    "broadening": Latents(broadening=0.1),
    "tilt": Latents(tilt=0.1),
    "gain": Latents(gain=0.01),
    "offset": Latents(offset=2.0),
    "everything": EVERYTHING,
}


def placed(table: ManifoldTable, a: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of templates and latents, and expected counts."""
    k, n = len(table.groups), len(table.edges) - 1
    nodes = table.nodes
    room = make_room(k, len(s), nodes.counts.shape[1], n, nodes.table.shape[1])
    allowed = np.ones(k, dtype=bool)
    place_all(nodes, as_given(table.edges), s.copy(), a.copy(), allowed, True, 1e-12, room)
    return room.rows.copy(), room.channel[0].copy()


@given(thickness=st.floats(0.0, 30.0))
def test_one_deformation_is_that_of_the_signatures(world, table, thickness: float) -> None:
    rows = table.templates(np.array([thickness]))
    assert rows[:3] == pytest.approx(world.signatures.signature(thickness), abs=1e-12)
    assert rows[3] == pytest.approx(world.background.templates[0], abs=1e-12)


@given(shift=st.floats(-8.0, 8.0), width=st.floats(2.0, 6.0))
def test_two_deformations_are_those_of_the_signatures(
    moving_peak: TabulatedSignature, shift: float, width: float
) -> None:
    table = _peak_table(moving_peak)
    rows = table.templates(np.array([shift, width]))
    exact = np.maximum(moving_peak._blend(np.array([shift, width]), None), 0.0)
    assert rows == pytest.approx(exact, abs=1e-12)
    # Overshoot below zero is cut, which the signatures make up for and the fit does not.
    assert rows.sum() == pytest.approx(1.0, abs=2e-3)


_TABLES: dict[int, ManifoldTable] = {}


def _peak_table(signatures: TabulatedSignature) -> ManifoldTable:
    if id(signatures) not in _TABLES:
        _TABLES[id(signatures)] = manifold_table(signatures, None, signatures.axis.edges)
    return _TABLES[id(signatures)]


@pytest.mark.parametrize("n_nodes", [3, 4, 5])
def test_few_nodes_are_enough(n_nodes: int) -> None:
    axis = Axis.uncalibrated(4)
    shares = np.linspace(0.1, 0.4, n_nodes)[:, np.newaxis]
    rows = np.concatenate([shares**2, shares * 0.5, 0.4 - shares**2, 0.6 - 0.5 * shares], axis=1)
    one = TabulatedSignature(axis, ("a",), (Deformation("x", "", 0.0, 1.0),), rows[:, np.newaxis])
    table = manifold_table(one, None, axis.edges)
    for x in (0.0, 0.2, 0.5, 0.77, 1.0):
        assert table.templates(np.array([x])) == pytest.approx(one.signature(x), abs=1e-14)


@pytest.mark.parametrize("choice", CHOICES)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**31))
def test_derivatives_are_those_of_the_expected_counts(world, choice: str, seed: int) -> None:
    table = _table_of(world, choice)
    rng = np.random.default_rng(seed)
    low, high = table.prior.bounds.T
    s = low + (high - low) * rng.uniform(0.1, 0.9, len(low))
    a = rng.uniform(100.0, 1000.0, len(table.groups))
    rows, mean = placed(table, a, s)
    k = len(a)
    assert mean == pytest.approx(a @ rows[:k], abs=1e-9)
    for z in range(len(s)):
        step = 1e-6 * (high[z] - low[z]) * np.eye(len(s))[z]
        ahead, behind = placed(table, a, s + step)[1], placed(table, a, s - step)[1]
        slope = (ahead - behind) / (2e-6 * (high[z] - low[z]))
        # Exact but where a node lies within the step: there the second derivative jumps.
        assert rows[k + z] == pytest.approx(slope, abs=2e-4 * np.abs(slope).max() + 1e-6)
        assert np.abs(slope).max() > 1e-3, "the latent moves nothing"


def _table_of(world, choice: str) -> ManifoldTable:
    key = hash((id(world), choice))
    if key not in _TABLES:
        _TABLES[key] = world.table(CHOICES[choice])
    return _TABLES[key]


def test_bins_that_may_move_but_do_not_hold_the_same(world, table: ManifoldTable) -> None:
    moving = world.table(Latents(gain=0.01, offset=2.0))
    fixed = table.templates(np.array([5.0]))
    assert moving.templates(np.array([5.0, 0.0, 0.0])) == pytest.approx(fixed, abs=1e-12)


@pytest.mark.parametrize(("gain", "offset"), [(0.0, 0.0), (0.02, 0.0), (-0.015, 6.0)])
def test_a_peak_moves_with_gain_and_offset(gain: float, offset: float) -> None:
    axis = Axis.regular(0.0, 1000.0, 200, quantity="energy", unit="keV")
    cells = np.diff(ndtr((axis.edges - 600.0) / 30.0))
    rows = np.tile(cells / cells.sum(), (3, 1, 1))
    one = TabulatedSignature(axis, ("line",), (Deformation("x", "", 0.0, 1.0),), rows)
    table = manifold_table(one, None, axis.edges, Latents(gain=0.02, offset=10.0))
    (row,) = table.templates(np.array([0.5, gain, offset]))
    center, width = 600.0 * (1 + gain) + offset, 30.0 * (1 + gain)
    exact = np.diff(ndtr((axis.edges - center) / width))
    assert row == pytest.approx(exact, abs=2e-4 * exact.max())
    assert row.sum() == pytest.approx(1.0, abs=1e-12)


def test_coarser_bins_hold_the_same_counts(world, table: ManifoldTable) -> None:
    edges = table.edges[[0, 3, 10, 11, 40, 96]]
    coarse = world.table(edges=edges).templates(np.array([7.0]))
    fine = table.templates(np.array([7.0]))
    assert coarse == pytest.approx(np.add.reduceat(fine, [0, 3, 10, 11, 40], axis=1), abs=1e-12)
