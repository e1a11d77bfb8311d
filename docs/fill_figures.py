"""Fill the tables of measured figures from the JSON of the benchmark.

Run it as ``python docs/fill_figures.py bench.json steel.json``, with the numbers of one or more
benchmarks; it rewrites what stands between ``figures: begin`` and ``figures: end`` (or ``steel
figures: begin``, ``simulator figures: begin``) in README.md and docs/benchmark.md.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmark.md")
MARKED = r"(<!-- {kind}figures: begin[^\n]*-->\n).*?(<!-- {kind}figures: end -->)"
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


def steel_tables(numbers: dict[str, Any]) -> str:
    """Tables of the steel-sphere benchmark as Markdown."""
    lines = [
        "",
        (
            "| mixture, counts | mean error | error over bound | covered by 95 % | ms | "
            "first spectra: ours; alternating | ms | bare signatures: mean error |"
        ),
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name in numbers["protocol"]["mixtures"]:
        for counts, level in numbers[name].items():
            theirs = numbers["reference"][name][counts]
            for key, text in (
                ("", "interpolated"),
                ("iae_joint", "autoencoder, joint"),
                ("iae_individual", "autoencoders, individual"),
            ):
                one = level.get(key) if key else level
                if one is None:
                    continue
                cells = [f"{name}, {int(counts):,}, {text}"]
                cells += [f"{one['mre']:.2%}", f"{one['rmse_over_crb']:.3f}"]
                cells += [f"{one['coverage95']:.3f}", f"{1e3 * one['seconds_per_spectrum']:.2f}"]
                if key:
                    cells += ["", "", ""]
                else:
                    slow = theirs["alternating"]
                    cells += [
                        f"{slow['joint_fit_mre']:.2%}; {slow['mre']:.2%}",
                        f"{1e3 * slow['seconds_per_spectrum']:.0f}",
                    ]
                    cells += [f"{theirs['poisson_bare']['mre']:.1%}"]
                lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| figure | |", "|---|--:|"]
    lines += [f"| {text} | {value} |" for text, value in _steel_rows(numbers)]
    return "\n".join([*lines, ""]) + "\n"


def _steel_rows(numbers: dict[str, Any]) -> list[tuple[str, str]]:
    many = numbers["multi"]["100000"]
    ident, speed = numbers["ident"], numbers["speed"]["2500"]
    misfit, latents = numbers["misfit"]["100000"], numbers["latents"]["100000"]
    rows = [
        (
            "All held-out thicknesses, 100,000 counts: error over bound; covered",
            (
                f"{numbers['everywhere']['100000']['rmse_over_crb']:.3f}; "
                f"{numbers['everywhere']['100000']['coverage95']:.3f}"
            ),
        ),
        (
            "Another thickness for each source, 100,000 counts: error with one each; covered",
            f"{many['individual']['mre']:.1%}; {many['individual']['coverage95']:.3f}",
        ),
        ("the same with one thickness for all", f"{many['common']['mre']:.1%}"),
        (
            "Thickness, gain and resolution free: error over bound; covered",
            f"{latents['rmse_over_crb']:.3f}; {latents['coverage95']:.3f}",
        ),
        ("Misfit alarms, stated 1 %: held-out thickness", f"{misfit['held_out_thickness']:.1%}"),
        ("Misfit alarms: 2 % of gain left out", f"{misfit['gain_2pct']:.1%}"),
        (
            "Sets of sources right (with the thickness known)",
            f"{ident['ppr']:.1%} ({ident['ceiling']['ppr']:.1%})",
        ),
        (
            "False positives, stated 1 %, where any is possible",
            f"{ident['fpr_of_possible']:.2%}",
        ),
        ("Identification, two cores", f"{ident['per_second']:,.0f} spectra/s"),
        (
            f"Fits on one core, {numbers['speed']['channels']} channels",
            f"{speed['unbinned_per_second']:,.0f}/s",
        ),
        (
            (
                f"Fits on one core, {numbers['speed']['bins']} adaptive bins "
                f"({1 - speed['information_kept']:.1%} of information lost)"
            ),
            f"{speed['adaptive_per_second']:,.0f}/s",
        ),
    ]
    learned = numbers["iae"]
    for text, one in (
        ("Autoencoder, joint", learned if "nmse_db" in learned else None),
        ("Autoencoders, individual", learned.get("individual")),
        ("Seven knots", learned["interpolated"]),
    ):
        if one:
            value = f"{one['nmse_db']:.1f} dB; {one['count_bias']:.2%}"
            if "train_seconds" in one:
                value += f"; {one['train_seconds']:.0f} s"
            rows.append((f"{text}: fidelity; count bias; training", value))
    return rows


def simulator_tables(runs: Sequence[dict[str, Any]]) -> str:
    """Figures of the simulator, from a run on each data set."""
    rows = [
        "| reference spectra of | cosine | NMSE | peak position | ratios of peaks | behind steel |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for run in (one for one in runs if "shape" in one):
        for name, shape in run["shape"]["per_detector"].items():
            peaks = run["peaks"]["per_detector"].get(name, {})
            position = peaks.get("position_error_kev")
            fitted = run["protocol"]["detectors"][name]["fitted"]
            size = " x ".join(f"{side:.1f}" for side in fitted["size_cm"])
            rows.append(
                f"| {name}; found: {fitted['crystal']}, {size} cm | "
                f"{shape['cosine']:.4f} | {shape['nmse_db']:.1f} dB | "
                f"{'' if position is None else f'{position:.2f} keV'} | "
                f"{_part(peaks.get('ratio_error'))} | "
                f"{_part(run.get('attenuation', {}).get('error'))} |"
            )
    rows.append("")
    last = runs[-1]
    speed = {
        "Photons into a 3-inch crystal, two cores": f"{last['histories_per_second']:,.0f}/s",
        "Response of 50 energies and 400,000 photons each": f"{last['response_seconds']:.1f} s",
        "Spectra drawn, responses known": f"{last['spectra_per_second']:,.0f}/s",
    }
    for run in runs:
        if "transfer" in run:
            ours, theirs = (run["transfer"][key]["micro_f1"] for key in ("ours", "shipped"))
            taught = "Measured sets found, taught by our simulation (by that of the data): micro-F1"
            speed[taught] = f"{ours:.3f} ({theirs:.3f})"
    rows += ["| figure | |", "|---|--:|"]
    rows += [f"| {name} | {value} |" for name, value in speed.items()]
    return "\n" + "\n".join(rows) + "\n\n"


def _part(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def fill(page: Path, text: str, kind: str = "") -> None:
    """Put the tables between the marks of a page."""
    old = page.read_text(encoding="utf-8")
    marked = re.compile(MARKED.format(kind=kind), re.DOTALL)
    if not marked.search(old):
        sys.exit(f"{page}: has no marks '{kind}figures: begin' and '{kind}figures: end'")
    new = marked.sub(lambda found: found[1] + text + found[2], old)
    page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python docs/fill_figures.py bench.json [steel.json simulator.json ...]")
    simulated = []
    for given in sys.argv[1:]:
        numbers = json.loads(Path(given).read_text(encoding="utf-8"))
        if "histories_per_second" in numbers:
            simulated.append(numbers)
            continue
        if "multi" in numbers:
            filled, kind = steel_tables(numbers), "steel "
        else:
            filled, kind = tables(numbers), ""
        for one in PAGES:
            fill(one, filled, kind)
    if simulated:
        for one in PAGES:
            fill(one, simulator_tables(simulated), "simulator ")
