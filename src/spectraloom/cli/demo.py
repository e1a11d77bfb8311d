"""Commands that run everything: demo and the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spectraloom.cli.numbers import measure
from spectraloom.cli.options import AsJson, Seed
from spectraloom.cli.show import (
    boundary_text,
    percent,
    print_attribution,
    print_benchmark,
    print_json,
    print_pairs,
    print_scores,
    progress_bar,
)

if TYPE_CHECKING:
    from spectraloom._typing import Progress
    from spectraloom.data import Spectra


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
    from spectraloom.workflow import attribution, run_demo

    started = time.perf_counter()
    with progress_bar(as_json) as progress:
        chain, page = run_demo(out, data=data, seed=seed, progress=progress)
    owner = "" if data is None else attribution(sources=[data])
    numbers = chain.to_dict()
    if as_json:
        made = {"model": str(out / "model.loom"), "report": page.resolve()}
        print_json({**numbers, **made, **({"attribution": owner} if owner else {})})
        return
    print_scores(chain.judged.values())
    print_pairs(
        {
            "outlier boundary": "none" if chain.study is None else boundary_text(chain.study),
            "unknown sources flagged": percent(numbers["flagged_unknown"]),
            "known sources flagged": percent(numbers["flagged_known"]),
            "seconds": f"{time.perf_counter() - started:.1f}",
            "model": out / "model.loom",
            "report": page.resolve(),
        }
    )
    print_attribution(owner)


def bench_gamma_flow(
    data: Annotated[Path, typer.Option(help="Folder or zip in the layout of the example data.")],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File for the numbers; '-' prints them.")
    ] = None,
    throughput: Annotated[bool, typer.Option(help="Measure speed and memory too.")] = True,
    identify: Annotated[bool, typer.Option(help="Judge identification, too.")] = True,
    seed: Seed = 1,
) -> None:
    """Classify, decompose and find outliers beside GAMMA_FLOW's own rule, on the same spectra.

    Example: `spectraloom bench gamma-flow --data example_dataset.zip --json numbers.json`
    """
    from spectraloom.evaluate import run_gamma_flow_benchmark
    from spectraloom.workflow import attribution

    def run(groups: Sequence[Spectra], progress: Progress) -> dict[str, Any]:
        owner = attribution(groups, [data])
        numbers = run_gamma_flow_benchmark(
            groups, seed=seed, throughput=throughput, identify=identify, progress=progress
        )
        return numbers | {"provenance": {"attribution": owner}}

    numbers = measure(data, json_file, run)
    if numbers is not None:
        print_benchmark(numbers)
        print_attribution(numbers["provenance"]["attribution"])
