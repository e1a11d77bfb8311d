from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize

import spectraloom as sl
from spectraloom import Axis, Spectra
from spectraloom._typing import FloatArray
from spectraloom.analyze.manifold import (
    Deformation,
    InterpolatedSignature,
    SignatureModel,
    TabulatedSignature,
)
from spectraloom.analyze.manifold.interpolated import Interpolation
from spectraloom.errors import AxisError, DataError, FitError, LabelError
from spectraloom.evaluate import prepare_steel_sphere

AXIS = Axis.regular(0.0, 60.0, 60)
MANY = np.concatenate([[0.001], np.geomspace(0.05, 30.0, 60)])


def family(name: str, thickness: float) -> FloatArray:
    """Unit-area spectrum of a source whose two lines a shield weakens, in closed form."""
    centers = AXIS.centers
    low, high = {"A": (12.0, 45.0), "B": (20.0, 30.0)}[name]
    lines = np.exp(-0.5 * ((centers - np.array([[low], [high]])) / 2.0) ** 2)
    scattered = np.exp(-centers / 15.0) * (1.0 - np.exp(-0.05 * thickness)) * 0.1
    row = np.exp(-np.array([0.3, 0.05]) * thickness) @ lines + scattered + 1e-4
    return row / row.sum()


def training(
    names: dict[str, FloatArray], counts: float, rng: np.random.Generator | None = None
) -> Spectra:
    rows, labels, thicknesses = [], [], []
    for name, values in names.items():
        for thickness in values:
            expected = counts * family(name, thickness)
            rows.append(expected if rng is None else rng.poisson(expected))
            labels.append((name,))
            thicknesses.append(thickness)
    return Spectra(np.array(rows), AXIS, columns={"labels": labels, "thickness": thicknesses})


@pytest.fixture(scope="module", params=["natural", "monotone"])
def model(request: pytest.FixtureRequest) -> InterpolatedSignature:
    spectra = training({"B": MANY, "A": MANY}, 1e7)
    return InterpolatedSignature.from_spectra(spectra, interpolation=request.param, knots=9)


def largest_error(model: SignatureModel, name: str, thicknesses: FloatArray) -> float:
    """Largest difference from the family, as a part of the highest channel."""
    row = model.names.index(name)
    return max(
        np.abs(model.signature(t)[row] - family(name, t)).max() / family(name, t).max()
        for t in thicknesses
    )


# -- what it gives -----------------------------------------------------------------------------


def test_it_is_a_signature_model(model: InterpolatedSignature) -> None:
    assert isinstance(model, SignatureModel)
    assert model.names == ("A", "B")
    assert model.deformations == (Deformation("thickness", "mm", 0.001, 30.0, 0.3),)
    assert model.knots[[0, -1]].tolist() == [0.001, 30.0]


@given(thickness=st.floats(0.001, 30.0))
def test_it_follows_the_family(model: InterpolatedSignature, thickness: float) -> None:
    rows = model.signature(thickness)
    assert rows.min() >= 0
    assert rows.sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-12)
    for name in "AB":
        # The monotone cubic flattens an extremum between knots.
        bar = 0.01 if model.interpolation == "natural" else 0.03
        assert largest_error(model, name, np.array([thickness])) < bar


@given(u=st.floats(0.01, 0.99))
def test_the_derivative_is_that_of_the_signature(model: InterpolatedSignature, u: float) -> None:
    thickness = float(model.deformation.from_unit(u))
    step = 1e-6 * (thickness + 0.3)
    ahead, behind = model.signature(thickness + step), model.signature(thickness - step)
    slopes = model.derivative([thickness])
    assert slopes.shape == (1, 2, 60)
    assert slopes.sum(axis=2) == pytest.approx(np.zeros((1, 2)), abs=1e-12)
    assert slopes[0] == pytest.approx((ahead - behind) / (2 * step), abs=1e-6)


def test_spectra_at_the_knots_are_interpolated() -> None:
    knots = np.array([0.001, 0.4, 1.1, 2.8, 6.3, 13.8, 30.0])
    model = InterpolatedSignature.from_spectra(training({"A": knots}, 1e9), knots=knots.tolist())
    for thickness in knots:
        assert model.signature(thickness)[0] == pytest.approx(family("A", thickness), rel=1e-3)


def test_a_table_of_it_is_the_same(model: InterpolatedSignature) -> None:
    table = TabulatedSignature.from_model(model)
    for thickness in (0.01, 0.77, 4.2, 29.0):
        assert table.signature(thickness) == pytest.approx(
            model.signature(thickness), rel=5e-3, abs=1e-5
        )


