"""Commands on models: train, evaluate, outlier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spectraloom.cli.manifold import deforming_model, show_manifold_training
from spectraloom.cli.options import (
    AsJson,
    Bins,
    Broadening,
    Deformation,
    Detectors,
    FalseAlarmRate,
    Gain,
    Holdout,
    Individual,
    Known,
    Labels,
    Limit,
    MinShare,
    ModelFile,
    ModelKind,
    Outliers,
    ReportFolder,
    Seed,
    Signatures,
    Sources,
    Tie,
    Unit,
    Variants,
    Window,
)
from spectraloom.cli.show import (
    boundary_text,
    listed,
    made,
    percent,
    print_attribution,
    print_json,
    print_pairs,
    print_scores,
    print_text,
    print_tried,
    progress_bar,
)

if TYPE_CHECKING:
    from spectraloom.workflow import IdentifierTraining, ManifoldTraining, Report, Training

    AnyTraining = Training | IdentifierTraining | ManifoldTraining

_BACKGROUND = "background"
_DEFORMING = ("deformation", "unit", "signatures", "individual", "tie", "known", "broadening")


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
    bins: Bins = None,
    deformation: Deformation = None,
    unit: Unit = None,
    signatures: Signatures = None,
    individual: Individual = False,
    tie: Tie = None,
    known: Known = None,
    broadening: Broadening = None,
    report: ReportFolder = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Train a model on labelled spectra and judge it on held-out ones.

    Example: `spectraloom train library/ -o model.loom --report out/`
    """
    from spectraloom.analyze import save
    from spectraloom.workflow import attribution
    from spectraloom.workflow.prepare import ORIGIN, origin_text
    from spectraloom.workflow.target import require_folder, require_target

    require_target(out, sources=sources)
    page = None if report is None else require_folder(report) / "report.html"
    deforming = (deformation, unit, signatures, individual or None, tie, known, broadening)
    settings = _settings(
        model, min_share, variants, background, window, false_alarm_rate, gain, bins, deforming
    )
    with progress_bar(as_json) as progress:
        progress(0.0, "reading")
        spectra = _read_training(model, sources, background, detectors, labels, limit, seed)
        done = _trained(
            model, spectra, settings, outliers, holdout=holdout, seed=seed, progress=progress
        )
        save(done.model, out)
        owner = attribution([spectra], sources)
        if page is not None:
            progress(0.95, "drawing the report")
            _training_report(done, owner).write(page)
    if as_json:
        trained_on = {"n": len(spectra), **{key: spectra.attrs[key] for key in ORIGIN}}
        facts = {"trained_on": trained_on, "model": str(out), **made(page, owner)}
        print_json({**done.to_dict(), **facts})
        return
    _show_training(done, out, page, origin_text(spectra, background))
    print_attribution(owner)


def _read_training(
    model: str,
    sources: list[str],
    background: str,
    detectors: str | None,
    labels: str | None,
    limit: int | None,
    seed: int,
) -> Any:
    """Training spectra on one axis, as the kind of model wants them."""
    from spectraloom.workflow import read_deforming, read_prepared
    from spectraloom.workflow.prepare import require_label

    chosen: dict[str, Any] = {"detectors": listed(detectors), "labels": listed(labels)}
    chosen |= {"limit": limit, "seed": seed}
    if model == "manifold":
        spectra = read_deforming(sources, **chosen)
    else:
        spectra = read_prepared(sources, whole_counts=model == "identify", **chosen)
    if background != _BACKGROUND:
        require_label(spectra, background)
    return spectra


def _trained(model: str, spectra: Any, settings: Any, outliers: bool, **shared: Any) -> AnyTraining:
    from spectraloom.workflow import train as train_model
    from spectraloom.workflow import train_identifier, train_manifold

    if model == "manifold":
        return train_manifold(spectra, settings, **shared)
    if model == "identify":
        return train_identifier(spectra, settings, **shared)
    return train_model(spectra, settings, outliers=outliers, **shared)


