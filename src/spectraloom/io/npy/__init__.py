"""Numpy's ``.npy`` files: plain arrays, and GAMMA_FLOW's pickled ones, read without unpickling."""

from __future__ import annotations
