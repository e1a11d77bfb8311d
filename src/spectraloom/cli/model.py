"""Commands on models: train, analyze, evaluate, outlier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spectraloom.cli.options import (
    AsJson,
    Detectors,
    FalseAlarmRate,
    Gain,
    Holdout,
    Labels,
    Limit,
    MinShare,
    ModelFile,
    ModelKind,
    Outliers,
    ReportFolder,
    Seed,
    Sources,
    Variants,
    Window,
)
from spectraloom.cli.show import (
    boundary_text,
    listed,
    percent,
    print_attribution,
    print_identified,
    print_json,
    print_pairs,
    print_result,
    print_scores,
    print_tried,
    progress_bar,
)

if TYPE_CHECKING:
    from spectraloom.workflow import IdentifierTraining, Report, Training

_BACKGROUND = "background"


def train(
    sources: Sources,
    out: Annotated[Path, typer.Option("--out", "-o", help="Model file to write.")] = Path(
        "model.loom"
    ),
    model: ModelKind = "nmf",
    detectors: Detectors = None,
    labels: Labels = None,
    limit: Limit = None,
    window: Window = None,
    holdout: Holdout = 0.2,
    min_share: MinShare = None,
    variants: Variants = None,
    background: Annotated[str, typer.Option(help="Label that is no source.")] = _BACKGROUND,
    outliers: Outliers = True,
    false_alarm_rate: FalseAlarmRate = None,
    gain: Gain = None,
    report: ReportFolder = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Train a model on labelled spectra and judge it on held-out ones.

    Example: `spectraloom train library/ -o model.loom --report out/`
    """
    from spectraloom.analyze import save
    from spectraloom.workflow import attribution, read_prepared, train_identifier
    from spectraloom.workflow import train as train_model
    from spectraloom.workflow.prepare import require_label
    from spectraloom.workflow.target import require_folder, require_target

    require_target(out, sources=sources)
    page = None if report is None else require_folder(report) / "report.html"
    settings = _settings(model, min_share, variants, background, window, false_alarm_rate, gain)
    with progress_bar(as_json) as progress:
        progress(0.0, "reading")
        spectra = read_prepared(
            sources,
            detectors=listed(detectors),
            labels=listed(labels),
            limit=limit,
            seed=seed,
            whole_counts=model == "identify",
        )
        if background != _BACKGROUND:
            require_label(spectra, background)
        shared: dict[str, Any] = {"holdout": holdout, "seed": seed, "progress": progress}
        done = (
            train_identifier(spectra, settings, **shared)
            if model == "identify"
            else train_model(spectra, settings, outliers=outliers, **shared)
        )
        save(done.model, out)
        owner = attribution([spectra], sources)
        if page is not None:
            progress(0.95, "drawing the report")
            _training_report(done, owner).write(page)
    if as_json:
        print_json({**done.to_dict(), "model": str(out), **_made(page, owner)})
        return
    _show_training(done, out, page)
    print_attribution(owner)


def _settings(
    model: str,
    min_share: float | None,
    variants: str | None,
    background: str,
    window: tuple[float, float] | None,
    false_alarm_rate: float | None,
    gain: float | None,
) -> Any:
    """Unfitted model; what was not given keeps the default of the model."""
    from spectraloom.analyze import Identifier, SupervisedNMF

    number: int | str | None = variants
    if variants is not None and variants.isdecimal():
        number = int(variants)
    given = {"min_share": min_share, "variants": number}
    of_identify = {"false_alarm_rate": false_alarm_rate, "gain": gain}
    if model == "nmf":
        for name, value in of_identify.items():
            if value is not None:
                option = name.replace("_", "-")
                raise typer.BadParameter(f"--{option} goes with --model identify")
    else:
        given |= of_identify
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if chosen.get("gain") == 0:
        chosen["gain"] = None
    kind = Identifier if model == "identify" else SupervisedNMF
    return kind(background=background, window=window, **chosen)


def _training_report(done: Training | IdentifierTraining, owner: str) -> Report:
    from spectraloom.workflow import IdentifierTraining, identifier_report, model_report

    if isinstance(done, IdentifierTraining):
        return identifier_report(done, owner)
    judged = [] if done.holdout is None else [done.holdout]
    return model_report(done.model, judged, done.study, owner)


def _show_training(done: Training | IdentifierTraining, out: Path, page: Path | None) -> None:
    from spectraloom.workflow import IdentifierTraining

    if done.holdout is not None:
        print_scores([done.holdout])
    facts: dict[str, object] = {"classes": ", ".join(done.model.classes_)}
    if isinstance(done, IdentifierTraining):
        if done.tried:
            print_tried(done.tried)
        facts["false-alarm rate"] = f"{done.model.false_alarm_rate:g}"
    else:
        facts["outlier boundary"] = "none" if done.study is None else boundary_text(done.study)
    print_pairs({**facts, "model": out, **_made(page)})


