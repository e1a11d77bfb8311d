"""What the terminal shows: tables, progress, JSON."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from spectraloom.cli.progress import line_a_minute

if TYPE_CHECKING:
    from spectraloom.data import Result, Spectra

_MOST_LINES = 8  # of an attribution; a page holds all of it


def console() -> Console:
    """Console on standard output; what is shown is text, never markup."""
    return Console(markup=False, highlight=False, emoji=False)


@contextmanager
def progress_bar(quiet: bool = False) -> Iterator[Callable[[float, str], None]]:
    """Bar on standard error, or a line a minute where that is no terminal; none for machines."""
    if quiet or not sys.stderr.isatty():
        yield line_a_minute(lambda text: None if quiet else typer.echo(clean(text), err=True))
        return
    columns = (TextColumn("{task.description:<28}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda fraction, text: bar.update(task, completed=fraction, description=clean(text))


def clean(text: object) -> str:
    """Text without control characters, with which a file could command a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in str(text))


def one_line(text: str) -> str:
    """Text on one line, without control characters."""
    return clean(" ".join(text.split()))


def print_json(value: Any) -> None:
    """Print strict JSON."""
    from spectraloom.workflow.strict_json import strict_json

    typer.echo(strict_json(value))


def print_pairs(facts: Mapping[str, object], title: str | None = None) -> None:
    """Print names and values; long values are folded between words, paths stay whole."""
    if not facts:
        return
    if title is not None:
        typer.secho(clean(title), bold=True)
    margin = max(map(len, facts)) + 4
    width = max(console().width, margin + 20)
    for name, value in facts.items():
        lines = [str(value)] if isinstance(value, Path) else str(value).splitlines() or [""]
        folded = [
            part
            for line in lines
            for part in (
                [line]
                if isinstance(value, Path)
                else textwrap.wrap(
                    line, width - margin, break_long_words=False, break_on_hyphens=False
                )
            )
        ]
        head = typer.style(f"  {name}".ljust(margin), bold=True)
        typer.echo(head + clean(f"\n{' ' * margin}".join(folded)))


def print_text(text: str) -> None:
    """Print a paragraph, folded between words."""
    lines = textwrap.wrap(
        clean(text), max(console().width, 20), break_long_words=False, break_on_hyphens=False
    )
    typer.echo("\n".join(lines))


def print_attribution(text: str) -> None:
    """Name who must be named for the data."""
    for line in text.splitlines()[:_MOST_LINES]:
        print_text(line)


