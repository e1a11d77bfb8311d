from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import exp1

import spectraloom.physics.gamma.transport.ground as module
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma.attenuation import cross_sections, density
from spectraloom.physics.gamma.kerma import energy_transfer
from spectraloom.physics.gamma.transport import batches
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES, PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.ground import endless_flux, ground_flux

LINES = np.array([186.0, 609.3, 1460.8, 2614.5])
BORN = np.array([0.2, 0.5, 0.1, 0.4])


def coefficient(material: str, energies: np.ndarray) -> np.ndarray:
    return density(material) * cross_sections(material, energies).interacting


def few(place: Any, **named: Any) -> module.GroundFlux:
    return ground_flux(LINES, BORN, place, histories=named.pop("histories", 60_000), **named)


def by_depth(weight: Callable[[float], float], line: int, upper: float, height: float) -> float:
    """Uncollided flux of layers of soil at some depth, summed up by quadrature."""
    below = coefficient("soil", LINES)[line]
    air = coefficient("air", LINES)[line] * height
    value, _ = quad(lambda z: weight(z) * 0.5 * exp1(below * z + air), 0.0, upper, limit=300)
    return float(value)


def test_uncollided_photons_of_soil_are_the_integral_over_its_depth() -> None:
    direct = few("soil", height=300.0, histories=100).direct
    for line in range(LINES.size):
        expected = BORN[line] * by_depth(lambda _: 1.0, line, 400.0, 300.0)
        assert direct[line] == pytest.approx(expected, rel=1e-5)


def test_uncollided_photons_of_a_surface_are_the_integral_over_its_top_layer() -> None:
    direct = few("surface", relaxation=0.8, histories=100).direct
    depth = 0.8 / density("soil")
    for line in range(LINES.size):
        expected = BORN[line] * by_depth(
            lambda z: np.exp(-z / depth) / depth, line, 40.0 * depth, 100.0
        )
        assert direct[line] == pytest.approx(expected, rel=1e-5)


def test_uncollided_photons_of_air_fill_the_space_above() -> None:
    near, high = few("air", histories=100), few("air", height=5e6, histories=100)
    everywhere = BORN / coefficient("air", LINES)
    np.testing.assert_allclose(high.direct, everywhere, rtol=1e-9)
    # At 1 m nearly half of the space is ground.
    assert (near.direct > 0.5 * everywhere).all()
    assert (near.direct < 0.55 * everywhere).all()


def test_flux_inside_an_endless_medium_hands_over_all_energy() -> None:
    # What is born is absorbed on the spot in the end: photons hand over sum of mu_tr E phi.
    inside = endless_flux("soil", LINES, BORN)
    energies = np.concatenate([LINES, [510.99895], PHOTON_ENERGIES])
    flux = np.concatenate([inside.direct, [inside.annihilation], inside.scattered])
    handed = density("soil") * (energies * energy_transfer("soil", energies)) @ flux
    assert handed == pytest.approx(BORN @ LINES, rel=0.01)


def test_two_halves_of_one_medium_make_it_endless() -> None:
    # With ground of air below the air the two kinds of places fill all space, and Monte Carlo must
    # give what the equation of the endless medium gives.
    halves = [few(place, soil="air", histories=150_000, seed=3) for place in ("soil", "air")]
    endless = endless_flux("air", LINES, BORN)
    np.testing.assert_allclose(halves[0].direct + halves[1].direct, endless.direct, rtol=1e-9)
    total = halves[0].scattered + halves[1].scattered
    for low, high in ((30, 60), (60, 100), (100, 200), (200, 500), (500, 1200), (1200, 2600)):
        window = (low < PHOTON_ENERGIES) & (high > PHOTON_ENERGIES)
        assert total[window].sum() == pytest.approx(endless.scattered[window].sum(), rel=0.04)
    annihilation = halves[0].annihilation + halves[1].annihilation
    assert annihilation == pytest.approx(endless.annihilation, rel=0.2)


def test_scattered_photons_have_less_energy_than_the_line() -> None:
    flux = ground_flux([661.657], [1.0], "soil", histories=20_000)
    assert flux.scattered[PHOTON_EDGES[:-1] >= 662.0].sum() == 0.0
    assert flux.annihilation == 0.0
    # The backscatter of a photon has 184 keV; most has scattered more than once.
    half = np.interp(0.5, np.cumsum(flux.scattered) / flux.scattered.sum(), PHOTON_ENERGIES)
    assert half < 184.0


def test_sky_shine_is_soft(monkeypatch: pytest.MonkeyPatch) -> None:
    with_air = few("soil", height=1.0)
    whole = module.material_tables

    def black_air(materials: Any) -> Any:
        tables = whole(materials)
        attenuation = tables.attenuation.copy()
        attenuation[1, 0] += attenuation[1, 1] + attenuation[1, 2]
        attenuation[1, 1:] = 0.0
        return tables._replace(attenuation=attenuation)

    monkeypatch.setattr(module, "material_tables", black_air)
    bare = few("soil", height=1.0)
    np.testing.assert_array_equal(with_air.direct, bare.direct)
    soft = (PHOTON_ENERGIES > 30.0) & (PHOTON_ENERGIES < 120.0)
    hard = (PHOTON_ENERGIES > 600.0) & (PHOTON_ENERGIES < 2600.0)
    grown = [with_air.scattered[part].sum() / bare.scattered[part].sum() for part in (soft, hard)]
    # Photons turned back by the sky have lost most of their energy; hard ones are scattered by air
    # in nearly the direction in which they went along the ground.
    assert grown[0] > 1.3
    assert 1.0 < grown[1] < 1.2


def test_the_result_depends_on_the_seed_not_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    first = few("surface", seed=5, histories=5_000)
    monkeypatch.setattr(batches, "_processors", lambda: 7)
    again = few("surface", seed=5, histories=5_000)
    np.testing.assert_array_equal(first.scattered, again.scattered)
    assert first.annihilation == again.annihilation
    assert (few("surface", seed=6, histories=5_000).scattered != first.scattered).any()


def test_flux_is_linear_in_the_photons_born() -> None:
    once, thrice = (
        few("soil", histories=4_000),
        ground_flux(LINES, 3 * BORN, "soil", histories=4_000),
    )
    np.testing.assert_allclose(thrice.scattered, 3 * once.scattered, rtol=1e-6)
    np.testing.assert_allclose(thrice.direct, 3 * once.direct, rtol=1e-12)


@pytest.mark.parametrize(
    ("energies", "born", "named"),
    [
        ([5.0], [1.0], {}),
        ([20_000.0], [1.0], {}),
        ([], [], {}),
        ([100.0], [1.0, 2.0], {}),
        ([100.0], [0.0], {}),
        ([100.0], [1.0], {"height": 0.0}),
        ([100.0], [1.0], {"relaxation": -1.0}),
        ([100.0], [1.0], {"histories": 0}),
    ],
)
def test_bad_input_is_refused(
    energies: list[float], born: list[float], named: dict[str, float]
) -> None:
    with pytest.raises(DataError):
        ground_flux(energies, born, "soil", **named)


def test_an_unknown_place_is_refused() -> None:
    with pytest.raises(LabelError, match="soil, surface, air"):
        ground_flux([100.0], [1.0], "sea")  # type: ignore[arg-type]
