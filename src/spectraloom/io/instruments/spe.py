"""IAEA (Ortec) ASCII ``.spe``: exact numbers from the text, and the writer."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
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
)
from spectraloom.io.instruments.xml_guard import as_utf8
from spectraloom.io.records import Record

_MOST_COUNTS = 2.0**53  # beyond, float64 cannot count
_DETECTOR = "DETDESC#"
_LEAST_BYTES = 1024  # the native reader takes no very short files


@dataclass(slots=True)
class _Found:
    """One record as the text has it."""

    counts: Array | None = None
    live_time: float = math.nan
    real_time: float = math.nan
    coefficients: tuple[float, ...] = ()
    detector: str = ""


def check(content: bytes, name: str) -> tuple[bytes, list[_Found]]:
    """Refuse a file with another number of channels than it announces; take its numbers.

    Raises
    ------
    FormatError
        If there is no ``$DATA:``, or its counts are no numbers or not as many as announced.
    """
    content = as_utf8(content)
    found = [_Found()]
    try:
        document = content.decode()
    except UnicodeDecodeError:
        document = content.decode("latin-1")
    for tag, lines in _sections(document):
        current = found[-1]
        if tag == "$ENDRECORD":
            found.append(_Found())
        elif tag == "$DATA":
            current.counts = _counts(lines, name)
        elif tag == "$SPEC_REM":
            marked = [line for line in lines if line.startswith(_DETECTOR)]
            current.detector = " ".join(marked[0].removeprefix(_DETECTOR).split()) if marked else ""
        elif tag == "$MEAS_TIM":
            times = _floats(" ".join(lines[:1]))
            if len(times) == 2:
                current.live_time, current.real_time = times
        elif tag == "$MCA_CAL" and len(lines) > 1:
            current.coefficients = _floats(lines[1].lower().replace("kev", ""))
        elif tag == "$ENER_FIT" and lines and not current.coefficients:
            current.coefficients = _floats(lines[0])
    found = [one for one in found if one.counts is not None]
    if not found:
        raise FormatError(f"{name}: expected an IAEA SPE file, but it has no $DATA section")
    return content.ljust(_LEAST_BYTES, b"\n"), found


def refine(records: list[Record], found: list[_Found]) -> None:
    """Take exact counts, times and coefficients where they round to what was read.

    Raises
    ------
    FormatError
        If the counts of the text are others than those that the native reader gave.
    """
    if len(records) != len(found):
        return
    for record, text in zip(records, found, strict=True):
        if text.counts is None or not np.array_equal(
            text.counts.astype(np.float32), record.counts.astype(np.float32)
        ):
            raise FormatError(
                f"{record.columns['file']}: expected an IAEA SPE file, but its $DATA section can "
                "be read in two ways"
            )
        record.counts = text.counts
        if text.detector:
            record.columns["detector"] = text.detector
        if math.isclose(text.live_time, record.live_time, rel_tol=1e-6):
            record.live_time = text.live_time
        # Where the file has no real time the native reader repeats the live time.
        real = text.real_time
        record.real_time = real if real > 0 else math.nan
        calibration = record.axis.calibration
        if (
            calibration is not None
            and calibration.model == "polynomial"
            and len(text.coefficients) >= len(calibration.coefficients)
            and np.allclose(
                text.coefficients[: len(calibration.coefficients)],
                calibration.coefficients,
                rtol=2e-7,
                atol=0,
            )
        ):
            try:
                record.axis = Axis.from_polynomial(text.coefficients, record.counts.size)
            except AxisError:
                continue


def _sections(text: str) -> list[tuple[str, list[str]]]:
    sections: list[tuple[str, list[str]]] = []
    for line in re.split(r"[\r\n]+", text):  # a title may hold other signs that end lines
        stripped = line.strip()
        if stripped.startswith("$"):
            sections.append((stripped.partition(":")[0].upper(), []))
        elif sections and stripped:
            sections[-1][1].append(stripped)
    return sections


def _floats(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.replace(",", " ").split())
    except ValueError:
        return ()


def _counts(lines: list[str], name: str) -> Array:
    expected = "expected an IAEA SPE file"
    limits = _floats(lines[0]) if lines else ()
    if len(limits) != 2 or not 0 <= limits[0] <= limits[1]:
        raise FormatError(f"{name}: {expected}, but $DATA does not begin with two channel numbers")
    try:
        counts = np.array(" ".join(lines[1:]).replace(",", " ").split(), dtype=np.float64)
    except ValueError as error:
        raise FormatError(f"{name}: {expected}, but its counts are not all numbers") from error
    if not (np.abs(counts) <= _MOST_COUNTS).all():
        raise FormatError(f"{name}: {expected}, but its counts are not all possible numbers")
    announced = int(limits[1] - limits[0]) + 1
    # Some programs write the number of channels where the last channel belongs.
    slip = counts.size == announced - 1 and counts.size.bit_count() == 1
    if counts.size != announced and not slip:
        raise FormatError(
            f"{name}: {expected} with {announced} channels as it announces, but it holds "
            f"{counts.size}; it may be cut off"
        )
    return counts


class SpeWriter:
    """Writes IAEA ASCII SPE: one spectrum, a polynomial calibration."""

    name = "IAEA SPE"
    suffixes = (".spe",)
    time_precision = 0.0

    def write(self, spectra: Spectra, path: Path) -> None:
        """Write `spectra` to `path`.

        Raises
        ------
        FormatError
            If there are several, counts are fractional, or the axis is no polynomial.
        """
        require_counts(spectra, self.name)
        require_one(spectra, self.name)
        counts = np.asarray(spectra.values[0], dtype=np.float64)
        if not (counts == np.floor(counts)).all():
            raise FormatError("IAEA SPE holds whole counts, these have fractions: write N42")
        title = text_column(spectra, "title")[0].lstrip("$ ")  # a section begins with a dollar
        lines = ["$SPEC_ID:", title or "No sample description was entered."]
        detector = text_column(spectra, "detector")[0]
        if detector:
            lines += ["$SPEC_REM:", f"{_DETECTOR} {detector}"]
        start = start_moments(spectra)[0]
        if start is not None:
            lines += ["$DATE_MEA:", start.strftime("%m/%d/%Y %H:%M:%S.%f").rstrip("0").rstrip(".")]
        live, real = _time(spectra.live_time), _time(spectra.real_time)
        lines += ["$MEAS_TIM:", f"{live} {real}", "$DATA:", f"0 {counts.size - 1}"]
        lines += [str(int(value)) for value in counts]
        coefficients = polynomial_of(spectra.axis, self.name)
        if coefficients:
            numbers = " ".join(repr(c) for c in coefficients)
            linear = " ".join(repr(c) for c in coefficients[:2])
            lines += ["$ENER_FIT:", linear, "$MCA_CAL:", str(len(coefficients)), f"{numbers} keV"]
        path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")


def polynomial_of(axis: Axis, format_name: str) -> tuple[float, ...]:
    """Coefficients of the calibration polynomial; none if the axis is uncalibrated.

    Raises
    ------
    FormatError
        If the axis is calibrated otherwise.
    """
    if not axis.is_calibrated:
        return ()
    if axis.calibration is None or axis.calibration.model != "polynomial":
        raise FormatError(
            f"{format_name} holds an energy axis as a polynomial only, this one has "
            f"{axis.describe()} without one: write N42, which holds all bin edges"
        )
    return axis.calibration.coefficients


def _time(times: Array | None) -> str:
    if times is None or np.isnan(times[0]):
        return "0"
    return np.format_float_positional(float(times[0]), trim="-")


WRITER = SpeWriter()
