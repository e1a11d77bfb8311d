"""Splits that keep groups together."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

from spectraloom._typing import Array, IntArray
from spectraloom.analyze.grouping import independent_groups
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError


def split_by_group(
    spectra: Spectra, *, test_size: float = 0.2, groups: Array | None = None, seed: int = 1
) -> tuple[IntArray, IntArray]:
    """Rows to train on and rows to test on; a group is on one side only.

    Parameters
    ----------
    spectra : Spectra
    test_size : float
        Share of the groups that tests.
    groups : array_like, shape (n_spectra,), optional
        E.g. file or material of each spectrum. Exact copies are always on one side.
    seed : int
        Seed of the draw.

    Returns
    -------
    train, test : ndarray of int

    Raises
    ------
    DataError
        If there are fewer than two groups, or `test_size` leaves one side empty.
    """
    if not 0 < test_size < 1:
        raise DataError(f"test_size is a share between 0 and 1, got {test_size!r}")
    keys = independent_groups(spectra, groups)
    if len(np.unique(keys)) < 2:
        raise DataError("a split needs at least two groups of spectra")
    splitter = GroupShuffleSplit(n_splits=1, test_size=test_size, random_state=seed)
    try:
        train, test = next(splitter.split(np.empty(len(spectra)), groups=keys))
    except ValueError as error:
        raise DataError(f"the groups cannot be split: {error}") from error
    return train.astype(np.int64), test.astype(np.int64)
