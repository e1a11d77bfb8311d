from __future__ import annotations

import base64
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spectraloom as sl
from spectraloom.errors import FormatError
from spectraloom.io.reading import READERS, read_source
from spectraloom.io.source import Source

FILES = [
    "5samples_2dets.n42",
    "SGM102432.spe",
    "alcatraz14.Spc",
    "digibase_5min_30_1.spe",
    "falcon5000.cnf",
    "falcon5000_converted.2006.n42",
    "falcon5000_converted.ascii.spc",
    "falcon5000_converted.chn",
    "falcon5000_converted.pcf",
    "gapped_samples.n42",
    "hpge_dummy_test_01.iec",
    "nai3x3_sr90.pcf",
    "sim_spec.spe",
    "trinitite_sample_b.n42",
]
LARGE = [
    "Ba133_unshielded_nai.n42",
    "alcatraz14.spe",
    "ba133_source_640s.n42",
    "falcon5000.spe",
    "hpge_dummy_test_02a.iec",
    "racetrack_mobile.n42",
]


def refused(data: bytes, name: str) -> str:
    with pytest.raises(FormatError) as caught:
        read_source(Source.from_bytes(data, name))
    message = str(caught.value)
    assert message.startswith(name), message
    said = ("expected", "not a valid", "cannot be parsed", "cut off")
    assert any(words in message for words in said), message
    return message


# -- what is no spectrum file ------------------------------------------------------------------


