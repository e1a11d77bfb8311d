"""Forward models and tables: what a source sends out, and what a detector makes of it."""

from __future__ import annotations

from spectraloom.physics import gamma
from spectraloom.physics.gamma import (
    Material,
    Nuclide,
    material,
    materials,
    mixture,
    nuclide,
    nuclides,
)

__all__ = [
    "Material",
    "Nuclide",
    "gamma",
    "material",
    "materials",
    "mixture",
    "nuclide",
    "nuclides",
]
