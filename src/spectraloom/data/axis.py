"""The axis of a spectrum: bin edges or points, their unit, and how they were calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.errors import AxisError, CalibrationError

CalibrationModel = Literal["polynomial", "full range fraction", "lower edges"]
_NEWTON_STEPS = 8


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a channel number becomes a coordinate; kept so that files can be written exactly.

    Parameters
    ----------
    model : {"polynomial", "full range fraction", "lower edges"}
        ``polynomial``: E(i) = sum_k c_k i^k at the lower edge of channel i.
        ``full range fraction`` (ANSI N42.42, GADRAS): with x = i / n,
        E = c_0 + c_1 x + c_2 x^2 + c_3 x^3 + c_4 / (1 + 60 x).
        ``lower edges``: the edges themselves are the calibration.
    coefficients : tuple of float
        Coefficients of the model; empty for ``lower edges``.
    """

    model: CalibrationModel
    coefficients: tuple[float, ...] = ()

    def evaluate(self, channel: npt.ArrayLike, n_channels: int) -> FloatArray:
        """Coordinate at (fractional) `channel`.

        Parameters
        ----------
        channel : array_like
            Channel numbers; an integer is the lower edge of that channel.
        n_channels : int
            Number of channels of the axis.
        """
        i = np.asarray(channel, dtype=float)
        if self.model == "polynomial":
            return np.asarray(np.polynomial.polynomial.polyval(i, self.coefficients), dtype=float)
        if self.model == "full range fraction":
            x = i / n_channels
            cubic = np.polynomial.polynomial.polyval(x, self.coefficients[:4])
            if len(self.coefficients) > 4:
                cubic = cubic + self.coefficients[4] / (1.0 + 60.0 * x)
            return np.asarray(cubic, dtype=float)
        raise CalibrationError("an axis given by its lower edges has no formula to evaluate")

    def slope(self, channel: npt.ArrayLike, n_channels: int) -> FloatArray:
        """Derivative of :meth:`evaluate` with respect to the channel number."""
        i = np.asarray(channel, dtype=float)
        if self.model == "polynomial":
            derivative = np.polynomial.polynomial.polyder(np.asarray(self.coefficients))
            return np.asarray(np.polynomial.polynomial.polyval(i, derivative), dtype=float)
        x = i / n_channels
        derivative = np.polynomial.polynomial.polyder(np.asarray(self.coefficients[:4]))
        value = np.polynomial.polynomial.polyval(x, derivative)
        if len(self.coefficients) > 4:
            value = value - 60.0 * self.coefficients[4] / (1.0 + 60.0 * x) ** 2
        return np.asarray(value / n_channels, dtype=float)


