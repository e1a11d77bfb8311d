from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expn

from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma.attenuation import cross_sections
from spectraloom.physics.gamma.background import (
    BACKGROUND_COMPONENTS,
    Background,
    background_flux,
    mixed_flux,
    vary,
)
from spectraloom.physics.gamma.cosmic import cosmic_photons, cosmic_scale
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.kerma import air_kerma_rate
from spectraloom.physics.gamma.nuclides import nuclide
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES, PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.response_matrix import response_matrix
from spectraloom.physics.gamma.transport.surroundings import Flux

SOIL = ("K-40", "U-238", "Rn-222", "Th-232")


def kerma(flux: Flux) -> float:
    return air_kerma_rate(flux.energies, flux.direct) + air_kerma_rate(PHOTON_ENERGIES, flux.around)


def line(component: str, energy: float) -> float:
    flux = background_flux(component)
    return float(flux.direct[np.abs(flux.energies - energy) < 0.1].sum())


# UNSCEAR 2000, annex B, table 5 after K. Saito and P. Jacob (1995): nGy/h per Bq/kg.
@pytest.mark.parametrize(
    ("components", "value"),
    [(("K-40",), 0.0417), (("U-238", "Rn-222"), 0.462), (("Th-232",), 0.604)],
)
def test_kerma_of_soil_agrees_with_unscear(components: tuple[str, ...], value: float) -> None:
    assert sum(kerma(background_flux(name)) for name in components) == pytest.approx(
        value, rel=0.04
    )


def test_kerma_of_radon_daughters_in_air_is_that_of_half_a_cloud() -> None:
    # Air above absorbs as much as it emits; half of that comes to the ground (E. Adams and
    # J. Casarett, in Slade 1968: the semi-infinite cloud).
    per_decay = sum(
        float(lines.energies @ lines.intensities)
        for lines in (nuclide(name).own_lines for name in ("Pb214", "Bi214"))
    )
    cloud = 0.5 * per_decay * 1.602e-16 / 1.205 * 3600.0 * 1e9
    assert kerma(background_flux("radon in air")) == pytest.approx(cloud, rel=0.05)


def test_daughters_are_in_equilibrium() -> None:
    # Flux of lines of the same energy goes as the photons per decay of the head.
    thallium = nuclide("Tl208").own_lines
    born = 0.3594 * thallium.intensities[np.argmin(np.abs(thallium.energies - 2614.5))]
    # No other line of thorium is near, so the ratio to K-40 needs two attenuation coefficients.
    soil, air = (cross_sections(name, [1460.82, 2614.5]).interacting for name in ("soil", "air"))
    seen = expn(2, 0.1205 * air) / soil
    ratio = line("Th-232", 2614.5) / line("K-40", 1460.82)
    assert ratio == pytest.approx(born * seen[1] / (0.1055 * seen[0]), rel=0.015)


def test_uranium_holds_its_natural_part_of_u_235() -> None:
    # 43 % of the peak at 186 keV is U-235 in natural uranium with its radium.
    own, radium = line("U-238", 185.7), line("U-238", 186.2)
    assert own / (own + radium) == pytest.approx(0.43, abs=0.015)
    assert line("U-238", 609.3) == 0.0
    assert line("Rn-222", 609.3) > 0.0


def test_daughters_of_the_ground_come_apart() -> None:
    assert line("Pb-214 on ground", 351.9) > 0.0
    assert line("Pb-214 on ground", 609.3) == 0.0
    assert line("Bi-214 on ground", 609.3) > 0.0
    assert line("Bi-214 on ground", 351.9) == 0.0


def test_most_photons_of_soil_have_scattered() -> None:
    for name in SOIL:
        flux = background_flux(name)
        assert 3.0 < flux.around.sum() / flux.direct.sum() < 6.0
        assert not flux.front.any()
        top = flux.energies.max()
        assert flux.around[PHOTON_EDGES[:-1] > top].sum() == 0.0


