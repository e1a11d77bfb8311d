from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from spectraloom.analyze import ManifoldUnmixer
from spectraloom.analyze.manifold import Deformation, TabulatedSignature
from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, DataError, FitError, LabelError

AXIS = Axis.regular(20.0, 1500.0, 96)
STEEL = Deformation("thickness", "mm", 0.0, 20.0, 0.2)
NAMES = ("Ba133", "Co60", "Cs137")
LINES = {"Ba133": (120.0, 350.0), "Co60": (1170.0, 1330.0), "Cs137": (60.0, 660.0)}


def shape(name: str, thickness: float) -> np.ndarray:
    """Two lines, the softer absorbed more, over what was scattered on the way out."""
    x = AXIS.centers
    total = 0.06 * np.exp(-x / 400.0) * (1.0 + 0.25 * thickness) * (x < LINES[name][1])
    for energy in LINES[name]:
        passed = np.exp(-0.05 * thickness * (400.0 / energy))
        total = total + passed * np.exp(-0.5 * ((x - energy) / (0.03 * energy + 8.0)) ** 2)
    return np.asarray(total / total.sum())


UNDER = np.exp(-AXIS.centers / 500.0) / np.exp(-AXIS.centers / 500.0).sum()


def table(axis: Axis = AXIS) -> TabulatedSignature:
    nodes = STEEL.from_unit(np.linspace(0.0, 1.0, 65))
    rows = np.array([[shape(name, float(t)) for name in NAMES] for t in nodes])
    return TabulatedSignature(axis, NAMES, (STEEL,), rows)


def background(n: int = 10, counts: float = 1e6) -> Spectra:
    return Spectra(np.random.default_rng(3).poisson(np.tile(UNDER * counts, (n, 1))), AXIS)


def mixtures(
    amounts: dict[str, float], thickness: float, n: int, seed: int, **more: Any
) -> Spectra:
    expected = amounts.get("background", 0.0) * UNDER
    for name in NAMES:
        expected = expected + amounts.get(name, 0.0) * shape(name, thickness)
    rng = np.random.default_rng(seed)
    return Spectra(rng.poisson(np.tile(expected, (n, 1))), AXIS, **more)


def training(n_values: int = 12, counts: float = 2e5) -> Spectra:
    rng = np.random.default_rng(4)
    values = STEEL.from_unit(np.linspace(0.0, 1.0, n_values))
    rows = [counts * shape(name, float(t)) for name in NAMES for t in values]
    names = [*np.repeat(NAMES, n_values), "background"]
    return Spectra(
        rng.poisson(np.array([*rows, 1e6 * UNDER])),
        AXIS,
        columns={
            "labels": [(str(name),) for name in names],
            "thickness": np.append(np.tile(values, len(NAMES)), np.nan),
        },
    )


@pytest.fixture(scope="module")
def model() -> ManifoldUnmixer:
    return ManifoldUnmixer(table()).fit(background())


@pytest.fixture(scope="module")
def learned() -> ManifoldUnmixer:
    return ManifoldUnmixer().fit(training())


AMOUNTS = {"background": 4000.0, "Co60": 2000.0, "Cs137": 1500.0}


def test_amounts_and_thickness_come_out_with_intervals_that_hold(model: ManifoldUnmixer) -> None:
    n = 300
    result = model.analyze(mixtures(AMOUNTS, 5.0, n, 1, live_time=np.full(n, 10.0)))
    assert result.names == (*NAMES, "background")
    assert result.decisions[:, 1:].all()
    truth = np.array([0.0, 2000.0, 1500.0, 4000.0])
    errors = (result.amounts - truth)[:, 1:] / np.asarray(result.uncertainties)[:, 1:]
    # Mean and spread of n standard normal numbers, at four standard deviations.
    assert np.abs(errors.mean(axis=0)).max() < 4.0 / np.sqrt(n)
    assert np.abs(errors.std(axis=0) - 1.0).max() < 4.0 / np.sqrt(2 * n)
    low, high = result.quality["thickness_low"], result.quality["thickness_high"]
    inside = int(((low < 5.0) & (high > 5.0)).sum())
    assert binom.ppf(0.001, n, 0.95) <= inside <= binom.ppf(0.999, n, 0.95)
    assert np.median(result.quality["thickness"]) == pytest.approx(5.0, rel=0.1)
    assert result.details["count_rate"][0, 1] == pytest.approx(result.amounts[0, 1] / 10.0)
    assert result.top is not None
    assert set(result.top.tolist()) <= {"Co60", "Cs137"}


