"""Identification judged on the GAMMA_FLOW data: raw counts, templates from the simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from spectraloom._typing import Array, BoolArray, FloatArray, Progress
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.identify.variants import variant_library
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.library import Library
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.evaluate import reference
from spectraloom.evaluate.identify_coverage import MOST_PILE_UP, coverage_of_amounts
from spectraloom.evaluate.identify_injection import RATE_PER_NAME, false_alarm_curve, injected
from spectraloom.evaluate.metrics import set_scores
from spectraloom.evaluate.sets import (
    BACKGROUND,
    RoleParts,
    parts_by_role,
    plain_columns,
    source_labels,
    standard_axis,
)
from spectraloom.evaluate.splits import split_by_group
from spectraloom.evaluate.unknown import roc_points, unknown_scores
from spectraloom.process import rebin

# All was fixed before any measured spectrum was looked at, but for the number of components of the
# background, which was one, then two after results were seen, and is now predicted from the half of
# the background that is learned: see the benchmark page.
FALSE_ALARM_RATE = 1e-3  # per spectrum, over all nuclides
MODEL_ERROR = 0.1
BACKGROUND_COMPONENTS: Literal["auto"] = "auto"
MIN_SHARE = reference.MIN_SHARE  # the labels of these files are in effect a cut on gross counts
VARIANTS = 4
_CLEAN = (1.15, 0.05)  # factor and quantile of the gross counts of a file
_SCORE = "excess_deviance_per_count"


@dataclass(frozen=True, slots=True, eq=False)
class IdentificationTrial:
    """Models and what they are judged on.

    Parameters
    ----------
    parts : RoleParts
        Raw spectra by role, one piece for each file, axis and detector.
    library : Library
        From the training part of the simulation.
    simulated : Spectra
        The other part.
    models : dict of str to Identifier
        One for each detector, calibrated on its background.
    quiet : dict of str to list of Spectra
        Background that no model has seen, by detector.
    yardstick : SupervisedNMF
        The reference, trained on the same spectra.
    borrowed : tuple of str
        Detectors without a background of their own; theirs is that of the others.
    """

    parts: RoleParts
    library: Library
    simulated: Spectra
    models: dict[str, Identifier]
    quiet: dict[str, list[Spectra]]
    yardstick: SupervisedNMF
    borrowed: tuple[str, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Names that can be found."""
        return tuple(sorted(self.library.unique_names))


def prepare_trial(
    groups: Sequence[Spectra], *, seed: int = 1, progress: Progress | None = None
) -> IdentificationTrial:
    """Make the library and calibrate a model for every measured detector.

    The library holds four variants of each source, from four fifths of the simulation. The first
    half of every background file, in the order of time, is the background of its detector; the
    second half is kept to judge. A detector without a background file takes that of the others.

    Parameters
    ----------
    groups : sequence of Spectra
        As for :func:`~spectraloom.evaluate.sets.parts_by_role`.
    seed : int
        Seed of the split, of the clustering and of the calibration.
    progress : callable, optional
    """
    parts = parts_by_role(groups)
    axis = max(parts.simulated, key=len).axis
    # Templates may be rebinned, data never are.
    simulated = Spectra.concatenate([plain_columns(rebin(one, axis)) for one in parts.simulated])
    train, test = split_by_group(simulated, seed=seed)
    window = fitted_window(groups[0].n_channels)
    library = variant_library(simulated[train], VARIANTS, window=window, background=None, seed=seed)
    judged = [*parts.single, *parts.multi, *parts.unknown, *parts.background]
    detectors = sorted({name for one in judged for name in _detectors(one)})
    learned: dict[str, list[Spectra]] = {}
    quiet: dict[str, list[Spectra]] = {}
    for name in detectors:
        for one in _of_detector(parts.background, name):
            half = (len(one) + 1) // 2
            learned.setdefault(name, []).append(one[:half])
            quiet.setdefault(name, []).append(one[half:])
    everywhere = [one for several in learned.values() for one in several]
    models = {}
    for number, name in enumerate(detectors):
        if progress is not None:
            progress(number / len(detectors), f"calibrating on {name}")
        model = Identifier(
            library,
            false_alarm_rate=FALSE_ALARM_RATE,
            model_error=MODEL_ERROR,
            min_share=MIN_SHARE,
            background_components=BACKGROUND_COMPONENTS,
            window=window,
            random_state=seed,
        )
        models[name] = model.fit(_on_one_axis(learned.get(name, everywhere)))
    return IdentificationTrial(
        parts,
        library,
        simulated[test],
        models,
        {name: [one for one in several if len(one)] for name, several in quiet.items()},
        _reference_on([simulated[train], *everywhere], window),
        tuple(name for name in detectors if name not in learned),
    )


