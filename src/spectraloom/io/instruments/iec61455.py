"""IEC 61455 ``.iec``: text records that all begin with ``A004``.

Records 1 to 58 are a header, from record 59 on there are five counts a record, each record with
the number of its first channel. Fields have fixed widths and may touch each other.

| record | content |
|---|---|
| 1 | system, subsystem, converter number, segment, digital offset |
| 2 | live time, real time (s), number of channels |
| 3 | start of acquisition, time of sample collection |
| 4 | energy calibration: up to four polynomial coefficients |
| 5 | calibration of the full width at half maximum |
| 6-9 | description |
| 11-22 | energy and channel pairs |
| 59- | channel number and counts |

The polynomial gives the energy at the lower edge of channel i for integer i, as in the other
formats read here; the standard does not say whether edge or centre is meant.

Source of the layout: IEC 61455:1995, "MCA histogram data interchange format for nuclear
spectroscopy".
"""

from __future__ import annotations

import math
import re
from datetime import datetime

import numpy as np

from spectraloom._typing import Array
from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, FormatError
from spectraloom.io.records import Record, group_records
from spectraloom.io.source import Source

_PREFIX = b"A004"
_HEADER_RECORDS = 58
_MAX_CHANNELS = 2**20
_NUMBER = re.compile(r"[+-]?\d+\.?\d*(?:[eE][+-]\d\d)?")
_DATE = re.compile(r"(\d\d)[/.-](\d\d)[/.-](\d{2,4})\s+(\d\d):(\d\d):(\d\d)")
_WORD = 8


class IecReader:
    """Reads IEC 61455."""

    name = "IEC 61455"
    suffixes = (".iec",)

    def sniff(self, source: Source) -> bool:
        """Whether the first lines all begin with ``A004``."""
        lines = source.head[:1024].splitlines()
        return len(lines) > 1 and all(line.startswith(_PREFIX) for line in lines[:-1] if line)

    def read(self, source: Source) -> list[Spectra]:
        """Read the one spectrum.

        Raises
        ------
        FormatError
            If records are missing or malformed.
        """
        lines = [line[len(_PREFIX) :].rstrip() for line in self._lines(source)]
        if len(lines) <= _HEADER_RECORDS:
            raise self._error(source, f"it ends after {len(lines)} records")
        times = lines[1].split()
        try:
            live, real, n = float(times[0]), float(times[1]), int(times[2])
        except (IndexError, ValueError) as error:
            raise self._error(source, "record 2 holds no times and channels") from error
        if not 0 < n <= _MAX_CHANNELS or not math.isfinite(live + real):
            raise self._error(source, f"record 2 announces {n} channels in {real:g} s")
        counts = self._counts(source, lines[_HEADER_RECORDS:], n)
        columns = {
            "file": source.file,
            "record": 0,
            "detector": " ".join((lines[0][:_WORD] + " " + lines[0][_WORD : 2 * _WORD]).split()),
            "title": " ".join(" ".join(lines[5:9]).split()),
            "start_time": _start_time(lines[2]),
            "source_type": "unknown",
        }
        record = Record(
            counts,
            _axis(lines, n),
            live if live > 0 else math.nan,
            real if real > 0 else math.nan,
            columns,
        )
        return group_records([record], {"source": source.file, "format": self.name})

    def _lines(self, source: Source) -> list[str]:
        lines = source.content().decode("latin-1").splitlines()
        while lines and not lines[-1].strip("\0\x1a \t"):
            lines.pop()
        for number, line in enumerate(lines, start=1):
            if not line.startswith(_PREFIX.decode()):
                raise self._error(source, f"line {number} does not begin with A004")
        return lines

    def _counts(self, source: Source, lines: list[str], n: int) -> Array:
        try:
            rows = [[int(word) for word in line.split()] for line in lines]
        except ValueError as error:
            raise self._error(source, "its counts are not all whole numbers") from error
        counts: list[int] = []
        for first, *values in (row for row in rows if row):
            if first != len(counts):
                raise self._error(
                    source, f"counts of channel {first} follow those of channel {len(counts) - 1}"
                )
            counts += values
        # The last record may be padded with zeroes.
        if len(counts) < n or any(counts[n:]):
            raise self._error(source, f"it announces {n} channels and holds {len(counts)}")
        if min(counts) < 0:
            raise self._error(source, "its counts are negative")
        return np.array(counts[:n], dtype=np.float64)

    def _error(self, source: Source, what: str) -> FormatError:
        return FormatError(f"{source.name}: expected an IEC 61455 file, but {what}")


def _axis(lines: list[str], n: int) -> Axis:
    # Coefficients may touch each other, and some programs write more digits than the standard.
    coefficients = [float(number) for number in _NUMBER.findall(lines[3])]
    if any(coefficients):
        return _polynomial(coefficients, n)
    pairs = [float(number) for line in lines[10:22] for number in _NUMBER.findall(line)]
    energies, channels = np.array(pairs[::2]), np.array(pairs[1::2])
    if len(pairs) % 2:
        return Axis.uncalibrated(n)
    known = (energies != 0) | (channels != 0)
    order = min(int(known.sum()) - 1, 2)
    if order < 1:
        return Axis.uncalibrated(n)
    fitted = np.polynomial.Polynomial.fit(channels[known], energies[known], order).convert()
    return _polynomial(fitted.coef.tolist(), n)


def _polynomial(coefficients: list[float], n: int) -> Axis:
    try:
        return Axis.from_polynomial(coefficients, n)
    except AxisError:
        return Axis.uncalibrated(n)


def _start_time(line: str) -> np.datetime64:
    """First date of the record: the month leads unless a date of the record has a 13th month."""
    dates = [[int(part) for part in found] for found in _DATE.findall(line)]
    if not dates or not _DATE.match(line.strip()):
        return np.datetime64("NaT", "us")
    month, day, year, hour, minute, second = dates[0]
    if any(date[0] > 12 for date in dates):
        day, month = month, day
    if year < 100:
        year += 1900 if year >= 70 else 2000
    try:
        moment = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return np.datetime64("NaT", "us")
    return np.datetime64(moment, "us")


READER = IecReader()
