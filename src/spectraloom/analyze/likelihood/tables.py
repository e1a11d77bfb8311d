"""Templates as smooth cumulative distributions, which can be moved without losing counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial.distance import pdist, squareform

from spectraloom._typing import FloatArray, IntArray
from spectraloom.data.axis import Axis
from spectraloom.data.library import Library
from spectraloom.errors import AxisError, DataError

_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
_SAME = 1e-5  # largest difference of cumulative contents under which two templates are the same


@dataclass(frozen=True, slots=True)
class Resolution:
    """Full width at half maximum of a detector against energy, as a power law.

    Parameters
    ----------
    fwhm : float
        Relative width at `energy`, e.g. 0.07.
    energy : float
        Where, in the unit of the axis; 661.7 keV by custom.
    exponent : float
        FWHM grows as energy to this power; about 0.57 for NaI (Knoll, *Radiation Detection and
        Measurement*, 4th ed., ch. 10: 0.5 from photon statistics, a little more in practice).
    """

    fwhm: float = 0.07
    energy: float = 661.7
    exponent: float = 0.57

    def __post_init__(self) -> None:
        sizes = {"fwhm": self.fwhm, "energy": self.energy}
        for name, size in sizes.items():
            if not 0 < size < np.inf:
                raise DataError(f"the {name} of a resolution is finite and above 0, got {size!r}")
        if not np.isfinite(self.exponent):
            raise DataError(f"the exponent of a resolution is finite, got {self.exponent!r}")

    def at(self, energies: FloatArray) -> FloatArray:
        """FWHM at `energies`, in their unit; constant below a thirtieth of the reference."""
        relative = np.maximum(np.asarray(energies, dtype=float) / self.energy, 1.0 / 30.0)
        return np.asarray(self.fwhm * self.energy * relative**self.exponent)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class TemplateTable:
    """Unit-area templates of a library as cumulative distributions on one grid.

    Parameters
    ----------
    grid : ndarray, shape (m,)
        Coordinates, strictly increasing.
    table, slopes : ndarray, shape (n_nodes, k, m)
        Cumulative templates and their densities on the grid, a layer for each broadening.
    nodes : ndarray, shape (n_nodes,)
        Broadenings of the layers: FWHM times one plus this.
    names : tuple of str, length n_names
        What can be found.
    groups : ndarray of int, shape (k,)
        Which name each template belongs to.
    axis : Axis
        Axis of the (first) library, for its quantity and unit.
    """

    grid: FloatArray
    table: FloatArray
    slopes: FloatArray
    nodes: FloatArray
    names: tuple[str, ...]
    groups: IntArray
    axis: Axis

    @property
    def n_templates(self) -> int:
        """Number of templates."""
        return self.table.shape[1]


def template_table(
    libraries: Sequence[Library],
    *,
    broadened: Sequence[bool] = (),
    nodes: Sequence[float] = (0.0,),
    resolution: Resolution | None = None,
) -> TemplateTable:
    """Put the templates of one or several libraries on a common grid.

    The cumulative counts at the bin edges are exact; between them a monotone cubic (Fritsch and
    Carlson 1980, doi:10.1137/0717021) keeps contents non-negative.

    Parameters
    ----------
    libraries : sequence of Library
        On bins of one quantity and unit; the axes may differ.
    broadened : sequence of bool
        Whether the templates of each library follow the broadening; true by default. A measured
        background has the resolution of the detector already.
    nodes : sequence of float
        Broadenings to tabulate, equally spaced; one or at least three.
    resolution : Resolution, optional
        Width that is broadened.

    Raises
    ------
    AxisError
        If the libraries measure different things, or lie on points.
    DataError
        If a template is negative or empty, the nodes are not equally spaced, or two names have
        the same template. (Equal templates of one name are kept once.)
    """
    spaced = np.asarray(nodes, dtype=np.float64)
    if len(spaced) == 2 or (len(spaced) > 2 and np.ptp(np.diff(spaced)) > 1e-9):
        raise DataError("broadenings are tabulated at one or at least three equally spaced nodes")
    first = libraries[0].axis
    for library in libraries[1:]:
        if (library.axis.quantity, library.axis.unit) != (first.quantity, first.unit):
            raise AxisError(
                f"libraries over {first.describe()} and {library.axis.describe()} do not fit"
            )
    follow = list(broadened) or [True] * len(libraries)
    width = resolution or Resolution()
    grid = np.unique(np.concatenate([library.axis.edges for library in libraries]))
    layers = []
    for node in spaced:
        parts = [
            cumulative_on(
                _unit_templates(library)
                if not (follows and node > 0)
                else broaden(_unit_templates(library), library.axis, float(node), width),
                library.axis,
                grid,
            )
            for library, follows in zip(libraries, follow, strict=True)
        ]
        layers.append(
            (
                np.concatenate([value for value, _ in parts]),
                np.concatenate([slope for _, slope in parts]),
            )
        )
    labels = [name for library in libraries for name in library.names]
    table = np.stack([value for value, _ in layers])
    slopes = np.stack([slope for _, slope in layers])
    kept = distinct_templates(table[0], labels)
    labels = [labels[j] for j in kept]
    names = tuple(dict.fromkeys(labels))
    return TemplateTable(
        grid,
        np.ascontiguousarray(table[:, kept]),
        np.ascontiguousarray(slopes[:, kept]),
        spaced,
        names,
        np.array([names.index(label) for label in labels], dtype=np.int64),
        first,
    )


def distinct_templates(cumulative: FloatArray, labels: Sequence[str], where: str = "") -> IntArray:
    """Numbers of the templates that differ; of equal ones with one name the first is kept.

    Parameters
    ----------
    cumulative : ndarray, shape (k, m)
        Cumulative templates that end at one.
    labels : sequence of str, length k
    where : str
        Said in the message, e.g. in which range they are equal.

    Raises
    ------
    DataError
        If two templates of different names are the same: counts cannot be shared between them.
        They are if no cumulative content differs by more than 1e-5 (it takes about 1e10 counts
        to see that).
    """
    same = squareform(pdist(cumulative, "chebyshev")) < _SAME
    names = np.asarray(labels)
    confused = np.argwhere(same & (names[:, np.newaxis] != names[np.newaxis, :]))
    if len(confused):
        one, other = (str(names[j]) for j in confused[0])
        raise DataError(
            f"the templates of {one!r} and {other!r} are the same{where}: counts cannot be shared "
            "between them; keep one of the two, or give them one name"
        )
    return np.flatnonzero(~np.tril(same, -1).any(axis=1))


def broaden(
    templates: FloatArray, axis: Axis, broadening: float, resolution: Resolution
) -> FloatArray:
    """Fold templates with the Gaussian that widens a peak by the factor 1 + `broadening`.

    Counts that the Gaussian carries over the ends of the axis are put back, so that the area of
    each template is kept.

    Parameters
    ----------
    templates : ndarray, shape (k, n_channels)
    axis : Axis
    broadening : float
        Zero or more.
    resolution : Resolution
    """
    if broadening <= 0:
        return templates
    centers = axis.centers
    sigma = resolution.at(centers) / _SIGMA * np.sqrt((1.0 + broadening) ** 2 - 1.0)
    distance = (centers[:, np.newaxis] - centers[np.newaxis, :]) / sigma[np.newaxis, :]
    kernel = np.exp(-0.5 * distance**2) * axis.widths[:, np.newaxis]
    kernel /= kernel.sum(axis=0, keepdims=True)
    return np.asarray(templates @ kernel.T)


def _unit_templates(library: Library) -> FloatArray:
    templates = library.templates
    if (templates < 0).any():
        row = int(np.argmax((templates < 0).any(axis=1)))
        raise DataError(f"template {library.names[row]!r} is negative in some channels")
    areas = templates.sum(axis=1, keepdims=True)
    if not areas.all():
        row = int(np.argmin(areas[:, 0]))
        raise DataError(f"template {library.names[row]!r} is empty")
    return np.asarray(templates / areas)


def cumulative_on(
    templates: FloatArray, axis: Axis, grid: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Cumulative templates, and their densities, on a grid; each of shape (k, m).

    Exact at the edges of the axis, a monotone cubic between them, constant beyond.

    Parameters
    ----------
    templates : ndarray, shape (k, n_channels)
    axis : Axis
        Of the templates, on bins.
    grid : ndarray, shape (m,)
        Increasing coordinates.
    """
    edges = axis.edges
    cumulative = np.concatenate([np.zeros((len(templates), 1)), np.cumsum(templates, axis=1)], 1)
    curve = PchipInterpolator(edges, cumulative, axis=1)
    slopes = np.maximum(curve.derivative()(np.clip(grid, edges[0], edges[-1])), 0.0)
    # Beyond the axis a template is constant: no slope may leak over its ends.
    if grid[0] < edges[0]:
        slopes[:, grid <= edges[0]] = 0.0
    if grid[-1] > edges[-1]:
        slopes[:, grid >= edges[-1]] = 0.0
    return np.asarray(curve(np.clip(grid, edges[0], edges[-1]))), slopes