@pytest.mark.parametrize("selection", ["greedy", "all"])
def test_false_alarms_stay_at_the_stated_rate(selection: Any) -> None:
    n, rate = 3000, 0.02
    model = ManifoldUnmixer(table(), selection=selection, false_alarm_rate=rate).fit(background())
    quiet = mixtures({"background": 3000.0}, 0.0, n, 2)
    alarms = int(model.analyze(quiet).decisions[:, :3].any(axis=1).sum())
    assert alarms <= binom.ppf(0.999, n, 1.2 * rate)
    assert alarms >= binom.ppf(0.001, n, 0.4 * rate)  # or sources would be missed


def test_what_is_not_there_has_the_uncertainty_it_would_have(model: ManifoldUnmixer) -> None:
    quiet = mixtures({"background": 5000.0}, 0.0, 400, 3)
    result = model.analyze(quiet)
    absent = ~result.decisions[:, :3]
    assert (np.asarray(result.uncertainties)[:, :3][absent] > 0).all()
    # A source fitted where nothing is there scatters by so much about zero, half of it cut off.
    fitted = model.analyze(quiet, names=["Co60"])
    said = float(np.median(np.asarray(result.uncertainties)[:, 1]))
    scatter = float(np.sqrt(np.mean(np.square(fitted.amounts[:, 1])) * 2.0))
    assert said == pytest.approx(scatter, rel=0.35)


def test_where_nothing_is_known_the_interval_is_the_whole_range(model: ManifoldUnmixer) -> None:
    result = model.analyze(mixtures({"background": 3000.0}, 0.0, 20, 4))
    quiet = ~result.decisions[:, :3].any(axis=1)
    assert quiet.sum() > 15
    assert np.isnan(result.quality["thickness"][quiet]).all()
    assert (result.quality["thickness_low"][quiet] == STEEL.low).all()
    assert (result.quality["thickness_high"][quiet] == STEEL.high).all()


def test_a_bare_source_has_an_interval_from_the_end_of_the_range(model: ManifoldUnmixer) -> None:
    result = model.analyze(mixtures({"background": 3000.0, "Cs137": 5000.0}, 0.0, 40, 5))
    low, high = result.quality["thickness_low"], result.quality["thickness_high"]
    assert (low <= 1e-9).mean() > 0.8
    assert (high > 0).all()
    assert np.median(high) < 2.0
    at_end = result.quality["thickness"] == 0.0
    assert at_end.any()
    assert np.isnan(result.quality["thickness_uncertainty"][at_end]).all()


def test_profile_intervals_agree_where_counts_are_many(model: ManifoldUnmixer) -> None:
    result = model.analyze(
        mixtures({"background": 4e4, "Co60": 3e4}, 5.0, 3, 6), intervals="profile"
    )
    low, high = (result.details[f"interval_{end}"][:, 1] for end in ("low", "high"))
    error = np.asarray(result.uncertainties)[:, 1]
    np.testing.assert_allclose(high - low, 2 * 1.96 * error, rtol=0.05)
    assert ((low < result.amounts[:, 1]) & (result.amounts[:, 1] < high)).all()
    with pytest.raises(DataError, match="'profile' or None"):
        model.analyze(background(), intervals="bootstrap")  # type: ignore[arg-type]


