"""Sections of a report on signatures that deform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectraloom import plot
from spectraloom._typing import FloatArray
from spectraloom.analyze.manifold import Deformation, ManifoldUnmixer
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.workflow.answer_sections import locate, row_text
from spectraloom.workflow.left_out import LeftOut
from spectraloom.workflow.manifold import ManifoldTraining, components_of_manifold
from spectraloom.workflow.report import Block, Section, Table, Text
from spectraloom.workflow.sections import drawn, percent
from spectraloom.workflow.trust import doubts, manifold_remarks, summary

_MOST_ROWS = 500
_MOST_SHOWN = 40
_MOST_PANELS = 6


def signatures_section(training: ManifoldTraining) -> Section:
    """Signatures along their deformation, and settings."""
    model = training.model
    signatures = model.signatures_
    names = signatures.names[:_MOST_PANELS]
    first = signatures.deformations[0]
    errors = {name: _error_text(model.signature_errors_.get(name)) for name in signatures.names}
    latents = [
        name
        for name in ("gain", "offset", "broadening", "tilt")
        if model.fitted_with_[name] is not None
    ]
    facts: list[list[object]] = [
        ["sources", ", ".join(signatures.names)],
        ["deformation", "; ".join(one.describe() for one in signatures.deformations)],
        ["learned by", model.learning_.get("model", "given")],
        ["each source has its own deformation", model.fitted_with_["individual"]],
        ["fitted with it", ", ".join(latents) or "nothing else"],
        ["false alarms of a spectrum without sources", f"{model.false_alarm_rate:g}"],
        ["background", "learned" if model.background_ is not None else "none"],
        [
            "values held out when it was tried out",
            ", ".join(f"{value:g}" for value in training.held_out) or "none",
        ],
    ]
    facts += [[f"relative error of {name} between values", text] for name, text in errors.items()]
    return Section(
        "Signatures",
        [
            drawn(
                lambda: plot.plot_deformation(signatures, names),
                f"Signatures of {', '.join(names)}, a line for each of nine values of the "
                f"{first.name}, coloured from {first.low:g} to {first.high:g} {first.unit}.",
                f"How the signatures deform with the {first.name}; each has unit area.",
            ),
            Table("Settings", ["Setting", "Value"], facts),
            *(Text(remark) for remark in manifold_remarks(model)),
        ],
    )


def tried_section(training: ManifoldTraining) -> Section:
    """What mixtures at values that were held out gave."""
    first = training.model.signatures_.deformations[0]
    unit = f" ({first.unit})" if first.unit else ""
    rows = [
        [
            f"{int(level):,}",
            one["n"],
            percent(one["sets_right"]),
            _percent_or_dash(one["mean_relative_error"]),
            _percent_or_dash(one["coverage"]),
            one.get("deformation_error"),
            _percent_or_dash(one.get("deformation_coverage")),
        ]
        for level, one in training.tried["mixtures"].items()
    ]
    alarms = training.tried["false_alarms"]
    return Section(
        "Tried out",
        [
            Text(
                f"Spectra at values of the {first.name} that the signatures were not learned from "
                "were mixed, put on the background, and drawn with counting noise. Errors and "
                "intervals are those of spectra whose set of sources is right. The model itself "
                "was then learned from all values."
            ),
            Table(
                "Mixtures at values that were held out",
                [
                    "Counts",
                    "Spectra",
                    "Set right",
                    "Mean error of amounts",
                    "In 95 % interval",
                    f"Median error of {first.name}{unit}",
                    "In 95 % interval",
                ],
                rows,
            ),
            Text(
                f"Of {alarms['n']:,} draws from the background, {percent(alarms['observed'])} are "
                f"said to hold a source (95 % interval {percent(alarms['low'])} to "
                f"{percent(alarms['high'])}); stated: {percent(alarms['stated'])}."
            ),
        ],
    )


def unmixed_section(
    model: ManifoldUnmixer, result: Result, left_out: Sequence[LeftOut] = ()
) -> Section:
    """What was found in each spectrum, how far it is deformed, and what was left out."""
    blocks: list[Block] = [
        Text("\n\n".join(summary(result, None, model))),
        unmixed_table(model, result),
    ]
    if len(result) > _MOST_ROWS:
        blocks.append(Text(f"The first {_MOST_ROWS} of {len(result):,} spectra are listed."))
    one = model.signatures_.deformations[0]
    if f"{one.name}_low" in result.quality and len(result) > 1:
        shown = slice(0, _MOST_SHOWN)
        values = [result.quality[one.name + ending][shown] for ending in ("", "_low", "_high")]
        names = [row_text(result, row) for row in range(min(len(result), _MOST_SHOWN))]
        more = f" of the first {_MOST_SHOWN}" if len(result) > _MOST_SHOWN else ""
        blocks.append(
            drawn(
                lambda: plot.plot_latents(one, names, *values),
                f"The {one.name} of each spectrum, with its 95 % interval.",
                f"The {one.name} of the spectra{more}; an interval over the whole range says that "
                "nothing is known of it.",
            )
        )
    if left_out:
        rows = [[file.file, file.reason] for file in left_out]
        blocks.append(Table("Files that were left out", ["File", "Reason"], rows))
    return Section("What was found", blocks)


def unmixed_table(model: ManifoldUnmixer, result: Result) -> Table:
    """A row for each name found in a spectrum, with how far it is deformed."""
    reasons = doubts(result)
    rows: list[list[Any]] = []
    for row in range(min(len(result), _MOST_ROWS)):
        doubtful = ", ".join(name for name, flag in reasons.items() if flag[row])
        label = f"{row_text(result, row)}{f' (do not trust: {doubtful})' if doubtful else ''}"
        shared = shared_text(model, result, row)
        for name in result.labels[row] or ("nothing",):
            column = result.names.index(name) if name in result.names else None
            numbers: list[Any] = [None] * 4
            if column is not None and result.uncertainties is not None:
                numbers = [
                    float(result.amounts[row, column]),
                    float(result.uncertainties[row, column]),
                    *(
                        float(result.details[key][row, column])
                        for key in ("significance", "p_value")
                    ),
                ]
            own = "" if column is None else own_text(model, result, row, column)
            rows.append([label, name, *numbers, ", ".join(filter(None, (own, shared)))])
    head = ["Spectrum", "Found", f"Amount ({result.unit})", "±", "Significance", "p-value"]
    return Table("Sources in each spectrum", [*head, "Deformation"], rows)


def shared_text(model: ManifoldUnmixer, result: Result, row: int) -> str:
    """What all sources of a spectrum share: each latent with its 95 % interval."""
    return _latents_text(model, {key: values[row] for key, values in result.quality.items()})


def own_text(model: ManifoldUnmixer, result: Result, row: int, column: int) -> str:
    """What one name has of its own: each deformation with its 95 % interval."""
    own = {key: values[row, column] for key, values in result.details.items()}
    return _latents_text(model, own)


def _latents_text(model: ManifoldUnmixer, numbers: Mapping[str, float]) -> str:
    """Values with intervals in words; unknown where nothing is known but the range."""
    ranges = model.signatures_.deformations
    units = {one.name: one.unit for one in ranges}
    units["offset"] = model.signatures_.axis.unit
    texts = []
    for key, high in numbers.items():
        name = key.removesuffix("_high")
        if name == key or name not in numbers or not np.isfinite(high):
            continue
        value, low = float(numbers[name]), float(numbers[f"{name}_low"])
        known = f"{value:.3g}" if np.isfinite(value) else "unknown"
        within = f"{low:.3g} to {high:.3g}"
        one = next((one for one in ranges if one.name == name), None)
        if one is not None and value >= one.high:
            known, within = f"{one.high:.3g} or more", f"over {low:.3g}"
        elif one is not None and value <= one.low and not one.starts_at_nothing:
            known, within = f"{one.low:.3g} or less", f"under {high:.3g}"
        texts.append(f"{name} {known} ({within} {units.get(name, '')}".rstrip() + ")")
    return ", ".join(texts)


def _number(result: Result, key: str, row: int, column: int | None) -> float:
    if key in result.quality:
        return float(result.quality[key][row])
    return float("nan") if column is None else float(result.details[key][row, column])


def unmixed_examples(model: ManifoldUnmixer, result: Result, groups: Sequence[Spectra]) -> Section:
    """A typical spectrum, and the one that the signatures explain worst."""
    misfit = result.quality["misfit_p_value"]
    order = np.argsort(np.nan_to_num(misfit, nan=1.0), kind="stable")
    chosen = {int(order[len(order) // 2]): "A typical spectrum (median misfit)"}
    chosen.setdefault(int(order[0]), "The spectrum that the signatures explain worst")
    blocks: list[Block] = []
    for row, what in chosen.items():
        spectra, place = locate(groups, row)
        said = f"Spectrum {row_text(result, row)}: "
        blocks += spectrum_blocks(model, spectra, place, result[[row]], f"{said}{what}")
    return Section("Spectra", blocks)


def spectrum_blocks(
    model: ManifoldUnmixer, spectra: Spectra, row: int, answer: Result, what: str
) -> list[Block]:
    """One spectrum: what explains it, the amounts, and the estimated signatures.

    Parameters
    ----------
    model : ManifoldUnmixer
    spectra : Spectra
    row : int
        Number of the spectrum.
    answer : Result
        Of this spectrum alone.
    what : str
        What spectrum it is, for the caption.
    """
    found = " + ".join(answer.labels[0]) or "nothing"
    signatures = model.signatures_
    (one, *others) = signatures.deformations
    sources = [name for name in answer.labels[0] if name in signatures.names][:_MOST_PANELS]
    values = {name: _number(answer, one.name, 0, answer.names.index(name)) for name in sources}
    blocks = [
        drawn(
            lambda: plot.plot_identified(
                *components_of_manifold(model, spectra, row), title=f"Found {found}"
            ),
            f"A spectrum, the fit with its components and the residual; found: {found}.",
            f"{what}: what explains it, and what is left over in standard deviations.",
        ),
        drawn(
            lambda: plot.plot_amounts(
                answer.names,
                answer.amounts[0],
                np.asarray(answer.uncertainties)[0],
                found=answer.decisions[0].tolist(),
                unit=answer.unit,
            ),
            "Amounts of each name in that spectrum with 95 % intervals.",
            "Amounts in the same spectrum.",
        ),
    ]
    if sources and not others:
        blocks.append(
            drawn(
                lambda: plot.plot_estimated(signatures, values),
                f"Signatures of {', '.join(sources)} as estimated, over those at both ends.",
                f"The signatures at the estimated {one.name}, and at both ends of its range.",
            )
        )
        blocks.append(_deformation_picture(one, sources, answer))
    return blocks


def _deformation_picture(one: Deformation, sources: Sequence[str], answer: Result) -> Block:
    ends: list[FloatArray] = [
        np.array([_number(answer, one.name + end, 0, answer.names.index(s)) for s in sources])
        for end in ("", "_low", "_high")
    ]
    return drawn(
        lambda: plot.plot_latents(one, sources, *ends),
        f"The {one.name} of {', '.join(sources)} with 95 % intervals.",
        f"How far each source is deformed: the {one.name}, with its 95 % interval.",
    )


def _error_text(value: float | None) -> str:
    if value is None:
        return "not known (fewer than three values, or no counts)"
    # The noise of what was left out was taken off, and no more was there.
    return f"{100 * value:.2g} %" if value > 0 else "not measurable: below the noise"


def _percent_or_dash(value: float | None) -> str:
    return "–" if value is None else percent(value)
