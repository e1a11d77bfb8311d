"""Benchmark in the layout of the GAMMA_FLOW example data: ours beside the reference's rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from spectraloom._typing import Array, BoolArray, FloatArray
from spectraloom.analyze.outlier import OutlierStudy, study_outliers
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.axis import Axis, shift_polynomial
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate import reference
from spectraloom.evaluate.metrics import confusion, set_scores
from spectraloom.evaluate.splits import split_by_group
from spectraloom.evaluate.throughput import measure_throughput
from spectraloom.process import rebin, remove_duplicates

Progress = Callable[[float, str], None]
Rebinning = Callable[[Spectra, Axis], Spectra]
BACKGROUND = "background"
SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, eq=False)
class GammaFlowSets:
    """The example data, sorted by the part they play.

    Parameters
    ----------
    training : Spectra
        Simulated sources and measured pure background; one label each.
    single : Spectra or None
        Measured, at most one source besides the background.
    multi : Spectra or None
        Measured, any number of known sources.
    unknown : Spectra or None
        Measured, with a source that is not in the training.
    """

    training: Spectra
    single: Spectra | None
    multi: Spectra | None
    unknown: Spectra | None

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources of the training, sorted."""
        labels = {label for entry in self.training.labels for label in entry}
        return tuple(sorted(labels - {BACKGROUND}))

    @property
    def known(self) -> Spectra | None:
        """All measured spectra without unknown sources."""
        parts = [part for part in (self.single, self.multi) if part is not None]
        return Spectra.concatenate(parts) if parts else None


def standard_axis(n_channels: int) -> Axis:
    """Axis of the reference's standard calibration."""
    return Axis.from_polynomial(shift_polynomial(reference.STANDARD_CALIBRATION, -0.5), n_channels)


def sort_by_role(
    groups: Sequence[Spectra], axis: Axis, rebinning: Rebinning = rebin
) -> GammaFlowSets:
    """Tell training, single-label, multi-label and unknown spectra apart, and rebin them.

    Detectors are told by the data: ``simulated`` is the simulation, every other one is measured.
    A measured file with background only teaches the background; one with mixtures or unknown
    sources is a multi-label file. Exact copies of the preceding spectrum of a file are removed.

    Parameters
    ----------
    groups : sequence of Spectra
        As :func:`spectraloom.io.read_groups` gives them, with the columns ``labels``,
        ``detector`` and ``file``.
    axis : Axis
        The common axis.
    rebinning : callable
        How to get there.

    Raises
    ------
    DataError
        If there is nothing simulated or no background file.
    """
    files = [one for group in groups for one in _by_file(group)]
    simulated = [one for one in files if _is_simulated(one)]
    # Copies in a simulation are no logger's fault; the split keeps them on one side.
    measured = [remove_duplicates(one) for one in files if not _is_simulated(one)]
    trained = {label for one in simulated for entry in one.labels for label in entry}
    background = [one for one in measured if not _sources(one)]
    if not simulated or not background:
        raise DataError(
            "the benchmark trains on spectra of detector 'simulated' and on a measured file with "
            "nothing but background; "
            f"found {len(simulated)} simulated and {len(background)} background file(s)"
        )
    single: list[Spectra] = []
    multi: list[Spectra] = []
    unknown: list[Spectra] = []
    for one in measured:
        sources = [set(entry) - {BACKGROUND} for entry in one.labels]
        if not any(sources):
            continue
        foreign = np.array([not entry <= trained for entry in sources])
        several = any(len(entry) > 1 for entry in sources)
        (multi if several or foreign.any() else single).append(one[~foreign])
        unknown.append(one[foreign])

    def join(parts: list[Spectra]) -> Spectra | None:
        moved = [_plain(rebinning(part, axis)) for part in parts if len(part)]
        return Spectra.concatenate(moved) if moved else None

    training = join(simulated + background)
    assert training is not None  # noqa: S101 - both lists were found to be non-empty
    return GammaFlowSets(training, join(single), join(multi), join(unknown))


