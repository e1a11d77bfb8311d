"""Simulated gamma spectra with known content.

Each spectrum is a Poisson draw around a sum of expected shapes: photon transport through the
absorber and the crystal (:mod:`spectraloom.physics.gamma`). Totals of counts are drawn here, not
computed from activity and distance, and the background has its median make-up. Scenes
(:mod:`spectraloom.generate.scene`) have all that: distances, dead time and pile-up, backgrounds
that vary, passes, several absorbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import Array, FloatArray, IntArray
from spectraloom.data import Axis, Spectra
from spectraloom.data.columns import label_sets
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma import (
    BACKGROUND,
    Absorber,
    GammaDetector,
    expected_spectrum,
    material,
    sources,
)
from spectraloom.physics.gamma import nuclides as nuclide_names
from spectraloom.physics.gamma.drift import drifted

_CHUNK = 1024  # spectra whose expectation is held in memory at a time
_SHARES_OF_MIXTURES = 3.0  # Dirichlet: equal shares are likely, a share below 5 % is rare

LabelSet = tuple[str, ...]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What each spectrum is to hold."""

    sets: tuple[LabelSet, ...]
    which: IntArray  # (n,) position in sets
    absorbers: tuple[Absorber | None, ...]
    absorber: IntArray  # (n,) position in absorbers
    names: tuple[str, ...]  # nuclides, the background last
    counts: FloatArray  # (n, n_names) expected counts
    gain: FloatArray  # (n,)


def simulate_gamma(
    nuclides: Sequence[str | Sequence[str]],
    detector: GammaDetector,
    n: int,
    *,
    counts: Range = (1e3, 1e4),
    absorbers: Sequence[Absorber | None] = (None,),
    background_counts: Range | None = None,
    live_time: float = 1.0,
    gain_drift: float = 0.0,
    seed: int | np.random.Generator,
) -> Spectra:
    """Draw spectra of sources, mixtures and background.

    Parameters
    ----------
    nuclides : sequence of str or sequence of sequences of str
        What a spectrum may hold: names out of :func:`spectraloom.physics.nuclides` or
        ``"background"``, or several of them for a mixture. All entries come equally often, in
        random order.
    detector : GammaDetector
        The detector; its axis becomes that of the spectra.
    n : int
        Number of spectra.
    counts : tuple of float
        Least and largest expected counts from sources; their logarithm is drawn evenly. In a
        mixture they are shared out at random (Dirichlet).
    absorbers : sequence
        Layers around the source, ``("Pb", 0.2)`` (material and cm) or None; one is drawn for each
        spectrum.
    background_counts : tuple of float, optional
        Least and largest expected counts of the natural background, drawn evenly. If it is given,
        every spectrum holds background and says so as the last of its labels.
    live_time : float
        Seconds, the same for all.
    gain_drift : float
        Standard deviation of the gain around one; the energy of a count is multiplied by it.
    seed : int or numpy.random.Generator
        The same seed gives the same spectra.

    Returns
    -------
    Spectra
        Counts with live times and the columns ``labels``, ``detector``, ``absorber`` (e.g.
        ``"Pb 0.2 cm"``, empty for none), ``material``, ``thickness`` (cm), ``gain`` and, for each
        nuclide, ``true_<nuclide>``: its expected counts on the axis. These add up to the expected
        total of a spectrum.

    Raises
    ------
    LabelError
        If a nuclide or a material is unknown.
    DataError
        If a number or a range makes no sense.

    Examples
    --------
    >>> from spectraloom.generate import demo_detectors, simulate_gamma
    >>> spectra = simulate_gamma(["Cs137", ("Co60", "Cs137")], demo_detectors()["east"], 4, seed=1)
    >>> spectra.shape
    (4, 512)
    """
    sets = _as_label_sets(nuclides)
    layers = _as_absorbers(absorbers)
    _require_settings(n, live_time, gain_drift)
    _require_range("counts", counts, above_zero=True)
    if background_counts is not None:
        _require_range("background_counts", background_counts, above_zero=False)
    rng = np.random.default_rng(seed)
    plan = _draw_plan(rng, sets, layers, n, counts, background_counts, gain_drift)
    values = np.empty((n, detector.axis.n_channels), dtype=np.int64)
    for rows, expected in _expectations(plan, detector):
        values[rows] = rng.poisson(expected)
    with_background = background_counts is not None
    return Spectra(
        values,
        detector.axis,
        live_time=np.full(n, float(live_time)),
        columns=_columns(plan, detector.name, with_background),
        attrs={"source": "simulated by spectraloom.generate.simulate_gamma"},
    )


def _draw_plan(
    rng: np.random.Generator,
    sets: tuple[LabelSet, ...],
    absorbers: tuple[Absorber | None, ...],
    n: int,
    counts: Range,
    background_counts: Range | None,
    gain_drift: float,
) -> _Plan:
    found = dict.fromkeys(name for entry in sets for name in entry if name != BACKGROUND)
    with_background = background_counts is not None or (BACKGROUND,) in sets
    names = (*found, BACKGROUND) if with_background else tuple(found)
    which = rng.permutation(np.arange(n) % len(sets))
    absorber = rng.integers(len(absorbers), size=n)
    low, high = np.log(counts)
    totals = np.exp(rng.uniform(low, high, size=n))
    amounts = np.zeros((n, len(names)))
    for position, entry in enumerate(sets):
        rows = np.flatnonzero(which == position)
        if entry == (BACKGROUND,):
            # Nothing is there for an absorber to stand before.
            absorber[rows] = -1
            if background_counts is not None:
                continue
        shares = rng.dirichlet(np.full(len(entry), _SHARES_OF_MIXTURES), size=rows.size)
        for column, name in enumerate(entry):
            amounts[rows, names.index(name)] = totals[rows] * shares[:, column]
    if background_counts is not None:
        amounts[:, -1] = rng.uniform(*background_counts, size=n)
    gain = 1.0 + gain_drift * rng.standard_normal(n)
    # Position -1 is the last of the layers: none.
    return _Plan(sets, which, (*absorbers, None), absorber, names, amounts, gain)


