"""Splits that keep groups together."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

from spectraloom._typing import Array, IntArray
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError
from spectraloom.process.identical import identical_groups


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
        E.g. file or material of each spectrum; by default exact copies form a group.
    seed : int
        Seed of the draw.

    Returns
    -------
    train, test : ndarray of int

    Raises
    ------
    DataError
        If there are fewer than two groups.
    """
    keys = identical_groups(spectra) if groups is None else np.asarray(groups)
    if len(np.unique(keys)) < 2:
        raise DataError("a split needs at least two groups of spectra")
    splitter = GroupShuffleSplit(n_splits=1, test_size=test_size, random_state=seed)
    train, test = next(splitter.split(np.empty(len(spectra)), groups=keys))
    return train.astype(np.int64), test.astype(np.int64)
