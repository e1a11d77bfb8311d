"""What each spectrum of a scene holds, before physics: all that is random but the counts."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from spectraloom._typing import FloatArray, IntArray
from spectraloom.generate.passes import track
from spectraloom.generate.scene import Scene, ScenePass, SceneSource
from spectraloom.generate.scene_checks import Range
from spectraloom.physics.gamma.background import BACKGROUND_COMPONENTS, Background, vary
from spectraloom.physics.gamma.drift import drift

SHARES = 3.0
"""Dirichlet parameter of a mixture: equal shares are likely, one below 5 % is rare."""

_APART = 100.0  # correlation times between single spectra, which so are independent


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One row for each spectrum.

    Attributes
    ----------
    entry : ndarray, shape (n,)
        Position in ``scene.entries``; -1 for background alone.
    detector, shield, age : ndarray, shape (n,)
        Positions in the detectors of the scene and the absorbers and ages of the entry.
    thickness, distance : ndarray, shape (n,)
        cm.
    closest : ndarray, shape (n,)
        Distance at which the amount is meant, cm.
    member : ndarray, shape (n, k)
        Positions in ``scene.nuclides``; -1 where there are fewer.
    share : ndarray, shape (n, k)
        Shares of the amount, or each activity in Bq; zero where there are fewer.
    amount : ndarray, shape (n,)
        Counts or signal to noise; one for activities.
    time : ndarray, shape (n,)
        Live time of single spectra, real time of those of passes, s.
    background : ndarray, shape (n, n_components)
        Weights of the components; zero without background.
    gain, offset : ndarray, shape (n,)
        Drift.
    run : ndarray, shape (n,)
        Number of the pass, -1 for single spectra.
    since, position : ndarray, shape (n,)
        Time since the begin of the pass, s, and place along it, cm; nan for single spectra.
    replaced, instead : ndarray, shape (n,)
        Position in `member` whose label is wrong, -1 for none, and in ``scene.nuclides`` of the
        wrong one.
    """

    entry: IntArray
    detector: IntArray
    shield: IntArray
    age: IntArray
    thickness: FloatArray
    distance: FloatArray
    closest: FloatArray
    member: IntArray
    share: FloatArray
    amount: FloatArray
    time: FloatArray
    background: FloatArray
    gain: FloatArray
    offset: FloatArray
    run: IntArray
    since: FloatArray
    position: FloatArray
    replaced: IntArray
    instead: IntArray

    def __len__(self) -> int:
        return len(self.entry)


def draw_plan(scene: Scene, seed: np.random.SeedSequence) -> Plan:
    """Draw all that is random in a scene but the counts.

    Parameters
    ----------
    scene : Scene
        What is drawn.
    seed : SeedSequence
        The same seed gives the same plan.

    Returns
    -------
    Plan
        Single spectra, then the passes one after another.
    """
    # Each part has its own stream, so that a change of one leaves the others as they are.
    streams = [np.random.default_rng(one) for one in seed.spawn(4 + len(scene.passes))]
    parts = [_singles(scene, *streams[:3])] if scene.spectra else []
    first_run = 0
    for number, one in enumerate(scene.passes):
        entry = len(scene.sources) + number
        parts.append(_passes(scene, one, entry, first_run, streams[4 + number]))
        first_run += one.passes
    whole = {
        one.name: np.concatenate([getattr(part, one.name) for part in parts])
        for one in fields(Plan)
    }
    whole |= _label_noise(scene, whole, streams[3])
    return Plan(**whole)


