"""An identifier as a card and arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.analyze.given import given_settings
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.misfit import KnownMisfits, MisfitBoundary
from spectraloom.analyze.identify.settings import check_settings
from spectraloom.analyze.identify.shape_drift import ShapeDrift
from spectraloom.analyze.identify.significance import NullDistribution
from spectraloom.analyze.likelihood import Resolution
from spectraloom.data.axis import Axis
from spectraloom.data.library import Library
from spectraloom.errors import FormatError

_ROUNDING = 1e-6


def pack_identifier(model: Identifier) -> tuple[dict[str, Any], dict[str, Array]]:
    """Card and arrays of a fitted model.

    A library that was given to the model comes back as the templates of its sources.
    """
    arrays = {
        "null_totals": model.null_.totals,
        "null_weights": model.null_.weights,
        "null_scales": model.null_.scales,
    }
    card: dict[str, Any] = {
        "parameters": model.plain_settings(),
        "fitted_with": model.fitted_with_,
        "library_given": model.library is not None,
        "numeric_labels": model.numeric_labels_,
        "classes": model.classes_.tolist(),
        "n_channels": model.n_features_in_,
        "axis": None if model.axis_ is None else model.axis_.to_dict(),
        "outlier_boundary": (
            None if model.misfit_boundary_ is None else model.misfit_boundary_.to_dict()
        ),
        "background_reach": None if model.null_.drift is None else model.null_.drift.reach,
        "provenance": model.provenance_,
    }
    if model.null_.drift is not None:
        arrays["drift_slopes"] = model.null_.drift.slopes
        arrays["drift_margins"] = model.null_.drift.margins
    if isinstance(model.misfit_boundary_, KnownMisfits):
        arrays["known_misfits"] = model.misfit_boundary_.values
    if model.axis_ is not None:
        arrays["axis"] = model.axis_.values
    for part, library in (("library", model.library_), ("background", model.background_)):
        card[part] = None
        if library is not None:
            card[part] = {
                "axis": library.axis.to_dict(),
                "names": list(library.names),
                "variants": list(library.variants),
            }
            arrays[f"{part}_axis"] = library.axis.values
            arrays[f"{part}_templates"] = library.templates
            if library.weights is not None:
                arrays[f"{part}_weights"] = library.weights
    return card, {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def unpack_identifier(card: dict[str, Any], arrays: dict[str, Array]) -> Identifier:
    """Model that :func:`pack_identifier` packed.

    Raises
    ------
    FormatError
        If numbers do not fit together. What else is wrong raises as it comes.
    """
    settings = given_settings(card["parameters"])
    if settings.get("resolution") is not None:
        settings["resolution"] = Resolution(*settings["resolution"])
    library = _library(card, arrays, "library")
    if library is None:
        raise FormatError("the model has no library")
    settings["library"] = library if card["library_given"] else None
    model = Identifier(**settings)
    check_settings(model.get_params(deep=False))
    model.axis_ = None if card["axis"] is None else Axis.from_dict(arrays["axis"], card["axis"])
    model.n_features_in_ = int(card["n_channels"])
    model.library_, model.background_ = library, _library(card, arrays, "background")
    model.classes_ = np.asarray(card["classes"], dtype=np.str_)
    sources = [*library.unique_names]
    own = [] if model.background_ is None else [str(model.background)]
    if model.classes_.tolist() != sources + own:
        raise FormatError("the classes of the card are not the names of its library")
    if model.background_ is not None and set(model.background_.names) != {model.background}:
        raise FormatError("the background template has another name than the background")
    if model.axis_ is not None and model.axis_.n_channels != model.n_features_in_:
        raise FormatError(f"the axis has {model.axis_.describe()}, the card another number")
    model.numeric_labels_ = bool(card["numeric_labels"])
    if model.numeric_labels_:
        np.asarray(sources, dtype=np.float64)
    model.settle(card["fitted_with"])
    drift = _drift(card["background_reach"], arrays, len(sources))
    model.null_ = replace(_null(arrays, len(sources)), drift=drift)
    model.misfit_boundary_ = _boundary(card["outlier_boundary"], arrays)
    model.provenance_ = dict(card["provenance"])
    return model


def _library(card: dict[str, Any], arrays: dict[str, Array], part: str) -> Library | None:
    stored = card[part]
    if stored is None:
        return None
    return Library(
        arrays[f"{part}_templates"],
        Axis.from_dict(arrays[f"{part}_axis"], stored["axis"]),
        tuple(stored["names"]),
        tuple(stored["variants"]),
        arrays.get(f"{part}_weights"),
    )


def _boundary(
    stored: dict[str, Any] | None, arrays: dict[str, Array]
) -> MisfitBoundary | KnownMisfits | None:
    if stored is None:
        return None
    if "known_misfits" not in arrays:
        return MisfitBoundary.from_dict(stored)
    known = arrays["known_misfits"]
    if known.ndim != 1 or known.dtype != np.float64:
        raise FormatError("the known misfits are not a row of numbers in double precision")
    return KnownMisfits(known, float(stored["false_alarm_rate"]))


def _drift(reach: Any, arrays: dict[str, Array], n_sources: int) -> ShapeDrift | None:
    """Change of the background, refused if it could narrow what chance does."""
    if reach is None:
        return None
    slopes, margins = arrays["drift_slopes"], arrays["drift_margins"]
    for array in (slopes, margins):
        if array.shape != (n_sources,) or array.dtype != np.float64:
            raise FormatError(f"the change of the background does not fit {n_sources} sources")
        if not ((array >= 0) & np.isfinite(array)).all():
            raise FormatError("the change of the background is not zero or above")
    if not 0 < float(reach) < np.inf:
        raise FormatError(f"no background has {float(reach):g} counts")
    return ShapeDrift(slopes, margins, float(reach))


def _null(arrays: dict[str, Array], n_sources: int) -> NullDistribution:
    """Null distribution, refused if it could give anything but probabilities."""
    totals, weights, scales = (arrays[f"null_{name}"] for name in ("totals", "weights", "scales"))
    n = len(totals)
    shaped = weights.ndim == 3 and weights.shape[:2] == (n, n_sources) and weights.shape[2] > 1
    if not (n and totals.ndim == 1 and shaped and scales.shape == (n, n_sources)):
        raise FormatError(
            f"the null distribution has shapes {totals.shape}, {weights.shape} and "
            f"{scales.shape}, which does not fit {n_sources} sources"
        )
    if any(array.dtype != np.float64 for array in (totals, weights, scales)):
        raise FormatError("the null distribution is not in double precision")
    if not ((totals > 0).all() and (np.diff(totals) > 0).all() and np.isfinite(totals).all()):
        raise FormatError("the counts of the null distribution do not increase")
    if not ((weights >= 0).all() and (np.abs(weights.sum(axis=2) - 1.0) < _ROUNDING).all()):
        raise FormatError("the weights of the null distribution are no probabilities")
    if not ((scales > 0).all() and np.isfinite(scales).all()):
        raise FormatError("the scales of the null distribution are not above zero")
    return NullDistribution(totals, weights, scales)
