"""Speed and memory, measured beside the plain way in the same run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import nnls as scipy_nnls

from spectraloom._typing import FloatArray
from spectraloom.analyze.least_squares import nnls
from spectraloom.analyze.loadings import split_into_variants
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data.axis import Axis
from spectraloom.data.library import single_labels
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate import reference
from spectraloom.process import rebin

N_SPECTRA = 200_000
N_LOADINGS = 18
_MILLION = """
import resource, sys
import numpy as np
from spectraloom.analyze.supervised_nmf import SupervisedNMF
from spectraloom.data import Axis, Spectra
rng = np.random.default_rng(0)
axis = Axis.regular(0.0, 2048.0, 256)
train = Spectra(rng.poisson(5.0 + 50.0 * np.eye(5, 256)[np.arange(50) % 5]), axis)
model = SupervisedNMF(background=None).fit(train, [f"class {i % 5}" for i in range(50)])
values = np.empty((1_000_000, 256), dtype=np.float32)
block = rng.poisson(5.0, (10_000, 256)).astype(np.float32)
for start in range(0, len(values), len(block)):
    values[start : start + len(block)] = block
model.transform(Spectra(values, axis))
try:
    # What getrusage says includes the process that started this one.
    lines = open("/proc/self/status").read().splitlines()
    print(1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak * (1 if sys.platform == "darwin" else 1024))
"""


def measure_throughput(
    training: Spectra, *, n_spectra: int = N_SPECTRA, seed: int = 0
) -> dict[str, Any]:
    """Speed of unmixing and rebinning at the size of the data, and the memory of a million.

    Parameters
    ----------
    training : Spectra
        Labelled spectra; their variants make the loadings.
    n_spectra : int
        How many spectra to unmix and rebin.
    seed : int

    Returns
    -------
    dict
        ``nnls_per_second``, ``scipy_nnls_per_second`` (a loop over the same spectra),
        ``nnls_speedup``, ``nnls_max_relative_difference``, ``rebin_per_second`` (best of three,
        because the first run also pays for memory that is fresh), the same for the reference's
        interpolation as ``reference_rebin_per_second``, ``analyze_per_second``,
        ``million_spectra_peak_bytes``.
    """
    rng = np.random.default_rng(seed)
    loadings = variant_loadings(training, N_LOADINGS, seed)
    mixing = rng.dirichlet(np.full(len(loadings), 0.2), n_spectra)
    mixing *= rng.uniform(500.0, 5000.0, (n_spectra, 1))
    values = rng.poisson(mixing @ loadings).astype(np.float64)
    nnls(values[:1000], loadings)  # compile first
    seconds, fast = _timed(lambda: nnls(values, loadings))
    slow_seconds, slow = _timed(
        lambda: np.array([scipy_nnls(loadings.T, row)[0] for row in values])
    )
    difference = np.abs(fast - slow).max(axis=1) / np.maximum(slow.max(axis=1), 1e-300)
    spectra = Spectra(values, training.axis)
    other = Axis.from_edges(training.axis.edges * 1.02 + 3.0)
    rebin(spectra[:1000], other)
    rebin_seconds = min(_timed(lambda: rebin(spectra, other))[0] for _ in range(3))
    slow_rebin_seconds = min(
        _timed(lambda: reference.interpolated_rebin(spectra, other))[0] for _ in range(3)
    )
    model = SupervisedNMF().fit(training)
    model.analyze(spectra[:1000])
    analyze_seconds, _ = _timed(lambda: model.analyze(spectra, denoise=False))
    return {
        "n_spectra": n_spectra,
        "n_channels": spectra.n_channels,
        "n_loadings": len(loadings),
        "nnls_per_second": n_spectra / seconds,
        "scipy_nnls_per_second": n_spectra / slow_seconds,
        "nnls_speedup": slow_seconds / seconds,
        "nnls_max_relative_difference": float(difference.max()),
        "rebin_per_second": n_spectra / rebin_seconds,
        "reference_rebin_per_second": n_spectra / slow_rebin_seconds,
        "analyze_per_second": n_spectra / analyze_seconds,
        "million_spectra_peak_bytes": peak_memory_of_a_million(),
    }


def variant_loadings(training: Spectra, n_loadings: int, seed: int = 0) -> FloatArray:
    """Unit-area mean spectra of clusters within each label, `n_loadings` in all.

    Raises
    ------
    DataError
        If the spectra do not differ enough for that many.
    """
    labels = single_labels(training)
    names = np.unique(labels)
    per_name = -(-n_loadings // len(names))
    means = []
    for name in names:
        values = training.values[labels == name]
        variant = split_into_variants(values, per_name, slice(None), seed)
        means += [values[variant == v].mean(axis=0) for v in np.unique(variant)]
    if len(means) < n_loadings:
        raise DataError(f"{n_loadings} loadings were wanted, the spectra give {len(means)}")
    loadings = np.asarray(means[:n_loadings], dtype=np.float64)
    return np.asarray(loadings / loadings.sum(axis=1, keepdims=True))


def peak_memory_of_a_million() -> int | None:
    """Peak resident bytes of a process that unmixes a million spectra of 256 float32 channels.

    None where the system does not tell (Windows).
    """
    if sys.platform == "win32":
        return None
    done = subprocess.run(  # noqa: S603 - our own text, our own interpreter
        [sys.executable, "-c", _MILLION], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    outcome = work()
    return time.perf_counter() - start, outcome
