from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from spectraloom.errors import DataError
from spectraloom.physics.gamma.nuclides import nuclide
from spectraloom.physics.gamma.radon import washed_out

LEAD = nuclide("Pb214").decay_constant
BISMUTH = nuclide("Bi214").decay_constant


@given(
    time=st.floats(0.0, 2e4),
    duration=st.floats(1.0, 1e4),
    ratio=st.floats(0.0, 2.0),
)
def test_activities_solve_the_equations_of_decay(
    time: float, duration: float, ratio: float
) -> None:
    def change(at: float, activity: np.ndarray) -> list[float]:
        rain = 1.0 if at < duration else 0.0
        lead, bismuth = activity
        return [rain - LEAD * lead, rain * ratio + BISMUTH * (lead - bismuth)]

    activity = np.zeros(2)
    for start, stop in ((0.0, min(time, duration)), (duration, time)):
        if stop > start:
            middle = (start, stop - 1e-9)
            activity = solve_ivp(change, middle, activity, rtol=1e-9, atol=1e-9).y[:, -1]
    np.testing.assert_allclose(
        washed_out(time, duration, 1.0, ratio), activity, rtol=1e-5, atol=1e-6
    )


def test_after_a_burst_of_lead_alone_the_chain_is_that_of_bateman() -> None:
    burst = washed_out(3600.0, 1e-3, 1e3, 0.0)
    chain = nuclide("Pb214").activities(3600.0)
    np.testing.assert_allclose(burst, [chain["Pb214"], chain["Bi214"]], rtol=1e-5)


def test_rain_comes_to_equilibrium_and_then_decays() -> None:
    before, steady, hours = washed_out(np.array([-5.0, 1e6, 1e6 + 4 * 3600]), 1e6, 2.0).tolist()
    assert before == [0.0, 0.0]
    assert steady[0] == pytest.approx(2.0 / LEAD)
    assert steady[1] == pytest.approx(2.0 / LEAD + 2.0 / BISMUTH)
    # Hours later little is left, and bismuth lives on lead at the ratio of transient equilibrium.
    assert hours[0] < 0.01 * steady[0]
    assert hours[1] / hours[0] == pytest.approx(BISMUTH / (BISMUTH - LEAD), rel=0.5)


@pytest.mark.parametrize("wrong", [(0.0, -1.0, 1.0), (0.0, 1.0, -1.0), (np.nan, 1.0, 1.0)])
def test_impossible_rain_is_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(DataError):
        washed_out(*wrong)
