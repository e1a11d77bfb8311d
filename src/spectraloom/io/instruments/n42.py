"""ANSI N42.42: what the native reader drops: digits, and that a file was cut off."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.data import Axis
from spectraloom.io.instruments.xml_guard import as_utf8, check_xml
from spectraloom.io.records import Record

MAX_CHANNELS = 2**20
_MOST_COUNTS = 2.0**53  # beyond, float64 cannot count
_LEAST_BYTES = 1024  # the native reader takes nothing shorter for N42
_DURATION = re.compile(r"^\s*P(?:(\d+)D)?(?:T(?:([\d.]+)H)?(?:([\d.]+)M)?(?:([\d.eE+-]+)S)?)?\s*$")
# Our own element in the standard's SpectrumExtension, and the columns that it never holds: they
# have a place in the standard, or tell of the file that is read.
COLUMNS = "SpectraloomColumns"
HELD = frozenset({"file", "record", "title", "detector", "start_time"})
_WANTED = {
    COLUMNS,
    "ChannelData",
    "LiveTime",
    "LiveTimeDuration",
    "RealTime",
    "RealTimeDuration",
    "SampleRealTime",
    "CoefficientValues",
    "Coefficients",
    "EnergyBoundaryValues",
    "RadDetectorName",
}


@dataclass(slots=True, eq=False)
class _Found:
    """One spectrum as the text has it."""

    counts: Array
    live_time: float
    real_time: float
    calibration: str
    coefficients: tuple[float, ...]
    detector: str
    columns: dict[str, Any]


@dataclass(slots=True)
class _Scan:
    """Collects spectra while the XML is checked."""

    spectra: list[_Found] = field(default_factory=list)
    coefficients: dict[str, tuple[float, ...]] = field(default_factory=dict)
    boundaries: dict[str, Array] = field(default_factory=dict)
    detectors: dict[str, str] = field(default_factory=dict)
    _detector: str = ""
    _calibration: str = ""
    _real: float = math.nan
    _spectrum: dict[str, str] | None = None
    _text: list[str] | None = None
    _zeroes: bool = False

    def restart(self) -> None:
        self.__init__()  # type: ignore[misc]

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "Spectrum":
            self._spectrum = {
                "calibration": attributes.get("energyCalibrationReference", ""),
                "detector": attributes.get("radDetectorInformationReference", ""),
            }
        elif tag == "RadDetectorInformation":
            self._detector = attributes.get("id", "")
        elif tag == "EnergyCalibration":
            self._calibration = attributes.get("id", "")
        elif tag in ("RadMeasurement", "DetectorData", "Measurement"):
            self._real = math.nan
        elif tag == "ChannelData":
            code = attributes.get("compressionCode", attributes.get("Compression", ""))
            self._zeroes = code.lower() == "countedzeroes"
        if tag in _WANTED:
            self._text = []

    def text(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def end(self, tag: str) -> None:
        if tag in _WANTED and self._text is not None:
            self._keep(tag, "".join(self._text))
            self._text = None
        elif tag == "Spectrum" and self._spectrum is not None:
            self._finish(self._spectrum)
            self._spectrum = None

    def _keep(self, tag: str, text: str) -> None:
        if self._spectrum is not None:
            self._spectrum[tag] = text
        elif tag in ("RealTimeDuration", "SampleRealTime"):
            self._real = _duration(text)
        elif tag == "CoefficientValues":
            self.coefficients[self._calibration] = _coefficients(text)
        elif tag == "RadDetectorName":
            self.detectors[self._detector] = " ".join(text.split())
        elif tag == "EnergyBoundaryValues":
            self.boundaries[self._calibration] = np.array(_coefficients(text))

    def _finish(self, found: dict[str, str]) -> None:
        if not found.get("ChannelData", "").strip():
            return
        real = _duration(found.get("RealTime", found.get("RealTimeDuration", "")))
        self.spectra.append(
            _Found(
                _channels(found["ChannelData"], self._zeroes),
                _duration(found.get("LiveTimeDuration", found.get("LiveTime", ""))),
                self._real if math.isnan(real) else real,
                found["calibration"],
                _coefficients(found.get("Coefficients", "")),
                found["detector"],
                _columns(found.get(COLUMNS, "")),
            )
        )


def check(content: bytes, name: str) -> tuple[bytes, _Scan]:
    """Refuse an N42 file that is damaged or cut off; take what its text says of its spectra.

    Raises
    ------
    FormatError
        If the XML is damaged or channel data are not numbers.
    """
    content = as_utf8(content)
    scan = _Scan()
    check_xml(content, name, "an N42 file", scan)
    return content.ljust(_LEAST_BYTES), scan


def refine(records: list[Record], scan: _Scan) -> None:
    """Give records the digits that the native reader, which holds float32, has dropped.

    A number is taken from the text only where it rounds to what the reader gave.
    """
    by_counts = defaultdict(list)
    for found in scan.spectra:
        by_counts[found.counts.astype(np.float32).tobytes()].append(found)
    axes: dict[tuple[object, ...], Axis] = {}
    if len(set(scan.detectors.values())) < len(scan.detectors):
        scan.detectors.clear()  # names that several share would not tell them apart
    for record in records:
        candidates = by_counts.get(record.counts.astype(np.float32).tobytes(), [])
        for found in candidates:
            if _near(found.live_time, record.live_time) and _near(
                found.real_time, record.real_time
            ):
                _take(record, found, scan, axes)
                candidates.remove(found)
                break


def _take(record: Record, found: _Found, scan: _Scan, axes: dict[tuple[object, ...], Axis]) -> None:
    record.counts = found.counts
    # The native reader gives the identifier; the name is what people wrote.
    if scan.detectors.get(found.detector):
        record.columns["detector"] = scan.detectors[found.detector]
    record.columns |= found.columns
    if not math.isnan(record.live_time):
        record.live_time = found.live_time
    if not math.isnan(record.real_time):
        record.real_time = found.real_time
    calibration = record.axis.calibration
    if calibration is None:
        return
    exact = found.coefficients or scan.coefficients.get(found.calibration, ())
    edges = scan.boundaries.get(found.calibration)
    n = record.counts.size
    if calibration.model == "polynomial" and _round_to(exact, calibration.coefficients):
        key: tuple[object, ...] = (n, *exact)
        if key not in axes:
            axes[key] = Axis.from_polynomial(exact, n)
        record.axis = axes[key]
    elif calibration.model == "lower edges" and edges is not None and edges.size == n + 1:
        key = (n, found.calibration)
        if np.allclose(edges, record.axis.values, rtol=1e-6, atol=1e-4):
            if key not in axes:
                axes[key] = Axis.from_edges(edges)
            record.axis = axes[key]


def _columns(text: str) -> dict[str, Any]:
    """Columns that :mod:`n42_writer` has written; ValueError if they are not what it writes."""
    if not text.strip():
        return {}
    try:
        columns = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{COLUMNS} is nested too deep") from error
    if not isinstance(columns, dict) or not all(map(_is_cell, columns.values())):
        raise ValueError(f"{COLUMNS} holds something else than names with texts and numbers")
    return {name: value for name, value in columns.items() if name not in HELD}


def _is_cell(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(label, str) for label in value)
    return isinstance(value, (str, int, float))


def _near(text: float, native: float) -> bool:
    if math.isnan(native):
        return math.isnan(text) or text <= 0
    return math.isclose(text, native, rel_tol=1e-6)


def _round_to(exact: tuple[float, ...], native: tuple[float, ...]) -> bool:
    length = max(len(exact), len(native))
    if len(exact) < 2:
        return False
    one, other = np.zeros(length), np.zeros(length)
    one[: len(exact)], other[: len(native)] = exact, native
    return bool(np.allclose(one, other, rtol=2e-7, atol=0.0))


def _duration(text: str) -> float:
    """Seconds of an ISO 8601 duration, or of a plain number; nan if it is neither."""
    match = _DURATION.match(text)
    try:
        if match is None:
            return float(text)
        days, hours, minutes, secs = (float(part) if part else 0.0 for part in match.groups())
    except ValueError:
        return math.nan
    return secs + 60.0 * minutes + 3600.0 * hours + 86400.0 * days


def _coefficients(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.replace(",", " ").split())
    except ValueError:
        return ()


def _channels(text: str, zeroes: bool) -> Array:
    try:
        values = np.array(text.replace(",", " ").split(), dtype=np.float64)
    except ValueError as error:
        raise ValueError("the channel data hold something that is not a number") from error
    if not (np.abs(values) <= _MOST_COUNTS).all():
        raise ValueError("the channel data hold numbers that are no possible counts")
    if zeroes:
        values = _expand(values)
    if values.size > MAX_CHANNELS:
        raise ValueError(f"a spectrum has more than {MAX_CHANNELS} channels")
    return values


def _expand(values: Array) -> Array:
    """Undo "counted zeroes": every zero is followed by how many there are."""
    lengths = np.ones(values.size, dtype=np.int64)
    keep = np.ones(values.size, dtype=bool)
    at = 0
    zeros = np.flatnonzero(values == 0)
    for zero in zeros.tolist():
        if zero < at or zero + 1 >= values.size:
            continue  # a count that happens to be zero, or a last zero without one
        if not 0 <= values[zero + 1] <= MAX_CHANNELS:
            raise ValueError(f"the channel data announce {values[zero + 1]:g} zeroes")
        lengths[zero] = int(values[zero + 1])
        keep[zero + 1] = False
        at = zero + 2
    if lengths[keep].sum() > MAX_CHANNELS:
        raise ValueError(f"a spectrum has more than {MAX_CHANNELS} channels")
    return np.repeat(values[keep], lengths[keep])
