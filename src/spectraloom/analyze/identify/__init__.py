"""Identification: which sources, with stated error rates; limits, unknowns, time series."""

from __future__ import annotations
