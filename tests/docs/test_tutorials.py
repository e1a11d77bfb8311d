"""The tutorials run as they stand, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
PROMISED = ("1_explore.py", "2_model.py", "3_outliers.py")
# What is there and what has to be there: a tutorial that went missing fails like a broken one.
NAMES = sorted({*PROMISED, *(path.name for path in TUTORIALS.glob("*.py"))})


@pytest.mark.parametrize("name", NAMES)
def test_tutorial_runs(name: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "MPLBACKEND": "Agg",
        # Offline on purpose: a tutorial brings its own, simulated data.
        "SPECTRALOOM_DATA_DIR": str(tmp_path / "no data"),
    }
    done = subprocess.run(
        [sys.executable, str(TUTORIALS / name)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
