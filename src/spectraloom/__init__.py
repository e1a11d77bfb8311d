"""Spectraloom: analysis of one-dimensional spectra.

What is in them, how much, how sure, and whether the model can be trusted. Public names load on
first use, so that ``import spectraloom`` costs little.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectraloom import (
        analyze,
        data,
        datasets,
        errors,
        evaluate,
        generate,
        io,
        nets,
        physics,
        plot,
        process,
        workflow,
    )
    from spectraloom.analyze import Identifier, ManifoldUnmixer, SupervisedNMF, load, save
    from spectraloom.data import Axis, Calibration, Library, Result, Spectra
    from spectraloom.errors import SpectraloomError
    from spectraloom.io import read, read_groups, write

__version__ = "0.1.0"

_HOME = {
    "Axis": "spectraloom.data",
    "Calibration": "spectraloom.data",
    "Identifier": "spectraloom.analyze",
    "Library": "spectraloom.data",
    "ManifoldUnmixer": "spectraloom.analyze",
    "Result": "spectraloom.data",
    "Spectra": "spectraloom.data",
    "SpectraloomError": "spectraloom.errors",
    "SupervisedNMF": "spectraloom.analyze",
    "load": "spectraloom.analyze",
    "read": "spectraloom.io",
    "read_groups": "spectraloom.io",
    "save": "spectraloom.analyze",
    "write": "spectraloom.io",
}
_FLOORS = (
    "analyze",
    "data",
    "datasets",
    "errors",
    "evaluate",
    "generate",
    "io",
    "nets",
    "physics",
    "plot",
    "process",
    "workflow",
)

__all__ = [
    "Axis",
    "Calibration",
    "Identifier",
    "Library",
    "ManifoldUnmixer",
    "Result",
    "Spectra",
    "SpectraloomError",
    "SupervisedNMF",
    "analyze",
    "data",
    "datasets",
    "errors",
    "evaluate",
    "generate",
    "io",
    "load",
    "nets",
    "physics",
    "plot",
    "process",
    "read",
    "read_groups",
    "save",
    "workflow",
    "write",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _FLOORS:
        value = importlib.import_module(f"spectraloom.{name}")
    else:
        raise AttributeError(f"module 'spectraloom' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
