from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import SpecUtils

import spectraloom as sl
from spectraloom.io.instruments.specutils_records import seconds, shortest

FILES = [
    "5samples_2dets.n42",
    "Ba133_unshielded_nai.n42",
    "SGM102432.spe",
    "alcatraz14.Spc",
    "alcatraz14.spe",
    "ba133_source_640s.n42",
    "digibase_5min_30_1.spe",
    "falcon5000.cnf",
    "falcon5000.spe",
    "falcon5000_converted.2006.n42",
    "falcon5000_converted.ascii.spc",
    "falcon5000_converted.chn",
    "falcon5000_converted.pcf",
    "gapped_samples.n42",
    "hpge_dummy_test_01.iec",
    "hpge_dummy_test_02a.iec",
    "nai3x3_sr90.pcf",
    "racetrack_mobile.n42",
    "sim_spec.spe",
    "trinitite_sample_b.n42",
]
# Channels, counts, live and real time of the files that the reference reader cannot read.
IEC = {"n_spectra": 1, "channels": 2048, "counts": 74305419, "live": 3564.0, "real": 3600.0}


def records(groups: list[sl.Spectra]) -> list[sl.Spectra]:
    """Single spectra in the order of the file."""
    single = [one for group in groups for one in group]
    return sorted(single, key=lambda one: int(one.columns["record"][0]))


def test_every_file_is_expected(formats_dir: Path) -> None:
    expected = json.loads((formats_dir / "expected.json").read_text())
    assert sorted(expected) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_numbers_are_those_of_the_reference(formats_dir: Path, name: str) -> None:
    expected = json.loads((formats_dir / "expected.json").read_text())[name]
    found = records(sl.read_groups(formats_dir / name))
    if "unread_by_reference" in expected:
        assert len(found) == IEC["n_spectra"]
        assert found[0].n_channels == IEC["channels"]
        assert found[0].totals[0] == IEC["counts"]
        assert found[0].live_time is not None
        assert found[0].live_time[0] == IEC["live"]
        assert found[0].real_time is not None
        assert found[0].real_time[0] == IEC["real"]
        return
    assert len(found) == expected["n_spectra"]
    total = sum(float(one.totals[0]) for one in found)
    assert total == pytest.approx(expected["total_counts"], rel=1e-8)
    # A CHN file holds times in ticks of 20 ms, and this one was converted from another format.
    tick = 0.02 if name.endswith(".chn") else 1e-4
    for one, wanted in ((found[0], expected["first"]), (found[-1], expected["last"])):
        assert one.n_channels == wanted["channels"]
        assert one.totals[0] == pytest.approx(wanted["counts"], rel=1e-8)
        assert one.live_time is not None
        assert one.live_time[0] == pytest.approx(wanted["live_time"], abs=tick)
        assert one.real_time is not None
        assert one.real_time[0] == pytest.approx(wanted["real_time"], abs=tick)
        assert one.axis.is_calibrated == (wanted["calibration"] != "none in file")
        if one.axis.is_calibrated:
            assert one.axis.edges[0] == pytest.approx(wanted["first_edge_kev"], abs=1e-3)
            assert one.axis.edges[-1] == pytest.approx(wanted["last_edge_kev"], abs=1e-3)
            assert (one.axis.quantity, one.axis.unit) == ("energy", "keV")


@pytest.mark.parametrize("name", FILES)
def test_a_stream_reads_as_the_file_does(formats_dir: Path, name: str) -> None:
    path = formats_dir / name
    from_file = sl.read_groups(path)
    from_stream = sl.read_groups(io.BytesIO(path.read_bytes()))
    assert len(from_file) == len(from_stream)
    for one, other in zip(from_file, from_stream, strict=True):
        assert np.array_equal(one.values, other.values)
        assert one.axis == other.axis


