"""Train, try out and use identification under the likelihood on files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.base import clone

from spectraloom._typing import Array, FloatArray
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.likelihood import binned_templates, pileup_templates
from spectraloom.analyze.manifold import ManifoldUnmixer
from spectraloom.data.axis import Axis
from spectraloom.data.columns import label_sets
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, LabelError
from spectraloom.evaluate.identify_injection import INJECTED, false_alarm_curve, injected
from spectraloom.workflow.chain import Judged, flagged, judge, require_kind
from spectraloom.workflow.left_out import LeftOut, read_usable, use_each
from spectraloom.workflow.prepare import part_of
from spectraloom.workflow.train import hold_out

_TRIALS = 200  # for each source and number of counts
_FEWEST_TRIALS = 25
_MOST_SEARCHED = 6000  # spectra in all where names are chosen one by one, which takes long


@dataclass(frozen=True, slots=True, eq=False)
class IdentifierTraining:
    """A trained identifier and how it did on the spectra held out.

    Parameters
    ----------
    model : Identifier
    holdout : Judged or None
        None if nothing was held out.
    tried : dict
        ``injection`` and ``false_alarms``, from sources and background that were held out; empty
        without both.
    """

    model: Identifier
    holdout: Judged | None
    tried: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Summary for JSON."""
        boundary = self.model.misfit_boundary_
        return {
            "classes": self.model.classes_.tolist(),
            "n_templates": len(self.model.library_),
            "false_alarm_rate": self.model.false_alarm_rate,
            "holdout": None if self.holdout is None else self.holdout.to_dict(),
            "outlier": None if boundary is None else boundary.to_dict(),
            **self.tried,
            "provenance": dict(self.model.provenance_),
        }


def train_identifier(
    spectra: Spectra,
    model: Identifier,
    *,
    holdout: float = 0.2,
    seed: int = 1,
    progress: Callable[[float, str], None] | None = None,
) -> IdentifierTraining:
    """Make the library and calibrate decisions on one part of the spectra, judge on the rest.

    Of the background the last part is held out: background between its own neighbours in time
    would look better known than what comes later.

    Parameters
    ----------
    spectra : Spectra
        On one axis, with a column ``labels``: sources and background, one label each; the
        background in the order of time.
    model : Identifier
        Settings; it is cloned.
    holdout : float
        Share of the spectra held out; 0 trains on all.
    seed : int
        Seed of the split and of injected spectra.
    progress : callable, optional

    Raises
    ------
    DataError
        If `holdout` is out of range.
    FitError
        If holding out leaves no spectrum of a label, or there is no source to learn.
    """
    training, test = hold_out(spectra, holdout, seed, in_order=model.background)
    fitted = clone(model).fit(training, progress=part_of(progress, 0.0, 0.6))
    if test is None:
        return IdentifierTraining(fitted, None, {})
    part_of(progress, 0.6, 0.7)(0.0, "judging")
    judged = judge("Hold-out", fitted, test)
    part_of(progress, 0.7, 1.0)(0.0, "injecting sources")
    return IdentifierTraining(fitted, judged, try_out(fitted, test, seed=seed))


def try_out(model: Identifier, spectra: Spectra, *, seed: int = 0) -> dict[str, Any]:
    """Inject sources into background, and count false alarms, on spectra that were held out.

    Parameters
    ----------
    model : Identifier
        Fitted.
    spectra : Spectra
        Labelled counts. Those of one source alone are injected into those of the background
        alone.
    seed : int

    Returns
    -------
    dict
        ``injection`` and ``false_alarms`` as in the benchmark, and ``trials``, the spectra for
        each source and number of counts: fewer in large libraries, whose names are chosen one by
        one. Empty where there is no source, no background, or no whole counts.
    """
    labels = spectra.labels
    quiet = np.array([tuple(entry) == (model.background,) for entry in labels], dtype=bool)
    names = [str(name) for name in model.classes_ if name != model.background]
    alone = np.array([len(entry) == 1 and entry[0] in names for entry in labels], dtype=bool)
    whole = spectra.kind == "counts" and bool((spectra.values == np.floor(spectra.values)).all())
    if not (quiet.any() and alone.any() and whole):
        return {}
    rng = np.random.default_rng(seed)
    asked = [(model, spectra[quiet])]
    there = {entry[0] for entry in labels[alone]}
    tried = [name for name in names if name in there]
    trials = trials_for(len(tried), searched=model.fitted_with_["selection"] == "greedy")
    injection, _ = injected(asked, spectra[alone], tried, rng, trials=trials)
    curve = false_alarm_curve(asked, rng)
    return {"injection": injection, "false_alarms": curve, "trials": trials}


