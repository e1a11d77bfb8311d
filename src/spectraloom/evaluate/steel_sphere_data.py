"""Spectra of the steel-sphere layout, prepared as the programs they come with prepare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import Array, BoolArray
from spectraloom.data import Axis, Spectra
from spectraloom.data.library import single_labels
from spectraloom.errors import DataError

_BACKGROUND = "background"
# First of the paired channels that the reference sets to zero: nothing but chance lies above.
LAST_CHANNELS = {
    "Co60": 800,
    "Ba133": 250,
    "Co57": 100,
    "Cs137": 400,
    "Eu152": 900,
    "Am241": 50,
    "Y88": 1024,
    "Bi207": 800,
    "I123": 100,
    "I131": 500,
    "Tc99m": 100,
    "Ga67": 250,
}
# Thickness in mm beyond which the reference repeats the spectrum: next to nothing gets through.
LAST_THICKNESS = {"Am241": 4.0}


@dataclass(frozen=True, slots=True, eq=False)
class SteelSphereSets:
    """Spectra of the steel-sphere layout on one axis of 2 keV channels.

    Parameters
    ----------
    signatures : Spectra
        One for each nuclide and thickness, sorted by both; columns ``labels`` and ``thickness``.
    background : Spectra or None
        Measured, without a source.
    drift : Spectra or None
        Simulated with a gain shift, sorted by nuclide, thickness and shift; column ``gain_shift``.
    """

    signatures: Spectra
    background: Spectra | None
    drift: Spectra | None


def prepare_steel_sphere(
    groups: Sequence[Spectra],
    *,
    drop: int = 20,
    n_channels: int = 1024,
    as_reference: bool = True,
) -> SteelSphereSets:
    """Sort spectra of the steel-sphere layout by their part, in channels of 2 keV.

    Parameters
    ----------
    groups : sequence of Spectra
        As :func:`spectraloom.read_groups` gives them of a folder or zip in that layout; other
        spectra beside them are left out.
    drop : int
        Channels of 1 keV to leave out below: 18 in SemSun, 20 in its successors.
    n_channels : int
        Channels of 2 keV to keep: 800 in SemSun, 1024 in its successors.
    as_reference : bool
        Also set simulations to zero above the last channel of each nuclide, repeat the spectrum of
        Am-241 at 4 mm for thicker spheres, and fill empty channels of the background with a tenth
        of its smallest channel, as the reference does.

    Raises
    ------
    DataError
        If there is no simulated spectrum, channels are not 1 keV wide from 0 keV, or there are
        fewer than needed.
    """
    rows = [_in_pairs(group, drop, n_channels) for group in groups if _is_of_layout(group)]
    if not rows:
        raise DataError(
            "expected spectra of the steel-sphere layout, with columns thickness and gain_shift; "
            "read them with spectraloom.read_groups(folder_or_zip)"
        )
    spectra = Spectra.concatenate(rows)
    names = single_labels(spectra)
    shift = spectra.columns["gain_shift"]
    simulated = np.isfinite(spectra.columns["thickness"])
    signatures = _sorted(spectra, names, simulated & (shift == 0))
    if not len(signatures):
        raise DataError("expected simulations without gain shift, such as Co60_STEEL5__2mm.dat")
    background = spectra[(names == _BACKGROUND) & ~simulated]
    drift = _sorted(spectra, names, simulated & (shift != 0))
    if as_reference:
        signatures = _without_chance(signatures)
        drift = _without_chance(drift) if len(drift) else drift
        background = _filled(background) if len(background) else background
    return SteelSphereSets(
        signatures,
        background if len(background) else None,
        drift if len(drift) else None,
    )


def _is_of_layout(group: Spectra) -> bool:
    return {"labels", "thickness", "gain_shift"} <= set(group.columns)


def _in_pairs(group: Spectra, drop: int, n_channels: int) -> Spectra:
    edges = group.axis.edges if group.axis.binned else group.axis.values
    if not np.array_equal(edges, np.arange(len(edges))):
        raise DataError(f"expected channels of 1 keV from 0 keV, got {group.axis.describe()}")
    last = drop + 2 * n_channels
    if drop < 0 or n_channels < 1 or group.n_channels < last:
        raise DataError(
            f"{drop} channels to drop and {n_channels} pairs to keep need {last} channels, got "
            f"{group.n_channels}"
        )
    values = group.values[:, drop:last].reshape(len(group), n_channels, 2).sum(axis=2)
    axis = Axis.regular(float(drop), float(last), n_channels)
    return group.replace(values=values, axis=axis, variance=None)


def _sorted(spectra: Spectra, names: Array, rows: BoolArray) -> Spectra:
    """Rows in the order of name, thickness and shift; the first of several copies."""
    keep = np.flatnonzero(rows)
    columns = (names[keep], *(spectra.columns[name][keep] for name in ("thickness", "gain_shift")))
    keys = list(zip(*(column.tolist() for column in columns), strict=True))
    first = {key: row for row, key in reversed(list(zip(keep, keys, strict=True)))}
    return spectra[np.array([first[key] for key in sorted(first)], dtype=np.intp)]


def _without_chance(spectra: Spectra) -> Spectra:
    values = spectra.values.copy()
    names = single_labels(spectra)
    thickness = spectra.columns["thickness"]
    for name, channel in LAST_CHANNELS.items():
        values[names == name, channel:] = 0
    for name, last in LAST_THICKNESS.items():
        own = np.flatnonzero((names == name) & (thickness <= last))
        beyond = (names == name) & (thickness > last)
        if own.size and beyond.any():
            values[beyond] = values[own[np.argmax(thickness[own])]]
    return spectra.replace(values=values)


def _filled(background: Spectra) -> Spectra:
    values = background.values.astype(np.float64)
    for row in values:
        counted = row > 0
        if counted.any():
            row[~counted] = row[counted].min() / 10
    return background.replace(values=values)