def test_one_measurement_in_every_format_is_the_same(formats_dir: Path) -> None:
    reference = sl.read(formats_dir / "falcon5000.spe")
    assert reference.axis.calibration is not None
    assert reference.axis.calibration.coefficients[:2] == (-0.21, 0.718993)
    for name in FILES:
        if name.startswith("falcon5000"):
            other = sl.read(formats_dir / name)
            # The program that made the SPE from the CNF put its first channel at number 1.
            shift = 1 if name.endswith(".cnf") else 0
            moved = np.roll(other.values, shift, axis=1)
            assert np.array_equal(moved, reference.values), name
            assert np.abs(other.axis.edges - reference.axis.edges).max() < 0.01, name
            assert other.columns["start_time"][0].astype("M8[m]") == np.datetime64(
                "2014-01-12T15:12"
            ), name


def test_exact_decimals_survive_the_float32_of_the_native_reader(formats_dir: Path) -> None:
    racetrack = sl.read(formats_dir / "racetrack_mobile.n42")
    assert racetrack.axis.calibration is not None
    assert racetrack.axis.calibration.coefficients[:2] == (1.8081, 2.9994)
    sr90 = sl.read(formats_dir / "nai3x3_sr90.pcf")
    assert sr90.real_time is not None
    assert sr90.real_time[0] == 304.3016
    assert sr90.axis.calibration is not None
    assert sr90.axis.calibration.model == "full range fraction"


def test_deviation_pairs_bend_the_axis(formats_dir: Path) -> None:
    axis = sl.read(formats_dir / "Ba133_unshielded_nai.n42").axis
    assert axis.calibration is not None
    assert axis.calibration.model == "lower edges"
    # Nodes in the file: +2 keV at 356 keV, +16 keV at 1836 keV on -0.21 + 2.9746 i.
    straight = -0.21 + 2.9746 * np.arange(1025)
    at = int(np.argmin(np.abs(axis.edges - 1836)))
    assert abs(axis.edges[at] - straight[at]) > 10


def test_columns(formats_dir: Path) -> None:
    portal = records(sl.read_groups(formats_dir / "ba133_source_640s.n42"))
    detectors = [str(one.columns["detector"][0]) for one in portal]
    assert detectors == ["A1", "A2", "A3", "A4", "B1", "B2", "B3", "B4"]
    mobile = sl.read(formats_dir / "racetrack_mobile.n42")
    assert mobile.columns["latitude"][0] == pytest.approx(30.13864, abs=1e-4)
    assert mobile.columns["neutron_counts"].sum() == 134
    assert mobile.columns["record"].tolist() == list(range(153))
    assert set(mobile.columns["file"]) == {"racetrack_mobile.n42"}
    assert mobile.attrs["format"] == "N42"
    assert mobile.columns["start_time"].dtype == np.dtype("M8[us]")
    unknown = sl.read(formats_dir / "gapped_samples.n42")
    assert np.isnat(unknown.columns["start_time"]).all()  # not 1970


def test_chn_keeps_the_channels_that_the_native_reader_clears(
    formats_dir: Path, tmp_path: Path
) -> None:
    data = bytearray((formats_dir / "falcon5000_converted.chn").read_bytes())
    for channel, counts in ((0, 5), (1, 7), (4094, 11), (4095, 13)):
        data[32 + 4 * channel : 36 + 4 * channel] = counts.to_bytes(4, "little")
    path = tmp_path / "edited.chn"
    path.write_bytes(data)
    file = SpecUtils.SpecFile()
    file.loadFile(str(path), SpecUtils.ParserType.Chn, "")
    native = np.array(file.measurement(0).gammaCounts())
    ours = sl.read(path).values[0]
    assert (native[[0, 1, -2, -1]] == 0).all()
    assert ours[[0, 1, -2, -1]].tolist() == [5, 7, 11, 13]
    assert np.array_equal(ours[2:-2], native[2:-2])
    # Live and real time of the header in the first two channels are clocks, not counts.
    data[32:40] = data[8:16]
    path.write_bytes(data)
    assert sl.read(path).values[0, :2].tolist() == [0, 0]


