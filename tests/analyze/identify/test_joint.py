from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spectraloom.analyze import Identifier
from spectraloom.analyze.identify.joint import surely_unnamed
from spectraloom.data import Library, Spectra

NAMES = ("Cs137", "like Cs137", "Co60")


@pytest.fixture(scope="module")
def model(world: Any) -> Identifier:
    cs, co, am = world.loadings[2], world.loadings[1], world.loadings[0]
    library = Library(np.stack([cs, 0.95 * cs + 0.05 * am, co]), world.axis, NAMES)
    rng = np.random.default_rng(1)
    quiet = Spectra(rng.poisson(1e5 * np.tile(world.loadings[4], (20, 1))), world.axis)
    return Identifier(library, n_bootstrap=0, false_alarm_rate=0.01).fit(quiet)


def drawn(world: Any, amounts: list[float], n: int) -> Spectra:
    expected = np.array(amounts) @ world.loadings[[2, 1, 4]]
    return Spectra(np.random.default_rng(2).poisson(np.tile(expected, (n, 1))), world.axis)


@pytest.mark.parametrize("other", [0.0, 500.0])
def test_names_that_look_alike_do_not_hide_a_sure_source(
    model: Identifier, world: Any, other: float
) -> None:
    spectra = drawn(world, [400.0, other, 1000.0], 60)
    result = model.analyze(spectra)
    assert result.decisions[:, :2].any(axis=1).all()
    assert result.decisions[:, 2].mean() == pytest.approx(float(other > 0), abs=0.05)
    assert not result.flags["ambiguous"].any()
    # At once, neither is significant: that is why they are tested together.
    fit = model._fit(spectra, model.table_, tested=NAMES)
    place = [fit.names.index(name) for name in NAMES[:2]]
    assert (fit.ratios[:, place] < 10.0).all(axis=1).mean() > 0.5


def test_chance_is_no_source_of_unknown_name(model: Identifier, world: Any) -> None:
    result = model.analyze(drawn(world, [0.0, 0.0, 1000.0], 1500))
    assert result.decisions[:, :3].any(axis=1).sum() <= 27
    assert result.flags["ambiguous"].sum() <= 15


def test_what_is_together_no_chance_is_said(model: Identifier, world: Any) -> None:
    fit = model._fit(drawn(world, [400.0, 0.0, 1000.0], 5), model.table_, tested=NAMES)
    nothing = np.zeros((5, 3), dtype=bool)
    ones = np.ones(5)
    assert surely_unnamed(fit, NAMES, nothing, ones, 1e-3).all()
    assert not surely_unnamed(fit, NAMES, ~nothing, ones, 1e-3).any()
    assert not surely_unnamed(fit, NAMES, nothing, 1e4 * ones, 1e-3).any()
