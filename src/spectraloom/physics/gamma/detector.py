"""A gamma detector: its crystal, its resolution, its light, its energy axis and its electronics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from spectraloom._typing import FloatArray
from spectraloom.data import Axis
from spectraloom.errors import AxisError, DataError
from spectraloom.physics.gamma.checks import is_number
from spectraloom.physics.gamma.compton import ELECTRON_REST_ENERGY
from spectraloom.physics.gamma.crystal import Crystal, Layer
from spectraloom.physics.gamma.materials import shown

CAESIUM_LINE = 661.657
"""keV; the line at which resolutions are quoted."""

ANNIHILATION_FWHM = 2.4
"""keV; full width at half maximum of the annihilation line itself. The electrons that positrons
meet move, so that one photon gains what the other loses. From the width of the peak in germanium
the photons were found to miss a straight line by 0.54(2) degrees in people (Shibuya et al., Phys.
Med. Biol. 52 (2007) 5249): 2.4 keV, as free electrons of aluminium give. Solids have 2 to 3 keV."""

_FWHM_PER_SIGMA = float(2.0 * np.sqrt(2.0 * np.log(2.0)))
_MOST_BEND = 0.3
_LEAST_END = 10.0  # keV; softer photons stay in the window of any detector
_SAME_LINE = 0.01  # keV; tables say 511 keV for the rest energy of the electron
_LONGEST_DEAD = 1e-3  # s; longer ones stand for microseconds
_NUMBERS = (
    "fwhm_662",
    "fwhm_exponent",
    "noise",
    "backscatter",
    "dead_time",
    "pile_up_time",
    "fwhm_bend",
)


PHOTOMULTIPLIER: tuple[Layer, ...] = (("Al", 0.1), ("glass", 0.6))
"""What light sensors in glass put behind a crystal."""
THREE_INCH = Crystal("NaI", (7.62, 7.62), (("Al", 0.105),), (("Al", 0.105),), PHOTOMULTIPLIER)
"""The common crystal; so much aluminium is what published efficiencies ask for."""


@dataclass(frozen=True, slots=True)
class GammaDetector:
    """A crystal, what it makes of deposited energy, and the channels that count it.

    The full width at half maximum at energy E (keV) is

        fwhm(E)^2 = noise^2 + (fwhm_662 * 661.657 * r^(fwhm_exponent + fwhm_bend * ln r))^2,

    with r = E / 661.657, and a deposit of energy E is counted around ``apparent(E)``, E times its
    relative light. The axis measures that apparent energy. A calibration by peaks, as it is done
    with a real detector, absorbs most of it: leave `light` empty if the axis comes from such a
    calibration.

    Parameters
    ----------
    name : str
        Goes into the column ``detector``.
    axis : Axis
        Bin edges in keV: the calibration of this detector.
    crystal : Crystal
        The crystal and its housing; by default sodium iodide of 3 by 3 inches in 1 mm of aluminium.
    fwhm_662 : float
        Full width at half maximum at 661.7 keV as a fraction of that energy, the noise left out.
    fwhm_exponent : float
        The width grows as energy to this power. Counting statistics of the light alone gives 0.5;
        0.57 matches 7.0 % at 662 and 5.2 % at 1332 keV, as measured crystals have.
    noise : float
        Full width at half maximum of the electronics, keV, the same at all energies.
    light : tuple of (float, float)
        Points (energy in keV, light per keV relative to that at 662 keV) of a scintillator whose
        light is not proportional to energy. Between them the logarithm of energy is interpolated,
        outside the nearest point holds. Empty for a detector that is proportional. A curve
        measured with photons is right for peaks; a Compton continuum, which comes from other
        electrons, follows it less closely.
    backscatter : float
        Photons that reach the crystal after one scattering by more than 90 degrees in whatever
        stands behind it, per photon that reaches it directly. The default is of the size that
        measured spectra of Cs-137 and Co-60 in a room suggest; it depends on the room.
    dead_time : float
        Seconds after a pulse in which no other is recorded, up to 0.001; see
        :mod:`spectraloom.physics.gamma.electronics`.
    pile_up_time : float
        Seconds after a pulse in which the energy of another is added to it, up to 0.001.
    fwhm_bend : float
        Change of the exponent with the logarithm of energy. Negative where widths fall faster
        towards low energies than they rise towards high ones, as those of many scintillators do.

    Raises
    ------
    AxisError
        If the axis is not made of energy bins in keV, or ends below 10 keV.
    DataError
        If a number is out of range, or apparent energy would fall as energy rises.
    """

    name: str
    axis: Axis
    crystal: Crystal = THREE_INCH
    fwhm_662: float = 0.07
    fwhm_exponent: float = 0.57
    noise: float = 0.0
    light: tuple[tuple[float, float], ...] = ()
    backscatter: float = 0.06
    dead_time: float = 0.0
    pile_up_time: float = 0.0
    fwhm_bend: float = 0.0

    def __post_init__(self) -> None:
        for name, kind in (("name", str), ("axis", Axis), ("crystal", Crystal)):
            if not isinstance(getattr(self, name), kind):
                raise DataError(
                    f"the {name} of a gamma detector is of type {kind.__name__}, got "
                    f"{shown(getattr(self, name))}"
                )
        for name in _NUMBERS:
            if not is_number(getattr(self, name)):
                raise DataError(f"{name} is a number, got {shown(getattr(self, name))}")
        if not self.axis.binned or (self.axis.quantity, self.axis.unit) != ("energy", "keV"):
            raise AxisError(
                f"a gamma detector needs an axis of energy bins in keV, got {self.axis.describe()}"
            )
        if self.axis.edges[-1] <= _LEAST_END:
            raise AxisError(
                f"the axis ends at {self.axis.edges[-1]:g} keV, below all that a gamma detector "
                "counts: edges are in keV, not MeV"
            )
        if not 0 < self.fwhm_662 < 1:
            raise DataError(
                "fwhm_662 is a fraction of 661.7 keV between 0 and 1, e.g. 0.07 for 7 %; "
                f"got {self.fwhm_662:g}"
            )
        for name in ("fwhm_exponent", "noise", "backscatter", "dead_time", "pile_up_time"):
            if not 0 <= getattr(self, name) < np.inf:
                raise DataError(f"{name} is a number of zero or more, got {getattr(self, name):g}")
        for name in ("dead_time", "pile_up_time"):
            if getattr(self, name) > _LONGEST_DEAD:
                raise DataError(
                    f"{name} is in seconds and up to {_LONGEST_DEAD:g}, e.g. 5e-6 for 5 "
                    f"microseconds; got {getattr(self, name):g}"
                )
        if not abs(self.fwhm_bend) <= _MOST_BEND:
            raise DataError(
                f"fwhm_bend is a number between -{_MOST_BEND:g} and {_MOST_BEND:g}, "
                f"got {self.fwhm_bend:g}"
            )
        object.__setattr__(self, "light", _light_points(self.light))

    def apparent(self, energy: npt.ArrayLike) -> FloatArray:
        """Energy at which a deposit is counted: energy times relative light, keV."""
        at = np.asarray(energy, dtype=np.float64)
        if not self.light:
            return at
        energies, light = np.array(self.light).T
        return np.asarray(at * np.interp(np.log(np.maximum(at, 1e-3)), np.log(energies), light))

    def fwhm(self, energy: npt.ArrayLike) -> FloatArray:
        """Full width at half maximum at some deposited energies, keV.

        Below 1 keV the width at 1 keV is used.
        """
        ratio = np.maximum(np.asarray(energy, dtype=np.float64), 1.0) / CAESIUM_LINE
        exponent = self.fwhm_exponent + self.fwhm_bend * np.log(ratio)
        light = self.fwhm_662 * CAESIUM_LINE * ratio**exponent
        return np.asarray(np.hypot(self.noise, light))

    def sigma(self, energy: npt.ArrayLike) -> FloatArray:
        """Standard deviation of the Gaussian at some deposited energies, keV."""
        return self.fwhm(energy) / _FWHM_PER_SIGMA

    def line_fwhm(self, energy: npt.ArrayLike) -> FloatArray:
        """Full width at half maximum of the peaks of some lines, keV.

        That of the resolution, but for annihilation photons, whose own width
        (``ANNIHILATION_FWHM``) adds in quadrature. They are told by their energy: within 0.01 keV
        of the rest energy of the electron there is no other line.
        """
        at = np.asarray(energy, dtype=np.float64)
        annihilation = np.abs(at - ELECTRON_REST_ENERGY) < _SAME_LINE
        own = np.where(annihilation, ANNIHILATION_FWHM, 0.0)
        return np.asarray(np.hypot(self.fwhm(at), own))

    def line_sigma(self, energy: npt.ArrayLike) -> FloatArray:
        """The same as a standard deviation."""
        return self.line_fwhm(energy) / _FWHM_PER_SIGMA

    def fold_lines(self, energies: npt.ArrayLike, channels: slice = slice(None)) -> FloatArray:
        """Share of each line that every channel counts.

        Parameters
        ----------
        energies : array_like, shape (n,)
            Deposited energies, keV; the widths are those of :meth:`line_sigma`.
        channels : slice
            Neighbouring channels of the axis, if not all are asked for.

        Returns
        -------
        ndarray, shape (n_channels, n)
            A column sums to one, less what falls off the ends of the axis.
        """
        at = np.asarray(energies, dtype=np.float64)
        standard = (self._edges(channels)[:, np.newaxis] - self.apparent(at)) / self.line_sigma(at)
        return np.diff(ndtr(standard), axis=0)

    def fold_bins(self, edges: npt.ArrayLike, channels: slice = slice(None)) -> FloatArray:
        """Share of energies spread evenly over bins that every channel counts.

        Parameters
        ----------
        edges : array_like, shape (n + 1,)
            Edges of the bins of deposited energy, keV. Within a bin the width of the Gaussian is
            that at its centre, and apparent energies are spread evenly between those of its edges.
        channels : slice
            Neighbouring channels of the axis, if not all are asked for.

        Returns
        -------
        ndarray, shape (n_channels, n)
            A column sums to one, less what falls off the ends of the axis.
        """
        at = np.asarray(edges, dtype=np.float64)
        sigma = self.sigma(0.5 * (at[:-1] + at[1:]))
        apparent = self.apparent(at)
        low, high = apparent[:-1], apparent[1:]
        channel_edges = self._edges(channels)[:, np.newaxis]
        upper = _integrated_normal((channel_edges - low) / sigma)
        lower = _integrated_normal((channel_edges - high) / sigma)
        # Far from a bin two large numbers cancel; a share is never below zero.
        return np.maximum(np.diff((upper - lower) * (sigma / (high - low)), axis=0), 0.0)

    def _edges(self, channels: slice) -> FloatArray:
        first, last, _ = channels.indices(self.axis.n_channels)
        return self.axis.edges[first : last + 1]


def _light_points(given: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """Points of a light curve as plain numbers, by rising energy."""
    try:
        points = tuple((float(energy), float(light)) for energy, light in given)
    except (TypeError, ValueError):
        raise DataError(
            "light is a list of (energy in keV, light per keV relative to 662 keV), got "
            f"{shown(given)}"
        ) from None
    if not points:
        return points
    energies, light = np.array(points).T
    rising = (np.diff(energies) > 0).all()
    if not (np.isfinite(points).all() and rising and energies[0] > 0 and light.min() > 0):
        raise DataError(
            "light is a list of (energy in keV, light per keV relative to 662 keV), both above "
            f"zero and by rising energy; got {points}"
        )
    # d(E L)/dE = L + dL/dlnE, and L lies between the ends of its segment.
    slope = np.diff(light) / np.diff(np.log(energies))
    if slope.size and not (np.minimum(light[1:], light[:-1]) + slope > 0).all():
        raise DataError(
            "the light falls so fast with energy that more energy would give less of it; got "
            f"{points}"
        )
    return points


def _integrated_normal(x: FloatArray) -> FloatArray:
    """Antiderivative of the cumulative normal distribution: x Phi(x) + phi(x)."""
    return np.asarray(x * ndtr(x) + np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi))
