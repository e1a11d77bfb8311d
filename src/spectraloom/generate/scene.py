"""What a scene holds: sources, absorbers, background, detectors, passes, drift.

A :class:`Scene` says what is drawn, :func:`~spectraloom.generate.scene_spectra.simulate_scene`
draws it, and :mod:`~spectraloom.generate.scene_toml` reads one from a file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from spectraloom.data import Axis
from spectraloom.errors import DataError
from spectraloom.generate.scene_checks import (
    FURTHEST,
    MOST_CHOICES,
    Shield,
    as_ages,
    as_detectors,
    as_layer,
    as_mixture,
    as_nuclides,
    as_number,
    as_range,
    as_shields,
    as_whole,
    require_flag,
)
from spectraloom.physics.gamma.checks import NEAREST
from spectraloom.physics.gamma.crystal import Layer
from spectraloom.physics.gamma.detector import GammaDetector
from spectraloom.physics.gamma.emission import EmissionLines
from spectraloom.physics.gamma.materials import shown
from spectraloom.physics.gamma.nuclides import YEAR, nuclide
from spectraloom.physics.gamma.spectrum import source_lines
from spectraloom.physics.gamma.transport.surroundings import Surroundings

AMOUNTS = ("counts", "signal_to_noise", "activity")
"""Ways to say how much of a source there is."""

_MOST_SPECTRA = 10_000_000
_MOST_VALUES = 1_000_000_000  # channels of all spectra; 4 GB
_MOST_STEPS = 100_000  # spectra of a pass
_SLOWEST, _FASTEST = 0.01, 100.0  # m/s
_SHORTEST, _LONGEST = 1e-6, 1e9  # s

_put = object.__setattr__


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSource:
    """Sources that may lie before a detector, alone or several together, and what is around them.

    Ranges are a number or a pair, the least and the largest. Distances, thicknesses and shares are
    drawn evenly in between, distances by their logarithm; so are amounts, by theirs.

    Parameters
    ----------
    nuclides : sequence of str
        What may be there; all are as likely.
    mixture : int or (int, int)
        How many of them lie together. Those that do share the counts at random (Dirichlet).
    age : str, float, or sequence of these
        Times since the nuclides were pure, in s or as ``"20 y"``; one is drawn. Without any, each
        has the daughters that soon are in equilibrium with it: those that live less than half as
        long and at most 30 days, up to the first that does not. So Th-232 is alone, and U-238 ends
        with Pa-234m; give their age to have the late daughters.
    absorbers : sequence
        Layers closed around the sources, of which one is drawn: None or ``"none"``,
        ``("Pb", 0.2)`` (material and cm) or ``"Pb 0.2"``, ``("Pb", (0.1, 2.0))`` for a range.
        Materials are names or, here and below, what :func:`~spectraloom.physics.gamma.material`
        and :func:`~spectraloom.physics.gamma.mixture` give.
    distance : range
        From the middle of the sources to the front of the detector, cm.
    body : Layer, optional
        Material and radius in cm of a ball in which the sources are spread evenly.
    floor : Layer, optional
        Material of a floor and height of sources and detector above it, cm.
    counts : range, optional
        Expected counts of all sources together; 1000 to 10,000 if nothing else is given.
    signal_to_noise : range, optional
        The same as counts over the square root of those of the background.
    activity : range, optional
        Bq of each source; with an age, that when it was pure. Only these spectra have dead time
        and pile-up; behind thick absorbers nothing of it may be left.
    weight : float
        How often it is drawn, beside other entries.
    unknown : bool
        Whether its spectra are labelled ``"unknown"``; true names are kept in ``true_labels``.

    Raises
    ------
    LabelError
        If a nuclide or a material is not known; the message names the nearest.
    DataError
        If a number is out of range, or a source emits nothing to be seen.
    """

    nuclides: Sequence[str]
    mixture: Any = (1, 1)
    age: Any = ()
    absorbers: Sequence[Any] = (None,)
    distance: Any = (100.0, 100.0)
    body: Layer | None = None
    floor: Layer | None = None
    counts: Any = None
    signal_to_noise: Any = None
    activity: Any = None
    weight: float = 1.0
    unknown: bool = False

    def __post_init__(self) -> None:
        _put(self, "nuclides", as_nuclides(self.nuclides))
        _put(self, "mixture", as_mixture(self.mixture, len(self.nuclides)))
        _put(self, "age", as_ages(self.age))
        _put(self, "absorbers", as_shields(self.absorbers))
        _put(self, "distance", as_range("distance", self.distance, least=NEAREST, most=FURTHEST))
        _put(self, "body", as_layer("body", self.body, "radius"))
        _put(self, "floor", as_layer("floor", self.floor, "height"))
        given = [name for name in AMOUNTS if getattr(self, name) is not None]
        if len(given) > 1:
            raise DataError(f"give one of {', '.join(AMOUNTS)}, not {' and '.join(given)}")
        if not given:
            _put(self, "counts", (1e3, 1e4))
        else:
            _put(self, given[0], as_range(given[0], getattr(self, given[0]), above=0.0, most=1e15))
        _put(self, "weight", as_number("weight", self.weight, above=0.0, most=1e9))
        require_flag("unknown", self.unknown)
        for age in self.age or (None,):
            for name in self.nuclides:
                source_lines(emission(name, age))
        for shield in self.absorbers:
            # The nearest distance and the thickest layer must leave room for each other.
            thickest = 0.0 if shield is None else shield[1][1]
            surroundings(self, shield, thickest, self.distance[0])

    @property
    def amount(self) -> str:
        """Which of :data:`AMOUNTS` is given."""
        return next(name for name in AMOUNTS if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePass(SceneSource):
    """Passes of sources along a straight line, or of a detector along sources.

    What :class:`SceneSource` says holds, with these differences: `distance` is that of the closest
    approach, in the middle of the pass, and `counts` and `signal_to_noise` are those of a spectrum
    that is taken there. The sources of a pass, its absorber, its detector and its background stay
    the same. Its detector faces the source all the time.

    Parameters
    ----------
    passes : int
        How many.
    speed : range
        m/s.
    interval : float
        Real time of each spectrum, s.
    duration : float
        Of a pass, s.
    present : float
        Share of the passes that have a source; the others are background alone.
    """

    passes: int = 1
    speed: Any = (1.0, 1.0)
    interval: float = 1.0
    duration: float = 60.0
    present: float = 1.0

    def __post_init__(self) -> None:
        # Without arguments super() does not find the class that slots=True has made anew.
        SceneSource.__post_init__(self)
        if self.weight != 1.0:
            raise DataError("passes have no weight: `passes` says how many there are")
        _put(self, "passes", as_whole("passes", self.passes, 1, _MOST_SPECTRA))
        _put(self, "speed", as_range("speed", self.speed, least=_SLOWEST, most=_FASTEST))
        _put(self, "interval", as_number("interval", self.interval, least=_SHORTEST, most=_LONGEST))
        _put(
            self,
            "duration",
            as_number("duration", self.duration, least=self.interval, most=_LONGEST),
        )
        _put(self, "present", as_number("present", self.present, least=0.0, most=1.0))
        if self.steps > _MOST_STEPS:
            raise DataError(
                f"a pass of {self.duration:g} s in steps of {self.interval:g} s has {self.steps} "
                f"spectra: at most {_MOST_STEPS} are possible"
            )
        if self.reach > FURTHEST:
            raise DataError(
                f"a source at {self.speed[1]:g} m/s comes from {self.reach / 100:,.0f} m away in a "
                f"pass of {self.duration:g} s: at most {FURTHEST / 100:,.0f} m are possible"
            )

    @property
    def steps(self) -> int:
        """Spectra of a pass."""
        return max(1, int(self.duration / self.interval + 1e-9))

    @property
    def reach(self) -> float:
        """Furthest distance of a source, cm."""
        return math.hypot(self.distance[1], 50.0 * self.speed[1] * self.steps * self.interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneBackground:
    """The natural background of a scene, in the mean that of the world 1 m above ground.

    Parameters
    ----------
    vary : bool
        Whether it is another place in other weather for each spectrum or pass; see
        :func:`spectraloom.physics.gamma.background.vary`.
    factor : range
        Multiplies all of it.
    alone : float
        Share of the single spectra that hold no source.
    """

    vary: bool = True
    factor: Any = (1.0, 1.0)
    alone: float = 0.0

    def __post_init__(self) -> None:
        require_flag("vary", self.vary)
        _put(self, "factor", as_range("factor", self.factor, above=0.0, most=1e6))
        _put(self, "alone", as_number("alone", self.alone, least=0.0, most=1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneDrift:
    """How the energies of detectors drift; see :func:`spectraloom.physics.gamma.drift.drift`.

    Single spectra are far apart in time; those of a pass follow one another.

    Parameters
    ----------
    gain : float
        Standard deviation of the gain around one.
    offset : float
        Standard deviation of the offset, keV.
    correlation_time : float
        s.
    """

    gain: float = 0.005
    offset: float = 0.0
    correlation_time: float = 3600.0

    def __post_init__(self) -> None:
        _put(self, "gain", as_number("gain", self.gain, least=0.0, most=0.1))
        _put(self, "offset", as_number("offset", self.offset, least=-1e3, most=1e3))
        time = as_number("correlation_time", self.correlation_time, least=_SHORTEST, most=_LONGEST)
        _put(self, "correlation_time", time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that is drawn at once, on one axis.

    Parameters
    ----------
    name, description : str
        What it is for.
    spectra : int
        Number of single spectra, which `sources` share out by their weights.
    sources : sequence of SceneSource
        What single spectra hold.
    passes : sequence of ScenePass
        Time series beside them.
    detectors : sequence of str or GammaDetector
        Names as in :func:`spectraloom.physics.gamma.detectors.detector`, or detectors. Each
        spectrum or pass is seen by one of them.
    axis : Axis, optional
        That all spectra lie on, keV; by default that of the first detector.
    live_time : range
        Of single spectra, s.
    background : SceneBackground or None
        None switches it off.
    drift : SceneDrift, optional
        None for detectors that do not drift.
    label_noise : float
        Share of the spectra with a source in whose `labels` one name is wrong; `true_labels` are
        right. For passes it is the share of passes.
    seed : int
        Of all draws.

    Raises
    ------
    LabelError
        If a name is not known; the message names the nearest.
    DataError
        If there is nothing to draw, too much, or parts of the scene contradict each other.

    Examples
    --------
    >>> scene = Scene(spectra=5, sources=[SceneSource(nuclides=["Cs-137"], counts=500)])
    >>> scene.sources[0].nuclides, scene.sources[0].counts
    (('Cs137',), (500.0, 500.0))
    """

    name: str = ""
    description: str = ""
    spectra: int = 0
    sources: Sequence[SceneSource] = ()
    passes: Sequence[ScenePass] = ()
    detectors: Sequence[str | GammaDetector] = ("NaI 3x3",)
    axis: Axis | None = None
    live_time: Any = (1.0, 1.0)
    background: SceneBackground | None = field(default_factory=SceneBackground)
    drift: SceneDrift | None = None
    label_noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        _put(self, "spectra", as_whole("spectra", self.spectra, 0, _MOST_SPECTRA))
        _put(self, "sources", tuple(self.sources))
        _put(self, "passes", tuple(self.passes))
        _put(
            self, "live_time", as_range("live_time", self.live_time, least=_SHORTEST, most=_LONGEST)
        )
        _put(self, "label_noise", as_number("label_noise", self.label_noise, least=0.0, most=1.0))
        _put(self, "seed", as_whole("seed", self.seed, 0, 2**63 - 1))
        _put(self, "detectors", as_detectors(self.detectors, self.axis))
        for name, text in (("name", self.name), ("description", self.description)):
            if not isinstance(text, str):
                raise DataError(f"{name} is a text, got {shown(text)}")
        _require_parts(self)

    @property
    def ready(self) -> tuple[GammaDetector, ...]:
        """The detectors, on the axis of the scene."""
        return cast("tuple[GammaDetector, ...]", self.detectors)

    @property
    def entries(self) -> tuple[SceneSource, ...]:
        """Sources and passes."""
        return (*self.sources, *self.passes)

    @property
    def nuclides(self) -> tuple[str, ...]:
        """Names of all nuclides, in the order of the entries."""
        return tuple(dict.fromkeys(name for entry in self.entries for name in entry.nuclides))

    @property
    def known(self) -> tuple[str, ...]:
        """Names that spectra may be labelled with."""
        named = (n for entry in self.entries if not entry.unknown for n in entry.nuclides)
        return tuple(dict.fromkeys(named))

    def __len__(self) -> int:
        return self.spectra + sum(one.passes * one.steps for one in self.passes)


