"""Amounts and thickness of mixtures at held-out thicknesses, beside the reference's methods."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from spectraloom._typing import BoolArray, FloatArray
from spectraloom.analyze.manifold.alternating import fit_alternating
from spectraloom.analyze.manifold.fit import ManifoldFit, fit_manifold
from spectraloom.analyze.manifold.latents import Latents
from spectraloom.analyze.manifold.signature import Deformation, TabulatedSignature
from spectraloom.analyze.manifold.table import ManifoldTable, manifold_table
from spectraloom.data import Spectra
from spectraloom.evaluate.sphere_trial import Protocol, SphereTrial, bound_of, expected_of

COUNTS = (2500, 100_000)
_N_SLOW = 20  # for the alternating scheme
_Z95 = 1.959964


def draws(expected: FloatArray, n: int) -> FloatArray:
    """Poisson spectra, the i-th with seed i of numpy's first generator, as in the reference."""
    return np.stack([np.random.RandomState(seed).poisson(expected) for seed in range(n)]).astype(
        np.float64
    )


def judge_protocol(
    trial: SphereTrial,
    protocol: Protocol,
    models: dict[str, TabulatedSignature],
    *,
    n: int,
    slow: int = _N_SLOW,
) -> dict[str, Any]:
    """Errors over the bound, coverage and speed for every number of counts.

    Parameters
    ----------
    trial : SphereTrial
    protocol : Protocol
    models : dict of str to TabulatedSignature
        The first gives the figures at the top, the others stand under their names.
    n : int
        Spectra.
    slow : int
        Spectra for the alternating scheme of the reference.

    Returns
    -------
    dict
        By number of counts: ``mre``, ``rmse_over_crb``, ``coverage95``, ``seconds_per_spectrum``,
        ``thickness``, other models, and ``reference`` with the alternating scheme and fixed
        signatures at the smallest thickness.
    """
    answers: dict[str, Any] = {}
    shares = protocol.shares_of(trial.names)
    for counts in COUNTS:
        truth = counts * shares
        everywhere = np.full(len(trial.names), protocol.thickness)
        spectra = Spectra(draws(expected_of(trial, everywhere, truth), n), trial.axis)
        judged = {}
        for name, model in models.items():
            table = manifold_table(
                model.select(protocol.fitted), trial.background, trial.axis.edges
            )
            judged[name] = _judge_fit(trial, protocol, table, spectra, truth)
        first = next(iter(judged))
        answers[str(counts)] = {
            **judged.pop(first),
            **judged,
            "reference": _references(trial, protocol, models[first], spectra, truth, slow),
        }
    return answers


def _judge_fit(
    trial: SphereTrial,
    protocol: Protocol,
    table: ManifoldTable,
    spectra: Spectra,
    truth: FloatArray,
) -> dict[str, Any]:
    fit_manifold(spectra[:1], table)  # compiled, or read from the cache, before the clock starts
    started = time.perf_counter()
    fit = fit_manifold(spectra, table)
    seconds = (time.perf_counter() - started) / len(spectra)
    true = _in_order(trial, table.names, truth)
    used = [trial.names.index(name) for name in table.names[:-1]]
    deviations, bound = bound_of(trial, protocol.thickness, truth, used)
    thickness = float(trial.thickness[protocol.thickness])
    inside = fit.latent_intervals()[:, 0]
    covered = (inside[:, 0] <= thickness) & (thickness <= inside[:, 1])
    error = fit.latents[:, 0] - thickness
    return {
        **scores_of(fit.amounts, true, deviations, fit.uncertainties),
        "seconds_per_spectrum": seconds,
        "thickness": {
            "bias_mm": float(error.mean()),
            "rmse_over_crb": float(np.sqrt((error**2).mean()) / bound),
            "coverage95": float(covered.mean()),
        },
        "converged": float(fit.converged.mean()),
        "n": len(spectra),
    }


