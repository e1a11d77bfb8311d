"""Ortec integer ``.chn``: 32 bytes of header, int32 counts, 512 bytes of calibration and texts.

The native reader sets the first two and the last two channels to zero, because some hardware
keeps its clocks in channels 0 and 1. This reader does so only where those channels hold just the
live and the real time of the header, and keeps the counts otherwise.

Source of the layout: ORTEC, "Software File Structure Manual for DOS and Windows Systems".
"""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path

import numpy as np

from spectraloom._typing import Array
from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, FormatError
from spectraloom.io.instruments.describe import (
    require_counts,
    require_one,
    start_moments,
    text_column,
    time_or_zero,
)
from spectraloom.io.instruments.spe import polynomial_of
from spectraloom.io.instruments.specutils_records import shortest
from spectraloom.io.records import Record, group_records
from spectraloom.io.source import Source

_HEADER = struct.Struct("<hhh2sii8s4shH")
_TRAILER = struct.Struct("<hh6f")
_TRAILER_BYTES = 512
_TICKS = 50  # per second
_QUADRATIC, _LINEAR = -102, -101
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class ChnReader:
    """Reads Ortec integer CHN."""

    name = "Ortec CHN"
    suffixes = (".chn",)

    def sniff(self, source: Source) -> bool:
        """Whether it begins with -1 and a header whose channels fit into the file."""
        if len(source.head) < _HEADER.size or source.head[:2] != b"\xff\xff":
            return False
        _, _, segment, second, real, live, date, hour, first, channels = _HEADER.unpack_from(
            source.head
        )
        digits = second.strip(b"\0 ") + hour.strip(b"\0 ")
        return (
            segment >= 0
            and real >= 0
            and live >= 0
            and first in (0, 1)
            and 0 < channels <= 65535
            and (digits == b"" or digits.isdigit())
            and all(byte < 128 for byte in date)
        )

    def read(self, source: Source) -> list[Spectra]:
        """Read the one spectrum.

        Raises
        ------
        FormatError
            If the file is shorter than its header announces, or counts are negative.
        """
        data = source.content()
        *_, real, live, _, _, _, n = _HEADER.unpack_from(data)
        if len(data) < _HEADER.size + 4 * n:
            raise FormatError(
                f"{source.name}: expected an Ortec CHN file with {n} channels as it announces, but "
                f"it ends after {len(data)} bytes: it is cut off"
            )
        counts = np.frombuffer(data, "<i4", n, _HEADER.size).astype(np.float64)
        if counts[:2].tolist() in ([real, live], [live, real]) and real > 0:
            counts[:2] = 0.0  # clocks, not counts
        if counts.min() < 0:
            raise FormatError(f"{source.name}: expected an Ortec CHN file, but counts are negative")
        axis, columns = _trailer(data[_HEADER.size + 4 * n :], n)
        columns |= {
            "file": source.file,
            "record": 0,
            "start_time": _start_time(data),
            "source_type": "unknown",
        }
        record = Record(
            counts,
            axis,
            live / _TICKS if live > 0 else np.nan,
            real / _TICKS if real > 0 else np.nan,
            columns,
        )
        return group_records([record], {"source": source.file, "format": self.name})


def _trailer(data: bytes, n: int) -> tuple[Axis, dict[str, object]]:
    axis = Axis.uncalibrated(n)
    columns: dict[str, object] = {"detector": "", "title": ""}
    if len(data) >= _TRAILER.size:
        kind, _, *terms = _TRAILER.unpack_from(data)
        number = {_QUADRATIC: 3, _LINEAR: 2}.get(kind, 0)
        coefficients = [shortest(c) for c in terms[:number]]
        # Programs write 0 + 1 * channel where there is no calibration.
        if number and coefficients[:2] not in ([0.0, 0.0], [0.0, 1.0]):
            try:
                axis = Axis.from_polynomial(coefficients, n)
            except AxisError:
                axis = Axis.uncalibrated(n)
    if len(data) >= 320 + 64:
        columns["detector"] = _pascal(data[256:320])
        columns["title"] = _pascal(data[320:384])
    return axis, columns