def test_every_source_may_have_its_own_thickness() -> None:
    model = ManifoldUnmixer(table(), individual=True).fit(background())
    both = 2e4 * shape("Co60", 15.0) + 2e4 * shape("Cs137", 1.0) + 4e4 * UNDER
    rng = np.random.default_rng(7)
    result = model.analyze(Spectra(rng.poisson(np.tile(both, (20, 1))), AXIS))
    assert "thickness" not in result.quality
    assert np.median(result.details["thickness"][:, 1]) == pytest.approx(15.0, rel=0.2)
    assert np.median(result.details["thickness"][:, 2]) == pytest.approx(1.0, abs=0.5)
    assert np.isnan(result.details["thickness"][:, 3]).all()
    # The profile of one in some tens has a second valley, which the interval then holds.
    apart = result.details["thickness_low"][:, 1] > result.details["thickness_high"][:, 2]
    assert apart.mean() > 0.9


def test_an_unmodelled_gain_raises_the_alarm_and_a_fitted_one_does_not() -> None:
    expected = 4e4 * UNDER + 4e4 * shape("Cs137", 3.0)
    moved = np.diff(np.interp(AXIS.edges / 1.02, AXIS.edges, np.append(0, np.cumsum(expected))))
    spectra = Spectra(np.random.default_rng(8).poisson(np.tile(moved, (40, 1))), AXIS)
    still = ManifoldUnmixer(table()).fit(background())
    assert still.analyze(spectra).flags["outlier"].mean() > 0.95
    fitted = ManifoldUnmixer(table(), gain=0.02).fit(background()).analyze(spectra)
    assert fitted.flags["outlier"].mean() < 0.2
    assert fitted.quality["gain"].mean() == pytest.approx(0.02, abs=2e-3)
    assert (fitted.quality["gain_uncertainty"] > 0).all()


def test_signatures_are_learned_from_labelled_spectra(learned: ManifoldUnmixer) -> None:
    assert learned.classes_.tolist() == [*NAMES, "background"]
    assert learned.signatures_.deformations[0].softening == pytest.approx(0.2)
    at = learned.signatures_.signature(4.0)
    for row, name in zip(at, learned.signatures_.names, strict=True):
        truth = shape(name, 4.0)
        assert np.abs(row - truth).sum() < 0.03
    assert set(learned.signature_errors_) == set(NAMES)
    result = learned.analyze(mixtures(AMOUNTS, 6.0, 100, 9))
    assert result.decisions[:, 1:].mean() > 0.98
    assert result.flags["outlier"].mean() < 0.06
    np.testing.assert_allclose(result.amounts.mean(axis=0)[1:], [2000, 1500, 4000], rtol=0.03)


@pytest.mark.parametrize("model", ["iae-joint", "iae-individual"])
def test_signatures_are_learned_by_an_autoencoder(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="needs the extra deep")
    from spectraloom import nets

    layers = nets.InterpolatoryLayers((4, 4), (5, 5), (1, 2), (0.5,))

    def quick(training: nets.TrainingSettings) -> nets.LearningSettings:
        short = nets.TrainingSettings(n_steps=300, steps_per_check=50, seed=training.seed)
        return Settings(layers=layers, training=short)

    Settings = nets.LearningSettings
    monkeypatch.setattr(nets, "LearningSettings", quick)
    told: list[float] = []
    unmixer = ManifoldUnmixer(model=model, random_state=3)
    unmixer.fit(training(), progress=lambda done, _: told.append(done))
    assert told[-1] == pytest.approx(1.0)
    assert len(unmixer.learning_["networks"]) == (1 if model == "iae-joint" else 3)
    assert unmixer.learning_["settings"]["training"]["seed"] == 3
    assert set(unmixer.signature_errors_) == set(NAMES)
    assert unmixer.signatures_.names == NAMES
    result = unmixer.analyze(mixtures({"background": 4000.0, "Cs137": 4000.0}, 4.0, 10, 20))
    assert (result.decisions[:, 2]).all()