def _singles(
    scene: Scene,
    rng: np.random.Generator,
    outside: np.random.Generator,
    walk: np.random.Generator,
) -> Plan:
    n = scene.spectra
    alone = np.zeros(n, dtype=bool)
    if scene.background is not None:
        alone = rng.permutation(n) < round(scene.background.alone * n)
    entry = np.full(n, -1)
    if scene.sources:
        weights = np.array([one.weight for one in scene.sources])
        entry = np.where(alone, -1, rng.choice(len(weights), size=n, p=weights / weights.sum()))
    time = _log_uniform(rng, scene.live_time, n)
    detector = rng.integers(len(scene.detectors), size=n)
    background = _background(scene, outside, n)
    gain, offset = _drift(scene, _APART * np.arange(n, dtype=np.float64), walk, relative=True)
    plan = _bare(scene, n)
    columns: dict[str, np.ndarray] = {one.name: getattr(plan, one.name) for one in fields(Plan)}
    columns |= {"entry": entry, "detector": detector, "time": time, "background": background}
    columns |= {"gain": gain, "offset": offset}
    for position, source in enumerate(scene.sources):
        rows = np.flatnonzero(entry == position)
        for name, drawn in _source(scene, source, rows.size, rng).items():
            columns[name][rows] = drawn
    columns["closest"] = columns["distance"].copy()
    return Plan(**columns)


def _passes(
    scene: Scene, one: ScenePass, entry: int, first_run: int, rng: np.random.Generator
) -> Plan:
    """All spectra of the passes of an entry: one draw for each pass, then a row for each step."""
    n, steps = one.passes, one.steps
    plan = _bare(scene, n)
    columns: dict[str, np.ndarray] = {
        part.name: getattr(plan, part.name).copy() for part in fields(Plan)
    }
    there = rng.permutation(n) < round(one.present * n)
    for name, drawn in _source(scene, one, n, rng).items():
        columns[name][:] = drawn
    for name, nothing in (("member", -1), ("share", 0.0), ("shield", -1), ("thickness", 0.0)):
        columns[name][~there] = nothing
    speeds = 100.0 * _log_uniform(rng, one.speed, n)
    columns["entry"] = np.where(there, entry, -1)
    columns["detector"] = rng.integers(len(scene.detectors), size=n)
    columns["background"] = _background(scene, rng, n)
    columns["closest"] = columns["distance"].copy()
    columns = {name: np.repeat(values, steps, axis=0) for name, values in columns.items()}
    nearest = columns["closest"][::steps]
    tracks = [
        track(closest, speed, one.interval, steps)
        for closest, speed in zip(nearest, speeds, strict=True)
    ]
    columns["since"] = np.concatenate([part.time for part in tracks])
    columns["position"] = np.concatenate([part.position for part in tracks])
    columns["distance"] = np.concatenate([part.distance for part in tracks])
    columns["run"] = np.repeat(first_run + np.arange(n), steps)
    columns["time"] = np.full(n * steps, one.interval)
    walks = [_drift(scene, part.time, rng) for part in tracks]
    columns["gain"] = np.concatenate([gain for gain, _ in walks])
    columns["offset"] = np.concatenate([offset for _, offset in walks])
    return Plan(**columns)


def _bare(scene: Scene, n: int) -> Plan:
    """Rows without a source."""
    k = max((entry.mixture[1] for entry in scene.entries), default=1)
    none, zero = np.full(n, -1), np.zeros(n)
    return Plan(
        entry=none,
        detector=np.zeros(n, dtype=np.int64),
        shield=none.copy(),
        age=none.copy(),
        thickness=zero.copy(),
        distance=np.full(n, np.nan),
        closest=np.full(n, np.nan),
        member=np.full((n, k), -1),
        share=np.zeros((n, k)),
        amount=zero.copy(),
        time=zero.copy(),
        background=np.zeros((n, len(BACKGROUND_COMPONENTS))),
        gain=np.ones(n),
        offset=zero.copy(),
        run=none.copy(),
        since=np.full(n, np.nan),
        position=np.full(n, np.nan),
        replaced=none.copy(),
        instead=none.copy(),
    )