def _reference_on(pieces: Sequence[Spectra], window: tuple[float, float]) -> SupervisedNMF:
    axis = standard_axis(pieces[0].n_channels)
    moved = [plain_columns(reference.interpolated_rebin(one, axis)) for one in pieces]
    return reference.reference_model(*window).fit(Spectra.concatenate(moved))


def fitted_window(n_channels: int) -> tuple[float, float]:
    """Energies that the reference fits, in keV."""
    centers = standard_axis(n_channels).centers
    return float(centers[reference.FIRST_CHANNEL]), float(centers[-1])


def judge_trial(
    trial: IdentificationTrial, *, seed: int = 1, progress: Progress | None = None
) -> dict[str, Any]:
    """Judge the models on measured, unknown, injected and simulated spectra.

    Parameters
    ----------
    trial : IdentificationTrial
    seed : int
        Seed of injected and simulated spectra.
    progress : callable, optional

    Returns
    -------
    dict
        Plain values for JSON; see the page on the benchmark.
    """
    report = progress or (lambda _fraction, _text: None)
    report(0.0, "judging identification")
    answers = _answers(trial, trial.models)
    judged = _judge(trial, answers)
    plain = {
        name: model.with_rate(model.false_alarm_rate).set_params(min_share=0.0)
        for name, model in trial.models.items()
    }
    judged["without_min_share"] = _judge(trial, _answers(trial, plain))
    judged["without_min_share"].pop("unknown", None)  # the score is the same
    report(0.4, "injecting sources")
    rng = np.random.default_rng(seed)
    judged["reference"] = {"measured": _reference_single(trial)}
    clean = [
        (plain[name], _quiet_rows(one, trial.parts.background))
        for name, several in trial.quiet.items()
        for one in several
    ]
    clean = [(model, one) for model, one in clean if len(one)]
    if clean:
        judged["injection"], judged["reference"]["injection"] = injected(
            clean, trial.simulated, trial.sources, rng, yardstick=trial.yardstick
        )
        judged["false_alarms"] = false_alarm_curve(
            [(plain[name], one) for name, several in trial.quiet.items() for one in several], rng
        )
    report(0.7, "covering amounts")
    model = next(iter(trial.models.values()))
    judged |= coverage_of_amounts(trial.library, model, rng)
    judged["protocol"] = _protocol(trial)
    report(1.0, "done")
    return judged


def multilabel_scores(trial: IdentificationTrial) -> dict[str, Any]:
    """Scores of the sets found in measured files with several sources.

    Parameters
    ----------
    trial : IdentificationTrial

    Returns
    -------
    dict
        As ``multilabel`` of :func:`judge_trial`; empty where there are no such files.
    """
    answers = _answers(trial, trial.models, roles=("multi",))["multi"]
    if not answers:
        return {}
    return _by_detector(answers, lambda some: _set_scores(some, trial.sources))


# -- answers ---------------------------------------------------------------------------------

Answers = dict[str, list[tuple[Spectra, Result]]]


