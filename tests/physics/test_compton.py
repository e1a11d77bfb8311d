from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from spectraloom.errors import DataError
from spectraloom.physics.gamma import (
    compton_edge,
    klein_nishina,
    scattered_energy,
    scattered_fractions,
)

REST = 510.99895
RADIUS_SQUARED = 7.940787e-26


def per_angle(cosine: float, energy: float) -> float:
    """Differential cross section per steradian, in its usual form, cm2."""
    ratio = 1.0 / (1.0 + energy / REST * (1.0 - cosine))
    return 0.5 * RADIUS_SQUARED * ratio**2 * (ratio + 1.0 / ratio - (1.0 - cosine**2))


@pytest.mark.parametrize(
    ("line", "edge"), [(661.657, 477.3), (1173.2, 963.4), (1332.5, 1118.1), (511.0, 340.7)]
)
def test_edges_are_those_of_the_textbooks(line: float, edge: float) -> None:
    assert compton_edge(line) == pytest.approx(edge, abs=0.1)


def test_backscattered_photon_approaches_half_the_rest_energy() -> None:
    assert scattered_energy(661.657, -1.0) == pytest.approx(184.3, abs=0.1)
    assert scattered_energy(1e9, -1.0) == pytest.approx(REST / 2, rel=1e-5)
    assert scattered_energy(500.0, 1.0) == 500.0


@pytest.mark.parametrize("energy", [5.0, 59.5, 661.7, 2614.5])
def test_total_cross_section_is_the_integral_over_angles(energy: float) -> None:
    integral, _ = quad(lambda c: 2 * np.pi * per_angle(c, energy), -1.0, 1.0)
    assert klein_nishina(energy) == pytest.approx(integral, rel=1e-8)


def test_total_cross_section_tends_to_thomsons() -> None:
    assert klein_nishina(1.0) == pytest.approx(0.66525e-24 * (1 - 2 / REST), rel=1e-4)


@given(
    energy=st.floats(12.0, 2700.0),
    low=st.floats(0.05, 0.95),
    width=st.floats(0.01, 0.3),
)
def test_share_of_a_bin_is_the_integral_over_its_angles(
    energy: float, low: float, width: float
) -> None:
    edges = energy * np.array([low, low + width])
    cosines = np.clip(1.0 - REST * (1.0 / edges - 1.0 / energy), -1.0, 1.0)
    part, _ = quad(per_angle, *cosines, args=(energy,), epsabs=1e-13, epsrel=1e-12)
    whole, _ = quad(per_angle, -1.0, 1.0, args=(energy,), epsabs=1e-13, epsrel=1e-12)
    share = scattered_fractions(energy, edges)
    assert share.shape == (1, 1)
    assert share[0, 0] == pytest.approx(part / whole, abs=1e-9)


@given(energy=st.floats(1.5, 2800.0), n=st.integers(1, 400))
def test_no_photon_is_lost(energy: float, n: int) -> None:
    share = scattered_fractions([energy], np.linspace(0.05, 2800.0, n + 1))
    assert share.sum() == pytest.approx(1.0, abs=1e-10)
    assert share.min() >= 0.0


def test_energies_must_be_above_zero() -> None:
    with pytest.raises(DataError, match="above 0 keV"):
        scattered_fractions([0.0], [1.0, 2.0])
    with pytest.raises(DataError, match="above 0 keV"):
        scattered_fractions([5.0], [0.0, 2.0])