def test_fluxes_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        background_flux("cosmic").around[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        background_flux("K-40").direct[0] = 1.0


def test_an_unknown_component_is_refused() -> None:
    with pytest.raises(LabelError, match="Th-232"):
        background_flux("radium")


def test_cosmic_photons_fill_the_bins_of_the_table() -> None:
    continuum, annihilation = cosmic_photons()
    # Between two rows of the table it is a power law: here 1.4219 to 2.8371 MeV in three parts.
    rows = np.array([1.4219, 1.7901, 2.2536, 2.8371])
    values = np.array([4.64015, 3.46738, 2.62352, 2.00576]) * 1e-3
    slope = np.diff(np.log(values)) / np.diff(np.log(rows)) + 1.0
    whole = (values[:-1] * rows[:-1] / slope * (np.exp(slope * np.diff(np.log(rows))) - 1.0)).sum()
    inside = (PHOTON_ENERGIES > 1421.9) & (PHOTON_ENERGIES < 2837.1)
    assert continuum[inside].sum() == pytest.approx(whole, rel=0.005)
    assert continuum[PHOTON_EDGES[1:] <= 10.0].sum() == 0.0
    # The row of the model at 566 keV, 0.1297 MeV wide, holds the line upon its continuum.
    under = np.sqrt(2.50173e-2 * 1.21565e-2)
    assert annihilation == pytest.approx((6.31239e-2 - under) * 0.1297, rel=0.03)


def test_cosmic_photons_grow_with_altitude_as_in_the_model() -> None:
    assert cosmic_scale(0.0) == pytest.approx(1.0, abs=0.01)
    # 900 g/cm2: the dose of the photons there, over that at 1033 g/cm2.
    altitude = 8430.0 * np.log(1033.23 / 900.0)
    assert cosmic_scale(altitude) == pytest.approx(4.43586 / 2.14579, rel=0.01)
    assert cosmic_scale(0.0, 1003.25) / cosmic_scale(0.0) == pytest.approx(1.057, abs=0.003)
    for wrong in ((9000.0, 1013.0), (0.0, 500.0), (np.nan, 1013.0)):
        with pytest.raises(DataError):
            cosmic_scale(*wrong)


def test_the_default_background_is_that_of_the_world() -> None:
    # UNSCEAR 2000: 0.0417 x 400 + 0.462 x 35 + 0.604 x 30 = 51 nGy/h from soil; its radon loss, air
    # and cosmic photons change that little.
    assert Background().kerma_rate == pytest.approx(51.0, rel=0.06)


def test_a_large_crystal_counts_as_many_as_published() -> None:
    # A 3-inch NaI detector counts a few hundred per second outdoors.
    energies = np.array([20.0, 40.0, 60.0, 100.0, 180.0, 350.0, 700.0, 1500.0, 3000.0, 10000.0])
    response = response_matrix(Crystal(), "around", histories=4000, energies=energies)
    flux = Background().flux()
    rate = sum(
        part @ np.interp(np.log(np.maximum(at, 20.0)), np.log(response.energies), response.total)
        for at, part in ((flux.energies, flux.direct), (PHOTON_ENERGIES, flux.around))
    )
    assert 200.0 < rate < 500.0


def test_weights_and_flux_of_a_background_agree() -> None:
    background = Background(300.0, 20.0, 25.0, 0.5, 3.0, 40.0, 50.0, 1.5)
    expected = [300.0, 20.0, 10.0, 25.0, 40.0, 50.0, 3.0, 1.5]
    np.testing.assert_allclose(background.weights, expected)
    flux = background.flux()
    parts = [background_flux(name) for name in BACKGROUND_COMPONENTS]
    around = sum(w * part.around for w, part in zip(expected, parts, strict=True))
    np.testing.assert_allclose(flux.around, around, rtol=1e-6)
    assert flux.direct.sum() == pytest.approx(
        sum(w * part.direct.sum() for w, part in zip(expected, parts, strict=True))
    )


@pytest.mark.parametrize(
    "wrong", [{"potassium": -1.0}, {"cosmic": np.nan}, {"radon_loss": 1.2}, {"thorium": np.inf}]
)
def test_impossible_backgrounds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError, match=next(iter(wrong))):
        Background(**wrong)


@pytest.mark.parametrize("wrong", [[1.0], [-1.0] * 8, [np.nan] * 8])
def test_impossible_weights_are_refused(wrong: list[float]) -> None:
    with pytest.raises(DataError, match="K-40"):
        mixed_flux(wrong)


@given(st.integers(0, 2**32), st.integers(0, 40))
def test_variation_repeats_with_its_seed_and_is_possible(seed: int, n: int) -> None:
    weights = vary(seed, n)
    assert weights.shape == (n, len(BACKGROUND_COMPONENTS))
    assert (np.isfinite(weights) & (weights >= 0)).all()
    assert (weights[:, 2] <= weights[:, 1]).all()
    np.testing.assert_array_equal(weights, vary(np.random.default_rng(seed), n))


def test_variation_has_the_published_spread() -> None:
    weights = dict(zip(BACKGROUND_COMPONENTS, vary(4, 40_000).T, strict=True))
    for name, median, low, high in (
        ("K-40", 400.0, 140.0, 850.0),
        ("U-238", 35.0, 16.0, 110.0),
        ("Th-232", 30.0, 11.0, 64.0),
    ):
        quantiles = np.quantile(weights[name], [0.025, 0.5, 0.975])
        assert quantiles[1] == pytest.approx(median, rel=0.02)
        assert quantiles[2] / quantiles[0] == pytest.approx(high / low, rel=0.06)
    assert np.median(weights["radon in air"]) == pytest.approx(6.0, rel=0.03)
    # Half of the people live above 194 m; weather adds 6 % to a distribution that is not even.
    assert np.median(weights["cosmic"]) == pytest.approx(cosmic_scale(194.0), rel=0.04)
    wet = weights["Bi-214 on ground"] > 0
    assert wet.mean() == pytest.approx(0.08 * (2 + 3) / 2, rel=0.05)
    assert (wet == (weights["Pb-214 on ground"] > 0)).all()


def test_a_negative_number_of_backgrounds_is_refused() -> None:
    with pytest.raises(DataError, match="zero or more"):
        vary(0, -1)
