"""Alarms in series of spectra read from files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.sequence import Alarm, AlarmSeries, SequentialDetector
from spectraloom.data.spectra import Spectra
from spectraloom.errors import AxisError, DataError
from spectraloom.io import read_groups
from spectraloom.io.reading import axis_texts
from spectraloom.workflow.chain import require_kind
from spectraloom.workflow.prepare import part_of

_MOST_OFF = 0.05  # relative difference of intervals that are the same


@dataclass(frozen=True, slots=True, eq=False)
class FoundAlarms:
    """Alarms in a series of spectra, and the detector that raised them.

    Parameters
    ----------
    detector : SequentialDetector
        Fitted on the background.
    spectra : Spectra
        The series in the order of time.
    series : AlarmSeries
    """

    detector: SequentialDetector
    spectra: Spectra
    series: AlarmSeries

    @property
    def hours(self) -> float:
        """Length of the series."""
        return len(self.series) * self.series.interval / 3600.0

    def alarm_rows(self) -> list[dict[str, Any]]:
        """A row of plain values for each alarm.

        ``seconds`` and ``time`` are those of the beginning of the spectrum that raised it,
        ``since`` those of the beginning of its most significant window; ``window_seconds`` is the
        length of that window.
        """
        return [self._row(alarm) for alarm in self.series.alarms]

    def _row(self, alarm: Alarm) -> dict[str, Any]:
        interval = self.series.interval
        columns = self.spectra.columns
        own = {name: columns[name][alarm.start] for name in ("file", "record") if name in columns}
        times = start_times(self.spectra)
        return {
            "spectrum": alarm.start,
            **{name: value.item() for name, value in own.items()},
            "time": None if times is None else str(times[alarm.start]),
            "seconds": alarm.start * interval,
            "names": list(alarm.names),
            "significance": alarm.significance,
            "false_alarms_per_hour": alarm.per_hour,
            "window_seconds": alarm.length * interval,
            "since_seconds": alarm.since * interval,
            "last_seconds": alarm.last * interval,
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything for JSON; the gain is there where it was followed."""
        detector, series = self.detector, self.series
        numbers: dict[str, Any] = {
            "alarms": self.alarm_rows(),
            "n_spectra": len(series),
            "hours": self.hours,
            "interval": series.interval,
            "alarms_per_hour": detector.alarms_per_hour,
            "threshold": series.threshold,
            "windows": [length * series.interval for length in detector.windows],
            "names": list(series.names),
        }
        if series.gains is not None:
            numbers["gain"] = {
                "gains": series.gains.gains.tolist(),
                "uncertainties": series.gains.uncertainties.tolist(),
                "jumps": np.flatnonzero(series.gains.jumps).tolist(),
            }
        return {**numbers, "provenance": dict(detector.identifier.provenance_)}


def find_alarms(
    model: Identifier,
    background: Any,
    series: Any,
    *,
    alarms_per_hour: float = 1.0,
    longest: int = 32,
    gain_walk: float | None = None,
    hours: float | None = 12.0,
    interval: float | None = None,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> FoundAlarms:
    """Read a background series and a series, and find sources that come and go.

    Parameters
    ----------
    model : Identifier
        Fitted with a background.
    background, series : path, glob, folder or sequence of these
        Counts on one axis, taken in the order of time; see :func:`read_series`.
    alarms_per_hour, longest, gain_walk, hours
        See :class:`~spectraloom.analyze.identify.sequence.SequentialDetector`.
    interval : float, optional
        Seconds from one spectrum to the next; by default the median of their times.
    seed : int
        Seed of the simulated background.
    progress : callable, optional

    Raises
    ------
    AxisError
        If the spectra lie on several axes.
    DataError
        If they are no counts, or their interval is not known or not the same.
    FitError
        If settings are out of range, or the background is too short.
    """
    part_of(progress, 0.0, 0.05)(0.0, "reading")
    quiet, spectra = read_series(background), read_series(series)
    for one in (quiet, spectra):
        require_kind(model, one)
    detector = SequentialDetector(
        model,
        alarms_per_hour,
        longest,
        interval=_interval(quiet, spectra) if interval is None else interval,
        hours=hours,
        gain_walk=gain_walk,
        random_state=seed,
    )
    detector.fit(quiet, progress=part_of(progress, 0.05, 0.7))
    return FoundAlarms(
        detector, spectra, detector.process(spectra, progress=part_of(progress, 0.7, 1.0))
    )


def read_series(source: Any) -> Spectra:
    """Spectra of a series in the order of time.

    Where all spectra state when they began they are sorted by that; otherwise they are taken as
    they come: files in the order given, those of a folder or pattern by name.

    Parameters
    ----------
    source : path, glob, folder or sequence of these

    Raises
    ------
    AxisError
        If the spectra lie on several axes.
    """
    groups = read_groups(source)
    if len(groups) > 1:
        raise AxisError(
            f"a series lies on one axis, but these spectra lie on {len(groups)}: "
            f"{'; '.join(axis_texts(groups)[:3])}: give those of one detector and calibration"
        )
    spectra = groups[0]
    times = start_times(spectra)
    return spectra if times is None else spectra[np.argsort(times, kind="stable")]


def start_times(spectra: Spectra) -> Array | None:
    """When each spectrum began, shape (n,); None where some do not say."""
    times = spectra.columns.get("start_time")
    if times is None or times.dtype.kind != "M" or np.isnat(times).any():
        return None
    return times


def _interval(background: Spectra, spectra: Spectra) -> float:
    """Seconds from one spectrum to the next, the same in both."""
    quiet, own = _seconds(background, "background"), _seconds(spectra, "series")
    if abs(quiet - own) > _MOST_OFF * own:
        raise DataError(
            f"the spectra of the background last {quiet:g} s, those of the series {own:g} s: a "
            "rate of false alarms holds for the interval it was learned with; give background of "
            "the same interval"
        )
    return own


def _seconds(spectra: Spectra, what: str) -> float:
    for times in (spectra.real_time, spectra.live_time):
        known = np.zeros(0) if times is None else times[times > 0]
        if len(known):
            return float(np.median(known))
    raise DataError(
        f"the spectra of the {what} do not say how long they last: give the interval in seconds "
        "(--interval)"
    )
