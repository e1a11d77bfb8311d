"""Saved models and libraries: a JSON card and safetensors in one zip, never a pickle."""

from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from sklearn.utils.validation import check_is_fitted

from spectraloom import __version__
from spectraloom._typing import Array
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.manifold.unmixer import ManifoldUnmixer
from spectraloom.analyze.packed_identifier import pack_identifier, unpack_identifier
from spectraloom.analyze.packed_library import pack_library, unpack_library
from spectraloom.analyze.packed_manifold import pack_manifold, unpack_manifold
from spectraloom.analyze.packed_nmf import pack_nmf, unpack_nmf
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.library import Library
from spectraloom.errors import FormatError, SpectraloomError

FORMAT = 1
CARD, ARRAYS = "card.json", "arrays.safetensors"
_MAX_CARD = 8 * 2**20
_MAX_ARRAYS = 64 * 2**20  # unless the file itself is larger: arrays are stored as they are
Model = SupervisedNMF | Identifier | ManifoldUnmixer


class Packing(NamedTuple):
    """How a kind of model is put into a card and arrays, and made of them again.

    Attributes
    ----------
    pack : callable
        ``pack(model)`` gives the card (JSON types) and the arrays.
    unpack : callable
        ``unpack(card, arrays)`` gives the model, or raises whatever a damaged card sets off.
    """

    pack: Callable[[Any], tuple[dict[str, Any], dict[str, Array]]]
    unpack: Callable[[dict[str, Any], dict[str, Array]], Model | Library]


_MODELS = {
    "SupervisedNMF": Packing(pack_nmf, unpack_nmf),
    "Identifier": Packing(pack_identifier, unpack_identifier),
    "ManifoldUnmixer": Packing(pack_manifold, unpack_manifold),
    "Library": Packing(pack_library, unpack_library),
}


def save(model: Model | Library, path: str | Path) -> Path:
    """Save a fitted model, or a library.

    Parameters
    ----------
    model : SupervisedNMF, Identifier, ManifoldUnmixer or Library
        A fitted model, or a library.
    path : path
        File to write; ``.loom`` by custom. An existing file is replaced.

    Returns
    -------
    Path

    Raises
    ------
    SpectraloomError
        If the model is of a kind that cannot be saved.
    FormatError
        If the file cannot be written; nothing is left behind.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    """
    safetensors = importlib.import_module("safetensors.numpy")
    if type(model).__name__ not in _MODELS:
        raise SpectraloomError(
            f"{type(model).__name__} cannot be saved; known: {', '.join(_MODELS)}"
        )
    if not isinstance(model, Library):
        check_is_fitted(model)
    card, arrays = _MODELS[type(model).__name__].pack(model)
    card = {"format": FORMAT, "class": type(model).__name__, "spectraloom": __version__, **card}
    path = Path(path)
    draft = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(CARD, json.dumps(card, indent=1))
            archive.writestr(ARRAYS, safetensors.save(arrays), zipfile.ZIP_STORED)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise FormatError(f"{path}: the model cannot be written: {error.strerror}") from error
    return path


def load(path: str | Path) -> Model | Library:
    """Load a model or library that :func:`save` wrote. Only data are read, no code is run.

    Raises
    ------
    FormatError
        If the file is no such model, is damaged, or was written by a later version.
    """
    card = load_card(path)
    content = _member(path, ARRAYS, max(_MAX_ARRAYS, Path(path).stat().st_size))
    safetensors = importlib.import_module("safetensors.numpy")
    try:
        return _MODELS[card["class"]].unpack(card, safetensors.load(content))
    except Exception as error:  # whatever a hostile card or array set off
        raise FormatError(f"{path}: the model file is damaged ({error})") from error


def load_model(path: str | Path) -> Model:
    """The same where only a model will do.

    Raises
    ------
    FormatError
        If it is a library, or as for :func:`load`.
    """
    found = load(path)
    if isinstance(found, Library):
        raise FormatError(
            f"{path}: is a library, not a model: make one of it with Identifier(library), or train "
            "one on spectra"
        )
    return found


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
