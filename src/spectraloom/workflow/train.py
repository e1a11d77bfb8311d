"""Train, judge and use a model on files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from spectraloom.analyze.outlier import Method, OutlierStudy, study_outliers
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.axis import Axis
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, FormatError
from spectraloom.evaluate.splits import split_by_group
from spectraloom.io import read_groups
from spectraloom.workflow.chain import Judged, judge
from spectraloom.workflow.prepare import onto_axis, part_of


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
    """
    if not 0 <= holdout < 1:
        raise DataError(f"the share to hold out lies in [0, 1), got {holdout:g}")
    report = part_of(progress, 0.0, 1.0)
    report(0.0, "training")
    training, test = spectra, None
    if holdout > 0:
        rows, others = split_by_group(spectra, test_size=holdout, seed=seed)
        training, test = spectra[rows], spectra[others]
    fitted = clone(model).fit(training)
    study = None
    if outliers:
        study = study_outliers(model, training, seed=seed, progress=part_of(progress, 0.2, 0.9))
        fitted.set_outlier_boundary(study.boundary)
    judged = None if test is None else judge("Hold-out", fitted, test)
    report(1.0, "done")
    return Training(fitted, judged, study)


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
    """
    study = study_outliers(
        model, spectra, method=method, feature=feature, seed=seed, progress=progress
    )
    model.set_outlier_boundary(study.boundary)
    return study


def read_for(model: SupervisedNMF, source: Any, progress: Any = None) -> Spectra:
    """Read spectra and move them onto the model's axis.

    Parameters
    ----------
    model : SupervisedNMF
        Fitted on spectra with an axis.
    source : path, glob, folder or sequence of these
    progress : callable, optional

    Raises
    ------
    FormatError
        If there is nothing to read.
    CalibrationError
        If the axes differ and one is uncalibrated.
    """
    part_of(progress, 0.0, 1.0)(0.0, "reading")
    groups = read_groups(source)
    axis: Axis | None = model.axis_
    if axis is None:
        if len(groups) > 1 or groups[0].n_channels != model.n_features_in_:
            raise DataError(
                f"the model was trained on plain arrays of {model.n_features_in_} channels, so "
                "spectra cannot be rebinned to it: train it on Spectra with an axis"
            )
        return groups[0]
    return onto_axis(groups, axis)


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
        If the ending is another one.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        path.write_text(json.dumps(finite(result.to_dict()), indent=1), encoding="utf-8")
        return
    if path.suffix.lower() != ".csv":
        raise FormatError(f"{path}: results are written as .csv or .json")
    head, rows = result_table(result)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(rows)


def result_table(result: Result) -> tuple[list[str], list[list[Any]]]:
    """Head and rows of a result as a table, one row per spectrum."""
    columns: dict[str, Any] = {
        name: [" + ".join(entry) if isinstance(entry, tuple) else entry for entry in column]
        for name, column in result.columns.items()
        if name in ("file", "record", "detector", "title", "start_time", "labels")
    }
    columns["found"] = [" + ".join(entry) for entry in result.labels]
    if result.top is not None:
        columns["top"] = result.top.tolist()
    for j, name in enumerate(result.names):
        columns[f"amount {name}"] = result.amounts[:, j].tolist()
        if result.uncertainties is not None:
            columns[f"uncertainty {name}"] = result.uncertainties[:, j].tolist()
    shares = result.shares
    columns |= {f"share {name}": shares[:, j].tolist() for j, name in enumerate(result.names)}
    for group in (result.quality, result.flags):
        columns |= {name: values.tolist() for name, values in group.items()}
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def finite(value: Any) -> Any:
    """JSON-safe copy: what is not a number becomes None, as strict JSON knows no nan."""
    if isinstance(value, dict):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, np.generic):
        return value.item()
    return value
