"""The command line: parse, call a workflow, show. No mathematics.

Heavy sub-packages are imported inside the commands, so that ``spectraloom --help`` is quick.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from spectraloom import __version__
from spectraloom.cli import demo, model, spectra
from spectraloom.errors import SpectraloomError

app = typer.Typer(
    name="spectraloom",
    help="Analyse one-dimensional spectra: what is in them, how much, and how sure.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
bench_app = typer.Typer(help="Measure Spectraloom beside a reference.", no_args_is_help=True)

for _command in (
    demo.demo,
    spectra.info,
    spectra.convert,
    spectra.explore,
    model.train,
    model.analyze,
    model.evaluate,
    model.outlier,
    spectra.simulate,
):
    app.command()(_command)
bench_app.command("gamma-flow")(demo.bench_gamma_flow)
app.add_typer(bench_app, name="bench")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"spectraloom {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; errors of ours are one line, with exit code 2."""
    try:
        app()
    except SpectraloomError as error:
        message = " ".join(str(error).split())
        Console(stderr=True).print(f"spectraloom: {message}", style="red", markup=False)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