def shift_polynomial(coefficients: Sequence[float], shift: float) -> tuple[float, ...]:
    """Coefficients of p(i + shift), exactly.

    A calibration that gives channel *centres* becomes one for lower edges with ``shift=-0.5``.

    Examples
    --------
    >>> shift_polynomial((1.0, 2.0), -0.5)
    (0.0, 2.0)
    """
    shifted = [0.0]
    for coefficient in reversed([float(c) for c in coefficients]):  # Horner, in (i + shift)
        times_i, times_shift = [0.0, *shifted], [*(c * shift for c in shifted), 0.0]
        shifted = [one + other for one, other in zip(times_i, times_shift, strict=True)]
        shifted[0] += coefficient
    return tuple(shifted[: len(coefficients)])


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Axis:
    """Bin edges or points on which spectra lie.

    Build one with the class methods rather than directly.

    Parameters
    ----------
    values : ndarray
        Strictly increasing. Edges, shape (n_channels + 1,), if `binned`; else points,
        shape (n_channels,).
    binned : bool
        Whether `values` are bin edges.
    quantity : str
        What is measured along the axis: ``energy``, ``wavelength``, ``shift``, ``time`` ...
        ``channel`` means *uncalibrated*.
    unit : str
        Unit of `values`, e.g. ``keV``.
    calibration : Calibration or None
        The formula the values came from, where there is one.

    Raises
    ------
    AxisError
        If the values are not one-dimensional, finite and strictly increasing.
    """

    values: FloatArray
    binned: bool = True
    quantity: str = "energy"
    unit: str = "keV"
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        # Adding zero turns -0.0 into 0.0: equal axes have equal bytes, and so equal hashes.
        values = np.array(self.values, dtype=np.float64) + 0.0
        least = 2 if self.binned else 1
        if values.ndim != 1 or values.size < least:
            raise AxisError(
                f"an axis needs a one-dimensional array of at least {least} "
                f"{'edges' if self.binned else 'points'}, got shape {values.shape}"
            )
        if not np.isfinite(values).all():
            raise CalibrationError("the axis holds values that are not finite numbers")
        steps = np.diff(values)
        if steps.size and not steps.min() > 0:
            first = int(np.argmin(steps > 0))
            raise CalibrationError(
                f"the axis must increase strictly, but at channel {first} it goes from "
                f"{values[first]:g} to {values[first + 1]:g} {self.unit}"
            )
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    # -- ways to build one ---------------------------------------------------------------

    @classmethod
    def from_polynomial(
        cls,
        coefficients: Sequence[float],
        n_channels: int,
        *,
        quantity: str = "energy",
        unit: str = "keV",
    ) -> Axis:
        """Axis with lower edges E(i) = sum_k c_k i^k.

        Parameters
        ----------
        coefficients : sequence of float
            Offset first, then slope, and so on.
        n_channels : int
            Number of channels.
        quantity, unit : str
            What the axis measures, and in which unit.
        """
        return cls._from_formula("polynomial", coefficients, n_channels, quantity, unit)

    @classmethod
    def from_full_range_fraction(
        cls,
        coefficients: Sequence[float],
        n_channels: int,
        *,
        quantity: str = "energy",
        unit: str = "keV",
    ) -> Axis:
        """Axis by the full-range-fraction formula of ANSI N42.42 (see :class:`Calibration`)."""
        return cls._from_formula("full range fraction", coefficients, n_channels, quantity, unit)

    @classmethod
    def _from_formula(
        cls,
        model: CalibrationModel,
        coefficients: Sequence[float],
        n_channels: int,
        quantity: str,
        unit: str,
    ) -> Axis:
        if n_channels < 1:
            raise AxisError(f"an axis needs at least one channel, got {n_channels}")
        if len(coefficients) < 2:
            raise CalibrationError(
                f"a {model} calibration needs at least offset and slope, got {len(coefficients)} "
                "coefficient(s)"
            )
        calibration = Calibration(model, tuple(float(c) for c in coefficients))
        edges = calibration.evaluate(np.arange(n_channels + 1), n_channels)
        return cls(edges, True, quantity, unit, calibration)

    @classmethod
    def from_edges(
        cls, edges: npt.ArrayLike, *, quantity: str = "energy", unit: str = "keV"
    ) -> Axis:
        """Axis from all n_channels + 1 bin edges."""
        values = np.asarray(edges, dtype=float)
        return cls(values, True, quantity, unit, Calibration("lower edges"))

    @classmethod
    def from_lower_edges(
        cls, lower_edges: npt.ArrayLike, *, quantity: str = "energy", unit: str = "keV"
    ) -> Axis:
        """Axis from n_channels lower edges; the last bin is as wide as the one before it."""
        lower = np.asarray(lower_edges, dtype=float)
        if lower.ndim != 1 or lower.size < 2:
            raise AxisError(f"need at least two lower edges, got shape {lower.shape}")
        edges = np.append(lower, 2.0 * lower[-1] - lower[-2])
        return cls(edges, True, quantity, unit, Calibration("lower edges"))

    @classmethod
    def from_points(
        cls, points: npt.ArrayLike, *, quantity: str = "energy", unit: str = "keV"
    ) -> Axis:
        """Axis of sampled points, without bins."""
        return cls(np.asarray(points, dtype=float), False, quantity, unit)

    @classmethod
    def regular(
        cls,
        low: float,
        high: float,
        n_channels: int,
        *,
        quantity: str = "energy",
        unit: str = "keV",
    ) -> Axis:
        """Axis of `n_channels` equally wide bins between `low` and `high`."""
        width = (high - low) / n_channels if n_channels > 0 else 0.0
        return cls.from_polynomial((low, width), n_channels, quantity=quantity, unit=unit)

    @classmethod
    def uncalibrated(cls, n_channels: int) -> Axis:
        """Axis that knows its channels only; nothing is invented."""
        return _channel_axis(int(n_channels))

    # -- what it is ----------------------------------------------------------------------

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.values.size - 1 if self.binned else self.values.size

    @property
    def is_calibrated(self) -> bool:
        """Whether the axis measures something else than channel numbers."""
        return self.quantity != "channel"

    @property
    def edges(self) -> FloatArray:
        """Bin edges, shape (n_channels + 1,).

        Raises
        ------
        AxisError
            If the axis is made of points.
        """
        if not self.binned:
            raise AxisError(
                f"{self.describe()} is made of points and has no bins; "
                "use Axis.from_edges if the values are integrals over bins"
            )
        return self.values

    @property
    def centers(self) -> FloatArray:
        """Bin centres, or the points themselves, shape (n_channels,)."""
        return 0.5 * (self.values[1:] + self.values[:-1]) if self.binned else self.values

    @property
    def widths(self) -> FloatArray:
        """Bin widths, shape (n_channels,)."""
        return np.diff(self.edges)

    def describe(self) -> str:
        """One line for messages: channels, range and quantity."""
        if not self.is_calibrated:
            return f"{self.n_channels} channels, uncalibrated"
        span = f"{self.values[0]:.6g} to {self.values[-1]:.6g} {self.unit}"
        return (
            f"{self.n_channels} {'channels' if self.binned else 'points'}, {span} ({self.quantity})"
        )

    def __repr__(self) -> str:
        return f"<Axis: {self.describe()}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies, and what worker processes receive, are read-only, too.
        return Axis, (self.values, self.binned, self.quantity, self.unit, self.calibration)

    # -- comparing -----------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Axis):
            return NotImplemented
        return self._same_kind(other) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.quantity, self.unit, self.values.tobytes()))

    def isclose(self, other: Axis, *, tolerance: float = 1e-6) -> bool:
        """Whether `other` is the same axis up to `tolerance` of a mean channel width."""
        if self == other:
            return True
        if not self._same_kind(other) or self.values.size != other.values.size:
            return False
        if self.values.size < 2:
            return bool(np.allclose(self.values, other.values))
        width = (self.values[-1] - self.values[0]) / (self.values.size - 1)
        return bool(np.abs(self.values - other.values).max() <= tolerance * width)

    def _same_kind(self, other: Axis) -> bool:
        return (self.quantity, self.unit, self.binned) == (
            other.quantity,
            other.unit,
            other.binned,
        )

    # -- moving between channels and coordinates -------------------------------------------

    def value_at(self, channel: npt.ArrayLike) -> FloatArray:
        """Coordinate at a (fractional) channel number.

        On a binned axis an integer is the lower edge of that channel; on points it is the point.
        Outside the axis the answer is nan.
        """
        i = np.asarray(channel, dtype=float)
        last = self.values.size - 1
        inside = (i >= 0) & (i <= last)
        if self._has_formula and self.calibration is not None:
            value = self.calibration.evaluate(i, self.n_channels)
        else:
            value = np.interp(i, np.arange(last + 1), self.values)
        return np.where(inside, value, np.nan)

    def channel_at(self, value: npt.ArrayLike) -> FloatArray:
        """Fractional channel number of a coordinate: the inverse of :meth:`value_at`.

        Calibration formulas are inverted by Newton steps from the linear interpolation between
        edges. Outside the axis the answer is nan.
        """
        target = np.asarray(value, dtype=float)
        last = self.values.size - 1
        channel = np.interp(target, self.values, np.arange(last + 1))
        if self._has_formula and self.calibration is not None:
            low, high = np.floor(channel), np.ceil(channel)
            for _ in range(_NEWTON_STEPS):
                error = self.calibration.evaluate(channel, self.n_channels) - target
                slope = self.calibration.slope(channel, self.n_channels)
                step = np.divide(error, slope, out=np.zeros_like(error), where=slope != 0)
                channel = np.clip(channel - step, low, high)
        inside = (target >= self.values[0]) & (target <= self.values[-1])
        return np.where(inside, channel, np.nan)

    @property
    def _has_formula(self) -> bool:
        return self.calibration is not None and self.calibration.model != "lower edges"

    def window(self, low: float, high: float) -> slice:
        """Channels whose centres lie in [low, high].

        Raises
        ------
        AxisError
            If no channel does.
        """
        centers = self.centers
        start = int(np.searchsorted(centers, low, side="left"))
        stop = int(np.searchsorted(centers, high, side="right"))
        if stop <= start:
            raise AxisError(
                f"no channel lies between {low:g} and {high:g} {self.unit}; "
                f"the axis has {self.describe()}"
            )
        return slice(start, stop)

    def __getitem__(self, channels: slice) -> Axis:
        """Sub-axis of a contiguous slice of channels; a formula keeps its exact meaning."""
        start, stop, step = channels.indices(self.n_channels)
        if step != 1 or stop <= start:
            raise AxisError(f"an axis can be cut by a contiguous slice of channels, got {channels}")
        if start == 0 and stop == self.n_channels:
            return self
        values = self.values[start : stop + 1] if self.binned else self.values[start:stop]
        calibration = self.calibration
        if calibration is not None and calibration.model == "polynomial":
            shifted = shift_polynomial(calibration.coefficients, start)
            calibration = Calibration("polynomial", shifted)
        elif calibration is not None:
            calibration = Calibration("lower edges")
        return Axis(values, self.binned, self.quantity, self.unit, calibration)

    # -- storing -------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything but the values, ready for JSON."""
        return {
            "binned": self.binned,
            "quantity": self.quantity,
            "unit": self.unit,
            "calibration": None
            if self.calibration is None
            else {
                "model": self.calibration.model,
                "coefficients": list(self.calibration.coefficients),
            },
        }

    @classmethod
    def from_dict(cls, values: npt.ArrayLike, settings: Mapping[str, Any]) -> Axis:
        """Axis from its values and what :meth:`to_dict` gave."""
        stored = settings.get("calibration")
        calibration = (
            Calibration(stored["model"], tuple(float(c) for c in stored["coefficients"]))
            if stored
            else None
        )
        return cls(
            np.asarray(values, dtype=float),
            bool(settings["binned"]),
            str(settings["quantity"]),
            str(settings["unit"]),
            calibration,
        )


def require_same_axis(expected: Axis, found: Axis, doing: str = "this") -> None:
    """Raise an error that names both axes unless they agree.

    Raises
    ------
    AxisError
        If `found` differs from `expected` by more than a millionth of a channel.
    """
    if not expected.isclose(found):
        raise AxisError(
            f"{doing} needs spectra on one axis, but one has {expected.describe()} and another "
            f"{found.describe()}: rebin first, e.g. spectraloom.process.rebin(spectra, axis)"
        )


@lru_cache(maxsize=64)
def _channel_axis(n_channels: int) -> Axis:
    if n_channels < 1:
        raise AxisError(f"an axis needs at least one channel, got {n_channels}")
    return Axis(np.arange(n_channels + 1.0), True, "channel", "channel")
