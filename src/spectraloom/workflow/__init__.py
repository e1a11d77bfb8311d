"""Workflows: chains run end to end, and their reports."""

from __future__ import annotations

from spectraloom.workflow.answers import (
    CalibratedSets,
    Efficiencies,
    activity_notes,
    calibrate_sets,
    read_efficiencies,
    with_activities,
    with_sets,
)
from spectraloom.workflow.chain import Chain, Judged, judge, run_chain
from spectraloom.workflow.convert import convert
from spectraloom.workflow.demo import run_demo, simulated_sets
from spectraloom.workflow.describe import describe
from spectraloom.workflow.identification import (
    IdentifierTraining,
    calibrate_known,
    components_of,
    identify_files,
    join_results,
    train_identifier,
    try_out,
)
from spectraloom.workflow.left_out import LeftOut
from spectraloom.workflow.manifold import (
    ManifoldTraining,
    components_of_manifold,
    read_deforming,
    train_manifold,
    try_out_manifold,
)
from spectraloom.workflow.origin import attribution
from spectraloom.workflow.pages import (
    alarms_report,
    answer_report,
    chain_report,
    evaluation_report,
    explore_report,
    identifier_report,
    manifold_report,
    model_report,
    unmixed_report,
)
from spectraloom.workflow.prepare import onto_axis, prepare, read_prepared
from spectraloom.workflow.report import Report
from spectraloom.workflow.series import FoundAlarms, find_alarms, read_series
from spectraloom.workflow.simulate import find_scene, simulate_from_text
from spectraloom.workflow.train import (
    Training,
    read_for,
    study_for_model,
    train,
    write_result,
)
from spectraloom.workflow.trust import doubts

__all__ = [
    "CalibratedSets",
    "Chain",
    "Efficiencies",
    "FoundAlarms",
    "IdentifierTraining",
    "Judged",
    "LeftOut",
    "ManifoldTraining",
    "Report",
    "Training",
    "activity_notes",
    "alarms_report",
    "answer_report",
    "attribution",
    "calibrate_known",
    "calibrate_sets",
    "chain_report",
    "components_of",
    "components_of_manifold",
    "convert",
    "describe",
    "doubts",
    "evaluation_report",
    "explore_report",
    "find_alarms",
    "find_scene",
    "identifier_report",
    "identify_files",
    "join_results",
    "judge",
    "manifold_report",
    "model_report",
    "onto_axis",
    "prepare",
    "read_deforming",
    "read_efficiencies",
    "read_for",
    "read_prepared",
    "read_series",
    "run_chain",
    "run_demo",
    "simulate_from_text",
    "simulated_sets",
    "study_for_model",
    "train",
    "train_identifier",
    "train_manifold",
    "try_out",
    "try_out_manifold",
    "unmixed_report",
    "with_activities",
    "with_sets",
    "write_result",
]
