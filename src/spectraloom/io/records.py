"""Single records as readers find them, and their grouping into one Spectra per axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.data import Axis, Spectra


@dataclass(slots=True)
class Record:
    """One spectrum of a file.

    Parameters
    ----------
    counts : ndarray, shape (channels,)
        Counts per channel.
    axis : Axis
        Its axis; :meth:`Axis.uncalibrated` if the file does not say.
    live_time, real_time : float
        Seconds; nan where unknown.
    columns : dict of str to value
        What else the file says of this record (``detector``, ``title``, ``start_time`` ...).
    """

    counts: Array
    axis: Axis
    live_time: float = np.nan
    real_time: float = np.nan
    columns: dict[str, Any] = field(default_factory=dict)


def group_records(
    records: Iterable[Record], attrs: Mapping[str, Any] | None = None
) -> list[Spectra]:
    """One Spectra per axis, in order of first appearance; file order is kept within each.

    Parameters
    ----------
    records : iterable of Record
        Records of kind ``counts``.
    attrs : mapping, optional
        Notes given to every group: ``source``, ``format`` ...
    """
    groups: list[list[Record]] = []
    for record in records:
        for group in groups:
            if _is_same(group[0].axis, record.axis):
                group.append(record)
                break
        else:
            groups.append([record])
    return [_as_spectra(group, attrs or {}) for group in groups]


def of_this_file(spectra: Spectra, file: str, format_name: str) -> Spectra:
    """Spectra whose notes ``source`` and ``format`` name the file that was read.

    A store holds the notes of the measurement it was written from; those are kept as the note
    ``origin``, the oldest of several.
    """
    attrs = spectra.attrs
    now = {"source": file, "format": format_name}
    if now.items() <= attrs.items():
        return spectra
    known = [str(attrs[name]) for name in now if attrs.get(name)]
    if known and "origin" not in attrs:
        now["origin"] = known[0] if len(known) == 1 else f"{known[0]} ({known[1]})"
    return spectra.replace(attrs={**attrs, **now})


def _is_same(one: Axis, other: Axis) -> bool:
    if one is other:
        return True
    if one.n_channels != other.n_channels:
        return False
    # A file may hold thousands of axes: the last edge tells most of them apart at once.
    span = float(one.values[-1] - one.values[0])
    if abs(float(one.values[-1] - other.values[-1])) > 1e-6 * span:
        return False
    return one.isclose(other)


def _as_spectra(group: Sequence[Record], attrs: Mapping[str, Any]) -> Spectra:
    names = dict.fromkeys(name for record in group for name in record.columns)
    return Spectra(
        np.stack([np.asarray(record.counts, dtype=np.float64) for record in group]),
        group[0].axis,
        "counts",
        np.array([record.live_time for record in group], dtype=np.float64),
        np.array([record.real_time for record in group], dtype=np.float64),
        {name: _column(name, group) for name in names},
        attrs=attrs,
    )


def _column(name: str, group: Sequence[Record]) -> Any:
    known = next(record.columns[name] for record in group if name in record.columns)
    missing: Any = np.nan
    if isinstance(known, str):
        missing = ""
    elif isinstance(known, np.datetime64):
        missing = np.datetime64("NaT")
    elif isinstance(known, (tuple, list, set, frozenset)):
        missing = ()
    return [record.columns.get(name, missing) for record in group]