def radiacode(live: str = "") -> bytes:
    points = "".join(f"<DataPoint>{i % 7}</DataPoint>\n" for i in range(1024))
    return (
        '<?xml version="1.0"?>\n<ResultDataFile><FormatVersion>120920</FormatVersion>\n'
        "<ResultDataList><ResultData>"
        "<DeviceConfigReference><Name>RadiaCode-102</Name></DeviceConfigReference>"
        "<StartTime>2023-01-02T03:04:05</StartTime><EndTime>2023-01-02T03:14:05</EndTime>"
        "<EnergySpectrum><NumberOfChannels>1024</NumberOfChannels><SpectrumName>Probe"
        "</SpectrumName><EnergyCalibration><PolynomialOrder>2</PolynomialOrder><Coefficients>"
        "<Coefficient>-6.7</Coefficient><Coefficient>2.41</Coefficient>"
        "<Coefficient>0.0004</Coefficient></Coefficients></EnergyCalibration>"
        f"<MeasurementTime>600</MeasurementTime>{live}<Spectrum>{points}</Spectrum>"
        "</EnergySpectrum></ResultData></ResultDataList></ResultDataFile>"
    ).encode()


def amptek() -> bytes:
    counts = "\r\n".join(str(i % 7) for i in range(1024))
    return (
        "<<PMCA SPECTRUM>>\r\nTAG - live_data\r\nDESCRIPTION - \r\nGAIN - 3\r\n"
        "LIVE_TIME - 100.5\r\nREAL_TIME - 101.5\r\nSTART_TIME - 05/06/2015 12:00:00\r\n"
        f"SERIAL_NUMBER - 1234\r\n<<DATA>>\r\n{counts}\r\n<<END>>\r\n"
    ).encode()


def lsrm() -> bytes:
    counts = (np.arange(1024) % 7).astype("<i4").tobytes()
    return (
        b"SHIFR=Sample 1\r\nMEASBEGIN=12-03-20 10:11:12\r\nTLIVE=100.5\r\nTREAL=101.5\r\n"
        b"SPECTRSIZE=1024\r\nSPECTR=" + counts
    )


def phd() -> bytes:
    counts = [i % 7 for i in range(1024)]
    rows = "\n".join(f"{i + 1} " + " ".join(map(str, counts[i : i + 5])) for i in range(0, 1024, 5))
    return (
        "BEGIN IMS2.0\nMSG_TYPE DATA\n#Header 3\n#Acquisition\n"
        "2012/09/15 09:52:14.0 101.5        100.5\n#g_Spectrum\n1024 2720.5\n"
        f"{rows}\nSTOP\n"
    ).encode()


def tka() -> bytes:
    return ("100.5\r\n101.5\r\n" + "".join(f"{i % 7}\r\n" for i in range(1024))).encode()


