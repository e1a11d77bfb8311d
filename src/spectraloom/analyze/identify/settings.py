"""Settings of an identifier that make sense."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
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
    if not _whole(draws) or (draws != 0 and draws < 50):
        raise FitError(f"n_bootstrap is 0 or a whole number of at least 50, got {draws!r}")
    if components != "auto" and not (_whole(components) and components >= 1):
        raise FitError(
            f"background_components is 'auto' or a whole number of at least 1, got {components!r}"
        )
    for name in ("model_error", "min_share"):
        if not 0 <= settings[name] < 1:
            raise FitError(f"{name} lies from 0 to below 1, got {settings[name]!r}")
    if settings["bins"] not in (None, "adaptive"):
        raise FitError(f"bins is 'adaptive' or None, got {settings['bins']!r}")
    if settings["selection"] not in ("auto", "all", "greedy"):
        raise FitError(f"selection is 'auto', 'all' or 'greedy', got {settings['selection']!r}")


def _whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
