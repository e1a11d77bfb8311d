"""Scores of labels, label sets, shares and rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta

from spectraloom._typing import Array, BoolArray, FloatArray, IntArray
from spectraloom.data.columns import label_sets
from spectraloom.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Confusion matrix of single labels.

    Parameters
    ----------
    names : tuple of str, length k
        All labels that occur, true or predicted.
    matrix : ndarray of int, shape (k, k)
        Rows are true, columns predicted labels.
    """

    names: tuple[str, ...]
    matrix: IntArray

    @property
    def accuracy(self) -> float:
        """Share of right labels."""
        total = int(self.matrix.sum())
        return float(np.trace(self.matrix) / total) if total else float("nan")

    @property
    def recall(self) -> dict[str, float]:
        """Right among those that are of a label; nan where none is."""
        return _ratios(self.names, np.diag(self.matrix), self.matrix.sum(axis=1))

    @property
    def precision(self) -> dict[str, float]:
        """Right among those called a label; nan where none was."""
        return _ratios(self.names, np.diag(self.matrix), self.matrix.sum(axis=0))

    @property
    def f1(self) -> dict[str, float]:
        """Harmonic mean of precision and recall per label."""
        called = self.matrix.sum(axis=0) + self.matrix.sum(axis=1)
        return _ratios(self.names, 2 * np.diag(self.matrix), called)

    def per_class(self) -> dict[str, dict[str, float]]:
        """Precision, recall, F1 and number of spectra of each label that truly occurs."""
        support = self.matrix.sum(axis=1)
        precision, recall, f1 = self.precision, self.recall, self.f1
        return {
            name: {
                "precision": precision[name],
                "recall": recall[name],
                "f1": f1[name],
                "n": int(support[i]),
            }
            for i, name in enumerate(self.names)
            if support[i]
        }


def confusion(true: Iterable[str], predicted: Iterable[str]) -> Confusion:
    """Confusion matrix of single labels.

    Parameters
    ----------
    true, predicted : iterable of str, same length

    Raises
    ------
    DataError
        If the lengths differ.
    """
    truth, guess = np.asarray(list(true), np.str_), np.asarray(list(predicted), np.str_)
    if truth.shape != guess.shape:
        raise DataError(f"{len(truth)} true labels, but {len(guess)} predicted ones")
    names, index = np.unique(np.concatenate([truth, guess]), return_inverse=True)
    k, n = len(names), len(truth)
    flat = np.bincount(index[:n] * k + index[n:], minlength=k * k)
    return Confusion(tuple(names.tolist()), flat.reshape(k, k).astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class SetScores:
    """Scores of label sets; the order of labels in a set means nothing.

    Parameters
    ----------
    exact_match : float
        Share of spectra whose set is exactly right.
    micro_f1, macro_f1 : float
        F1 over all decisions, and the mean of the F1 of each label.
    micro_precision, micro_recall : float
    per_class : dict
        Precision, recall, F1 and number of spectra of each label.
    n : int
        Number of spectra.
    """

    exact_match: float
    micro_f1: float
    macro_f1: float
    micro_precision: float
    micro_recall: float
    per_class: dict[str, dict[str, float]]
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def set_scores(
    true: Sequence[Iterable[str]] | Array,
    predicted: Sequence[Iterable[str]] | Array,
    *,
    names: Sequence[str],
) -> SetScores:
    """Compare label sets, over some names.

    Parameters
    ----------
    true, predicted : sequence of sets of str, same length
        A lone text is a set of one.
    names : sequence of str
        The labels that count; others, such as the background, are left out of both sets.

    Raises
    ------
    DataError
        If the lengths differ or there is nothing to compare.
    """
    if len(true) != len(predicted):
        raise DataError(f"{len(true)} true label sets, but {len(predicted)} predicted ones")
    if not len(true) or not names:
        raise DataError("there is nothing to compare: no spectra or no names")
    truth, guess = indicator(true, names), indicator(predicted, names)
    right, called, there = (truth & guess).sum(0), guess.sum(0), truth.sum(0)
    precision = _ratios(names, right, called)
    recall = _ratios(names, right, there)
    f1 = _ratios(names, 2 * right, called + there)
    defined = [value for value in f1.values() if np.isfinite(value)]
    return SetScores(
        exact_match=float((truth == guess).all(axis=1).mean()),
        micro_f1=_ratio(2 * right.sum(), called.sum() + there.sum()),
        macro_f1=float(np.mean(defined)) if defined else float("nan"),
        micro_precision=_ratio(right.sum(), called.sum()),
        micro_recall=_ratio(right.sum(), there.sum()),
        per_class={
            name: {
                "precision": precision[name],
                "recall": recall[name],
                "f1": f1[name],
                "n": int(there[i]),
            }
            for i, name in enumerate(names)
        },
        n=len(true),
    )


def indicator(sets: Sequence[Iterable[str]] | Array, names: Sequence[str]) -> BoolArray:
    """Membership of each name in each set, shape (n, k)."""
    members = [set(entry) for entry in label_sets(sets)]
    return np.array([[name in entry for name in names] for entry in members], dtype=bool)


def share_error(true: FloatArray, estimated: FloatArray) -> float:
    """Mean over spectra of half the summed absolute differences of shares; 0 is best, 1 worst.

    Raises
    ------
    DataError
        If the shapes differ or there are no spectra.
    """
    true, estimated = np.asarray(true), np.asarray(estimated)
    if true.shape != estimated.shape or true.ndim != 2 or not len(true):
        raise DataError(
            f"shares of shapes {true.shape} and {estimated.shape} cannot be compared: both need "
            "the same spectra and names"
        )
    return float(0.5 * np.abs(true - estimated).sum(axis=1).mean())


def rate_of(alarms: int, n: int, stated: float | None) -> dict[str, float | None]:
    """Observed rate with its exact 95 % binomial interval, beside the stated one.

    Parameters
    ----------
    alarms, n : int
        Alarms among how many spectra.
    stated : float or None
        None where no rate is stated.

    References
    ----------
    C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404, doi:10.1093/biomet/26.4.404.
    """
    low = 0.0 if alarms == 0 else float(beta.ppf(0.025, alarms, n - alarms + 1))
    high = 1.0 if alarms == n else float(beta.ppf(0.975, alarms + 1, n - alarms))
    return {
        "stated": stated,
        "observed": alarms / n if n else float("nan"),
        "low": low,
        "high": high,
        "alarms": alarms,
        "n": n,
    }


def set_errors(
    true: Sequence[Iterable[str]] | Array, predicted: Sequence[Iterable[str]] | Array
) -> Array:
    """Kind of error per spectrum: ``right``, ``missed``, ``spurious`` or ``both``.

    Raises
    ------
    DataError
        If the lengths differ.
    """
    if len(true) != len(predicted):
        raise DataError(f"{len(true)} true label sets, but {len(predicted)} predicted ones")
    kinds = []
    pairs = zip(map(set, label_sets(true)), map(set, label_sets(predicted)), strict=True)
    for truth, guess in pairs:
        missed, spurious = truth - guess, guess - truth
        kinds.append(
            "both"
            if missed and spurious
            else "missed"
            if missed
            else "spurious"
            if spurious
            else "right"
        )
    return np.asarray(kinds, dtype=np.str_)


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else float("nan")


def _ratios(names: Sequence[str], part: Array, whole: Array) -> dict[str, float]:
    return {name: _ratio(p, w) for name, p, w in zip(names, part, whole, strict=True)}
