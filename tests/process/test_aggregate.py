from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data import Axis, Spectra
from spectraloom.errors import DataError, LabelError
from spectraloom.process import aggregate, group_rows, rebin

AXIS = Axis.regular(0.0, 3.0, 3)


def make(n: int = 12, dtype: str = "int64") -> Spectra:
    rng = np.random.default_rng(n)
    return Spectra(
        rng.poisson(30, (n, 3)).astype(dtype),
        AXIS,
        live_time=np.arange(1.0, n + 1),
        columns={
            "labels": [[("Co60", "K40"), ("K40", "Co60"), ("Am241",)][row % 3] for row in range(n)],
            "detector": ["left" if row < n // 2 else "right" for row in range(n)],
            "site": "here",
            "row": np.arange(n),
        },
    )


def test_groups_of_label_sets_and_detectors() -> None:
    total = aggregate(make())
    assert total.labels.tolist() == [("Am241",)] * 2 + [("Co60", "K40")] * 2
    assert total.column("detector").tolist() == ["left", "right"] * 2
    assert total.column("n_spectra").tolist() == [2, 2, 4, 4]
    assert total.column("site").tolist() == ["here"] * 4
    assert "row" not in total.columns


def test_sums_stay_counts_and_times_add() -> None:
    spectra = make()
    total = aggregate(spectra, "detector")
    assert total.kind == "counts"
    assert total.dtype.kind == "i"
    assert total.variance is None
    np.testing.assert_array_equal(
        total.values, [spectra.values[:6].sum(axis=0), spectra.values[6:].sum(axis=0)]
    )
    np.testing.assert_array_equal(total.live_time, [21, 57])  # type: ignore[arg-type]


@given(st.permutations(range(12)))
def test_the_order_of_spectra_does_not_matter(order: list[int]) -> None:
    spectra = make()
    for how in ("sum", "mean", "std"):
        one = aggregate(spectra, how=how)  # type: ignore[arg-type]
        other = aggregate(spectra[order], how=how)  # type: ignore[arg-type]
        np.testing.assert_allclose(other.values, one.values, rtol=1e-12)
        assert other.labels.tolist() == one.labels.tolist()


def test_mean_with_its_variance_and_spread() -> None:
    rng = np.random.default_rng(0)
    true = np.array([10.0, 40.0, 3.0])
    n, repeats = 8, 6000
    spectra = Spectra(
        rng.poisson(true, (n * repeats, 3)), AXIS, columns={"run": np.arange(n * repeats) // n}
    )
    mean = aggregate(spectra, "run", "mean")
    assert mean.kind == "intensity"
    assert mean.variance is not None
    np.testing.assert_allclose(mean.values.var(axis=0), true / n, rtol=0.06)
    np.testing.assert_allclose(mean.variance.mean(axis=0), true / n, rtol=0.02)
    spread = aggregate(spectra, "run", "std")
    assert spread.variance is None
    np.testing.assert_allclose((spread.values**2).mean(axis=0), true, rtol=0.03)
    block = spectra.values[:n]
    np.testing.assert_allclose(spread.values[0], block.std(axis=0, ddof=1))
    np.testing.assert_allclose(mean.values[0], block.mean(axis=0))


def test_spread_of_one_spectrum_is_zero() -> None:
    spread = aggregate(make(), "row", "std")
    assert not spread.values.any()
    assert spread.live_time is None


def test_mean_times_and_unknown_times() -> None:
    spectra = make().replace(live_time=[np.nan, *range(2, 13)])
    mean = aggregate(spectra, "detector", "mean")
    assert mean.live_time is not None
    assert np.isnan(mean.live_time[0])
    assert mean.live_time[1] == pytest.approx(9.5)
    assert mean.real_time is None


def test_known_variances_add() -> None:
    spectra = make().replace(kind="rate", variance=np.full((12, 3), 2.0))
    total, mean = (aggregate(spectra, "detector", how) for how in ("sum", "mean"))
    np.testing.assert_array_equal(total.variance, np.full((2, 3), 12.0))  # type: ignore[arg-type]
    np.testing.assert_allclose(mean.variance, np.full((2, 3), 2 / 6))  # type: ignore[arg-type]
    assert (total.kind, mean.kind) == ("rate", "rate")
    assert aggregate(make().replace(kind="rate"), "detector").variance is None


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_small_types_do_not_overflow(dtype: str) -> None:
    big = Spectra(np.full((3000, 3), 200, dtype=dtype), AXIS, columns={"a": 0})
    for how, expected in (("sum", 600_000), ("mean", 200), ("std", 0)):
        np.testing.assert_array_equal(aggregate(big, "a", how).values, expected)  # type: ignore[arg-type]


def test_signed_and_complex_spectra_pass() -> None:
    spectra = make().replace(values=make().values * -1j, kind="complex")
    total = aggregate(spectra, "detector")
    np.testing.assert_allclose(total.values, -1j * aggregate(make(), "detector").values)
    with pytest.raises(DataError, match="spread of complex"):
        aggregate(spectra, "detector", "std")


def test_what_rebinning_cut_off_adds_up() -> None:
    spectra = rebin(make(), Axis.regular(1.0, 3.0, 2))
    total = aggregate(spectra, "detector")
    np.testing.assert_allclose(
        total.totals + total.column("counts_outside"), aggregate(make(), "detector").totals
    )
    assert "counts_outside" not in aggregate(spectra, "detector", "std").columns


def test_group_rows_of_unknown_numbers_and_dates() -> None:
    spectra = Spectra(
        np.ones((5, 1)),
        columns={
            "distance": [np.nan, 1.0, np.nan, 0.5, 1.0],
            "day": np.array(["NaT", "2024-01-02", "NaT", "2024-01-01", "2024-01-02"], "M8[D]"),
        },
    )
    for by in ("distance", "day", ("distance", "day")):
        assert [rows.tolist() for rows in group_rows(spectra, by)] == [[3], [1, 4], [0, 2]]
    assert group_rows(spectra[:0], "day") == []


def test_refusals() -> None:
    with pytest.raises(DataError, match="not by 'median'"):
        aggregate(make(), how="median")  # type: ignore[arg-type]
    with pytest.raises(LabelError, match="no column 'distance'"):
        aggregate(make(), "distance")
    with pytest.raises(DataError, match="no spectra"):
        aggregate(make()[:0])
