from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError, LabelError
from spectraloom.physics import material
from spectraloom.physics.gamma.compton import scattered_fractions
from spectraloom.physics.gamma.fluorescence import k_shells
from spectraloom.physics.gamma.transport import batches
from spectraloom.physics.gamma.transport.cache import forget
from spectraloom.physics.gamma.transport.collisions import klein_nishina
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES, PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.layers import (
    BIN_OF,
    material_media,
    shared_out,
    straight_share,
)
from spectraloom.physics.gamma.transport.layers_kernel import (
    ABSORBED,
    BORN,
    DROPPED,
    LEAKED,
    follow_out,
)
from spectraloom.physics.gamma.transport.surroundings import (
    Flux,
    Surroundings,
    _computed,
    emerging,
)

FAR = 1000.0
SPHERE = 4.0 * np.pi * FAR**2


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECTRALOOM_CACHE_DIR", str(tmp_path))
    forget()


def in_open(energy: float, histories: int = 100_000, seed: int = 0, **around: object) -> Flux:
    """Photons of one line through surroundings without air, counted far away."""
    surroundings = Surroundings(distance=FAR, air=False, **around)  # type: ignore[arg-type]
    return emerging([energy], [1.0], surroundings, histories=histories, seed=seed)


def coarse(bins: FloatArray, width: float = 20.0, top: float = 3000.0) -> FloatArray:
    return np.histogram(PHOTON_ENERGIES, np.arange(0.0, top + 1, width), weights=bins)[0]


def analog(name: str, radius: float, energy: float, n: int) -> tuple[FloatArray, float, float]:
    """Plain transport out of a ball of one material from its centre: spectrum, straight, 511 keV.

    Photons are followed one interaction at a time in three dimensions, and absorbed ones end.
    """
    rng = np.random.default_rng(5)
    made_of = material(name)
    place, way = np.zeros((n, 3)), rng.normal(size=(n, 3))
    way /= np.linalg.norm(way, axis=1)[:, np.newaxis]
    at, born = np.full(n, energy), np.zeros(n, dtype=np.int64)  # 0 source, 1 scattered, 2 pair
    spectrum, straight, annihilation = np.zeros(PHOTON_ENERGIES.size), 0.0, 0.0
    while at.size:
        section = made_of.cross_sections(at)
        total = made_of.require_density() * section.interacting
        place = place + way * rng.exponential(1.0 / total)[:, np.newaxis]
        gone = np.linalg.norm(place, axis=1) > radius
        straight += (gone & (born == 0)).sum()
        annihilation += (gone & (born == 2)).sum()
        spectrum += np.histogram(at[gone & (born == 1)], PHOTON_EDGES)[0]
        draw = rng.random(at.size) * section.interacting
        scatters = ~gone & (draw < section.incoherent)
        pairs = ~gone & (draw > section.incoherent + section.photoelectric)
        cosine = _compton_cosines(at[scatters], rng)
        turned = _turned(way[scatters], cosine, rng)
        back = rng.normal(size=(int(pairs.sum()), 3))
        back /= np.maximum(np.linalg.norm(back, axis=1), 1e-12)[:, np.newaxis]
        lost = at[scatters] / (1.0 + at[scatters] / 510.99895 * (1.0 - cosine))
        place = np.concatenate([place[scatters], place[pairs], place[pairs]])
        way = np.concatenate([turned, back, -back])
        at = np.concatenate([lost, np.full(2 * len(back), 510.99895)])
        born = np.concatenate([np.full(len(lost), 1), np.full(2 * len(back), 2)])
        kept = at > 10.0
        place, way, at, born = place[kept], way[kept], at[kept], born[kept]
    return spectrum / n, straight / n, annihilation / n


