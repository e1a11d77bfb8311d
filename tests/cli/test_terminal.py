from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.cli.show import clean, print_pairs, progress_bar, rate_text

from .conftest import Run

HOSTILE = "[bold]x[/red] \x1b]0;owned\x07\x1b[2J\rCs137"


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "command",
    [
        "info {w}/train.npz",
        "info {w}/test.npz",
        "analyze {w}/model.loom {w}/test.npz",
        "evaluate {w}/model.loom {w}/test.npz",
        "train {w}/train.npz -o {t}/m.loom",
        "analyze --help",
    ],
)
def test_nothing_is_wider_than_the_terminal(
    run: Run,
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    command: str,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    done = run(*(part.format(w=world, t=tmp_path) for part in command.split()))
    assert (done.code, done.err) == (0, "")
    lines = [line for line in done.out.splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= width
    # Redirected output and standard error hold no control characters.
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.out) is None


def test_a_path_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("/a folder/" + "long/" * 40 + "report.html")
    print_pairs({"report": path, "text": "word " * 60})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(str(path))
    assert len(lines) > 3
    assert all(line.startswith(" " * 10) for line in lines[2:])


@pytest.mark.parametrize(
    "command", ["info {f}", "analyze {w}/model.loom {f}", "evaluate {w}/model.loom {f}"]
)
def test_texts_of_a_file_are_neither_markup_nor_commands(
    run: Run, world: Path, tmp_path: Path, command: str
) -> None:
    given = sl.read(world / "test.npz")[:4]
    hostile = given.with_columns(labels=[(HOSTILE,)] * 4, detector=[HOSTILE] * 4)
    hostile = hostile.with_columns(file=[HOSTILE, "b", "c", "d"], record=np.arange(4))
    sl.write(hostile, tmp_path / "x.npz")
    done = run(*(part.format(w=world, f=tmp_path / "x.npz") for part in command.split()))
    assert done.code == 0
    shown = " ".join(done.out.split())
    assert ("[bold]x" if "analyze" in command else "[bold]x[/red]") in shown
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.out) is None


def test_an_error_about_a_hostile_name_is_one_clean_line(run: Run, world: Path) -> None:
    done = run("train", world / "train.npz", "--labels", "a\nb\x1b[2Jc")
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert "\x1b" not in line
    assert "a b\ufffd[2Jc" in line


def test_clean_keeps_what_can_be_read() -> None:
    assert clean("µSv ± 1\nβ") == "µSv ± 1\nβ"
    assert clean("\x1b[0m\t") == "\ufffd[0m\ufffd"


def test_what_a_terminal_cannot_encode_is_replaced(
    run: Run, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert run("analyze", world / "model.loom", world / "test.npz").code == 0
    stream.flush()
    stream.seek(0)
    assert "Cs137" in stream.read()


# -- progress --------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_is_drawn_on_terminals_only(
    run: Run, world: Path, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")  # colours on request are no reason for a bar in a file
    stream = Terminal() if is_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    done = run("evaluate", world / "model.loom", world / "test.npz")
    assert done.code == 0
    assert ("\x1b[" in stream.getvalue()) is is_terminal
    assert ("reading" in stream.getvalue()) is is_terminal


def test_machines_get_no_bar(run: Run, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    done = run("evaluate", world / "model.loom", world / "test.npz", "--json")
    assert done.json["n"] == 60
    assert stream.getvalue() == ""


def test_progress_takes_any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar() as progress:
        progress(0.5, "leaving out [/nothing] \x07")
    assert "[/nothing]" in stream.getvalue()
    assert "\x07" not in stream.getvalue()


# -- what a user reads -----------------------------------------------------------------------


def test_analyze_says_what_is_there_and_whether_to_trust_it(run: Run, world: Path) -> None:
    out = run("analyze", world / "model.loom", world / "test.npz").out
    lines = out.splitlines()
    assert lines[0].split() == ["spectrum", "found", "share", "counts", "cosine", "trust"]
    result = sl.load(world / "model.loom").analyze(
        sl.read(world / "test.npz", axis=sl.load(world / "model.loom").axis_)
    )
    first = result.labels[0]
    assert lines[2].split()[:2] == ["0", first[0]]
    j = result.names.index(first[0])
    assert f"{result.shares[0, j]:.0%}" in lines[2]
    assert f"{result.amounts[0, j]:,.0f} ± " in lines[2]
    assert "... and 40 more; --out FILE.csv writes all of them." in out
    text = " ".join(out.split())
    assert "60 spectra, 40 not in doubt: " in text
    assert re.search(r"[ ,]Co60 \+ Cs137 in (1[3-9]|20)[,.]", text)
    assert re.search(r"[ ,]Cs137 in (1\d|2[0-4])[,.]", text)
    assert "Do not trust 20 of 60 (outlier): the model does not explain the spectrum" in text


def test_analyze_names_the_file_where_there_are_several(
    run: Run, world: Path, formats_dir: Path
) -> None:
    files = ["falcon5000.cnf", "alcatraz14.spe"]
    out = run("analyze", world / "model.loom", *(formats_dir / name for name in files)).out
    for name in files:
        assert f"{name} 0" in out


def test_counts_off_the_axis_are_a_reason_for_doubt(run: Run, world: Path, tmp_path: Path) -> None:
    narrow = sl.read(world / "test.npz").replace(axis=sl.Axis.regular(1000, 6000, 512))
    sl.write(narrow, tmp_path / "x.npz")
    text = " ".join(run("analyze", world / "model.loom", tmp_path / "x.npz").out.split())
    assert "(off the axis): more than 10% of the counts lie outside" in text


def test_scores_are_explained(run: Run, world: Path) -> None:
    text = " ".join(run("evaluate", world / "model.loom", world / "test.npz").out.split())
    assert "largest right: the largest source is truly there" in text
    assert "66.7 %" in text
    assert "the model was never shown U235" in text


def test_small_rates_keep_their_digits() -> None:
    rates = [rate_text(value) for value in (0.0, 0.00025, 0.001, 0.0512, 0.1, 1.0)]
    assert rates == ["0 %", "0.025 %", "0.1 %", "5.1 %", "10.0 %", "100.0 %"]


def test_a_long_command_says_how_far_it_is_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 59.0, 61.0, 90.0, 122.0, *[1e3] * 9])
    monkeypatch.setattr("spectraloom.cli.progress.time.monotonic", lambda: next(clock))
    with progress_bar() as progress:
        for fraction in (0.0, 0.2, 0.4, 0.6, 0.8):
            progress(fraction, "scores of\x1b the background")
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        f"{number}% done: scores of\ufffd the background" for number in (40, 80)
    ]
    assert told.out == ""
    with progress_bar(quiet=True) as progress:
        progress(0.5, "scores")
        progress(0.9, "scores")
    assert capsys.readouterr().err == ""
