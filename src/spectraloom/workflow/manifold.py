"""Train, try out and show models of signatures that deform, on files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from spectraloom._typing import Array, FloatArray
from spectraloom.analyze.manifold import ManifoldUnmixer
from spectraloom.data.axis import Axis
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, LabelError
from spectraloom.evaluate.metrics import rate_of
from spectraloom.io import read_groups
from spectraloom.workflow.prepare import common_axis, part_of, prepare
from spectraloom.workflow.trust import manifold_remarks

_LEVELS = (2_000, 20_000)  # counts of mixtures that a model is tried out on
_TRIALS = 200
_MOST_SOURCES = 3
_UNDER = (0.2, 0.8)  # share of the background in them
_LEAST_SHARE = 0.15  # of a source, of the counts that are not background
_LEAST_INNER = 3  # values between the ends, from which some can be held out


@dataclass(frozen=True, slots=True, eq=False)
class ManifoldTraining:
    """A trained model of signatures that deform, and how it did on values held out.

    Parameters
    ----------
    model : ManifoldUnmixer
        Learned from all spectra.
    held_out : ndarray
        Values of the deformation that a model was tried out on, which was learned without them.
    tried : dict
        What :func:`try_out_manifold` found; empty if nothing was held out.
    """

    model: ManifoldUnmixer
    held_out: FloatArray
    tried: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Summary for JSON."""
        return {
            "classes": self.model.classes_.tolist(),
            "deformations": [one.describe() for one in self.model.signatures_.deformations],
            "signature_errors": dict(self.model.signature_errors_),
            "learning": dict(self.model.learning_),
            "false_alarm_rate": self.model.false_alarm_rate,
            "held_out": self.held_out.tolist(),
            "remarks": manifold_remarks(self.model),
            **self.tried,
            "provenance": dict(self.model.provenance_),
        }


def read_deforming(
    source: Any,
    *,
    detectors: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Spectra:
    """Read training spectra onto the part of an axis that all of them cover.

    Spectra whose gain was shifted on purpose (column ``gain_shift``) are left out.

    Parameters
    ----------
    source : path, glob, folder or sequence of these
    detectors, labels, limit, seed
        As in :func:`~spectraloom.workflow.prepare.prepare`.

    Raises
    ------
    FormatError
        If there is nothing to read.
    AxisError
        If spectra do not overlap.
    DataError
        If no spectrum is left.
    """
    groups = []
    for group in read_groups(source):
        if "gain_shift" in group.columns:
            shift = group.columns["gain_shift"].astype(np.float64)
            group = group[~(np.nan_to_num(shift) != 0)]
        if len(group):
            groups.append(group)
    if not groups:
        raise DataError("no spectrum is left after leaving out those with a gain shift")
    return prepare(
        groups,
        axis=_covered_by_all(groups),
        detectors=detectors,
        labels=labels,
        limit=limit,
        whole_counts=True,
        seed=seed,
    )


def _covered_by_all(groups: Sequence[Spectra]) -> Axis:
    """Axis of the largest group, without what another group does not reach: it says nothing."""
    axis = common_axis(groups)
    others = [one.axis for one in groups if one.axis.is_calibrated and one.axis.binned]
    if not (axis.is_calibrated and axis.binned) or len(others) < len(groups):
        return axis
    low = max(float(one.edges[0]) for one in others)
    high = min(float(one.edges[-1]) for one in others)
    inside = np.flatnonzero((axis.edges[:-1] >= low) & (axis.edges[1:] <= high))
    return axis[int(inside[0]) : int(inside[-1]) + 1] if len(inside) else axis


def train_manifold(
    spectra: Spectra,
    model: ManifoldUnmixer,
    *,
    holdout: float = 0.2,
    seed: int = 1,
    progress: Callable[[float, str], None] | None = None,
) -> ManifoldTraining:
    """Try signatures out at values of the deformation that were held out, then learn from all.

    What is tried out is a model of the other values; the model that is returned is learned from
    all spectra, as :meth:`ManifoldUnmixer.fit` of these would be.

    Parameters
    ----------
    spectra : Spectra
        On one axis, with a column ``labels`` and one of the deformation: sources and background,
        one label each.
    model : ManifoldUnmixer
        Settings; it is cloned.
    holdout : float
        Share of the values held out, never the first and the last; 0 trains on all.
    seed : int
        Seed of the choice and of the mixtures.
    progress : callable, optional

    Raises
    ------
    DataError
        If `holdout` is out of range.
    FitError
        If signatures cannot be learned of the spectra.
    LabelError
        If there is no column of the deformation.
    """
    if not 0 <= holdout < 1:
        raise DataError(f"the share to hold out lies in [0, 1), got {holdout:g}")
    held = held_out_values(spectra, model, holdout, seed)
    test = _rows_at(spectra, model, held)
    if not test.any():
        return ManifoldTraining(clone(model).fit(spectra, progress=progress), held, {})
    part = clone(model).fit(spectra[~test], progress=part_of(progress, 0.0, 0.4))
    part_of(progress, 0.4, 0.5)(0.0, "trying it out")
    tried = try_out_manifold(part, spectra[test], seed=seed)
    fitted = clone(model).fit(spectra, progress=part_of(progress, 0.5, 1.0))
    return ManifoldTraining(fitted, held, tried)


def held_out_values(
    spectra: Spectra, model: ManifoldUnmixer, share: float, seed: int
) -> FloatArray:
    """Values of the deformation to hold out: spread along it, drawn by the seed.

    Parameters
    ----------
    spectra : Spectra
    model : ManifoldUnmixer
    share : float
    seed : int

    Raises
    ------
    LabelError
        If there is no column of the deformation.
    """
    if model.deformation not in spectra.columns:
        raise LabelError(
            f"the spectra have no column {model.deformation!r}; there are "
            f"{', '.join(spectra.columns) or 'none'}: name the one that says how far a source is "
            "deformed (--deformation)"
        )
    values = spectra.columns[model.deformation]
    source = _sources(spectra, model)
    if values.dtype.kind not in "iuf" or share == 0:
        return np.zeros(0)
    there = values[source].astype(np.float64)
    inner = np.unique(there[np.isfinite(there)])[1:-1]
    wanted = round(share * len(inner))
    if len(inner) < _LEAST_INNER or wanted < 1:
        return np.zeros(0)
    # One of each part of the range, so that what is left has no large gap.
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(part) for part in np.array_split(inner, wanted)])


