"""Thickness, gain and resolution free together, and how signatures that were learned hold up."""

from __future__ import annotations

from typing import Any

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.analyze.likelihood.tables import Resolution, broaden
from spectraloom.analyze.manifold.fit import fit_manifold
from spectraloom.analyze.manifold.latents import Latents
from spectraloom.analyze.manifold.misfit import misfit_p_values
from spectraloom.analyze.manifold.signature import TabulatedSignature
from spectraloom.analyze.manifold.table import ManifoldTable, manifold_table
from spectraloom.data import Axis, Spectra
from spectraloom.data.library import single_labels
from spectraloom.evaluate.sphere_mixtures import COUNTS, draws, scores_of
from spectraloom.evaluate.sphere_trial import Protocol, SphereTrial, expected_of, slope_of
from spectraloom.process import rebin

GAIN, BROADENING = 0.01, 0.05  # true values, and widths of the priors
_PRIOR_GAIN, _PRIOR_BROADENING = 0.02, 0.1
_STEPS = (1e-4, 2e-3)  # of gain and broadening, for derivatives of the truth
_MIXTURES = 165
_ALARM = 0.01
_THIN = 0.05  # mm: below it a thickness is as good as none


def shifted(rows: FloatArray, axis: Axis, gain: float) -> FloatArray:
    """Spectra as a detector with another gain records them, on the same axis.

    Parameters
    ----------
    rows : ndarray, shape (k, n_channels)
        Expected counts.
    axis : Axis
    gain : float
        A count of energy E is recorded at E (1 + gain).
    """
    moved = Axis.from_edges(axis.edges * (1.0 + gain), quantity=axis.quantity, unit=axis.unit)
    return np.asarray(rebin(Spectra(rows, moved, kind="intensity"), axis).values)


def judge_latents(
    trial: SphereTrial, protocol: Protocol, model: TabulatedSignature, *, n: int
) -> dict[str, Any]:
    """Thickness, gain and resolution fitted together where all three are off.

    The truth is the simulated spectrum, widened by 5 % and recorded with 1 % more gain; the bound
    is that of its own numerical derivatives, with the priors of the fit.

    Parameters
    ----------
    trial : SphereTrial
    protocol : Protocol
    model : TabulatedSignature
    n : int
        Spectra for each number of counts.
    """
    used = [trial.names.index(name) for name in protocol.fitted]
    shares = protocol.shares_of(protocol.fitted)
    latents = Latents(gain=_PRIOR_GAIN, broadening=_PRIOR_BROADENING)
    table = manifold_table(
        model.select(protocol.fitted), trial.background, trial.axis.edges, latents
    )
    priors = np.array([0.0, 1.0 / _PRIOR_GAIN**2, 1.0 / _PRIOR_BROADENING**2])
    answers: dict[str, Any] = {}
    for counts in COUNTS:
        truth = counts * shares
        true = np.array([float(trial.thickness[protocol.thickness]), GAIN, BROADENING])
        rows = _recorded(trial, protocol.thickness, used, GAIN, BROADENING)
        spectra = Spectra(draws(truth @ rows, n), trial.axis)
        fit = fit_manifold(spectra, table)
        place = [table.layout.names.index(name) for name in ("thickness", "gain", "broadening")]
        bounds = _bounds(trial, protocol.thickness, used, truth, priors)
        found = fit.latents[:, place]
        error = found - true
        inside = fit.latent_intervals()[:, place]
        names = ("thickness", "gain", "broadening")
        answers[str(counts)] = {
            **scores_of(fit.amounts, truth, bounds[: len(truth)], fit.uncertainties),
            "bias": {
                "counts": ((fit.amounts.mean(axis=0) - truth) / truth).tolist(),
                **dict(zip(names, error.mean(axis=0).tolist(), strict=True)),
            },
            "bias_over_crb": dict(
                zip(names, (error.mean(axis=0) / bounds[len(truth) :]).tolist(), strict=True)
            ),
            "latents_rmse_over_crb": dict(
                zip(
                    names,
                    (np.sqrt((error**2).mean(axis=0)) / bounds[len(truth) :]).tolist(),
                    strict=True,
                )
            ),
            "latents_coverage95": dict(
                zip(
                    names,
                    ((inside[..., 0] <= true) & (true <= inside[..., 1])).mean(axis=0).tolist(),
                    strict=True,
                )
            ),
            "n": n,
        }
    return answers


