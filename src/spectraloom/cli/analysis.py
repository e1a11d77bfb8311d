"""The command that says what is in spectra."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spectraloom.cli.manifold import print_unmixed
from spectraloom.cli.options import AsJson, ModelFile, ReportFolder, Sources
from spectraloom.cli.show import (
    made,
    print_attribution,
    print_identified,
    print_json,
    print_left_out,
    print_pairs,
    print_result,
    progress_bar,
)

if TYPE_CHECKING:
    from spectraloom.analyze import Identifier
    from spectraloom.data import Result
    from spectraloom.workflow import LeftOut, Report

LEFT_OUT = 3
"""Exit code where files were left out."""

TableFile = Annotated[
    Path | None, typer.Option("--out", "-o", help="Table to write: .csv or .json.")
]
DenoisedFile = Annotated[
    Path | None, typer.Option(help="File for the denoised spectra, in any written format.")
]
Limits = Annotated[
    bool, typer.Option("--limits", help="identify: show decision thresholds and detection limits.")
]
Intervals = Annotated[
    Literal["score", "profile"],
    typer.Option(
        help="identify, manifold: 95 % intervals from uncertainties (score), or from the profile "
        "of the likelihood, which takes longer."
    ),
]
EfficiencyFile = Annotated[
    Path | None,
    typer.Option(help="identify: table of efficiencies (name, efficiency ...), for activities."),
]
Conformal = Annotated[
    list[str] | None,
    typer.Option(help="identify: labelled spectra to calibrate sets of names with."),
]
Coverage = Annotated[
    float, typer.Option(help="Share of the spectra whose set holds all that is there.")
]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad", help=f"Go on without files that cannot be used; exit code {LEFT_OUT}."
    ),
]


def analyze(
    model: ModelFile,
    sources: Sources,
    out: TableFile = None,
    denoised: DenoisedFile = None,
    limits: Limits = False,
    intervals: Intervals = "score",
    efficiency: EfficiencyFile = None,
    conformal: Conformal = None,
    coverage: Coverage = 0.9,
    report: ReportFolder = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """Say what is in spectra, with a trained model.

    Spectra on another axis are rebinned to that of the model, without losing counts; a model for
    identification, or of signatures that deform, moves its templates to the spectra instead.

    Example: `spectraloom analyze model.loom today/*.n42 -o today.csv`
    """
    from spectraloom.analyze import Identifier, SupervisedNMF
    from spectraloom.analyze.store import load_model
    from spectraloom.io import write
    from spectraloom.workflow import attribution, identify_files, read_for, write_result
    from spectraloom.workflow.target import require_folder

    _require_targets([*sources, str(model)], out, denoised)
    page = None if report is None else require_folder(report) / "report.html"
    left_out: list[LeftOut] | None = [] if skip_bad else None
    with progress_bar(as_json) as progress:
        trained = load_model(model)
        if not isinstance(trained, Identifier):
            _refuse({"limits": limits, "efficiency": efficiency, "conformal": conformal})
        if isinstance(trained, SupervisedNMF):
            _refuse({"intervals": intervals != "score"})
            _refuse({"report": report})
            groups = [read_for(trained, sources, progress, left_out=left_out)]
            result = trained.analyze(groups[0], denoise=denoised is not None, progress=progress)
        else:
            result, groups = identify_files(
                trained, sources, progress, left_out=left_out, intervals=intervals
            )
        if isinstance(trained, Identifier):
            result = _with_more(trained, result, efficiency, conformal, coverage)
    if denoised is not None:
        write(_one_axis(result.denoised, len(groups)), denoised, overwrite=True)
    if out is not None:
        write_result(result, out)
    owner = attribution(groups, sources)
    if page is not None:
        _report(trained, result, groups, owner, left_out or ()).write(page)
    if as_json:
        missing = {} if left_out is None else {"left_out": [one.to_dict() for one in left_out]}
        print_json({**result.to_dict(), **missing, **made(page, owner)})
    else:
        if isinstance(trained, Identifier):
            print_identified(result, trained, limits=limits)
        elif isinstance(trained, SupervisedNMF):
            print_result(result, groups[0], trained)
        else:
            print_unmixed(result, trained)
        print_left_out(left_out or ())
        written = {"table": out, "denoised": denoised}
        print_pairs({name: path for name, path in written.items() if path} | made(page))
        print_attribution(owner)
    if left_out:
        raise typer.Exit(LEFT_OUT)


def _report(model: Any, *answer: Any) -> Report:
    from spectraloom.analyze import Identifier
    from spectraloom.workflow import answer_report, unmixed_report

    return (answer_report if isinstance(model, Identifier) else unmixed_report)(model, *answer)


def _require_targets(read: list[str], out: Path | None, denoised: Path | None) -> None:
    """Look at the files to write before the work starts."""
    from spectraloom.workflow.convert import require_new
    from spectraloom.workflow.target import require_target
    from spectraloom.workflow.train import RESULT_ENDINGS

    if out is not None:
        require_target(out, sources=read, endings=RESULT_ENDINGS)
    if denoised is not None:
        require_new(denoised, overwrite=True, sources=read)


def _with_more(
    model: Identifier,
    result: Result,
    efficiency: Path | None,
    conformal: list[str] | None,
    coverage: float,
) -> Result:
    """Add activities and conformal sets where they are asked for."""
    from spectraloom.workflow import calibrate_sets, read_efficiencies, with_activities, with_sets

    if efficiency is not None:
        result = with_activities(result, read_efficiencies(efficiency))
    if conformal:
        result = with_sets(result, calibrate_sets(model, conformal, coverage))
    return result


def _refuse(asked: dict[str, Any]) -> None:
    """Refuse options that other models cannot answer."""
    for name, value in asked.items():
        if value:
            raise typer.BadParameter(
                f"--{name} needs a model for identification: train one with --model identify"
            )


def _one_axis(denoised: Any, n_axes: int) -> Any:
    if denoised is None:
        raise typer.BadParameter(
            f"the spectra lie on {n_axes} axes, so that --denoised takes more than one file: "
            "analyse them one axis at a time"
        )
    return denoised
