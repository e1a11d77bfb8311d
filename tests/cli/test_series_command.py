"""Alarms in series of spectra on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.analyze import Identifier
from spectraloom.generate import demo_detectors, simulate_gamma
from spectraloom.workflow import find_alarms, read_series

from .conftest import NUCLIDES, Run

QUIET, SOURCE = (400.0, 440.0), (150.0, 170.0)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``model.loom``, a background series, and a folder of three files that tell their time."""
    folder = tmp_path_factory.mktemp("series")
    detector = demo_detectors()["east"]
    background = simulate_gamma(["background"], detector, 400, counts=QUIET, seed=3)
    library = simulate_gamma([*NUCLIDES, "background"], detector, 120, seed=4)
    model = Identifier(variants=1, n_bootstrap=0, pileup=False, window=(30.0, 2000.0))
    sl.save(model.fit(library), folder / "model.loom")
    sl.write(background, folder / "quiet.npz")
    first = simulate_gamma(["background"], detector, 40, counts=QUIET, seed=5)
    passing = simulate_gamma(
        ["Cs137"], detector, 10, counts=SOURCE, background_counts=QUIET, seed=6
    )
    last = simulate_gamma(["background"], detector, 40, counts=QUIET, seed=7)
    (folder / "run").mkdir()
    began = np.datetime64("2025-01-01T10:00:00", "us")
    # The names are not in the order of time.
    for name, spectra, start in (("c", first, 0), ("a", passing, 40), ("b", last, 50)):
        times = began + (start + np.arange(len(spectra))) * np.timedelta64(1, "s")
        sl.write(spectra.with_columns(start_time=times), folder / "run" / f"{name}.npz")
    return folder


SETTINGS = ("--longest", 4, "--hours", 0.5)


