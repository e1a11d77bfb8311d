from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.data import Axis, Spectra
from spectraloom.errors import AxisError, CalibrationError, DataError, LabelError
from spectraloom.workflow import onto_axis, prepare, read_prepared
from spectraloom.workflow.prepare import (
    ORIGIN,
    common_axis,
    origin_text,
    part_of,
    require_label,
)

from .conftest import AXIS, SOURCES, Make

OTHER = Axis.regular(-10.0, 1010.0, 51)


def test_groups_are_brought_onto_one_axis_without_losing_counts(make: Make) -> None:
    one, other = make(SOURCES, 6), make(SOURCES, 4, axis=OTHER, detector="d2")
    both = onto_axis([one, other], AXIS)
    assert both.axis == AXIS
    assert np.array_equal(both.values[:6], one.values)
    outside = both.column("counts_outside")
    assert (outside[:6] == 0).all()
    assert both.totals[6:] + outside[6:] == pytest.approx(other.totals)
    assert both.column("detector").tolist() == ["d1"] * 6 + ["d2"] * 4


def test_an_equal_axis_is_taken_as_it_is() -> None:
    uncalibrated = Spectra(np.ones((2, 5)))
    assert onto_axis([uncalibrated, uncalibrated], uncalibrated.axis).shape == (4, 5)


@pytest.mark.parametrize(
    ("axis", "error", "says"),
    [
        (Axis.uncalibrated(64), CalibrationError, "give uncalibrated spectra"),
        (Axis.uncalibrated(10), CalibrationError, "10 channels, uncalibrated"),
        (Axis.regular(5000, 6000, 64), AxisError, "no part of"),
        (Axis.regular(0, 1000, 64, unit="eV"), AxisError, "energy in eV is not energy in keV"),
        (Axis.regular(0, 9, 64, quantity="wavelength", unit="nm"), AxisError, "wavelength in nm"),
        (Axis.from_points(np.arange(64.0)), AxisError, "points"),
    ],
)
def test_what_cannot_be_moved_is_refused(axis: Axis, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        onto_axis([Spectra(np.ones((2, axis.n_channels)), axis)], AXIS)


def test_kinds_are_not_mixed(make: Make) -> None:
    counts = make(SOURCES, 4)
    with pytest.raises(DataError, match="cannot concatenate counts with intensity"):
        onto_axis([counts, counts.replace(kind="intensity")], AXIS)


def test_the_common_axis_is_that_of_most_spectra(make: Make) -> None:
    assert common_axis([make(SOURCES, 3, axis=OTHER), make(SOURCES, 5)]) == AXIS
    assert prepare([make(SOURCES, 9, axis=OTHER), make(SOURCES, 5)]).axis == OTHER


def test_detectors_and_labels_are_selected(make: Make) -> None:
    groups = [make([*SOURCES, ("A", "background")], 20), make(SOURCES, 8, detector="d2")]
    chosen = prepare(groups, detectors=["d2"], labels=["A", "B"])
    assert set(chosen.column("detector")) == {"d2"}
    assert {tuple(entry) for entry in chosen.labels} == {("A",), ("B",)}
    # Every label of a spectrum must be among those wanted.
    assert {tuple(entry) for entry in prepare(groups, labels=["A"]).labels} == {("A",)}
    both = prepare(groups, labels=["A", "background"])
    assert {tuple(entry) for entry in both.labels} == {("A",), ("background",), ("A", "background")}


def test_spectra_without_a_label_are_not_selected_by_labels(make: Make) -> None:
    spectra = make([("A",), ("B",)], 6)
    bare = spectra.with_columns(labels=[("A",), (), ("B",), (), ("A",), ("B",)])
    assert len(prepare([bare], labels=["A", "B"])) == 4
    assert len(prepare([bare])) == 6


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"detectors": ["d1", "d9"]}, "no spectrum has the detector d9; there are d1"),
        ({"labels": ["Z", "Y"]}, "no spectrum has the label Y, Z; there are A, B, C, background"),
    ],
)
def test_names_that_do_not_occur_are_refused(
    make: Make, wanted: dict[str, list[str]], says: str
) -> None:
    with pytest.raises(LabelError, match=says):
        prepare([make(SOURCES, 8)], **wanted)  # type: ignore[arg-type]


