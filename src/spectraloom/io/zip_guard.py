"""Opening zip containers that strangers wrote: sizes are checked before anything is unpacked."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import BinaryIO

from spectraloom.errors import FormatError
from spectraloom.io.source import MAX_BYTES, Source

MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 4 * 1024**2
# Up to MAX_BYTES anything may unpack to; beyond that only what was not squeezed absurdly.
MAX_RATIO = 200
MAX_UNPACKED_BYTES = 8 * 1024**3

_END = b"PK\x05\x06"
_END_64 = b"PK\x06\x07"
_END_BYTES = 22
_LONGEST_COMMENT = 65535
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


def allowed_bytes(packed: int) -> int:
    """Most bytes that `packed` bytes on disk may unpack to."""
    return max(MAX_BYTES, min(MAX_RATIO * packed, MAX_UNPACKED_BYTES))


def is_zip(source: Source) -> bool:
    """Whether the content starts as a zip container does."""
    return source.head[:4] in (b"PK\x03\x04", _END)


def member_names(source: Source) -> frozenset[str]:
    """Names in the container; empty if it is none that can be opened. Never raises."""
    if not is_zip(source):
        return frozenset()
    try:
        with open_zip(source) as archive:
            return frozenset(archive.namelist())
    except FormatError:
        return frozenset()


def open_zip(source: Source, *, max_unpacked: int | None = None) -> zipfile.ZipFile:
    """Open a zip container after checking its directory.

    Parameters
    ----------
    source : Source
        The container.
    max_unpacked : int, optional
        Most bytes the members may declare together; by default :func:`allowed_bytes`.

    Raises
    ------
    FormatError
        If the container is damaged, encrypted, packed in an unusual way, or would unpack to more
        than is allowed.
    """
    try:
        if source.path is None:
            content = io.BytesIO(source.content())
            _check_directory_size(content, source)
            archive = zipfile.ZipFile(content)
        else:
            # Only the directory is read here, so a large store on disk need not enter memory.
            with source.path.open("rb") as file:
                _check_directory_size(file, source)
            archive = zipfile.ZipFile(source.path)
    except FormatError:
        raise
    except _ERRORS as error:
        raise FormatError(f"{source.name}: the zip container is damaged: {error}") from error
    try:
        limit = allowed_bytes(source.size) if max_unpacked is None else max_unpacked
        _check_members(archive, source, limit)
    except FormatError:
        archive.close()
        raise
    return archive


def read_member(archive: zipfile.ZipFile, name: str, source: Source) -> bytes:
    """Unpack one member; its declared size bounds what is unpacked, its checksum is verified.

    Raises
    ------
    FormatError
        If there is no such member, or it is damaged.
    """
    try:
        info = archive.getinfo(name)
        with archive.open(info) as member:
            content = member.read(info.file_size + 1)
    except KeyError:
        raise FormatError(f"{source.name}: expected a member {name!r} in the container") from None
    except _ERRORS as error:
        raise FormatError(f"{source.name}: member {name!r} is damaged: {error}") from error
    if len(content) != info.file_size:
        raise FormatError(
            f"{source.name}: member {name!r} holds {len(content)} bytes, "
            f"the container declares {info.file_size}"
        )
    return content


def _check_directory_size(file: BinaryIO, source: Source) -> None:
    # The zip library builds an object per directory entry, so the directory is bounded first.
    file.seek(0, io.SEEK_END)
    size = file.tell()
    tail_start = max(0, size - _END_BYTES - _LONGEST_COMMENT)
    file.seek(tail_start)
    tail = file.read()
    found = len(tail) - _END_BYTES
    if found < 0 or tail[found : found + 4] != _END or tail[-2:] != b"\0\0":
        found = tail.rfind(_END)
    if found < 0 or len(tail) - found < _END_BYTES:
        raise FormatError(
            f"{source.name}: expected a zip container, but its directory is missing: "
            "the file is cut off or damaged"
        )
    if tail[max(0, found - 20) :].startswith(_END_64):
        raise FormatError(f"{source.name}: zip containers over 4 GiB (zip64) are not read")
    directory_bytes = struct.unpack("<I", tail[found + 12 : found + 16])[0]
    if directory_bytes > MAX_DIRECTORY_BYTES:
        raise FormatError(
            f"{source.name}: the container's directory takes {directory_bytes} bytes; "
            f"at most {MAX_DIRECTORY_BYTES} are read"
        )


def _check_members(archive: zipfile.ZipFile, source: Source, limit: int) -> None:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise FormatError(
            f"{source.name}: holds {len(members)} members; at most {MAX_MEMBERS} are read"
        )
    for info in members:
        if info.flag_bits & 1:
            raise FormatError(f"{source.name}: member {info.filename!r} is encrypted")
        if info.compress_type not in _METHODS:
            # Other methods cannot be unpacked piece by piece, so their size cannot be bounded.
            raise FormatError(
                f"{source.name}: member {info.filename!r} is packed by a method other than "
                "'stored' or 'deflate'; pack it again"
            )
    unpacked = sum(info.file_size for info in members)
    if unpacked > limit:
        raise FormatError(
            f"{source.name}: would unpack to {unpacked / 1024**2:.0f} MiB from "
            f"{source.size / 1024**2:.1f} MiB; at most {limit / 1024**2:.0f} MiB are read "
            "(is it a zip bomb?)"
        )
