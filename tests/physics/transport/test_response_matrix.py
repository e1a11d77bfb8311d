from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.errors import DataError
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY, compton_edge
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.materials import material
from spectraloom.physics.gamma.transport import warp
from spectraloom.physics.gamma.transport.cache import CACHE_DIR_VARIABLE
from spectraloom.physics.gamma.transport.response_matrix import (
    ResponseMatrix,
    _followed,
    default_energies,
    response_matrix,
)

BARE = Crystal(window=(), side=())


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_DIR_VARIABLE, str(tmp_path_factory.mktemp("responses")))
        yield


@pytest.fixture(scope="module")
def nai() -> ResponseMatrix:
    return response_matrix(Crystal(), histories=50_000)


def black(crystal: Crystal, incidence: float | str) -> float:
    """Area for photons that all stop in the crystal."""
    found = response_matrix(
        crystal,
        incidence,  # type: ignore[arg-type]
        histories=20_000,
        energies=[30.0, 31.0],
    )
    return float(found.total[0])


def test_a_black_crystal_has_its_front_as_area() -> None:
    assert black(BARE, "front") == pytest.approx(np.pi * 3.81**2, rel=1e-6)
    box = Crystal(size=(4.0, 16.0, 5.0), window=(), side=())
    assert black(box, "front") == pytest.approx(64.0, rel=1e-6)


def test_from_all_sides_the_area_is_a_quarter_of_the_surface() -> None:
    """Cauchy (1832), for any convex body."""
    surface = 2 * np.pi * 3.81**2 + np.pi * 7.62**2
    assert black(BARE, "around") == pytest.approx(surface / 4, rel=0.01)
    box = Crystal(size=(4.0, 16.0, 5.0), window=(), side=())
    assert black(box, "around") == pytest.approx((64 + 20 + 80) / 2, rel=0.01)


@pytest.mark.parametrize("distance", [0.5, 10.0, 1000.0])
@pytest.mark.parametrize("size", [(7.62, 7.62), (4.0, 16.0, 5.0)])
def test_a_point_sees_the_solid_angle_of_the_front(
    size: tuple[float, ...], distance: float
) -> None:
    rng = np.random.default_rng(1)
    # Directions within a cone about the axis, for a share that is not small.
    reach = np.hypot(size[0], size[-2])
    least = distance / np.hypot(distance, reach)
    cosine = 1 - (1 - least) * rng.random(400_000)
    azimuth = 2 * np.pi * rng.random(400_000)
    radius = distance * np.sqrt(1 / cosine**2 - 1)
    x, y = radius * np.cos(azimuth), radius * np.sin(azimuth)
    if len(size) == 2:
        hits = radius < size[0] / 2
    else:
        hits = (np.abs(x) < size[0] / 2) & (np.abs(y) < size[1] / 2)
    expected = hits.mean() * 2 * np.pi * (1 - least) * distance**2
    crystal = Crystal(size=size, window=(), side=())
    assert black(crystal, distance) == pytest.approx(expected, rel=0.02)


def test_far_away_a_point_is_a_beam() -> None:
    assert black(Crystal(), 1e5) == pytest.approx(black(Crystal(), "front"), rel=0.01)


def test_in_a_small_crystal_every_gram_counts_alike() -> None:
    """From all sides the area of a thin body is its volume times the coefficient."""
    small = Crystal("PVT", (0.2, 0.1), window=(), side=())
    found = response_matrix(small, "around", histories=50_000, energies=[1000.0, 1100.0])
    coefficient = float(
        material("PVT").require_density() * material("PVT").cross_sections(1000.0).interacting
    )
    volume = np.pi * 0.1**2 * 0.1
    assert found.total[0] == pytest.approx(volume * coefficient, rel=0.02)


def test_any_number_of_threads_gives_the_same_response() -> None:
    grid = np.array([60.0, 700.0, 2000.0])
    one, many = (
        _followed(Crystal(), (0, 0.0), grid, 60_000, 7, None, threads) for threads in (1, 5)
    )
    for name, array in one.items():
        np.testing.assert_array_equal(array, many[name])


