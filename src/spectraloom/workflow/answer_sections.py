"""Sections of a report on spectra that were identified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.workflow.answers import activity_notes
from spectraloom.workflow.identify_sections import spectrum_blocks
from spectraloom.workflow.left_out import LeftOut
from spectraloom.workflow.report import Block, Section, Table, Text
from spectraloom.workflow.trust import doubts, summary

_MOST_ROWS = 500


def found_section(model: Identifier, result: Result, left_out: Sequence[LeftOut] = ()) -> Section:
    """What was found in each spectrum, what to make of it, and what was left out."""
    blocks: list[Block] = [
        Text("\n\n".join([*summary(result, None, model), *activity_notes(result)])),
        found_table(result),
    ]
    files = sorted(set(map(str, result.columns.get("file", ()))))
    if len(files) == 1:
        blocks.insert(1, Text(f"All spectra are those of {files[0]}."))
    if len(result) > _MOST_ROWS:
        blocks.append(Text(f"The first {_MOST_ROWS} of {len(result):,} spectra are listed."))
    if left_out:
        rows = [[one.file, one.reason] for one in left_out]
        blocks.append(Table("Files that were left out", ["File", "Reason"], rows))
    return Section("What was found", blocks)


def found_table(result: Result) -> Table:
    """A row for each name found in a spectrum, with activities and sets where there are any."""
    reasons = doubts(result)
    with_activity = "activity" in result.details
    sets = result.columns.get("conformal_set")
    head = ["Spectrum", "Found", *(["Conformal set"] if sets is not None else [])]
    head += [f"Amount ({result.unit})", "±", "Significance", "p-value"]
    head += ["Activity (Bq)", "± (Bq)"] if with_activity else []
    rows: list[list[Any]] = []
    for row in range(min(len(result), _MOST_ROWS)):
        doubtful = ", ".join(name for name, flag in reasons.items() if flag[row])
        label = f"{row_text(result, row)}{f' (do not trust: {doubtful})' if doubtful else ''}"
        for name in result.labels[row] or ("nothing",):
            column = result.names.index(name) if name in result.names else None
            own_set = [] if sets is None else [" + ".join(sets[row]) or "empty"]
            rows.append([label, name, *own_set, *_numbers(result, row, column, with_activity)])
    return Table("Sources in each spectrum", head, rows)


def _numbers(result: Result, row: int, column: int | None, with_activity: bool) -> list[Any]:
    keys = ["significance", "p_value"]
    keys += ["activity", "activity_uncertainty"] if with_activity else []
    if column is None:
        return [None] * (2 + len(keys))
    error = None if result.uncertainties is None else float(result.uncertainties[row, column])
    details = [float(result.details[key][row, column]) for key in keys]
    return [float(result.amounts[row, column]), error, *details]


def row_text(result: Result, row: int) -> str:
    """Number of a spectrum, with its file and record where there are several files."""
    if len(set(map(str, result.columns.get("file", [])))) < 2:
        return f"{row}"
    record = result.columns["record"][row] if "record" in result.columns else row
    return f"{result.columns['file'][row]} {record}"


def example_section(model: Identifier, result: Result, groups: Sequence[Spectra]) -> Section:
    """A typical spectrum, and the one that the library explains worst."""
    misfit = result.quality["deviance_per_dof"]
    order = np.argsort(misfit, kind="stable")
    chosen = {int(order[len(order) // 2]): "A typical spectrum (median misfit)"}
    chosen.setdefault(int(order[-1]), "The spectrum that the library explains worst")
    blocks: list[Block] = []
    for row, what in chosen.items():
        spectra, place = locate(groups, row)
        said = f"Spectrum {row_text(result, row)}: "
        blocks += spectrum_blocks(model, spectra, place, result[[row]], what, said)
    return Section("Spectra", blocks)


def locate(groups: Sequence[Spectra], row: int) -> tuple[Spectra, int]:
    """Group that holds a row of the joined answer, and its place in the group."""
    for group in groups:
        if row < len(group):
            return group, row
        row -= len(group)
    raise IndexError(f"there is no spectrum {row} beyond the last")
