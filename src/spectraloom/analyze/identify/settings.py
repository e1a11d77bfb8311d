"""Settings of an identifier that make sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spectraloom.analyze.identify.significance import per_name_rate
from spectraloom.errors import FitError


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that are out of range.

    Parameters
    ----------
    settings : mapping of str to object
        Parameters of an :class:`~spectraloom.analyze.identify.identifier.Identifier`.

    Raises
    ------
    DataError
        If the false-alarm rate is none.
    FitError
        If another setting is out of range.
    """
    per_name_rate(settings["false_alarm_rate"], 1)
    draws, components = settings["n_bootstrap"], settings["background_components"]
    if draws != 0 and not draws >= 50:
        raise FitError(f"n_bootstrap is 0 or at least 50, got {draws!r}")
    if not isinstance(components, int) or components < 1:
        raise FitError(f"background_components is a number of at least 1, got {components!r}")
    for name in ("model_error", "min_share"):
        if not 0 <= settings[name] < 1:
            raise FitError(f"{name} lies from 0 to below 1, got {settings[name]!r}")
    if settings["selection"] not in ("auto", "all", "greedy"):
        raise FitError(f"selection is 'auto', 'all' or 'greedy', got {settings['selection']!r}")
