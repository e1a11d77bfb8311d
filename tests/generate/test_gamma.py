from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit
from scipy.stats import chi2

from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError, LabelError
from spectraloom.generate import simulate_gamma
from spectraloom.physics.gamma import (
    BACKGROUND,
    GammaDetector,
    detector,
    expected_spectrum,
    material,
)

EAST = GammaDetector("east", Axis.from_polynomial((-8.0, 4.1, 3e-4), 512))
WEST = GammaDetector("west", Axis.regular(0.0, 2000.0, 256), fwhm_662=0.08)


def truth(spectra: Spectra) -> np.ndarray:
    return np.stack([v for k, v in spectra.columns.items() if k.startswith("true_")])


def test_photopeak_of_many_counts_has_its_place_and_width() -> None:
    fine = GammaDetector("fine", Axis.regular(0.0, 800.0, 800))
    spectrum = simulate_gamma(["Cs137"], fine, 1, counts=(4e6, 4e6), seed=1).values[0]
    x = fine.axis.centers

    def model(x: np.ndarray, *p: float) -> np.ndarray:
        height, place, width, level, slope = p
        return height * np.exp(-0.5 * ((x - place) / width) ** 2) + level + slope * (x - place)

    near = slice(630, 720)
    start = (spectrum[near].max(), 660.0, 20.0, 10.0, 0.0)
    sigma = np.sqrt(np.maximum(spectrum[near], 1))
    fitted, _ = curve_fit(model, x[near], spectrum[near], start, sigma=sigma)
    assert fitted[1] == pytest.approx(661.657, abs=0.5)
    assert 2.35482 * fitted[2] == pytest.approx(0.07 * 661.657, rel=0.02)


def test_counts_follow_poisson() -> None:
    spectra = simulate_gamma(
        ["Cs137"], WEST, 4000, counts=(5e3, 5e3), background_counts=(2e3, 2e3), seed=2
    )
    values = spectra.values
    mean = 5e3 * expected_spectrum("Cs137", WEST) + 2e3 * expected_spectrum(BACKGROUND, WEST)
    some = mean > 1
    ratio = values[:, some].var(axis=0, ddof=1) / mean[some]
    assert ratio.mean() == pytest.approx(1.0, abs=5 * np.sqrt(2 / values.shape[0] / some.sum()))
    score = ((values.mean(axis=0) - mean)[some] ** 2 * values.shape[0] / mean[some]).sum()
    assert 1e-4 < chi2.sf(score, some.sum()) < 1 - 1e-4
    totals = spectra.totals
    assert totals.var() / totals.mean() == pytest.approx(1.0, abs=0.1)
    # channels are drawn independently of each other
    pair = np.corrcoef(values[:, [20, 21]].T)[0, 1]
    assert abs(pair) < 5 / np.sqrt(values.shape[0])


@given(
    n=st.integers(1, 30),
    seed=st.integers(0, 2**32),
    drift=st.sampled_from([0.0, 0.01]),
    background=st.sampled_from([None, (0.0, 0.0), (100.0, 300.0)]),
)
def test_truth_adds_up_to_what_was_expected(
    n: int, seed: int, drift: float, background: tuple[float, float] | None
) -> None:
    spectra = simulate_gamma(
        ["Cs137", ("Co60", "Am241"), BACKGROUND],
        WEST,
        n,
        counts=(2e3, 2e5),
        absorbers=(None, ("Fe", 0.1)),
        background_counts=background,
        gain_drift=drift,
        seed=seed,
    )
    assert len(spectra) == n
    parts = truth(spectra)
    totals = parts.sum(axis=0)
    assert parts.min() >= 0.0
    away = (spectra.totals - totals) / np.sqrt(np.maximum(totals, 1.0))
    assert np.abs(away).max() < 6.0
    for row, entry in enumerate(spectra.labels):
        present = {name for name in entry if name != BACKGROUND}
        for name in ("Cs137", "Co60", "Am241"):
            assert (spectra.column(f"true_{name}")[row] > 0) == (name in present)
        amount = sum(spectra.column(f"true_{name}")[row] for name in present)
        assert not present or 2e3 * (1 - 1e-9) <= amount <= 2e5 * (1 + 1e-9)
        if background is not None:
            assert entry[-1] == BACKGROUND
            assert background[0] <= spectra.column("true_background")[row] <= background[1]