def run_gamma_flow_benchmark(
    groups: Sequence[Spectra],
    *,
    seed: int = 1,
    throughput: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train on simulation and background, judge on hold-out and every measured detector.

    Parameters
    ----------
    groups : sequence of Spectra
        The data, see :func:`sort_by_role`.
    seed : int
        Seed of the hold-out split and the outlier study.
    throughput : bool
        Whether to measure speed and memory as well.
    progress : callable, optional

    Returns
    -------
    dict
        Ours at the top level, the rule of the reference under ``reference``, on the same spectra
        and split; plain values for JSON.
    """
    axis = standard_axis(groups[0].n_channels)
    window = (float(axis.centers[reference.FIRST_CHANNEL]), float(axis.centers[-1]))
    _report(progress, 0.0, "rebinning")
    ours = sort_by_role(groups, axis)
    theirs = sort_by_role(groups, axis, reference.interpolated_rebin)
    # One split for both: rows agree, because only the rebinning differs.
    train, test = split_by_group(ours.training, seed=seed)
    _report(progress, 0.1, "judging our model")
    model = SupervisedNMF(window=window)
    results = _judge(model, ours, train, test, seed)
    _report(progress, 0.4, "judging the reference")
    results["reference"] = _judge(
        reference.reference_model(*window), theirs, train, test, seed, feature="correlation"
    )
    if throughput:
        _report(progress, 0.6, "measuring speed")
        results["throughput"] = measure_throughput(ours.training, seed=seed)
    results["protocol"] = {
        "sources": list(ours.sources),
        "detectors": sorted({str(d) for d in _detectors(ours)}),
        "n_train": len(train),
        "n_holdout": len(test),
        **{
            f"n_{name}": 0 if part is None else len(part)
            for name, part in (
                ("single", ours.single),
                ("multi", ours.multi),
                ("unknown", ours.unknown),
            )
        },
        "window_kev": list(window),
        "seed": seed,
    }
    _report(progress, 1.0, "done")
    return results


def _judge(
    model: SupervisedNMF,
    sets: GammaFlowSets,
    train: Array,
    test: Array,
    seed: int,
    feature: str | None = None,
) -> dict[str, Any]:
    """Results of one pipeline; `feature` is its outlier score, else the study chooses it."""
    fitted = model.fit(sets.training[train])
    holdout = confusion(_single(sets.training[test]), fitted.predict(sets.training[test]))
    results: dict[str, Any] = {
        "holdout": {"accuracy": holdout.accuracy, "per_class": holdout.per_class()},
        "min_source_share": fitted.min_source_share_,
    }
    if sets.single is not None:
        results["measured"] = _judge_single(fitted, sets.single)
    if sets.multi is not None:
        scores = set_scores(sets.multi.labels, fitted.predict_sets(sets.multi), names=sets.sources)
        results["multilabel"] = scores.to_dict()
    study = study_outliers(
        model,
        sets.training[train],
        feature=feature,
        add_background=feature is None,
        seed=seed,
    )
    results["outlier"] = study.to_dict()
    if sets.unknown is not None and sets.known is not None:
        results["unknown"] = _judge_unknown(fitted, study, sets.unknown, sets.known)
    return results


def _judge_single(model: SupervisedNMF, single: Spectra) -> dict[str, Any]:
    truth, found = _single(single), model.predict(single)
    overall = confusion(truth, found)
    detectors = single.column("detector").astype(str)
    return {
        "accuracy": overall.accuracy,
        "per_class": overall.per_class(),
        "per_detector": {
            str(name): confusion(truth[detectors == name], found[detectors == name]).accuracy
            for name in np.unique(detectors)
        },
        "confusion": {"names": list(overall.names), "matrix": overall.matrix.tolist()},
    }


def _judge_unknown(
    model: SupervisedNMF,
    study: OutlierStudy,
    unknown: Spectra,
    known: Spectra,
) -> dict[str, Any]:
    boundary = study.boundary
    sign = 1.0 if boundary.outlier_above else -1.0
    of_unknown, of_known = model.features(unknown), model.features(known)
    name = boundary.feature
    score = sign * np.concatenate([of_unknown[name], of_known[name]])
    truth: BoolArray = np.arange(len(score)) < len(unknown)
    return {
        "auc": float(roc_auc_score(truth, score)),
        "feature": name,
        "recall_at_5pct": _recall_at(score, truth, 0.05),
        "flagged_unknown": float(boundary.flags(of_unknown).mean()),
        "flagged_known": float(boundary.flags(of_known).mean()),
        "n": len(unknown),
    }


def _recall_at(score: FloatArray, truth: BoolArray, false_alarms: float) -> float:
    return float((score[truth] > np.quantile(score[~truth], 1.0 - false_alarms)).mean())


def _by_file(group: Spectra) -> list[Spectra]:
    names = group.column("file").astype(str)
    return [group[names == name] for name in dict.fromkeys(names.tolist())]


def _is_simulated(one: Spectra) -> bool:
    return bool((np.char.lower(one.column("detector").astype(str)) == SIMULATED).all())


def _sources(one: Spectra) -> set[str]:
    return {label for entry in one.labels for label in entry} - {BACKGROUND}


def _single(spectra: Spectra) -> Array:
    """One label per spectrum: its source, or background if there is none."""
    names = []
    for entry in spectra.labels:
        sources = [label for label in entry if label != BACKGROUND]
        names.append(sources[0] if sources else BACKGROUND)
    return np.asarray(names, dtype=np.str_)


def _plain(spectra: Spectra) -> Spectra:
    """Without the per-file columns and the variance, so that all parts agree."""
    keep = ("labels", "detector", "file", "absorber")
    columns = {name: spectra.columns[name] for name in keep if name in spectra.columns}
    return spectra.replace(columns=columns, variance=None)


def _detectors(sets: GammaFlowSets) -> set[str]:
    parts = (sets.training, sets.single, sets.multi, sets.unknown)
    return {str(d) for part in parts if part is not None for d in part.column("detector")}


def _report(progress: Progress | None, fraction: float, text: str) -> None:
    if progress is not None:
        progress(fraction, text)
