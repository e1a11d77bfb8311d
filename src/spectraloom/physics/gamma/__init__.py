"""Gamma-ray spectra of a scintillation detector: lines, attenuation, scattering, response.

This is a small, deterministic model, not photon transport. What it holds and what it leaves out
is said in :mod:`spectraloom.physics.gamma.response`.
"""

from __future__ import annotations

from spectraloom.physics.gamma.attenuation import (
    CrossSections,
    cross_sections,
    density,
    mass_attenuation,
    materials,
    transmission,
)
from spectraloom.physics.gamma.compton import (
    compton_edge,
    klein_nishina,
    scattered_energy,
    scattered_fractions,
)
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.lines import BACKGROUND, Lines, lines, sources
from spectraloom.physics.gamma.response import continuum_response, line_response
from spectraloom.physics.gamma.templates import Absorber, expected_spectrum

__all__ = [
    "BACKGROUND",
    "Absorber",
    "CrossSections",
    "GammaDetector",
    "Lines",
    "compton_edge",
    "continuum_response",
    "cross_sections",
    "density",
    "expected_spectrum",
    "klein_nishina",
    "line_response",
    "lines",
    "mass_attenuation",
    "materials",
    "scattered_energy",
    "scattered_fractions",
    "sources",
    "transmission",
]
