"""A small world of files, and the command line run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.cli import main
from spectraloom.generate import demo_detectors, simulate_gamma

NUCLIDES = ("Co60", "Cs137", "Eu152")


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as strict JSON: nothing besides, and no nan."""

        def refuse(name: str) -> None:
            raise ValueError(f"{name} is no JSON")

        return json.loads(self.out, parse_constant=refuse)


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``train.npz``, ``test.npz`` (another axis), ``model.loom``, and broken files."""
    folder = tmp_path_factory.mktemp("world")
    detectors = demo_detectors()
    train = simulate_gamma(
        [*NUCLIDES, "background"],
        detectors["simulated"],
        240,
        absorbers=[None, ("Pb", 0.1)],
        seed=1,
    )
    test = simulate_gamma(
        ["Cs137", ("Co60", "Cs137"), "U235"],
        detectors["east"],
        60,
        background_counts=(300.0, 600.0),
        seed=2,
    )
    sl.write(train, folder / "train.npz")
    sl.write(test, folder / "test.npz")
    code = main(["train", str(folder / "train.npz"), "-o", str(folder / "model.loom"), "--json"])
    assert code == 0
    wave = sl.Spectra(
        np.ones((2, 3)),
        sl.Axis.from_points([404.7, 435.8, 546.1], quantity="wavelength", unit="nm"),
    )
    sl.write(wave.replace(kind="intensity"), folder / "wavelengths.npz")
    sl.write(test.replace(kind="intensity"), folder / "intensity.npz")
    sl.write(sl.Spectra(test.values), folder / "uncalibrated.npz")
    sl.write(test.replace(axis=sl.Axis.regular(9000, 9900, 512)), folder / "far.npz")
    (folder / "empty.npz").write_bytes(b"")
    (folder / "broken.npz").write_bytes((folder / "train.npz").read_bytes()[:5000])
    (folder / "noise.n42").write_bytes(np.random.default_rng(0).bytes(4000))
    (folder / "broken.loom").write_bytes((folder / "model.loom").read_bytes()[:900])
    (folder / "folder").mkdir()
    return folder
