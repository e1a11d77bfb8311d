"""The natural background: its parts as fluxes of photons 1 m above the ground.

Soil holds K-40 and the series of uranium and thorium evenly; radon leaves its upper part for the
air, from where rain washes its daughters to the ground; cosmic rays make photons in the
atmosphere. All come from everywhere, so that the flux is that over all directions.

Left out are fallout (Cs-137), what walls hold and shield, bremsstrahlung of beta rays (about 1 % of
the energy of the gamma rays of soil), photons of neutrons, and what muons and electrons of cosmic
rays deposit in a crystal themselves, which shows above 3 MeV.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY
from spectraloom.physics.gamma.cosmic import cosmic_photons, cosmic_scale
from spectraloom.physics.gamma.emission import EmissionLines, weighted
from spectraloom.physics.gamma.kerma import air_kerma_rate
from spectraloom.physics.gamma.materials import material
from spectraloom.physics.gamma.nuclides import nuclide, nuclides
from spectraloom.physics.gamma.radon import washed_out
from spectraloom.physics.gamma.transport.cache import Shapes, remembered
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES, PHOTON_ENERGIES
from spectraloom.physics.gamma.transport.ground import Place, ground_flux
from spectraloom.physics.gamma.transport.surroundings import Flux


class _Part(NamedTuple):
    """A component: where it is, the heads of its chains with their activity, where these end."""

    place: Place
    unit: str
    heads: dict[str, float]
    before: tuple[str, ...] = ()


# Natural uranium has 0.7204 % of its atoms as U-235 (IUPAC 2018); half-lives of the tables.
_U235_PER_U238 = 0.007204 / 0.992742 * 1.40996e17 / 2.22102e16
_PARTS: dict[str, _Part] = {
    "K-40": _Part("soil", "Bq/kg", {"K40": 1.0}),
    "U-238": _Part("soil", "Bq/kg", {"U238": 1.0, "U235": _U235_PER_U238}, ("Rn222",)),
    "Rn-222": _Part("soil", "Bq/kg", {"Rn222": 1.0}),
    "Th-232": _Part("soil", "Bq/kg", {"Th232": 1.0}),
    "Pb-214 on ground": _Part("surface", "Bq/m2", {"Pb214": 1.0}, ("Bi214",)),
    "Bi-214 on ground": _Part("surface", "Bq/m2", {"Bi214": 1.0}, ("Pb210",)),
    "radon in air": _Part("air", "Bq/m3", {"Pb214": 1.0}, ("Pb210",)),
}
_COSMIC = "cosmic"
_PER_CM = {"Bq/m2": 1e-4, "Bq/m3": 1e-6}  # to Bq/cm2 and Bq/cm3

BACKGROUND_COMPONENTS: tuple[str, ...] = (*_PARTS, _COSMIC)
"""K-40; the uranium series before radon (with U-235 in its natural part); radon and its daughters
in soil; the thorium series; Pb-214 and Bi-214 on the ground; radon daughters in air; cosmic rays.
"""

_LEAST_INTENSITY = 1e-4  # photons per decay
_LEAST_ENERGY = 10.0  # keV
_HEIGHT = 100.0  # cm
_HISTORIES = 500_000

# Typical range of activity in soil in Bq/kg, taken as 95 % of a log-normal distribution, and its
# median: UNSCEAR 2000, annex B, table 5.
_SOIL_RANGES = {
    "K-40": (400.0, 140.0, 850.0),
    "U-238": (35.0, 16.0, 110.0),
    "Th-232": (30.0, 11.0, 64.0),
}
# Part of the people who live below an altitude in m; above the last point fewer by e for the scale
# in m that the last two give. J. E. Cohen and C. Small, PNAS 95 (1998) 14009.
_ALTITUDES = ((0.0, 0.0), (100.0, 0.335), (194.0, 0.5), (500.0, 0.737))
_PRESSURE_SPREAD = 10.0  # hPa; of weather at middle latitudes
# Radon outdoors in Bq/m3: typically 10, long-term means from 1 to 100; its daughters at 0.6 of it
# (UNSCEAR 2000, annex B).
_RADON_RANGE = (10.0, 1.0, 100.0)
_EQUILIBRIUM = 0.6
# Part of the radon that leaves its grain: typically 0.2, in soils from 0.05 to 0.7 (UNSCEAR 2000,
# annex B). Of that, soil within sight of a detector keeps little: with a diffusion length of 1 m,
# 8 % of what is born in the upper 8 cm, the mean free path of 609 keV.
_EMANATION_RANGE = (0.2, 0.05, 0.7)
_LEAVES_SOIL = 0.92
# Rain falls 8 % of the time over land (K. Trenberth and Y. Zhang, BAMS 99 (2018) 289). Rain water
# holds 37 to 1000 Bq/L of the daughters of radon (T. Thomson 1962, Swedish Meteorological and
# Hydrological Institute), less by the root of the rate in mm/h (C. Bottardi et al. 2020,
# Atmospheric Environment). They are followed for 3 h after. How long and how hard it rains is a
# round guess: 2 h in the mean, 1 mm/h in the median.
_RAINY, _LASTS, _FOLLOWED = 0.08, 7200.0, 10800.0
_RAIN_SPREAD = 1.0
_CONTENT_RANGE = (192.0, 37.0, 1000.0)


def background_flux(component: str) -> Flux:
    """Flux of one part of the background 1 m above flat ground.

    Parameters
    ----------
    component : str
        A name out of :data:`BACKGROUND_COMPONENTS`.

    Returns
    -------
    Flux
        Photons per cm2 and second over all directions, for 1 Bq/kg of soil (with the daughters in
        equilibrium), 1 Bq/m2 of ground, 1 Bq/m3 of air, or cosmic rays at sea level. ``front`` is
        zero: what scatters is in ``around``. Read-only.

    Raises
    ------
    LabelError
        If there is no such component.
    """
    if component not in BACKGROUND_COMPONENTS:
        raise LabelError(
            f"no component {component!r} of the background: there are "
            f"{', '.join(BACKGROUND_COMPONENTS)}"
        )
    return _flux(component)


@lru_cache(maxsize=len(BACKGROUND_COMPONENTS))
def _flux(component: str) -> Flux:
    if component == _COSMIC:
        continuum, line = cosmic_photons()
        return _frozen(np.array([ELECTRON_REST_ENERGY]), np.array([line]), continuum)
    part = _PARTS[component]
    lines = _lines(part)
    per_cm = 1e-3 * material("soil").require_density()
    born = lines.intensities * _PER_CM.get(part.unit, per_cm)

    def compute() -> dict[str, npt.NDArray[np.float64]]:
        above = ground_flux(lines.energies, born, part.place, height=_HEIGHT, histories=_HISTORIES)
        return {
            "energies": np.append(lines.energies, ELECTRON_REST_ENERGY),
            "direct": np.append(above.direct, above.annihilation),
            "around": above.scattered,
        }

    parameters = (part.place, _HEIGHT, _HISTORIES, lines.energies, born)
    shapes: Shapes = {"energies": ("n",), "direct": ("n",), "around": (PHOTON_ENERGIES.size,)}
    found = remembered("ground", parameters, shapes, compute)
    return _frozen(found["energies"], found["direct"], found["around"])


def _frozen(energies: FloatArray, direct: FloatArray, around: FloatArray) -> Flux:
    flux = Flux(energies, direct, np.zeros(PHOTON_EDGES.size - 1), around)
    for array in flux:
        array.flags.writeable = False
    return flux


def soil_lines() -> tuple[tuple[EmissionLines, float], ...]:
    """Lines of what soil holds, per decay of the heads of its chains, and their typical activity.

    Returns
    -------
    tuple of (EmissionLines, float)
        The activity, in Bq/kg, is that of the default :class:`Background`.
    """
    amounts = dict(zip(BACKGROUND_COMPONENTS, Background().weights.tolist(), strict=True))
    return tuple(
        (_lines(part), amounts[name]) for name, part in _PARTS.items() if part.place == "soil"
    )


def _lines(part: _Part) -> EmissionLines:
    """Lines of chains in equilibrium, per decay of the heads."""
    known = frozenset(nuclides())
    activity: dict[str, float] = {}
    for head, amount in part.heads.items():
        activity[head] = activity.get(head, 0.0) + amount
        for member in nuclide(head).chain:
            if member not in activity:
                continue
            for decay in nuclide(member).decays:
                if decay.daughter in known and decay.daughter not in part.before:
                    fed = activity[member] * decay.fraction
                    activity[decay.daughter] = activity.get(decay.daughter, 0.0) + fed
    lines = weighted({name: nuclide(name).own_lines for name in activity}, activity)
    return EmissionLines(
        tuple(
            line
            for line in lines.rows
            if line.intensity >= _LEAST_INTENSITY and line.energy >= _LEAST_ENERGY
        )
    )


@dataclass(frozen=True, slots=True)
class Background:
    """A natural background: how much there is of each of its parts.

    Parameters
    ----------
    potassium, uranium, thorium : float
        Activity of K-40, U-238 and Th-232 in soil with their daughters, Bq/kg; the defaults are the
        medians of the world (UNSCEAR 2000).
    radon_loss : float
        Part of the daughters of radon that is missing in the upper soil.
    radon_in_air : float
        Activity of each daughter of radon in air, Bq/m3 (equilibrium equivalent concentration).
    lead_on_ground, bismuth_on_ground : float
        Pb-214 and Bi-214 that rain has brought, Bq/m2; see
        :func:`~spectraloom.physics.gamma.radon.washed_out`.
    cosmic : float
        Cosmic rays over those at sea level; see
        :func:`~spectraloom.physics.gamma.cosmic.cosmic_scale`.

    Raises
    ------
    DataError
        If an amount is negative or the loss above one.
    """

    potassium: float = _SOIL_RANGES["K-40"][0]
    uranium: float = _SOIL_RANGES["U-238"][0]
    thorium: float = _SOIL_RANGES["Th-232"][0]
    radon_loss: float = _LEAVES_SOIL * _EMANATION_RANGE[0]
    radon_in_air: float = _EQUILIBRIUM * _RADON_RANGE[0]
    lead_on_ground: float = 0.0
    bismuth_on_ground: float = 0.0
    cosmic: float = 1.0

    def __post_init__(self) -> None:
        for name, value in zip(self.__slots__, astuple(self), strict=True):
            if not (np.isfinite(value) and value >= 0):
                raise DataError(f"{name} is zero or more; got {value}")
        if self.radon_loss > 1:
            raise DataError(f"radon_loss is a part from 0 to 1; got {self.radon_loss:g}")

    @property
    def weights(self) -> FloatArray:
        """Amount of each of :data:`BACKGROUND_COMPONENTS`, in their order."""
        return np.array(
            [
                self.potassium,
                self.uranium,
                self.uranium * (1.0 - self.radon_loss),
                self.thorium,
                self.lead_on_ground,
                self.bismuth_on_ground,
                self.radon_in_air,
                self.cosmic,
            ]
        )

    def flux(self) -> Flux:
        """Photons per cm2 and second of all parts together, 1 m above the ground."""
        return mixed_flux(self.weights)

    @property
    def kerma_rate(self) -> float:
        """Air kerma rate of these photons, nGy/h.

        Muons, which make most of the dose of cosmic rays at sea level, are not in it.
        """
        flux = self.flux()
        return air_kerma_rate(flux.energies, flux.direct) + air_kerma_rate(
            PHOTON_ENERGIES, flux.front + flux.around
        )


def mixed_flux(weights: npt.ArrayLike) -> Flux:
    """Flux of a mixture of components.

    Parameters
    ----------
    weights : array_like, shape (n_components,)
        Amount of each of :data:`BACKGROUND_COMPONENTS`.

    Returns
    -------
    Flux
        Photons per cm2 and second.

    Raises
    ------
    DataError
        If there are not as many amounts as components, or one is negative.
    """
    amounts = np.asarray(weights, dtype=np.float64)
    if (
        amounts.shape != (len(BACKGROUND_COMPONENTS),)
        or not (np.isfinite(amounts) & (amounts >= 0)).all()
    ):
        raise DataError(
            f"give {len(BACKGROUND_COMPONENTS)} amounts of zero or more, of "
            f"{', '.join(BACKGROUND_COMPONENTS)}; got {weights!r}"
        )
    parts = [_flux(name) for name in BACKGROUND_COMPONENTS]
    return Flux(
        np.concatenate([part.energies for part in parts]),
        np.concatenate([a * part.direct for a, part in zip(amounts, parts, strict=True)]),
        np.zeros(PHOTON_EDGES.size - 1),
        amounts @ np.array([part.around for part in parts]),
    )


def vary(rng: np.random.Generator | int, n: int) -> FloatArray:
    """Backgrounds as they differ from place to place and with the weather.

    Activities of soil are log-normal over the range of UNSCEAR 2000 and independent: how they go
    together differs from rock to rock. Cosmic rays follow the altitudes where people live and the
    pressure of the air, radon its emanation and its content of the air, and in and after rain its
    daughters lie on the ground.

    Parameters
    ----------
    rng : numpy.random.Generator or int
        Source of randomness, or a seed for one.
    n : int
        How many.

    Returns
    -------
    ndarray, shape (n, n_components)
        Amounts of :data:`BACKGROUND_COMPONENTS`.

    Raises
    ------
    DataError
        If `n` is negative.
    """
    if n < 0:
        raise DataError(f"the number of backgrounds is zero or more; got {n}")
    draw = np.random.default_rng(rng)
    soil = {name: _between(draw, n, *limits) for name, limits in _SOIL_RANGES.items()}
    emanation = np.minimum(_between(draw, n, *_EMANATION_RANGE), 1.0)
    radon = _between(draw, n, *_RADON_RANGE)
    pressure = 1013.25 + _PRESSURE_SPREAD * np.clip(draw.standard_normal(n), -4.0, 4.0)
    lead, bismuth = _rain(draw, n).T
    return np.stack(
        [
            soil["K-40"],
            soil["U-238"],
            soil["U-238"] * (1.0 - _LEAVES_SOIL * emanation),
            soil["Th-232"],
            lead,
            bismuth,
            _EQUILIBRIUM * radon,
            cosmic_scale(_altitude(draw, n), pressure),
        ],
        axis=1,
    )


def _between(
    draw: np.random.Generator, n: int, median: float, low: float, high: float
) -> FloatArray:
    """Log-normal amounts, of which 95 % are as far apart as two limits."""
    spread = np.log(high / low) / (2.0 * 1.96)
    return median * np.exp(spread * draw.standard_normal(n))


def _altitude(draw: np.random.Generator, n: int) -> FloatArray:
    """Altitudes where people live, m; at most 3000."""
    metres, below = np.array(_ALTITUDES).T
    chance = draw.random(n)
    fall = (metres[-1] - metres[-2]) / np.log((1.0 - below[-2]) / (1.0 - below[-1]))
    tail = metres[-1] + fall * np.log((1.0 - below[-1]) / (1.0 - chance))
    high = np.where(chance < below[-1], np.interp(chance, below, metres), tail)
    return np.minimum(high, 3000.0)


def _rain(draw: np.random.Generator, n: int) -> FloatArray:
    """Pb-214 and Bi-214 on the ground, Bq/m2, shape (n, 2); mostly none."""
    # At some moment a long rain is met more often than a short one: in proportion to the time from
    # its first drop to its last trace.
    long = draw.random(n) < _LASTS / (_LASTS + _FOLLOWED)
    lasts = draw.exponential(_LASTS, n) + np.where(long, draw.exponential(_LASTS, n), 0.0)
    seen = draw.random(n) < _RAINY * (_LASTS + _FOLLOWED) / _LASTS
    since = draw.random(n) * (lasts + _FOLLOWED)
    fall = np.exp(_RAIN_SPREAD * draw.standard_normal(n))  # mm/h, median 1
    content = _between(draw, n, *_CONTENT_RANGE) / np.sqrt(fall)
    brought = np.where(seen, content * fall / 3600.0, 0.0)
    return washed_out(since, lasts, brought)
