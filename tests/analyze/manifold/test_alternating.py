from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import ndtr

import spectraloom as sl
from spectraloom import Axis, Spectra
from spectraloom._typing import FloatArray
from spectraloom.analyze.manifold import (
    Deformation,
    InterpolatedSignature,
    TabulatedSignature,
    fit_alternating,
)
from spectraloom.errors import AxisError, DataError
from spectraloom.evaluate import prepare_steel_sphere

AXIS = Axis.regular(0.0, 100.0, 80)
STEEL = Deformation("thickness", "mm", 0.0, 30.0, softening=0.3)
BACKGROUND = np.exp(-AXIS.centers / 40.0)
BACKGROUND /= BACKGROUND.sum()


def shielded(low: float, high: float, thickness: float) -> FloatArray:
    """Two lines that a shield weakens by their own coefficients, over a continuum."""
    lines = np.exp(-0.5 * ((AXIS.centers - np.array([[low], [high]])) / 3.0) ** 2)
    falls = np.exp(-np.array([0.4, 0.05]) * thickness)
    row = falls @ lines + 0.03 * np.exp(-AXIS.centers / high)
    return row / row.sum()


LINES = {"A": (15.0, 60.0), "B": (30.0, 80.0), "C": (45.0, 70.0)}


@pytest.fixture(scope="module")
def model() -> TabulatedSignature:
    nodes = STEEL.from_unit(np.linspace(0.0, 1.0, 65))
    table = np.array([[shielded(*LINES[name], t) for name in LINES] for t in nodes])
    return TabulatedSignature(AXIS, tuple(LINES), (STEEL,), table)


@pytest.fixture(scope="module")
def peaks() -> TabulatedSignature:
    """One peak that shifts and broadens: two deformations."""
    shift, width = Deformation("shift", "", -5.0, 5.0), Deformation("width", "", 2.0, 6.0)
    table = np.empty((41, 33, 1, 80))
    for i, j in np.ndindex(41, 33):
        moved = AXIS.edges - 50.0 - shift.from_unit(i / 40)
        row = np.diff(ndtr(moved / width.from_unit(j / 32)))
        table[i, j, 0] = row / row.sum()
    return TabulatedSignature(AXIS, ("peak",), (shift, width), table)


def mixture(model: TabulatedSignature, amounts: list[float], values: list[float]) -> FloatArray:
    """Expected counts of sources at their own values, over the background."""
    expected = amounts[0] * BACKGROUND
    for j, (amount, value) in enumerate(zip(amounts[1:], values, strict=True)):
        expected = expected + amount * model.signature(value)[j]
    return expected


# -- what it finds -----------------------------------------------------------------------------


@pytest.mark.parametrize("thickness", [0.05, 1.7, 14.0])
def test_a_mixture_without_noise_is_recovered(model: TabulatedSignature, thickness: float) -> None:
    amounts = [5000.0, 3000.0, 1500.0, 500.0]
    y = mixture(model, amounts, [thickness] * 3)
    fit = fit_alternating(Spectra(y, AXIS), model, BACKGROUND, tolerance=1e-7, max_iterations=1000)
    assert fit.names == ("A", "B", "C")
    assert fit.values == pytest.approx(np.array([[thickness]]), abs=0.01 * (thickness + 0.3))
    assert fit.background == pytest.approx([5000.0], rel=0.01)
    assert fit.amounts[0] == pytest.approx(amounts[1:], rel=0.01)
    assert fit.loss[0] < 1e-3
    assert fit.converged.all()


