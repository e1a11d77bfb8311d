"""Which latents are fitted with the amounts: deformations, detector and background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import FloatArray, IntArray
from spectraloom.analyze.given import is_number
from spectraloom.analyze.likelihood import Resolution
from spectraloom.analyze.manifold.parts import Prior
from spectraloom.analyze.manifold.signature import Deformation
from spectraloom.errors import FitError

MOST_BROADENING = 0.5
MOST_TILT = 0.8
_RANGES = {
    "broadening": Deformation("broadening", "", 0.0, MOST_BROADENING),
    "tilt": Deformation("tilt", "", -MOST_TILT, MOST_TILT),
}
PRIORS = ("tie", "gain", "offset", "broadening", "tilt")
LATENTS = ("individual", "known", *PRIORS)
LEAST_WIDTH = 1e-5  # of a prior, of the range: what is known so well is better left out
_MOST_WIDTH = 1e100  # its square is a number
_REACH = 5.0  # prior widths that gain and offset may go


@dataclass(frozen=True, slots=True)
class Latents:
    """What deforms, and how much is known of it beforehand. None leaves a latent out.

    Parameters
    ----------
    individual : bool
        Whether every source has deformations of its own; else one of each is common to all.
    tie : float or None
        Standard deviation of the deformations of single sources around their mean, as a part of
        their range (in its logarithm where it is softened); None does not tie them.
    known : (float, float) or None
        Mean and standard deviation of what is known of the (first) deformation, in its unit.
    gain : float or None
        Prior width, relative: a count of energy E is recorded at E (1 + gain) + offset.
    offset : float or None
        Prior width, in the unit of the axis.
    broadening : float or None
        Prior width, relative: peaks of the sources are wider by 1 + broadening, never narrower.
    tilt : float or None
        Prior width of a slope of the background: it is multiplied by 1 + tilt x, with x from -1 to
        1 along its axis, and keeps its area.
    resolution : Resolution or None
        Width that is broadened.

    Raises
    ------
    FitError
        If a width is no number above zero (from 1e-5 on where it is relative), or another setting
        is of the wrong type.
    """

    individual: bool = False
    tie: float | None = None
    known: tuple[float, float] | None = None
    gain: float | None = None
    offset: float | None = None
    broadening: float | None = None
    tilt: float | None = None
    resolution: Resolution | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.individual, (bool, np.bool_)):
            raise FitError(f"individual is True or False, got {self.individual!r}")
        for name in PRIORS:
            width = getattr(self, name)
            least = 0.0 if name == "offset" else LEAST_WIDTH
            if width is not None and not _is_width(width, least):
                raise FitError(
                    f"the prior width of {name} is above zero"
                    f"{f' (from {least:g} on)' if least else ''}, got {width!r}; None leaves it out"
                )
        if self.known is not None and not _is_known(self.known):
            raise FitError(
                f"known is a mean and a standard deviation above zero, got {self.known!r}"
            )
        if not isinstance(self.resolution, (Resolution, type(None))):
            raise FitError(f"resolution is Resolution(...) or None, got {self.resolution!r}")
        if self.tie is not None and not self.individual:
            raise FitError("a tie holds individual deformations together: set individual=True")

    @property
    def moving(self) -> bool:
        """Whether the bins move over the templates."""
        return self.gain is not None or self.offset is not None


def _is_width(value: object, least: float) -> bool:
    return is_number(value) and least <= value < _MOST_WIDTH and value > 0  # type: ignore[operator]


def _is_known(value: object) -> bool:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return False
    mean, spread = value
    return is_number(mean) and abs(mean) < _MOST_WIDTH and _is_width(spread, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class LatentLayout:
    """Place, prior and unit of every latent of a fit.

    Internally deformations, broadening and tilt run from 0 to 1 over their range.

    Parameters
    ----------
    names : tuple of str, length L
        ``"thickness"``, or ``"thickness of Co60"`` where sources have their own.
    units : tuple of str
    prior : Prior
    scales : tuple of Deformation or None
        What turns a latent into its unit; None where it is in its unit.
    sources : ndarray of int, shape (n_sources, d)
        Latent of each deformation of each source.
    broadening, tilt : int
        Their latents, -1 if they are not fitted.
    moved : (int, int)
        Gain and offset.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    prior: Prior
    scales: tuple[Deformation | None, ...]
    sources: IntArray
    broadening: int
    tilt: int
    moved: tuple[int, int]

    def __len__(self) -> int:
        return len(self.names)

    def to_values(self, inner: FloatArray) -> FloatArray:
        """Latents in their units, shape (..., L)."""
        columns = [
            inner[..., i] if one is None else one.from_unit(inner[..., i])
            for i, one in enumerate(self.scales)
        ]
        return np.stack(columns, axis=-1) if columns else np.zeros_like(inner)

    def to_inner(self, values: FloatArray) -> FloatArray:
        """Latents as fits have them, shape (..., L)."""
        columns = [
            values[..., i] if one is None else one.to_unit(values[..., i])
            for i, one in enumerate(self.scales)
        ]
        return np.stack(columns, axis=-1) if columns else np.zeros_like(values)

    def slopes(self, values: FloatArray) -> FloatArray:
        """Derivative of the value of every latent by what fits have, shape (..., L)."""
        columns = [
            np.ones_like(values[..., i]) if one is None else 1.0 / one.slope(values[..., i])
            for i, one in enumerate(self.scales)
        ]
        return np.stack(columns, axis=-1) if columns else np.zeros_like(values)


