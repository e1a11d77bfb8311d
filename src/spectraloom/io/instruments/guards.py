"""Checks of single formats before the native parser: cut off, inflated, or nested too deep."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from spectraloom.errors import FormatError
from spectraloom.io.instruments.xml_guard import as_utf8, check_sloppy_xml, check_xml
from spectraloom.io.records import Record

# Their counts are deflated, at most 1032 to 1: this unpacks to 130 MiB or less, whatever it holds.
_MAX_URI_BYTES = 128 * 1024


def accept(content: bytes, _name: str) -> tuple[bytes, None]:
    """Formats that say nothing of their own length."""
    return content, None


def keep(_records: list[Record], _found: Any) -> None:
    """Formats that need nothing changed."""


def check_whole_xml(content: bytes, name: str) -> tuple[bytes, None]:
    """Well-formed XML to its end."""
    content = as_utf8(content)
    check_xml(content, name, "an XML spectrum file")
    return content, None


def forget_live_time(records: list[Record], _found: Any) -> None:
    """RadiaCode files hold one duration, the real time; the native live time is an estimate."""
    for record in records:
        record.live_time = math.nan


def forget_position(records: list[Record], _found: Any) -> None:
    """The native reader takes the seconds of an Ortec SPC position ten times too large."""
    for record in records:
        record.columns.pop("latitude", None)
        record.columns.pop("longitude", None)


def check_lzs(content: bytes, name: str) -> tuple[bytes, None]:
    """The data element is closed; the rest of these files is often not quite XML."""
    content = as_utf8(content)
    check_sloppy_xml(content, name, "a LabZY LZS file")
    _require(b"</data>" in content, name, "LabZY LZS", "its data do not end")
    declared = re.search(rb"<softsize>\s*(\d+)", content)
    data = _between(content[content.find(b"<spectrum>") :], b"<data>", b"</data>")
    if declared and data is not None:
        _require_channels(int(declared[1]), len(data.split()), name, "LabZY LZS")
    return content, None


def check_aram(content: bytes, name: str) -> tuple[bytes, None]:
    """The event is closed."""
    content = as_utf8(content)
    check_sloppy_xml(content, name, "an ARAM file")
    _require(b"</event" in content, name, "ARAM", "its event does not end")
    return content, None


def check_amptek(content: bytes, name: str) -> tuple[bytes, None]:
    """The data end with their mark and hold whole numbers only."""
    data = _between(content, b"<<DATA>>", b"<<END>>")
    if data is None:
        raise FormatError(
            f"{name}: expected an Amptek MCA file, but it is cut off (no <<END>> after <<DATA>>)"
        )
    _require(
        all(word.isdigit() for word in data.split()),
        name,
        "Amptek MCA",
        "its counts are not all whole numbers",
    )
    return content, None


def check_phd(content: bytes, name: str) -> tuple[bytes, None]:
    """A message of the International Monitoring System ends with STOP."""
    _require(
        any(line.strip() == b"STOP" for line in content.splitlines()),
        name,
        "IMS PHD",
        "it does not end with STOP",
    )
    return content, None


def check_json(content: bytes, name: str) -> tuple[bytes, None]:
    """Documents of JSON, one after the other."""
    text = content.decode("utf-8", errors="replace").strip("\0 \t\r\n")
    decoder = json.JSONDecoder()
    at = 0
    try:
        while at < len(text):
            _, at = decoder.raw_decode(text, at)
            while at < len(text) and text[at].isspace():
                at += 1
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"{name}: expected a Bridgeport JSON file, but it is damaged or cut off"
        ) from error
    return content, None


def check_ascii_spc(content: bytes, name: str) -> tuple[bytes, None]:
    """As many counts as the header announces."""
    length = re.search(rb"^Length\s*:\s*(\d+)", content, re.MULTILINE)
    body = re.split(rb"^SpectrumText\s*:[^\r\n]*", content, maxsplit=1, flags=re.MULTILINE)
    if length is not None and len(body) == 2:
        # Counts are lines of numbers; some instruments add named lines after them.
        lines = re.findall(rb"^[\d\s,.;+-]+$", body[1], re.MULTILINE)
        words = b" ".join(lines).replace(b",", b" ").split()
        _require_channels(int(length[1]), len(words), name, "ASCII SPC")
    else:
        _require(False, name, "ASCII SPC", "it has no Length or no SpectrumText")
    return content, None


def check_binary_spc(content: bytes, name: str) -> tuple[bytes, None]:
    """The file reaches to the end of the spectrum that its header points at.

    Words of the header, counted from 1: 31 first block of the spectrum, 32 number of its blocks,
    33 number of channels (ORTEC Software File Structure Manual); blocks have 128 bytes.
    """
    words = [int.from_bytes(content[2 * i : 2 * i + 2], "little") for i in range(64)]
    first, channels = words[30], words[32]
    _require(
        128 * (first - 1) + 4 * channels <= len(content),
        name,
        "Ortec SPC",
        f"it ends before its {channels} channels do",
    )
    return content, None


def check_cnf(content: bytes, name: str) -> tuple[bytes, None]:
    """The file is as long as its header says, and every block lies inside it."""
    size = int.from_bytes(content[0x0A:0x0E], "little")
    _require(len(content) >= size > 0, name, "Canberra CNF", "it is shorter than it announces")
    return content, None


def check_lsrm(content: bytes, name: str) -> tuple[bytes, None]:
    """Four bytes per announced channel after the mark of the spectrum."""
    declared = re.search(rb"^SPECTRSIZE\s*=\s*(\d+)", content, re.MULTILINE)
    start = content.find(b"SPECTR=") + len(b"SPECTR=")
    if declared is not None:
        _require_channels(int(declared[1]), (len(content) - start) // 4, name, "LSRM SPE")
    return content, None


def check_gr135_text(content: bytes, name: str) -> tuple[bytes, None]:
    """The instrument has 1024 channels, one line each, below a line of titles."""
    lines = [line for line in content.splitlines() if line.strip(b"\0 \t")]
    _require_channels(1024, len(lines) - 1, name, "GR-135 text")
    return content, None


def check_list_mode(content: bytes, name: str) -> tuple[bytes, None]:
    """A header of 256 bytes and whole events of four; the file does not say how many."""
    _require((len(content) - 256) % 4 == 0, name, "Ortec list mode", "its last event is cut off")
    return content, None


def check_exploranium(content: bytes, name: str) -> tuple[bytes, None]:
    """The last record is complete: 256 or 1024 channels of two bytes."""
    start = content.rfind(b"ZZZZ")
    wide = (
        content[start + 6 : start + 7] not in (b"A", b"S", b"D")
        or content[start + 4 : start + 7] == b"135"
    )
    least = 75 + 2 * 1024 if wide else 47 + 2 * 256
    _require(len(content) - start >= least, name, "Exploranium", "its last record is cut off")
    return content, None


def check_uri(content: bytes, name: str) -> tuple[bytes, None]:
    """URIs are short: made for barcodes, of a few kB each."""
    _require(
        len(content) <= _MAX_URI_BYTES,
        name,
        "RADDATA URI",
        f"it is longer than {_MAX_URI_BYTES // 1024} KiB",
    )
    return as_utf8(content), None


def _between(content: bytes, start: bytes, end: bytes) -> bytes | None:
    # A pattern would look for the end again from every start: minutes for a hostile file.
    _, found, rest = content.partition(start)
    inner, closed, _ = rest.partition(end)
    return inner if found and closed else None


def _require(condition: bool, name: str, format_name: str, what: str) -> None:
    if not condition:
        raise FormatError(f"{name}: expected a file of the format {format_name}, but {what}")


def _require_channels(announced: int, held: int, name: str, format_name: str) -> None:
    _require(
        held >= announced,
        name,
        format_name,
        f"it announces {announced} channels and holds {held}; it may be cut off",
    )
