from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze import Identifier
from spectraloom.analyze.identify.residual_peaks import (
    _peak_filters,
    line_table,
    name_residual_peaks,
)
from spectraloom.analyze.likelihood import Resolution
from spectraloom.data import Axis, Library, Result, Spectra
from spectraloom.errors import AxisError, DataError
from spectraloom.physics.gamma import Lines

AXIS = Axis.regular(0.0, 1600.0, 400)
RESOLUTION = Resolution(0.07)


def peak(energy: float) -> np.ndarray:
    sigma = float(RESOLUTION.at(np.array([energy]))[0]) / 2.3548
    shape = np.exp(-0.5 * ((AXIS.centers - energy) / sigma) ** 2)
    return shape / shape.sum() + 1e-9


@pytest.fixture(scope="module")
def model() -> Identifier:
    library = Library(peak(1173.0) + peak(1332.0), AXIS, ("Co60",))
    return Identifier(library, n_bootstrap=0, pileup=False).fit(
        Spectra((1e6 * background()).astype(int)[None], AXIS)
    )


def background() -> np.ndarray:
    shape = np.exp(-AXIS.centers / 300.0) + 0.02
    return shape / shape.sum()


def draw(extra: np.ndarray, n: int, seed: int = 1) -> Spectra:
    expected = 5000 * background() + 1000 * (peak(1173.0) + peak(1332.0)) + extra
    return Spectra(np.random.default_rng(seed).poisson(np.tile(expected, (n, 1))), AXIS)


def test_a_missing_source_is_named_by_its_line(model: Identifier) -> None:
    spectra = draw(800 * peak(661.7), 40)
    for peaks in name_residual_peaks(model.analyze(spectra), spectra):
        assert peaks[0].sources[0] == "Cs137"
        assert peaks[0].energy == pytest.approx(661.7, abs=15.0)
        assert peaks[0].significance > 10
    counts = [p[0].counts for p in name_residual_peaks(model.analyze(spectra), spectra)]
    assert np.mean(counts) == pytest.approx(800, rel=0.2)


def test_what_the_library_explains_leaves_no_peak(model: Identifier) -> None:
    spectra = draw(np.zeros(AXIS.n_channels), 1000, 2)
    found = name_residual_peaks(model.analyze(spectra), spectra)
    assert sum(bool(peaks) for peaks in found) <= 5
    # A smooth misfit is no peak either.
    smooth = draw(400 * np.exp(-AXIS.centers / 500.0) / 125.0, 200, 3)
    found = name_residual_peaks(model.analyze(smooth), smooth)
    assert sum(bool(peaks) for peaks in found) <= 4


def explained(values: np.ndarray, fitted: np.ndarray) -> tuple[Result, Spectra]:
    """Spectra, and a result that explains each of them by the same counts."""
    n = len(values)
    denoised = Spectra(np.tile(fitted, (n, 1)), AXIS)
    one = np.ones((n, 1))
    return Result(("background",), one, one > 0, denoised=denoised), Spectra(values, AXIS)


def test_noise_of_the_templates_makes_no_peaks() -> None:
    # The background was learned from 60 000 counts, and a million are judged.
    rng = np.random.default_rng(6)
    truth = 1e6 * background()
    learned = rng.poisson(truth * 0.06) / 0.06
    values = rng.poisson(truth, (40, AXIS.n_channels))
    found = name_residual_peaks(*explained(values, learned))
    assert sum(map(len, found)) <= 2
    # By counting alone such peaks are there.
    bare = (values - learned) @ _peak_filters(AXIS, RESOLUTION)[0].T
    assert (
        np.abs(bare[0]) / np.sqrt(truth @ (_peak_filters(AXIS, RESOLUTION)[0] ** 2).T)
    ).max() > 6
    # A peak that stands out of them is found.
    values = rng.poisson(truth + 20000 * peak(661.7), (40, AXIS.n_channels))
    for peaks in name_residual_peaks(*explained(values, learned)):
        assert peaks[0].sources[0] == "Cs137"
        assert 5 < peaks[0].significance < 40


def test_a_strong_peak_does_not_hide_itself() -> None:
    rng = np.random.default_rng(7)
    values = rng.poisson(1e5 * background() + 1e4 * peak(661.7), (5, AXIS.n_channels))
    for peaks in name_residual_peaks(*explained(values, 1e5 * background())):
        assert peaks[0].sources[0] == "Cs137"
        assert peaks[0].significance > 60  # with its own misfit in the scatter it would be 20


def test_a_table_of_ones_own_and_a_peak_without_a_name(model: Identifier) -> None:
    spectra = draw(2000 * peak(500.0), 3, 4)
    result = model.analyze(spectra)
    own = {"Here": Lines(np.array([505.0]), np.array([1.0]))}
    assert name_residual_peaks(result, spectra, own)[0][0].sources == ("Here",)
    assert name_residual_peaks(result, spectra, {})[0][0].sources == ()


def test_the_table_holds_strong_lines_of_sources() -> None:
    table = line_table()
    assert "background" not in table
    assert np.abs(table["Cs137"].energies - 661.66).min() < 0.1
    for known in table.values():
        assert (known.intensities >= 0.1 * known.intensities.max()).all()


def test_what_has_no_residual_is_refused(model: Identifier) -> None:
    spectra = draw(np.zeros(AXIS.n_channels), 3, 5)
    result = model.analyze(spectra)
    with pytest.raises(DataError, match="result of their fit"):
        name_residual_peaks(result, spectra[:2])
    bare = Axis.uncalibrated(400)
    library = Library(np.vstack([peak(1173.0), background()]), bare, ("Co60", "background"))
    still = Identifier(library, n_bootstrap=0).fit(Spectra(np.ones((1, 400), int), bare))
    plain = Spectra(spectra.values, bare)
    with pytest.raises(AxisError, match="keV"):
        name_residual_peaks(still.analyze(plain), plain)
