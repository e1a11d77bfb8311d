"""Processing: rebin, window, scale, smooth, subtract, select, aggregate.

Every step is a pure function that takes Spectra and gives Spectra; those that a pipeline needs
are scikit-learn transformers, too.
"""

from __future__ import annotations

from spectraloom.process.aggregate import aggregate, group_rows
from spectraloom.process.background import subtract_background
from spectraloom.process.base import Transformer
from spectraloom.process.rebin import Rebin, overlap_matrix, rebin, rebin_library
from spectraloom.process.scale import Normalize, normalize
from spectraloom.process.select import drop_empty, limit_per_class, remove_duplicates
from spectraloom.process.smooth import Smooth, anscombe, inverse_anscombe, smooth
from spectraloom.process.window import Window, window

__all__ = [
    "Normalize",
    "Rebin",
    "Smooth",
    "Transformer",
    "Window",
    "aggregate",
    "anscombe",
    "drop_empty",
    "group_rows",
    "inverse_anscombe",
    "limit_per_class",
    "normalize",
    "overlap_matrix",
    "rebin",
    "rebin_library",
    "remove_duplicates",
    "smooth",
    "subtract_background",
    "window",
]
