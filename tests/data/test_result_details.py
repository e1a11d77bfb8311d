from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from spectraloom.data import Result
from spectraloom.errors import DataError


def result(details: dict[str, object]) -> Result:
    return Result(("Co60", "Cs137"), np.ones((3, 2)), np.ones((3, 2)), details=details)  # type: ignore[arg-type]


def test_details_belong_to_names_and_cannot_be_written() -> None:
    one = result({"p_value": [[0.1, 0.2], [0.3, 0.4], [0.5, np.nan]]})
    assert one.details["p_value"].dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        one.details["p_value"][0, 0] = 1.0
    with pytest.raises(TypeError):
        one.details["more"] = np.ones((3, 2))  # type: ignore[index]
    assert dict(result({}).details) == {}


@pytest.mark.parametrize("shape", [(3,), (2, 3), (3, 3), ()])
def test_details_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="p_value"):
        result({"p_value": np.ones(shape)})


def test_details_go_wherever_a_result_goes() -> None:
    one = result({"p_value": np.arange(6.0).reshape(3, 2)})
    assert json.loads(json.dumps(one.to_dict()))["details"]["p_value"] == [[0, 1], [2, 3], [4, 5]]
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.details["p_value"], one.details["p_value"])
    table = one.to_frame()
    assert table["p_value Cs137"].tolist() == [1.0, 3.0, 5.0]
    np.testing.assert_array_equal(one.to_xarray()["p_value"].values, one.details["p_value"])
