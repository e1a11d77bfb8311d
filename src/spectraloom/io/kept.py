"""What a format did not keep of the spectra that were written to it."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import Array
from spectraloom.data import Spectra
from spectraloom.data.columns import is_label_sets

# Every reader says these anew of the file it reads.
_OF_THE_FILE = {"source", "format", "origin", "skipped", "derived_records_skipped"}


def not_kept(before: Spectra, after: Spectra) -> list[str]:
    """Names of columns and notes that were lost or changed.

    Parameters
    ----------
    before : Spectra
        What was written.
    after : Spectra
        What was read back, the same number of spectra.

    Returns
    -------
    list of str
        Columns by their names, notes as ``attrs.name``. Columns that say nothing (all empty or
        unknown) are left out, and so are ``file`` where it names one file only, and ``record``
        where it counts from 0.
    """
    lost = [
        name
        for name, column in before.columns.items()
        if _says_something(name, column)
        and (name not in after.columns or not _same(name, column, after.columns[name]))
    ]
    notes = [
        f"attrs.{name}"
        for name, note in before.attrs.items()
        if name not in _OF_THE_FILE and after.attrs.get(name) != note
    ]
    return lost + notes


def _says_something(name: str, column: Array) -> bool:
    if name == "file":
        return np.unique(column).size > 1
    if name == "record":
        return not np.array_equal(column, np.arange(len(column)))
    if is_label_sets(column):
        return any(column)
    kind = column.dtype.kind
    if kind == "U":
        return not np.isin(column, ["", "unknown"] if name == "source_type" else [""]).all()
    if kind in "Mf":
        return not np.isnan(column).all()
    return True


def _same(name: str, one: Array, other: Array) -> bool:
    if is_label_sets(one) or is_label_sets(other):
        return is_label_sets(one) and is_label_sets(other) and one.tolist() == other.tolist()
    kinds = {one.dtype.kind, other.dtype.kind}
    if len(kinds) > 1 and not kinds <= set("iuf"):
        return False
    if name == "source_type" and kinds == {"U"}:
        one = np.where(one == "", "unknown", one)
    return np.array_equal(one, other, equal_nan=bool(kinds & set("fM")))
