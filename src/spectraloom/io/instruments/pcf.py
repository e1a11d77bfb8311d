"""GADRAS ``.pcf``: a check of its structure before the native reader, and the writer.

A file is a header of 256 bytes and records of a fixed number of 256-byte blocks, each with 256
bytes of texts, times and calibration followed by float32 counts.

Source of the layout: Horne et al., "GADRAS-DRF User's Manual", SAND2014-19465 (2014).
"""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path

import numpy as np

from spectraloom._typing import Array
from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError
from spectraloom.io.instruments.describe import (
    require_counts,
    start_moments,
    text_column,
    time_or_zero,
)
from spectraloom.io.records import Record

_BLOCK = 256
_TEXTS = 180
_TIME_AND_TAG = 24
_NUMBERS = struct.Struct("<12fi")
_MAX_CHANNELS = 65536
_LIVE, _REAL, _MULTIPLIER = 0, 1, 4


def looks_like(head: bytes, size: int) -> bool:
    """Whether header and first record are those of a PCF file."""
    if len(head) < 2 * _BLOCK:
        return False
    blocks = int.from_bytes(head[:2], "little")
    if not 1 < blocks <= 2 + 4 * _MAX_CHANNELS // _BLOCK:
        return False
    if head[2:5] not in (b"DHS", b"   ", b"783"):
        return False
    if _has_deviation_pairs(head):
        return size > 2 * _BLOCK
    channels = _NUMBERS.unpack_from(head, _BLOCK + _TEXTS + _TIME_AND_TAG)[-1]
    return bool(0 <= channels <= 64 * (blocks - 1))


def _has_deviation_pairs(data: bytes) -> bool:
    return data[_BLOCK : _BLOCK + 14] == b"DeviationPairs"


def check(content: bytes, name: str) -> tuple[bytes, None]:
    """Refuse records that are cut off or hold values that are no counts.

    Raises
    ------
    FormatError
        If a record is incomplete, or times or counts are negative or no finite numbers.
    """
    if _has_deviation_pairs(content):
        return content, None  # the native reader knows the variants of that block
    step = _BLOCK * int.from_bytes(content[:2], "little")
    for number, start in enumerate(range(_BLOCK, len(content), step), start=1):
        record = content[start : start + step]
        if len(record) < _BLOCK:
            raise FormatError(f"{name}: expected a PCF file, but record {number} is cut off")
        numbers = _NUMBERS.unpack_from(record, _TEXTS + _TIME_AND_TAG)
        channels = numbers[-1]
        if not 0 <= channels <= min((step - _BLOCK) // 4, _MAX_CHANNELS):
            raise FormatError(
                f"{name}: expected a PCF file, but record {number} announces {channels} channels"
            )
        # The last record may leave its padding out.
        if len(record) < _BLOCK + 4 * channels:
            raise FormatError(f"{name}: expected a PCF file, but record {number} is cut off")
        counts = np.frombuffer(record, "<f4", channels, _BLOCK)
        times = np.array([numbers[_LIVE], numbers[_REAL]])
        energies = number == 1 and record[:_TEXTS].strip(b"\xff\0 ")[:6].lower() == b"energy"
        valid = np.isfinite(counts).all() and np.isfinite(times).all()
        if not valid or (not energies and channels and counts.min() < 0):
            raise FormatError(
                f"{name}: expected a PCF file, but record {number} holds values that are no counts"
            )
    return content, None


def refine(records: list[Record], _found: None) -> None:
    """The native reader calls every record foreground unless its title says otherwise."""
    for record in records:
        title = str(record.columns.get("title", "")).lower()
        if record.columns.get("source_type") == "foreground" and "foreground" not in title:
            record.columns["source_type"] = "unknown"


class PcfWriter:
    """Writes GADRAS PCF: any number of spectra, all numbers as float32."""

    name = "GADRAS PCF"
    suffixes = (".pcf",)
    time_precision = 2.0**-23  # float32, read back as the shortest decimal number of that value

    def write(self, spectra: Spectra, path: Path) -> None:
        """Write `spectra` to `path`.

        Raises
        ------
        FormatError
            If counts are not held exactly by float32, or there are too many channels.
        """
        require_counts(spectra, self.name)
        n = spectra.n_channels
        if n > _MAX_CHANNELS - 64:
            raise FormatError(f"GADRAS PCF holds {_MAX_CHANNELS - 64} channels, there are {n}")
        with np.errstate(over="ignore"):
            counts = np.asarray(spectra.values, dtype="<f4")
        if not np.array_equal(counts.astype(np.float64), spectra.values):
            raise FormatError(
                "GADRAS PCF holds counts as float32; these would change (whole counts are exact up "
                "to 16777216): write N42"
            )
        terms, edges = _terms(spectra.axis)
        blocks = 1 + -(-4 * (n + (edges is not None)) // _BLOCK)
        header = bytearray(b" " * _BLOCK)
        header[:5] = struct.pack("<h", blocks) + b"DHS"
        struct.pack_into("<h", header, 64, -1)  # lane number: none
        struct.pack_into("<i", header, 236, 0)  # item quantity: none
        titles = text_column(spectra, "title")
        starts = start_moments(spectra)
        if titles[0].lower() == "energy":
            raise FormatError("GADRAS PCF keeps the title 'Energy' for its axis: choose another")
        with path.open("wb") as file:
            file.write(header)
            if edges is not None:
                file.write(_record("Energy", starts[0], 1.0, 1.0, terms, edges, blocks))
            for row in range(len(spectra)):
                live = time_or_zero(spectra.live_time, row)
                real = time_or_zero(spectra.real_time, row)
                file.write(
                    _record(titles[row], starts[row], live, real, terms, counts[row], blocks)
                )


def _terms(axis: Axis) -> tuple[tuple[float, ...], Array | None]:
    """Five terms of the full-range-fraction formula, or all edges where it has no such form."""
    none = (0.0,) * 5
    if not axis.is_calibrated:
        return none, None
    calibration = axis.calibration
    if calibration is not None and len(calibration.coefficients) <= 5:
        c = calibration.coefficients
        if calibration.model == "full range fraction":
            return (*c, *none)[:5], None
        if calibration.model == "polynomial" and len(c) <= 4:
            scaled = tuple(value * axis.n_channels**power for power, value in enumerate(c))
            return (*scaled, *none)[:5], None
    edges = axis.edges
    return (float(edges[0]), float(edges[-1] - edges[0]), 0.0, 0.0, 0.0), edges.astype("<f4")


def _record(
    title: str,
    start: datetime | None,
    live: float,
    real: float,
    terms: tuple[float, ...],
    counts: Array,
    blocks: int,
) -> bytes:
    texts = title.encode("latin-1", errors="replace").lstrip(b"\xff")[:60].ljust(_TEXTS)
    moment = b""
    if start is not None:
        moment = start.strftime("%d-%b-%Y %H:%M:%S.%f")[:23].encode()
    numbers = _NUMBERS.pack(live, real, 0.0, 0.0, 1.0, *terms, 0.0, 0.0, counts.size)
    record = texts + moment.ljust(_TIME_AND_TAG) + numbers + counts.tobytes()
    return record.ljust(_BLOCK * blocks, b"\0")


WRITER = PcfWriter()
