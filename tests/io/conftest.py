"""Fixtures of the reading and writing tests."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class ReadingProcess:
    """Reads inputs in another process; starts a new one if that crashes or hangs."""

    seconds = 20.0

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes] = queue.Queue()

    def read(self, name: str, data: bytes) -> dict[str, Any]:
        """What reading gave: a result of "spectra", "refused", "error", "crash" or "hang"."""
        process = self._started()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps({"name": name, "size": len(data)}).encode() + b"\n")
            process.stdin.write(data)
            process.stdin.flush()
        try:
            line = self._lines.get(timeout=self.seconds)
        except queue.Empty:
            self.close()
            return {"result": "hang", "message": f"no answer in {self.seconds} s"}
        if not line:
            code = process.wait()
            self.close()
            return {"result": "crash", "message": f"the process ended with code {code}"}
        return json.loads(line)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._lines = queue.Queue()
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("reading_process.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            threading.Thread(
                target=self._forward, args=(self._process, self._lines), daemon=True
            ).start()
        return self._process

    @staticmethod
    def _forward(process: subprocess.Popen[bytes], lines: queue.Queue[bytes]) -> None:
        assert process.stdout is not None
        while line := process.stdout.readline():
            lines.put(line)
        process.stdout.close()
        lines.put(b"")

    def close(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait()
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()


@pytest.fixture(scope="session")
def reading_process() -> Iterator[ReadingProcess]:
    """Another process that reads inputs."""
    process = ReadingProcess()
    yield process
    process.close()