@pytest.mark.parametrize("suffix", sorted({s for r in READERS for s in r.suffixes}))
def test_empty_and_random_files_are_refused(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(len(suffix))
    for number, data in enumerate(
        [b"", b"\0", b"\n\n\n", b" ", *(rng.bytes(2**k) for k in range(1, 18, 3))]
    ):
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(data)
        with pytest.raises(FormatError) as caught:
            sl.read_groups(path)
        assert path.name in str(caught.value)
        assert "expected" in str(caught.value)


def test_two_gigabytes_of_zeros_are_refused_at_once(tmp_path: Path) -> None:
    marks = [
        b"",
        b"$SPEC_ID:\n$DATA:\n0 1023\n",
        b"<?xml?><RadInstrumentData>",
        b"A004\nA004\n",
        b"\xff\xff" + bytes(28) + b"\x00\x04",
        b"\x93NUMPY",
        b"PK\x03\x04",
        b"RADDATA://G0/",
    ]
    begin = time.monotonic()
    for number, mark in enumerate(marks):
        for suffix in ("", ".n42", ".csv", ".pcf", ".tka", ".mps"):
            path = tmp_path / f"zeros{number}{suffix}"
            with path.open("wb") as file:
                file.write(mark)
                file.truncate(2 * 1024**3)
            with pytest.raises(FormatError, match=path.name):
                sl.read_groups(path)
            path.unlink()
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize(
    "name",
    [
        "sim_spec.spe",
        "falcon5000.cnf",
        "nai3x3_sr90.pcf",
        "trinitite_sample_b.n42",
        "falcon5000_converted.chn",
    ],
)
def test_a_wrong_ending_does_not_matter(name: str, formats_dir: Path, tmp_path: Path) -> None:
    right = sl.read(formats_dir / name)
    for ending in ("", ".csv", ".n42", ".pcf", ".txt", ".npy", ".xlsx", ".tka"):
        path = tmp_path / f"wrong{ending}"
        path.write_bytes((formats_dir / name).read_bytes())
        assert np.array_equal(sl.read(path).values, right.values)


# -- what was cut off ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FILES, *LARGE])
def test_a_cut_off_file_gives_all_or_nothing(
    name: str, formats_dir: Path, reading_process: Any
) -> None:
    data = (formats_dir / name).read_bytes()
    whole = reading_process.read(name, data)
    assert whole["result"] == "spectra"
    rng = np.random.default_rng(7)
    cuts = {len(data) - k for k in (1, 2, 3, 5, 8, 100, 256, 512, 4096)} | set(
        rng.integers(0, len(data), 15 if name in FILES else 6).tolist()
    )
    answers = [reading_process.read(name, data[:cut]) for cut in sorted(cuts) if cut >= 0]
    for answer in answers:
        # Only texts after the counts may be lacking.
        assert answer["result"] == "refused" or answer == whole, answer
    assert sum(answer["result"] == "refused" for answer in answers) > len(answers) // 2


# -- what was damaged ----------------------------------------------------------------------------

PIECES = [
    b"",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"-1 ",
    b"nan ",
    b"1e99 ",
    b"0 ",
    b"99999999999999999999 ",
    b"<a>",
    b"</a>",
    b"<!--",
    b"]]>",
    b"&#0;",
    b"$DATA:\n0 7\n",
    b"\r\n",
    b"A004",
    b"ZZZZ",
    b"\x80\xfe",
    b"%s%n",
]

mutations = st.lists(
    st.tuples(
        st.sampled_from(["set", "flip", "insert", "delete", "copy", "cut", "word"]),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from([64, 600, 4096, 10**9]),  # headers matter most
        st.integers(0, 65535),
        st.sampled_from(PIECES),
    ),
    min_size=1,
    max_size=6,
)


def mutate(data: bytes, steps: list[tuple[str, float, int, int, bytes]]) -> bytes:
    changed = bytearray(data)
    for kind, place, within, number, piece in steps:
        at = int(place * min(len(changed), within))
        if kind == "set":
            changed[at : at + len(piece)] = piece
        elif kind == "flip" and changed:
            changed[at] ^= 1 << number % 8
        elif kind == "insert":
            changed[at:at] = piece
        elif kind == "delete":
            del changed[at : at + number % 300]
        elif kind == "copy":
            changed[at:at] = changed[number : number + 5000]
        elif kind == "cut":
            del changed[at:]
        elif kind == "word":
            changed[at : at + 2] = number.to_bytes(2, "little")
    return bytes(changed)


@pytest.mark.parametrize("name", [*FILES, *LARGE])
def test_damage_gives_spectra_or_an_error(
    name: str, formats_dir: Path, reading_process: Any
) -> None:
    data = (formats_dir / name).read_bytes()

    @settings(max_examples=200 if name in FILES else 40)
    @given(mutations)
    def damaged(steps: list[tuple[str, float, int, int, bytes]]) -> None:
        answer = reading_process.read(name, mutate(data, steps))
        assert answer["result"] in ("spectra", "refused"), answer["message"]
        if answer["result"] == "refused":
            assert name in answer["message"]

    damaged()


def test_the_fuzz_notices_a_crash(reading_process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    process = type(reading_process)()
    monkeypatch.setattr(process, "seconds", 5.0)
    try:
        assert process.read("x", b"no format")["result"] == "refused"
        process._process.kill()
        assert process.read("x", b"no format")["result"] == "crash"
        assert process.read("x", b"no format")["result"] == "refused"  # a new one
    finally:
        process.close()


# -- what was made to do harm ------------------------------------------------------------------


def n42(inner: str, head: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>{head}<RadInstrumentData xmlns="http://physics.nist.gov/N42/2011/N42">'
        f"{inner}</RadInstrumentData>{' ' * 600}"
    ).encode()


def spectrum(counts: str, code: str = "CountedZeroes") -> str:
    return (
        '<RadDetectorInformation id="a"/><RadMeasurement id="m">'
        "<MeasurementClassCode>Foreground</MeasurementClassCode>"
        "<RealTimeDuration>PT2S</RealTimeDuration>"
        '<Spectrum id="s" radDetectorInformationReference="a">'
        "<LiveTimeDuration>PT1.5S</LiveTimeDuration>"
        f'<ChannelData compressionCode="{code}">{counts}</ChannelData></Spectrum></RadMeasurement>'
    )


def test_a_harmless_document_is_read() -> None:
    (group,) = read_source(Source.from_bytes(n42(spectrum("0 3 5 6 7 8 9 0 1")), "a.n42"))
    assert group.values[0].tolist() == [0, 0, 0, 5, 6, 7, 8, 9, 0]
    assert group.live_time is not None
    assert group.live_time[0] == 1.5


def test_xml_that_nests_deep_is_refused() -> None:
    # A native parser that recurses would end the process.
    deep = "<a>" * 200_000 + "</a>" * 200_000
    assert "nest too deep" in refused(n42(deep + spectrum("1 2 3")), "deep.n42")
    for head in (b"<nanoMCA><spectrum><data>1", b'<event x="ARAM"><gamma>'):
        text = head + b"<a>" * 200_000
        assert "nest too deep" in refused(text, "deep.lzs")


def test_xml_entities_are_refused() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "' + "x" * 1000 + '"><!ENTITY c "' + "&b;" * 1000 + '">]>'
    assert "entity" in refused(n42(spectrum("1 2 3"), bomb), "bomb.n42")
    outside = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>'
    assert "entity" in refused(n42("&b;", outside), "outside.n42")


def test_counted_zeroes_without_end_are_refused() -> None:
    for counts in ("0 4000000000", "0 1e300", "0 nan", "0 -5", "1 2 0 1048577", "0 9 " * 200_000):
        refused(n42(spectrum(counts)), "zeroes.n42")


@pytest.mark.parametrize("counts", ["1 2 -3", "1 2 x", "1 2 nan", "1 2 inf", "1 2 1e999"])
def test_counts_that_are_none_are_refused(counts: str, formats_dir: Path) -> None:
    refused(n42(spectrum(counts, "None")), "counts.n42")
    spe = (formats_dir / "sim_spec.spe").read_text()
    bad = counts.split()[-1]
    refused(spe.replace("    14\n", f"    {bad}\n", 1).encode(), "counts.spe")


def test_pcf_values_that_are_no_counts_are_refused(formats_dir: Path) -> None:
    data = (formats_dir / "nai3x3_sr90.pcf").read_bytes()
    for value in (np.nan, np.inf, -1.0):
        changed = data[:2000] + np.float32(value).tobytes() + data[2004:]
        assert "no counts" in refused(changed, "counts.pcf")  # not a silent zero
    channels = data[:508] + (10**6).to_bytes(4, "little") + data[512:]
    refused(channels, "channels.pcf")


def test_a_uri_that_unpacks_to_gigabytes_is_refused() -> None:
    # Deflate packs 1032 to 1 at best, so what is short cannot be large.
    text = b"RADDATA://G0/0000/" + b"NCF" * (400 * 1024**2 // 1032 // 2)
    assert "longer than 128 KiB" in refused(text, "bomb.txt")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<nanoMCA></data>" + b"<spectrum></spectrum>" * 20_000, "a.lzs"),
        (b"<<PMCA SPECTRUM>>\n" + b"<<DATA>>" * 40_000, "a.mca"),
        (b"BEGIN IMS2.0\n#g_Spectrum\n" + b"\n" * 200_000 + b"X", "a.phd"),
    ],
)
def test_marks_that_repeat_without_end_take_no_time(data: bytes, name: str) -> None:
    started = time.process_time()
    refused(data, name)
    assert time.process_time() - started < 1.5


