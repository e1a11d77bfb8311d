from __future__ import annotations

import numpy as np
import pytest

from spectraloom.analyze.likelihood.tables import cumulative_on
from spectraloom.analyze.manifold.latents import LatentLayout, Latents, lay_out
from spectraloom.analyze.manifold.signature import Deformation
from spectraloom.data import Axis, Library
from spectraloom.errors import AxisError, DataError, FitError

STEEL = Deformation("thickness", "mm", 0.0, 30.0, softening=0.3)
TURN = Deformation("angle", "deg", -10.0, 10.0)


def laid(latents: Latents, *deformations: Deformation) -> LatentLayout:
    return lay_out(latents, deformations or (STEEL,), ("A", "B", "C"), "keV")


# -- latents ---------------------------------------------------------------------------------------


def test_common_and_individual_latents_have_their_places() -> None:
    common = laid(Latents(), STEEL, TURN)
    assert common.names == ("thickness", "angle")
    assert common.sources.tolist() == [[0, 1]] * 3
    own = laid(Latents(individual=True), STEEL, TURN)
    assert own.names[:3] == ("thickness of A", "thickness of B", "thickness of C")
    assert own.units == ("mm",) * 3 + ("deg",) * 3
    assert own.sources.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert not own.prior.precision.any()
    assert (own.prior.bounds == [0.0, 1.0]).all()


def test_a_tie_holds_differences_but_not_the_mean() -> None:
    prior = laid(Latents(individual=True, tie=0.2)).prior
    every = np.full(3, 0.3)
    assert prior.precision @ every == pytest.approx(np.zeros(3), abs=1e-12)
    u = np.array([0.1, 0.4, 0.9])
    assert u @ prior.precision @ u == pytest.approx(((u - u.mean()) ** 2).sum() / 0.2**2)


def test_what_is_known_is_a_gaussian_in_the_inner_coordinate() -> None:
    prior = laid(Latents(known=(6.0, 0.1))).prior
    u = STEEL.to_unit(6.1)
    assert prior.center[0] == pytest.approx(STEEL.to_unit(6.0))
    assert (u - prior.center[0]) ** 2 * prior.precision[0, 0] == pytest.approx(1.0, rel=0.05)
    with pytest.raises(DataError, match="cover thickness"):
        laid(Latents(known=(40.0, 1.0)))


def test_known_and_tied_latents_add_up() -> None:
    prior = laid(Latents(individual=True, tie=0.2, known=(6.0, 1.0))).prior
    alone = laid(Latents(individual=True, tie=0.2)).prior
    more = prior.precision - alone.precision
    assert more == pytest.approx(np.diag(np.diagonal(more)))
    assert np.diagonal(more) == pytest.approx(np.full(3, 1 / STEEL.slope(6.0) ** 2))


def test_detector_and_background_have_their_limits() -> None:
    layout = laid(Latents(gain=0.02, offset=3.0, broadening=0.1, tilt=0.2))
    assert layout.names == ("thickness", "broadening", "tilt", "gain", "offset")
    assert layout.units == ("mm", "", "", "", "keV")
    assert layout.moved == (3, 4)
    bounds = layout.to_values(layout.prior.bounds.T)
    assert (
        pytest.approx(np.array([[0, 30], [0, 0.5], [-0.8, 0.8], [-0.1, 0.1], [-15, 15]]))
        == bounds.T
    )
    assert layout.to_values(layout.prior.center)[1:] == pytest.approx(np.zeros(4), abs=1e-12)
    # One prior width away is one standard deviation.
    for place, width in ((1, 0.1), (2, 0.2), (3, 0.02), (4, 3.0)):
        values = np.array([5.0, 0.0, 0.0, 0.0, 0.0])
        values[place] = width
        off = layout.to_inner(values)[place] - layout.prior.center[place]
        assert off**2 * layout.prior.precision[place, place] == pytest.approx(1.0)