def _settings(
    model: str,
    min_share: float | None,
    variants: str | None,
    background: str,
    window: tuple[float, float] | None,
    false_alarm_rate: float | None,
    gain: float | None,
    bins: str | None,
    deforming: tuple[Any, ...],
) -> Any:
    """Unfitted model; what was not given keeps the default of the model."""
    from spectraloom.analyze import Identifier, SupervisedNMF

    if bins is not None and model == "nmf":
        raise typer.BadParameter("--bins goes with --model identify or --model manifold")
    adaptive = "adaptive" if bins == "adaptive" else None
    own = dict(zip(_DEFORMING, deforming, strict=True))
    if model == "manifold":
        rest = {"min_share": min_share, "variants": variants, "gain": gain, "window": window}
        rest["bins"] = adaptive
        rates = {"false_alarm_rate": false_alarm_rate, "background": background}
        return deforming_model({**own, **rest, **rates})
    for name, value in own.items():
        if value is not None:
            raise typer.BadParameter(f"--{name} goes with --model manifold")
    number: int | str | None = variants
    if variants is not None and variants.isdecimal():
        number = int(variants)
    given = {"min_share": min_share, "variants": number}
    of_identify = {"false_alarm_rate": false_alarm_rate, "gain": gain}
    if model == "nmf":
        for name, value in of_identify.items():
            if value is not None:
                option = name.replace("_", "-")
                raise typer.BadParameter(
                    f"--{option} goes with --model identify or --model manifold"
                )
        if variants is not None and variants.split(":")[0] == "nmf":
            raise typer.BadParameter(f"--variants {variants} goes with --model identify")
    else:
        given |= {**of_identify, "bins": adaptive}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if chosen.get("gain") == 0:
        chosen["gain"] = None
    kind = Identifier if model == "identify" else SupervisedNMF
    return kind(background=background, window=window, **chosen)


def _training_report(done: AnyTraining, owner: str) -> Report:
    from spectraloom.workflow import (
        IdentifierTraining,
        ManifoldTraining,
        identifier_report,
        manifold_report,
        model_report,
    )

    if isinstance(done, ManifoldTraining):
        return manifold_report(done, owner)
    if isinstance(done, IdentifierTraining):
        return identifier_report(done, owner)
    judged = [] if done.holdout is None else [done.holdout]
    return model_report(done.model, judged, done.study, owner)


def _show_training(done: AnyTraining, out: Path, page: Path | None, origin: str) -> None:
    from spectraloom.workflow import IdentifierTraining, ManifoldTraining
    from spectraloom.workflow.trust import training_remarks

    print_text(f"Given for training and hold-out: {origin}.")
    if isinstance(done, ManifoldTraining):
        show_manifold_training(done, out, page)
        return
    if done.holdout is not None:
        print_scores([done.holdout])
    facts: dict[str, object] = {"classes": ", ".join(done.model.classes_)}
    if isinstance(done, IdentifierTraining):
        if done.tried:
            print_tried(done.tried)
        for remark in training_remarks(done.model, done.tried):
            print_text(remark)
        facts["false-alarm rate"] = f"{done.model.false_alarm_rate:g}"
    else:
        facts["outlier boundary"] = "none" if done.study is None else boundary_text(done.study)
    print_pairs({**facts, "model": out, **made(page)})


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
    from spectraloom.analyze import SupervisedNMF
    from spectraloom.analyze.store import load_model
    from spectraloom.workflow import attribution, evaluation_report, judge, read_prepared
    from spectraloom.workflow.manifold_scores import deforming_texts
    from spectraloom.workflow.target import require_folder

    page = None if report is None else require_folder(report) / "report.html"
    with progress_bar(as_json) as progress:
        trained = load_model(model)
        progress(0.0, "reading")
        own = trained.axis_ if isinstance(trained, SupervisedNMF) else None
        spectra = read_prepared(
            sources,
            # The other models move their templates, not the data.
            axis=own,
            detectors=listed(detectors),
            labels=listed(labels),
            whole_counts=not isinstance(trained, SupervisedNMF),
        )
        judged = judge("Judged spectra", trained, spectra, progress=progress)
        owner = attribution([spectra], sources)
        if page is not None:
            progress(0.9, "drawing the report")
            evaluation_report(judged, owner).write(page)
    if as_json:
        print_json({**judged.to_dict(), **made(page, owner)})
        return
    print_scores([judged])
    for text in deforming_texts(judged.to_dict()):
        print_text(text)
    print_pairs(made(page))
    print_attribution(owner)


Method = Annotated[
    Literal["curves", "tree", "logistic"] | None,
    typer.Option(help="nmf: how the boundary is found.", show_default="curves"),
]
Rate = Annotated[
    float | None,
    typer.Option(help="identify: share of known spectra that may be flagged, e.g. 0.05."),
]
OtherModel = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Model file to write.", show_default="the model itself"),
]


