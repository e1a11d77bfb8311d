"""Benchmarks on the steel-sphere data."""

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


def bench_steel_sphere(
    data: Annotated[Path, typer.Option(help="Folder or zip in the steel-sphere layout.")],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File for the numbers; '-' prints them.")
    ] = None,
    n: Annotated[
        int, typer.Option("--spectra", min=20, help="Spectra for each protocol and count level.")
    ] = 1000,
    networks: Annotated[
        bool, typer.Option(help="Train interpolatory autoencoders, too (needs the extra deep).")
    ] = True,
) -> None:
    """Unmix sources behind steel that no model has seen, beside SemSun's own scheme.

    Example: `spectraloom bench steel-sphere --data steel_sphere_4.zip --json numbers.json`
    """
    from spectraloom.evaluate import run_steel_sphere_benchmark

    def run(groups: Sequence[Spectra], progress: Progress) -> dict[str, Any]:
        return run_steel_sphere_benchmark(groups, n=n, networks=networks, progress=progress)

    numbers = measure(data, json_file, run)
    if numbers is not None:
        print_pairs(_lines(numbers))


def _lines(numbers: dict[str, Any]) -> dict[str, object]:
    lines: dict[str, object] = {}
    for name in numbers["protocol"]["mixtures"]:
        for counts, level in numbers[name].items():
            theirs = numbers["reference"][name][counts]["alternating"]
            lines[f"{name}, {counts} counts"] = (
                f"mean relative error {level['mre']:.2%}, errors over the bound "
                f"{level['rmse_over_crb']:.3f}, coverage {level['coverage95']:.1%}, "
                f"{level['seconds_per_spectrum'] * 1e3:.2f} ms; on the first {theirs['n']} spectra "
                f"{theirs['joint_fit_mre']:.2%}, alternating scheme {theirs['mre']:.2%} in "
                f"{theirs['seconds_per_spectrum'] * 1e3:.0f} ms"
            )
    for counts, level in numbers["multi"].items():
        if counts != "thickness_mm":
            lines[f"own thicknesses, {counts} counts"] = (
                f"error {level['individual']['mre']:.2%} with one thickness each, "
                f"{level['common']['mre']:.2%} with a common one"
            )
    ident = numbers["ident"]
    lines["identification"] = (
        f"perfect sets {ident['ppr']:.1%} (thickness known: {ident['ceiling']['ppr']:.1%}), false "
        f"positives {ident['fpr']:.2%}, {ident['per_second']:.0f} spectra/s"
    )
    for key, title in (("iae", "autoencoder, joint"), ("individual", "autoencoder, individual")):
        learned = numbers["iae"] if key == "iae" else numbers["iae"].get(key)
        if learned and "train_seconds" in learned:
            lines[title] = (
                f"{learned['nmse_db']:.1f} dB at thicknesses held out, trained in "
                f"{learned['train_seconds']:.0f} s"
            )
    inter = numbers["iae"]["interpolated"]
    lines["seven knots"] = f"{inter['nmse_db']:.1f} dB, count bias {inter['count_bias']:.2%}"
    for counts, level in numbers["speed"].items():
        if isinstance(level, dict):
            lines[f"fits/s per core, {counts} counts"] = (
                f"{level['unbinned_per_second']:.0f} on {numbers['speed']['channels']} channels, "
                f"{level['adaptive_per_second']:.0f} on {numbers['speed']['bins']} bins"
            )
    return lines
