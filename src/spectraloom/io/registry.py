"""The one list of readers and writers, and what a reader and a writer are."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from spectraloom.data import Spectra
from spectraloom.io import archive
from spectraloom.io.instruments import chn, iec61455, n42_writer, pcf, spe
from spectraloom.io.instruments.specutils import NATIVE_READERS
from spectraloom.io.npy import gamma_flow
from spectraloom.io.source import Source
from spectraloom.io.stores import npz, zarr_store
from spectraloom.io.tables import excel, steel_sphere
from spectraloom.io.tables import text as table


class Reader(Protocol):
    """Reads one family of formats, recognised by content."""

    @property
    def name(self) -> str:
        """Name of the format, e.g. ``"IEC 61455"``."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Usual endings, for the documentation only: files are recognised by content."""

    def sniff(self, source: Source) -> bool:
        """Whether the first bytes are of this format; cheap, never raises."""

    def read(self, source: Source) -> list[Spectra]:
        """One Spectra per axis; raises FormatError only."""


class Writer(Protocol):
    """Writes one format."""

    @property
    def name(self) -> str:
        """Name of the format, e.g. ``"N42-2012"``."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """File name endings that choose this writer, lower case, e.g. ``(".n42",)``."""

    @property
    def time_precision(self) -> float:
        """Relative error with which it holds times that are neither zero nor too large; 0: none."""

    def write(self, spectra: Spectra, path: Path) -> None:
        """Write to a new file; raises FormatError if the format cannot hold the spectra."""


# In order of specificity: the first reader that recognises a source reads it.
# Zip containers come from the narrow to the wide; tables come last among texts.
READERS: tuple[Reader, ...] = (
    zarr_store.READER,
    npz.READER,
    excel.READER,
    gamma_flow.READER,
    *NATIVE_READERS,
    iec61455.READER,
    chn.READER,
    steel_sphere.READER,
    table.CSV_READER,
    archive.READER,
)
WRITERS: tuple[Writer, ...] = (
    n42_writer.WRITER,
    spe.WRITER,
    chn.WRITER,
    pcf.WRITER,
    table.CSV_WRITER,
    npz.WRITER,
    zarr_store.WRITER,
)