def test_nothing_left_is_an_error(make: Make) -> None:
    groups = [make([("A",)], 4), make([("B",)], 4, detector="d2")]
    with pytest.raises(DataError, match="no spectrum is left after selecting"):
        prepare(groups, detectors=["d2"], labels=["A"])
    empty = groups[0].replace(values=np.zeros((4, 64)))
    with pytest.raises(DataError, match="all spectra are empty"):
        prepare([empty])


def test_columns_are_needed_only_where_they_are_used() -> None:
    bare = Spectra(np.eye(4), Axis.regular(0, 4, 4))
    assert len(prepare([bare])) == 4
    with pytest.raises(LabelError, match="no column 'labels'"):
        prepare([bare], labels=["A"])
    with pytest.raises(LabelError, match="no spectrum has the detector d1; there are none"):
        prepare([bare], detectors=["d1"])


def test_copies_of_the_preceding_spectrum_and_empty_ones_go(make: Make) -> None:
    drawn = make(SOURCES, 8)
    values = np.array(drawn.values)
    values[3] = values[2]
    values[5] = 0.0
    spectra = drawn.replace(values=values)
    assert len(prepare([spectra])) == 6
    assert len(prepare([spectra], keep_duplicates=True)) == 7


def test_the_limit_holds_for_each_label_set_and_is_seeded(make: Make) -> None:
    spectra = make(SOURCES, 80)
    limited = [prepare([spectra], limit=5, seed=seed) for seed in (1, 1, 2)]
    counts = np.unique([entry[0] for entry in limited[0].labels], return_counts=True)[1]
    assert counts.tolist() == [5, 5, 5, 5]
    assert limited[0].fingerprint() == limited[1].fingerprint() != limited[2].fingerprint()
    with pytest.raises(DataError, match="at least one spectrum per class"):
        prepare([spectra], limit=0)


def test_files_are_read_and_prepared(make: Make, tmp_path: Path) -> None:
    sl.write(make(SOURCES, 8), tmp_path / "a.npz")
    sl.write(make(SOURCES, 6, axis=OTHER, detector="d2"), tmp_path / "b.npz")
    spectra = read_prepared(tmp_path, labels=["A", "C"])
    assert spectra.axis == AXIS
    assert len(spectra) == 7


def test_a_label_can_be_required(make: Make) -> None:
    require_label(make(SOURCES, 4), "A")
    with pytest.raises(LabelError, match="no spectrum has the label X"):
        require_label(make(SOURCES, 4), "X")


def test_progress_of_a_part() -> None:
    seen: list[tuple[float, str]] = []
    part = part_of(lambda fraction, text: seen.append((fraction, text)), 0.2, 0.6)
    part(0.0, "a")
    part(0.5, "b")
    part(1.0, "c")
    assert [text for _, text in seen] == ["a", "b", "c"]
    assert [fraction for fraction, _ in seen] == pytest.approx([0.2, 0.4, 0.6])
    part_of(None, 0.0, 1.0)(0.5, "nobody listens")


def test_where_prepared_spectra_come_from_is_said(make: Make) -> None:
    one = make(SOURCES, 8)
    twice = Spectra.concatenate([one, one[7:]])
    both = prepare([twice, make(SOURCES, 4, axis=OTHER)])
    assert {key: both.attrs[key] for key in ORIGIN} == {
        "axes": 2,
        "rebinned": 4,
        "duplicates_removed": 1,
    }
    assert origin_text(both, "background") == (
        "12 spectra, 3 of them background; 4 rebinned to one axis (2 axes in the files); "
        "1 exact copies left out"
    )
    assert origin_text(make(SOURCES, 8)) == "8 spectra"
