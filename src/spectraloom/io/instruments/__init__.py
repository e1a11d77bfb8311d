"""Instrument files: what SandiaSpecUtils reads, guarded, and what we read and write ourselves."""

from __future__ import annotations
