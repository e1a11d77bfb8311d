"""Benchmark of the simulator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spectraloom.cli.numbers import measure
from spectraloom.cli.show import print_pairs

if TYPE_CHECKING:
    from spectraloom._typing import Progress
    from spectraloom.data import Spectra


def bench_simulator(
    data: Annotated[
        Path,
        typer.Option(help="Folder or zip: GADRAS reference, steel-sphere or GAMMA_FLOW layout."),
    ],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File for the numbers; '-' prints them.")
    ] = None,
    speed: Annotated[bool, typer.Option(help="Measure speed, too.")] = True,
) -> None:
    """Judge the simulator on spectra of other simulators, and by what it teaches.

    Example: `spectraloom bench simulator --data steel_sphere_4.zip --json numbers.json`
    """
    from spectraloom.evaluate import run_simulator_benchmark

    def run(groups: Sequence[Spectra], progress: Progress) -> dict[str, Any]:
        return run_simulator_benchmark(groups, speed=speed, progress=progress)

    numbers = measure(data, json_file, run)
    if numbers is not None:
        print_pairs(_lines(numbers))


def _lines(numbers: dict[str, Any]) -> dict[str, object]:
    lines: dict[str, object] = {}
    if "shape" in numbers:
        shape, peaks = numbers["shape"], numbers["peaks"]
        fitted = numbers["protocol"]["detectors"]
        lines["fitted on"] = "; ".join(
            f"{name}: {', '.join(one['fitted_nuclides'])}" for name, one in fitted.items()
        )
        lines["shape"] = (
            f"median of {shape['n']} spectra: cosine {shape['cosine']:.4f}, "
            f"{shape['nmse_db']:.1f} dB (perfect: {shape['noise_limit_db']:.1f} dB)"
        )
        if peaks["n_peaks"]:
            lines["peaks"] = (
                f"{peaks['n_peaks']} peaks, median error of position "
                f"{peaks['position_error_kev']:.2f} keV"
            )
        if peaks["n_ratios"]:
            lines["ratios of peaks"] = (
                f"{peaks['n_ratios']}, median error {peaks['ratio_error']:.1%}"
            )
    if "attenuation" in numbers:
        attenuation = numbers["attenuation"]
        lines["attenuation"] = (
            f"{attenuation['n']} peaks behind steel, median error {attenuation['error']:.1%}"
        )
    if "transfer" in numbers:
        transfer = numbers["transfer"]
        lines["transfer"] = (
            f"micro-F1 {transfer['ours']['micro_f1']:.3f} taught by our simulation, "
            f"{transfer['shipped']['micro_f1']:.3f} by the one of the data"
        )
    if "response_seconds" in numbers:
        lines["response"] = (
            f"{numbers['response_seconds']:.1f} s, {numbers['histories_per_second']:.3g} photons/s"
        )
        lines["spectra"] = f"{numbers['spectra_per_second']:.0f}/s"
    return lines
