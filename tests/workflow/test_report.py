from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spectraloom import Spectra
from spectraloom.errors import DataError
from spectraloom.plot import plot_spectra
from spectraloom.workflow.report import Picture, Report, Section, Table, Text, escape

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What is on a page: every tag with its attributes, the texts of each tag, and its nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.problems: list[str] = []
        self.feed(text)
        self.close()
        self.problems += self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len(dict(attrs)) != len(attrs):
            self.problems.append(f"{tag} has an attribute twice")
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def picture(alt: str = "A spectrum of four channels", caption: str = "Counts") -> Picture:
    return Picture(plot_spectra(Spectra([[1, 5, 2, 0]])), alt, caption)


@pytest.fixture(scope="module")
def report() -> Report:
    return Report(
        "What is in it",
        [
            Section("First", [Text("One.\n\nTwo,\nstill two."), picture()]),
            Section("Second", [Table("Rates", ["Name", "Rate"], [["Co60", 0.5], ["Cs137", None]])]),
        ],
        {"spectraloom": "1.2.3", "settings": {"window": [45.0, 2000.0], "min_share": 0.1}, "n": 7},
        "Data by Somebody, CC BY 4.0",
    )


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(report.to_html())


def test_the_page_is_well_formed(page: Page) -> None:
    assert page.problems == []
    assert page.all("html") == [{"lang": "en"}]
    assert page.text("title") == page.text("h1") == ["What is in it"]
    assert {"charset": "utf-8"} in page.all("meta")
    assert len(page.all("main")) == len(page.all("nav")) == 1


def test_headings_are_in_order(page: Page) -> None:
    headings = [tag for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings == ["h1", "h2", "h2", "h2"]
    assert page.text("h2") == ["First", "Second", "Origin of data and results"]


def test_links_lead_to_places_on_the_page(page: Page) -> None:
    targets = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(targets)) == len(targets)
    links = [attributes["href"] or "" for attributes in page.all("a")]
    assert len(links) == 4  # to the content, and to each section
    assert {link.removeprefix("#") for link in links} <= set(targets)
    named = [attributes["aria-labelledby"] for attributes in page.all("section")]
    assert set(named) <= set(targets)


def test_pictures_lie_in_the_page_and_have_alternatives(page: Page) -> None:
    (image,) = page.all("img")
    assert image["alt"] == "A spectrum of four channels"
    kind, _, data = str(image["src"]).partition(",")
    assert kind == "data:image/png;base64"
    content = base64.b64decode(data, validate=True)
    assert content.startswith(b"\x89PNG")
    width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
    # The place that is kept for it has its shape.
    assert int(str(image["width"])) / int(str(image["height"])) == pytest.approx(
        width / height, 0.01
    )
    assert page.text("figcaption") == ["Counts"]


def test_tables_name_their_rows_and_columns(page: Page) -> None:
    assert page.text("caption") == ["Rates", "How these results were made"]
    scopes = [attributes["scope"] for attributes in page.all("th")]
    assert scopes == ["col", "col", "row", "row", "col", "col", "row", "row", "row", "row"]
    assert page.text("td")[:2] == ["0.5", "–"]


def test_the_end_tells_where_all_comes_from(page: Page) -> None:
    assert "Data by Somebody, CC BY 4.0" in page.text("p")
    rows = dict(zip(page.text("th")[-4:], page.text("td")[-4:], strict=True))
    assert rows == {
        "spectraloom": "1.2.3",
        "settings.window": "45, 2000",
        "settings.min_share": "0.1",
        "n": "7",
    }


def test_paragraphs_are_parted_by_empty_lines(page: Page) -> None:
    assert page.text("p")[:2] == ["One.", "Two,\nstill two."]


def test_nothing_is_fetched_and_nothing_runs(report: Report, page: Page) -> None:
    # Anything may look like an address in the coded pictures.
    text = re.sub(r'"data:image/png;base64,[^"]*"', '""', report.to_html())
    assert "base64" not in text
    assert re.findall(r"https?:|//[a-z]|url\(|@import|javascript:", text, re.IGNORECASE) == []
    assert {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags} == set()
    assert [
        name for _, attributes in page.tags for name in attributes if name.startswith("on")
    ] == []
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert str(policy).split("; ") == [
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
    ]


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;{title}%s\x00\ud800"


def everywhere(text: str) -> Report:
    # A picture is slow to draw, so the figure is the only thing without the text.
    table = Table(text, [text, text], [[text, text]])
    section = Section(text, [Text(text), table, picture(text, text)])
    return Report(text, [section], {text: text, "b": {text: [text]}}, text)


