"""Gamma rays: nuclides, materials, scattering, and the response of a scintillation detector.

The response is a small, deterministic model, not photon transport. What it holds and what it
leaves out is said in :mod:`spectraloom.physics.gamma.response`.
"""

from __future__ import annotations

from spectraloom.physics.gamma.attenuation import (
    cross_sections,
    density,
    mass_attenuation,
    transmission,
)
from spectraloom.physics.gamma.compton import (
    compton_edge,
    klein_nishina,
    scattered_energy,
    scattered_fractions,
)
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.elements import (
    CrossSections,
    Element,
    element_cross_sections,
    elements,
)
from spectraloom.physics.gamma.emission import EmissionLines, Line
from spectraloom.physics.gamma.lines import BACKGROUND, Lines, lines, sources
from spectraloom.physics.gamma.materials import Material, material, materials, mixture
from spectraloom.physics.gamma.nuclides import Decay, Nuclide, in_words, nuclide, nuclides, seconds
from spectraloom.physics.gamma.response import continuum_response, line_response
from spectraloom.physics.gamma.templates import Absorber, expected_spectrum

__all__ = [
    "BACKGROUND",
    "Absorber",
    "CrossSections",
    "Decay",
    "Element",
    "EmissionLines",
    "GammaDetector",
    "Line",
    "Lines",
    "Material",
    "Nuclide",
    "compton_edge",
    "continuum_response",
    "cross_sections",
    "density",
    "element_cross_sections",
    "elements",
    "expected_spectrum",
    "in_words",
    "klein_nishina",
    "line_response",
    "lines",
    "mass_attenuation",
    "material",
    "materials",
    "mixture",
    "nuclide",
    "nuclides",
    "scattered_energy",
    "scattered_fractions",
    "seconds",
    "sources",
    "transmission",
]
