"""Measured and simulated spectra sorted by the part they play in training and judging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import Array
from spectraloom.data.axis import Axis, shift_polynomial
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate import reference
from spectraloom.process import rebin, remove_duplicates

Rebinning = Callable[[Spectra, Axis], Spectra]
BACKGROUND = "background"
SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationSets:
    """Spectra sorted by the part they play.

    Parameters
    ----------
    training : Spectra
        Simulated sources and measured pure background; one label each.
    single : Spectra or None
        Measured, at most one source besides the background.
    multi : Spectra or None
        Measured, any number of known sources.
    unknown : Spectra or None
        Measured, with a source that is not in the training.
    """

    training: Spectra
    single: Spectra | None
    multi: Spectra | None
    unknown: Spectra | None

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources of the training, sorted."""
        labels = {label for entry in self.training.labels for label in entry}
        return tuple(sorted(labels - {BACKGROUND}))

    @property
    def known(self) -> Spectra | None:
        """All measured spectra without unknown sources."""
        parts = [part for part in (self.single, self.multi) if part is not None]
        return Spectra.concatenate(parts) if parts else None


@dataclass(frozen=True, slots=True, eq=False)
class RoleParts:
    """Spectra as they were read, by the part they play: one piece for each file and axis.

    Parameters
    ----------
    simulated, background : tuple of Spectra
        What trains.
    single, multi, unknown : tuple of Spectra
        What judges, as in :class:`EvaluationSets`; pieces of one file may be empty.
    """

    simulated: tuple[Spectra, ...]
    background: tuple[Spectra, ...]
    single: tuple[Spectra, ...]
    multi: tuple[Spectra, ...]
    unknown: tuple[Spectra, ...]


def standard_axis(n_channels: int) -> Axis:
    """Axis of the reference's standard calibration.

    Raises
    ------
    DataError
        If there are too few channels to leave out those below its window.
    """
    if n_channels <= reference.FIRST_CHANNEL:
        raise DataError(
            f"spectra of {n_channels} channels are not in the layout of the GAMMA_FLOW data, which "
            "have 256"
        )
    return Axis.from_polynomial(shift_polynomial(reference.STANDARD_CALIBRATION, -0.5), n_channels)


def sort_by_role(
    groups: Sequence[Spectra], axis: Axis, rebinning: Rebinning = rebin
) -> EvaluationSets:
    """Tell training, single-label, multi-label and unknown spectra apart, and rebin them.

    Detectors are told by the data: ``simulated`` is the simulation, every other one is measured.
    A measured file with background only teaches the background; one with mixtures or unknown
    sources is a multi-label file. The whole file tells, also where its spectra lie on several axes.
    Exact copies of the preceding spectrum of a file are removed.

    Parameters
    ----------
    groups : sequence of Spectra
        As :func:`spectraloom.io.read_groups` gives them, with the columns ``labels``,
        ``detector`` and ``file``.
    axis : Axis
        The common axis.
    rebinning : callable
        How to get there.

    Raises
    ------
    DataError
        If there is nothing simulated or no background file, or a spectrum has no label.
    """
    parts = parts_by_role(groups)

    def join(some: Sequence[Spectra]) -> Spectra | None:
        moved = [plain_columns(rebinning(part, axis)) for part in some if len(part)]
        return Spectra.concatenate(moved) if moved else None

    training = join([*parts.simulated, *parts.background])
    assert training is not None  # noqa: S101 - both lists were found to be non-empty
    return EvaluationSets(training, join(parts.single), join(parts.multi), join(parts.unknown))


def parts_by_role(groups: Sequence[Spectra]) -> RoleParts:
    """Tell simulated, background, single-label, multi-label and unknown spectra apart.

    Spectra stay as they were read; see :func:`sort_by_role` for the rules.

    Parameters
    ----------
    groups : sequence of Spectra

    Raises
    ------
    DataError
        If there is nothing simulated or no background file, or a spectrum has no label.
    """
    files = _by_file(groups)
    # Copies in a simulation are no logger's fault; the split keeps them on one side.
    simulated = [one for (_, made), parts in files.items() if made for one in parts]
    measured = [
        [remove_duplicates(one) for one in parts] for (_, made), parts in files.items() if not made
    ]
    trained = {label for one in simulated for entry in one.labels for label in entry}
    background = [one for parts in measured if not any(_sources(parts)) for one in parts]
    if not simulated or not background:
        raise DataError(
            "the benchmark trains on spectra of detector 'simulated' and on a measured file with "
            "nothing but background; "
            f"found {len(simulated)} simulated and {len(background)} background file(s)"
        )
    single: list[Spectra] = []
    multi: list[Spectra] = []
    unknown: list[Spectra] = []
    for parts in measured:
        sources = _sources(parts)
        if not any(sources):
            continue
        one_known = all(len(entry) <= 1 and entry <= trained for entry in sources)
        for one in parts:
            foreign = np.array([not entry <= trained for entry in _sources([one])], dtype=bool)
            (single if one_known else multi).append(one[~foreign])
            unknown.append(one[foreign])

    return RoleParts(
        tuple(simulated), tuple(background), tuple(single), tuple(multi), tuple(unknown)
    )


def source_labels(spectra: Spectra, background: str | None = BACKGROUND) -> Array:
    """One label per spectrum: its first source, or the background if it holds none.

    Parameters
    ----------
    spectra : Spectra
        With a column ``labels``.
    background : str, optional
        Label that is no source.
    """
    names = []
    for entry in spectra.labels:
        sources = [label for label in entry if label != background]
        names.append(sources[0] if sources else str(background))
    return np.asarray(names, dtype=np.str_)


def _by_file(groups: Sequence[Spectra]) -> dict[tuple[str, bool], list[Spectra]]:
    """Parts of each file, one for each axis, by name and whether they are simulated."""
    files: dict[tuple[str, bool], list[Spectra]] = {}
    for group in groups:
        unlabelled = sum(not entry for entry in group.labels)
        if unlabelled:
            raise DataError(
                f"{unlabelled} spectra with {group.axis.describe()} have no label: each must name "
                f"its sources, or {BACKGROUND!r}"
            )
        names = group.column("file").astype(np.str_)
        made = np.char.lower(group.column("detector").astype(np.str_)) == SIMULATED
        for key in dict.fromkeys(zip(names.tolist(), made.tolist(), strict=True)):
            rows = (names == key[0]) & (made == key[1])
            files.setdefault(key, []).append(group[rows])
    return files


def _sources(parts: Sequence[Spectra]) -> list[set[str]]:
    """Sources of each spectrum; none in pure background."""
    return [set(entry) - {BACKGROUND} for one in parts for entry in one.labels]


def plain_columns(spectra: Spectra) -> Spectra:
    """Spectra without the per-file columns and the variance, so that all parts agree."""
    keep = ("labels", "detector", "file", "absorber")
    columns = {name: spectra.columns[name] for name in keep if name in spectra.columns}
    return spectra.replace(columns=columns, variance=None)