def _recorded(
    trial: SphereTrial, place: int, used: list[int], gain: float, broadening: float
) -> FloatArray:
    """Sources and background of unit area as recorded, shape (k + 1, n_channels)."""
    wider = broaden(trial.shapes[place][used], trial.axis, broadening, Resolution())
    return shifted(np.vstack([wider, trial.under]), trial.axis, gain)


def _bounds(
    trial: SphereTrial, place: int, used: list[int], truth: FloatArray, priors: FloatArray
) -> FloatArray:
    """Cramer-Rao bounds of amounts, thickness, gain and broadening, with priors on the last."""
    rows = _recorded(trial, place, used, GAIN, BROADENING)
    turn = broaden(slope_of(trial, place)[used], trial.axis, BROADENING, Resolution())
    slopes = [shifted(truth[:-1] @ turn[np.newaxis, :, :], trial.axis, GAIN)[0]]
    for number, step in enumerate(_STEPS):
        ends = [
            truth
            @ _recorded(
                trial,
                place,
                used,
                GAIN + sign * step * (number == 0),
                BROADENING + sign * step * (number == 1),
            )
            for sign in (1.0, -1.0)
        ]
        slopes.append((ends[0] - ends[1]) / (2.0 * step))
    design = np.vstack([rows, slopes])
    information = (design / np.maximum(truth @ rows, 1e-12)) @ design.T
    size = len(truth)
    information[range(size, size + 3), range(size, size + 3)] += priors
    scale = 1.0 / np.sqrt(np.diag(information))
    inverse = np.linalg.inv(information * np.outer(scale, scale))
    return np.asarray(np.sqrt(np.diag(inverse)) * scale)


def judge_drift(
    trial: SphereTrial, drift: Spectra | None, model: TabulatedSignature, *, n: int
) -> dict[str, Any]:
    """Gain and amounts of mixtures of spectra that were simulated with a shifted gain.

    Every nuclide in equal parts beside half background at its own gain, thickness and gain free.

    Parameters
    ----------
    trial : SphereTrial
    drift : Spectra or None
        With columns ``labels`` and ``gain_shift``; None gives nothing.
    model : TabulatedSignature
    n : int
        Spectra for each shift and number of counts.
    """
    if drift is None:
        return {}
    given = single_labels(drift)
    shifts = drift.column("gain_shift").astype(np.float64)
    answers: dict[str, Any] = {}
    for shift in np.unique(shifts).tolist():
        rows = shifts == shift
        names = tuple(name for name in model.names if name in set(given[rows].tolist()))
        if not names:
            continue
        shapes = np.stack([drift.values[rows & (given == name)].sum(axis=0) for name in names])
        shapes = shapes / shapes.sum(axis=1, keepdims=True)
        under = shifted(trial.under[np.newaxis], trial.axis, shift)
        truth = np.append(np.full(len(names), 0.5 / len(names)), 0.5)
        table = manifold_table(
            model.select(names), trial.background, trial.axis.edges, Latents(gain=0.05)
        )
        level: dict[str, Any] = {}
        for counts in COUNTS:
            drawn = draws(counts * (truth @ np.vstack([shapes, under])), n)
            fit = fit_manifold(Spectra(drawn, trial.axis), table)
            gains = fit.latents[:, table.layout.names.index("gain")]
            level[str(counts)] = {
                **scores_of(fit.amounts, counts * truth, None, fit.uncertainties),
                "gain_error": float(np.abs(gains - shift).mean()),
            }
        answers[f"{shift:+g}"] = level
    return answers


