"""Alarms: what was seen of each source while one is held, along a series, and how soon."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from spectraloom._typing import BoolArray, FloatArray, IntArray
from spectraloom.analyze.identify.drift import GainTrack


@dataclass(frozen=True, slots=True)
class Sighting:
    """One source in an alarm, from its first window above the threshold to its last, so far.

    Parameters
    ----------
    name : str
    start, last : int
        Numbers of the first and the last spectrum, from 0, whose windows were above the threshold.
    peak, length : int
        Last spectrum and number of spectra of the most significant window.
    score : float
        Of that window, see :class:`~spectraloom.analyze.identify.sequence.SequentialDetector`.
    significance : float
        In that window alone, in Gaussian standard deviations.
    per_hour : float
        False alarms per hour that are at least this significant, over all windows and names.
    """

    name: str
    start: int
    last: int
    peak: int
    length: int
    score: float
    significance: float
    per_hour: float

    @property
    def since(self) -> int:
        """First spectrum of the most significant window: about when the source came."""
        return self.peak - self.length + 1


@dataclass(frozen=True, slots=True)
class Alarm:
    """Sources in a stretch of a series in which there was always one above the threshold.

    Parameters
    ----------
    sightings : tuple of Sighting
        In the order in which they began, the more significant first. A source that is gone for
        longer than an alarm is held has another one when it comes again.
    """

    sightings: tuple[Sighting, ...]

    @property
    def start(self) -> int:
        """Number of the spectrum, from 0, with which the alarm was raised."""
        return self.sightings[0].start

    @property
    def last(self) -> int:
        """Last spectrum, so far, whose windows were above the threshold."""
        return max(one.last for one in self.sightings)

    @property
    def best(self) -> Sighting:
        """The most significant sighting."""
        return max(self.sightings, key=lambda one: one.score)

    @property
    def names(self) -> tuple[str, ...]:
        """Sources found, most significant first."""
        ordered = sorted(self.sightings, key=lambda one: -one.score)
        return tuple(dict.fromkeys(one.name for one in ordered))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AlarmSeries:
    """Scores and alarms of a series of n spectra.

    Parameters
    ----------
    alarms : tuple of Alarm
    names : tuple of str, length k
        Sources that were looked for.
    scores : ndarray, shape (n, k)
        Largest over the windows that end with a spectrum, see
        :class:`~spectraloom.analyze.identify.sequence.SequentialDetector`.
    lengths : ndarray of int, shape (n,)
        Length of the window with the largest score of all names.
    threshold : float
        Score at which an alarm is raised.
    on : ndarray of bool, shape (n,)
        Whether an alarm is held.
    interval : float
        Seconds from one spectrum to the next.
    gains : GainTrack or None
        Of the series, where the gain was followed.
    """

    alarms: tuple[Alarm, ...]
    names: tuple[str, ...]
    scores: FloatArray
    lengths: IntArray
    threshold: float
    on: BoolArray
    interval: float
    gains: GainTrack | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        alarms = ", ".join(f"{' + '.join(one.names)} at {one.start}" for one in self.alarms[:5])
        more = f" and {len(self.alarms) - 5} more" if len(self.alarms) > 5 else ""
        return (
            f"<AlarmSeries: {len(self)} spectra of {self.interval:g} s, alarms: "
            f"{alarms or 'none'}{more}>"
        )


@dataclass(frozen=True, slots=True, eq=False)
class TimeToDetect:
    """How long a source is there before its alarm, in simulated series.

    Parameters
    ----------
    name : str
    rate : float
        Counts per second of the source.
    seconds : ndarray, shape (n_trials,)
        From when the source appears to the end of the spectrum that raised the alarm; inf where
        there was none within `limit`.
    limit : float
        Longest time waited, seconds.
    """

    name: str
    rate: float
    seconds: FloatArray
    limit: float

    @property
    def median(self) -> float:
        """Median time to detect, seconds; inf if fewer than half were detected."""
        return float(np.quantile(self.seconds, 0.5, method="inverted_cdf"))

    @property
    def detected(self) -> float:
        """Part of the sources that were detected within the limit."""
        return float(np.isfinite(self.seconds).mean())


def renewed(alarm: Alarm | None, now: int, found: Iterable[Sighting], hold: int) -> Alarm | None:
    """An alarm after one more spectrum.

    Parameters
    ----------
    alarm : Alarm or None
        The one that was held.
    now : int
        Number of the spectrum.
    found : iterable of Sighting
        Names above the threshold in windows that end with it.
    hold : int
        Spectra without any name above the threshold that end an alarm, and those without a name
        that end its sighting.

    Returns
    -------
    Alarm or None
        The one that is held now.
    """
    seen = [] if alarm is None else list(alarm.sightings)
    running = {one.name: at for at, one in enumerate(seen) if now - one.last <= hold}
    ordered = sorted(found, key=lambda one: -one.score)
    for new in ordered:
        at = running.get(new.name)
        if at is None:
            seen.append(new)
        elif new.score > seen[at].score:
            seen[at] = replace(new, start=seen[at].start)
        else:
            seen[at] = replace(seen[at], last=now)
    if not ordered and (alarm is None or now - alarm.last >= hold):
        return None
    return Alarm(tuple(seen))
