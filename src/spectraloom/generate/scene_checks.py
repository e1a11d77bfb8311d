"""Checks of what a scene is made of: plain values in, the same in one form out, or an error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from spectraloom.data import Axis
from spectraloom.errors import DataError
from spectraloom.physics.gamma.crystal import Layer
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.detectors import detector
from spectraloom.physics.gamma.materials import Material, material, shown
from spectraloom.physics.gamma.nuclides import nuclide, seconds

Range: TypeAlias = tuple[float, float]
Shield: TypeAlias = tuple[str | Material, Range]
"""Material of an absorber and its thinnest and thickest, cm."""

FURTHEST = 1e5
"""cm; nothing is seen through a kilometre of air."""

_LARGEST = 1e300
_DENSEST = 1e3  # g/cm3

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
    plain = not isinstance(value, bool) and isinstance(value, Real)
    # Whole numbers of any size can be compared, but not turned into a float.
    if not (plain and -_LARGEST < value < _LARGEST and least <= value <= most and value > above):
        limits = [f"of {least:g} or more"] if math.isfinite(least) and least > above else []
        limits += [f"above {above:g}"] if math.isfinite(above) else []
        limits += [f"up to {most:g}"] if math.isfinite(most) else []
        raise DataError(
            f"{name} is a number {' and '.join(limits)}".rstrip() + f", got {shown(value)}"
        )
    return float(value)


def as_whole(name: str, value: Any, least: int, most: int) -> int:
    """A whole number within limits.

    Raises
    ------
    DataError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise DataError(f"{name} is a whole number from {least} to {most}, got {shown(value)}")
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
    paired = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    pair = value if paired and np.ndim(value) else (value, value)
    if len(pair) != 2:
        raise DataError(f"{name} is a number or a pair [least, largest], got {shown(value)}")
    low, high = (as_number(name, one, least=least, above=above, most=most) for one in pair)
    if low > high:
        raise DataError(f"{name} is a pair [least, largest], got {shown(value)}")
    return low, high


def require_flag(name: str, value: Any) -> None:
    """Refuse what is not true or false.

    Raises
    ------
    DataError
        If it is not.
    """
    if not isinstance(value, bool):
        raise DataError(f"{name} is true or false, got {shown(value)}")


def as_list(name: str, given: Any, what: str) -> tuple[Any, ...]:
    """Entries of a list that is neither empty nor too long.

    Raises
    ------
    DataError
        If it is no such list.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise DataError(f"{name} is a list of {what}, got {shown(given)}")
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
        raise DataError(f"nuclides is a list of names, got {shown(given)}")
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
        raise DataError(f"mixture is a whole number or a pair of them, got {shown(given)}")
    low, high = (as_whole("mixture", one, 1, most) for one in pair)
    if low > high:
        raise DataError(f"mixture is a pair [least, most], got {shown(given)}")
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
        raise DataError(
            f"age is a time or a list of up to {MOST_CHOICES} times, got {shown(given)}"
        )
    return tuple(
        seconds(one if isinstance(one, str) else as_number("age", one, least=0.0)) for one in listed
    )


def as_shields(given: Any) -> tuple[Shield | None, ...]:
    """Absorbers with the range of their thickness.

    Raises
    ------
    LabelError
        If a material is not known.
    DataError
        If an entry is no absorber.
    """
    parts = [absorber_parts(one) for one in as_list("absorbers", given, "absorbers")]
    return tuple(
        None if one is None else (one[0], as_range("thickness", one[1], most=FURTHEST))
        for one in parts
    )


def absorber_parts(given: Any) -> tuple[str | Material, Any] | None:
    """Material and thickness (not checked) of an absorber, in any way that it may be written.

    Parameters
    ----------
    given
        ``None`` or ``"none"``; ``"Pb 0.5"``; ``("Pb", 0.5)``; or a mapping such as
        ``{"material": "Gd2O2S", "density": 7.3, "thickness": (0.1, 0.2)}``.

    Raises
    ------
    LabelError
        If the material is not known.
    DataError
        If it is nothing of that.
    """
    if given is None or (isinstance(given, str) and given.strip().lower() == "none"):
        return None
    if isinstance(given, Mapping):
        return layer_parts("an absorber", given, "thickness")
    if isinstance(given, str):
        made_of, _, thickness = given.strip().rpartition(" ")
        try:
            parts: Any = made_of.strip(), float(thickness)
        except ValueError:
            parts = ()
    else:
        parts = given
    if not isinstance(parts, Sequence) or len(parts) != 2:
        raise DataError(
            "an absorber is none, a material and a thickness in cm such as 'Pb 0.5' or "
            "('Pb', 0.5), or { material = 'Pb', thickness = [0.1, 2.0] }, with a density in g/cm3 "
            f"if that is not known; got {shown(given)}"
        )
    _require_material(parts[0])
    return parts[0], parts[1]


def layer_parts(what: str, given: Any, length: str) -> tuple[str | Material, Any]:
    """Material and length (not checked) of a mapping; a density makes a material of a formula.

    Raises
    ------
    LabelError
        If the material is not known.
    DataError
        If it is no such mapping.
    """
    needed = {"material", length}
    if not isinstance(given, Mapping) or set(given) - {"density"} != needed:
        raise DataError(f"{what} is {{ material = ..., {length} = ... }}, got {shown(given)}")
    made_of = given["material"]
    if "density" in given:
        made_of = with_density(made_of, given["density"])
    _require_material(made_of)
    return made_of, given[length]


def with_density(made_of: Any, density: Any) -> Material:
    """A material of another density than that of the tables, g/cm3.

    Raises
    ------
    LabelError
        If the material is not known.
    DataError
        If it is not given by its name, or the density is none.
    """
    if not isinstance(made_of, str):
        raise DataError(f"with a density, a material is a name, got {shown(made_of)}")
    return material(made_of, density=as_number("density", density, above=0.0, most=_DENSEST))


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
    if isinstance(given, Mapping):
        given = layer_parts(name, given, length)
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != 2:
        raise DataError(f"{name} is (material, {length} in cm), got {shown(given)}")
    _require_material(given[0])
    return given[0], as_number(f"{length} of {name}", given[1], above=0.0, most=FURTHEST)


def _require_material(given: Any) -> None:
    if not isinstance(given, str | Material):
        raise DataError(f"a material is a name or a Material, got {shown(given)}")
    material(given).require_density()


def as_detector(given: Any) -> GammaDetector:
    """A detector, or the ready one of that name.

    Raises
    ------
    LabelError
        If the name is not known.
    DataError
        If it is neither.
    """
    if not isinstance(given, str | GammaDetector):
        raise DataError(f"a detector is a name or a GammaDetector, got {shown(given)}")
    return detector(given) if isinstance(given, str) else given


def as_detectors(given: Any, axis: Axis | None) -> tuple[GammaDetector, ...]:
    """Detectors on one axis, that of the first if none is given.

    Raises
    ------
    LabelError
        If a name is not known.
    DataError
        If two have one name, or an entry is no detector.
    """
    found = [as_detector(one) for one in as_list("detectors", given, "names")]
    common = found[0].axis if axis is None else axis
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise DataError(f"detectors have different names, got {', '.join(names)}")
    return tuple(replace(one, axis=common) for one in found)