def _source(
    scene: Scene, one: SceneSource, n: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Columns of `n` draws of an entry."""
    k = max(entry.mixture[1] for entry in scene.entries)
    names = np.array([scene.nuclides.index(name) for name in one.nuclides])
    together = rng.integers(one.mixture[0], one.mixture[1] + 1, size=n)
    filled = np.arange(k) < together[:, np.newaxis]
    order = rng.random((n, len(names))).argsort(axis=1)[:, :k]
    member = np.full((n, k), -1)
    member[:, : order.shape[1]] = names[order]
    if one.amount == "activity":
        share = _log_uniform(rng, one.activity, (n, k))
        amount = np.ones(n)
    else:
        # Gamma variables over their sum are Dirichlet, for any number of them.
        share = np.where(filled, rng.gamma(SHARES, size=(n, k)), 0.0)
        share = share / share.sum(axis=1, keepdims=True)
        amount = _log_uniform(rng, getattr(one, one.amount), n)
    shield = rng.integers(len(one.absorbers), size=n)
    ends = np.array([(0.0, 0.0) if layer is None else layer[1] for layer in one.absorbers])[shield]
    return {
        "member": np.where(filled, member, -1),
        "share": np.where(filled, share, 0.0),
        "amount": amount,
        "shield": shield,
        "thickness": ends[:, 0] + rng.random(n) * (ends[:, 1] - ends[:, 0]),
        "distance": _log_uniform(rng, one.distance, n),
        "age": rng.integers(len(one.age), size=n) if one.age else np.full(n, -1),
    }


def _background(scene: Scene, rng: np.random.Generator, n: int) -> FloatArray:
    if scene.background is None:
        return np.zeros((n, len(BACKGROUND_COMPONENTS)))
    same = np.tile(Background().weights, (n, 1))
    weights = vary(rng, n) if scene.background.vary else same
    return weights * _log_uniform(rng, scene.background.factor, n)[:, np.newaxis]


def _drift(
    scene: Scene, times: FloatArray, rng: np.random.Generator, *, relative: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Gain and offset at some times, which may be in correlation times."""
    if scene.drift is None:
        return np.ones(len(times)), np.zeros(len(times))
    walk = drift(
        times,
        gain=scene.drift.gain,
        offset=scene.drift.offset,
        correlation_time=1.0 if relative else scene.drift.correlation_time,
        seed=rng,
    )
    return walk.gain, walk.offset


def _label_noise(
    scene: Scene, columns: dict[str, np.ndarray], rng: np.random.Generator
) -> dict[str, IntArray]:
    """Which labels are wrong. All spectra of a pass are labelled alike."""
    member, run, entry = columns["member"], columns["run"], columns["entry"]
    replaced, instead = columns["replaced"].copy(), columns["instead"].copy()
    if scene.label_noise == 0.0:
        return {"replaced": replaced, "instead": instead}
    hidden = np.array([one.unknown for one in scene.entries])
    named = (entry >= 0) & ~hidden[entry]
    single = np.flatnonzero(named & (run < 0))
    first = np.flatnonzero(named & (np.diff(run, prepend=-1) != 0))
    for rows in (single, first):
        wrong = rng.permutation(rows)[: round(scene.label_noise * rows.size)]
        known = np.array([scene.nuclides.index(name) for name in scene.known])
        for row in wrong:
            inside = member[row][member[row] >= 0]
            others = np.setdiff1d(known, inside)
            if others.size:
                same = (
                    np.array([row])
                    if run[row] < 0
                    else np.arange(*np.searchsorted(run, [run[row], run[row] + 1]))
                )
                replaced[same] = rng.integers(inside.size)
                instead[same] = rng.choice(others)
    return {"replaced": replaced, "instead": instead}


def _log_uniform(rng: np.random.Generator, ends: Range, size: int | tuple[int, int]) -> FloatArray:
    """Draws whose logarithm is even; a range that begins at zero is even itself."""
    low, high = ends
    if low == high:
        return np.full(size, low)
    drawn = rng.random(size)
    return np.asarray(low * (high / low) ** drawn if low > 0 else low + (high - low) * drawn)
