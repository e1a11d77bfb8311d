from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.physics.gamma import Crystal, response_matrix
from spectraloom.physics.gamma.incidence import face, from_where

CANNED = (("Al", 0.1),)
CRYSTALS = {
    "cylinder": Crystal("NaI", (7.62, 7.62), CANNED, CANNED),
    "box": Crystal("NaI", (40.64, 10.16, 5.08), CANNED, CANNED),
    "slab": Crystal("PVT", (50.0, 30.0, 5.0), CANNED, CANNED),
}
ENERGIES = np.array([60.0, 350.0, 1332.0])


def areas(crystal: Crystal, incidence: object) -> np.ndarray:
    """Effective areas of the full-energy peak and of all deposits, shape (2, n_energies)."""
    response = response_matrix(
        crystal,
        incidence,  # type: ignore[arg-type]
        histories=60_000,
        energies=np.concatenate([ENERGIES, 1.001 * ENERGIES]),
    )
    found = response.deposits(ENERGIES, [0.0, 1e4])
    return np.array([found.areas[0], found.areas.sum(axis=0) + found.continuum[0]])


@pytest.mark.parametrize("name", list(CRYSTALS))
def test_between_its_nodes_a_source_counts_as_a_point_there(name: str) -> None:
    crystal = CRYSTALS[name]
    # Plastic has no peaks to speak of.
    judged = slice(1, 2) if name == "slab" else slice(0, 2)
    for sizes in (14.0, 5.0, 1.6, 0.7, 0.4):
        distance = sizes * max(crystal.size)
        blended = sum(
            parts * areas(crystal, incidence)
            for incidence, parts in from_where(crystal, distance, ENERGIES)
        )
        true = areas(crystal, distance)
        np.testing.assert_allclose(np.asarray(blended)[judged], true[judged], rtol=0.01)


@pytest.mark.parametrize("name", list(CRYSTALS))
@pytest.mark.parametrize("sizes", [10.0, 3.0, 1.0, 0.5, 0.3])
def test_nothing_jumps_where_the_incidences_change(name: str, sizes: float) -> None:
    crystal = CRYSTALS[name]
    node = sizes * max(crystal.size)
    beyond = dict(from_where(crystal, node * (1.0 + 1e-9), ENERGIES))
    within = from_where(crystal, node * (1.0 - 1e-9), ENERGIES)
    for incidence, parts in within:
        # Nearer than the last node a response is that of the distance itself.
        same = next((one for one in beyond if one == pytest.approx(incidence, rel=1e-6)), None)
        np.testing.assert_allclose(parts, 0.0 if same is None else beyond[same], atol=1e-6)
    assert sum(parts[0] for _, parts in within) == pytest.approx(1.0, abs=1e-6)


@given(
    name=st.sampled_from(list(CRYSTALS)),
    distance=st.floats(0.01, 1e6),
    energy=st.floats(1.0, 1e4),
)
def test_parts_are_never_negative_and_far_away_one_beam_is_left(
    name: str, distance: float, energy: float
) -> None:
    crystal = CRYSTALS[name]
    found = from_where(crystal, distance, np.array([energy]))
    assert 1 <= len(found) <= 2
    assert all(0.0 <= parts[0] < 1.5 for _, parts in found)
    if distance > 1e5:
        assert found[0][0] == "front"
        assert found[0][1][0] == pytest.approx(1.0, abs=0.01)


@given(distance=st.floats(0.1, 1e5), depth=st.floats(0.0, 10.0))
def test_a_face_is_the_solid_angle_in_which_it_is_seen(distance: float, depth: float) -> None:
    away = distance + 0.1 + depth
    # Integrals over rings and over stripes, as sums.
    radii = np.linspace(0.0, 3.81, 2001)
    middle = 0.5 * (radii[1:] + radii[:-1])
    rings = 2.0 * np.pi * middle * np.diff(radii) * away / (middle**2 + away**2) ** 1.5
    found = face(CRYSTALS["cylinder"], distance, depth)
    assert found == pytest.approx(distance**2 * rings.sum(), rel=1e-4)
    edges = np.linspace(-0.5, 0.5, 4001)
    x = 0.5 * (edges[1:] + edges[:-1]) * 40.64
    square = x**2 + away**2
    stripes = away * 10.16 / (square * np.sqrt(square + 5.08**2)) * (40.64 / 4000)
    found = face(CRYSTALS["box"], distance, depth)
    assert found == pytest.approx(distance**2 * stripes.sum(), rel=1e-3)
    assert face(CRYSTALS["box"], None) == pytest.approx(40.64 * 10.16)
