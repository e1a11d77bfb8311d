from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SpecUtils
from hypothesis import given
from hypothesis import strategies as st

import spectraloom as sl
from spectraloom.errors import FormatError
from spectraloom.generate import Scene, ScenePass, list_mode, simulate_scene

MANY = [".n42", ".pcf"]
ONE = [".spe", ".chn"]
PARSERS = {".n42": "N42_2012", ".pcf": "Pcf", ".spe": "SpeIaea", ".chn": "Chn"}


def spectra(rng: np.random.Generator, axis: sl.Axis, n: int = 1, **changes: Any) -> sl.Spectra:
    settings: dict[str, Any] = {
        "live_time": np.linspace(841.42, 900.0, n),
        "real_time": np.linspace(849.5, 912.0, n),
        **changes,
    }
    # The native reader of CHN files clears two channels at each end: they are part of the test.
    return sl.Spectra(rng.poisson(30, (n, axis.n_channels)), axis, **settings)


def native(path: Path) -> list[Any]:
    """What SandiaSpecUtils, which has no part in the writers, reads."""
    file = SpecUtils.SpecFile()
    file.loadFile(str(path), getattr(SpecUtils.ParserType, PARSERS[path.suffix]), "")
    return list(file.measurements())


@pytest.mark.parametrize("suffix", [*MANY, *ONE])
def test_written_files_are_read_by_another_program(
    suffix: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    axis = sl.Axis.from_polynomial((-1.5, 2.9, 1.5e-5), 1024)
    n = 3 if suffix in MANY else 1
    columns = {
        "title": ["Cs-137 at 1 m", "Background", "Zürich"][:n],
        "start_time": np.array(
            ["2021-03-04T05:06:07", "1999-12-31T23:59:58", "2020-02-29T00:00:00"][:n],
            dtype="M8[us]",
        ),
    }
    given_spectra = spectra(
        rng,
        axis,
        n,
        live_time=[841.42, 0.5, 100.0][:n],
        real_time=[849.5, 0.52, 7200.0][:n],
        columns=columns,
    )
    path = tmp_path / f"written{suffix}"
    sl.write(given_spectra, path)
    measured = native(path)
    assert len(measured) == n
    inner = slice(2, -2) if suffix == ".chn" else slice(None)
    for row, one in enumerate(measured):
        assert np.array_equal(np.array(one.gammaCounts())[inner], given_spectra.values[row][inner])
        assert one.liveTime() == np.float32(given_spectra.live_time[row])  # type: ignore[index]
        assert one.realTime() == np.float32(given_spectra.real_time[row])  # type: ignore[index]
        assert np.abs(np.array(one.channelEnergies()) - axis.edges).max() < 1e-3
        assert np.datetime64(one.startTime(), "s") == columns["start_time"][row]
    assert measured[0].title() == "Cs-137 at 1 m"


@pytest.mark.parametrize("suffix", [*MANY, *ONE])
@pytest.mark.parametrize(
    "axis",
    [
        sl.Axis.from_polynomial((0.14014630019664764, 0.1874220073223114, -2.07e-9), 16384),
        sl.Axis.from_polynomial((0.0, 3.0), 7),
        sl.Axis.from_polynomial((0.0, 10.0), 1000),
        sl.Axis.uncalibrated(1001),
    ],
    ids=["germanium", "small", "10 MeV", "uncalibrated"],
)
def test_round_trip(suffix: str, axis: sl.Axis, rng: np.random.Generator, tmp_path: Path) -> None:
    before = spectra(rng, axis)
    path = tmp_path / f"file{suffix}"
    sl.write(before, path)
    after = sl.read(path)
    assert np.array_equal(after.values, before.values)
    assert np.array_equal(after.live_time, before.live_time)  # type: ignore[arg-type]
    assert np.array_equal(after.real_time, before.real_time)  # type: ignore[arg-type]
    assert after.axis.is_calibrated == axis.is_calibrated
    assert np.abs(after.axis.values - axis.values).max() <= 1e-3


def test_n42_keeps_every_digit(rng: np.random.Generator, tmp_path: Path) -> None:
    for number, axis in enumerate(
        [
            sl.Axis.from_polynomial((1 / 3, 0.18742200732231, -2.0773200937e-9, 1e-15), 8192),
            sl.Axis.from_edges(np.sort(rng.uniform(0, 3000, 300))),
            sl.Axis.from_full_range_fraction((1.0, 3000.0, -20.0, 5.0, 3.0), 512),
        ]
    ):
        counts = rng.uniform(0, 1e6, (2, axis.n_channels))
        before = sl.Spectra(counts, axis, live_time=[1 / 3, 437817.123456], real_time=[0.7, np.nan])
        path = tmp_path / f"{number}.n42"
        sl.write(before, path)
        after = sl.read(path)
        assert np.array_equal(after.values, before.values)
        assert after.axis == axis
        assert np.array_equal(after.live_time, before.live_time)  # type: ignore[arg-type]
        assert np.array_equal(after.real_time, before.real_time, equal_nan=True)  # type: ignore[arg-type]


def test_pcf_rounds_times_to_float32_and_says_so(rng: np.random.Generator, tmp_path: Path) -> None:
    axis = sl.Axis.regular(0, 3000, 64)
    before = spectra(rng, axis, 3).replace(
        live_time=[1 / 3, 2.2926408891895487, np.nan], real_time=[0.5, 437817.123456, 2.0]
    )
    path = tmp_path / "file.pcf"
    lost = sl.write(before, path)
    assert {"live_time (rounded)", "real_time (rounded)"} <= set(lost)
    after = sl.read(path)
    for name in ("live_time", "real_time"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=2.0**-23)
    # What came back is held exactly, and so is what no digit is taken from.
    assert not any("rounded" in name for name in sl.write(after, tmp_path / "again.pcf"))
    assert not any("rounded" in name for name in sl.write(before, tmp_path / "file.n42"))


@pytest.mark.parametrize("suffix", [".pcf", ".n42"])
def test_scenes_and_list_mode_can_be_written(suffix: str, tmp_path: Path) -> None:
    scene = Scene(
        spectra=0,
        sources=[],
        passes=[ScenePass(nuclides=["Cs-137"], passes=1, activity=4e7, distance=300.0)],
        seed=1,
    )
    rates = np.full(64, 20.0)
    counted = list_mode(rates, sl.Axis.regular(0, 3000, 64), 7.3, seed=1, dead_time=1e-5)
    for number, made in enumerate((simulate_scene(scene), counted.to_spectra(0.7))):
        assert (made.live_time != np.float32(made.live_time)).any()  # type: ignore[arg-type]
        path = tmp_path / f"{number}{suffix}"
        sl.write(made, path)
        after = sl.read(path)
        assert np.array_equal(after.values, made.values)
        np.testing.assert_allclose(after.live_time, made.live_time, rtol=2.0**-23)


def test_n42_keeps_columns_and_order(rng: np.random.Generator, tmp_path: Path) -> None:
    columns = {
        "title": ["a", 'b <&> "quoted"', "", "Energy", "Übung ]]>"],
        "detector": ["d1", "Aa1", "d1", "two words", "<&>"],
        "source_type": ["foreground", "background", "calibration", "unknown", "intrinsic"],
        "start_time": np.array(
            ["2020-01-05T00:00:00.5", "2019-01-01", "NaT", "2021-01-01", "2018-01-01"],
            dtype="M8[us]",
        ),
    }
    before = spectra(rng, sl.Axis.from_polynomial((0, 3), 64), 5, columns=columns)
    sl.write(before, tmp_path / "columns.n42")
    after = sl.read(tmp_path / "columns.n42")
    for name in columns:
        same = after.columns[name] == before.columns[name]
        if name == "start_time":
            same |= np.isnat(after.columns[name]) & np.isnat(before.columns[name])
        assert same.all(), name


@pytest.mark.parametrize("suffix", [*MANY, *ONE])
def test_unknown_times_stay_unknown(suffix: str, rng: np.random.Generator, tmp_path: Path) -> None:
    path = tmp_path / f"untimed{suffix}"
    sl.write(spectra(rng, sl.Axis.uncalibrated(64), live_time=None, real_time=None), path)
    after = sl.read(path)
    assert after.live_time is None or np.isnan(after.live_time).all()
    assert after.real_time is None or np.isnan(after.real_time).all()


@given(
    counts=st.lists(st.integers(0, 2**31 - 1), min_size=8, max_size=40),
    ticks=st.tuples(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1)),
)
def test_whole_counts_up_to_the_limit_are_exact(
    counts: list[int], ticks: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("counts")
    before = sl.Spectra(np.array([counts]), live_time=[ticks[0] / 50], real_time=[ticks[1] / 50])
    for suffix in (".spe", ".chn", ".n42"):
        path = folder / f"counts{suffix}"
        # Counts equal to the times of the header would be taken for clocks: refused, not changed.
        if suffix == ".chn" and sorted(counts[:2]) == sorted(ticks):
            continue
        sl.write(before, path)
        after = sl.read(path)
        assert after.values[0].tolist() == counts
        assert after.live_time.tolist() == [ticks[0] / 50]  # type: ignore[union-attr]
        assert after.real_time.tolist() == [ticks[1] / 50]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("suffix", "changes", "message"),
    [
        (".chn", {"values": np.full((1, 64), 2.0**31)}, "2147483647"),
        (".chn", {"values": np.full((1, 64), 0.5)}, "fractional"),
        (".spe", {"values": np.full((1, 64), 0.5)}, "fractions"),
        (".pcf", {"values": np.full((1, 64), 2**24 + 1)}, "float32"),
        (".pcf", {"values": np.full((1, 64), 0.1)}, "float32"),
        (".chn", {"live_time": [0.333]}, "20 ms"),
        (".chn", {"real_time": [1e9]}, "497 days"),
        (".pcf", {"live_time": [1e-50]}, "live time .*spectrum 0"),
        (".n42", {"live_time": [0.0]}, "live time"),
        (".chn", {"axis": sl.Axis.from_polynomial((0, 3, 0, 1e-9), 64)}, "second order"),
        (".chn", {"axis": sl.Axis.from_edges(np.arange(65.0) ** 1.1)}, "polynomial only"),
        (".spe", {"axis": sl.Axis.from_edges(np.arange(65.0) ** 1.1)}, "polynomial only"),
        (".n42", {"kind": "rate"}, "holds counts"),
        (".spe", {"variance": np.ones((1, 64))}, "variance"),
        (".n42", {"axis": sl.Axis.from_points(np.arange(64.0))}, "energy bins in keV"),
        (".pcf", {"axis": sl.Axis.regular(1, 2, 64, unit="MeV")}, "energy bins in keV"),
        (".chn", {"axis": sl.Axis.from_polynomial((0, 1), 64)}, "the axis"),
        (".pcf", {"columns": {"title": ["energy"]}}, "title"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    suffix: str, changes: dict[str, Any], message: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    before = spectra(rng, sl.Axis.from_polynomial((0, 3), 64)).replace(**changes)
    with pytest.raises(FormatError, match=message):
        sl.write(before, tmp_path / f"never{suffix}")
    assert list(tmp_path.iterdir()) == []  # nor half a file, nor a temporary one


@pytest.mark.parametrize("suffix", ONE)
def test_several_spectra_need_a_format_for_several(
    suffix: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    with pytest.raises(FormatError, match=r"holds one spectrum, there are 3: .*N42 or PCF"):
        sl.write(spectra(rng, sl.Axis.uncalibrated(64), 3), tmp_path / f"several{suffix}")


def test_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"no spectra to write"):
        sl.write(sl.Spectra(np.empty((0, 8))), tmp_path / "none.n42")


def test_cnf_is_never_written(rng: np.random.Generator, tmp_path: Path) -> None:
    before = spectra(rng, sl.Axis.uncalibrated(64))
    for arguments in ({"path": tmp_path / "x.cnf"}, {"path": tmp_path / "x", "format": "CNF"}):
        with pytest.raises(FormatError, match=r"CNF is read but never written.*loses counts"):
            sl.write(before, **arguments)  # type: ignore[arg-type]


def test_format_is_chosen_by_name_or_ending(rng: np.random.Generator, tmp_path: Path) -> None:
    before = spectra(rng, sl.Axis.uncalibrated(64))
    sl.write(before, tmp_path / "any.dat", format="n42")
    assert sl.read(tmp_path / "any.dat").attrs["format"] == "N42"
    sl.write(before, tmp_path / "UPPER.SPE")
    assert sl.read(tmp_path / "UPPER.SPE").attrs["format"] == "IAEA SPE"
    with pytest.raises(FormatError, match=r"no writer for the ending '\.xyz'.*N42"):
        sl.write(before, tmp_path / "a.xyz")
    with pytest.raises(FormatError, match=r"no writer for format 'doc'"):
        sl.write(before, tmp_path / "a.n42", format="doc")
    with pytest.raises(FormatError, match=r"no folder"):
        sl.write(before, tmp_path / "not" / "there.n42")


def test_an_existing_file_is_kept_unless_it_may_be_replaced(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    path = tmp_path / "file.n42"
    first, second = (spectra(rng, sl.Axis.uncalibrated(64)) for _ in range(2))
    sl.write(first, path)
    with pytest.raises(FormatError, match=r"exists already.*overwrite=True"):
        sl.write(second, path)
    assert np.array_equal(sl.read(path).values, first.values)
    # What cannot be written must not cost the file that is there.
    with pytest.raises(FormatError):
        sl.write(second.replace(live_time=[0.0]), path, overwrite=True)
    assert np.array_equal(sl.read(path).values, first.values)
    sl.write(second, path, overwrite=True)
    assert np.array_equal(sl.read(path).values, second.values)
    assert [item.name for item in tmp_path.iterdir()] == ["file.n42"]


@pytest.mark.parametrize("name", ["file.npz", "store.zarr"])
def test_a_folder_of_other_things_is_never_replaced(
    name: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    kept = tmp_path / name / "inner" / "kept.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    with pytest.raises(FormatError, match=r"a folder that holds other things"):
        sl.write(spectra(rng, sl.Axis.uncalibrated(64)), tmp_path / name, overwrite=True)
    assert kept.read_text() == "mine"
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_a_writer_that_changes_numbers_is_caught(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spectraloom.io.instruments import n42_writer

    before = spectra(rng, sl.Axis.from_polynomial((0, 3), 64), 2)
    true_write = n42_writer.N42Writer.write

    def writes_other(change: Any) -> None:
        def write(self: Any, written: sl.Spectra, path: Path) -> None:
            true_write(self, change(written), path)

        monkeypatch.setattr(n42_writer.N42Writer, "write", write)

    changes = {
        "counts": lambda s: s.replace(values=s.values + 1),
        "live time": lambda s: s.replace(live_time=s.live_time + 1e-9),
        "real time": lambda s: s.replace(real_time=None),
        "axis": lambda s: s.replace(axis=sl.Axis.from_polynomial((0.002, 3), 64)),
        "number of spectra": lambda s: s[:1],
    }
    for what, change in changes.items():
        writes_other(change)
        with pytest.raises(FormatError, match=rf"cannot hold the {what}"):
            sl.write(before, tmp_path / "changed.n42")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["ba133_source_640s.n42", "racetrack_mobile.n42", "nai3x3_sr90.pcf", "falcon5000.cnf"]
)
def test_real_measurements_convert(name: str, formats_dir: Path, tmp_path: Path) -> None:
    for number, group in enumerate(sl.read_groups(formats_dir / name)):
        for suffix in MANY:
            path = tmp_path / f"{number}{suffix}"
            sl.write(group, path)
            assert np.array_equal(sl.read(path).values, group.values)
