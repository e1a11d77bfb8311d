"""Likelihood fits: templates that move, amounts, nuisances, tests."""

from __future__ import annotations

from spectraloom.analyze.likelihood.fit import LikelihoodFit, Nuisances, fit_templates
from spectraloom.analyze.likelihood.limits import detection_limits
from spectraloom.analyze.likelihood.pileup import pileup_templates
from spectraloom.analyze.likelihood.tables import (
    Resolution,
    TemplateTable,
    broaden,
    template_table,
)

__all__ = [
    "LikelihoodFit",
    "Nuisances",
    "Resolution",
    "TemplateTable",
    "broaden",
    "detection_limits",
    "fit_templates",
    "pileup_templates",
    "template_table",
]
