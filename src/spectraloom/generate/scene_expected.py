"""Expected counts of the rows of a plan: sources, background, pile-up and drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from spectraloom._typing import FloatArray, IntArray
from spectraloom.errors import DataError
from spectraloom.generate.scene import Scene, emission, surroundings
from spectraloom.generate.scene_draw import Plan
from spectraloom.generate.scene_tables import (
    SourceTable,
    distance_nodes,
    source_table,
    thickness_nodes,
)
from spectraloom.physics.gamma.background import BACKGROUND_COMPONENTS
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.drift import drifted
from spectraloom.physics.gamma.electronics import live_fraction, recorded
from spectraloom.physics.gamma.materials import material_name
from spectraloom.physics.gamma.spectrum import (
    LEAST_PASSING,
    background_rates,
    expected_counts,
)

_LEAST_SUMS = 0.1  # counts; pile-up that is expected to move fewer is left out

BLOCK = 32
"""Rows that are computed at once begin at multiples of it."""

Case: TypeAlias = tuple[int, int, int, int, int]
"""Detector, entry, absorber, age and nuclide, as positions in a plan."""


class Tables(NamedTuple):
    """What spectra are made of.

    Attributes
    ----------
    sources : mapping of Case to SourceTable
        Expected counts per decay.
    background : ndarray, shape (n_detectors, n_components, n_channels)
        Counts per second and unit of each component.
    """

    sources: Mapping[Case, SourceTable]
    background: FloatArray


class Expected(NamedTuple):
    """What is expected of each spectrum.

    Attributes
    ----------
    counts : ndarray, shape (n, n_nuclides + 1)
        Of each nuclide and, last, of the background.
    live_time, real_time : ndarray, shape (n,)
        s.
    """

    counts: FloatArray
    live_time: FloatArray
    real_time: FloatArray


def scene_tables(
    scene: Scene, plan: Plan, progress: Callable[[float, str], None] = lambda _done, _text: None
) -> Tables:
    """Do the transport for all that occurs in a plan.

    Parameters
    ----------
    scene : Scene
        The scene.
    plan : Plan
        What was drawn of it.
    progress : callable, optional
        Called with the fraction done and what is being done.

    Raises
    ------
    DataError
        If next to nothing passes the absorber of a source whose counts are given.
    """
    cases = _cases(plan)
    tables: dict[Case, SourceTable] = {}
    for done, case in enumerate(cases):
        progress(done / len(cases), f"transport of {scene.nuclides[case[-1]]}")
        tables[case] = _table(scene, case)
    shape = (len(scene.detectors), len(BACKGROUND_COMPONENTS), scene.ready[0].axis.n_channels)
    rates = np.zeros(shape)
    if scene.background is not None:
        progress(1.0, "transport of background")
        for number in np.unique(plan.detector):
            found = background_rates(scene.ready[number])
            rates[number] = [found[name] for name in BACKGROUND_COMPONENTS]
    return Tables(tables, rates)


def _cases(plan: Plan) -> list[Case]:
    k = plan.member.shape[1]
    columns = (plan.detector, plan.entry, plan.shield, plan.age)
    rows = [np.repeat(column, k) for column in columns]
    rows.append(plan.member.ravel())
    found = np.unique(np.stack(rows, axis=1)[plan.member.ravel() >= 0], axis=0)
    return [tuple(row) for row in found.tolist()]


def _table(scene: Scene, case: Case) -> SourceTable:
    number, position, shield_number, age, member = case
    detector, entry, name = scene.ready[number], scene.entries[position], scene.nuclides[member]
    shield = entry.absorbers[shield_number]
    source = emission(name, entry.age[age] if age >= 0 else None)
    thinnest, thickest = (0.0, 0.0) if shield is None else shield[1]
    nearest, furthest = entry.distance[0], getattr(entry, "reach", entry.distance[1])

    def expected(thickness: float, distance: float) -> FloatArray:
        return expected_counts(source, detector, surroundings(entry, shield, thickness, distance))

    by_activity = entry.amount == "activity"
    if thickest > 0 and not by_activity:
        # Counts are asked for, so that what hardly passes is made large.
        bare = expected(0.0, nearest).sum()
        least = expected(thickest, nearest).sum()
        if not least > LEAST_PASSING * bare:
            raise DataError(
                f"next to nothing of {name} passes {thickest:g} cm of {material_name(shield[0])}, "
                f"less than {LEAST_PASSING:g} of its counts: give it an entry of its own with "
                "thinner absorbers, or an activity, of which nothing may be seen"
            )
    thicknesses = np.zeros(1) if shield is None else thickness_nodes(shield[0], thinnest, thickest)
    return source_table(
        expected, thicknesses, distance_nodes(nearest, furthest), may_vanish=by_activity
    )


def expected_rows(
    scene: Scene, plan: Plan, tables: Tables, rows: IntArray
) -> tuple[FloatArray, Expected]:
    """Expected counts of some rows of a plan.

    Parameters
    ----------
    scene, plan, tables
        The scene, what was drawn of it, and :func:`scene_tables` of both.
    rows : ndarray, shape (n,)
        Rows of the plan, whole blocks of :data:`BLOCK`.

    Returns
    -------
    ndarray, shape (n, n_channels)
        Expected counts. They do not depend on how many blocks are computed at once.
    Expected
        How they come about.
    """
    time = plan.time[rows]
    values, background = _background(plan, tables, rows)
    values *= time[:, np.newaxis]
    parts = np.zeros((rows.size, len(scene.nuclides) + 1))
    parts[:, -1] = background * time
    _add_sources(scene, plan, tables, rows, values, parts)
    before = values.sum(axis=1)
    live, real = _electronics(scene, plan, rows, values)
    for number in np.unique(plan.detector[rows]):
        moved = np.flatnonzero(
            (plan.detector[rows] == number)
            & ((plan.gain[rows] != 1.0) | (plan.offset[rows] != 0.0))
        )
        if moved.size:
            here = rows[moved]
            axis = scene.ready[number].axis
            values[moved] = drifted(values[moved], axis, plan.gain[here], plan.offset[here])
    kept = np.divide(values.sum(axis=1), before, out=np.zeros(rows.size), where=before > 0)
    return values, Expected(parts * kept[:, np.newaxis], live, real)


def _background(plan: Plan, tables: Tables, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """Counts per second in each channel, and in all."""
    values = np.zeros((rows.size, tables.background.shape[2]))
    for number in np.unique(plan.detector[rows]):
        mine = np.flatnonzero(plan.detector[rows] == number)
        weights = plan.background[rows[mine]]
        if not weights.any():
            continue
        # Sum by sum: a product of matrices rounds as their sizes tell it to.
        found = np.zeros((mine.size, values.shape[1]))
        for component, rates in enumerate(tables.background[number]):
            found += weights[:, component, np.newaxis] * rates
        values[mine] = found
    return values, values.sum(axis=1)


def _add_sources(
    scene: Scene,
    plan: Plan,
    tables: Tables,
    rows: IntArray,
    values: FloatArray,
    parts: FloatArray,
) -> None:
    """Add the counts of all sources to `values`, and their totals to `parts`."""
    amount = _amounts(scene, plan, rows, parts[:, -1])
    order, cases = _by_case(plan, rows)
    for case, pairs in cases:
        position, column = order[pairs] // plan.member.shape[1], order[pairs] % plan.member.shape[1]
        here = rows[position]
        table = tables.sources[case]
        counts = table.at(plan.thickness[here], plan.distance[here])
        factor = plan.share[here, column] * amount[position]
        if scene.entries[case[1]].amount == "activity":
            factor = factor * plan.time[here]
        else:
            factor = factor / _meant(table, plan, here, counts)
        counts = counts * factor[:, np.newaxis]
        values[position] += counts
        parts[position, case[-1]] += counts.sum(axis=1)


def _by_case(plan: Plan, rows: IntArray) -> tuple[IntArray, list[tuple[Case, IntArray]]]:
    """Sources of rows, sorted by their case.

    Returns positions among all places of all rows, and for each case which of these are of it.
    """
    k = plan.member.shape[1]
    order = np.flatnonzero(plan.member[rows].ravel() >= 0)
    if not order.size:
        return order, []
    here = rows[order // k]
    columns = (plan.detector, plan.entry, plan.shield, plan.age)
    keys = np.stack([*(c[here] for c in columns), plan.member[rows].ravel()[order]], axis=1)
    sorting = np.lexsort(keys.T[::-1])
    keys = keys[sorting]
    begins = np.flatnonzero(np.append(True, (np.diff(keys, axis=0) != 0).any(axis=1)))
    ends = np.append(begins[1:], len(keys))
    cases = [
        (tuple(keys[begin].tolist()), sorting[begin:end])
        for begin, end in zip(begins, ends, strict=True)
    ]
    return order, cases


def _meant(table: SourceTable, plan: Plan, rows: IntArray, counts: FloatArray) -> FloatArray:
    """Counts per decay at the distance at which the amount of a source is meant."""
    totals = counts.sum(axis=1)
    away = np.flatnonzero(plan.distance[rows] != plan.closest[rows])
    if away.size:
        # All spectra of a pass refer to the same.
        which, back = np.unique(
            np.stack([plan.thickness[rows[away]], plan.closest[rows[away]]]),
            axis=1,
            return_inverse=True,
        )
        totals[away] = table.at(which[0], which[1]).sum(axis=1)[back.ravel()]
    return totals


def _amounts(scene: Scene, plan: Plan, rows: IntArray, background: FloatArray) -> FloatArray:
    """Counts of all sources of a row, at the closest approach; one for activities."""
    noisy = np.array([entry.amount == "signal_to_noise" for entry in scene.entries] + [False])
    here = noisy[plan.entry[rows]]
    return np.asarray(plan.amount[rows] * np.where(here, np.sqrt(background), 1.0))


def _electronics(
    scene: Scene, plan: Plan, rows: IntArray, values: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Apply dead time and pile-up where activities are given; live and real times.

    The time of a single spectrum is its live time, that of a spectrum of a pass its real time.
    """
    live, real = plan.time[rows].copy(), plan.time[rows].copy()
    by_activity = [entry.amount == "activity" for entry in scene.entries]
    physical = np.array([*by_activity, any(by_activity)])  # the last is background alone
    for number, detector in enumerate(scene.ready):
        mine = np.flatnonzero(physical[plan.entry[rows]] & (plan.detector[rows] == number))
        if not mine.size or max(detector.dead_time, detector.pile_up_time) == 0.0:
            continue
        rates = values[mine].sum(axis=1) / live[mine]
        ready = live_fraction(rates, max(detector.dead_time, detector.pile_up_time))
        in_pass = plan.run[rows[mine]] >= 0
        live[mine] = np.where(in_pass, live[mine] * ready, live[mine])
        real[mine] = np.where(in_pass, real[mine], real[mine] / ready)
        values[mine] = _piled_up(values[mine], rows[mine], plan.time[rows[mine]], detector)
        values[mine] *= (live[mine] / plan.time[rows[mine]])[:, np.newaxis]
    return live, real


def _piled_up(
    values: FloatArray, rows: IntArray, time: FloatArray, detector: GammaDetector
) -> FloatArray:
    """Counts in the live time, with pulses that add up where that can be seen."""
    rates = values / time[:, np.newaxis]
    totals = rates.sum(axis=1)
    seen = np.flatnonzero(totals * detector.pile_up_time * values.sum(axis=1) > _LEAST_SUMS)
    longest = max(detector.dead_time, detector.pile_up_time)
    found = values.copy()
    # How many sums are followed depends on the highest rate of those done at once. So that a row
    # does not depend on where chunks begin, those of one block are done at once, wherever they are.
    for block in np.unique(rows[seen] // BLOCK):
        some = seen[rows[seen] // BLOCK == block]
        piled = recorded(
            rates[some],
            detector.axis,
            dead_time=longest,
            pile_up_time=detector.pile_up_time,
        )
        ready = live_fraction(totals[some], longest)
        found[some] = piled * (time[some] / ready)[:, np.newaxis]
    return found
