"""The axis at the head of a table: what its numbers are, by the name beside them."""

from __future__ import annotations

import re

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.data import Axis
from spectraloom.errors import FormatError
from spectraloom.io.tables.columns import canonical_name

_UNITS = {
    "ev": ("energy", "eV"),
    "kev": ("energy", "keV"),
    "mev": ("energy", "MeV"),
    "nm": ("wavelength", "nm"),
    "um": ("wavelength", "um"),
    "angstrom": ("wavelength", "angstrom"),
    "cm_1": ("wavenumber", "1/cm"),
    "ppm": ("shift", "ppm"),
    "s": ("time", "s"),
    "ms": ("time", "ms"),
    "us": ("time", "us"),
}
_MARKER = re.compile(
    r"(lower_edge|edge|center|centre|energy|e|wavelength|wavenumber|shift|time)_(.+)"
)
_CHANNELS = re.compile(r"(channel|channels|chan|chn|ch|bin|kanal)(_(number|no|nr|index|id))?\.?")


def axis_marker(cell: str) -> tuple[str, str, str] | None:
    """How the axis is given, its quantity and its unit, if the cell is the name of an axis.

    The axis is given as ``channel``, ``lower edges``, ``edges``, ``centers`` or ``points``.
    """
    name = canonical_name(cell)
    if _CHANNELS.fullmatch(name):
        return "channel", "channel", ""
    match = _MARKER.fullmatch(name)
    if match is None or match[2] not in _UNITS:
        return None
    quantity, unit = _UNITS[match[2]]
    ways = {"lower_edge": "lower edges", "edge": "edges", "center": "centers", "centre": "centers"}
    way = ways.get(match[1], "points")
    if way == "points" and match[1] not in (quantity, {"energy": "e"}.get(quantity)):
        return None
    return way, quantity, unit


def make_axis(way: str, numbers: FloatArray, quantity: str, unit: str) -> Axis:
    """Axis from the numbers at the head of a table.

    Parameters
    ----------
    way, quantity, unit : str
        As :func:`axis_marker` gives them.
    numbers : ndarray
        The numbers of the head.

    Raises
    ------
    FormatError
        If channels are not numbered from 0 or 1, or one centre alone is given.
    AxisError
        If the numbers do not increase.
    """
    if way == "channel":
        if numbers[0] not in (0.0, 1.0) or not np.array_equal(
            numbers, numbers[0] + np.arange(numbers.size)
        ):
            raise FormatError("channels are numbered from 0 or 1 in steps of 1")
        return Axis.uncalibrated(numbers.size)
    if way == "lower edges":
        return Axis.from_lower_edges(numbers, quantity=quantity, unit=unit)
    if way == "edges":
        return Axis.from_edges(numbers, quantity=quantity, unit=unit)
    if way == "points":
        return Axis.from_points(numbers, quantity=quantity, unit=unit)
    if numbers.size < 2:
        raise FormatError("at least two centres are needed to know the bins")
    middle = 0.5 * (numbers[1:] + numbers[:-1])
    edges = np.concatenate([[2 * numbers[0] - middle[0]], middle, [2 * numbers[-1] - middle[-1]]])
    return Axis.from_edges(edges, quantity=quantity, unit=unit)
