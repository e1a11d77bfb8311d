from __future__ import annotations

import numpy as np
import pytest

from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma import BACKGROUND, lines, sources

# photons per decay, %: values of two evaluations (UKDD-2012 and ENSDF) or more agree with these
EVALUATED = [
    ("Cs137", 661.66, 85.0),
    ("Co60", 1173.2, 99.85),
    ("Co60", 1332.5, 99.98),
    ("Eu152", 121.8, 28.41),
    ("Eu152", 344.3, 26.58),
    ("Eu152", 1408.0, 20.84),
    ("Ba133", 81.0, 32.9),
    ("Ba133", 302.9, 18.34),
    ("Ba133", 356.0, 62.05),
    ("Am241", 59.54, 36.0),
    ("Am241", 26.34, 2.43),
    ("K40", 1460.8, 10.66),
    ("Ra226", 609.3, 45.5),
    ("Ra226", 351.9, 35.6),
    ("Ra226", 186.2, 3.55),
    ("U235", 185.7, 57.2),
    ("U238", 1001.0, 0.84),
]


@pytest.mark.parametrize(("source", "energy", "percent"), EVALUATED)
def test_intensities_are_those_of_evaluations(source: str, energy: float, percent: float) -> None:
    table = lines(source)
    nearest = np.argmin(np.abs(table.energies - energy))
    assert table.energies[nearest] == pytest.approx(energy, abs=0.2)
    assert 100 * table.intensities[nearest] == pytest.approx(percent, rel=0.03)


def test_every_source_has_sound_lines() -> None:
    for source in sources():
        energies, intensities = lines(source)
        assert energies.shape == intensities.shape
        assert (np.diff(energies) >= 0).all()
        assert energies.min() >= 10.0
        assert energies.max() < 2801.0
        assert intensities.min() > 0.0
        # no annihilation photons filed as x-rays; 510.77 keV of Tl-208 is a gamma line
        assert not (np.abs(energies - 511.0) < 0.1).any()
        if source != BACKGROUND:
            assert intensities.max() < 1.0


def test_background_holds_the_three_natural_families() -> None:
    energies, intensities = lines(BACKGROUND)
    rate = dict(zip(energies.tolist(), intensities.tolist(), strict=True))
    assert rate[1460.82] == pytest.approx(400 * 0.1066, rel=1e-3)
    # Of the radon, one fifth leaves its grain, and 92 % of that the upper soil.
    assert rate[609.318] == pytest.approx(35 * (1 - 0.92 * 0.2) * 0.4544, rel=1e-3)
    # Natural uranium has 0.046 decays of U-235 for one of U-238.
    assert rate[185.714] == pytest.approx(35 * 0.046 * 0.572, rel=5e-3)
    assert rate[2614.55] == pytest.approx(30 * 0.3594 * 0.9983, rel=1e-3)


def test_any_nuclide_has_lines_however_it_is_written() -> None:
    np.testing.assert_array_equal(lines("Cs-137"), lines("Cs137"))
    sodium = lines("Na-22")
    assert sodium.energies.tolist() == [511.0, 1274.54]
    assert lines("Ir192").energies.size > 10
    with pytest.raises(DataError, match="neither H-3 nor a daughter"):
        lines("H-3")


def test_tables_are_read_only_and_unknown_sources_refused() -> None:
    with pytest.raises(ValueError, match="read-only"):
        lines("Cs137").energies[0] = 1.0
    with pytest.raises(LabelError, match=r"Cs-134.*known sources: Am241"):
        lines("Cs-133")