def _pascal(field: bytes) -> str:
    return field[1 : 1 + min(field[0], 63)].decode("latin-1").replace("\0", " ").strip()


def _start_time(data: bytes) -> np.datetime64:
    """Seconds at byte 6, DDMMMYYc at 16 (c is 1 from 2000 on), HHMM at 24."""
    text = data[16:28].decode("latin-1")
    century = 1900 if text[7] == "0" else 2000
    try:
        moment = datetime(
            century + int(text[5:7]),
            _MONTHS.index(text[2:5].capitalize()) + 1,
            int(text[:2]),
            int(text[8:10]),
            int(text[10:12]),
            int(data[6:8]),
        )
    except ValueError:
        return np.datetime64("NaT", "us")
    return np.datetime64(moment, "us")


class ChnWriter:
    """Writes Ortec integer CHN: one spectrum of whole counts, times in steps of 20 ms."""

    name = "Ortec CHN"
    suffixes = (".chn",)
    time_precision = 0.0

    def write(self, spectra: Spectra, path: Path) -> None:
        """Write `spectra` to `path`.

        Raises
        ------
        FormatError
            If there are several, counts are fractional or above 2^31 - 1, the polynomial is above
            second order, or a time is no multiple of 20 ms.
        """
        require_counts(spectra, self.name)
        require_one(spectra, self.name)
        counts = np.asarray(spectra.values[0], dtype=np.float64)
        if counts.size > 65535:
            raise FormatError(f"Ortec CHN holds 65535 channels, there are {counts.size}")
        if counts.max() > 2**31 - 1 or not (counts == np.floor(counts)).all():
            raise FormatError(
                "Ortec CHN holds whole counts up to 2147483647; these are fractional or larger: "
                "write N42"
            )
        coefficients = polynomial_of(spectra.axis, self.name)
        if len(coefficients) > 3 and any(coefficients[3:]):
            raise FormatError("Ortec CHN holds polynomials up to second order: write N42")
        live, real = _ticks(spectra.live_time, "live"), _ticks(spectra.real_time, "real")
        second, date, hour = _date_fields(start_moments(spectra)[0])
        header = _HEADER.pack(-1, 0, 1, second, real, live, date, hour, 0, counts.size)
        terms = [*coefficients, 0.0, 0.0, 0.0][:3]
        trailer = bytearray(_TRAILER_BYTES)
        _TRAILER.pack_into(trailer, 0, _QUADRATIC, 0, *terms, 0.0, 0.0, 0.0)
        for offset, name in ((256, "detector"), (320, "title")):
            text = text_column(spectra, name)[0].encode("latin-1", errors="replace")[:63]
            trailer[offset] = len(text)
            trailer[offset + 1 : offset + 1 + len(text)] = text
        path.write_bytes(header + counts.astype("<i4").tobytes() + bytes(trailer))


def _ticks(times: Array | None, which: str) -> int:
    time = time_or_zero(times, 0)
    ticks = round(time * _TICKS)
    if ticks / _TICKS != time or ticks > 2**31 - 1:
        raise FormatError(
            f"Ortec CHN holds times in steps of 20 ms up to 497 days, not a {which} time of "
            f"{time!r} s: round it first, or write N42"
        )
    return ticks


def _date_fields(start: datetime | None) -> tuple[bytes, bytes, bytes]:
    if start is None or not 1900 <= start.year < 2100:
        return b"\0\0", b"\0" * 8, b"\0" * 4
    century = "1" if start.year >= 2000 else "0"
    date = f"{start.day:02d}{_MONTHS[start.month - 1]}{start.year % 100:02d}{century}"
    return f"{start.second:02d}".encode(), date.encode(), start.strftime("%H%M").encode()


READER = ChnReader()
WRITER = ChnWriter()
