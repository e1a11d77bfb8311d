"""What ships must be what the code would compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectraloom.generate import demo_sets
from spectraloom.physics.gamma import (
    background_rates,
    detector,
    detectors,
    expected_spectrum,
    response_matrix,
)
from spectraloom.physics.gamma.background import background_flux
from spectraloom.physics.gamma.transport import cache


@pytest.fixture
def only_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache on disk and in memory; gives its folder."""
    monkeypatch.setenv(cache.CACHE_DIR_VARIABLE, str(tmp_path))
    cache.forget()
    for remembering in (background_flux, background_rates, expected_spectrum):
        if hasattr(remembering, "cache_clear"):
            remembering.cache_clear()
    return tmp_path


def test_ready_detectors_background_and_demonstration_need_no_transport(
    only_shipped: Path,
) -> None:
    for name in detectors():
        for incidence in ("front", "around"):
            response_matrix(detector(name).crystal, incidence)  # type: ignore[arg-type]
    background_rates(detector("NaI 3x3"))
    demo_sets()
    computed = sorted(path.name for path in only_shipped.iterdir())
    assert computed == [], "run scripts/build_gamma_responses.py and commit what it writes"


@pytest.mark.parametrize("incidence", ["front", "around"])
def test_shipped_responses_are_what_the_kernel_gives(only_shipped: Path, incidence: str) -> None:
    crystal = detector("NaI 3x3").crystal
    energies = [60.0, 662.0, 1332.0, 2614.0]
    shipped = response_matrix(crystal, incidence)  # type: ignore[arg-type]
    fresh = response_matrix(
        crystal,
        incidence,  # type: ignore[arg-type]
        histories=50_000,
        energies=energies,
        seed=5,
    )
    edges = np.linspace(0.0, 2700.0, 28)
    stored, anew = (one.deposits(energies, edges) for one in (shipped, fresh))
    np.testing.assert_allclose(stored.areas[0], anew.areas[0], rtol=0.03)
    np.testing.assert_allclose(
        stored.continuum.sum(axis=0), anew.continuum.sum(axis=0), rtol=0.03, atol=0.1
    )
    assert only_shipped.exists()


def test_nothing_superfluous_ships() -> None:
    sizes = [path.stat().st_size for path in cache.SHIPPED.glob("*.npz")]
    assert 90 <= len(sizes) <= 120
    assert sum(sizes) < 2_000_000
