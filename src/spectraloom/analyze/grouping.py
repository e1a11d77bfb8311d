"""Groups of spectra that a split must not tear apart."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spectraloom._typing import Array, IntArray
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError
from spectraloom.process.identical import identical_groups


def independent_groups(spectra: Spectra, groups: Array | None = None) -> IntArray:
    """Number of the group of each spectrum, such that no copy lies in two groups.

    Parameters
    ----------
    spectra : Spectra
    groups : array_like, shape (n_spectra,), optional
        E.g. file or material of each spectrum. Groups that share an exact copy of a spectrum
        become one. By default each spectrum forms a group with its copies.

    Returns
    -------
    ndarray of int, shape (n_spectra,)
        Numbers from 0, in no particular order.

    Raises
    ------
    DataError
        If there is not one group per spectrum.
    """
    copies = identical_groups(spectra)
    if groups is None:
        return copies
    given = np.asarray(groups)
    if given.shape != (len(spectra),):
        raise DataError(
            f"groups have shape {given.shape}, but there are {len(spectra)} spectra: give one "
            "group per spectrum"
        )
    _, index = np.unique(given, return_inverse=True)
    n_groups, n_copies = int(index.max(initial=-1)) + 1, int(copies.max(initial=-1)) + 1
    # Groups and sets of copies are nodes; each spectrum is an edge between its two.
    edges = coo_array(
        (np.ones(len(spectra)), (index, n_groups + copies)), shape=(n_groups + n_copies,) * 2
    )
    _, component = connected_components(edges, directed=False)
    return np.asarray(component[index], dtype=np.int64)
