from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze.likelihood.binning import adaptive_edges
from spectraloom.analyze.likelihood.tables import Resolution
from spectraloom.analyze.manifold import (
    Deformation,
    Latents,
    ManifoldTable,
    TabulatedSignature,
    manifold_table,
)
from spectraloom.analyze.manifold.bins import MOST_LOST, informative_edges, lost_information
from spectraloom.data import Axis, Library

AXIS = Axis.regular(0.0, 1200.0, 240)
STEEL = Deformation("thickness", "mm", 0.0, 20.0, 0.3)
LINES = {"soft": (120.0, 300.0), "hard": (300.0, 900.0)}


def shape(name: str, thickness: float) -> np.ndarray:
    """Two lines over a tail; the softer line is absorbed more."""
    x = AXIS.centers
    total = 0.05 * np.exp(-x / 300.0) * (1.0 + 0.2 * thickness)
    for energy in LINES[name]:
        peak = np.exp(-0.5 * ((x - energy) / 22.0) ** 2)
        total = total + np.exp(-0.06 * thickness * 300.0 / energy) * peak
    return np.asarray(total / total.sum())


def table(latents: Latents | None = None, *, background: bool = True) -> ManifoldTable:
    nodes = STEEL.from_unit(np.linspace(0.0, 1.0, 65))
    rows = np.array([[shape(name, float(t)) for name in LINES] for t in nodes])
    signature = TabulatedSignature(AXIS, tuple(LINES), (STEEL,), rows)
    under = np.exp(-AXIS.centers / 400.0)[np.newaxis]
    library = Library(under, AXIS, ("background",)) if background else None
    return manifold_table(signature, library, AXIS.edges, latents)


def least_variances(
    edges: np.ndarray, amounts: dict[str, float], under: float, thickness: float
) -> np.ndarray:
    """Of amounts above zero, background and thickness, by numerical derivatives of the truth."""
    first = np.searchsorted(AXIS.edges, edges[:-1])
    back = np.exp(-AXIS.centers / 400.0)
    rows = [shape(name, thickness) for name in amounts]
    step = 1e-3
    turn = sum(
        (shape(name, thickness + step) - shape(name, thickness - step)) / (2.0 * step) * a
        for name, a in amounts.items()
    )
    design = np.add.reduceat([*rows, back / back.sum(), turn], first, axis=1)
    mu = np.append([*amounts.values()], under) @ design[:-1]
    scale = np.array([*np.ones(len(amounts) + 1), np.abs(design[-1]).sum() / 100.0])
    scaled = design / scale[:, np.newaxis]
    return np.diag(np.linalg.inv((scaled / mu) @ scaled.T))


def test_under_one_per_cent_is_lost_on_far_fewer_bins() -> None:
    fine = table()
    edges = informative_edges(fine)
    assert np.isin(edges, AXIS.edges).all()
    assert (edges[0], edges[-1]) == (AXIS.edges[0], AXIS.edges[-1])
    assert len(edges) - 1 < 0.45 * AXIS.n_channels
    assert lost_information(fine, edges) <= MOST_LOST
    for amounts in ({"soft": 100.0}, {"hard": 3000.0}, {"soft": 500.0, "hard": 500.0}):
        for thickness in (1.0, 5.0, 15.0):
            on = [least_variances(e, amounts, 1000.0, thickness) for e in (AXIS.edges, edges)]
            np.testing.assert_array_less(1.0 - on[0] / on[1], 0.012)


def test_what_is_lost_is_what_the_bounds_say() -> None:
    fine = table()
    coarse = AXIS.edges[::8]
    lost = max(
        float((1.0 - least_variances(AXIS.edges, mix, under, t)
               / least_variances(coarse, mix, under, t)).max())
        for t in STEEL.from_unit(np.linspace(0.02, 0.98, 9))
        for mix, under in (({"soft": 1e4}, 1e3), ({"hard": 1e4}, 1e3), ({"hard": 1e4}, 1e5))
    )  # fmt: skip
    assert lost_information(fine, AXIS.edges) == pytest.approx(0.0, abs=1e-9)
    assert lost_information(fine, coarse) > 0.8 * lost > 2 * MOST_LOST


def test_the_same_number_of_bins_by_the_resolution_loses_more() -> None:
    fine = table()
    edges = informative_edges(fine)
    widths = np.geomspace(1.0, 12.0, 40)
    others = [adaptive_edges(AXIS, Resolution(0.08), bins_per_fwhm=float(w)) for w in widths]
    like = min(others, key=lambda one: abs(len(one) - len(edges)))
    assert lost_information(fine, like) > 2.0 * lost_information(fine, edges)


@pytest.mark.parametrize(
    "latents",
    [
        Latents(gain=0.01),
        Latents(broadening=0.1, offset=2.0),
        Latents(individual=True),
        Latents(tilt=0.1),
        Latents(known=(5.0, 1.0)),
    ],
)
def test_every_latent_counts(latents: Latents) -> None:
    fine = table(latents)
    edges = informative_edges(fine)
    assert len(edges) <= AXIS.n_channels
    assert lost_information(fine, edges) <= MOST_LOST
    if latents.gain is not None:
        # Where a peak lies is told by its flanks: bins that leave the amounts say less of it.
        assert len(edges) > len(informative_edges(table()))


def test_without_background_and_with_shapes_that_stay() -> None:
    fine = table(background=False)
    assert lost_information(fine, informative_edges(fine)) <= MOST_LOST
    flat = TabulatedSignature(AXIS, ("flat",), (STEEL,), np.full((4, 1, 240), 1.0 / 240.0))
    # One amount and nothing else to tell: a single bin has it all.
    assert len(informative_edges(manifold_table(flat, None, AXIS.edges))) == 2
