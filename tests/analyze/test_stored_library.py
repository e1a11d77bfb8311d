from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.analyze import load_card
from spectraloom.analyze.store import load_model
from spectraloom.data import Axis, Library
from spectraloom.errors import DataError, FormatError


def small_library(weights: object = None) -> Library:
    templates = np.random.default_rng(3).random((3, 6))
    axis = Axis.from_polynomial((-3.0, 8.0, 0.01), 6)
    return Library(templates, axis, ("Cs137", "Cs137", "Co60"), ("bare", "Pb 2 mm", ""), weights)


@pytest.mark.parametrize("weights", [None, (3.0, 1e9, 0.5)])
def test_a_library_comes_back_as_it_was(tmp_path: Path, weights: object) -> None:
    library = small_library(weights)
    file = sl.save(library, tmp_path / "library.loom")
    again = sl.load(file)
    assert isinstance(again, Library)
    assert (again.names, again.variants) == (library.names, library.variants)
    assert again.axis == library.axis
    np.testing.assert_array_equal(again.templates, library.templates)
    if weights is None:
        assert again.weights is None
    else:
        np.testing.assert_array_equal(again.weights, library.weights)
    assert load_card(file)["class"] == "Library"


def test_a_library_is_no_model(tmp_path: Path) -> None:
    file = sl.save(small_library(), tmp_path / "library.loom")
    with pytest.raises(FormatError, match=r"is a library, not a model.*Identifier\(library\)"):
        load_model(file)


def test_a_damaged_library_is_refused(tmp_path: Path) -> None:
    file = sl.save(small_library(), tmp_path / "library.loom")
    whole = file.read_bytes()
    refused = 0
    for place in range(len(whole) // 4, len(whole), 37):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            found = sl.load(file)
        except FormatError:
            refused += 1
        else:
            np.testing.assert_array_equal(found.templates, small_library().templates)
    assert refused


@pytest.mark.parametrize("model", [sl.Identifier(), sl.SupervisedNMF(), sl.ManifoldUnmixer()])
def test_a_library_instead_of_spectra_is_explained(model: sl.Identifier) -> None:
    with pytest.raises(DataError, match=r"Identifier\(library\).fit\(background\)"):
        model.fit(small_library())


def test_a_library_is_not_written_as_spectra(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not of Library.*spectraloom\.save"):
        sl.write(small_library(), tmp_path / "library.npz")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
