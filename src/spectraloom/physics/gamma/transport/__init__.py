"""Photon transport by Monte Carlo, compiled."""

from __future__ import annotations
