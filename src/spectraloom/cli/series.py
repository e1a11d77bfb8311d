"""The command on series of spectra: alarms."""

from __future__ import annotations

from typing import Annotated

import typer

from spectraloom.cli.options import AsJson, ModelFile, ReportFolder, Seed, Sources
from spectraloom.cli.show import made, print_alarms, print_attribution, print_json, progress_bar

Hours = Annotated[
    float,
    typer.Option(
        help="Hours of background to simulate for the rate of alarms, at least 200 times as "
        "long as the longest window; they take most of the time."
    ),
]


def alarms(
    model: ModelFile,
    background: Annotated[
        str, typer.Argument(help="Background series without sources: file, folder or pattern.")
    ],
    sources: Sources,
    per_hour: Annotated[float, typer.Option(help="False alarms per hour.")] = 1.0,
    longest: Annotated[
        int, typer.Option(help="Longest window in spectra, a power of two.", min=1)
    ] = 32,
    walk: Annotated[
        float | None,
        typer.Option(help="Follow the gain, which walks so far in a second (relative, e.g. 3e-4)."),
    ] = None,
    hours: Hours = 12.0,
    interval: Annotated[
        float | None,
        typer.Option(help="Seconds from one spectrum to the next.", show_default="their times"),
    ] = None,
    report: ReportFolder = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Find sources that come and go in a series of spectra, with a stated rate of false alarms.

    Spectra are taken in the order of time: by when they began, if all say so, else as given.

    Example: `spectraloom alarms model.loom quiet.n42 today/ --per-hour 1 --report out/`
    """
    from spectraloom.analyze import Identifier
    from spectraloom.analyze.store import load_model
    from spectraloom.workflow import alarms_report, attribution, find_alarms
    from spectraloom.workflow.target import require_folder

    page = None if report is None else require_folder(report) / "report.html"
    with progress_bar(as_json) as progress:
        trained = load_model(model)
        if not isinstance(trained, Identifier):
            raise typer.BadParameter(
                f"{model}: alarms need a model for identification: train one with --model identify"
            )
        found = find_alarms(
            trained,
            background,
            sources,
            alarms_per_hour=per_hour,
            longest=longest,
            gain_walk=walk,
            hours=hours,
            interval=interval,
            seed=seed,
            progress=progress,
        )
        owner = attribution([found.spectra], [background, *sources])
        if page is not None:
            progress(0.98, "drawing the report")
            alarms_report(found, owner).write(page)
    if as_json:
        print_json({**found.to_dict(), **made(page, owner)})
        return
    print_alarms(found, page)
    print_attribution(owner)
