"""The errors Spectraloom raises: what was wrong, what was expected, what to do."""

from __future__ import annotations


class SpectraloomError(Exception):
    """Base of every error that Spectraloom raises on purpose."""


class DataError(SpectraloomError, ValueError):
    """Values, columns or times that do not form a valid set of spectra."""


class AxisError(SpectraloomError, ValueError):
    """An axis that is malformed, or spectra that lie on another axis than expected."""


class CalibrationError(AxisError):
    """A calibration that is absent or is not strictly increasing."""


class FormatError(SpectraloomError, ValueError):
    """A file or stream that cannot be read: it names the source and what was expected."""


class LabelError(SpectraloomError, LookupError):
    """A label, detector, template or column that is not there."""


class FitError(SpectraloomError, ValueError):
    """Training data or settings that a model cannot be fitted to."""


class MissingExtraError(SpectraloomError, ImportError):
    """An optional library is needed; the message says what to install."""
