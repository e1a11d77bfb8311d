"""Settings of a manifold unmixer that make sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spectraloom.analyze.identify.significance import per_name_rate
from spectraloom.errors import FitError

MODELS = ("interpolated", "iae-joint", "iae-individual")
SELECTIONS = ("greedy", "all")
BINS = (None, "adaptive")


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that are out of range.

    Parameters
    ----------
    settings : mapping of str to object
        Parameters of a :class:`~spectraloom.analyze.manifold.unmixer.ManifoldUnmixer`. What
        latents and signatures can check themselves is left to them.

    Raises
    ------
    DataError
        If the false-alarm rate is none.
    FitError
        If another setting is out of range.
    """
    per_name_rate(settings["false_alarm_rate"], 1)
    components = settings["background_components"]
    if not isinstance(components, int) or components < 1:
        raise FitError(f"background_components is a number of at least 1, got {components!r}")
    for name, known in (("model", MODELS), ("selection", SELECTIONS), ("bins", BINS)):
        if settings[name] not in known:
            choices = ", ".join(repr(one) for one in known)
            raise FitError(f"{name} is one of {choices}, got {settings[name]!r}")
    softening = settings["softening"]
    if isinstance(softening, str) and softening != "auto":
        raise FitError(f"softening is 'auto', a number or None, got {softening!r}")
