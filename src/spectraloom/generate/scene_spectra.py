"""Spectra of a scene: expected counts of what was drawn, drift, pile-up, and Poisson counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from spectraloom._typing import Array, FloatArray
from spectraloom.data import Spectra
from spectraloom.data.columns import label_sets
from spectraloom.errors import DataError
from spectraloom.generate.scene import Scene
from spectraloom.generate.scene_draw import Plan, draw_plan
from spectraloom.generate.scene_expected import BLOCK, Expected, Tables, expected_rows, scene_tables
from spectraloom.physics.gamma.lines import BACKGROUND
from spectraloom.physics.gamma.materials import material_name

UNKNOWN = "unknown"
"""Label of sources that a scene hides."""

_CHUNK = 8 * BLOCK  # spectra whose expectation is held in memory at a time
_MOST_COUNTS = 1e9  # of a spectrum; a channel holds no more
_TABLES_SHARE = 0.5  # of the time, as far as the progress bar knows


def simulate_scene(
    scene: Scene,
    *,
    seed: int | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Spectra:
    """Draw the spectra of a scene.

    Parameters
    ----------
    scene : Scene
        What is drawn.
    seed : int, optional
        Instead of that of the scene. The same seed gives the same spectra, whatever the number of
        threads.
    progress : callable, optional
        Called with the fraction done and what is being done.

    Returns
    -------
    Spectra
        Single spectra, then passes one after another. Columns:

        ``labels``
            names of the sources, ``"unknown"`` for those that are hidden, wrong ones as the label
            noise of the scene asks for; ``"background"`` is the last wherever it is there
        ``true_labels``
            the same with all names right
        ``detector``, ``absorber``, ``material``, ``thickness`` (cm), ``distance`` (cm)
            what the sources were seen with; empty, zero or nan without a source
        ``age``
            s; nan for short-lived daughters only
        ``gain``, ``offset`` (keV)
            drift of the detector
        ``pass``, ``time`` (s), ``position`` (cm)
            which pass, since its begin, and from the closest approach; -1 and nan for single
            spectra. Only if there are passes.
        ``true_<nuclide>``, ``true_background``
            expected counts of each on the axis. They add up to the expected total: counts that
            dead time, pile-up and drift take or move are shared out among them.
        ``activity_<nuclide>``
            Bq; zero where it is not there, nan where counts were asked for instead. Only if an
            entry has activities.

    Raises
    ------
    DataError
        If nothing of a source reaches the detector, or a rate is too high to be simulated.

    Examples
    --------
    >>> from spectraloom.generate import Scene, SceneSource, simulate_scene
    >>> caesium = SceneSource(nuclides=["Cs-137"], counts=(300, 3000))
    >>> simulate_scene(Scene(spectra=4, sources=[caesium], seed=1)).shape
    (4, 1024)
    """
    used = scene if seed is None else replace(scene, seed=seed)
    tell: Callable[[float, str], None] = progress or (lambda _fraction, _text: None)
    root = np.random.SeedSequence(used.seed)
    for_plan, for_counts = root.spawn(2)
    plan = draw_plan(used, for_plan)
    tables = scene_tables(used, plan, lambda done, text: tell(_TABLES_SHARE * done, text))
    counts, expected = _draw(used, plan, tables, for_counts, tell)
    return Spectra(
        counts,
        used.ready[0].axis,
        live_time=expected.live_time,
        real_time=expected.real_time,
        columns=_columns(used, plan, expected),
        attrs={
            "source": "simulated by spectraloom.generate.simulate_scene",
            "scene": used.name,
            "seed": used.seed,
        },
    )


def _draw(
    scene: Scene,
    plan: Plan,
    tables: Tables,
    seed: np.random.SeedSequence,
    tell: Callable[[float, str], None],
) -> tuple[Array, Expected]:
    """Poisson counts around what is expected, chunk by chunk on all cores."""
    n, n_channels = len(plan), scene.ready[0].axis.n_channels
    counts = np.empty((n, n_channels), dtype=np.int32)
    key = seed.generate_state(2, np.uint64)
    starts = range(0, n, _CHUNK)

    def fill(start: int) -> Expected:
        rows = np.arange(start, min(start + _CHUNK, n))
        values, expected = expected_rows(scene, plan, tables, rows)
        largest = values.sum(axis=1).max(initial=0.0)
        if largest > _MOST_COUNTS:
            raise DataError(
                f"a spectrum would hold {largest:.3g} counts: at most {_MOST_COUNTS:g} are "
                "possible; take a lower activity or a shorter time"
            )
        _poisson(values, key, start, counts[rows[0] : rows[-1] + 1])
        return expected

    parts: list[Expected] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(fill, starts):
            parts.append(part)
            done = len(parts) / len(starts)
            tell(_TABLES_SHARE + (1.0 - _TABLES_SHARE) * done, "drawing spectra")
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    return counts, Expected(*joined)


def _poisson(expected: FloatArray, key: Array, first: int, out: Array) -> None:
    """Draw each row from a stream of its own, so that it does not matter where chunks begin."""
    bits = np.random.Philox(key=key)
    rng = np.random.Generator(bits)
    state: Any = bits.state
    for row, mean in enumerate(expected):
        state["state"]["counter"][:] = (0, 0, first + row, 0)
        bits.state = state
        out[row] = rng.poisson(mean)


def _columns(scene: Scene, plan: Plan, expected: Expected) -> dict[str, Any]:
    there = plan.entry >= 0
    shields = [entry.absorbers for entry in scene.entries]
    layers = [
        shields[entry][shield] if entry >= 0 else None
        for entry, shield in zip(plan.entry, plan.shield, strict=True)
    ]
    materials = [
        material_name(layer[0]) if layer and thickness > 0 else ""
        for layer, thickness in zip(layers, plan.thickness, strict=True)
    ]
    named, true = _labels(scene, plan)
    columns: dict[str, Any] = {
        "labels": named,
        "true_labels": true,
        "detector": np.array([one.name for one in scene.ready])[plan.detector],
        "absorber": np.array(
            [
                f"{layer} {thickness:.4g} cm" if layer else ""
                for layer, thickness in zip(materials, plan.thickness, strict=True)
            ],
            dtype=np.str_,
        ),
        "material": np.array(materials, dtype=np.str_),
        "thickness": plan.thickness,
        "distance": np.where(there, plan.distance, np.nan),
        "age": np.array(
            [
                scene.entries[entry].age[age] if entry >= 0 and age >= 0 else np.nan
                for entry, age in zip(plan.entry, plan.age, strict=True)
            ]
        ),
        "gain": plan.gain,
        "offset": plan.offset,
    }
    if scene.passes:
        columns |= {"pass": plan.run, "time": plan.since, "position": plan.position}
    for number, name in enumerate(scene.nuclides):
        columns[f"true_{name}"] = expected.counts[:, number].copy()
    if scene.background is not None:
        columns[f"true_{BACKGROUND}"] = expected.counts[:, -1].copy()
    if any(entry.amount == "activity" for entry in scene.entries):
        columns |= _activities(scene, plan)
    return columns


def _labels(scene: Scene, plan: Plan) -> tuple[Array, Array]:
    """What spectra are labelled with, and what they hold."""
    names = scene.nuclides
    last = () if scene.background is None else (BACKGROUND,)
    named, true = [], []
    for row, entry in enumerate(plan.entry):
        inside = [names[member] for member in plan.member[row] if member >= 0]
        true.append((*inside, *last))
        if plan.replaced[row] >= 0:
            inside[plan.replaced[row]] = names[plan.instead[row]]
        hidden = entry >= 0 and scene.entries[entry].unknown
        named.append((UNKNOWN, *last) if hidden else (*inside, *last))
    return label_sets(named), label_sets(true)


def _activities(scene: Scene, plan: Plan) -> dict[str, FloatArray]:
    by_activity = np.array([entry.amount == "activity" for entry in scene.entries])[plan.entry]
    found = {}
    for number, name in enumerate(scene.nuclides):
        here = plan.member == number
        value = np.where(here, plan.share, 0.0).sum(axis=1)
        found[f"activity_{name}"] = np.where(here.any(axis=1) & ~by_activity, np.nan, value)
    return found
