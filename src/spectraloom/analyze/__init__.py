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
from spectraloom.analyze.identify.activity import Activity, activity
from spectraloom.analyze.identify.conformal import ConformalSets
from spectraloom.analyze.identify.drift import GainTracker
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.residual_peaks import (
    ResidualPeak,
    line_table,
    name_residual_peaks,
)
from spectraloom.analyze.identify.sequence import SequentialDetector
from spectraloom.analyze.identify.variants import variant_library
from spectraloom.analyze.least_squares import nnls
from spectraloom.analyze.manifold import ManifoldUnmixer
from spectraloom.analyze.outlier import OutlierStudy, study_outliers
from spectraloom.analyze.store import load, load_card, save
from spectraloom.analyze.supervised_nmf import SupervisedNMF

__all__ = [
    "Activity",
    "ConformalSets",
    "GainTracker",
    "Identifier",
    "ManifoldUnmixer",
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
