"""Fill the tables of measured figures from the JSON of the benchmark.

Run it as ``python docs/fill_figures.py bench.json``; it rewrites what stands between the marks
``figures: begin`` and ``figures: end`` in README.md and docs/benchmark.md.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmark.md")
MARKED = re.compile(r"(<!-- figures: begin[^\n]*-->\n).*?(<!-- figures: end -->)", re.DOTALL)
ACCURACY = (
    ("holdout", "accuracy", "Training spectra held out: right"),
    ("measured", "accuracy", "Measured, one source or none: right"),
    ("multilabel", "exact_match", "Measured, several sources: whole set right"),
    ("multilabel", "micro_f1", "Measured, several sources: micro-F1"),
    ("unknown", "auc", "Unknown sources: area under the ROC curve"),
    ("unknown", "recall_at_5pct", "Unknown sources: found at 5 % false alarms"),
)


def tables(numbers: dict[str, Any]) -> str:
    """Both tables as Markdown; the second only if speed was measured."""
    sizes = numbers["protocol"]
    n_of = {
        "holdout": sizes["n_holdout"],
        "measured": sizes["n_single"],
        "multilabel": sizes["n_multi"],
        "unknown": sizes["n_unknown"],
    }
    lines = ["", "| figure | spectra | Spectraloom | reference |", "|---|--:|--:|--:|"]
    for group, key, text in ACCURACY:
        if group in numbers:
            ours, theirs = (_share(part[group][key]) for part in (numbers, numbers["reference"]))
            lines.append(f"| {text} | {n_of[group]} | {ours} | {theirs} |")
    lines.append("")
    lines += _identify_lines(numbers)
    rows = _speed_rows(numbers)
    if rows:
        lines += ["| speed and memory | |", "|---|--:|"]
        lines += [f"| {text} | {value} |" for text, value in rows]
        lines.append("")
    return "\n".join(lines) + "\n"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _identify_lines(numbers: dict[str, Any]) -> list[str]:
    """Table of identification, beside the reference where it was asked the same."""
    ours = numbers.get("identify")
    if not ours:
        return []
    theirs, other = numbers["reference"], ours["reference"]
    rows = [
        (text, ours[group][key], part.get(group, {}).get(key))
        for text, group, key, part in (
            ("Several sources: whole set right", "multilabel", "exact_match", theirs),
            ("Several sources: micro-F1", "multilabel", "micro_f1", theirs),
            ("One source or none, clean labels: right", "measured", "clean_accuracy", other),
            ("A nuclide found that is nowhere in the file", "measured", "wrong_nuclide_rate", {}),
            ("Unknown sources: area under the ROC curve", "unknown", "auc", theirs),
            ("Unknown sources: found at 5 % false alarms", "unknown", "recall_at_5pct", theirs),
        )
        if group in ours
    ]
    if "unknown" in ours:
        alarms, *other_alarms = (
            (part["unknown"].get("false_alarms_at_5pct") or {}).get("observed")
            for part in (ours, theirs)
        )
        rows.append(("Known sources flagged at the same thresholds", alarms, other_alarms[0]))
    for name, one in ours.get("injection", {}).items():
        rows += [
            (f"{counts} counts of {name} found", one[counts], other["injection"][name][counts])
            for counts in ("100", "400")
            if counts in one
        ]
    lines = ["| identification | Spectraloom | reference |", "|---|--:|--:|"]
    lines += [f"| {text} | {_share(mine)} | {_share(yours)} |" for text, mine, yours in rows]
    return [*lines, "", *_amount_lines(ours)]


def _amount_lines(ours: dict[str, Any]) -> list[str]:
    """Tables of the amounts of simulated mixtures, a row for each number of counts."""
    if "coverage95" not in ours:
        return []
    covered = (
        ("coverage95", "interval of every answer"),
        ("coverage95_profile", "profile"),
        ("coverage95_variants", "with variants: interval of every answer"),
        ("coverage95_variants_profile", "with variants: profile"),
    )
    errors = (
        ("rmse_over_crb", "that knows the sources"),
        ("rmse_over_crb_of_library", "that knows the library"),
        ("rmse_over_crb_without_pile_up", "that knows sources and pile-up"),
    )
    lines = []
    for first, keys in (("covered by 95 % intervals", covered), ("error over bound", errors)):
        lines.append(f"| counts in all; {first} | " + " | ".join(text for _, text in keys) + " |")
        lines.append("|--:|" + "--:|" * len(keys))
        for counts in ours["coverage95"]:
            cells = " | ".join(_share(ours[key][counts]) for key, _ in keys)
            lines.append(f"| {int(counts):,} | {cells} |")
        lines.append("")
    return lines


def _speed_rows(numbers: dict[str, Any]) -> list[tuple[str, str]]:
    speed = numbers.get("throughput")
    if not speed:
        return []
    size = f"{speed['n_channels']} channels, {speed['n_loadings']} loadings"
    rows = [
        (f"Unmixing ({size})", f"{speed['nnls_per_second']:,.0f} spectra/s"),
        ("the same by `scipy.optimize.nnls` in a loop", f"{speed['scipy_nnls_per_second']:,.0f}/s"),
        ("times as fast", f"{speed['nnls_speedup']:.0f}"),
        ("largest relative difference", f"{speed['nnls_max_relative_difference']:.0e}"),
        ("Rebinning", f"{speed['rebin_per_second']:,.0f} spectra/s"),
        ("`analyze` without denoised spectra", f"{speed['analyze_per_second']:,.0f} spectra/s"),
    ]
    other = numbers.get("identify", {}).get("throughput")
    if other:
        rows += [
            ("Identification, complete", f"{other['identify_per_second']:,.0f} spectra/s"),
            (
                f"Poisson fit with uncertainties ({other['poisson_fit_templates']} templates)",
                f"{other['poisson_fit_per_second']:,.0f} spectra/s",
            ),
            (
                "the same templates by `scipy.optimize.nnls` in a loop",
                f"{other['poisson_fit_scipy_nnls_per_second']:,.0f}/s",
            ),
        ]
    peak = speed.get("million_spectra_peak_bytes")
    if peak is not None:
        rows.append(("Peak memory of unmixing a million float32 spectra", f"{peak / 1e9:.1f} GB"))
    return rows


def fill(page: Path, text: str) -> None:
    """Put the tables between the marks of a page."""
    old = page.read_text(encoding="utf-8")
    if not MARKED.search(old):
        sys.exit(f"{page}: has no marks 'figures: begin' and 'figures: end'")
    new = MARKED.sub(lambda found: found[1] + text + found[2], old)
    page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/fill_figures.py bench.json")
    filled = tables(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    for one in PAGES:
        fill(one, filled)
