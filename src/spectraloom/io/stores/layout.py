"""What our own stores (npz, zarr) hold: named arrays and one JSON text, lossless for Spectra."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from spectraloom._typing import Array
from spectraloom.data import Axis, Spectra
from spectraloom.data.columns import decode_column, encode_column, is_label_sets
from spectraloom.errors import FormatError, SpectraloomError

LAYOUT = 1
_COLUMN = "column_"


def column_key(name: str) -> str:
    """Name of a column's array in the store; safe as a file name."""
    return _COLUMN + quote(name, safe="", errors="surrogatepass")


def array_keys(settings: Mapping[str, Any]) -> list[str]:
    """Names of all arrays that the settings speak of."""
    return [*settings["arrays"], *(column_key(name) for name in settings["columns"])]


def to_arrays(spectra: Spectra) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays by name, and the settings that make Spectra of them again.

    Fields keep their names; each column lies under :func:`column_key`, label sets as JSON texts.
    """
    arrays: dict[str, Array] = {"values": spectra.values, "axis_values": spectra.axis.values}
    for name in ("live_time", "real_time", "variance"):
        array = getattr(spectra, name)
        if array is not None:
            arrays[name] = array
    settings = {
        "layout": LAYOUT,
        "kind": spectra.kind,
        "axis": spectra.axis.to_dict(),
        "arrays": list(arrays),
        "columns": list(spectra.columns),
        "label_sets": [n for n, column in spectra.columns.items() if is_label_sets(column)],
        "attrs": dict(spectra.attrs),
    }
    for name, column in spectra.columns.items():
        arrays[column_key(name)] = encode_column(column)
    return arrays, settings


def dump_settings(settings: Mapping[str, Any]) -> str:
    """Settings as JSON.

    Raises
    ------
    FormatError
        If an attribute is no JSON type.
    """
    try:
        return json.dumps(settings)
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(
            f"cannot store the attrs: {error}; attrs hold JSON types only (texts, numbers, lists, "
            "dictionaries)"
        ) from error


def load_settings(text: str, name: str) -> dict[str, Any]:
    """Settings from JSON, with the parts that every reader needs present and of the right type.

    Raises
    ------
    FormatError
        If they are not what :func:`to_arrays` gives.
    """
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name}: the settings are not JSON: {error}") from error
    if not isinstance(settings, dict) or settings.get("layout") != LAYOUT:
        raise FormatError(f"{name}: expected a Spectraloom store of layout {LAYOUT}")
    for key in ("arrays", "columns", "label_sets"):
        texts = settings.get(key)
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise FormatError(f"{name}: the settings lack a list of names {key!r}")
    known = {"values", "axis_values", "live_time", "real_time", "variance"}
    if not {"values", "axis_values"} <= set(settings["arrays"]) <= known:
        raise FormatError(f"{name}: the settings name the arrays {settings['arrays']}")
    for key in ("axis", "attrs"):
        if not isinstance(settings.get(key), dict):
            raise FormatError(f"{name}: the settings lack {key!r}")
    return settings


def from_arrays(arrays: Mapping[str, Array], settings: Mapping[str, Any], name: str) -> Spectra:
    """Spectra from what :func:`to_arrays` gave.

    Raises
    ------
    FormatError
        If arrays and settings do not form valid Spectra.
    """
    try:
        columns = {
            column: decode_column(arrays[column_key(column)], sets=column in settings["label_sets"])
            for column in settings["columns"]
        }
        return Spectra(
            _shaped(arrays["values"], "values", 2),
            make_axis(_shaped(arrays["axis_values"], "axis_values", 1), settings["axis"]),
            settings["kind"],
            _optional_times(arrays, "live_time"),
            _optional_times(arrays, "real_time"),
            columns,
            arrays.get("variance"),
            settings["attrs"],
        )
    except (SpectraloomError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{name}: does not hold valid spectra: {error}") from error


def make_axis(values: Array, settings: Mapping[str, Any]) -> Axis:
    """Axis from stored values, whose calibration formula must give these values.

    Raises
    ------
    FormatError
        If the formula gives other values.
    """
    for key in ("quantity", "unit"):
        if not isinstance(settings.get(key), str):
            raise FormatError(f"the axis has no {key}")
    if not isinstance(settings.get("binned"), bool):
        raise FormatError("the axis does not say whether it has bins")
    axis = Axis.from_dict(values, settings)
    calibration = axis.calibration
    if calibration is not None and calibration.model != "lower edges":
        if not axis.binned:
            raise FormatError("an axis of points has no calibration of bin edges")
        given = calibration.evaluate(np.arange(axis.values.size), axis.n_channels)
        width = (axis.values[-1] - axis.values[0]) / axis.n_channels
        if not np.abs(given - axis.values).max() <= 1e-6 * width:
            raise FormatError("the calibration formula does not give the stored bin edges")
    return axis


def _optional_times(arrays: Mapping[str, Array], name: str) -> Array | None:
    return _shaped(arrays[name], name, 1) if name in arrays else None


def _shaped(array: Array, name: str, dimensions: int) -> Array:
    if array.ndim != dimensions or array.dtype.kind not in "iufc":
        raise FormatError(f"{name} is an array of {array.dtype} with shape {array.shape}")
    return array
