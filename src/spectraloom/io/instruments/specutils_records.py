"""What SandiaSpecUtils read, as our records, with its known traps guarded.

- Where a file has no calibration it sets one of 0 to 3000 keV: such an axis is *uncalibrated*.
- It holds all numbers as float32: times and coefficients are taken as the shortest decimal
  that rounds to the float32, which is what the file said if it used up to seven digits.
- Channel energies are computed again in float64, unless deviation pairs bend them.
- A live or real time of zero means that the file does not say: nan.
- Records without gamma channels (gross counts, neutrons) are no spectra.
- Derived records (sums, differences) repeat counts of others: they are left out where there are
  others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import SpecUtils

from spectraloom._typing import Array
from spectraloom.data import Axis
from spectraloom.errors import AxisError
from spectraloom.io.records import Record

_EPOCH = np.datetime64("1970-01-01T00:00:00", "us")
NO_NAME = "unamed"  # the reader's own word for a detector without a name
_SOURCE_TYPES = {
    "Foreground": "foreground",
    "Background": "background",
    "Calibration": "calibration",
    "IntrinsicActivity": "intrinsic",
}

AxisCache = dict[tuple[Any, ...], Axis]


def shortest(value: float) -> float:
    """The shortest decimal that rounds to the same float32, as a float64.

    Examples
    --------
    >>> shortest(841.4199829101562)
    841.42
    """
    return float(str(np.float32(value)))


def seconds(value: float) -> float:
    """A time as the file meant it: nan where it is absent (zero) or no number."""
    time = shortest(value)
    return time if math.isfinite(time) and time > 0 else math.nan


def records_of(file: Any, name: str) -> tuple[list[Record], int]:
    """Records of a loaded ``SpecUtils.SpecFile``, and how many derived ones were left out.

    Parameters
    ----------
    file : SpecUtils.SpecFile
        A loaded file.
    name : str
        Base name, for the column ``file``.
    """
    measured = [m for m in file.measurements() if m.numGammaChannels() > 0]
    original = [m for m in measured if not m.derivedDataProperties()]
    if original:
        derived, measured = len(measured) - len(original), original
    else:
        derived = 0
    axes: AxisCache = {}
    return [_record(m, row, name, axes) for row, m in enumerate(measured)], derived


def _record(m: Any, row: int, name: str, axes: AxisCache) -> Record:
    counts = np.asarray(m.gammaCounts(), dtype=np.float64)
    columns: dict[str, Any] = {
        "file": name,
        "record": row,
        "detector": _text(m.detectorName),
        "title": _text(m.title),
        "start_time": _start_time(m),
        "sample": int(m.sampleNumber()),
        "source_type": _SOURCE_TYPES.get(m.sourceType().name, "unknown"),
        "neutron_counts": float(m.neutronCountsSum()) if m.containedNeutron() else math.nan,
    }
    if columns["detector"] == NO_NAME:
        columns["detector"] = ""
    if m.hasGpsInfo():
        columns["latitude"] = float(m.latitude())
        columns["longitude"] = float(m.longitude())
    return Record(
        counts, _axis(m, counts, axes), seconds(m.liveTime()), seconds(m.realTime()), columns
    )


def _text(get: Callable[[], str]) -> str:
    try:
        value = get()
    except UnicodeDecodeError as error:
        value = error.object.decode("latin-1")  # the text is not UTF-8
    return value.replace("\0", " ").strip()


def _start_time(m: Any) -> np.datetime64:
    try:
        time = np.datetime64(m.startTime(), "us")
    except (ValueError, OverflowError, RuntimeError):
        return np.datetime64("NaT", "us")
    # The reader says 1970 for "not known".
    return np.datetime64("NaT", "us") if time == _EPOCH else time


def _axis(m: Any, counts: Array, axes: AxisCache) -> Axis:
    n = counts.size
    model = m.energyCalibrationModel()
    kinds = SpecUtils.EnergyCalType
    if model == kinds.LowerChannelEdge:
        return _from_energies(np.asarray(m.channelEnergies(), dtype=np.float64), n)
    if model not in (kinds.Polynomial, kinds.FullRangeFraction):
        return Axis.uncalibrated(n)
    coefficients = tuple(shortest(c) for c in m.calibrationCoeffs())
    energies = np.asarray(m.channelEnergies(), dtype=np.float64)
    ends = tuple(energies[:: max(1, energies.size // 16)])
    key = (model == kinds.Polynomial, coefficients, n, ends)
    if key not in axes:
        axes[key] = _from_coefficients(key[0], coefficients, energies, n)
    return axes[key]


def _from_coefficients(
    polynomial: bool, coefficients: tuple[float, ...], energies: Array, n: int
) -> Axis:
    build = Axis.from_polynomial if polynomial else Axis.from_full_range_fraction
    try:
        axis = build(coefficients, n)
    except AxisError:
        return _from_energies(energies, n)
    if energies.size in (n, n + 1):
        difference = np.abs(energies - axis.values[: energies.size]).max()
        if difference > 2.0**-22 * np.abs(energies).max():
            return _from_energies(energies, n)  # deviation pairs
    return axis


def _from_energies(energies: Array, n: int) -> Axis:
    try:
        if energies.size == n + 1:
            return Axis.from_edges(energies)
        if energies.size == n:
            return Axis.from_lower_edges(energies)
    except AxisError:
        pass
    return Axis.uncalibrated(n)
