"""A process that reads one input after the other, so that a native crash fails one test only.

Each request is a line of JSON with ``name`` and ``size``, then the bytes; each answer is a line of
JSON with ``result`` ("spectra", "refused" or "error").
"""

from __future__ import annotations

import json
import sys
import traceback

import numpy as np

from spectraloom.errors import FormatError
from spectraloom.io.isolate_worker import limit
from spectraloom.io.reading import read_source
from spectraloom.io.source import Source


def answer(name: str, data: bytes) -> dict[str, object]:
    try:
        groups = read_source(Source.from_bytes(data, name))
    except FormatError as error:
        return {"result": "refused", "message": str(error)}
    except BaseException:
        return {"result": "error", "message": traceback.format_exc()}
    for group in groups:
        if not np.isfinite(group.values).all() or (
            group.kind == "counts" and group.values.min() < 0
        ):
            return {"result": "error", "message": f"{group!r} holds values that are no counts"}
    shapes = [list(group.shape) for group in groups]
    return {
        "result": "spectra",
        "shapes": shapes,
        "totals": [float(group.totals.sum()) for group in groups],
    }


def main() -> None:
    limit(4 * 1024**3, 600)
    stream = sys.stdin.buffer
    while line := stream.readline():
        request = json.loads(line)
        reply = answer(request["name"], stream.read(request["size"]))
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
