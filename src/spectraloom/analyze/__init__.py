"""Analysis: unmixing, classification, denoising, outliers, and saved models."""

from __future__ import annotations

from spectraloom.analyze.activity import Activity, activity
from spectraloom.analyze.base import SpectralEstimator
from spectraloom.analyze.boundary import OutlierBoundary
from spectraloom.analyze.conformal import ConformalSets
from spectraloom.analyze.drift import GainTracker
from spectraloom.analyze.explore import (
    MeanSpectra,
    Similarity,
    mean_spectra,
    random_examples,
    similarity,
)
from spectraloom.analyze.identifier import Identifier
from spectraloom.analyze.least_squares import nnls
from spectraloom.analyze.outlier import OutlierStudy, study_outliers
from spectraloom.analyze.residual_peaks import ResidualPeak, line_table, name_residual_peaks
from spectraloom.analyze.sequence import SequentialDetector
from spectraloom.analyze.store import load, load_card, save
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.analyze.variants import variant_library

__all__ = [
    "Activity",
    "ConformalSets",
    "GainTracker",
    "Identifier",
    "MeanSpectra",
    "OutlierBoundary",
    "OutlierStudy",
    "ResidualPeak",
    "SequentialDetector",
    "Similarity",
    "SpectralEstimator",
    "SupervisedNMF",
    "activity",
    "line_table",
    "load",
    "load_card",
    "mean_spectra",
    "name_residual_peaks",
    "nnls",
    "random_examples",
    "save",
    "similarity",
    "study_outliers",
    "variant_library",
]
