"""Networks: shared blocks of torch and the one training loop.

Public names load on first use, and need the extra ``deep``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectraloom.nets.interpolatory import InterpolatoryAutoencoder, InterpolatoryLayers
    from spectraloom.nets.learning import (
        LearnedInterpolation,
        LearningSettings,
        decode_interpolation,
        learn_interpolation,
        rebuild_interpolation,
    )
    from spectraloom.nets.training import CHECKPOINT, TrainingRecord, TrainingSettings, train

_HOME = {
    "CHECKPOINT": "training",
    "InterpolatoryAutoencoder": "interpolatory",
    "InterpolatoryLayers": "interpolatory",
    "LearnedInterpolation": "learning",
    "LearningSettings": "learning",
    "TrainingRecord": "training",
    "TrainingSettings": "training",
    "decode_interpolation": "learning",
    "learn_interpolation": "learning",
    "rebuild_interpolation": "learning",
    "train": "training",
}

__all__ = [
    "CHECKPOINT",
    "InterpolatoryAutoencoder",
    "InterpolatoryLayers",
    "LearnedInterpolation",
    "LearningSettings",
    "TrainingRecord",
    "TrainingSettings",
    "decode_interpolation",
    "learn_interpolation",
    "rebuild_interpolation",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'spectraloom.nets' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"spectraloom.nets.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
