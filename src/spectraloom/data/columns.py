"""Per-spectrum columns: numbers, texts, times and label sets, one entry per spectrum."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.errors import DataError

_PLAIN_KINDS = "biufUM"
_SETS = (tuple, list, set, frozenset)


def as_column(name: str, values: Any, n: int) -> Array:
    """Validate one column and make it read-only.

    Numbers, booleans, texts and times stay numpy arrays of their kind. A sequence that holds
    tuples, lists or sets of texts is a column of *label sets*: an object array of tuples.

    Parameters
    ----------
    name : str
        Column name, for messages.
    values : array_like
        One entry per spectrum, or one scalar for all.
    n : int
        Number of spectra.

    Raises
    ------
    DataError
        If length or type do not fit.
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in _PLAIN_KINDS:
        values = _normalise(name, values, n)
    if values.shape != (n,):
        raise DataError(
            f"column {name!r} has shape {values.shape}, but there are {n} spectra: "
            f"a column has shape ({n},)"
        )
    column: Array = values.view()
    column.flags.writeable = False
    return column


def _normalise(name: str, values: Any, n: int) -> Array:
    if isinstance(values, np.ndarray) and values.dtype == object and values.shape == (0,):
        return values  # an empty selection from a column of label sets is one, too
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        values = np.full(n, np.nan if values is None else values)
        if values.dtype.kind in _PLAIN_KINDS:
            return values
    entries = list(values)
    if any(isinstance(entry, _SETS) for entry in entries):
        return label_sets(entries)
    known = [entry for entry in entries if entry is not None]
    texts = [isinstance(entry, str) for entry in known]
    if any(texts) or not entries:
        if not all(texts):
            raise DataError(f"column {name!r} mixes texts with other values")
        return np.asarray(["" if entry is None else entry for entry in entries], dtype=np.str_)
    dates = any(isinstance(entry, np.datetime64) for entry in known)
    missing = np.datetime64("NaT") if dates else np.nan
    try:
        array = np.asarray([missing if entry is None else entry for entry in entries])
    except (TypeError, ValueError) as error:
        raise DataError(f"column {name!r} cannot be made an array: {error}") from error
    if array.dtype.kind not in _PLAIN_KINDS or array.ndim != 1:
        raise DataError(
            f"column {name!r} holds {array.dtype} values of {array.ndim} dimension(s); columns "
            "hold numbers, texts, numpy.datetime64 or label sets (tuples of texts)"
        )
    return array


def label_sets(entries: Iterable[Any]) -> Array:
    """Object array of tuples of texts; a lone text becomes a set of one, None an empty one.

    Lists keep their order; Python sets, whose order changes from run to run, are sorted.

    Raises
    ------
    DataError
        If an entry is neither a text nor a collection of texts.
    """
    listed = list(entries)
    column = np.empty(len(listed), dtype=object)
    for row, entry in enumerate(listed):
        if entry is None:
            column[row] = ()
        elif isinstance(entry, str):
            column[row] = (str(entry),)
        elif isinstance(entry, Iterable):
            labels = tuple(str(label) for label in entry)
            column[row] = tuple(sorted(labels)) if isinstance(entry, (set, frozenset)) else labels
        else:
            raise DataError(f"a label set is a tuple of texts, but entry {row} is {entry!r}")
    return column


def is_label_sets(column: Array) -> bool:
    """Whether a column holds label sets rather than plain values."""
    return column.dtype == object


def concatenate_columns(
    parts: Sequence[Mapping[str, Array]], lengths: Sequence[int]
) -> dict[str, Array]:
    """Stack columns; where one is absent its rows are empty texts, empty sets or nan."""
    names = dict.fromkeys(name for part in parts for name in part)
    stacked: dict[str, Array] = {}
    for name in names:
        known = [part[name] for part in parts if name in part]
        if any(is_label_sets(column) for column in known):
            pieces = [
                label_sets(part[name]) if name in part else label_sets([()] * n)
                for part, n in zip(parts, lengths, strict=True)
            ]
        else:
            kinds = {column.dtype.kind for column in known}
            if kinds & {"U", "M"} and len(kinds) > 1:
                known_kinds = ", ".join(sorted(str(c.dtype) for c in known))
                raise DataError(
                    f"column {name!r} cannot be joined: it holds texts in one part and numbers or "
                    f"dates in another ({known_kinds})"
                )
            missing = _missing_like(known[0])
            pieces = [
                part[name] if name in part else np.full(n, missing)
                for part, n in zip(parts, lengths, strict=True)
            ]
        stacked[name] = np.concatenate(pieces)
    return stacked


def _missing_like(column: Array) -> Any:
    if column.dtype.kind == "U":
        return ""
    if column.dtype.kind == "M":
        return np.datetime64("NaT")
    return np.nan


def encode_column(column: Array) -> Array:
    """Column as an array that any store can hold: label sets become JSON texts."""
    if is_label_sets(column):
        return np.asarray([json.dumps(list(entry)) for entry in column], dtype=np.str_)
    return column


def decode_column(column: Array, *, sets: bool) -> Array:
    """Inverse of :func:`encode_column`; `sets` says that the texts are JSON label sets.

    Raises
    ------
    DataError
        If a text is not a JSON list of texts.
    """
    if not sets:
        return column
    decoded = []
    for text in column:
        try:
            entry = json.loads(str(text))
        except ValueError as error:
            raise DataError(f"a stored label set is not JSON: {str(text)[:60]!r}") from error
        if not isinstance(entry, list) or not all(isinstance(label, str) for label in entry):
            raise DataError(f"a stored label set is not a list of texts: {str(text)[:60]!r}")
        decoded.append(tuple(entry))
    return label_sets(decoded)