def test_one_deformation_per_source_is_recovered(model: TabulatedSignature) -> None:
    amounts, values = [5000.0, 30000.0, 20000.0, 25000.0], [0.2, 2.0, 9.0]
    y = Spectra(mixture(model, amounts, values), AXIS)
    settings = {"tolerance": 1e-6, "max_iterations": 2000}
    fit = fit_alternating(y, model, BACKGROUND, per_source=True, **settings)  # type: ignore[arg-type]
    assert fit.values.shape == (1, 3, 1)
    assert fit.values[0, :, 0] == pytest.approx(values, rel=0.1)
    assert fit.amounts[0] == pytest.approx(amounts[1:], rel=0.03)
    assert fit.loss[0] < 0.1
    common = fit_alternating(y, model, BACKGROUND, **settings)  # type: ignore[arg-type]
    assert common.values.shape == (1, 1)
    assert common.loss[0] > 100 * fit.loss[0]


def test_two_deformations_are_recovered(peaks: TabulatedSignature) -> None:
    y = 2000.0 * BACKGROUND + 3000.0 * peaks.signature([2.3, 4.4])[0]
    fit = fit_alternating(Spectra(y, AXIS), peaks, BACKGROUND, tolerance=1e-7)
    assert fit.values[0] == pytest.approx([2.3, 4.4], abs=0.01)
    assert fit.amounts[0] == pytest.approx([3000.0], rel=1e-3)


@pytest.mark.parametrize("per_source", [False, True])
def test_the_loss_never_rises(model: TabulatedSignature, per_source: bool) -> None:
    rng = np.random.default_rng(3)
    y = Spectra(rng.poisson(mixture(model, [3000.0, 900.0, 600.0, 500.0], [4.0] * 3)), AXIS)
    losses = [
        fit_alternating(
            y, model, BACKGROUND, per_source=per_source, tolerance=1e-12, max_iterations=turns
        ).loss[0]
        for turns in (1, 2, 3, 4, 6, 10, 20)
    ]
    assert np.all(np.diff(losses) <= 1e-9)
    assert losses[-1] < losses[0]


def test_it_ends_where_a_joint_search_ends(model: TabulatedSignature) -> None:
    rng = np.random.default_rng(5)
    y = rng.poisson(mixture(model, [3000.0, 2000.0, 1500.0, 900.0], [3.0] * 3)).astype(float)
    fit = fit_alternating(Spectra(y, AXIS), model, BACKGROUND, tolerance=1e-7, max_iterations=1000)

    def loss(theta: FloatArray) -> float:
        X = np.vstack([BACKGROUND, model.signature(STEEL.from_unit(theta[4]))])
        mu = np.maximum(1000.0 * theta[:4] @ X, 1e-9)
        return float(np.sum(mu - y + np.where(y > 0, y * np.log(np.maximum(y, 1) / mu), 0.0)))

    best = min(
        minimize(
            loss,
            [2.0, 2.0, 2.0, 2.0, start],
            method="L-BFGS-B",
            bounds=[(0.0, None)] * 4 + [(0.0, 1.0)],
            options={"ftol": 1e-15, "gtol": 1e-9, "maxfun": 100_000, "maxiter": 10_000},
        ).fun
        for start in (0.2, 0.5, 0.8)
    )
    assert fit.loss[0] == pytest.approx(best, abs=0.01)


def test_a_spectrum_without_counts(model: TabulatedSignature) -> None:
    y = np.stack([np.zeros(80), mixture(model, [100.0, 50.0, 0.0, 0.0], [1.0] * 3)])
    fit = fit_alternating(Spectra(y, AXIS), model, BACKGROUND)
    assert not fit.amounts[0].any()
    assert fit.background[0] == 0
    assert np.isnan(fit.values[0]).all()
    assert fit.loss[0] == 0
    assert np.isfinite(fit.values[1]).all()
    assert len(fit) == 2


def test_nothing_but_background(model: TabulatedSignature) -> None:
    fit = fit_alternating(Spectra(1e4 * BACKGROUND, AXIS), model, BACKGROUND)
    assert fit.background == pytest.approx([1e4], rel=0.01)
    assert fit.amounts.sum() < 100.0


def test_one_source_without_background(model: TabulatedSignature) -> None:
    one = model.select(["B"])
    y = 500.0 * one.signature(6.0)[0]
    fit = fit_alternating(Spectra(y, AXIS), one)
    assert fit.amounts[0] == pytest.approx([500.0], rel=1e-6)
    assert fit.background[0] == 0
    assert fit.values[0] == pytest.approx([6.0], rel=1e-3)


