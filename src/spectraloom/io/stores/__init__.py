"""Spectraloom's own lossless stores: npz and zarr."""

from __future__ import annotations
