"""How right amounts and deformations are, where columns of the spectra say what is true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.manifold import ManifoldUnmixer
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra

_TWO_SIDED = 1.96  # standard deviations from the estimate to an end of a 95 % interval


def deforming_scores(model: object, spectra: Spectra, result: Result) -> dict[str, Any]:
    """Errors and coverage of amounts and deformation, of sources that were found.

    Parameters
    ----------
    model : object
        Anything but a ManifoldUnmixer has none.
    spectra : Spectra
        With a column ``true_<name>`` of counts for each source, and one of the deformation, if
        these are to be judged.
    result : Result

    Returns
    -------
    dict
        ``amounts``: ``n``, ``mean_relative_error`` and ``coverage`` of the 95 % intervals, of
        sources that are there and were found. The deformation by its name: ``n``, ``unit``,
        ``median_error`` and ``coverage``. Without what is not known.
    """
    if not isinstance(model, ManifoldUnmixer):
        return {}
    return {**_amount_scores(model, spectra, result), **_deformation_scores(model, spectra, result)}


def deforming_texts(scores: Mapping[str, Any]) -> list[str]:
    """What :func:`deforming_scores` found, a sentence each.

    Parameters
    ----------
    scores : mapping
        May hold other scores, too.
    """
    texts = []
    for name, one in scores.items():
        if not isinstance(one, dict) or "coverage" not in one:
            continue
        off = (
            f"mean error {one['mean_relative_error']:.1%}"
            if "mean_relative_error" in one
            else f"median error {one['median_error']:.2g} {one['unit']}".rstrip()
        )
        texts.append(
            f"{name} of what was found ({one['n']:,}): {off}; {one['coverage']:.1%} are in the "
            "95 % interval."
        )
    return texts


def _amount_scores(model: ManifoldUnmixer, spectra: Spectra, result: Result) -> dict[str, Any]:
    errors: list[FloatArray] = []
    held: list[FloatArray] = []
    for j, name in enumerate(result.names):
        column = spectra.columns.get(f"true_{name}")
        if column is None or name == model.background or column.dtype.kind not in "iuf":
            continue
        true = np.nan_to_num(column.astype(np.float64))
        rows = result.decisions[:, j] & (true > 0)
        away = np.abs(result.amounts[rows, j] - true[rows])
        errors.append(away / true[rows])
        held.append(away <= _TWO_SIDED * np.asarray(result.uncertainties)[rows, j])
    if not errors or not sum(len(one) for one in errors):
        return {}
    return {
        "amounts": {
            "n": sum(len(one) for one in errors),
            "mean_relative_error": float(np.concatenate(errors).mean()),
            "coverage": float(np.concatenate(held).mean()),
        }
    }


def _deformation_scores(model: ManifoldUnmixer, spectra: Spectra, result: Result) -> dict[str, Any]:
    scores = {}
    for one in model.signatures_.deformations:
        column = spectra.columns.get(one.name)
        group = result.quality if one.name in result.quality else result.details
        if column is None or column.dtype.kind not in "iuf" or one.name not in group:
            continue
        n = len(spectra)
        value, low, high = (group[one.name + end].reshape(n, -1) for end in ("", "_low", "_high"))
        true = np.broadcast_to(column.astype(np.float64)[:, np.newaxis], value.shape)
        known = np.isfinite(value) & np.isfinite(true)
        if value.shape[1] > 1:
            known &= result.decisions
        else:
            is_source = np.array([name != model.background for name in result.names])
            known &= np.any(result.decisions[:, is_source], axis=1, keepdims=True)
        if known.any():
            scores[one.name] = {
                "n": int(known.sum()),
                "unit": one.unit,
                "median_error": float(np.median(np.abs(value - true)[known])),
                "coverage": float(((low <= true) & (true <= high))[known].mean()),
            }
    return scores
