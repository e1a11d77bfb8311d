"""Find spectra that are exact copies of each other."""

from __future__ import annotations

import hashlib

import numpy as np

from spectraloom._typing import IntArray
from spectraloom.data.spectra import Spectra


def identical_groups(spectra: Spectra) -> IntArray:
    """Group number of each spectrum; spectra with equal values share a number.

    Copies of one spectrum must never lie on both sides of a split.

    Parameters
    ----------
    spectra : Spectra

    Returns
    -------
    ndarray of int, shape (n_spectra,)
        Numbers from 0, in no particular order.
    """
    # Adding zero turns -0.0 into 0.0, so that equal values have equal bytes.
    values = np.ascontiguousarray(spectra.values + spectra.dtype.type(0))
    digests = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in values]
    _, groups = np.unique(np.array(digests, dtype="V16"), return_inverse=True)
    return groups.astype(np.int64).reshape(len(spectra))
