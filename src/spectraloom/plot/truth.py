"""True labels, whichever way they are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.analyze.explore import label_text
from spectraloom.errors import DataError


def truth_texts(truth: Sequence[Any] | Array, n: int) -> Array:
    """One text per spectrum: a label, or the labels of a set joined by " + ".

    Parameters
    ----------
    truth : sequence of str or label sets
    n : int
        Number of spectra.

    Raises
    ------
    DataError
        If the length differs.
    """
    if len(truth) != n:
        raise DataError(f"there are {n} spectra, but {len(truth)} true labels")
    texts = [
        label_text(tuple(sorted(entry)))
        if isinstance(entry, (tuple, list, set, frozenset))
        else str(entry)
        for entry in truth
    ]
    return np.asarray(texts, dtype=np.str_)
