"""A library as a card and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.data.axis import Axis
from spectraloom.data.library import Library


def pack_library(library: Library) -> tuple[dict[str, Any], dict[str, Array]]:
    """Card and arrays of a library."""
    arrays = {"axis": library.axis.values, "templates": library.templates}
    if library.weights is not None:
        arrays["weights"] = library.weights
    card = {
        "axis": library.axis.to_dict(),
        "names": list(library.names),
        "variants": list(library.variants),
    }
    return card, {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def unpack_library(card: dict[str, Any], arrays: dict[str, Array]) -> Library:
    """Library that :func:`pack_library` packed. What is wrong raises as it comes."""
    return Library(
        arrays["templates"],
        Axis.from_dict(arrays["axis"], card["axis"]),
        tuple(card["names"]),
        tuple(card["variants"]),
        arrays.get("weights"),
    )
