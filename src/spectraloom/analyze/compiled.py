"""How the hot loops are compiled; imported when a fit starts, because numba is slow to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

_FAST = {"reassoc", "contract", "arcp", "nsz"}  # sums in any order; infinities and nan stay


def compiled(function: Callable[..., Any], *, fast: bool = False, within: bool = False) -> Any:
    """Compile a function that works on numbers and arrays only, without the interpreter's lock.

    What was compiled is kept for the next process, beside the package or in the user's cache.
    Where neither may be written, as in many containers, each process compiles anew.

    Parameters
    ----------
    function : callable
    fast : bool
        Whether sums may be taken in another order, several terms at a time.
    within : bool
        Whether it becomes a part of the functions that call it. A call hands over every array of
        a tuple and counts its owners, which takes longer than a short function itself.
    """
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fast and _FAST}
    if within:
        settings["forceinline"] = True
    try:
        return njit(cache=True, **settings)(function)
    except RuntimeError:  # numba finds no place for its cache
        return njit(**settings)(function)


def compiled_fast(function: Callable[..., Any]) -> Any:
    """As :func:`compiled`, with sums in any order."""
    return compiled(function, fast=True)


def compiled_within(function: Callable[..., Any]) -> Any:
    """As :func:`compiled_fast`, as a part of each function that calls it."""
    return compiled(function, fast=True, within=True)
