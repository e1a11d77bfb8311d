"""Checks of what a scene is made of: plain values in, the same in one form out, or an error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from spectraloom.data import Axis
from spectraloom.errors import DataError
from spectraloom.physics.gamma.crystal import Layer
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.detectors import detector
from spectraloom.physics.gamma.materials import material
from spectraloom.physics.gamma.nuclides import nuclide, seconds

Range: TypeAlias = tuple[float, float]
Shield: TypeAlias = tuple[str, Range]
"""Material of an absorber and its thinnest and thickest, cm."""

FURTHEST = 1e5
"""cm; nothing is seen through a kilometre of air."""

MOST_CHOICES = 500
"""Nuclides, absorbers or ages of an entry; entries of a scene."""


def as_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
) -> float:
    """A finite number within limits, or an error that says which.

    Raises
    ------
    DataError
        If it is none.
    """
    plain = not isinstance(value, bool | str) and isinstance(value, int | float)
    if not (plain and math.isfinite(value) and least <= value <= most and value > above):
        limits = [f"of {least:g} or more"] if math.isfinite(least) and least > above else []
        limits += [f"above {above:g}"] if math.isfinite(above) else []
        limits += [f"up to {most:g}"] if math.isfinite(most) else []
        raise DataError(f"{name} is a number {' and '.join(limits)}".rstrip() + f", got {value!r}")
    return float(value)


def as_whole(name: str, value: Any, least: int, most: int) -> int:
    """A whole number within limits.

    Raises
    ------
    DataError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise DataError(f"{name} is a whole number from {least} to {most}, got {value!r}")
    return value


def as_range(
    name: str, value: Any, *, least: float = 0.0, above: float = -math.inf, most: float
) -> Range:
    """A pair of numbers that do not fall; one number stands for both.

    Raises
    ------
    DataError
        If it is neither.
    """
    pair = value if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
    if len(pair) != 2:
        raise DataError(f"{name} is a number or a pair [least, largest], got {value!r}")
    low, high = (as_number(name, one, least=least, above=above, most=most) for one in pair)
    if low > high:
        raise DataError(f"{name} is a pair [least, largest], got {value!r}")
    return low, high


def require_flag(name: str, value: Any) -> None:
    """Refuse what is not true or false.

    Raises
    ------
    DataError
        If it is not.
    """
    if not isinstance(value, bool):
        raise DataError(f"{name} is true or false, got {value!r}")


def as_list(name: str, given: Any, what: str) -> tuple[Any, ...]:
    """Entries of a list that is neither empty nor too long.

    Raises
    ------
    DataError
        If it is no such list.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise DataError(f"{name} is a list of {what}, got {given!r}")
    found = tuple(given)
    if not 0 < len(found) <= MOST_CHOICES:
        raise DataError(f"{name} is a list of 1 to {MOST_CHOICES} {what}, got {len(found)}")
    return found


def as_nuclides(given: Any) -> tuple[str, ...]:
    """Names of nuclides as the tables write them; none twice.

    Raises
    ------
    LabelError
        If one is not known.
    DataError
        If it is no list of names.
    """
    listed = as_list("nuclides", given, "names")
    if not all(isinstance(name, str) for name in listed):
        raise DataError(f"nuclides is a list of names, got {given!r}")
    names = tuple(nuclide(name).name for name in listed)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"nuclides names {', '.join(twice)} twice")
    return names


def as_mixture(given: Any, most: int) -> tuple[int, int]:
    """Least and most of how many sources lie together.

    Raises
    ------
    DataError
        If they are not whole numbers from 1 to `most`.
    """
    pair = given if isinstance(given, Sequence) and not isinstance(given, str) else (given, given)
    if len(pair) != 2:
        raise DataError(f"mixture is a whole number or a pair of them, got {given!r}")
    low, high = (as_whole("mixture", one, 1, most) for one in pair)
    if low > high:
        raise DataError(f"mixture is a pair [least, most], got {given!r}")
    return low, high


def as_ages(given: Any) -> tuple[float, ...]:
    """Times in s.

    Raises
    ------
    DataError
        If one is none.
    """
    listed = (given,) if isinstance(given, str | int | float) else given
    plain = isinstance(listed, Sequence) and len(listed) <= MOST_CHOICES
    if not plain or any(
        isinstance(one, bool) or not isinstance(one, str | int | float) for one in listed
    ):
        raise DataError(f"age is a time or a list of up to {MOST_CHOICES} times, got {given!r}")
    return tuple(seconds(one) for one in listed)


def as_shields(given: Any) -> tuple[Shield | None, ...]:
    """Absorbers with the range of their thickness.

    Raises
    ------
    LabelError
        If a material is not known.
    DataError
        If an entry is no absorber.
    """
    found: list[Shield | None] = []
    for one in as_list("absorbers", given, "absorbers"):
        if one is None:
            found.append(None)
            continue
        if isinstance(one, str) or not isinstance(one, Sequence) or len(one) != 2:
            raise DataError(f"an absorber is None or (material, thickness in cm), got {one!r}")
        made_of, thickness = one
        _require_material(made_of)
        found.append((made_of, as_range("thickness", thickness, most=FURTHEST)))
    return tuple(found)


def as_layer(name: str, given: Any, length: str) -> Layer | None:
    """A material and a length in cm, or None.

    Raises
    ------
    LabelError
        If the material is not known.
    DataError
        If it is something else.
    """
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != 2:
        raise DataError(f"{name} is (material, {length} in cm), got {given!r}")
    _require_material(given[0])
    return str(given[0]), as_number(f"{length} of {name}", given[1], above=0.0, most=FURTHEST)


def _require_material(name: Any) -> None:
    if not isinstance(name, str):
        raise DataError(f"a material is a name, got {name!r}")
    material(name).require_density()


def as_detectors(given: Any, axis: Axis | None) -> tuple[GammaDetector, ...]:
    """Detectors on one axis, that of the first if none is given.

    Raises
    ------
    LabelError
        If a name is not known.
    DataError
        If two have one name, or an entry is no detector.
    """
    listed = as_list("detectors", given, "names")
    found = []
    for one in listed:
        if not isinstance(one, str | GammaDetector):
            raise DataError(f"a detector is a name or a GammaDetector, got {one!r}")
        found.append(detector(one) if isinstance(one, str) else one)
    common = found[0].axis if axis is None else axis
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise DataError(f"detectors have different names, got {', '.join(names)}")
    return tuple(replace(one, axis=common) for one in found)
