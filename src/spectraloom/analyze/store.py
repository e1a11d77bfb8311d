"""Saved models: a JSON card and safetensors in one zip, never a pickle."""

from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.analyze.boundary import OutlierBoundary
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.axis import Axis
from spectraloom.errors import FormatError, SpectraloomError

FORMAT = 1
CARD, ARRAYS = "card.json", "arrays.safetensors"
_MAX_CARD = 8 * 2**20
_MAX_ARRAYS = 2 * 2**30
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
    """
    safetensors = importlib.import_module("safetensors.numpy")
    if type(model).__name__ not in _MODELS:
        raise SpectraloomError(
            f"{type(model).__name__} cannot be saved; known: {', '.join(_MODELS)}"
        )
    card, arrays = _pack(model)
    path = Path(path)
    draft = path.with_name(path.name + ".part")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CARD, json.dumps(card, indent=1))
        archive.writestr(ARRAYS, safetensors.save(arrays))
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
    safetensors = importlib.import_module("safetensors.numpy")
    try:
        arrays = safetensors.load(_member(path, ARRAYS, _MAX_ARRAYS))
        return _unpack(card, arrays)
    except FormatError:
        raise
    except Exception as error:
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
    except (KeyError, TypeError, ValueError) as error:
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
        "spectraloom": model.provenance_["spectraloom"],
        "parameters": model.provenance_["settings"],
        "axis": None if model.axis_ is None else model.axis_.to_dict(),
        "n_channels": model.n_features_in_,
        "start": model.start_,
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
    model.axis_ = None if card["axis"] is None else Axis.from_dict(arrays["axis"], card["axis"])
    model.n_features_in_ = int(card["n_channels"])
    for name in _NUMBER_ARRAYS:
        setattr(model, name, arrays[name])
    for name in _TEXT_ARRAYS:
        setattr(model, name, np.asarray(card[name.rstrip("_")], dtype=np.str_))
    if model.loadings_.shape != (len(model.loading_names_), model.n_features_in_):
        raise FormatError(f"loadings of shape {model.loadings_.shape} do not fit the card")
    if not np.isfinite(model.loadings_).all() or not np.isfinite(model.weights_).all():
        raise FormatError("loadings or weights are not finite")
    model._fitted = model._channels()
    model.start_ = str(card["start"])
    model.min_source_share_ = float(card["min_source_share"])
    boundary = card["outlier_boundary"]
    model.outlier_boundary_ = None if boundary is None else OutlierBoundary.from_dict(boundary)
    model.provenance_ = dict(card["provenance"])
    return model