def test_expectation_is_the_sum_of_its_shapes() -> None:
    spectra = simulate_gamma(
        [("Co60", "Cs137")], EAST, 1, counts=(1e7, 1e7), absorbers=[("Pb", 0.3)], seed=3
    )
    mean = sum(
        spectra.column(f"true_{name}")[0] * expected_spectrum(name, EAST, ("Pb", 0.3))
        for name in ("Co60", "Cs137")
    )
    some = mean > 20
    score = ((spectra.values[0] - mean)[some] ** 2 / mean[some]).sum()
    assert 1e-4 < chi2.sf(score, some.sum()) < 1 - 1e-4


def test_a_seed_gives_the_same_spectra_and_another_gives_others() -> None:
    def draw(seed: int | np.random.Generator) -> Spectra:
        return simulate_gamma(
            ["Cs137", "K40"], WEST, 12, absorbers=(None, ("Pb", 0.1)), gain_drift=0.01, seed=seed
        )

    assert draw(7).fingerprint() == draw(7).fingerprint()
    assert draw(7).fingerprint() == draw(np.random.default_rng(7)).fingerprint()
    assert draw(7).fingerprint() != draw(8).fingerprint()


def test_columns_say_what_was_done() -> None:
    spectra = simulate_gamma(
        ["Cs137", BACKGROUND], WEST, 40, absorbers=[("Pb", 0.25)], live_time=3.0, seed=1
    )
    alone = np.array([entry == (BACKGROUND,) for entry in spectra.labels])
    assert alone.sum() == 20
    assert set(spectra.column("absorber")[~alone]) == {"Pb 0.25 cm"}
    assert set(spectra.column("absorber")[alone]) == {""}
    assert set(spectra.column("material")) == {"Pb", ""}
    np.testing.assert_array_equal(spectra.column("thickness"), np.where(alone, 0.0, 0.25))
    np.testing.assert_array_equal(spectra.column("gain"), 1.0)
    assert set(spectra.column("detector")) == {"west"}
    np.testing.assert_array_equal(spectra.live_time, 3.0)
    assert spectra.kind == "counts"
    assert spectra.values.dtype == np.int64
    assert spectra.axis is WEST.axis


def test_entries_come_equally_often() -> None:
    labels = simulate_gamma(["Cs137", "Co60", "K40"], WEST, 100, seed=1).labels
    counted = [sum(entry == (name,) for entry in labels) for name in ("Cs137", "Co60", "K40")]
    assert sorted(counted) == [33, 33, 34]


def test_gain_moves_peaks_and_keeps_totals() -> None:
    spectra = simulate_gamma(["Cs137"], EAST, 60, counts=(1e6, 1e6), gain_drift=0.01, seed=5)
    gain = spectra.column("gain")
    assert gain.std() == pytest.approx(0.01, rel=0.4)
    near = EAST.axis.window(600, 720)
    centers = EAST.axis.centers[near]
    places = []
    for row in spectra.values[:, near]:
        top = row > 0.4 * row.max()
        places.append(np.average(centers[top], weights=row[top]))
    slope, offset = np.polyfit(gain, places, 1)
    assert slope + offset == pytest.approx(660.5, abs=2.5)
    assert slope == pytest.approx(661.7, rel=0.1)
    assert np.abs(spectra.totals - 1e6).max() < 6e3


def test_detectors_differ_in_calibration() -> None:
    peaks = [
        int(simulate_gamma(["Cs137"], d, 1, counts=(1e6, 1e6), seed=1).values[0, 100:].argmax())
        for d in (EAST, GammaDetector("other", Axis.regular(0.0, 1500.0, 512)))
    ]
    assert abs(peaks[0] - peaks[1]) > 20


def test_two_thousand_spectra_take_less_than_a_second() -> None:
    settings = {"absorbers": (None, ("Pb", 0.1)), "background_counts": (1e3, 2e3)}
    names = ["Am241", "Co60", "Cs137", "Eu152"]
    simulate_gamma(names, EAST, 8, **settings, seed=1)
    start = time.process_time()
    simulate_gamma(names, EAST, 2000, **settings, gain_drift=0.005, seed=1)
    assert time.process_time() - start < 1.0


