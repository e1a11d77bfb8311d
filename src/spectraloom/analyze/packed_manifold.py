"""A manifold unmixer as a card and arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.analyze.given import given_settings
from spectraloom.analyze.likelihood import Resolution
from spectraloom.analyze.manifold.autoencoder import LearnedSignature
from spectraloom.analyze.manifold.latents import LATENTS
from spectraloom.analyze.manifold.model_errors import LeftOutErrors
from spectraloom.analyze.manifold.settings import check_fitting, check_settings
from spectraloom.analyze.manifold.signature import Deformation, SignatureModel, TabulatedSignature
from spectraloom.analyze.manifold.unmixer import ManifoldUnmixer
from spectraloom.analyze.packed_learned import pack_learned, unpack_learned
from spectraloom.data.axis import Axis
from spectraloom.data.library import Library
from spectraloom.errors import FormatError

_OWN = "signatures_"
_LEFT_OUT = "left_out_"
_PARTS = fields(LeftOutErrors)


def pack_manifold(model: ManifoldUnmixer) -> tuple[dict[str, Any], dict[str, Array]]:
    """Card and arrays of a fitted model.

    Of signatures that were given or interpolated, the table is kept; of learned ones the
    parameters of their networks, too.
    """
    behind = model.learned_ if model.signatures is None else model.signatures
    signatures, own = _packed_signatures(model, behind)
    arrays = {_OWN + name: array for name, array in own.items()}
    card: dict[str, Any] = {
        "parameters": model.plain_settings(),
        "fitted_with": model.fitted_with_,
        "signatures_given": model.signatures is not None,
        "signatures": signatures,
        "learning": model.learning_,
        "signature_errors": model.signature_errors_,
        "numeric_labels": model.numeric_labels_,
        "classes": model.classes_.tolist(),
        "n_channels": model.n_features_in_,
        "axis": None if model.axis_ is None else model.axis_.to_dict(),
        "background": None,
        "provenance": model.provenance_,
    }
    if model.axis_ is not None:
        arrays["axis"] = model.axis_.values
    if model.background_ is not None:
        library = model.background_
        card["background"] = {
            "axis": library.axis.to_dict(),
            "names": list(library.names),
            "variants": list(library.variants),
        }
        arrays |= {"background_axis": library.axis.values, "background": library.templates}
        if library.weights is not None:
            arrays["background_weights"] = library.weights
    if model.left_out_ is not None:
        arrays |= {_LEFT_OUT + one.name: getattr(model.left_out_, one.name) for one in _PARTS}
    return card, {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def unpack_manifold(card: dict[str, Any], arrays: dict[str, Array]) -> ManifoldUnmixer:
    """Model that :func:`pack_manifold` packed.

    Raises
    ------
    FormatError
        If numbers do not fit together. What else is wrong raises as it comes.
    """
    settings = given_settings(card["parameters"])
    if settings.get("resolution") is not None:
        settings["resolution"] = Resolution(*settings["resolution"])
    if settings.get("known") is not None:
        settings["known"] = tuple(settings["known"])
    signatures = _signatures(card["signatures"], arrays)
    settings["signatures"] = signatures if card["signatures_given"] else None
    model = ManifoldUnmixer(**settings)
    check_settings(model.get_params(deep=False))
    learned = isinstance(signatures, LearnedSignature)
    model.signatures_ = signatures.table if isinstance(signatures, LearnedSignature) else signatures
    model.learned_ = signatures if learned and not card["signatures_given"] else None
    model.learning_ = dict(card["learning"])
    model.signature_errors_ = _errors(card["signature_errors"], signatures.names)
    model.left_out_ = _left_out(arrays, signatures)
    model.axis_ = None if card["axis"] is None else Axis.from_dict(arrays["axis"], card["axis"])
    model.n_features_in_ = int(card["n_channels"])
    if model.axis_ is not None and model.axis_.n_channels != model.n_features_in_:
        raise FormatError(f"the axis has {model.axis_.describe()}, the card another number")
    model.background_ = _background(card["background"], arrays)
    own = [] if model.background_ is None else [str(model.background)]
    model.classes_ = np.asarray(card["classes"], dtype=np.str_)
    if model.classes_.tolist() != [*signatures.names, *own]:
        raise FormatError("the classes of the card are not the names of its signatures")
    if model.background_ is not None and set(model.background_.names) != {model.background}:
        raise FormatError("the background template has another name than the background")
    model.numeric_labels_ = bool(card["numeric_labels"])
    if model.numeric_labels_:
        np.asarray(signatures.names, dtype=np.float64)
    model.settle(_fitting(card["fitted_with"]))
    model.provenance_ = dict(card["provenance"])
    return model


def _packed_signatures(
    model: ManifoldUnmixer, behind: SignatureModel | None
) -> tuple[dict[str, Any], dict[str, Array]]:
    if isinstance(behind, LearnedSignature):
        card, arrays = pack_learned(behind)
        return {"learned": card}, arrays
    table = model.signatures_
    card = {
        "axis": table.axis.to_dict(),
        "names": list(table.names),
        "deformations": [asdict(one) for one in table.deformations],
    }
    return card, {"axis": table.axis.values, "table": table.table}


def _signatures(
    card: Mapping[str, Any], arrays: Mapping[str, Array]
) -> TabulatedSignature | LearnedSignature:
    own = {
        name.removeprefix(_OWN): array for name, array in arrays.items() if name.startswith(_OWN)
    }
    table = own["table"]
    if table.dtype != np.float64:
        raise FormatError("the signatures are not in double precision")
    if "learned" in card:
        return unpack_learned(card["learned"], own)
    return TabulatedSignature(
        Axis.from_dict(own["axis"], card["axis"]),
        tuple(card["names"]),
        tuple(Deformation(**one) for one in card["deformations"]),
        table,
    )


def _background(stored: Mapping[str, Any] | None, arrays: Mapping[str, Array]) -> Library | None:
    if stored is None:
        return None
    return Library(
        arrays["background"],
        Axis.from_dict(arrays["background_axis"], stored["axis"]),
        tuple(stored["names"]),
        tuple(stored["variants"]),
        arrays.get("background_weights"),
    )


def _errors(stored: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    errors = {str(name): float(value) for name, value in stored.items()}
    if set(errors) - set(names) or not all(0 <= value < 1 for value in errors.values()):
        raise FormatError("errors of signatures lie from 0 to below 1, one for each name at most")
    return errors


def _left_out(arrays: Mapping[str, Array], signatures: SignatureModel) -> LeftOutErrors | None:
    if _LEFT_OUT + _PARTS[0].name not in arrays:  # models of a single value, or given ones
        return None
    stored = LeftOutErrors(**{one.name: arrays[_LEFT_OUT + one.name] for one in _PARTS})
    if stored.seen.shape[1] != signatures.axis.n_channels:
        raise FormatError("the errors of the signatures are on another axis than these")
    if len(stored.sources) and not 0 <= stored.sources.min() <= stored.sources.max() < len(
        signatures.names
    ):
        raise FormatError("there are errors of signatures that are not there")
    return stored


def _fitting(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of fits, all of them and no others."""
    wanted = {*LATENTS, "resolution", "selection", "bins", "window"}
    if set(stored) != wanted:
        raise FormatError(
            f"settings of fits are {', '.join(sorted(wanted))}, got {', '.join(sorted(stored))}"
        )
    width = stored["resolution"]
    check_fitting({**stored, "resolution": None if width is None else Resolution(*width)})
    return dict(stored)
