from __future__ import annotations

import gc
from weakref import ref

import pytest

from spectraloom.analyze.remembered import remembered


class Model:
    """Something that can be let go of."""


def test_questions_are_asked_once_and_owners_are_let_go() -> None:
    asked: list[tuple[object, ...]] = []

    @remembered
    def double(owner: Model, number: int, *, unit: str = "") -> str:
        """What it says."""
        asked.append((number, unit))
        return f"{2 * number}{unit}"

    one, other = Model(), Model()
    assert [double(one, 2), double(one, 2), double(one, 2, unit="keV")] == ["4", "4", "4keV"]
    assert double(other, 2) == "4"
    assert asked == [(2, ""), (2, "keV"), (2, "")]
    assert double.__doc__ == "What it says."
    gone = ref(one)
    del one
    gc.collect()
    assert gone() is None


def test_the_oldest_answer_is_forgotten() -> None:
    asked = []

    @remembered
    def same(owner: Model, number: int) -> int:
        asked.append(number)
        return number

    owner = Model()
    for number in [*range(33), 32, 0]:
        assert same(owner, number) == number
    assert asked == [*range(33), 0]


def test_errors_are_not_remembered() -> None:
    @remembered
    def fail(owner: Model) -> None:
        raise ValueError("no answer")

    owner = Model()
    for _ in range(2):
        with pytest.raises(ValueError, match="no answer"):
            fail(owner)