def test_hostile_texts_stay_texts() -> None:
    page = Page(everywhere(HOSTILE).to_html())
    harmless = Page(everywhere("harmless").to_html())
    assert page.problems == []
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]
    names = [list(attributes) for _, attributes in page.tags]
    assert names == [list(attributes) for _, attributes in harmless.tags]
    shown = HOSTILE.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert page.text("h1") == page.text("title") == [shown]
    assert page.all("img")[0]["alt"] == shown
    assert shown in page.text("caption")


@given(st.text(alphabet=st.characters(), max_size=60))
@example(HOSTILE)
@example("&lt;")
def test_escaped_text_reads_as_it_was(text: str) -> None:
    page = Page(f'<p title="{escape(text)}">x{escape(text)}</p>')
    assert [tag for tag, _ in page.tags] == ["p"]
    shown = str(page.tags[0][1]["title"])
    assert len(shown) == len(text)
    assert all(a == b or b == "\ufffd" for a, b in zip(text, shown, strict=True))
    escape(text).encode("utf-8")


def test_the_same_report_gives_the_same_page(report: Report) -> None:
    assert report.to_html() == report.to_html()


def test_write_makes_the_folder(report: Report, tmp_path: Path) -> None:
    path = report.write(tmp_path / "new" / "folder" / "page.html")
    assert path.read_bytes().decode("utf-8") == report.to_html()
    assert report.write(str(path)) == path  # and again, over the old one


def test_a_report_with_nothing_about_its_origin_has_no_such_section() -> None:
    page = Page(Report("Title", []).to_html())
    assert page.problems == []
    assert page.text("h2") == []


def cells(*values: Any) -> list[tuple[str, bool]]:
    """Text of each cell, and whether it is aligned as a number."""
    page = Page(Table("c", ["", *("x" * len(values))], [["row", *values]]).to_html())
    looks = [attributes.get("class") == "number" for attributes in page.all("td")]
    return list(zip(page.text("td"), looks, strict=True))


def test_numbers_are_written_for_people() -> None:
    assert cells(1234567, np.int64(12), 0.123456789, np.float32(2.5), float("nan"), None) == [
        ("1,234,567", True),
        ("12", True),
        ("0.1235", True),
        ("2.5", True),
        ("–", True),
        ("–", True),
    ]
    assert cells(True, np.False_, "12.3 %", "1,234", "Co60", "cosine 0.9", "-3e-5") == [
        ("yes", False),
        ("no", False),
        ("12.3 %", True),
        ("1,234", True),
        ("Co60", False),
        ("cosine 0.9", False),
        ("-3e-5", True),
    ]


def test_a_column_with_a_text_is_no_column_of_numbers() -> None:
    rows = [["one", 1, 2], ["two", "many", 3.5]]
    page = Page(Table("c", ["name", "some", "count"], rows).to_html())
    looks = [attributes.get("class") for tag, attributes in page.tags if tag in ("th", "td")]
    assert looks == [None, None, "number"] * 3
    none = Page(Table("c", ["name", "count"], []).to_html())
    assert [attributes.get("class") for attributes in none.all("th")] == [None, None]


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_what_nobody_could_read_is_refused(empty: str) -> None:
    with pytest.raises(DataError, match="alternative text"):
        picture(alt=empty)
    with pytest.raises(DataError, match="needs a caption"):
        picture(caption=empty)
    with pytest.raises(DataError, match="table needs a caption"):
        Table(empty, ["a"], [])
    with pytest.raises(DataError, match="needs a heading"):
        Section(empty, [])
    with pytest.raises(DataError, match="needs a title"):
        Report(empty, [])


def test_rows_are_as_long_as_their_head() -> None:
    with pytest.raises(DataError, match="row 1 of table 'c' has 3 cells, its head has 2"):
        Table("c", ["a", "b"], [["1", "2"], ["1", "2", "3"]])


# -- looks -----------------------------------------------------------------------------------------


def colors(block: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))


def luminance(color: str) -> float:
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_texts_stand_out_in_light_dark_and_print(report: Report) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", report.to_html(), re.DOTALL)
    light, dark, paper = (colors(block) for block in re.findall(r":root \{.*?\}", style, re.DOTALL))
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    # On paper what is not set is that of the light scheme.
    for scheme in (light, dark, {**light, **paper}):
        for ink in ("ink", "faint", "link"):
            for ground in ("paper", "band"):
                assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground)
    # The card of a figure is white in every scheme, and its caption is dark on it.
    (card,) = re.findall(r"^figure \{.*?\}", style, re.DOTALL | re.MULTILINE)
    assert "background: #ffffff" in card
    (caption,) = re.findall(r"^figcaption \{.*?\}", style, re.DOTALL | re.MULTILINE)
    assert contrast(re.findall(r"color: (#\w+)", caption)[0], "#ffffff") >= 4.5
