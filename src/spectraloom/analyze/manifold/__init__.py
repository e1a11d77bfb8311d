"""Signatures that deform, and the unmixing of spectra with them."""

from __future__ import annotations

from spectraloom.analyze.manifold.alternating import AlternatingFit, fit_alternating
from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.signature import (
    Deformation,
    SignatureModel,
    TabulatedSignature,
    join_signatures,
)

__all__ = [
    "AlternatingFit",
    "Deformation",
    "InterpolatedSignature",
    "SignatureModel",
    "TabulatedSignature",
    "fit_alternating",
    "join_signatures",
]
