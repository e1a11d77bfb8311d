from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze.identify.alarms import Alarm, AlarmSeries, Sighting
from spectraloom.analyze.identify.drift import GainTrack
from spectraloom.errors import DataError
from spectraloom.plot import as_png
from spectraloom.plot.sequence import plot_alarms, plot_gain

from .conftest import HOSTILE, legend


def make_series(names: tuple[str, ...] = ("Am241", "Cs137", "Co60")) -> AlarmSeries:
    scores = np.full((60, len(names)), 1.0)
    scores[20:30, 1] = 15.0
    on = np.zeros(60, dtype=bool)
    on[20:38] = True
    alarm = Alarm((Sighting(names[1], 20, 29, 25, 4, 15.0, 5.2, 1e-3),))
    return AlarmSeries((alarm,), names, scores, np.ones(60, dtype=int), 9.0, on, 2.0)


def test_scores_threshold_and_alarm_are_drawn_at_their_times() -> None:
    series = make_series()
    figure = plot_alarms(series)
    (ax,) = figure.axes
    largest, found, threshold = ax.lines
    np.testing.assert_array_equal(largest.get_ydata(), series.scores.max(axis=1))
    np.testing.assert_array_equal(found.get_ydata(), series.scores[:, 1])
    # A spectrum is known when it ends.
    np.testing.assert_array_equal(found.get_xdata(), np.arange(1, 61) * 2.0)
    assert set(threshold.get_ydata()) == {9.0}
    (span,) = ax.patches
    assert (span.get_x(), span.get_x() + span.get_width()) == (40.0, 76.0)
    assert legend(figure) == ["Cs137", "largest of all names", "threshold", "alarm"]


@pytest.mark.parametrize(("score", "scale"), [(15.0, "linear"), (1e5, "symlog")])
def test_a_very_strong_source_does_not_hide_the_threshold(score: float, scale: str) -> None:
    series = make_series()
    series.scores[20:30, 1] = score
    (ax,) = plot_alarms(series).axes
    assert ax.get_yscale() == scale
    low, threshold, top = ax.transData.transform([(0.0, 0.0), (0.0, 9.0), (0.0, score)])[:, 1]
    assert threshold - low > 0.05 * (top - low)


def test_a_quiet_series_has_no_alarm_in_its_legend() -> None:
    series = make_series()
    quiet = AlarmSeries(
        (), series.names, series.scores * 0.1, series.lengths, 9.0, np.zeros(60, dtype=bool), 1.0
    )
    figure = plot_alarms(quiet)
    assert legend(figure) == ["largest of all names", "threshold"]
    assert not figure.axes[0].patches


def test_an_alarm_at_the_end_of_the_series_reaches_its_end() -> None:
    series = make_series()
    on = series.on.copy()
    on[20:] = True
    held = AlarmSeries(
        series.alarms, series.names, series.scores, series.lengths, 9.0, on, series.interval
    )
    (span,) = plot_alarms(held).axes[0].patches
    assert span.get_x() + span.get_width() == 120.0


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_can_be_drawn(name: str) -> None:
    assert as_png(plot_alarms(make_series(("Am241", name, "Co60")))).startswith(b"\x89PNG")


def test_the_gain_has_its_interval_and_its_jumps() -> None:
    jumps = np.zeros(30, dtype=bool)
    jumps[9] = True
    track = GainTrack(np.linspace(0.0, 0.01, 30), np.full(30, 0.002), jumps)
    figure = plot_gain(track, interval=0.5)
    (ax,) = figure.axes
    line, jump = ax.lines
    np.testing.assert_array_equal(line.get_ydata(), track.gains)
    assert jump.get_xdata()[0] == 5.0
    (band,) = ax.collections
    extent = band.get_datalim(ax.transData)
    assert extent.y0 == pytest.approx(-1.96 * 0.002)
    assert extent.y1 == pytest.approx(0.01 + 1.96 * 0.002)
    assert legend(figure) == ["gain", "95 % interval", "jump"]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert len(set(labels)) == len(labels)  # steps below one per cent can be told apart


def test_nothing_is_refused() -> None:
    series = make_series()
    empty = np.zeros(0, dtype=bool)
    with pytest.raises(DataError, match="no spectra"):
        plot_alarms(AlarmSeries((), series.names, np.zeros((0, 3)), empty, 9.0, empty, 1.0))
    with pytest.raises(DataError, match="no spectra"):
        plot_gain(GainTrack(np.zeros(0), np.zeros(0), empty))
    names = tuple(f"source {number}" for number in range(21))
    alarm = Alarm(tuple(Sighting(name, 3, 3, 3, 1, 1.0, 5.0, 0.1) for name in names))
    many = AlarmSeries(
        (alarm,), names, np.ones((9, 21)), np.ones(9, dtype=int), 0.5, np.ones(9, dtype=bool), 1.0
    )
    with pytest.raises(DataError, match="up to 20 names"):
        plot_alarms(many)


def test_a_series_is_named_in_a_line() -> None:
    said = repr(make_series())
    assert said.startswith("<AlarmSeries: 60 spectra of 2 s, alarms: ")
    assert " at 20>" in said
    assert len(said) < 100
