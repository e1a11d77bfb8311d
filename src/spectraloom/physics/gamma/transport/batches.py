"""Batches of histories, on as many threads as there are processors.

The kernels let go of the interpreter's lock, so that threads of Python run them side by side. The
threads end with the call: numba's own would stay, and neither a fork nor calls from two threads of
a program go with those.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")


def side_by_side(
    one: Callable[[int], Part], batches: int, threads: int | None = None
) -> Iterator[Part]:
    """Results of batches in their order, whichever is done first.

    Parameters
    ----------
    one : callable
        Called with the number of a batch. Numbers are random by it alone, and so the result does
        not depend on the number of threads.
    batches : int
        How many.
    threads : int, optional
        At a time; as many as there are processors by default.

    Yields
    ------
    object
        What `one` gives.
    """
    with ThreadPoolExecutor(threads or _processors()) as pool:
        yield from pool.map(one, range(batches))


def _processors() -> int:
    return os.cpu_count() or 1
