from __future__ import annotations

import copy

import numpy as np
import pytest

from spectraloom.data import Axis, Library, Spectra
from spectraloom.data.library import single_labels
from spectraloom.errors import AxisError, DataError, LabelError

AXIS = Axis.regular(0.0, 3.0, 3)


def spectra() -> Spectra:
    return Spectra(
        [[1, 2, 3], [3, 2, 1], [10, 0, 0], [0, 10, 0]],
        AXIS,
        columns={"labels": [("b",), ("b",), ("a",), ("a",)], "absorber": ["", "", "Pb", "Al"]},
    )


def test_templates_are_means_of_each_label() -> None:
    library = Library.from_spectra(spectra())
    assert library.names == ("a", "b")
    np.testing.assert_allclose(library.templates, [[5, 5, 0], [2, 2, 2]])
    np.testing.assert_array_equal(library.weights, [2, 2])


def test_variants_split_a_label() -> None:
    library = Library.from_spectra(spectra(), variants="absorber")
    assert library.names == ("a", "a", "b")
    assert library.variants == ("Al", "Pb", "")
    np.testing.assert_array_equal(library.groups, [0, 0, 1])
    assert library.unique_names == ("a", "b")
    chosen = library.select(["a"])
    assert chosen.variants == ("Al", "Pb")
    np.testing.assert_array_equal(chosen.templates, library.templates[:2])
    assert "a, b" in repr(library)


def test_variants_are_numbered_where_they_have_no_name() -> None:
    library = Library(np.ones((3, 3)), AXIS, ("a", "b", "a"))
    assert library.variants == ("1", "", "2")


def test_a_library_is_read_only_even_when_copied() -> None:
    library = Library.from_spectra(spectra())
    for one in (library, copy.deepcopy(library)):
        assert one.names == library.names
        np.testing.assert_array_equal(one.templates, library.templates)
        with pytest.raises(ValueError, match="read-only"):
            one.templates[0, 0] = 1


def test_bad_libraries_are_refused() -> None:
    with pytest.raises(DataError, match="one name and one variant"):
        Library(np.ones((2, 3)), AXIS, ("a",))
    with pytest.raises(AxisError, match="2 channels"):
        Library(np.ones((1, 2)), AXIS, ("a",))
    with pytest.raises(DataError, match="finite"):
        Library([[1.0, np.nan, 1.0]], AXIS, ("a",))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="same variant"):
        Library(np.ones((2, 3)), AXIS, ("a", "a"), ("x", "x"))
    with pytest.raises(DataError, match="weights"):
        Library(np.ones((1, 3)), AXIS, ("a",), weights=np.ones(2))
    with pytest.raises(DataError, match="no spectra"):
        Library.from_spectra(spectra()[:0])
    with pytest.raises(LabelError, match="no x"):
        Library.from_spectra(spectra()).select(["x"])
    with pytest.raises(LabelError, match="no column"):
        Library.from_spectra(spectra(), variants="thickness")


def test_single_labels() -> None:
    assert single_labels(spectra()).tolist() == ["b", "b", "a", "a"]
    texts = spectra().with_columns(labels=["x", "y", "x", "y"])
    assert single_labels(texts).tolist() == ["x", "y", "x", "y"]
    several = spectra().with_columns(labels=[("a",), ("a", "b"), (), ("a",)])
    with pytest.raises(DataError, match=r"2 of 4 .* spectrum 1 with \['a', 'b'\]"):
        single_labels(several)
