from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectraloom.data.overlap import overlap_pieces, overlap_rebin
from spectraloom.errors import AxisError, DataError

edges = st.lists(
    st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=12, unique=True
).map(sorted)


def slowly(values: npt.ArrayLike, old: npt.ArrayLike, new: npt.ArrayLike) -> np.ndarray:
    """Every pair of bins, one after another."""
    values, old, new = (np.asarray(a, dtype=float) for a in (values, old, new))
    rebinned = np.zeros((len(values), len(new) - 1))
    for j in range(len(new) - 1):
        for i in range(len(old) - 1):
            shared = min(old[i + 1], new[j + 1]) - max(old[i], new[j])
            if shared > 0:
                rebinned[:, j] += values[:, i] * shared / (old[i + 1] - old[i])
    return rebinned


@given(edges, edges, st.data())
def test_agrees_with_the_plain_loop(
    old: list[float], new: list[float], data: st.DataObject
) -> None:
    values = data.draw(
        hnp.arrays(float, (3, len(old) - 1), elements=st.floats(-1e6, 1e6, width=32))
    )
    rebinned = overlap_rebin(values, old, new)
    scale = np.abs(values).max(initial=1.0)
    np.testing.assert_allclose(rebinned, slowly(values, old, new), rtol=0, atol=1e-10 * scale)


@given(edges, edges)
def test_pieces_are_ordered_shares(old: list[float], new: list[float]) -> None:
    old_bin, new_bin, fraction = overlap_pieces(old, new)
    assert (np.diff(old_bin) >= 0).all()
    assert (np.diff(new_bin) >= 0).all()
    assert ((fraction > 0) & (fraction <= 1)).all()
    whole = np.bincount(old_bin, fraction, minlength=len(old) - 1)
    inside = (np.array(old[:-1]) >= new[0]) & (np.array(old[1:]) <= new[-1])
    np.testing.assert_allclose(whole[inside], 1.0, rtol=1e-12)


def test_same_bins_change_nothing() -> None:
    values = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(overlap_rebin(values, [0, 1, 3, 4, 9], [0, 1, 3, 4, 9]), values)


def test_a_worked_example() -> None:
    rebinned = overlap_rebin([[1, 2, 3]], [0, 1, 2, 3], [-5, -4, 1.5, 2.75, 9, 10])
    np.testing.assert_allclose(rebinned, [[0, 2, 3.25, 0.75, 0]])


def test_apart_and_touching_axes_share_nothing() -> None:
    np.testing.assert_array_equal(overlap_rebin([[1.0]], [0, 1], [1, 2]), [[0.0]])
    np.testing.assert_array_equal(overlap_rebin([[1.0]], [0, 1], [5, 6, 7]), [[0.0, 0.0]])


def test_many_rows_are_cut_into_chunks_and_joined(rng: np.random.Generator) -> None:
    values = rng.poisson(3.0, (5000, 97))
    old, new = np.linspace(0, 1, 98), np.linspace(-0.1, 1.2, 81)
    together = overlap_rebin(values, old, new)
    apart = np.concatenate(
        [overlap_rebin(values[:7], old, new), overlap_rebin(values[7:], old, new)]
    )
    np.testing.assert_array_equal(together, apart)
    np.testing.assert_allclose(together.sum(axis=1), values.sum(axis=1), rtol=1e-12)


def test_nonsense_is_refused() -> None:
    with pytest.raises(DataError, match="make 2 bins"):
        overlap_rebin([[1.0]], [0, 1, 2], [0, 1])
    with pytest.raises(DataError, match="make 2 bins"):
        overlap_rebin([1.0, 2.0], [0, 1, 2], [0, 1])
    with pytest.raises(AxisError, match="new edges must be finite and increase"):
        overlap_rebin([[1.0]], [0, 1], [1, 0])
    with pytest.raises(AxisError, match="old edges need at least two"):
        overlap_pieces([0.0], [0, 1])
