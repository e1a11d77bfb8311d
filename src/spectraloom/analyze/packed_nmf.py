"""A supervised factorisation as a card and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.analyze.boundary import OutlierBoundary
from spectraloom.analyze.given import given_settings, plain_settings
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.axis import Axis
from spectraloom.errors import FormatError

_ROUNDING = 1e-6
_TEXT_ARRAYS = ("classes_", "loading_names_")
_NUMBER_ARRAYS = ("loadings_", "loading_classes_", "weights_")


def pack_nmf(model: SupervisedNMF) -> tuple[dict[str, Any], dict[str, Array]]:
    """Card and arrays of a fitted model."""
    arrays = {name: np.ascontiguousarray(getattr(model, name)) for name in _NUMBER_ARRAYS}
    if model.axis_ is not None:
        arrays["axis"] = np.ascontiguousarray(model.axis_.values)
    boundary = model.outlier_boundary_
    card = {
        "parameters": plain_settings(model.get_params()),
        "axis": None if model.axis_ is None else model.axis_.to_dict(),
        "n_channels": model.n_features_in_,
        "start": model.start_,
        "label_dtype": None if model.label_dtype_ is None else model.label_dtype_.str,
        "min_source_share": model.min_source_share_,
        "outlier_boundary": None if boundary is None else boundary.to_dict(),
        "provenance": model.provenance_,
    }
    card |= {name.rstrip("_"): getattr(model, name).tolist() for name in _TEXT_ARRAYS}
    return card, arrays


def unpack_nmf(card: dict[str, Any], arrays: dict[str, Array]) -> SupervisedNMF:
    """Model that :func:`pack_nmf` packed.

    Raises
    ------
    FormatError
        If numbers do not fit together. What else is wrong raises as it comes.
    """
    settings = given_settings(card["parameters"])
    model = SupervisedNMF(**settings)
    model._check_settings()
    model.axis_ = None if card["axis"] is None else Axis.from_dict(arrays["axis"], card["axis"])
    model.n_features_in_ = int(card["n_channels"])
    for name in _NUMBER_ARRAYS:
        setattr(model, name, arrays[name])
    for name in _TEXT_ARRAYS:
        setattr(model, name, np.asarray(card[name.rstrip("_")], dtype=np.str_))
    _check_arrays(model)
    model._fitted = model._weighted_channels()
    model.start_ = str(card["start"])
    model.min_source_share_ = float(card["min_source_share"])
    if not 0 <= model.min_source_share_ < 1:
        raise FormatError(f"min_source_share is {model.min_source_share_}")
    kind = card["label_dtype"]
    model.label_dtype_ = None if kind is None else np.dtype(str(kind))
    if model.label_dtype_ is not None and model.label_dtype_.kind not in "iuf":
        raise FormatError(f"labels are texts or numbers, not {kind}")
    boundary = card["outlier_boundary"]
    model.outlier_boundary_ = None if boundary is None else OutlierBoundary.from_dict(boundary)
    model.provenance_ = dict(card["provenance"])
    return model


def _check_arrays(model: SupervisedNMF) -> None:
    """Refuse arrays that do not fit together; a model made of them would give wrong answers."""
    k, channels, classes = len(model.loading_names_), model.n_features_in_, len(model.classes_)
    expected = {
        "loadings_": ((k, channels), "f"),
        "weights_": ((channels,), "f"),
        "loading_classes_": ((k,), "i"),
        "loading_names_": ((k,), "U"),
        "classes_": ((classes,), "U"),
    }
    for name, (shape, kind) in expected.items():
        array = getattr(model, name)
        if array.shape != shape or array.dtype.kind != kind:
            raise FormatError(
                f"{name.rstrip('_')} are {array.dtype} of shape {array.shape}, which does not fit "
                f"{k} loadings of {classes} classes in {channels} channels"
            )
    if model.axis_ is not None and model.axis_.n_channels != channels:
        raise FormatError(f"the axis has {model.axis_.describe()}, the card {channels} channels")
    if not np.isfinite(model.loadings_).all() or not np.isfinite(model.weights_).all():
        raise FormatError("loadings or weights are not finite")
    if sorted(set(model.loading_classes_.tolist())) != list(range(classes)) or not classes:
        raise FormatError("the loadings do not belong to the classes of the card")
    if not ((model.weights_ >= 0) & (model.weights_ <= 1)).all() or not model.weights_.any():
        raise FormatError("weights lie between zero and one, and not all are zero")
    fitted = np.abs(model.loadings_[:, model.weights_ > 0])
    if fitted.max() > 1 + _ROUNDING or (np.abs(fitted.sum(axis=1) - 1) > _ROUNDING).any():
        raise FormatError("a loading does not have unit area where the model fits")