def _answers(
    trial: IdentificationTrial,
    models: dict[str, Identifier],
    roles: Sequence[str] = ("single", "multi", "unknown"),
) -> Answers:
    """Results on every piece of the judged roles, each by the model of its detector."""
    found: Answers = {}
    for role in roles:
        found[role] = [
            (one, model.analyze(one))
            for name, model in models.items()
            for one in _of_detector(getattr(trial.parts, role), name)
        ]
    return found


def _judge(trial: IdentificationTrial, answers: Answers) -> dict[str, Any]:
    judged: dict[str, Any] = {}
    if answers["multi"]:
        judged["multilabel"] = _by_detector(
            answers["multi"], lambda some: _set_scores(some, trial.sources)
        )
    if answers["single"]:
        judged["measured"] = _by_detector(answers["single"], _single_scores)
    known = [*answers["single"], *answers["multi"]]
    if answers["unknown"] and known:
        judged["unknown"] = _unknown_scores(answers["unknown"], known)
    return judged


def _by_detector(
    answers: list[tuple[Spectra, Result]],
    scores: Callable[[list[tuple[Spectra, Result]]], dict[str, Any]],
) -> dict[str, Any]:
    names = sorted({name for one, _ in answers for name in _detectors(one)})
    return {
        **scores(answers),
        "per_detector": {
            name: scores([(one, result) for one, result in answers if name in _detectors(one)])
            for name in names
        },
    }


def _set_scores(answers: list[tuple[Spectra, Result]], sources: Sequence[str]) -> dict[str, Any]:
    true = [entry for one, _ in answers for entry in one.labels]
    found = [entry for _, result in answers for entry in result.labels]
    return set_scores(true, found, names=sources).to_dict()


def _single_scores(answers: list[tuple[Spectra, Result]]) -> dict[str, Any]:
    truth = np.concatenate([source_labels(one) for one, _ in answers])
    top = np.concatenate([np.asarray(result.top) for _, result in answers])
    clean = clean_rows([one for one, _ in answers])
    wrong = np.concatenate([_wrong_nuclide(answers, one, result) for one, result in answers])
    return {
        "accuracy": float((top == truth).mean()),
        "clean_accuracy": float((top == truth)[clean].mean()),
        "wrong_nuclide_rate": float(wrong.mean()),
        "n": len(truth),
        "n_clean": int(clean.sum()),
    }


def clean_rows(pieces: Sequence[Spectra]) -> BoolArray:
    """Spectra whose label can be believed, over all pieces one after the other.

    Labels of single-source files say "background" below a cut on gross counts, while the source
    is often still there. Of the spectra labelled as background only those are kept whose gross
    counts are at most 1.15 times the 5th percentile of their file; no model plays a part.

    Parameters
    ----------
    pieces : sequence of Spectra
        With columns ``labels``, ``file`` and ``detector``.
    """
    totals = np.concatenate([np.asarray(one.totals, dtype=np.float64) for one in pieces])
    files = np.concatenate([_files(one) for one in pieces])
    quiet = np.concatenate([source_labels(one) for one in pieces]) == BACKGROUND
    factor, quantile = _CLEAN
    keep = np.ones(len(totals), dtype=bool)
    for name in np.unique(files):
        rows = files == name
        limit = factor * np.quantile(totals[rows], quantile)
        keep[rows] = ~quiet[rows] | (totals[rows] <= limit)
    return keep


def _quiet_rows(one: Spectra, files: Sequence[Spectra]) -> Spectra:
    """Rows of a piece of a background file at its usual count rate, by the rule for labels."""
    names = np.unique(one.column("file").astype(np.str_))
    factor, quantile = _CLEAN
    keep = np.zeros(len(one), dtype=bool)
    for name in names:
        for detector in _detectors(one):
            whole = [
                part[part.column("file").astype(np.str_) == name]
                for part in _of_detector(files, detector)
            ]
            totals = np.concatenate([part.totals for part in whole])
            rows = (one.column("file").astype(np.str_) == name) & (
                one.column("detector").astype(np.str_) == detector
            )
            keep |= rows & (one.totals <= factor * np.quantile(totals, quantile))
    return one[keep]


