from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectraloom.data import Axis
from spectraloom.errors import AxisError, LabelError
from spectraloom.physics.gamma import material
from spectraloom.physics.gamma.detectors import detector, detectors
from spectraloom.physics.gamma.transport.response_matrix import response_matrix

# Width at zero (keV), per cent at 661 keV and power, as published.
PUBLISHED = {
    "NaI 3x3": (-3.0, 7.0, 0.65),
    "NaI 2x4x16": (0.0, 7.7, 0.69),
    "CsI handheld": (-2.47272, 7.07225, 0.48365),
    "LaBr3 1.5x1.5": (7.0, 2.6, 0.52),
    "CZT 1 cm3": (8.95, 2.39, 0.344),
    "HPGe coaxial": (1.49, 0.3, 0.294),
}


def published_width(energy: float, zero: float, per_cent: float, power: float) -> float:
    """The resolution formula of GADRAS."""
    at_661 = 6.61 * per_cent
    if energy >= 661.0 or zero == 0.0:
        return at_661 * (energy / 661.0) ** power
    if zero < 0.0:
        return at_661 * (energy / 661.0) ** (power ** (1.0 / np.log(1.0 - zero)))
    return float(np.hypot(zero, np.sqrt(at_661**2 - zero**2) * (energy / 661.0) ** power))


@pytest.mark.parametrize("name", PUBLISHED)
def test_widths_are_those_published(name: str) -> None:
    found = detector(name)
    for energy in (40.0, 59.5, 122.0, 344.0, 661.7, 1332.5, 2614.5):
        expected = published_width(energy, *PUBLISHED[name])
        assert float(found.fwhm(energy)) == pytest.approx(expected, rel=0.055)


@pytest.mark.parametrize("name", detectors())
def test_every_ready_detector_is_sound(name: str) -> None:
    found = detector(name)
    assert found.name == name
    assert found.axis.edges[0] == 0.0
    assert found.axis.edges[-1] > 2614.5
    # Three channels within the width of a peak at 662 keV, and not far too many.
    channels = float(found.fwhm(661.7)) / found.axis.widths[0]
    assert 3.0 < channels < 30.0
    lines = found.fold_lines([60.0, 661.7, 2614.5])
    np.testing.assert_allclose(lines.sum(axis=0)[:2], 1.0, atol=1e-3)
    assert 0.0 < found.pile_up_time < found.dead_time < 1e-4
    assert material(found.crystal.material).density is not None


def test_the_axis_can_be_chosen() -> None:
    axis = Axis.from_polynomial((-8.0, 2.9, 1e-4), 1024)
    assert detector("nai  3X3", axis).axis is axis
    assert detector("NaI 3x3").axis is not axis
    with pytest.raises(AxisError, match="energy bins"):
        detector("NaI 3x3", Axis.uncalibrated(100))


def test_an_unknown_detector_names_the_nearest() -> None:
    with pytest.raises(LabelError, match="did you mean 'NaI 3x3'"):
        detector("NaI 3x4")
    with pytest.raises(LabelError, match="ready detectors: NaI 3x3"):
        detector("Geiger")


# Peak efficiency per photon on the face, as published with the resolutions.
EFFICIENCIES = {
    "NaI 3x3": ({60: 0.82614, 100: 0.91373, 200: 0.92333, 400: 0.70574}, 0.04),
    "NaI 2x4x16": ({60: 0.75746, 100: 0.86508, 200: 0.89142, 400: 0.6507, 650: 0.4343}, 0.05),
    "LaBr3 1.5x1.5": ({60: 0.87241, 100: 0.9284, 200: 0.8732, 400: 0.51123, 650: 0.29984}, 0.07),
    # These keep some tenth of the photons that arrive from being counted; why is not published.
    "CsI handheld": ({60: 0.71702, 100: 0.8051, 200: 0.68757, 400: 0.2567, 650: 0.11717}, 0.17),
    "CZT 1 cm3": ({60: 0.75156, 100: 0.81713, 200: 0.59651, 400: 0.17834, 650: 0.072148}, 0.18),
    "HPGe coaxial": ({100: 0.658, 200: 0.611, 400: 0.399, 650: 0.278, 1300: 0.166}, 0.14),
}


@pytest.mark.parametrize("name", EFFICIENCIES)
def test_transport_finds_the_published_efficiencies(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECTRALOOM_CACHE_DIR", str(tmp_path))
    published, tolerance = EFFICIENCIES[name]
    energies = np.array(list(published), dtype=float)
    crystal = detector(name).crystal
    matrix = response_matrix(crystal, energies=energies, histories=20_000, seed=1)
    areas = matrix.deposits(energies, np.array([0.0, 4000.0])).areas[0]
    size = crystal.size
    face = np.pi * size[0] ** 2 / 4 if len(size) == 2 else size[0] * size[1]
    np.testing.assert_allclose(areas / face, list(published.values()), rtol=tolerance)