def fidelity(trial: SphereTrial, model: TabulatedSignature, seed: int = 0) -> dict[str, float]:
    """How near signatures come at held-out thicknesses, and what that does to amounts.

    Parameters
    ----------
    trial : SphereTrial
    model : TabulatedSignature
    seed : int
        Of the mixtures.

    Returns
    -------
    dict
        ``nmse_db``: median over nuclides and held-out thicknesses of the signal over the squared
        error, in decibel, at the best place of the curve; ``nmse_db_at_thickness`` at its own.
        ``count_bias``: mean relative error of the amounts in 165 mixtures without noise, of one to
        four sources behind one held-out thickness.
    """
    order = [trial.names.index(name) for name in model.names]
    held = np.flatnonzero(~trial.training)
    best, at = [], []
    for place in held:
        shapes = trial.shapes[place][order]
        power = (shapes**2).sum(axis=1)
        lost = ((model.table - shapes) ** 2).sum(axis=2)
        best.append(10.0 * np.log10(power / np.maximum(lost.min(axis=0), 1e-300)))
        here = model.signature(float(trial.thickness[place]))
        at.append(10.0 * np.log10(power / np.maximum(((here - shapes) ** 2).sum(axis=1), 1e-300)))
    return {
        "nmse_db": float(np.median(best)),
        "nmse_db_at_thickness": float(np.median(at)),
        "count_bias": float(_count_bias(trial, model, seed).mean()),
    }


def _count_bias(trial: SphereTrial, model: TabulatedSignature, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    held = np.flatnonzero(~trial.training & (trial.thickness >= _THIN))
    k, counts = len(trial.names), 1e5
    values, truths = [], []
    for _ in range(_MIXTURES):
        truth = np.zeros(k + 1)
        chosen = rng.choice(k, int(rng.integers(1, min(4, k) + 1)), replace=False)
        truth[chosen] = 0.5 * rng.dirichlet(np.full(len(chosen), 3.0))
        truth[-1] = 0.5
        truths.append(counts * truth)
        values.append(counts * expected_of(trial, np.full(k, rng.choice(held)), truth))
    spectra = Spectra(np.stack(values), trial.axis)
    table = manifold_table(model, trial.background, trial.axis.edges)
    fit = fit_manifold(spectra, table)
    order = [*(trial.names.index(name) for name in model.names), k]
    true = np.stack(truths)[:, order]
    there = true > 0
    return np.asarray(np.abs(fit.amounts - true)[there] / true[there])


def misfit_rates(
    trial: SphereTrial,
    protocol: Protocol,
    model: TabulatedSignature,
    errors: dict[str, float],
    *,
    n: int,
) -> dict[str, Any]:
    """How often the misfit alarm is raised: by a true model, and by a gain shift it leaves out.

    Parameters
    ----------
    trial : SphereTrial
    protocol : Protocol
    model : TabulatedSignature
    errors : dict of str to float
        Relative error of the signature of each source, found on training spectra.
    n : int
        Spectra for each.

    Returns
    -------
    dict
        By number of counts the share of alarms at a stated one in a hundred: spectra of the
        ``model`` itself, of the simulation at the held-out thickness, and of that with 2 % more
        gain. ``n``, ``stated``.
    """
    used = [trial.names.index(name) for name in protocol.fitted]
    shares = protocol.shares_of(protocol.fitted)
    known = model.select(protocol.fitted)
    table = manifold_table(known, trial.background, trial.axis.edges)
    true = np.vstack([trial.shapes[protocol.thickness][used], trial.under])
    own = known.signature(float(trial.thickness[protocol.thickness]))
    answers: dict[str, Any] = {"stated": _ALARM, "n": n}
    for counts in COUNTS:
        answers[str(counts)] = {
            key: _alarms(counts * (shares @ rows), n, table, trial, errors)
            for key, rows in (
                ("model", np.vstack([own, trial.under])),
                ("held_out_thickness", true),
                ("gain_2pct", shifted(true, trial.axis, 0.02)),
            )
        }
    return answers


def _alarms(
    expected: FloatArray, n: int, table: ManifoldTable, trial: SphereTrial, errors: dict[str, float]
) -> float:
    fit = fit_manifold(Spectra(draws(expected, n), trial.axis), table)
    of_names = np.array([errors.get(name, 0.0) for name in table.names])
    return float((misfit_p_values(fit, of_names) < _ALARM).mean())
