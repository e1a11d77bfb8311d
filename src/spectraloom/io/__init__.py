"""Reading and writing spectra: one front door for every supported format."""

from __future__ import annotations

from spectraloom.io.isolate import Isolation
from spectraloom.io.reading import formats, read, read_groups
from spectraloom.io.writing import write

__all__ = ["Isolation", "formats", "read", "read_groups", "write"]
