"""Amounts and deformations of spectra, fitted together under the likelihood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from spectraloom._typing import Array, BoolArray, FloatArray
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.likelihood.fit import on_bins, run_chunks
from spectraloom.analyze.manifold.parts import Counts, Found
from spectraloom.analyze.manifold.table import ManifoldTable
from spectraloom.data.spectra import Spectra
from spectraloom.errors import AxisError, DataError

_CHUNK = 64  # spectra that a thread fits at a time


@dataclass(frozen=True, slots=True, eq=False)
class ManifoldFit:
    """Fits of n spectra.

    Parameters
    ----------
    table : ManifoldTable
    amounts : ndarray, shape (n, n_names)
        Counts of each name; templates have unit area on their own axis.
    latents : ndarray, shape (n, L)
        In the units of ``table.layout``.
    covariance : ndarray, shape (n, k + L, k + L)
        Of template amounts and latents as fits have them (deformations from 0 to 1), from the
        Fisher information; what is at a limit has zeros, what nothing is known of an infinite
        variance. The variance of amounts holds what is not known of the latents at a limit, too.
    template_amounts : ndarray, shape (n, k)
    inner : ndarray, shape (n, L)
        Latents as fits have them.
    deviance : ndarray, shape (n,)
        Poisson deviance, or sum of squares over variances; without the prior.
    degrees_of_freedom : ndarray of int, shape (n,)
        Bins less templates less latents.
    fitted, observed, variances : ndarray, shape (n, n_bins)
    poisson : bool
    iterations : ndarray of int, shape (n,)
    converged : ndarray of bool, shape (n,)
    allowed : ndarray of bool, shape (n, k)
        Templates that might be used.
    """

    table: ManifoldTable
    amounts: FloatArray
    latents: FloatArray
    covariance: FloatArray
    template_amounts: FloatArray
    inner: FloatArray
    deviance: FloatArray
    degrees_of_freedom: Array
    fitted: FloatArray
    observed: FloatArray
    variances: FloatArray
    poisson: bool
    iterations: Array
    converged: BoolArray
    allowed: BoolArray

    def __len__(self) -> int:
        return len(self.amounts)

    @property
    def uncertainties(self) -> FloatArray:
        """Standard uncertainties of the amounts, shape (n, n_names); zero where absent."""
        k = self.template_amounts.shape[1]
        member = np.equal.outer(self.table.groups, np.arange(len(self.table.names))).astype(float)
        variances = np.einsum("ig,nij,jg->ng", member, self.covariance[:, :k, :k], member)
        return np.sqrt(np.maximum(variances, 0.0))

    @property
    def latent_uncertainties(self) -> FloatArray:
        """Standard uncertainties of the latents in their units, shape (n, L)."""
        k = self.template_amounts.shape[1]
        variances = np.diagonal(self.covariance, axis1=1, axis2=2)[:, k:]
        slopes = self.table.layout.slopes(self.latents)
        return np.sqrt(np.maximum(variances, 0.0)) * slopes

    def latent_intervals(self, level: float = 0.95) -> FloatArray:
        """Intervals of the latents in their units, shape (n, L, 2).

        Symmetric in what the fit has, so that those of a softened deformation are not symmetric in
        its unit and never leave its range; the whole range where a latent lies at its limit or
        nothing is known of it.

        Parameters
        ----------
        level : float
        """
        if not 0 < level < 1:
            raise DataError(f"a level lies between 0 and 1, got {level!r}")
        k = self.template_amounts.shape[1]
        variances = np.diagonal(self.covariance, axis1=1, axis2=2)[:, k:]
        half = norm.isf(0.5 * (1.0 - level)) * np.sqrt(np.where(variances > 0, variances, np.inf))
        low, high = self.table.prior.bounds.T
        ends = [np.clip(self.inner + sign * half, low, high) for sign in (-1.0, 1.0)]
        return np.stack([self.table.layout.to_values(end) for end in ends], axis=-1)


def fit_manifold(
    spectra: Spectra,
    table: ManifoldTable,
    *,
    names: Sequence[str] | None = None,
    start: FloatArray | None = None,
    tolerance: float = 1e-4,
    threads: int | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> ManifoldFit:
    """Fit amounts and latents together, on the bins of the table.

    Counts follow the Poisson distribution; rates and intensities the Gaussian one, with their
    variance. Damped Fisher scoring with analytic derivatives and an active set, from the best of
    several starts. Spectra are fitted in chunks and threads; an answer depends on neither.

    Parameters
    ----------
    spectra : Spectra
        On an axis that has the edges of the table.
    table : ManifoldTable
        See :func:`~spectraloom.analyze.manifold.table.manifold_table`.
    names : sequence of str, optional
        What may be in the spectra; all names of the table by default.
    start : ndarray, shape (n, L), optional
        Latents in their units to start from, instead of several starts.
    tolerance : float
        The fit ends when the deviance falls by less.
    threads : int, optional
        Threads to fit in; one for each core by default.
    progress : callable, optional

    Raises
    ------
    AxisError
        If the spectra measure something else, or do not have the edges of the table.
    DataError
        If data of this kind need a variance that they do not have, or a name is not known.

    References
    ----------
    Counts and deformation, in turn: Phan et al., SemSun (2024). Scoring: P. McCullagh,
    J. A. Nelder, *Generalized Linear Models* (1989), ch. 2.5.
    """
    axis = table.axis
    if (spectra.axis.quantity, spectra.axis.unit) != (axis.quantity, axis.unit):
        raise AxisError(
            f"the spectra lie on {spectra.axis.describe()}, the signatures on {axis.describe()}"
        )
    allowed = _allowed(table, names)
    values, variances = on_bins(spectra, table.edges)
    counts = Counts(as_given(values), as_given(variances), table.edges, spectra.kind == "counts")
    found = fit_counts(
        counts,
        table,
        allowed,
        start=start,
        tolerance=tolerance,
        threads=threads,
        progress=progress,
    )
    free = int(allowed.sum()) + len(table.layout)
    degrees = np.full(len(values), max(values.shape[1] - free, 1))
    return fit_of(table, counts, found, degrees, np.tile(allowed, (len(values), 1)))


def fit_of(
    table: ManifoldTable, counts: Counts, found: Found, degrees: Array, allowed: BoolArray
) -> ManifoldFit:
    """What compiled code filled in, by name and in units.

    Parameters
    ----------
    table : ManifoldTable
    counts : Counts
    found : Found
    degrees : ndarray of int, shape (n,)
        Degrees of freedom.
    allowed : ndarray of bool, shape (n, k)
        Templates that might be used.
    """
    member = np.equal.outer(table.groups, np.arange(len(table.names))).astype(np.float64)
    return ManifoldFit(
        table,
        found.amounts @ member,
        table.layout.to_values(found.latents),
        found.covariance,
        found.amounts,
        found.latents,
        found.deviance,
        degrees,
        found.fitted,
        np.asarray(counts.y),
        np.asarray(counts.variance),
        bool(counts.poisson),
        np.abs(found.iterations),
        found.iterations > 0,
        allowed,
    )


def empty_answers(n: int, table: ManifoldTable) -> Found:
    """Room for the answers of n spectra."""
    k, size = len(table.groups), len(table.layout)
    return Found(
        np.empty((n, k)),
        np.empty((n, size)),
        np.empty(n),
        np.empty(n, dtype=np.int64),
        np.empty((n, len(table.edges) - 1)),
        np.empty((n, k + size, k + size)),
    )


def require_list(names: Sequence[str]) -> None:
    """Refuse a single name, whose letters would be taken for names.

    Parameters
    ----------
    names : sequence of str

    Raises
    ------
    DataError
        If it is a text.
    """
    if isinstance(names, str):
        raise DataError(f"names are a list, such as [{names!r}], got {names!r}")


def _allowed(table: ManifoldTable, names: Sequence[str] | None) -> BoolArray:
    if names is None:
        return np.ones(len(table.groups), dtype=bool)
    require_list(names)
    unknown = [name for name in names if name not in table.names]
    if unknown:
        raise DataError(f"{unknown[0]!r} is none of {', '.join(table.names)}")
    marks = np.isin(table.names, list(names))
    return np.asarray(marks[table.groups])


def fit_counts(
    counts: Counts,
    table: ManifoldTable,
    allowed: BoolArray,
    *,
    start: FloatArray | None = None,
    tolerance: float = 1e-4,
    threads: int | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Found:
    """Fit spectra that lie on the bins of the table already.

    Parameters
    ----------
    counts : Counts
    table : ManifoldTable
    allowed : ndarray of bool, shape (k,)
        Templates that may be used.
    start : ndarray, shape (n, L), optional
        Latents in their units.
    tolerance : float
    threads : int, optional
    progress : callable, optional
    """
    from spectraloom.analyze.manifold.batch import fit_many

    n, size = len(counts.y), len(table.layout)
    given = np.zeros((0, size))
    if start is not None:
        given = np.asarray(start, dtype=np.float64)
        if given.shape != (n, size) or not np.isfinite(given).all():
            raise DataError(
                f"latents to start from are {n} rows of {size} finite numbers, got shape "
                f"{given.shape}"
            )
        given = np.clip(table.layout.to_inner(given), *table.prior.bounds.T)
    found = empty_answers(n, table)

    def solve(first: int) -> int:
        rows = slice(first, min(first + _CHUNK, n))
        fit_many(
            counts._replace(y=counts.y[rows], variance=counts.variance[rows]),
            table.nodes,
            table.prior,
            as_given(allowed),
            table.starts,
            as_given(given[rows]),
            float(tolerance),
            Found(*(array[rows] for array in found)),
        )
        return rows.stop

    run_chunks(solve, n, progress, chunk=_CHUNK, threads=threads)
    return found
