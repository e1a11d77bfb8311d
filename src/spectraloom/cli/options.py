"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

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

ModelKind = Annotated[
    Literal["nmf", "identify", "manifold"],
    typer.Option(
        help="nmf: shares of classes. identify: decisions with stated error rates. manifold: the "
        "same with signatures that deform, e.g. with the thickness of a shield."
    ),
]
Holdout = Annotated[float, typer.Option(help="Share of the spectra held out.")]
MinShare = Annotated[
    float | None,
    typer.Option(help="Smallest share of a source.", show_default="0.1; identify 0"),
]
Variants = Annotated[
    str | None,
    typer.Option(
        help="Templates per class: a number, a column such as absorber; identify: nmf:NUMBER.",
        show_default="1; identify 4",
    ),
]
Outliers = Annotated[
    bool, typer.Option(help="Find an outlier boundary; identify and manifold always do.")
]
FalseAlarmRate = Annotated[
    float | None,
    typer.Option(
        help="identify, manifold: share of the spectra without sources said to hold any.",
        show_default="0.001; manifold 0.01",
    ),
]
Gain = Annotated[
    float | None,
    typer.Option(
        help="identify, manifold: how far the gain may drift (standard deviation); 0 fixes it.",
        show_default="0.02; manifold 0",
        min=0.0,
    ),
]
Bins = Annotated[
    Literal["channels", "adaptive"] | None,
    typer.Option(
        help="identify, manifold: fit channels, or as coarse bins as tell nearly as much, which is "
        "faster.",
        show_default="channels",
    ),
]

Deformation = Annotated[
    str | None,
    typer.Option(
        help="manifold: column that says how far a source is deformed.", show_default="thickness"
    ),
]
Unit = Annotated[str | None, typer.Option(help="manifold: its unit.", show_default="mm")]
Signatures = Annotated[
    Literal["interpolated", "iae-joint", "iae-individual"] | None,
    typer.Option(
        help="manifold: how signatures are learned; iae: by an autoencoder.",
        show_default="interpolated",
    ),
]
Individual = Annotated[
    bool, typer.Option("--individual", help="manifold: each source has its own deformation.")
]
Broadening = Annotated[
    float | None,
    typer.Option(
        help="manifold: how much wider peaks may be (standard deviation).",
        show_default="not fitted",
        min=0.0,
    ),
]
Tie = Annotated[
    float | None,
    typer.Option(
        help="manifold: with --individual, how far deformations differ (standard deviation, as a "
        "part of the range).",
        show_default="freely",
        min=0.0,
    ),
]
Known = Annotated[
    tuple[float, float] | None,
    typer.Option(help="manifold: what is known of the deformation: mean and standard deviation."),
]
