from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate import throughput
from spectraloom.evaluate.throughput import measure_throughput, variant_loadings

AXIS = Axis.regular(0.0, 300.0, 30)


def training(rng: np.random.Generator, n: int = 40) -> Spectra:
    means = 5.0 + 60.0 * np.exp(-0.5 * ((np.arange(30) - [[5.0], [15.0], [25.0]]) / 2.0) ** 2)
    labels = np.repeat(["a", "b", "background"], n)
    return Spectra(rng.poisson(np.repeat(means, n, axis=0)), AXIS, columns={"labels": labels})


def test_all_figures_are_measured(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput, "peak_memory_of_a_million", lambda: 123)
    found = measure_throughput(training(rng), n_spectra=60)
    assert found["n_spectra"] == 60
    assert found["n_channels"] == 30
    assert found["n_loadings"] == 18
    rates = [name for name in found if name.endswith("_per_second")]
    assert sorted(rates) == [
        "analyze_per_second", "nnls_per_second", "rebin_per_second", "reference_rebin_per_second",
        "scipy_nnls_per_second",
    ]  # fmt: skip
    assert all(np.isfinite(found[name]) and found[name] > 0 for name in rates)
    assert found["nnls_speedup"] == pytest.approx(
        found["nnls_per_second"] / found["scipy_nnls_per_second"]
    )
    assert 0 <= found["nnls_max_relative_difference"] < 1e-6
    assert found["million_spectra_peak_bytes"] == 123


def test_variant_loadings_are_means_of_parts_of_a_label(rng: np.random.Generator) -> None:
    spectra = training(rng)
    loadings = variant_loadings(spectra, 7)
    assert loadings.shape == (7, 30)
    np.testing.assert_allclose(loadings.sum(axis=1), 1.0)
    assert len(np.unique(loadings, axis=0)) == 7
    whole = variant_loadings(spectra, 3)
    mean = spectra.values[:40].mean(axis=0)
    np.testing.assert_allclose(whole[0], mean / mean.sum())
    with pytest.raises(DataError, match="50 loadings were wanted, the spectra give 3"):
        variant_loadings(spectra[[0, 0, 40, 40, 80, 80]], 50)


def test_the_measuring_process_says_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same script, with fewer spectra."""
    assert "(1_000_000, 256)" in throughput._MILLION
    fewer = throughput._MILLION.replace("1_000_000", "20_000")
    monkeypatch.setattr(throughput, "_MILLION", fewer)
    peak = throughput.peak_memory_of_a_million()
    if sys.platform == "win32":
        assert peak is None
    else:
        assert peak is not None
        assert 50e6 < peak < 1e9


MEMORY = """
import resource
import numpy as np
from spectraloom.analyze import SupervisedNMF
from spectraloom.data import Axis, Spectra

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

n = 200_000
rng = np.random.default_rng(0)
axis = Axis.regular(0.0, 2048.0, 256)
train = Spectra(rng.poisson(5.0 + 50.0 * np.eye(5, 256)[np.arange(50) % 5]), axis)
model = SupervisedNMF(background=None).fit(train, [f"class {i % 5}" for i in range(50)])
block = rng.poisson(5.0, (4000, 256)).astype(np.float32)
small = Spectra(block, axis)
model.transform(small)
model.analyze(small, denoise=False)
values = np.tile(block, (n // len(block), 1))
before = peak()
spectra = Spectra(values, axis)
model.transform(spectra)
after_transform = peak()
model.analyze(spectra, denoise=False)
print(values.nbytes, after_transform - before, peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read on Linux")
def test_unmixing_makes_no_copy_of_the_spectra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    data, transform, analyze = map(int, done.stdout.split())
    assert data == 200_000 * 256 * 4
    # A float64 copy would take twice the data, a float32 copy once.
    assert transform < 0.25 * data
    assert analyze < 0.75 * data
