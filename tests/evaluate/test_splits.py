from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data import Spectra
from spectraloom.errors import DataError
from spectraloom.evaluate import split_by_group


@given(
    seed=st.integers(0, 2**16),
    copies=st.lists(st.integers(0, 11), min_size=0, max_size=30),
    test_size=st.floats(0.1, 0.6),
)
def test_no_copy_is_on_both_sides(seed: int, copies: list[int], test_size: float) -> None:
    rows = np.r_[np.arange(12), copies].astype(int)
    spectra = Spectra(np.eye(12)[rows])
    train, test = split_by_group(spectra, seed=seed, test_size=test_size)
    assert not set(rows[train]) & set(rows[test])
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(len(rows)))
    assert len(set(rows[test])) == np.ceil(test_size * 12)
    again = split_by_group(spectra, seed=seed, test_size=test_size)
    np.testing.assert_array_equal(test, again[1])


def test_groups_stay_together_and_bring_copies_along(rng: np.random.Generator) -> None:
    values = rng.random((40, 3))
    values[17] = values[2]
    groups = np.repeat(np.array(["a", "b", "c", "d", "e", "f", "g", "h"]), 5)
    sides = []
    for seed in range(20):
        train, test = split_by_group(Spectra(values), groups=groups, seed=seed, test_size=0.3)
        assert not set(groups[train]) & set(groups[test])
        assert len({("a" in groups[side], "d" in groups[side]) for side in (train, test)}) == 2
        assert ("a" in groups[test]) == ("d" in groups[test])
        sides.append("a" in groups[test])
    assert any(sides)
    assert not all(sides)


def test_what_cannot_be_split_is_refused() -> None:
    spectra = Spectra(np.eye(4))
    with pytest.raises(DataError, match="at least two groups"):
        split_by_group(spectra, groups=["a"] * 4)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="at least two groups"):
        split_by_group(Spectra(np.ones((5, 3))))
    with pytest.raises(DataError, match="one group per spectrum"):
        split_by_group(spectra, groups=np.arange(3))
    for size in (0.0, 1.0, -0.2, 1.5, float("nan")):
        with pytest.raises(DataError, match="test_size is a share"):
            split_by_group(spectra, test_size=size)
    with pytest.raises(DataError, match="cannot be split"):
        split_by_group(spectra, test_size=0.99)
