"""When not to trust an answer, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spectraloom._typing import BoolArray
from spectraloom.analyze.explore import label_text
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.manifold import ManifoldUnmixer
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra

MOST_OUTSIDE = 0.1
"""Share of the counts outside the axis of the model above which an answer is in doubt."""

MOST_DEVIANCE = 10.0
"""Deviance per degree of freedom above which the amounts are in doubt: the fit misses the spectrum
by more than three standard deviations in the average channel."""

MOST_WIDENING = 2.0
"""Factor that a changing background may raise thresholds by before it is worth a warning."""

_FEW_VALUES = 4  # of a deformation, that hardly show how a signature changes between them
_MEASURED = 3  # values from which on one can be left out to measure the error
_LARGE_ERROR = 0.05  # relative, of a signature, that is worth a remark

_TOLD = 0.75  # part of what is known of a gain that the spectrum tells, not the prior

_REASONS = {
    "empty": "nothing of what the model knows was found",
    "not_converged": "the fit did not settle",
    "fractional": "counts that are not whole do not follow the noise that the model assumes",
    "saturated": "a channel or the dead time is at its limit, so that counts are missing",
    "drift_at_limit": "gain, offset or resolution went as far as they may: the detector may have "
    "drifted further than the templates followed",
    "outlier": "the model does not explain the spectrum: an unknown source, or one that is "
    "changed by shielding, scattering or drift",
    "at_range_end": "a source is deformed as far as the signatures go, or further: the interval is "
    "open at that end, and the amount holds for this end of the range",
    "partly_covered": "over a tenth of a source lies where the spectrum does not reach, so that "
    "its amount is extrapolated",
    "poor fit": "the fit misses the spectrum by far more than counting explains: amounts and "
    "shares are rough, and on another kind of detector than that of the model worthless",
    "off the axis": f"more than {MOST_OUTSIDE:.0%} of the counts lie outside the axis of the model",
}


def doubts(result: Result, spectra: Spectra | None = None) -> dict[str, BoolArray]:
    """Reasons not to trust an answer, and the spectra that they hold for.

    Parameters
    ----------
    result : Result
    spectra : Spectra, optional
        What was analysed, where it was rebinned.

    Returns
    -------
    dict of str to ndarray of bool, shape (n_spectra,)
        Every flag of the result, ``poor fit`` for counts and, where spectra were rebinned,
        ``off the axis``.
    """
    found = {name: np.asarray(flag, dtype=bool) for name, flag in result.flags.items()}
    if "deviance_per_dof" in result.quality:
        found["poor fit"] = np.asarray(result.quality["deviance_per_dof"] > MOST_DEVIANCE)
    for column in ("counts_outside", "rate_outside"):
        if spectra is not None and column in spectra.columns:
            outside = np.asarray(spectra.columns[column], dtype=np.float64)
            found["off the axis"] = outside > MOST_OUTSIDE * (spectra.totals + outside)
    return found


def summary(
    result: Result, spectra: Spectra | None, model: SupervisedNMF | Identifier | ManifoldUnmixer
) -> list[str]:
    """What was found and what is in doubt, a sentence each.

    Parameters
    ----------
    result : Result
    spectra : Spectra or None
        What was analysed, where it was rebinned.
    model : SupervisedNMF, Identifier or ManifoldUnmixer
        The model that did it.
    """
    reasons = {name: flag for name, flag in doubts(result, spectra).items() if flag.any()}
    n = len(result)
    in_doubt = np.logical_or.reduce([np.zeros(n, dtype=bool), *reasons.values()])
    sets = Counter(
        label_text(tuple(label for label in entry if label != model.background))
        for entry in result.labels[~in_doubt]
    )
    found = ", ".join(
        f"{'no source' if name == 'no label' else name} in {number:,}"
        for name, number in sets.most_common()
    )
    clear = int((~in_doubt).sum())
    lines = [f"{n:,} {'spectrum' if n == 1 else 'spectra'}, {clear:,} not in doubt: {found}."]
    if not clear:
        lines = [f"{n:,} {'spectrum' if n == 1 else 'spectra'}, all in doubt."]
    lines += [
        f"Do not trust {int(flag.sum()):,} of {n:,} ({name}): {_REASONS.get(name, 'flagged')}."
        for name, flag in reasons.items()
    ]
    if isinstance(model, ManifoldUnmixer):
        return [*lines, *_deformations(model)]
    if isinstance(model, Identifier):
        return [*lines, *_drift(result, model), *_rates(model)]
    return [*lines, *_boundary(model)]


def training_remarks(model: Identifier, tried: Mapping[str, Any]) -> list[str]:
    """What to look at in a trained identifier before it is used, a sentence each.

    Parameters
    ----------
    model : Identifier
        Fitted.
    tried : mapping
        As :func:`~spectraloom.workflow.identification.try_out` gives it.
    """
    remarks = []
    widened = model.provenance_.get("false_alarms", {}).get("widening", {})
    wide = {name: factor for name, factor in widened.items() if factor > MOST_WIDENING}
    if wide:
        worst = max(wide, key=lambda name: wide[name])
        remarks.append(
            f"The shape of the background given changes so much that thresholds of {len(wide)} of "
            f"{len(widened)} sources are raised more than {MOST_WIDENING:g} times ({worst} "
            f"{wide[worst]:.1f} times), and weak sources are missed. Are there several detectors "
            "or places in it? Then train a model for each (--detectors, or fewer files); if it "
            "is one that changes, let the background vary (background_components in Python)."
        )
    rates = tried.get("false_alarms", {}).get("measured", [])
    more = [one for one in rates if one["low"] > one["stated"]]
    less = [one for one in rates if one["high"] < one["stated"]]
    if more or less:
        one = min(more or less, key=lambda rate: float(rate["stated"]))
        so = (
            "more often than stated, so that stated rates are not to be relied on"
            if more
            else "less often than stated: the rate is kept, at the price of weak sources"
        )
        remarks.append(
            f"On held-out background a source is found {so}: in {100 * one['observed']:.2g} % "
            f"(95 % interval {100 * one['low']:.2g} to {100 * one['high']:.2g} %) where "
            f"{100 * one['stated']:.2g} % are stated."
        )
    return remarks


def manifold_remarks(model: ManifoldUnmixer) -> list[str]:
    """What to look at in trained signatures before they are used, a sentence each.

    Parameters
    ----------
    model : ManifoldUnmixer
        Fitted.
    """
    seen = model.learning_.get("values", {})
    (along, *_) = model.signatures_.deformations
    remarks = []
    still = [name for name, number in seen.items() if number < 2]
    if still:
        remarks.append(
            f"{', '.join(still)}: all training spectra have the same {along.name}, so that the "
            "signature does not deform, and nothing is said of it where this source is alone."
        )
    few = [name for name, number in seen.items() if 2 <= number <= _FEW_VALUES]
    if few:
        remarks.append(
            f"{', '.join(few)}: training spectra have only "
            f"{min(seen[name] for name in few)} different values of {along.name}. What lies "
            "between is a guess, whose error "
            + (
                "cannot be measured: intervals are too narrow. "
                if any(seen[name] < _MEASURED for name in few)
                else "is measured at hardly any value. "
            )
            + "Give spectra at more values."
        )
    bad = {name: e for name, e in model.signature_errors_.items() if e > _LARGE_ERROR}
    if bad:
        worst = max(bad, key=lambda name: bad[name])
        remarks.append(
            f"Between training values signatures are off by up to {bad[worst]:.1%} ({worst}): "
            "intervals are wider for it, and the misfit alarm blunter, as a source has to be off "
            "by more than that to be noticed. Training spectra at more values, or with more "
            "counts, make it smaller."
        )
    return remarks


def _deformations(model: ManifoldUnmixer) -> Iterator[str]:
    yield (
        f"Of spectra without a source, {model.false_alarm_rate:g} are said to hold one, as long "
        "as the background has the shape that the model was given."
    )
    known = "; ".join(one.describe() for one in model.signatures_.deformations)
    yield (
        f"The signatures are known for {known}, in the material and on the kind of detector that "
        "they were learned with; intervals are 95 %."
    )
    unknown = [name for name in model.signatures_.names if name not in model.signature_errors_]
    if unknown:
        yield (
            f"How far the signatures of {', '.join(unknown)} are off between the values that they "
            "were learned from is not known, so that no interval or alarm allows for it."
        )


def _drift(result: Result, model: Identifier) -> Iterator[str]:
    """Say if the gain of the whole file is off by more than the model expects."""
    if "gain_uncertainty" not in result.quality:
        return
    expected = float(model.fitted_with_["gain"])
    # A prior draws to zero what few counts leave open: that is undone, where there is enough.
    known = 1.0 - (result.quality["gain_uncertainty"] / expected) ** 2
    told = known > _TOLD
    if not told.any():
        return
    gain = float(np.median(result.quality["gain"][told] / known[told]))
    if abs(gain) > expected:
        yield (
            f"The gain is off by {gain:+.1%} (median; counts are recorded "
            f"{'above' if gain > 0 else 'below'} their energies), more than the {expected:.1%} "
            "that the model expects of single spectra: calibrate the spectra anew, or names and "
            "amounts may be wrong."
        )


def _rates(model: Identifier) -> Iterator[str]:
    steady = "has the shape" if model.null_.drift is None else "changes no more than that"
    yield (
        f"Of spectra without a source, {model.false_alarm_rate:g} are said to hold one, as long "
        f"as the background {steady} that the model was given."
    )
    if model.misfit_boundary_ is None:
        yield (
            "The model cannot tell that a spectrum holds something it was never shown: it learns "
            "that from two sources or more."
        )


def _boundary(model: SupervisedNMF) -> Iterator[str]:
    boundary = model.outlier_boundary_
    if boundary is None:
        yield (
            "The model has no outlier boundary, so it cannot tell that a spectrum holds something "
            "it was never shown: spectraloom outlier finds one."
        )
    elif np.isfinite(boundary.recall):
        yield (
            f"In training, the outlier boundary found {boundary.recall:.1%} of the spectra of "
            f"sources that were left out, and flagged {boundary.false_alarm:.1%} of the others; "
            "measurements that differ from the training spectra are flagged more often."
        )
