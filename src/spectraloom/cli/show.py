"""What the terminal shows: tables, progress, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def console() -> Console:
    """Console on standard output."""
    return Console()


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Any]:
    """Bar on standard error; silent for machines."""
    if quiet:
        yield lambda _fraction, _text: None
        return
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda fraction, text: bar.update(task, completed=fraction, description=text)


def tell(facts: dict[str, Any], as_json: bool) -> None:
    """Print a few facts, as JSON for machines."""
    if as_json:
        print_json(facts)
    else:
        print_pairs(facts)


def print_json(value: Any) -> None:
    """Print strict JSON."""
    from spectraloom.workflow.train import finite

    typer.echo(json.dumps(finite(value), indent=1))


def print_pairs(facts: dict[str, Any], title: str | None = None) -> None:
    """Print names and values."""
    if not facts:
        return
    table = Table(show_header=False, box=None, title=title, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, str(value))
    console().print(table)


def print_scores(judged: dict[str, Any]) -> None:
    """Print the scores of judged sets."""
    table = Table("spectra", "number", "largest source right", "whole set right", "micro-F1")
    for one in judged.values():
        scores = one.to_dict()
        table.add_row(
            one.name,
            str(scores["n"]),
            percent(scores["accuracy"]),
            percent(scores["exact_match"]),
            f"{scores['micro_f1']:.3f}",
        )
    console().print(table)


def print_result(result: Any, most: int = 20) -> None:
    """Print the first answers of a result."""
    table = Table("", "found", "shares", "cosine", "flags")
    for row in range(min(len(result), most)):
        shares = ", ".join(
            f"{name} {share:.0%}"
            for name, share in zip(result.names, result.shares[row], strict=True)
            if share >= 0.01
        )
        flags = ", ".join(name for name, flag in result.flags.items() if flag[row])
        found = " + ".join(result.labels[row]) or "nothing"
        cosine = f"{result.quality['cosine'][row]:.3f}"
        table.add_row(str(row), found, shares, cosine, flags)
    console().print(table)
    if len(result) > most:
        console().print(f"{len(result) - most} more spectra: write all with --out result.csv")


def print_benchmark(numbers: dict[str, Any]) -> None:
    """Print the figures of a benchmark beside the reference."""
    table = Table("figure", "Spectraloom", "reference")
    for group, key in (
        ("holdout", "accuracy"),
        ("measured", "accuracy"),
        ("multilabel", "exact_match"),
        ("multilabel", "micro_f1"),
        ("unknown", "auc"),
        ("unknown", "recall_at_5pct"),
    ):
        ours, theirs = (part.get(group, {}).get(key) for part in (numbers, numbers["reference"]))
        if ours is not None:
            table.add_row(f"{group}.{key}", f"{ours:.4f}", f"{theirs:.4f}")
    console().print(table)
    if "throughput" in numbers:
        print_pairs(
            {
                name: f"{value:,.3g}" if isinstance(value, float) else f"{value:,}"
                for name, value in numbers["throughput"].items()
                if value is not None
            }
        )


def percent(value: float | None) -> str:
    """Percentage with one digit."""
    return "none" if value is None else f"{100 * value:.1f} %"


def boundary_text(study: Any) -> str:
    """Outlier boundary in one line."""
    boundary = study.boundary
    side = "above" if boundary.outlier_above else "below"
    return f"{boundary.feature} {side} {boundary.threshold:.3g} ({boundary.method})"


def strings(paths: list[Path]) -> list[str]:
    """Paths as the readers take them; patterns stay patterns."""
    return [str(path) for path in paths]


def listed(text: str | None) -> list[str] | None:
    """Parts of a text separated by commas."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def report_page(folder: Path) -> Path:
    """Path of the report in a folder, made if absent."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "report.html"


def attribution(spectra: Any) -> str:
    """Who must be named for the data."""
    return str(spectra.attrs.get("attribution", spectra.attrs.get("licence", "")))
