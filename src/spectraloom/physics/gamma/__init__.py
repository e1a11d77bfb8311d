"""Gamma rays from the nuclide to the channel.

Nuclides and their lines, materials, photons through what is around a source
(:mod:`~spectraloom.physics.gamma.transport`), crystals and detectors, their electronics and drift,
and the natural background. What each part leaves out is said in its module.
"""

from __future__ import annotations

from spectraloom.physics.gamma.attenuation import (
    cross_sections,
    density,
    mass_attenuation,
    transmission,
)
from spectraloom.physics.gamma.background import (
    BACKGROUND_COMPONENTS,
    Background,
    background_flux,
    mixed_flux,
    vary,
)
from spectraloom.physics.gamma.compton import (
    compton_edge,
    klein_nishina,
    scattered_energy,
    scattered_fractions,
)
from spectraloom.physics.gamma.crystal import Crystal, Layer
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.detectors import detector, detectors
from spectraloom.physics.gamma.drift import Drift, drift, drifted
from spectraloom.physics.gamma.electronics import live_fraction, recorded
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
from spectraloom.physics.gamma.spectrum import (
    Absorber,
    background_rates,
    detector_counts,
    expected_counts,
    expected_spectrum,
)
from spectraloom.physics.gamma.transport.response_matrix import (
    Deposits,
    ResponseMatrix,
    response_matrix,
)
from spectraloom.physics.gamma.transport.surroundings import Flux, Surroundings, emerging

__all__ = [
    "BACKGROUND",
    "BACKGROUND_COMPONENTS",
    "Absorber",
    "Background",
    "CrossSections",
    "Crystal",
    "Decay",
    "Deposits",
    "Drift",
    "Element",
    "EmissionLines",
    "Flux",
    "GammaDetector",
    "Layer",
    "Line",
    "Lines",
    "Material",
    "Nuclide",
    "ResponseMatrix",
    "Surroundings",
    "background_flux",
    "background_rates",
    "compton_edge",
    "cross_sections",
    "density",
    "detector",
    "detector_counts",
    "detectors",
    "drift",
    "drifted",
    "element_cross_sections",
    "elements",
    "emerging",
    "expected_counts",
    "expected_spectrum",
    "in_words",
    "klein_nishina",
    "lines",
    "live_fraction",
    "mass_attenuation",
    "material",
    "materials",
    "mixed_flux",
    "mixture",
    "nuclide",
    "nuclides",
    "recorded",
    "response_matrix",
    "scattered_energy",
    "scattered_fractions",
    "seconds",
    "sources",
    "transmission",
    "vary",
]
