"""Reading in a process of its own, with limits on time and memory.

A native parser can crash or hang on a file made for that purpose; then only that process ends. The
answer comes back as plain arrays (the npz layout), never as a pickle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from spectraloom.data import Spectra
from spectraloom.errors import FormatError
from spectraloom.io.source import Source
from spectraloom.io.stores import npz
from spectraloom.io.tables.layout import NoTableError

ISOLATION_SECONDS = 30.0
ISOLATION_MEMORY = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Isolation:
    """Limits of the process that reads one source.

    Parameters
    ----------
    seconds : float
        Longest wall time, start of the process included.
    memory : int
        Most bytes of address space. Kept on POSIX systems; elsewhere only the time is.
    """

    seconds: float = ISOLATION_SECONDS
    memory: int = ISOLATION_MEMORY


def read_isolated(source: Source, isolation: Isolation) -> list[Spectra]:
    """Read one source in a process of its own.

    Parameters
    ----------
    source : Source
        What to read.
    isolation : Isolation
        Its limits.

    Raises
    ------
    FormatError
        If the source cannot be read, or reading it crashed or went beyond a limit.
    """
    path = source.path
    content = b"" if path is not None else source.content()
    request = {
        "name": source.name,
        "path": None if path is None else str(path.absolute()),
        "memory": isolation.memory,
        "seconds": isolation.seconds,
    }
    # One thread each: buffers of more would count against the memory limit.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        # -P keeps the current folder, which may be the user's data, out of the import path.
        answer = subprocess.run(
            [sys.executable, "-P", "-m", "spectraloom.io.isolate_worker"],
            input=json.dumps(request).encode() + b"\n" + content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=isolation.seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FormatError(
            f"{source.name}: reading was stopped after {isolation.seconds:g} s; the file may be "
            "damaged, or needs a longer Isolation(seconds=...)"
        ) from error
    except OSError as error:
        raise FormatError(f"{source.name}: the reading process cannot start: {error}") from error
    return _answer(answer.stdout, answer.returncode, source, isolation)


def _answer(output: bytes, code: int, source: Source, isolation: Isolation) -> list[Spectra]:
    line, _, body = output.partition(b"\n")
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise FormatError(
            f"{source.name}: the process that read it ended with code {code} before it was done: "
            f"the file is damaged, or needs more than {isolation.memory // 1024**2} MiB"
        ) from error
    if "error" in answer:
        raise (NoTableError if answer.get("no_table") else FormatError)(str(answer["error"]))
    groups = []
    for length in answer["lengths"]:
        stored, body = body[:length], body[length:]
        groups += npz.READER.read(Source.from_bytes(stored, Path(source.name).name))
    return groups
