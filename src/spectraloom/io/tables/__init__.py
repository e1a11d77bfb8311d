"""Tables of spectra: text files and workbooks."""

from __future__ import annotations
