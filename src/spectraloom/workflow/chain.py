"""GAMMA_FLOW's whole chain: explore, train, judge, find outliers, test robustness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone

from spectraloom._typing import Array
from spectraloom.analyze.explore import (
    MeanSpectra,
    Similarity,
    label_text,
    mean_spectra,
    similarity,
)
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.manifold import ManifoldUnmixer
from spectraloom.analyze.outlier import OutlierStudy, study_outliers
from spectraloom.analyze.share_rule import shares_of
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, LabelError
from spectraloom.evaluate.metrics import (
    Confusion,
    SetScores,
    confusion,
    set_errors,
    set_scores,
    share_error,
)
from spectraloom.evaluate.robustness import RobustnessPoint, robustness
from spectraloom.evaluate.sets import EvaluationSets, source_labels
from spectraloom.evaluate.splits import split_by_group
from spectraloom.workflow.manifold_scores import deforming_scores
from spectraloom.workflow.prepare import part_of

_NOISE = (0.0, 0.2, 0.5, 1.0, 2.0)
_KEPT = (1.0, 0.3, 0.1, 0.03, 0.01)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A model's answers on one labelled set.

    Parameters
    ----------
    name : str
        What the set is, for headings.
    model : SupervisedNMF, Identifier or ManifoldUnmixer
    spectra : Spectra
    result : Result
    truth : ndarray of str, shape (n,)
        The one label to compare with: what the model named first, if it is truly there, else the
        first true source, or the background.
    confusion : Confusion
        Of the largest source.
    sets : SetScores
        Of all sources.
    """

    name: str
    model: SupervisedNMF | Identifier | ManifoldUnmixer
    spectra: Spectra
    result: Result
    truth: Array
    confusion: Confusion
    sets: SetScores

    @property
    def right(self) -> Array:
        """Whether the one label is right, shape (n,)."""
        top = self.result.top
        return np.asarray(top == self.truth)

    @property
    def combinations(self) -> list[tuple[str, ...]]:
        """All sources of each spectrum, sorted; the background where there are none."""
        background = self.result.provenance["settings"]["background"]
        return [tuple(sorted(set(entry) - {background})) or entry for entry in self.spectra.labels]

    @property
    def share_error(self) -> float | None:
        """Mean error of the shares, where columns ``true_<name>`` say what is there."""
        names = self.result.names
        known = [f"true_{name}" in self.spectra.columns for name in names]
        if not any(known):
            return None
        true = np.column_stack(
            [
                np.nan_to_num(self.spectra.columns[f"true_{name}"])
                if there
                else np.zeros(len(self.spectra))
                for name, there in zip(names, known, strict=True)
            ]
        )
        rows = true.sum(axis=1) > 0
        return share_error(shares_of(true[rows]), self.result.shares[rows]) if rows.any() else None

    @property
    def set_errors(self) -> dict[str, int]:
        """Number of spectra whose set of sources is right, misses some, has too many, or both."""
        background = self.result.provenance["settings"]["background"]
        true, found = (
            [set(entry) - {background} for entry in labels]
            for labels in (self.spectra.labels, self.result.labels)
        )
        kinds = set_errors(true, found)
        return {
            kind: int((kinds == kind).sum()) for kind in ("right", "missed", "spurious", "both")
        }

    def to_dict(self) -> dict[str, Any]:
        """Scores for JSON; ``not_in_model`` lists labels that the model was never shown."""
        labels = {label for entry in self.spectra.labels for label in entry}
        return {
            "n": len(self.spectra),
            "accuracy": self.confusion.accuracy,
            "per_class": self.confusion.per_class(),
            "exact_match": self.sets.exact_match,
            "micro_f1": self.sets.micro_f1,
            "macro_f1": self.sets.macro_f1,
            "set_errors": self.set_errors,
            "share_error": self.share_error,
            **deforming_scores(self.model, self.spectra, self.result),
            "flagged": flagged(self.result),
            "not_in_model": sorted(labels - set(self.result.names)),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Everything that :func:`run_chain` found.

    Parameters
    ----------
    model : SupervisedNMF
        Trained, with the outlier boundary set.
    means : MeanSpectra
        Means per source and detector, background subtracted from measured ones.
    similarity : Similarity
    judged : dict of str to Judged
        ``holdout`` and, where there were data, ``single`` and ``multi``.
    study : OutlierStudy or None
        None if there were fewer than two sources.
    unknown : Result or None
        Answers on spectra with sources that were not trained.
    robustness : list of RobustnessPoint
    examples : Spectra
        Where the examples of the report come from: training and single.
    """

    model: SupervisedNMF
    means: MeanSpectra
    similarity: Similarity
    judged: dict[str, Judged]
    study: OutlierStudy | None
    unknown: Result | None
    examples: Spectra
    robustness: list[RobustnessPoint] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Summary for JSON."""
        return {
            "judged": {name: judged.to_dict() for name, judged in self.judged.items()},
            "outlier": None if self.study is None else self.study.to_dict(),
            "flagged_unknown": flagged(self.unknown),
            "flagged_known": flagged(
                *(self.judged[name].result for name in ("single", "multi") if name in self.judged)
            ),
            "similarity": {
                "too_far": [list(pair) for pair in self.similarity.too_far],
                "too_close": [list(pair) for pair in self.similarity.too_close],
            },
            "robustness": [point.to_dict() for point in self.robustness],
            "provenance": dict(self.model.provenance_),
        }


def require_kind(model: SupervisedNMF | Identifier | ManifoldUnmixer, spectra: Spectra) -> None:
    """Refuse spectra of another kind than those of the training: their noise is another, too.

    Raises
    ------
    DataError
        If they are.
    """
    kind = model.provenance_.get("kind", spectra.kind)
    if spectra.kind != kind:
        raise DataError(
            f"the model was trained on spectra of kind {kind!r}, these are of kind "
            f"{spectra.kind!r}: convert them first, or use a model that was trained on such"
        )


def judge(
    name: str,
    model: SupervisedNMF | Identifier | ManifoldUnmixer,
    spectra: Spectra,
    *,
    progress: Callable[[float, str], None] | None = None,
) -> Judged:
    """Compare a model's answers with the labels of spectra.

    Parameters
    ----------
    name : str
        What the spectra are.
    model : SupervisedNMF, Identifier or ManifoldUnmixer
        A fitted model.
    spectra : Spectra
        With a column ``labels``.
    progress : callable, optional

    Raises
    ------
    LabelError
        If a spectrum has no label.
    DataError
        If the spectra are of another kind than those of the training.
    """
    require_kind(model, spectra)
    labels = spectra.labels
    missing = sum(not entry for entry in labels)
    if missing:
        raise LabelError(
            f"{missing} of {len(spectra)} spectra have no label to compare the answers with: leave "
            "them out, or label them"
        )
    result = model.analyze(spectra, progress=progress)
    first = source_labels(spectra, model.background)
    found = first if result.top is None else result.top
    sources = [set(entry) - {model.background} for entry in labels]
    there = np.array([top in entry for top, entry in zip(found, sources, strict=True)], dtype=bool)
    truth = np.where(there, found, first)
    known = set().union(*sources) | set(model.classes_.tolist())
    return Judged(
        name,
        model,
        spectra,
        result,
        truth,
        confusion(truth, found),
        set_scores(labels, result.labels, names=sorted(known - {model.background})),
    )


def run_chain(
    sets: EvaluationSets,
    *,
    model: SupervisedNMF | None = None,
    with_robustness: bool = True,
    seed: int = 1,
    progress: Callable[[float, str], None] | None = None,
) -> Chain:
    """Run the chain on sorted spectra.

    Parameters
    ----------
    sets : EvaluationSets
        On one axis.
    model : SupervisedNMF, optional
        Settings; the default ones otherwise.
    with_robustness : bool
        Whether to run the robustness experiment, the longest step.
    seed : int
        Seed of splits and draws.
    progress : callable, optional
    """
    settings = SupervisedNMF() if model is None else model
    report = part_of(progress, 0.0, 1.0)
    report(0.0, "exploring")
    examples = sets.training
    if sets.single is not None:
        examples = Spectra.concatenate([examples, sets.single])
    means = source_means(examples, settings.background)
    report(0.05, "training")
    train, test = split_by_group(sets.training, seed=seed)
    training, holdout = sets.training[train], sets.training[test]
    fitted = clone(settings).fit(training)
    study = None
    if len(sets.sources) >= 2:
        study = study_outliers(settings, training, seed=seed, progress=part_of(progress, 0.1, 0.3))
        fitted.set_outlier_boundary(study.boundary)
    report(0.3, "judging")
    judged = {"holdout": judge("Hold-out", fitted, holdout)}
    if sets.single is not None:
        judged["single"] = judge("Measured, one source", fitted, sets.single)
    if sets.multi is not None:
        judged["multi"] = judge("Measured, several sources", fitted, sets.multi)
    unknown = None if sets.unknown is None else fitted.analyze(sets.unknown)
    points = []
    if with_robustness and study is not None:
        points = robustness(
            settings,
            training,
            holdout,
            noise=_NOISE,
            kept=_KEPT,
            seed=seed,
            progress=part_of(progress, 0.4, 1.0),
        )
    report(1.0, "done")
    return Chain(fitted, means, similarity(means), judged, study, unknown, examples, points)


def source_means(spectra: Spectra, background: str | None) -> MeanSpectra:
    """Mean spectra of each source and detector, as far as possible without the background.

    Spectra that are labelled with background besides a source have the mean background of their
    detector subtracted; pure sources are left as they are.

    Parameters
    ----------
    spectra : Spectra
        With a column ``labels``.
    background : str or None
        Label that is no source.
    """
    labels = [
        tuple(label for label in entry if label != background) or entry for entry in spectra.labels
    ]
    under = np.array([len(entry) > 1 and background in entry for entry in spectra.labels])
    alone = np.array([entry == (background,) for entry in spectra.labels])
    renamed = spectra.with_columns(labels=labels)
    if not under.any() or not alone.any():
        return mean_spectra(renamed)
    clean = mean_spectra(renamed, subtract=background)
    plain = mean_spectra(renamed)
    # A combination counts as measured over background if most of its spectra are labelled so.
    detectors = renamed.columns.get("detector", np.full(len(renamed), ""))
    texts = np.array([label_text(entry) for entry in labels])
    over = np.array(
        [
            under[(texts == label) & (detectors == detector)].mean() > 0.5
            for label, detector in zip(clean.labels, clean.detectors, strict=True)
        ]
    )
    means = np.where(over[:, np.newaxis], clean.means, plain.means)
    return MeanSpectra(
        plain.labels, plain.detectors, means, plain.spreads, plain.n_spectra, plain.axis
    )


def flagged(*results: Result | None) -> float | None:
    """Share of spectra flagged as outliers; None without spectra or without a boundary."""
    flags = [r.flags["outlier"] for r in results if r is not None and "outlier" in r.flags]
    return float(np.concatenate(flags).mean()) if flags else None
