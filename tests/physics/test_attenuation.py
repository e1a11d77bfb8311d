from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma import (
    cross_sections,
    density,
    klein_nishina,
    mass_attenuation,
    materials,
    transmission,
)

# Hubbell and Seltzer, NISTIR 5632 (energies in keV, cm2/g), and XCOM between its points.
PUBLISHED = {
    "Pb": {60: 5.021, 100: 5.549, 200: 0.9985, 662: 0.110, 1000: 0.07102, 1332: 0.0564}
    | {1500: 0.05222, 2000: 0.04606, 2614: 0.0430},
    "Fe": {60: 1.205, 662: 0.0735, 1000: 0.05995, 1332: 0.0518, 2000: 0.04265, 2614: 0.0381},
    "Al": {60: 0.2778, 100: 0.1704, 1000: 0.06146, 1500: 0.05006, 2000: 0.04324},
    "air": {60: 0.1875, 100: 0.1541, 1000: 0.06358, 1500: 0.05175, 2000: 0.04447},
    "NaI": {100: 1.672, 662: 0.0766, 1000: 0.05847, 1500: 0.04676, 2000: 0.04144},
}


@pytest.mark.parametrize(
    ("material", "energy", "value"),
    [(name, energy, value) for name, row in PUBLISHED.items() for energy, value in row.items()],
)
def test_totals_agree_with_published_values(material: str, energy: float, value: float) -> None:
    tolerance = 0.02 if material == "Pb" else 0.01
    assert mass_attenuation(material, energy) == pytest.approx(value, rel=tolerance)


@pytest.mark.parametrize(
    ("material", "electrons"), [("Al", 13 / 26.98), ("Fe", 26 / 55.85), ("air", 0.4992)]
)
def test_light_materials_scatter_like_free_electrons(material: str, electrons: float) -> None:
    free = klein_nishina([900.0, 1332.5]) * electrons * 6.02214e23
    np.testing.assert_allclose(
        cross_sections(material, [900.0, 1332.5]).incoherent, free, rtol=4e-3
    )


def test_lead_absorbs_four_times_more_above_its_edge() -> None:
    below, above = mass_attenuation("Pb", [87.99, 88.02])
    assert above / below == pytest.approx(7.683 / 1.910, rel=0.02)


@given(energy=st.floats(10.0, 3000.0), material=st.sampled_from(materials()))
def test_parts_are_never_negative_and_add_up(energy: float, material: str) -> None:
    parts = cross_sections(material, energy)
    assert min(parts) >= 0.0
    assert parts.total == pytest.approx(sum(parts))
    assert parts.interacting == pytest.approx(parts.total - parts.coherent)


def test_pairs_need_twice_the_rest_energy() -> None:
    assert cross_sections("Pb", 1021.0).pair == 0.0
    assert cross_sections("Pb", [1100.0, 2614.0]).pair.min() > 0.0


def test_transmission_falls_exponentially() -> None:
    energies = np.array([59.5, 661.7, 1332.5])
    one, two = (transmission("Fe", x, energies) for x in (0.7, 1.4))
    np.testing.assert_allclose(two, one**2)
    # 662 keV: half-value layer of iron without coherent scattering, 1.20 cm
    assert transmission("Fe", 1.205, 661.7) == pytest.approx(0.5, rel=0.01)
    np.testing.assert_array_equal(transmission("Fe", 0.0, energies), 1.0)


def test_below_the_table_the_first_value_holds() -> None:
    assert mass_attenuation("Al", 2.0) == mass_attenuation("Al", 10.0)


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(LabelError, match="known materials: air, Al"):
        density("unobtainium")
    with pytest.raises(DataError, match="up to 3000 keV"):
        mass_attenuation("Pb", 3001.0)
    with pytest.raises(DataError, match="above 0"):
        mass_attenuation("Pb", [0.0, 5.0])
    with pytest.raises(DataError, match="zero or more"):
        transmission("Pb", -1.0, 60.0)
