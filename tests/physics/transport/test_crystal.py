from __future__ import annotations

import pytest

from spectraloom.errors import DataError, LabelError
from spectraloom.physics.gamma.crystal import Crystal


def test_crystals_that_are_the_same_are_equal_and_hash_alike() -> None:
    assert Crystal() == Crystal("NaI", (7.62, 7.62))
    assert hash(Crystal()) == hash(Crystal("NaI", (7.62, 7.62)))
    assert Crystal() != Crystal("CsI")


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"material": "unobtainium"}, LabelError, "unobtainium"),
        ({"material": "Gd2O2S"}, DataError, "density"),
        ({"material": None}, DataError, "a name"),
        ({"material": ["NaI"]}, DataError, "a name"),
        ({"material": "NaII"}, DataError, "did you mean 'NaI'"),
        ({"size": (7.62,)}, DataError, "diameter, length"),
        ({"size": 7.0}, DataError, "diameter, length"),
        ({"size": ("7", "7")}, DataError, "size"),
        ({"size": (True, 7.0)}, DataError, "size"),
        ({"size": (10**400, 7.0)}, DataError, "size"),
        ({"window": ("Al", 0.1)}, DataError, "list of layers"),
        ({"window": (("Al", 0.1, 2),)}, DataError, "window"),
        ({"back": 5}, DataError, "list of layers"),
        ({"dead_layer": None}, DataError, "dead_layer"),
        ({"hole": 3}, DataError, "diameter, depth"),
        ({"hole": (1.0, 2.0, 3.0)}, DataError, "diameter, depth"),
        ({"size": (7.62, -1.0)}, DataError, "above zero"),
        ({"size": (7.62, float("nan"))}, DataError, "above zero"),
        ({"window": (("Al", -0.1),)}, DataError, "window"),
        ({"side": (("nothing", 0.1),)}, LabelError, "nothing"),
        ({"back": (("Al", 0.0),)}, DataError, "back"),
        ({"dead_layer": -0.1}, DataError, "dead_layer"),
        ({"dead_layer": 3.81}, DataError, "leaves nothing"),
        ({"hole": (8.0, 3.0)}, DataError, "does not fit"),
        ({"hole": (1.0, 7.62)}, DataError, "does not fit"),
        ({"hole": (1.0, 3.0), "size": (4.0, 4.0, 4.0)}, DataError, "cylinder"),
    ],
)
def test_what_cannot_be_built_is_refused(
    wrong: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Crystal(**wrong)  # type: ignore[arg-type]


def test_lists_are_as_good_as_tuples() -> None:
    listed = Crystal(size=[5, 6], window=[["Al", 0.1]], hole=[1, 2])  # type: ignore[arg-type]
    assert hash(listed) == hash(Crystal(size=(5.0, 6.0), window=(("Al", 0.1),), hole=(1.0, 2.0)))