def test_the_second_call_reads_what_the_first_kept(nai: ResponseMatrix) -> None:
    steps: list[float] = []
    again = response_matrix(
        Crystal(), histories=50_000, progress=lambda done, _: steps.append(done)
    )
    np.testing.assert_array_equal(nai.peaks, again.peaks)
    assert steps == []
    other = response_matrix(
        BARE,
        histories=30_000,
        energies=[100.0, 200.0],
        seed=1,
        progress=lambda done, _: steps.append(done),
    )
    assert steps == [0.5, 1.0]
    assert other.total.shape == (2,)


@given(st.floats(10.0, 10000.0))
def test_knots_rise_from_zero_to_the_energy(energy: float) -> None:
    for layout, (low, high) in enumerate(
        zip((0.0, *warp.BOUNDS), (*warp.BOUNDS, np.inf), strict=True)
    ):
        if not low <= energy <= high:
            continue
        knots = warp.knots(layout, energy)
        assert knots[0] == 0.0
        assert knots[-1] == energy
        assert (np.diff(knots) >= -1e-9).all()
        assert np.abs(knots - compton_edge(energy)).min() < 1e-9
        edges = warp.bin_edges(layout, energy)
        assert len(edges) == warp.N_BINS + 1
        assert (np.diff(edges) >= -1e-9).all()
        np.testing.assert_allclose(edges[warp.first_bins(layout)], knots)


@pytest.mark.parametrize("energy", [35.0, 83.0, 230.0, 255.5, 300.0, 690.0, 1290.0, 1310.0, 2700.0])
def test_between_the_grid_it_is_as_if_followed_there(nai: ResponseMatrix, energy: float) -> None:
    histories = 200_000
    direct = response_matrix(
        Crystal(), histories=histories, energies=[energy, energy * 1.001], seed=3
    )
    edges = np.linspace(0.0, energy * 1.05, 25)
    expected, found = direct.deposits([energy], edges), nai.deposits([energy], edges)
    per_count = np.pi * 3.86**2 / histories
    # Both are counted: the direct one, and a mean of two of a quarter as many histories.
    error = np.sqrt(expected.areas[0] * per_count * 5.0)
    np.testing.assert_array_less(
        np.abs(found.areas[0] - expected.areas[0]), 4 * error + 0.004 * expected.areas[0]
    )
    error = np.sqrt(np.maximum(expected.continuum, 5 * per_count) * per_count * 5.0)
    np.testing.assert_array_less(
        np.abs(found.continuum - expected.continuum),
        4.5 * error + 0.03 * expected.continuum.max(initial=0.0),
    )
    assert found.continuum.sum() == pytest.approx(expected.continuum.sum(), rel=0.02, abs=0.02)


def test_lines_lie_where_they_should(nai: ResponseMatrix) -> None:
    found = nai.deposits([2614.5, 100.0], [0.0, 3000.0])
    np.testing.assert_allclose(found.energies[0], [2614.5, 100.0])
    np.testing.assert_allclose(
        found.energies[1:3, 0], 2614.5 - ELECTRON_REST_ENERGY * np.array([1.0, 2.0])
    )
    assert found.areas[1, 0] > 0.1 * found.areas[0, 0]
    assert found.areas[2, 0] > 0.03 * found.areas[0, 0]
    assert found.areas[1, 1] == found.areas[2, 1] == 0.0
    assert nai.x_rays[0] == pytest.approx(28.6, abs=0.1)
    assert nai.x_ray_escapes.shape == (len(nai.energies), len(nai.x_rays))
    assert 0.0 < nai.deposits([100.0], [0.0, 200.0]).areas[3, 0] < 2.0


def test_just_above_the_edge_x_rays_begin_to_escape(nai: ResponseMatrix) -> None:
    below, above = nai.deposits([32.5, 34.0], [0.0, 50.0]).areas.T
    assert below[3] < 0.01 * above[3]
    assert above[0] < 0.85 * below[0]


