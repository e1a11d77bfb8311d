from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from spectraloom.errors import DataError
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY, klein_nishina
from spectraloom.physics.gamma.kerma import air_kerma_rate, energy_transfer, mean_scattered_energy


@pytest.mark.parametrize("energy", [5.0, 60.0, 511.0, 2614.5, 9000.0])
def test_mean_scattered_energy_is_that_of_klein_and_nishina(energy: float) -> None:
    a = energy / ELECTRON_REST_ENERGY

    def over_angle(cosine: float, power: int) -> float:
        ratio = 1.0 / (1.0 + a * (1.0 - cosine))
        return float(ratio ** (2 + power) * (ratio + 1.0 / ratio - 1.0 + cosine**2))

    first, _ = quad(over_angle, -1.0, 1.0, args=(1,), epsabs=0.0, limit=200)
    whole, _ = quad(over_angle, -1.0, 1.0, args=(0,), epsabs=0.0, limit=200)
    assert mean_scattered_energy(energy) == pytest.approx(energy * first / whole, rel=1e-6)
    # The same integral gives the cross section, so the integrand is the right one.
    assert np.pi * 7.940787e-26 * whole == pytest.approx(klein_nishina(energy), rel=1e-6)


# Hubbell and Seltzer (NISTIR 5632): mu_en / rho of dry air, cm2/g. Bremsstrahlung is off there.
@pytest.mark.parametrize(
    ("energy", "value"),
    [(20.0, 0.5389), (50.0, 0.04098), (100.0, 0.02325), (500.0, 0.02966), (1000.0, 0.02789),
     (2000.0, 0.02345), (3000.0, 0.02057)],
)  # fmt: skip
def test_energy_transfer_in_air_agrees_with_tables(energy: float, value: float) -> None:
    assert energy_transfer("air", energy) == pytest.approx(value, rel=0.012)


def test_kerma_of_a_known_flux() -> None:
    # One photon of 1 MeV per cm2 and s: 1000 keV x 0.0279 cm2/g x 1.602e-13 Gy g/keV x 3600 s.
    assert air_kerma_rate([1000.0], [1.0]) == pytest.approx(
        1000 * 0.0279 * 1.602e-13 * 3.6e12, rel=0.01
    )
    assert air_kerma_rate([300.0, 900.0], [2.0, 0.0]) == 2 * air_kerma_rate([300.0], [1.0])


def test_energies_outside_the_tables_are_refused() -> None:
    with pytest.raises(DataError):
        air_kerma_rate([0.1], [1.0])
