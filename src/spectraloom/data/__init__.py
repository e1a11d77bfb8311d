"""The data classes: Axis, Spectra, Library and Result. Numpy only."""

from __future__ import annotations

from spectraloom.data.axis import Axis, Calibration
from spectraloom.data.library import Library
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra

__all__ = ["Axis", "Calibration", "Library", "Result", "Spectra"]
