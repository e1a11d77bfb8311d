from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data import Axis, Library, Spectra
from spectraloom.errors import AxisError, CalibrationError, DataError
from spectraloom.process import Rebin, overlap_matrix, rebin, rebin_library

LEFT = Axis.from_polynomial((-11.07, 8.08, 0.00104), 256)
COMMON = Axis.from_polynomial((-12.0, 8.15, 0.0012), 256)
WIDE = Axis.regular(-100.0, 4000.0, 333)
COARSE = Axis.from_edges(COMMON.values[::16])

offsets = st.floats(-30, 30)
slopes = st.floats(0.5, 20)
axes = st.builds(
    lambda offset, slope, curve, n: Axis.from_polynomial((offset, slope, curve), n),
    offsets, slopes, st.floats(0, 0.01), st.integers(2, 40),
)  # fmt: skip
seeds = st.integers(0, 2**32 - 1)


def counts(axis: Axis, seed: int = 0, n: int = 4, mean: float = 6.0) -> Spectra:
    rng = np.random.default_rng(seed)
    return Spectra(rng.poisson(mean, (n, axis.n_channels)), axis)


def covering(axis: Axis, n: int) -> Axis:
    """Axis of `n` bins that reaches beyond both ends."""
    return Axis.regular(axis.values[0] - 1.7, axis.values[-1] + 2.3, n)


def overlapping(old: Axis, new: Axis) -> bool:
    return min(old.values[-1], new.values[-1]) > max(old.values[0], new.values[0])


# -- what must hold for any axes ---------------------------------------------------------------


@given(axes, axes, seeds)
def test_nothing_is_lost_inside_and_the_rest_is_reported(old: Axis, new: Axis, seed: int) -> None:
    spectra = counts(old, seed)
    if not overlapping(old, new):
        with pytest.raises(AxisError, match="no part of"):
            rebin(spectra, new)
        return
    moved = rebin(spectra, new)
    outside = moved.column("counts_outside")
    assert (outside >= 0).all()
    assert moved.values.min() >= 0
    np.testing.assert_allclose(moved.totals + outside, spectra.totals, rtol=1e-9)
    covered = rebin(spectra, covering(old, new.n_channels))
    np.testing.assert_allclose(covered.totals, spectra.totals, rtol=1e-9)
    np.testing.assert_array_equal(covered.column("counts_outside"), 0.0)


@given(axes, seeds)
def test_the_same_axis_changes_nothing(axis: Axis, seed: int) -> None:
    spectra = counts(axis, seed)
    same = rebin(spectra, Axis.from_edges(axis.values.copy()))
    np.testing.assert_array_equal(same.values, spectra.values)
    assert same.dtype == spectra.dtype
    assert same.variance is None
    # The matrix alone, without the short cut, is the identity, too.
    np.testing.assert_array_equal(overlap_matrix(axis, axis).toarray(), np.eye(axis.n_channels))


@given(axes, st.integers(2, 30), st.integers(2, 5), seeds)
def test_via_a_finer_grid_is_the_same_as_directly(old: Axis, n: int, parts: int, seed: int) -> None:
    spectra = counts(old, seed)
    coarse = covering(old, n)
    # Cutting every old bin where the coarse grid cuts it loses nothing of what is known.
    fine = Axis.from_edges(np.union1d(coarse.values, old.values))
    between = Axis.from_edges(np.unique(np.append(fine.values, np.linspace(-5, 5, parts))))
    for path in (fine, between):
        np.testing.assert_allclose(
            rebin(rebin(spectra, path), coarse).values, rebin(spectra, coarse).values, atol=1e-9
        )


@given(axes, st.integers(1, 6), seeds)
def test_grouping_after_rebinning_is_rebinning_to_groups(old: Axis, group: int, seed: int) -> None:
    spectra = counts(old, seed)
    fine = covering(old, 24)
    coarse = Axis.from_edges(np.unique([*fine.values[::group], fine.values[-1]]))
    np.testing.assert_allclose(
        rebin(rebin(spectra, fine), coarse).values, rebin(spectra, coarse).values, atol=1e-9
    )


@given(axes, st.integers(2, 40), st.floats(-3, 3), st.floats(-3, 3), seeds)
def test_rebinning_is_linear(old: Axis, n: int, a: float, b: float, seed: int) -> None:
    new = covering(old, n)
    x, y = (counts(old, seed + k).replace(kind="intensity") for k in (0, 1))
    mixed = x.replace(values=a * x.values + b * y.values)
    np.testing.assert_allclose(
        rebin(mixed, new).values, a * rebin(x, new).values + b * rebin(y, new).values, atol=1e-9
    )


