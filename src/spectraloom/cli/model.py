"""Commands on models: train, analyze, evaluate, outlier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from spectraloom.cli.options import (
    AsJson,
    Detectors,
    Labels,
    Limit,
    ReportFolder,
    Seed,
    Sources,
    Window,
)
from spectraloom.cli.show import (
    attribution,
    boundary_text,
    listed,
    print_json,
    print_pairs,
    print_result,
    print_scores,
    progress_bar,
    report_page,
    strings,
)


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
    background: Annotated[str, typer.Option(help="Label that is no source.")] = "background",
    outliers: Annotated[bool, typer.Option(help="Find an outlier boundary.")] = True,
    report: ReportFolder = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Train a model (supervised NMF) on labelled spectra and judge it on held-out ones.

    Example: `spectraloom train library/ -o model.loom --report out/`
    """
    from spectraloom.analyze import SupervisedNMF, save
    from spectraloom.workflow import model_report, read_prepared
    from spectraloom.workflow import train as train_model

    with progress_bar(as_json) as progress:
        progress(0.0, "reading")
        spectra = read_prepared(
            strings(sources),
            detectors=listed(detectors),
            labels=listed(labels),
            limit=limit,
            seed=seed,
        )
        settings = SupervisedNMF(
            min_share=min_share,
            background=background,
            window=window,
            variants=int(variants) if variants.isdigit() else variants,
        )
        done = train_model(
            spectra, settings, holdout=holdout, outliers=outliers, seed=seed, progress=progress
        )
        save(done.model, out)
        page = None
        if report is not None:
            judged = [] if done.holdout is None else [done.holdout]
            page = model_report(done.model, judged, done.study, attribution(spectra)).write(
                report_page(report)
            )
    if as_json:
        print_json({**done.to_dict(), "model": str(out)})
        return
    if done.holdout is not None:
        print_scores({"holdout": done.holdout})
    print_pairs(
        {
            "classes": ", ".join(done.model.classes_),
            "outlier boundary": "none" if done.study is None else boundary_text(done.study),
            "model": str(out),
            **({} if page is None else {"report": str(page.resolve())}),
        }
    )


def analyze(
    model: Annotated[Path, typer.Argument(help="Model file.")],
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
    from spectraloom.workflow import read_for, write_result

    with progress_bar(as_json) as progress:
        trained = load(model)
        spectra = read_for(trained, strings(sources), progress)
        result = trained.analyze(spectra, denoise=denoised is not None, progress=progress)
    if out is not None:
        write_result(result, out)
    if denoised is not None and result.denoised is not None:
        write(result.denoised, denoised, overwrite=True)
    if as_json:
        print_json(result.to_dict())
        return
    print_result(result)
    written = {"table": out, "denoised": denoised}
    print_pairs({name: str(path) for name, path in written.items() if path is not None})


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file.")],
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
    from spectraloom.workflow import evaluation_report, judge, read_prepared

    with progress_bar(as_json) as progress:
        trained = load(model)
        progress(0.1, "reading")
        spectra = read_prepared(
            strings(sources),
            axis=trained.axis_,
            detectors=listed(detectors),
            labels=listed(labels),
        )
        judged = judge("Judged spectra", trained, spectra)
        page = None
        if report is not None:
            page = evaluation_report(judged, attribution(spectra)).write(report_page(report))
    if as_json:
        print_json(judged.to_dict())
        return
    print_scores({"evaluate": judged})
    if page is not None:
        print_pairs({"report": str(page.resolve())})


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
    from spectraloom.workflow import read_prepared, study_for_model
    from spectraloom.workflow.pages import model_report

    with progress_bar(as_json) as progress:
        trained = load(model)
        progress(0.0, "reading")
        spectra = read_prepared(
            strings(sources),
            axis=trained.axis_,
            detectors=listed(detectors),
            labels=listed(labels),
        )
        study = study_for_model(
            trained, spectra, method=method, feature=feature, seed=seed, progress=progress
        )
        save(trained, model)
        page = None
        if report is not None:
            page = model_report(trained, [], study, attribution(spectra)).write(report_page(report))
    if as_json:
        print_json(study.to_dict())
        return
    print_pairs(
        {
            "outlier boundary": boundary_text(study),
            "model": str(model),
            **({} if page is None else {"report": str(page.resolve())}),
        }
    )
