"""How well a score tells unknown sources apart, at thresholds from spectra that are not judged."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from spectraloom._typing import Array, BoolArray, FloatArray
from spectraloom.evaluate.metrics import rate_of

FALSE_ALARMS = 0.05  # that a threshold is set for
OTHER_DETECTORS, OTHER_FILES, NOTHING = "other detectors", "other files", "nothing"


def unknown_scores(
    score: FloatArray, unknown: BoolArray, detectors: Array, files: Array
) -> dict[str, Any]:
    """Area under the ROC curve, and what is found at a threshold that was set elsewhere.

    A spectrum is judged by the 95 % quantile of the scores of known spectra of the other
    detectors. Where no other detector has any, those of the other files of its own detector take
    their place; where there is no other file, nothing can be said.

    Parameters
    ----------
    score : ndarray, shape (n,)
        Larger for what is less known.
    unknown : ndarray of bool, shape (n,)
        Whether a spectrum holds an unknown source; both must occur.
    detectors, files : ndarray of str, shape (n,)
        Where each spectrum is from.

    Returns
    -------
    dict
        ``auc``; ``recall_at_5pct``: share of the unknown above their thresholds, None without
        one; ``false_alarms_at_5pct``: share of the known above theirs, with an interval that takes
        spectra for independent; ``threshold_from``; ``n`` and ``n_known``; the same for every
        detector under ``per_detector``.
    """
    thresholds, origin = _thresholds(score, ~unknown, detectors, files)

    def judged(rows: BoolArray) -> dict[str, Any]:
        with_threshold = rows & ~np.isnan(thresholds)
        above = score > thresholds
        known = with_threshold & ~unknown
        strange = with_threshold & unknown
        both = unknown[rows].any() and not unknown[rows].all()
        return {
            "auc": float(roc_auc_score(unknown[rows], score[rows])) if both else None,
            "recall_at_5pct": float(above[strange].mean()) if strange.any() else None,
            "false_alarms_at_5pct": (
                rate_of(int(above[known].sum()), int(known.sum()), FALSE_ALARMS)
                if known.any()
                else None
            ),
            "threshold_from": sorted({origin[name] for name in np.unique(detectors[rows])}),
            "n": int(unknown[rows].sum()),
            "n_known": int((~unknown[rows]).sum()),
        }

    return {
        **judged(np.ones(len(score), dtype=bool)),
        "per_detector": {
            str(name): judged(np.asarray(detectors == name)) for name in np.unique(detectors)
        },
    }


def _thresholds(
    score: FloatArray, known: BoolArray, detectors: Array, files: Array
) -> tuple[FloatArray, dict[str, str]]:
    """Threshold of every spectrum, nan without one, and where those of each detector are from."""
    found = np.full(len(score), np.nan)
    origin: dict[str, str] = {}
    for name in np.unique(detectors):
        own: BoolArray = np.asarray(detectors == name)
        if (known & ~own).any():
            found[own] = _quantile(score[known & ~own])
            origin[name] = OTHER_DETECTORS
            continue
        for file in np.unique(files[own]):
            judged = own & (files == file)
            others = own & known & ~judged
            if others.any():
                found[judged] = _quantile(score[others])
        origin[name] = NOTHING if np.isnan(found[own]).all() else OTHER_FILES
    return found, origin


def _quantile(score: FloatArray) -> float:
    """Smallest of the scores that at most 5 % of them exceed."""
    return float(np.quantile(score, 1.0 - FALSE_ALARMS, method="inverted_cdf"))


def roc_points(strange: FloatArray, usual: FloatArray) -> dict[str, list[float]]:
    """Found share of the unknown against flagged share of the known, at 101 points.

    Parameters
    ----------
    strange, usual : ndarray
        Scores of unknown and of known spectra.
    """
    false = np.linspace(0.0, 1.0, 101)
    cuts = np.quantile(usual, 1.0 - false)
    found = (strange[:, np.newaxis] > cuts).mean(axis=0)
    found[-1] = 1.0
    return {"false_alarms": false.tolist(), "found": found.tolist()}
