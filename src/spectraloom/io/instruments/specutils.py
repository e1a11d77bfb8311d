"""Formats read by SandiaSpecUtils: recognised by content, checked, then read by its one parser.

Its own guessing (which tries every parser, tables of text included) is never used. What each
format's `check` refuses, the native parser never sees.

Some formats have no mark of their own. A TKA file is a bare column of numbers, as a table of one
column is, so content cannot tell them apart and the ending ``.tka`` has to; MPS files are
checked by the text field that each of their records has.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SpecUtils

from spectraloom.data import Spectra
from spectraloom.errors import FormatError, SpectraloomError
from spectraloom.io.instruments import guards, n42, pcf, spe
from spectraloom.io.instruments.specutils_records import records_of
from spectraloom.io.instruments.xml_guard import as_utf8
from spectraloom.io.records import Record, group_records
from spectraloom.io.source import Source

Check = Callable[[bytes, str], tuple[bytes, Any]]
Refine = Callable[[list[Record], Any], None]


@dataclass(frozen=True, slots=True)
class NativeReader:
    """Reads one format through SandiaSpecUtils.

    Parameters
    ----------
    name : str
        Name of the format.
    suffixes : tuple of str
        Usual endings; ``suffixes[0]`` is what the native reader is shown.
    parser : str
        Name of its ``ParserType``; two parted by a blank are tried in turn.
    matches : callable
        Takes a Source; whether its content is of this format.
    check : callable
        Takes content and name; refuses what is damaged or dangerous, and returns the content
        to parse with what else was found in it.
    refine : callable
        Takes the records and what `check` found.
    """

    name: str
    suffixes: tuple[str, ...]
    parser: str
    matches: Callable[[Source], bool]
    check: Check = guards.accept
    refine: Refine = guards.keep

    def sniff(self, source: Source) -> bool:
        """Whether the content is of this format."""
        return len(source.head) > 0 and self.matches(source)

    def read(self, source: Source) -> list[Spectra]:
        """One Spectra per axis.

        Raises
        ------
        FormatError
            If the file is damaged, cut off, or holds no gamma spectra.
        """
        content, found = self.check(source.content(), source.name)
        records, derived = records_of(self._load(content, source), source.file)
        if not records:
            raise FormatError(f"{source.name}: this {self.name} file holds no gamma spectrum")
        self.refine(records, found)
        attrs: dict[str, Any] = {"source": source.file, "format": self.name}
        if derived:
            attrs["derived_records_skipped"] = derived
        try:
            return group_records(records, attrs)
        except SpectraloomError as error:
            raise FormatError(f"{source.name}: not a valid {self.name} file: {error}") from error

    def _load(self, content: bytes, source: Source) -> Any:
        file = SpecUtils.SpecFile()
        # From a file of our own: several native parsers cannot read Python streams, and what
        # was checked must be what is parsed.
        with tempfile.TemporaryDirectory(prefix="spectraloom-") as folder:
            copy = Path(folder) / f"spectrum{self.suffixes[0]}"
            try:
                copy.write_bytes(content)
            except OSError as error:
                raise FormatError(f"{source.name}: no temporary file for it: {error}") from error
            for parser in self.parser.split():
                try:
                    file.loadFile(str(copy), getattr(SpecUtils.ParserType, parser), "")
                except (RuntimeError, ValueError, MemoryError):
                    continue
                return file
        raise FormatError(
            f"{source.name}: the content is that of the format {self.name}, but it cannot be "
            "parsed: the file may be damaged or cut off"
        )


# -- recognition -----------------------------------------------------------------------------


def _text_head(source: Source, length: int = 4096) -> bytes:
    return as_utf8(source.head[:length])


def _begins(*marks: bytes) -> Callable[[Source], bool]:
    return lambda source: _text_head(source).startswith(marks)


def _xml_with(*marks: bytes) -> Callable[[Source], bool]:
    def matches(source: Source) -> bool:
        head = _text_head(source)
        return head.startswith(b"<") and any(mark in head for mark in marks)

    return matches


def _has_all(*marks: bytes) -> Callable[[Source], bool]:
    return lambda source: all(mark in _text_head(source) for mark in marks)


def _is_spe(source: Source) -> bool:
    return re.match(rb"\$[A-Z][A-Z0-9_]*:", _text_head(source)) is not None


def _is_ascii_spc(source: Source) -> bool:
    head = _text_head(source)
    return (
        re.match(rb"[A-Za-z][\w ]{2,}\s*:", head) is not None
        and re.search(rb"^(XUnit|CalibCoeff|SpectrumText|Length)\s*:", head, re.M) is not None
        and re.search(rb"^(Live|Real)time\s*:", head, re.M | re.I) is not None
    )


def _is_binary_spc(source: Source) -> bool:
    head = source.head
    if len(head) < 128 or head[:2] != b"\x01\x00" or head[2:4] not in (b"\x01\x00", b"\x05\x00"):
        return False
    first_block = int.from_bytes(head[60:62], "little")
    channels = int.from_bytes(head[64:66], "little")
    return first_block >= 1 and channels >= 1


def _is_cnf(source: Source) -> bool:
    # The header of a CAM file says its own size and where its blocks begin.
    head = source.head
    return len(head) >= 2048 and head[:2] == b"\x00\x04" and head[0x70:0x74] == b"\x00\x20\x01\x00"


def _is_lsrm(source: Source) -> bool:
    head = source.head
    return b"SPECTR=" in head and any(
        mark in head for mark in (b"SHIFR=", b"MEASBEGIN=", b"TLIVE=")
    )


def _is_tka(source: Source) -> bool:
    if not source.name.lower().endswith(".tka") or source.size > 512 * 1024:
        return False
    lines = source.head.split(b"\n")[:-1] or [source.head]
    return all(re.fullmatch(rb"\s*[+-]?[\d.]*\s*", line) for line in lines) and (
        sum(bool(line.strip()) for line in lines) >= 18
    )


def _is_mps(source: Source) -> bool:
    size, text = 10597, source.head[10452:10580]
    return (
        source.size >= size
        and source.size % size == 0
        and len(text) == 128
        and all(byte == 0 or 32 <= byte < 127 or byte in (10, 13) for byte in text)
        and text.strip(b"\0 ") != b""
    )


def _is_exploranium(source: Source) -> bool:
    head = source.head
    return (
        head[:4] == b"ZZZZ"
        and len(head) >= 512
        and (head[8:9] in (b"A", b"C") or head[4:5] in (b"A", b"C") or head[6:7] in (b"A", b"D"))
    )


NATIVE_READERS: tuple[NativeReader, ...] = (
    NativeReader(
        "N42",
        (".n42", ".xml"),
        "N42_2012",
        _xml_with(b"RadInstrumentData", b"N42InstrumentData", b"nist.gov/N42", b"ICD1", b"HPRDS"),
        n42.check,
        n42.refine,
    ),
    NativeReader("IAEA SPE", (".spe",), "SpeIaea", _is_spe, spe.check, spe.refine),
    NativeReader(
        "GADRAS PCF",
        (".pcf",),
        "Pcf",
        lambda source: pcf.looks_like(source.head, source.size),
        pcf.check,
        pcf.refine,
    ),
    NativeReader("Canberra CNF", (".cnf",), "Cnf", _is_cnf, guards.check_cnf),
    NativeReader(
        "Ortec SPC",
        (".spc",),
        "Spc",
        _is_binary_spc,
        guards.check_binary_spc,
        guards.forget_position,
    ),
    NativeReader("ASCII SPC", (".spc",), "Spc", _is_ascii_spc, guards.check_ascii_spc),
    NativeReader(
        "Amptek MCA", (".mca",), "AmptekMca", _begins(b"<<PMCA SPECTRUM>>"), guards.check_amptek
    ),
    NativeReader(
        "RADDATA URI",
        (".txt", ".uri"),
        "Uri",
        _begins(b"RADDATA://", b"raddata://"),
        guards.check_uri,
    ),
    NativeReader(
        "RadiaCode XML",
        (".xml", ".rcxml"),
        "RadiaCode",
        _xml_with(b"<ResultDataFile"),
        guards.check_whole_xml,
        guards.forget_live_time,
    ),
    NativeReader(
        "RadiaCode spectrogram",
        (".rcspg",),
        "RadiaCode",
        _begins(b"Spectrogram:"),
    ),
    NativeReader("LSRM SPE", (".spe",), "LsrmSpe", _is_lsrm, guards.check_lsrm),
    NativeReader(
        "Ortec list mode",
        (".lis",),
        "OrtecListMode",
        _begins(b"\xf3\xff\xff\xff"),
        guards.check_list_mode,
    ),
    NativeReader(
        "Exploranium GR-130/135",
        (".dat",),
        "Exploranium",
        _is_exploranium,
        guards.check_exploranium,
    ),
    NativeReader(
        "GR-135 text",
        (".txt",),
        "TxtOrCsv",
        _has_all(b"counts Live time (s)", b"gieger"),
        guards.check_gr135_text,
    ),
    NativeReader("Kromek D3S raw", (".csv",), "TxtOrCsv", _begins(b"Bin Number, 0, 1,")),
    NativeReader(
        "Portal daily file",
        (".txt",),
        "SPMDailyFile",
        lambda source: (
            re.match(rb"(GB|NB|S1|S2|GS|NS|ID|AB),", source.head) is not None
            and re.search(rb"^(GB|GS),[^,\r\n]*,", source.head, re.M) is not None
        ),
    ),
    NativeReader("IMS PHD", (".phd",), "Phd", _has_all(b"#g_Spectrum"), guards.check_phd),
    NativeReader("MultiAct", (".spm",), "MultiAct", _begins(b"MultiAct")),
    NativeReader("TRACS MPS", (".mps",), "TracsMps", _is_mps),
    NativeReader(
        "Bridgeport JSON",
        (".json",),
        "Json MicroRaider",  # the library, 0.0.11, has its JSON parser under the other name
        _has_all(b'"histo"', b'"registers"'),
        guards.check_json,
    ),
    NativeReader(
        "CAEN GXml",
        (".gxml",),
        "CaenHexagonGXml",
        _xml_with(b"<BGAMMA", b"<bgamma"),
        guards.check_whole_xml,
    ),
    NativeReader(
        "MicroRaider",
        (".xml",),
        "MicroRaider Auto",
        _xml_with(b"<IdResult"),
        guards.check_whole_xml,
    ),
    NativeReader(
        "ScanData XML", (".xml",), "ScanDataXml", _xml_with(b"<scanData"), guards.check_whole_xml
    ),
    NativeReader(
        "LabZY LZS", (".lzs",), "Lzs", _xml_with(b"<nanoMCA", b"<spectrum>"), guards.check_lzs
    ),
    NativeReader("ARAM", (".txt", ".xml"), "Aram", _has_all(b"<event", b"ARAM"), guards.check_aram),
    NativeReader("TKA", (".tka",), "Tka", _is_tka),
)
