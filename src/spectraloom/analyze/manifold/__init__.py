"""Signatures that deform, and the unmixing of spectra with them."""

from __future__ import annotations

from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.signature import (
    Deformation,
    SignatureModel,
    TabulatedSignature,
    join_signatures,
)

__all__ = [
    "Deformation",
    "InterpolatedSignature",
    "SignatureModel",
    "TabulatedSignature",
    "join_signatures",
]