def test_units_and_inner_latents_are_inverse(rng) -> None:
    layout = laid(Latents(individual=True, tie=0.1, gain=0.01, broadening=0.1), STEEL)
    low, high = layout.prior.bounds.T
    inner = low + (high - low) * rng.uniform(0.05, 0.95, (7, len(layout)))
    values = layout.to_values(inner)
    assert layout.to_inner(values) == pytest.approx(inner)
    ahead = layout.to_values(inner + 1e-7)
    assert layout.slopes(values) == pytest.approx((ahead - values) / 1e-7, rel=1e-4)


@pytest.mark.parametrize(
    ("error", "settings"),
    [
        (FitError, {"gain": 0.0}),
        (FitError, {"tilt": -1.0}),
        (FitError, {"broadening": np.inf}),
        (FitError, {"tie": 0.2}),
        (FitError, {"known": (5.0, 0.0)}),
        (FitError, {"known": (np.nan, 1.0)}),
    ],
)
def test_wrong_widths_are_refused(error: type[Exception], settings: dict[str, object]) -> None:
    with pytest.raises(error):
        Latents(**settings)  # type: ignore[arg-type]


# -- tables ----------------------------------------------------------------------------------------


def test_another_calibration_of_the_data_keeps_the_counts(world) -> None:
    edges = np.sort(
        np.concatenate([[20.0, 1556.0], 20.0 + 1536.0 * np.linspace(0.01, 0.99, 70) ** 1.3])
    )
    table = world.table(edges=edges)
    rows = table.templates(np.array([5.0]))
    exact = world.table().templates(np.array([5.0]))
    # Between the edges of a channel only a smooth curve is known: it is the same everywhere.
    for row, truth in zip(rows, exact, strict=True):
        value, _ = cumulative_on(truth[np.newaxis], world.signatures.axis, edges)
        assert row == pytest.approx(np.diff(value[0]), abs=2e-4)
    assert rows.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-9)


def test_a_window_holds_what_lies_inside(world) -> None:
    table = world.table(edges=world.signatures.axis.edges[10:60])
    whole = world.table().templates(np.array([5.0]))
    assert table.templates(np.array([5.0])) == pytest.approx(whole[:, 10:59], abs=1e-12)


def test_bins_beyond_the_signatures_are_empty(world) -> None:
    edges = np.concatenate([[-50.0, 0.0], world.signatures.axis.edges, [1700.0]])
    rows = world.table(edges=edges).templates(np.array([5.0]))
    assert not rows[:, [0, -1]].any()
    assert rows.sum(axis=1) == pytest.approx(np.ones(4))


def test_wrong_bins_are_refused(world) -> None:
    for edges in (np.array([1.0]), np.array([3.0, 2.0, 5.0])):
        with pytest.raises(DataError, match="increasing"):
            world.table(edges=edges)
    with pytest.raises(AxisError, match="do not overlap"):
        world.table(edges=np.array([2000.0, 2100.0, 2200.0]))


def test_a_background_that_does_not_fit_is_refused(world) -> None:
    axis, flat = world.signatures.axis, np.full((1, 96), 1 / 96)
    for wrong in (
        Library(flat, axis, ("A",)),
        Library(np.repeat(flat, 2, axis=0), axis, ("ground", "sky")),
        Library(0 * flat, axis, ("ground",)),
    ):
        with pytest.raises(DataError, match="background"):
            world.table(background=wrong)
    with pytest.raises(AxisError, match="the background lies on"):
        world.table(background=Library(flat, Axis.uncalibrated(96), ("ground",)))


def test_a_background_of_several_shapes_is_one_name(world, rng) -> None:
    from spectraloom.analyze.manifold.fit import fit_manifold

    shapes = np.stack([world.background.templates[0], np.full(96, 1 / 96)])
    table = world.table(background=Library(shapes, world.signatures.axis, ("ground", "ground")))
    assert table.names == ("A", "B", "C", "ground")
    assert table.groups.tolist() == [0, 1, 2, 3, 3]
    fit = fit_manifold(world.draw(rng, (500, 400, 300, 3000), n=100), table)
    assert fit.amounts.shape == (100, 4)
    pulls = (fit.amounts[:, 3] - 3000) / fit.uncertainties[:, 3]
    assert abs(pulls.mean()) < 0.5
    assert pulls.std() == pytest.approx(1.0, abs=0.25)
