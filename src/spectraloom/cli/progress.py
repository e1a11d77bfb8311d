"""Progress where there is no terminal to draw a bar on."""

from __future__ import annotations

import time
from collections.abc import Callable

_APART = 60.0  # seconds


def line_a_minute(write: Callable[[str], None]) -> Callable[[float, str], None]:
    """Progress that writes how far it is once a minute; what takes less is silent.

    Parameters
    ----------
    write : callable
        Takes a line.

    Returns
    -------
    callable
        Called with the fraction done and what is being done.
    """
    last = time.monotonic()

    def tell(fraction: float, text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _APART:
            last = now
            write(f"{fraction:.0%} done: {text}")

    return tell