def test_a_source_that_passes_by_is_one_alarm(run: Run, series: Path, tmp_path: Path) -> None:
    files = [series / "model.loom", series / "quiet.npz", series / "run"]
    done = run("alarms", *files, *SETTINGS, "--report", tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    shown = " ".join(done.out.split())
    assert "Cs137" in shown
    assert "2025-01-01T10:00:4" in shown
    assert "90 spectra" in shown
    assert "1 alarm." in shown
    assert "lasted" in shown
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for heading in ("Alarms", "How alarms are raised"):
        assert f">{heading}</h2>" in page
    assert page.count("<img ") == 1
    assert "Not drawn" not in page
    assert ">Gain</h2>" not in page


def test_json_is_what_python_gives(run: Run, series: Path) -> None:
    files = [series / "model.loom", series / "quiet.npz", series / "run"]
    given = run("alarms", *files, *SETTINGS, "--walk", 1e-4, "--per-hour", 2, "--json").json
    model = sl.load(series / "model.loom")
    assert isinstance(model, Identifier)
    found = find_alarms(
        model, series / "quiet.npz", series / "run", longest=4, hours=0.5, gain_walk=1e-4,
        alarms_per_hour=2.0,
    )  # fmt: skip
    assert given["alarms"] == found.alarm_rows()
    assert given["threshold"] == found.series.threshold
    assert given["windows"] == [1.0, 2.0, 4.0]
    assert len(given["gain"]["gains"]) == 90
    (alarm,) = given["alarms"]
    assert 40 <= alarm["seconds"] <= 44
    assert alarm["names"][0] == "Cs137"
    assert 38 <= alarm["since_seconds"] <= 50
    assert alarm["false_alarms_per_hour"] < 0.01


def test_a_source_that_comes_while_another_stays_is_listed(run: Run, series: Path) -> None:
    found = find_alarms(
        sl.load(series / "model.loom"), series / "quiet.npz", series / "run", longest=4, hours=0.5
    )
    (row,) = found.alarm_rows()
    assert row["names"] == [row["sources"][0]["name"]] == ["Cs137"]
    only = row["sources"][0]
    for name in ("time", "seconds", "significance", "window_seconds", "since_seconds"):
        assert only[name] == row[name]


def test_gaps_and_spectra_of_other_lengths_are_noticed(
    run: Run, series: Path, tmp_path: Path
) -> None:
    model, quiet = series / "model.loom", series / "quiet.npz"
    spectra = read_series(series / "run")
    times = spectra.columns["start_time"].copy()
    times[44:] += np.timedelta64(3, "D")
    sl.write(spectra.with_columns(start_time=times), tmp_path / "gap.npz")
    given = run("alarms", model, quiet, tmp_path / "gap.npz", *SETTINGS, "--json").json
    assert given["gaps"] == 1
    assert given["hours"] == 90 / 3600
    # Each stretch has an alarm of its own, three days apart.
    first, second = given["alarms"]
    assert first["last_seconds"] < 44
    assert second["seconds"] > 3 * 86400
    assert second["since_seconds"] > 3 * 86400
    lengths = np.ones(90)
    lengths[60:] = 10.0
    for name, bad in (("real_time", 10.0), ("live_time", 10.0)):
        others = np.where(lengths > 1, bad, 1.0)
        mixed = spectra.replace(**{"live_time": others, name: others})
        sl.write(mixed, tmp_path / "mixed.npz", overwrite=True)
        for more in ((), ("--interval", 1)):
            done = run("alarms", model, quiet, tmp_path / "mixed.npz", *SETTINGS, *more)
            assert done.code == 2
            assert "30 of 90 spectra of the series last between 1 and 10 s" in done.err
    # Dead time near a strong source makes live times shorter.
    dead = np.where(lengths > 1, 0.7, 1.0)
    sl.write(spectra.replace(live_time=dead), tmp_path / "dead.npz")
    assert run("alarms", model, quiet, tmp_path / "dead.npz", *SETTINGS).code == 0


def test_the_report_shows_a_gain_that_was_followed(run: Run, series: Path, tmp_path: Path) -> None:
    files = [series / "model.loom", series / "quiet.npz", series / "run"]
    done = run("alarms", *files, *SETTINGS, "--walk", 1e-4, "--report", tmp_path, "--json")
    assert done.code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ">Gain</h2>" in page
    assert page.count("<img ") == 2


def test_spectra_come_in_the_order_of_time_or_as_given(series: Path, tmp_path: Path) -> None:
    sorted_by_time = read_series(series / "run")
    times = sorted_by_time.columns["start_time"]
    assert (np.diff(times) > np.timedelta64(0)).all()
    for name, value in (("z", 1.0), ("a", 2.0)):
        sl.write(sl.Spectra(np.full((2, 5), value)), tmp_path / f"{name}.npz")
    given = read_series([tmp_path / "z.npz", tmp_path / "a.npz"])
    assert given.values[:, 0].tolist() == [1.0, 1.0, 2.0, 2.0]
    assert read_series(tmp_path).values[:, 0].tolist() == [2.0, 2.0, 1.0, 1.0]


def test_what_is_no_series_is_refused(run: Run, world: Path, series: Path, tmp_path: Path) -> None:
    done = run("alarms", world / "model.loom", series / "quiet.npz", series / "run")
    assert done.code == 2
    assert "alarms need a model for identification" in done.err
    model, quiet = series / "model.loom", series / "quiet.npz"
    done = run("alarms", model, quiet, world / "test.npz", series / "run", "--longest", 3)
    assert done.code == 2
    assert "power of two" in done.err
    for hours in (0, -1):
        done = run("alarms", model, quiet, series / "run", "--longest", 4, "--hours", hours)
        assert done.code == 2
        assert "hours to simulate are above zero" in done.err
    done = run("alarms", model, quiet, world / "train.npz", series / "run")
    assert done.code == 2
    assert "a series lies on one axis" in done.err
    slow = sl.read(quiet)
    sl.write(slow.replace(live_time=np.full(len(slow), 10.0)), tmp_path / "slow.npz")
    done = run("alarms", model, tmp_path / "slow.npz", series / "run", *SETTINGS)
    assert done.code == 2
    assert "last 10 s, those of the series 1 s" in done.err
    sl.write(slow.replace(live_time=None), tmp_path / "untimed.npz")
    done = run("alarms", model, tmp_path / "untimed.npz", series / "run", *SETTINGS)
    assert done.code == 2
    assert "--interval" in done.err
    done = run(
        "alarms", model, tmp_path / "untimed.npz", series / "run", *SETTINGS, "--interval", 1
    )
    assert done.code == 0
