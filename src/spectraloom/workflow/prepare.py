"""From files to one set of training or test spectra: select, rebin, remove copies, limit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spectraloom._typing import Progress
from spectraloom.data.axis import Axis
from spectraloom.data.spectra import Spectra
from spectraloom.errors import CalibrationError, DataError, LabelError
from spectraloom.io import read_groups
from spectraloom.process import drop_empty, limit_per_class, rebin, remove_duplicates

ORIGIN = ("axes", "rebinned", "duplicates_removed")
"""Notes in ``attrs`` on where prepared spectra come from."""


def part_of(progress: Progress | None, start: float, stop: float) -> Progress:
    """Progress of a step that runs from `start` to `stop` of the whole."""

    def report(fraction: float, text: str) -> None:
        if progress is not None:
            progress(start + (stop - start) * fraction, text)

    return report


def common_axis(groups: Sequence[Spectra]) -> Axis:
    """Axis of the largest group."""
    return max(groups, key=len).axis


def onto_axis(groups: Sequence[Spectra], axis: Axis, *, draw: int | None = None) -> Spectra:
    """All spectra on one axis, rebinned without losing counts where theirs is another.

    Parameters
    ----------
    groups : sequence of Spectra
        As :func:`spectraloom.io.read_groups` gives them.
    axis : Axis
        The axis wanted.
    draw : int, optional
        Seed to deal out whole counts with, so that they stay Poisson distributed.

    Raises
    ------
    CalibrationError
        If spectra on another axis are uncalibrated.
    AxisError
        If the axes do not overlap or measure different things.
    """
    moved = []
    for group in groups:
        if not axis.isclose(group.axis) and not (axis.is_calibrated and group.axis.is_calibrated):
            raise CalibrationError(
                f"spectra with {group.axis.describe()} cannot be moved to {axis.describe()}: give "
                "uncalibrated spectra an energy calibration first"
            )
        whole = None if axis.isclose(group.axis) or group.kind != "counts" else draw
        moved.append(rebin(group, axis, draw=whole))
    # Variances from rebinning would mix with none; the counts themselves are kept for the fit.
    return Spectra.concatenate(
        [one.replace(variance=None) if one.kind == "counts" else one for one in moved]
    )


def prepare(
    groups: Sequence[Spectra],
    *,
    axis: Axis | None = None,
    detectors: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    limit: int | None = None,
    keep_duplicates: bool = False,
    whole_counts: bool = False,
    seed: int = 0,
) -> Spectra:
    """Select, remove copies, rebin to one axis, drop empty spectra, limit per class.

    Parameters
    ----------
    groups : sequence of Spectra
    axis : Axis, optional
        By default that of the largest group.
    detectors, labels : sequence of str, optional
        Keep only spectra of these detectors, and those whose labels are all among these.
    limit : int, optional
        Most spectra per label set.
    keep_duplicates : bool
        Keep exact copies of the preceding spectrum of a file.
    whole_counts : bool
        Deal out whole counts where spectra are rebinned, which a likelihood needs.
    seed : int
        Seed of the draws.

    Returns
    -------
    Spectra
        ``attrs`` say where they come from: number of ``axes``, of spectra that were ``rebinned``
        from another one, and of copies (``duplicates_removed``).

    Raises
    ------
    LabelError
        If a detector or label does not occur.
    DataError
        If nothing is left.
    """
    chosen = [_select(group, detectors, labels) for group in groups]
    _require_known("detector", detectors, [_texts(group, "detector") for group in groups])
    _require_known("label", labels, [_label_names(group) for group in groups])
    chosen = [group for group in chosen if len(group)]
    if not chosen:
        raise DataError(
            "no spectrum is left after selecting detectors and labels: all labels of a spectrum "
            "must be among those asked for, the background too where it is one of them"
        )
    if not keep_duplicates:
        chosen = [remove_duplicates(group) for group in chosen]
    draw = seed if whole_counts else None
    wanted = axis or common_axis(chosen)
    moved = sum(len(group) for group in chosen if not wanted.isclose(group.axis))
    copies = sum(group.attrs.get("duplicates_removed", 0) for group in chosen)
    notes = dict(zip(ORIGIN, (len(chosen), moved, copies), strict=True))
    spectra = drop_empty(onto_axis(chosen, wanted, draw=draw))
    if limit is not None:
        spectra = limit_per_class(spectra, limit, seed=seed)
    if not len(spectra):
        raise DataError("all spectra are empty on the common axis")
    return spectra.replace(attrs={**spectra.attrs, **notes})


def read_prepared(source: str | Path | Sequence[str | Path], **settings: object) -> Spectra:
    """Read files of any format and :func:`prepare` them with the same settings."""
    return prepare(read_groups(source), **settings)  # type: ignore[arg-type]


def origin_text(spectra: Spectra, background: str | None = None) -> str:
    """How many spectra there are, and what :func:`prepare` did to them, in a line.

    Parameters
    ----------
    spectra : Spectra
        As :func:`prepare` gives them.
    background : str, optional
        Label whose spectra are counted.
    """
    parts = [f"{len(spectra):,} spectra"]
    quiet = sum(tuple(entry) == (background,) for entry in spectra.columns.get("labels", ()))
    if quiet:
        parts[0] += f", {quiet:,} of them {background}"
    axes, rebinned, copies = (int(spectra.attrs.get(key, 0)) for key in ORIGIN)
    if rebinned:
        parts.append(f"{rebinned:,} rebinned to one axis ({axes} axes in the files)")
    if copies:
        parts.append(f"{copies:,} exact copies left out")
    return "; ".join(parts)


def require_label(spectra: Spectra, label: str) -> None:
    """Refuse the name of a label that no spectrum has.

    Raises
    ------
    LabelError
        Which lists the labels there are.
    """
    _require_known("label", [label], [_label_names(spectra)])


def _select(
    group: Spectra, detectors: Sequence[str] | None, labels: Sequence[str] | None
) -> Spectra:
    keep = np.ones(len(group), dtype=bool)
    if detectors is not None:
        keep &= np.isin(_texts(group, "detector"), list(detectors))
    if labels is not None:
        wanted = set(labels)
        keep &= np.array([bool(entry) and set(entry) <= wanted for entry in group.labels], bool)
    return group if keep.all() else group[keep]


def _texts(group: Spectra, column: str) -> list[str]:
    if column not in group.columns:
        return [""] * len(group)
    return [str(text) for text in group.columns[column]]


def _label_names(group: Spectra) -> list[str]:
    if "labels" not in group.columns:
        return []
    return [label for entry in group.labels for label in entry]


def _require_known(what: str, wanted: Sequence[str] | None, found: Sequence[list[str]]) -> None:
    if wanted is None:
        return
    known = {text for part in found for text in part}
    unknown = sorted(set(wanted) - known)
    if unknown:
        raise LabelError(
            f"no spectrum has the {what} {', '.join(unknown)}; there are "
            f"{', '.join(sorted(known - {''})) or 'none'}"
        )
