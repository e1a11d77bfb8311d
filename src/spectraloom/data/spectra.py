"""Spectra: measured or made values on one axis, with times and columns per spectrum."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from spectraloom._typing import Array, FloatArray
from spectraloom.data.axis import Axis, require_same_axis
from spectraloom.data.columns import (
    as_column,
    concatenate_columns,
    encode_column,
    is_label_sets,
    label_sets,
)
from spectraloom.errors import AxisError, DataError, LabelError

if TYPE_CHECKING:
    import xarray as xr

Kind = Literal["counts", "rate", "intensity", "complex"]
_KINDS = get_args(Kind)
_LABEL_LIKE = {"nuclide", "nuclides", "isotope", "isotopes", "source", "sources", "class", "name"}
_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Spectra:
    """One or many spectra on one axis.

    Arrays are kept as views and made read-only here; they are not copied, so do not write to the
    originals afterwards. Indexing with rows gives Spectra again, with every column, so that
    scikit-learn's splitters keep axis and times in each fold.

    Parameters
    ----------
    values : array_like, shape (n_spectra, n_channels) or (n_channels,)
        The spectra. Integers are kept as they are; other real values become float64 unless they
        are float32.
    axis : Axis or None
        The axis all spectra lie on; None means uncalibrated channels.
    kind : {"counts", "rate", "intensity", "complex"}
        ``counts`` are non-negative and follow Poisson statistics until they are changed; ``rate``
        is counts per second; ``intensity`` is any real signal, differences included.
    live_time, real_time : array_like, shape (n_spectra,) or scalar, optional
        Seconds; nan where unknown.
    columns : mapping of str to array_like, optional
        One entry per spectrum: ``labels`` (label sets), ``detector``, ``absorber`` ...
    variance : array_like, shape of values, optional
        Variance per channel, where the values no longer say it themselves.
    attrs : mapping, optional
        Notes on the whole set (source, licence ...), JSON types only.

    Raises
    ------
    DataError
        If shapes do not agree, counts are negative or values are not finite.
    AxisError
        If the axis has another number of channels.
    """

    values: Array
    axis: Axis = None  # type: ignore[assignment]
    kind: Kind = "counts"
    live_time: FloatArray | None = None
    real_time: FloatArray | None = None
    columns: Mapping[str, Array] = field(default_factory=lambda: _EMPTY)
    variance: Array | None = None
    attrs: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        put = object.__setattr__
        values = _as_values(self.values, self.kind)
        n, channels = values.shape
        put(self, "values", values)
        axis: Axis | None = self.axis
        if axis is None:
            put(self, "axis", Axis.uncalibrated(channels))
        elif axis.n_channels != channels:
            raise AxisError(
                f"the spectra have {channels} channels, but the axis has {axis.describe()}"
            )
        if self.live_time is not None:
            put(self, "live_time", _as_times("live_time", self.live_time, n))
        if self.real_time is not None:
            put(self, "real_time", _as_times("real_time", self.real_time, n))
        if self.columns is not _EMPTY:
            put(self, "columns", _as_columns(self.columns, n))
        if self.variance is not None:
            put(self, "variance", _as_variance(self.variance, values))
        if self.attrs is not _EMPTY:
            put(self, "attrs", MappingProxyType(dict(self.attrs)))

    # -- shape ---------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """(n_spectra, n_channels)."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.values.dtype

    @property
    def n_spectra(self) -> int:
        """Number of spectra."""
        return self.values.shape[0]

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.values.shape[1]

    def __len__(self) -> int:
        return self.values.shape[0]

    def __iter__(self) -> Iterator[Spectra]:
        for row in range(len(self)):
            yield self[row]

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return np.asarray(self.values, dtype=dtype, copy=copy)

    # -- reading -------------------------------------------------------------------------

    @property
    def totals(self) -> Array:
        """Sum over channels, shape (n_spectra,); total counts for counting spectra."""
        if self.values.dtype.kind == "c":
            return np.asarray(self.values.sum(axis=1))
        return np.asarray(self.values.sum(axis=1, dtype=np.float64))

    @property
    def labels(self) -> Array:
        """Label sets, an object array of tuples, from the column ``labels``.

        Raises
        ------
        LabelError
            If there is no such column.
        """
        return label_sets(self.column("labels"))

    def column(self, name: str) -> Array:
        """One column, or an error that lists those there are.

        Raises
        ------
        LabelError
            If there is no such column.
        """
        try:
            return self.columns[name]
        except KeyError:
            known = ", ".join(sorted(self.columns)) or "none"
            alike = [one for one in self.columns if one.lower() in _LABEL_LIKE]
            rename = f"; rename {alike[0]!r} to 'labels'" if name == "labels" and alike else ""
            raise LabelError(
                f"the spectra have no column {name!r}; columns: {known}{rename}"
            ) from None

    # -- slicing and changing --------------------------------------------------------------

    def __getitem__(self, index: Any) -> Spectra:
        rows: Any = index
        channels: slice = slice(None)
        if isinstance(index, tuple):
            rows, *rest = index
            rest = [part for part in rest if part is not Ellipsis]
            if len(rest) > 1 or (rest and not isinstance(rest[0], slice)):
                raise DataError(
                    "index spectra by rows and, at most, a contiguous slice of channels"
                )
            if rest:
                channels = rest[0]
            if rows is Ellipsis:
                rows = slice(None)
        if isinstance(rows, (int, np.integer)) or (isinstance(rows, np.ndarray) and not rows.ndim):
            row = operator.index(rows)
            if not -len(self) <= row < len(self):
                raise IndexError(f"there are {len(self)} spectra, no number {row}")
            rows = slice(row, row + 1 or None)
        elif not isinstance(rows, slice):
            rows = np.asarray(rows)
            if rows.ndim != 1:
                raise DataError(f"rows are chosen by one list of numbers, got shape {rows.shape}")
            if rows.size == 0:
                rows = rows.astype(np.intp)
        return self._take(rows, channels)

    def _take(self, rows: Any, channels: slice) -> Spectra:
        whole = channels == slice(None)
        new = object.__new__(Spectra)
        put = object.__setattr__

        def cut(array: Array | None) -> Array | None:
            if array is None:
                return None
            part = array[rows] if whole else array[rows][:, channels]
            part.flags.writeable = False
            return part

        def pick(array: Array) -> Array:
            part: Array = array[rows]
            part.flags.writeable = False
            return part

        put(new, "values", cut(self.values))
        put(new, "axis", self.axis if whole else self.axis[channels])
        put(new, "kind", self.kind)
        put(new, "live_time", None if self.live_time is None else pick(self.live_time))
        put(new, "real_time", None if self.real_time is None else pick(self.real_time))
        columns = self.columns
        if columns:
            columns = MappingProxyType({name: pick(column) for name, column in columns.items()})
        put(new, "columns", columns)
        put(new, "variance", cut(self.variance))
        put(new, "attrs", self.attrs)
        return new

    def replace(self, **changes: Any) -> Spectra:
        """Copy with some fields changed; everything is validated again."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        unknown = set(changes) - set(fields)
        if unknown:
            raise DataError(f"Spectra have no field {sorted(unknown)}; fields: {list(fields)}")
        return Spectra(**{**fields, **changes})

    def with_columns(self, **columns: Any) -> Spectra:
        """Copy with columns added or replaced."""
        return self.replace(columns={**self.columns, **columns})

    def select(self, **wanted: Any) -> Spectra:
        """Spectra whose columns equal the values wanted.

        Parameters
        ----------
        **wanted
            Column and value. For label sets give one label or several; their order does not
            matter, and the sets must be equal.

        Raises
        ------
        LabelError
            If there is no such column.

        Examples
        --------
        >>> import numpy as np
        >>> spectra = Spectra(np.ones((2, 4)), columns={"labels": [("Co60",), ("Cs137", "Co60")]})
        >>> len(spectra.select(labels=("Co60", "Cs137")))
        1
        """
        keep = np.ones(len(self), dtype=bool)
        for name, value in wanted.items():
            column = self.column(name)
            if is_label_sets(column):
                chosen = {value} if isinstance(value, str) else set(value)
                keep &= np.array([set(entry) == chosen for entry in column], dtype=bool)
            else:
                keep &= column == value
        return self[keep]

    @staticmethod
    def concatenate(parts: Sequence[Spectra]) -> Spectra:
        """Stack spectra that lie on one axis.

        Columns that some parts lack are filled with empty texts, empty sets or nan.

        Raises
        ------
        AxisError
            If two parts lie on different axes; it names both.
        DataError
            If there is nothing to stack or the kinds differ.
        """
        parts = list(parts)
        if not parts:
            raise DataError("there are no spectra to concatenate")
        first = parts[0]
        for part in parts[1:]:
            require_same_axis(first.axis, part.axis, "concatenating")
            if part.kind != first.kind:
                raise DataError(
                    f"cannot concatenate {first.kind} with {part.kind}: convert one of them first"
                )
        if len(parts) == 1:
            return first
        lengths = [len(part) for part in parts]
        common = {
            key: value
            for key, value in first.attrs.items()
            if all(part.attrs.get(key) == value for part in parts)
        }
        return Spectra(
            np.concatenate([part.values for part in parts]),
            first.axis,
            first.kind,
            _join_optional([part.live_time for part in parts], lengths),
            _join_optional([part.real_time for part in parts], lengths),
            concatenate_columns([part.columns for part in parts], lengths),
            _join_variance(parts),
            common,
        )

    # -- showing and storing ---------------------------------------------------------------

    def __repr__(self) -> str:
        columns = f", columns {', '.join(self.columns)}" if self.columns else ""
        return f"<Spectra: {len(self)} x {self.axis.describe()}, {self.kind}{columns}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings cannot be sent to worker processes; plain ones can.
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields |= {"columns": dict(self.columns), "attrs": dict(self.attrs)}
        return Spectra, tuple(fields.values())

    def fingerprint(self) -> str:
        """SHA-256 of everything but ``attrs``: the data hash in every provenance.

        Notes such as the source say where data came from, not what they are. How wide numpy
        stores a text does not matter either.
        """
        digest = hashlib.sha256()
        arrays: dict[str, Array | None] = {
            "axis": self.axis.values,
            "values": self.values,
            "variance": self.variance,
            "live_time": self.live_time,
            "real_time": self.real_time,
        }
        digest.update(json.dumps([self.kind, self.axis.to_dict()]).encode())
        for name, array in arrays.items():
            digest.update(f"|{name}|".encode())
            if array is not None:
                digest.update(json.dumps([array.dtype.str, array.shape]).encode())
                digest.update(np.ascontiguousarray(array).data)
        for name in sorted(self.columns):
            column = self.columns[name]
            digest.update(json.dumps([name, is_label_sets(column)]).encode())
            stored = encode_column(column)
            if stored.dtype.kind == "U":
                digest.update(json.dumps(stored.tolist()).encode())
            else:
                digest.update(stored.dtype.str.encode() + b"|" + stored.tobytes())
        return digest.hexdigest()

    def to_xarray(self) -> xr.Dataset:
        """Dataset with dimensions ``spectrum`` and ``channel``; lossless (needs xarray)."""
        from spectraloom.data.labelled import spectra_to_xarray

        return spectra_to_xarray(self)

    @staticmethod
    def from_xarray(dataset: xr.Dataset) -> Spectra:
        """Spectra from what :meth:`to_xarray` gave."""
        from spectraloom.data.labelled import spectra_from_xarray

        return spectra_from_xarray(dataset)


def _as_values(given: Any, kind: str) -> Array:
    if kind not in _KINDS:
        raise DataError(f"unknown kind of spectra {kind!r}; known: {', '.join(_KINDS)}")
    values = np.asarray(given)
    if values.ndim == 1:
        values = values[np.newaxis, :]
    if values.ndim != 2 or values.shape[1] == 0:
        raise DataError(
            f"spectra have shape (n_spectra, n_channels), got {np.asarray(given).shape}"
        )
    code = values.dtype.kind
    if code == "c":
        if kind != "complex":
            raise DataError(f"complex values need kind='complex', not {kind!r}")
    elif kind == "complex":
        values = values.astype(np.complex128)
    elif code not in "iuf":
        if code not in "bO":
            raise DataError(f"spectra hold numbers, got {values.dtype}")
        try:
            values = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError("spectra hold numbers, got objects that are none") from error
    if values.dtype == np.float16:
        values = values.astype(np.float64)
    if values.size:
        if values.dtype.kind in "fc":
            with np.errstate(over="ignore", invalid="ignore"):
                total = np.add.reduce(values, axis=None)
            if not np.isfinite(total):
                _require_finite(values)
        if kind == "counts" and np.minimum.reduce(values, axis=None) < 0:
            row, channel = np.argwhere(values < 0)[0]
            raise DataError(
                f"counts cannot be negative, but spectrum {row} has {values[row, channel]:g} in "
                f"channel {channel}: a difference spectrum has kind='intensity'"
            )
    values = values.view()
    values.flags.writeable = False
    return values


def _require_finite(values: Array) -> None:
    # The sum may overflow although every value is finite, so look before refusing.
    bad = ~np.isfinite(values)
    if bad.any():
        row, channel = np.argwhere(bad)[0]
        raise DataError(
            f"spectra hold finite numbers, but spectrum {row} has {values[row, channel]} in "
            f"channel {channel}"
        )


def _as_times(name: str, given: Any, n: int) -> FloatArray:
    try:
        times = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} holds seconds, got something that is no number") from error
    if times.ndim == 0:
        times = np.full(n, float(times))
    if times.shape != (n,):
        raise DataError(f"{name} has shape {times.shape}, but there are {n} spectra")
    wrong = (times < 0) | np.isinf(times)
    if wrong.any():
        raise DataError(f"{name} is zero or more seconds, or nan, but got {times[wrong][0]:g} s")
    times = times.view()
    times.flags.writeable = False
    return times


def _as_columns(given: Mapping[str, Any], n: int) -> Mapping[str, Array]:
    return MappingProxyType(
        {str(name): as_column(str(name), column, n) for name, column in given.items()}
    )


def _as_variance(given: Any, values: Array) -> Array:
    variance = np.asarray(given)
    if variance.dtype.kind not in "iuf":
        raise DataError(f"a variance is real, got {variance.dtype}")
    if variance.dtype.kind != "f":
        variance = variance.astype(np.float64)
    if variance.ndim == 1:
        variance = variance[np.newaxis, :]
    if variance.shape != values.shape:
        raise DataError(f"variance has shape {variance.shape}, the values have {values.shape}")
    if variance.size and not (variance.min() >= 0 and variance.max() < np.inf):
        raise DataError("a variance is a finite number that is zero or more")
    variance = variance.view()
    variance.flags.writeable = False
    return variance


def _join_optional(parts: Sequence[FloatArray | None], lengths: Sequence[int]) -> FloatArray | None:
    if all(part is None for part in parts):
        return None
    return np.concatenate(
        [
            np.full(n, np.nan) if part is None else part
            for part, n in zip(parts, lengths, strict=True)
        ]
    )


def _join_variance(parts: Sequence[Spectra]) -> Array | None:
    if all(part.variance is None for part in parts):
        return None
    pieces = []
    for part in parts:
        if part.variance is not None:
            pieces.append(part.variance)
        elif part.kind == "counts":
            pieces.append(np.asarray(part.values, dtype=np.float64))
        else:
            raise DataError(
                f"cannot concatenate {part.kind} with a variance and {part.kind} without one"
            )
    return np.concatenate(pieces)
