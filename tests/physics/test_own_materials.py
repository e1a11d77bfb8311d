from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectraloom.errors import DataError
from spectraloom.physics import material, mixture
from spectraloom.physics.gamma import Crystal, Surroundings
from spectraloom.physics.gamma.materials import Material, material_name
from spectraloom.physics.gamma.transport.cache import file_name, forget
from spectraloom.physics.gamma.transport.response_matrix import response_matrix
from spectraloom.physics.gamma.transport.surroundings import emerging


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECTRALOOM_CACHE_DIR", str(tmp_path))
    forget()


def test_a_material_is_what_its_name_means() -> None:
    layers = {"shells": (("Fe", 1.0),), "slabs": (("Pb", 0.2),), "source": ("water", 2.0)}
    own = {
        "shells": ((material("Fe"), 1.0),),
        "slabs": ((material("Pb"), 0.2),),
        "source": (material("water"), 2.0),
    }
    named = emerging([662.0], [1.0], Surroundings(floor=("concrete", 100), **layers), histories=500)
    given = emerging(
        [662.0], [1.0], Surroundings(floor=(material("concrete"), 100), **own), histories=500
    )
    for one, other in zip(named, given, strict=True):
        np.testing.assert_array_equal(one, other)


def test_density_times_thickness_is_what_weakens() -> None:
    dense, thin = (
        emerging(
            [100.0, 662.0],
            [1.0, 1.0],
            Surroundings(shells=((material("Gd2O2S", density=density), thickness),), air=False),
            histories=100,
        ).direct[:2]
        for density, thickness in ((7.3, 0.5), (3.65, 1.0))
    )
    np.testing.assert_allclose(dense, thin, rtol=1e-12)
    bare = emerging([100.0, 662.0], [1.0, 1.0], Surroundings(air=False), histories=100).direct[:2]
    section = material("Gd2O2S").cross_sections([100.0, 662.0]).interacting
    # The tables of the kernels are interpolated.
    np.testing.assert_allclose(thin, bare * np.exp(-3.65 * section), rtol=2e-3)


def test_a_crystal_is_made_of_any_material() -> None:
    lyso = mixture("LYSO", {"Lu": 71.4, "Y": 4.0, "Si": 6.4, "O": 18.2}, density=7.1)
    wrap = (material("Gd2O2S", density=7.3), 0.01)
    counted = {
        crystal: response_matrix(crystal, histories=4000, energies=[100.0, 662.0]).full
        for crystal in (
            Crystal(lyso, (2.0, 2.0)),
            Crystal(lyso, (2.0, 2.0), window=(wrap,)),
            Crystal("NaI", (2.0, 2.0)),
            Crystal(material("NaI"), (2.0, 2.0)),
        )
    }
    heavy, wrapped, name, same = counted.values()
    assert wrapped[0] < 0.95 * heavy[0]
    assert heavy[1] > 1.5 * name[1]
    np.testing.assert_array_equal(name, same)


def test_densities_are_told_apart_by_what_is_kept() -> None:
    names = {
        file_name("flux", (Surroundings(shells=((material("Gd2O2S", density=density), 1.0),)),))
        for density in (7.3, 7.4)
    }
    assert len(names) == 2


def test_a_formula_alone_says_how_its_density_is_given() -> None:
    with pytest.raises(DataError, match=r"material\('Gd2O2S', density="):
        Surroundings(shells=(("Gd2O2S", 1.0),))
    assert material(material("Gd2O2S"), density=2.0).density == 2.0
    listed = Material("own", [["Pb", 1.0]], 11.0)  # type: ignore[list-item,arg-type]
    assert hash(listed) == hash(Material("own", (("Pb", 1.0),), 11.0))
    assert [material_name(one) for one in ("Fe", listed)] == ["Fe", "own"]
