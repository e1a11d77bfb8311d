from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom._typing import FloatArray
from spectraloom.data import Axis
from spectraloom.errors import DataError
from spectraloom.generate.scene_tables import distance_nodes, source_table, thickness_nodes
from spectraloom.physics.gamma import GammaDetector
from spectraloom.physics.gamma import spectrum as spectrum_module
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.spectrum import expected_counts
from spectraloom.physics.gamma.transport.cache import forget
from spectraloom.physics.gamma.transport.response_matrix import response_matrix
from spectraloom.physics.gamma.transport.surroundings import Surroundings, emerging

from .scene_physics import SMALL, plain_counts


def plain(name: str, made_of: str) -> object:
    def expected(thickness: float, distance: float) -> FloatArray:
        shells = ((made_of, thickness),) if thickness > 0 else ()
        return plain_counts(name, SMALL, Surroundings(distance=distance, shells=shells))

    return expected


@given(
    thickness=st.floats(0.0, 2.0),
    distance=st.floats(50.0, 5000.0),
    name=st.sampled_from(["Cs-137", "Eu-152", "Co-60"]),
)
def test_between_nodes_counts_are_those_computed_there(
    thickness: float, distance: float, name: str
) -> None:
    expected = plain(name, "Fe")
    table = source_table(expected, thickness_nodes("Fe", 0.0, 2.0), distance_nodes(50.0, 5000.0))  # type: ignore[arg-type]
    found = table.at(np.array([thickness]), np.array([distance]))[0]
    wanted = expected(thickness, distance)  # type: ignore[operator]
    assert found.sum() == pytest.approx(wanted.sum(), rel=0.01)
    cosine = found @ wanted / np.sqrt((found @ found) * (wanted @ wanted))
    assert cosine > 0.9995


def test_nodes_are_exact_and_a_fixed_setup_is_not_interpolated() -> None:
    expected = plain("Ba-133", "Pb")
    nodes = thickness_nodes("Pb", 0.1, 0.4)
    table = source_table(expected, nodes, distance_nodes(100.0, 900.0))  # type: ignore[arg-type]
    for thickness, distance in ((nodes[0], 100.0), (nodes[3], 400.0), (nodes[-1], 900.0)):
        wanted = expected(thickness, distance)  # type: ignore[operator]
        found = table.at(np.array([thickness]), np.array([distance]))[0]
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-10 * wanted.sum())
    one = source_table(expected, np.array([0.2]), np.array([150.0]))  # type: ignore[arg-type]
    found = one.at(np.full(3, 0.2), np.full(3, 150.0))
    np.testing.assert_array_equal(found, np.tile(expected(0.2, 150.0), (3, 1)))  # type: ignore[operator]


@given(low=st.floats(1.0, 1e4), factor=st.floats(1.0, 1e3))
def test_nodes_of_distance_cover_the_range_and_are_shared(low: float, factor: float) -> None:
    nodes = distance_nodes(low, low * factor)
    assert (nodes[0], nodes[-1]) == (low, low * factor)
    assert (np.diff(nodes) > 0).all()
    if nodes.size > 1:
        assert (nodes[1:] / nodes[:-1]).max() < 2.5
    for node in nodes[1:-1]:
        assert np.log2(node / 100.0) == pytest.approx(round(np.log2(node / 100.0)), abs=1e-9)


def test_nodes_of_thickness_grow_with_what_they_weaken() -> None:
    few, many = thickness_nodes("Al", 0.0, 0.1), thickness_nodes("Pb", 0.0, 0.5)
    assert 8 <= few.size < many.size <= 16
    assert (np.diff(many, 2) > 0).all()
    assert thickness_nodes("Pb", 0.3, 0.3).tolist() == [0.3]


def test_nothing_that_arrives_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing passes 50 cm of the absorber"):
        source_table(lambda _t, _d: np.zeros(4), np.array([50.0]), np.array([100.0]))


def test_interpolation_agrees_with_transport(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECTRALOOM_CACHE_DIR", str(tmp_path))
    forget()
    monkeypatch.setattr(
        spectrum_module,
        "response_matrix",
        lambda crystal, incidence: response_matrix(
            crystal, incidence, histories=4000, energies=[20.0, 33.0, 34.0, 80.0, 250.0, 700.0]
        ),
    )
    monkeypatch.setattr(
        spectrum_module,
        "emerging",
        lambda energies, photons, around: emerging(energies, photons, around, histories=20_000),
    )
    tiny = GammaDetector("tiny", Axis.regular(0.0, 750.0, 50), Crystal("NaI", (2.0, 2.0)))

    def expected(thickness: float, distance: float) -> FloatArray:
        shells = (("Fe", thickness),) if thickness > 0 else ()
        return expected_counts("Cs-137", tiny, Surroundings(distance=distance, shells=shells))

    table = source_table(expected, thickness_nodes("Fe", 0.0, 3.0), distance_nodes(60.0, 240.0))
    for thickness, distance in ((0.4, 80.0), (1.3, 150.0), (2.7, 225.0)):
        found = table.at(np.array([thickness]), np.array([distance]))[0]
        wanted = expected(thickness, distance)
        assert found.sum() == pytest.approx(wanted.sum(), rel=0.02)
        seen = wanted > 0.02 * wanted.max()
        np.testing.assert_allclose(found[seen], wanted[seen], rtol=0.05)
    forget()