def _sources(spectra: Spectra, model: ManifoldUnmixer) -> Array:
    return np.array(
        [len(entry) == 1 and entry[0] != model.background for entry in spectra.labels], dtype=bool
    )


def _rows_at(spectra: Spectra, model: ManifoldUnmixer, held: FloatArray) -> Array:
    if not len(held):
        return np.zeros(len(spectra), dtype=bool)
    values = spectra.columns[model.deformation].astype(np.float64)
    return np.asarray(np.isin(values, held) & _sources(spectra, model))


def try_out_manifold(model: ManifoldUnmixer, spectra: Spectra, *, seed: int = 0) -> dict[str, Any]:
    """Mix spectra at values of the deformation that the model has not seen, and compare.

    Parameters
    ----------
    model : ManifoldUnmixer
        Fitted, with a background.
    spectra : Spectra
        Of single sources, in counts. Mixtures are drawn from the sums of those of one source at one
        value, and from the background of the model; their own noise is part of the error.
    seed : int

    Returns
    -------
    dict
        ``mixtures``, for each number of counts: ``sets_right``; ``mean_relative_error`` and
        ``coverage`` of the 95 % intervals of the amounts where the set is right; the same of the
        deformation, ``deformation_error`` (median, in its unit) and ``deformation_coverage``.
        ``false_alarms`` on draws from the background. Empty without a background or counts.
    """
    background = model.background_
    if background is None or spectra.kind != "counts" or not len(spectra):
        return {}
    rng = np.random.default_rng(seed)
    under = background.templates.sum(axis=0)
    under = under / under.sum()
    shapes = _shapes_at(model, spectra)
    if not shapes:
        return {}
    mixtures = {}
    for level in _LEVELS:
        expected, truth, at = _draw_mixtures(model, shapes, under, level, rng)
        drawn = Spectra(rng.poisson(expected), spectra.axis)
        mixtures[str(level)] = _compare(model, drawn, truth, at)
    quiet = rng.poisson(np.tile(_LEVELS[0] * under, (10 * _TRIALS, 1)))
    alarms = model.predict(Spectra(quiet, spectra.axis)) != str(model.background)
    rate = rate_of(int(alarms.sum()), len(alarms), model.false_alarm_rate)
    return {"mixtures": mixtures, "false_alarms": rate}


