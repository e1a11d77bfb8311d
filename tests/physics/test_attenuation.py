from __future__ import annotations

import numpy as np
import pytest

from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma import (
    cross_sections,
    density,
    klein_nishina,
    mass_attenuation,
    transmission,
)

# Hubbell and Seltzer, NISTIR 5632 (energies in keV, cm2/g).
PUBLISHED = {
    "Pb": {30: 30.32, 60: 5.021, 100: 5.549, 200: 0.9985, 500: 0.1614, 1000: 0.07102}
    | {1250: 0.05876, 1500: 0.05222, 2000: 0.04606, 3000: 0.04234, 6000: 0.04391, 10000: 0.04972},
    "Fe": {30: 8.176, 60: 1.205, 100: 0.3717, 500: 0.08414, 1000: 0.05995, 1500: 0.04883}
    | {2000: 0.04265, 3000: 0.03621, 6000: 0.03057, 10000: 0.02994},
    "Al": {30: 1.128, 60: 0.2778, 100: 0.1704, 500: 0.08445, 1000: 0.06146, 1500: 0.05006}
    | {2000: 0.04324, 3000: 0.03541, 10000: 0.02318},
    "Cu": {60: 1.593, 100: 0.4584, 500: 0.08362, 1000: 0.05901, 1500: 0.04803, 3000: 0.03599},
    "water": {30: 0.3756, 60: 0.2059, 100: 0.1707, 500: 0.09687, 1000: 0.07072, 1500: 0.05754}
    | {2000: 0.04942, 3000: 0.03969},
    "air": {60: 0.1875, 100: 0.1541, 500: 0.08712, 1000: 0.06358, 1500: 0.05175, 3000: 0.03581},
    "NaI": {100: 1.672, 1000: 0.05847, 1500: 0.04676, 2000: 0.04144},
}


@pytest.mark.parametrize("material", PUBLISHED)
def test_elements_compounds_and_mixtures_agree_with_published_values(material: str) -> None:
    energies, values = zip(*PUBLISHED[material].items(), strict=True)
    np.testing.assert_allclose(mass_attenuation(material, energies), values, rtol=0.01)


@pytest.mark.parametrize(
    ("material", "electrons"), [("Al", 13 / 26.98), ("Fe", 26 / 55.85), ("air", 0.4992)]
)
def test_light_materials_scatter_like_free_electrons(material: str, electrons: float) -> None:
    free = klein_nishina([900.0, 1332.5]) * electrons * 6.02214e23
    np.testing.assert_allclose(
        cross_sections(material, [900.0, 1332.5]).incoherent, free, rtol=4e-3
    )


def test_transmission_falls_exponentially() -> None:
    energies = np.array([59.5, 661.7, 1332.5])
    one, two = (transmission("Fe", x, energies) for x in (0.7, 1.4))
    np.testing.assert_allclose(two, one**2)
    # 662 keV: half-value layer of iron without coherent scattering, 1.20 cm
    assert transmission("Fe", 1.205, 661.7) == pytest.approx(0.5, rel=0.01)
    np.testing.assert_array_equal(transmission("Fe", 0.0, energies), 1.0)


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(LabelError, match="known materials: BGO"):
        density("unobtainium")
    with pytest.raises(DataError, match="from 1 to 10000 keV"):
        mass_attenuation("Pb", 10001.0)
    with pytest.raises(DataError, match="energies from 0 to 5 keV"):
        mass_attenuation("Pb", [0.0, 5.0])
    for thickness in (-1.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match="zero or more"):
            transmission("Pb", thickness, 60.0)
    with pytest.raises(DataError, match="density of 'Gd2O2S' is not known"):
        transmission("Gd2O2S", 1.0, 60.0)
