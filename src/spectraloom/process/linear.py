"""One sparse matrix applied to many spectra: the product behind rebinning and smoothing."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from spectraloom._typing import Array

# Measured at 256 channels: 512 rows at a time stay in the cache and are the fastest.
_ELEMENTS_AT_ONCE = 512 * 256


def apply_matrix(matrix: sparse.csr_array, values: Array) -> Array:
    """Product of `matrix` with each spectrum.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (n_new, n_old)
        The linear map.
    values : ndarray, shape (n_spectra, n_old)
        Real or complex.

    Returns
    -------
    ndarray, shape (n_spectra, n_new)
        float64, or complex128 for complex values.
    """
    dtype = np.complex128 if values.dtype.kind == "c" else np.float64
    product = np.empty((len(values), matrix.shape[0]), dtype=dtype)
    step = max(1, _ELEMENTS_AT_ONCE // max(matrix.shape))
    for row in range(0, len(values), step):
        # scipy walks a row-major right-hand side much faster than a transposed one.
        chunk = np.ascontiguousarray(values[row : row + step].T, dtype=dtype)
        product[row : row + step] = np.asarray(matrix @ chunk).T
    return product


def squared(matrix: sparse.csr_array) -> sparse.csr_array:
    """Matrix of squared elements: what carries independent variances along."""
    return sparse.csr_array((matrix.data**2, matrix.indices, matrix.indptr), shape=matrix.shape)
