from __future__ import annotations

import os
import zipfile
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from spectraloom.data import Axis
from spectraloom.errors import DataError
from spectraloom.physics.gamma import (
    GammaDetector,
    compton_edge,
    continuum_response,
    cross_sections,
    density,
    expected_spectrum,
    line_response,
    scattered_energy,
)
from spectraloom.physics.gamma.crystal import Crystal
from spectraloom.physics.gamma.response import (
    PHOTON_EDGES,
    PHOTON_ENERGIES,
    escape_probability,
    escaped_energy,
    interaction_probability,
)

SHARP = GammaDetector("sharp", Axis.regular(-60.0, 3000.0, 3060), fwhm_662=0.005)
WIDE = GammaDetector("wide", Axis.regular(-200.0, 3400.0, 1800))


@pytest.mark.parametrize("energy", [12.0, 59.54, 356.0, 661.657, 1332.5, 2614.55])
def test_every_interacting_photon_is_counted(energy: float) -> None:
    counts = line_response(WIDE, [energy]).sum()
    assert counts == pytest.approx(float(interaction_probability(WIDE, energy)), rel=1e-9)
    escape = escaped_energy(WIDE, energy)
    assert escape.none.sum() + escape.bins.sum() == pytest.approx(1.0, abs=1e-12)
    assert min(escape.none.min(), escape.bins.min()) >= -1e-15


def test_every_photon_of_a_continuum_is_counted() -> None:
    response = continuum_response(WIDE)
    np.testing.assert_allclose(
        response.sum(axis=0), interaction_probability(WIDE, PHOTON_ENERGIES), rtol=1e-9
    )


def test_a_narrow_continuum_looks_like_a_line() -> None:
    at = int(np.searchsorted(PHOTON_EDGES, 1332.5)) - 1
    line = line_response(WIDE, [PHOTON_ENERGIES[at]])[:, 0]
    np.testing.assert_allclose(continuum_response(WIDE)[:, at], line, atol=2e-3 * line.max())


# Full-energy share of a bare crystal of 3 by 3 inches, as handbooks give it to a few hundredths.
@pytest.mark.parametrize(
    ("energy", "share"), [(122.0, 0.98), (661.7, 0.54), (1332.5, 0.36), (2614.5, 0.25)]
)
def test_peak_to_total_is_that_of_a_three_inch_crystal(energy: float, share: float) -> None:
    assert float(escaped_energy(WIDE, energy).none[0]) == pytest.approx(share, abs=0.04)


def test_larger_crystals_absorb_more() -> None:
    sizes = (2.54, 5.08, 7.62, 15.0, 1e5)
    shares = [
        float(escaped_energy(GammaDetector("d", WIDE.axis, Crystal(size=(x, x))), 1332.5).none[0])
        for x in sizes
    ]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0, abs=2e-4)


def test_counts_end_at_the_compton_edge() -> None:
    counts = line_response(SHARP, [1332.5])[:, 0]
    centers, edge = SHARP.axis.centers, float(compton_edge(1332.5))
    below = counts[(centers > edge - 25) & (centers < edge - 10)].mean()
    above = counts[(centers > edge + 10) & (centers < edge + 25)].mean()
    # Beyond the edge only multiple scattering counts.
    assert below > 2 * above > 0
    smooth = np.convolve(counts, np.ones(5) / 5, mode="same")
    near = (centers > edge - 30) & (centers < edge + 30)
    steepest = centers[near][np.argmin(np.gradient(smooth)[near])]
    assert steepest == pytest.approx(edge, abs=6.0)


def test_escape_peaks_stand_where_they_belong() -> None:
    counts = line_response(SHARP, [2614.55])[:, 0]
    centers = SHARP.axis.centers
    for peak in (2614.55 - 511.0, 2614.55 - 1022.0):
        near = np.abs(centers - peak) < 40
        assert centers[near][counts[near].argmax()] == pytest.approx(peak, abs=3.0)
        assert counts[near].max() > 1.5 * counts[near].min()
    assert escaped_energy(SHARP, 1000.0).bins[0, PHOTON_ENERGIES > 1000.0].sum() == 0.0


@lru_cache(maxsize=1)
def _inverse_of_scattering() -> tuple[np.ndarray, np.ndarray]:
    cosines = np.linspace(-1.0, 1.0, 4001)
    return cosines, 0.5 * (cosines[1:] + cosines[:-1])


