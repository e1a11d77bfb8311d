"""Simulators that sample a physics model: spectra whose content is known."""

from __future__ import annotations

from spectraloom.generate.demo import DEMO_NUCLIDES, DEMO_UNKNOWN, demo_detectors, demo_sets
from spectraloom.generate.gamma import simulate_gamma

__all__ = ["DEMO_NUCLIDES", "DEMO_UNKNOWN", "demo_detectors", "demo_sets", "simulate_gamma"]
