"""Sections of a report on identification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spectraloom import plot
from spectraloom._typing import FloatArray
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.residual_peaks import name_residual_peaks
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.errors import SpectraloomError
from spectraloom.workflow.chain import Judged, flagged
from spectraloom.workflow.identification import components_of
from spectraloom.workflow.report import Block, Section, Table, Text
from spectraloom.workflow.sections import drawn, percent, scores_table

_MOST_TEMPLATES = 28


def identifier_section(model: Identifier) -> Section:
    """Templates and settings of an identifier."""
    library = model.library_
    shapes = library.templates / library.templates.sum(axis=1, keepdims=True)
    names = [
        f"{name} {variant}".strip()
        for name, variant in zip(library.names, library.variants, strict=True)
    ]
    boundary = model.misfit_boundary_
    facts: list[list[object]] = [
        ["sources", ", ".join(library.unique_names)],
        ["templates", len(library)],
        ["false alarms of a spectrum without sources", f"{model.false_alarm_rate:g}"],
        ["relative error of the templates", model.model_error],
        ["smallest share of all counts", model.min_share],
        ["width of the prior of the gain", model.gain],
        ["background", "learned" if model.background_ is not None else "none"],
        *_calibration_facts(model),
        ["outlier above a misfit per count of", None if boundary is None else boundary.center],
    ]
    shown = min(len(names), _MOST_TEMPLATES)
    return Section(
        "The library",
        [
            drawn(
                lambda: plot.plot_spectra(
                    Spectra(shapes[:shown], library.axis, "intensity"), names=names[:shown]
                ),
                f"Templates of {', '.join(library.unique_names)}: spectra of unit area.",
                "Templates: mean spectra of alike training spectra, scaled to unit area.",
            ),
            Table("Settings", ["Setting", "Value"], facts),
        ],
    )


def _calibration_facts(model: Identifier) -> list[list[object]]:
    """What the rate of false alarms rests on."""
    found = model.provenance_.get("false_alarms", {})
    facts: list[list[object]] = [["chance", found.get("chance")]]
    if "change_of_background" in found:
        facts.append(["change of the background", found["change_of_background"]])
    if "widening" in found:
        wider = ", ".join(f"{name} {factor:.2f}" for name, factor in found["widening"].items())
        facts.append([f"thresholds times, at {found['counts']:.0f} counts", wider])
    return facts


def identified_section(judged: Judged) -> Section:
    """Scores, confusion, a typical spectrum and the p-values on one set."""
    matrix = judged.confusion
    outliers = flagged(judged.result)
    strange = "" if outliers is None else f" {percent(outliers)} are flagged as outliers."
    blocks: list[Block] = [
        Text(
            f"{len(judged.spectra)} spectra: the largest source is right in "
            f"{percent(matrix.accuracy)}, the whole set of sources in "
            f"{percent(judged.sets.exact_match)} (micro-F1 {judged.sets.micro_f1:.3f}).{strange}"
        ),
        drawn(
            lambda: plot.plot_confusion(matrix.names, matrix.matrix),
            f"Confusion matrix of {', '.join(matrix.names)}.",
            "Rows are true labels, columns the largest source found.",
        ),
        scores_table(matrix),
        *_typical_spectrum(judged),
        drawn(
            lambda: plot.plot_roc(roc_curves(judged)),
            "Share of present sources that is found against the share of absent ones that is, as "
            "the threshold on the p-value moves; a line for each source.",
            "What each source's p-value can tell apart on these spectra.",
        ),
    ]
    return Section(judged.name, blocks)


def trial_section(tried: Mapping[str, Any]) -> Section:
    """Efficiency against injected counts, and observed against stated false alarms."""
    injection, alarms = tried["injection"], tried["false_alarms"]
    counts = sorted({int(key) for one in injection.values() for key in one if key.isdecimal()})
    blocks: list[Block] = [
        Text(
            "Counts of held-out sources were put on top of held-out background, and the model was "
            "asked whether the source is there, at a false-alarm rate of 0.5 % per source."
        ),
        drawn(
            lambda: plot.plot_efficiency(
                counts,
                {
                    name: [one.get(str(value), np.nan) for value in counts]
                    for name, one in injection.items()
                },
            ),
            "Share of injected sources that is found, against their counts, a line per source.",
            "Detection efficiency; the dotted line is 90 %.",
        ),
        Table(
            "Injected sources that were found",
            ["Source", *(f"{value} counts" for value in counts), "False alarms", "95 % interval"],
            [
                [
                    name,
                    *(percent(one.get(str(value), np.nan)) for value in counts),
                    _rate(one["false_alarms"]["observed"]),
                    " to ".join(_rate(one["false_alarms"][end]) for end in ("low", "high")),
                ]
                for name, one in injection.items()
            ],
        ),
        drawn(
            lambda: plot.plot_false_alarms(alarm_curves(alarms)),
            "Observed against stated false-alarm rate of a source, with 95 % intervals, on "
            "logarithmic scales; points on the diagonal are right.",
            "Whether stated false-alarm rates hold: on held-out background, and on spectra drawn "
            "from its mean.",
        ),
    ]
    return Section("Detection and false alarms", blocks)


def _rate(value: float) -> str:
    """A small share with two digits."""
    return f"{100 * value:.2g} %" if value < 0.1 else percent(value)


def alarm_curves(
    alarms: Mapping[str, Any],
) -> dict[str, tuple[FloatArray, FloatArray, FloatArray, FloatArray]]:
    """Curves for :func:`~spectraloom.plot.plot_false_alarms` from a list of rates."""
    keys = ("stated", "observed", "low", "high")
    said = {"measured": "held-out background", "simulated": "drawn from its mean"}
    return {
        said.get(name, name): (
            np.array([one[keys[0]] for one in rates]),
            np.array([one[keys[1]] for one in rates]),
            np.array([one[keys[2]] for one in rates]),
            np.array([one[keys[3]] for one in rates]),
        )
        for name, rates in alarms.items()
        if rates
    }


def roc_curves(judged: Judged) -> dict[str, tuple[FloatArray, FloatArray]]:
    """False alarms and findings of each source that is present in some and absent in others."""
    curves = {}
    for column, name in enumerate(judged.result.names):
        present = np.array([name in entry for entry in judged.spectra.labels], dtype=bool)
        p = judged.result.details["p_value"][:, column]
        if not present.any() or present.all() or np.isnan(p).all():
            continue
        order = np.argsort(p, kind="stable")
        last = np.append(np.diff(p[order]) > 0, True)  # ties move together
        found = np.cumsum(present[order])[last] / present.sum()
        false = np.cumsum(~present[order])[last] / (~present).sum()
        curves[name] = (np.append(0.0, false), np.append(0.0, found))
    return curves


def _typical_spectrum(judged: Judged) -> list[Block]:
    """The spectrum with the median misfit: its components, and its amounts."""
    result, model = judged.result, judged.model
    if not isinstance(model, Identifier) or not len(result):
        return []
    misfit = result.quality["deviance_per_dof"]
    row = int(np.argsort(misfit)[len(misfit) // 2])
    labelled = f"Labelled {' + '.join(judged.spectra.labels[row])}, "
    return spectrum_blocks(
        model, judged.spectra, row, result[[row]], "A typical spectrum (median misfit)", labelled
    )


def spectrum_blocks(
    model: Identifier, spectra: Spectra, row: int, answer: Result, what: str, said: str = ""
) -> list[Block]:
    """One spectrum: what explains it, and its amounts.

    Parameters
    ----------
    model : Identifier
    spectra : Spectra
    row : int
        Number of the spectrum.
    answer : Result
        Of this spectrum alone.
    what : str
        What spectrum it is, for the caption.
    said : str
        Begin of the title.
    """
    found = " + ".join(answer.labels[0]) or "nothing"

    def picture() -> Any:
        axis, observed, parts = components_of(model, spectra, row)
        return plot.plot_identified(
            axis,
            observed,
            parts,
            peaks=residual_names(model, spectra[[row]]),
            title=f"{said}found {found}",
        )

    def amounts() -> Any:
        assert answer.uncertainties is not None  # noqa: S101 - identification gives them
        return plot.plot_amounts(
            answer.names,
            answer.amounts[0],
            answer.uncertainties[0],
            intervals=np.column_stack(
                [answer.details[f"interval_{end}"][0] for end in ("low", "high")]
            ),
            thresholds=answer.details["decision_threshold"][0],
            limits=answer.details["detection_limit"][0],
            found=answer.decisions[0].tolist(),
            unit=answer.unit,
        )

    return [
        drawn(
            picture,
            f"A spectrum, the fit with its components and the residual; found: {found}.",
            f"{what}, what explains it, and what is left over in standard deviations.",
        ),
        drawn(
            amounts,
            "Amounts of each name in that spectrum with 95 % intervals, decision thresholds and "
            "detection limits.",
            "Amounts in the same spectrum.",
        ),
    ]


def residual_names(model: Identifier, spectrum: Spectra) -> list[tuple[float, str]]:
    """Peaks in what the fit of a spectrum left over, named where a line lies."""
    try:
        found = name_residual_peaks(model.analyze(spectrum), spectrum)[0]
    except SpectraloomError:  # no counts, or no energies in keV: there are no lines to compare with
        return []
    return [
        (peak.energy, f"{peak.energy:.0f} keV {' or '.join(peak.sources[:2])}".strip())
        for peak in found
    ]
