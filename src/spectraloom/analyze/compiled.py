"""How the hot loops are compiled; imported when a fit starts, because numba is slow to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that works on numbers and arrays only, without the interpreter's lock.

    What was compiled is kept for the next process, beside the package or in the user's cache.
    Where neither may be written, as in many containers, each process compiles anew.
    """
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba finds no place for its cache
        return njit(nogil=True, error_model="numpy")(function)
