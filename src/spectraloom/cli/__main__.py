"""Run as ``python -m spectraloom.cli``."""

from __future__ import annotations

from spectraloom.cli import main

main()
