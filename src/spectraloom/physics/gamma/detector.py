"""A scintillation detector: its crystal, its resolution and its energy axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from spectraloom._typing import FloatArray
from spectraloom.data import Axis
from spectraloom.errors import AxisError, DataError

CAESIUM_LINE = 661.657
"""keV; the line at which resolutions are quoted."""

_FWHM_PER_SIGMA = float(2.0 * np.sqrt(2.0 * np.log(2.0)))


@dataclass(frozen=True, slots=True)
class GammaDetector:
    """A cylinder of sodium iodide behind a thin aluminium window.

    Parameters
    ----------
    name : str
        Goes into the column ``detector``.
    axis : Axis
        Bin edges in keV: the calibration of this detector.
    fwhm_662 : float
        Full width at half maximum at 661.7 keV as a fraction of that energy.
    fwhm_exponent : float
        The width grows as energy to this power. Counting statistics of the light alone gives 0.5;
        0.57 matches 7.0 % at 662 and 5.2 % at 1332 keV, as measured crystals have.
    diameter, height : float
        Size of the crystal, cm. The beam enters along the axis.
    window : float
        Thickness of the aluminium in front of the crystal, cm.
    backscatter : float
        Photons that reach the crystal after one scattering by more than 90 degrees in whatever
        stands behind it, per photon that reaches it directly. The default is of the size that
        measured spectra of Cs-137 and Co-60 in a room suggest; it depends on the room.

    Raises
    ------
    AxisError
        If the axis is not made of energy bins in keV.
    DataError
        If a size is not positive, or a fraction is not one.
    """

    name: str
    axis: Axis
    fwhm_662: float = 0.07
    fwhm_exponent: float = 0.57
    diameter: float = 7.62
    height: float = 7.62
    window: float = 0.1
    backscatter: float = 0.06

    def __post_init__(self) -> None:
        if not self.axis.binned or (self.axis.quantity, self.axis.unit) != ("energy", "keV"):
            raise AxisError(
                f"a gamma detector needs an axis of energy bins in keV, got {self.axis.describe()}"
            )
        if not 0 < self.fwhm_662 < 1:
            raise DataError(
                "fwhm_662 is a fraction of 661.7 keV between 0 and 1, e.g. 0.07 for 7 %; "
                f"got {self.fwhm_662:g}"
            )
        for name in ("diameter", "height"):
            if not 0 < getattr(self, name) < np.inf:
                raise DataError(f"{name} is a length above 0 cm, got {getattr(self, name):g}")
        for name in ("fwhm_exponent", "window", "backscatter"):
            if not 0 <= getattr(self, name) < np.inf:
                raise DataError(f"{name} is a number of zero or more, got {getattr(self, name):g}")

    @property
    def mean_chord(self) -> float:
        """Mean chord length of the crystal, 4 V / S, cm (Cauchy)."""
        radius = 0.5 * self.diameter
        return 2.0 * radius * self.height / (radius + self.height)

    def fwhm(self, energy: npt.ArrayLike) -> FloatArray:
        """Full width at half maximum at some energies, keV.

        Below 1 keV the width at 1 keV is used.
        """
        ratio = np.maximum(np.asarray(energy, dtype=np.float64), 1.0) / CAESIUM_LINE
        return np.asarray(self.fwhm_662 * CAESIUM_LINE * ratio**self.fwhm_exponent)

    def sigma(self, energy: npt.ArrayLike) -> FloatArray:
        """Standard deviation of the Gaussian at some energies, keV."""
        return self.fwhm(energy) / _FWHM_PER_SIGMA

    def fold_lines(self, energies: npt.ArrayLike) -> FloatArray:
        """Share of each deposited energy that every channel counts.

        Parameters
        ----------
        energies : array_like, shape (n,)
            Deposited energies, keV.

        Returns
        -------
        ndarray, shape (n_channels, n)
            A column sums to one, less what falls off the ends of the axis.
        """
        at = np.asarray(energies, dtype=np.float64)
        standard = (self.axis.edges[:, np.newaxis] - at) / self.sigma(at)
        return np.diff(ndtr(standard), axis=0)

    def fold_bins(self, edges: npt.ArrayLike) -> FloatArray:
        """The same for energies spread evenly over bins.

        Parameters
        ----------
        edges : array_like, shape (n + 1,)
            Edges of the bins of deposited energy, keV. Within a bin the width of the Gaussian is
            that at its centre.

        Returns
        -------
        ndarray, shape (n_channels, n)
            A column sums to one, less what falls off the ends of the axis.
        """
        at = np.asarray(edges, dtype=np.float64)
        low, high = at[:-1], at[1:]
        sigma = self.sigma(0.5 * (low + high))
        channel_edges = self.axis.edges[:, np.newaxis]
        upper = _integrated_normal((channel_edges - low) / sigma)
        lower = _integrated_normal((channel_edges - high) / sigma)
        # Far from a bin two large numbers cancel; a share is never below zero.
        return np.maximum(np.diff((upper - lower) * (sigma / (high - low)), axis=0), 0.0)


def _integrated_normal(x: FloatArray) -> FloatArray:
    """Antiderivative of the cumulative normal distribution: x Phi(x) + phi(x)."""
    return np.asarray(x * ndtr(x) + np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi))
