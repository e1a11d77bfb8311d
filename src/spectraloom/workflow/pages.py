"""Reports: which sections a user gets to see."""

from __future__ import annotations

from collections.abc import Sequence

from spectraloom import __version__
from spectraloom.analyze.explore import mean_spectra, similarity
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.manifold import ManifoldUnmixer
from spectraloom.analyze.outlier import OutlierStudy
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.result import Result
from spectraloom.data.spectra import Spectra
from spectraloom.workflow import origin
from spectraloom.workflow.answer_sections import example_section, found_section
from spectraloom.workflow.chain import Chain, Judged
from spectraloom.workflow.identification import IdentifierTraining
from spectraloom.workflow.identify_sections import (
    identified_section,
    identifier_section,
    trial_section,
)
from spectraloom.workflow.left_out import LeftOut
from spectraloom.workflow.manifold import ManifoldTraining
from spectraloom.workflow.manifold_scores import deforming_texts
from spectraloom.workflow.manifold_sections import (
    signatures_section,
    tried_section,
    unmixed_examples,
    unmixed_section,
)
from spectraloom.workflow.report import Report, Section, Text
from spectraloom.workflow.sections import (
    explore_section,
    judged_section,
    model_section,
    outlier_section,
    robustness_section,
    summary_section,
)
from spectraloom.workflow.series import FoundAlarms
from spectraloom.workflow.series_sections import alarms_section, detector_section, gain_section


def chain_report(chain: Chain, *, attribution: str = "") -> Report:
    """Report of the whole chain.

    Parameters
    ----------
    chain : Chain
    attribution : str
        Who must be named for the data.
    """
    sections = [
        summary_section(chain),
        explore_section(chain.means, chain.similarity, chain.examples),
        model_section(chain.model),
        *(judged_section(judged) for judged in chain.judged.values()),
    ]
    if chain.study is not None:
        sections.append(outlier_section(chain.study, chain))
    if chain.robustness:
        sections.append(robustness_section(chain.robustness))
    return Report(
        "Spectraloom: what is in these spectra",
        sections,
        provenance={"spectraloom": __version__, **chain.model.provenance_},
        attribution=attribution,
    )


def explore_report(
    spectra: Spectra, *, window: tuple[float, float] | None = None, attribution: str | None = None
) -> Report:
    """Report that explores labelled spectra.

    Parameters
    ----------
    spectra : Spectra
        With a column ``labels``.
    window : (float, float), optional
        Part of the axis to compare.
    attribution : str, optional
        Who must be named for the data; by default what their notes say.
    """
    means = mean_spectra(spectra)
    section = explore_section(means, similarity(means, window=window), spectra)
    provenance = {"spectraloom": __version__, "data_sha256": spectra.fingerprint()}
    if attribution is None:
        attribution = origin.attribution([spectra])
    return Report("Spectraloom: exploring spectra", [section], provenance, attribution)


def model_report(
    model: SupervisedNMF, judged: Sequence[Judged], study: OutlierStudy | None, attribution: str
) -> Report:
    """Report of a trained model, how it was judged, and its outlier boundary."""
    sections = [model_section(model), *(judged_section(one) for one in judged)]
    if study is not None:
        sections.append(outlier_section(study))
    provenance = {"spectraloom": __version__, **model.provenance_}
    return Report("Spectraloom: a trained model", sections, provenance, attribution)


def identifier_report(training: IdentifierTraining, attribution: str) -> Report:
    """Report of a trained identifier, how it was judged and tried out."""
    model = training.model
    sections = [identifier_section(model)]
    if training.holdout is not None:
        sections.append(identified_section(training.holdout))
    if training.tried:
        sections.append(trial_section(training.tried))
    provenance = {"spectraloom": __version__, **model.provenance_}
    return Report("Spectraloom: a trained identifier", sections, provenance, attribution)


def evaluation_report(judged: Judged, attribution: str) -> Report:
    """Report of how a model did on one labelled set."""
    provenance = {"spectraloom": __version__, **judged.result.provenance}
    section = judged_section if isinstance(judged.model, SupervisedNMF) else identified_section
    sections = [section(judged)]
    told = deforming_texts(judged.to_dict())
    if told:
        sections.append(Section("Amounts and deformations", [Text(one) for one in told]))
    return Report("Spectraloom: a model judged", sections, provenance, attribution)


def answer_report(
    model: Identifier,
    result: Result,
    groups: Sequence[Spectra],
    attribution: str,
    left_out: Sequence[LeftOut] = (),
) -> Report:
    """Report of spectra that were identified.

    Parameters
    ----------
    model : Identifier
    result : Result
    groups : sequence of Spectra
        What was analysed, as :func:`~spectraloom.workflow.identification.identify_files` gives it.
    attribution : str
    left_out : sequence of LeftOut
    """
    sections = [found_section(model, result, left_out), example_section(model, result, groups)]
    provenance = {"spectraloom": __version__, **result.provenance}
    return Report("Spectraloom: spectra identified", sections, provenance, attribution)


def manifold_report(training: ManifoldTraining, attribution: str) -> Report:
    """Report of trained signatures that deform, and how they were tried out."""
    sections = [signatures_section(training)]
    if training.tried:
        sections.append(tried_section(training))
    provenance = {"spectraloom": __version__, **training.model.provenance_}
    return Report("Spectraloom: signatures that deform", sections, provenance, attribution)


def unmixed_report(
    model: ManifoldUnmixer,
    result: Result,
    groups: Sequence[Spectra],
    attribution: str,
    left_out: Sequence[LeftOut] = (),
) -> Report:
    """Report of spectra that were unmixed with signatures that deform.

    Parameters
    ----------
    model : ManifoldUnmixer
    result : Result
    groups : sequence of Spectra
        What was analysed, as :func:`~spectraloom.workflow.identification.identify_files` gives it.
    attribution : str
    left_out : sequence of LeftOut
    """
    sections = [unmixed_section(model, result, left_out), unmixed_examples(model, result, groups)]
    provenance = {"spectraloom": __version__, **result.provenance}
    return Report("Spectraloom: spectra unmixed", sections, provenance, attribution)


def alarms_report(found: FoundAlarms, attribution: str) -> Report:
    """Report of the alarms in a series."""
    sections = [alarms_section(found)]
    if found.series.gains is not None:
        sections.append(gain_section(found))
    sections.append(detector_section(found))
    provenance = {"spectraloom": __version__, **found.detector.identifier.provenance_}
    return Report("Spectraloom: alarms in a series", sections, provenance, attribution)
