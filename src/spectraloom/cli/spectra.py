"""Commands on spectra: info, convert, explore, simulate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectraloom.cli.options import (
    AsJson,
    Detectors,
    Labels,
    Limit,
    Overwrite,
    Seed,
    Sources,
    Window,
)
from spectraloom.cli.show import (
    listed,
    print_attribution,
    print_json,
    print_lines,
    print_pairs,
    progress_bar,
)

if TYPE_CHECKING:
    from spectraloom.data import Spectra

_FOR_NO_SCENE = ("nuclides", "counts", "background", "absorbers", "detector", "live_time")
# What Typer raises where an option is missing; its home differs between versions.
_MissingOptionError: type[Exception] = typer.BadParameter.__mro__[1]
_MOST = 10_000_000  # spectra of a simulation; more would not fit into memory
Number = Annotated[
    int,
    typer.Option(
        "-n",
        help="Number of spectra; of a scene that has passes only, of passes.",
        min=1,
        max=_MOST,
    ),
]


def info(sources: Sources, as_json: AsJson = False) -> None:
    """Say what files hold: format, axis, spectra, counts, times, labels.

    Example: `spectraloom info measurement.n42`
    """
    from spectraloom.io import read_groups
    from spectraloom.workflow.describe import describe, in_words, overview, shared_notes

    with progress_bar(as_json) as progress:
        progress(0.0, "reading")
        groups = read_groups(sources)
        facts = [describe(group) for group in groups]
    if as_json:
        print_json(facts)
        return
    owners = dict.fromkeys(str(one.pop("attribution", "")) for one in facts)
    if len(groups) > 1:
        print_lines(overview(groups))
        print_pairs(shared_notes(groups))
    else:
        print_pairs(in_words(facts[0]))
    print_attribution("\n".join(filter(None, owners)))


def convert(
    sources: Sources,
    to: Annotated[Path, typer.Option("--to", "-o", help="File to write; its ending chooses.")],
    file_format: Annotated[
        str | None, typer.Option("--format", help="Format, where the ending does not say it.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Convert spectra to another format; what was written is read back and compared.

    Spectra on several axes go to one file for each: NAME-1, NAME-2 ...

    Example: `spectraloom convert measurement.cnf --to measurement.n42`
    """
    from spectraloom.workflow import convert as convert_files

    with progress_bar(as_json) as progress:
        progress(0.0, "converting")
        written = convert_files(sources, to, file_format=file_format, overwrite=overwrite)
    if as_json:
        files = [one.to_dict() for one in written]
        lost = dict.fromkeys(name for one in written for name in one.not_kept)
        print_json({"written": [one["path"] for one in files], "not_kept": [*lost], "files": files})
        return
    for one in written:
        facts: dict[str, object] = {"file": one.path, "spectra": one.spectra, "axis": one.axis}
        facts |= {"read from": ", ".join(one.files)} if one.files else {}
        print_pairs(facts | ({"not kept": ", ".join(one.not_kept)} if one.not_kept else {}))


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
    from spectraloom.workflow import attribution, explore_report, read_prepared
    from spectraloom.workflow.target import require_folder

    page = require_folder(report) / "report.html"
    with progress_bar(as_json) as progress:
        progress(0.0, "reading")
        spectra = read_prepared(
            sources,
            detectors=listed(detectors),
            labels=listed(labels),
            limit=limit,
            seed=seed,
        )
        progress(0.5, "drawing")
        owner = attribution([spectra], sources)
        explore_report(spectra, window=window, attribution=owner).write(page)
    facts: dict[str, object] = {"spectra": len(spectra), "report": page.resolve()}
    if as_json:
        print_json(facts | ({"attribution": owner} if owner else {}))
        return
    print_pairs(facts)
    print_attribution(owner)


def simulate(
    context: typer.Context,
    scene: Annotated[
        str | None, typer.Argument(help="A scene: a TOML file, or a name that --list shows.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; needed.")] = None,
    nuclides: Annotated[
        str,
        typer.Option(help="What a spectrum may hold, by commas; '+' joins a mixture."),
    ] = "Cs137,Co60,Co60+Cs137",
    n: Number = 1000,
    counts: Annotated[
        tuple[float, float], typer.Option(help="Least and most counts from sources.")
    ] = (1e3, 1e4),
    background: Annotated[
        tuple[float, float] | None, typer.Option(help="Least and most background counts.")
    ] = None,
    absorbers: Annotated[
        str, typer.Option(help="Absorbers, by commas, e.g. 'none,Pb 0.2,Fe 1' (cm).")
    ] = "none",
    detector: Annotated[str, typer.Option(help="A detector that --list shows.")] = "simulated",
    live_time: Annotated[float, typer.Option(help="Seconds.")] = 1.0,
    list_scenes: Annotated[
        bool, typer.Option("--list", help="Show the ready scenes and detectors.")
    ] = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Simulate gamma spectra with known content, from a scene or from a few options.

    A scene says all itself; besides it only -n and --seed are taken.

    Example: `spectraloom simulate handheld -o train.zarr --seed 7`
    """
    if list_scenes:
        _show_names(as_json)
        return
    if out is None:
        raise _MissingOptionError("Missing option '--out' / '-o'.")
    from spectraloom.io import write
    from spectraloom.workflow import simulate_from_text
    from spectraloom.workflow.convert import require_new

    require_new(out, overwrite=overwrite)
    if scene is None:
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
    else:
        spectra = _from_scene(context, scene, n, seed, as_json)
    lost = write(spectra, out, overwrite=overwrite)
    if as_json:
        print_json({"spectra": len(spectra), "written": str(out), "not_kept": lost})
        return
    told: dict[str, object] = {"not kept": ", ".join(lost)} if lost else {}
    print_pairs({"spectra": len(spectra), "file": out} | told)


def _from_scene(context: typer.Context, named: str, n: int, seed: int, as_json: bool) -> Spectra:
    """Draw a scene; options that it decides itself are refused."""
    from spectraloom.generate import simulate_scene
    from spectraloom.workflow import find_scene

    given = {name for name in _FOR_NO_SCENE if _is_given(context, name)}
    if given:
        options = ", ".join("--" + name.replace("_", "-") for name in sorted(given))
        raise typer.BadParameter(f"a scene says this itself: leave out {options}")
    found = find_scene(
        named,
        spectra=n if _is_given(context, "n") else None,
        seed=seed if _is_given(context, "seed") else None,
    )
    with progress_bar(as_json) as progress:
        progress(0.0, "reading")
        return simulate_scene(found, progress=progress)


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _show_names(as_json: bool) -> None:
    from spectraloom.generate import ready_scene, scenes
    from spectraloom.workflow.simulate import detector_names

    found = [
        {"scene": name, "spectra": len(ready_scene(name)), "description": description}
        for name, description in scenes().items()
    ]
    names = detector_names()
    if as_json:
        print_json({"scenes": found, "detectors": names})
        return
    print_lines([{name: str(value) for name, value in one.items()} for one in found])
    print_pairs({"detectors": ", ".join(names)})
