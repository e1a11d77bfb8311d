"""Reports: one HTML page that needs no other file, no network and no script."""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from spectraloom.errors import DataError
from spectraloom.plot import as_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs; an empty line starts the next one.

    Parameters
    ----------
    text : str
    """

    text: str

    def to_html(self) -> str:
        """The paragraphs."""
        parts = [part for part in re.split(r"\n\s*\n", self.text) if part.strip()]
        return "\n".join(f"<p>{escape(part.strip())}</p>" for part in parts)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head; the first cell names its row.

    Parameters
    ----------
    caption : str
    head : sequence of str
    rows : sequence of sequences
        Texts and numbers, each row as long as the head. None and nan become a dash.

    Raises
    ------
    DataError
        If there is no caption or a row has another length than the head.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __post_init__(self) -> None:
        _require_text(self.caption, "a table needs a caption")
        for number, row in enumerate(self.rows):
            if len(row) != len(self.head):
                raise DataError(
                    f"row {number} of table {self.caption!r} has {len(row)} cells, its head has "
                    f"{len(self.head)}"
                )

    def to_html(self) -> str:
        """The table, in a frame that scrolls where the page is too narrow."""
        caption = escape(self.caption)
        cells = [[_shown(value) for value in row] for row in self.rows]
        # A column is aligned to the right if it holds numbers and nothing else.
        looks = [_look(column) for column in zip(*cells, strict=True)] or [""] * len(self.head)
        head = "".join(
            f'<th scope="col"{look}>{escape(name)}</th>'
            for name, look in zip(self.head, looks, strict=True)
        )
        body = "\n".join(f"<tr>{''.join(_row(row, looks))}</tr>" for row in cells)
        return (
            f'<div class="wide" role="region" aria-label="{caption}" tabindex="0">\n<table>\n'
            f"<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n"
            f"<tbody>\n{body}\n</tbody>\n</table>\n</div>"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A figure, as a PNG inside the page.

    Parameters
    ----------
    figure : Figure
    alt : str
        What the figure shows, for those who cannot see it.
    caption : str

    Raises
    ------
    DataError
        If `alt` or `caption` is empty.
    """

    figure: Figure
    alt: str
    caption: str

    def __post_init__(self) -> None:
        _require_text(self.alt, "a picture needs an alternative text: say what it shows")
        _require_text(self.caption, "a picture needs a caption")

    def to_html(self) -> str:
        """The picture on a white card, with its caption."""
        data = base64.b64encode(as_png(self.figure)).decode("ascii")
        width, height = (round(100 * inches) for inches in self.figure.get_size_inches())
        return (
            f'<figure>\n<img src="data:image/png;base64,{data}" width="{width}" '
            f'height="{height}" alt="{escape(self.alt)}">\n'
            f"<figcaption>{escape(self.caption)}</figcaption>\n</figure>"
        )


Block: TypeAlias = Text | Table | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading.

    Parameters
    ----------
    heading : str
    blocks : sequence of Text, Table or Picture

    Raises
    ------
    DataError
        If the heading is empty.
    """

    heading: str
    blocks: Sequence[Block]

    def __post_init__(self) -> None:
        _require_text(self.heading, "a section needs a heading")


@dataclass(frozen=True, slots=True)
class Report:
    """A page: a title, sections, and at the end where data and numbers come from.

    Parameters
    ----------
    title : str
    sections : sequence of Section
    provenance : mapping
        Version, settings and data hash, as in ``Result.provenance``; mappings may be nested.
    attribution : str
        Who must be named for the data.

    Raises
    ------
    DataError
        If the title is empty.

    Examples
    --------
    >>> page = Report("A report", [Section("First", [Text("1 < 2")])]).to_html()
    >>> "<p>1 &lt; 2</p>" in page
    True
    """

    title: str
    sections: Sequence[Section]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    attribution: str = ""

    def __post_init__(self) -> None:
        _require_text(self.title, "a report needs a title")

    def to_html(self) -> str:
        """The whole page; the same content gives the same page."""
        sections = [*self.sections, *self._origin()]
        names = [f"section-{number}" for number in range(1, len(sections) + 1)]
        links = "\n".join(
            f'<li><a href="#{name}">{escape(section.heading)}</a></li>'
            for name, section in zip(names, sections, strict=True)
        )
        body = "\n".join(
            f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(section.heading)}</h2>\n'
            + "\n".join(block.to_html() for block in section.blocks)
            + "\n</section>"
            for name, section in zip(names, sections, strict=True)
        )
        title = escape(self.title)
        return _PAGE.format(title=title, style=_STYLE, links=links, body=body)

    def write(self, path: str | Path) -> Path:
        """Write the page, and make the folder it goes to.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        Path
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.to_html(), encoding="utf-8", newline="\n")
        return target

    def _origin(self) -> list[Section]:
        blocks: list[Block] = []
        if self.attribution.strip():
            blocks.append(Text(self.attribution))
        if self.provenance:
            rows = list(_flat(self.provenance))
            blocks.append(Table("How these results were made", ["What", "Value"], rows))
        return [Section("Origin of data and results", blocks)] if blocks else []