def test_spectra_keep_their_own_calibration(model: ManifoldUnmixer) -> None:
    axis = Axis.from_polynomial((-10.0, 17.0, 0.01), 100)
    expected = 3000.0 * shape("Cs137", 2.0) + 3000.0 * UNDER
    cumulative = np.append(0.0, np.cumsum(expected))
    moved = np.diff(np.interp(axis.edges, AXIS.edges, cumulative))
    spectra = Spectra(np.random.default_rng(10).poisson(np.tile(moved, (50, 1))), axis)
    result = model.analyze(spectra)
    assert result.decisions[:, 2].all()
    assert result.amounts[:, 2].mean() == pytest.approx(3000.0, rel=0.05)
    assert result.denoised is not None
    assert result.denoised.axis.edges[0] >= AXIS.edges[0]
    with pytest.raises(AxisError, match="do not overlap"):
        model.analyze(Spectra(np.ones((1, 4)), Axis.regular(5000.0, 6000.0, 4)))
    with pytest.raises(AxisError, match=r"channels, uncalibrated.*: calibrate the spectra"):
        model.analyze(Spectra(np.ones((1, 96))))


def test_an_uncalibrated_axis_works_if_it_is_the_same() -> None:
    model = ManifoldUnmixer(table(Axis.uncalibrated(96))).fit(
        Spectra(background().values, Axis.uncalibrated(96))
    )
    values = mixtures(AMOUNTS, 5.0, 10, 11).values
    assert model.analyze(Spectra(values)).decisions[:, 1:].all()
    with pytest.raises(AxisError, match="as many channels"):
        model.analyze(Spectra(values[:, :50]))


def test_empty_spectra_answer(model: ManifoldUnmixer) -> None:
    result = model.analyze(Spectra(np.zeros((2, 96), dtype=int), AXIS))
    assert not result.decisions.any()
    assert result.flags["empty"].all()
    assert not result.flags["outlier"].any()
    assert np.isfinite(np.asarray(result.uncertainties)).all()
    assert result.top is not None
    assert result.top.tolist() == ["background"] * 2
    none = model.analyze(Spectra(np.zeros((0, 96), dtype=int), AXIS))
    assert len(none) == 0


@pytest.mark.parametrize("under", [True, False])
def test_one_source_with_and_without_background(under: bool) -> None:
    one = table().select(["Cs137"])
    model = ManifoldUnmixer(one, background="background" if under else None).fit(background())
    assert model.classes_.tolist() == ["Cs137", *(["background"] if under else [])]
    amounts = {"Cs137": 2000.0, "background": 2000.0 if under else 0.0}
    result = model.analyze(mixtures(amounts, 8.0, 30, 12))
    assert result.decisions[:, 0].all()
    assert result.quality["thickness"].mean() == pytest.approx(8.0, rel=0.25)
    assert (model.predict(mixtures(amounts, 8.0, 3, 13)) == "Cs137").all()


@pytest.mark.parametrize(
    "settings",
    [
        {"bins": "adaptive"},
        {"tilt": 0.1},
        {"broadening": 0.1},
        {"window": (40.0, 1400.0)},
    ],
)
def test_bins_window_and_latents_leave_the_amounts(settings: dict[str, Any]) -> None:
    model = ManifoldUnmixer(table(), **settings).fit(background())
    result = model.analyze(mixtures({"background": 2e4, "Co60": 2e4}, 5.0, 20, 14))
    error = float(np.mean(np.asarray(result.uncertainties)[:, 1])) / np.sqrt(20)
    assert result.amounts[:, 1].mean() == pytest.approx(2e4, abs=4.0 * error)
    assert error < 600.0
    assert result.denoised is not None
    bins = result.denoised.n_channels
    assert bins < 96 if {"bins", "window"} & set(settings) else bins == 96
    for name in set(settings) & {"tilt", "broadening"}:
        assert np.isfinite(result.quality[f"{name}_high"]).all()


def test_rates_are_unmixed_with_the_gaussian_likelihood(model: ManifoldUnmixer) -> None:
    counts = mixtures({"background": 4e4, "Co60": 4e4}, 5.0, 10, 15)
    rates = Spectra(counts.values / 100.0, AXIS, "rate", live_time=np.full(10, 100.0))
    result = model.analyze(rates)
    assert result.unit == "counts/s"
    assert result.amounts[:, 1].mean() == pytest.approx(400.0, rel=0.02)


