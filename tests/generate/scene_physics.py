"""A physics of closed formulas, in place of the transport, for tests of scenes."""

from __future__ import annotations

import numpy as np
import pytest

from spectraloom._typing import FloatArray
from spectraloom.data import Axis
from spectraloom.generate import scene_expected
from spectraloom.physics.gamma import GammaDetector, material
from spectraloom.physics.gamma.background import BACKGROUND_COMPONENTS
from spectraloom.physics.gamma.emission import EmissionLines
from spectraloom.physics.gamma.spectrum import source_lines
from spectraloom.physics.gamma.transport.surroundings import Surroundings

SMALL = GammaDetector(
    "small", Axis.regular(0.0, 3000.0, 96), dead_time=2e-6, pile_up_time=5e-7, fwhm_662=0.08
)
OTHER = GammaDetector("other", Axis.regular(0.0, 2000.0, 64), fwhm_662=0.07)


def plain_counts(
    source: str | EmissionLines, detector: GammaDetector, around: Surroundings
) -> FloatArray:
    """Peaks and a flat continuum, weakened by absorber and air, falling as 1/r2."""
    lines = source_lines(source)
    passed = material("air").transmission(around.distance, lines.energies)
    for made_of, thickness in around.shells:
        passed = passed * material(made_of).transmission(thickness, lines.energies)
    reached = 40.0 * lines.intensities * passed / (4.0 * np.pi * around.distance**2)
    ends = np.minimum.outer(detector.axis.edges, lines.energies)
    flat = np.diff(ends, axis=0) / lines.energies
    return np.asarray((0.4 * detector.fold_lines(lines.energies) + 0.6 * flat) @ reached)


def plain_background(detector: GammaDetector) -> dict[str, FloatArray]:
    """A falling continuum for each component."""
    fall = np.exp(-detector.axis.centers / 500.0)
    return {
        name: (0.2 + 0.1 * number) * fall / fall.sum()
        for number, name in enumerate(BACKGROUND_COMPONENTS)
    }


def use_plain_physics(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(scene_expected, "expected_counts", plain_counts)
    patch.setattr(scene_expected, "background_rates", plain_background)
