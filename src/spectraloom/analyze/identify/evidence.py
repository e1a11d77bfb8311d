"""What likelihood ratios of a fit are worth: p-values, significance, and the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spectraloom._typing import Array, BoolArray, FloatArray
from spectraloom.analyze.identify.calibration import scaled_ratios
from spectraloom.analyze.identify.joint import SURE, surely_unnamed
from spectraloom.analyze.identify.scatter import counts_of, scatter_of
from spectraloom.analyze.identify.significance import NullDistribution
from spectraloom.analyze.likelihood import LikelihoodFit
from spectraloom.analyze.remembered import remembered
from spectraloom.data.library import Library


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """How chance is judged.

    Parameters
    ----------
    null : NullDistribution
        Of counts.
    theory : NullDistribution
        Of what is no counts.
    sources : tuple of str
    background : Library or None
    """

    null: NullDistribution
    theory: NullDistribution
    sources: tuple[str, ...]
    background: Library | None

    def null_of(self, fit: LikelihoodFit) -> NullDistribution:
        """Null distribution of a fit."""
        # Chance was simulated for counts; a Gaussian likelihood follows the theory, but the
        # background changes as it does.
        return self.null if fit.poisson else replace(self.theory, drift=self.null.drift)

    def counts(self, fit: LikelihoodFit) -> tuple[FloatArray, FloatArray]:
        """All counts that were fitted, and those of the background."""
        return counts_of(fit, self.background)

    def p_values(self, scaled: FloatArray, fit: LikelihoodFit) -> FloatArray:
        """P-values of scaled ratios of the sources, shape (n, n_sources)."""
        return self.null_of(fit).p_values(scaled, *self.counts(fit))

    def tests(self, fit: LikelihoodFit) -> tuple[FloatArray, FloatArray]:
        """P-value and significance of every source."""
        scaled = scaled_ratios(fit, self.sources, self.background)
        chances = self.p_values(scaled, fit)
        significance = self.null_of(fit).significance(chances, scaled, *self.counts(fit))
        return chances, significance

    def judge(self, ratios: FloatArray, fit: LikelihoodFit) -> FloatArray:
        """P-values of all names of a table for a selection; one for those that are no source."""
        chances = np.ones_like(ratios)
        size = len(self.sources)
        scaled = ratios[:, :size] / scatter_of(fit, self.background)[:, np.newaxis]
        chances[:, :size] = self.p_values(scaled, fit)
        return chances

    def unnamed(self, fit: LikelihoodFit) -> BoolArray:
        """Whether something is there beside what was found, but not which name it has."""
        return _unnamed(fit, self)


@remembered
def _unnamed(fit: LikelihoodFit, evidence: Evidence) -> BoolArray:
    scatter = scatter_of(fit, evidence.background)
    place = places(fit, evidence.sources)
    found = evidence.p_values(fit.ratios[:, place] / scatter[:, np.newaxis], fit) < SURE
    widened = evidence.null_of(fit).widening(*evidence.counts(fit))
    return surely_unnamed(fit, list(evidence.sources), found, scatter * widened, SURE)


def decide(
    amounts: FloatArray,
    p_values: FloatArray,
    rate: float,
    source: BoolArray,
    *,
    model_error: float,
    min_share: float,
) -> BoolArray:
    """What is there: significant, and more than errors of the other templates could imitate.

    Parameters
    ----------
    amounts, p_values : ndarray, shape (n, k)
    rate : float
        Of false alarms, for each name.
    source : ndarray of bool, shape (k,)
        Which names are sources. The background is no decision: it is reported where it was fitted.
    model_error : float
        Part of the amounts of the other sources.
    min_share : float
        Of all counts, that the largest source needs for any to be claimed.
    """
    of_sources = np.where(source, amounts, 0.0)
    others = of_sources.sum(axis=1, keepdims=True) - of_sources
    significant = np.nan_to_num(p_values, nan=1.0) < rate
    found = significant & (amounts > model_error * others)
    if min_share > 0:
        strong = found & (amounts > min_share * amounts.sum(axis=1, keepdims=True))
        found &= (strong & source).any(axis=1, keepdims=True)
    return np.where(source, found, amounts > 0)


def largest(
    names: Array, amounts: FloatArray, decisions: BoolArray, source: BoolArray, nothing: str
) -> Array:
    """Largest source that was found in each spectrum, or `nothing`, shape (n,)."""
    candidates = np.where(source & decisions, amounts, -1.0)
    best = np.argmax(candidates, axis=1)
    found = candidates[np.arange(len(amounts)), best] >= 0
    return np.where(found, names[best], nothing)


def in_columns(part: FloatArray, size: int) -> FloatArray:
    """The columns of the sources, and nan in those of other names, shape (n, size)."""
    full = np.full((len(part), size), np.nan)
    full[:, : part.shape[1]] = part
    return full


def places(fit: LikelihoodFit, names: Sequence[str]) -> list[int]:
    """Columns of names in a fit."""
    return [fit.names.index(name) for name in names]
