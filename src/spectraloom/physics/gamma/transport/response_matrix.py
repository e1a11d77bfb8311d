"""Response of a crystal: energy of the photon against energy it deposits.

Photons of some energies are followed through crystal and housing (``crystal_kernel.py``); between
those energies the response is interpolated on bins that move with its features (``warp.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from spectraloom._typing import Array, FloatArray, IntArray
from spectraloom.errors import DataError
from spectraloom.physics.gamma.checks import LONGEST, NEAREST, as_histories, as_seed, is_number
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY
from spectraloom.physics.gamma.crystal import Crystal, Layer
from spectraloom.physics.gamma.elements import HIGHEST_ENERGY
from spectraloom.physics.gamma.fluorescence import k_shells
from spectraloom.physics.gamma.materials import Material, material, shown
from spectraloom.physics.gamma.transport import warp
from spectraloom.physics.gamma.transport.batches import side_by_side
from spectraloom.physics.gamma.transport.cache import Shapes, remembered
from spectraloom.physics.gamma.transport.crystal_geometry import AROUND, FRONT, POINT, Geometry
from spectraloom.physics.gamma.transport.crystal_kernel import Bins, Physics, deposits
from spectraloom.physics.gamma.transport.electrons import (
    mean_atomic_number,
    stopping_density,
)
from spectraloom.physics.gamma.transport.tables import material_tables

Incidence = Literal["front", "around"] | float
"""Parallel along the axis, evenly from all sides, or from a point on the axis so far away (cm)."""

_SHAPES: Shapes = {
    "energies": ("n",),
    "layouts": ("n",),
    "offsets": ("n_peaks",),
    "moving": ("n_peaks",),
    "peaks": ("n", "n_peaks"),
    "continuum": ("n", warp.N_BINS),
}

_BATCH = 25_000  # histories of one generator
_LEAST_ENERGY = 5.0  # keV
_BESIDE_EDGE = 0.01  # the tables smear an edge over 0.9 % of its energy


class Deposits(NamedTuple):
    """Where photons of some energies are counted.

    Attributes
    ----------
    energies : ndarray, shape (n_peaks, n)
        Deposited energy of each line, keV; the first row is the full energy.
    areas : ndarray, shape (n_peaks, n)
        Effective area of each line, cm2.
    continuum : ndarray, shape (n_bins, n)
        Effective area of each bin of deposited energy, cm2, without the lines.
    """

    energies: FloatArray
    areas: FloatArray
    continuum: FloatArray


@dataclass(frozen=True, eq=False)
class ResponseMatrix:
    """Effective areas of a crystal: counts are areas times the fluence of photons.

    Attributes
    ----------
    energies : ndarray, shape (n,)
        Energies of the photons that were followed, keV, not decreasing; an energy where the
        layout of the bins changes is there twice.
    layouts : ndarray, shape (n,)
        Which bins the continuum of a row has; see :mod:`~.warp`.
    offsets : ndarray, shape (n_peaks,)
        Energy of each line, keV, less that of the photon where it moves with it. The lines: full
        energy, single escape, double escape, escape of each K x-ray of the crystal, and then, at
        fixed energies, annihilation photons and x-rays from the housing.
    moving : ndarray, shape (n_peaks,)
        1 where the line moves with the energy of the photon, else 0.
    peaks : ndarray, shape (n, n_peaks)
        Effective area of each line, cm2.
    continuum : ndarray, shape (n, n_bins)
        Effective area of each bin between the lines, cm2.
    """

    energies: FloatArray
    layouts: IntArray
    offsets: FloatArray
    moving: FloatArray
    peaks: FloatArray
    continuum: FloatArray

    @property
    def full(self) -> FloatArray:
        """Effective area of the full-energy peak, cm2; shape (n,)."""
        return self.peaks[:, 0]

    @property
    def single_escape(self) -> FloatArray:
        """Effective area of the line where one annihilation photon got away, cm2; shape (n,)."""
        return self.peaks[:, 1]

    @property
    def double_escape(self) -> FloatArray:
        """Effective area of the line where both annihilation photons got away, cm2."""
        return self.peaks[:, 2]

    @property
    def x_rays(self) -> FloatArray:
        """Energies of the K x-rays of the crystal, keV; shape (n_x_rays,)."""
        return -self.offsets[3:][self.moving[3:] > 0]

    @property
    def x_ray_escapes(self) -> FloatArray:
        """Effective area of the lines where a K x-ray got away, cm2; shape (n, n_x_rays)."""
        return self.peaks[:, 3 : 3 + len(self.x_rays)]

    @property
    def total(self) -> FloatArray:
        """Effective area of all deposits, cm2; shape (n,)."""
        return np.asarray(self.peaks.sum(axis=1) + self.continuum.sum(axis=1))

    def deposits(self, energies: npt.ArrayLike, edges: npt.ArrayLike) -> Deposits:
        """Lines and continuum of photons of any energies.

        Parameters
        ----------
        energies : array_like, shape (n,)
            Of the photons, keV. Below the first energy of the matrix nothing is counted.
        edges : array_like, shape (n_bins + 1,)
            Increasing edges of the bins of deposited energy, keV.

        Returns
        -------
        Deposits
            Effective areas, cm2.

        Raises
        ------
        DataError
            If an energy is above those of the matrix, or the edges do not increase.
        """
        at = np.atleast_1d(np.asarray(energies, dtype=np.float64))
        bins = np.asarray(edges, dtype=np.float64)
        if at.ndim != 1 or not np.isfinite(at).all() or (at > self.energies[-1]).any():
            raise DataError(
                "energies of photons are a row of numbers up to the last energy of the response, "
                f"{self.energies[-1]:g} keV; compute a response with `energies` that go further"
            )
        if bins.ndim != 1 or len(bins) < 2 or not (np.diff(bins) > 0).all():
            raise DataError("edges of bins of deposited energy are two or more that increase")
        lower, part = self._between(at)
        places = self.offsets[:, np.newaxis] + self.moving[:, np.newaxis] * at
        areas = _interpolated(self.peaks[lower], self.peaks[lower + 1], part)
        areas[at < self.energies[0]] = 0.0
        continuum = np.zeros((len(bins) - 1, len(at)))
        blended = self.continuum[lower] * (1.0 - part)[:, np.newaxis]
        blended += self.continuum[lower + 1] * part[:, np.newaxis]
        for column in np.flatnonzero(at >= self.energies[0]):
            own = warp.bin_edges(int(self.layouts[lower[column]]), at[column])
            summed = np.concatenate([[0.0], np.cumsum(blended[column])])
            continuum[:, column] = np.diff(np.interp(bins, own, summed))
        return Deposits(places, areas.T, continuum)

    def _between(self, at: FloatArray) -> tuple[IntArray, FloatArray]:
        """Row before each energy, and how far it is to the next in the logarithm."""
        inner = np.clip(at, self.energies[0], self.energies[-1])
        # A row that the next repeats in another layout is never the lower one.
        lower = np.searchsorted(self.energies, inner, side="right") - 1
        lower = np.minimum(lower, len(self.energies) - 2)
        low, high = self.energies[lower], self.energies[lower + 1]
        return lower, np.log(inner / low) / np.log(high / low)


def response_matrix(
    crystal: Crystal,
    incidence: Incidence = "front",
    *,
    histories: int = 400_000,
    energies: npt.ArrayLike | None = None,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> ResponseMatrix:
    """Follow photons through a crystal and its housing; kept for the next call.

    Parameters
    ----------
    crystal : Crystal
        What they meet.
    incidence : {"front", "around"} or float
        A parallel beam along the axis into the window; the same fluence from all directions; or
        a point on the axis at that distance in cm from the front of the housing. Then the fluence
        is that at the front of the housing without it, 1 / (4 pi distance^2) per photon.
    histories : int
        Photons that meet the detector, per energy.
    energies : array_like, optional
        Energies of the photons, keV. By default about 80 from 10 keV to 10 MeV, with the K edges
        of all materials bracketed. Where the layout of the bins changes one is added.
    seed : int
        Same seed, same response, however many processors there are.
    progress : callable, optional
        Called with the fraction done and what is done.

    Returns
    -------
    ResponseMatrix
        Effective areas.

    Raises
    ------
    DataError
        If a number is out of its range.

    Notes
    -----
    Left out: coherent scattering, the motion of the electrons that photons scatter off, and
    electrons from the housing that enter the crystal.
    """
    kind, distance = _from_where(incidence)
    histories, seed = as_histories(histories), as_seed(seed)
    if not isinstance(crystal, Crystal):
        raise DataError(f"a response needs a Crystal, got {shown(crystal)}")
    grid = default_energies(crystal) if energies is None else _require_energies(energies)
    arrays = remembered(
        "response",
        (crystal, kind, distance, histories, grid, seed),
        _SHAPES,
        lambda: _followed(crystal, (kind, distance), grid, histories, seed, progress),
    )
    return ResponseMatrix(**arrays)


def default_energies(crystal: Crystal) -> FloatArray:
    """Energies that a response is computed at, keV; shape (n,)."""
    _, made_of = geometry(crystal)
    # Close at low energies, where windows and dead layers let much less through from one to the
    # next; photons of those energies stop soon and take little time.
    low, high = np.geomspace(10.0, 100.0, 40), np.geomspace(100.0, 3500.0, 34)
    grid = np.concatenate([low[:-1], high, [4300.0, 5400.0, 7000.0, 10000.0]])
    threshold = 2.0 * ELECTRON_REST_ENERGY
    extra = [threshold, 1.06 * threshold, 1.13 * threshold]
    for symbol in sorted({symbol for one in made_of for symbol, _ in one.fractions}):
        shell = k_shells().get(symbol)
        if shell is not None and 1.1 * grid[0] < shell.edge:
            extra += [shell.edge * (1.0 - _BESIDE_EDGE), shell.edge * (1.0 + _BESIDE_EDGE)]
    # A regular energy close to a special one adds nothing.
    apart = np.abs(np.log(grid[:, np.newaxis] / np.array(extra))).min(axis=1) > 0.02
    apart[[0, -1]] = True
    return np.unique(np.concatenate([grid[apart], extra]))


def geometry(crystal: Crystal) -> tuple[Geometry, list[Material]]:
    """Solids of a crystal with its housing, and the materials that they refer to."""
    *across, length = (float(size) for size in crystal.size)
    half = 0.5 * np.array([across[0], across[-1]])
    front, sides, behind = (_thickness(x) for x in (crystal.window, crystal.side, crystal.back))
    outer, last = half + sides, front + length
    solids: list[tuple[str | Material | None, FloatArray, float, float]] = []
    inner = outer
    for name, thickness in crystal.side:
        solids.append((name, inner, front, last))
        inner = inner - thickness
    at = 0.0
    for name, thickness in crystal.window:
        solids.append((name, outer, at, at + thickness))
        at += thickness
    at = last
    for name, thickness in reversed(crystal.back):
        solids.append((name, outer, at, at + thickness))
        at += thickness
    dead = crystal.dead_layer
    if dead:
        solids.append((crystal.material, half, front, last))
    active = len(solids)
    solids.append((crystal.material, half - dead, front + dead, last))
    if crystal.hole is not None:
        diameter, depth = crystal.hole
        solids.append((None, np.full(2, 0.5 * diameter), last - depth, last))
    names = list(dict.fromkeys(name for name, *_ in solids if name is not None))
    shape = Geometry(
        len(across) == 1,
        np.array([[*size, start, stop] for _, size, start, stop in solids]),
        np.array([-1 if name is None else names.index(name) for name, *_ in solids]),
        active,
        active + 1 if crystal.hole is not None else -1,
        np.array([*outer, 0.0, last + behind]),
    )
    return shape, [material(name) for name in names]


def physics(crystal: Crystal, made_of: list[Material]) -> Physics:
    """What the materials of a detector do to photons, as the kernel reads it."""
    tables = material_tables(made_of)
    total = tables.attenuation.sum(axis=1)
    own = material(crystal.material)
    return Physics(
        tables.attenuation,
        total,
        total.max(axis=0),
        tables.x_rays,
        tables.emission,
        stopping_density(own),
        mean_atomic_number(own),
    )


def _thickness(layers: Iterable[Layer]) -> float:
    return float(sum(thickness for _, thickness in layers))


def _from_where(incidence: Incidence) -> tuple[int, float]:
    if isinstance(incidence, str):
        if incidence == "front":
            return FRONT, 0.0
        if incidence == "around":
            return AROUND, 0.0
    elif is_number(incidence) and NEAREST <= incidence <= LONGEST:
        return POINT, float(incidence)
    raise DataError(
        'incidence is "front", "around" or the distance of a point on the axis from the front '
        f"of the housing, from {NEAREST:g} to {LONGEST:g} cm; got {shown(incidence)}"
    )


def _require_energies(energies: npt.ArrayLike) -> FloatArray:
    grid = np.unique(np.asarray(energies, dtype=np.float64))
    if len(grid) < 2 or not (grid[0] >= _LEAST_ENERGY and grid[-1] <= HIGHEST_ENERGY):
        raise DataError(
            f"a response needs two energies or more from {_LEAST_ENERGY:g} to {HIGHEST_ENERGY:g} "
            "keV"
        )
    return grid


def _rows(grid: FloatArray) -> tuple[FloatArray, IntArray]:
    """Energies and layouts of all rows: where a layout ends its neighbour begins."""
    bounds = [bound for bound in warp.BOUNDS if grid[0] < bound < grid[-1]]
    energies = np.unique(np.concatenate([grid, bounds]))
    layouts = np.searchsorted(warp.BOUNDS, energies, side="left")
    again = np.flatnonzero(np.isin(energies, bounds))
    energies = np.insert(energies, again + 1, energies[again])
    return energies, np.insert(layouts, again + 1, layouts[again] + 1).astype(np.int64)


def _lines(shape: Geometry, tables: Physics) -> tuple[FloatArray, ...]:
    """Offsets of the lines, and whether they move with the energy of the photon."""
    own = tables.x_rays[shape.material[shape.active]]
    moving = [0.0, -ELECTRON_REST_ENERGY, -2.0 * ELECTRON_REST_ENERGY, *(-own[own > 0])]
    around = np.delete(shape.material, shape.active)
    fixed = [tables.x_rays[row] for row in np.unique(around[around >= 0])]
    lines = np.unique(np.concatenate(fixed)) if fixed else np.zeros(0)
    if fixed:
        lines = np.append(lines[lines > 0], ELECTRON_REST_ENERGY)
    offsets = np.concatenate([moving, lines])
    return offsets, np.repeat([1.0, 0.0], [len(moving), len(lines)])


def _followed(
    crystal: Crystal,
    incidence: tuple[int, float],
    grid: FloatArray,
    histories: int,
    seed: int,
    progress: Callable[[float, str], None] | None,
    threads: int | None = None,
) -> dict[str, Array]:
    """The arrays of a response."""
    shape, made_of = geometry(crystal)
    tables = physics(crystal, made_of)
    energies, layouts = _rows(grid)
    offsets, moving = _lines(shape, tables)
    batches = -(-histories // _BATCH)
    sizes = [_BATCH] * (batches - 1) + [histories - _BATCH * (batches - 1)]

    def one(task: int) -> FloatArray:
        row, batch = divmod(task, batches)
        energy, layout = float(energies[row]), int(layouts[row])
        bins = Bins(offsets + moving * energy, warp.knots(layout, energy), warp.first_bins(layout))
        counts, _ = deposits(energy, shape, tables, *incidence, bins, sizes[batch], seed, task)
        return counts

    counted = np.zeros((len(energies), len(offsets) + warp.N_BINS))
    tasks = len(energies) * batches
    for task, counts in enumerate(side_by_side(one, tasks, threads)):
        counted[task // batches] += counts
        if progress is not None and (task + 1) % batches == 0:
            progress((task + 1) / tasks, "following photons through the crystal")
    areas = counted * (_area(shape, *incidence) / histories)
    return {
        "energies": energies,
        "layouts": layouts,
        "offsets": offsets,
        "moving": moving,
        "peaks": areas[:, : len(offsets)],
        "continuum": areas[:, len(offsets) :],
    }


def _area(shape: Geometry, incidence: int, distance: float) -> float:
    """Photons that meet the outline per fluence, cm2."""
    across, up, _, length = shape.outline
    front = np.pi * across**2 if shape.is_round else 4.0 * across * up
    if incidence == FRONT:
        return float(front)
    if incidence == AROUND:  # a quarter of the surface (Cauchy)
        side = 2.0 * np.pi * across if shape.is_round else 4.0 * (across + up)
        return float(0.25 * (2.0 * front + side * length))
    if shape.is_round:
        cosine = distance / np.hypot(distance, across)
        return float(2.0 * np.pi * (1.0 - cosine) * distance**2)
    root = np.sqrt(across**2 + up**2 + distance**2)
    return float(4.0 * np.arctan(across * up / (distance * root)) * distance**2)


def _interpolated(low: FloatArray, high: FloatArray, part: FloatArray) -> FloatArray:
    """Along a power of the energy where both are above zero, else straight."""
    share = part[:, np.newaxis]
    straight = low * (1.0 - share) + high * share
    both = (low > 0) & (high > 0)
    safe_low, safe_high = np.where(both, low, 1.0), np.where(both, high, 1.0)
    return np.where(both, safe_low * (safe_high / safe_low) ** share, straight)