def _reference_single(trial: IdentificationTrial) -> dict[str, Any]:
    pieces = [one for one in trial.parts.single if len(one)]
    if not pieces:
        return {}
    axis = standard_axis(pieces[0].n_channels)
    truth = np.concatenate([source_labels(one) for one in pieces])
    top = np.concatenate(
        [trial.yardstick.predict(reference.interpolated_rebin(one, axis)) for one in pieces]
    )
    clean = clean_rows(pieces)
    return {
        "accuracy": float((top == truth).mean()),
        "clean_accuracy": float((top == truth)[clean].mean()),
    }


def _wrong_nuclide(
    answers: list[tuple[Spectra, Result]], one: Spectra, result: Result
) -> BoolArray:
    """Whether anything was found that is nowhere in the file of a spectrum."""
    files = _files(one)
    present = {
        name: {
            label
            for other, _ in answers
            for entry in other.labels[_files(other) == name]
            for label in entry
        }
        | {BACKGROUND}
        for name in np.unique(files)
    }
    return np.array(
        [not set(entry) <= present[name] for entry, name in zip(result.labels, files, strict=True)],
        dtype=bool,
    )


def _unknown_scores(
    unknown: list[tuple[Spectra, Result]], known: list[tuple[Spectra, Result]]
) -> dict[str, Any]:
    both = [*unknown, *known]
    score = np.concatenate([np.asarray(result.quality[_SCORE]) for _, result in both])
    detectors, files = (
        np.concatenate([one.column(column).astype(np.str_) for one, _ in both])
        for column in ("detector", "file")
    )
    strange = np.arange(len(score)) < sum(len(one) for one, _ in unknown)
    scores = unknown_scores(score, strange, detectors, files)
    scores |= {"feature": _SCORE, "roc": roc_points(score[strange], score[~strange])}
    # A model that has one source only has no boundary.
    flagged = np.concatenate(
        [np.asarray(result.flags.get("outlier", np.full(len(one), np.nan))) for one, result in both]
    ).astype(np.float64)
    for part, rows in (
        (scores, np.ones(len(score), dtype=bool)),
        *((part, detectors == name) for name, part in scores["per_detector"].items()),
    ):
        part["flagged_unknown"] = _mean_or_none(flagged[rows & strange])
        part["flagged_known"] = _mean_or_none(flagged[rows & ~strange])
    return scores


def _mean_or_none(values: FloatArray) -> float | None:
    return float(values.mean()) if values.size and np.isfinite(values).all() else None


# -- pieces ----------------------------------------------------------------------------------


def _detectors(spectra: Spectra) -> list[str]:
    return [str(name) for name in np.unique(spectra.column("detector").astype(np.str_))]


def _files(spectra: Spectra) -> Array:
    """Detector and file of each spectrum: files of two detectors may have the same name."""
    detector, file = (spectra.column(name).astype(np.str_) for name in ("detector", "file"))
    return np.char.add(np.char.add(detector, "\n"), file)


def _of_detector(pieces: Sequence[Spectra], name: str) -> list[Spectra]:
    """Rows of one detector, piece by piece; empty ones are left out."""
    found = []
    for one in pieces:
        rows: Array = one.column("detector").astype(np.str_) == name
        if rows.any():
            found.append(one[rows])
    return found


def _on_one_axis(pieces: Sequence[Spectra]) -> Spectra:
    """Background of a detector on its commonest axis: what its components add up to."""
    axis = max(pieces, key=len).axis
    return Spectra.concatenate([plain_columns(rebin(one, axis)) for one in pieces])