def trials_for(n_names: int, *, searched: bool) -> int:
    """Spectra to inject for each source and number of counts.

    Parameters
    ----------
    n_names : int
        Sources to inject, at least one.
    searched : bool
        Whether names are chosen one by one, which takes long.
    """
    if not searched:
        return _TRIALS
    return max(_FEWEST_TRIALS, min(_TRIALS, _MOST_SEARCHED // (len(INJECTED) * n_names)))


def identify_files(
    model: Identifier | ManifoldUnmixer,
    source: Any,
    progress: Callable[[float, str], None] | None = None,
    *,
    left_out: list[LeftOut] | None = None,
    intervals: Literal["score", "profile"] = "score",
) -> tuple[Result, list[Spectra]]:
    """Read spectra and identify them on their own calibrations: nothing is rebinned.

    Parameters
    ----------
    model : Identifier or ManifoldUnmixer
        Fitted.
    source : path, glob, folder or sequence of these
    progress : callable, optional
    left_out : list of LeftOut, optional
        Files that cannot be used are added to it; by default one such file stops all.
    intervals : {"score", "profile"}
        How the intervals of amounts are found, and those of deformations.

    Returns
    -------
    result : Result
        Of all spectra, in the order of the groups; the fitted spectra are there if all lie on
        one axis.
    groups : list of Spectra
        What was analysed, one for each axis.

    Raises
    ------
    FormatError
        If there is nothing to read.
    AxisError
        If spectra and library measure different things or do not overlap.
    DataError
        If the spectra are of another kind than those of the training; an Identifier takes rates
        with a variance or live time and intensities with a variance, too, but no two kinds at
        once.
    """
    part_of(progress, 0.0, 1.0)(0.0, "reading")
    groups = read_usable(source, left_out)
    kinds: list[str] = []  # of what could be used

    def identify(group: Spectra, number: int) -> Result:
        if not isinstance(model, Identifier):
            require_kind(model, group)
        elif kinds and group.kind != kinds[0]:
            raise DataError(
                f"these spectra are of kind {group.kind!r}, those before of kind {kinds[0]!r}: "
                "their amounts have other units; analyse them on their own"
            )
        step = part_of(progress, number / len(groups), (number + 1) / len(groups))
        if isinstance(model, Identifier):
            answer = model.analyze(group, progress=step, intervals=intervals)
        else:
            profile: Literal["profile"] | None = "profile" if intervals == "profile" else None
            answer = model.analyze(group, progress=step, intervals=profile)
        kinds.append(group.kind)
        return answer

    results, used = use_each(groups, identify, left_out)
    return join_results(results), used


def calibrate_known(
    model: Identifier, spectra: Spectra, false_alarm_rate: float = 0.05
) -> float | None:
    """Set the outlier boundary of a model from spectra that hold nothing unknown.

    Parameters
    ----------
    model : Identifier
        Fitted; it is changed.
    spectra : Spectra
        Measured spectra of known sources that the model was not trained on.
    false_alarm_rate : float
        Part of such spectra that is flagged at most.

    Returns
    -------
    float or None
        Part of these spectra that is flagged.

    Raises
    ------
    LabelError
        If labels say that there is a source which the model does not know.
    DataError
        If the spectra are of another kind than those of the training, or too few for the rate.
    """
    require_kind(model, spectra)
    if "labels" in spectra.columns:
        named = {name for entry in spectra.labels for name in entry}
        unknown = sorted(named - set(model.classes_.tolist()) - {str(model.background)})
        if unknown:
            raise LabelError(
                f"the spectra hold {', '.join(unknown)}, which the model does not know: a boundary "
                "is set from spectra without unknown sources (choose them with --labels)"
            )
    model.calibrate_outliers(spectra, false_alarm_rate)
    return flagged(model.analyze(spectra))


def join_results(results: Sequence[Result]) -> Result:
    """Several results of one model, one after the other.

    What only some of them have (columns, details, measures) is left out; fitted spectra are kept
    if there is only one result.
    """
    if len(results) == 1:
        return results[0]
    first = results[0]

    def joined(group: str) -> dict[str, Array]:
        parts = [getattr(result, group) for result in results]
        common = [name for name in parts[0] if all(name in part for part in parts)]
        return {name: _joined_column([part[name] for part in parts]) for name in common}

    sure = [result.uncertainties for result in results if result.uncertainties is not None]
    top = [result.top for result in results if result.top is not None]
    return Result(
        first.names,
        np.concatenate([result.amounts for result in results]),
        np.concatenate([result.decisions for result in results]),
        unit=first.unit,
        uncertainties=np.concatenate(sure) if len(sure) == len(results) else None,
        top=np.concatenate(top) if len(top) == len(results) else None,
        details=joined("details"),
        quality=joined("quality"),
        flags=joined("flags"),
        columns=joined("columns"),
        provenance=first.provenance,
    )


def _joined_column(parts: Sequence[Array]) -> Array:
    if any(part.dtype == object for part in parts):
        return label_sets([entry for part in parts for entry in part])
    return np.concatenate(parts)


def components_of(
    model: Identifier, spectra: Spectra, row: int
) -> tuple[Axis, FloatArray, dict[str, FloatArray]]:
    """What explains one spectrum: counts of each name on its channels.

    Parameters
    ----------
    model : Identifier
        Fitted.
    spectra : Spectra
    row : int

    Returns
    -------
    axis : Axis
        Channels that were fitted.
    observed : ndarray, shape (n_channels,)
    components : dict of str to ndarray, shape (n_channels,)
        Of names with counts; the templates stand where the fitted gain, offset and broadening
        put them. They add up to the fitted spectrum of :meth:`Identifier.analyze`, which is that of
        the names that were chosen where the model chooses them one by one.
    """
    one = spectra[[row]]
    fit = model.likelihood_fit(one)
    first, last = (int(end) for end in np.searchsorted(one.axis.edges, fit.edges[[0, -1]]))
    seen = one[:, first:last]
    edges = np.asarray(seen.axis.edges)
    templates = binned_templates(model.table_, edges, fit.nuisances[0])
    if fit.extra.shape[1]:
        templates = np.vstack([templates, pileup_templates(one.values, one.axis, edges)])
    amounts = fit.template_amounts[0]
    parts = {
        name: np.asarray(amounts[fit.groups == number] @ templates[fit.groups == number])
        for number, name in enumerate(fit.names)
    }
    observed = np.asarray(seen.values[0], dtype=np.float64)
    return seen.axis, observed, {name: part for name, part in parts.items() if part.sum() > 0}
