"""Figures of spectra, models and studies. Functions return a matplotlib Figure; show or save it."""

from __future__ import annotations

from spectraloom.plot.explore import plot_examples, plot_means, plot_similarity
from spectraloom.plot.identify import (
    plot_amounts,
    plot_efficiency,
    plot_false_alarms,
    plot_identified,
    plot_roc,
)
from spectraloom.plot.manifold import plot_deformation, plot_estimated, plot_latents
from spectraloom.plot.model import (
    plot_confusion,
    plot_denoised,
    plot_loadings,
    plot_misclassified,
)
from spectraloom.plot.outlier import (
    plot_importances,
    plot_outlier_feature,
    plot_robustness,
    plot_threshold_curves,
)
from spectraloom.plot.scores import plot_error_statistics, plot_mean_scores, plot_score_scatter
from spectraloom.plot.sequence import plot_alarms, plot_gain
from spectraloom.plot.spectra import plot_spectra
from spectraloom.plot.style import as_png, as_svg

__all__ = [
    "as_png",
    "as_svg",
    "plot_alarms",
    "plot_amounts",
    "plot_confusion",
    "plot_deformation",
    "plot_denoised",
    "plot_efficiency",
    "plot_error_statistics",
    "plot_estimated",
    "plot_examples",
    "plot_false_alarms",
    "plot_gain",
    "plot_identified",
    "plot_importances",
    "plot_latents",
    "plot_loadings",
    "plot_mean_scores",
    "plot_means",
    "plot_misclassified",
    "plot_outlier_feature",
    "plot_robustness",
    "plot_roc",
    "plot_score_scatter",
    "plot_similarity",
    "plot_spectra",
    "plot_threshold_curves",
]
