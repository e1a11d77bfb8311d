"""What electrons carry away from where a photon set them free; a simple model.

An electron is taken to go straight for half of its extrapolated range, as it turns on the way and
most end well before that range; and to radiate a part of its energy as bremsstrahlung. Both matter
for the full-energy peak above about 1 MeV and in small crystals.

Range: Katz, L. and Penfold, A. S. (1952), Rev. Mod. Phys. 24, 28, doi:10.1103/RevModPhys.24.28,
for aluminium. In heavier materials electrons turn sooner: ranges, in g/cm2, are shorter by what
they are at 1 MeV after Tabata, T., Ito, R. and Okabe, S. (1972), Nucl. Instrum. Methods 103, 85,
doi:10.1016/0029-554X(72)90463-6; from 0.1 to 4 MeV that part varies by up to 7 %. Radiated part:
6e-4 Z T / (1 + 6e-4 Z T) with T in MeV, as in Turner, J. E. (2007), Atoms, Radiation, and Radiation
Protection, 3rd ed., chapter 6. Its spectrum is that of a thick target: as many photons per keV as
T / k - 1 at the photon energy k (Kramers, H. A. (1923), Philos. Mag. 46, 836,
doi:10.1080/14786442308565244).
"""

from __future__ import annotations

import numpy as np

from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY
from spectraloom.physics.gamma.elements import elements
from spectraloom.physics.gamma.materials import Material
from spectraloom.physics.gamma.transport.compiling import part
from spectraloom.physics.gamma.transport.sampling import State, uniform

LEAST_BREMSSTRAHLUNG = 30.0
"""keV; softer photons do not get out of a crystal."""

_STRAIGHT = 0.5  # part of the extrapolated range
_BEND = 2.5  # MeV; the range rises straight above
_SCALE, _POWER, _CURVE = 0.412, 1.265, 0.0954  # g/cm2 at 1 MeV, and how it rises
_SLOPE, _OFFSET = 0.530, 0.106  # g/cm2 per MeV, g/cm2
_RADIATED = 6e-7  # per keV and atomic number


def mean_atomic_number(made_of: Material) -> float:
    """Atomic number that counts for bremsstrahlung: mean over the electrons of a material."""
    amounts = [
        (part * elements()[symbol].atomic_number / elements()[symbol].weight, symbol)
        for symbol, part in made_of.fractions
    ]
    whole = sum(amount for amount, _ in amounts)
    return sum(amount * elements()[symbol].atomic_number for amount, symbol in amounts) / whole


def stopping_density(made_of: Material) -> float:
    """Density of aluminium that electrons go as far in as in a material, g/cm3.

    Parameters
    ----------
    made_of : Material
        Its elements count by mass, as for compounds in Tabata, Ito and Okabe.

    Raises
    ------
    DataError
        If its density is not known.
    """
    parts = [(part, elements()[symbol]) for symbol, part in made_of.fractions]
    number = sum(part * one.atomic_number for part, one in parts)
    per_mass = sum(part * one.atomic_number / one.weight for part, one in parts)
    light = elements()["Al"]
    shorter = _range_of_1_mev(number, per_mass) / _range_of_1_mev(
        light.atomic_number, light.atomic_number / light.weight
    )
    return made_of.require_density() / shorter


def _range_of_1_mev(number: float, per_mass: float) -> float:
    """Extrapolated range after Tabata, Ito and Okabe, g/cm2.

    Parameters
    ----------
    number : float
        Atomic number.
    per_mass : float
        The same over the atomic weight.
    """
    kinetic = 1000.0 / ELECTRON_REST_ENERGY
    slowing = 1.78e-4 * number
    turning = 1.0 + (1.468 - 1.18e-2 * number) * kinetic ** (1.232 / number**0.109)
    way = np.log(1.0 + slowing * kinetic) / slowing
    way -= (0.9891 - 3.01e-4 * number) * kinetic / turning
    return float(0.2335 * number**-0.209 / per_mass * way)


@part
def extrapolated_range(energy: float) -> float:
    """Range of electrons in aluminium after Katz and Penfold, g/cm2; energy in keV."""
    mev = energy / 1000.0
    if mev > _BEND:
        return _SLOPE * mev - _OFFSET
    log = np.log(mev)
    return _SCALE * np.exp((_POWER - _CURVE * log) * log)


@part
def energy_of_range(mass: float) -> float:
    """Energy of electrons with that range, keV; the inverse of `extrapolated_range`."""
    if mass > _SLOPE * _BEND - _OFFSET:
        return 1000.0 * (mass + _OFFSET) / _SLOPE
    root = np.sqrt(max(_POWER * _POWER - 4.0 * _CURVE * np.log(mass / _SCALE), 0.0))
    return 1000.0 * np.exp((_POWER - root) / (2.0 * _CURVE))


@part
def reach(energy: float, density: float) -> float:
    """How far an electron goes straight, cm; energy in keV, `stopping_density` in g/cm3."""
    return _STRAIGHT * extrapolated_range(energy) / density


@part
def energy_after(energy: float, part: float) -> float:
    """Energy left after a part, from 0 to 1, of the reach, keV."""
    if part >= 1.0:
        return 0.0
    return min(energy_of_range((1.0 - part) * extrapolated_range(energy)), energy)


@part
def bremsstrahlung_photons(energy: float, number: float) -> float:
    """Expected number of photons above the least one that a stopped electron gives."""
    radiated = _RADIATED * number * energy
    part = radiated / (1.0 + radiated)
    ratio = energy / LEAST_BREMSSTRAHLUNG
    return 2.0 * part * (np.log(ratio) - 1.0 + 1.0 / ratio)


@part
def bremsstrahlung(state: State, energy: float) -> float:
    """Energy of a photon above the least one, keV, after Kramers."""
    log = np.log(energy / LEAST_BREMSSTRAHLUNG)
    while True:
        photon = LEAST_BREMSSTRAHLUNG * np.exp(log * uniform(state))
        if uniform(state) * (energy - LEAST_BREMSSTRAHLUNG) < energy - photon:
            return photon