def analyze(
    model: ModelFile,
    sources: Sources,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Table to write: .csv or .json.")
    ] = None,
    denoised: Annotated[
        Path | None, typer.Option(help="File for the denoised spectra, in any written format.")
    ] = None,
    limits: Annotated[
        bool, typer.Option("--limits", help="Show decision thresholds and detection limits.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is in spectra, with a trained model.

    Spectra on another axis are rebinned to that of the model, without losing counts; a model for
    identification moves its templates to the spectra instead.

    Example: `spectraloom analyze model.loom today/*.n42 -o today.csv`
    """
    from spectraloom.analyze import Identifier, load
    from spectraloom.io import write
    from spectraloom.workflow import attribution, identify_files, read_for, write_result
    from spectraloom.workflow.convert import require_new
    from spectraloom.workflow.target import require_target
    from spectraloom.workflow.train import RESULT_ENDINGS

    read = [*sources, str(model)]
    if out is not None:
        require_target(out, sources=read, endings=RESULT_ENDINGS)
    if denoised is not None:
        require_new(denoised, overwrite=True, sources=read)
    with progress_bar(as_json) as progress:
        trained = load(model)
        if isinstance(trained, Identifier):
            result, groups = identify_files(trained, sources, progress)
        elif limits:
            raise typer.BadParameter(
                "--limits needs a model for identification: train one with --model identify"
            )
        else:
            groups = [read_for(trained, sources, progress)]
            result = trained.analyze(groups[0], denoise=denoised is not None, progress=progress)
    if denoised is not None and result.denoised is None:
        raise typer.BadParameter(
            f"the spectra lie on {len(groups)} axes, so that --denoised takes more than one file: "
            "analyse them one axis at a time"
        )
    if denoised is not None and result.denoised is not None:
        write(result.denoised, denoised, overwrite=True)
    if out is not None:
        write_result(result, out)
    owner = attribution(groups, sources)
    if as_json:
        print_json({**result.to_dict(), **_made(None, owner)})
        return
    if isinstance(trained, Identifier):
        print_identified(result, trained, limits=limits)
    else:
        print_result(result, groups[0], trained)
    written = {"table": out, "denoised": denoised}
    print_pairs({name: path for name, path in written.items() if path is not None})
    print_attribution(owner)


def evaluate(
    model: ModelFile,
    sources: Sources,
    detectors: Detectors = None,
    labels: Labels = None,
    report: ReportFolder = None,
    as_json: AsJson = False,
) -> None:
    """Judge a trained model on labelled spectra.

    Example: `spectraloom evaluate model.loom other-detector/ --report out/`
    """
    from spectraloom.analyze import Identifier, load
    from spectraloom.workflow import attribution, evaluation_report, judge, read_prepared
    from spectraloom.workflow.target import require_folder

    page = None if report is None else require_folder(report) / "report.html"
    with progress_bar(as_json) as progress:
        trained = load(model)
        progress(0.0, "reading")
        identify = isinstance(trained, Identifier)
        spectra = read_prepared(
            sources,
            # Identification moves its templates, not the data.
            axis=None if identify else trained.axis_,
            detectors=listed(detectors),
            labels=listed(labels),
            whole_counts=identify,
        )
        judged = judge("Judged spectra", trained, spectra, progress=progress)
        owner = attribution([spectra], sources)
        if page is not None:
            progress(0.9, "drawing the report")
            evaluation_report(judged, owner).write(page)
    if as_json:
        print_json({**judged.to_dict(), **_made(page, owner)})
        return
    print_scores([judged])
    print_pairs(_made(page))
    print_attribution(owner)


def outlier(
    model: Annotated[Path, typer.Argument(help="Model file; the boundary is stored in it.")],
    sources: Sources,
    method: Annotated[
        Literal["curves", "tree", "logistic"], typer.Option(help="How the boundary is found.")
    ] = "curves",
    feature: Annotated[str | None, typer.Option(help="Feature to put the boundary on.")] = None,
    detectors: Detectors = None,
    labels: Labels = None,
    report: ReportFolder = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Find the boundary between known and unknown on training spectra, and store it.

    Example: `spectraloom outlier model.loom library/ --method tree`
    """
    from spectraloom.analyze import Identifier, load, save
    from spectraloom.workflow import attribution, model_report, read_prepared, study_for_model
    from spectraloom.workflow.target import require_folder, require_target

    require_target(model, sources=sources)
    page = None if report is None else require_folder(report) / "report.html"
    with progress_bar(as_json) as progress:
        trained = load(model)
        if isinstance(trained, Identifier):
            raise typer.BadParameter(
                f"{model} is a model for identification, which learns what an outlier is when it "
                "is trained"
            )
        progress(0.0, "reading")
        spectra = read_prepared(
            sources,
            axis=trained.axis_,
            detectors=listed(detectors),
            labels=listed(labels),
        )
        study = study_for_model(
            trained, spectra, method=method, feature=feature, seed=seed, progress=progress
        )
        save(trained, model)
        owner = attribution([spectra], sources)
        if page is not None:
            progress(0.95, "drawing the report")
            model_report(trained, [], study, owner).write(page)
    if as_json:
        print_json({**study.to_dict(), "model": str(model), **_made(page, owner)})
        return
    boundary = study.boundary
    print_pairs(
        {
            "outlier boundary": boundary_text(study),
            "unknown found": percent(boundary.recall),
            "flagged and unknown": percent(boundary.precision),
            "model": model,
            **_made(page),
        }
    )
    print_attribution(owner)


def _made(page: Path | None, owner: str = "") -> dict[str, object]:
    """Path of a report and who must be named for the data, where there are any."""
    facts: dict[str, object] = {} if page is None else {"report": page.resolve()}
    return {**facts, **({"attribution": owner} if owner else {})}
