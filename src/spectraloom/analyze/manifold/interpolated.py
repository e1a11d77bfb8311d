"""Signatures interpolated between a few smooth knots, from labelled spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline, PchipInterpolator

from spectraloom._typing import Array, FloatArray
from spectraloom.analyze.manifold.signature import Deformation, as_values
from spectraloom.data import Axis, Spectra
from spectraloom.data.library import single_labels
from spectraloom.errors import AxisError, DataError, FitError

Interpolation: TypeAlias = Literal["natural", "monotone"]

# Of the integrated squared second derivative of the logarithm. It decides only where there are next
# to no counts: with a tenth of it or ten times as much, amounts found with the steel-sphere
# signatures are as good.
_ROUGHNESS = 0.01
# Of the squared slope: enough for a unique answer where one spectrum is all there is.
_SLOPE = 1e-6
_INTENSITY_COUNTS = 1e6  # that a spectrum without counting statistics is taken for
_EMPTY = -800.0  # logarithm of a channel that never had a count: its exponential is zero
_STEPS = 200
_HALVINGS = 40
_LARGEST_LOG = 100.0
_CONVERGED = 1e-12  # of the loss, that a further step would gain


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InterpolatedSignature:
    """Signatures whose logarithm is a cubic through a few knots along one deformation.

    In every channel the logarithm of the signature is a natural cubic spline, or a monotone cubic
    (Fritsch and Butland 1984), of the unit coordinate; the signatures are then brought to unit
    area. A source is held constant beyond the range of its own training spectra, so one that was
    seen behind a single shield does not deform.

    Build one with :meth:`from_spectra` rather than directly.

    Parameters
    ----------
    axis : Axis
    names : sequence of str, length k
    deformation : Deformation
    knots : array_like, shape (m,)
        Values in the unit of the deformation, from its low to its high end.
    log_values : array_like, shape (m, k, n_channels)
        Logarithm of the signatures at the knots; -800 stands for nothing.
    ranges : array_like, shape (k, 2)
        First and last value at which each source was seen.
    interpolation : {"natural", "monotone"}

    Raises
    ------
    DataError
        If shapes do not agree, or the knots do not run from end to end.
    AxisError
        If the axis has another number of channels.

    References
    ----------
    F. N. Fritsch, J. Butland, SIAM J. Sci. Stat. Comput. 5 (1984) 300, doi:10.1137/0905021.
    """

    axis: Axis
    names: tuple[str, ...]
    deformation: Deformation
    knots: FloatArray
    log_values: FloatArray
    ranges: FloatArray
    interpolation: Interpolation = "natural"
    _curve: Any = field(init=False)
    _slope: Any = field(init=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "names", tuple(str(name) for name in self.names))
        for name in ("knots", "log_values", "ranges"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.flags.writeable = False
            put(self, name, array)
        _require_knots(self.knots, self.deformation)
        shape = (len(self.knots), len(self.names), self.axis.n_channels)
        if self.log_values.shape[2:] != shape[2:]:
            raise AxisError(
                f"the signatures have shape {self.log_values.shape}, the axis has "
                f"{self.axis.describe()}"
            )
        if self.log_values.shape != shape or self.ranges.shape != (len(self.names), 2):
            raise DataError(
                f"expected logarithms of shape {shape} and ranges of shape ({len(self.names)}, 2), "
                f"got {self.log_values.shape} and {self.ranges.shape}"
            )
        if self.interpolation not in get_args(Interpolation):
            raise DataError(
                f"expected the interpolation 'natural' or 'monotone', got {self.interpolation!r}"
            )
        places = self.deformation.to_unit(self.knots)
        curve: Any
        if self.interpolation == "monotone":
            curve = PchipInterpolator(places, self.log_values, axis=0)
        else:
            curve = CubicSpline(places, self.log_values, axis=0, bc_type="natural")
        put(self, "_curve", curve)
        put(self, "_slope", curve.derivative())

    @staticmethod
    def from_spectra(
        spectra: Spectra,
        deformation: str | Deformation = "thickness",
        *,
        knots: int | Sequence[float] = 7,
        unit: str = "mm",
        softening: float | None = 0.3,
        interpolation: Interpolation = "natural",
        labels: str = "labels",
    ) -> InterpolatedSignature:
        """Fit the knots to all training spectra of each source.

        With m knots the logarithm of each channel has m free values. They maximise the Poisson
        likelihood of all training spectra at once, less a weak penalty on roughness (Green and
        Silverman 1994): with few knots the noise of the training spectra is averaged, and channels
        without counts at some thicknesses need no floor. If there are spectra at the knots only,
        they are interpolated.

        Parameters
        ----------
        spectra : Spectra
            Each with exactly one label, zero or more in every channel. Sources may be seen at
            different values of the deformation, and several times at one. Counts are best; what is
            not counts is weighted as counts of a million each.
        deformation : str or Deformation
            Column that holds the coordinate; its range is that of the training spectra. A
            `Deformation` gives name, unit, range and softening itself.
        knots : int or sequence of float
            How many, equally spaced along the (log) coordinate, or their values in the unit of the
            deformation, from end to end.
        unit : str
            Unit of the column, if `deformation` is its name; the default is that of a thickness.
        softening : float or None
            As in `Deformation`, in the unit of the column, if `deformation` is its name; the
            default is that of a thickness. For another coordinate, or a fixed range, give a
            `Deformation`.
        interpolation : {"natural", "monotone"}
            Between the knots: a natural cubic spline, or a cubic that never leaves the range of two
            neighbouring knots.
        labels : str
            Column that holds the labels.

        Raises
        ------
        LabelError
            If a column is absent.
        DataError
            If a spectrum has no label or several, or the knots do not run from end to end.
        FitError
            If there are no spectra, a coordinate is unknown or beyond the range, all coordinates
            are the same, a value is negative, or a source has no counts.

        References
        ----------
        P. J. Green, B. W. Silverman, Nonparametric Regression and Generalized Linear Models,
        Chapman and Hall 1994, doi:10.1201/b15710.
        """
        values = training_coordinates(spectra, deformation)
        if isinstance(deformation, str):
            low, high = float(values.min()), float(values.max())
            if low == high:
                raise FitError(
                    f"all training spectra have {deformation} {low:g}: expected at least two "
                    "different values"
                )
            deformation = Deformation(deformation, unit, low, high, softening)
        lines = _knots(knots, deformation)
        _require_knots(lines, deformation)
        places = deformation.to_unit(lines)
        given = single_labels(spectra, labels)
        names = tuple(sorted(set(given.tolist())))
        counts = _as_counts(spectra)
        log_values = np.empty((len(lines), len(names), spectra.n_channels))
        for j, name in enumerate(names):
            rows = given == name
            try:
                log_values[:, j] = _fit_knots(
                    counts[rows], deformation.to_unit(values[rows]), places
                )
            except FitError as error:
                raise FitError(f"{name}: {error}") from error
        ranges = [(values[given == name].min(), values[given == name].max()) for name in names]
        return InterpolatedSignature(
            spectra.axis, names, deformation, lines, log_values, np.array(ranges), interpolation
        )

    @property
    def deformations(self) -> tuple[Deformation, ...]:
        """The one deformation."""
        return (self.deformation,)

    def signature(self, values: npt.ArrayLike) -> FloatArray:
        """Signatures of all sources.

        Parameters
        ----------
        values : array_like, shape (1,) or a number
            Value of the deformation in its unit.

        Returns
        -------
        ndarray, shape (k, n_channels)
            Zero or more, each row sums to one.

        Raises
        ------
        DataError
            If the value lies outside the range.
        """
        return self._rows(values)[0]

    def derivative(self, values: npt.ArrayLike) -> FloatArray:
        """Derivative of :meth:`signature` by the value in its unit.

        Parameters
        ----------
        values : array_like, shape (1,) or a number
            Value of the deformation in its unit.

        Returns
        -------
        ndarray, shape (1, k, n_channels)
            Each row sums to zero; zero beyond the range of a source.

        Raises
        ------
        DataError
            If the value lies outside the range.
        """
        rows, slopes = self._rows(values)
        mean = np.sum(rows * slopes, axis=1, keepdims=True)
        return (rows * (slopes - mean))[np.newaxis]

    def _rows(self, values: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Signatures, and derivatives of their logarithms before they got unit area."""
        value = as_values(self.deformations, values)[0]
        held = np.clip(value, self.ranges[:, 0], self.ranges[:, 1])
        logs = np.empty(self.log_values.shape[1:])
        slopes = np.zeros_like(logs)
        for one in np.unique(held):
            rows = held == one
            place = self.deformation.to_unit(one)
            logs[rows] = self._curve(place)[rows]
            if one == value:
                slopes[rows] = self._slope(place)[rows] * self.deformation.slope(one)
        # The largest channel of a row is taken out, so that its exponential is one.
        rows = np.exp(logs - logs.max(axis=1, keepdims=True))
        return rows / rows.sum(axis=1, keepdims=True), slopes

    def __repr__(self) -> str:
        return (
            f"<InterpolatedSignature: {', '.join(self.names)}; {self.deformation.describe()}, "
            f"{len(self.knots)} knots ({self.interpolation}), on {self.axis.describe()}>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies, and what worker processes receive, are read-only, too.
        fields = (getattr(self, name) for name in self.__slots__ if not name.startswith("_"))
        return InterpolatedSignature, tuple(fields)


def training_coordinates(spectra: Spectra, deformation: str | Deformation) -> FloatArray:
    """Coordinates of training spectra, (n,), checked: known numbers within the range."""
    name = deformation if isinstance(deformation, str) else deformation.name
    column: Array = spectra.column(name)
    if not len(spectra):
        raise FitError("there are no training spectra")
    if column.dtype.kind not in "iuf":
        raise FitError(f"the column {name!r} holds {column.dtype}: expected numbers")
    values = column.astype(np.float64)
    unknown = np.count_nonzero(~np.isfinite(values))
    if unknown:
        raise FitError(
            f"{unknown} of {len(values)} training spectra have no {name}: leave them out, e.g. "
            "backgrounds"
        )
    if isinstance(deformation, Deformation):
        beyond = (values < deformation.low) | (values > deformation.high)
        if beyond.any():
            raise FitError(
                f"expected training spectra with {deformation.describe()}, but there is one with "
                f"{values[beyond][0]:g}"
            )
    return values


def _knots(knots: int | Sequence[float], deformation: Deformation) -> FloatArray:
    if isinstance(knots, (int, np.integer)):
        if knots < 2:
            raise DataError(f"expected at least two knots, got {knots}")
        return deformation.from_unit(np.linspace(0.0, 1.0, int(knots)))
    return np.asarray(knots, dtype=np.float64)


def _require_knots(knots: FloatArray, deformation: Deformation) -> None:
    if knots.ndim != 1 or len(knots) < 2 or not (np.diff(knots) > 0).all():
        raise DataError("expected at least two knots, each larger than the one before")
    if (knots[0], knots[-1]) != (deformation.low, deformation.high):
        raise DataError(
            f"expected knots over {deformation.describe()}, got {knots[0]:g} to {knots[-1]:g}"
        )


def _as_counts(spectra: Spectra) -> FloatArray:
    if spectra.kind == "complex":
        raise FitError("signatures are real: take the magnitude or the real part first")
    values = spectra.values.astype(np.float64)
    if values.min() < 0:
        raise FitError(
            "signatures are zero or more, but a training spectrum is negative: do not subtract a "
            "background from it, or set what is negative to zero"
        )
    if spectra.kind == "counts":
        return values
    totals = values.sum(axis=1, keepdims=True)
    return np.divide(values * _INTENSITY_COUNTS, totals, out=values, where=totals > 0)


def _fit_knots(counts: FloatArray, places: FloatArray, knots: FloatArray) -> FloatArray:
    """Logarithms at the knots, (m, n_channels), of one source.

    Parameters
    ----------
    counts : (n, n_channels)
    places, knots : (n,), (m,), unit coordinates
    """
    totals = counts.sum(axis=1)
    if not totals.any():
        raise FitError("its training spectra are empty")
    spline = CubicSpline(knots, np.eye(len(knots)), bc_type="natural")
    logs = np.full((len(knots), counts.shape[1]), _EMPTY)
    filled = counts.any(axis=0)
    logs[:, filled] = _penalised_logs(counts[:, filled], totals, spline(places), _penalty(spline))
    return logs


def _penalty(spline: CubicSpline[np.float64]) -> FloatArray:
    """Penalty matrix of knot values, (m, m); exact, as the integrands are piecewise polynomials."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    low, high = spline.x[:-1, np.newaxis], spline.x[1:, np.newaxis]
    at = (low + (high - low) * (nodes + 1) / 2).ravel()
    share = ((high - low) * weights / 2).ravel()
    bends, slopes = spline(at, 2), spline(at, 1)
    return np.asarray(_ROUGHNESS * (bends.T * share) @ bends + _SLOPE * (slopes.T * share) @ slopes)


def _penalised_logs(
    counts: FloatArray, totals: FloatArray, basis: FloatArray, penalty: FloatArray
) -> FloatArray:
    """Maximise the penalised Poisson likelihood in every channel by damped Newton steps.

    Parameters
    ----------
    counts : (n, c)
    totals : (n,)
        Counts of the whole spectra: a channel is expected to hold total * exp(basis @ logs).
    basis : (n, m)
    penalty : (m, m), positive definite but for a constant
    """
    used = totals > 0
    counts, totals, basis = counts[used], totals[used, np.newaxis], basis[used]

    def expected(logs: FloatArray) -> FloatArray:
        return totals * np.exp(np.minimum(basis @ logs, _LARGEST_LOG))

    def loss(logs: FloatArray, counts: FloatArray) -> FloatArray:
        misfit = (expected(logs) - counts * (basis @ logs)).sum(axis=0)
        return misfit + 0.5 * np.sum(logs * (penalty @ logs), axis=0)

    logs = np.tile(np.log(counts.sum(axis=0) / totals.sum()), (basis.shape[1], 1))
    todo = np.arange(counts.shape[1])
    for _ in range(_STEPS):
        y, now = counts[:, todo], logs[:, todo]
        mu = expected(now)
        gradient = basis.T @ (y - mu) - penalty @ now
        curvature = np.einsum("nc,ni,nj->cij", mu, basis, basis, optimize=True) + penalty
        step = np.linalg.solve(curvature, gradient.T[..., np.newaxis])[..., 0].T
        before = loss(now, y)
        share, worse = np.ones(len(todo)), np.ones(len(todo), dtype=bool)
        for _ in range(_HALVINGS):
            worse = ~(loss(now + share * step, y) <= before)
            if not worse.any():
                break
            share[worse] /= 2
        logs[:, todo] += np.where(worse, 0.0, share) * step
        gain = np.sum(gradient * step, axis=0)
        todo = todo[~worse & (gain > _CONVERGED * (1.0 + np.abs(before)))]
        if not todo.size:
            break
    return logs
