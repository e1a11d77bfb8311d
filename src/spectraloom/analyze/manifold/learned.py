"""Signatures from labelled spectra, by one of the models there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from spectraloom._typing import Array, BoolArray, FloatArray
from spectraloom.analyze.given import of_one_source
from spectraloom.analyze.manifold.autoencoder import LearnedSignature
from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.misfit import errors_of, left_out_models
from spectraloom.analyze.manifold.model_errors import LeftOutErrors, left_out_differences
from spectraloom.analyze.manifold.signature import (
    N_NODES,
    Deformation,
    SignatureModel,
    TabulatedSignature,
)
from spectraloom.data.library import Library
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, FitError, LabelError

_SOFTENING = 0.01  # of the range: 0.3 mm of 30 mm of steel
_FEWEST_NODES = 3
_FEWEST_VALUES = 3  # of which one can be left out


def source_spectra(spectra: Spectra, labels: Array | None, background: str | None) -> Spectra:
    """Spectra that have exactly one label which is a source, as their column ``labels``.

    Parameters
    ----------
    spectra : Spectra
    labels : ndarray of label sets, or None
    background : str or None

    Raises
    ------
    FitError
        If there are none.
    """
    if labels is None:
        raise FitError(
            "ManifoldUnmixer requires y to be passed, but the target y is None: give labelled "
            "spectra, or signatures and spectra of the background"
        )
    chosen = of_one_source(spectra, labels, background)
    if not len(chosen):
        raise FitError("there is no spectrum with exactly one source to learn a signature from")
    return chosen


def deformation_of(
    spectra: Spectra, name: str, unit: str, softening: float | str | None
) -> Deformation:
    """Deformation over the range of a column.

    Parameters
    ----------
    spectra : Spectra
        Of single sources.
    name : str
        Of the column.
    unit : str
    softening : float, "auto" or None
        ``auto`` is a hundredth of the range if its values are zero or more, as thicknesses are;
        else the coordinate is linear.

    Raises
    ------
    LabelError
        If there is no such column.
    FitError
        If it does not hold numbers, or holds only one.
    """
    if name not in spectra.columns:
        raise LabelError(
            f"the training spectra have no column {name!r} that says how far each signature is "
            f"deformed; there are {', '.join(spectra.columns) or 'no columns'}"
        )
    column = spectra.columns[name]
    if column.dtype.kind not in "iuf":
        raise FitError(
            f"the column {name!r} holds text, such as {str(column[0])!r}: numbers in one unit are "
            "expected"
            if column.dtype.kind in "OUS"
            else f"the column {name!r} holds {column.dtype}: numbers are expected"
        )
    values = column.astype(np.float64)
    if not np.isfinite(values).all():
        raise FitError(
            f"{int((~np.isfinite(values)).sum())} of {len(values)} spectra of sources have no "
            f"{name}: leave them out"
        )
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise FitError(
            f"all training spectra have {name} {low:g}: at least two values show a deformation; "
            "sources that do not deform are identified with Identifier"
        )
    chosen = softening
    if isinstance(softening, str):
        chosen = _SOFTENING * (high - low) if low >= 0 else None
    return Deformation(name, unit, low, high, chosen if chosen is None else float(chosen))


def learn_signatures(
    spectra: Spectra,
    deformation: Deformation,
    model: str,
    *,
    knots: int | Sequence[float] = 7,
    seed: int | None = 0,
    progress: Callable[[float, str], None] | None = None,
) -> InterpolatedSignature | LearnedSignature:
    """Learn signatures of single sources.

    Parameters
    ----------
    spectra : Spectra
        One label each, with a column of the deformation.
    deformation : Deformation
    model : {"interpolated", "iae-joint", "iae-individual"}
        Smooth curves through knots; or an interpolatory autoencoder, one for all sources or one
        for each, which needs the extra ``deep``.
    knots : int or sequence of float
        Of the curves.
    seed : int or None
        Of the training of an autoencoder.
    progress : callable, optional

    Raises
    ------
    FitError
        If the spectra do not suffice.
    """
    if model == "interpolated":
        return InterpolatedSignature.from_spectra(spectra, deformation, knots=knots)
    from spectraloom import nets

    training = nets.TrainingSettings(seed=0 if seed is None else int(seed))
    return LearnedSignature.from_spectra(
        spectra,
        deformation,
        joint=model == "iae-joint",
        settings=nets.LearningSettings(training=training),
        progress=progress,
    )


def signature_errors(
    spectra: Spectra,
    learned: InterpolatedSignature | LearnedSignature,
    *,
    knots: int | Sequence[float],
) -> tuple[dict[str, float], LeftOutErrors | None]:
    """Errors of each signature at values of the deformation that it was not learned from.

    Curves are fitted again without each fifth value in turn. An autoencoder is judged at the
    values that its training was validated with.

    Parameters
    ----------
    spectra : Spectra
        Those of the training.
    learned : InterpolatedSignature or LearnedSignature
    knots : int or sequence of float

    Returns
    -------
    relative : dict of str to float
        Without those of which this cannot be told: of spectra that are no counts, or of sources at
        fewer than three values.
    left_out : LeftOutErrors or None
        The errors themselves; None where there are none.
    """
    (along,) = learned.deformations
    if spectra.kind != "counts":
        return {}, None
    values = np.asarray(spectra.columns[along.name], dtype=np.float64)
    names = np.asarray([entry[0] for entry in spectra.labels])
    if not _enough_values(names, values).any():
        return {}, None
    if isinstance(learned, InterpolatedSignature):
        models = left_out_models(
            spectra,
            lambda rest: InterpolatedSignature.from_spectra(rest, along, knots=knots),
            deformation=along.name,
        )
        return (
            errors_of(spectra, models),
            left_out_differences(spectra, models, along, learned.names),
        )
    errors: dict[str, float] = {}
    judged: list[tuple[BoolArray, SignatureModel]] = []
    for network in learned.card["networks"]:
        kept = np.isin(values, network["validation"]) | (values == along.low)
        rows = np.isin(names, network["names"]) & (kept | (values == along.high))
        rows[rows] = _enough_values(names[rows], values[rows])
        if not rows.any():
            continue
        part = spectra[rows]
        models = left_out_models(part, lambda _: learned, deformation=along.name)
        errors |= errors_of(part, models)
        for out, model in models:
            everywhere = np.zeros(len(spectra), dtype=bool)
            everywhere[np.flatnonzero(rows)[out]] = True
            judged.append((everywhere, model))
    if not judged:
        return {}, None
    return errors, left_out_differences(spectra, judged, along, learned.names)


def _enough_values(names: Array, values: FloatArray) -> BoolArray:
    """Which spectra are of a source that has enough values to leave one out."""
    pairs = set(zip(names.tolist(), values.tolist(), strict=True))
    counted = Counter(name for name, _ in pairs)
    return np.array([counted[name] >= _FEWEST_VALUES for name in names.tolist()], dtype=bool)


def values_seen(spectra: Spectra, deformation: Deformation) -> dict[str, int]:
    """How many different values of a deformation the spectra of each source have.

    Parameters
    ----------
    spectra : Spectra
        One label each.
    deformation : Deformation
    """
    values = np.asarray(spectra.columns[deformation.name], dtype=np.float64).tolist()
    names = [entry[0] for entry in spectra.labels]
    counted = Counter(name for name, _ in set(zip(names, values, strict=True)))
    return dict(sorted(counted.items()))


def without_empty_channels(background: Library) -> Library:
    """A background of counts that leaves some chance to channels in which none was seen.

    A template of zero would forbid counts there, and the first one would prove a source. Unseen
    channels together get as many counts as there are channels with a single one (I. J. Good,
    Biometrika 40 (1953) 237, doi:10.1093/biomet/40.3-4.237), at least one: the mean of what no
    count leaves possible.

    Parameters
    ----------
    background : Library
        Templates in counts, with weights that say so; others are returned as they are.
    """
    templates = np.asarray(background.templates, dtype=np.float64)
    total = templates.sum(axis=0)
    empty = total <= 0
    if background.weights is None or not empty.any() or empty.all():
        return background
    seen_once = int(np.count_nonzero(total == 1.0))
    filled = templates * (background.weights.sum() / total.sum())
    filled[int(np.argmax(filled.sum(axis=1))), empty] = max(seen_once, 1) / empty.sum()
    return replace(background, templates=filled)


def rigid_signatures(spectra: Spectra, name: str, unit: str) -> TabulatedSignature:
    """Mean spectra of single sources that nothing is known to deform.

    Parameters
    ----------
    spectra : Spectra
        One label each, zero or more.
    name, unit : str
        Of the deformation that they have none of; its range is from 0 to 1.

    Raises
    ------
    DataError
        If all spectra of a label are empty.
    """
    given = np.asarray([entry[0] for entry in spectra.labels])
    names = tuple(np.unique(given).tolist())
    sums: FloatArray = np.stack(
        [spectra.values[given == one].sum(axis=0, dtype=np.float64) for one in names]
    )
    areas = sums.sum(axis=1, keepdims=True)
    if not (areas > 0).all():
        empty = [one for one, area in zip(names, areas[:, 0], strict=True) if not area > 0]
        raise DataError(f"all spectra of {', '.join(empty)} are empty")
    table = np.tile(sums / areas, (_FEWEST_NODES, 1, 1))
    return TabulatedSignature(spectra.axis, names, (Deformation(name, unit, 0.0, 1.0),), table)


def tabulated(model: SignatureModel) -> TabulatedSignature:
    """What fits use of a model of signatures, and its nodes."""
    if isinstance(model, TabulatedSignature):
        return model
    if isinstance(model, LearnedSignature):
        return model.table
    return TabulatedSignature.from_model(model, N_NODES)
