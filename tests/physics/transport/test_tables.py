from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.errors import DataError
from spectraloom.physics.gamma import material
from spectraloom.physics.gamma.transport.tables import (
    COMPTON,
    PAIR,
    PHOTO,
    look_up,
    material_tables,
    position,
)


@given(energy=st.floats(1.02, 9900.0), name=st.sampled_from(["NaI", "Pb", "water", "Ge"]))
def test_grid_gives_the_coefficients_of_the_material(energy: float, name: str) -> None:
    tables = material_tables([material("air"), material(name)])
    section = material(name).cross_sections([energy, energy * 0.99, min(energy * 1.01, 1e4)])
    density = material(name).require_density()
    for row, values in (
        (PHOTO, section.photoelectric),
        (COMPTON, section.incoherent),
        (PAIR, section.pair),
    ):
        found = look_up(tables.attenuation[1, row], *position(energy))
        # An edge is smeared over one step of the grid, so its two sides bracket the value.
        low, high = density * values.min(), density * values.max()
        assert low * (1 - 1e-3) - 1e-6 <= found <= high * (1 + 1e-3) + 1e-6


def test_x_rays_are_those_of_the_elements_that_shine() -> None:
    tables = material_tables([material("NaI"), material("lead"), material("water")])
    iodine, lead, water = tables.x_rays
    assert iodine[iodine > 0] == pytest.approx([28.612, 28.317, 32.276, 33.047])
    assert lead[:2] == pytest.approx([74.969, 72.805])
    assert not water.any()
    # Below its edge nothing shines; far above, the yield times the share of the K shell.
    below, above = position(32.0), position(200.0)
    assert sum(look_up(row, *below) for row in tables.emission[0]) == 0.0
    # Iodine does nearly all of the photoelectric effect in sodium iodide.
    shining = sum(look_up(row, *above) for row in tables.emission[0])
    assert shining == pytest.approx(0.834 * 0.882, rel=0.02)


def test_chances_of_x_rays_add_up_to_less_than_one() -> None:
    for name in ("CsI", "LaBr3", "CdTe", "Ge", "lead", "uranium"):
        assert material_tables([material(name)]).emission.sum(axis=1).max() < 1.0


def test_a_formula_without_density_is_refused() -> None:
    with pytest.raises(DataError, match="density"):
        material_tables([material("Gd2O3")])


def test_energies_off_the_grid_take_its_ends() -> None:
    assert position(0.1) == (0, 0.0)
    step, part = position(5e4)
    assert (step, part) == (1022, 1.0)
    assert np.isfinite(look_up(material_tables([material("Al")]).attenuation[0, 0], step, part))
