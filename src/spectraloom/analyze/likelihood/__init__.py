"""Likelihood fits: templates that move, amounts, nuisances, tests, limits and intervals."""

from __future__ import annotations

from spectraloom.analyze.likelihood.binning import (
    BINS_PER_FWHM,
    adaptive_edges,
    information_loss,
)
from spectraloom.analyze.likelihood.door import binned_templates
from spectraloom.analyze.likelihood.em import em_amounts
from spectraloom.analyze.likelihood.expected import expected_spectra
from spectraloom.analyze.likelihood.fit import LikelihoodFit, Nuisances, fit_templates
from spectraloom.analyze.likelihood.limits import ratio_limits
from spectraloom.analyze.likelihood.pileup import pileup_templates
from spectraloom.analyze.likelihood.profile import profile_intervals
from spectraloom.analyze.likelihood.tables import (
    Resolution,
    TemplateTable,
    broaden,
    template_table,
)

__all__ = [
    "BINS_PER_FWHM",
    "LikelihoodFit",
    "Nuisances",
    "Resolution",
    "TemplateTable",
    "adaptive_edges",
    "binned_templates",
    "broaden",
    "em_amounts",
    "expected_spectra",
    "fit_templates",
    "information_loss",
    "pileup_templates",
    "profile_intervals",
    "ratio_limits",
    "template_table",
]
