from __future__ import annotations

import pytest

from spectraloom.physics.gamma import elements
from spectraloom.physics.gamma.fluorescence import k_shells


def test_every_element_from_sodium_to_uranium_has_a_k_shell() -> None:
    assert list(k_shells()) == [
        one.symbol for one in elements().values() if one.atomic_number >= 11
    ]
    for shell in k_shells().values():
        assert 0 < shell.share < 1
        assert 0 < shell.fluorescence_yield < 1
        assert sum(rate for _, rate in shell.lines) == pytest.approx(1.0)
        assert all(energy < shell.edge for energy, _ in shell.lines)


@pytest.mark.parametrize(
    ("symbol", "edge", "alpha", "shining"),
    [
        # X-ray Data Booklet (Thompson et al. 2009), tables 1-1 to 1-3: edge, K-alpha 1, yield
        ("Cu", 8.979, 8.048, 0.44),
        ("Ge", 11.103, 9.886, 0.54),
        ("I", 33.169, 28.612, 0.88),
        ("Pb", 88.005, 74.969, 0.96),
    ],
)
def test_values_are_those_of_the_handbook(
    symbol: str, edge: float, alpha: float, shining: float
) -> None:
    shell = k_shells()[symbol]
    assert shell.edge == pytest.approx(edge, abs=0.01)
    assert shell.lines[0][0] == pytest.approx(alpha, abs=0.01)
    assert shell.fluorescence_yield == pytest.approx(shining, abs=0.015)


def test_edges_are_where_the_cross_sections_step() -> None:
    from spectraloom.physics.gamma import element_cross_sections

    for symbol in ("Fe", "I", "Cs", "Pb"):
        shell = k_shells()[symbol]
        below, above = element_cross_sections(
            symbol, [shell.edge * 0.98, shell.edge * 1.02]
        ).photoelectric
        assert 1 - below / above == pytest.approx(shell.share, abs=0.06)
