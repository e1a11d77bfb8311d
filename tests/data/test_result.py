from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from spectraloom.data import Result, Spectra
from spectraloom.errors import DataError


def make() -> Result:
    return Result(
        names=("Co60", "<Cs137>"),
        amounts=np.array([[30.0, 10.0], [0.0, 0.0], [1.0, 3.0]]),
        decisions=np.array([[True, True], [False, False], [False, True]]),
        uncertainties=np.full((3, 2), 0.5),
        top=["Co60", "", "<Cs137>"],  # type: ignore[arg-type]
        quality={"cosine": np.array([0.9, 0.1, 0.8])},
        flags={"outlier": np.array([False, True, False])},
        columns={
            "labels": np.array([("a",), (), ("a", "b")], dtype=object),
            "time": np.datetime64("2024-01-24") + np.arange(3),
        },
        denoised=Spectra(np.ones((3, 4))),
        provenance={"version": "1"},
    )


def test_shares_and_labels() -> None:
    result = make()
    np.testing.assert_allclose(result.shares, [[0.75, 0.25], [0, 0], [0.25, 0.75]])
    assert result.labels.tolist() == [("Co60", "<Cs137>"), (), ("<Cs137>",)]
    assert len(result) == 3


def test_dictionary_is_json() -> None:
    stored = json.loads(json.dumps(make().to_dict()))
    assert stored["columns"]["labels"] == [["a"], [], ["a", "b"]]
    assert stored["columns"]["time"][0] == "2024-01-24"
    assert stored["amounts"][0] == [30.0, 10.0]
    assert stored["flags"]["outlier"] == [False, True, False]


def test_frame_has_a_row_per_spectrum() -> None:
    frame = make().to_frame()
    assert len(frame) == 3
    assert list(frame["share Co60"]) == [0.75, 0.0, 0.25]
    assert list(frame["found"]) == [("Co60", "<Cs137>"), (), ("<Cs137>",)]
    assert list(frame["outlier"]) == [False, True, False]


def test_xarray_has_everything() -> None:
    dataset = make().to_xarray()
    assert dict(dataset.sizes) == {"spectrum": 3, "name": 2}
    assert dataset["uncertainties"].attrs["units"] == "counts"
    np.testing.assert_array_equal(dataset["amounts"].sel(name="Co60"), [30, 0, 1])
    assert dataset["top"].to_numpy().tolist() == ["Co60", "", "<Cs137>"]
    assert json.loads(dataset.attrs["provenance"]) == {"version": "1"}


def test_html_is_escaped() -> None:
    page = make()._repr_html_()
    assert "&lt;Cs137&gt;" in page
    assert "<Cs137>" not in page
    assert "nothing" in page
    assert "1 outlier" in repr(make())


def test_read_only_and_transferable() -> None:
    result = make()
    again = pickle.loads(pickle.dumps(result))
    assert again.to_dict() == result.to_dict()
    for array in (result.amounts, result.decisions, again.amounts, again.quality["cosine"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    "changes",
    [
        {"amounts": np.ones((3, 3))},
        {"decisions": np.ones((2, 2), dtype=bool)},
        {"uncertainties": np.ones((3, 1))},
        {"quality": {"x": np.ones(2)}},
        {"top": ["a"]},
    ],
)
def test_shapes_that_do_not_agree_are_refused(changes: dict[str, object]) -> None:
    fields = {"names": ("a", "b"), "amounts": np.ones((3, 2)), "decisions": np.ones((3, 2))}
    with pytest.raises(DataError):
        Result(**{**fields, **changes})  # type: ignore[arg-type]


def test_rows_of_a_result_are_a_result() -> None:
    result = make()
    for rows in (slice(1, 3), np.array([False, True, True]), [1, 2]):
        part = result[rows]
        assert len(part) == 2
        assert part.amounts.tolist() == result.amounts[1:].tolist()
        assert part.flags["outlier"].tolist() == [True, False]
        assert part.columns["labels"].tolist() == [(), ("a", "b")]
        assert part.denoised is not None
        assert len(part.denoised) == 2
    assert result[0].labels.tolist() == [("Co60", "<Cs137>")]
    assert len(list(result)) == 3


def test_a_column_of_the_spectra_replaces_no_answer() -> None:
    fields = {name: getattr(make(), name) for name in Result.__slots__}
    theirs = {name: np.arange(3.0) for name in ("found", "cosine", "amounts", "name")}
    result = Result(**{**fields, "columns": theirs})
    frame = result.to_frame()
    assert frame["cosine"].tolist() == [0.9, 0.1, 0.8]
    assert frame["column found"].tolist() == [0.0, 1.0, 2.0]
    dataset = result.to_xarray()
    assert dataset["amounts"].shape == (3, 2)
    assert dataset["column_amounts"].to_numpy().tolist() == [0.0, 1.0, 2.0]
    assert dataset["column_name"].to_numpy().tolist() == [0.0, 1.0, 2.0]