def test_the_monotone_cubic_stays_between_its_knots(rng: np.random.Generator) -> None:
    spectra = training({"A": MANY[::10]}, 300.0, rng)
    for kind in ("monotone", "natural"):
        model = InterpolatedSignature.from_spectra(spectra, interpolation=kind, knots=7)
        places = np.linspace(0.0, 1.0, 601)
        logs = model._curve(places)[:, 0]
        nodes = logs[::100]
        low, high = np.minimum(nodes[:-1], nodes[1:]), np.maximum(nodes[:-1], nodes[1:])
        pieces = logs[:-1].reshape(6, 100, -1)
        stays = (pieces >= low[:, None] - 1e-9) & (pieces <= high[:, None] + 1e-9)
        assert stays.all() == (kind == "monotone")


# -- how the knots are found ---------------------------------------------------------------------


def test_all_spectra_are_better_than_those_at_the_knots(rng: np.random.Generator) -> None:
    noisy = training({"A": MANY}, 2e4, rng)
    at_knots = InterpolatedSignature.from_spectra(noisy, knots=7).knots
    few = training({"A": at_knots}, 2e4, rng)
    held_out = np.geomspace(0.1, 28.0, 25)
    errors = []
    for spectra in (noisy, few):
        model = InterpolatedSignature.from_spectra(spectra, knots=7)
        rows = np.array([model.signature(t)[0] - family("A", t) for t in held_out])
        errors.append(np.sqrt(np.mean(rows**2)))
    # Nine times the counts: a third of the noise.
    assert errors[0] < 0.5 * errors[1]


def test_the_knots_maximise_the_penalised_likelihood(rng: np.random.Generator) -> None:
    spectra = training({"A": MANY[::4]}, 3000.0, rng)
    model = InterpolatedSignature.from_spectra(spectra, knots=5)
    places = model.deformation.to_unit(model.knots)
    u = model.deformation.to_unit(spectra.columns["thickness"])
    fine = np.linspace(0.0, 1.0, 4001)

    def loss(logs: FloatArray, y: FloatArray) -> float:
        curve = CubicSpline(places, logs, bc_type="natural")
        eta = curve(u)
        penalty = 0.01 * np.trapezoid(curve(fine, 2) ** 2, fine)
        penalty += 1e-6 * np.trapezoid(curve(fine, 1) ** 2, fine)
        return float(np.sum(spectra.totals * np.exp(eta) - y * eta) + 0.5 * penalty)

    for channel in (12, 45, 58):  # many counts, some, next to none
        y = spectra.values[:, channel].astype(float)
        ours = model.log_values[:, 0, channel]
        start = np.full(5, np.log((y.sum() + 1) / spectra.totals.sum()))
        best = minimize(loss, start, args=(y,), method="BFGS", options={"gtol": 1e-6})
        assert loss(ours, y) <= best.fun + 1e-6
        assert ours == pytest.approx(best.x, abs=2e-3 * max(1.0, np.abs(best.x).max()))


def test_sources_may_be_seen_at_different_values() -> None:
    spectra = training({"A": MANY, "B": MANY[(MANY > 0.3) & (MANY < 4.0)]}, 1e7)
    model = InterpolatedSignature.from_spectra(spectra, knots=9)
    assert largest_error(model, "A", MANY) < 0.01
    assert largest_error(model, "B", np.array([0.4, 1.0, 3.0])) < 0.01
    # Beyond its own range a source is held constant.
    first, last = model.ranges[1]
    assert np.array_equal(model.signature(0.01)[1], model.signature(first)[1])
    assert np.array_equal(model.signature(30.0)[1], model.signature(last)[1])
    assert not model.derivative(29.0)[0, 1].any()
    assert model.derivative(29.0)[0, 0].any()


def test_a_source_seen_once_does_not_deform() -> None:
    spectra = training({"A": MANY, "B": np.array([2.0])}, 1e7)
    model = InterpolatedSignature.from_spectra(spectra)
    for thickness in (0.001, 2.0, 30.0):
        assert model.signature(thickness)[1] == pytest.approx(family("B", 2.0), rel=1e-6)
    assert not model.derivative(5.0)[0, 1].any()


def test_channels_that_never_count_stay_empty(rng: np.random.Generator) -> None:
    spectra = training({"A": MANY}, 1e5, rng)
    values = spectra.values.astype(float).copy()
    values[:, 50:] = 0  # never
    values[10:, 40:50] = 0  # at small thicknesses only
    model = InterpolatedSignature.from_spectra(spectra.replace(values=values))
    for thickness in (0.001, 1.0, 30.0):
        row = model.signature(thickness)[0]
        assert not row[50:].any()
        assert row[:50].min() > 0
        assert row.sum() == pytest.approx(1.0)
    assert model.signature(30.0)[0, 40:50].sum() < 1e-4
    assert np.isfinite(model.derivative(1.0)).all()


