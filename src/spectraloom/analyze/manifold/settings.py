"""Settings of a manifold unmixer that make sense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from spectraloom.analyze.given import is_number
from spectraloom.analyze.identify.significance import per_name_rate
from spectraloom.analyze.manifold.latents import LATENTS, Latents
from spectraloom.analyze.manifold.signature import SignatureModel
from spectraloom.errors import FitError

MODELS = ("interpolated", "iae-joint", "iae-individual")
SELECTIONS = ("greedy", "all")
BINS = (None, "adaptive")
ENDINGS = ("", "_uncertainty", "_low", "_high")  # of what is said of a latent
TAKEN = frozenset(
    [
        *("explained_variance", "cosine", "correlation", "root_cosine", "deviance_per_dof"),
        *("excess_deviance_per_count", "misfit_p_value", "p_value", "significance"),
        *("count_rate", "count_rate_uncertainty", "interval_low", "interval_high"),
        *(name + ending for name in LATENTS for ending in ENDINGS),
    ]
)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that are out of range.

    Parameters
    ----------
    settings : mapping of str to object
        Parameters of a :class:`~spectraloom.analyze.manifold.unmixer.ManifoldUnmixer`.

    Raises
    ------
    DataError
        If the false-alarm rate is none.
    FitError
        If another setting is out of range, or of the wrong type.
    """
    if not is_number(settings["false_alarm_rate"]):
        raise FitError(f"false_alarm_rate is a number, got {settings['false_alarm_rate']!r}")
    per_name_rate(settings["false_alarm_rate"], 1)
    components = settings["background_components"]
    if not isinstance(components, int) or components < 1:
        raise FitError(f"background_components is a number of at least 1, got {components!r}")
    _require_choice("model", settings["model"], MODELS)
    softening, seed = settings["softening"], settings["random_state"]
    if not (softening in (None, "auto") or is_number(softening)):
        raise FitError(f"softening is 'auto', a number or None, got {softening!r}")
    if seed is not None and not (isinstance(seed, (int, np.integer)) and 0 <= seed < 2**32):
        raise FitError(f"random_state is None or a whole number from 0 to 2^32 - 1, got {seed!r}")
    given = settings["signatures"]
    if not (given is None or isinstance(given, SignatureModel)):
        raise FitError(f"signatures are a model of signatures or None, got {given!r}")
    _require_texts(settings)
    check_fitting(settings)
    if given is None:
        check_names([settings["deformation"]])


def check_fitting(settings: Mapping[str, Any]) -> None:
    """Refuse settings of fits that are out of range or of the wrong type.

    Parameters
    ----------
    settings : mapping of str to object
        Latents, resolution, selection, bins and window.

    Raises
    ------
    FitError
        If one is.
    """
    for name, known in (("selection", SELECTIONS), ("bins", BINS)):
        _require_choice(name, settings[name], known)
    Latents(**{name: settings[name] for name in LATENTS}, resolution=settings["resolution"])
    window = settings["window"]
    if window is not None and not _is_window(window):
        raise FitError(f"window is two increasing coordinates of the axis, got {window!r}")


def check_names(deformations: Iterable[str]) -> None:
    """Refuse names of deformations under which answers say something else.

    Parameters
    ----------
    deformations : iterable of str

    Raises
    ------
    FitError
        If there is one.
    """
    taken = set(TAKEN)
    for name in deformations:
        own = {name + ending for ending in ENDINGS}
        if own & taken:
            raise FitError(
                f"a deformation cannot be called {name!r}, as answers have something else under "
                f"{', '.join(sorted(own & taken))}: give it (and its column) another name"
            )
        taken |= own


def _require_choice(name: str, value: object, known: tuple[object, ...]) -> None:
    if not isinstance(value, (str, type(None))) or value not in known:
        choices = ", ".join(repr(one) for one in known)
        raise FitError(f"{name} is one of {choices}, got {value!r}")


def _require_texts(settings: Mapping[str, Any]) -> None:
    for name in ("deformation", "unit"):
        if not isinstance(settings[name], str):
            raise FitError(f"{name} is a text, got {settings[name]!r}")
    if not isinstance(settings["background"], (str, type(None))):
        raise FitError(f"background is a name or None, got {settings['background']!r}")


def _is_window(value: object) -> bool:
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        return False
    low, high = value
    return is_number(low) and is_number(high) and bool(low < high)
