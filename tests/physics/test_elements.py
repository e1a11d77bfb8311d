from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma import element_cross_sections, elements

# M. J. Berger, J. H. Hubbell et al., XCOM, NIST Standard Reference Database 8: barn per atom.
# Coherent, incoherent, photoelectric, pairs (nuclear and electronic field together).
# The table is fitted to C, Fe, I, Pb and U above 800 keV; O, Na and Ge are not used in any fit.
ENERGIES = (30, 60, 100, 300, 600, 1000, 1500, 2000, 3000)
XCOM = {
    "C": (
        (0.6711, 0.1956, 7.418e-2, 8.504e-3, 2.133e-3, 7.682e-4, 3.415e-4, 1.921e-4, 8.539e-5),
        (3.300, 3.188, 2.924, 2.118, 1.605, 1.268, 1.031, 0.8795, 0.6920),
        (1.138, 0.1131, 2.057e-2, 5.944e-4, 8.482e-5, 2.659e-5, 1.209e-5, 7.631e-6, 4.282e-6),
        (1.594e-3, 6.356e-3, 1.820e-2 + 2.421e-4),
    ),
    "O": (
        (1.394, 0.4138, 0.1591, 1.849e-2, 4.645e-3, 1.674e-3, 7.442e-4, 4.187e-4, 1.861e-4),
        (4.286, 4.207, 3.880, 2.821, 2.139, 1.691, 1.374, 1.173, 0.9226),
        (4.360, 0.4465, 8.264e-2, 2.441e-3, 3.509e-4, 1.101e-4, 5.054e-5, 3.179e-5, 1.776e-5),
        (2.850e-3, 1.134e-2, 3.241e-2 + 3.228e-4),
    ),
    "Na": (
        (3.282, 0.9925, 0.3852, 4.547e-2, 1.145e-2, 4.128e-3, 1.836e-3, 1.033e-3, 4.590e-4),
        (5.666, 5.685, 5.291, 3.873, 2.940, 2.324, 1.889, 1.612, 1.269),
        (18.53, 1.980, 0.3751, 1.145e-2, 1.664e-3, 5.228e-4, 2.416e-4, 1.513e-4, 8.400e-5),
        (5.425e-3, 2.153e-2, 6.139e-2 + 4.438e-4),
    ),
    "Fe": (
        (26.42, 8.511, 3.494, 0.4385, 0.1122, 4.063e-2, 1.809e-2, 1.019e-2, 4.529e-3),
        (11.93, 12.57, 12.02, 9.077, 6.929, 5.486, 4.462, 3.809, 2.997),
        (719.9, 90.66, 18.96, 0.6738, 0.1029, 3.259e-2, 1.509e-2, 9.306e-3, 5.052e-3),
        (3.320e-2, 0.1265, 0.3506 + 1.049e-3),
    ),
    "Ge": (
        (45.86, 14.75, 6.083, 0.7756, 0.1996, 7.242e-2, 3.227e-2, 1.817e-2, 8.080e-3),
        (14.00, 15.12, 14.59, 11.13, 8.516, 6.747, 5.490, 4.687, 3.689),
        (1610.0, 214.0, 46.24, 1.733, 0.2699, 8.585e-2, 3.968e-2, 2.437e-2, 1.314e-2),
        (5.320e-2, 0.1971, 0.5378 + 1.291e-3),
    ),
    "I": (
        (157.1, 54.30, 22.62, 3.035, 0.7946, 0.2906, 0.1299, 7.326e-2, 3.261e-2),
        (20.88, 23.40, 23.18, 18.18, 14.04, 11.15, 9.081, 7.756, 6.107),
        (1626.0, 1519.0, 363.5, 16.12, 2.684, 0.8683, 0.3989, 0.2428, 0.1288),
        (0.1836, 0.6193, 1.561 + 2.136e-3),
    ),
    "Pb": (
        (473.8, 168.6, 73.20, 10.28, 2.773, 1.029, 0.4636, 0.2624, 0.1172),
        (28.31, 33.49, 34.04, 27.65, 21.55, 17.18, 14.02, 11.98, 9.440),
        (9929.0, 1525.0, 1802.0, 100.8, 18.60, 6.226, 2.863, 1.732, 0.9054),
        (0.6215, 1.875, 4.102 + 3.298e-3),
    ),
    "U": (
        (626.4, 228.5, 99.57, 14.31, 3.921, 1.466, 0.6635, 0.3764, 0.1685),
        (30.96, 36.78, 37.59, 30.85, 24.11, 19.25, 15.72, 13.44, 10.59),
        (15660.0, 2515.0, 635.4, 160.1, 30.86, 10.49, 4.830, 2.917, 1.520),
        (0.8691, 2.546, 5.294 + 3.698e-3),
    ),
}


