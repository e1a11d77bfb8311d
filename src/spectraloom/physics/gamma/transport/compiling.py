"""How the functions of transport are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a function that Python calls: without the interpreter's lock, so that threads run.

    What was compiled is kept for the next process; where there is no place for it, each process
    compiles anew.
    """
    return _compiled(function, nogil=True)


def part(function: Function) -> Function:
    """Compile a function that only other compiled ones call.

    It does not count references to arrays, as numba else does whenever one goes from function to
    function or a row of it is taken: in a kernel of small functions that takes most of the time,
    and threads wait for each other's counting. So it may not make an array; what it works on
    belongs to the kernel.
    """
    return _compiled(function, _nrt=False)


def inlined(function: Function) -> Function:
    """As :func:`part`, put in where it is called; for what is short or called in one place."""
    return _compiled(function, _nrt=False, inline="always")


def _compiled(function: Function, **settings: Any) -> Function:
    settings["error_model"] = "numpy"
    try:
        compiled: Function = njit(cache=True, **settings)(function)
    except RuntimeError:  # numba finds no place for its cache
        compiled = njit(**settings)(function)
    return compiled
