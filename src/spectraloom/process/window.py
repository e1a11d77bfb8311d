"""Keep a part of the axis."""

from __future__ import annotations

from spectraloom.data import Spectra
from spectraloom.errors import CalibrationError
from spectraloom.process.base import Transformer


def window(spectra: Spectra, low: float | None = None, high: float | None = None) -> Spectra:
    """Keep the channels whose centres lie between two coordinates, ends included.

    Whole channels are kept, so counts stay counts.

    Parameters
    ----------
    spectra : Spectra
        Spectra of any kind on a calibrated axis.
    low, high : float, optional
        Limits in the unit of the axis (keV for energies); None leaves that end open.

    Raises
    ------
    CalibrationError
        If a limit is given and the axis is uncalibrated.
    AxisError
        If no channel lies between the limits.
    """
    axis = spectra.axis
    if low is None and high is None:
        return spectra
    if not axis.is_calibrated:
        raise CalibrationError(
            f"the spectra have {axis.describe()}, so a window in keV or another unit has no "
            "meaning; cut channels by number instead: spectra[:, first:last]"
        )
    start = axis.values[0] if low is None else low
    stop = axis.values[-1] if high is None else high
    return spectra[:, axis.window(float(start), float(stop))]


class Window(Transformer):
    """Transformer over :func:`window`.

    Parameters
    ----------
    low, high : float, optional
        Limits in the unit of the axis; None leaves that end open.
    """

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        self.low = low
        self.high = high

    def _apply(self, spectra: Spectra) -> Spectra:
        return window(spectra, self.low, self.high)