@given(axes, st.integers(2, 40), seeds, st.permutations(range(4)))
def test_the_order_of_spectra_does_not_matter(
    old: Axis, n: int, seed: int, order: list[int]
) -> None:
    spectra, new = counts(old, seed), covering(old, n)
    np.testing.assert_array_equal(
        rebin(spectra[order], new).values, rebin(spectra, new).values[order]
    )


@given(axes, axes, seeds)
def test_drawn_counts_stay_whole_and_are_conserved(old: Axis, new: Axis, seed: int) -> None:
    if not overlapping(old, new):
        return
    spectra = counts(old, seed)
    moved = rebin(spectra, new, draw=seed)
    assert moved.dtype == np.int64
    assert moved.values.min() >= 0
    outside = moved.column("counts_outside")
    np.testing.assert_array_equal(moved.totals + outside, spectra.totals)
    np.testing.assert_array_equal(moved.values, rebin(spectra, new, draw=seed).values)
    # No count leaves the neighbourhood of its channel.
    possible = overlap_matrix(old, new).toarray() > 0
    assert (moved.values <= spectra.values @ possible.T.astype(int)).all()
    inside = (old.values[:-1] >= new.values[0]) & (old.values[1:] <= new.values[-1])
    if inside.all():
        np.testing.assert_array_equal(outside, 0)


# -- against independent ways ------------------------------------------------------------------


def test_agrees_with_a_plain_loop() -> None:
    spectra = counts(LEFT, n=3)
    moved = rebin(spectra, WIDE)
    old, new = LEFT.values, WIDE.values
    for row in range(3):
        for j in range(WIDE.n_channels):
            total = 0.0
            for i in range(LEFT.n_channels):
                shared = min(old[i + 1], new[j + 1]) - max(old[i], new[j])
                if shared > 0:
                    total += spectra.values[row, i] * shared / (old[i + 1] - old[i])
            assert moved.values[row, j] == pytest.approx(total, abs=1e-9)


def test_agrees_with_the_integral_of_the_density() -> None:
    """Cumulative counts, interpolated between edges, are the same thing said differently."""
    spectra = counts(LEFT, n=200)
    cumulative = np.c_[np.zeros(200), spectra.values.cumsum(axis=1)]
    at = np.stack([np.interp(COMMON.values, LEFT.values, row) for row in cumulative])
    np.testing.assert_allclose(rebin(spectra, COMMON).values, np.diff(at, axis=1), atol=1e-9)


def test_interpolating_counts_would_not_do() -> None:
    """The reference interpolates counts per channel: totals change where bins widen."""
    spectra = counts(LEFT, n=50, mean=40.0)
    narrow = Axis.from_polynomial((-11.07, 4.04, 0.00026), 512)
    interpolated = np.stack(
        [np.interp(narrow.centers, LEFT.centers, row) for row in spectra.values.astype(float)]
    )
    assert interpolated.sum() > 1.9 * spectra.totals.sum()
    np.testing.assert_allclose(rebin(spectra, narrow).totals.sum(), spectra.totals.sum(), rtol=1e-3)


@pytest.mark.parametrize("drawn", [False, True])
def test_variance_agrees_with_simulation(drawn: bool) -> None:
    old, new = Axis.regular(0.0, 10.0, 5), Axis.from_edges([-1.0, 0.5, 2.0, 3.3, 3.5, 9.0])
    mean = np.array([4.0, 30.0, 8.0, 1.0, 12.0])
    rng = np.random.default_rng(8)
    many = Spectra(rng.poisson(mean, (40_000, 5)), old)
    moved = rebin(many, new, draw=rng if drawn else None)
    expected = rebin(Spectra(mean[np.newaxis], old), new)
    np.testing.assert_allclose(moved.values.mean(axis=0), expected.values[0], rtol=0.03)
    if drawn:
        # Thinned Poisson counts are Poisson counts again, independent of their neighbours.
        assert moved.variance is None
        np.testing.assert_allclose(moved.values.var(axis=0), expected.values[0], rtol=0.05)
        correlation = np.corrcoef(moved.values[:, 2:].T)
        assert np.abs(correlation - np.eye(3)).max() < 0.02
    else:
        assert expected.variance is not None
        assert moved.variance is not None
        np.testing.assert_allclose(moved.values.var(axis=0), expected.variance[0], rtol=0.05)
        np.testing.assert_allclose(moved.variance.mean(axis=0), expected.variance[0], rtol=0.03)