def _draw_mixtures(
    model: ManifoldUnmixer,
    shapes: dict[float, dict[str, FloatArray]],
    under: FloatArray,
    level: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Expected mixtures of sources at one value, true amounts of all names, and the values."""
    names = model.classes_.tolist()
    truth, at = np.zeros((_TRIALS, len(names))), np.empty(_TRIALS)
    expected = np.empty((_TRIALS, len(under)))
    for row in range(_TRIALS):
        at[row] = rng.choice(sorted(shapes))
        there = shapes[float(at[row])]
        size = int(rng.integers(1, min(_MOST_SOURCES, len(there)) + 1))
        chosen = rng.choice(sorted(there), size=size, replace=False).tolist()
        share = rng.uniform(*_UNDER)
        parts = _LEAST_SHARE + (1.0 - size * _LEAST_SHARE) * rng.dirichlet(np.ones(size))
        amounts = level * (1.0 - share) * parts
        truth[row, [names.index(name) for name in chosen]] = amounts
        truth[row, -1] = level * share
        expected[row] = amounts @ np.stack([there[name] for name in chosen])
        expected[row] += level * share * under
    return expected, truth, at


def _shapes_at(model: ManifoldUnmixer, spectra: Spectra) -> dict[float, dict[str, FloatArray]]:
    """Sums of the spectra of each source at each value, with unit area."""
    values = spectra.columns[model.deformation].astype(np.float64)
    sums: dict[float, dict[str, FloatArray]] = {}
    for value, entry, row in zip(values.tolist(), spectra.labels, spectra.values, strict=True):
        there = sums.setdefault(value, {})
        there[entry[0]] = there.get(entry[0], np.zeros(len(row))) + row
    shapes = {
        value: {name: row / row.sum() for name, row in there.items() if row.sum() > 0}
        for value, there in sums.items()
    }
    return {value: there for value, there in shapes.items() if there}


def _compare(
    model: ManifoldUnmixer, mixtures: Spectra, truth: FloatArray, at: FloatArray
) -> dict[str, Any]:
    result = model.analyze(mixtures)
    there = truth > 0
    right = (result.decisions == there).all(axis=1)
    errors = np.abs(result.amounts - truth)
    sure = result.uncertainties
    if sure is None:
        raise DataError("unmixing gives uncertainties")
    rows = there & right[:, np.newaxis]
    found: dict[str, Any] = {
        "n": len(mixtures),
        "sets_right": float(right.mean()),
        "mean_relative_error": _mean(errors[rows] / truth[rows]),
        "coverage": _mean(errors[rows] <= 1.96 * sure[rows]),
    }
    name = model.signatures_.deformations[0].name
    group = result.details if name in result.details else result.quality
    if name in group:
        estimate, low, high = (
            group[name + ending].reshape(len(mixtures), -1) for ending in ("", "_low", "_high")
        )
        known = np.isfinite(low) & right[:, np.newaxis]
        if estimate.shape[1] > 1:
            known &= there
        true = np.broadcast_to(at[:, np.newaxis], low.shape)
        sharp = known & np.isfinite(estimate)
        found["deformation_error"] = (
            float(np.median(np.abs(estimate - true)[sharp])) if sharp.any() else None
        )
        found["deformation_coverage"] = _mean(((low <= true) & (true <= high))[known])
    return found


def _mean(values: Array) -> float | None:
    return float(np.mean(values)) if len(values) else None


def components_of_manifold(
    model: ManifoldUnmixer, spectra: Spectra, row: int
) -> tuple[Axis, FloatArray, dict[str, FloatArray]]:
    """What explains one spectrum: counts of each name on the bins of the fit.

    Parameters
    ----------
    model : ManifoldUnmixer
        Fitted.
    spectra : Spectra
    row : int

    Returns
    -------
    axis : Axis
        Bins of the fit.
    observed : ndarray, shape (n_bins,)
    components : dict of str to ndarray, shape (n_bins,)
        Of names with counts, deformed and moved as the fit says.
    """
    one = spectra[[row]]
    fit = model.unmix(one).fit
    table = fit.table
    templates = table.templates(fit.latents[0]) * fit.template_amounts[0][:, np.newaxis]
    parts = {
        name: np.asarray(templates[table.groups == number].sum(axis=0))
        for number, name in enumerate(table.names)
    }
    axis = Axis.from_edges(table.edges, quantity=one.axis.quantity, unit=one.axis.unit)
    return axis, fit.observed[0], {name: part for name, part in parts.items() if part.sum() > 0}
