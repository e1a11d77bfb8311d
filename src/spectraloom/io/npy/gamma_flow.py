"""GAMMA_FLOW's ``.npy`` files, and plain ``.npy`` arrays of numbers.

GAMMA_FLOW stores a pickled array of dictionaries, one per spectrum: ``spectrum``, ``labels``,
``calibration`` (offset, slope, quad), ``detector``, absorber material and thickness. Its
calibration E(i) = offset + slope i + quad i^2 is used at integer i as the energy of channel i, that
is of its centre (Raedle et al. 2025, arXiv:2511.09326).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.data import Axis, Spectra
from spectraloom.data.axis import shift_polynomial
from spectraloom.errors import FormatError, SpectraloomError
from spectraloom.io.npy.numpy_array import MAGIC, read_array, read_header
from spectraloom.io.npy.pickled_arrays import PickledArray, read_pickled
from spectraloom.io.source import MAX_BYTES, Source

_TERMS = ("offset", "slope", "quad")
_MATERIAL, _THICKNESS = "absorber material", "absorber thickness"
_TIMES = {"live_time", "real_time"}
_HANDLED = {"spectrum", "labels", "calibration", "detector", _MATERIAL, _THICKNESS}


class GammaFlowReader:
    """Reads ``.npy``: GAMMA_FLOW's dictionaries, or one array with a spectrum per row."""

    name = "GAMMA_FLOW npy"
    suffixes: tuple[str, ...] = (".npy",)

    def sniff(self, source: Source) -> bool:
        """Whether it starts as every ``.npy`` file."""
        return source.head.startswith(MAGIC)

    def read(self, source: Source) -> list[Spectra]:
        """One Spectra per calibration found, in order of first appearance.

        Columns: ``labels``, ``detector``, ``absorber`` (such as ``"Pb 2.0"``, empty without one),
        ``material``, ``thickness`` (as in the file, nan where unknown), ``file``, ``record``, and
        every further number or text that the dictionaries hold.

        Raises
        ------
        FormatError
            If the pickle names anything but numpy's constructors, or the file is damaged.
        """
        content = source.content()
        shape, _, dtype, offset = read_header(content, source.name)
        if dtype.kind != "O":
            return [_plain(read_array(content, source.name), source)]
        pickled = read_pickled(content[offset:], source.name)
        entries = pickled.content if isinstance(pickled, PickledArray) else None
        if not isinstance(entries, list) or shape != (len(entries),) or not entries:
            raise FormatError(
                f"{source.name}: expected a one-dimensional array of dictionaries, one per spectrum"
            )
        return _spectra(entries, source)


def _plain(values: Array, source: Source) -> Spectra:
    """Array of numbers: one spectrum a row, uncalibrated."""
    attrs = {"source": source.file, "format": "numpy array"}
    if values.ndim not in (1, 2) or values.dtype.kind not in "iufc":
        raise FormatError(
            f"{source.name}: expected an array of numbers with one spectrum a row, found shape "
            f"{values.shape} of {values.dtype}"
        )
    values = np.atleast_2d(values)
    kind: Any = "counts"
    if values.dtype.kind == "c":
        kind = "complex"
    elif values.size and values.min() < 0:
        kind = "intensity"
    columns: dict[str, Any] = {"file": source.file, "record": np.arange(len(values))}
    try:
        return Spectra(values, kind=kind, columns=columns, attrs=attrs)
    except SpectraloomError as error:
        raise FormatError(f"{source.name}: {error}") from error


def _spectra(entries: Sequence[Any], source: Source) -> list[Spectra]:
    groups: dict[tuple[tuple[float, ...], int], list[int]] = {}
    counts: list[Array] = []
    values = 0
    for record, entry in enumerate(entries):
        where = f"{source.name}, record {record}"
        if not isinstance(entry, dict):
            raise FormatError(f"{where}: expected a dictionary, found {type(entry).__name__}")
        counts.append(_counts(entry, where))
        values += counts[-1].size
        # One array may be named many times over in a pickle, so the file size is no bound.
        if values * 8 > MAX_BYTES:
            raise FormatError(f"{source.name}: holds more than {MAX_BYTES // 1024**2} MiB")
        key = (_calibration(entry, where), counts[-1].size)
        groups.setdefault(key, []).append(record)
    attrs = {"source": source.file, "format": GammaFlowReader.name}
    found = []
    for (coefficients, channels), records in groups.items():
        try:
            axis = (
                Axis.from_polynomial(shift_polynomial(coefficients, -0.5), channels)
                if coefficients
                else Axis.uncalibrated(channels)
            )
            columns = _columns([entries[record] for record in records], source.name)
            columns.setdefault("file", source.file)
            found.append(
                Spectra(
                    np.stack([counts[record] for record in records]),
                    axis,
                    live_time=columns.pop("live_time", None),
                    real_time=columns.pop("real_time", None),
                    columns={**columns, "record": np.asarray(records)},
                    attrs=attrs,
                )
            )
        except SpectraloomError as error:
            raise FormatError(f"{source.name}, record {records[0]} on: {error}") from error
    return found


