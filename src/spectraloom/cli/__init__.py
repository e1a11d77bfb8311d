"""The command line: parse, call a workflow, show. No mathematics.

Heavy sub-packages are imported inside the commands, so that ``spectraloom --help`` is quick.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from spectraloom import __version__
from spectraloom.cli import analysis, bench, bench_simulator, demo, model, nuclide, series, spectra
from spectraloom.cli.show import one_line
from spectraloom.errors import SpectraloomError

app = typer.Typer(
    name="spectraloom",
    help="Analyse one-dimensional spectra: what is in them, how much, and how sure.",
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    add_completion=False,
)
bench_app = typer.Typer(help="Measure Spectraloom beside a reference.")

for _command in (
    demo.demo,
    spectra.info,
    spectra.convert,
    spectra.explore,
    model.train,
    analysis.analyze,
    model.evaluate,
    model.outlier,
    series.alarms,
    spectra.simulate,
    nuclide.nuclide,
):
    app.command()(_command)
bench_app.command("gamma-flow")(demo.bench_gamma_flow)
bench_app.command("steel-sphere")(bench.bench_steel_sphere)
bench_app.command("simulator")(bench_simulator.bench_simulator)
app.add_typer(bench_app, name="bench")

# What Typer raises for a wrong option shares this base; its home differs between versions.
_UsageError: type[Exception] = typer.BadParameter.__mro__[2]


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


@bench_app.callback()
def _bench() -> None:
    """Measure Spectraloom beside a reference."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the name of the program; those of the process by default.

    Returns
    -------
    int
        Exit code: 0, 2 after one line on standard error for bad input, 3 where files were left
        out on request, 130 if interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name may hold what a terminal cannot show
    try:
        code = app(arguments or ["--help"], prog_name="spectraloom", standalone_mode=False)
    except (SpectraloomError, _UsageError, OSError, MemoryError) as error:
        typer.secho(f"spectraloom: {_told(error)}", fg="red", err=True)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        typer.secho("spectraloom: interrupted", fg="red", err=True)
        return 130
    return code if isinstance(code, int) else 0


def _told(error: BaseException) -> str:
    if isinstance(error, _UsageError):
        usage: Any = error
        context = getattr(usage, "ctx", None)
        path = "spectraloom" if context is None else context.command_path
        return one_line(f"{usage.format_message().rstrip('.')} (see {path} --help)")
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        return one_line(f"{where}{error.strerror}")
    if isinstance(error, MemoryError):
        return one_line(f"not enough memory: {error}")
    return one_line(str(error))
