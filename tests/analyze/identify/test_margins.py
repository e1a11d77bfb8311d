from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze import Identifier
from spectraloom.data import Axis, Library, Spectra
from spectraloom.process import window


@pytest.mark.parametrize("own_window", [None, (100.0, 900.0)])
def test_a_source_of_which_a_part_is_cut_off_is_flagged(
    own_window: tuple[float, float] | None,
) -> None:
    axis = Axis.regular(0.0, 1000.0, 100)
    energy = axis.centers
    soft, low, high = (np.exp(-0.5 * ((energy - at) / 20.0) ** 2) for at in (200.0, 300.0, 700.0))
    # 85 % of "split" lies below 600, and all of "soft".
    shapes = np.array([soft / soft.sum(), 0.85 * low / low.sum() + 0.15 * high / high.sum()])
    library = Library(shapes, axis, ("soft", "split"))
    flat = Spectra(np.full((1, 100), 50.0), axis)
    model = Identifier(library, n_bootstrap=0, window=own_window).fit(flat)
    rng = np.random.default_rng(1)
    names = ["soft", "split", "nothing"]
    expected = 5.0 + np.vstack([2000.0 * shapes, np.zeros(100)])
    spectra = Spectra(rng.poisson(expected).astype(float), axis)
    whole = model.analyze(spectra)
    assert whole.top is not None
    assert whole.top.tolist() == [*names[:2], "background"]
    assert not whole.flags["partly_covered"].any()
    answer = model.analyze(window(spectra, 0.0, 600.0))
    assert answer.flags["partly_covered"].tolist() == [False, True, False]
    assert answer.amounts[1, 1] == pytest.approx(2000.0, rel=0.1)  # on the whole axis
    part = model.analyze(window(spectra, 0.0, 800.0))
    assert not part.flags["partly_covered"].any()


def test_without_a_calibration_nothing_is_said_to_be_cut_off() -> None:
    axis = Axis.uncalibrated(20)
    library = Library(np.eye(2, 20) + 0.01, axis, ("A", "B"))
    model = Identifier(library, n_bootstrap=0).fit(Spectra(np.full((1, 20), 9.0), axis))
    answer = model.analyze(Spectra(100.0 * np.eye(2, 20).round() + 9.0, axis))
    assert not answer.flags["partly_covered"].any()