def judge_everywhere(
    trial: SphereTrial, protocol: Protocol, model: TabulatedSignature, *, n: int
) -> dict[str, Any]:
    """The mixture of a protocol behind every held-out thickness in turn.

    At one thickness the noise of its simulated spectra is a part of the truth that no model knows;
    over all of them it averages out.

    Parameters
    ----------
    trial : SphereTrial
    protocol : Protocol
    model : TabulatedSignature
    n : int
        Spectra for each thickness and number of counts.
    """
    shares = protocol.shares_of(trial.names)
    known = model.select(protocol.fitted)
    table = manifold_table(known, trial.background, trial.axis.edges)
    answers: dict[str, Any] = {}
    for counts in COUNTS:
        truth = counts * shares
        levels = []
        for place in np.flatnonzero(~trial.training):
            everywhere = np.full(len(trial.names), place)
            # Other noise at each thickness: the seeds of the protocol would give alike draws.
            rng = np.random.default_rng([counts, int(place)])
            expected = expected_of(trial, everywhere, truth)
            drawn = rng.poisson(expected, (n, len(expected))).astype(np.float64)
            spectra = Spectra(drawn, trial.axis)
            here = Protocol(protocol.name, int(place), protocol.shares, protocol.fitted)
            levels.append(_judge_fit(trial, here, table, spectra, truth))
        answers[str(counts)] = {
            "mre": float(np.mean([one["mre"] for one in levels])),
            "rmse_over_crb": float(
                np.exp(np.mean([np.log(one["rmse_over_crb"]) for one in levels]))
            ),
            "coverage95": float(np.mean([one["coverage95"] for one in levels])),
            "thickness": {
                key: float(np.median([one["thickness"][key] for one in levels]))
                for key in ("rmse_over_crb", "coverage95")
            },
            "thicknesses": len(levels),
            "n": n,
        }
    return answers


def _in_order(trial: SphereTrial, names: Sequence[str], truth: FloatArray) -> FloatArray:
    place = {name: number for number, name in enumerate(trial.names)}
    return np.array([truth[place[name]] if name in place else truth[-1] for name in names])


def scores_of(
    amounts: FloatArray,
    truth: FloatArray,
    deviations: FloatArray | None = None,
    uncertainties: FloatArray | None = None,
) -> dict[str, Any]:
    """Mean relative error, errors over the bound and coverage, of what is there.

    Parameters
    ----------
    amounts : ndarray, shape (n, k)
    truth : ndarray, shape (k,)
    deviations : ndarray, shape (k,), optional
        The bound.
    uncertainties : ndarray, shape (n, k), optional
    """
    there = truth > 0
    relative = np.abs(amounts - truth)[:, there] / truth[there]
    scores: dict[str, Any] = {
        "mre": float(relative.mean()),
        "mre_by_name": relative.mean(axis=0).tolist(),
    }
    absent = amounts[:, ~there]
    if absent.size:
        scores["spurious_counts"] = float(absent.mean())
    if deviations is not None:
        rms = np.sqrt(((amounts - truth)[:, there] ** 2).mean(axis=0))
        scores["rmse_over_crb"] = float(np.exp(np.log(rms / deviations[there]).mean()))
    if uncertainties is not None:
        inside = (np.abs(amounts - truth) <= _Z95 * uncertainties)[:, there]
        scores["coverage95"] = float(inside.mean())
    return scores


def _references(
    trial: SphereTrial,
    protocol: Protocol,
    model: TabulatedSignature,
    spectra: Spectra,
    truth: FloatArray,
    slow: int,
) -> dict[str, Any]:
    from scipy.optimize import nnls

    names = (*protocol.fitted, "background")
    true = _in_order(trial, names, truth)
    used = [trial.names.index(name) for name in protocol.fitted]
    deviations, _ = bound_of(trial, protocol.thickness, truth, used)
    bare = np.vstack([trial.shapes[0][used], trial.under])
    right = np.vstack([trial.shapes[protocol.thickness][used], trial.under])
    started = time.perf_counter()
    least = np.stack([nnls(bare.T, row)[0] for row in spectra.values])
    seconds = (time.perf_counter() - started) / len(spectra)
    found = {"nnls_bare": {**scores_of(least, true, deviations), "seconds_per_spectrum": seconds}}
    for name, rows in (("poisson_bare", bare), ("poisson_true_thickness", right)):
        fit = fixed_fit(trial, rows, protocol.fitted, spectra)
        found[name] = scores_of(fit.amounts, true, deviations, fit.uncertainties)
    few = spectra[:slow]
    started = time.perf_counter()
    theirs = fit_alternating(few, model.select(protocol.fitted), trial.under)
    seconds = (time.perf_counter() - started) / max(len(few), 1)
    table = manifold_table(model.select(protocol.fitted), trial.background, trial.axis.edges)
    found["alternating"] = {
        **scores_of(np.column_stack([theirs.amounts, theirs.background]), true, deviations),
        "joint_fit_mre": scores_of(fit_manifold(few, table).amounts, true)["mre"],
        "seconds_per_spectrum": seconds,
        "n": len(few),
    }
    return found


