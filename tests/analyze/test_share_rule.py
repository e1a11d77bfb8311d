from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom.analyze.share_rule import (
    decide_by_share,
    is_source,
    shares_of,
    source_shares,
    top_source,
)

NAMES = ("Am241", "Co60", "Cs137", "background")


def plain_shares(amounts: list[float]) -> list[float]:
    total = sum(amounts)
    return [amount / total if total > 0 else 0.0 for amount in amounts]


def plain_decision(
    shares: list[float],
    names: tuple[str, ...],
    min_share: float,
    min_source_share: float,
    background: str | None,
) -> set[str]:
    """The rule in words of one spectrum."""
    above = {name for name, share in zip(names, shares, strict=True) if share > min_share}
    if min_source_share <= 0:
        return above  # GAMMA_FLOW: whatever has more than its share of everything
    sources = {name: share for name, share in zip(names, shares, strict=True) if name != background}
    present = {name for name in above if name == background}
    if above & set(sources):
        all_sources = sum(sources.values())
        for name, share in sources.items():
            if share / all_sources > min_source_share or share == max(sources.values()):
                present.add(name)
    return present


amount_rows = st.lists(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e4)), min_size=4, max_size=4),
    min_size=1,
    max_size=6,
)


@given(
    rows=amount_rows,
    min_share=st.sampled_from([0.0, 0.05, 0.1, 0.5, 0.9]),
    min_source_share=st.sampled_from([0.0, 0.05, 0.25, 0.5, 0.9]),
    background=st.sampled_from([None, "background", "not there"]),
)
def test_the_rule_is_the_one_in_words(
    rows: list[list[float]], min_share: float, min_source_share: float, background: str | None
) -> None:
    shares = shares_of(np.array(rows))
    found = decide_by_share(
        shares,
        NAMES,
        min_share=min_share,
        min_source_share=min_source_share,
        background=background,
    )
    assert found.shape == shares.shape
    assert found.dtype == bool
    for row, share in zip(found, shares.tolist(), strict=True):
        present = {name for name, there in zip(NAMES, row, strict=True) if there}
        assert present == plain_decision(share, NAMES, min_share, min_source_share, background)


@given(rows=amount_rows, min_share=st.floats(0.0, 0.9), min_source_share=st.floats(0.0, 0.9))
def test_the_one_label_is_in_the_set(
    rows: list[list[float]], min_share: float, min_source_share: float
) -> None:
    """What is called the source is also called present, and no source without a call."""
    shares = shares_of(np.array(rows))
    top = top_source(shares, NAMES, min_share=min_share, background="background")
    decided = decide_by_share(
        shares,
        NAMES,
        min_share=min_share,
        min_source_share=min_source_share,
        background="background",
    )
    for name, row in zip(top, decided, strict=True):
        if name == "background":
            assert not row[:3].any()
        else:
            assert row[NAMES.index(name)]


@given(rows=amount_rows)
def test_shares_sum_to_one_or_are_zero(rows: list[list[float]]) -> None:
    amounts = np.array(rows)
    shares = shares_of(amounts)
    np.testing.assert_allclose(shares.sum(axis=1), (amounts.sum(axis=1) > 0).astype(float))
    np.testing.assert_allclose(shares, [plain_shares(row) for row in rows])


def test_the_reference_takes_more_than_a_tenth_and_not_a_tenth() -> None:
    shares = np.array([[0.1, 0.1 + 1e-12, 0.0, 0.8 - 1e-12]])
    found = decide_by_share(shares, NAMES, min_share=0.1, background="background")
    assert found.tolist() == [[False, True, False, True]]


def test_a_strong_background_does_not_hide_the_second_source() -> None:
    shares = np.array([[0.15, 0.08, 0.0, 0.77]])
    settings = {"min_share": 0.1, "background": "background"}
    assert decide_by_share(shares, NAMES, **settings).tolist() == [[True, False, False, True]]
    found = decide_by_share(shares, NAMES, min_source_share=0.2, **settings)
    assert found.tolist() == [[True, True, False, True]]


def test_without_a_first_source_there_is_no_second() -> None:
    shares = np.array([[0.09, 0.09, 0.0, 0.82]])
    found = decide_by_share(
        shares, NAMES, min_share=0.1, min_source_share=0.1, background="background"
    )
    assert found.tolist() == [[False, False, False, True]]


def test_equal_sources_are_all_present_however_many_share() -> None:
    """None of three equal sources has more than half, yet something was found."""
    shares = np.array([[1 / 3, 1 / 3, 1 / 3, 0.0]])
    found = decide_by_share(
        shares, NAMES, min_share=0.1, min_source_share=0.5, background="background"
    )
    assert found.tolist() == [[True, True, True, False]]


def test_nothing_found_is_background_or_the_first_name() -> None:
    nothing = np.zeros((2, 4))
    assert not decide_by_share(nothing, NAMES, min_share=0.0, min_source_share=0.3).any()
    settings = {"min_share": 0.1}
    assert set(top_source(nothing, NAMES, background="background", **settings)) == {"background"}
    assert set(top_source(nothing, NAMES, background=None, **settings)) == {"Am241"}


def test_without_a_background_the_largest_share_decides() -> None:
    shares = np.array([[0.05, 0.02, 0.9, 0.03], [0.0, 0.06, 0.04, 0.9]])
    assert top_source(shares, NAMES, min_share=0.95).tolist() == ["Cs137", "background"]
    assert top_source(shares, NAMES, min_share=0.1, background="background").tolist() == [
        "Cs137",
        "background",
    ]
    assert top_source(shares, NAMES, min_share=0.05, background="background").tolist() == [
        "Cs137",
        "Co60",
    ]


def test_a_tie_goes_to_the_first_name() -> None:
    shares = np.array([[0.2, 0.4, 0.4, 0.0]])
    assert top_source(shares, NAMES, min_share=0.1, background="background").tolist() == ["Co60"]


def test_only_the_background_can_be_known() -> None:
    shares = np.ones((2, 1))
    found = top_source(shares, ("background",), min_share=0.1, background="background")
    assert found.tolist() == ["background"] * 2
    decided = decide_by_share(
        shares, ("background",), min_share=0.1, min_source_share=0.2, background="background"
    )
    assert decided.all()


def test_shares_among_sources_leave_the_background_out() -> None:
    source = is_source(NAMES, "background")
    assert source.tolist() == [True, True, True, False]
    found = source_shares(np.array([[0.1, 0.3, 0.0, 0.6], [0.0, 0.0, 0.0, 1.0]]), source)
    assert found == pytest.approx(np.array([[0.25, 0.75, 0, 0], [0, 0, 0, 0]]))
    assert is_source(NAMES, None).all()
