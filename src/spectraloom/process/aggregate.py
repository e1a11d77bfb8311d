"""One spectrum per group: sum, mean or spread over spectra that share labels, detector ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from spectraloom._typing import Array, FloatArray, IntArray
from spectraloom.data import Spectra
from spectraloom.data.columns import encode_column, is_label_sets, label_sets
from spectraloom.errors import DataError
from spectraloom.process.scale import counting_variance

How = Literal["sum", "mean", "std"]


def group_rows(spectra: Spectra, by: str | Sequence[str]) -> list[IntArray]:
    """Rows of each group of spectra that agree in all columns of `by`.

    Label sets agree whatever their order; unknown numbers (nan) agree with each other.

    Parameters
    ----------
    spectra : Spectra
        Spectra to group.
    by : str or sequence of str
        Columns.

    Returns
    -------
    list of ndarray of int
        Increasing row numbers, group after group, sorted by the values of the columns.

    Raises
    ------
    LabelError
        If a column is absent.
    """
    names = (by,) if isinstance(by, str) else tuple(by)
    if not names:
        raise DataError("name at least one column to group by")
    codes = np.zeros(len(spectra), dtype=np.int64)
    for name in names:
        column = encode_column(_canonical(spectra.column(name)))
        _, code = np.unique(column, return_inverse=True)
        # Numbered again after each column, so that the product cannot overflow.
        _, codes = np.unique(codes * (code.max(initial=0) + 1) + code, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if order.size else []


def aggregate(
    spectra: Spectra,
    by: str | Sequence[str] = ("labels", "detector"),
    how: How = "sum",
) -> Spectra:
    """Make one spectrum of each group.

    Parameters
    ----------
    spectra : Spectra
        Spectra with the columns of `by`; ``std`` needs real ones.
    by : str or sequence of str
        Columns that tell the groups apart. Label sets are compared as sets.
    how : {"sum", "mean", "std"}
        ``sum``: counts stay counts, and times add. ``mean``: the mean spectrum; the mean of counts
        is kind ``intensity``. ``std``: standard deviation per channel between the spectra of a
        group (n - 1 in the denominator), zero for a group of one.

    Returns
    -------
    Spectra
        One per group, sorted by the columns of `by`. Columns: those of `by`, ``n_spectra``, and
        every other column that is the same throughout each group; what rebinning reported outside
        (``counts_outside`` ...) is summed or averaged like the values. ``variance`` is the
        measurement variance of the sum or mean, where that of the spectra is known (counts are
        their own); the sum of plain counts needs none. Live and real times are sums for
        ``sum``, means for ``mean``, absent for ``std``, and unknown where one is.

    Raises
    ------
    LabelError
        If a column is absent.
    DataError
        If there are no spectra, or complex ones are to be spread.
    """
    if how not in ("sum", "mean", "std"):
        raise DataError(f"spectra are aggregated by 'sum', 'mean' or 'std', not by {how!r}")
    if how == "std" and spectra.kind == "complex":
        raise DataError("the spread of complex spectra is not one number per channel")
    groups = group_rows(spectra, by)
    if not groups:
        raise DataError("there are no spectra to aggregate")
    columns = _shared_columns(spectra, groups, (by,) if isinstance(by, str) else tuple(by), how)
    return Spectra(
        np.stack([_reduced(spectra.values[rows], how) for rows in groups]),
        spectra.axis,
        spectra.kind if how == "sum" or spectra.kind != "counts" else "intensity",
        _times(spectra.live_time, groups, how),
        _times(spectra.real_time, groups, how),
        columns,
        _variance(spectra, groups, how),
        spectra.attrs,
    )


def _canonical(column: Array) -> Array:
    if not is_label_sets(column):
        return column
    return label_sets(sorted(set(entry)) for entry in column)


def _reduced(values: Array, how: How) -> Array:
    if how == "std":
        if len(values) == 1:
            return np.zeros(values.shape[1])
        return np.asarray(values.std(axis=0, ddof=1, dtype=np.float64))
    # Small integer and float types would overflow or round; numpy widens integers itself.
    wide = np.float64 if values.dtype.kind == "f" else None
    total = np.asarray(values.sum(axis=0, dtype=wide))
    return total if how == "sum" else total / len(values)


def _variance(spectra: Spectra, groups: list[IntArray], how: How) -> FloatArray | None:
    variance = counting_variance(spectra)
    if variance is None or how == "std" or (how == "sum" and spectra.variance is None):
        return None
    sums = np.stack([variance[rows].sum(axis=0, dtype=np.float64) for rows in groups])
    if how == "sum":
        return sums
    return sums / np.array([rows.size for rows in groups], dtype=float)[:, np.newaxis] ** 2


def _times(times: FloatArray | None, groups: list[IntArray], how: How) -> FloatArray | None:
    if times is None or how == "std":
        return None
    return np.array([times[rows].sum() if how == "sum" else times[rows].mean() for rows in groups])


def _shared_columns(
    spectra: Spectra, groups: list[IntArray], by: tuple[str, ...], how: How
) -> dict[str, Any]:
    first = np.array([rows[0] for rows in groups])
    shared: dict[str, Any] = {}
    for name, column in spectra.columns.items():
        canonical = _canonical(column)
        if name in by:
            shared[name] = canonical[first]
            continue
        if name.endswith("_outside"):  # what rebinning cut off adds up like the counts
            if how != "std":
                shared[name] = [_reduced(column[rows], how) for rows in groups]
            continue
        _, code = np.unique(encode_column(canonical), return_inverse=True)
        if all((code[rows] == code[rows[0]]).all() for rows in groups):
            shared[name] = canonical[first]
    shared["n_spectra"] = np.array([rows.size for rows in groups])
    return shared