def table(*heads: str) -> Table:
    """Table without frames, which stays readable where lines are folded."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in heads:
        made.add_column(head, overflow="fold")
    return made


def print_lines(lines: Sequence[Mapping[str, str]]) -> None:
    """Print lines of the same names as a table."""
    shown = table(*lines[0])
    for line in lines:
        shown.add_row(*map(clean, line.values()))
    console().print(shown)


def print_scores(judged: Iterable[Any]) -> None:
    """Print the scores of judged sets."""
    shown = table("spectra", "number", "largest right", "all right", "micro-F1", "flagged")
    for one in judged:
        scores = one.to_dict()
        shown.add_row(
            clean(one.name),
            f"{scores['n']:,}",
            percent(scores["accuracy"]),
            percent(scores["exact_match"]),
            decimal(scores["micro_f1"]),
            "-" if scores["flagged"] is None else percent(scores["flagged"]),
        )
    console().print(shown)
    print_text(
        "largest right: the largest source is truly there. all right: every source was found, and "
        "none besides. flagged: called an outlier."
    )
    for one in judged:
        strange = one.to_dict()["not_in_model"]
        if strange:
            print_text(f"{one.name}: the model was never shown {', '.join(strange)}.")


def print_result(result: Result, spectra: Spectra, model: Any, most: int = 20) -> None:
    """Print the first answers of a result, then what to make of all of them."""
    from spectraloom.workflow.trust import doubts, summary

    reasons = doubts(result, spectra)
    tested = model.outlier_boundary_ is not None
    shown = table("spectrum", "found", "share", result.unit, "cosine", "trust")
    for row in range(min(len(result), most)):
        found = [result.names.index(label) for label in result.labels[row]]
        against = [reason for reason, flag in reasons.items() if flag[row]]
        shown.add_row(
            row_name(result, row),
            clean("\n".join(result.names[j] for j in found) or "nothing"),
            "\n".join(f"{result.shares[row, j]:.0%}" for j in found),
            "\n".join(amount_text(result, row, j) for j in found),
            decimal(result.quality["cosine"][row]),
            f"no: {', '.join(against)}" if against else "yes" if tested else "not tested",
        )
    console().print(shown)
    if len(result) > most:
        print_text(f"... and {len(result) - most:,} more; --out FILE.csv writes all of them.")
    for line in summary(result, spectra, model):
        print_text(line)


def print_identified(result: Result, model: Any, *, limits: bool = False, most: int = 20) -> None:
    """Print the first answers of an identification, then what to make of all of them.

    Activities and conformal sets are shown where the result has them.
    """
    from spectraloom.workflow.answers import activity_notes
    from spectraloom.workflow.trust import doubts, summary

    reasons = doubts(result)
    tested = model.misfit_boundary_ is not None
    active, sets = "activity" in result.details, result.columns.get("conformal_set")
    more = [*(["Bq"] if active else []), *(["set"] if sets is not None else [])]
    shown = table("spectrum", "found", result.unit, "σ", "p-value", *more, "trust")
    shown.columns[1].no_wrap = True  # a name cut in two is another name
    for row in range(min(len(result), most)):
        against = [reason for reason, flag in reasons.items() if flag[row]]
        trust = f"no: {', '.join(against)}" if against else "yes" if tested else "not tested"
        whole = [row_name(result, row), trust]
        own_set = [] if sets is None else [clean(" + ".join(sets[row]) or "empty")]
        # A line for each name, so that numbers stay beside it where a cell is folded.
        for label in result.labels[row] or ("nothing",):
            cells = _found_cells(result, row, label, active)
            shown.add_row(whole[0], clean(label), *cells, *own_set, whole[1])
            whole, own_set = ["", ""], [""] * len(own_set)
    console().print(shown)
    if limits:
        _print_limits(result, most)
    if len(result) > most:
        print_text(f"... and {len(result) - most:,} more; --out FILE.csv writes all of them.")
    if sets is not None:
        _print_coverage(result.provenance["conformal"])
    for line in [*activity_notes(result), *summary(result, None, model)]:
        print_text(line)


def _print_coverage(facts: Mapping[str, Any]) -> None:
    coverage, n = facts["coverage"], facts["n_calibration"]
    if facts["largest_p_value"] >= 1.0:
        print_text(
            f"Sets: {n:,} labelled spectra, or what the model finds in them, do not suffice for a "
            f"coverage of {coverage:.0%}, so that every set holds all names."
        )
        return
    print_text(
        f"A set holds all sources that are there in at least {coverage:.0%} of the spectra like "
        f"the {n:,} labelled ones; it may hold more than is there."
    )


def print_left_out(left_out: Iterable[Any]) -> None:
    """Print the files that were left out, and why."""
    for one in left_out:
        print_text(f"Left out: {one.file}: {one.reason}")


def made(page: Path | None, owner: str = "") -> dict[str, object]:
    """Path of a report and who must be named for the data, where there are any."""
    facts: dict[str, object] = {} if page is None else {"report": page.resolve()}
    return {**facts, **({"attribution": owner} if owner else {})}


def print_alarms(found: Any, page: Path | None, most: int = 50) -> None:
    """Print the alarms of a series, and what to make of them."""
    rows = found.alarm_rows()
    if rows:
        shown = table("time", "sources", "σ", "false alarms per hour", "window", "lasted")
        for row in rows[:most]:
            for one in row["sources"]:
                shown.add_row(
                    clean(one["time"] or f"{one['seconds']:,.0f} s"),
                    clean(one["name"]),
                    f"{one['significance']:.1f}",
                    p_value_text(one["false_alarms_per_hour"]),
                    f"{one['window_seconds']:g} s",
                    f"{found.lasted(one):,.0f} s",
                )
        console().print(shown)
    if len(rows) > most:
        print_text(f"... and {len(rows) - most:,} more; --json prints all of them.")
    facts = found.to_dict()
    number = "1 alarm" if len(rows) == 1 else f"{len(rows)} alarms"
    print_text(
        f"{facts['n_spectra']:,} spectra, {facts['hours']:.2g} hours: {number}. Of background "
        f"alone {facts['alarms_per_hour']:g} or fewer an hour are expected, as long as it has the "
        "shape of the background given."
    )
    print_pairs(made(page))


def _print_limits(result: Result, most: int) -> None:
    keys = ["decision_threshold", "detection_limit"]
    active = [key for key in (f"activity_{one}" for one in keys) if key in result.details]
    heads = ["decision threshold", "detection limit"]
    shown = table(
        "spectrum", "source", *heads, *(["threshold (Bq)", "limit (Bq)"] if active else [])
    )
    for row in range(min(len(result), most)):
        values = [result.details[key][row] for key in [*keys, *active]]
        named = [j for j in range(len(result.names)) if values[0][j] == values[0][j]]
        shown.add_row(
            row_name(result, row),
            clean("\n".join(result.names[j] for j in named)),
            *("\n".join(_known_number(float(one[j])) for j in named) for one in values),
        )
    console().print(shown)
    print_text(
        f"In {result.unit}. Less than the decision threshold is not told from chance; an amount at "
        "the detection limit is found in 95 of 100 spectra."
    )


def print_tried(tried: Mapping[str, Any]) -> None:
    """Print what was found of injected sources."""
    injection = tried["injection"]
    counts = sorted({int(key) for one in injection.values() for key in one if key.isdecimal()})
    shown = table("source", *(f"{value} counts" for value in counts), "false alarms")
    for name, one in injection.items():
        alarms = one["false_alarms"]
        shown.add_row(
            clean(name),
            *(percent(one.get(str(value))) for value in counts),
            f"{alarms['alarms']} of {alarms['n']}\n({_interval(alarms)})",
        )
    console().print(shown)
    print_text(
        "Share of held-out sources found on held-out background, at 0.5 % false alarms per source; "
        "below the false alarms, the 95 % interval of their rate."
    )
    _print_false_alarms(tried["false_alarms"])


def _print_false_alarms(curves: Mapping[str, Any]) -> None:
    """Print observed beside stated rates, on held-out background and on draws from its mean."""
    by_rate: dict[float, dict[str, Any]] = {}
    for name, rates in curves.items():
        for one in rates:
            by_rate.setdefault(one["stated"], {})[name] = one
    if not by_rate:
        return
    shown = table("stated", "on held-out background", "drawn from its mean")
    for stated in sorted(by_rate, reverse=True):
        cells = [by_rate[stated].get(name) for name in ("measured", "simulated")]
        shown.add_row(
            rate_text(stated),
            *(
                "" if one is None else f"{rate_text(one['observed'])} ({_interval(one)})"
                for one in cells
            ),
        )
    console().print(shown)
    print_text("False alarms of a source: observed, with 95 % intervals, beside the stated rate.")


def _interval(rate: Mapping[str, Any]) -> str:
    return f"{rate_text(rate['low'])[:-2]} to {rate_text(rate['high'])}"


def row_name(result: Result, row: int) -> str:
    """Number of a spectrum, with its file and record where there are several files."""
    several_files = len(set(map(str, result.columns.get("file", [])))) > 1
    if not several_files:
        return f"{row}"
    record = result.columns["record"][row] if "record" in result.columns else row
    return clean(f"{result.columns['file'][row]} {record}")


def sigma_text(value: float) -> str:
    """Standard deviations; nothing for nan."""
    return "" if value != value else f"{value:.1f}"


def p_value_text(value: float) -> str:
    """A small probability; nothing for nan."""
    return "" if value != value else "< 1e-99" if value < 1e-99 else f"{value:.1g}"


def _found_cells(result: Result, row: int, label: str, active: bool) -> list[str]:
    """Amount, significance, p-value and activity of a name in a spectrum; empty for none."""
    if label not in result.names:
        return [""] * (3 + active)
    column = result.names.index(label)
    significance, p_value = (
        float(result.details[key][row, column]) for key in ("significance", "p_value")
    )
    cells = [amount_text(result, row, column), sigma_text(significance), p_value_text(p_value)]
    return [*cells, *([_activity(result, row, column)] if active else [])]


def _activity(result: Result, row: int, column: int) -> str:
    value, error = (
        float(result.details[key][row, column]) for key in ("activity", "activity_uncertainty")
    )
    return f"{_number(value)} ± {_number(error)}" if value == value else ""


def amount_text(result: Result, row: int, column: int) -> str:
    """An amount with its uncertainty."""
    amount = _number(float(result.amounts[row, column]))
    if result.uncertainties is None:
        return amount
    return f"{amount} ± {_number(float(result.uncertainties[row, column]))}"


def _known_number(value: float) -> str:
    return "" if value != value else _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def print_benchmark(numbers: Mapping[str, Any]) -> None:
    """Print the figures of a benchmark beside the reference."""
    shown = table("figure", "Spectraloom", "reference")
    for group, key in (
        ("holdout", "accuracy"),
        ("measured", "accuracy"),
        ("multilabel", "exact_match"),
        ("multilabel", "micro_f1"),
        ("unknown", "auc"),
        ("unknown", "recall_at_5pct"),
        ("unknown", "flagged_unknown"),
        ("unknown", "flagged_known"),
    ):
        ours, theirs = (part.get(group, {}).get(key) for part in (numbers, numbers["reference"]))
        if ours is not None:
            shown.add_row(f"{group}.{key}", decimal(ours, 4), decimal(theirs, 4))
    console().print(shown)
    if "identify" in numbers:
        _print_identify(numbers["identify"])
    if "throughput" in numbers:
        _print_speed(numbers["throughput"])


def _print_speed(numbers: Mapping[str, Any]) -> None:
    print_pairs(
        {
            name: f"{value:,.3g}" if isinstance(value, float) else f"{value:,}"
            for name, value in numbers.items()
            if value is not None
        }
    )


def _print_identify(numbers: Mapping[str, Any]) -> None:
    """Print how identification did; injected sources beside the reference."""
    facts = {
        f"{group}.{key}": decimal(numbers[group][key], 4)
        for group, key in (
            ("multilabel", "exact_match"),
            ("multilabel", "micro_f1"),
            ("measured", "clean_accuracy"),
            ("measured", "wrong_nuclide_rate"),
            ("unknown", "auc"),
            ("unknown", "recall_at_5pct"),
        )
        if key in numbers.get(group, {})
    }
    alarms = numbers.get("unknown", {}).get("false_alarms_at_5pct")
    if alarms is not None:
        facts["unknown.false_alarms_at_5pct"] = (
            f"{decimal(alarms['observed'], 4)} "
            f"({decimal(alarms['low'], 4)} to {decimal(alarms['high'], 4)})"
        )
    print_pairs(facts, title="identify")
    theirs = numbers["reference"].get("injection", {})
    for name, one in numbers.get("injection", {}).items():
        shares = {key: value for key, value in one.items() if key.isdecimal()}
        other = ", ".join(decimal(theirs.get(name, {}).get(key), 2) for key in shares)
        print_pairs(
            {
                f"{name} found of {', '.join(shares)}": ", ".join(
                    decimal(value, 2) for value in shares.values()
                )
                + f" (reference {other})"
            }
        )
    if "throughput" in numbers:
        _print_speed(numbers["throughput"])


def percent(value: float | None) -> str:
    """Percentage with one digit; "none" where there is nothing to judge."""
    return "none" if value is None or value != value else f"{100 * value:.1f} %"


def rate_text(value: float) -> str:
    """Rate as a percentage with two digits, however small."""
    return f"{100 * value:.2g} %" if value < 0.1 else percent(value)


def decimal(value: float | None, digits: int = 3) -> str:
    """Number with some digits; "none" where it is not defined."""
    return "none" if value is None or value != value else f"{value:.{digits}f}"


def boundary_text(study: Any) -> str:
    """Outlier boundary in one line."""
    boundary = study.boundary
    side = "above" if boundary.outlier_above else "below"
    return f"{boundary.feature} {side} {boundary.threshold:.3g} ({boundary.method})"


def listed(text: str | None) -> list[str] | None:
    """Parts of a text separated by commas."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
