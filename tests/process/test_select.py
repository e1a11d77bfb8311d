from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectraloom.data import Spectra
from spectraloom.errors import DataError, LabelError
from spectraloom.process import drop_empty, limit_per_class, remove_duplicates

LABELS = [("Co60", "Cs137"), ("Co60",), ("Cs137", "Co60"), ("Co60",), ("Co60",), ("K40",)] * 5
MANY = Spectra(
    np.arange(60).reshape(30, 2),
    columns={"labels": LABELS, "detector": ["left"] * 15 + ["right"] * 15},
)


def test_a_limit_per_set_of_labels() -> None:
    kept = limit_per_class(MANY, 4, seed=1)
    found = Counter(tuple(sorted(entry)) for entry in kept.labels)
    assert found == {("Co60",): 4, ("Co60", "Cs137"): 4, ("K40",): 4}
    # Order and rows are those of the original.
    rows = kept.values[:, 0] // 2
    assert (np.diff(rows) > 0).all()
    assert [LABELS[row] for row in rows] == kept.labels.tolist()
    both = limit_per_class(MANY, 1, seed=1, by=("labels", "detector"))
    assert len(both) == 6


def test_the_draw_depends_on_the_seed_only() -> None:
    first = limit_per_class(MANY, 2, seed=7)
    assert limit_per_class(MANY, 2, seed=7).fingerprint() == first.fingerprint()
    others = {limit_per_class(MANY, 2, seed=seed).fingerprint() for seed in range(10)}
    assert len(others) > 5
    assert limit_per_class(MANY, 100, seed=0).fingerprint() == MANY.fingerprint()
    rng = np.random.default_rng(7)
    assert limit_per_class(MANY, 2, seed=rng).fingerprint() == first.fingerprint()


def test_every_spectrum_has_the_same_chance() -> None:
    drawn = np.zeros(30)
    for seed in range(600):
        drawn[limit_per_class(MANY, 3, seed=seed).values[:, 0] // 2] += 1
    alone = np.array([labels == ("Co60",) for labels in LABELS])  # 15 spectra, 3 drawn
    assert abs(drawn[alone] / 600 - 0.2).max() < 0.07
    assert drawn[alone].sum() == 3 * 600


def test_bad_limits() -> None:
    with pytest.raises(DataError, match="at least one"):
        limit_per_class(MANY, 0, seed=1)
    with pytest.raises(LabelError, match="no column 'site'"):
        limit_per_class(MANY, 1, seed=1, by="site")
    with pytest.raises(DataError, match="at least one column"):
        limit_per_class(MANY, 1, seed=1, by=())


def test_adjacent_duplicates() -> None:
    values = [[1, 2], [1, 2], [1, 2], [2, 1], [1, 2]]
    spectra = Spectra(values, columns={"row": np.arange(5)}, attrs={"source": "x"})
    kept = remove_duplicates(spectra)
    assert kept.column("row").tolist() == [0, 3, 4]
    assert dict(kept.attrs) == {"source": "x", "duplicates_removed": 2}
    everywhere = remove_duplicates(kept, adjacent_only=False)
    assert everywhere.column("row").tolist() == [0, 3]
    assert everywhere.attrs["duplicates_removed"] == 3


def test_duplicates_across_files_are_no_neighbours() -> None:
    spectra = Spectra([[1, 2], [1, 2], [1, 2]], columns={"file": ["a", "b", "b"]})
    assert remove_duplicates(spectra).column("file").tolist() == ["a", "b"]
    assert len(remove_duplicates(spectra, adjacent_only=False)) == 1


@given(hnp.arrays(float, st.tuples(st.integers(0, 12), st.just(2)),
                  elements=st.sampled_from([0.0, -0.0, 1.0])))  # fmt: skip
def test_duplicates_agree_with_plain_comparison(values: np.ndarray) -> None:
    spectra = Spectra(values, kind="intensity", columns={"row": np.arange(len(values))})
    rows = [
        row for row in range(len(values))
        if not any((values[row] == values[earlier]).all() for earlier in range(row))
    ]  # fmt: skip
    kept = remove_duplicates(spectra, adjacent_only=False)
    assert kept.column("row").tolist() == rows
    assert kept.attrs["duplicates_removed"] == len(values) - len(rows)
    adjacent = [
        row for row in range(len(values)) if row == 0 or (values[row] != values[row - 1]).any()
    ]
    assert remove_duplicates(spectra).column("row").tolist() == adjacent


def test_empty_spectra_are_dropped_but_not_those_that_sum_to_zero() -> None:
    spectra = Spectra([[0.0, 0.0], [1.0, -1.0], [2.0, 0.0]], kind="intensity")
    np.testing.assert_array_equal(drop_empty(spectra).values, [[1, -1], [2, 0]])
