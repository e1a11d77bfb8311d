from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.workflow import convert, describe, simulate_from_text

from .conftest import Run

# -- info ------------------------------------------------------------------------------------


def real_files(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name",
    ["SGM102432.spe", "falcon5000.cnf", "nai3x3_sr90.pcf", "racetrack_mobile.n42", "sim_spec.spe"],
)
def test_info_tells_what_a_real_file_holds(run: Run, formats_dir: Path, name: str) -> None:
    done = run("info", "--json", formats_dir / name)
    assert (done.code, done.err) == (0, "")
    (facts,) = done.json
    (group,) = sl.read_groups(formats_dir / name)
    assert facts == json.loads(json.dumps(describe(group)))
    assert facts["spectra"] == len(group)
    assert facts["axis"]["channels"] == group.n_channels
    assert facts["axis"]["calibrated"] is group.axis.is_calibrated
    assert facts["totals"]["sum"] == group.totals.sum()
    assert group.live_time is not None
    assert facts["live_time"] == {"min": group.live_time.min(), "max": group.live_time.max()}
    shown = run("info", formats_dir / name)
    assert ("uncalibrated" in shown.out) is not group.axis.is_calibrated
    assert ("keV" in shown.out) is group.axis.is_calibrated


def test_info_agrees_with_what_is_known_of_the_files(run: Run, formats_dir: Path) -> None:
    known = real_files(formats_dir)
    assert known
    facts = run("info", "--json", formats_dir / "SGM102432.spe").json[0]
    assert facts["axis"]["calibrated"] is False
    assert {"low", "high", "unit"}.isdisjoint(facts["axis"])  # nothing is invented
    assert facts["totals"]["sum"] == 166239


def test_info_tells_one_axis_from_another(run: Run, formats_dir: Path) -> None:
    done = run("info", formats_dir / "ba133_source_640s.n42")
    lines = [line for line in done.out.splitlines() if line.startswith("ba133_source_640s.n42 ")]
    totals = [line.split()[-1] for line in lines]
    groups = sl.read_groups(formats_dir / "ba133_source_640s.n42")
    assert totals == [f"{group.totals.sum():,.0f}" for group in groups]
    assert len(run("info", "--json", formats_dir / "ba133_source_640s.n42").json) == 8


def test_info_takes_several_sources(run: Run, formats_dir: Path) -> None:
    names = ("falcon5000.cnf", "sim_spec.spe")
    facts = run("info", "--json", *(formats_dir / name for name in names)).json
    assert [one["source"] for one in facts] == list(names)


def test_info_on_a_folder_is_one_line_each(run: Run, formats_dir: Path) -> None:
    done = run("info", formats_dir)
    groups = sl.read_groups(formats_dir)
    lines = [line for line in done.out.splitlines() if " keV" in line or "uncalibrated" in line]
    assert len(lines) == len(groups)
    assert "148,610,838" in done.out
    assert "e+" not in done.out
    assert done.out.count("skipped") == done.out.count("expected.json") == 1


def test_info_lists_labels_with_their_numbers(run: Run, world: Path) -> None:
    (facts,) = run("info", "--json", world / "test.npz").json
    assert facts["labels"] == {
        "Co60 + Cs137 + background": 20,
        "Cs137 + background": 20,
        "U235 + background": 20,
    }
    assert facts["detector"] == ["east"]


def test_info_names_the_provider_once(run: Run, gamma_flow_zip: Path) -> None:
    out = " ".join(run("info", gamma_flow_zip).out.split())
    assert out.count("Federal Office for Radiation Protection") == 1
    facts = run("info", "--json", gamma_flow_zip).json
    assert all("dl-de/by-2-0" in one["attribution"] for one in facts)


# -- convert ---------------------------------------------------------------------------------


def test_convert_keeps_every_count(run: Run, formats_dir: Path, tmp_path: Path) -> None:
    source, target = formats_dir / "falcon5000.cnf", tmp_path / "falcon.n42"
    done = run("convert", source, "--to", target, "--json")
    assert done.json["written"] == [str(target)]
    assert done.json["not_kept"] == []
    assert done.json["files"][0]["files"] == ["falcon5000.cnf"]
    before, after = sl.read(source), sl.read(target)
    assert np.array_equal(before.values, after.values)
    assert before.live_time == after.live_time


def test_convert_gives_each_axis_a_file(run: Run, formats_dir: Path, tmp_path: Path) -> None:
    source = formats_dir / "ba133_source_640s.n42"
    done = run("convert", source, "--to", tmp_path / "ba133.npz")
    assert done.code == 0
    groups = sl.read_groups(source)
    files = [tmp_path / f"ba133-{number}.npz" for number in range(1, len(groups) + 1)]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    for group, file in zip(groups, files, strict=True):
        assert str(file) in done.out
        again = sl.read(file)
        assert again.axis == group.axis
        assert np.array_equal(again.values, group.values)
    # A second time nothing is touched, unless it may be.
    assert run("convert", source, "--to", tmp_path / "ba133.npz").code == 2
    assert run("convert", source, "--to", tmp_path / "ba133.npz", "--overwrite").code == 0


