from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.data.columns import (
    as_column,
    concatenate_columns,
    decode_column,
    encode_column,
    is_label_sets,
    label_sets,
)
from spectraloom.errors import DataError


def test_kinds_are_kept() -> None:
    assert as_column("n", [1, 2], 2).dtype.kind == "i"
    assert as_column("x", [1.5, None], 2).tolist()[0] == 1.5
    assert np.isnan(as_column("x", [1.5, None], 2)[1])
    assert as_column("b", [True, False], 2).dtype == bool
    assert as_column("t", ["a", "bc"], 2).tolist() == ["a", "bc"]
    assert as_column("t", np.array(["a", "bc"], dtype=object), 2).dtype.kind == "U"
    dates = as_column("d", [np.datetime64("2024-01-24T10:00:00"), None], 2)
    assert dates.dtype == np.dtype("datetime64[s]")
    assert np.isnat(dates[1])


def test_a_missing_text_is_empty_not_the_word_nan() -> None:
    assert as_column("t", ["a", None], 2).tolist() == ["a", ""]


def test_a_scalar_stands_for_all() -> None:
    assert as_column("t", "left", 3).tolist() == ["left"] * 3
    assert as_column("x", 2.5, 2).tolist() == [2.5, 2.5]
    assert as_column("n", 3, 0).dtype.kind == "i"


def test_label_sets_are_tuples_and_deterministic() -> None:
    column = as_column("labels", [("b", "a"), "c", [], {"z", "y", "x"}, None], 5)
    assert is_label_sets(column)
    assert column.tolist() == [("b", "a"), ("c",), (), ("x", "y", "z"), ()]


def test_an_empty_column_of_label_sets_stays_one() -> None:
    column = as_column("labels", label_sets([("a",)])[:0], 0)
    assert is_label_sets(column)


def test_columns_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        as_column("n", np.array([1, 2]), 2)[0] = 5


@pytest.mark.parametrize(
    ("given_values", "message"),
    [
        ([1, 2, 3], r"shape \(3,\), but there are 2"),
        (np.ones((2, 1)), "shape"),
        ([1, "a"], "mixes texts"),
        ([b"a", b"b"], "S1 values"),
        (b"a", "S1 values"),
        ([1j, 2.0], "complex128 values"),
        ([object(), object()], "object values"),
        ([("a",), 3], "entry 1 is 3"),
        ([np.zeros(2), np.zeros(3)], "cannot be made an array"),
    ],
)
def test_bad_columns_are_refused(given_values: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_column("col", given_values, 2)


def test_stacking_fills_what_is_absent() -> None:
    sets = label_sets([("a",), ("b", "c")])
    stacked = concatenate_columns(
        [
            {"labels": sets, "n": np.array([1, 2]), "t": np.array(["x", "yy"])},
            {"d": np.array(["2024-01-01"], dtype="datetime64[D]")},
        ],
        [2, 1],
    )
    assert stacked["labels"].tolist() == [("a",), ("b", "c"), ()]
    np.testing.assert_array_equal(stacked["n"], [1, 2, np.nan])
    assert stacked["t"].tolist() == ["x", "yy", ""]
    assert np.isnat(stacked["d"][:2]).all()
    assert stacked["d"][2] == np.datetime64("2024-01-01")


def test_a_text_column_joins_label_sets() -> None:
    stacked = concatenate_columns(
        [{"labels": np.array(["a"])}, {"labels": label_sets([("b", "c")])}], [1, 1]
    )
    assert stacked["labels"].tolist() == [("a",), ("b", "c")]


@pytest.mark.parametrize("other", [np.array(["a"]), np.array(["2024-01-01"], dtype="M8[D]")])
def test_kinds_that_do_not_join_are_refused(other: np.ndarray) -> None:
    with pytest.raises(DataError, match="'c' cannot be joined"):
        concatenate_columns([{"c": np.array([1.0])}, {"c": other}], [1, 1])


@given(st.lists(st.lists(st.text(max_size=4), max_size=3).map(tuple), max_size=5))
def test_encoding_label_sets_is_lossless(entries: list[tuple[str, ...]]) -> None:
    column = label_sets(entries)
    stored = encode_column(column)
    assert stored.dtype.kind == "U"
    assert decode_column(stored, sets=True).tolist() == column.tolist()


def test_malformed_stored_sets_are_refused() -> None:
    with pytest.raises(DataError, match="not JSON"):
        decode_column(np.array(["[oops"]), sets=True)
    with pytest.raises(DataError, match="not a list of texts"):
        decode_column(np.array(["[1]"]), sets=True)
    plain = np.array([1.0])
    assert decode_column(plain, sets=False) is plain
