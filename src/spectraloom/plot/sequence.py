"""Series of spectra: scores with alarms, and the gain."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from spectraloom.analyze.identify.alarms import AlarmSeries
from spectraloom.analyze.identify.drift import GainTrack
from spectraloom.plot.style import (
    PALETTE,
    drawing,
    legend_above,
    line_key,
    line_look,
    percent_ticks,
    plain,
    require_at_most,
    require_some,
)

_MOST = 20
_STRONG = 20.0  # times the threshold, above which scores are drawn on a logarithmic scale
_REST = "#999999"
_HELD: dict[str, Any] = {"facecolor": PALETTE[4], "alpha": 0.25, "edgecolor": "none"}


def plot_alarms(series: AlarmSeries) -> Figure:
    """Scores of a series in time, the threshold, and where an alarm was held.

    Names that were part of an alarm have a line each; the largest of all names is grey below them.

    Parameters
    ----------
    series : AlarmSeries
        With at most 20 names in its alarms.

    Raises
    ------
    DataError
        If the series is empty, or too many names were found.
    """
    require_some(len(series), "spectra")
    found = [name for name in series.names if any(name in alarm.names for alarm in series.alarms)]
    require_at_most(len(found), _MOST, "names", "cut the series into parts")
    seconds = (np.arange(len(series)) + 1.0) * series.interval
    with drawing(height=4.0) as (figure, axes):
        ax = axes[0, 0]
        for alarm in series.alarms:
            held = alarm.start + np.argmin(np.append(series.on[alarm.start :], False))
            ax.axvspan(alarm.start * series.interval, held * series.interval, **_HELD)
        ax.plot(seconds, series.scores.max(axis=1), color=_REST, linewidth=0.8)
        looks = [line_look(number) for number in range(len(found))]
        for name, look in zip(found, looks, strict=True):
            ax.plot(seconds, series.scores[:, series.names.index(name)], **look)
        ax.axhline(series.threshold, color="black", linewidth=1.0, linestyle="--")
        ax.set_xlim(0.0, seconds[-1])
        if series.scores.max() > _STRONG * series.threshold:  # a strong source dwarfs the rest
            ax.set_yscale("symlog", linthresh=2.0 * series.threshold)
        ax.set_ylim(bottom=0.0)
        ax.set_xlabel("Time (s)")
        ax.set_ylabel("Score (-ln p-value, less offset)")
        keys: list[Artist] = [line_key(**look) for look in looks]
        keys += [
            line_key(color=_REST, linewidth=0.8),
            line_key(color="black", linewidth=1.0, linestyle="--"),
        ]
        texts = [plain(name) for name in found] + ["largest of all names", "threshold"]
        if series.alarms:
            keys.append(Patch(**_HELD))
            texts.append("alarm")
        legend_above(figure, keys, texts)
    return figure


def plot_gain(track: GainTrack, *, interval: float = 1.0) -> Figure:
    """Gain of a series in time, with its 95 % interval and the jumps.

    Parameters
    ----------
    track : GainTrack
    interval : float
        Seconds from one spectrum to the next.

    Raises
    ------
    DataError
        If the series is empty.
    """
    require_some(len(track), "spectra")
    seconds = (np.arange(len(track)) + 1.0) * interval
    look = line_look(0)
    band: dict[str, Any] = {"facecolor": PALETTE[0], "alpha": 0.25, "edgecolor": "none"}
    jump: dict[str, Any] = {"color": PALETTE[1], "linestyle": ":"}
    with drawing(height=3.4) as (figure, axes):
        ax = axes[0, 0]
        reach = 1.96 * track.uncertainties
        ax.fill_between(seconds, track.gains - reach, track.gains + reach, **band)
        ax.plot(seconds, track.gains, **look)
        for at in seconds[track.jumps]:
            ax.axvline(at, **jump)
        percent_ticks(ax.yaxis)
        ax.yaxis.get_major_formatter().decimals = None
        ax.set_xlim(0.0, seconds[-1])
        ax.set_xlabel("Time (s)")
        ax.set_ylabel("Gain")
        keys: list[Artist] = [line_key(**look), Patch(**band)]
        texts = ["gain", "95 % interval"]
        if track.jumps.any():
            keys.append(line_key(**jump))
            texts.append("jump")
        legend_above(figure, keys, texts)
    return figure
