from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom import Axis, Spectra
from spectraloom._typing import FloatArray
from spectraloom.errors import DataError
from spectraloom.evaluate import prepare_steel_sphere


def simulated(
    rows: list[tuple[str, float, float]], n: int = 12, values: FloatArray | None = None
) -> Spectra:
    names, thickness, shift = zip(*rows, strict=True)
    if values is None:
        values = np.arange(len(rows) * n, dtype=float).reshape(len(rows), n)
    columns = {
        "labels": [(name,) for name in names],
        "thickness": list(thickness),
        "gain_shift": list(shift),
    }
    return Spectra(values, Axis.regular(0.0, n, n), columns=columns)


def background(values: list[float]) -> Spectra:
    return simulated([("background", np.nan, np.nan)], len(values), np.array([values]))


def test_channels_are_dropped_and_added_in_pairs() -> None:
    groups = [
        simulated([("Co60", 1.0, 0.0)], 12),
        simulated([("Cs137", 1.0, 0.0)], 11),  # another length of the same layout
        background([9.0, 9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
    ]
    sets = prepare_steel_sphere(groups, drop=2, n_channels=3)
    assert sets.signatures.values.tolist() == [[5.0, 9.0, 13.0], [5.0, 9.0, 13.0]]
    assert sets.signatures.axis.edges.tolist() == [2.0, 4.0, 6.0, 8.0]
    assert sets.background is not None
    assert sets.background.values.tolist() == [[3.0, 7.0, 11.0]]
    assert sets.drift is None


def test_spectra_are_sorted_and_copies_left_out() -> None:
    rows = [
        ("Cs137", 2.4, 0.0),
        ("Co60", 30.0, 0.0),
        ("Cs137", 0.001, -0.1),
        ("Co60", 0.5, 0.0),
        ("Cs137", 0.001, 0.1),
        ("Co60", 30.0, 0.0),
    ]
    other = Spectra(np.ones((1, 5)), columns={"file": "notes.csv"})
    sets = prepare_steel_sphere([other, simulated(rows)], drop=0, n_channels=6)
    signatures, drift = sets.signatures, sets.drift
    assert [entry[0] for entry in signatures.labels] == ["Co60", "Co60", "Cs137"]
    assert signatures.columns["thickness"].tolist() == [0.5, 30.0, 2.4]
    assert signatures.values[1, 0] == 12 + 13  # of the first of both copies
    assert drift is not None
    assert drift.columns["gain_shift"].tolist() == [-0.1, 0.1]
    assert sets.background is None


def test_what_the_reference_does_is_optional() -> None:
    rows = [("Am241", 3.6, 0.0), ("Am241", 4.0, 0.0), ("Am241", 30.0, 0.0), ("Zz1", 30.0, 0.0)]
    values = np.ones((4, 200)) * np.array([[1.0], [2.0], [3.0], [4.0]])
    empty = background([0.0] * 4 + [5.0] * 196)
    groups = [simulated(rows, 200, values), empty]
    sets = prepare_steel_sphere(groups, drop=0, n_channels=100)
    assert sets.signatures.values[:, 0].tolist() == [2.0, 4.0, 4.0, 8.0]
    assert sets.signatures.values[:, 50].tolist() == [0.0, 0.0, 0.0, 8.0]
    assert sets.background is not None
    assert sets.background.values[0, :3].tolist() == [1.0, 1.0, 10.0]
    plain = prepare_steel_sphere(groups, drop=0, n_channels=100, as_reference=False)
    assert plain.signatures.values.tolist() == (2 * values[:, :100]).tolist()
    assert plain.background is not None
    assert plain.background.values[0, :3].tolist() == [0.0, 0.0, 10.0]
    assert values.max() == 4.0  # what was given is not touched


@pytest.mark.parametrize(
    ("groups", "settings", "message"),
    [
        ([], {}, "steel-sphere layout"),
        ([Spectra(np.ones((1, 5)))], {}, "steel-sphere layout"),
        ([background([1.0] * 12)], {"drop": 0, "n_channels": 2}, "without gain shift"),
        ([simulated([("Co60", 1.0, 0.0)])], {}, "need 2068 channels, got 12"),
        ([simulated([("Co60", 1.0, 0.0)])], {"drop": -1, "n_channels": 2}, "channels to drop"),
        (
            [simulated([("Co60", 1.0, 0.0)]).replace(axis=Axis.regular(0.0, 24.0, 12))],
            {"drop": 0, "n_channels": 2},
            "channels of 1 keV from 0",
        ),
    ],
)
def test_what_is_not_of_the_layout_is_refused(
    groups: list[Spectra], settings: dict[str, int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        prepare_steel_sphere(groups, **settings)  # type: ignore[arg-type]


def test_the_public_data(steel_sphere_zip: Path) -> None:
    sets = prepare_steel_sphere(sl.read_groups(steel_sphere_zip))
    assert sets.signatures.shape == (384, 1024)
    assert sets.signatures.axis.edges[[0, 1, -1]].tolist() == [20.0, 22.0, 2068.0]
    assert sets.signatures.columns["thickness"].reshape(4, 96)[:, 32] == pytest.approx([5.2] * 4)
    assert sets.signatures.values[:96, 250:].max() == 0  # Ba133
    assert sets.background is not None
    assert sets.background.values.min() > 0
    semsun = prepare_steel_sphere(sl.read_groups(steel_sphere_zip), drop=18, n_channels=800)
    assert semsun.signatures.axis.edges[[0, -1]].tolist() == [18.0, 1618.0]