def test_variance_of_drawn_counts_that_are_not_poisson() -> None:
    """Counts of a known, smaller variance: binomial splitting adds its own."""
    old, new = Axis.regular(0.0, 2.0, 2), Axis.from_edges([0.0, 0.6, 1.5, 2.0])
    rng = np.random.default_rng(9)
    values = rng.binomial(50, 0.8, (60_000, 2))  # variance 8, mean 40
    moved = rebin(Spectra(values, old, variance=np.full(values.shape, 8.0)), new, draw=rng)
    assert moved.variance is not None
    np.testing.assert_allclose(moved.values.var(axis=0), moved.variance.mean(axis=0), rtol=0.03)


def test_given_variance_moves_with_squared_shares() -> None:
    old, new = Axis.regular(0.0, 2.0, 2), Axis.from_edges([0.0, 0.25, 2.0])
    for kind in ("counts", "rate", "intensity"):
        spectra = Spectra([[4.0, 8.0]], old, kind, variance=[[16.0, 32.0]])  # type: ignore[arg-type]
        moved = rebin(spectra, new)
        assert moved.kind == kind
        np.testing.assert_allclose(moved.values, [[1.0, 11.0]])
        np.testing.assert_allclose(moved.variance, [[1.0, 9.0 + 32.0]])  # type: ignore[arg-type]
    assert rebin(Spectra([[4.0, 8.0]], old, "rate"), new).variance is None


def test_grouping_whole_channels_leaves_plain_counts() -> None:
    moved = rebin(counts(COMMON), COARSE)
    assert moved.variance is None
    np.testing.assert_array_equal(
        moved.values, counts(COMMON).values.reshape(4, 16, 16).sum(axis=2)
    )


# -- what is reported --------------------------------------------------------------------------


def test_what_lies_outside_adds_up_over_steps() -> None:
    spectra = counts(Axis.regular(0, 100, 100), mean=3.0)
    first = rebin(spectra, Axis.regular(10.5, 90, 30))
    second = rebin(first, Axis.regular(20, 80, 7))
    np.testing.assert_allclose(
        second.totals + second.column("counts_outside"), spectra.totals, rtol=1e-12
    )
    by_hand = spectra.values[:, :10].sum(axis=1) + spectra.values[:, 10] / 2
    by_hand = by_hand + spectra.values[:, 90:].sum(axis=1)
    np.testing.assert_allclose(first.column("counts_outside"), by_hand)


def test_columns_times_and_kind_are_kept() -> None:
    spectra = Spectra(
        np.ones((2, 256)), LEFT, "rate", live_time=[1, 2], columns={"detector": ["a", "b"]}
    )
    moved = rebin(spectra, COMMON)
    assert moved.kind == "rate"
    assert moved.axis == COMMON
    assert set(moved.columns) == {"detector", "rate_outside"}
    np.testing.assert_array_equal(moved.live_time, [1, 2])  # type: ignore[arg-type]


def test_signed_spectra_pass() -> None:
    rng = np.random.default_rng(0)
    spectra = Spectra(rng.normal(size=(3, 256)), LEFT, "intensity")
    moved = rebin(spectra, WIDE)
    assert moved.values.min() < 0
    np.testing.assert_allclose(moved.totals, spectra.totals, atol=1e-9)


def test_no_spectra_are_no_problem() -> None:
    for draw in (None, 1):
        assert rebin(counts(LEFT)[:0], COMMON, draw=draw).shape == (0, 256)


# -- points ------------------------------------------------------------------------------------

POINTS = Axis.from_points([0.0, 1.0, 3.0, 7.0], quantity="shift", unit="ppm")


def test_points_are_interpolated() -> None:
    new = Axis.from_points([0.0, 0.5, 2.5, 7.0], quantity="shift", unit="ppm")
    values = np.array([[1.0, 3.0, -1.0, 5.0]])
    moved = rebin(Spectra(values, POINTS, "intensity", variance=np.ones((1, 4))), new)
    np.testing.assert_allclose(moved.values[0], np.interp(new.values, POINTS.values, values[0]))
    np.testing.assert_allclose(moved.variance, [[1.0, 0.5, 0.25**2 + 0.75**2, 1.0]])  # type: ignore[arg-type]
    assert dict(moved.columns) == {}
    turned = rebin(Spectra(values * 1j, POINTS, "complex"), new)
    np.testing.assert_allclose(turned.values, moved.values * 1j)


