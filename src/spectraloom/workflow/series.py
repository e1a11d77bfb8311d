"""Alarms in series of spectra read from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectraloom.analyze.identify.alarms import Alarm, AlarmSeries, Sighting
from spectraloom.analyze.identify.gaps import after_gaps, start_times
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.sequence import SequentialDetector
from spectraloom.data.spectra import Spectra
from spectraloom.errors import AxisError, DataError
from spectraloom.io import read_groups
from spectraloom.io.reading import axis_texts
from spectraloom.workflow.chain import require_kind
from spectraloom.workflow.prepare import part_of

_MOST_OFF = 0.05  # relative difference of intervals that are the same
_MOST_DEAD = 0.5  # the same for live times, which fall where a strong source is near


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
        """Hours that were measured, without the gaps."""
        return len(self.series) * self.series.interval / 3600.0

    @property
    def n_gaps(self) -> int:
        """Places where spectra are missing and windows began anew, as far as times tell."""
        return int(after_gaps(self.spectra, self.series.interval).sum())

    def alarm_rows(self) -> list[dict[str, Any]]:
        """A row of plain values for each alarm.

        ``seconds`` and ``time`` are those of the beginning of the spectrum that raised it. Of its
        most significant window ``significance``, ``false_alarms_per_hour``, ``window_seconds``,
        its length, and ``since_seconds``, its beginning, are given. ``sources`` has the same for
        each source that was seen while the alarm was held. Seconds count from the beginning of
        the first spectrum.
        """
        return [self._row(alarm) for alarm in self.series.alarms]

    def lasted(self, row: Mapping[str, Any]) -> float:
        """Seconds from the beginning of an alarm, or of a source in it, to its last spectrum."""
        return float(row["last_seconds"] - row["seconds"] + self.series.interval)

    def _row(self, alarm: Alarm) -> dict[str, Any]:
        columns = self.spectra.columns
        own = {name: columns[name][alarm.start] for name in ("file", "record") if name in columns}
        return {
            "spectrum": alarm.start,
            **{name: value.item() for name, value in own.items()},
            **self._began(alarm.start),
            "names": list(alarm.names),
            **self._shown(alarm.best),
            "last_seconds": self._began(alarm.last)["seconds"],
            "sources": [
                {
                    "name": one.name,
                    "spectrum": one.start,
                    **self._began(one.start),
                    **self._shown(one),
                    "last_seconds": self._began(one.last)["seconds"],
                }
                for one in alarm.sightings
            ],
        }

    def _began(self, row: int) -> dict[str, Any]:
        """When a spectrum began."""
        times = start_times(self.spectra)
        if times is None:
            return {"time": None, "seconds": row * self.series.interval}
        passed = (times[row] - times[0]) / np.timedelta64(1, "us") / 1e6
        return {"time": str(times[row]), "seconds": float(passed)}

    def _shown(self, one: Sighting) -> dict[str, Any]:
        """How significant a source was, and in which window."""
        return {
            "significance": one.significance,
            "false_alarms_per_hour": one.per_hour,
            "window_seconds": one.length * self.series.interval,
            "since_seconds": self._began(one.since)["seconds"],
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything for JSON; the gain is there where it was followed."""
        detector, series = self.detector, self.series
        numbers: dict[str, Any] = {
            "alarms": self.alarm_rows(),
            "n_spectra": len(series),
            "hours": self.hours,
            "gaps": self.n_gaps,
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
        Seconds from one spectrum to the next; by default the median of their times. Where the
        next one begins more than two intervals (and a second) later, windows begin anew.
    seed : int
        Seed of the simulated background.
    progress : callable, optional

    Raises
    ------
    AxisError
        If the spectra lie on several axes.
    DataError
        If they are no counts, do not all last equally long, or their interval is not known or not
        the same.
    FitError
        If settings are out of range, or the background is too short.
    """
    part_of(progress, 0.0, 0.05)(0.0, "reading")
    quiet, spectra = read_series(background), read_series(series)
    for one in (quiet, spectra):
        require_kind(model, one)
    known = _interval(quiet, spectra, interval)
    detector = SequentialDetector(
        model,
        alarms_per_hour,
        longest,
        interval=known,
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


def _interval(background: Spectra, spectra: Spectra, given: float | None) -> float:
    """Seconds from one spectrum to the next, the same in both."""
    quiet, own = _seconds(background, "background"), _seconds(spectra, "series")
    if given is not None:
        return given
    if quiet is None or own is None:
        what = "background" if quiet is None else "series"
        raise DataError(
            f"the spectra of the {what} do not say how long they last: give the interval in "
            "seconds (--interval)"
        )
    if abs(quiet - own) > _MOST_OFF * own:
        raise DataError(
            f"the spectra of the background last {quiet:g} s, those of the series {own:g} s: a "
            "rate of false alarms holds for the interval it was learned with; give background of "
            "the same interval"
        )
    return own


def _seconds(spectra: Spectra, what: str) -> float | None:
    """How long each of the spectra lasts; None where they do not say."""
    for times, most in ((spectra.real_time, _MOST_OFF), (spectra.live_time, _MOST_DEAD)):
        known = np.zeros(0) if times is None else times[times > 0]
        if not len(known):
            continue
        middle = float(np.median(known))
        off = int((np.abs(known - middle) > most * middle).sum())
        if off:
            raise DataError(
                f"{off} of {len(known)} spectra of the {what} last between {known.min():g} and "
                f"{known.max():g} s, the others about {middle:g} s: windows are sums of spectra "
                "that last equally long; leave the others out"
            )
        return middle
    return None
