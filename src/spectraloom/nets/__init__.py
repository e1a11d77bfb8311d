"""Networks: shared blocks of torch and the one training loop. Needs the extra ``deep``."""

from __future__ import annotations

from spectraloom.nets.interpolatory import InterpolatoryAutoencoder, InterpolatoryLayers
from spectraloom.nets.learning import (
    LearnedInterpolation,
    LearningSettings,
    decode_interpolation,
    learn_interpolation,
    rebuild_interpolation,
)
from spectraloom.nets.training import CHECKPOINT, TrainingRecord, TrainingSettings, train

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
