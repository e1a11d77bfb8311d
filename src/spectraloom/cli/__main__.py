"""Run as ``python -m spectraloom.cli``."""

from __future__ import annotations

import sys

from spectraloom.cli import main

if __name__ == "__main__":
    sys.exit(main())