def escape(text: object) -> str:
    """Text for HTML: nothing in it is markup, inside an attribute or outside.

    Control characters and lone surrogates, which no page may hold, become a replacement sign.
    """
    clean = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" else c
        for c in str(text)
    )
    return html.escape(clean, quote=True)


def _row(cells: Sequence[tuple[str, bool]], looks: Sequence[str]) -> Iterator[str]:
    for column, ((text, _), look) in enumerate(zip(cells, looks, strict=True)):
        tag, scope = ("td", "") if column else ("th", ' scope="row"')
        yield f"<{tag}{scope}{look}>{escape(text)}</{tag}>"


def _look(column: Sequence[tuple[str, bool]]) -> str:
    return ' class="number"' if all(is_number for _, is_number in column) else ""


def _shown(value: Any) -> tuple[str, bool]:
    """Text of a cell, and whether it is a number."""
    if value is None:
        return "–", True
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no", False
    if isinstance(value, (int, np.integer)):
        return f"{value:,}", True
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if 1e4 <= abs(number) < 1e12:
            return f"{number:,.0f}", True
        return ("–" if np.isnan(number) else f"{number:.4g}"), True
    text = str(value)
    return text, bool(_NUMBER.fullmatch(text))


# Numbers that were written out before, with their unit: 12.3 %, 1,234 or a dash.
_NUMBER = re.compile(r"[-−+]?[\d.,]+(e[-+]?\d+)?\s?%?|–")


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[list[Any]]:
    """Rows of name and value; names of nested mappings are joined by points."""
    for name, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            yield [f"{prefix}{name}", ", ".join(_shown(one)[0] for one in value) or "–"]
        else:
            yield [f"{prefix}{name}", value]


def _require_text(text: str, message: str) -> None:
    if not text.strip():
        raise DataError(message)


# Contrast of every pair of colours is at least 4.5 to 1, in both schemes. Figures lie on a white
# card in the dark, too. The policy forbids scripts and the network, whatever the texts hold.
_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --faint: #4d4d4d; --paper: #ffffff;
  --line: #c4c4c4; --band: #f3f5f7; --link: #005a94; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --faint: #b8b8b8; --paper: #16181b; --line: #4a4f55;
    --band: #22262a; --link: #7cc0ee; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.8rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 2.5rem 0 0.75rem; padding-top: 0.5rem;
  border-top: 1px solid var(--line); }
h1, h2, p, figcaption, li { overflow-wrap: anywhere; }
th, td { overflow-wrap: break-word; }
p { max-width: 46rem; }
a { color: var(--link); }
a:focus-visible, .wide:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { position: static; }
nav { background: var(--band); padding: 0.75rem 1rem; border-radius: 0.4rem; }
nav ul { margin: 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap;
  gap: 0.25rem 1.5rem; }
figure { margin: 1.5rem 0; padding: 0.75rem; background: #ffffff; color: #1a1a1a;
  border: 1px solid var(--line); border-radius: 0.4rem; }
figure img { display: block; width: 100%; height: auto; }
figcaption { margin-top: 0.5rem; color: #4d4d4d; font-size: 0.92rem; }
.wide { overflow-x: auto; margin: 1.5rem 0; }
table { border-collapse: collapse; font-size: 0.94rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.4rem; }
th, td { padding: 0.3rem 0.8rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; min-width: 4rem; }
thead th { border-bottom: 2px solid var(--faint); }
tbody th { font-weight: 500; white-space: pre-wrap; }
.number { text-align: right; }
td.number { white-space: nowrap; }
@media print {
  :root { --ink: #000000; --faint: #333333; --paper: #ffffff; --line: #999999; --band: #ffffff; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, .skip { display: none; }
  figure, tr, caption { break-inside: avoid; }
  h2, caption { break-after: avoid; }
  thead { display: table-header-group; }
}
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<h1>{title}</h1>
<nav aria-label="Sections">
<ul>
{links}
</ul>
</nav>
</header>
<main id="content">
{body}
</main>
</body>
</html>
"""
