from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.errors import FormatError
from spectraloom.io import Isolation


def same(one: sl.Spectra, other: sl.Spectra) -> bool:
    return one.fingerprint() == other.fingerprint() and dict(one.attrs) == dict(other.attrs)


def test_the_answer_is_that_of_reading_here(formats_dir: Path) -> None:
    for name in ("falcon5000.cnf", "sim_spec.spe"):
        assert same(sl.read(formats_dir / name, isolate=True), sl.read(formats_dir / name))
    here = sl.read_groups(formats_dir / "ba133_source_640s.n42")
    there = sl.read_groups(formats_dir / "ba133_source_640s.n42", isolate=True)
    assert [same(one, other) for one, other in zip(here, there, strict=True)] == [True] * 8


def test_streams_go_to_the_process_too(formats_dir: Path) -> None:
    data = (formats_dir / "falcon5000.spe").read_bytes()
    spectra = sl.read(io.BytesIO(data), isolate=Isolation(seconds=60))
    assert np.array_equal(spectra.values, sl.read(formats_dir / "falcon5000.spe").values)


def test_errors_come_back_with_the_name_of_the_file(formats_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.spe"
    path.write_bytes((formats_dir / "sim_spec.spe").read_bytes()[:2000])
    with pytest.raises(FormatError) as here:
        sl.read(path)
    with pytest.raises(FormatError) as there:
        sl.read(path, isolate=True)
    assert str(here.value) == str(there.value)
    assert "cut.spe" in str(there.value)


def in_every_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Run `code` in each Python process that starts from here on."""
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_a_crash_is_an_error(
    formats_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = (
        "import sys\n"
        "def stop(*a):\n"
        "    import ctypes\n"
        "    ctypes.string_at(0)\n"
        "import threading\n"
        "threading.Timer(0.05, stop).start()\n"
    )
    in_every_python(tmp_path, monkeypatch, crash)
    with pytest.raises(FormatError, match=r"sim_spec\.spe: the process .* ended with code"):
        sl.read(formats_dir / "sim_spec.spe", isolate=True)


def test_a_hang_is_an_error(
    formats_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_every_python(tmp_path, monkeypatch, "import time\ntime.sleep(60)\n")
    begin = time.monotonic()
    with pytest.raises(FormatError, match=r"sim_spec\.spe: reading was stopped after 1 s"):
        sl.read(formats_dir / "sim_spec.spe", isolate=Isolation(seconds=1.0))
    assert time.monotonic() - begin < 10


@pytest.mark.skipif(sys.platform == "win32", reason="no memory limit on Windows")
def test_too_much_memory_is_an_error(tmp_path: Path) -> None:
    channels = 50_000
    counts = "\n".join(["7"] * channels)
    path = tmp_path / "large.spe"
    path.write_text(f"$SPEC_ID:\nx\n$MEAS_TIM:\n1 1\n$DATA:\n0 {channels - 1}\n{counts}\n")
    assert sl.read(path, isolate=True).n_channels == channels
    with pytest.raises(FormatError, match=r"large\.spe.* (more than|needs) "):
        sl.read(path, isolate=Isolation(memory=150 * 1024**2))


def test_the_current_folder_is_not_imported_from(
    formats_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = formats_dir / "sim_spec.spe"
    (tmp_path / "numpy.py").write_text("open('imported', 'w').close()\nraise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    assert sl.read(path, isolate=True).totals[0] == 9964
    assert not (tmp_path / "imported").exists()