def test_any_nuclide_and_material_can_be_simulated() -> None:
    spectra = simulate_gamma(
        ["Ir192", "Na22"], EAST, 4, absorbers=[("stainless steel", 0.5)], counts=(1e4, 1e4), seed=3
    )
    assert set(spectra.columns["material"].tolist()) == {"stainless steel"}
    energies = EAST.axis.centers
    sodium = spectra.values[np.asarray(spectra.columns["true_Na22"]) > 0].sum(axis=0)
    peak = sodium[np.abs(energies - 511.0) < 25].mean()
    assert peak > 2.0 * sodium[np.abs(energies - 600.0) < 25].mean()  # annihilation photons


def test_names_numbers_and_texts_stand_for_what_they_mean() -> None:
    plain = simulate_gamma(
        ["Cs137", ("Am241", "Co60")],
        detector("NaI 3x3"),
        6,
        counts=(500.0, 500.0),
        absorbers=[None, ("Fe", 1.0)],
        seed=4,
    )
    short = simulate_gamma(
        ["Cs-137", ("241Am", "60Co")],
        "nai 3x3",
        6,
        counts=500,
        absorbers=["none", "Fe 1"],
        seed=4,
    )
    assert short.fingerprint() == plain.fingerprint()
    assert {name for entry in short.labels for name in entry} == {"Cs137", "Am241", "Co60"}


def test_a_material_of_ones_own_is_an_absorber() -> None:
    scintillator = material("Gd2O2S", density=7.3)
    spectra = simulate_gamma(["Cs137"], EAST, 2, absorbers=[(scintillator, 0.5)], seed=3)
    assert spectra.columns["absorber"].tolist() == ["Gd2O2S 0.5 cm"] * 2
    assert spectra.columns["material"].tolist() == ["Gd2O2S"] * 2


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"detector": "NaI 3x4"}, LabelError, "did you mean 'NaI 3x3'"),
        ({"detector": None}, DataError, "a detector is a name or a GammaDetector"),
        ({"counts": "many"}, DataError, "counts is a number"),
        ({"counts": None}, DataError, "counts is a number"),
        ({"absorbers": "Fe 1"}, DataError, "absorbers is a list"),
        ({"absorbers": ["Fe"]}, DataError, "an absorber is none, a material and"),
        ({"nuclides": [("Cs137", "Cs-137")]}, DataError, "twice"),
        ({"nuclides": [137]}, LabelError, "name of a nuclide"),
        ({"nuclides": [[137]]}, LabelError, "name of a nuclide"),
        ({"nuclides": "Cs137"}, DataError, "is a sequence"),
        ({"nuclides": []}, DataError, "at least one"),
        ({"nuclides": [()]}, DataError, "at least one"),
        ({"nuclides": ["Cs137", "Xx1"]}, LabelError, "known sources"),
        ({"nuclides": [("Cs137", "Cs137")]}, DataError, "twice"),
        ({"nuclides": [("Cs137", BACKGROUND)]}, DataError, "background_counts"),
        ({"n": 0}, DataError, "at least one spectrum"),
        ({"counts": (10.0, 5.0)}, DataError, "counts is a pair"),
        ({"counts": (0.0, 5.0)}, DataError, "above 0"),
        ({"background_counts": (-1.0, 5.0)}, DataError, "background_counts"),
        ({"background_counts": (1.0, np.nan)}, DataError, "background_counts"),
        ({"absorbers": []}, DataError, "bare sources"),
        ({"absorbers": [("wood", 1.0)]}, LabelError, "known materials"),
        ({"absorbers": [("Pb", -1.0)]}, DataError, "thickness is a number of 0 or more"),
        ({"absorbers": [("Gd2O2S", 1.0)]}, DataError, "density of 'Gd2O2S' is not known"),
        ({"nuclides": ["H3"]}, DataError, "neither H3 nor a daughter"),
        ({"live_time": -1.0}, DataError, "live_time"),
        ({"gain_drift": 0.5}, DataError, "gain_drift"),
    ],
)
def test_senseless_settings_are_refused(
    change: dict[str, object], error: type[Exception], message: str
) -> None:
    settings = {"nuclides": ["Cs137"], "detector": WEST, "n": 2, "seed": 1}
    with pytest.raises(error, match=message):
        simulate_gamma(**{**settings, **change})
