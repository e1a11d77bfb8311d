from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.errors import DataError, LabelError
from spectraloom.physics import Material, material, materials, mixture
from spectraloom.physics.gamma import element_cross_sections, elements


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        # parts by mass from atomic weights of other tables
        ("H2O", {"H": 0.1119, "O": 0.8881}),
        ("Ca(OH)2", {"Ca": 0.5409, "O": 0.4319, "H": 0.0272}),
        ("Cd0.9Zn0.1Te", {"Cd": 0.4299, "Zn": 0.0278, "Te": 0.5423}),
        ("Fe4(Fe(CN)6)3", {"Fe": 0.4550, "C": 0.2516, "N": 0.2934}),
        ("Pb", {"Pb": 1.0}),
    ],
)
def test_a_formula_gives_parts_by_mass(formula: str, parts: dict[str, float]) -> None:
    assert dict(material(formula).fractions) == pytest.approx(parts, abs=1e-4)


def test_names_come_in_several_spellings() -> None:
    assert material("lead") == material("Lead") == material("Pb")
    assert material("aluminum").fractions == material("Al").fractions
    assert material("STEEL") == material("steel")
    assert material("TiN").fractions != material("tin").fractions == (("Sn", 1.0),)
    assert material("Pb").density == 11.35
    assert material("water", density=0.92).density == 0.92


def test_every_material_is_whole() -> None:
    for name in materials():
        found = material(name)
        assert sum(part for _, part in found.fractions) == pytest.approx(1.0)
        assert 1e-3 < found.require_density() < 20.0
        assert (found.attenuation([10.0, 100.0, 1000.0]) > 0).all()


@pytest.mark.parametrize(
    ("name", "ratio"),
    # mean ratio of atomic number to atomic weight, NISTIR 5632, table 2
    [
        ("water", 0.55508),
        ("air", 0.49919),
        ("concrete", 0.50932),
        ("bone", 0.51478),
        ("tissue", 0.54996),
        ("glass", 0.49707),
        ("polyethylene", 0.57033),
        ("PMMA", 0.53937),
        ("PVT", 0.54141),
        ("teflon", 0.47992),
        ("NaI", 0.42697),
        ("CsI", 0.41569),
    ],
)
def test_materials_hold_the_published_number_of_electrons(name: str, ratio: float) -> None:
    table = elements()
    found = sum(
        part * table[symbol].atomic_number / table[symbol].weight
        for symbol, part in material(name).fractions
    )
    assert found == pytest.approx(ratio, rel=3e-4)


def test_a_detector_made_by_formula_is_that_of_the_table() -> None:
    by_formula = material("NaI", density=3.667)
    np.testing.assert_allclose(
        by_formula.attenuation([60.0, 662.0]), material("NaI").attenuation([60.0, 662.0])
    )


@given(
    amounts=st.dictionaries(
        st.sampled_from(["H", "O", "Fe", "water", "PVC", "Pb"]), st.floats(0.01, 100.0), min_size=1
    ),
    energy=st.floats(1.0, 10000.0),
)
def test_a_mixture_is_the_weighted_sum_of_its_parts(
    amounts: dict[str, float], energy: float
) -> None:
    mixed = mixture("any", amounts).mass_attenuation(energy)
    parts = [amount * material(part).mass_attenuation(energy) for part, amount in amounts.items()]
    assert mixed == pytest.approx(sum(parts) / sum(amounts.values()))


def test_layers_multiply_and_linear_attenuation_scales_with_density() -> None:
    lead = material("Pb")
    thin, thick = lead.transmission(0.3, 661.7), lead.transmission(0.6, 661.7)
    assert thick == pytest.approx(thin**2)
    light = lead.replace(density=5.675)
    assert light.attenuation(661.7) == pytest.approx(0.5 * lead.attenuation(661.7))
    assert lead.mass_attenuation(100.0) == pytest.approx(element_cross_sections("Pb", 100.0).total)


def test_an_unknown_material_names_what_is_near() -> None:
    with pytest.raises(LabelError, match="did you mean 'concrete'"):
        material("concret")
    for name in ("", "()", "(H", "H)", "Fe0", "H2.", "Xy2", "2H", "H 2"):
        with pytest.raises(LabelError, match="neither a material nor a chemical formula"):
            material(name)


def test_a_missing_or_impossible_density_is_said() -> None:
    with pytest.raises(DataError, match=r"density of 'Gd2O2S' is not known: instead"):
        material("Gd2O2S").attenuation(60.0)
    with pytest.raises(DataError, match=r"did you mean 'NaI'\?"):
        material("NaII").require_density()
    for density in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match="density of 'Pb' must be above zero"):
            material("Pb", density=density)


@pytest.mark.parametrize("name", ["(" * 3000, "Na" * 3000, "x" * 3000])
def test_a_message_repeats_only_the_begin_of_a_long_name(name: str) -> None:
    with pytest.raises((DataError, LabelError)) as caught:
        material(name).require_density()
    assert len(str(caught.value)) < 700


def test_impossible_mixtures_and_energies_are_refused() -> None:
    with pytest.raises(DataError, match="amounts above zero"):
        mixture("none", {})
    with pytest.raises(DataError, match="amounts above zero"):
        mixture("less", {"Fe": 1.0, "Pb": -0.1})
    with pytest.raises(LabelError, match="'steal' is neither"):
        mixture("alloy", {"steal": 1.0})
    with pytest.raises(DataError, match="from 1 to 10000 keV"):
        material("Fe").mass_attenuation(20000.0)
    with pytest.raises(LabelError, match="no symbol"):
        Material("made up", (("Qq", 1.0),))
    with pytest.raises(DataError, match=r"sum to 0\.5"):
        Material("half", (("Fe", 0.5),))
