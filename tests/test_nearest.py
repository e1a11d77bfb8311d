from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraloom._nearest import did_you_mean

KNOWN = ("NaI 3x3", "NaI 2x2", "NaI 2x4", "NaI 2x1", "plastic", "Eu-152", "fwhm_662")


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("plastik", "; did you mean 'plastic'?"),
        ("PLASTIC", "; did you mean 'plastic'?"),
        ("eu152", "; did you mean 'Eu-152'?"),
        (" fwhm", "; did you mean 'fwhm_662'?"),
        ("Geiger", ""),
        ("", ""),
        ("-", ""),
    ],
)
def test_what_is_near_is_asked_for(name: str, asked: str) -> None:
    assert did_you_mean(name, KNOWN) == asked


def test_the_nearest_come_first_and_three_are_enough() -> None:
    assert did_you_mean("NaI 3x31", KNOWN).startswith("; did you mean 'NaI 3x3', 'NaI 2x")
    assert did_you_mean("NaI 3x31", KNOWN).count("'") == 6
    assert did_you_mean("NaI 3x3", KNOWN[:2]) == "; did you mean 'NaI 3x3' or 'NaI 2x2'?"


def test_names_have_to_be_as_close_as_is_asked() -> None:
    # "lead" and "led" share 2 * 3 of 7 letters.
    assert did_you_mean("led", ["lead"], closeness=6 / 7)
    assert not did_you_mean("led", ["lead"], closeness=0.87)


@given(st.text(), st.lists(st.text(min_size=1), max_size=5))
def test_any_text_has_an_answer_out_of_the_known(name: str, known: list[str]) -> None:
    asked = did_you_mean(name, known)
    assert not asked or any(repr(one) in asked for one in known)


def test_names_of_any_length_are_compared_soon() -> None:
    assert did_you_mean("x" * 1_000_000, ["y", "x" * 60]).count("x") == 60
