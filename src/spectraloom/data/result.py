"""Result: what a user asked for, per spectrum."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from spectraloom._lazy import optional
from spectraloom._typing import Array, BoolArray, FloatArray
from spectraloom.data.columns import as_column, is_label_sets, label_sets
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Result:
    """Amounts, decisions, goodness of fit and flags of n analysed spectra.

    Parameters
    ----------
    names : sequence of str, length k
        What the model can find.
    amounts : array_like, shape (n, k)
        How much of each.
    decisions : array_like of bool, shape (n, k)
        Whether each is reported as present.
    unit : str
        Unit of the amounts.
    uncertainties : array_like, shape (n, k), optional
        Standard uncertainties of the amounts.
    top : array_like of str, shape (n,), optional
        The one label per spectrum, where the method gives one.
    details : mapping of str to array_like of shape (n, k)
        More on each name, e.g. ``p_value`` or ``detection_limit``.
    quality : mapping of str to array_like of shape (n,)
        Measures of the goodness of fit.
    flags : mapping of str to array_like of bool, shape (n,)
        When not to trust the answer, e.g. ``outlier``.
    columns : mapping of str to array_like of shape (n,)
        Columns carried over from the spectra.
    denoised : Spectra, optional
        The spectra as the model explains them.
    provenance : mapping
        Version, data hash and settings, JSON types only.

    Raises
    ------
    DataError
        If shapes do not agree.
    """

    names: tuple[str, ...]
    amounts: FloatArray
    decisions: BoolArray
    unit: str = "counts"
    uncertainties: FloatArray | None = None
    top: Array | None = None
    details: Mapping[str, FloatArray] = field(default_factory=lambda: _EMPTY)
    quality: Mapping[str, Array] = field(default_factory=lambda: _EMPTY)
    flags: Mapping[str, Array] = field(default_factory=lambda: _EMPTY)
    columns: Mapping[str, Array] = field(default_factory=lambda: _EMPTY)
    denoised: Spectra | None = None
    provenance: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "names", tuple(self.names))
        amounts = np.asarray(self.amounts, dtype=np.float64).view()
        if amounts.ndim != 2 or amounts.shape[1] != len(self.names):
            raise DataError(f"amounts have shape {amounts.shape} for {len(self.names)} names")
        n = len(amounts)
        put(self, "amounts", amounts)
        put(self, "decisions", np.asarray(self.decisions, dtype=bool).view())
        if self.uncertainties is not None:
            put(self, "uncertainties", np.asarray(self.uncertainties, dtype=np.float64).view())
        for name in ("amounts", "decisions", "uncertainties"):
            array = getattr(self, name)
            if array is None:
                continue
            if array.shape != amounts.shape:
                raise DataError(f"{name} have shape {array.shape}, the amounts {amounts.shape}")
            array.flags.writeable = False
        if self.top is not None:
            put(self, "top", as_column("top", self.top, n))
        put(self, "details", MappingProxyType(_as_details(self.details, amounts.shape)))
        for group in ("quality", "flags", "columns"):
            given = getattr(self, group)
            put(
                self,
                group,
                MappingProxyType({key: as_column(key, value, n) for key, value in given.items()}),
            )
        put(self, "provenance", MappingProxyType(dict(self.provenance)))

    def __len__(self) -> int:
        return len(self.amounts)

    def __getitem__(self, rows: Any) -> Result:
        """Result of some spectra: a slice, a mask or row numbers."""
        if isinstance(rows, (int, np.integer)):
            rows = [int(rows)]
        cut: dict[str, Any] = {
            name: None if (value := getattr(self, name)) is None else value[rows]
            for name in ("amounts", "decisions", "uncertainties", "top", "denoised")
        }
        for group in ("details", "quality", "flags", "columns"):
            cut[group] = {name: value[rows] for name, value in getattr(self, group).items()}
        return replace(self, **cut)

    @property
    def shares(self) -> FloatArray:
        """Amounts divided by their sum per spectrum, shape (n, k); zero where nothing was found."""
        totals = self.amounts.sum(axis=1, keepdims=True)
        return np.divide(self.amounts, totals, out=np.zeros_like(self.amounts), where=totals > 0)

    @property
    def labels(self) -> Array:
        """Label sets: the names decided to be present, largest amount first."""
        order = np.argsort(-self.amounts, axis=1, kind="stable")
        return label_sets(
            tuple(self.names[j] for j in row if decided[j])
            for row, decided in zip(order, self.decisions, strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the denoised spectra, as plain Python for JSON."""
        return {
            "names": list(self.names),
            "unit": self.unit,
            "labels": [list(entry) for entry in self.labels],
            "top": None if self.top is None else self.top.tolist(),
            "amounts": self.amounts.tolist(),
            "shares": self.shares.tolist(),
            "uncertainties": None if self.uncertainties is None else self.uncertainties.tolist(),
            "details": {name: values.tolist() for name, values in self.details.items()},
            "quality": {name: _plain(values) for name, values in self.quality.items()},
            "flags": {name: _plain(values) for name, values in self.flags.items()},
            "columns": {name: _plain(values) for name, values in self.columns.items()},
            "provenance": dict(self.provenance),
        }

    def to_frame(self) -> pd.DataFrame:
        """Table with a row per spectrum (needs pandas)."""
        pandas = optional("pandas", extra="scale")
        table: dict[str, Any] = {"found": list(self.labels)}
        if self.top is not None:
            table["top"] = self.top
        for j, name in enumerate(self.names):
            table[f"amount {name}"] = self.amounts[:, j]
            if self.uncertainties is not None:
                table[f"uncertainty {name}"] = self.uncertainties[:, j]
            table |= {f"{detail} {name}": values[:, j] for detail, values in self.details.items()}
        shares = self.shares
        table |= {f"share {name}": shares[:, j] for j, name in enumerate(self.names)}
        table |= {**self.quality, **self.flags}
        # A column of the spectra never replaces an answer of the same name.
        own = {
            f"column {name}" if name in table else name: list(column)
            for name, column in self.columns.items()
        }
        return pandas.DataFrame({**own, **table})

    def to_xarray(self) -> xr.Dataset:
        """Dataset with dimensions ``spectrum`` and ``name`` (needs xarray)."""
        from spectraloom.data.labelled import result_to_xarray

        return result_to_xarray(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings cannot be sent to worker processes; plain ones can.
        fields = {name: getattr(self, name) for name in self.__slots__}
        for name in ("details", "quality", "flags", "columns", "provenance"):
            fields[name] = dict(fields[name])
        return Result, tuple(fields.values())

    def __repr__(self) -> str:
        flagged = ", ".join(f"{int(flag.sum())} {name}" for name, flag in self.flags.items())
        return (
            f"<Result: {len(self)} spectra, names {', '.join(self.names)}"
            f"{'; flagged: ' + flagged if flagged else ''}>"
        )

    def _repr_html_(self) -> str:
        shown = min(len(self), 20)
        head = ["found", *self.names, *self.quality, *self.flags]
        cells = [f"<th scope='col'>{html.escape(name)}</th>" for name in head]
        rows = [f"<tr><th scope='col'></th>{''.join(cells)}</tr>"]
        shares, labels = self.shares, self.labels
        for i in range(shown):
            values = [" + ".join(labels[i]) or "nothing"]
            values += [f"{share:.1%}" for share in shares[i]]
            values += [f"{column[i]:.3g}" for column in self.quality.values()]
            values += ["yes" if flag[i] else "no" for flag in self.flags.values()]
            columns = "".join(f"<td>{html.escape(value)}</td>" for value in values)
            rows.append(f"<tr><th scope='row'>{i}</th>{columns}</tr>")
        more = f"<p>{len(self) - shown} more spectra</p>" if len(self) > shown else ""
        return f"<table>{''.join(rows)}</table>{more}"


def _as_details(given: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, FloatArray]:
    details = {}
    for name, values in given.items():
        array = np.asarray(values, dtype=np.float64).view()
        if array.shape != shape:
            raise DataError(f"{name} has shape {array.shape}, the amounts have {shape}")
        array.flags.writeable = False
        details[str(name)] = array
    return details


def _plain(column: Array) -> list[Any]:
    if is_label_sets(column):
        return [list(entry) for entry in column]
    if column.dtype.kind == "M":
        return [str(entry) for entry in column]
    plain: list[Any] = column.tolist()
    return plain
