"""What a format keeps of the columns, and that the rest is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import spectraloom as sl
from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError
from spectraloom.io.instruments.spe import SpeWriter

AXIS = Axis.from_polynomial((0, 3), 64)
COUNTS = np.arange(64.0)[::-1]


def spectra(n: int = 1, **columns: Any) -> Spectra:
    return Spectra(np.tile(COUNTS, (n, 1)), AXIS, live_time=10.0, real_time=11.0, columns=columns)


@pytest.mark.parametrize("suffix", [".spe", ".chn", ".pcf"])
def test_what_is_lost_is_told(suffix: str, tmp_path: Path) -> None:
    before = spectra(
        labels=[("Co60",)], shelf=[3], dose=[0.5], note=["a"], title=["run 1"], empty=[""]
    ).replace(attrs={"licence": "CC0", "source": "x", "format": "y"})
    lost = sl.write(before, tmp_path / f"a{suffix}")
    assert lost == ["labels", "shelf", "dose", "note", "attrs.licence"]
    assert sl.read(tmp_path / f"a{suffix}").columns["title"].tolist() == ["run 1"]


def test_columns_that_say_nothing_are_not_missed(tmp_path: Path) -> None:
    before = spectra(
        2,
        labels=[(), ()],
        dose=[np.nan, np.nan],
        note=["", ""],
        when=np.array(["NaT", "NaT"], dtype="M8[s]"),
        source_type=["unknown", ""],
        file=["old.spe", "old.spe"],
        record=[0, 1],
    )
    assert sl.write(before, tmp_path / "a.pcf") == []
    several = before.with_columns(file=["a", "b"], record=[0, 0])
    assert sl.write(several, tmp_path / "b.pcf") == ["file", "record"]


def test_our_own_formats_keep_everything(tmp_path: Path) -> None:
    before = spectra(2, labels=[("A", "B"), ()], file=["a", "b"], x=[np.nan, 1.0], ok=[True, False])
    before = before.replace(attrs={"licence": "CC0", "source": "x"})
    for name in ("a.csv", "a.npz", "a.zarr"):
        assert sl.write(before, tmp_path / name) == []


def test_n42_keeps_labels_and_other_columns(tmp_path: Path) -> None:
    columns = {
        "labels": [("Co60", "Cs137"), (), ("a <b> & \x01 |",)],
        "absorber": ["Pb 2.0", "", "Zürich ]]>"],
        "shelf": [3, -1, 2**60],
        "dose": [0.1, np.nan, 1e-30],
        "good": [True, False, True],
        "source_type": ["my own", "background", "unknown"],
        "sample": [7, 5, 5],
        "neutron_counts": [3.0, 4.0, np.nan],
    }
    # Spectra that are equal but for their columns must not change places.
    before = spectra(3, **columns)
    assert sl.write(before, tmp_path / "a.n42") == []
    after = sl.read(tmp_path / "a.n42")
    for name in columns:
        given_column, found = before.columns[name], after.columns[name]
        if given_column.dtype.kind == "f":
            np.testing.assert_array_equal(found, given_column)
        else:
            assert found.tolist() == given_column.tolist(), name
    text = (tmp_path / "a.n42").read_text(encoding="utf-8")
    assert text.index("</ChannelData>") < text.index("<SpectrumExtension>")


def test_what_n42_cannot_keep_is_told(tmp_path: Path) -> None:
    when = np.array(["2020-01-01"], dtype="M8[D]")
    before = spectra(other=when, bound=[np.inf], labels=[("A",)])
    assert sl.write(before, tmp_path / "a.n42") == ["other", "bound"]


@pytest.mark.parametrize(
    "json",
    [
        "{",
        "[1]",
        '{"labels": [1]}',
        '{"labels": {"a": 1}}',
        '{"a": null}',
        "[" * 50_000,
        '{"a": [' + "[" * 50_000,
    ],
)
def test_foreign_columns_in_n42_are_refused(json: str, tmp_path: Path) -> None:
    sl.write(spectra(shelf=[3]), tmp_path / "a.n42")
    text = (tmp_path / "a.n42").read_text(encoding="utf-8")
    assert '{"shelf": 3}' in text
    (tmp_path / "b.n42").write_text(text.replace('{"shelf": 3}', json), encoding="utf-8")
    with pytest.raises(FormatError, match=r"b\.n42"):
        sl.read(tmp_path / "b.n42")


def test_odd_columns_in_n42(tmp_path: Path) -> None:
    sl.write(spectra(shelf=[3]), tmp_path / "a.n42")
    text = (tmp_path / "a.n42").read_text(encoding="utf-8")
    (tmp_path / "b.n42").write_text(text.replace('{"shelf": 3}', '{"x": ["a"], "y": NaN}'))
    assert sl.read(tmp_path / "b.n42").columns["x"].tolist() == [("a",)]
    (tmp_path / "c.n42").write_text(text.replace("3}", "1" + "0" * 40 + "}"))
    with pytest.raises(FormatError, match=r"c\.n42"):
        sl.read(tmp_path / "c.n42")


def test_columns_in_n42_do_not_hide_what_the_file_says(tmp_path: Path) -> None:
    sl.write(spectra(shelf=[3], title=["true"]), tmp_path / "a.n42")
    text = (tmp_path / "a.n42").read_text(encoding="utf-8")
    forged = '{"shelf": 3, "title": "forged", "file": "forged", "record": 9}'
    (tmp_path / "b.n42").write_text(text.replace('{"shelf": 3}', forged), encoding="utf-8")
    after = sl.read(tmp_path / "b.n42")
    assert after.columns["title"].tolist() == ["true"]
    assert after.columns["file"].tolist() == ["b.n42"]
    assert after.columns["record"].tolist() == [0]
    assert after.columns["shelf"].tolist() == [3]


@pytest.mark.parametrize("suffix", [".n42", ".spe", ".chn", ".pcf"])
@example(text="a\x00b\x01\x1f", column="title")
@example(text="lone \ud800 and \uffff", column="title")
@example(text="line\u2028\x85$DATA:\x0b$DATA:", column="title")
@example(text="\x1b[31m", column="detector")
@example(text="Å$DATA: 0 1", column="detector")
@given(
    text=st.text(max_size=20) | st.text("$#:ADTE \x85\xa0Å\n<&]>\x01\ud800", max_size=20),
    column=st.sampled_from(["title", "detector"]),
)
def test_any_text_is_written_or_told(
    suffix: str, text: str, column: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("texts") / f"a{suffix}"
    before = spectra(**{column: [text]})
    if suffix == ".pcf" and text.strip().lower() == "energy":
        return
    lost = sl.write(before, path)
    after = sl.read(path)
    same = after.columns[column].tolist() == before.columns[column].tolist()
    assert lost == ([] if same or not before.columns[column][0] else [column])


def test_the_detector_of_spe_is_read_back(tmp_path: Path) -> None:
    assert sl.write(spectra(detector=["Dürer 7"], title=["Å 1"]), tmp_path / "a.spe") == []
    after = sl.read(tmp_path / "a.spe")
    assert after.columns["detector"].tolist() == ["Dürer 7"]
    assert after.columns["title"].tolist() == ["Å 1"]


def test_errors_of_writers_name_the_target(tmp_path: Path) -> None:
    complex_spectra = Spectra([[1j, 2]], kind="complex")
    for name in ("mine.csv", "mine.n42", "mine.spe", "mine.chn", "mine.pcf"):
        with pytest.raises(FormatError, match=rf"{name}: ") as caught:
            sl.write(complex_spectra, tmp_path / name)
        assert "draft" not in str(caught.value)


def test_what_cannot_be_read_back_names_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(_self: object, _spectra: Spectra, path: Path) -> None:
        path.write_text("$SPEC_ID:\r\n")

    monkeypatch.setattr(SpeWriter, "write", write)
    with pytest.raises(FormatError) as caught:
        sl.write(spectra(), tmp_path / "mine.spe")
    assert str(caught.value) == (
        f"{tmp_path / 'mine.spe'}: what was written as IAEA SPE cannot be read (expected an IAEA "
        "SPE file, but it has no $DATA section): write npz, which keeps everything"
    )
