"""Gain of a detector, followed from spectrum to spectrum of a series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from spectraloom._typing import BoolArray, FloatArray
from spectraloom.analyze.identify.identifier import Identifier
from spectraloom.analyze.likelihood.gain import gain_deviations
from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, FitError

_JUMP = 5.0  # standard deviations of the sum of the last innovations that are no drift
_SUMMED = (1, 2, 4, 8)  # innovations that are summed


@dataclass(frozen=True, slots=True, eq=False)
class GainTrack:
    """Gain along a series of n spectra.

    Parameters
    ----------
    gains : ndarray, shape (n,)
        Relative: a count of energy E is recorded at E (1 + gain).
    uncertainties : ndarray, shape (n,)
        Standard deviations, from all spectra up to this one.
    jumps : ndarray of bool, shape (n,)
        Where the gain jumped, so that what was known before was given up.
    """

    gains: FloatArray
    uncertainties: FloatArray
    jumps: BoolArray

    def __len__(self) -> int:
        return len(self.gains)

    @staticmethod
    def concatenate(parts: Sequence[GainTrack]) -> GainTrack:
        """One track of parts that follow each other."""
        return GainTrack(
            np.concatenate([part.gains for part in parts]),
            np.concatenate([part.uncertainties for part in parts]),
            np.concatenate([part.jumps for part in parts]),
        )


class GainTracker:
    """Follow a slowly drifting gain through spectra too short to show it alone.

    The gain is a random walk. What is known of it is the prior of the next fit, widened by the
    walk; what the fit finds, with its uncertainty, is known from then on: an extended Kalman
    filter, whose measurement is the whole spectrum under the Poisson likelihood, amounts fitted
    freely. A spectrum that tells nothing leaves the gain as it was and its uncertainty wider.
    Where the fits are pulled further than the walk explains, in one spectrum or in the sum of up
    to eight, the gain has jumped, and is sought anew in the whole prior of the identifier.

    Parameters
    ----------
    identifier : Identifier
        Fitted, with a prior of the gain. Templates, priors, window and pile-up are those that it
        was fitted with.
    walk : float
        Standard deviation by which the gain walks in a second, relative. Slower walks average
        over more spectra, faster ones follow sooner.
    interval : float
        Seconds from one spectrum to the next.

    Attributes
    ----------
    gain : float
        As known now.
    uncertainty : float
        Standard deviation of the gain.

    References
    ----------
    R. E. Kalman, J. Basic Eng. 82 (1960) 35, doi:10.1115/1.3662552. B. M. Bell, F. W. Cathey,
    IEEE Trans. Autom. Control 38 (1993) 294, doi:10.1109/9.250476: the iterated filter is a
    maximum of the posterior.

    Examples
    --------
    >>> from spectraloom.generate import demo_detectors, simulate_gamma
    >>> detector = demo_detectors()["east"]
    >>> train = simulate_gamma(["Cs137", "Co60", "background"], detector, 90, seed=1)
    >>> identifier = Identifier(n_bootstrap=0).fit(train)
    >>> series = simulate_gamma(["Cs137"], detector, 20, background_counts=(500, 500), seed=2)
    >>> track = GainTracker(identifier).track(series)
    >>> bool(abs(track.gains[-1]) < 4 * track.uncertainties[-1] < 0.01)
    True
    """

    def __init__(
        self, identifier: Identifier, *, walk: float = 3e-4, interval: float = 1.0
    ) -> None:
        if not hasattr(identifier, "table_"):
            raise FitError("a gain is tracked with the templates of a fitted identifier")
        if identifier.fitted_with_["gain"] is None:
            raise FitError(
                "the identifier was fitted without a prior of the gain, so that it cannot be "
                "followed: fit one with a prior, e.g. gain=0.02"
            )
        for name, value in (("walk", walk), ("interval", interval)):
            if not 0 < value < np.inf:
                raise FitError(f"{name} is above zero, got {value!r}")
        self.identifier = identifier
        self.walk = walk
        self.interval = interval
        self.reset()

    @property
    def widest(self) -> float:
        """Standard deviation of the gain where nothing is known: the prior of the identifier."""
        return float(self.identifier.fitted_with_["gain"])

    def reset(self) -> None:
        """Forget the series: the gain is as wide as the prior of the identifier."""
        self.gain, self.uncertainty = 0.0, self.widest
        self._innovations: list[float] = []

    def step(self, spectrum: Spectra) -> tuple[float, float, bool]:
        """Take the next spectrum.

        Parameters
        ----------
        spectrum : Spectra
            One spectrum of counts, on a calibrated axis.

        Returns
        -------
        gain, uncertainty : float
            As known now.
        jumped : bool
            Whether what was known before was given up.
        """
        if len(spectrum) != 1 or spectrum.kind != "counts":
            raise DataError(
                f"a step takes one spectrum of counts, got {len(spectrum)} of {spectrum.kind}"
            )
        if not spectrum.axis.is_calibrated:
            raise DataError(
                f"a gain is tracked on a calibrated axis, got {spectrum.axis.describe()}: "
                "calibrate the spectra first"
            )
        widest = self.widest
        predicted = min(float(np.hypot(self.uncertainty, self.walk * self.interval**0.5)), widest)
        gain, uncertainty, held = self._posterior(spectrum, self.gain, predicted)
        # Under the walk the innovations are independent standard normal numbers: the fit has
        # moved by the innovation times the root of the variance that it took away.
        learned = max(predicted**2 - uncertainty**2, 1e-6 * predicted**2)
        moved = gain - self.gain
        self._innovations = [*self._innovations[-_SUMMED[-1] + 1 :], moved / learned**0.5]
        jumped = (held or self._pulled()) and predicted < widest
        if jumped:
            self._innovations = []
            gain, uncertainty, _ = self._posterior(spectrum, 0.0, widest, start=gain)
        self.gain, self.uncertainty = gain, uncertainty
        return gain, uncertainty, jumped

    def track(
        self, spectra: Spectra, *, progress: Callable[[float, str], None] | None = None
    ) -> GainTrack:
        """Follow the gain through a whole series, from a fresh start.

        Parameters
        ----------
        spectra : Spectra
            Counts in the order of time.
        progress : callable, optional
        """
        self.reset()
        gains, uncertainties = np.empty(len(spectra)), np.empty(len(spectra))
        jumps = np.zeros(len(spectra), dtype=bool)
        for row, spectrum in enumerate(spectra):
            gains[row], uncertainties[row], jumps[row] = self.step(spectrum)
            if progress is not None:
                progress((row + 1) / len(spectra), "gain")
        return GainTrack(gains, uncertainties, jumps)

    def _pulled(self) -> bool:
        last = np.array(self._innovations[::-1])
        return any(
            abs(last[:n].sum()) > _JUMP * n**0.5 for n in _SUMMED if n <= len(self._innovations)
        )

    def _posterior(
        self, spectrum: Spectra, center: float, spread: float, *, start: float | None = None
    ) -> tuple[float, float, bool]:
        """Gain, its standard deviation given a Gaussian prior, and whether limits hold it."""
        expecting = at_gain(self.identifier, center, spread)
        begin = np.array([[center if start is None else start, 0.0, 0.0]])
        table, nuisances = expecting.table_, expecting._nuisances
        fit = expecting._fit(spectrum, table, start=begin)
        deviation = float(gain_deviations(fit, table, nuisances)[0])
        gain = float(fit.nuisances[0, 0])
        low, high = nuisances.bounds(table)[0]
        return gain, deviation, not low < gain < high


def at_gain(identifier: Identifier, gain: float, spread: float) -> Identifier:
    """A copy of a fitted identifier that expects the gain at another place; nothing is fitted.

    Parameters
    ----------
    identifier : Identifier
        Fitted.
    gain, spread : float
        Center and standard deviation of the prior of the gain.
    """
    other = copy(identifier)
    own = identifier._nuisances
    other._nuisances = replace(own, gain=spread, centers=(gain, *own.centers[1:]))
    return other
