from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectraloom._typing import FloatArray
from spectraloom.physics import material
from spectraloom.physics.gamma.compton import klein_nishina, scattered_energy
from spectraloom.physics.gamma.fluorescence import k_shells
from spectraloom.physics.gamma.transport.cache import forget
from spectraloom.physics.gamma.transport.grid import PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.layers import BIN_OF, Emission, material_media
from spectraloom.physics.gamma.transport.planes import scattered, shared_out
from spectraloom.physics.gamma.transport.planes_kernel import Planes, follow_around
from spectraloom.physics.gamma.transport.surroundings import Flux, Surroundings, emerging

SIZE = PHOTON_ENERGIES.size
ELECTRON_RADIUS_SQUARED = 7.940787e-26  # cm2


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECTRALOOM_CACHE_DIR", str(tmp_path))
    forget()


def line(energy: float) -> Emission:
    return Emission(np.array([energy]), np.array([1.0]), np.zeros(SIZE))


def per_steradian(energy: float, cosine: FloatArray) -> FloatArray:
    """Chance of a Compton scattering per solid angle, after Klein and Nishina."""
    ratio = scattered_energy(energy, cosine) / energy
    section = 0.5 * ELECTRON_RADIUS_SQUARED * ratio**2 * (ratio + 1.0 / ratio - 1.0 + cosine**2)
    return section / klein_nishina(energy)


def coarse(bins: FloatArray, width: float = 50.0) -> FloatArray:
    return np.histogram(PHOTON_ENERGIES, np.arange(0.0, 3001.0, width), weights=bins)[0]


def into_bins(energies: FloatArray, weights: FloatArray, width: float = 50.0) -> FloatArray:
    return np.histogram(energies, np.arange(0.0, 3001.0, width), weights=weights)[0]


def test_thin_air_scatters_once_as_the_closed_form_says() -> None:
    # The volume of places from which photons come by an angle t goes as t: 2 pi t dt / d.
    energy, distance = 661.7, 300.0
    flux = emerging([energy], [1.0], Surroundings(distance=distance), histories=400_000)
    air = material("air")
    sigma = float(air.require_density() * air.cross_sections(energy).incoherent)
    angle = (np.arange(20_000) + 0.5) * np.pi / 20_000
    density = sigma / (4 * np.pi) * 2 * np.pi / distance * angle
    density *= per_steradian(energy, np.cos(angle)) * np.pi / 20_000
    expected = into_bins(scattered_energy(energy, np.cos(angle)), density)
    shown = coarse(flux.around)
    seen = expected > 0.02 * expected.max()
    # Air over 3 m takes 3 % of the flux and scatters some again.
    np.testing.assert_allclose(shown[seen], expected[seen], rtol=0.15)
    assert shown.sum() == pytest.approx(expected.sum(), rel=0.05)


def test_a_thin_plate_scatters_and_shines_as_the_closed_form_says() -> None:
    energy, distance, thickness = 150.0, 100.0, 1e-4
    around = Surroundings(distance=distance, slabs=(("Pb", thickness),), air=False)
    flux = emerging([energy], [1.0], around, histories=400_000)
    lead = material("Pb")
    section = lead.cross_sections(energy)
    off = np.geomspace(1e-3, 1e5, 100_001)
    ring = 2 * np.pi * 0.5 * (off[1:] + off[:-1]) * np.diff(off)
    off = 0.5 * (off[1:] + off[:-1])
    square = off**2 + (0.5 * distance) ** 2
    cosine = 2.0 * (0.5 * distance) ** 2 / square - 1.0  # of twice the angle at the source
    places = lead.require_density() * thickness * ring / (4 * np.pi * square**2)
    weights = places * section.incoherent * per_steradian(energy, cosine)
    expected = into_bins(scattered_energy(energy, cosine), weights, 10.0)
    shown = coarse(flux.front, 10.0)
    seen = expected > 0.02 * expected.max()
    np.testing.assert_allclose(shown[seen], expected[seen], rtol=0.05)
    shell = k_shells()["Pb"]
    shining = section.photoelectric * shell.share * shell.fluorescence_yield
    born = (places * shining).sum() / (4 * np.pi)
    lines = flux.energies[1:]
    assert set(lines) == {at for at, _ in shell.lines}
    assert flux.direct[1:].sum() == pytest.approx(born, rel=0.03)


