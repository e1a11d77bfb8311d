"""Benchmark in the layout of the GAMMA_FLOW example data: ours beside the reference's rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectraloom._typing import Array, Progress
from spectraloom.analyze.outlier import OutlierStudy, study_outliers
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate import reference
from spectraloom.evaluate.identify import judge_trial, prepare_trial
from spectraloom.evaluate.identify_speed import measure_identification
from spectraloom.evaluate.metrics import confusion, set_scores
from spectraloom.evaluate.sets import EvaluationSets, sort_by_role, source_labels, standard_axis
from spectraloom.evaluate.splits import split_by_group
from spectraloom.evaluate.throughput import measure_throughput
from spectraloom.evaluate.unknown import unknown_scores


def run_gamma_flow_benchmark(
    groups: Sequence[Spectra],
    *,
    seed: int = 1,
    throughput: bool = True,
    identify: bool = True,
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
    identify : bool
        Whether to judge identification under the likelihood, too, on raw counts.
    progress : callable, optional

    Returns
    -------
    dict
        Ours at the top level, the rule of the reference under ``reference``, on the same spectra
        and split; identification under ``identify``, which says itself what it was taught and
        judged on; plain values for JSON.

    Raises
    ------
    DataError
        If there are no spectra, or none to train on.
    """
    if not groups:
        raise DataError("there are no spectra to run the benchmark on")
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
        _report(progress, 0.5, "measuring speed")
        speed = measure_throughput(ours.training, seed=seed)
        results["reference"]["throughput"] = {
            "nnls_per_second": speed["scipy_nnls_per_second"],
            "rebin_per_second": speed.pop("reference_rebin_per_second"),
        }
        results["throughput"] = speed
    if identify:
        _judge_identification(results, groups, seed, throughput, progress)
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


def _judge_identification(
    results: dict[str, Any],
    groups: Sequence[Spectra],
    seed: int,
    throughput: bool,
    progress: Progress | None,
) -> None:
    """Add ``identify`` to the results, and its speed."""

    def within(start: float, stop: float) -> Progress:
        return lambda fraction, text: _report(progress, start + (stop - start) * fraction, text)

    trial = prepare_trial(groups, seed=seed, progress=within(0.7, 0.85))
    results["identify"] = judge_trial(trial, seed=seed, progress=within(0.85, 0.98))
    judged = (*trial.parts.multi, *trial.parts.single, *trial.parts.unknown)
    measured = [one for one in judged if len(one)]
    if throughput and measured:
        model = next(iter(trial.models.values()))
        speed = measure_identification(model, trial.library, measured, seed=seed)
        results["identify"]["one_spectrum_ms"] = speed.pop("one_spectrum_ms")
        results["identify"]["throughput"] = speed


def _judge(
    model: SupervisedNMF,
    sets: EvaluationSets,
    train: Array,
    test: Array,
    seed: int,
    feature: str | None = None,
) -> dict[str, Any]:
    """Results of one pipeline; `feature` is its outlier score, else the study chooses it."""
    fitted = model.fit(sets.training[train])
    holdout = confusion(source_labels(sets.training[test]), fitted.predict(sets.training[test]))
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
    truth, found = source_labels(single), model.predict(single)
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
    detectors, files = (
        np.concatenate([part.column(column).astype(np.str_) for part in (unknown, known)])
        for column in ("detector", "file")
    )
    return {
        **unknown_scores(score, np.arange(len(score)) < len(unknown), detectors, files),
        "feature": name,
        "flagged_unknown": float(boundary.flags(of_unknown).mean()),
        "flagged_known": float(boundary.flags(of_known).mean()),
    }


def _detectors(sets: EvaluationSets) -> set[str]:
    parts = (sets.training, sets.single, sets.multi, sets.unknown)
    return {str(d) for part in parts if part is not None for d in part.column("detector")}


def _report(progress: Progress | None, fraction: float, text: str) -> None:
    if progress is not None:
        progress(fraction, text)
