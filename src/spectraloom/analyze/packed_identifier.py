"""An identifier as a card and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.analyze.given import given_settings
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.misfit import MisfitBoundary
from spectraloom.analyze.identify.settings import check_settings
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
        "provenance": model.provenance_,
    }
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
    model.null_ = _null(arrays, len(sources))
    boundary = card["outlier_boundary"]
    model.misfit_boundary_ = None if boundary is None else MisfitBoundary.from_dict(boundary)
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
