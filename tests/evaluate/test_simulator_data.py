"""Which reference spectra are judged, and which nuclides are fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate.simulator_data import (
    fitted_nuclides,
    named_crystal,
    reference_sets,
    why_left_out,
)
from spectraloom.io import read_groups

AXIS = Axis.regular(0.0, 3000.0, 60)


def gadras(titles: list[str], *, times: list[float] | None = None) -> Spectra:
    values = np.arange(1, len(titles) + 1)[:, np.newaxis] * np.full(60, 100)
    return Spectra(
        values,
        AXIS,
        live_time=np.array(times or [1800.0] * len(titles)),
        columns={"title": np.array(titles)},
    )


def test_the_two_nuclides_are_chosen_by_their_lines() -> None:
    assert fitted_nuclides(["Ba133", "Co57", "Co60", "Cs137"]) == ("Ba133", "Co60")
    assert fitted_nuclides(["Cs137", "Co60", "Eu152", "Y88", "I131"]) == ("Eu152", "Y88")
    # Without usual sources any will do.
    assert set(fitted_nuclides(["I131", "Tc99m"])) == {"I131", "Tc99m"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Cs137", ""),
        ("Eu152", ""),
        ("Th228", ""),  # its daughters live for days
        ("Xx99", "tables"),
        ("Sr90", "bremsstrahlung"),
        ("U235", "absorbs its own"),
        ("Zr95", "age"),  # Nb-95 grows in
    ],
)
def test_what_cannot_be_simulated_is_left_out_by_rule(name: str, why: str) -> None:
    assert why in why_left_out(name)
    assert bool(why_left_out(name)) == bool(why)


@pytest.mark.parametrize(
    ("names", "crystal"),
    [
        (["NaITl", "NaITl"], "NaI"),
        (["3-inch NaI(Tl)", "NaITl"], "NaI"),
        (["CsI(Na) 1 cm"], "CsI"),
        (["LaBr3:Ce"], "LaBr3"),
        (["CZT-500"], "CZT"),
        (["p-type HPGe", "Ge 40 %"], "HPGe"),
        (["Geiger", "GRS", ""], None),
        (["NaITl", "HPGe"], None),
        ([], None),
    ],
)
def test_crystals_are_read_from_names_of_detectors(names: list[str], crystal: str | None) -> None:
    assert named_crystal(names) == crystal


def test_background_is_taken_off_by_live_time() -> None:
    titles = ["Background", "Cs137 Unshielded", "Co60 Unshielded", "Y88 Unshielded", "F18 Phantom"]
    (found,) = reference_sets([gadras(titles, times=[3600.0, 1800.0, 1800.0, 1800.0, 1800.0])])
    assert found.nuclides == ("Co60", "Cs137", "Y88")
    (caesium,) = found.of(["Cs137"])
    # 200 counts less half of 100; variances add, the second with the square of a half.
    np.testing.assert_allclose(caesium.counts, 150.0)
    np.testing.assert_allclose(caesium.variance, 225.0)


def test_point_sources_stand_for_bodies() -> None:
    titles = ["Background", "Cs137 Unshielded", "Co60 Unshielded", "K40 Unshielded",
              "K40 Unshielded-Point"]  # fmt: skip
    (found,) = reference_sets([gadras(titles)])
    (potassium,) = found.of(["K40"])
    np.testing.assert_allclose(potassium.counts, 400.0)
    assert "K40 Unshielded" in found.left_out


def test_detectors_with_the_same_axis_are_kept_apart() -> None:
    titles = ["Background", "Cs137 Unshielded", "Co60 Unshielded", "Y88 Unshielded"]
    found = reference_sets([gadras([*titles, *titles])])
    assert len(found) == 2
    assert found[0].detector != found[1].detector
    np.testing.assert_allclose(found[1].of(["Cs137"])[0].counts, 100.0)


def test_other_data_are_refused() -> None:
    with pytest.raises(DataError, match="GADRAS reference folder"):
        reference_sets([gadras(["Cs137 Unshielded", "Co60 Unshielded"])])


def test_the_real_data_are_sorted(steel_sphere_zip: Path) -> None:
    (found,) = reference_sets(read_groups(steel_sphere_zip))
    assert found.nuclides == ("Ba133", "Co57", "Co60", "Cs137")
    assert len(found.spectra) == 384
    assert found.crystal == "NaI"
    assert max(one.thickness for one in found.spectra) == pytest.approx(3.0)
    caesium = found.of(["Cs137"])[0]
    peak = found.axis.centers[np.argmax(caesium.counts * (found.axis.centers > 500))]
    assert abs(peak - 662.0) < 4.0
