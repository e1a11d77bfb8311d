"""What README and documentation show does run: their blocks, from top to bottom, page by page."""

from __future__ import annotations

import re
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import spectraloom as sl
from spectraloom.cli import app
from spectraloom.generate import demo_detectors, simulate_gamma

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
)
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Too long for a test, tested elsewhere, or in need of data that cannot be part of the repository.
ONLY_PARSED = ("spectraloom demo", "spectraloom bench", "spectraloom --")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str
    line: int


def blocks_of(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start(2)) + 1)
        for found in FENCED.finditer(text)
    ]


def commands_in(block: Block) -> list[str]:
    if block.language != "sh":
        return []
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("spectraloom ")]


def all_commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in blocks_of(page):
            for command in commands_in(block):
                yield page, command


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the files that the page on formats reads, and a copy of public data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPECTRALOOM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")
    spectra = simulate_gamma(["Cs137"], demo_detectors()["east"], 2, seed=1)
    # The page on the command line writes it with the shell, which is not run here.
    (tmp_path / "efficiency.csv").write_text("name,efficiency\nCs137,0.017\n", encoding="utf-8")
    (tmp_path / "measurements").mkdir()
    for name in ("run1.n42", "measurements/run1.n42"):
        sl.write(spectra, name)
    (tmp_path / "data" / "gamma_flow").mkdir(parents=True)
    np.save("plain.npy", spectra.values)
    with zipfile.ZipFile(tmp_path / "data" / "gamma_flow" / "example_dataset.zip", "w") as archive:
        archive.write("plain.npy")
    Path("plain.npy").unlink()
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_blocks_run_in_order(page: str, workplace: Path) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    with matplotlib.rc_context():
        for block in blocks_of(page):
            if block.language == "python":
                # Padded with lines, so that an error names the line of the page.
                code = compile("\n" * (block.line - 1) + block.text, str(ROOT / page), "exec")
                exec(code, names)
            for command in commands_in(block):
                if not command.startswith(ONLY_PARSED):
                    run(page, command)


def run(page: str, command: str) -> None:
    done = CliRunner().invoke(app, shlex.split(command, comments=True)[1:])
    assert done.exit_code == 0, f"{page}: {command}\n{done.output}\n{done.exception!r}"


@pytest.mark.parametrize(("page", "command"), list(all_commands()))
def test_command_parses(page: str, command: str) -> None:
    parse(shlex.split(command, comments=True)[1:])


def parse(arguments: list[str]) -> None:
    """Parse a command line, down to the options of a sub-command, without running it."""
    command: Any = typer.main.get_command(app)
    if arguments in (["--help"], ["--version"]):
        return
    context, name = None, "spectraloom"
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, list(arguments), parent=context)
        name, command, arguments = command.resolve_command(context, arguments)
        assert command is not None, f"there is no command {name!r}"
    command.make_context(name, list(arguments), parent=context)


@pytest.mark.parametrize(
    "wrong", [["unheard-of"], ["info"], ["info", "a", "--unheard-of"], ["bench", "unheard-of"]]
)
def test_wrong_commands_do_not_parse(wrong: list[str]) -> None:
    with pytest.raises(Exception, match=r"No such|Missing|unheard-of"):
        parse(wrong)


def test_readme_shows_commands_and_code() -> None:
    languages = [block.language for block in blocks_of("README.md")]
    assert languages.count("python") >= 5
    assert len([c for page, c in all_commands() if page == "README.md"]) >= 8


def test_every_command_has_its_example_on_the_page() -> None:
    group: Any = typer.main.get_command(app)
    shown = {c.split()[1] for page, c in all_commands() if page == "docs/command_line.md"}
    assert shown == set(group.commands)


LINK = re.compile(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_to_files_lead_somewhere(page: str) -> None:
    targets = [found[1] for found in LINK.finditer((ROOT / page).read_text(encoding="utf-8"))]
    missing = [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()]
    assert not missing, f"{page}: {', '.join(missing)}"


def test_pictures_of_the_readme_are_small() -> None:
    shown = re.findall(r"\]\((docs/images/\w+\.png)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(shown) >= 2
    for picture in shown:
        assert (ROOT / picture).stat().st_size < 200_000, picture