def _scatter(energy: float, rng: np.random.Generator) -> float:
    cosines, middle = _inverse_of_scattering()
    ratio = scattered_energy(energy, middle) / energy
    weight = np.cumsum(ratio**2 * (ratio + 1 / ratio - 1 + middle**2))
    return float(
        scattered_energy(energy, np.interp(rng.uniform(0, weight[-1]), weight, cosines[1:]))
    )


def _follow(energy: float, chord: float, rng: np.random.Generator) -> float:
    """Energy that escapes for one photon that interacts, drawn photon by photon."""
    while True:
        parts = cross_sections("NaI", energy)
        if rng.uniform() * float(parts.interacting) < float(parts.photoelectric):
            return 0.0
        energy = _scatter(energy, rng)
        optical = density("NaI") * chord * float(cross_sections("NaI", energy).interacting)
        # born evenly along a chord, the photon has that part of it to go
        if rng.exponential() > rng.uniform() * optical:
            return energy


def test_solution_agrees_with_following_single_photons(rng: np.random.Generator) -> None:
    n, energy = 4000, 900.0  # below the threshold of pairs
    escaped = np.array([_follow(energy, WIDE.crystal.mean_chord, rng) for _ in range(n)])
    expected = escaped_energy(WIDE, energy)
    bins = np.array([1.0, 201.0, 301.0, 401.0, 601.0, 1001.0])
    counted = np.append((escaped == 0.0).sum(), np.histogram(escaped, bins)[0])
    shares = [
        expected.bins[0, (low <= PHOTON_ENERGIES) & (high > PHOTON_ENERGIES)].sum()
        for low, high in pairwise(bins)
    ]
    means = n * np.append(expected.none, shares)
    assert np.abs((counted - means) / np.sqrt(means * (1 - means / n))).max() < 4.0


def test_escape_from_thin_and_thick_bodies() -> None:
    assert escape_probability(1e-6) == pytest.approx(1.0, abs=1e-6)
    assert escape_probability(50.0) == pytest.approx(1 / 50)
    # sphere of one mean free path radius (Case, de Hoffmann and Placzek): 3/8 (1 + 3 / e^2)
    assert escape_probability(4 / 3) == pytest.approx(3 / 8 * (1 + 3 * np.exp(-2)), rel=0.06)


def test_lines_out_of_range_are_refused() -> None:
    with pytest.raises(DataError, match="from 1 to 2801 keV"):
        line_response(WIDE, [3000.0])
    with pytest.raises(DataError, match="from 1 to 2801 keV"):
        line_response(WIDE, [])


# Shares of counts between energies (keV) against photon transport (Geant4) of a 3-inch detector.
BANDS = {
    "Cs137": (50, 150, 300, 400, 500, 600, 740),
    "Co60": (50, 150, 300, 500, 700, 900, 1050, 1250, 1450),
    "Ba133": (100, 150, 200, 250, 330, 450),
}


@pytest.mark.parametrize("nuclide", list(BANDS))
@pytest.mark.parametrize("thickness", ["0__001", "9__1", "28__8"])
def test_agrees_with_photon_transport(nuclide: str, thickness: str, formats_dir: Path) -> None:
    archive = formats_dir.parent / "steel_sphere" / "steel_sphere_4.zip"
    if not archive.exists():
        message = f"real data not found: {archive}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    name = f"Simulation_steel_sphere/{nuclide}/GRS_NaITl_{nuclide}_STEEL{thickness}mm.dat"
    with zipfile.ZipFile(archive) as source:
        transported = np.array(source.read(name).split(), dtype=float)
    axis = Axis.regular(0.0, transported.size, transported.size)
    # No floor and no walls are in that simulation, so nothing scatters back.
    detector = GammaDetector("sphere", axis, backscatter=0.0)
    layer = ("Fe", float(thickness.replace("__", ".")) / 10)
    model = expected_spectrum(nuclide, detector, layer)
    edges = BANDS[nuclide]
    ours, theirs = (
        np.array([part.sum() for part in np.split(counts, edges)[1:-1]])
        / counts[edges[0] : edges[-1]].sum()
        for counts in (model, transported)
    )
    assert np.abs(ours - theirs).max() < 0.07
    assert ours[-1] == pytest.approx(theirs[-1], rel=0.15)
