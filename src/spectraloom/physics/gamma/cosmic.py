"""Photons that cosmic rays make in the atmosphere, as they arrive at the ground."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from spectraloom._typing import FloatArray
from spectraloom.errors import DataError
from spectraloom.physics.gamma.transport.grid import PHOTON_EDGES

# Photons at sea level over soil of 20 % water, at a cut-off rigidity of 12 GV and the minimum of
# solar activity: energy in keV, flux over all directions in 1/(cm2 s MeV). T. Sato, PLoS ONE 10
# (2015) e0144679 and 11 (2016) e0160390: the PARMA model of air showers, as its authors tabulate
# it. Their row at 566 keV holds the annihilation line too, and is left out.
_SEA_LEVEL = (
    (11.294, 1.68978e-3),
    (14.219, 5.22746e-3),
    (17.901, 1.61657e-2),
    (22.536, 4.98070e-2),
    (28.371, 1.50324e-1),
    (35.717, 4.12226e-1),
    (44.965, 8.14156e-1),
    (56.607, 9.09267e-1),
    (71.264, 6.85565e-1),
    (89.717, 4.55829e-1),
    (112.94, 2.95600e-1),
    (142.19, 1.91594e-1),
    (179.01, 1.24935e-1),
    (225.36, 8.21647e-2),
    (283.71, 5.45941e-2),
    (357.17, 3.67090e-2),
    (449.65, 2.50173e-2),
    (712.64, 1.21565e-2),
    (897.17, 8.67974e-3),
    (1129.4, 6.29821e-3),
    (1421.9, 4.64015e-3),
    (1790.1, 3.46738e-3),
    (2253.6, 2.62352e-3),
    (2837.1, 2.00576e-3),
    (3571.7, 1.54584e-3),
    (4496.5, 1.19789e-3),
    (5660.7, 9.30678e-4),
    (7126.5, 7.22625e-4),
    (8971.7, 5.58747e-4),
    (11295.0, 4.28453e-4),
)
# The same model gives the flux of annihilation photons as this many MeV times the continuum there.
_ANNIHILATION_WIDTH = 0.292
_SEA_LEVEL_DEPTH = 1033.0  # g/cm2
# The dose of the photons doubles from 1033 to 900 g/cm2 in the same tables.
_ATTENUATION = 133.0 / float(np.log(4.43586e-3 / 2.14579e-3))  # 183 g/cm2
_SCALE_HEIGHT = 8430.0  # m; of an atmosphere of 288 K
_DEPTH_PER_PRESSURE = 1.0197  # g/cm2 per hPa
_STANDARD_PRESSURE = 1013.25  # hPa


@lru_cache(maxsize=1)
def cosmic_photons() -> tuple[FloatArray, float]:
    """Photons at sea level.

    Returns
    -------
    tuple of ndarray and float
        Continuum per bin of ``PHOTON_EDGES``, and the annihilation line of 511 keV: photons per
        cm2 and second over all directions. Read-only.
    """
    energies, density = np.array(_SEA_LEVEL).T
    # Within a bin the table is near a power law; 16 points of it are enough.
    shares = (np.arange(16) + 0.5) / 16
    width = np.diff(PHOTON_EDGES)
    at = PHOTON_EDGES[:-1, np.newaxis] + width[:, np.newaxis] * shares
    inside = np.exp(np.interp(np.log(at), np.log(energies), np.log(density)))
    inside[at < energies[0]] = 0.0
    continuum = inside.mean(axis=1) * width * 1e-3
    line = float(np.exp(np.interp(np.log(511.0), np.log(energies), np.log(density))))
    continuum.flags.writeable = False
    return continuum, _ANNIHILATION_WIDTH * line


def cosmic_scale(
    altitude: npt.ArrayLike, pressure: npt.ArrayLike = _STANDARD_PRESSURE
) -> FloatArray:
    """Photons at some altitude over those at sea level.

    They grow with the mass of air above that is missing, by e for 183 g/cm2.

    Parameters
    ----------
    altitude : array_like
        m above sea level, up to 3000, beyond which showers grow less.
    pressure : array_like
        Air pressure reduced to sea level, hPa.

    Raises
    ------
    DataError
        If an altitude is beyond -500 to 3000 m or a pressure beyond 850 to 1100 hPa.
    """
    high = np.asarray(altitude, dtype=np.float64)
    weather = np.asarray(pressure, dtype=np.float64)
    if not ((high >= -500) & (high <= 3000)).all():
        raise DataError(f"an altitude is -500 to 3000 m; got {altitude!r}")
    if not ((weather >= 850) & (weather <= 1100)).all():
        raise DataError(f"a pressure reduced to sea level is 850 to 1100 hPa; got {pressure!r}")
    depth = _DEPTH_PER_PRESSURE * weather * np.exp(-high / _SCALE_HEIGHT)
    return np.asarray(np.exp((_SEA_LEVEL_DEPTH - depth) / _ATTENUATION))
