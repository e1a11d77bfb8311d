"""Train, judge and use a model on files."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from spectraloom._typing import Array, IntArray
from spectraloom.analyze.identify.gaps import start_times
from spectraloom.analyze.outlier import Method, OutlierStudy, study_outliers
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.axis import Axis
from spectraloom.data.columns import is_label_sets
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, FitError
from spectraloom.evaluate.splits import split_by_group
from spectraloom.process.identical import identical_groups
from spectraloom.workflow.chain import Judged, judge, require_kind
from spectraloom.workflow.left_out import LeftOut, read_usable, use_each
from spectraloom.workflow.prepare import onto_axis, part_of
from spectraloom.workflow.strict_json import strict_json
from spectraloom.workflow.target import require_target

RESULT_ENDINGS = (".csv", ".json")
_CARRIED = ("file", "record", "detector", "title", "start_time", "labels", "conformal_set")


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """A trained model and how it did on the spectra held out.

    Parameters
    ----------
    model : SupervisedNMF
    holdout : Judged or None
        None if nothing was held out.
    study : OutlierStudy or None
        None if it was not asked for.
    """

    model: SupervisedNMF
    holdout: Judged | None
    study: OutlierStudy | None

    def to_dict(self) -> dict[str, Any]:
        """Summary for JSON."""
        return {
            "classes": self.model.classes_.tolist(),
            "n_loadings": len(self.model.loading_names_),
            "start": self.model.start_,
            "min_source_share": self.model.min_source_share_,
            "holdout": None if self.holdout is None else self.holdout.to_dict(),
            "outlier": None if self.study is None else self.study.to_dict(),
            "provenance": dict(self.model.provenance_),
        }


def train(
    spectra: Spectra,
    model: SupervisedNMF,
    *,
    holdout: float = 0.2,
    outliers: bool = True,
    seed: int = 1,
    progress: Callable[[float, str], None] | None = None,
) -> Training:
    """Train on one part of the spectra and judge on the rest.

    Parameters
    ----------
    spectra : Spectra
        On one axis, with a column ``labels``.
    model : SupervisedNMF
        Settings; it is cloned.
    holdout : float
        Share of the spectra held out; 0 trains on all.
    outliers : bool
        Whether to find an outlier boundary by leaving labels out; needs two sources.
    seed : int
        Seed of the split and the study.
    progress : callable, optional

    Raises
    ------
    DataError
        If `holdout` is out of range.
    FitError
        If holding out leaves no spectrum of a label to train on, or an outlier boundary is asked
        for and cannot be found: that takes at least two sources, and spectra with one label each.
    """
    _require_share(holdout)
    if outliers:
        _require_study(spectra, model.background)
    report = part_of(progress, 0.0, 1.0)
    report(0.0, "training")
    training, test = hold_out(spectra, holdout, seed)
    fitted = clone(model).fit(training)
    study = None
    if outliers:
        study = study_outliers(model, training, seed=seed, progress=part_of(progress, 0.2, 0.9))
        fitted.set_outlier_boundary(study.boundary)
    judged = None if test is None else judge("Hold-out", fitted, test)
    report(1.0, "done")
    return Training(fitted, judged, study)


def hold_out(
    spectra: Spectra, share: float, seed: int, *, in_order: str | None = None
) -> tuple[Spectra, Spectra | None]:
    """Spectra to train on, and those held out; copies stay on one side.

    Parameters
    ----------
    spectra : Spectra
        With a column ``labels``.
    share : float
        Share held out; 0 holds out nothing.
    seed : int
    in_order : str, optional
        Label of spectra whose last part is held out instead of a random one: those that began
        last, where all of them say so, else those given last.

    Raises
    ------
    DataError
        If the share is out of range.
    FitError
        If no spectrum of a label is left to train on.
    """
    _require_share(share)
    if share == 0:
        return spectra, None
    rows, others = split_by_group(spectra, test_size=share, seed=seed)
    if in_order is not None:
        rows, others = _last_held_out(spectra, in_order, share, rows, others)
    training, test = spectra[rows], spectra[others]
    lost = _names(spectra) - _names(training)
    if lost:
        raise FitError(
            f"holding out {share:.0%} leaves no spectrum of {', '.join(sorted(lost))} to "
            "train on: give more spectra, or hold out fewer or none (--holdout 0)"
        )
    return training, test


def _last_held_out(
    spectra: Spectra, label: str, share: float, rows: IntArray, others: IntArray
) -> tuple[IntArray, IntArray]:
    """The same split, but of one label the last spectra are held out; copies of others are not."""
    own = np.array([tuple(entry) == (label,) for entry in spectra.labels], dtype=bool)
    placed = np.flatnonzero(own)
    times = start_times(spectra[placed])
    if times is not None:
        placed = placed[np.argsort(times, kind="stable")]
    held = min(int(np.ceil(share * len(placed))), max(len(placed) - 1, 0))
    first, copies = len(placed) - held, identical_groups(spectra)
    last = placed[first:]
    last = last[~np.isin(copies[last], copies[np.append(placed[:first], rows[~own[rows]])])]
    training = np.append(rows[~own[rows]], np.setdiff1d(placed, last))
    return np.sort(training), np.sort(np.append(others[~own[others]], last))


def _require_share(share: float) -> None:
    if not 0 <= share < 1:
        raise DataError(f"the share to hold out lies in [0, 1), got {share:g}")


def _names(spectra: Spectra) -> set[str]:
    return {label for entry in spectra.labels for label in entry}


def _require_study(spectra: Spectra, background: str | None) -> None:
    several = sum(len(entry) > 1 for entry in spectra.labels)
    sources = sorted(_names(spectra) - {background})
    if several or len(sources) < 2:
        what = f"{several} spectra with several labels" if several else f"sources {sources}"
        raise FitError(
            "an outlier boundary is found by leaving out one source after the other, which takes "
            f"at least two sources and spectra with one label each; here are {what}: choose "
            "training spectra with one label (--labels, --detectors, or fewer files), or train "
            "without it (--no-outliers, in Python outliers=False)"
        )


def study_for_model(
    model: SupervisedNMF,
    spectra: Spectra,
    *,
    method: Method = "curves",
    feature: str | None = None,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> OutlierStudy:
    """Find an outlier boundary for a trained model and store it in the model.

    Parameters
    ----------
    model : SupervisedNMF
        A fitted model; its settings are used for every round.
    spectra : Spectra
        Training spectra, each with one label.
    method : {"curves", "tree", "logistic"}
        Which boundary to store.
    feature : str, optional
        Feature to put it on; by default the most important one.
    seed : int
    progress : callable, optional

    Raises
    ------
    FitError
        If the method is unknown or there are fewer than two sources.
    DataError
        If the spectra are of another kind than those of the training.
    """
    require_kind(model, spectra)
    study = study_outliers(
        model, spectra, method=method, feature=feature, seed=seed, progress=progress
    )
    model.set_outlier_boundary(study.boundary)
    return study


def read_for(
    model: SupervisedNMF,
    source: Any,
    progress: Any = None,
    *,
    left_out: list[LeftOut] | None = None,
) -> Spectra:
    """Read spectra and move them onto the model's axis.

    Parameters
    ----------
    model : SupervisedNMF
        Fitted on spectra with an axis.
    source : path, glob, folder or sequence of these
    progress : callable, optional
    left_out : list of LeftOut, optional
        Files that cannot be used are added to it; by default one such file stops all.

    Raises
    ------
    FormatError
        If there is nothing to read.
    CalibrationError
        If the axes differ and one is uncalibrated.
    AxisError
        If the axes do not overlap or measure different things.
    DataError
        If the spectra are of another kind than those of the training.
    """
    part_of(progress, 0.0, 1.0)(0.0, "reading")
    groups = read_usable(source, left_out)
    axis: Axis | None = model.axis_

    def fit_for(group: Spectra, number: int) -> Spectra:
        require_kind(model, group)
        if axis is not None:
            return onto_axis([group], axis)
        if number > 0 or group.n_channels != model.n_features_in_:
            raise DataError(
                f"the model was trained on plain arrays of {model.n_features_in_} channels, so "
                "spectra cannot be rebinned to it: train it on Spectra with an axis"
            )
        return group

    moved, _ = use_each(groups, fit_for, left_out)
    return Spectra.concatenate(moved)


def write_result(result: Result, path: str | Path) -> None:
    """Write a result as CSV or, by its ending, as JSON.

    Parameters
    ----------
    result : Result
    path : path
        ``.csv`` or ``.json``.

    Raises
    ------
    FormatError
        If the ending is another one, or the file cannot be written.
    """
    path = require_target(path, endings=RESULT_ENDINGS)
    if path.suffix.lower() == ".json":
        path.write_text(strict_json(result.to_dict()), encoding="utf-8", errors="backslashreplace")
        return
    head, rows = result_table(result)
    # A file name need not be text; what is none is shown escaped.
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(rows)


def result_table(result: Result) -> tuple[list[str], list[list[Any]]]:
    """Head and rows of a result as a table, one row per spectrum; None is an empty cell."""
    columns: dict[str, Any] = {
        name: _cells(result.columns[name]) for name in _CARRIED if name in result.columns
    }
    columns["spectrum"] = list(range(len(result)))
    columns["found"] = [" + ".join(entry) for entry in result.labels]
    if result.top is not None:
        columns["top"] = result.top.tolist()
    for j, name in enumerate(result.names):
        columns[f"amount {name}"] = result.amounts[:, j].tolist()
        if result.uncertainties is not None:
            columns[f"uncertainty {name}"] = _cells(result.uncertainties[:, j])
        for detail, values in result.details.items():
            columns[f"{detail} {name}"] = _cells(values[:, j])
    shares = result.shares
    columns |= {f"share {name}": shares[:, j].tolist() for j, name in enumerate(result.names)}
    for group in (result.quality, result.flags):
        columns |= {name: _cells(values) for name, values in group.items()}
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def _cells(column: Array) -> list[Any]:
    if is_label_sets(column):
        return [" + ".join(entry) for entry in column]
    if column.dtype.kind == "M":
        return [None if np.isnat(entry) else str(entry) for entry in column]
    if column.dtype.kind == "f":
        return [entry if np.isfinite(entry) else None for entry in column.tolist()]
    return list(column.tolist())
