"""Spectra to xarray and back, losslessly; xarray is imported only when this is called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from spectraloom._lazy import optional
from spectraloom.data.axis import Axis
from spectraloom.data.columns import decode_column, encode_column, is_label_sets
from spectraloom.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

    from spectraloom.data.result import Result
    from spectraloom.data.spectra import Spectra

_VARIABLES = ("values", "variance", "live_time", "real_time", "axis_values")
_DIMENSIONS = ("spectrum", "channel", "edge")
_COLUMN = "column_"


def _stored_name(name: str, quantity: str) -> str:
    """Name of a column in the dataset, where some names are taken."""
    taken = name in _VARIABLES or name in _DIMENSIONS or name == quantity
    return _COLUMN + name if taken or name.startswith(_COLUMN) else name


def spectra_to_xarray(spectra: Spectra) -> xr.Dataset:
    """Dataset: ``values`` (spectrum, channel), times and columns along ``spectrum``.

    Label sets are stored as JSON lists, because xarray cannot save tuples.
    """
    xarray = optional("xarray", extra="scale")
    variables: dict[str, Any] = {"values": (("spectrum", "channel"), spectra.values)}
    if spectra.variance is not None:
        variables["variance"] = (("spectrum", "channel"), spectra.variance)
    for name in ("live_time", "real_time"):
        times = getattr(spectra, name)
        if times is not None:
            variables[name] = ("spectrum", times, {"units": "s"})
    sets = []
    for name, column in spectra.columns.items():
        stored = _stored_name(name, spectra.axis.quantity)
        variables[stored] = ("spectrum", encode_column(column))
        if is_label_sets(column):
            sets.append(name)
    axis = spectra.axis
    edge_dimension = "edge" if axis.binned else "channel"
    variables["axis_values"] = (edge_dimension, axis.values, {"units": axis.unit})
    settings = {
        "kind": spectra.kind,
        "axis": axis.to_dict(),
        "columns": list(spectra.columns),
        "column_types": {
            name: encode_column(column).dtype.str for name, column in spectra.columns.items()
        },
        "label_sets": sets,
        "attrs": dict(spectra.attrs),
    }
    return xarray.Dataset(
        variables,
        coords={axis.quantity: ("channel", axis.centers, {"units": axis.unit})}
        if axis.is_calibrated
        else None,
        attrs={"spectraloom": json.dumps(settings)},
    )


def spectra_from_xarray(dataset: xr.Dataset) -> Spectra:
    """Spectra from a dataset that :func:`spectra_to_xarray` made.

    Raises
    ------
    DataError
        If the dataset lacks what that function writes.
    """
    from spectraloom.data.spectra import Spectra

    try:
        settings = json.loads(dataset.attrs["spectraloom"])
        axis = Axis.from_dict(dataset["axis_values"].to_numpy(), settings["axis"])
        columns = {}
        for name in settings["columns"]:
            column = dataset[_stored_name(name, axis.quantity)].to_numpy()
            # Stores widen texts and dates; the type they had is written down.
            column = column.astype(np.dtype(settings["column_types"][name]))
            columns[name] = decode_column(column, sets=name in settings["label_sets"])
        return Spectra(
            dataset["values"].to_numpy(),
            axis,
            settings["kind"],
            dataset["live_time"].to_numpy() if "live_time" in dataset else None,
            dataset["real_time"].to_numpy() if "real_time" in dataset else None,
            columns,
            dataset["variance"].to_numpy() if "variance" in dataset else None,
            settings["attrs"],
        )
    except (KeyError, TypeError) as error:
        raise DataError(
            f"the dataset was not made by Spectra.to_xarray: {error} is missing or malformed"
        ) from error


def result_to_xarray(result: Result) -> xr.Dataset:
    """Dataset with dimensions ``spectrum`` and ``name``."""
    xarray = optional("xarray", extra="scale")
    variables: dict[str, Any] = {
        "amounts": (("spectrum", "name"), result.amounts, {"units": result.unit}),
        "shares": (("spectrum", "name"), result.shares),
        "decisions": (("spectrum", "name"), result.decisions),
    }
    if result.top is not None:
        variables["top"] = ("spectrum", result.top)
    if result.uncertainties is not None:
        unit = {"units": result.unit}
        variables["uncertainties"] = (("spectrum", "name"), result.uncertainties, unit)
    for name, values in result.details.items():
        variables[name] = (("spectrum", "name"), values)
    for group in (result.quality, result.flags):
        variables |= {name: ("spectrum", column) for name, column in group.items()}
    for name, column in result.columns.items():
        # A column of the spectra never replaces an answer of the same name.
        stored = _COLUMN + name if name in (*variables, "name", "spectrum") else name
        variables[stored] = ("spectrum", encode_column(column))
    return xarray.Dataset(
        variables,
        coords={"name": list(result.names)},
        attrs={"provenance": json.dumps(dict(result.provenance))},
    )