def test_convert_is_a_function_too(world: Path, tmp_path: Path) -> None:
    (first,) = convert(world / "test.npz", tmp_path / "x.csv")
    assert (first.path, first.not_kept) == (tmp_path / "x.csv", ())
    written = convert([tmp_path / "x.csv"], tmp_path / "store.zarr")
    assert [one.path for one in written] == [tmp_path / "store.zarr"]
    assert convert(tmp_path / "x.csv", tmp_path / "store.zarr", overwrite=True) == written
    assert sl.read(written[0].path).fingerprint() == sl.read(world / "test.npz").fingerprint()


def test_convert_says_what_is_not_kept(run: Run, tmp_path: Path) -> None:
    spectra = sl.Spectra(np.ones((1, 64)), live_time=1.0, columns={"labels": [("Co60",)]})
    sl.write(spectra, tmp_path / "x.npz")
    done = run("convert", tmp_path / "x.npz", "--to", tmp_path / "x.spe")
    assert "not kept  labels" in " ".join(done.out.split(" " * 4)).replace("   ", "  ")
    found = run("convert", tmp_path / "x.npz", "--to", tmp_path / "y.spe", "--json").json
    assert found["not_kept"] == found["files"][0]["not_kept"] == ["labels"]
    kept = run("convert", tmp_path / "x.npz", "--to", tmp_path / "x.n42", "--json").json
    assert kept["not_kept"] == []
    assert "not kept" not in run("convert", tmp_path / "x.npz", "-o", tmp_path / "y.n42").out


def test_simulate_says_what_is_not_kept(run: Run, tmp_path: Path) -> None:
    done = run("simulate", "-o", tmp_path / "x.pcf", "-n", 3)
    assert "not kept" in done.out
    assert "labels" in done.out
    found = run("simulate", "-o", tmp_path / "y.pcf", "-n", 3, "--json").json
    assert "labels" in found["not_kept"]


def test_convert_says_which_files_went_where(run: Run, formats_dir: Path, tmp_path: Path) -> None:
    names = ("falcon5000.cnf", "falcon5000.spe", "falcon5000_converted.2006.n42", "sim_spec.spe")
    sources = [formats_dir / name for name in names]
    files = run("convert", *sources, "--to", tmp_path / "all.npz", "--json").json["files"]
    assert [one["files"] for one in files] == [[names[0]], [*names[1:3]], [names[3]]]
    assert len({one["axis"] for one in files}) == 3
    for one in files:
        assert list(dict.fromkeys(sl.read(one["path"]).column("file"))) == one["files"]
    out = run("convert", *sources, "--to", tmp_path / "again.npz").out
    assert all(name in out for name in names)


def test_convert_takes_the_format_by_name(run: Run, world: Path, tmp_path: Path) -> None:
    assert run("convert", world / "test.npz", "-o", tmp_path / "x", "--format", "N42").code == 0
    assert b"RadInstrumentData" in (tmp_path / "x").read_bytes()[:2000]


# -- simulate and explore --------------------------------------------------------------------


def test_simulate_draws_what_was_asked_for(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    arguments = ["-o", file, "-n", 50, "--nuclides", "Am241,Co60+Cs137", "--seed", 7]
    arguments += ["--counts", 500, 900, "--absorbers", "none,Fe 0.3", "--live-time", 2]
    arguments += ["--background", 100, 200, "--detector", "west"]
    done = run("simulate", *arguments, "--json")
    assert done.json == {"spectra": 50, "written": str(file), "not_kept": []}
    drawn = sl.read(file)
    assert {tuple(entry) for entry in drawn.labels} == {
        ("Am241", "background"),
        ("Co60", "Cs137", "background"),
    }
    assert set(drawn.column("absorber")) == {"", "Fe 0.3 cm"}
    assert set(drawn.column("detector")) == {"west"}
    assert drawn.live_time is not None
    assert (drawn.live_time == 2).all()
    assert drawn.totals.min() > 450
    assert drawn.totals.max() < 1300
    again = simulate_from_text(
        "Am241,Co60+Cs137",
        50,
        detector="west",
        counts=(500, 900),
        background=(100, 200),
        absorbers="none,Fe 0.3",
        live_time=2,
        seed=7,
    )
    assert again.fingerprint() == drawn.fingerprint()


def test_simulate_depends_on_the_seed(run: Run, tmp_path: Path) -> None:
    prints = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("simulate", "-o", tmp_path / f"{name}.npz", "-n", 5, "--seed", seed).code == 0
        prints.append(sl.read(tmp_path / f"{name}.npz").fingerprint())
    assert prints[0] == prints[1] != prints[2]


def test_explore_writes_a_page(run: Run, world: Path, tmp_path: Path) -> None:
    arguments = ["--labels", "Co60,Cs137", "--limit", 5, "--window", 40, 2000]
    done = run("explore", world / "train.npz", "--report", tmp_path / "out", *arguments, "--json")
    page = tmp_path / "out" / "report.html"
    assert done.json == {"spectra": 10, "report": str(page)}
    text = page.read_text(encoding="utf-8")
    assert "Mean spectra of Co60, Cs137," in text
    assert "Eu152" not in text


def test_explore_names_the_provider(run: Run, gamma_flow_zip: Path, tmp_path: Path) -> None:
    done = run("explore", gamma_flow_zip, "--detectors", "left", "--limit", 3, "--report", tmp_path)
    assert done.code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (" ".join(done.out.split()), page):
        assert "Federal Office for Radiation Protection (BfS)" in text
