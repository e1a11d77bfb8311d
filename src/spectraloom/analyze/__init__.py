"""Analysis: unmixing, classification, denoising, outliers, and saved models."""

from __future__ import annotations

from spectraloom.analyze.base import SpectralEstimator
from spectraloom.analyze.boundary import OutlierBoundary
from spectraloom.analyze.least_squares import nnls
from spectraloom.analyze.store import load, load_card, save
from spectraloom.analyze.supervised_nmf import SupervisedNMF

__all__ = [
    "OutlierBoundary",
    "SpectralEstimator",
    "SupervisedNMF",
    "load",
    "load_card",
    "nnls",
    "save",
]