@pytest.mark.parametrize(
    ("name", "data", "calibrated", "live", "real"),
    [
        # The file has one duration, and the native reader makes a live time of it.
        ("probe.xml", radiacode(), True, math.nan, 600.0),
        ("probe.mca", amptek(), True, 100.5, 101.5),
        ("probe.spe", lsrm(), False, 100.5, 101.5),
        ("probe.phd", phd(), True, 100.5, 101.5),
        ("probe.tka", tka(), False, 100.5, 101.5),
    ],
)
def test_formats_without_a_sample_file(
    name: str, data: bytes, calibrated: bool, live: float, real: float, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    spectra = sl.read(path)
    assert spectra.values[0].tolist() == [i % 7 for i in range(1024)]
    assert spectra.axis.is_calibrated == calibrated
    assert spectra.live_time is not None
    assert spectra.live_time[0] == pytest.approx(live, nan_ok=True)
    assert spectra.real_time is not None
    assert spectra.real_time[0] == real


@pytest.mark.parametrize("kind", ["SpcBinaryInt", "SpcBinaryFloat", "SpcAscii", "Uri", "Tka"])
def test_what_the_native_library_writes(kind: str, formats_dir: Path, tmp_path: Path) -> None:
    source = formats_dir / "sim_spec.spe"
    file = SpecUtils.SpecFile()
    file.loadFile(str(source), SpecUtils.ParserType.SpeIaea, "")
    path = tmp_path / f"written.{'tka' if kind == 'Tka' else 'any'}"
    file.writeToFile(
        str(path),
        list(file.sampleNumbers()),
        list(file.detectorNumbers()),
        getattr(SpecUtils.SaveSpectrumAsType, kind),
    )
    assert np.array_equal(sl.read(path).values, sl.read(source).values)


def test_a_table_is_not_taken_for_a_native_format() -> None:
    from spectraloom.io.instruments.specutils import NATIVE_READERS
    from spectraloom.io.source import Source

    tables = [
        b"1\n2\n3\n" * 40,
        b"energy,counts\n1,2\n3,4\n" * 40,
        b"1.0 2.0\n3.0 4.0\n" * 40,
        b"channel;a;b\n0;1;2\n1;3;4\n" * 40,
        b"live_time,100\nreal_time,101\n0,1\n1,2\n" * 20,
    ]
    for table in tables:
        source = Source.from_bytes(table, "table.csv")
        assert [reader.name for reader in NATIVE_READERS if reader.sniff(source)] == []


def test_times_as_the_file_meant_them() -> None:
    assert shortest(float(np.float32(841.42))) == 841.42
    assert shortest(float(np.float32(15569.38))) == 15569.38
    assert seconds(float(np.float32(0.1))) == 0.1
    assert math.isnan(seconds(0.0))
    assert math.isnan(seconds(-1.0))
    assert math.isnan(seconds(math.inf))


def test_real_time_that_spe_does_not_state_is_unknown(formats_dir: Path) -> None:
    text = (formats_dir / "sim_spec.spe").read_text().replace("100 100", "100 0")
    spectra = sl.read(io.BytesIO(text.encode()))
    assert spectra.live_time is not None
    assert spectra.live_time[0] == 100
    assert spectra.real_time is not None
    assert np.isnan(spectra.real_time[0])  # the native reader repeats the live time


def test_latin_1_texts_are_read(formats_dir: Path) -> None:
    data = (formats_dir / "sim_spec.spe").read_bytes()
    data = data.replace(b"Simulated background", b"100 \xb5Ci source")
    assert str(sl.read(io.BytesIO(data)).columns["title"][0]).startswith("100 µCi source")
    n42 = (formats_dir / "Ba133_unshielded_nai.n42").read_bytes()
    n42 = n42.replace(b"Title: Ba133", b"Title: \xb5Ba133")
    assert sl.read(io.BytesIO(n42)).totals[0] == 835193


def test_utf_16_is_read(formats_dir: Path) -> None:
    for name in ("Ba133_unshielded_nai.n42", "sim_spec.spe"):
        text = (formats_dir / name).read_text()
        spectra = sl.read(io.BytesIO(text.encode("utf-16")))
        assert np.array_equal(spectra.values, sl.read(formats_dir / name).values)


def test_derived_records_are_left_out(formats_dir: Path) -> None:
    # A sum over both detectors of a sample repeats counts that are there already.
    text = (formats_dir / "5samples_2dets.n42").read_text()
    start = text.index('<RadMeasurement id="Sample1">')
    end = text.index("</RadMeasurement>", start) + len("</RadMeasurement>")
    derived = (
        text[start:end]
        .replace("RadMeasurement", "DerivedData")
        .replace('id="Sample1', 'id="Derived1')
    )
    edited = text[:end] + derived + text[end:]
    spectra = sl.read(io.BytesIO(edited.encode()))
    assert len(spectra) == 10
    assert spectra.totals.sum() == pytest.approx(106900, rel=1e-8)


def test_reader_names_are_unique() -> None:
    names = [one.name for one in sl.io.formats()]
    assert len(names) == len(set(names))
    assert {"N42", "IAEA SPE", "Ortec CHN", "GADRAS PCF"} <= {
        one.name for one in sl.io.formats() if one.writes and one.reads
    }
    assert not any(one.writes for one in sl.io.formats() if one.name == "Canberra CNF")
