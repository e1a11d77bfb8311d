from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import savgol_filter
from scipy.stats import poisson

from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError
from spectraloom.process import Smooth, anscombe, inverse_anscombe, smooth

AXIS = Axis.regular(0.0, 3000.0, 200)


def expected_transform(mean: float) -> tuple[float, float]:
    """Mean and variance of the transform of Poisson counts, summed over their distribution."""
    x = np.arange(int(mean + 12 * np.sqrt(mean) + 30))
    chance, z = poisson.pmf(x, mean), anscombe(x)
    first = float(chance @ z)
    return first, float(chance @ (z - first) ** 2)


@pytest.mark.parametrize("mean", [4.0, 5.0, 10.0, 50.0, 300.0])
def test_the_transform_evens_out_poisson_noise(mean: float) -> None:
    assert expected_transform(mean)[1] == pytest.approx(1.0, abs=0.025)


@pytest.mark.parametrize("mean", [0.5, 1.0, 2.0, 5.0, 20.0, 300.0])
def test_the_inverse_is_unbiased(mean: float) -> None:
    transformed, _ = expected_transform(mean)
    assert float(inverse_anscombe(transformed)) == pytest.approx(mean, abs=0.02)
    # What squaring back gives is low by about a quarter of a count.
    if mean >= 5:
        assert transformed**2 / 4 - 0.375 == pytest.approx(mean - 0.25, abs=0.03)


def test_the_inverse_is_never_negative_and_increases() -> None:
    z = np.linspace(-5, 60, 5001)
    counts = inverse_anscombe(z)
    assert counts.min() == 0.0
    assert float(inverse_anscombe(anscombe(0))) == pytest.approx(0.0, abs=1e-12)
    assert (np.diff(counts[z > anscombe(0)]) > 0).all()


@given(st.integers(1, 15).map(lambda half: 2 * half + 1), st.integers(0, 5), st.integers(31, 90))
def test_the_filter_agrees_with_scipy(window: int, order: int, n: int) -> None:
    if order >= window:
        with pytest.raises(DataError, match="order"):
            smooth(Spectra(np.ones((1, n))), window, order)
        return
    values = np.random.default_rng(n).normal(size=(3, n))
    smoothed = smooth(Spectra(values, kind="intensity"), window, order)
    np.testing.assert_allclose(
        smoothed.values, savgol_filter(values, window, order, mode="interp"), atol=1e-9
    )


def test_a_spectrum_shorter_than_the_window_is_fitted_as_a_whole() -> None:
    values = np.random.default_rng(0).normal(size=(2, 6))
    smoothed = smooth(Spectra(values, kind="intensity"), 11, 2)
    x = np.arange(6)
    expected = [np.polyval(np.polyfit(x, row, 2), x) for row in values]
    np.testing.assert_allclose(smoothed.values, expected, atol=1e-9)
    for n in (1, 2, 3):
        alone = np.arange(1.0, n + 1)[np.newaxis]
        np.testing.assert_allclose(smooth(Spectra(alone, kind="intensity")).values, alone)


def test_polynomials_and_complex_values_pass_unchanged() -> None:
    x = np.linspace(-1, 1, 50)
    cubic = (1 - 2 * x + 3 * x**2 + x**3)[np.newaxis]
    for values, kind in ((cubic, "intensity"), (cubic, "rate"), (cubic * (1 + 2j), "complex")):
        smoothed = smooth(Spectra(values, kind=kind))  # type: ignore[arg-type]
        assert smoothed.kind == kind
        np.testing.assert_allclose(smoothed.values, values, atol=1e-9)


def test_window_of_one_changes_nothing() -> None:
    counts = np.array([[0, 1, 5, 1000]])
    plain = smooth(Spectra(counts.astype(float), kind="intensity"), 1, 0)
    np.testing.assert_allclose(plain.values, counts)
    # On the Anscombe scale a single count is not its own unbiased estimate, but it is close.
    np.testing.assert_allclose(smooth(Spectra(counts), 1, 0).values, counts, atol=0.35)


def made(n: int) -> tuple[np.ndarray, Spectra]:
    energy = AXIS.centers
    mean = 40 * np.exp(-energy / 800) + 60 * np.exp(-0.5 * ((energy - 1200) / 120) ** 2) + 1.0
    return mean, Spectra(np.random.default_rng(6).poisson(mean, (n, 200)), AXIS)


def test_smoothed_counts_are_closer_to_the_truth() -> None:
    mean, spectra = made(400)
    smoothed = smooth(spectra)
    assert smoothed.kind == "intensity"
    assert smoothed.values.min() >= 0
    before = ((spectra.values - mean) ** 2).mean()
    after = ((smoothed.values - mean) ** 2).mean()
    assert after < 0.35 * before
    # The mean over spectra is the truth, and the area is kept within a per cent.
    np.testing.assert_allclose(smoothed.values.mean(axis=0), mean, rtol=0.08, atol=0.2)
    assert smoothed.totals.mean() == pytest.approx(spectra.totals.mean(), rel=0.01)


def test_variance_of_smoothed_counts_agrees_with_simulation() -> None:
    mean, spectra = made(4000)
    smoothed = smooth(spectra)
    assert smoothed.variance is not None
    bright = mean > 5
    np.testing.assert_allclose(
        smoothed.values.var(axis=0)[bright], smoothed.variance.mean(axis=0)[bright], rtol=0.15
    )
    # A variance that is given counts: half as noisy values stay half as noisy.
    calm = smooth(spectra.replace(variance=spectra.values / 4.0))
    assert calm.variance is not None
    ratio = calm.variance[:, bright].mean() / smoothed.variance[:, bright].mean()
    assert ratio == pytest.approx(0.25, rel=0.1)


def test_variance_of_signed_spectra_agrees_with_simulation() -> None:
    rng = np.random.default_rng(7)
    spread = np.linspace(1, 3, 30)
    values = rng.normal(size=(20_000, 30)) * spread
    variance = np.broadcast_to(spread**2, values.shape)
    smoothed = smooth(Spectra(values, kind="intensity", variance=variance), 7, 2)
    assert smoothed.variance is not None
    np.testing.assert_allclose(smoothed.values.var(axis=0), smoothed.variance[0], rtol=0.06)
    assert smooth(Spectra(values, kind="intensity")).variance is None


@pytest.mark.parametrize(("window", "order"), [(0, 0), (4, 2), (-3, 1), (5, 5), (5, -1)])
def test_bad_settings_are_refused(window: int, order: int) -> None:
    with pytest.raises(DataError):
        smooth(Spectra(np.ones((1, 20))), window, order)


def test_transformer_uses_the_kind_of_fit() -> None:
    _, spectra = made(5)
    step = Smooth(7, 2).fit(spectra)
    expected = smooth(spectra, 7, 2).values
    np.testing.assert_array_equal(step.transform(spectra).values, expected)
    np.testing.assert_allclose(step.transform(spectra.values), expected)
    plain = Smooth(7, 2).fit(spectra.values).transform(spectra.values)
    np.testing.assert_allclose(plain, savgol_filter(spectra.values, 7, 2), atol=1e-9)