def test_counts_where_nothing_is_expected_are_survived() -> None:
    rows = np.zeros((3, 1, 4))
    rows[:, 0, :2] = [[0.5, 0.5], [0.6, 0.4], [0.7, 0.3]]
    axis = Axis.uncalibrated(4)
    model = TabulatedSignature(axis, ("A",), (Deformation("x", "", 0.0, 1.0),), rows)
    fit = fit_alternating(Spectra([[60.0, 40.0, 0.0, 3.0]], axis), model)
    assert np.isfinite(fit.loss).all()
    assert fit.amounts[0] == pytest.approx([100.0], rel=1e-6)
    assert fit.values[0] == pytest.approx([0.5], abs=1e-3)
    nothing = fit_alternating(Spectra([[0.0, 0.0, 0.0, 3.0]], axis), model)
    assert nothing.amounts[0] == pytest.approx([0.0])
    assert np.isfinite(nothing.loss).all()


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (DataError, "positive tolerance", {"tolerance": 0.0}),
        (DataError, "at least one iteration", {"max_iterations": 0}),
        (DataError, "80 channels", {"background": np.ones(79)}),
        (DataError, "not empty", {"background": np.zeros(80)}),
        (DataError, "zero or more", {"background": -np.ones(80)}),
        (AxisError, "rebin first", {"background": Spectra(np.ones(80))}),
    ],
)
def test_wrong_settings_are_refused(
    model: TabulatedSignature,
    error: type[Exception],
    message: str,
    settings: dict[str, object],
) -> None:
    with pytest.raises(error, match=message):
        fit_alternating(Spectra(np.ones(80), AXIS), model, **settings)  # type: ignore[arg-type]


def test_wrong_spectra_are_refused(model: TabulatedSignature) -> None:
    with pytest.raises(AxisError, match="rebin first"):
        fit_alternating(Spectra(np.ones(80)), model)
    with pytest.raises(DataError, match="takes counts"):
        fit_alternating(Spectra(np.ones(80), AXIS, kind="intensity"), model)


# -- the public data -----------------------------------------------------------------------------


def test_a_held_out_thickness_of_the_public_data(steel_sphere_zip: Path) -> None:
    """The four-nuclide protocol: errors near the published Cramer-Rao bound."""
    sets = prepare_steel_sphere(sl.read_groups(steel_sphere_zip), drop=18, n_channels=800)
    assert sets.background is not None
    held_out = sets.signatures.columns["thickness"] == 5.2
    model = TabulatedSignature.from_model(
        InterpolatedSignature.from_spectra(sets.signatures[~held_out]), 65
    )
    true = sets.signatures[held_out].values
    background = sets.background.values[0] / sets.background.totals[0]
    names = [entry[0] for entry in sets.signatures[held_out].labels]
    shares = {"Co60": 0.2, "Ba133": 0.12, "Co57": 0.08, "Cs137": 0.1}
    amounts = 1e5 * np.array([shares[name] for name in names])
    expected = 5e4 * background + amounts @ (true / true.sum(axis=1, keepdims=True))
    y = [np.random.default_rng(seed).poisson(expected) for seed in range(4)]
    fit = fit_alternating(Spectra(y, sets.signatures.axis), model, sets.background)
    assert fit.converged.all()
    # Bounds of the counts at 1e5, unknown common thickness: 1.34, 1.98, 2.04 and 2.00 %.
    bound = {"Co60": 0.0134, "Ba133": 0.0198, "Co57": 0.0204, "Cs137": 0.02}
    pulls = (fit.amounts / amounts - 1) / np.array([bound[name] for name in fit.names])
    assert np.sqrt(np.mean(pulls**2)) < 1.6
    assert fit.values[:, 0] == pytest.approx(5.2, abs=0.8)
