from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from spectraloom.analyze.manifold.choosing import chance
from spectraloom.analyze.manifold.fit import fit_manifold
from spectraloom.analyze.manifold.latents import Latents
from spectraloom.analyze.manifold.selection import prior_widths, score_pieces, select_sources
from spectraloom.analyze.manifold.signature import TabulatedSignature
from spectraloom.analyze.manifold.table import manifold_table
from spectraloom.data import Spectra
from spectraloom.errors import DataError


def _curves(table) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Normalised scores over the background along the thickness, (257, 3, n)."""
    steel = table.layout.scales[0]
    curves = np.stack([table.templates(np.array([steel.from_unit(u)]))
                       for u in np.linspace(0, 1, 257)])  # fmt: skip
    root = np.sqrt(curves[0, 3])
    scores = curves[:, :3] / root
    scores = scores - (scores @ root)[..., np.newaxis] * root
    return scores / np.linalg.norm(scores, axis=2, keepdims=True)


def test_the_chance_of_a_first_source_is_that_of_the_largest_score(table, rng) -> None:
    pieces = score_pieces(table)
    arcs = pieces.sum(axis=1)
    curves = _curves(table)
    angle = [np.linalg.norm(np.diff(curves[:, j], axis=0), axis=1).sum() for j in range(3)]
    assert arcs == pytest.approx(angle, rel=1e-6)
    assert (arcs > 0.3).all()
    for j in range(3):
        # The process of scores has few directions: draw it in them.
        u, s, _ = np.linalg.svd(curves[:, j], full_matrices=False)
        rank = int((s > 1e-4 * s[0]).sum())
        path = u[:, :rank] * s[:rank]
        largest = np.concatenate(
            [(rng.standard_normal((20_000, rank)) @ path.T).max(axis=1) for _ in range(3)]
        )
        ratios = np.maximum(largest, 0.0) ** 2
        for rate in (0.05, 0.01, 0.003):
            level = _inverse_chance(rate, pieces[j])
            share = (ratios > level).mean()
            assert share == pytest.approx(rate, rel=0.06, abs=4 * np.sqrt(rate / len(ratios)))


def _inverse_chance(rate: float, pieces: np.ndarray, center: float = 0.5,
                    width: float = np.inf) -> float:  # fmt: skip
    low, high = 0.0, 60.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        more = chance(middle, pieces, center, width) > rate
        low, high = (middle, high) if more else (low, middle)
    return low


@pytest.mark.parametrize("width", [0.02, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("center", [0.0, 0.37])
def test_the_chance_of_a_source_whose_deformation_is_partly_known(
    table, rng, center: float, width: float
) -> None:
    pieces, curves = score_pieces(table), _curves(table)
    cost = ((np.linspace(0, 1, 257) - center) / width) ** 2
    for j in (0, 2):
        u, s, _ = np.linalg.svd(curves[:, j], full_matrices=False)
        rank = int((s > 1e-4 * s[0]).sum())
        scores = rng.standard_normal((20_000, rank)) @ (u[:, :rank] * s[:rank]).T
        ratios = (np.maximum(scores, 0.0) ** 2 - cost).max(axis=1)
        for rate in (0.05, 0.01):
            share = (ratios > _inverse_chance(rate, pieces[j], center, width)).mean()
            assert share == pytest.approx(rate, rel=0.08, abs=4 * np.sqrt(rate / len(ratios)))


def test_without_deformation_chance_is_half_a_chi_square(table) -> None:
    for ratio in (0.5, 3.0, 10.0):
        half = norm.sf(np.sqrt(ratio))
        assert chance(ratio, np.zeros(64), 0.5, np.inf) == pytest.approx(half)
        known = chance(ratio, score_pieces(table)[0], 0.4, 1e-3)
        assert half <= known < 1.05 * half
    assert chance(0.0, np.ones(64), 0.5, np.inf) == 1.0
    assert chance(1e-9, np.ones(64), 0.5, np.inf) == 1.0


def test_what_is_known_of_a_deformation_beforehand(world) -> None:
    steel = world.signatures.deformations[0]
    assert np.isinf(prior_widths(world.table())).all()
    assert np.isinf(prior_widths(world.table(Latents(individual=True, tie=0.2)))).all()
    known = prior_widths(world.table(Latents(known=(5.0, 0.5), gain=0.01)))
    assert known == pytest.approx(np.full(3, 0.5 * steel.slope(5.0)), rel=1e-6)


@pytest.mark.parametrize("total", [300, 20_000])
def test_false_alarms_come_at_the_stated_rate(world, table, rng, total: int) -> None:
    n = 4000
    found = select_sources(
        world.draw(rng, (0, 0, 0, total), n=n), table, false_alarm_rate=0.05
    ).chosen[:, :3]
    rate = found.any(axis=1).mean()
    # Bonferroni over three names that overlap: a little below the stated rate, never above.
    assert 0.02 < rate < 0.05 + 3 * np.sqrt(0.05 * 0.95 / n)


def test_further_sources_come_at_the_stated_rate(world, table, rng) -> None:
    n = 2500
    chosen = select_sources(
        world.draw(rng, (0, 6000, 0, 20_000), n=n), table, false_alarm_rate=0.05
    ).chosen
    assert chosen[:, 1].all()
    rate = chosen[:, [0, 2]].any(axis=1).mean()
    assert 0.015 < rate < 0.05 + 3 * np.sqrt(0.05 * 0.95 / n)


def test_a_source_that_does_not_deform_leaves_the_next_its_deformation(world, rng) -> None:
    # B is rigid and there: the thickness of A is as free as that of a first source.
    nodes = np.array(world.signatures.table[:, :2])
    nodes[:, 1] = nodes[20, 1]
    rigid = TabulatedSignature(
        world.signatures.axis, ("A", "B"), world.signatures.deformations, nodes
    )
    table = manifold_table(rigid, world.background, world.signatures.axis.edges)
    assert score_pieces(table)[1].sum() < 1e-6
    n = 4000
    spectra = world.draw(rng, (0, 0, 0, 10_000), n=n)
    ground = np.random.default_rng(4).poisson(6000 * nodes[0, 1], (n, 96))
    found = select_sources(spectra.replace(values=spectra.values + ground), table,
                           false_alarm_rate=0.05)  # fmt: skip
    assert found.chosen[:, 1].all()
    # One name is left, so that nothing is lost to Bonferroni.
    assert found.chosen[:, 0].mean() == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / n))


def test_a_known_thickness_takes_its_part_of_the_curve(world, rng) -> None:
    n = 4000
    single = world.signatures.select(["A"])
    table = manifold_table(
        single, world.background, world.signatures.axis.edges, Latents(known=(5.0, 0.5))
    )
    found = select_sources(world.draw(rng, (0, 0, 0, 10_000), n=n), table, false_alarm_rate=0.05)
    assert found.chosen[:, 0].mean() == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / n))


@pytest.mark.parametrize("latents", [Latents(), Latents(individual=True, tie=0.2)],
                         ids=["common", "individual"])  # fmt: skip
def test_clear_sources_are_found_with_their_amounts(world, rng, latents: Latents) -> None:
    amounts = np.array([3000.0, 0.0, 4000.0, 8000.0])
    chosen = select_sources(
        world.draw(rng, amounts, n=200), world.table(latents), false_alarm_rate=0.01
    )
    assert chosen.chosen[:, [0, 2, 3]].all()
    assert chosen.chosen[:, 1].mean() < 0.04
    right = ~chosen.chosen[:, 1]
    pulls = (chosen.fit.amounts - amounts)[right] / np.maximum(chosen.fit.uncertainties[right], 1)
    assert np.abs(pulls[:, [0, 2, 3]].mean(axis=0)).max() < 0.3
    assert not chosen.fit.amounts[right, 1].any()
    assert (chosen.p_values[:, [0, 2]] < 0.01).all()
    assert np.isnan(chosen.p_values[:, 3]).all()


def test_recall_is_what_the_ratio_promises(world, table, rng) -> None:
    # Where the expected ratio is 25, five standard deviations, hardly any is missed.
    def ratio(amount: float) -> float:
        expected = world.expected((0, 0, amount, 8000), 5.0)[np.newaxis]
        exact = Spectra(expected, world.signatures.axis, kind="counts")
        without = fit_manifold(exact, table, names=["ground"])
        return float(without.deviance[0] - fit_manifold(exact, table).deviance[0])

    for wanted, least, most in ((25.0, 0.9, 1.0), (9.0, 0.25, 0.75), (2.0, 0.01, 0.15)):
        amount = brentq(lambda a, wanted=wanted: ratio(a) - wanted, 1.0, 4000.0, rtol=1e-3)
        spectra = world.draw(rng, (0, 0, amount, 8000), n=400)
        found = select_sources(spectra, table, false_alarm_rate=0.01).chosen[:, 2].mean()
        assert least <= found <= most


def test_a_source_that_others_explain_is_dropped_again(world, rng) -> None:
    # M is nearly A and B together: alone it comes first, and leaves when both are in.
    table = world.signatures.table
    mixed = 0.5 * table[:, 0] + 0.47 * table[:, 1] + 0.03 * table[:, 2]
    four = TabulatedSignature(
        world.signatures.axis, ("A", "B", "M"), world.signatures.deformations,
        np.stack([table[:, 0], table[:, 1], mixed / mixed.sum(axis=1, keepdims=True)], axis=1),
    )  # fmt: skip
    spectra = world.draw(rng, (40_000, 28_000, 0, 20_000), n=100)
    got = select_sources(
        spectra, manifold_table(four, world.background, four.axis.edges), false_alarm_rate=0.01
    )
    only = manifold_table(four.select(["M"]), world.background, four.axis.edges)
    single = manifold_table(four.select(["A"]), world.background, four.axis.edges)
    first = [select_sources(spectra, one).ratios[:, 0].mean() for one in (only, single)]
    assert first[0] > first[1], "M has to be the first choice for this test to mean something"
    assert got.chosen[:, :2].all()
    assert got.chosen[:, 2].mean() < 0.05


def test_selection_does_not_depend_on_chunks(world, table, rng, monkeypatch) -> None:
    import spectraloom.analyze.manifold.selection as module

    spectra = world.draw(rng, (300, 0, 200, 4000), n=30)
    whole = select_sources(spectra, table)
    monkeypatch.setattr(module, "_CHUNK", 4)
    parts = select_sources(spectra, table)
    assert np.array_equal(whole.chosen, parts.chosen)
    assert np.array_equal(whole.fit.amounts, parts.fit.amounts)
    assert np.array_equal(whole.p_values, parts.p_values, equal_nan=True)


def test_what_is_not_known_is_refused(world, table, rng, moving_peak) -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        select_sources(world.draw(rng, (0, 0, 0, 100)), table, false_alarm_rate=1.0)
    two = manifold_table(moving_peak, None, moving_peak.axis.edges)
    with pytest.raises(DataError, match="one deformation"):
        score_pieces(two)