def test_a_floor_and_a_plate_of_air_are_air() -> None:
    distance = 3000.0
    open_air, with_floor, with_plate = (
        emerging([1332.5], [1.0], Surroundings(distance=distance, **parts), histories=200_000)
        for parts in ({}, {"floor": ("air", 500.0)}, {"slabs": (("air", 700.0),)})
    )
    for other in (with_floor, with_plate):
        assert other.direct[0] == pytest.approx(open_air.direct[0], rel=1e-9)
        shown = coarse(other.front + other.around, 200.0)
        expected = coarse(open_air.front + open_air.around, 200.0)
        seen = expected > 0.05 * expected.max()
        np.testing.assert_allclose(shown[seen][1:], expected[seen][1:], rtol=0.12)
        assert shown.sum() == pytest.approx(expected.sum(), rel=0.06)
    assert with_plate.front.sum() > 0.05 * with_plate.around.sum()


# Parameters b, c, a, X and d of the geometric progression of exposure buildup factors of a point in
# an infinite medium: ANSI/ANS-6.4.3-1991, as tabulated by Trubey (1988), ORNL/RSIC-49.
PROGRESSION = {
    ("water", 500.0): (2.500, 1.766, -0.135, 14.33, 0.0546),
    ("water", 1000.0): (2.103, 1.441, -0.089, 14.22, 0.0378),
    ("Fe", 500.0): (1.967, 1.240, -0.039, 8.34, -0.0074),
    ("Fe", 1000.0): (1.841, 1.250, -0.048, 19.49, 0.0140),
    ("Pb", 1000.0): (1.367, 0.811, 0.051, 13.67, -0.0283),
}
# Energy absorption coefficients of air, cm2/g, at keV (Hubbell and Seltzer 1995, NISTIR 5632).
AIR_AT = (10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400, 500, 600, 800, 1000, 1500)
AIR = (4.742, 1.334, 0.5389, 0.1537, 0.06833, 0.04098, 0.03041, 0.02407, 0.02325, 0.02496)
AIR += (0.02672, 0.02872, 0.02949, 0.02966, 0.02953, 0.02882, 0.02789, 0.02547)


def published_buildup(name: str, energy: float, depth: float) -> float:
    b, c, a, x, d = PROGRESSION[name, energy]
    k = c * depth**a + d * (np.tanh(depth / x - 2) - np.tanh(-2)) / (1 - np.tanh(-2))
    return float(1 + (b - 1) * ((k**depth - 1) / (k - 1) if k != 1 else depth))


def exposure(energies: FloatArray, photons: FloatArray) -> float:
    air = np.exp(np.interp(np.log(energies), np.log(AIR_AT), np.log(AIR)))
    return float((energies * air * photons).sum())


@pytest.mark.parametrize(("name", "energy"), PROGRESSION)
@pytest.mark.parametrize(("depth", "tolerance"), [(1.0, 0.04), (2.0, 0.1)])
def test_buildup_in_an_infinite_medium_is_as_published(
    name: str, energy: float, depth: float, tolerance: float
) -> None:
    made_of = material(name)
    mu = float(made_of.require_density() * made_of.cross_sections(energy).interacting)
    distance = depth / mu
    planes = Planes(np.array([0.5 * distance]), np.inf, distance, 1e-3 * distance)
    share = np.exp(-depth)
    strata = shared_out(line(energy), (np.array([share]), np.ones(SIZE)), 400_000, 0)
    media = material_media((None, name))
    around = follow_around(media, planes, strata, BIN_OF, SIZE, 0).sum(axis=0)[SIZE : 2 * SIZE]
    direct = exposure(np.array([energy]), np.array([share / (4 * np.pi * distance**2)]))
    buildup = 1 + exposure(PHOTON_ENERGIES[5:], around[5:]) / direct
    assert buildup == pytest.approx(published_buildup(name, energy, depth), rel=tolerance)


