"""Checks of plain values that geometry is made of: the same in one form out, or an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectraloom.errors import DataError
from spectraloom.physics.gamma.materials import Material, material, shown

LONGEST = 1e6
"""cm; nothing is seen through so much air."""
NEAREST = 1e-3
"""cm; sources and detectors are not nearer to each other."""

_MOST_HISTORIES = 10**10
_MOST_SEED = 2**63 - 1


def as_length(name: str, value: Any, *, least: float = 0.0) -> float:
    """A length in cm, above zero.

    Raises
    ------
    DataError
        If it is none, is below `least` or above :data:`LONGEST`.
    """
    if not (is_number(value) and value > 0 and least <= value <= LONGEST):
        limits = f"from {least:g}" if least else "above zero and up"
        raise DataError(f"{name} needs lengths {limits} to {LONGEST:g} cm, got {shown(value)}")
    return float(value)


def as_lengths(name: str, given: Any, numbers: tuple[int, ...], what: str) -> tuple[float, ...]:
    """Lengths in cm, one of some numbers of them.

    Raises
    ------
    DataError
        If they are none or too many or too few; the message says `what` is expected.
    """
    if not _is_list(given) or len(given) not in numbers:
        raise DataError(f"{name} is {what}, in cm; got {shown(given)}")
    return tuple(as_length(name, length) for length in given)


def as_layer(name: str, given: Any) -> tuple[str | Material, float]:
    """A material of known density and a length in cm.

    Raises
    ------
    LabelError
        If the material is not known.
    DataError
        If it is no such pair.
    """
    if not _is_list(given) or len(given) != 2:
        raise DataError(f"{name} needs (material, cm), as in ('Pb', 0.5); got {shown(given)}")
    return require_material(given[0]), as_length(name, given[1])


def as_layers(name: str, given: Any) -> tuple[tuple[str | Material, float], ...]:
    """Layers one upon the other.

    Raises
    ------
    LabelError
        If a material is not known.
    DataError
        If it is no list of layers.
    """
    if not _is_list(given) or (len(given) == 2 and isinstance(given[0], str | Material)):
        raise DataError(
            f"{name} is a list of layers, each (material, cm), as in [('Pb', 0.5)]; got "
            f"{shown(given)}"
        )
    return tuple(as_layer(name, layer) for layer in given)


def require_material(given: Any) -> str | Material:
    """A material of known density, or its name.

    Raises
    ------
    LabelError
        If the name is not known.
    DataError
        If it is neither, or the density is not known.
    """
    if not isinstance(given, str | Material):
        raise DataError(f"a material is given by a name, as in 'NaI'; got {shown(given)}")
    material(given).require_density()
    return given


def as_histories(value: Any) -> int:
    """A number of photons to follow.

    Raises
    ------
    DataError
        If it is none.
    """
    return _as_whole("histories", value, 1, _MOST_HISTORIES)


def as_seed(value: Any) -> int:
    """A start of random numbers.

    Raises
    ------
    DataError
        If it is none.
    """
    return _as_whole("seed", value, 0, _MOST_SEED)


def is_number(value: Any) -> bool:
    """Whether something is one number; true and false are none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _as_whole(name: str, value: Any, least: int, most: int) -> int:
    # A number that is not finite fails the comparison.
    if not (is_number(value) and least <= value <= most and int(value) == value):
        raise DataError(f"{name} is a whole number from {least} to {most}, got {shown(value)}")
    return int(value)


def _is_list(given: Any) -> bool:
    return isinstance(given, Sequence | np.ndarray) and not isinstance(given, str)
