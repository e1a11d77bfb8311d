from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from spectraloom.analyze import Identifier
from spectraloom.analyze.identify.selection import LARGE, score_ratios, sub_table
from spectraloom.analyze.likelihood import (
    Nuisances,
    binned_templates,
    fit_templates,
    template_table,
)
from spectraloom.data import Axis, Library, Spectra

RATE = 0.02
AXIS = Axis.regular(0.0, 1280.0, 128)


def many(n: int, seed: int = 3) -> Library:
    """Sources of two random peaks and a continuum each."""
    rng = np.random.default_rng(seed)
    energy = AXIS.centers
    shapes = []
    for _ in range(n):
        peaks = rng.uniform(80.0, 1200.0, 2)
        shape = 0.3 * (energy < peaks.max()) / (energy < peaks.max()).sum()
        for peak in peaks:
            bump = np.exp(-0.5 * ((energy - peak) / (1.2 * np.sqrt(peak))) ** 2)
            shape = shape + 0.35 * bump / bump.sum()
        shapes.append(shape)
    return Library(np.array(shapes), AXIS, tuple(f"S{number:02d}" for number in range(n)))


def shape_of_background() -> np.ndarray:
    shape = np.exp(-AXIS.centers / 250.0)
    return shape / shape.sum()


def draw(library: Library, amounts: dict[str, float], base: float, n: int, seed: int) -> Spectra:
    expected = base * shape_of_background()
    for name, amount in amounts.items():
        expected = expected + amount * library.templates[library.names.index(name)]
    return Spectra(np.random.default_rng(seed).poisson(np.tile(expected, (n, 1))), AXIS)


def trained(library: Library, selection: str, n_bootstrap: int = 600) -> Identifier:
    background = Spectra(np.round(1e7 * shape_of_background())[None].astype(int), AXIS)
    return Identifier(
        library,
        selection=selection,  # type: ignore[arg-type]
        n_bootstrap=n_bootstrap,
        pileup=False,
        false_alarm_rate=RATE,
    ).fit(background)


@pytest.fixture(scope="module")
def large() -> Identifier:
    return trained(many(24), "auto", 200)


def test_large_libraries_are_searched_and_small_ones_are_not(large: Identifier) -> None:
    assert large.fitted_with_["selection"] == "greedy"
    assert trained(many(LARGE), "auto", 0).fitted_with_["selection"] == "all"


def test_small_problems_are_decided_alike() -> None:
    library = many(5)
    greedy, whole = trained(library, "greedy"), trained(library, "all")
    for amounts in ({}, {"S01": 400.0}, {"S00": 500.0, "S03": 700.0}):
        spectra = draw(library, amounts, 1500.0, 150, 4)
        one, other = greedy.analyze(spectra), whole.analyze(spectra)
        assert (one.decisions[:, :5] == other.decisions[:, :5]).mean() > 0.98
        columns = [library.names.index(name) for name in amounts]
        assert one.decisions[:, columns].all(axis=1).mean() > 0.97
        np.testing.assert_allclose(
            one.amounts[:, columns].sum(axis=0), other.amounts[:, columns].sum(axis=0), rtol=0.1
        )


def test_false_alarms_of_a_large_library_stay_below_the_stated_rate(large: Identifier) -> None:
    assert large.library is not None
    n = 3000
    result = large.analyze(draw(large.library, {}, 2000.0, n, 5))
    alarms = int(result.decisions[:, :24].any(axis=1).sum())
    assert alarms <= binom.ppf(0.999, n, 1.15 * RATE)
    assert alarms >= binom.ppf(0.001, n, 0.3 * RATE)  # and are not far below


def test_a_large_library_finds_the_sources_and_invents_none(large: Identifier) -> None:
    assert large.library is not None
    wanted = {"S02": 500.0, "S11": 800.0, "S20": 900.0}
    spectra = draw(large.library, wanted, 1500.0, 200, 6)
    result = large.analyze(spectra)
    columns = [result.names.index(name) for name in wanted]
    assert result.decisions[:, columns].mean() > 0.95
    others = np.setdiff1d(np.arange(24), columns)
    assert result.decisions[:, others].any(axis=1).mean() < 0.03
    assert result.uncertainties is not None
    truth = np.array(list(wanted.values()))
    pulls = (result.amounts[:, columns] - truth) / result.uncertainties[:, columns]
    assert np.abs(pulls.mean(axis=0)).max() < 0.5
    assert pulls.std() == pytest.approx(1.0, abs=0.15)
    # The answer for a spectrum does not depend on those beside it.
    some = large.analyze(spectra[7:31])
    np.testing.assert_allclose(some.amounts, result.amounts[7:31], rtol=1e-9, atol=1e-9)


def test_the_score_foretells_the_likelihood_ratio() -> None:
    library = many(6)
    base = Library(shape_of_background()[None], AXIS, ("background",))
    table = template_table([library, base])
    spectra = draw(library, {"S02": 60.0}, 20000.0, 40, 7)
    keep = np.array([name in ("S00", "background") for name in table.names])
    few = fit_templates(spectra, sub_table(table, keep))
    scores = score_ratios(few, table)
    assert (scores[:, keep] == 0).all()
    keep[2] = True
    ratios = fit_templates(spectra, sub_table(table, keep), tested=["S02"]).ratios[:, 1]
    clear = ratios > 1.0
    assert clear.sum() > 10
    np.testing.assert_allclose(scores[clear, 2], ratios[clear], rtol=0.2)
    assert (scores[ratios == 0.0, 2] < 0.1).all()


@pytest.mark.parametrize("kind", ["counts", "intensity"])
def test_scores_are_those_of_dense_algebra(kind: str) -> None:
    """With gain, offset, pile-up, and a template in the fit that two others add up to."""
    library = many(6)
    rows = np.vstack([library.templates, shape_of_background(), library.templates[:2].mean(axis=0)])
    names = (*library.names, "background", "S00")
    table = template_table([Library(rows, AXIS, names)])
    counts = draw(library, {"S00": 900.0, "S01": 700.0, "S02": 60.0}, 5000.0, 12, 8)
    variance = None if kind == "counts" else np.maximum(counts.values, 1.0)
    spectra = Spectra(counts.values, AXIS, kind=kind, variance=variance)
    keep = np.isin(table.names, ["S00", "S01", "background"])
    few = fit_templates(
        spectra, sub_table(table, keep), nuisances=Nuisances(gain=0.02, offset=3.0), pileup=True
    )
    assert np.ptp(few.nuisances[:, 0]) > 0
    # All that could be in the fit stand in it, whatever the fit made of them.
    few = replace(few, template_amounts=np.ones_like(few.template_amounts))
    scores = score_ratios(few, table)
    columns = keep[table.groups]
    for row in range(len(few)):
        templates = binned_templates(table, few.edges, few.nuisances[row])
        expected = few.fitted[row]
        weight = 1.0 / (np.maximum(expected, 1e-9) if kind == "counts" else few.variances[row])
        beside = (np.vstack([templates[columns], few.extra[row]]) * np.sqrt(weight)).T
        beside /= np.linalg.norm(beside, axis=0)
        wanted = np.zeros(len(table.names))
        for template, group in zip(templates, table.groups, strict=True):
            slope = template @ (weight * (few.observed[row] - expected))
            line = template * np.sqrt(weight)
            line -= beside @ np.linalg.lstsq(beside, line, rcond=1e-6)[0]
            if slope > 0 and not keep[group]:
                wanted[group] = max(wanted[group], slope**2 / (line @ line))
        np.testing.assert_allclose(scores[row], wanted, rtol=1e-6, atol=1e-9)