def _expectations(plan: _Plan, detector: GammaDetector) -> Iterator[tuple[slice, FloatArray]]:
    """Expected counts, chunk by chunk."""
    n = plan.which.size
    layers = plan.absorber % len(plan.absorbers)
    for start in range(0, n, _CHUNK):
        rows = slice(start, min(start + _CHUNK, n))
        expected = np.zeros((rows.stop - start, detector.axis.n_channels))
        for column, name in enumerate(plan.names):
            amounts = plan.counts[rows, column]
            here = np.where(name == BACKGROUND, len(plan.absorbers) - 1, layers[rows])
            for layer in np.unique(here[amounts > 0]):
                mine = np.flatnonzero((here == layer) & (amounts > 0))
                shape = expected_spectrum(name, detector, plan.absorbers[layer])
                expected[mine] += np.outer(amounts[mine], shape)
        _shift_gain(expected, detector.axis, plan.gain[rows])
        yield rows, expected


def _shift_gain(expected: FloatArray, axis: Axis, gains: FloatArray) -> None:
    """Multiply the energy of every count by a gain, in place.

    The total is kept: what the gain pushes off the axis (next to nothing for the drifts of a
    detector) is put back in proportion.
    """
    rows = np.flatnonzero((gains != 1.0) & expected.any(axis=1))
    moved = drifted(expected[rows], axis, gains[rows])
    expected[rows] = moved * (expected[rows].sum(axis=1) / moved.sum(axis=1))[:, np.newaxis]


def _columns(plan: _Plan, detector: str, with_background: bool) -> dict[str, Array]:
    labels: list[LabelSet] = []
    for entry in plan.sets:
        sources_only = tuple(name for name in entry if name != BACKGROUND)
        labels.append((*sources_only, BACKGROUND) if with_background else entry)
    layers = [plan.absorbers[position] for position in plan.absorber]
    n = plan.which.size
    columns: dict[str, Array] = {
        "labels": label_sets(labels[position] for position in plan.which),
        "detector": np.full(n, detector),
        "absorber": np.array([absorber_name(layer) for layer in layers], dtype=np.str_),
        "material": np.array([layer[0] if layer else "" for layer in layers], dtype=np.str_),
        "thickness": np.array([layer[1] if layer else 0.0 for layer in layers]),
        "gain": plan.gain,
    }
    for column, name in enumerate(plan.names):
        columns[f"true_{name}"] = plan.counts[:, column].copy()
    return columns


def absorber_name(layer: Absorber | None) -> str:
    """An absorber as columns and variants call it, e.g. ``"Pb 0.2 cm"``; empty for none."""
    return "" if layer is None else f"{layer[0]} {layer[1]:g} cm"


def _as_label_sets(nuclides: Sequence[str | Sequence[str]]) -> tuple[LabelSet, ...]:
    if isinstance(nuclides, str):
        raise DataError(f"nuclides is a sequence, not a text: write [{nuclides!r}]")
    known = {*nuclide_names(), BACKGROUND}
    sets = tuple((entry,) if isinstance(entry, str) else tuple(entry) for entry in nuclides)
    if not sets or not all(sets):
        raise DataError("there must be at least one nuclide in every entry of nuclides")
    for entry in sets:
        unknown = [name for name in entry if name not in known]
        if unknown:
            raise LabelError(
                f"cannot simulate {', '.join(map(repr, unknown))}; known sources: "
                f"{', '.join(sources())}, and all of spectraloom.physics.nuclides()"
            )
        if len(set(entry)) < len(entry):
            raise DataError(f"the mixture {entry} names a nuclide twice")
        if len(entry) > 1 and BACKGROUND in entry:
            raise DataError(
                f"{entry} mixes a source with the background: give background_counts, which adds "
                "background to every spectrum"
            )
    return sets


def _as_absorbers(absorbers: Sequence[Absorber | None]) -> tuple[Absorber | None, ...]:
    layers = tuple(None if layer is None else (layer[0], float(layer[1])) for layer in absorbers)
    if not layers:
        raise DataError("absorbers is empty: give (None,) for bare sources")
    for layer in layers:
        if layer is not None:
            material(layer[0]).require_density()
        if layer is not None and not (np.isfinite(layer[1]) and layer[1] >= 0):
            raise DataError(f"the thickness of an absorber is 0 cm or more, got {layer}")
    return layers


def _require_settings(n: int, live_time: float, gain_drift: float) -> None:
    if n < 1:
        raise DataError(f"at least one spectrum must be asked for, got n={n}")
    if not (np.isfinite(live_time) and live_time >= 0):
        raise DataError(f"live_time is 0 s or more, got {live_time}")
    if not 0 <= gain_drift <= 0.1:
        raise DataError(f"gain_drift is a standard deviation from 0 to 0.1, got {gain_drift:g}")


def _require_range(name: str, given: Range, *, above_zero: bool) -> None:
    low, high = given
    if not (np.isfinite([low, high]).all() and low <= high and (low > 0 or not above_zero)):
        least = "above 0" if above_zero else "0 or more"
        raise DataError(f"{name} is a range (least, largest) of numbers {least}, got {given}")
    if low < 0:
        raise DataError(f"{name} cannot be negative, got {given}")
