"""Choose spectra: limit per class, remove duplicates and empty ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectraloom._typing import BoolArray
from spectraloom.data import Spectra
from spectraloom.errors import DataError
from spectraloom.process.aggregate import group_rows
from spectraloom.process.identical import identical_groups


def limit_per_class(
    spectra: Spectra,
    n_max: int,
    *,
    seed: int | np.random.Generator,
    by: str | Sequence[str] = "labels",
) -> Spectra:
    """Keep at most `n_max` spectra of each class, drawn at random, in their order.

    Parameters
    ----------
    spectra : Spectra
        Spectra with the columns of `by`.
    n_max : int
        Most spectra per class, at least one.
    seed : int or numpy.random.Generator
        Source of the draw.
    by : str or sequence of str
        Columns whose values make a class; a label set is a class of its own.

    Raises
    ------
    LabelError
        If a column is absent.
    DataError
        If `n_max` is less than one.
    """
    if n_max < 1:
        raise DataError(f"n_max is at least one spectrum per class, got {n_max}")
    rng = np.random.default_rng(seed)
    keep = np.zeros(len(spectra), dtype=bool)
    for rows in group_rows(spectra, by):
        drawn = rows if rows.size <= n_max else rng.choice(rows, size=n_max, replace=False)
        keep[drawn] = True
    return spectra[keep]


def remove_duplicates(spectra: Spectra, *, adjacent_only: bool = True) -> Spectra:
    """Drop spectra whose values equal those of an earlier one, channel by channel.

    Times and columns are not compared: two equal spectra with different labels are one
    measurement, and the first is kept.

    Parameters
    ----------
    spectra : Spectra
        Spectra in the order they were recorded.
    adjacent_only : bool
        Compare with the preceding spectrum only (of the same file, if there is a column
        ``file``): the sign of a logger that repeated itself. False compares with all.

    Returns
    -------
    Spectra
        Those that are left; ``attrs["duplicates_removed"]`` says how many are not (added up over
        repeated calls).
    """
    keep = _differs_from_preceding(spectra) if adjacent_only else _first_of_its_kind(spectra)
    removed = int(spectra.attrs.get("duplicates_removed", 0)) + int((~keep).sum())
    kept = spectra if keep.all() else spectra[keep]
    return kept.replace(attrs={**spectra.attrs, "duplicates_removed": removed})


def drop_empty(spectra: Spectra) -> Spectra:
    """Drop spectra that are zero in every channel.

    Difference spectra that merely sum to zero are kept.
    """
    return spectra[(spectra.values != 0).any(axis=1)]


def _differs_from_preceding(spectra: Spectra) -> BoolArray:
    keep = np.ones(len(spectra), dtype=bool)
    keep[1:] = (spectra.values[1:] != spectra.values[:-1]).any(axis=1)
    if "file" in spectra.columns:
        file = spectra.column("file")
        keep[1:] |= file[1:] != file[:-1]
    return keep


def _first_of_its_kind(spectra: Spectra) -> BoolArray:
    keep = np.zeros(len(spectra), dtype=bool)
    keep[np.unique(identical_groups(spectra), return_index=True)[1]] = True
    return keep
