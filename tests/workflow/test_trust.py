from __future__ import annotations

from dataclasses import replace

import pytest

from spectraloom.analyze import Identifier
from spectraloom.data import Axis, Spectra
from spectraloom.data.result import Result
from spectraloom.generate import demo_detectors, simulate_gamma
from spectraloom.workflow.trust import summary

EAST = demo_detectors()["east"]


@pytest.fixture(scope="module")
def model() -> Identifier:
    train = simulate_gamma(["Cs137", "Co60", "background"], EAST, 90, seed=1)
    return Identifier(n_bootstrap=0).fit(train)


def answer(model: Identifier, gain: float, counts: int) -> tuple[Result, Spectra]:
    """Background of a detector that records counts at their energies times 1 + gain."""
    axis = Axis(EAST.axis.edges / (1.0 + gain), quantity="energy", unit="keV")
    drifted = replace(EAST, axis=axis)
    given = simulate_gamma(["background"], drifted, 20, counts=(counts, counts), seed=2)
    spectra = Spectra(given.values, EAST.axis)
    return model.analyze(spectra), spectra


@pytest.mark.parametrize(("gain", "side"), [(0.04, "above"), (-0.04, "below")])
def test_a_gain_that_is_off_in_the_whole_file_is_said(
    model: Identifier, gain: float, side: str
) -> None:
    (line,) = [one for one in summary(*answer(model, gain, 8000), model) if "gain is off" in one]
    assert side in line
    assert "2.0%" in line
    assert float(line.split("%")[0].split()[-1]) == pytest.approx(100 * gain, abs=0.5)


def test_a_gain_as_expected_or_not_known_is_not_mentioned(model: Identifier) -> None:
    for gain, counts in ((0.005, 8000), (0.04, 20)):
        assert not any("gain is off" in one for one in summary(*answer(model, gain, counts), model))