def outlier(
    model: Annotated[Path, typer.Argument(help="Model file; the boundary is stored in it.")],
    sources: Sources,
    method: Method = None,
    feature: Annotated[
        str | None, typer.Option(help="nmf: feature to put the boundary on.")
    ] = None,
    rate: Rate = None,
    out: OtherModel = None,
    detectors: Detectors = None,
    labels: Labels = None,
    report: ReportFolder = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Find the boundary between known and unknown, and store it in the model.

    For a model of shares the spectra are training spectra; for one of identification they are
    measured spectra of known sources that it was not trained on.

    Example: `spectraloom outlier model.loom library/ --method tree`
    """
    from spectraloom.analyze import Identifier, ManifoldUnmixer, save
    from spectraloom.analyze.store import load_model
    from spectraloom.workflow import attribution, model_report, read_prepared
    from spectraloom.workflow.target import require_folder, require_target

    target = require_target(model if out is None else out, sources=sources)
    page = None if report is None else require_folder(report) / "report.html"
    with progress_bar(as_json) as progress:
        trained = load_model(model)
        if isinstance(trained, ManifoldUnmixer):
            raise typer.BadParameter(
                f"{model} is a model of signatures that deform, which learns how far they are off "
                "when it is trained; it has no boundary to find"
            )
        identify = isinstance(trained, Identifier)
        _refuse_study(model, identify, rate, method=method, feature=feature, report=report)
        progress(0.0, "reading")
        spectra = read_prepared(
            sources,
            axis=None if identify else trained.axis_,
            detectors=listed(detectors),
            labels=listed(labels),
            whole_counts=identify,
        )
        if identify:
            facts = _calibrated(trained, spectra, rate)
            shown = {name: _short(value) for name, value in facts.items()}
        else:
            study = _studied(trained, spectra, method, feature, seed, progress)
            facts, shown = study.to_dict(), _study_facts(study)
        save(trained, target)
        owner = attribution([spectra], sources)
        if page is not None:
            progress(0.95, "drawing the report")
            model_report(trained, [], study, owner).write(page)
    if as_json:
        print_json({**facts, "model": str(target), **made(page, owner)})
        return
    print_pairs({**shown, "model": target, **made(page)})
    print_attribution(owner)


def _refuse_study(model: Path, identify: bool, rate: float | None, **study: object) -> None:
    """Say which options go with which model."""
    if not identify:
        if rate is not None:
            raise typer.BadParameter("--rate goes with a model for identification")
        return
    for name, value in study.items():
        if value is not None:
            raise typer.BadParameter(f"--{name} goes with a model of shares, not with {model}")
    if rate is None:
        raise typer.BadParameter(
            f"{model} is a model for identification, which learns what an outlier is when it is "
            "trained; to set its boundary from measured spectra that hold nothing unknown, and "
            "that it was not trained on, say at which rate they may be flagged: --rate 0.05"
        )


def _studied(
    model: Any, spectra: Any, method: Any, feature: str | None, seed: int, progress: Any
) -> Any:
    """Find the boundary of a model of shares."""
    from spectraloom.workflow import study_for_model

    return study_for_model(
        model,
        spectra,
        method=method or "curves",
        feature=feature,
        seed=seed,
        progress=progress,
    )


def _calibrated(model: Any, spectra: Any, rate: float | None) -> dict[str, Any]:
    """Set the outlier boundary of an identifier from known spectra."""
    from spectraloom.workflow import calibrate_known

    assert rate is not None  # noqa: S101 - required before
    before = model.misfit_boundary_
    flagged = calibrate_known(model, spectra, rate)
    after = model.misfit_boundary_
    known = {"known spectra": len(spectra), "flagged at most": rate, "flagged of them": flagged}
    if before is None:
        return {**known, "outlier above a misfit per count of": after.center}
    return {
        **known,
        "flagged of them before": float(before.flagged(after.values).mean()),
        "outlier above a misfit per count of": after.center,
        "that was before": before.center,
    }


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}"


def _study_facts(study: Any) -> dict[str, Any]:
    boundary = study.boundary
    return {
        "outlier boundary": boundary_text(study),
        "unknown found": percent(boundary.recall),
        "flagged and unknown": percent(boundary.precision),
    }
