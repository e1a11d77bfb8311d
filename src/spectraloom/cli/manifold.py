"""What the commands say of signatures that deform."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spectraloom.cli.show import (
    amount_text,
    clean,
    console,
    made,
    p_value_text,
    percent,
    print_pairs,
    print_text,
    row_name,
    sigma_text,
    table,
)

if TYPE_CHECKING:
    from spectraloom.analyze import ManifoldUnmixer
    from spectraloom.data import Result
    from spectraloom.workflow import ManifoldTraining


def deforming_model(given: Mapping[str, Any]) -> ManifoldUnmixer:
    """Unfitted model; what was not given (None) keeps the default of the model."""
    from spectraloom.analyze import ManifoldUnmixer

    for name in ("min_share", "variants"):
        if given.get(name) is not None:
            raise typer.BadParameter(
                f"--{name.replace('_', '-')} goes with --model nmf or --model identify"
            )
    chosen = {
        "model" if name == "signatures" else name: value
        for name, value in given.items()
        if value is not None
    }
    for name in ("gain", "broadening"):
        if chosen.get(name) == 0:
            chosen[name] = None
    return ManifoldUnmixer(**chosen)


def show_manifold_training(done: ManifoldTraining, out: Path, page: Path | None) -> None:
    """Print how well a model does at values of the deformation that were held out."""
    from spectraloom.workflow.trust import manifold_remarks

    model = done.model
    one = model.signatures_.deformations[0]
    if done.tried:
        shown = table(
            "counts", "set right", "error of amounts", "in interval", f"error of {clean(one.name)}",
            "in interval",
        )  # fmt: skip
        for level, found in done.tried["mixtures"].items():
            error = found.get("deformation_error")
            shown.add_row(
                f"{int(level):,}",
                percent(found["sets_right"]),
                percent(found["mean_relative_error"]),
                percent(found["coverage"]),
                "" if error is None else clean(f"{error:.2g} {one.unit}"),
                percent(found.get("deformation_coverage")),
            )
        console().print(shown)
        print_text(
            f"Mixtures of spectra at values of {one.name} that were held out, drawn over the "
            "background; intervals are 95 %. The model that is saved is learned from all values."
        )
    for remark in manifold_remarks(model):
        print_text(remark)
    facts: dict[str, object] = {
        "classes": ", ".join(model.classes_),
        "deformation": one.describe(),
        "false-alarm rate": f"{model.false_alarm_rate:g}",
    }
    if done.tried:
        alarms = done.tried["false_alarms"]
        facts["false alarms drawn"] = f"{alarms['alarms']} of {alarms['n']}"
    print_pairs({**facts, "model": out, **made(page)})


def print_unmixed(result: Result, model: ManifoldUnmixer, most: int = 20) -> None:
    """Print the first answers of an unmixing, then what to make of all of them."""
    from spectraloom.workflow.manifold_sections import own_text, shared_text
    from spectraloom.workflow.trust import doubts, summary

    reasons = doubts(result)
    shown = table("spectrum", "found", result.unit, "σ", "p-value", "deformation", "trust")
    for row in range(min(len(result), most)):
        found = [result.names.index(label) for label in result.labels[row]]
        against = [reason for reason, flag in reasons.items() if flag[row]]
        own = [own_text(model, result, row, j) for j in found]
        if len(found) > 1:  # whose it is: rows of the table wrap
            own = [
                text and f"{result.names[j]}: {text}" for j, text in zip(found, own, strict=True)
            ]
        shown.add_row(
            row_name(result, row),
            clean("\n".join(result.names[j] for j in found) or "nothing"),
            "\n".join(amount_text(result, row, j) for j in found),
            "\n".join(sigma_text(result.details["significance"][row, j]) for j in found),
            "\n".join(p_value_text(result.details["p_value"][row, j]) for j in found),
            clean("\n".join(filter(None, (shared_text(model, result, row), *own)))),
            f"no: {', '.join(against)}" if against else "yes",
        )
    console().print(shown)
    if len(result) > most:
        print_text(f"... and {len(result) - most:,} more; --out FILE.csv writes all of them.")
    for line in summary(result, None, model):
        print_text(line)
