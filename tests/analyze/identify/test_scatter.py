from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spectraloom.analyze import Identifier
from spectraloom.analyze.identify.scatter import counts_of, learned_counts, scatter_of
from spectraloom.data import Library, Spectra
from spectraloom.errors import FitError

SOURCES = 4


def library(world: Any) -> Library:
    return Library(world.loadings[:SOURCES], world.axis, world.names[:SOURCES])


def quiet(world: Any, n: int, counts: float, rng: np.random.Generator) -> Spectra:
    return Spectra(rng.poisson(counts * np.tile(world.loadings[4], (n, 1))), world.axis)


def test_the_error_of_the_learned_background_is_no_source(
    world: Any, rng: np.random.Generator
) -> None:
    # Each background was learned from one spectrum as long as those that are judged.
    p_values: dict[bool, list[Any]] = {True: [], False: []}
    for _ in range(40):
        model = Identifier(library(world), n_bootstrap=0).fit(quiet(world, 1, 20000.0, rng))
        judged = quiet(world, 12, 20000.0, rng)
        assert model.background_ is not None
        for known in (True, False):
            if not known:
                model.background_ = replace(model.background_, weights=None)
            p_values[known].append(model.analyze(judged).details["p_value"][:, :SOURCES])
    rates = [float((np.concatenate(p_values[known]) < 0.01).mean()) for known in (True, False)]
    assert rates[0] < 0.015
    assert rates[1] > 1.25 * rates[0]


def test_the_scatter_is_that_of_both_backgrounds(world: Any, rng: np.random.Generator) -> None:
    model = Identifier(library(world), n_bootstrap=0).fit(quiet(world, 10, 1000.0, rng))
    assert learned_counts(model.background_) == pytest.approx(1e4, rel=0.05)
    assert learned_counts(None) == np.inf
    assert model.background_ is not None
    spectra = quiet(world, 20, 30000.0, rng)
    fit = model._fit(spectra, model.table_)
    learned = learned_counts(model.background_)
    totals, under = counts_of(fit, model.background_)
    assert (scatter_of(fit, model.background_) > 3.0).all()
    least = 1.0 + np.minimum(under, totals) * under / totals / learned
    assert (scatter_of(fit, model.background_) >= (1.0 - 1e-9) * least).all()
    flags = model.analyze(spectra).flags
    assert flags["background_uncertain"].all()
    assert not model.analyze(quiet(world, 5, 3000.0, rng)).flags["background_uncertain"].any()


def test_rates_are_worth_the_counts_that_they_are_of(world: Any, rng: np.random.Generator) -> None:
    counted = quiet(world, 50, 4000.0, rng)
    times = np.full(50, 10.0)
    rates = Spectra(counted.values / 10.0, world.axis, kind="rate", live_time=times)
    learned = Identifier(library(world), n_bootstrap=0).fit(rates)
    assert learned_counts(learned.background_) == pytest.approx(2e5, rel=0.02)
    fit = learned._fit(rates, learned.table_)
    totals, under = counts_of(fit, learned.background_)
    assert totals.mean() == pytest.approx(4000.0, rel=0.02)
    assert under.mean() == pytest.approx(4000.0, rel=0.03)


def test_rates_are_protected_from_changes_of_the_background_as_counts_are(
    world: Any, rng: np.random.Generator
) -> None:
    def drifting(n: int) -> Spectra:
        part = rng.normal(0.0, 0.06, (n, 1))
        shapes = np.maximum((1.0 - part) * world.loadings[4] + part * world.loadings[0], 0.0)
        return Spectra(rng.poisson(4000.0 * shapes), world.axis, live_time=np.full(n, 10.0))

    model = Identifier(library(world), n_bootstrap=200, false_alarm_rate=0.01).fit(drifting(200))
    judged = drifting(800)
    times = judged.live_time
    rates = Spectra(judged.values / 10.0, world.axis, kind="rate", live_time=times)
    found = [
        model.analyze(one).decisions[:, :SOURCES].any(axis=1).mean() for one in (judged, rates)
    ]
    assert found[1] <= found[0] + 0.015
    bare = model.with_rate(0.01)
    bare.null_ = replace(bare.null_, drift=None)
    assert bare.analyze(rates).decisions[:, :SOURCES].any(axis=1).mean() > 0.05


def test_a_background_that_is_not_there_is_no_background_in_silence(
    world: Any, rng: np.random.Generator
) -> None:
    spectra = quiet(world, 5, 500.0, rng).with_columns(labels=["background"] * 5)
    with pytest.raises(FitError, match="no spectrum is labelled 'Background' alone; labels are ba"):
        Identifier(library(world), background="Background", n_bootstrap=0).fit(spectra)
    empty = Spectra(np.zeros((3, 128), int), world.axis)
    for labels in (["background"] * 3, None):
        given = empty if labels is None else empty.with_columns(labels=labels)
        with pytest.raises(FitError, match="'background' hold no counts"):
            Identifier(library(world), n_bootstrap=0).fit(given)
    sources = world.training(rng, 3, (2000.0, 4000.0))
    with pytest.raises(FitError, match="no spectrum is labelled 'bkg' alone"):
        Identifier(background="bkg", n_bootstrap=0).fit(sources)
    model = Identifier(library(world), background=None, n_bootstrap=0).fit(spectra)
    assert model.background_ is None
