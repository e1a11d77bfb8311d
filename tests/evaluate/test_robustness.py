from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.analyze import SupervisedNMF
from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate import robustness
from spectraloom.evaluate.robustness import add_noise, thin

AXIS = Axis.regular(0.0, 400.0, 40)


def peaks(rng: np.random.Generator, n: int = 15) -> Spectra:
    x = np.arange(40)
    means = [np.exp(-0.5 * ((x - c) / 2.0) ** 2) + 0.1 for c in (8.0, 20.0, 32.0)]
    means.append(np.exp(-x / 10.0))
    labels = np.repeat(["a", "b", "c", "background"], n)
    return Spectra(
        rng.poisson(60.0 * np.repeat(means, n, axis=0)), AXIS, columns={"labels": labels}
    )


# -- thinning ----------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.9])
def test_thinned_counts_have_the_statistics_of_a_shorter_measurement(
    rng: np.random.Generator, keep: float
) -> None:
    whole = Spectra(np.full((20_000, 3), [0, 7, 400]), live_time=10.0, real_time=12.0)
    kept = thin(whole, keep, rng)
    counts = np.array([0.0, 7.0, 400.0])
    np.testing.assert_allclose(kept.values.mean(axis=0), keep * counts, rtol=0.05)
    np.testing.assert_allclose(kept.values.var(axis=0), keep * (1 - keep) * counts, rtol=0.06)
    assert kept.kind == "counts"
    assert (kept.values == np.round(kept.values)).all()
    assert (kept.values <= whole.values).all()
    np.testing.assert_allclose(kept.live_time, 10.0 * keep)
    np.testing.assert_allclose(kept.real_time, 12.0 * keep)
    # Poisson counts stay Poisson.
    poisson = thin(Spectra(rng.poisson(50.0, (20_000, 2))), keep, rng).values
    assert poisson.var() == pytest.approx(poisson.mean(), rel=0.04)


@given(seed=st.integers(0, 2**32 - 1))
def test_keeping_everything_changes_nothing(seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 1000, (3, 5))
    kept = thin(Spectra(counts), 1.0, np.random.default_rng(seed))
    np.testing.assert_array_equal(kept.values, counts)
    assert kept.live_time is None


def test_fractions_of_counts_are_rounded_without_bias(rng: np.random.Generator) -> None:
    kept = thin(Spectra(np.full((20_000, 2), [0.25, 3.5])), 1.0, rng)
    assert set(np.unique(kept.values[:, 1])) == {3.0, 4.0}
    np.testing.assert_allclose(kept.values.mean(axis=0), [0.25, 3.5], rtol=0.05)


def test_what_cannot_be_thinned_is_refused(rng: np.random.Generator) -> None:
    for keep in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(DataError, match=r"lies in \(0, 1\]"):
            thin(Spectra(np.ones((2, 3))), keep, rng)
    with pytest.raises(DataError, match="only counts can be thinned, not rate"):
        thin(Spectra(np.ones((2, 3)), kind="rate"), 0.5, rng)


# -- noise -------------------------------------------------------------------------------------


def test_noise_has_the_stated_size(rng: np.random.Generator) -> None:
    spectra = Spectra(np.repeat([[10.0, 30.0], [100.0, 300.0]], 20_000, axis=0), kind="intensity")
    noise = add_noise(spectra, 0.5, rng).values - spectra.values
    np.testing.assert_allclose(noise[:20_000].std(axis=0), 0.5 * 20.0, rtol=0.03)
    np.testing.assert_allclose(noise[20_000:].std(axis=0), 0.5 * 200.0, rtol=0.03)
    assert abs(noise[:20_000].mean()) < 0.2


def test_counts_stay_counts_and_signed_spectra_signed(rng: np.random.Generator) -> None:
    values = np.full((50, 20), 1.0)
    counts = add_noise(Spectra(values), 2.0, rng)
    assert counts.kind == "counts"
    assert counts.values.min() == 0.0
    signed = add_noise(Spectra(-values, kind="intensity"), 2.0, rng)
    assert signed.values.min() < -1.0 < signed.values.max()
    assert signed.values.std() == pytest.approx(2.0, rel=0.1)
    small = Spectra(np.full((300, 2), 250, dtype=np.uint8))
    assert add_noise(small, 0.3, rng).values.mean() == pytest.approx(250.0, rel=0.1)


def test_no_noise_is_none(rng: np.random.Generator) -> None:
    spectra = peaks(rng)
    np.testing.assert_array_equal(add_noise(spectra, 0.0, rng).values, spectra.values)
    for level in (-0.1, float("nan")):
        with pytest.raises(DataError, match="cannot be added"):
            add_noise(spectra, level, rng)
    with pytest.raises(DataError, match="complex"):
        add_noise(Spectra(np.ones((1, 3)) * 1j, kind="complex"), 0.1, rng)


# -- the experiment ----------------------------------------------------------------------------


def test_accuracy_falls_as_spectra_get_worse(rng: np.random.Generator) -> None:
    seen: list[str] = []
    points = robustness(
        SupervisedNMF(),
        peaks(rng),
        peaks(rng),
        noise=(0.0, 3.0),
        kept=(1.0, 0.004),
        seed=1,
        progress=lambda fraction, text: seen.append(text),
    )
    assert [(point.disturbance, point.level) for point in points] == [
        ("noise", 0.0), ("noise", 3.0), ("thinning", 1.0), ("thinning", 0.004)
    ]  # fmt: skip
    clean, noisy, whole, thinned = points
    assert clean.accuracy == whole.accuracy > 0.95
    assert noisy.accuracy < 0.9
    assert thinned.accuracy < 0.9
    assert noisy.cosine < clean.cosine
    assert thinned.cosine < whole.cosine
    assert thinned.mean_counts == pytest.approx(0.004 * whole.mean_counts, rel=0.2)
    assert clean.mean_counts == whole.mean_counts
    assert clean.outlier_accuracy > 0.9
    assert min(noisy.outlier_accuracy, thinned.outlier_accuracy) < clean.outlier_accuracy
    assert len(seen) == 4
    assert json.loads(json.dumps(clean.to_dict()))["disturbance"] == "noise"


def test_the_same_seed_gives_the_same_points(rng: np.random.Generator) -> None:
    train, test = peaks(rng, 8), peaks(rng, 8)
    runs = [
        robustness(SupervisedNMF(), train, test, noise=(0.5,), kept=(0.3,), seed=seed)
        for seed in (5, 5, 6)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_one_label_per_spectrum_is_needed(rng: np.random.Generator) -> None:
    test = peaks(rng).with_columns(labels=[("a", "b")] * 60)
    with pytest.raises(DataError, match="exactly one label"):
        robustness(SupervisedNMF(), peaks(rng), test, noise=(), kept=())