def test_a_uri_is_read_and_a_cut_one_refused() -> None:
    counts = bytes(range(1, 101))
    # Streamed variable-byte integers: number, two bits of length for each, then the bytes.
    body = (100).to_bytes(2, "little") + bytes(25) + counts
    text = b"I:F T:101.5,100.25 C:-6.5,2.5 M:x P:20200102T030405 O:Probe S:" + body
    packed = base64.urlsafe_b64encode(zlib.compress(text))
    uri = b"RADDATA://G0/1800/" + packed
    (group,) = read_source(Source.from_bytes(uri, "probe.txt"))
    assert group.values[0].tolist() == list(range(1, 101))
    assert group.axis.edges[0] == -6.5
    assert group.live_time is not None
    assert group.live_time[0] == 100.25
    refused(uri[:-30], "cut.txt")


def test_a_channel_too_many_or_too_few_is_refused(formats_dir: Path) -> None:
    text = (formats_dir / "sim_spec.spe").read_text()
    few = text.replace("     0\n", "", 1).encode()
    assert "1024 channels as it announces, but it holds 1023" in refused(few, "few.spe")
    assert "holds 1025" in refused(
        text.replace("     0\n", "     0\n     0\n", 1).encode(), "many.spe"
    )


def test_no_temporary_file_stays(formats_dir: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = (formats_dir / "falcon5000.cnf").read_bytes()
    read_source(Source.from_bytes(data, "a.cnf"))
    refused(data[: len(data) // 2], "b.cnf")
    assert list(tmp_path.iterdir()) == []