@pytest.mark.parametrize("name", ["water", "Fe"])
def test_plate_floor_and_air_of_one_material_are_one_medium(name: str) -> None:
    made_of = material(name)
    mu = float(made_of.require_density() * made_of.cross_sections(1000.0).interacting)
    distance, share = 0.1 / mu, np.exp(-0.1)
    strata = shared_out(line(1000.0), (np.array([share]), np.ones(SIZE)), 400_000, 0)
    open_one = Planes(np.array([0.5 * distance]), np.inf, distance, 0.05 * distance)
    parted = Planes(np.array([0.3, 0.6]) * distance, 0.5 * distance, distance, 0.05 * distance)
    whole, front, around = np.zeros(0), np.zeros(0), np.zeros(0)
    for planes, parts in ((open_one, (None, name)), (parted, (name, name, name))):
        media = material_media(parts)
        found = follow_around(media, planes, strata, BIN_OF, SIZE, 0).sum(axis=0)
        front, around = coarse(found[:SIZE], 200.0), coarse(found[SIZE : 2 * SIZE], 200.0)
        if planes is open_one:
            whole = around
    # Below 200 keV are photons that scattered many times, which few histories stand for.
    seen = np.arange(1, 5)
    np.testing.assert_allclose((front + around)[seen], whole[seen], rtol=0.06)
    assert (front + around).sum() == pytest.approx(whole.sum(), rel=0.1)
    assert 0.1 * around.sum() < front.sum() < 10 * around.sum()


def test_ground_scatters_a_tenth_of_what_comes_straight() -> None:
    flux = emerging([661.7], [1.0], Surroundings(floor=("soil", 100.0)), histories=50_000)
    share = flux.around.sum() / flux.direct[0]
    assert 0.05 < share < 0.2
    # Photons turned back by soil pile up near 200 keV.
    peak = PHOTON_ENERGIES[np.argmax(np.convolve(flux.around, np.ones(15), "same"))]
    assert 100.0 < peak < 350.0


def test_thick_plates_give_annihilation_photons_and_front_scatter() -> None:
    around = Surroundings(slabs=(("Pb", 3.0),), air=False)
    flux = emerging([2614.5], [1.0], around, histories=50_000)
    annihilation = flux.direct[flux.energies == 510.99895]
    assert annihilation.size == 1
    assert 0.005 < annihilation[0] / flux.direct[0] < 0.3
    assert flux.front.sum() > 0
    assert not flux.around.any()


def test_planes_change_smoothly_with_thickness() -> None:
    def front(thickness: float, seed: int) -> FloatArray:
        around = Surroundings(slabs=(("steel", thickness),), air=False)
        flux: Flux = emerging([661.7], [1.0], around, histories=20_000, seed=seed)
        return coarse(flux.front, 20.0)

    one, other, again = front(1.0, 0), front(1.01, 0), front(1.0, 1)
    seen = one > 0.02 * one.max()
    change, noise = other[seen] / one[seen], again[seen] / one[seen]
    assert np.abs(np.diff(change)).mean() < 0.5 * np.abs(np.diff(noise)).mean()


def test_nothing_reaches_the_detector_from_an_empty_source() -> None:
    flux = emerging([661.7], [0.0], Surroundings(floor=("soil", 100.0), slabs=(("Al", 1.0),)))
    assert not flux.direct.any()
    assert not flux.front.any()
    assert not flux.around.any()
    found, around = scattered(
        line(100.0)._replace(lines=np.zeros(1)),
        (np.ones(1), np.ones(SIZE)),
        distance=10.0,
        plates=(),
        begin=5.0,
        floor=None,
        air="air",
        histories=10,
        seed=0,
    )
    assert not around.any()
    assert not found.bins.any()