def fixed_fit(
    trial: SphereTrial, rows: FloatArray, names: Sequence[str], spectra: Spectra
) -> ManifoldFit:
    """Poisson fit with signatures that do not deform: the last of `rows` is the background."""
    return fit_manifold(spectra, fixed_table(trial, rows[:-1], names))


def fixed_table(trial: SphereTrial, rows: FloatArray, names: Sequence[str]) -> ManifoldTable:
    """Table of signatures that do not deform, with the background.

    Parameters
    ----------
    trial : SphereTrial
    rows : ndarray, shape (k, n_channels)
    names : sequence of str, length k
    """
    low, high = float(trial.thickness[0]), float(trial.thickness[-1])
    still = TabulatedSignature(
        trial.axis, tuple(names), (Deformation("thickness", "mm", low, high),), np.stack([rows] * 4)
    )
    return manifold_table(still, trial.background, trial.axis.edges)


def judge_own_thicknesses(
    trial: SphereTrial, model: TabulatedSignature, *, n: int
) -> dict[str, Any]:
    """Every source behind another thickness: fitted with one for all, and with one for each.

    Parameters
    ----------
    trial : SphereTrial
    model : TabulatedSignature
    n : int
        Spectra for each number of counts.
    """
    wanted = {"Co60": 20.1, "Ba133": 2.4, "Co57": 1.1, "Cs137": 9.1}
    shares = {"Co60": 0.2, "Ba133": 0.12, "Co57": 0.08, "Cs137": 0.1}
    names = tuple(name for name in wanted if name in trial.names)
    if len(names) < len(wanted):
        names = trial.names[: len(wanted)]
        depths = dict(zip(names, wanted.values(), strict=False))
        parts = dict(zip(names, shares.values(), strict=False))
    else:
        depths, parts = wanted, shares
    held = np.flatnonzero(~trial.training)
    places = np.zeros(len(trial.names), dtype=np.int64)
    amounts = np.zeros(len(trial.names) + 1)
    for name in names:
        number = trial.names.index(name)
        places[number] = held[np.argmin(np.abs(trial.thickness[held] - depths[name]))]
        amounts[number] = parts[name]
    amounts[-1] = 1.0 - amounts.sum()
    known = model.select(names)
    answers: dict[str, Any] = {
        "thickness_mm": {name: float(trial.thickness[places[trial.names.index(name)]])
                         for name in names}
    }  # fmt: skip
    for counts in COUNTS:
        drawn = draws(counts * expected_of(trial, places, amounts), n)
        spectra = Spectra(drawn, trial.axis)
        level: dict[str, Any] = {}
        for key, latents in (
            ("individual", Latents(individual=True)),
            ("tied_0.2", Latents(individual=True, tie=0.2)),
            ("common", Latents()),
        ):
            table = manifold_table(known, trial.background, trial.axis.edges, latents)
            started = time.perf_counter()
            fit = fit_manifold(spectra, table)
            seconds = (time.perf_counter() - started) / n
            true = counts * _in_order(trial, table.names, amounts)
            level[key] = {
                **scores_of(fit.amounts, true, None, fit.uncertainties),
                "seconds_per_spectrum": seconds,
            }
        answers[str(counts)] = level
    return answers


def information_kept(fine: ManifoldFit, coarse: ManifoldFit) -> float:
    """Mean ratio of the uncertainties on fine and on coarse bins, of what both found."""
    both: BoolArray = (fine.uncertainties > 0) & (coarse.uncertainties > 0)
    return float((fine.uncertainties[both] / coarse.uncertainties[both]).mean())
