"""Signatures that deform, and the unmixing of spectra with them."""

from __future__ import annotations

from spectraloom.analyze.manifold.alternating import AlternatingFit, fit_alternating
from spectraloom.analyze.manifold.autoencoder import LearnedSignature
from spectraloom.analyze.manifold.fit import ManifoldFit, fit_manifold
from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.latents import Latents
from spectraloom.analyze.manifold.misfit import left_out_errors, misfit_p_values
from spectraloom.analyze.manifold.sampler import Posterior, sample_posterior
from spectraloom.analyze.manifold.selection import ManifoldSelection, select_sources
from spectraloom.analyze.manifold.signature import (
    Deformation,
    SignatureModel,
    TabulatedSignature,
    join_signatures,
)
from spectraloom.analyze.manifold.table import ManifoldTable, manifold_table
from spectraloom.analyze.manifold.uncertainty import (
    observed_covariance,
    profile_amounts,
    profile_latents,
)
from spectraloom.analyze.manifold.unmixer import ManifoldUnmixer
from spectraloom.analyze.manifold.weight_path import WeightPath

__all__ = [
    "AlternatingFit",
    "Deformation",
    "InterpolatedSignature",
    "Latents",
    "LearnedSignature",
    "ManifoldFit",
    "ManifoldSelection",
    "ManifoldTable",
    "ManifoldUnmixer",
    "Posterior",
    "SignatureModel",
    "TabulatedSignature",
    "WeightPath",
    "fit_alternating",
    "fit_manifold",
    "join_signatures",
    "left_out_errors",
    "manifold_table",
    "misfit_p_values",
    "observed_covariance",
    "profile_amounts",
    "profile_latents",
    "sample_posterior",
    "select_sources",
]