def test_pairs_in_the_housing_give_annihilation_photons() -> None:
    shielded = Crystal(back=(("Pb", 2.0),))
    found = response_matrix(shielded, histories=50_000, energies=[2000.0, 3000.0])
    places = found.deposits([3000.0], [0.0, 3000.0])
    at = np.flatnonzero(np.abs(places.energies[:, 0] - ELECTRON_REST_ENERGY) < 1e-3)
    assert len(at) == 1
    assert places.areas[at[0], 0] > 0
    x_ray = np.abs(places.energies[:, 0] - 75.0) < 0.3  # K-alpha of lead
    assert places.areas[x_ray, 0].sum() > 0


def test_a_back_of_lead_scatters_into_the_crystal(nai: ResponseMatrix) -> None:
    backed = response_matrix(
        Crystal(back=(("Al", 3.0),)), histories=50_000, energies=[600.0, 700.0]
    )
    bins = [0.0, 100.0, 170.0, 230.0, 400.0]
    gain = backed.deposits([662.0], bins).continuum - nai.deposits([662.0], bins).continuum
    assert np.argmax(gain[:, 0] / np.diff(bins)) == 2  # around 184 keV


@given(
    st.lists(st.floats(10.0, 9000.0), min_size=1, max_size=5),
    st.integers(2, 60),
)
def test_areas_are_kept_however_the_bins_are_cut(
    nai: ResponseMatrix, energies: list[float], number: int
) -> None:
    coarse = nai.deposits(energies, [0.0, 10000.0])
    fine = nai.deposits(energies, np.linspace(0.0, 10000.0, number))
    np.testing.assert_allclose(fine.continuum.sum(axis=0), coarse.continuum[0], rtol=1e-9)
    assert (fine.continuum >= 0).all()
    assert (fine.areas >= 0).all()


def test_below_its_first_energy_nothing_is_counted(nai: ResponseMatrix) -> None:
    found = nai.deposits([1.0, 9.9, 10.0], [0.0, 20.0])
    assert found.areas[:, :2].sum() == found.continuum[:, :2].sum() == 0.0
    assert np.isfinite(found.areas).all()


def test_the_grid_brackets_the_edges_of_all_materials() -> None:
    grid = default_energies(Crystal(window=(("Pb", 0.1),)))
    assert grid[0] == 10.0
    assert grid[-1] == 10000.0
    for edge in (33.169, 88.005):
        near = grid[np.abs(grid / edge - 1) < 0.012]
        assert (near < edge).any()
        assert (near > edge).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"incidence": "behind"}, "incidence"),
        ({"incidence": 0.0}, "incidence"),
        ({"incidence": float("inf")}, "incidence"),
        ({"incidence": 1e-200}, "incidence"),
        ({"incidence": None}, "incidence"),
        ({"incidence": True}, "incidence"),
        ({"incidence": "5"}, "incidence"),
        ({"histories": float("inf")}, "histories"),
        ({"crystal": "NaI"}, "Crystal"),
        ({"histories": 0}, "histories"),
        ({"histories": 1.5}, "histories"),
        ({"seed": -1}, "seed"),
        ({"energies": [100.0]}, "two energies"),
        ({"energies": [1.0, 100.0]}, "two energies"),
        ({"energies": [100.0, 20000.0]}, "two energies"),
        ({"energies": [100.0, float("nan")]}, "two energies"),
    ],
)
def test_what_makes_no_response_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        response_matrix(**({"crystal": Crystal()} | wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("energies", "edges", "message"),
    [
        ([20000.0], [0.0, 1.0], "10000 keV"),
        ([float("nan")], [0.0, 1.0], "numbers"),
        ([100.0], [0.0], "edges"),
        ([100.0], [1.0, 0.0], "edges"),
    ],
)
def test_what_has_no_place_is_refused(
    nai: ResponseMatrix, energies: list[float], edges: list[float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        nai.deposits(energies, edges)
