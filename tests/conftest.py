"""Fixtures that several test folders use."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile(
    "spectraloom",
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("spectraloom")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List every skipped test with its reason: what was not tested is part of the result."""
    skipped = terminalreporter.getreports("skipped")
    terminalreporter.section("skipped tests")
    for report in skipped:
        # A skip is reported as (file, line, reason).
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"{report.nodeid}: {str(reason).removeprefix('Skipped: ')}")
    terminalreporter.write_line(f"{len(skipped)} skipped")


def find_data(name: str) -> Path:
    """Folder of real data, or a skip that says where it was looked for (a failure in CI)."""
    named = os.environ.get("SPECTRALOOM_DATA_DIR")
    places = [Path(named)] if named else []
    places.append(ROOT.parent / "shared" / "data")
    for place in places:
        if (place / name).exists():
            return place / name
    message = f"real data {name!r} not found: set SPECTRALOOM_DATA_DIR to the folder that holds it"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def formats_dir() -> Path:
    """Real instrument files with ``expected.json``."""
    return find_data("formats")


@pytest.fixture(scope="session")
def gamma_flow_zip() -> Path:
    """The public GAMMA_FLOW example data (one detector)."""
    return find_data("gamma_flow/example_dataset_left.zip")


@pytest.fixture(scope="session")
def steel_sphere_zip() -> Path:
    """Four nuclides in steel spheres, in the layout published with SemSun."""
    return find_data("steel_sphere/steel_sphere_4.zip")


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator, fresh for each test."""
    return np.random.default_rng(20260101)
