"""Evaluation: metrics, group-aware splits, robustness, and benchmarks beside their references."""

from __future__ import annotations

from spectraloom.evaluate.gamma_flow import run_gamma_flow_benchmark
from spectraloom.evaluate.metrics import Confusion, SetScores, confusion, set_scores, share_error
from spectraloom.evaluate.robustness import RobustnessPoint, robustness
from spectraloom.evaluate.sets import EvaluationSets, sort_by_role, source_labels, standard_axis
from spectraloom.evaluate.simulator import run_simulator_benchmark
from spectraloom.evaluate.splits import split_by_group
from spectraloom.evaluate.steel_sphere import run_steel_sphere_benchmark
from spectraloom.evaluate.steel_sphere_data import SteelSphereSets, prepare_steel_sphere

__all__ = [
    "Confusion",
    "EvaluationSets",
    "RobustnessPoint",
    "SetScores",
    "SteelSphereSets",
    "confusion",
    "prepare_steel_sphere",
    "robustness",
    "run_gamma_flow_benchmark",
    "run_simulator_benchmark",
    "run_steel_sphere_benchmark",
    "set_scores",
    "share_error",
    "sort_by_role",
    "source_labels",
    "split_by_group",
    "standard_axis",
]
