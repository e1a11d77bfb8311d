"""Saved models: a JSON card and safetensors in one zip, never a pickle."""

from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from spectraloom import __version__
from spectraloom._typing import Array
from spectraloom.analyze.boundary import OutlierBoundary
from spectraloom.analyze.supervised_nmf import SupervisedNMF, plain_settings
from spectraloom.data.axis import Axis
from spectraloom.errors import FormatError, SpectraloomError

FORMAT = 1
CARD, ARRAYS = "card.json", "arrays.safetensors"
_MAX_CARD = 8 * 2**20
_MAX_ARRAYS = 64 * 2**20  # unless the file itself is larger: arrays are stored as they are
_ROUNDING = 1e-6
_TEXT_ARRAYS = ("classes_", "loading_names_")
_NUMBER_ARRAYS = ("loadings_", "loading_classes_", "weights_")
_MODELS = {"SupervisedNMF": SupervisedNMF}


def save(model: SupervisedNMF, path: str | Path) -> Path:
    """Save a fitted model.

    Parameters
    ----------
    model : SupervisedNMF
        A fitted model.
    path : path
        File to write; ``.loom`` by custom. An existing file is replaced.

    Returns
    -------
    Path

    Raises
    ------
    SpectraloomError
        If the model is of a kind that cannot be saved.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    """
    safetensors = importlib.import_module("safetensors.numpy")
    if type(model).__name__ not in _MODELS:
        raise SpectraloomError(
            f"{type(model).__name__} cannot be saved; known: {', '.join(_MODELS)}"
        )
    check_is_fitted(model)
    card, arrays = _pack(model)
    path = Path(path)
    draft = path.with_name(path.name + ".part")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CARD, json.dumps(card, indent=1))
        archive.writestr(ARRAYS, safetensors.save(arrays), zipfile.ZIP_STORED)
    draft.replace(path)
    return path


def load(path: str | Path) -> SupervisedNMF:
    """Load a model that :func:`save` wrote. Only data are read, no code is run.

    Raises
    ------
    FormatError
        If the file is no such model, is damaged, or was written by a later version.
    """
    card = load_card(path)
    content = _member(path, ARRAYS, max(_MAX_ARRAYS, Path(path).stat().st_size))
    safetensors = importlib.import_module("safetensors.numpy")
    try:
        return _unpack(card, safetensors.load(content))
    except Exception as error:  # whatever a hostile card or array set off
        raise FormatError(f"{path}: the model file is damaged ({error})") from error


def load_card(path: str | Path) -> dict[str, Any]:
    """Read the card of a saved model: settings, classes, axis and provenance.

    Raises
    ------
    FormatError
        If the file is no model of this or an earlier version.
    """
    try:
        card = json.loads(_member(path, CARD, _MAX_CARD))
        if not isinstance(card, dict) or card["class"] not in _MODELS:
            raise FormatError(f"{path}: the card names no known model")
        if int(card["format"]) > FORMAT:
            raise FormatError(
                f"{path}: the model was saved by Spectraloom {card.get('spectraloom')}, in format "
                f"{card['format']}; this version reads up to {FORMAT}: upgrade Spectraloom"
            )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path}: not a Spectraloom model (its card is malformed)") from error
    return card


def _member(path: str | Path, name: str, limit: int) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(name).file_size > limit:
                raise FormatError(f"{path}: {name} is larger than {limit >> 20} MiB")
            with archive.open(name) as stream:
                content = stream.read(limit + 1)
    except FileNotFoundError as error:
        raise FormatError(f"{path}: there is no such file") from error
    except (OSError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"{path}: not a Spectraloom model (expected a .loom file)") from error
    except Exception as error:  # zlib.error and the like: the archive is damaged
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path}: the model file is damaged ({error})") from error
    if len(content) > limit:
        raise FormatError(f"{path}: {name} is larger than {limit >> 20} MiB")
    return content


def _pack(model: SupervisedNMF) -> tuple[dict[str, Any], dict[str, Array]]:
    arrays = {name: np.ascontiguousarray(getattr(model, name)) for name in _NUMBER_ARRAYS}
    if model.axis_ is not None:
        arrays["axis"] = np.ascontiguousarray(model.axis_.values)
    boundary = model.outlier_boundary_
    card = {
        "format": FORMAT,
        "class": type(model).__name__,
        "spectraloom": __version__,
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


def _unpack(card: dict[str, Any], arrays: dict[str, Array]) -> SupervisedNMF:
    settings = dict(card["parameters"])
    if settings.get("window") is not None:
        settings["window"] = tuple(settings["window"])
    model = _MODELS[card["class"]](**settings)
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
