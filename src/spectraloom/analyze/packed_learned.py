"""Learned signatures as a card and arrays."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.analyze.manifold.autoencoder import LearnedSignature
from spectraloom.analyze.manifold.signature import Deformation, TabulatedSignature
from spectraloom.data.axis import Axis
from spectraloom.errors import FormatError

_STATE = "state."


def pack_learned(model: LearnedSignature) -> tuple[dict[str, Any], dict[str, Array]]:
    """Card and arrays of learned signatures."""
    table = model.table
    card = {
        "axis": table.axis.to_dict(),
        "names": list(table.names),
        "deformation": asdict(table.deformations[0]),
        "model_card": dict(model.card),
    }
    arrays = {"axis": np.ascontiguousarray(table.axis.values), "table": table.table}
    arrays |= {_STATE + key: np.ascontiguousarray(array) for key, array in model.state.items()}
    return card, arrays


def unpack_learned(card: dict[str, Any], arrays: dict[str, Array]) -> LearnedSignature:
    """Learned signatures that :func:`pack_learned` packed; torch is not needed.

    Raises
    ------
    FormatError
        If numbers do not fit together. What else is wrong raises as it comes.
    """
    table = TabulatedSignature(
        Axis.from_dict(arrays["axis"], card["axis"]),
        tuple(card["names"]),
        (Deformation(**card["deformation"]),),
        arrays["table"],
    )
    state = {
        key.removeprefix(_STATE): array for key, array in arrays.items() if key.startswith(_STATE)
    }
    model_card = dict(card["model_card"])
    learned = [str(name) for network in model_card["networks"] for name in network["names"]]
    if learned != list(table.names):
        raise FormatError(f"the networks are of {learned}, the signatures of {list(table.names)}")
    if not all(np.isfinite(array).all() for array in state.values()):
        raise FormatError("a parameter of a network is not finite")
    model = LearnedSignature(table, model_card, state)
    for name in model.names:
        model.path(name)  # refuses a path that leaves the simplex
    return model
