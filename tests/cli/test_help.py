from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import spectraloom

from .conftest import Run

COMMANDS = (
    "demo",
    "info",
    "convert",
    "explore",
    "train",
    "analyze",
    "evaluate",
    "outlier",
    "alarms",
    "simulate",
    "nuclide",
    "bench gamma-flow",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_shows_an_example_of_the_command(run: Run, command: str, flag: str) -> None:
    done = run(*command.split(), flag)
    assert (done.code, done.err) == (0, "")
    assert f"Example: spectraloom {command} " in " ".join(done.out.split())
    assert "--json" in done.out


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_without_a_command_there_is_help_on_all(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.code == 0
    for command in COMMANDS:
        assert re.search(rf"^\W*{command.split()[0]}\s", done.out, re.MULTILINE)


def test_examples_name_options_that_exist(run: Run) -> None:
    for command in COMMANDS:
        shown = run(*command.split(), "--help").out
        example = " ".join(shown.split("Example:")[1].split("╭")[0].split())
        options = " ".join(shown.split("Options")[1].split())
        for option in re.findall(r"(?<= )--?[a-z-]+", example):
            assert option in options, (command, option)


def test_version(run: Run) -> None:
    done = run("--version")
    assert (done.code, done.out) == (0, f"spectraloom {spectraloom.__version__}\n")


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    shown = fresh(
        "import sys, time\n"
        "from spectraloom.cli import main\n"
        "assert main(['train', '--help']) == 0\n"
        "print(time.process_time())\n"
        "heavy = {'numpy', 'scipy', 'sklearn', 'numba', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    seconds, loaded = shown.splitlines()[-2:]
    assert loaded == "[]"
    assert float(seconds) < 0.5


def test_it_runs_as_a_module_and_by_its_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spectraloom.cli", "info", "nothing.n42"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "spectraloom: nothing.n42: there is no such file\n"
    project = tomllib.loads(
        (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    )
    assert project["project"]["scripts"] == {"spectraloom": "spectraloom.cli:main"}


def test_a_closed_pipe_ends_quietly(world: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        for extra in ([], ["--json"]):
            done = subprocess.run(
                [sys.executable, "-m", "spectraloom.cli", "info", str(world / "train.npz"), *extra],
                stdout=pipe,
                stderr=subprocess.PIPE,
                check=False,
            )
            assert (done.returncode, done.stderr) == (1, b"")