def test_numbers_and_sets_are_predicted(model: ManifoldUnmixer) -> None:
    sets = model.predict_sets(mixtures(AMOUNTS, 5.0, 4, 16))
    assert {frozenset(entry) for entry in sets} == {frozenset({"Co60", "Cs137"})}
    values = np.random.default_rng(17).poisson(
        np.repeat(500.0 * np.array([shape("Co60", 0.0), shape("Cs137", 0.0)]), 15, axis=0)
    )
    numbers = ManifoldUnmixer().fit(values, np.repeat([1.5, 7.0], 15))
    assert numbers.predict(values[[0, 20]]).tolist() == [1.5, 7.0]


def test_several_deformations_take_known_names() -> None:
    x = np.arange(60.0)
    coordinates = (Deformation("shift", "ppm", -3.0, 3.0), Deformation("width", "ppm", 2.0, 5.0))
    places = [one.from_unit(np.linspace(0.0, 1.0, 9)) for one in coordinates]

    def peak(shift: float, width: float) -> np.ndarray:
        row = np.exp(-0.5 * ((x - 30.0 - shift) / width) ** 2)
        return np.asarray(row / row.sum())

    rows = np.array([[[peak(s, w)] for w in places[1]] for s in places[0]])
    axis = Axis.regular(0.0, 60.0, 60, quantity="shift", unit="ppm")
    model = ManifoldUnmixer(
        TabulatedSignature(axis, ("peak",), coordinates, rows), background=None
    ).fit(Spectra(np.ones((1, 60)), axis))
    noise = np.random.default_rng(18).normal(0.0, 0.05, (30, 60))
    spectra = Spectra(
        80.0 * peak(1.3, 3.1) + noise, axis, "intensity", variance=np.full((30, 60), 0.05**2)
    )
    result = model.analyze(spectra, names=["peak"])
    assert result.amounts[:, 0].mean() == pytest.approx(80.0, rel=0.01)
    assert result.quality["shift"].mean() == pytest.approx(1.3, abs=0.02)
    assert result.quality["width"].mean() == pytest.approx(3.1, abs=0.02)
    assert np.isnan(result.details["p_value"]).all()
    with pytest.raises(DataError, match="one deformation"):
        model.analyze(spectra)
    with pytest.raises(LabelError, match="no signature of line"):
        model.analyze(spectra, names=["line"])


def test_names_are_a_list(model: ManifoldUnmixer) -> None:
    with pytest.raises(DataError, match=r"such as \['Co60'\]"):
        model.analyze(background(), names="Co60")


def test_names_that_answers_use_are_those_that_are_refused() -> None:
    from spectraloom.analyze.manifold.settings import TAKEN

    latents = {"gain": 0.01, "offset": 1.0, "broadening": 0.1, "tilt": 0.1}
    model = ManifoldUnmixer(table(), **latents).fit(background())  # type: ignore[arg-type]
    result = model.analyze(mixtures(AMOUNTS, 5.0, 1, 1, live_time=[9.0]), intervals="profile")
    said = {*result.quality, *result.details}
    assert {name for name in said if not name.startswith("thickness")} <= TAKEN


def test_adaptive_bins_follow_what_tells_sources_apart() -> None:
    spectra = mixtures({"background": 3000.0, "Co60": 3000.0}, 5.0, 2, 1)
    still = ManifoldUnmixer(table()).fit(background()).analyze(spectra)
    coarse = ManifoldUnmixer(table(), bins="adaptive").fit(background())
    kept = coarse.table_for(AXIS).edges
    assert len(kept) - 1 < 0.8 * AXIS.n_channels
    found = coarse.analyze(spectra)
    np.testing.assert_allclose(
        np.asarray(found.uncertainties)[:, 1], np.asarray(still.uncertainties)[:, 1], rtol=0.02
    )
    np.testing.assert_allclose(found.amounts[:, 1], still.amounts[:, 1], rtol=0.01)
    # In any unit, and whatever the resolution is thought to be.
    mega = Axis.from_edges(AXIS.edges / 1000.0, quantity="energy", unit="MeV")
    other = ManifoldUnmixer(table(mega), bins="adaptive").fit(Spectra(background().values, mega))
    np.testing.assert_allclose(1000.0 * other.table_for(mega).edges, kept)


