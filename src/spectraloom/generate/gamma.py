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
from spectraloom.generate.scene_checks import (
    FURTHEST,
    absorber_parts,
    as_detector,
    as_number,
    as_range,
)
from spectraloom.physics.gamma import (
    BACKGROUND,
    Absorber,
    GammaDetector,
    expected_spectrum,
    nuclide,
    sources,
)
from spectraloom.physics.gamma.drift import drifted
from spectraloom.physics.gamma.materials import material_name, shown

_CHUNK = 1024  # spectra whose expectation is held in memory at a time
_SHARES_OF_MIXTURES = 3.0  # Dirichlet: equal shares are likely, a share below 5 % is rare

LabelSet = tuple[str, ...]
Range = tuple[float, float]

_MOST_COUNTS = 1e15
_MOST_VALUES = 500_000_000  # channels of all spectra; 4 GB


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
    detector: str | GammaDetector,
    n: int,
    *,
    counts: float | Range = (1e3, 1e4),
    absorbers: Sequence[str | Absorber | None] = (None,),
    background_counts: float | Range | None = None,
    live_time: float = 1.0,
    gain_drift: float = 0.0,
    seed: int | np.random.Generator,
) -> Spectra:
    """Draw spectra of sources, mixtures and background.

    Parameters
    ----------
    nuclides : sequence of str or sequence of sequences of str
        What a spectrum may hold: names as :func:`spectraloom.physics.nuclide` takes them or
        ``"background"``, or several of them for a mixture. All entries come equally often, in
        random order.
    detector : str or GammaDetector
        The detector, or the name of a ready one as in
        :func:`spectraloom.physics.gamma.detector`; its axis becomes that of the spectra.
    n : int
        Number of spectra.
    counts : float or tuple of float
        Least and largest expected counts from sources, or one number for both; their logarithm is
        drawn evenly. In a mixture they are shared out at random (Dirichlet).
    absorbers : sequence
        Layers around the source, ``("Pb", 0.2)`` (material and cm) or ``"Pb 0.2"``, None or
        ``"none"``; one is drawn for each spectrum.
    background_counts : float or tuple of float, optional
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
    seen_by = as_detector(detector)
    layers = as_absorbers(absorbers)
    _require_settings(n, live_time, gain_drift, seen_by.axis.n_channels)
    totals = as_range("counts", counts, above=0.0, most=_MOST_COUNTS)
    behind = None
    if background_counts is not None:
        behind = as_range("background_counts", background_counts, most=_MOST_COUNTS)
    rng = np.random.default_rng(seed)
    plan = _draw_plan(rng, sets, layers, n, totals, behind, gain_drift)
    values = np.empty((n, seen_by.axis.n_channels), dtype=np.int64)
    for rows, expected in _expectations(plan, seen_by):
        values[rows] = rng.poisson(expected)
    return Spectra(
        values,
        seen_by.axis,
        live_time=np.full(n, float(live_time)),
        columns=_columns(plan, seen_by.name, behind is not None),
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
        "material": np.array(
            [material_name(layer[0]) if layer else "" for layer in layers], dtype=np.str_
        ),
        "thickness": np.array([layer[1] if layer else 0.0 for layer in layers]),
        "gain": plan.gain,
    }
    for column, name in enumerate(plan.names):
        columns[f"true_{name}"] = plan.counts[:, column].copy()
    return columns


def absorber_name(layer: Absorber | None) -> str:
    """An absorber as columns and variants call it, e.g. ``"Pb 0.2 cm"``; empty for none."""
    return "" if layer is None else f"{material_name(layer[0])} {layer[1]:g} cm"


def as_source(name: object) -> str:
    """A nuclide as the tables write it, or the background.

    Raises
    ------
    LabelError
        If it is neither; the message names the nearest.
    """
    if not isinstance(name, str):
        raise LabelError(f"a source is the name of a nuclide, got {shown(name)}")
    if name == BACKGROUND:
        return name
    try:
        return nuclide(name).name
    except LabelError as error:
        raise LabelError(
            f"cannot simulate {shown(name)}: {error} (known sources: {', '.join(sources())}, and "
            "all of spectraloom.physics.nuclides())"
        ) from None


def as_absorbers(absorbers: Sequence[object]) -> tuple[Absorber | None, ...]:
    """Layers around a source: material and thickness in cm, or None for a bare one.

    Raises
    ------
    LabelError
        If a material is not known.
    DataError
        If there is none, or one is no layer.
    """
    if isinstance(absorbers, str) or not isinstance(absorbers, Sequence):
        raise DataError(f"absorbers is a list, as in [None, ('Pb', 0.2)], got {shown(absorbers)}")
    if not absorbers:
        raise DataError("absorbers is empty: give (None,) for bare sources")
    parts = [absorber_parts(layer) for layer in absorbers]
    return tuple(
        None if one is None else (one[0], as_number("thickness", one[1], least=0.0, most=FURTHEST))
        for one in parts
    )


def _as_label_sets(nuclides: Sequence[str | Sequence[str]]) -> tuple[LabelSet, ...]:
    if isinstance(nuclides, str):
        raise DataError(f"nuclides is a sequence, not a text: write [{nuclides!r}]")
    sets = tuple(
        tuple(as_source(name) for name in (entry if isinstance(entry, list | tuple) else (entry,)))
        for entry in nuclides
    )
    if not sets or not all(sets):
        raise DataError("there must be at least one nuclide in every entry of nuclides")
    for entry in sets:
        if len(set(entry)) < len(entry):
            raise DataError(f"the mixture {entry} names a nuclide twice")
        if len(entry) > 1 and BACKGROUND in entry:
            raise DataError(
                f"{entry} mixes a source with the background: give background_counts, which adds "
                "background to every spectrum"
            )
    return sets


def _require_settings(n: int, live_time: float, gain_drift: float, n_channels: int) -> None:
    if n < 1:
        raise DataError(f"at least one spectrum must be asked for, got n={n}")
    if n * n_channels > _MOST_VALUES:
        raise DataError(
            f"{n:,} spectra of {n_channels} channels are too large for memory: draw at most "
            f"{_MOST_VALUES // n_channels:,} at a time"
        )
    if not (np.isfinite(live_time) and live_time >= 0):
        raise DataError(f"live_time is 0 s or more, got {live_time}")
    if not 0 <= gain_drift <= 0.1:
        raise DataError(f"gain_drift is a standard deviation from 0 to 0.1, got {gain_drift:g}")
