"""Simulators that sample a physics model: spectra whose content is known."""

from __future__ import annotations

from spectraloom.generate.demo import DEMO_NUCLIDES, DEMO_UNKNOWN, demo_detectors, demo_sets
from spectraloom.generate.gamma import simulate_gamma
from spectraloom.generate.library import simulate_library, simulate_signatures
from spectraloom.generate.list_mode import ListMode, list_mode
from spectraloom.generate.scene import (
    Scene,
    SceneBackground,
    SceneDrift,
    ScenePass,
    SceneSource,
)
from spectraloom.generate.scene_spectra import simulate_scene
from spectraloom.generate.scene_toml import read_scene, ready_scene, scenes

__all__ = [
    "DEMO_NUCLIDES",
    "DEMO_UNKNOWN",
    "ListMode",
    "Scene",
    "SceneBackground",
    "SceneDrift",
    "ScenePass",
    "SceneSource",
    "demo_detectors",
    "demo_sets",
    "list_mode",
    "read_scene",
    "ready_scene",
    "scenes",
    "simulate_gamma",
    "simulate_library",
    "simulate_scene",
    "simulate_signatures",
]
