"""Forward models and tables: what a source sends out, and what a detector makes of it."""

from __future__ import annotations

from spectraloom.physics import gamma

__all__ = ["gamma"]