def _require_parts(scene: Scene) -> None:
    """Parts of a scene that only make sense together."""
    if len(scene.entries) > MOST_CHOICES:
        raise DataError(f"a scene has at most {MOST_CHOICES} entries, got {len(scene.entries)}")
    alone = 0.0 if scene.background is None else scene.background.alone
    if scene.spectra and not scene.sources and alone < 1.0:
        raise DataError(
            "single spectra need sources; for background alone set alone = 1 of the background"
        )
    if not len(scene):
        raise DataError("there is nothing to draw: give a number of spectra, or passes")
    n_channels = scene.ready[0].axis.n_channels
    if len(scene) * n_channels > _MOST_VALUES:
        raise DataError(
            f"{len(scene):,} spectra of {n_channels} channels are too large for memory: draw at "
            f"most {_MOST_VALUES:,} channels at a time"
        )
    if scene.background is None:
        for entry in scene.entries:
            if entry.signal_to_noise is not None:
                raise DataError(
                    "signal_to_noise compares with the background, but there is none: give counts "
                    "or activity, or a background"
                )
        if any(one.present < 1.0 for one in scene.passes):
            raise DataError("passes without source need a background")
    both = {n for one in scene.entries if one.unknown for n in one.nuclides} & set(scene.known)
    if both:
        raise DataError(f"{', '.join(sorted(both))} cannot be known and unknown in one scene")
    if scene.label_noise and len(scene.known) < 2:
        raise DataError("label_noise needs two nuclides or more that are not unknown")


def emission(name: str, age: float | None) -> str | EmissionLines:
    """A nuclide with its early daughters, or its lines some time (s) after it was pure.

    Raises
    ------
    DataError
        If nothing is left of it then.
    """
    if age is None:
        return name
    aged = nuclide(name).aged(age)
    if not aged.intensities.any() and len(nuclide(name).lines):
        raise DataError(
            f"{name} has decayed: neither it nor a daughter emits photons {age:.3g} s "
            f"({age / YEAR:.3g} years) after it was pure; give a shorter age"
        )
    return aged


def surroundings(
    entry: SceneSource, shield: Shield | None, thickness: float, distance: float
) -> Surroundings:
    """What is around the sources of an entry behind an absorber.

    Raises
    ------
    DataError
        If it does not fit between source and detector.
    """
    shells = () if shield is None or thickness == 0 else ((shield[0], float(thickness)),)
    return Surroundings(
        distance=float(distance), shells=shells, source=entry.body, floor=entry.floor
    )
