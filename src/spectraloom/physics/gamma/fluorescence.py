"""K x-rays that follow the photoelectric effect."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple


class KShell(NamedTuple):
    """The K shell of an element.

    Attributes
    ----------
    edge : float
        Binding energy, keV.
    share : float
        Part of the photoelectric effect that happens in the K shell above its edge.
    fluorescence_yield : float
        X-rays per vacancy; the rest are Auger electrons.
    lines : tuple of (float, float)
        Energy in keV and share of the groups of lines (K-alpha 1 and 2, K-beta 1 and 2); the
        shares sum to one.
    """

    edge: float
    share: float
    fluorescence_yield: float
    lines: tuple[tuple[float, float], ...]


@lru_cache(maxsize=1)
def k_shells() -> dict[str, KShell]:
    """K shells of the elements from sodium to uranium, by symbol."""
    text = (
        files("spectraloom.physics.gamma").joinpath("tables/fluorescence.json").read_text("utf-8")
    )
    found = {}
    for symbol, (edge, share, shining, lines) in json.loads(text)["shells"].items():
        whole = sum(rate for _, rate in lines)
        groups = tuple((energy, rate / whole) for energy, rate in lines)
        found[symbol] = KShell(edge, share, shining, groups)
    return found
