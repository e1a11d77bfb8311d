"""Signatures that deform, and the unmixing of spectra with them."""

from __future__ import annotations

from spectraloom.analyze.manifold.alternating import AlternatingFit, fit_alternating
from spectraloom.analyze.manifold.autoencoder import LearnedSignature
from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.signature import (
    Deformation,
    SignatureModel,
    TabulatedSignature,
    join_signatures,
)
from spectraloom.analyze.manifold.unmixer import ManifoldUnmixer
from spectraloom.analyze.manifold.weight_path import WeightPath

__all__ = [
    "AlternatingFit",
    "Deformation",
    "InterpolatedSignature",
    "LearnedSignature",
    "ManifoldUnmixer",
    "SignatureModel",
    "TabulatedSignature",
    "WeightPath",
    "fit_alternating",
    "join_signatures",
]
