"""What is added to an answer on request: activities, and label sets with a stated coverage."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spectraloom.analyze.identify.activity import activity
from spectraloom.analyze.identify.conformal import ConformalSets
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.data.result import Result
from spectraloom.errors import DataError, FormatError, LabelError
from spectraloom.workflow.identification import identify_files

_COLUMNS = ("name", "efficiency", "uncertainty", "branching", "branching_uncertainty")

Factors = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Efficiencies:
    """Efficiency and branching of each name, with their standard uncertainties.

    Parameters
    ----------
    efficiency : mapping of str to (float, float)
    branching : mapping of str to (float, float)
        Of names that state one.
    """

    efficiency: Factors
    branching: Factors = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "efficiency": {name: list(pair) for name, pair in self.efficiency.items()},
            "branching": {name: list(pair) for name, pair in self.branching.items()},
        }


def read_efficiencies(path: str | Path) -> Efficiencies:
    """Read a table of efficiencies.

    Parameters
    ----------
    path : path
        CSV with a head: ``name`` and ``efficiency``, and where known ``uncertainty``,
        ``branching`` and ``branching_uncertainty``; lines that begin with ``#`` are notes. What an
        efficiency is, :func:`~spectraloom.analyze.identify.activity.activity` says: counts anywhere
        on the axis of the library for each photon, or, without branching, for each decay.

    Raises
    ------
    FormatError
        If a column is missing or unknown, a name comes twice, or a value is no number.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: a table of efficiencies is text in UTF-8") from error
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = list(csv.reader(lines, skipinitialspace=True))
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    unknown = sorted(set(head) - set(_COLUMNS))
    if not {"name", "efficiency"} <= set(head) or unknown or len(set(head)) < len(head):
        raise FormatError(
            f"{path}: the first line names the columns: name, efficiency and, where known, "
            f"{', '.join(_COLUMNS[2:])}, each once; got {', '.join(head) or 'nothing'}"
        )
    efficiency: dict[str, tuple[float, float]] = {}
    branching: dict[str, tuple[float, float]] = {}
    for row in rows[1:]:
        cells = dict(zip(head, (cell.strip() for cell in row), strict=False))
        name = cells.get("name", "")
        if len(row) != len(head) or not name or name in efficiency:
            raise FormatError(
                f"{path}: each line has {len(head)} cells and another name, got {','.join(row)!r}"
            )
        efficiency[name] = (
            _number(path, cells, "efficiency"),
            _number(path, cells, "uncertainty", 0.0),
        )
        if cells.get("branching"):
            branching[name] = (
                _number(path, cells, "branching"),
                _number(path, cells, "branching_uncertainty", 0.0),
            )
    if not efficiency:
        raise FormatError(f"{path}: there is no efficiency below the first line")
    return Efficiencies(efficiency, branching)


def _number(
    path: Path, cells: Mapping[str, str], column: str, default: float | None = None
) -> float:
    text = cells.get(column, "")
    if not text and default is not None:
        return default
    try:
        return float(text)
    except ValueError:
        raise FormatError(
            f"{path}: the {column} of {cells['name']} is a number, got {text!r}"
        ) from None


def with_activities(result: Result, efficiencies: Efficiencies) -> Result:
    """A result with its activities as details, in becquerel.

    These are ``activity``, ``activity_uncertainty``, ``activity_decision_threshold``,
    ``activity_detection_limit``, ``activity_interval_low`` and ``activity_interval_high``.

    Parameters
    ----------
    result : Result
        With count rates, as of spectra with live time.
    efficiencies : Efficiencies

    Raises
    ------
    DataError
        If there are no count rates, or a factor is out of range.
    LabelError
        If the result does not know a name.
    """
    found = activity(result, efficiencies.efficiency, efficiencies.branching)
    more = {"activity": found.values, "activity_uncertainty": found.uncertainties}
    for name in ("decision_threshold", "detection_limit", "interval_low", "interval_high"):
        values = getattr(found, name)
        if values is not None:
            more[f"activity_{name}"] = values
    return replace(
        result,
        details={**result.details, **more},
        provenance={**result.provenance, **efficiencies.to_dict()},
    )


def activity_notes(result: Result) -> list[str]:
    """What activities leave open, a sentence each: names without efficiency, or its uncertainty.

    Parameters
    ----------
    result : Result
        Of :func:`with_activities`; there is nothing to say of others.
    """
    efficiency = result.provenance.get("efficiency")
    if efficiency is None or "activity" not in result.details:
        return []
    background = result.provenance.get("settings", {}).get("background")
    found = [
        name
        for name, decided in zip(result.names, result.decisions.T, strict=True)
        if decided.any() and name not in efficiency and name != background
    ]
    notes = []
    if found:
        notes.append(
            f"No activity of {', '.join(found)}, found here: the table of efficiencies does not "
            "have them."
        )
    exact = [name for name, (_, error) in efficiency.items() if not error]
    if exact:
        notes.append(
            f"The efficiency of {', '.join(exact)} was given no uncertainty: those of the "
            "activities are of counting alone."
        )
    if np.isnan(result.details["activity"]).all(axis=1).any():
        notes.append("Spectra without live time have no activities.")
    return notes


@dataclass(frozen=True, slots=True)
class CalibratedSets:
    """Conformal sets, with what is said of them.

    Parameters
    ----------
    sets : ConformalSets
    """

    sets: ConformalSets

    @property
    def coverage(self) -> float:
        """Probability that the set of a spectrum with sources holds all of them."""
        return 1.0 - self.sets.alpha

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "coverage": self.coverage,
            "n_calibration": self.sets.n,
            "largest_p_value": self.sets.largest,
        }


def calibrate_sets(
    model: Identifier, source: Any, coverage: float = 0.9, progress: Any = None
) -> CalibratedSets:
    """Calibrate conformal sets on labelled spectra.

    Parameters
    ----------
    model : Identifier
        Fitted.
    source : path, glob, folder or sequence of these
        Spectra with all their labels, that taught the model nothing, and alike those to come.
        Those without a source play no part.
    coverage : float
        Probability that the set of a spectrum with sources holds all of them, between 0 and 1.
    progress : callable, optional

    Raises
    ------
    DataError
        If the coverage is out of range, or no spectrum holds a source.
    LabelError
        If spectra have no labels, or labels that the model does not know.
    """
    if not 0 < coverage < 1:
        raise DataError(f"a coverage lies between 0 and 1, got {coverage!r}")
    result, groups = identify_files(model, source, progress)
    truth = [entry for group in groups for entry in group.labels]
    missing = sum(not entry for entry in truth)
    if missing:
        raise LabelError(
            f"{missing} of {len(truth)} calibration spectra have no label: name all sources of "
            "each, or leave them out"
        )
    return CalibratedSets(ConformalSets.calibrate(result, truth, 1.0 - coverage))


def with_sets(result: Result, calibrated: CalibratedSets) -> Result:
    """A result with the column ``conformal_set``: names, smallest p-value first.

    Parameters
    ----------
    result : Result
        Of the model that the sets were calibrated with.
    calibrated : CalibratedSets
    """
    return replace(
        result,
        columns={**result.columns, "conformal_set": calibrated.sets.sets(result)},
        provenance={**result.provenance, "conformal": calibrated.to_dict()},
    )
