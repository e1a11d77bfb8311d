"""Commands on spectra: info, convert, explore, simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spectraloom.cli.options import AsJson, Detectors, Labels, Limit, Seed, Sources, Window
from spectraloom.cli.show import (
    listed,
    print_json,
    print_pairs,
    progress_bar,
    report_page,
    strings,
    tell,
)


def info(sources: Sources, as_json: AsJson = False) -> None:
    """Say what files hold: format, axis, spectra, counts, times, labels.

    Example: `spectraloom info measurement.n42`
    """
    from spectraloom.io import read_groups
    from spectraloom.workflow.describe import describe

    groups = [describe(group) for group in read_groups(strings(sources))]
    if as_json:
        print_json(groups)
        return
    for number, group in enumerate(groups):
        print_pairs(group, title=f"axis {number + 1} of {len(groups)}")


def convert(
    sources: Sources,
    to: Annotated[Path, typer.Option("--to", "-o", help="File to write; its ending chooses.")],
    file_format: Annotated[
        str | None, typer.Option("--format", help="Format, where the ending does not say it.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Convert spectra to another format; what was written is read back and compared.

    Example: `spectraloom convert measurement.cnf --to measurement.n42`
    """
    from spectraloom.io import read, write

    spectra = read(strings(sources))
    write(spectra, to, format=file_format, overwrite=overwrite)
    tell({"spectra": len(spectra), "written": str(to)}, as_json)


def explore(
    sources: Sources,
    report: Annotated[Path, typer.Option("--report", help="Folder for report.html.")] = Path(
        "spectraloom-explore"
    ),
    detectors: Detectors = None,
    labels: Labels = None,
    limit: Limit = None,
    window: Window = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Look at labelled spectra: means, examples, similarities.

    Example: `spectraloom explore library/ --window 40 2000`
    """
    from spectraloom.workflow import explore_report, read_prepared

    with progress_bar(as_json) as progress:
        progress(0.0, "reading")
        spectra = read_prepared(
            strings(sources),
            detectors=listed(detectors),
            labels=listed(labels),
            limit=limit,
            seed=seed,
        )
        progress(0.5, "drawing")
        page = explore_report(spectra, window=window).write(report_page(report))
    tell({"spectra": len(spectra), "report": str(page.resolve())}, as_json)


def simulate(
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    nuclides: Annotated[
        str,
        typer.Option(help="What a spectrum may hold, by commas; '+' joins a mixture."),
    ] = "Cs137,Co60,Co60+Cs137",
    n: Annotated[int, typer.Option("-n", help="Number of spectra.")] = 1000,
    counts: Annotated[
        tuple[float, float], typer.Option(help="Least and most counts from sources.")
    ] = (1e3, 1e4),
    background: Annotated[
        tuple[float, float] | None, typer.Option(help="Least and most background counts.")
    ] = None,
    absorbers: Annotated[
        str, typer.Option(help="Absorbers, by commas, e.g. 'none,Pb 0.2,Fe 1' (cm).")
    ] = "none",
    detector: Annotated[str, typer.Option(help="simulated, east or west.")] = "simulated",
    live_time: Annotated[float, typer.Option(help="Seconds.")] = 1.0,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Simulate gamma spectra with known content.

    Example: `spectraloom simulate -o train.npz --nuclides Cs137,Co60 --absorbers "none,Pb 0.5"`
    """
    from spectraloom.io import write
    from spectraloom.workflow.simulate import simulate_from_text

    spectra = simulate_from_text(
        nuclides,
        n,
        detector=detector,
        counts=counts,
        background=background,
        absorbers=absorbers,
        live_time=live_time,
        seed=seed,
    )
    write(spectra, out, overwrite=overwrite)
    tell({"spectra": len(spectra), "written": str(out)}, as_json)