def _counts(entry: Mapping[str, Any], where: str) -> Array:
    given = entry.get("spectrum")
    if isinstance(given, PickledArray):
        given = given.content
    if isinstance(given, list):
        given = np.asarray([_number(value, f"{where}: 'spectrum'") for value in given])
    if not isinstance(given, np.ndarray) or given.dtype.kind not in "iuf" or given.ndim != 1:
        raise FormatError(f"{where}: expected 'spectrum', a one-dimensional array of numbers")
    return given.astype(np.float64)


def _calibration(entry: Mapping[str, Any], where: str) -> tuple[float, ...]:
    """(offset, slope, quad) at channel centres; empty if the file gives none."""
    given = entry.get("calibration")
    if given is None:
        return ()
    if not isinstance(given, dict) or not set(given) <= set(_TERMS) or len(given) < 2:
        raise FormatError(f"{where}: expected a calibration with offset, slope and quad")
    if "offset" not in given or "slope" not in given:
        raise FormatError(f"{where}: the calibration lacks offset or slope")
    return tuple(_number(given.get(term, 0.0), f"{where}: calibration {term}") for term in _TERMS)


def _number(given: Any, where: str) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise FormatError(f"{where}: expected a number")
    return number


def _columns(entries: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    materials = [_material(entry.get(_MATERIAL), name) for entry in entries]
    thicknesses = [_thickness(entry.get(_THICKNESS), name) for entry in entries]
    columns: dict[str, Any] = {
        "labels": [_labels(entry.get("labels"), name) for entry in entries],
        "detector": [_text(entry.get("detector", ""), "detector", name) for entry in entries],
        "absorber": [_absorber(*pair) for pair in zip(materials, thicknesses, strict=True)],
        "material": materials,
        "thickness": np.asarray(thicknesses, dtype=np.float64),
    }
    extra = dict.fromkeys(key for entry in entries for key in entry if key not in _HANDLED)
    for key in extra:
        column = key.strip().replace(" ", "_")
        if column in columns or column in ("file", "record"):
            raise FormatError(f"{name}: the entry {key!r} has a reserved name")
        values = [entry.get(key) for entry in entries]
        columns[column] = _further(values, key, name, number=column in _TIMES)
    return columns


def _further(values: Sequence[Any], key: str, name: str, *, number: bool) -> Array:
    if all(value is None or type(value) in (bool, int, float) for value in values):
        where = f"{name}: entry {key!r}"
        return np.asarray([math.nan if v is None or v != v else _number(v, where) for v in values])
    if not number and all(value is None or isinstance(value, str) for value in values):
        return np.asarray(["" if v is None else v for v in values], dtype=np.str_)
    expected = "numbers" if number else "numbers or texts"
    raise FormatError(f"{name}: expected {expected} in the entry {key!r}")


def _labels(given: Any, name: str) -> tuple[str, ...]:
    if isinstance(given, PickledArray):
        given = given.content
    if isinstance(given, np.ndarray):
        given = given.ravel().tolist()
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, (list, tuple)) or not all(isinstance(label, str) for label in given):
        raise FormatError(f"{name}: expected 'labels', a list of texts")
    return tuple(given)


def _text(given: Any, key: str, name: str) -> str:
    if not isinstance(given, str):
        raise FormatError(f"{name}: expected {key!r}, a text")
    return given


def _material(given: Any, name: str) -> str:
    material = _text("" if given is None else given, _MATERIAL, name).strip()
    return "" if material.lower() == "none" else material


def _thickness(given: Any, name: str) -> float:
    if given is None or (isinstance(given, str) and given.strip().lower() in ("", "none", "nan")):
        return math.nan
    if isinstance(given, float) and math.isnan(given):
        return math.nan
    return _number(given, f"{name}: {_THICKNESS}")


def _absorber(material: str, thickness: float) -> str:
    if not material:
        return ""
    return material if math.isnan(thickness) else f"{material} {thickness}"


READER = GammaFlowReader()
