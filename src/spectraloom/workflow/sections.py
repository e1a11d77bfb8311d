"""Sections of a report: figures and tables, and what is said about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spectraloom import plot
from spectraloom.analyze.explore import MeanSpectra, Similarity, random_examples
from spectraloom.analyze.outlier import OutlierStudy
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate.metrics import Confusion
from spectraloom.evaluate.robustness import RobustnessPoint
from spectraloom.workflow.chain import Chain, Judged, flagged
from spectraloom.workflow.report import Block, Picture, Section, Table, Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EXAMPLES = 2  # spectra shown per label
_MOST_LABELS = 12  # of which examples are shown
_MISCLASSIFIED = 3


def summary_section(chain: Chain) -> Section:
    """Scores of every judged set in one table."""
    rows = [
        [
            judged.name,
            str(len(judged.spectra)),
            percent(judged.confusion.accuracy),
            percent(judged.sets.exact_match),
            f"{judged.sets.micro_f1:.3f}",
        ]
        for judged in chain.judged.values()
    ]
    blocks: list[Block] = [
        Table(
            "How often the model is right",
            ["Spectra", "Number", "Largest source right", "Whole set right", "Micro-F1"],
            rows,
        )
    ]
    known = flagged(*(chain.judged[k].result for k in ("single", "multi") if k in chain.judged))
    unknown = flagged(chain.unknown)
    if unknown is not None and chain.unknown is not None:
        text = (
            f"Of {len(chain.unknown)} spectra with sources that the model was never shown, "
            f"{percent(unknown)} were flagged as outliers"
        )
        text += (
            f"; of the measured spectra with known sources, {percent(known)}."
            if known is not None
            else "."
        )
        blocks.append(Text(text))
    blocks.append(
        Text(
            "The largest source is right if it is in the spectrum, or if neither there nor in the "
            "answer is any source. The whole set is right if every source was found and none "
            "besides; the background does not count."
        )
    )
    return Section("Summary", blocks)


def explore_section(means: MeanSpectra, alike: Similarity, spectra: Spectra) -> Section:
    """Means, examples and similarities."""
    blocks: list[Block] = [
        drawn(
            lambda: plot.plot_means(means),
            f"Mean spectra of {', '.join(dict.fromkeys(means.labels))}, one panel per label and "
            "one line per detector, with a band of one standard deviation.",
            "Mean spectrum of each label and detector, with the spread of single spectra.",
        )
    ]
    examples = random_examples(spectra, _EXAMPLES)
    blocks.append(
        drawn(
            lambda: plot.plot_examples(examples[: _EXAMPLES * _MOST_LABELS]),
            f"{len(examples[: _EXAMPLES * _MOST_LABELS])} single spectra drawn at random, "
            "titled with label and total counts.",
            "Examples drawn at random (seeded).",
        )
    )
    if len(means) > 1:
        blocks.append(
            drawn(
                lambda: plot.plot_similarity(alike),
                f"Matrix of cosine similarities between {len(means)} mean spectra; "
                f"{len(alike.too_far)} pairs of one label are less alike than "
                f"{alike.threshold:g}, {len(alike.too_close)} pairs of different labels more.",
                "Cosine similarity of mean spectra. Framed pairs deserve a look.",
            )
        )
    for pairs, what in (
        (alike.too_far, "One label, but less alike than expected"),
        (alike.too_close, "Different labels, but alike"),
    ):
        if pairs:
            rows = [[one, other, f"{value:.3f}"] for one, other, value in pairs]
            blocks.append(Table(what, ["Spectrum", "Spectrum", "Cosine similarity"], rows))
    return Section("What the spectra look like", blocks)


def model_section(model: SupervisedNMF) -> Section:
    """Loadings and settings."""
    facts = [
        ["Classes", ", ".join(model.classes_)],
        ["Training spectra", str(model.provenance_.get("n_spectra", "unknown"))],
        ["Loadings from", model.start_],
        ["Smallest share of everything", f"{model.min_share:g}"],
        ["Smallest share among the sources", f"{model.min_source_share_:.3g}"],
        ["Weighting", model.weighting],
    ]
    if model.window is not None:
        unit = "" if model.axis_ is None else model.axis_.unit
        facts.append(["Window of the fit", f"{model.window[0]:g} to {model.window[1]:g} {unit}"])
    return Section(
        "The model",
        [
            Text(
                "Every spectrum is explained as a sum of the loadings below with non-negative "
                "scores: the number of counts that each class contributes."
            ),
            drawn(
                lambda: plot.plot_loadings(model),
                f"Loadings of {', '.join(model.loading_names_)}: spectra of unit area.",
                "Loadings: the mean spectrum of each class, scaled to unit area.",
            ),
            Table("Settings", ["Setting", "Value"], facts),
        ],
    )


def judged_section(judged: Judged) -> Section:
    """Confusion, errors, an example and the scores on one set."""
    matrix = judged.confusion
    result, truth = judged.result, judged.truth
    wrong = int((~judged.right).sum())
    blocks: list[Block] = [
        Text(
            f"{len(judged.spectra)} spectra: the largest source is right in "
            f"{percent(matrix.accuracy)}, the whole set of sources in "
            f"{percent(judged.sets.exact_match)} (micro-F1 {judged.sets.micro_f1:.3f}, "
            f"macro-F1 {judged.sets.macro_f1:.3f})."
        ),
        drawn(
            lambda: plot.plot_confusion(matrix.names, matrix.matrix),
            f"Confusion matrix of {', '.join(matrix.names)}: {wrong} of {len(truth)} spectra off "
            "the diagonal.",
            "Rows are true labels, columns what the model said. Where several sources are there, "
            "any of them is right.",
        ),
        scores_table(matrix),
        set_errors_table(judged),
        drawn(
            lambda: plot.plot_mean_scores(result, judged.combinations),
            "Stacked bars: mean share of each class for the spectra of each true label or "
            "combination of labels.",
            "Mean shares by what is truly there.",
        ),
        drawn(
            lambda: plot.plot_score_scatter(result, truth),
            "Scatter plots of the shares of every two classes, marked by true label.",
            "Shares of single spectra, every two classes against each other.",
        ),
        _denoised_picture(judged),
    ]
    if wrong:
        blocks.append(
            drawn(
                lambda: plot.plot_misclassified(judged.spectra, result, truth, n=_MISCLASSIFIED),
                f"{min(wrong, _MISCLASSIFIED)} spectra with a wrong largest source, and the fit.",
                "Misclassified examples.",
            )
        )
    blocks.append(
        drawn(
            lambda: plot.plot_error_statistics(result, judged.right),
            "Histograms of explained variance, cosine, largest share and total counts, for right "
            "and wrong spectra.",
            "Where the errors of the largest source are.",
        )
    )
    return Section(judged.name, blocks)


def set_errors_table(judged: Judged) -> Table:
    """How whole sets of sources are wrong, and how far the shares are off where that is known."""
    words = {
        "right": "right",
        "missed": "some missed, none spurious",
        "spurious": "all found, some spurious",
        "both": "some missed and some spurious",
    }
    rows = [
        [words[kind], str(n), percent(n / len(judged.spectra))]
        for kind, n in judged.set_errors.items()
    ]
    if judged.share_error is not None:
        rows.append(["mean error of the shares", "", percent(judged.share_error)])
    return Table("Whole sets of sources", ["Set", "Spectra", "Share"], rows)


def scores_table(matrix: Confusion) -> Table:
    """Precision, recall and F1 of each class."""
    return Table(
        "Precision and recall of the largest source",
        ["Class", "Spectra", "Precision", "Recall", "F1"],
        [
            [
                name,
                str(scores["n"]),
                *(percent(scores[key]) for key in ("precision", "recall", "f1")),
            ]
            for name, scores in matrix.per_class().items()
        ],
    )


def outlier_section(study: OutlierStudy, chain: Chain | None = None) -> Section:
    """Features, boundary and what it flags."""
    boundary = study.boundary
    blocks: list[Block] = [
        Text(
            "Each source was left out of the training in turn, so that its spectra were unknown "
            "to the model. One part of the spectra taught the boundary, another judged it."
        ),
        drawn(
            lambda: plot.plot_outlier_feature(study),
            f"Distribution of {study.feature} for known and unknown spectra, with the boundaries.",
            f"{study.feature} tells unknown sources best.",
        ),
        drawn(
            lambda: plot.plot_threshold_curves(study),
            f"Accuracy, precision and recall against the threshold on {study.feature}.",
            "The boundary found three ways.",
        ),
        Table(
            "Boundaries, judged on held-out rows",
            ["Found by", "Feature", "Threshold", "Accuracy", "Precision", "Recall", "In use"],
            [
                [
                    name,
                    one.feature,
                    f"{'above' if one.outlier_above else 'below'} {one.threshold:.4g}",
                    percent(one.accuracy),
                    percent(one.precision),
                    percent(one.recall),
                    "yes" if one == boundary else "no",
                ]
                for name, one in study.boundaries.items()
            ],
        ),
        drawn(
            lambda: plot.plot_importances(study),
            "Bars: permutation importance and area under the ROC curve of every feature.",
            "How well each feature alone tells unknown sources.",
        ),
        Table("Decision tree", ["Rule"], [[line] for line in study.tree]),
    ]
    if chain is not None and chain.unknown is not None:
        share = flagged(chain.unknown)
        if share is not None:
            blocks.append(
                Text(
                    f"Of {len(chain.unknown)} measured spectra with unknown sources, the boundary "
                    f"flags {percent(share)}."
                )
            )
    return Section("Outliers", blocks)


def robustness_section(points: Sequence[RobustnessPoint]) -> Section:
    """Accuracy and boundary against noise and thinned counts."""
    return Section(
        "Robustness",
        [
            drawn(
                lambda: plot.plot_robustness(
                    np.array([p.disturbance for p in points]),
                    np.array([p.level for p in points]),
                    np.array([p.accuracy for p in points]),
                    np.array([p.outlier_accuracy for p in points]),
                    np.array([p.threshold for p in points]),
                    [p.feature for p in points],
                ),
                "Accuracy, accuracy of the outlier boundary and the boundary itself, against "
                "added noise and against the share of counts kept.",
                "Hold-out spectra with noise added, and with counts thinned.",
            ),
            Table(
                "Robustness",
                ["Disturbance", "Level", "Counts", "Accuracy", "Outlier accuracy", "Threshold"],
                [
                    [
                        p.disturbance,
                        f"{p.level:g}",
                        f"{p.mean_counts:.0f}",
                        percent(p.accuracy),
                        percent(p.outlier_accuracy),
                        f"{p.feature} {p.threshold:.3g}",
                    ]
                    for p in points
                ],
            ),
        ],
    )


def percent(value: float) -> str:
    """Percentage with one digit; a dash where it is not defined."""
    return f"{100 * value:.1f} %" if np.isfinite(value) else "–"


def drawn(draw: Callable[[], Figure], alt: str, caption: str) -> Block:
    """A picture, or a paragraph that says why there is none: a page is written in any case."""
    try:
        return Picture(draw(), alt, caption)
    except DataError as error:
        return Text(f"{caption} Not drawn: {error}.")


def _denoised_picture(judged: Judged) -> Block:
    # The median spectrum by cosine shows what is typical, neither the best nor the worst.
    cosines = judged.result.quality["cosine"]
    row = int(np.argsort(cosines)[len(cosines) // 2])
    shares = ", ".join(
        f"{name} {share:.0%}"
        for name, share in zip(judged.result.names, judged.result.shares[row], strict=True)
        if share >= 0.01
    )
    return drawn(
        lambda: plot.plot_denoised(judged.spectra, judged.result, row, model=judged.model),
        f"A spectrum labelled {judged.truth[row]}, the fit with its components, and the residual. "
        f"Shares: {shares}. Cosine {cosines[row]:.3f}.",
        "A typical spectrum (median cosine), denoised and decomposed.",
    )
