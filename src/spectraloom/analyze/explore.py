"""A first look at labelled spectra: means per label and detector, and how alike they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import Array, FloatArray
from spectraloom.analyze.quality import cosine
from spectraloom.data.axis import Axis
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError
from spectraloom.process.aggregate import aggregate, group_rows


@dataclass(frozen=True, slots=True, eq=False)
class MeanSpectra:
    """Mean spectra of each combination of label set and detector.

    Parameters
    ----------
    labels, detectors : tuple of str, length k
        The combination; several labels are sorted and joined by " + ".
    means : ndarray, shape (k, n_channels)
    spreads : ndarray, shape (k, n_channels)
        Standard deviation between the spectra of the combination (n - 1 in the denominator), zero
        for a single one.
    n_spectra : ndarray of int, shape (k,)
    axis : Axis
    """

    labels: tuple[str, ...]
    detectors: tuple[str, ...]
    means: FloatArray
    spreads: FloatArray
    n_spectra: Array
    axis: Axis

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Label and detector in one text."""
        return tuple(
            f"{label} ({detector})" if detector else label
            for label, detector in zip(self.labels, self.detectors, strict=True)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """Cosine similarity of mean spectra, with the pairs that deserve a look.

    Parameters
    ----------
    names : tuple of str, length k
    matrix : ndarray, shape (k, k)
    too_far : list of (str, str, float)
        Pairs of one label whose similarity is below the threshold.
    too_close : list of (str, str, float)
        Pairs of different labels whose similarity is at or above it.
    threshold : float
    """

    names: tuple[str, ...]
    matrix: FloatArray
    too_far: tuple[tuple[str, str, float], ...]
    too_close: tuple[tuple[str, str, float], ...]
    threshold: float


def label_text(entry: tuple[str, ...]) -> str:
    """Text of a label set; the order of the labels means nothing."""
    return " + ".join(sorted(set(entry))) or "no label"


def mean_spectra(spectra: Spectra, *, subtract: str | None = None) -> MeanSpectra:
    """Mean and spread for each label set and detector.

    Parameters
    ----------
    spectra : Spectra
        With a column ``labels``; a column ``detector`` is used if there is one.
    subtract : str, optional
        Label (e.g. ``"background"``) whose mean, of the same detector where there is one, is
        subtracted from every other mean, scaled by live time where known and by one otherwise.

    Raises
    ------
    LabelError
        If there are no labels.
    DataError
        If there are no spectra, they are complex, or `subtract` never occurs alone.
    """
    by = ("labels", "detector") if "detector" in spectra.columns else ("labels",)
    mean, spread = aggregate(spectra, by, "mean"), aggregate(spectra, by, "std")
    labels = tuple(label_text(entry) for entry in mean.labels)
    detectors = (
        tuple(mean.column("detector").astype(np.str_).tolist())
        if "detector" in spectra.columns
        else ("",) * len(mean)
    )
    means = np.array(mean.values, dtype=np.float64)
    if subtract is not None:
        means -= _background_under(mean, labels, detectors, subtract)
    return MeanSpectra(
        labels,
        detectors,
        means,
        np.asarray(spread.values, dtype=np.float64),
        mean.column("n_spectra"),
        spectra.axis,
    )


def similarity(
    means: MeanSpectra, *, threshold: float = 0.8, window: tuple[float, float] | None = None
) -> Similarity:
    """Cosine similarity of every pair of mean spectra.

    Parameters
    ----------
    means : MeanSpectra
    threshold : float
        One label should be at least this similar on all detectors, different labels less.
    window : (float, float), optional
        Part of the axis to compare.
    """
    channels = slice(None) if window is None else means.axis.window(*window)
    part = means.means[:, channels]
    k = len(means)
    matrix = np.stack([cosine(np.broadcast_to(row, part.shape), part) for row in part])
    too_far, too_close = [], []
    for i in range(k):
        for j in range(i + 1, k):
            pair = (means.names[i], means.names[j], float(matrix[i, j]))
            if means.labels[i] == means.labels[j] and matrix[i, j] < threshold:
                too_far.append(pair)
            elif means.labels[i] != means.labels[j] and matrix[i, j] >= threshold:
                too_close.append(pair)
    return Similarity(means.names, matrix, tuple(too_far), tuple(too_close), threshold)


def random_examples(spectra: Spectra, n_per_label: int, *, seed: int = 0) -> Spectra:
    """Up to `n_per_label` spectra of each label set, drawn at random, in order of label.

    Parameters
    ----------
    spectra : Spectra
    n_per_label : int
        At least 1.
    seed : int
        Seed of the draw.
    """
    if n_per_label < 1:
        raise DataError(f"n_per_label is at least 1, got {n_per_label}")
    rng = np.random.default_rng(seed)
    drawn = [
        np.sort(rng.permutation(members)[:n_per_label]) for members in group_rows(spectra, "labels")
    ]
    return spectra[np.concatenate(drawn) if drawn else []]


def _background_under(
    mean: Spectra, labels: Sequence[str], detectors: Sequence[str], name: str
) -> FloatArray:
    """Background to subtract from each mean, shape (k, n_channels); none from itself."""
    own = [row for row, label in enumerate(labels) if label == name]
    if not own:
        known = ", ".join(sorted(set(labels)))
        raise DataError(f"no spectrum is labelled {name!r} alone; labels: {known}")
    background = np.zeros(mean.shape)
    for row, detector in enumerate(detectors):
        if row not in own:
            source = next((other for other in own if detectors[other] == detector), own[0])
            background[row] = mean.values[source] * _live_time_ratio(mean, row, source)
    return background


def _live_time_ratio(mean: Spectra, row: int, reference: int) -> float:
    if mean.live_time is None or not mean.live_time[reference] > 0:
        return 1.0
    ratio = float(mean.live_time[row] / mean.live_time[reference])
    return ratio if np.isfinite(ratio) else 1.0
