"""What a set of spectra holds, in a few lines."""

from __future__ import annotations

from typing import Any

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.explore import label_text
from spectraloom.data.spectra import Spectra

_MOST = 12  # values of a column that are listed


def describe(spectra: Spectra) -> dict[str, Any]:
    """Facts for ``spectraloom info``, plain values for JSON.

    Parameters
    ----------
    spectra : Spectra
    """
    totals = spectra.totals
    facts: dict[str, Any] = {
        "source": spectra.attrs.get("source", ""),
        "format": spectra.attrs.get("format", ""),
        "spectra": len(spectra),
        "axis": spectra.axis.describe(),
        "calibrated": spectra.axis.is_calibrated,
        "kind": spectra.kind,
    }
    if spectra.kind != "complex":
        facts["total per spectrum"] = _range(totals)
        facts["total"] = float(totals.sum())
    for name in ("live_time", "real_time"):
        times = getattr(spectra, name)
        if times is not None:
            facts[f"{name.replace('_', ' ')} (s)"] = _range(times)
    if "labels" in spectra.columns:
        texts, numbers = np.unique(
            [label_text(entry) for entry in spectra.labels], return_counts=True
        )
        facts["labels"] = ", ".join(f"{t} ({n})" for t, n in zip(texts, numbers, strict=True))
    for name in ("detector", "file", "title", "source_type"):
        if name in spectra.columns:
            facts[name] = _listed(spectra.columns[name].astype(str).tolist())
    if "start_time" in spectra.columns:
        known = spectra.columns["start_time"]
        known = known[~np.isnat(known)] if known.dtype.kind == "M" else known
        if len(known):
            facts["start time"] = f"{known.min()} to {known.max()}"
    others = [
        name
        for name in spectra.columns
        if name not in ("labels", "detector", "file", "title", "source_type", "start_time")
    ]
    facts["other columns"] = ", ".join(others)
    for note in ("calibration_note", "skipped"):
        if note in spectra.attrs:
            facts[note.replace("_", " ")] = spectra.attrs[note]
    return {name: value for name, value in facts.items() if value not in ("", [])}


def _range(values: FloatArray) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return "unknown"
    low, high = float(known.min()), float(known.max())
    text = f"{low:.10g}" if low == high else f"{low:.10g} to {high:.10g}"
    missing = len(values) - len(known)
    return f"{text} (unknown for {missing})" if missing else text


def _listed(values: list[str]) -> str:
    unique = [text for text in dict.fromkeys(values) if text]
    more = f" and {len(unique) - _MOST} more" if len(unique) > _MOST else ""
    return ", ".join(unique[:_MOST]) + more