def _compton_cosines(energy: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Cosines drawn flat and kept in proportion to the formula of Klein and Nishina."""
    found = np.empty(energy.size)
    open_ones = np.arange(energy.size)
    while open_ones.size:
        cosine = rng.uniform(-1.0, 1.0, open_ones.size)
        ratio = 1.0 / (1.0 + energy[open_ones] / 510.99895 * (1.0 - cosine))
        height = 0.5 * ratio**2 * (ratio + 1.0 / ratio - 1.0 + cosine**2)
        kept = rng.random(open_ones.size) < height
        found[open_ones[kept]] = cosine[kept]
        open_ones = open_ones[~kept]
    return found


def _turned(way: FloatArray, cosine: FloatArray, rng: np.random.Generator) -> FloatArray:
    across = np.cross(way, rng.normal(size=way.shape))
    across /= np.maximum(np.linalg.norm(across, axis=1), 1e-12)[:, np.newaxis]
    sine = np.sqrt(1.0 - cosine**2)
    return cosine[:, np.newaxis] * way + sine[:, np.newaxis] * across


def test_photons_pass_layers_straight_by_an_exponential() -> None:
    layers = (("steel", 0.7), ("Pb", 0.3))
    found = in_open(661.7, shells=layers, cavity=3.0)
    expected = np.prod([material(name).transmission(x, 661.7) for name, x in layers])
    assert found.direct[0] * SPHERE == pytest.approx(expected, rel=1e-4)


def test_nothing_around_leaves_the_inverse_square() -> None:
    found = in_open(661.7)
    assert found.energies.tolist() == [661.7]
    assert found.direct[0] == pytest.approx(1.0 / SPHERE)
    assert not found.front.any()
    assert not found.around.any()


def test_a_thin_layer_scatters_once_by_klein_and_nishina() -> None:
    thickness = 0.002
    found = in_open(1332.5, shells=(("Al", thickness),), cavity=5.0)
    aluminium = material("Al")
    depth = aluminium.require_density() * thickness * aluminium.cross_sections(1332.5).incoherent
    edges = np.maximum(PHOTON_EDGES, 1e-3)
    expected = coarse(depth * scattered_fractions(1332.5, edges)[0], width=50.0)
    shown = coarse(found.front * SPHERE, width=50.0)
    seen = expected > 0.01 * expected.max()
    np.testing.assert_allclose(shown[seen], expected[seen], rtol=0.03)
    assert shown.sum() == pytest.approx(depth, rel=0.01)


@pytest.mark.parametrize(
    ("name", "radius", "energy"),
    [("Fe", 3.0, 1332.5), ("water", 12.0, 300.0), ("Al", 8.0, 2614.5)],
)
def test_layers_agree_with_plain_transport(name: str, radius: float, energy: float) -> None:
    n = 200_000
    spectrum, straight, annihilation = analog(name, radius, energy, n)
    found = in_open(energy, shells=((name, radius),))
    assert found.direct[0] * SPHERE == pytest.approx(straight, abs=4 * np.sqrt(straight / n))
    expected, shown = coarse(spectrum, 50.0), coarse(found.front * SPHERE, 50.0)
    error = np.sqrt(expected / n + (0.03 * expected) ** 2 / 9 + 1e-12)
    assert np.abs((shown - expected) / error).max() < 4.5
    assert shown.sum() == pytest.approx(expected.sum(), rel=0.01)
    pair = found.direct[found.energies == 510.99895].sum() * SPHERE
    assert pair == pytest.approx(annihilation, abs=5 * np.sqrt(annihilation / n) + 1e-5)


def test_k_x_rays_of_lead_come_out_of_a_thin_layer() -> None:
    thickness = 2e-5
    found = in_open(120.0, shells=(("Pb", thickness),), cavity=1.0)
    lead = material("Pb")
    section = lead.cross_sections(120.0)
    shell = k_shells()["Pb"]
    born = lead.require_density() * thickness * section.photoelectric
    born *= shell.share * shell.fluorescence_yield
    for energy, share in shell.lines:
        shown = found.direct[found.energies == energy][0] * SPHERE
        assert shown == pytest.approx(born * share, rel=0.06)
    assert set(found.energies[1:]) == {energy for energy, _ in shell.lines}


def test_photons_are_conserved() -> None:
    media, radii = material_media(("Al", None, "Fe")), np.array([1.0, 2.0, 4.0])
    energies, photons = np.array([400.0, 2614.5]), np.array([0.3, 1.0])
    straight = straight_share(energies, media, radii, ball=1.0, distance=FAR)
    strata = shared_out(energies, photons, straight, 100_000, 1)
    _, ledger = follow_out(media, radii, strata, 1.0, FAR, BIN_OF, PHOTON_ENERGIES.size, 1)
    book = ledger.sum(axis=0)
    assert book[LEAKED] + book[ABSORBED] + book[DROPPED] == pytest.approx(
        photons.sum() + book[BORN], rel=3e-3
    )


@pytest.mark.parametrize("energy", [12.0, 662.0, 9000.0])
def test_weighted_scattering_follows_klein_and_nishina(energy: float) -> None:
    numbers = (np.arange(20_000) + 0.5) / 20_000
    rows = np.array([klein_nishina(number, energy) for number in numbers])
    edges = np.linspace(energy / 2, energy, 21)
    shown = np.histogram(rows[:, 0] * energy, edges, weights=rows[:, 2])[0] / 20_000
    np.testing.assert_allclose(shown, scattered_fractions(energy, edges)[0], atol=2e-4)
    assert rows[:, 2].mean() == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(
        rows[:, 0], 1.0 / (1.0 + energy / 510.99895 * (1.0 - rows[:, 1])), rtol=1e-9
    )


@pytest.mark.parametrize("depth", [0.01, 1.0, 30.0])
def test_self_absorption_of_a_ball_has_its_closed_form(depth: float) -> None:
    uranium = material("U")
    section = uranium.cross_sections(186.0).interacting
    radius = depth / float(uranium.require_density() * section)
    found = in_open(186.0, source=("U", radius), histories=1000)
    x = 2.0 * depth
    expected = 3.0 / (2.0 * x) * (1.0 - 2.0 / x**2 + np.exp(-x) * (2.0 / x + 2.0 / x**2))
    assert found.direct[0] * SPHERE == pytest.approx(expected, rel=2e-3)


def test_the_result_does_not_depend_on_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    around = Surroundings(
        shells=(("Pb", 0.5),), slabs=(("Al", 1.0),), floor=("concrete", 100.0), source=("U", 0.2)
    )
    lines = np.array([186.0, 661.7, 2614.5]), np.array([0.5, 1.0, 0.3])
    found = []
    for count in (1, 2, 5):
        monkeypatch.setattr(batches, "_processors", lambda count=count: count)
        found.append(_computed(*lines, around, 5000, 3))
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, same)
    assert all(part.any() for part in found[0])


def test_threads_and_forked_processes_may_compute() -> None:
    # In a fresh process, as a library that is loaded or a thread that runs here would matter.
    if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        pytest.skip("this system has no safe fork")
    program = """if True:
        import multiprocessing
        from concurrent.futures import ThreadPoolExecutor
        from spectraloom.physics.gamma.transport.surroundings import Surroundings, emerging

        def total(seed):
            around = Surroundings(shells=(("Pb", 0.5),), floor=("soil", 100.0))
            found = emerging([661.7], [1.0], around, histories=1000, seed=seed)
            return float(found.front.sum() + found.around.sum())

        with ThreadPoolExecutor(4) as pool:
            here = list(pool.map(total, range(8)))
        with multiprocessing.get_context("fork").Pool(2) as pool:
            there = pool.map(total, range(8, 12))
        print(min(here + there) > 0.0)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "True", done.stderr


def test_neighbouring_thicknesses_share_their_noise() -> None:
    one, other, again = (
        coarse(in_open(661.7, 20_000, seed, shells=(("steel", x),), cavity=1.0).front * SPHERE)
        for x, seed in ((1.0, 0), (1.02, 0), (1.0, 1))
    )
    seen = one > 0.01 * one.max()
    change, noise = other[seen] / one[seen], again[seen] / one[seen]
    assert np.abs(change - 1.0).mean() > 1e-3
    assert np.abs(np.diff(change)).mean() < 0.3 * np.abs(np.diff(noise)).mean()


def test_air_weakens_what_comes_straight() -> None:
    bare = emerging([60.0], [1.0], Surroundings(air=False))
    found = emerging([60.0], [1.0], Surroundings())
    assert found.direct[0] / bare.direct[0] == pytest.approx(
        float(material("air").transmission(100.0, 60.0))
    )


def test_the_flux_is_remembered(tmp_path: Path) -> None:
    surroundings = Surroundings(shells=(("Al", 0.1),), air=False)
    first = emerging([661.7], [1.0], surroundings, histories=100)
    assert len(list(tmp_path.glob("flux-*.npz"))) == 1
    forget()
    again = emerging([661.7], [1.0], surroundings, histories=100)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("around", "message"),
    [
        ({"distance": 0.0}, "distance"),
        ({"distance": 1e-300}, "distance"),
        ({"distance": 1e9}, "distance"),
        ({"distance": 1e200}, "distance"),
        ({"distance": "100"}, "distance"),
        ({"distance": True}, "distance"),
        ({"shells": ("Pb", 0.5)}, "list of layers"),
        ({"shells": (("Pb", 0.5, 1.0),)}, r"\(material, cm\)"),
        ({"slabs": None}, "list of layers"),
        ({"slabs": ((3, 0.5),)}, "a name"),
        ({"source": "U"}, r"\(material, cm\)"),
        ({"floor": ("soil", np.nan)}, "floor"),
        ({"cavity": 1.0}, "no shells"),
        ({"cavity": None}, "cavity"),
        ({"air": 1}, "true or false"),
        ({"cavity": -1.0}, "cavity"),
        ({"shells": (("Pb", -0.1),)}, "shells"),
        ({"shells": (("Gd2O2S", 0.1),)}, "density"),
        ({"source": ("U", 2.0), "cavity": 1.0, "shells": (("Al", 1.0),)}, "fit into a cavity"),
        ({"shells": (("Pb", 5.0),), "slabs": (("Pb", 6.0),), "distance": 10.0}, "not fit before"),
        ({"shells": (("Pb", 5.0),), "floor": ("soil", 4.0)}, "do not fit above"),
    ],
)
def test_surroundings_that_cannot_be_are_refused(around: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Surroundings(**around)  # type: ignore[arg-type]


def test_lists_are_as_good_as_tuples() -> None:
    listed = Surroundings(shells=[["Pb", 1]], source=["U", 0.5], distance=np.float32(50.0))  # type: ignore[arg-type]
    assert hash(listed) == hash(Surroundings(50.0, (("Pb", 1.0),), source=("U", 0.5)))


@pytest.mark.parametrize(
    "named",
    [
        {"histories": 0},
        {"histories": 150.5},
        {"histories": np.nan},
        {"histories": np.inf},
        {"histories": "10"},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": True},
        {"seed": 2**64},
    ],
)
def test_histories_and_seeds_are_whole_numbers(named: dict[str, object]) -> None:
    with pytest.raises(DataError, match="whole number"):
        emerging([661.7], [1.0], Surroundings(), **named)  # type: ignore[arg-type]


def test_surroundings_are_asked_for() -> None:
    with pytest.raises(DataError, match="Surroundings"):
        emerging([661.7], [1.0], None)  # type: ignore[arg-type]


def test_an_unknown_material_is_named() -> None:
    with pytest.raises(LabelError, match="unobtainium"):
        Surroundings(shells=(("unobtainium", 1.0),))


@pytest.mark.parametrize(
    ("energies", "intensities"),
    [([661.7], [1.0, 2.0]), ([], []), ([661.7], [-1.0]), ([661.7], [np.nan]), ([0.1], [1.0])],
)
def test_lines_that_cannot_be_are_refused(energies: list[float], intensities: list[float]) -> None:
    with pytest.raises(DataError):
        emerging(energies, intensities, Surroundings())
