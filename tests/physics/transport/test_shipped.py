"""What ships must be what the code would compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectraloom.generate import demo_sets
from spectraloom.generate.demo import _TRAINING_ABSORBERS
from spectraloom.physics.gamma import (
    background,
    background_rates,
    detector,
    detectors,
    expected_spectrum,
    response_matrix,
)
from spectraloom.physics.gamma.background import background_flux
from spectraloom.physics.gamma.spectrum import source_lines
from spectraloom.physics.gamma.transport import cache
from spectraloom.physics.gamma.transport.surroundings import Flux, Surroundings, emerging


@pytest.fixture
def only_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache on disk and in memory; gives its folder."""
    monkeypatch.setenv(cache.CACHE_DIR_VARIABLE, str(tmp_path))
    cache.forget()
    for remembering in (background._flux, background_rates, expected_spectrum):
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


@pytest.mark.parametrize("component", ["K-40", "U-238", "Bi-214 on ground", "radon in air"])
def test_shipped_background_is_what_transport_gives(
    only_shipped: Path, monkeypatch: pytest.MonkeyPatch, component: str
) -> None:
    shipped = background_flux(component)
    assert list(only_shipped.iterdir()) == [], "this component is not among what ships"
    monkeypatch.setattr(background, "_HISTORIES", 60_000)
    background._flux.cache_clear()
    anew = background_flux(component)
    background._flux.cache_clear()  # nothing of so few photons may stay
    assert len(list(only_shipped.iterdir())) == 1
    assert_alike(shipped, anew)


@pytest.mark.parametrize(
    ("source", "absorber"),
    [("Cs137", None), ("Co60", None), ("Eu152", _TRAINING_ABSORBERS[-1]), ("Am241", None)],
)
def test_shipped_flux_is_what_transport_gives(
    only_shipped: Path, source: str, absorber: tuple[str, float] | None
) -> None:
    lines = source_lines(source)
    around = Surroundings(shells=() if absorber is None else (absorber,))
    shipped = emerging(lines.energies, lines.intensities, around)
    assert list(only_shipped.iterdir()) == [], "this flux is not among what ships"
    anew = emerging(lines.energies, lines.intensities, around, seed=3)
    assert_alike(shipped, anew)


def assert_alike(shipped: Flux, anew: Flux) -> None:
    """Lines of the source agree but for rounding, what is drawn at random within its noise."""
    energies = np.union1d(shipped.energies, anew.energies)
    lines, fresh_lines = (
        np.bincount(np.searchsorted(energies, flux.energies), flux.direct, len(energies))
        for flux in (shipped, anew)
    )
    np.testing.assert_allclose(lines, fresh_lines, rtol=0.05, atol=0.01 * fresh_lines.max())
    assert lines.max() == pytest.approx(fresh_lines.max(), rel=1e-5)
    for one, other in ((shipped.front, anew.front), (shipped.around, anew.around)):
        coarse, fresh = (
            np.add.reduceat(part, np.arange(0, len(part), 60)) for part in (one, other)
        )
        np.testing.assert_allclose(coarse, fresh, rtol=0.1, atol=0.05 * fresh.max())
        assert one.sum() == pytest.approx(other.sum(), rel=0.04)


def test_nothing_superfluous_ships() -> None:
    sizes = [path.stat().st_size for path in cache.SHIPPED.glob("*.npz")]
    assert 90 <= len(sizes) <= 130
    assert sum(sizes) < 2_500_000
