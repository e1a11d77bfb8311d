"""Amounts of templates in spectra under the Poisson likelihood, with nuisances and tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import Array, BoolArray, FloatArray, IntArray
from spectraloom.analyze.likelihood.door import as_given, binned_templates, templates_of
from spectraloom.analyze.likelihood.parts import Answers, Data, Priors
from spectraloom.analyze.likelihood.pileup import pileup_templates
from spectraloom.analyze.likelihood.tables import TemplateTable, distinct_templates
from spectraloom.analyze.remembered import remembered
from spectraloom.data.spectra import Spectra
from spectraloom.errors import AxisError, DataError, FitError

NUISANCES = ("gain", "offset", "broadening")
_WIDEST = (1.0, 1e12, 1.0)  # prior widths beyond which a drift means nothing on any axis
PILEUP = "pile-up"
CHUNK = 64  # spectra that a thread fits at a time
_REWEIGHTINGS = 4
_LEAST_COUNTS = 0.01  # expected in a channel, for the variance of a rate
_LEAST_AREA = 1e-6  # part of a template inside the bins under which nothing can be said of it
_REACH = 3.0  # nuisances stay within this many standard deviations of their prior


@dataclass(frozen=True, slots=True)
class Nuisances:
    """Which properties of the detector are fitted beside the amounts, and how far they may go.

    A count of energy E is recorded at E (1 + gain) + offset, in peaks widened by 1 + broadening.
    Each is the standard deviation of a Gaussian prior; None leaves it fixed at zero.

    Parameters
    ----------
    gain : float or None
        Relative, e.g. 0.02; at most 1.
    offset : float or None
        In the unit of the axis.
    broadening : float or None
        Relative, at most 1; never below zero.
    centers : tuple of float
        Where the priors are centered, e.g. at the nuisances of the spectrum before.

    Raises
    ------
    FitError
        If a width is out of range, or a center is no finite number.
    """

    gain: float | None = None
    offset: float | None = None
    broadening: float | None = None
    centers: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for name, most in zip(NUISANCES, _WIDEST, strict=True):
            spread = getattr(self, name)
            if spread is None:
                continue
            if not (isinstance(spread, int | float | np.number) and 0 < spread <= most):
                raise FitError(
                    f"the prior width of the {name} is a number above 0 and up to {most:g}, "
                    f"got {spread!r}"
                )
            object.__setattr__(self, name, float(spread))
        if len(self.centers) != len(NUISANCES) or not np.isfinite(self.centers).all():
            raise FitError(f"priors are centered at three finite numbers, got {self.centers!r}")

    @property
    def used(self) -> BoolArray:
        """Which are fitted, shape (3,)."""
        return np.array([getattr(self, name) is not None for name in NUISANCES])

    @property
    def spreads(self) -> FloatArray:
        """Standard deviations of the priors; one where a nuisance is fixed."""
        return np.array([getattr(self, name) or 1.0 for name in NUISANCES])

    def bounds(self, table: TemplateTable) -> FloatArray:
        """Limits, shape (3, 2)."""
        reach = _REACH * self.spreads
        limits = np.asarray(self.centers)[:, np.newaxis] + np.column_stack([-reach, reach])
        limits[0, 0] = max(limits[0, 0], -0.5)
        limits[2] = (table.nodes[0], table.nodes[-1])
        return limits


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LikelihoodFit:
    """Fits of n spectra.

    Parameters
    ----------
    names : tuple of str, length k
        Names of the library, and ``"pile-up"`` if that was fitted.
    amounts : ndarray, shape (n, k)
        Counts of each name inside the fitted bins' range and beyond: templates have unit area on
        the axis of the library.
    covariance : ndarray, shape (n, k, k)
        From the Fisher information; names that are absent have zeros.
    template_amounts : ndarray, shape (n, n_templates)
        Amounts of the single templates.
    nuisances : ndarray, shape (n, 3)
        Gain, offset and broadening.
    deviance : ndarray, shape (n,)
        Poisson deviance, or sum of squares over variances.
    degrees_of_freedom : int
        Bins less names less nuisances.
    ratios : ndarray, shape (n, k)
        Twice the log of the likelihood ratio against the best fit without a name; zero where it
        is absent or was not tested.
    fitted : ndarray, shape (n, n_bins)
    observed : ndarray, shape (n, n_bins)
    edges : ndarray, shape (n_bins + 1,)
    variances : ndarray, shape (n, n_bins)
        Of the observed values; for counts the counts.
    extra : ndarray, shape (n, n_extra, n_bins)
        Templates that were made from each spectrum: pile-up.
    groups : ndarray of int, shape (n_templates,)
        Which name each template belongs to.
    poisson : bool
        Whether the likelihood was that of counts.
    iterations : ndarray of int, shape (n,)
    converged : ndarray of bool, shape (n,)
    """

    names: tuple[str, ...]
    amounts: FloatArray
    covariance: FloatArray
    template_amounts: FloatArray
    nuisances: FloatArray
    deviance: FloatArray
    degrees_of_freedom: int
    ratios: FloatArray
    fitted: FloatArray
    observed: FloatArray
    edges: FloatArray
    variances: FloatArray
    extra: FloatArray
    groups: IntArray
    poisson: bool
    iterations: IntArray
    converged: BoolArray

    def __len__(self) -> int:
        return len(self.amounts)

    @property
    def uncertainties(self) -> FloatArray:
        """Standard uncertainties of the amounts, shape (n, k)."""
        variances = np.diagonal(self.covariance, axis1=1, axis2=2)
        return np.sqrt(np.maximum(variances, 0.0))


def fit_templates(
    spectra: Spectra,
    table: TemplateTable,
    *,
    window: tuple[float, float] | None = None,
    edges: FloatArray | None = None,
    nuisances: Nuisances | None = None,
    pileup: bool = False,
    tested: Sequence[str] = (),
    start: FloatArray | None = None,
    tolerance: float = 1e-6,
    progress: Callable[[float, str], None] | None = None,
) -> LikelihoodFit:
    """Fit the templates of a library to spectra, on the calibration of the spectra.

    Counts follow the Poisson distribution; rates and intensities the Gaussian one, with their
    variance. The data stay as they are, the templates move. Spectra are fitted in chunks and
    threads; an answer depends on neither.

    Parameters
    ----------
    spectra : Spectra
        On bins; raw counts are best.
    table : TemplateTable
        See :func:`~spectraloom.analyze.likelihood.tables.template_table`.
    window : (float, float), optional
        Part of the axis to fit.
    edges : ndarray, optional
        Coarser bins to sum the data to: every one of them an edge of the axis, see
        :func:`~spectraloom.analyze.likelihood.binning.adaptive_edges`.
    nuisances : Nuisances, optional
        None fits none.
    pileup : bool
        Whether a template of random coincidences, made from each spectrum, is fitted too.
    tested : sequence of str
        Names to compute likelihood ratios for.
    start : ndarray, shape (n, 3), optional
        Nuisances to start from, e.g. those of the spectrum before.
    tolerance : float
        The fit ends when the deviance falls by less.
    progress : callable, optional

    Raises
    ------
    AxisError
        If the axis has no bins, measures something else, or does not overlap the library.
    DataError
        If data of this kind need a variance that they do not have.

    References
    ----------
    Fisher scoring: P. McCullagh, J. A. Nelder, *Generalized Linear Models* (1989), ch. 2.5.
    """
    _require_overlap(spectra, table)
    bins = _bin_edges(spectra, window, edges)
    _require_distinct(table, bins.tobytes())
    settings = nuisances or Nuisances()
    data, names, groups = _data_of(spectra, table, bins, pileup)
    begin = _start_of(start, len(spectra))
    marks = np.isin(names, list(tested))
    found = _solve_all(
        data, table, settings, groups, marks, begin, tolerance=tolerance, progress=progress
    )
    if spectra.kind == "rate" and spectra.variance is None:
        # Variances of the values themselves pull the fit down; those of the fit do not.
        for _ in range(_REWEIGHTINGS):
            data = data._replace(variance=as_given(_rate_variance(found.fitted, spectra)))
            found = _solve_all(
                data, table, settings, groups, marks, begin, tolerance=tolerance, progress=progress
            )
    member = np.equal.outer(groups, np.arange(len(names))).astype(np.float64)
    return LikelihoodFit(
        names,
        found.amounts @ member,
        found.covariance,
        found.amounts,
        found.theta,
        found.deviance,
        max(data.y.shape[1] - len(names) - int(settings.used.sum()), 1),
        found.ratios,
        found.fitted,
        data.y,
        bins,
        data.variance,
        data.extra,
        groups,
        bool(data.poisson),
        np.abs(found.iterations),
        found.iterations > 0,
    )


def _data_of(
    spectra: Spectra, table: TemplateTable, bins: FloatArray, pileup: bool
) -> tuple[Data, tuple[str, ...], IntArray]:
    """Spectra on their bins, with the names and groups of all templates that are fitted."""
    values, variances = on_bins(spectra, bins)
    extra = np.zeros((*values.shape[:1], 0, values.shape[1]))
    names, groups = table.names, table.groups
    if pileup:
        extra = pileup_templates(spectra.values, spectra.axis, bins)[:, np.newaxis, :]
        names, groups = (*names, PILEUP), np.append(groups, len(names))
    poisson = spectra.kind == "counts"
    data = Data(as_given(values), as_given(variances), bins, as_given(extra), poisson)
    return data, names, groups


def _start_of(start: FloatArray | None, n: int) -> FloatArray:
    if start is None:
        return np.zeros((n, 3))
    begin = np.array(start, dtype=np.float64, order="C")
    if begin.shape != (n, 3) or not np.isfinite(begin).all():
        raise DataError(
            f"nuisances to start from are {n} rows of gain, offset and broadening, all finite; "
            f"got shape {begin.shape}"
        )
    return begin


def data_of(fit: LikelihoodFit) -> Data:
    """What was fitted, as compiled code takes it."""
    return Data(
        as_given(fit.observed), as_given(fit.variances), as_given(fit.edges), as_given(fit.extra),
        fit.poisson,
    )  # fmt: skip


def rows_of(data: Data, rows: slice) -> Data:
    """Some spectra of several."""
    return data._replace(y=data.y[rows], variance=data.variance[rows], extra=data.extra[rows])


def priors_of(settings: Nuisances, table: TemplateTable, member: BoolArray) -> Priors:
    """Priors as compiled code takes them; no sum of amounts is drawn anywhere."""
    centers = np.asarray(settings.centers, dtype=np.float64)
    return Priors(
        settings.used, centers, settings.spreads, settings.bounds(table), member, np.zeros(2)
    )


def _solve_all(
    data: Data,
    table: TemplateTable,
    settings: Nuisances,
    groups: IntArray,
    marks: BoolArray,
    begin: FloatArray,
    *,
    tolerance: float,
    progress: Callable[[float, str], None] | None,
) -> Answers:
    from spectraloom.analyze.likelihood.batch import fit_many

    (n, m), total, k = data.y.shape, len(groups), len(marks)
    found = Answers(
        amounts=np.empty((n, total)),
        theta=np.empty((n, 3)),
        deviance=np.empty(n),
        iterations=np.empty(n, dtype=np.int64),
        fitted=np.empty((n, m)),
        ratios=np.zeros((n, k)),
        covariance=np.empty((n, k, k)),
    )
    templates, priors = templates_of(table), priors_of(settings, table, np.zeros(total, dtype=bool))

    def solve(first: int) -> int:
        rows = slice(first, min(first + CHUNK, n))
        part = rows_of(data, rows)
        answers = Answers(*(array[rows] for array in found))
        fit_many(
            part, templates, priors, as_given(groups), marks, begin[rows], float(tolerance), answers
        )
        return rows.stop

    run_chunks(solve, n, progress)
    return found


def run_chunks(
    solve: Callable[[int], int],
    n: int,
    progress: Callable[[float, str], None] | None,
    *,
    chunk: int | None = None,
    threads: int | None = None,
    what: str = "fitting",
) -> None:
    """Call `solve` with the first row of every chunk, in threads; it gives the row after.

    Parameters
    ----------
    solve : callable
    n : int
        Rows.
    progress : callable or None
        Told after every chunk.
    chunk : int, optional
        Rows to a chunk.
    threads : int, optional
        One for each core by default.
    what : str
        What is being done.
    """
    starts = range(0, n, chunk or CHUNK)
    if not starts:
        return
    workers = min(len(starts), threads or os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) if len(starts) > 1 else nullcontext() as pool:
        for stop in map(solve, starts) if pool is None else pool.map(solve, starts):
            if progress is not None:
                progress(stop / n, what)


def _require_overlap(spectra: Spectra, table: TemplateTable) -> None:
    axis = spectra.axis
    if (axis.quantity, axis.unit) != (table.axis.quantity, table.axis.unit):
        raise AxisError(
            f"the spectra lie on {axis.describe()}, the library on {table.axis.describe()}: "
            "calibrate the spectra, or take a library for this axis"
        )
    low, high = table.grid[0], table.grid[-1]
    overlap = min(high, axis.edges[-1]) - max(low, axis.edges[0])
    if overlap <= 0:
        raise AxisError(
            f"the spectra ({axis.describe()}) and the library ({low:g} to {high:g} "
            f"{axis.unit}) do not overlap"
        )


@remembered
def _require_distinct(table: TemplateTable, bins: bytes) -> None:
    """Every name has counts in the bins, and no two names look the same there."""
    edges = np.frombuffer(bins)
    shapes = binned_templates(table, edges)
    areas = shapes.sum(axis=1)
    where = f" between {edges[0]:g} and {edges[-1]:g} {table.axis.unit}"
    for number, name in enumerate(table.names):
        if areas[table.groups == number].max() < _LEAST_AREA:
            raise DataError(
                f"the templates of {name!r} have no counts{where}: take a larger window, or leave "
                "the name out"
            )
    seen = areas >= _LEAST_AREA
    distinct_templates(
        np.cumsum(shapes[seen], axis=1) / areas[seen, np.newaxis],
        [table.names[group] for group in table.groups[seen]],
        where,
    )


def _bin_edges(
    spectra: Spectra, window: tuple[float, float] | None, edges: FloatArray | None
) -> FloatArray:
    axis = spectra.axis
    if edges is not None:
        if window is not None:
            raise DataError("give a window or the edges of coarser bins, not both")
        bins = np.asarray(edges, dtype=np.float64)
        if bins.ndim != 1 or len(bins) < 2 or not (np.diff(bins) > 0).all():
            raise DataError("the edges of coarser bins are two or more increasing coordinates")
        return as_given(bins)
    channels = slice(0, axis.n_channels) if window is None else axis.window(*window)
    return as_given(axis.edges[channels.start : channels.stop + 1])


def on_bins(spectra: Spectra, bins: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values and variances summed to bins whose edges are edges of the axis."""
    place = np.searchsorted(spectra.axis.edges, bins)
    if place[-1] >= len(spectra.axis.edges) or not np.array_equal(spectra.axis.edges[place], bins):
        raise DataError("coarser bins must end at edges of the axis: counts are never divided")

    def summed(array: Array) -> FloatArray:
        cut = np.asarray(array[:, place[0] : place[-1]], dtype=np.float64)
        if len(bins) == cut.shape[1] + 1:
            return np.ascontiguousarray(cut)
        return np.ascontiguousarray(np.add.reduceat(cut, place[:-1] - place[0], axis=1))

    values = summed(spectra.values)
    if spectra.kind == "counts":
        return values, values
    variance = spectra.variance
    if variance is None and spectra.kind == "rate":
        # All channels alike to begin with; the fit then says what each of them varies by.
        flat = np.broadcast_to(values.mean(axis=1, keepdims=True), values.shape)
        return values, _rate_variance(flat, spectra)
    if variance is None:
        raise DataError(
            f"spectra of kind {spectra.kind!r} need a variance for a likelihood: give "
            "Spectra(..., variance=...), or raw counts"
        )
    variances = summed(variance)
    if not ((variances > 0) & np.isfinite(variances)).all():
        raise DataError(
            "the variance of a channel is zero or not finite: a likelihood needs it above zero"
        )
    return values, variances


def _rate_variance(rates: FloatArray, spectra: Spectra) -> FloatArray:
    """Variance of count rates, for at least a hundredth of a count: rates over live times."""
    times = spectra.live_time
    if times is None or not (times > 0).all():
        raise DataError(
            "spectra of kind 'rate' need a variance, or a live time above zero for each: give "
            "them, or raw counts"
        )
    seconds = times[:, np.newaxis]
    return np.asarray(np.maximum(rates, _LEAST_COUNTS / seconds) / seconds)
