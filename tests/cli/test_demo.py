from __future__ import annotations

import contextlib
import io
import json
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import spectraloom as sl
from spectraloom.cli import main
from spectraloom.workflow import Judged, chain, run_chain, run_demo
from spectraloom.workflow.report import Section, Text

from .conftest import Run


class Page(HTMLParser):
    """Headings, pictures and everything that a page would fetch."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.fetched: list[str] = []
        self.scripts = 0
        self._in_heading = False
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in_heading = tag == "h2"
        self.scripts += tag == "script"
        if tag == "img":
            self.pictures.append(given)
        for name in ("src", "href"):
            link = given.get(name) or ""
            if link and not link.startswith(("#", "data:")):
                self.fetched.append(link)

    def handle_data(self, data: str) -> None:
        if self._in_heading and data.strip():
            self.headings.append(data.strip())


def require_self_contained(page: Page) -> None:
    assert page.scripts == 0
    assert page.fetched == []
    assert all(picture["alt"] for picture in page.pictures)
    assert all(str(picture["src"]).startswith("data:image/png") for picture in page.pictures)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    """One run of the command on little simulated data: folder, code and standard output."""
    out = tmp_path_factory.mktemp("demo") / "new" / "folder"
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        patch.setattr("spectraloom.workflow.run_demo", partial(run_demo, scale=0.15))
        patch.setattr(chain, "_NOISE", (0.0, 1.0))
        patch.setattr(chain, "_KEPT", (1.0, 0.1))
        with contextlib.redirect_stdout(stream):
            code = main(["demo", "--out", str(out)])
    return out, code, stream.getvalue()


def test_the_demo_ends_with_a_summary(demo: tuple[Path, int, str]) -> None:
    out, code, text = demo
    assert code == 0
    assert text.count(" %") >= 8
    for line in ("Hold-out", "Measured, one source", "outlier boundary", "unknown sources flagged"):
        assert line in text
    assert str(out / "report.html") in text
    assert max(len(line) for line in text.splitlines() if str(out) not in line) <= 80


def test_the_demo_writes_one_page(demo: tuple[Path, int, str]) -> None:
    page = Page(demo[0] / "report.html")
    require_self_contained(page)
    assert page.headings == [
        "Summary",
        "What the spectra look like",
        "The model",
        "Hold-out",
        "Measured, one source",
        "Measured, several sources",
        "Outliers",
        "Robustness",
        "Origin of data and results",
    ]
    assert len(page.pictures) >= 15
    assert "All spectra were simulated by Spectraloom" in page.text
    assert sorted(path.name for path in demo[0].iterdir()) == ["model.loom", "report.html"]


def test_the_model_of_the_demo_works(run: Run, demo: tuple[Path, int, str], tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    arguments = ["--nuclides", "Cs137", "--background", 500, 600, "--detector", "west"]
    assert run("simulate", "-o", file, "-n", 12, "--counts", 4000, 5000, *arguments).code == 0
    found = run("analyze", demo[0] / "model.loom", file, "--json").json
    assert sum("Cs137" in labels for labels in found["labels"]) >= 11
    assert sl.load(demo[0] / "model.loom").outlier_boundary_ is not None


@pytest.fixture
def real(gamma_flow_zip: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real data, without the longest step and the figures that the other run draws."""

    def short(judged: Judged) -> Section:
        return Section(judged.name, [Text(f"{judged.confusion.accuracy:.4f}")])

    monkeypatch.setattr("spectraloom.workflow.pages.judged_section", short)
    monkeypatch.setattr(
        "spectraloom.workflow.demo.run_chain", partial(run_chain, with_robustness=False)
    )
    return gamma_flow_zip


def test_the_demo_on_real_data_names_the_provider(run: Run, real: Path, tmp_path: Path) -> None:
    done = run("demo", "--data", real, "--out", tmp_path)
    assert (done.code, done.err) == (0, "")
    page = Page(tmp_path / "report.html")
    require_self_contained(page)
    assert "Robustness" not in page.headings
    for text in (" ".join(done.out.split()), page.text):
        assert "Federal Office for Radiation Protection (BfS), Berlin" in text
        assert "dl-de" in text or "www.govdata.de/dl-de/by-2-0" in text
        assert "shifted by one channel" in text
    assert "simulated by Spectraloom" not in page.text


def test_the_demo_for_machines(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gamma_flow_zip: Path
) -> None:
    calls: dict[str, Any] = {}

    class FakeChain:
        def to_dict(self) -> dict[str, Any]:
            return {"judged": {}, "value": float("nan")}

    def fake(out: Path, **settings: Any) -> tuple[FakeChain, Path]:
        calls.update(settings, out=out)
        return FakeChain(), out / "report.html"

    monkeypatch.setattr("spectraloom.workflow.run_demo", fake)
    found = run("demo", "--data", gamma_flow_zip, "--out", tmp_path, "--seed", 5, "--json").json
    assert (calls["data"], calls["out"], calls["seed"]) == (gamma_flow_zip, tmp_path, 5)
    assert found["value"] is None
    assert found["report"] == str(tmp_path / "report.html")
    assert found["model"] == str(tmp_path / "model.loom")
    assert "Federal Office" in found["attribution"]
    assert json.dumps(found)