def test_points_are_not_extrapolated() -> None:
    new = Axis.from_points([0.0, 7.5], quantity="shift", unit="ppm")
    with pytest.raises(AxisError, match="reach beyond"):
        rebin(Spectra(np.ones((1, 4)), POINTS, "intensity"), new)


@pytest.mark.parametrize("kind", ["counts", "rate"])
def test_counts_are_never_interpolated(kind: str) -> None:
    new = Axis.from_points([1.0, 2.0], quantity="shift", unit="ppm")
    with pytest.raises(DataError, match="never interpolated"):
        rebin(Spectra(np.ones((1, 4)), POINTS, kind), new)  # type: ignore[arg-type]


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rebin(counts(Axis.uncalibrated(4)), COMMON), CalibrationError,
         "the spectra have no calibration"),
        (lambda: rebin(counts(LEFT), Axis.uncalibrated(4)), CalibrationError,
         "the axis wanted has no calibration"),
        (lambda: rebin(counts(LEFT), Axis.regular(0, 3, 9, unit="MeV")), AxisError,
         "energy in keV is not energy in MeV"),
        (lambda: rebin(counts(LEFT), Axis.regular(0, 3, 9, quantity="time", unit="s")), AxisError,
         "energy in keV is not time in s"),
        (lambda: rebin(counts(LEFT), Axis.from_points(LEFT.centers)), AxisError,
         "from bins to points"),
        (lambda: rebin(counts(LEFT), Axis.regular(9000, 9999, 9)), AxisError, "no part of"),
        (lambda: rebin(counts(LEFT).replace(kind="complex"), COMMON), DataError, "samples at"),
        (lambda: rebin(counts(LEFT).replace(kind="rate"), COMMON, draw=1), DataError,
         "counts only, not from rate"),
        (lambda: rebin(Spectra(np.full((2, 256), 0.5), LEFT), COMMON, draw=1), DataError,
         "2 of 2 spectra hold fractions"),
        (lambda: overlap_matrix(LEFT, Axis.from_points([1.0])), AxisError, "made of points"),
    ],
)  # fmt: skip
def test_refusals_say_why(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_uncalibrated_spectra_stay_where_they_are() -> None:
    spectra = counts(Axis.uncalibrated(6))
    np.testing.assert_array_equal(rebin(spectra, spectra.axis).values, spectra.values)


# -- libraries and the transformer ---------------------------------------------------------------


def test_a_library_moves_like_its_spectra() -> None:
    spectra = counts(LEFT, n=4).with_columns(labels=["a", "a", "b", "b"])
    library = Library.from_spectra(spectra)
    moved = rebin_library(library, WIDE)
    assert moved.names == library.names
    assert moved.axis == WIDE
    np.testing.assert_array_equal(moved.weights, library.weights)  # type: ignore[arg-type]
    np.testing.assert_allclose(moved.templates.sum(axis=1), library.templates.sum(axis=1))
    later = Library.from_spectra(rebin(spectra, WIDE))
    np.testing.assert_allclose(moved.templates, later.templates, atol=1e-12)


def test_the_transformer_brings_other_axes_to_the_one_of_fit() -> None:
    train, test = counts(COMMON), counts(LEFT)
    moved = Rebin().fit(train).transform(test)
    assert moved.axis == COMMON
    np.testing.assert_array_equal(moved.values, rebin(test, COMMON).values)
    chosen = Rebin(WIDE).fit(train)
    assert chosen.transform(test).axis == WIDE
    array = chosen.transform(train.values)
    assert isinstance(array, np.ndarray)
    np.testing.assert_allclose(array, rebin(train, WIDE).values)
    drawn = Rebin(WIDE, draw=3).fit(train).transform(test)
    np.testing.assert_array_equal(drawn.values, rebin(test, WIDE, draw=3).values)


def test_the_matrix_is_remembered_and_read_only() -> None:
    matrix = overlap_matrix(LEFT, COMMON)
    assert overlap_matrix(Axis.from_edges(LEFT.values), COMMON) is matrix
    with pytest.raises(ValueError, match="read-only"):
        matrix.data[0] = 2.0
    assert matrix.shape == (256, 256)
