"""Signatures that deform: what a fit asks of them, and the table that every fit uses.

A signature is the spectrum of one source, with unit area. It deforms along one or a few
coordinates: the thickness of a shield, the shift of a peak. Interpolated and learned models answer
the same questions as the table they are turned into before a fit, so fits never call a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.analyze.given import is_number
from spectraloom.analyze.likelihood.moving import layer_weights
from spectraloom.data import Axis
from spectraloom.data.axis import require_same_axis
from spectraloom.errors import AxisError, DataError, LabelError

N_NODES = 129
_LEAST_NODES = 3  # one parabola
_MOST_VALUE = 1e100  # of a deformation, so that its square is a number
_AREA_TOLERANCE = 1e-6
_SOFTENINGS = (1e-9, 1e9)  # of the range: beyond them the logarithm is a step or a straight line
_ROUNDING = 1e-9  # of the range; a value at its end may come back from a file a digit off


@dataclass(frozen=True, slots=True)
class Deformation:
    """One coordinate along which signatures deform, e.g. the thickness of a shield.

    Parameters
    ----------
    name : str
        Name of the coordinate, and of the column of training spectra that holds it.
    unit : str
        Unit of the values; empty without one.
    low, high : float
        Range that the signatures cover, ``low < high``.
    softening : float, optional
        In the unit of the values. If given, equal steps of the *unit coordinate* are equal steps of
        log(value + softening): for a shield, whose first tenths of a millimetre change a spectrum
        as much as its last centimetre. If None, they are equal steps of the value.

    Raises
    ------
    DataError
        If name or unit is no text, the range is empty or not finite, or ``low + softening`` is not
        positive.

    Examples
    --------
    >>> steel = Deformation("thickness", "mm", 0.0, 30.0, softening=0.3)
    >>> float(steel.to_unit(30.0))
    1.0
    >>> round(float(steel.from_unit(0.5)), 3)
    2.715
    """

    name: str
    unit: str
    low: float
    high: float
    softening: float | None = None

    def __post_init__(self) -> None:
        texts: list[object] = [self.name, self.unit]
        if not (self.name and all(isinstance(text, str) for text in texts)):
            raise DataError(
                "a deformation needs a name, e.g. 'thickness', and a unit ('' without one), got "
                f"{self.name!r} and {self.unit!r}"
            )
        if not (is_number(self.low) and is_number(self.high) and _is_range(self.low, self.high)):
            raise DataError(
                f"{self.name}: expected a range from low to high with low < high, got {self.low} "
                f"to {self.high}"
            )
        if self.softening is not None and not self._softens(self.softening):
            raise DataError(
                f"{self.name}: expected a softening above {-self.low:g}, as the coordinate is "
                f"log(value + softening) and the values start at {self.low:g}; got "
                f"{self.softening!r} (low + softening is from {_SOFTENINGS[0]:g} to "
                f"{_SOFTENINGS[1]:g} times the range)"
            )

    def _softens(self, softening: float) -> bool:
        if not is_number(softening):
            return False
        least, most = (part * (self.high - self.low) for part in _SOFTENINGS)
        return bool(least <= self.low + softening <= most)

    def describe(self) -> str:
        """Name and range in words, for messages."""
        return f"{self.name} from {self.low:g} to {self.high:g} {self.unit}".rstrip()

    @property
    def starts_at_nothing(self) -> bool:
        """Whether the range begins at the zero of what cannot be less, as a thickness."""
        return self.softening is not None and self.low == 0.0

    def to_unit(self, values: npt.ArrayLike) -> FloatArray:
        """Unit coordinate of values: 0 at `low`, 1 at `high`; outside of them it goes on.

        Parameters
        ----------
        values : array_like, in the unit of the deformation

        Raises
        ------
        DataError
            If a value has no logarithm: it is ``-softening`` or less.
        """
        given = np.asarray(values, dtype=np.float64)
        if self.softening is None:
            return (given - self.low) / (self.high - self.low)
        softened = given + self.softening
        if not np.all(softened > 0):
            raise DataError(
                f"{self.name}: expected values above {-self.softening:g}, got "
                f"{np.min(given) if given.size else given}"
            )
        low = self.low + self.softening
        return np.log(softened / low) / np.log((self.high + self.softening) / low)

    def from_unit(self, u: npt.ArrayLike) -> FloatArray:
        """Values in their unit: the inverse of :meth:`to_unit`; exact at both ends.

        Parameters
        ----------
        u : array_like
            Unit coordinates.
        """
        given = np.asarray(u, dtype=np.float64)
        if self.softening is None:
            return np.where(given == 1.0, self.high, self.low + given * (self.high - self.low))
        low = self.low + self.softening
        values = low * ((self.high + self.softening) / low) ** given - self.softening
        return np.where(given == 0.0, self.low, np.where(given == 1.0, self.high, values))

    def slope(self, values: npt.ArrayLike) -> FloatArray:
        """Derivative of :meth:`to_unit` by the value, per unit.

        Parameters
        ----------
        values : array_like, in the unit of the deformation
        """
        given = np.asarray(values, dtype=np.float64)
        if self.softening is None:
            return np.full_like(given, 1.0 / (self.high - self.low))
        span = np.log((self.high + self.softening) / (self.low + self.softening))
        return 1.0 / ((given + self.softening) * span)

    def inside(self, value: float) -> float:
        """The value itself, moved to the end of the range that rounding took it across.

        Raises
        ------
        DataError
            If the value is not within the range.
        """
        room = _ROUNDING * (self.high - self.low)
        if not self.low - room <= value <= self.high + room:
            raise DataError(f"the signatures cover {self.describe()}, but were asked for {value:g}")
        return float(min(max(value, self.low), self.high))


@runtime_checkable
class SignatureModel(Protocol):
    """Signatures of k sources that deform along d coordinates.

    Tabulated, interpolated and learned models are interchangeable: a fit asks for no more.
    """

    @property
    def axis(self) -> Axis:
        """Axis of the signatures."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the k sources."""

    @property
    def deformations(self) -> tuple[Deformation, ...]:
        """The d coordinates, usually one."""

    def signature(self, values: npt.ArrayLike) -> FloatArray:
        """Signatures at values (d,) in their units: (k, n_channels), rows >= 0 that sum to one."""

    def derivative(self, values: npt.ArrayLike) -> FloatArray:
        """Derivatives of the signatures by the values, (d, k, n_channels)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TabulatedSignature:
    """Signatures on equally spaced nodes of the unit coordinates; itself a signature model.

    Between nodes the parabolas through three neighbours are blended (a Catmull-Rom cubic; Catmull
    and Rom 1974, doi:10.1016/B978-0-12-079050-0.50020-5), so that the derivative is continuous; in
    several coordinates the interpolation is the tensor product. What falls below zero between nodes
    becomes zero, and the rows are brought to unit area again.

    Parameters
    ----------
    axis : Axis
        Axis of the signatures.
    names : sequence of str, length k
        Names of the sources, each once.
    deformations : sequence of Deformation, length d
        The coordinates, each with its own name.
    table : array_like, shape (m_1, ..., m_d, k, n_channels)
        Signatures: zero or more, sum over channels one. Node i of coordinate j lies at the unit
        coordinate i / (m_j - 1); at least three nodes each.

    Raises
    ------
    AxisError
        If the axis has another number of channels.
    DataError
        If shapes do not agree, a name occurs twice, or a signature is negative, not finite or not
        of unit area.
    """

    axis: Axis
    names: tuple[str, ...]
    deformations: tuple[Deformation, ...]
    table: FloatArray

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "names", tuple(str(name) for name in self.names))
        put(self, "deformations", tuple(self.deformations))
        table = np.ascontiguousarray(self.table, dtype=np.float64).view()
        _require_distinct(self.names, "source")
        _require_distinct([one.name for one in self.deformations], "deformation")
        d, k = len(self.deformations), len(self.names)
        if table.ndim != d + 2 or table.shape[-2] != k:
            raise DataError(
                f"expected a table of shape (nodes of each of {d} deformation(s), {k} sources, "
                f"channels), got {table.shape}"
            )
        if table.shape[-1] != self.axis.n_channels:
            raise AxisError(
                f"the table has {table.shape[-1]} channels, the axis has {self.axis.describe()}"
            )
        if min(table.shape[:d]) < _LEAST_NODES:
            raise DataError(
                f"expected at least {_LEAST_NODES} nodes along each deformation, got "
                f"{table.shape[:d]}"
            )
        _require_signatures(table, self.names)
        table.flags.writeable = False
        put(self, "table", table)

    @staticmethod
    def from_model(
        model: SignatureModel, n_nodes: int | Sequence[int] = N_NODES
    ) -> TabulatedSignature:
        """Ask a model for its signatures on equally spaced nodes.

        Parameters
        ----------
        model : SignatureModel
            With k sources and d deformations.
        n_nodes : int or sequence of int, length d
            Nodes along each deformation, at least three.

        Raises
        ------
        DataError
            If there are too few nodes, or the model gives what is no signature.
        """
        deformations = model.deformations
        numbers = _per_deformation(n_nodes, len(deformations))
        if len(numbers) != len(deformations) or not all(n >= _LEAST_NODES for n in numbers):
            raise DataError(
                f"expected at least {_LEAST_NODES} nodes along each of {len(deformations)} "
                f"deformation(s), got {n_nodes}"
            )
        nodes = [
            one.from_unit(np.linspace(0.0, 1.0, n))
            for one, n in zip(deformations, numbers, strict=True)
        ]
        table = np.empty((*numbers, len(model.names), model.axis.n_channels))
        for place in np.ndindex(*numbers):
            values = np.array([line[i] for line, i in zip(nodes, place, strict=True)])
            table[place] = model.signature(values)
        return TabulatedSignature(model.axis, model.names, deformations, table)

    @property
    def n_nodes(self) -> tuple[int, ...]:
        """Nodes along each deformation."""
        return self.table.shape[:-2]

    def signature(self, values: npt.ArrayLike) -> FloatArray:
        """Signatures of all sources.

        Parameters
        ----------
        values : array_like, shape (d,) or a number if d is one
            Values of the deformations in their units.

        Returns
        -------
        ndarray, shape (k, n_channels)
            Zero or more, each row sums to one.

        Raises
        ------
        DataError
            If there are not d values, or one lies outside its range.
        """
        rows = np.maximum(self._blend(as_values(self.deformations, values), None), 0.0)
        return rows / rows.sum(axis=1, keepdims=True)

    def derivative(self, values: npt.ArrayLike) -> FloatArray:
        """Exact derivative of :meth:`signature` by the values in their units.

        Parameters
        ----------
        values : array_like, shape (d,) or a number if d is one
            Values of the deformations in their units.

        Returns
        -------
        ndarray, shape (d, k, n_channels)
            Each row sums to zero.

        Raises
        ------
        DataError
            If there are not d values, or one lies outside its range.
        """
        point = as_values(self.deformations, values)
        blended = self._blend(point, None)
        rows = np.maximum(blended, 0.0)
        areas = rows.sum(axis=1, keepdims=True)
        slopes = []
        for j, (one, value) in enumerate(zip(self.deformations, point, strict=True)):
            slope = np.where(blended > 0.0, self._blend(point, j), 0.0) * one.slope(value)
            slopes.append((slope - rows / areas * slope.sum(axis=1, keepdims=True)) / areas)
        return np.stack(slopes)

    def select(self, names: Sequence[str]) -> TabulatedSignature:
        """Signatures of some sources, in the order given.

        Raises
        ------
        LabelError
            If a name is not there.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise LabelError(
                f"there is no signature of {', '.join(unknown)}; there are {', '.join(self.names)}"
            )
        rows = [self.names.index(name) for name in names]
        return TabulatedSignature(
            self.axis, tuple(names), self.deformations, self.table[..., rows, :]
        )

    def _blend(self, point: FloatArray, by: int | None) -> FloatArray:
        """Interpolated rows; with `by`, their derivative by that unit coordinate instead."""
        weights = []
        block: Any = self.table
        for j, (one, value) in enumerate(zip(self.deformations, point, strict=True)):
            nodes = np.linspace(0.0, 1.0, self.table.shape[j])
            u = float(np.clip(one.to_unit(value), 0.0, 1.0))
            first, used, value_weights, slope_weights = layer_weights(nodes, u)
            weights.append((slope_weights if j == by else value_weights)[:used])
            block = block[(slice(None),) * j + (slice(first, first + used),)]
        for weight in weights:
            block = np.tensordot(weight, block, axes=1)
        return np.asarray(block)

    def __repr__(self) -> str:
        coordinates = ", ".join(one.describe() for one in self.deformations)
        return (
            f"<TabulatedSignature: {', '.join(self.names)}; {coordinates}; "
            f"{' x '.join(map(str, self.n_nodes))} nodes on {self.axis.describe()}>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies, and what worker processes receive, are read-only, too.
        return TabulatedSignature, (self.axis, self.names, self.deformations, self.table)


def join_signatures(
    models: Sequence[SignatureModel], n_nodes: int | Sequence[int] = N_NODES
) -> TabulatedSignature:
    """Models of different sources as one, e.g. autoencoders trained on one source each.

    Parameters
    ----------
    models : sequence of SignatureModel
        On one axis, along the same deformations with the same ranges.
    n_nodes : int or sequence of int
        Nodes along each deformation; tables that have as many already are taken as they are.

    Raises
    ------
    AxisError
        If two models lie on different axes.
    DataError
        If there is no model, the deformations differ, or a source occurs twice.
    """
    if not models:
        raise DataError("there are no signature models to join")
    first = models[0]
    for other in models[1:]:
        require_same_axis(first.axis, other.axis, "joining signatures")
        if other.deformations != first.deformations:
            raise DataError(
                "signatures can be joined if they deform along the same coordinates, but "
                f"{', '.join(first.names)} has {_all(first.deformations)} and "
                f"{', '.join(other.names)} has {_all(other.deformations)}"
            )
    numbers = _per_deformation(n_nodes, len(first.deformations))
    tables = [
        model
        if isinstance(model, TabulatedSignature) and model.n_nodes == numbers
        else TabulatedSignature.from_model(model, n_nodes)
        for model in models
    ]
    names = tuple(name for model in models for name in model.names)
    table = np.concatenate([one.table for one in tables], axis=-2)
    return TabulatedSignature(first.axis, names, first.deformations, table)


def as_values(deformations: Sequence[Deformation], values: npt.ArrayLike) -> FloatArray:
    """One value per deformation, checked to lie within its range.

    Parameters
    ----------
    deformations : sequence of Deformation, length d
    values : array_like, shape (d,) or a number if d is one

    Raises
    ------
    DataError
        If there are not d values, or one lies outside its range.
    """
    given = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if given.shape != (len(deformations),):
        raise DataError(
            f"expected one value for each of {len(deformations)} deformation(s) "
            f"({_all(deformations)}), got shape {given.shape}"
        )
    return np.array(
        [one.inside(float(value)) for one, value in zip(deformations, given, strict=True)]
    )


def _per_deformation(n_nodes: int | Sequence[int], d: int) -> tuple[int, ...]:
    return (int(n_nodes),) * d if isinstance(n_nodes, (int, np.integer)) else tuple(n_nodes)


def _is_range(low: float, high: float) -> bool:
    return -_MOST_VALUE < low < high < _MOST_VALUE


def _all(deformations: Sequence[Deformation]) -> str:
    return "; ".join(one.describe() for one in deformations)


def _require_distinct(names: Sequence[str], what: str) -> None:
    if not names:
        raise DataError(f"signatures need at least one {what}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"each {what} is named once, but {', '.join(twice)} is there several times")


def _require_signatures(table: FloatArray, names: Sequence[str]) -> None:
    if not np.isfinite(table).all() or table.min() < 0:
        raise DataError("signatures hold finite numbers that are zero or more")
    areas = table.sum(axis=-1)
    wrong = np.argwhere(np.abs(areas - 1.0) > _AREA_TOLERANCE)
    if len(wrong):
        area = areas[tuple(wrong[0])]
        raise DataError(
            f"signatures sum to one over the channels, but one of {names[wrong[0][-1]]} sums to "
            f"{area:g}: divide each by its sum"
        )
