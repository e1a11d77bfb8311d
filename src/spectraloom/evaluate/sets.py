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


def standard_axis(n_channels: int) -> Axis:
    """Axis of the reference's standard calibration."""
    return Axis.from_polynomial(shift_polynomial(reference.STANDARD_CALIBRATION, -0.5), n_channels)


def sort_by_role(
    groups: Sequence[Spectra], axis: Axis, rebinning: Rebinning = rebin
) -> EvaluationSets:
    """Tell training, single-label, multi-label and unknown spectra apart, and rebin them.

    Detectors are told by the data: ``simulated`` is the simulation, every other one is measured.
    A measured file with background only teaches the background; one with mixtures or unknown
    sources is a multi-label file. Exact copies of the preceding spectrum of a file are removed.

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
        If there is nothing simulated or no background file.
    """
    files = [one for group in groups for one in _by_file(group)]
    simulated = [one for one in files if _is_simulated(one)]
    # Copies in a simulation are no logger's fault; the split keeps them on one side.
    measured = [remove_duplicates(one) for one in files if not _is_simulated(one)]
    trained = {label for one in simulated for entry in one.labels for label in entry}
    background = [one for one in measured if not _sources(one)]
    if not simulated or not background:
        raise DataError(
            "the benchmark trains on spectra of detector 'simulated' and on a measured file with "
            "nothing but background; "
            f"found {len(simulated)} simulated and {len(background)} background file(s)"
        )
    single: list[Spectra] = []
    multi: list[Spectra] = []
    unknown: list[Spectra] = []
    for one in measured:
        sources = [set(entry) - {BACKGROUND} for entry in one.labels]
        if not any(sources):
            continue
        foreign = np.array([not entry <= trained for entry in sources])
        several = any(len(entry) > 1 for entry in sources)
        (multi if several or foreign.any() else single).append(one[~foreign])
        unknown.append(one[foreign])

    def join(parts: list[Spectra]) -> Spectra | None:
        moved = [_plain(rebinning(part, axis)) for part in parts if len(part)]
        return Spectra.concatenate(moved) if moved else None

    training = join(simulated + background)
    assert training is not None  # noqa: S101 - both lists were found to be non-empty
    return EvaluationSets(training, join(single), join(multi), join(unknown))


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


def _by_file(group: Spectra) -> list[Spectra]:
    names = group.column("file").astype(str)
    return [group[names == name] for name in dict.fromkeys(names.tolist())]


def _is_simulated(one: Spectra) -> bool:
    return bool((np.char.lower(one.column("detector").astype(str)) == SIMULATED).all())


def _sources(one: Spectra) -> set[str]:
    return {label for entry in one.labels for label in entry} - {BACKGROUND}


def _plain(spectra: Spectra) -> Spectra:
    """Without the per-file columns and the variance, so that all parts agree."""
    keep = ("labels", "detector", "file", "absorber")
    columns = {name: spectra.columns[name] for name in keep if name in spectra.columns}
    return spectra.replace(columns=columns, variance=None)
