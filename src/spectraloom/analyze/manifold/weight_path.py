"""The path that barycentric weights take while a source deforms: monotone and smooth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline
from scipy.optimize import nnls

from spectraloom._typing import FloatArray
from spectraloom.errors import FitError, FormatError

_DEGREE = 3
_MOST_PIECES = 10
_PER_PIECE = 4  # spectra for each piece of the splines, at least
_ENDS = 1e3  # weight of the condition that the sums end at one
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class WeightPath:
    """Barycentric weights as functions of the unit coordinate.

    The anchors stand in the order of the deformation, so while it grows, weight moves from earlier
    anchors to later ones: the sum of the weights from anchor j on never falls. Each of these sums
    is a monotone spline; the weights are their differences, and lie on the simplex everywhere.
    Beyond the first and the last spectrum the weights are held constant.

    Parameters
    ----------
    knots : array_like, shape (m + degree + 1,)
        Knots of the splines, from the first to the last spectrum, within [0, 1].
    steps : array_like, shape (n_anchors - 1, m)
        Coefficients of the integrated B-splines, zero or more; each row sums to one.

    Raises
    ------
    FormatError
        If the numbers do not fit together.

    Notes
    -----
    Sums of integrated B-splines with coefficients of zero or more are monotone (Ramsay 1988,
    doi:10.1214/ss/1177012761).
    """

    knots: FloatArray
    steps: FloatArray

    def __post_init__(self) -> None:
        for name in ("knots", "steps"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        knots, steps = self.knots, self.steps
        if knots.ndim != 1 or steps.ndim != 2 or len(knots) != steps.shape[1] + _DEGREE:
            raise FormatError(
                f"a path of weights cannot have {knots.shape} knots and {steps.shape} steps"
            )
        sound = np.isfinite(knots).all() and np.isfinite(steps).all()
        if not (sound and (np.diff(knots) >= 0).all() and 0 <= knots[0] < knots[-1] <= 1):
            raise FormatError("the knots of a path of weights rise, and lie between 0 and 1")
        if steps.min() < 0 or np.abs(steps.sum(axis=1) - 1).max() > _ROUNDING:
            raise FormatError("the steps of a path of weights are zero or more and sum to one")

    @staticmethod
    def fit(places: FloatArray, weights: FloatArray) -> WeightPath:
        """Least-squares path through the weights of spectra.

        Parameters
        ----------
        places : ndarray, shape (n,)
            Unit coordinates, in [0, 1].
        weights : ndarray, shape (n, n_anchors)
            On the simplex, with the anchors in the order of the deformation.

        Raises
        ------
        FitError
            If there are fewer than two places or two anchors.
        """
        n_places = len(np.unique(places))
        if weights.shape[1] < 2 or n_places < 2:
            raise FitError(
                f"expected at least two places and two anchors, got {n_places} and "
                f"{weights.shape[1]}"
            )
        n_pieces = int(np.clip(n_places // _PER_PIECE, 1, _MOST_PIECES))
        low, *inner, high = np.quantile(np.unique(places), np.linspace(0.0, 1.0, n_pieces + 1))
        knots = np.concatenate([np.full(_DEGREE, low), inner, np.full(_DEGREE, high)])
        basis = _integrated(knots, places)
        system = np.vstack([basis, np.full(basis.shape[1], _ENDS)])
        steps = []
        for sums in _sums(weights).T:
            solution, _ = nnls(system, np.append(sums, _ENDS))
            steps.append(solution / solution.sum())
        return WeightPath(knots, np.array(steps))

    def at(self, places: npt.ArrayLike) -> FloatArray:
        """Weights at unit coordinates, shape (n, n_anchors): zero or more, rows sum to one."""
        sums = _integrated(self.knots, np.asarray(places, dtype=np.float64)) @ self.steps.T
        # Between the spectra two splines may cross by a little: later sums are never larger.
        sums = np.minimum.accumulate(np.clip(sums, 0.0, 1.0), axis=1)
        ones, zeros = np.ones((len(sums), 1)), np.zeros((len(sums), 1))
        return np.hstack([ones, sums]) - np.hstack([sums, zeros])


def _sums(weights: FloatArray) -> FloatArray:
    """Sum of the weights from every anchor but the first on, (n, n_anchors - 1)."""
    return np.cumsum(weights[:, :0:-1], axis=1)[:, ::-1]


def _integrated(knots: FloatArray, places: FloatArray) -> FloatArray:
    """B-splines of one degree less, integrated and scaled to end at one, (n, m)."""
    m = len(knots) - _DEGREE
    integral = BSpline(knots, np.eye(m), _DEGREE - 1).antiderivative()
    inside = np.clip(places, knots[0], knots[-1])
    # The integral of a B-spline is the length of its support over its order.
    areas = (knots[_DEGREE:] - knots[:-_DEGREE]) / _DEGREE
    return np.asarray(integral(inside) / areas)
