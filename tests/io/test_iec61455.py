from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import spectraloom as sl
from spectraloom.errors import FormatError


def iec(
    *,
    n: int = 12,
    calibration: str = "-1.55656000E-02 8.00000000E-01-2.97939000E-08 0.00000000E+00",
    pairs: str = "",
    dates: str = "09/12/21 10:54:31 08/25/21 11:34:36",
    counts: list[int] | None = None,
) -> bytes:
    counts = list(range(n)) if counts is None else counts
    lines = [
        "SYSTEM   HPGE   0   0     0",
        f"     3564.00     3600.00{n:6d}",
        dates,
        calibration,
        " 1.00000000E-01 2.00000000E-02 3.00000000E-03 4.00000000E-04",
        *["a description", "in several", "lines", ""],
        "",
        *[pairs, *[" 0.000000000E+00" * 4] * 11],
        *[" 0.000000000E+00" * 4] * 24,
        *[""] * 12,
    ]
    assert len(lines) == 58
    for first in range(0, len(counts), 5):
        row = "".join(f"{value:10d}" for value in counts[first : first + 5])
        lines.append(f"{first:6d}{row}")
    return "".join(f"A004{line:66s}\r\n" for line in lines).encode()


def read(data: bytes) -> sl.Spectra:
    return sl.read(io.BytesIO(data))


def test_real_file(formats_dir: Path) -> None:
    spectra = sl.read(formats_dir / "hpge_dummy_test_01.iec")
    assert spectra.shape == (1, 2048)
    assert spectra.values[0, :3].tolist() == [40680, 41390, 41100]
    assert spectra.totals[0] == 74305419
    assert spectra.axis.calibration is not None
    assert spectra.axis.calibration.coefficients == (-1.55656e-2, 0.8, -2.97939e-8, 0.0)
    assert spectra.columns["start_time"][0] == np.datetime64("2021-09-12T10:54:31")
    assert spectra.columns["title"][0] == "Dummy data No real sample used Test case 1"
    assert spectra.columns["detector"][0] == "NUCICA HPGE"


def test_fields_that_touch_each_other() -> None:
    spectra = read(iec())
    assert spectra.values[0].tolist() == list(range(12))
    assert spectra.axis.edges[0] == -1.55656e-2
    assert spectra.axis.edges[-1] == pytest.approx(-1.55656e-2 + 0.8 * 12 - 2.97939e-8 * 144)


def test_calibration_from_pairs_of_energy_and_channel() -> None:
    none = " 0.00000000E+00" * 4
    pairs = " 1.000000000E+02 1.000000000E+01 3.000000000E+02 3.000000000E+01"
    spectra = read(iec(calibration=none, pairs=pairs))
    assert np.allclose(spectra.axis.edges, 10.0 * np.arange(13))
    assert not read(iec(calibration=none)).axis.is_calibrated
    # A polynomial that falls is no calibration.
    assert not read(iec(calibration=" 1.00000000E+00-1.00000000E+00")).axis.is_calibrated


def test_dates() -> None:
    day_first = read(iec(dates="09/12/21 10:54:31 25/08/21 11:34:36"))
    assert day_first.columns["start_time"][0] == np.datetime64("2021-12-09T10:54:31")
    assert np.isnat(read(iec(dates="")).columns["start_time"][0])
    assert np.isnat(read(iec(dates="99/99/21 10:54:31")).columns["start_time"][0])


def test_padding_after_the_last_channel_is_left_out() -> None:
    padded = [*range(12), 0, 0, 0]
    assert read(iec(counts=padded)).values[0].tolist() == list(range(12))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (iec(counts=list(range(10))), "announces 12 channels and holds 10"),
        (iec(counts=[*range(12), 7]), "announces 12 channels and holds 13"),
        (iec(counts=[-1] * 12), "negative"),
        (iec().replace(b"    10        10", b"    11        10"), "follow those of channel 9"),
        (iec().replace(b"        11 ", b"        1x "), "not all whole numbers"),
        (iec().replace(b"3564.00     3600.00    12", b"3564.00     3600.00    xx"), "record 2"),
        (iec()[:3000], "ends after"),
        (iec().replace(b"A004    10", b"B004    10"), "line 61 does not begin with A004"),
    ],
)
def test_damage_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        sl.io.reading.read_source(sl.io.reading.Source.from_bytes(data, "x.iec"))
    assert str(caught.value).startswith("x.iec: expected an IEC 61455 file")
