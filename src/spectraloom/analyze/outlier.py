"""Find the boundary between spectra a model explains and outliers, by leaving labels out.

Each source is left out of the training in turn; its spectra then play the unknown ones. What
tells them from the known best is learned on one part of the spectra and judged on another; no
spectrum, nor a copy of it, is on two sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from sklearn.base import clone
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from spectraloom._typing import Array, BoolArray, FloatArray, IntArray
from spectraloom.analyze.boundary import OutlierBoundary
from spectraloom.analyze.grouping import independent_groups
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.library import single_labels
from spectraloom.data.spectra import Spectra
from spectraloom.errors import FitError, LabelError

Method = Literal["tree", "logistic", "curves"]
_METHODS = get_args(Method)
_PARTS = (0.5, 0.3, 0.2)  # for the loadings, for the boundary, for judging it
_N_THRESHOLDS = 400
# These grow with the number of counts: a boundary on them would flag strong spectra as such.
_GROW_WITH_COUNTS = ("score_norm", "deviance_per_dof")


@dataclass(frozen=True, slots=True, eq=False)
class OutlierStudy:
    """Outcome of :func:`study_outliers`.

    Parameters
    ----------
    features : mapping of str to ndarray, shape (n_rows,)
        What was measured on each spectrum in each round.
    is_outlier : ndarray of bool, shape (n_rows,)
        Whether the label of the spectrum was left out in that round.
    left_out : ndarray of str, shape (n_rows,)
        The label left out in that round.
    held_out : ndarray of bool, shape (n_rows,)
        Rows that only judge; the others taught.
    importances : mapping of str to float
        Drop of the balanced accuracy of the tree on held-out rows when a feature is permuted;
        only for features that do not grow with the number of counts, on which the tree and the
        boundaries rest.
    auc : mapping of str to float
        Area under the ROC curve of each feature alone, on held-out rows.
    tree : list of str
        The decision tree as text, one line per node.
    curves : mapping of str to ndarray
        ``threshold`` with ``accuracy``, ``precision``, ``recall`` and ``false_alarm`` (share of
        the known that is flagged) on the rows that taught.
    boundaries : mapping of str to OutlierBoundary
        Found by the first split of the ``tree``, a ``logistic`` fit, and the ``curves``; their
        rates are those on held-out rows.
    chosen : str
        Which of them is in use.
    """

    features: Mapping[str, FloatArray]
    is_outlier: BoolArray
    left_out: Array
    held_out: BoolArray
    importances: Mapping[str, float]
    auc: Mapping[str, float]
    tree: Sequence[str]
    curves: Mapping[str, FloatArray]
    boundaries: Mapping[str, OutlierBoundary]
    chosen: str

    @property
    def boundary(self) -> OutlierBoundary:
        """The boundary in use, for :meth:`SupervisedNMF.set_outlier_boundary`."""
        return self.boundaries[self.chosen]

    @property
    def feature(self) -> str:
        """The feature that tells outliers best."""
        return self.boundary.feature

    def to_dict(self) -> dict[str, Any]:
        """Summary for JSON, without the rows."""
        return {
            "n_rows": len(self.is_outlier),
            "n_held_out": int(self.held_out.sum()),
            "feature": self.feature,
            "chosen": self.chosen,
            "boundaries": {name: b.to_dict() for name, b in self.boundaries.items()},
            "importances": dict(self.importances),
            "auc": dict(self.auc),
        }


def study_outliers(
    model: SupervisedNMF,
    spectra: Spectra,
    *,
    groups: Array | None = None,
    method: Method = "curves",
    feature: str | None = None,
    false_alarm_rate: float = 0.01,
    add_background: bool = True,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> OutlierStudy:
    """Leave one source out in turn and find the boundary between known and unknown.

    Parameters
    ----------
    model : SupervisedNMF
        Settings to train with; it is cloned and not changed.
    spectra : Spectra
        Training spectra, each with one label; at least two sources.
    groups : array_like, shape (n_spectra,), optional
        Spectra of one group stay on one side of every split, and so do exact copies.
    method : {"curves", "tree", "logistic"}
        Which boundary to use: the threshold of the best recall at `false_alarm_rate`, the first
        split of the decision tree, or where a logistic fit crosses one half.
    feature : str, optional
        Feature to put the boundary on; by default the one by which the tree gained most on the
        rows that taught.
    false_alarm_rate : float
        Share of the known spectra that taught which the boundary of the curves may flag.
    add_background : bool
        Whether a background spectrum, where there are any, is added to every second source that
        teaches or judges: what is measured later may have background under it, which hides a
        misfit, or not. False is the reference.
    seed : int
        Seed of splits, permutations and drawn backgrounds.
    progress : callable, optional
        Called with the fraction done and a text.

    Raises
    ------
    FitError
        If there are fewer than two sources, too few spectra to split, no such method, a rate
        outside (0, 1), or a `feature` that is the same everywhere.
    LabelError
        If there is no such `feature`.
    """
    if method not in _METHODS:
        raise FitError(f"there is no method {method!r}: choose {', '.join(_METHODS)}")
    if not 0 < false_alarm_rate < 1:
        raise FitError(f"a false-alarm rate lies between 0 and 1, got {false_alarm_rate!r}")
    labels = single_labels(spectra)
    sources = [name for name in np.unique(labels).tolist() if name != model.background]
    if len(sources) < 2:
        raise FitError(
            f"leaving one label out needs at least two sources, got {sources}: add labelled spectra"
        )
    rng = np.random.default_rng(seed)
    part = _split(labels, independent_groups(spectra, groups), rng)
    judged = spectra
    if add_background and model.background in labels:
        judged = _with_background(spectra, labels == model.background, part, rng)
    rounds = []
    for number, name in enumerate(sources):
        if progress is not None:
            progress(number / len(sources), f"leaving out {name}")
        rounds.append(_leave_out(model, spectra, judged, labels, part, name))
    features = {
        key: np.concatenate([found[key] for found, _ in rounds])
        for key in rounds[0][0]
        if all(key in found for found, _ in rounds)
    }
    rows = np.concatenate([index for _, index in rounds])
    left_out = np.repeat(sources, [len(index) for _, index in rounds])
    is_outlier = labels[rows] == left_out
    held_out = part[rows] == 2
    finite = np.logical_and.reduce([np.isfinite(values) for values in features.values()])
    study = _find_boundaries(
        {key: values[finite] for key, values in features.items()},
        is_outlier[finite],
        left_out[finite],
        held_out[finite],
        feature,
        false_alarm_rate,
        seed,
    )
    if progress is not None:
        progress(1.0, "boundary found")
    return replace(study, chosen=method)


def _split(labels: Array, keys: IntArray, rng: np.random.Generator) -> Array:
    """Part 0, 1 or 2 of each spectrum; whole groups go to one part, label by label."""
    part = np.full(len(labels), -1)
    for name in np.unique(labels):
        members = np.unique(keys[(labels == name) & (part < 0)])
        rng.shuffle(members)
        n = len(members)
        first, second = np.round(np.cumsum(_PARTS[:2]) * n).astype(int)
        if n >= len(_PARTS):  # none of the parts stays empty
            first = min(max(first, 1), n - 2)
            second = min(max(second, first + 1), n - 1)
        for number, chunk in enumerate(np.split(members, [first, second])):
            part[np.isin(keys, chunk)] = number
    for name in np.unique(labels):
        # A group may hold several labels, so look once all are dealt out.
        if len(np.unique(part[labels == name])) < len(_PARTS):
            raise FitError(
                f"label {name!r} has {len(np.unique(keys[labels == name]))} independent spectra or "
                "groups: too few to train, find a boundary and judge it on different ones"
            )
    return part


def _with_background(
    spectra: Spectra, is_background: BoolArray, part: Array, rng: np.random.Generator
) -> Spectra:
    """Every second source plus a background spectrum of its own part; sums stay Poisson."""
    values = np.array(spectra.values, dtype=np.float64)
    for number in (1, 2):
        rows = np.flatnonzero((part == number) & ~is_background)[::2]
        pool = np.flatnonzero((part == number) & is_background)
        values[rows] += spectra.values[rng.choice(pool, len(rows))]
    return spectra.replace(values=values, variance=None)


def _leave_out(
    model: SupervisedNMF,
    spectra: Spectra,
    judged: Spectra,
    labels: Array,
    part: Array,
    name: str,
) -> tuple[dict[str, FloatArray], Array]:
    training = np.flatnonzero((part == 0) & (labels != name))
    fitted = clone(model).fit(spectra[training], labels[training])
    rows = np.flatnonzero(part > 0)
    return fitted.features(judged[rows]), rows


def _find_boundaries(
    features: dict[str, FloatArray],
    is_outlier: BoolArray,
    left_out: Array,
    held_out: BoolArray,
    feature: str | None,
    false_alarm_rate: float,
    seed: int,
) -> OutlierStudy:
    if feature is not None and feature not in features:
        raise LabelError(f"there is no feature {feature!r}; there are {', '.join(features)}")
    if feature is not None and np.ptp(features[feature][~held_out]) == 0:
        raise FitError(f"feature {feature!r} is the same for all spectra: choose another one")
    names = [name for name in features if name not in _GROW_WITH_COUNTS]
    table = np.column_stack([features[name] for name in names])
    teach, judge = ~held_out, held_out
    tree = DecisionTreeClassifier(
        max_depth=2, criterion="entropy", class_weight="balanced", random_state=seed
    ).fit(table[teach], is_outlier[teach])
    drop = permutation_importance(
        tree,
        table[judge],
        is_outlier[judge],
        scoring="balanced_accuracy",
        n_repeats=10,
        random_state=seed,
    ).importances_mean
    importances = dict(zip(names, map(float, drop), strict=True))
    # Chosen on the rows that taught: chosen by what judges, the rates would be too good.
    best = feature or names[int(np.argmax(tree.feature_importances_))]
    values = features[best]
    above = bool(np.median(values[teach & is_outlier]) > np.median(values[teach & ~is_outlier]))
    curves = _curves(values[teach], is_outlier[teach], above)
    thresholds = {
        "tree": _first_split(values[teach], is_outlier[teach]),
        "logistic": _logistic_crossing(values[teach], is_outlier[teach]),
        "curves": _best_at_rate(curves, false_alarm_rate),
    }
    boundaries = {
        method: _judged(
            OutlierBoundary(best, threshold, above, method), features, is_outlier, judge
        )
        for method, threshold in thresholds.items()
    }
    return OutlierStudy(
        features,
        is_outlier,
        left_out,
        held_out,
        importances,
        {name: _auc(values[judge], is_outlier[judge]) for name, values in features.items()},
        _tree_lines(tree, names),
        curves,
        boundaries,
        "curves",
    )


def _first_split(values: FloatArray, is_outlier: BoolArray) -> float:
    stump = DecisionTreeClassifier(max_depth=1, criterion="entropy", class_weight="balanced")
    return float(stump.fit(values[:, np.newaxis], is_outlier).tree_.threshold[0])


def _logistic_crossing(values: FloatArray, is_outlier: BoolArray) -> float:
    center, scale = float(values.mean()), float(values.std()) or 1.0
    model = LogisticRegression(class_weight="balanced", C=1e3, max_iter=1000)
    model.fit(((values - center) / scale)[:, np.newaxis], is_outlier)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return center - scale * offset / slope if slope else center


def _curves(values: FloatArray, is_outlier: BoolArray, above: bool) -> dict[str, FloatArray]:
    levels = np.linspace(0.0, 1.0, _N_THRESHOLDS + 2)[1:-1]
    outlier_values, known_values = values[is_outlier], values[~is_outlier]
    thresholds = np.unique(
        np.concatenate([np.quantile(outlier_values, levels), np.quantile(known_values, levels)])
    )
    # Between two quantiles lies a fairer threshold than on one of them.
    thresholds = 0.5 * (thresholds[1:] + thresholds[:-1]) if len(thresholds) > 1 else thresholds
    sorted_outliers, sorted_known = np.sort(outlier_values), np.sort(known_values)
    # What equals a threshold is no outlier, as in OutlierBoundary.flags.
    side: Literal["left", "right"] = "right" if above else "left"
    hits = np.searchsorted(sorted_outliers, thresholds, side=side)
    alarms = np.searchsorted(sorted_known, thresholds, side=side)
    if above:
        hits, alarms = len(sorted_outliers) - hits, len(sorted_known) - alarms
    recall = hits / len(sorted_outliers)
    false_alarm = alarms / len(sorted_known)
    flagged = hits + alarms
    correct = hits + (len(sorted_known) - alarms)
    return {
        "threshold": thresholds,
        "accuracy": correct / len(values),
        "precision": np.divide(hits, flagged, out=np.ones(len(hits)), where=flagged > 0),
        "recall": recall,
        "false_alarm": false_alarm,
    }


def _best_at_rate(curves: Mapping[str, FloatArray], rate: float) -> float:
    """Threshold of the best recall among those that flag few enough known spectra."""
    allowed = curves["false_alarm"] <= max(rate, float(curves["false_alarm"].min()))
    recall = np.where(allowed, curves["recall"], -1.0)
    best = np.flatnonzero(recall == recall.max())
    # Of equally good thresholds the middle one, in the gap between known and unknown.
    return float(curves["threshold"][best[len(best) // 2]])


def _judged(
    boundary: OutlierBoundary,
    features: Mapping[str, FloatArray],
    is_outlier: BoolArray,
    judge: BoolArray,
) -> OutlierBoundary:
    flagged = boundary.flags({boundary.feature: features[boundary.feature][judge]})
    truth = is_outlier[judge]
    hits = int((flagged & truth).sum())
    return replace(
        boundary,
        accuracy=float((flagged == truth).mean()),
        precision=float(hits / flagged.sum()) if flagged.any() else float("nan"),
        recall=float(hits / truth.sum()) if truth.any() else float("nan"),
        false_alarm=float((flagged & ~truth).sum() / (~truth).sum()) if (~truth).any() else np.nan,
    )


def _auc(values: FloatArray, is_outlier: BoolArray) -> float:
    if is_outlier.all() or not is_outlier.any():
        raise LabelError("the held-out rows hold no outlier, or nothing else: add spectra")
    area = float(roc_auc_score(is_outlier, values))
    return max(area, 1.0 - area)


def _tree_lines(tree: DecisionTreeClassifier, names: list[str]) -> list[str]:
    nodes = tree.tree_
    lines = []

    def visit(node: int, depth: int) -> None:
        indent = "  " * depth
        known, outlier = nodes.value[node][0]
        share = outlier / (known + outlier)
        if nodes.children_left[node] < 0:
            lines.append(f"{indent}{'outlier' if share > 0.5 else 'known'} ({share:.0%} outliers)")
            return
        feature, threshold = names[nodes.feature[node]], nodes.threshold[node]
        lines.append(f"{indent}{feature} <= {threshold:.4g}")
        visit(nodes.children_left[node], depth + 1)
        lines.append(f"{indent}{feature} > {threshold:.4g}")
        visit(nodes.children_right[node], depth + 1)

    visit(0, 0)
    return lines