def test_empty_spectra_among_others_say_nothing(rng: np.random.Generator) -> None:
    spectra = training({"A": MANY}, 1e5, rng)
    empty = spectra[:1].replace(values=np.zeros((1, 60))).with_columns(thickness=[3.0])
    with_empty = InterpolatedSignature.from_spectra(Spectra.concatenate([spectra, empty]))
    without = InterpolatedSignature.from_spectra(spectra)
    assert with_empty.signature(3.0) == pytest.approx(without.signature(3.0), abs=1e-14)


def test_intensities_are_taken_by_their_shape() -> None:
    spectra = training({"A": MANY}, 1.0)
    scaled = spectra.replace(
        values=spectra.values * np.linspace(1.0, 50.0, len(MANY))[:, None], kind="intensity"
    )
    model = InterpolatedSignature.from_spectra(scaled, knots=9)
    assert largest_error(model, "A", MANY) < 0.01


def test_any_coordinate_will_do() -> None:
    # A peak that shifts, on a linear coordinate that may be negative.
    shifts = np.linspace(-3.0, 3.0, 25)
    values = np.exp(-0.5 * ((AXIS.centers - 30.0 - shifts[:, None]) / 3.0) ** 2)
    spectra = Spectra(values, AXIS, kind="intensity", columns={"labels": "peak", "shift": shifts})
    deformation = Deformation("shift", "ppm", -4.0, 4.0)
    model = InterpolatedSignature.from_spectra(spectra, deformation, knots=7)
    assert model.deformations == (deformation,)
    exact = np.exp(-0.5 * ((AXIS.centers - 31.3) / 3.0) ** 2)
    exact /= exact.sum()
    assert model.signature(1.3)[0] == pytest.approx(exact, abs=1e-3 * exact.max())


def test_copies_are_the_same(model: InterpolatedSignature) -> None:
    twin = copy.deepcopy(model)
    assert np.array_equal(twin.signature(3.3), model.signature(3.3))
    assert twin.interpolation == model.interpolation
    with pytest.raises(ValueError, match="read-only"):
        twin.log_values[0] = 0.0


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message", "settings"),
    [
        (LabelError, "no column 'depth'", {"deformation": "depth"}),
        (FitError, "holds object: expected numbers", {"deformation": "labels"}),
        (LabelError, "no column 'nuclide'", {"labels": "nuclide"}),
        (DataError, "at least two knots, got 1", {"knots": 1}),
        (DataError, "each larger", {"knots": [0.001, 5.0, 5.0, 30.0]}),
        (DataError, "knots over thickness from 0.001 to 30 mm", {"knots": [0.001, 5.0]}),
        (DataError, "'natural' or 'monotone'", {"interpolation": "linear"}),
        (DataError, "softening above", {"softening": -1.0}),
        (FitError, "one with 20", {"deformation": Deformation("thickness", "mm", 0.0, 15.0)}),
    ],
)
def test_wrong_settings_are_refused(
    error: type[Exception], message: str, settings: dict[str, object]
) -> None:
    spectra = training({"A": np.array([0.001, 1.0, 20.0, 30.0])}, 1e5)
    with pytest.raises(error, match=message):
        InterpolatedSignature.from_spectra(spectra, **settings)  # type: ignore[arg-type]


def test_wrong_spectra_are_refused() -> None:
    spectra = training({"A": np.array([0.001, 1.0, 30.0])}, 1e5)
    from_spectra = InterpolatedSignature.from_spectra
    with pytest.raises(FitError, match="1 of 3 training spectra have no thickness"):
        from_spectra(spectra.with_columns(thickness=[0.001, np.nan, 30.0]))
    with pytest.raises(FitError, match="all training spectra have thickness 2"):
        from_spectra(spectra.with_columns(thickness=2.0))
    with pytest.raises(FitError, match="no training spectra"):
        from_spectra(spectra[:0])
    with pytest.raises(FitError, match="A: its training spectra are empty"):
        from_spectra(spectra.replace(values=np.zeros((3, 60))))
    with pytest.raises(FitError, match="a training spectrum is negative"):
        from_spectra(spectra.replace(values=spectra.values - 1.0, kind="intensity"))
    with pytest.raises(FitError, match="signatures are real"):
        from_spectra(spectra.replace(values=spectra.values + 0j, kind="complex"))
    with pytest.raises(DataError, match="exactly one label"):
        from_spectra(spectra.with_columns(labels=[("A", "B")] * 3))


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (AxisError, "the axis has 59", {"axis": Axis.uncalibrated(59)}),
        (DataError, "expected logarithms of shape", {"names": ("A",)}),
        (DataError, "expected logarithms of shape", {"ranges": np.zeros((3, 2))}),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    model: InterpolatedSignature, error: type[Exception], message: str, change: dict[str, object]
) -> None:
    names = ("axis", "names", "deformation", "knots", "log_values", "ranges")
    with pytest.raises(error, match=message):
        InterpolatedSignature(**{name: getattr(model, name) for name in names} | change)


