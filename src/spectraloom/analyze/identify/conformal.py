"""Label sets with a stated coverage, from labelled spectra instead of a model of chance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import Array, BoolArray, FloatArray
from spectraloom.data.columns import label_sets
from spectraloom.data.result import Result
from spectraloom.errors import DataError, LabelError


@dataclass(frozen=True, slots=True)
class ConformalSets:
    """Sets of names that hold all true ones with a stated probability.

    Split conformal prediction. How badly a name conforms to a spectrum is its p-value; a labelled
    spectrum scores the largest p-value among its true names. With n labelled spectra of sources
    and a further one exchangeable with them, the score of the further one exceeds the
    ceil((n + 1) (1 - alpha))-th smallest of the n with probability `alpha` at most, whatever the
    p-values are worth: bad ones make large sets, not wrong ones. Spectra without a source have
    nothing that could be missing; they are left out, so that `alpha` is the probability for a
    spectrum that holds some. Nothing is said of how many names too many a set holds.

    Parameters
    ----------
    largest : float
        p-value up to which a name belongs to the set; 1 takes every name in.
    alpha : float
        Probability that a true name is missing, in a spectrum of a source.
    n : int
        Labelled spectra of sources that it was calibrated on.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, *Algorithmic Learning in a Random World* (2005), ch. 2 and 4.
    """

    largest: float
    alpha: float
    n: int = 0

    @classmethod
    def calibrate(
        cls, result: Result, truth: Iterable[Iterable[str]], alpha: float = 0.1
    ) -> ConformalSets:
        """Find the p-value that labelled spectra reach.

        Parameters
        ----------
        result : Result
            Of an :class:`~spectraloom.analyze.identify.identifier.Identifier`, on spectra that
            taught it nothing.
        truth : iterable of label sets
            All names present in each spectrum; names without p-value, such as the background,
            play no part, nor do spectra that have no other.
        alpha : float
            Between 0 and 1.

        Raises
        ------
        DataError
            If `alpha` is out of range, the labels are not as many as the spectra, or no spectrum
            holds a source.
        LabelError
            If the result does not know a name.
        """
        if not 0 < alpha < 1:
            raise DataError(f"alpha lies between 0 and 1, got {alpha!r}")
        p_values = _p_values(result)
        scores = worst_p_values(p_values, present_names(truth, result.names))
        n = len(scores)
        if not n:
            raise DataError(
                "sets are calibrated on labelled spectra of sources, but none holds a name that "
                "the result has a p-value for"
            )
        rank = int(np.ceil((n + 1) * (1.0 - alpha)))
        return cls(float(np.sort(scores)[rank - 1]) if rank <= n else 1.0, alpha, n)

    def decisions(self, result: Result) -> BoolArray:
        """Whether each name belongs to the set of each spectrum, shape (n, k)."""
        return np.nan_to_num(_p_values(result), nan=np.inf) <= self.largest

    def sets(self, result: Result) -> Array:
        """The sets as tuples of names, smallest p-value first."""
        order = np.argsort(_p_values(result), axis=1, kind="stable")
        return label_sets(
            tuple(result.names[j] for j in row if inside[j])
            for row, inside in zip(order, self.decisions(result), strict=True)
        )


def present_names(truth: Iterable[Iterable[str]], names: tuple[str, ...]) -> BoolArray:
    """Which of `names` each label set holds, shape (n, k).

    Raises
    ------
    LabelError
        If a set holds another name.
    """
    rows = [{entry} if isinstance(entry, str) else set(entry) for entry in truth]
    unknown = sorted(set().union(*rows) - set(names))
    if unknown:
        raise LabelError(f"no p-value for {', '.join(unknown)}; the result has {', '.join(names)}")
    present = [[name in row for name in names] for row in rows]
    return np.array(present, dtype=bool).reshape(len(rows), len(names))


def worst_p_values(p_values: FloatArray, present: BoolArray) -> FloatArray:
    """Largest p-value among the names present, of the spectra where one is, shape (m,)."""
    if p_values.shape != present.shape:
        raise DataError(f"there are {len(p_values)} spectra, but {len(present)} label sets")
    tested = present & ~np.isnan(p_values)
    rows = tested.any(axis=1)
    worst: FloatArray = np.where(tested, p_values, 0.0)[rows].max(axis=1, initial=0.0)
    return worst


def _p_values(result: Result) -> FloatArray:
    if "p_value" not in result.details:
        raise DataError("conformal sets need p-values: analyze the spectra with an Identifier")
    return result.details["p_value"]