def lay_out(
    latents: Latents, deformations: Sequence[Deformation], sources: Sequence[str], unit: str
) -> LatentLayout:
    """Give every latent its place.

    Parameters
    ----------
    latents : Latents
    deformations : sequence of Deformation
    sources : sequence of str
    unit : str
        Of the axis.

    Raises
    ------
    DataError
        If the known value of the deformation lies outside its range.
    FitError
        If it is known to less than 1e-5 of the range.
    """
    names: list[str] = []
    units: list[str] = []
    scales: list[Deformation | None] = []
    place = np.full((len(sources), len(deformations)), -1, dtype=np.int64)
    for d, one in enumerate(deformations):
        own = list(sources) if latents.individual else [None]
        for k, source in enumerate(own):
            place[k if latents.individual else slice(None), d] = len(names)
            names.append(one.name if source is None else f"{one.name} of {source}")
            units.append(one.unit)
            scales.append(one)
    extra = {"broadening": -1, "tilt": -1, "gain": -1, "offset": -1}
    for name in extra:
        if getattr(latents, name) is not None:
            extra[name] = len(names)
            names.append(name)
            units.append(unit if name == "offset" else "")
            scales.append(_RANGES.get(name))
    center, precision, bounds = _prior_of(latents, deformations, place, extra)
    return LatentLayout(
        tuple(names),
        tuple(units),
        Prior(center, precision, bounds, np.zeros(0, dtype=bool), np.zeros(2)),
        tuple(scales),
        place,
        extra["broadening"],
        extra["tilt"],
        (extra["gain"], extra["offset"]),
    )


def _prior_of(
    latents: Latents, deformations: Sequence[Deformation], place: IntArray, extra: dict[str, int]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Center, precision and bounds of all latents."""
    size = int(max([place.max(initial=-1), *extra.values()])) + 1
    center, precision = np.full(size, 0.5), np.zeros((size, size))
    bounds = np.tile([0.0, 1.0], (size, 1))
    for d, one in enumerate(deformations):
        own = np.unique(place[:, d])
        if latents.tie is not None and len(own) > 1:
            precision[np.ix_(own, own)] += (np.eye(len(own)) - 1.0 / len(own)) / latents.tie**2
        if d == 0 and latents.known is not None:
            mean, spread = latents.known
            center[own] = one.to_unit(one.inside(mean))
            within = spread * float(one.slope(mean))
            if within < LEAST_WIDTH:
                raise FitError(
                    f"{one.name} cannot be known to {spread:g} {one.unit}, which is less than "
                    f"{LEAST_WIDTH:g} of the range of the signatures ({one.describe()})"
                )
            precision[own, own] += 1.0 / within**2
    for name, at in extra.items():
        width = getattr(latents, name)
        if at < 0:
            continue
        scale = _RANGES.get(name)
        if scale is None:
            center[at], bounds[at] = 0.0, (-_REACH * width, _REACH * width)
            precision[at, at] = 1.0 / width**2
        else:
            center[at] = scale.to_unit(0.0)
            precision[at, at] = ((scale.high - scale.low) / width) ** 2
    if extra["gain"] >= 0:
        bounds[extra["gain"], 0] = max(bounds[extra["gain"], 0], -0.5)
    return center, precision, bounds
