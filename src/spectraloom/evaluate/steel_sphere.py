"""Benchmark in the layout of the steel-sphere data: signatures that deform, beside SemSun's way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from spectraloom._typing import Progress
from spectraloom.analyze.manifold.bins import informative_edges, lost_information
from spectraloom.analyze.manifold.fit import fit_manifold
from spectraloom.analyze.manifold.interpolated import InterpolatedSignature
from spectraloom.analyze.manifold.knots import choose_knots
from spectraloom.analyze.manifold.misfit import left_out_errors
from spectraloom.analyze.manifold.signature import TabulatedSignature
from spectraloom.analyze.manifold.table import manifold_table
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate.sphere_identify import judge_identification
from spectraloom.evaluate.sphere_latents import (
    fidelity,
    judge_drift,
    judge_latents,
    misfit_rates,
)
from spectraloom.evaluate.sphere_mixtures import (
    COUNTS,
    draws,
    information_kept,
    judge_everywhere,
    judge_own_thicknesses,
    judge_protocol,
)
from spectraloom.evaluate.sphere_trial import (
    Protocol,
    SphereTrial,
    expected_of,
    prepare_sphere_trial,
    protocols_of,
)
from spectraloom.evaluate.steel_sphere_data import prepare_steel_sphere

FEW_KNOTS = 7
_FEWEST = 20
_REPEATS = 3  # the fastest counts


def run_steel_sphere_benchmark(
    groups: Sequence[Spectra],
    *,
    n: int = 1000,
    networks: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Learn signatures from some thicknesses, judge amounts and sets at the others.

    Parameters
    ----------
    groups : sequence of Spectra
        Spectra of the layout, with a background.
    n : int
        Spectra for each protocol and number of counts, at least 20; the other parts take a fixed
        share of it.
    networks : bool
        Whether to train the interpolatory autoencoders too; needs torch.
    progress : callable, optional

    Returns
    -------
    dict
        Plain values for JSON; see the page on the benchmark.

    Raises
    ------
    DataError
        If the spectra are not of the layout, or there is no background.
    """
    if n < _FEWEST:
        raise DataError(f"the benchmark draws at least {_FEWEST} spectra, got {n}")
    report = progress or (lambda _fraction, _text: None)
    report(0.0, "preparing")
    started = time.perf_counter()
    sets = prepare_steel_sphere(groups)
    trial = prepare_sphere_trial(sets)
    report(0.02, "interpolating signatures")
    training = trial.training_spectra(trial.training)
    knots = choose_knots(training)
    models = {"interpolated": _interpolated(training, knots)}
    learned: dict[str, Any] = {}
    if networks:
        learned = _learn(trial, models, lambda f, text: report(0.05 + 0.5 * f, text))
    results = _judge(trial, models, n, lambda f, text: report(0.55 + 0.43 * f, text))
    results["drift"] = judge_drift(trial, sets.drift, models["interpolated"], n=max(n // 20, 2))
    results["iae"] = {
        **(learned.get("iae_joint") or {}),
        "individual": learned.get("iae_individual"),
        "interpolated": {
            **fidelity(trial, _interpolated(training, FEW_KNOTS)),
            "knots": FEW_KNOTS,
        },
    }
    results["protocol"] = {
        **_about(trial),
        "knots": knots,
        "seconds": time.perf_counter() - started,
    }
    report(1.0, "done")
    return results


def _judge(
    trial: SphereTrial,
    models: dict[str, TabulatedSignature],
    n: int,
    report: Progress,
) -> dict[str, Any]:
    protocols = protocols_of(trial)
    first, model = protocols[0], models["interpolated"]
    errors = left_out_errors(trial.training_spectra(trial.training), _smooth)
    results: dict[str, Any] = {}
    for number, protocol in enumerate(protocols):
        report(0.4 * number / len(protocols), f"unmixing, {protocol.name}")
        results[protocol.name] = judge_protocol(trial, protocol, models, n=n)
    results["reference"] = {
        one.name: {count: level.pop("reference") for count, level in results[one.name].items()}
        for one in protocols
    }
    report(0.4, "unmixing at all thicknesses")
    results["everywhere"] = judge_everywhere(trial, first, model, n=max(n // 16, 2))
    report(0.5, "several thicknesses")
    results["multi"] = judge_own_thicknesses(trial, model, n=n // 5)
    report(0.55, "thickness, gain and resolution")
    results["latents"] = judge_latents(trial, first, model, n=n // 3)
    results["misfit"] = misfit_rates(trial, first, model, errors, n=n // 2)
    report(0.65, "identifying")
    others = trial.training_spectra(trial.identify_training)
    own = _interpolated(others, choose_knots(others))
    results["ident"] = judge_identification(trial, own, n=5 * n)
    report(0.95, "measuring speed")
    results["speed"] = _speed(trial, first, model, 2 * n)
    return results


def _about(trial: SphereTrial) -> dict[str, Any]:
    """What was learned from and judged on, for the reader of the numbers."""
    return {
        "nuclides": list(trial.names),
        "thicknesses": len(trial.thickness),
        "training": trial.thickness[trial.training].tolist(),
        "identification_held_out": trial.thickness[~trial.identify_training].tolist(),
        "mixtures": {
            one.name: {
                "thickness_mm": float(trial.thickness[one.thickness]),
                "shares": one.shares,
                "fitted": list(one.fitted),
            }
            for one in protocols_of(trial)
        },
        "knots_chosen": "fewest that predict training thicknesses left out in turn as well as any",
        "rmse_over_crb": "geometric mean over components; the bound knows the true shapes and has "
        "to find one common thickness",
        "reference": "the alternating scheme runs on the first spectra only; nnls and Poisson at "
        "the smallest thickness, and Poisson at the true one, on all",
    }


def _smooth(training: Spectra) -> InterpolatedSignature:
    return InterpolatedSignature.from_spectra(training, "thickness")


def _interpolated(training: Spectra, knots: int) -> TabulatedSignature:
    return TabulatedSignature.from_model(
        InterpolatedSignature.from_spectra(training, "thickness", knots=knots)
    )


def _learn(
    trial: SphereTrial, models: dict[str, TabulatedSignature], report: Progress
) -> dict[str, Any]:
    """Train both autoencoders; their tables go to `models`."""
    from spectraloom.analyze.manifold.autoencoder import LearnedSignature

    found = {}
    training = trial.training_spectra(trial.training)
    for number, (key, joint) in enumerate((("iae_joint", True), ("iae_individual", False))):

        def step(fraction: float, text: str, base: int = number) -> None:
            report(0.5 * (base + fraction), text)

        started = time.perf_counter()
        model = LearnedSignature.from_spectra(training, "thickness", joint=joint, progress=step)
        seconds = time.perf_counter() - started
        models[key] = model.table
        found[key] = {"train_seconds": seconds, **fidelity(trial, model.table)}
    return found


def _speed(
    trial: SphereTrial, protocol: Protocol, model: TabulatedSignature, n: int
) -> dict[str, Any]:
    """Fits per second of CPU time, on all channels and on the unmixer's adaptive bins."""
    shares = protocol.shares_of(trial.names)
    everywhere = np.full(len(trial.names), protocol.thickness)
    known = model.select(protocol.fitted)
    fine = manifold_table(known, trial.background, trial.axis.edges)
    edges = informative_edges(fine)
    coarse = manifold_table(known, trial.background, edges)
    answers: dict[str, Any] = {
        "channels": trial.axis.n_channels,
        "bins": len(edges) - 1,
        "most_lost": lost_information(fine, edges),
    }
    for counts in COUNTS:
        expected = counts * expected_of(trial, everywhere, shares)
        spectra = Spectra(draws(expected, n), trial.axis)
        fits, level = [], {}
        for key, table in (("unbinned_per_second", fine), ("adaptive_per_second", coarse)):
            fit_manifold(spectra[:1], table, threads=1)
            seconds = []
            for _ in range(_REPEATS):
                started = time.process_time()  # of this process: others may be busy, too
                fit = fit_manifold(spectra, table, threads=1)
                seconds.append(time.process_time() - started)
            fits.append(fit)
            level[key] = n / min(seconds)
        level["information_kept"] = information_kept(*fits) ** 2
        answers[str(counts)] = level
    return answers
