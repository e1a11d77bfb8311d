"""Simulated mixtures of the templates of a library, to learn from where there are no data."""

from __future__ import annotations

import numpy as np

from spectraloom._typing import Array, FloatArray
from spectraloom.data.axis import Axis
from spectraloom.data.library import Library
from spectraloom.data.spectra import Spectra
from spectraloom.errors import FitError
from spectraloom.process import rebin_library

_SHIFTS = 8  # gains that a set of mixtures is drawn with
_SOURCE_COUNTS = (300.0, 30000.0)
_BACKGROUND_COUNTS = (500.0, 5000.0)


def fit_shape(library: Library, axis: Axis) -> FloatArray:
    """Unit-area mean of a library on an axis, moved without losing counts, shape (n_channels,).

    Raises
    ------
    FitError
        If the library has no counts there.
    """
    moved = library if library.axis.isclose(axis) else rebin_library(library, axis)
    shape = moved.templates.sum(axis=0)
    if not shape.sum() > 0:
        raise _nothing_on(axis, library)
    return np.asarray(shape / shape.sum())


def draw_mixtures(
    library: Library,
    background: Library | None,
    axis: Axis,
    n: int,
    gain: float,
    rng: np.random.Generator,
) -> Spectra:
    """Poisson spectra of one or two names of a library over background, with drifting gain.

    The variants of a name are mixed at random, so that a spectrum lies between them; counts are
    drawn evenly in their logarithm from 300 to 30,000, those of the background from 500 to 5,000.

    Parameters
    ----------
    library : Library
        Sources.
    background : Library or None
    axis : Axis
        Of the spectra.
    n : int
        Number of spectra.
    gain : float
        Standard deviation of the gain of the sources.
    rng : numpy.random.Generator

    Raises
    ------
    FitError
        If no template has counts on the axis.
    """
    shifts = rng.normal(0.0, gain, _SHIFTS) if gain and axis.is_calibrated else np.zeros(1)
    values = np.empty((n, axis.n_channels))
    base = np.zeros(axis.n_channels) if background is None else fit_shape(background, axis)
    for part, shift in zip(np.array_split(np.arange(n), len(shifts)), shifts, strict=True):
        templates, names = unit_templates(library, axis, float(shift))
        unique = np.unique(names)
        for row in part:
            chosen = rng.choice(unique, min(len(unique), int(rng.integers(1, 3))), replace=False)
            share = rng.dirichlet(np.ones(len(chosen)))
            expected = base * np.exp(rng.uniform(*np.log(_BACKGROUND_COUNTS)))
            total = np.exp(rng.uniform(*np.log(_SOURCE_COUNTS)))
            for weight, name in zip(share, chosen, strict=True):
                rows = np.flatnonzero(names == name)
                mixture = rng.dirichlet(np.ones(len(rows))) @ templates[rows]
                expected = expected + total * weight * mixture
            values[row] = rng.poisson(np.maximum(expected, 0.0))
    return Spectra(values, axis)


def unit_templates(library: Library, axis: Axis, gain: float = 0.0) -> tuple[FloatArray, Array]:
    """Unit-area templates that have counts on an axis after a change of gain, and their names.

    Raises
    ------
    FitError
        If none has.
    """
    if axis.is_calibrated:
        edges = library.axis.edges * (1.0 + gain)
        own = Axis.from_edges(edges, quantity=library.axis.quantity, unit=library.axis.unit)
        library = rebin_library(Library(library.templates, own, library.names), axis)
    areas = library.templates.sum(axis=1)
    kept = areas > 0
    if not kept.any():
        raise _nothing_on(axis, library)
    return library.templates[kept] / areas[kept, np.newaxis], np.asarray(library.names)[kept]


def _nothing_on(axis: Axis, library: Library) -> FitError:
    names = ", ".join(library.unique_names)
    return FitError(f"the templates of {names} have no counts on {axis.describe()}")
