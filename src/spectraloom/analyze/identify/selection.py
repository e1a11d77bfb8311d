"""Forward-backward selection: the fewest names of a large library that explain a spectrum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from spectraloom._typing import BoolArray, FloatArray
from spectraloom.analyze.likelihood import LikelihoodFit, TemplateTable
from spectraloom.analyze.likelihood.door import as_given, templates_of
from spectraloom.analyze.likelihood.fit import data_of
from spectraloom.errors import DataError

Fit = Callable[[BoolArray, TemplateTable, Sequence[str]], LikelihoodFit]
Judge = Callable[[FloatArray, LikelihoodFit], FloatArray]
LARGE = 20  # names above which a library is searched rather than fitted at once
_MOST_STEPS = 12
_COPIED = (
    "nuisances",
    "deviance",
    "fitted",
    "observed",
    "variances",
    "extra",
    "iterations",
    "converged",
)
_ROUGH = 3.0  # the score test is rough for large amounts: the fit itself has the last word


def sub_table(table: TemplateTable, keep: BoolArray) -> TemplateTable:
    """Table of the names marked in `keep`, shape (n_names,)."""
    columns = np.flatnonzero(keep[table.groups])
    place = np.cumsum(keep) - 1
    return replace(
        table,
        table=np.ascontiguousarray(table.table[:, columns]),
        slopes=np.ascontiguousarray(table.slopes[:, columns]),
        names=tuple(name for name, kept in zip(table.names, keep, strict=True) if kept),
        groups=place[table.groups[columns]],
    )


def score_ratios(fit: LikelihoodFit, table: TemplateTable) -> FloatArray:
    """What the likelihood ratio of each name would be if it were added, shape (n, n_names).

    The score test: slope of the likelihood at zero amount, squared, over its variance given the
    templates in the fit. The best template of a name counts; zero where none would be positive.

    Parameters
    ----------
    fit : LikelihoodFit
        Of some names of the table.
    table : TemplateTable
        All names.

    References
    ----------
    C. R. Rao, Proc. Camb. Phil. Soc. 44 (1948) 50, doi:10.1017/S0305004100023987.
    """
    from spectraloom.analyze.likelihood.scores import score_many

    columns = np.flatnonzero(np.isin([table.names[g] for g in table.groups], fit.names))
    present = fit.template_amounts > 0
    beside = np.zeros((len(fit), table.n_templates + fit.extra.shape[1]), dtype=bool)
    beside[:, columns] = present[:, : len(columns)]
    beside[:, table.n_templates :] = present[:, len(columns) :]
    out = np.empty((len(fit), len(table.names)))
    score_many(
        as_given(fit.fitted), data_of(fit), templates_of(table), as_given(table.groups),
        ~np.isin(table.names, fit.names), beside, as_given(fit.nuisances), out,
    )  # fmt: skip
    return out


def select_names(
    n: int, table: TemplateTable, always: Sequence[str], fit: Fit, judge: Judge, rate: float
) -> LikelihoodFit:
    """Fit each spectrum with the names that it needs.

    Start with `always` and the names that are significant beside all others: none of them is
    there in the place of several. Add the name with the largest score if its likelihood ratio is
    significant, drop every name that is not significant beside it, and stop when nothing more
    is gained. Names that are left out have the ratio of the score test.

    Parameters
    ----------
    n : int
        Number of spectra.
    table : TemplateTable
        All names.
    always : sequence of str
        Names that are fitted in every spectrum and not tested: the background.
    fit : callable
        ``fit(rows, table, tested)`` gives the fit of some spectra.
    judge : callable
        ``judge(ratios, fit)`` gives p-values of likelihood ratios of all names, shape
        (n_rows, n_names), the fit holding what else they depend on.
    rate : float
        p-value below which a name is significant.

    Returns
    -------
    LikelihoodFit
        Over all names; amounts of names left out are zero. The degrees of freedom are those of
        the spectrum with most names.
    """
    fixed = np.isin(table.names, list(always))
    rows, places = np.arange(n), slice(0, len(table.names))
    active: BoolArray = np.ones(n, dtype=bool)
    first = fit(active, table, [name for name, f in zip(table.names, fixed, strict=True) if not f])
    chosen = fixed | (judge(first.ratios[:, places], first) < rate)
    tried = chosen.copy()
    whole = _fit_sets(None, active, chosen, table, fit, fixed)
    for _ in range(_MOST_STEPS):
        candidates = np.where(tried, 0.0, whole.ratios[:, places])
        best = np.argmax(candidates, axis=1)
        hopeful = judge(candidates, whole)[rows, best] < _ROUGH * rate
        active &= hopeful & (candidates[rows, best] > 0)
        if not active.any():
            break
        chosen[active, best[active]] = True
        tried[active, best[active]] = True
        whole = _fit_sets(whole, active, chosen, table, fit, fixed)
        weak = chosen & ~fixed & ~(judge(whole.ratios[:, places], whole) < rate)
        weak &= active[:, np.newaxis]
        if weak.any():
            chosen &= ~weak
            whole = _fit_sets(whole, np.asarray(weak.any(axis=1)), chosen, table, fit, fixed)
    return whole


def _fit_sets(
    whole: LikelihoodFit | None,
    rows: BoolArray,
    chosen: BoolArray,
    table: TemplateTable,
    fit: Fit,
    fixed: BoolArray,
) -> LikelihoodFit:
    """Fit the spectra in `rows` anew, those with the same names together."""
    sets, which = np.unique(chosen[rows], axis=0, return_inverse=True)
    places = np.flatnonzero(rows)
    for number, keep in enumerate(sets):
        members = np.zeros(len(rows), dtype=bool)
        members[places[which.ravel() == number]] = True
        tested = [n for n, k, f in zip(table.names, keep, fixed, strict=True) if k and not f]
        part = fit(members, sub_table(table, keep), tested)
        if whole is None:
            whole = _blank(part, keep, table, len(rows))
        whole = _scatter(whole, members, part, keep, table)
    if whole is None:
        raise DataError("there are no spectra to select names for")
    return whole


def _blank(part: LikelihoodFit, keep: BoolArray, table: TemplateTable, n: int) -> LikelihoodFit:
    """Fit of `n` spectra over all names, to be filled from parts."""
    more = len(part.names) - int(keep.sum())  # pile-up, last of all
    k, columns, m = len(keep) + more, table.n_templates + more, part.observed.shape[1]
    return replace(
        part,
        names=(*table.names, *part.names[len(part.names) - more :]),
        groups=np.append(table.groups, len(keep) + np.arange(more)),
        amounts=np.zeros((n, k)),
        covariance=np.zeros((n, k, k)),
        template_amounts=np.zeros((n, columns)),
        nuisances=np.zeros((n, 3)),
        deviance=np.zeros(n),
        ratios=np.zeros((n, k)),
        fitted=np.zeros((n, m)),
        observed=np.zeros((n, m)),
        variances=np.zeros((n, m)),
        extra=np.zeros((n, *part.extra.shape[1:])),
        iterations=np.zeros(n, dtype=np.int64),
        converged=np.zeros(n, dtype=bool),
    )


def _scatter(
    whole: LikelihoodFit,
    rows: BoolArray,
    part: LikelihoodFit,
    keep: BoolArray,
    table: TemplateTable,
) -> LikelihoodFit:
    """Put the fit of some spectra with some names where it belongs among all."""
    more = np.arange(len(part.names) - int(keep.sum()))
    names = np.concatenate([np.flatnonzero(keep), len(keep) + more])
    columns = np.concatenate([np.flatnonzero(keep[table.groups]), table.n_templates + more])
    places = np.flatnonzero(rows)
    for name in ("amounts", "template_amounts", "covariance", "ratios"):
        getattr(whole, name)[places] = 0.0
    whole.amounts[np.ix_(places, names)] = part.amounts
    whole.template_amounts[np.ix_(places, columns)] = part.template_amounts
    whole.covariance[np.ix_(places, names, names)] = part.covariance
    whole.ratios[places, : len(keep)] = score_ratios(part, table)
    whole.ratios[np.ix_(places, names)] = part.ratios
    for name in _COPIED:
        getattr(whole, name)[places] = getattr(part, name)
    freedom = min(whole.degrees_of_freedom, part.degrees_of_freedom)
    return replace(whole, degrees_of_freedom=freedom)
