"""Commands on models: train, analyze, evaluate, outlier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spectraloom.cli.options import (
    AsJson,
    Detectors,
    Labels,
    Limit,
    ModelFile,
    ReportFolder,
    Seed,
    Sources,
    Window,
)
from spectraloom.cli.show import (
    boundary_text,
    listed,
    percent,
    print_attribution,
    print_json,
    print_pairs,
    print_result,
    print_scores,
    progress_bar,
)

if TYPE_CHECKING:
    from spectraloom.workflow import Training

_BACKGROUND = "background"


def train(
    sources: Sources,
    out: Annotated[Path, typer.Option("--out", "-o", help="Model file to write.")] = Path(
        "model.loom"
    ),
    detectors: Detectors = None,
    labels: Labels = None,
    limit: Limit = None,
    window: Window = None,
    holdout: Annotated[float, typer.Option(help="Share of the spectra held out.")] = 0.2,
    min_share: Annotated[float, typer.Option(help="Smallest share of a source.")] = 0.1,
    variants: Annotated[
        str, typer.Option(help="Loadings per class: a number, or a column such as absorber.")
    ] = "1",
    background: Annotated[str, typer.Option(help="Label that is no source.")] = _BACKGROUND,
    outliers: Annotated[bool, typer.Option(help="Find an outlier boundary.")] = True,
    report: ReportFolder = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Train a model (supervised NMF) on labelled spectra and judge it on held-out ones.

    Example: `spectraloom train library/ -o model.loom --report out/`
    """
    from spectraloom.analyze import SupervisedNMF, save
    from spectraloom.workflow import attribution, model_report, read_prepared
    from spectraloom.workflow import train as train_model
    from spectraloom.workflow.prepare import require_label
    from spectraloom.workflow.target import require_folder, require_target

    require_target(out, sources=sources)
    page = None if report is None else require_folder(report) / "report.html"
    with progress_bar(as_json) as progress:
        progress(0.0, "reading")
        spectra = read_prepared(
            sources,
            detectors=listed(detectors),
            labels=listed(labels),
            limit=limit,
            seed=seed,
        )
        if background != _BACKGROUND:
            require_label(spectra, background)
        settings = SupervisedNMF(
            min_share=min_share,
            background=background,
            window=window,
            variants=int(variants) if variants.isdecimal() else variants,
        )
        done = train_model(
            spectra, settings, holdout=holdout, outliers=outliers, seed=seed, progress=progress
        )
        save(done.model, out)
        owner = attribution([spectra], sources)
        if page is not None:
            progress(0.95, "drawing the report")
            judged = [] if done.holdout is None else [done.holdout]
            model_report(done.model, judged, done.study, owner).write(page)
    if as_json:
        print_json({**done.to_dict(), "model": str(out), **_made(page, owner)})
        return
    _show_training(done, out, page)
    print_attribution(owner)


def _show_training(done: Training, out: Path, page: Path | None) -> None:
    if done.holdout is not None:
        print_scores([done.holdout])
    boundary = "none" if done.study is None else boundary_text(done.study)
    facts = {"classes": ", ".join(done.model.classes_), "outlier boundary": boundary}
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
    as_json: AsJson = False,
) -> None:
    """Say what is in spectra, with a trained model.

    Spectra on another axis are rebinned to that of the model, without losing counts.

    Example: `spectraloom analyze model.loom today/*.n42 -o today.csv`
    """
    from spectraloom.analyze import load
    from spectraloom.io import write
    from spectraloom.workflow import attribution, read_for, write_result
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
        spectra = read_for(trained, sources, progress)
        result = trained.analyze(spectra, denoise=denoised is not None, progress=progress)
    if denoised is not None and result.denoised is not None:
        write(result.denoised, denoised, overwrite=True)
    if out is not None:
        write_result(result, out)
    owner = attribution([spectra], sources)
    if as_json:
        print_json({**result.to_dict(), **_made(None, owner)})
        return
    print_result(result, spectra, trained)
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
    from spectraloom.analyze import load
    from spectraloom.workflow import attribution, evaluation_report, judge, read_prepared
    from spectraloom.workflow.target import require_folder

    page = None if report is None else require_folder(report) / "report.html"
    with progress_bar(as_json) as progress:
        trained = load(model)
        progress(0.0, "reading")
        spectra = read_prepared(
            sources,
            axis=trained.axis_,
            detectors=listed(detectors),
            labels=listed(labels),
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
    from spectraloom.analyze import load, save
    from spectraloom.workflow import attribution, model_report, read_prepared, study_for_model
    from spectraloom.workflow.target import require_folder, require_target

    require_target(model, sources=sources)
    page = None if report is None else require_folder(report) / "report.html"
    with progress_bar(as_json) as progress:
        trained = load(model)
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
