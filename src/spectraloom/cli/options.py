"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_MAX_SEED = 2**32 - 2  # what scikit-learn takes, less one for the seed of a split

Sources = Annotated[list[str], typer.Argument(help="Files, folders, zips or patterns.")]
ModelFile = Annotated[Path, typer.Argument(help="Model file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Seed = Annotated[int, typer.Option(help="Seed of every draw.", min=0, max=_MAX_SEED)]
Window = Annotated[
    tuple[float, float] | None, typer.Option(help="Part of the axis to use: low high.")
]
Detectors = Annotated[
    str | None, typer.Option(help="Detectors to use, separated by commas; all otherwise.")
]
Labels = Annotated[
    str | None, typer.Option(help="Labels to use, separated by commas; all otherwise.")
]
Limit = Annotated[int | None, typer.Option(help="Most spectra per label set.", min=1)]
ReportFolder = Annotated[Path | None, typer.Option("--report", help="Folder for report.html.")]
Overwrite = Annotated[bool, typer.Option(help="Replace an existing file.")]
