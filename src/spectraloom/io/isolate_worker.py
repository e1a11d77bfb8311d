"""The process that :mod:`spectraloom.io.isolate` starts: one request in, plain arrays out."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from spectraloom.data import Spectra
from spectraloom.errors import SpectraloomError
from spectraloom.io.reading import read_source
from spectraloom.io.source import Source
from spectraloom.io.stores.layout import dump_settings, to_arrays
from spectraloom.io.stores.npz import _SETTINGS as SETTINGS_KEY
from spectraloom.io.tables.layout import NoTableError


def main() -> int:
    """Answer the request on standard input; the exit code is 0 if there was an answer."""
    # Whatever a native library prints must not reach the answer.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    request = json.loads(sys.stdin.buffer.readline())
    limit(request["memory"], request["seconds"])
    try:
        stored = [_stored(group) for group in _read(request, sys.stdin.buffer)]
    except SpectraloomError as error:
        no_table = isinstance(error, NoTableError)
        answer.write(json.dumps({"error": str(error), "no_table": no_table}).encode() + b"\n")
    except MemoryError:
        megabytes = request["memory"] // 1024**2
        error_text = f"{request['name']}: reading needs more than {megabytes} MiB"
        answer.write(json.dumps({"error": error_text}).encode() + b"\n")
    else:
        lengths = [len(one) for one in stored]
        answer.write(json.dumps({"lengths": lengths}).encode() + b"\n")
        answer.writelines(stored)
    answer.close()
    return 0


def limit(memory: int, seconds: float) -> None:
    """Set the limits of this process, where the system has any."""
    try:
        import resource
    except ImportError:  # Windows: the parent still limits the time
        return
    for what, most in (
        (resource.RLIMIT_AS, int(memory)),
        (resource.RLIMIT_CPU, math.ceil(seconds) + 1),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, hard))


def _read(request: dict[str, Any], stream: BinaryIO) -> list[Spectra]:
    if request["path"] is None:
        return read_source(Source.from_stream(stream, request["name"]))
    source = Source.from_path(request["path"])
    return read_source(replace(source, name=request["name"]))


def _stored(group: Spectra) -> bytes:
    arrays, settings = to_arrays(group)
    text = np.array(dump_settings(settings))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{SETTINGS_KEY: text}, **arrays)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
