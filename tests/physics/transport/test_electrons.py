from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from spectraloom.physics.gamma.materials import material
from spectraloom.physics.gamma.transport.electrons import (
    LEAST_BREMSSTRAHLUNG,
    bremsstrahlung,
    bremsstrahlung_photons,
    energy_after,
    energy_of_range,
    extrapolated_range,
    mean_atomic_number,
    reach,
    stopping_density,
)
from spectraloom.physics.gamma.transport.sampling import generator


def test_range_is_that_of_katz_and_penfold() -> None:
    assert extrapolated_range(1000.0) == pytest.approx(0.412)
    assert extrapolated_range(5000.0) == pytest.approx(0.530 * 5 - 0.106)
    # The two formulas meet at 2.5 MeV.
    assert extrapolated_range(2499.999) == pytest.approx(extrapolated_range(2500.001), rel=0.01)


@given(st.floats(20.0, 9000.0))
def test_energy_of_a_range_is_the_inverse(energy: float) -> None:
    if 2400 < energy < 2600:  # the formulas do not meet exactly
        return
    assert energy_of_range(extrapolated_range(energy)) == pytest.approx(energy, rel=1e-9)


@given(st.floats(100.0, 9000.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_less_energy_is_left_further_on(energy: float, one: float, other: float) -> None:
    near, far = sorted((one, other))
    assert energy >= energy_after(energy, near) >= energy_after(energy, far) >= 0.0
    assert energy_after(energy, 1.0) == 0.0
    assert energy_after(energy, 0.0) == pytest.approx(energy, rel=0.02)


def test_reach_is_shorter_in_what_is_denser() -> None:
    assert reach(1000.0, 10.0) == pytest.approx(0.1 * reach(1000.0, 1.0))


def test_heavy_elements_stop_electrons_sooner() -> None:
    """They turn in fewer g/cm2 the more charge a nucleus has."""
    masses = []
    for symbol in ("C", "Al", "Cu", "Sn", "Au"):
        made_of = material(symbol)
        masses.append(made_of.require_density() / stopping_density(made_of))
    assert masses == sorted(masses, reverse=True)
    assert masses[0] < 1.25
    assert 0.5 < masses[-1] < 0.6


def test_a_compound_is_its_elements_by_mass() -> None:
    """The formula of 1972 written out for caesium iodide, over that for aluminium."""

    def range_of(z: float, a: float) -> float:
        tau = 1000.0 / 510.99895
        a1, a2, a3 = 0.2335 * a / z**1.209, 1.78e-4 * z, 0.9891 - 3.01e-4 * z
        a4, a5 = 1.468 - 1.180e-2 * z, 1.232 / z**0.109
        return a1 * (np.log(1.0 + a2 * tau) / a2 - a3 * tau / (1.0 + a4 * tau**a5))

    caesium = 132.905 / (132.905 + 126.904)
    z = caesium * 55 + (1 - caesium) * 53
    a = z / (caesium * 55 / 132.905 + (1 - caesium) * 53 / 126.904)
    made_of = material("CsI")
    ratio = range_of(z, a) / range_of(13.0, 26.982)
    assert stopping_density(made_of) == pytest.approx(made_of.require_density() / ratio, rel=1e-3)


def test_aluminium_is_the_measure() -> None:
    light = material("Al")
    assert stopping_density(light) == pytest.approx(light.require_density())
    made_of = material("NaI")
    assert 1.3 * made_of.require_density() < stopping_density(made_of) < 1.5 * 3.67


@pytest.mark.parametrize("energy", [200.0, 1000.0, 5000.0])
def test_photons_radiate_the_share_of_the_energy_that_they_should(energy: float) -> None:
    number = 40.0
    share = 6e-7 * number * energy / (1 + 6e-7 * number * energy)
    # The spectrum of Kramers, c (T / k - 1), with c from the radiated energy.
    scale = share * energy / quad(lambda k: k * (energy / k - 1), 1e-9, energy)[0]
    expected = scale * quad(lambda k: energy / k - 1, LEAST_BREMSSTRAHLUNG, energy)[0]
    assert bremsstrahlung_photons(energy, number) == pytest.approx(expected, rel=1e-6)
    state = generator(1, 0)
    drawn = np.array([bremsstrahlung(state, energy) for _ in range(20_000)])
    weighed = quad(lambda k: k * (energy / k - 1), LEAST_BREMSSTRAHLUNG, energy)[0]
    mean = weighed * scale / expected
    assert drawn.min() >= LEAST_BREMSSTRAHLUNG
    assert drawn.max() <= energy
    assert drawn.mean() == pytest.approx(mean, abs=5 * drawn.std() / np.sqrt(len(drawn)))


def test_mean_atomic_number_lies_between_those_of_the_elements() -> None:
    assert mean_atomic_number(material("HPGe")) == pytest.approx(32)
    assert mean_atomic_number(material("NaI")) == pytest.approx((11**2 + 53**2) / 64, rel=1e-3)
