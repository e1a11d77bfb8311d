"""Results of transport, kept: in memory, on disk, and some that come with the package.

A result is found by what it was computed from. Its file is named by a digest of that, of the tables
of materials and cross sections, and of the version of the physics, so that a change of any computes
anew. The folder is that of the environment variable ``SPECTRALOOM_CACHE_DIR``, else the place of
the operating system for such files. A folder that cannot be written to, or a file that is damaged,
only costs time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from spectraloom._typing import Array

CACHE_DIR_VARIABLE = "SPECTRALOOM_CACHE_DIR"
"""Environment variable that names the folder of the cache."""
_TABLES = Path(__file__).resolve().parents[1] / "tables"
SHIPPED = _TABLES / "responses"
"""Results that come with the package."""

_PHYSICS = 4
"""To be raised whenever the same parameters give other results, so that no old one is taken."""

_READ = ("materials.json", "elements.npz", "fluorescence.json")
"""Tables behind the names of materials that parameters hold."""

_KEPT = 64  # results in memory

Arrays = dict[str, Array]
Shapes = Mapping[str, tuple[int | str, ...]]


class _Memory:
    """The results used last, by digest; shared by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Arrays] = OrderedDict()

    def get(self, digest: str) -> Arrays | None:
        with self._lock:
            found = self._kept.get(digest)
            if found is not None:
                self._kept.move_to_end(digest)
            return found

    def put(self, digest: str, arrays: Arrays) -> None:
        with self._lock:
            self._kept[digest] = arrays
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()


_memory = _Memory()


def remembered(
    kind: str,
    parameters: tuple[object, ...],
    shapes: Shapes,
    compute: Callable[[], Arrays],
) -> Arrays:
    """A result out of memory, the package or the disk; computed and kept where there is none.

    Parameters
    ----------
    kind : str
        What it is, e.g. ``"response"``; begins the name of the file.
    parameters : tuple
        All that the result depends on: numbers, strings, None, arrays, frozen dataclasses, and
        tuples of such.
    shapes : mapping of str to tuple
        Names of the arrays of the result, and the lengths of their axes; a text stands for a length
        that is the same wherever it stands. A file that holds anything else is computed anew.
    compute : callable
        Gives the result: arrays of numbers by name.

    Returns
    -------
    dict of str to ndarray
        The arrays, not writeable.

    Raises
    ------
    TypeError
        If a parameter is of another type.
    """
    digest = file_name(kind, parameters)
    found = _memory.get(digest)
    if found is None:
        for folder in (SHIPPED, cache_dir()):
            found = _load(folder / digest, shapes)
            if found is not None:
                break
        else:
            found = compute()
            _store(cache_dir() / digest, found)
        for array in found.values():
            array.flags.writeable = False
        _memory.put(digest, found)
    return dict(found)


def forget() -> None:
    """Drop the results in memory; files stay."""
    _memory.clear()


def file_name(kind: str, parameters: tuple[object, ...]) -> str:
    """Name of the file that a result is kept in.

    See :func:`remembered` for the parameters and errors.
    """
    text = f"{_PHYSICS}|{_digest_of_tables(_TABLES)}|{kind}|{_spelled(parameters)}"
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"


def cache_dir() -> Path:
    """Folder of the files; it need not exist."""
    named = os.environ.get(CACHE_DIR_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    # Without a home folder `~` stays as it is, and nothing can be kept there.
    return Path(os.path.expanduser(base)) / "spectraloom" / "transport"  # noqa: PTH111


def _spelled(value: Any) -> str:
    """A parameter as text that is the same whenever it means the same."""
    if value is None or isinstance(value, str):
        return repr(value)
    if isinstance(value, bool | int | float | np.number | np.bool_):
        return float(value).hex()
    if isinstance(value, np.ndarray):
        return _spelled(tuple(value.tolist()))
    if isinstance(value, tuple | list):
        return f"({','.join(_spelled(part) for part in value)})"
    if is_dataclass(value):
        parts = (f"{field.name}={_spelled(getattr(value, field.name))}" for field in fields(value))
        return f"{type(value).__name__}({','.join(parts)})"
    raise TypeError(
        "what a result is kept by is made of numbers, texts, arrays, tuples and dataclasses; got "
        f"{type(value).__name__}"
    )


@lru_cache(maxsize=1)
def _digest_of_tables(folder: Path) -> str:
    """Digest of the tables that materials are made of."""
    digest = hashlib.sha256()
    for name in _READ:
        content = (folder / name).read_bytes()
        if name.endswith(".json"):  # the same with the line ends of any system
            content = content.replace(b"\r\n", b"\n")
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _load(path: Path, shapes: Shapes) -> Arrays | None:
    """What a file holds; None if there is none, or not what it should be."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
    # A damaged archive raises whatever zip, zlib or the parser of headers come upon.
    except Exception:
        return None
    return found if _fits(found, shapes) else None


def _fits(found: Arrays, shapes: Shapes) -> bool:
    """Whether arrays have the names and shapes that they should, and hold finite numbers."""
    if found.keys() != shapes.keys():
        return False
    lengths: dict[str, int] = {}
    for name, expected in shapes.items():
        array = found[name]
        if array.dtype.kind not in "fi" or array.ndim != len(expected):
            return False
        if not np.isfinite(array).all():
            return False
        for length, asked in zip(array.shape, expected, strict=True):
            known = lengths.setdefault(asked, length) if isinstance(asked, str) else asked
            if length != known:
                return False
    return True


def _store(path: Path, arrays: Arrays) -> None:
    """Write a file whole or not at all: it gets its name when it is complete."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=path.stem, suffix=".part", delete=False
        ) as stream:
            unfinished = Path(stream.name)
            try:
                np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
            except BaseException:
                stream.close()
                unfinished.unlink(missing_ok=True)
                raise
        unfinished.replace(path)


@contextlib.contextmanager
def without_files() -> Iterator[None]:
    """Let nothing be known already, and what is computed here be forgotten."""
    before = os.environ.get(CACHE_DIR_VARIABLE)
    forget()
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CACHE_DIR_VARIABLE] = folder
        try:
            yield
        finally:
            forget()
            if before is None:
                del os.environ[CACHE_DIR_VARIABLE]
            else:
                os.environ[CACHE_DIR_VARIABLE] = before