def in_barns(symbol: str) -> tuple[np.ndarray, np.ndarray]:
    """Ours and XCOM's cross sections per atom, by process and energy."""
    element = elements()[symbol]
    per_gram = element_cross_sections(symbol, ENERGIES)
    ours = np.array([per_gram.coherent, per_gram.incoherent, per_gram.photoelectric, per_gram.pair])
    *scattered, pair = XCOM[symbol]
    published = np.array([*scattered, (0.0,) * 6 + pair])
    return ours * element.weight / 0.602214076, published


@pytest.mark.parametrize("symbol", XCOM)
def test_totals_agree_with_xcom_up_to_3_mev(symbol: str) -> None:
    ours, published = in_barns(symbol)
    np.testing.assert_allclose(ours.sum(axis=0), published.sum(axis=0), rtol=3e-3)


@pytest.mark.parametrize("symbol", XCOM)
def test_each_process_agrees_with_xcom(symbol: str) -> None:
    ours, published = in_barns(symbol)
    coherent, incoherent, photoelectric, pair = (
        np.abs(one - other) for one, other in zip(ours, published, strict=True)
    )
    assert (incoherent <= 3e-3 * published[1]).all()
    assert (photoelectric <= 0.01 * published[2]).all()
    assert (pair <= 0.006 * published[3]).all()
    # Coherent scattering is extrapolated above 800 keV, where it is under 1 % of the attenuation.
    assert (coherent <= 0.05 * published[0]).all()
    assert (coherent[:5] <= 2e-3 * published[0, :5]).all()


@pytest.mark.parametrize("symbol", ["C", "Fe", "I", "Pb", "U"])
def test_parts_are_positive_and_smooth_over_the_seam(symbol: str) -> None:
    energies = np.geomspace(700.0, 950.0, 200)
    parts = element_cross_sections(symbol, energies)
    for part in (parts.photoelectric, parts.coherent, parts.incoherent):
        slopes = np.diff(np.log(part)) / np.diff(np.log(energies))
        assert (part > 0).all()
        assert np.abs(np.diff(slopes)).max() < 0.3
    assert (parts.pair == 0).all()


def test_every_element_is_there_with_its_edges() -> None:
    table = elements()
    assert len(table) == 92
    assert [table[s].atomic_number for s in ("H", "Fe", "Pb", "U")] == [1, 26, 82, 92]
    assert table["H"].weight == 1.008
    for symbol, edge, ratio in (("Pb", 88.0, 4.0), ("I", 33.17, 5.6), ("Ge", 11.103, 7.2)):
        below, above = element_cross_sections(symbol, [edge - 0.02, edge + 0.02]).total
        assert above / below == pytest.approx(ratio, rel=0.06)


@given(
    energy=st.floats(1.0, 10000.0), symbol=st.sampled_from(["H", "Al", "Mo", "Gd", "Re", "At", "U"])
)
def test_parts_are_never_negative_and_add_up(energy: float, symbol: str) -> None:
    parts = element_cross_sections(symbol, energy)
    assert min(parts) >= 0.0
    assert parts.total == pytest.approx(sum(parts))
    assert parts.interacting == pytest.approx(parts.total - parts.coherent)


def test_pairs_need_twice_the_rest_energy() -> None:
    at = element_cross_sections("Pb", [1021.9, 1022.5, 1100.0, 2614.0]).pair
    assert at[0] == 0.0
    assert (np.diff(at) > 0).all()
    # near the threshold the cross section rises with the third power of what is above it
    near = element_cross_sections("C", [1030.0, 1038.0]).pair
    assert near[1] / near[0] == pytest.approx(8.0, rel=0.1)


def test_what_is_outside_the_tables_is_refused() -> None:
    with pytest.raises(LabelError, match="no element 'Np'"):
        element_cross_sections("Np", 60.0)
    for energy in (0.99, 10000.1, [60.0, 0.0], float("nan")):
        with pytest.raises(DataError, match="from 1 to 10000 keV"):
            element_cross_sections("Pb", energy)
