"""Analysis: unmixing, classification, denoising, outliers, and saved models."""

from __future__ import annotations

from spectraloom.analyze.base import SpectralEstimator
from spectraloom.analyze.boundary import OutlierBoundary
from spectraloom.analyze.explore import (
    MeanSpectra,
    Similarity,
    mean_spectra,
    random_examples,
    similarity,
)
from spectraloom.analyze.least_squares import nnls
from spectraloom.analyze.outlier import OutlierStudy, study_outliers
from spectraloom.analyze.store import load, load_card, save
from spectraloom.analyze.supervised_nmf import SupervisedNMF

__all__ = [
    "MeanSpectra",
    "OutlierBoundary",
    "OutlierStudy",
    "Similarity",
    "SpectralEstimator",
    "SupervisedNMF",
    "load",
    "load_card",
    "mean_spectra",
    "nnls",
    "random_examples",
    "save",
    "similarity",
    "study_outliers",
]