def test_settings_set_later_change_nothing_but_the_rate(model: ManifoldUnmixer) -> None:
    one = ManifoldUnmixer(table()).fit(background())
    spectra = mixtures(AMOUNTS, 5.0, 5, 19)
    before = one.analyze(spectra)
    one.set_params(individual=True, window=(40.0, 50.0), selection="all")
    after = one.analyze(spectra)
    assert json.dumps(before.to_dict()) == json.dumps(after.to_dict())


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "model": ({"model": "spline"}, FitError, "model is one of"),
    "selection": ({"selection": "some"}, FitError, "selection is one of"),
    "bins": ({"bins": 7}, FitError, "bins is one of"),
    "rate": ({"false_alarm_rate": 0.0}, DataError, "false-alarm rate"),
    "components": ({"background_components": 0}, FitError, "background_components"),
    "softening": ({"softening": "some"}, FitError, "softening is"),
    "tie": ({"tie": 0.1}, FitError, "individual=True"),
    "no column": ({"deformation": "depth"}, LabelError, "no column 'depth'"),
    "taken latent": ({"deformation": "gain"}, FitError, "cannot be called 'gain'"),
    "taken measure": ({"deformation": "deviance_per_dof"}, FitError, "cannot be called"),
    "taken detail": ({"deformation": "p_value"}, FitError, "cannot be called"),
    "individual": ({"individual": "yes"}, FitError, "individual is True or False"),
    "gain": ({"gain": "a"}, FitError, "prior width of gain"),
    "narrow gain": ({"gain": 1e-12}, FitError, "from 1e-05 on"),
    "narrow offset": ({"offset": 1e-9}, FitError, "keV at least"),
    "narrow known": ({"known": (1.0, 1e-9)}, FitError, "cannot be known to"),
    "known": ({"known": 5}, FitError, "a mean and a standard deviation"),
    "window": ({"window": 5}, FitError, "two increasing coordinates"),
    "resolution": ({"resolution": 0.07}, FitError, "resolution is"),
    "seed": ({"random_state": "a"}, FitError, "random_state"),
    "unit": ({"unit": None}, FitError, "unit is a text"),
    "signatures": ({"signatures": 5}, FitError, "a model of signatures"),
    "background": ({"background": "Background"}, FitError, "have no thickness"),
    "no numbers": ({"deformation": "labels"}, FitError, "numbers are expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_settings_are_refused(case: str) -> None:
    settings, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        ManifoldUnmixer(**settings).fit(training(4))


def test_bad_training_spectra_are_refused() -> None:
    spectra = training(4)
    with pytest.raises(FitError, match="no spectrum is labelled 'background' alone"):
        ManifoldUnmixer().fit(spectra[:-1])
    with pytest.raises(FitError, match="no spectrum is labelled 'Background' alone"):
        ManifoldUnmixer(table(), background="Background").fit(spectra[-1:])
    with pytest.raises(FitError, match="hold no counts"):
        ManifoldUnmixer(table()).fit(background(counts=0.0))
    with pytest.raises(FitError, match="exactly one source"):
        ManifoldUnmixer().fit(spectra[-1:])
    with pytest.raises(FitError, match="have no thickness"):
        ManifoldUnmixer().fit(spectra.with_columns(thickness=np.full(len(spectra), np.nan)))
    with pytest.raises(FitError, match="at least two values"):
        ManifoldUnmixer().fit(spectra.with_columns(thickness=np.ones(len(spectra))))
    with pytest.raises(FitError, match="requires y"):
        ManifoldUnmixer().fit(Spectra(spectra.values, AXIS))
    with pytest.raises(LabelError, match="is a source"):
        ManifoldUnmixer(table(), background="Co60").fit(background())
