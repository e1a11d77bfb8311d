"""What a set of spectra holds: facts for programs, and the same in a few lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spectraloom._typing import Array, FloatArray
from spectraloom.analyze.explore import label_text
from spectraloom.data.spectra import Spectra
from spectraloom.workflow.origin import attribution

_MOST = 12  # values of a column that are shown
_LISTED = ("detector", "file", "title", "source_type", "absorber")
_NOTES = ("origin", "calibration_note", "skipped")


def describe(spectra: Spectra) -> dict[str, Any]:
    """Facts for ``spectraloom info --json``, plain values.

    Parameters
    ----------
    spectra : Spectra

    Returns
    -------
    dict
        ``spectra`` (their number), ``kind``, ``axis``, and what is known of ``source``,
        ``format``, ``totals``, ``live_time``, ``real_time`` (seconds), ``labels`` with the number
        of spectra of each label set, the different values of columns such as ``detector``,
        ``start_time``, the names of further ``columns``, and notes.
    """
    axis = spectra.axis
    facts: dict[str, Any] = {
        "source": spectra.attrs.get("source", ""),
        "format": spectra.attrs.get("format", ""),
        "spectra": len(spectra),
        "kind": spectra.kind,
        "axis": {
            "description": axis.describe(),
            "calibrated": axis.is_calibrated,
            "channels": axis.n_channels,
            "binned": axis.binned,
            "quantity": axis.quantity,
            **(_ends(axis.values) | {"unit": axis.unit} if axis.is_calibrated else {}),
        },
    }
    if spectra.kind != "complex":
        facts["totals"] = _range(spectra.totals) | {"sum": float(spectra.totals.sum())}
    for name in ("live_time", "real_time"):
        times = getattr(spectra, name)
        if times is not None and np.isfinite(times).any():
            facts[name] = _range(times)
    if "labels" in spectra.columns:
        texts, numbers = np.unique(
            [label_text(entry) for entry in spectra.labels], return_counts=True
        )
        facts["labels"] = dict(zip(texts.tolist(), numbers.tolist(), strict=True))
    for name in _LISTED:
        if name in spectra.columns:
            values = dict.fromkeys(spectra.columns[name].astype(np.str_).tolist())
            facts[name] = [text for text in values if text]
    facts |= _start_times(spectra.columns.get("start_time"))
    shown = ("labels", "start_time", *_LISTED)
    facts["columns"] = [name for name in spectra.columns if name not in shown]
    facts |= {note: spectra.attrs[note] for note in _NOTES if note in spectra.attrs}
    facts["attribution"] = attribution([spectra])
    return {name: value for name, value in facts.items() if value not in ("", [], {})}


def in_words(facts: dict[str, Any]) -> dict[str, str]:
    """What :func:`describe` found, a short text each.

    Parameters
    ----------
    facts : dict
        As :func:`describe` gives them.
    """
    words: dict[str, str] = {}
    for name, value in facts.items():
        if name == "axis":
            words["axis"] = value["description"]
        elif name in ("totals", "live_time", "real_time"):
            unit = "" if name == "totals" else " s"
            words[name.replace("_", " ")] = _range_text(value, unit)
        elif name == "labels":
            words["labels"] = _listed([f"{text} ({number:,})" for text, number in value.items()])
        elif name == "start_time":
            first, last = value["min"], value["max"]
            words["start time"] = first if first == last else f"{first} to {last}"
        elif isinstance(value, list):
            title = "other columns" if name == "columns" else name.replace("_", " ")
            words[title] = _listed([str(entry) for entry in value])
        else:
            words[name.replace("_", " ")] = f"{value:,}" if isinstance(value, int) else str(value)
    return words


def overview(groups: Sequence[Spectra]) -> list[dict[str, str]]:
    """One short line for each of several sets of spectra.

    Parameters
    ----------
    groups : sequence of Spectra
        As :func:`spectraloom.read_groups` gives them.

    Returns
    -------
    list of dict
        ``file`` (the first, and how many more), ``spectra``, ``channels``, ``axis`` (its ends) and
        ``total``, the sum over all spectra.
    """
    lines = []
    for group in groups:
        axis = group.axis
        column = group.columns.get("file", [str(group.attrs.get("source", ""))])
        first, *others = dict.fromkeys(map(str, column))
        low, high = f"{axis.values[0]:.3g}", f"{axis.values[-1]:,.5g}"
        lines.append(
            {
                "file": f"{first} +{len(others):,}" if others else first,
                "spectra": f"{len(group):,}",
                "channels": f"{axis.n_channels:,}",
                "axis": f"{low} to {high} {axis.unit}" if axis.is_calibrated else "uncalibrated",
                "total": "" if group.kind == "complex" else _number(float(group.totals.sum())),
            }
        )
    return lines


def shared_notes(groups: Sequence[Spectra]) -> dict[str, str]:
    """Notes such as ``skipped``, each once however many of the sets carry it.

    Parameters
    ----------
    groups : sequence of Spectra
        As :func:`spectraloom.read_groups` gives them.
    """
    notes: dict[str, dict[str, None]] = {}
    for group in groups:
        for name in _NOTES:
            note = group.attrs.get(name, ())
            entries = note if isinstance(note, (list, tuple)) else [note]
            notes.setdefault(name, {}).update(dict.fromkeys(map(str, entries)))
    return {name.replace("_", " "): _listed(list(found)) for name, found in notes.items() if found}


def _ends(values: FloatArray) -> dict[str, float]:
    return {"low": float(values[0]), "high": float(values[-1])}


def _range(values: FloatArray) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    ends = {"min": float(known.min()), "max": float(known.max())} if len(known) else {}
    missing = len(values) - len(known)
    return {**ends, **({"unknown": missing} if missing else {})}


def _range_text(found: dict[str, Any], unit: str) -> str:
    if "min" not in found:
        return "unknown"
    low, high = _number(found["min"]), _number(found["max"])
    text = f"{low}{unit}" if low == high else f"{low} to {high}{unit}"
    if low != high and "sum" in found:
        text += f", together {_number(found['sum'])}"
    return f"{text} (unknown for {found['unknown']:,})" if "unknown" in found else text


def _number(value: float) -> str:
    """Counts with all digits before the point, never as a power; small numbers with seven."""
    if value.is_integer() or abs(value) >= 1e5:
        return f"{value:,.0f}" if value.is_integer() else f"{value:,.1f}"
    return f"{value:,.7g}"


def _start_times(column: Array | None) -> dict[str, Any]:
    if column is None or column.dtype.kind != "M":
        return {}
    known = column[~np.isnat(column)]
    if not len(known):
        return {}
    # Seconds are enough to find a measurement; the file keeps the rest.
    first, last = np.datetime_as_string([known.min(), known.max()], unit="s").tolist()
    return {"start_time": {"min": first, "max": last}}


def _listed(values: list[str]) -> str:
    more = f" and {len(values) - _MOST:,} more" if len(values) > _MOST else ""
    return ", ".join(values[:_MOST]) + more