# -- the public data -----------------------------------------------------------------------------

SEVEN = (0.001, 0.4, 1.1, 2.8, 6.3, 13.8, 30.0)


def test_seven_knots_keep_counts_within_the_bar(steel_sphere_zip: Path) -> None:
    """Mean count bias of noise-free mixtures at held-out thicknesses is at most 0.4 %."""
    sets = prepare_steel_sphere(sl.read_groups(steel_sphere_zip))
    spectra = sets.signatures
    assert sets.background is not None
    background = sets.background.values[0] / sets.background.totals[0]
    thicknesses = np.unique(spectra.columns["thickness"])
    training_40 = np.concatenate(
        [
            thicknesses[np.linspace(0, 24, 14).round().astype(int)],
            thicknesses[np.linspace(25, 95, 26).round().astype(int)],
        ]
    )
    held_out = [t for t in thicknesses if t >= 0.05 and t not in training_40 and t not in SEVEN]
    seven = spectra[np.isin(spectra.columns["thickness"], SEVEN)]
    forty = spectra[np.isin(spectra.columns["thickness"], training_40)]
    models: list[tuple[Spectra, Interpolation, float]] = [
        (forty, "natural", 0.0040),
        (seven, "natural", 0.0040),
        (seven, "monotone", 0.0040),
    ]
    for chosen, interpolation, bar in models:
        model = InterpolatedSignature.from_spectra(chosen, interpolation=interpolation)
        biases = count_biases(model, spectra, background, held_out)
        assert len(biases) > 250
        assert np.mean(biases) < bar


def count_biases(
    model: InterpolatedSignature, spectra: Spectra, background: FloatArray, held_out: list[float]
) -> FloatArray:
    """Relative errors of the amounts that the likelihood finds in mixtures without noise."""
    table = TabulatedSignature.from_model(model)
    rng = np.random.default_rng(7)
    labels = np.array([entry[0] for entry in spectra.labels])
    biases: list[float] = []
    for thickness in rng.choice(held_out, 100):
        here = spectra[spectra.columns["thickness"] == thickness]
        names = labels[spectra.columns["thickness"] == thickness]
        active = np.sort(rng.choice(4, rng.integers(1, 5), replace=False))
        true = {name: row / row.sum() for name, row in zip(names, here.values, strict=True)}
        share = rng.uniform(0.1, 0.9)
        amounts = np.append(share, (1 - share) * rng.dirichlet(np.full(len(active), 4.0))) * 1e5
        rows = [background, *(true[model.names[j]] for j in active)]
        found = newton(table, active, background, amounts @ np.array(rows), thickness)
        biases += list(np.abs(found / amounts - 1))
    return np.array(biases)


def newton(
    table: TabulatedSignature,
    active: FloatArray,
    background: FloatArray,
    y: FloatArray,
    thickness: float,
) -> FloatArray:
    """Amounts by Fisher scoring from the neighbourhood of the truth, plain."""
    one = table.deformations[0]
    u = float(one.to_unit(thickness))
    a = np.full(1 + len(active), y.sum() / (1 + len(active)))
    for step in range(60):
        value = one.from_unit(u)
        X = np.vstack([background, table.signature(value)[active]])
        if step < 20:  # expectation maximisation first: amounts stay positive
            a = a * (X @ (y / np.maximum(a @ X, 1e-12)))
            continue
        slope = a[1:] @ table.derivative(value)[0, active] / one.slope(value)
        J = np.vstack([X, slope])
        mu = np.maximum(a @ X, 1e-9)
        move = np.linalg.solve((J / mu) @ J.T, J @ (y / mu - 1))
        a = np.maximum(a + move[:-1], 0.3 * a)
        u = float(np.clip(u + np.clip(move[-1], -0.05, 0.05), 0.0, 1.0))
        if np.abs(move[:-1] / a).max() < 1e-7:
            break
    return a
