"""Which of the sources that deform are in a spectrum: greedy selection by likelihood ratio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri_exp

from spectraloom._typing import BoolArray, FloatArray
from spectraloom.analyze.identify.significance import significance_of
from spectraloom.analyze.likelihood.door import as_given
from spectraloom.analyze.likelihood.fit import on_bins, run_chunks
from spectraloom.analyze.manifold.fit import ManifoldFit, empty_answers, fit_of
from spectraloom.analyze.manifold.model_errors import ModelErrors
from spectraloom.analyze.manifold.parts import Counts, Found, Problem
from spectraloom.analyze.manifold.table import ManifoldTable
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError

_CHUNK = 32
_PIECES = 64  # of the range of a deformation, each of which has a length
_STEPS = 4  # in each piece
_UNKNOWN = 1e-9  # precision that is as good as none, of a range
_WIDEST = 1e3  # ranges
_SMALLEST = 1e-290  # p-value below which its logarithm is taken without it
_FAR = 1200.0  # ratio whose chance is no smaller than that
_LEAST = 1e-12  # of the largest expected content: bins without background tell all


@dataclass(frozen=True, slots=True, eq=False)
class ManifoldSelection:
    """Sources chosen in n spectra, and the fit with these sources.

    Parameters
    ----------
    fit : ManifoldFit
    chosen : ndarray of bool, shape (n, n_names)
        The background is always chosen.
    p_values : ndarray, shape (n, n_names)
        By chance, of at least the likelihood ratio; nan for the background.
    ratios : ndarray, shape (n, n_names)
        Twice the log of the likelihood ratio against the set without a name, or of the set with
        it where it was not chosen; nan for the background.
    significance : ndarray, shape (n, n_names)
        Gaussian standard deviations of the p-values, also of those too small for a float.
    """

    fit: ManifoldFit
    chosen: BoolArray
    p_values: FloatArray
    ratios: FloatArray
    significance: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class RatioTests:
    """Likelihood ratios of templates, and what chance makes of them.

    Parameters
    ----------
    ratios : ndarray, shape (n, k)
    known : ndarray, shape (n, k, 2)
        What is known of the deformation of each without it: place and standard deviation, as parts
        of the range.
    pieces : ndarray, shape (k, P)
        Lengths of the curve of normalised scores.
    n_sources : int
        The first of the templates; the others are not tested.
    """

    ratios: FloatArray
    known: FloatArray
    pieces: FloatArray
    n_sources: int

    @property
    def p_values(self) -> FloatArray:
        """Probability of at least these ratios by chance, shape (n, k)."""
        return self._chances(self.ratios)

    @property
    def significance(self) -> FloatArray:
        """Gaussian standard deviations with the same probability, shape (n, k)."""
        p_values = self.p_values
        found = significance_of(p_values)
        rows = p_values < _SMALLEST
        if rows.any():
            # Far out, what there is before exp(-ratio / 2) hardly changes.
            reached = np.log(self._chances(np.full(self.ratios.shape, _FAR)))
            found[rows] = -ndtri_exp(reached[rows] - 0.5 * (self.ratios[rows] - _FAR))
        return found

    def by_name(self, values: FloatArray, n_names: int) -> FloatArray:
        """Values of sources in the columns of their names, nan in others."""
        out = np.full((len(values), n_names), np.nan)
        out[:, : self.n_sources] = values[:, : self.n_sources]
        return out

    def _chances(self, ratios: FloatArray) -> FloatArray:
        from spectraloom.analyze.manifold.choosing import fill_each_chance

        out = np.ones(ratios.shape)
        fill_each_chance(as_given(ratios), as_given(self.pieces), as_given(self.known), out)
        return out


def select_sources(
    spectra: Spectra,
    table: ManifoldTable,
    *,
    false_alarm_rate: float = 0.01,
    errors: ModelErrors | None = None,
    tolerance: float = 1e-3,
    progress: Callable[[float, str], None] | None = None,
) -> ManifoldSelection:
    """Choose sources one by one, forward and backward, each with its deformation fitted.

    A source is added if chance makes a likelihood ratio as large with less than the false-alarm
    rate over the number of sources that are left (Bonferroni), and dropped if it is no longer
    worth that. An amount cannot be negative: half of the chances are no gain at all (Chernoff). The
    first source brings its deformation with it, of which nothing is known without it: the ratio is
    the largest along a curve, whose chance follows from the length of the curve of normalised
    scores (Hotelling's tube; exact for many counts but for terms smaller still). Of the curve, a
    source has as much as the sources that are there already, and the prior, leave open: what they
    tell of its deformation is a boundary that rises with the distance from it (Rice).

    Parameters
    ----------
    spectra : Spectra
        On an axis that has the edges of the table.
    table : ManifoldTable
        With a background, or several sources at least.
    false_alarm_rate : float
        Probability that a spectrum is said to hold any source that it does not.
    errors : ModelErrors, optional
        Of the same table. Likelihood ratios are then divided by how much more than by chance the
        amount of a source scatters where there is none of it, and sources that are no longer worth
        their place are dropped one by one.
    tolerance : float
        Of the deviance.
    progress : callable, optional

    Raises
    ------
    DataError
        If the rate does not lie between 0 and 1, or sources deform along several coordinates.

    References
    ----------
    Greedy selection with deforming signatures: Phan et al., MoSeVa. H. Hotelling, Am. J. Math. 61
    (1939) 440, doi:10.2307/2371512. R. B. Davies, Biometrika 74 (1987) 33,
    doi:10.1093/biomet/74.1.33. H. Chernoff, Ann. Math. Stat. 25 (1954) 573,
    doi:10.1214/aoms/1177728725. S. O. Rice, Bell Syst. Tech. J. 24 (1945) 46,
    doi:10.1002/j.1538-7305.1945.tb00453.x.
    """
    from spectraloom.analyze.manifold.choosing import select_many

    if not 0 < false_alarm_rate < 1:
        raise DataError(f"a false-alarm rate lies between 0 and 1, got {false_alarm_rate!r}")
    values, variances = on_bins(spectra, table.edges)
    counts = Counts(as_given(values), as_given(variances), table.edges, spectra.kind == "counts")
    n, k = len(values), len(table.groups)
    n_sources = len(table.layout.sources)
    always = np.arange(k) >= n_sources
    pieces = np.zeros((k, _PIECES))
    pieces[:n_sources] = score_pieces(table)
    own = np.full(k, -1, dtype=np.int64)
    if table.layout.sources.shape[1]:
        own[:n_sources] = table.layout.sources[:, 0]
    found = empty_answers(n, table)
    chosen = np.zeros((n, k), dtype=bool)
    p_values, ratios = np.ones((n, k)), np.zeros((n, k))
    known = np.tile([0.5, np.inf], (n, k, 1))

    def solve(first: int) -> int:
        rows = slice(first, min(first + _CHUNK, n))
        part = counts._replace(y=counts.y[rows], variance=counts.variance[rows])
        problem = Problem(
            part,
            table.nodes,
            table.prior,
            table.starts,
            as_given(always),
            as_given(pieces),
            as_given(own),
            table.latents.individual,
            float(false_alarm_rate),
            float(tolerance),
        )
        answers = Found(*(array[rows] for array in found))
        select_many(problem, answers, chosen[rows], p_values[rows], ratios[rows], known[rows])
        return rows.stop

    run_chunks(solve, n, progress, chunk=_CHUNK, what="selecting")
    tests = RatioTests(ratios, known, pieces, n_sources)
    if errors is not None and errors.any:
        from spectraloom.analyze.manifold.confirming import confirm

        tests = confirm(counts, table, found, chosen, tests, errors, false_alarm_rate, tolerance)
    by_name = np.ones((n, len(table.names)), dtype=bool)
    by_name[:, :n_sources] = chosen[:, :n_sources]
    free = int(always.sum()) + chosen[:, :n_sources].sum(axis=1) + len(table.layout)
    degrees = np.maximum(values.shape[1] - free, 1)
    return ManifoldSelection(
        fit_of(table, counts, found, degrees, chosen),
        by_name,
        tests.by_name(tests.p_values, len(table.names)),
        tests.by_name(tests.ratios, len(table.names)),
        tests.by_name(tests.significance, len(table.names)),
    )


def score_pieces(table: ManifoldTable) -> FloatArray:
    """Lengths of the curve of normalised scores of every source over the background.

    The score of a source at one deformation, for background alone, is a standard normal number;
    along each of equal parts of the deformation it turns by this angle, after what the background
    takes of it.

    Parameters
    ----------
    table : ManifoldTable

    Returns
    -------
    ndarray, shape (n_sources, n_pieces)
        Radians; zeros for a source that does not deform.
    """
    nodes, layout = table.nodes, table.layout
    n_sources, d = layout.sources.shape
    if d > 1:
        raise DataError(
            f"the chance of a first source is known for one deformation, the signatures have {d}: "
            "fit them with known names"
        )
    if d == 0:
        return np.zeros((n_sources, _PIECES))
    places = np.linspace(0.0, 1.0, _PIECES * _STEPS + 1)
    inner = np.tile(layout.prior.center, (len(places), 1))
    inner[:, np.unique(layout.sources)] = places[:, np.newaxis]
    from spectraloom.analyze.manifold.table import templates_on

    curves = np.stack([templates_on(nodes, table.edges, point) for point in inner])
    under = curves[:, n_sources:].mean(axis=0)
    expected = under.sum(axis=0) if len(under) else curves[:, :n_sources].mean(axis=(0, 1))
    expected = np.maximum(expected, _LEAST * expected.max())
    scaled = curves / np.sqrt(expected)
    pieces = np.zeros((n_sources, _PIECES))
    span, _ = np.linalg.qr((under / np.sqrt(expected)).T) if len(under) else (None, None)
    for j in range(n_sources):
        scores = scaled[:, j]
        if span is not None:
            scores = scores - (scores @ span) @ span.T
        scores = scores / np.maximum(np.linalg.norm(scores, axis=1, keepdims=True), 1e-300)
        turns = np.linalg.norm(np.diff(scores, axis=0), axis=1)
        pieces[j] = turns.reshape(_PIECES, _STEPS).sum(axis=1)
    return pieces


def prior_widths(table: ManifoldTable) -> FloatArray:
    """Standard deviation of the deformation of every source before anything is measured.

    Parameters
    ----------
    table : ManifoldTable
        With one deformation, or none.

    Returns
    -------
    ndarray, shape (n_sources,)
        As parts of the range; infinite where nothing is known.
    """
    precision, own = table.prior.precision, table.layout.sources
    if not own.shape[1]:
        return np.full(len(own), np.inf)
    # A tie alone says nothing of where the deformations lie together.
    variances = np.diagonal(np.linalg.inv(precision + _UNKNOWN * np.eye(len(precision))))
    widths = np.sqrt(variances[own[:, 0]])
    return np.where(widths < _WIDEST, widths, np.inf)
