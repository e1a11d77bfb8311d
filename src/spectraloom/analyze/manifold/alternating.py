"""SemSun's alternating scheme: the plain reference that the joint fit is compared with.

Amounts by expectation maximisation while the signatures are held, then the deformation by a bounded
search while the amounts are held, and again. It is slow, and shows what it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import xlogy

from spectraloom._typing import BoolArray, FloatArray, IntArray
from spectraloom.analyze.manifold.signature import Deformation, SignatureModel
from spectraloom.data import Spectra
from spectraloom.data.axis import Axis, require_same_axis
from spectraloom.errors import DataError

# As the reference has them.
_AMOUNT_STEPS = 1000
_AMOUNT_TOLERANCE = 1e-6  # mean relative change of the amounts

_STARTS = 5  # places along each deformation
_START_STEPS = 10
_FLOOR = 1e-10  # of the mean counts per channel: the least that is expected anywhere


@dataclass(frozen=True, slots=True, eq=False)
class AlternatingFit:
    """Fits of n spectra by the alternating scheme.

    Parameters
    ----------
    names : tuple of str, length k
        Names of the sources.
    amounts : ndarray, shape (n, k)
        Counts of each source.
    background : ndarray, shape (n,)
        Counts of the background; zero without one.
    values : ndarray, shape (n, d), or (n, k, d) with one deformation per source
        Values of the deformations in their units; nan for a spectrum without counts.
    loss : ndarray, shape (n,)
        Half the Poisson deviance: sum of mu - y + y log(y / mu) over the channels.
    iterations : ndarray of int, shape (n,)
        Times that amounts and deformation were found in turn.
    converged : ndarray of bool, shape (n,)
        Whether both came to rest before the iterations ended.
    """

    names: tuple[str, ...]
    amounts: FloatArray
    background: FloatArray
    values: FloatArray
    loss: FloatArray
    iterations: IntArray
    converged: BoolArray

    def __len__(self) -> int:
        return len(self.amounts)


def fit_alternating(
    spectra: Spectra,
    model: SignatureModel,
    background: Spectra | npt.ArrayLike | None = None,
    *,
    per_source: bool = False,
    tolerance: float = 1e-4,
    max_iterations: int = 100,
    progress: Callable[[float, str], None] | None = None,
) -> AlternatingFit:
    """Fit amounts and deformation in turn, as SemSun does.

    Each spectrum y is taken as Poisson counts around a_0 b + sum_k a_k X_k(values). In turn,

    1. the amounts are found by multiplicative steps a_k <- a_k sum_i X_ki y_i / mu_i, which
       maximise the likelihood for the present signatures, until their mean relative change is
       below 1e-6, or 1000 times;
    2. the deformation is found by a bounded search (L-BFGS-B) for the present amounts: one for all
       sources, as SemSun has it with a joint model, or one for each source in turn while the others
       are held, as with individual models.

    The loss never rises. It differs from the published programs in its derivatives, which are those
    of the model instead of finite differences, and in its start: the best of five equally spaced
    places along each deformation after ten steps of the amounts.

    Parameters
    ----------
    spectra : Spectra, kind counts
        On the axis of the model.
    model : SignatureModel
        With k sources and d deformations.
    background : Spectra or array_like, shape (n_channels,), optional
        Its shape; several spectra are added up.
    per_source : bool
        One deformation for each source instead of a common one.
    tolerance : float
        The fit ends when neither the amounts nor the signatures change by more than this part of
        their norm.
    max_iterations : int
        At most so many turns.
    progress : callable, optional

    Returns
    -------
    AlternatingFit

    Raises
    ------
    AxisError
        If spectra, model and background do not lie on one axis.
    DataError
        If the spectra are no counts, the background is negative or empty, or a setting is not
        positive.

    References
    ----------
    SemSun: amounts and signatures of gamma spectra under the Poisson likelihood by block
    coordinate descent; the multiplicative steps: L. A. Shepp, Y. Vardi, IEEE Trans. Med. Imaging 1
    (1982) 113, doi:10.1109/TMI.1982.4307558.
    """
    require_same_axis(model.axis, spectra.axis, "the alternating fit")
    if spectra.kind != "counts":
        raise DataError(f"the alternating fit takes counts, got spectra of kind {spectra.kind!r}")
    if not tolerance > 0 or max_iterations < 1:
        raise DataError(
            f"expected a positive tolerance and at least one iteration, got {tolerance} and "
            f"{max_iterations}"
        )
    shape = _background_shape(background, model.axis)
    scheme = _Scheme(model, shape, per_source, tolerance, max_iterations)
    n, k, d = len(spectra), len(model.names), len(model.deformations)
    amounts = np.zeros((n, k + len(shape)))
    values = np.full((n, k if per_source else 1, d), np.nan)
    loss = np.zeros(n)
    iterations = np.zeros(n, dtype=np.int64)
    converged = np.ones(n, dtype=bool)
    for row in range(n):
        y = spectra.values[row].astype(np.float64)
        if y.any():  # without counts nothing is known of the deformation
            amounts[row], values[row], loss[row], iterations[row], converged[row] = scheme.fit(y)
        if progress is not None:
            progress((row + 1) / n, "fitting in turn")
    return AlternatingFit(
        tuple(model.names),
        amounts[:, :k],
        amounts[:, k:].sum(axis=1),
        values if per_source else values[:, 0],
        loss,
        iterations,
        converged,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scheme:
    """The scheme for one spectrum; places are unit coordinates, (k or 1, d)."""

    model: SignatureModel
    background: FloatArray  # (1 or 0, n_channels)
    per_source: bool
    tolerance: float
    max_iterations: int

    def fit(self, y: FloatArray) -> tuple[FloatArray, FloatArray, float, int, bool]:
        a, places = self._start(y)
        X = self._columns(places)
        done, turn = False, 0
        while turn < self.max_iterations and not done:
            turn += 1
            old_a, old_X = a, X
            a = _amounts(y, X, a, _AMOUNT_STEPS)
            places, X = self._search(y, X, a, places)
            done = max(_change(a, old_a), _change(X, old_X)) < self.tolerance
        a = _amounts(y, X, a, _AMOUNT_STEPS)
        values = _in_units(places, self.model.deformations)
        return a, values, _loss(y, _expected(y, X, a)), turn, done

    def _start(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Amounts and a place common to all sources, the best of a few."""
        d = len(self.model.deformations)
        sources = len(self.model.names) if self.per_source else 1
        best = np.inf, np.empty(0), np.empty(0)
        for place in np.ndindex(*(_STARTS,) * d):
            places = np.tile(np.array(place) / (_STARTS - 1), (sources, 1))
            X = self._columns(places)
            a = _amounts(y, X, np.full(len(X), y.sum() / len(X)), _START_STEPS)
            loss = _loss(y, _expected(y, X, a))
            if loss < best[0]:
                best = loss, a, places
        return best[1], best[2]

    def _columns(self, places: FloatArray) -> FloatArray:
        """Signatures at places, and the background below them."""
        values = _in_units(places, self.model.deformations)
        if self.per_source:
            rows = np.stack([self.model.signature(v)[j] for j, v in enumerate(values)])
        else:
            rows = self.model.signature(values[0])
        return np.vstack([rows, self.background])

    def _search(
        self, y: FloatArray, X: FloatArray, a: FloatArray, places: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Places at which the loss is lower, and the signatures there."""
        k = len(self.model.names)
        for number in range(len(places)):
            rows = np.array([number]) if self.per_source else np.arange(k)
            held = _loss(y, _expected(y, X, a))
            found = minimize(
                self._loss_at,
                places[number],
                args=(y, X, a, rows),
                jac=True,
                method="L-BFGS-B",
                bounds=[(0.0, 1.0)] * places.shape[1],
                options={"maxiter": 100, "ftol": 1e-12, "gtol": 1e-8},
            )
            if found.fun < held:
                places = places.copy()
                places[number] = found.x
                X = self._columns(places)
        return places, X

    def _loss_at(
        self, place: FloatArray, y: FloatArray, X: FloatArray, a: FloatArray, rows: IntArray
    ) -> tuple[float, FloatArray]:
        """Loss with the sources `rows` at another place, and its derivative by that place."""
        deformations = self.model.deformations
        values = _in_units(place[np.newaxis], deformations)[0]
        moved = X.copy()
        moved[rows] = self.model.signature(values)[rows]
        mu = _expected(y, moved, a)
        by_value = np.einsum("k,dkc->dc", a[rows], self.model.derivative(values)[:, rows])
        slopes = [one.slope(value) for one, value in zip(deformations, values, strict=True)]
        return _loss(y, mu), (by_value @ (1.0 - y / mu)) / np.array(slopes)


def _amounts(y: FloatArray, X: FloatArray, a: FloatArray, steps: int) -> FloatArray:
    """Multiplicative steps of the amounts for columns of unit area."""
    for _ in range(steps):
        better = a * (X @ (y / _expected(y, X, a)))
        known = a > 0
        change = np.mean(np.abs(better[known] - a[known]) / a[known]) if known.any() else 0.0
        a = better
        if change < _AMOUNT_TOLERANCE:
            break
    return a


def _expected(y: FloatArray, X: FloatArray, a: FloatArray) -> FloatArray:
    return np.maximum(a @ X, _FLOOR * y.mean())


def _loss(y: FloatArray, mu: FloatArray) -> float:
    return float(np.sum(mu - y + xlogy(y, y / mu)))


def _change(new: FloatArray, old: FloatArray) -> float:
    size = np.linalg.norm(new)
    return float(np.linalg.norm(new - old) / size) if size > 0 else 0.0


def _in_units(places: FloatArray, deformations: tuple[Deformation, ...]) -> FloatArray:
    return np.stack(
        [one.from_unit(line) for one, line in zip(deformations, places.T, strict=True)], axis=-1
    )


def _background_shape(background: Spectra | npt.ArrayLike | None, axis: Axis) -> FloatArray:
    """Background of unit area, shape (1, n_channels), or (0, n_channels) without one."""
    if background is None:
        return np.zeros((0, axis.n_channels))
    if isinstance(background, Spectra):
        require_same_axis(axis, background.axis, "the alternating fit")
        shape = background.values.sum(axis=0).astype(np.float64)
    else:
        shape = np.asarray(background, dtype=np.float64)
    if shape.shape != (axis.n_channels,):
        raise DataError(
            f"expected a background of {axis.n_channels} channels, got shape {shape.shape}"
        )
    if not np.isfinite(shape).all() or shape.min() < 0 or not shape.any():
        raise DataError("a background is zero or more in every channel, and not empty")
    return (shape / shape.sum())[np.newaxis]
