"""Alarms in a series of spectra, with a stated number of false alarms per hour."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from numbers import Integral
from typing import Any

import numpy as np

from spectraloom._typing import Array, FloatArray, IntArray, Progress
from spectraloom.analyze.identify.alarm_rate import AlarmRate, block_maxima, require_blocks
from spectraloom.analyze.identify.alarms import Alarm, AlarmSeries, Sighting, TimeToDetect, renewed
from spectraloom.analyze.identify.drift import GainTrack, GainTracker, at_gain
from spectraloom.analyze.identify.gaps import after_gaps, start_times, stretches
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.mixtures import fit_shape
from spectraloom.analyze.identify.significance import significance_of_log
from spectraloom.analyze.identify.window_gains import WindowGains, at_gains, wander
from spectraloom.analyze.identify.window_scores import window_scores
from spectraloom.data.axis import require_same_axis
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, FitError

_CHUNK = 256  # spectra whose windows are summed and fitted at a time
_BLOCK = 4  # longest windows to a block of the rate of false alarms
_TRIAL_CHUNK = 16
_REACH = 2.0  # widths of its prior that a simulated gain walks at most
_HOUR = 3600.0


class SequentialDetector:
    """Raise an alarm when a source appears in a series of spectra.

    With every spectrum, the sums of the last 1, 2, 4, 8 ... spectra are analysed: short windows
    catch a strong source at once, long ones a weak source later. The amount of the background is
    fitted in each window, so its level may change; only shapes count. A window and a name score
    minus the natural log of their p-value, less an offset of the window; nothing if the amount is
    less than the errors of the templates of the other sources could imitate (``model_error`` of
    the identifier; ``min_share`` has no part in alarms). An alarm is raised when the largest score
    reaches one threshold for all windows and names. It is held until no window has reached it for
    as long as the longest window lasts, so that no two alarms share data. While it is held every
    other name that reaches the threshold is added to it, with its own beginning and end: a source
    that stays does not hide one that passes by.

    Where spectra say when they began (``start_time``), windows begin anew, and alarms end, at gaps:
    spectra that are hours apart are not summed.

    The names share the error budget at equal p-values, the windows in equal numbers of false
    alarms: long windows overlap more and are fewer in effect, so that each may have a larger
    p-value. Offsets and threshold are learned from a background series, which uses the dependence
    of overlapping windows where Bonferroni's rule would pay for each of them in full (see
    :class:`~spectraloom.analyze.identify.alarm_rate.AlarmRate`).

    With `gain_walk` the gain is followed from spectrum to spectrum
    (:class:`~spectraloom.analyze.identify.drift.GainTracker`), and each window is fitted with what
    was known of it before the window began. Where the gain jumps, windows begin anew.

    Parameters
    ----------
    identifier : Identifier
        Fitted, with a background.
    alarms_per_hour : float
        False alarms per hour of background.
    longest : int
        Longest window in spectra, a power of two.
    interval : float
        Seconds from one spectrum to the next.
    hours : float or None
        Hours of background that are simulated to learn the rate of false alarms; None takes the
        background series as it was measured. At least 200 of the longest windows; :meth:`fit`
        takes longer in proportion.
    gain_walk : float or None
        Standard deviation by which the gain walks in a second, relative, see
        :class:`~spectraloom.analyze.identify.drift.GainTracker`; simulated background has such a
        walk. None does not follow the gain: each window finds its own, from the prior of the
        identifier.
    confidence : float
        Probability that the true rate of false alarms is no larger than stated, given the limited
        hours it was learned from.
    random_state : int or None
        Seed of the simulation.

    Attributes
    ----------
    rate_ : AlarmRate
    offsets_ : ndarray, shape (n_windows,)
        Taken off the score of each window, so that all give as many false alarms; their mean is
        zero.
    threshold_ : float
        Score at which an alarm is raised.
    shares_ : dict of int to float
        Part of the largest scores by chance that came from each length of window.
    background_ : ndarray, shape (n_channels,)
        Mean spectrum of the background series.
    level_ : ndarray, shape (n_spectra,)
        Its counts per spectrum, smoothed.
    n_background_ : int
        Spectra of the background series.
    axis_ : Axis

    Examples
    --------
    >>> import numpy as np
    >>> from spectraloom.data import Library
    >>> rng = np.random.default_rng(0)
    >>> peak = np.exp(-0.5 * ((np.arange(32) - 16) / 2) ** 2)
    >>> level = 200 * np.exp(-np.arange(32) / 10)
    >>> background = Spectra(rng.poisson(level, (600, 32)))
    >>> source = Library(peak[np.newaxis], background.axis, ("Cs137",))
    >>> identifier = Identifier(source, n_bootstrap=0).fit(background)
    >>> detector = SequentialDetector(identifier, longest=8, hours=1.0).fit(background)
    >>> series = rng.poisson(level + 60 * peak * (np.arange(100) >= 50)[:, np.newaxis])
    >>> [(alarm.start, alarm.names) for alarm in detector.process(Spectra(series)).alarms]
    [(50, ('Cs137',))]
    """

    def __init__(
        self,
        identifier: Identifier,
        alarms_per_hour: float = 1.0,
        longest: int = 32,
        *,
        interval: float = 1.0,
        hours: float | None = 12.0,
        gain_walk: float | None = None,
        confidence: float = 0.95,
        random_state: int | None = 0,
    ) -> None:
        self.identifier = identifier
        self.alarms_per_hour = alarms_per_hour
        self.longest = longest
        self.interval = interval
        self.hours = hours
        self.gain_walk = gain_walk
        self.confidence = confidence
        self.random_state = random_state

    @property
    def windows(self) -> tuple[int, ...]:
        """Lengths of the windows in spectra."""
        return tuple(2**power for power in range(self.longest.bit_length()))

    @property
    def names(self) -> tuple[str, ...]:
        """Sources that are looked for."""
        return tuple(self.identifier.library_.unique_names)

    # -- training ------------------------------------------------------------------------

    def fit(self, background: Spectra, *, progress: Progress | None = None) -> SequentialDetector:
        """Learn from background how high scores get by chance.

        Parameters
        ----------
        background : Spectra
            Counts in the order of time, without sources. Its mean shape and its slowly varying
            level are simulated, or it is used itself if `hours` is None. It should be a hundred
            times as long as the longest window, and so should the background that the identifier
            was fitted on: what is not known of its shape looks like weak sources.
        progress : callable, optional

        Raises
        ------
        FitError
            If settings are out of range, the identifier has no background, or there is too
            little background.
        """
        self._require_settings()
        require_counts(background)
        if not background.totals.any():
            raise FitError("the background series holds no counts")
        fitted = copy(self)  # a fit that fails leaves what was learned before
        fitted._learn_from(background, progress)
        vars(self).update(vars(fitted))
        return self

    def _learn_from(self, background: Spectra, progress: Progress | None) -> None:
        if self.hours is None:
            parts = stretches(after_gaps(background, self.interval))
        else:
            parts = [slice(0, round(self.hours * _HOUR / self.interval))]
        n, block = parts[-1].stop, _BLOCK * self.longest
        # The first spectra lack the long windows.
        whole = sum(max(part.stop - part.start - self.longest + 1, 0) for part in parts)
        require_blocks(whole // block, block * self.interval / _HOUR)
        self.axis_ = background.axis
        self.n_background_ = len(background)
        self.background_ = background.values.mean(axis=0, dtype=np.float64)
        self.level_ = _slow_level(background.totals, self.longest)
        simulated = self._simulated(n)
        scores, done = [], 0
        for part in parts:
            memory, largest = self._memory(), []
            for first in range(part.start, part.stop, _CHUNK):
                stop = min(first + _CHUNK, part.stop)
                values = next(simulated) if self.hours else background.values[first:stop]
                largest.append(self._window_scores(memory, values).max(axis=2))
                done += len(values)
                if progress is not None:
                    progress(done / n, "scores of the background")
            scores.append(np.concatenate(largest)[self.longest - 1 :])
        self._learn(np.concatenate(scores))

    def _learn(self, scores: FloatArray) -> None:
        """Offsets, rate and threshold from the scores of each window, shape (n, n_windows)."""
        block = _BLOCK * self.longest
        peaks = block_maxima(scores, block)
        typical = np.median(peaks, axis=0)
        self.offsets_ = typical - typical.mean()
        largest = (peaks - self.offsets_).max(axis=1)
        self.rate_ = AlarmRate.learn(largest, block * self.interval / _HOUR)
        self.threshold_ = self.rate_.threshold(self.alarms_per_hour, confidence=self.confidence)
        shares = np.bincount((peaks - self.offsets_).argmax(axis=1), minlength=len(self.windows))
        self.shares_ = dict(zip(self.windows, (shares / len(peaks)).tolist(), strict=True))

    def _require_settings(self) -> None:
        if not _is_power_of_two(self.longest):
            raise FitError(
                "longest is a power of two, a whole number of at least 1 spectrum, got "
                f"{self.longest!r}"
            )
        if self.hours is not None and not 0 < self.hours < np.inf:
            raise FitError(f"hours to simulate are above zero, or None, got {self.hours!r}")
        for name in ("alarms_per_hour", "interval"):
            if not 0 < getattr(self, name) < np.inf:
                raise FitError(f"{name} is above zero, got {getattr(self, name)!r}")
        if not 0 < self.confidence < 1:
            raise FitError(f"confidence lies between 0 and 1, got {self.confidence!r}")
        most = _HOUR / (_BLOCK * self.longest * self.interval)
        if self.alarms_per_hour >= most:
            raise FitError(
                f"alarms of windows up to {self.longest} spectra are told apart below {most:g} "
                f"per hour, got {self.alarms_per_hour:g}"
            )
        if getattr(self.identifier, "background_", None) is None:
            raise FitError("alarms need an identifier that was fitted with a background")
        self._tracker()  # says what is wrong with the walk

    def _tracker(self) -> GainTracker | None:
        if self.gain_walk is None:
            return None
        return GainTracker(self.identifier, walk=self.gain_walk, interval=self.interval)

    def _memory(self) -> _Memory:
        tracker = self._tracker()
        gains = None if tracker is None else WindowGains(tracker, self.longest)
        return _Memory(self.longest, self.axis_.n_channels, gains)

    def _walked(self, n: int, rng: np.random.Generator) -> FloatArray | None:
        """Gain of a simulated series; None where it is not followed."""
        tracker = self._tracker()
        if tracker is None:
            return None
        step = tracker.walk * tracker.interval**0.5
        return wander(n, step, _REACH * tracker.widest, rng)

    def _simulated(self, n: int) -> Iterator[FloatArray]:
        """Background of n spectra, whose level goes up and down as that of the series.

        The counts of the series do not tell its shape exactly: each chunk has another of the
        shapes that it may have come from (a draw from the posterior under Jeffreys' prior).
        """
        rng = np.random.default_rng(self.random_state)
        once = np.concatenate([self.level_, self.level_[::-1]])  # forth and back: no jumps
        gains = self._walked(n, rng)
        for first in _starts(n):
            rows = np.arange(first, min(first + _CHUNK, n)) % len(once)
            shape = rng.gamma(self.background_ * self.n_background_ + 0.5)
            shape /= shape.sum()
            if gains is not None:
                shape = at_gains(shape, self.axis_.edges, gains[first : first + len(rows)])
            yield rng.poisson(once[rows, np.newaxis] * shape)

    # -- using ---------------------------------------------------------------------------

    def process(self, spectra: Spectra, *, progress: Progress | None = None) -> AlarmSeries:
        """Alarms of a whole series.

        Parameters
        ----------
        spectra : Spectra
            Counts in the order of time, on the axis of the background series.
        progress : callable, optional

        Returns
        -------
        AlarmSeries
        """
        stream = self.stream()
        alarms: dict[int, Alarm] = {}
        scores, lengths, on = [], [], []
        tracks: list[GainTrack] = []
        for first in _starts(len(spectra)):
            rows, length, states = stream.advance(spectra[first : first + _CHUNK])
            scores.append(rows)
            lengths.append(length)
            on += [state is not None for state in states]
            alarms |= {state.start: state for state in states if state is not None}
            tracks += [] if stream.track is None else [stream.track]
            if progress is not None:
                progress(len(on) / len(spectra), "series")
        if not len(spectra):
            raise DataError("there are no spectra in the series")
        return AlarmSeries(
            tuple(alarms.values()),
            self.names,
            np.concatenate(scores),
            np.concatenate(lengths),
            self.threshold_,
            np.array(on, dtype=bool),
            self.interval,
            GainTrack.concatenate(tracks) if tracks else None,
        )

    def stream(self) -> AlarmStream:
        """State of a series that comes spectrum by spectrum."""
        if not hasattr(self, "threshold_"):
            raise FitError("the detector is not fitted: call fit with a background series")
        return AlarmStream(self)

    def time_to_detect(
        self,
        name: str,
        rate: float,
        *,
        trials: int = 100,
        limit: float | None = None,
        seed: int | np.random.Generator = 0,
        progress: Progress | None = None,
    ) -> TimeToDetect:
        """Simulate how long it takes until the alarm of a source that appears and stays.

        Parameters
        ----------
        name : str
            One of :attr:`names`; it has the mean of its templates. An alarm with any name counts.
        rate : float
            Counts per second of the source.
        trials : int
            Series that are simulated, each on another part of the background's slow level.
        limit : float, optional
            Seconds to wait; four of the longest windows by default.
        seed : int or numpy.random.Generator
        progress : callable, optional

        Raises
        ------
        LabelError
            If there is no such name.
        DataError
            If the rate or the limit is not above zero, or there are no trials.
        """
        self.stream()  # refuses a detector that is not fitted
        if not 0 < rate < np.inf or trials < 1:
            raise DataError(f"rate and trials are above zero, got {rate!r} and {trials!r}")
        if limit is not None and not 0 < limit < np.inf:
            raise DataError(f"the seconds to wait are above zero, got {limit!r}")
        shape = fit_shape(self.identifier.library_.select([name]), self.axis_)
        source = rate * self.interval * shape
        wait = 4 * self.longest if limit is None else max(round(limit / self.interval), 1)
        rng = np.random.default_rng(seed)
        seconds = np.empty(trials)
        for trial in range(trials):
            seconds[trial] = self._one_time(source, wait, rng) * self.interval
            if progress is not None:
                progress((trial + 1) / trials, f"time to detect {name}")
        return TimeToDetect(name, rate, seconds, wait * self.interval)

    def _one_time(self, source: FloatArray, wait: int, rng: np.random.Generator) -> float:
        """Spectra from the source's coming until the threshold is reached, or inf."""
        shape = self.background_ / self.background_.sum()
        level = np.concatenate([self.level_, self.level_[::-1]])
        first = int(rng.integers(len(level)))
        stream = self.stream()
        quiet = self.longest - 1
        gains = self._walked(quiet + wait, rng)
        for start in range(-quiet, wait, _TRIAL_CHUNK):
            times = np.arange(start, min(start + _TRIAL_CHUNK, wait))
            own, more = shape, source
            if gains is not None:
                own, more = (
                    at_gains(one, self.axis_.edges, gains[times + quiet]) for one in (shape, source)
                )
            expected = level[(first + times) % len(level), np.newaxis] * own
            expected = expected + (times >= 0)[:, np.newaxis] * more
            held = stream.advance(Spectra(rng.poisson(expected), self.axis_))[2]
            for time, alarm in zip(times.tolist(), held, strict=True):
                if time >= 0 and alarm is not None and alarm.last - quiet == time:
                    return time + 1.0
        return np.inf

    def _window_scores(self, memory: _Memory, values: FloatArray) -> FloatArray:
        """Minus the log of the p-value of each new spectrum, window and name; zero by default."""
        sums, number, end = memory.windows(values, self.windows)
        scores = np.zeros((len(values), len(self.windows), len(self.names)))
        if memory.gains is None:
            scores[end, number] = self._scores_of(self.identifier, sums)
            return scores
        memory.gains.advance(Spectra(values, self.axis_))
        lengths = np.array(self.windows)[number]
        centers, spreads, whole = memory.gains.expected(end, lengths)
        # Windows with the same prior are fitted together.
        pairs, which = np.unique(np.column_stack([centers, spreads]), axis=0, return_inverse=True)
        for place, (center, spread) in enumerate(pairs.tolist()):
            rows = whole & (which.ravel() == place)
            if rows.any():
                expecting = at_gain(self.identifier, center, spread)
                scores[end[rows], number[rows]] = self._scores_of(expecting, sums[rows], center)
        return scores

    def _scores_of(self, identifier: Identifier, sums: FloatArray, gain: float = 0.0) -> FloatArray:
        """Scores of sums of spectra without the offsets of windows, shape (n, k)."""
        begin = np.tile([gain, 0.0, 0.0], (len(sums), 1))
        return window_scores(identifier, Spectra(sums, self.axis_), begin)


class AlarmStream:
    """A series that comes spectrum by spectrum; it keeps no more spectra than a window needs.

    Parameters
    ----------
    detector : SequentialDetector
        Fitted.
    """

    def __init__(self, detector: SequentialDetector) -> None:
        self._detector = detector
        self._seen = 0
        self._latest: Array | None = None
        self._tracks: list[GainTrack] = []
        self._begin()

    def _begin(self) -> None:
        """Forget the spectra before."""
        self._memory = self._detector._memory()
        self._alarm: Alarm | None = None

    @property
    def track(self) -> GainTrack | None:
        """Gain of the spectra taken last, where it is followed."""
        return GainTrack.concatenate(self._tracks) if self._tracks else None

    def step(self, spectrum: Spectra) -> Alarm | None:
        """Take the next spectrum.

        Parameters
        ----------
        spectrum : Spectra
            One spectrum of counts on the axis of the background series.

        Returns
        -------
        Alarm or None
            The alarm that is held, as known so far; None if there is none. A new alarm has this
            spectrum as its ``start``, and a source that comes while it is held has it as the
            ``start`` of its sighting.

        Raises
        ------
        DataError
            If it is not one spectrum of counts, or began before the one before.
        AxisError
            If it lies on another axis than the background series.
        """
        if len(spectrum) != 1:
            raise DataError(f"a step takes one spectrum, got {len(spectrum)}")
        return self.advance(spectrum)[2][0]

    def advance(self, spectra: Spectra) -> tuple[FloatArray, IntArray, list[Alarm | None]]:
        """Take the next spectra at once.

        Returns
        -------
        scores : ndarray, shape (n, k)
        lengths : ndarray of int, shape (n,)
        alarms : list of Alarm or None, length n
            What :meth:`step` returns for each.
        """
        require_counts(spectra)
        detector = self._detector
        require_same_axis(detector.axis_, spectra.axis, "this SequentialDetector")
        new = after_gaps(spectra, detector.interval, self._latest)
        times = start_times(spectra)
        self._latest = None if times is None else times[-1:]
        self._tracks = []
        scores, lengths, held = [], [], []
        for rows in stretches(new):
            if new[rows][:1].any():
                self._begin()
            of_windows = detector._window_scores(self._memory, spectra.values[rows])
            if self._memory.gains is not None:
                self._tracks.append(self._memory.gains.track)
            of_windows = np.where(
                of_windows > 0, of_windows - detector.offsets_[:, np.newaxis], 0.0
            )
            best = of_windows.max(axis=2).argmax(axis=1)
            held += [self._update(row) for row in of_windows]
            scores.append(of_windows.max(axis=1))
            lengths.append(np.array(detector.windows)[best])
        return np.concatenate(scores), np.concatenate(lengths), held

    def _update(self, scores: FloatArray) -> Alarm | None:
        """Raise, renew or end the alarm by the scores of all windows, shape (n_windows, k)."""
        detector, now = self._detector, self._seen
        best = scores.argmax(axis=0)
        largest = scores[best, np.arange(len(best))]
        found = [
            self._sighting(name, float(largest[name]), int(best[name]))
            for name in np.flatnonzero(largest >= detector.threshold_).tolist()
        ]
        self._seen += 1
        self._alarm = renewed(self._alarm, now, found, detector.longest)
        return self._alarm

    def _sighting(self, name: int, score: float, window: int) -> Sighting:
        detector, now = self._detector, self._seen
        log_p = -np.array(score + detector.offsets_[window])
        return Sighting(
            name=detector.names[name],
            start=now,
            last=now,
            peak=now,
            length=detector.windows[window],
            score=score,
            significance=float(significance_of_log(log_p)),
            per_hour=float(detector.rate_.per_hour(score)),
        )


class _Memory:
    """The last spectra of a series, as many as the longest window needs, and their gain."""

    def __init__(self, longest: int, n_channels: int, gains: WindowGains | None = None) -> None:
        self.gains = gains
        self._kept = np.zeros((0, n_channels))
        self._longest = longest

    def windows(
        self, values: FloatArray, lengths: tuple[int, ...]
    ) -> tuple[FloatArray, IntArray, IntArray]:
        """Sums of the windows that end with each new spectrum, the window and the spectrum.

        Windows that would begin before the series do not exist yet.
        """
        old = len(self._kept)
        rows = np.concatenate([self._kept, values])
        total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
        sums, number, end = [], [], []
        for place, window in enumerate(lengths):
            stops = np.arange(max(old, window - 1), len(rows)) + 1
            sums.append(total[stops] - total[stops - window])
            number.append(np.full(len(stops), place))
            end.append(stops - 1 - old)
        self._kept = rows[max(len(rows) - self._longest + 1, 0) :].copy()
        return np.concatenate(sums), np.concatenate(number), np.concatenate(end)


def require_counts(spectra: Spectra) -> None:
    """Refuse what is not counts: windows are sums of counts."""
    if spectra.kind != "counts":
        raise DataError(f"a series of counts is needed, got spectra of kind {spectra.kind!r}")


def _is_power_of_two(number: Any) -> bool:
    whole = isinstance(number, Integral) and not isinstance(number, bool)
    return bool(whole and number >= 1 and not number & (number - 1))


def _slow_level(totals: FloatArray, longest: int) -> FloatArray:
    """Expected counts of each spectrum: the mean over about four of the longest windows."""
    width = min(4 * longest, len(totals))
    ends = np.pad(totals, width // 2, mode="symmetric")
    return np.convolve(ends, np.full(width, 1.0 / width), mode="same")[
        width // 2 : width // 2 + len(totals)
    ]


def _starts(n: int) -> range:
    return range(0, n, _CHUNK)