def _protocol(trial: IdentificationTrial) -> dict[str, Any]:
    first, model = next(iter(trial.models.items()))
    return {
        "library": f"{VARIANTS} variants per source from four fifths of the simulated spectra; "
        "copies on one side",
        "background": "first half of the background file of each detector, in time; detectors "
        f"without one take all others: {', '.join(trial.borrowed) or 'none'}",
        "data": "raw counts on their own calibration; the templates move",
        "constants": "fixed beforehand, but for background_components: it was one, then two after "
        "americium was seen to be found too often on background of detector 'left' of the public "
        "data; now it is the number that predicts best within the first half of the background",
        "false_alarm_rate": model.false_alarm_rate,
        "model_error": model.model_error,
        "min_share": model.min_share,
        "background_components": {
            name: 0 if one.background_ is None else len(one.background_)
            for name, one in trial.models.items()
        },
        "false_alarm_calibration": {
            name: one.provenance_["false_alarms"] for name, one in trial.models.items()
        },
        "gain_prior": model.gain,
        "variants": VARIANTS,
        "window_kev": list(model.window or ()),
        "detectors": sorted(trial.models),
        **_WHERE_FROM,
        "coverage95": f"{_SIMULATED_MIXTURES} on the background of detector {first!r}",
    }


_SIMULATED_MIXTURES = (
    "simulated mixtures of two sources, background and pile-up (evenly from none to "
    f"{MOST_PILE_UP:.0%} of the counts), drawn from the templates, one per source, which the fit "
    "has, too; gain drawn from its prior; gain, pile-up and all sources of the library are fitted. "
    "Numbers are total counts without pile-up. coverage95: amount -+ 1.96 uncertainties, over the "
    "sources that are there and the background; coverage95_profile: profile of the likelihood; "
    "coverage95_absent: sources that are not there; coverage95_variants, "
    "coverage95_variants_profile: each source drawn as one of its variants, all of them fitted. "
    "rmse_over_crb: the bound knows which sources "
    "are there, and has to find gain and pile-up; rmse_over_crb_of_library: it knows only the "
    "library, as the fit does; rmse_over_crb_without_pile_up: it knows the sources and the pile-up;"
)
_WHERE_FROM = {
    "multilabel": "measured files with mixtures; known sources. No threshold was set on measured "
    "sources: the decisions are those of false_alarm_rate, model_error and min_share",
    "measured": "measured files of one source, same decisions. clean_accuracy leaves out spectra "
    f"labelled background above {_CLEAN[0]} times the {_CLEAN[1]:.0%} quantile of the gross counts "
    "of their file. wrong_nuclide_rate: share of all with a source that is nowhere in the file",
    "unknown": f"unknown against all known measured spectra, by {_SCORE}. recall_at_5pct: the "
    "threshold of a spectrum is the 95 % quantile of the known spectra of the other detectors or, "
    "where no other detector has any, of the other files of its own (threshold_from); "
    "false_alarms_at_5pct: known spectra above their thresholds, set in the same way. "
    "flagged_unknown, flagged_known: by the outlier flag, whose boundary was learned on "
    "simulations. roc: no threshold is set",
    "without_min_share": "the same spectra and decisions, but for min_share, which is zero",
    "injection": "counts drawn without replacement from held-out simulated spectra, dealt to "
    "the channels of the detector, on the second half of the background files, of which only "
    "spectra that are clean by the same rule; decisions without min_share, at "
    f"{RATE_PER_NAME:.1%} false alarms per source by the calibration on the first half. "
    "false_alarms: the same background without injection. On background of more counts the same "
    "sources are harder to find",
    "false_alarms": "share of p-values below the stated rate: on the second half of the "
    "background files (measured), on Poisson draws from the mean of the first (simulated)",
    "reference": "the rule of the reference, trained on the same spectra, asked about the same",
    "throughput": "measured spectra, the longest piece repeated, by the model of the first "
    "detector (identify); Poisson draws from templates and background, no nuisances, and scipy's "
    "nnls on the same spectra and templates (poisson_fit). On as many threads as there are cores",
}
