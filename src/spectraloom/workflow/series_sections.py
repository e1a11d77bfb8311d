"""Sections of a report on alarms in a series."""

from __future__ import annotations

from spectraloom import plot
from spectraloom.errors import DataError
from spectraloom.workflow.report import Block, Section, Table, Text
from spectraloom.workflow.sections import drawn
from spectraloom.workflow.series import FoundAlarms

_MOST_ALARMS = 200


def alarms_section(found: FoundAlarms) -> Section:
    """Scores in time and a table of the alarms."""
    series, detector = found.series, found.detector
    names = ", ".join(dict.fromkeys(name for alarm in series.alarms for name in alarm.names))
    rows = found.alarm_rows()
    blocks: list[Block] = [
        Text(
            f"{len(series):,} spectra of {series.interval:g} s, {found.hours:.3g} hours: "
            f"{len(rows)} {'alarm' if len(rows) == 1 else 'alarms'}. Of background alone, "
            f"{detector.alarms_per_hour:g} or fewer an hour are expected (with "
            f"{detector.confidence:.0%} confidence), as long as it has "
            "the shape of the background that was given."
            + (f" At {found.n_gaps} gaps in time windows began anew." if found.n_gaps else "")
        ),
        drawn(
            lambda: plot.plot_alarms(series),
            f"Scores along the series with the threshold; alarms: {names or 'none'}.",
            "Scores of the windows that end at a time, and where an alarm was held.",
        ),
    ]
    if rows:
        blocks.append(
            Table(
                "Alarms",
                [
                    "Alarm",
                    "Time",
                    "Source",
                    "Significance",
                    "False alarms per hour",
                    "Window (s)",
                    "Lasted (s)",
                ],
                [
                    [
                        number,
                        one["time"] or f"{one['seconds']:g} s",
                        one["name"],
                        one["significance"],
                        one["false_alarms_per_hour"],
                        one["window_seconds"],
                        found.lasted(one),
                    ]
                    for number, row in enumerate(rows[:_MOST_ALARMS], 1)
                    for one in row["sources"]
                ],
            )
        )
    if len(rows) > _MOST_ALARMS:
        blocks.append(Text(f"The first {_MOST_ALARMS} of {len(rows):,} are listed."))
    return Section("Alarms", blocks)


def gain_section(found: FoundAlarms) -> Section:
    """The gain in time, where it was followed."""
    gains = found.series.gains
    if gains is None:
        raise DataError("the gain of this series was not followed: give the detector gain_walk")
    return Section(
        "Gain",
        [
            drawn(
                lambda: plot.plot_gain(gains, interval=found.series.interval),
                "The relative gain along the series with its 95 % interval.",
                "What is known of the gain at each time; it is followed from spectrum to spectrum.",
            )
        ],
    )


def detector_section(found: FoundAlarms) -> Section:
    """Settings of the detector and how windows share the error budget."""
    detector = found.detector
    facts: list[list[object]] = [
        ["sources", ", ".join(detector.names)],
        ["false alarms per hour", detector.alarms_per_hour],
        ["confidence of that rate", detector.confidence],
        ["threshold of the score", detector.threshold_],
        ["hours of background simulated", detector.hours],
        ["spectra of background given", detector.n_background_],
        ["walk of the gain in a second", detector.gain_walk],
    ]
    return Section(
        "How alarms are raised",
        [
            Table("Settings", ["Setting", "Value"], facts),
            Table(
                "Windows",
                ["Window (s)", "Taken off its score", "Share of the largest scores by chance"],
                [
                    [length * detector.interval, float(offset), f"{detector.shares_[length]:.1%}"]
                    for length, offset in zip(detector.windows, detector.offsets_, strict=True)
                ],
            ),
        ],
    )
