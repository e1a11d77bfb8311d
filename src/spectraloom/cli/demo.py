"""Commands that run everything: demo and the benchmarks."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from spectraloom import __version__
from spectraloom.cli.options import AsJson, Seed
from spectraloom.cli.show import (
    boundary_text,
    console,
    percent,
    print_benchmark,
    print_json,
    print_pairs,
    print_scores,
    progress_bar,
)


def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder or zip in the layout of the GAMMA_FLOW example data."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for report and model.")] = Path(
        "spectraloom-demo"
    ),
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Run the whole chain on simulated or given spectra and write a report.

    Example: `spectraloom demo --data example_dataset.zip`
    """
    from spectraloom.workflow.demo import run_demo

    started = time.perf_counter()
    with progress_bar(as_json) as progress:
        chain, page = run_demo(out, data=data, seed=seed, progress=progress)
    if as_json:
        print_json({**chain.to_dict(), "report": str(page)})
        return
    print_scores(chain.judged)
    print_pairs(
        {
            "outlier boundary": "none" if chain.study is None else boundary_text(chain.study),
            "unknown sources flagged": percent(chain.to_dict()["flagged_unknown"]),
            "known sources flagged": percent(chain.to_dict()["flagged_known"]),
            "seconds": f"{time.perf_counter() - started:.1f}",
            "model": str(out / "model.loom"),
            "report": str(page.resolve()),
        }
    )


def bench_gamma_flow(
    data: Annotated[Path, typer.Option(help="Folder or zip in the layout of the example data.")],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File for the numbers; '-' prints them.")
    ] = None,
    throughput: Annotated[bool, typer.Option(help="Measure speed and memory too.")] = True,
    seed: Seed = 1,
) -> None:
    """Classify, decompose and find outliers beside GAMMA_FLOW's own rule, on the same spectra.

    Example: `spectraloom bench gamma-flow --data example_dataset.zip --json numbers.json`
    """
    from spectraloom import datasets
    from spectraloom.evaluate import run_gamma_flow_benchmark
    from spectraloom.io import read_groups
    from spectraloom.workflow.train import finite

    quiet = str(json_file) == "-"
    with progress_bar(quiet) as progress:
        progress(0.0, "reading")
        numbers = run_gamma_flow_benchmark(
            read_groups(data), seed=seed, throughput=throughput, progress=progress
        )
    known = datasets.recognise(data)
    numbers["provenance"] = {
        "spectraloom": __version__,
        "data": str(data.name),
        "attribution": "" if known is None else known.attribution,
    }
    if quiet:
        print_json(numbers)
        return
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(finite(numbers), indent=1), encoding="utf-8")
    print_benchmark(numbers)
    if known is not None:
        console().print(known.attribution, style="dim", highlight=False)
