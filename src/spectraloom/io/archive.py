"""A zip archive of spectrum files: every member is read by the reader that recognises it."""

from __future__ import annotations

import zipfile
from pathlib import PurePosixPath

from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError, SpectraloomError
from spectraloom.io.records import of_this_file
from spectraloom.io.source import Source
from spectraloom.io.tables.layout import NoTableError
from spectraloom.io.zip_guard import allowed_bytes, is_zip, open_zip, read_member

_LICENCE_NAMES = {"data_license", "data_licence", "license", "licence", "copying"}
_MOST_LICENCE_BYTES = 64 * 1024


class ArchiveReader:
    """Reads a ``.zip`` of spectrum files; texts that are no spectra are named in the attrs."""

    name = "zip archive"
    suffixes: tuple[str, ...] = (".zip",)

    def sniff(self, source: Source) -> bool:
        """Whether it starts as a zip container; ask after the formats that are zips themselves."""
        return is_zip(source)

    def read(self, source: Source) -> list[Spectra]:
        """One Spectra per axis (and kind) over all members, in the order of the archive.

        ``attrs["skipped"]`` names the members that no reader recognises and tables without an axis,
        ``attrs["licence"]`` holds the text of a licence file among them (``data_license``,
        ``LICENSE`` ...): show it wherever the data are used. Archives inside the archive are
        skipped.

        Raises
        ------
        FormatError
            If the archive is damaged or would unpack to too much, if a recognised member cannot be
            read, or if no member is recognised.
        """
        groups: dict[tuple[Axis, str], list[Spectra]] = {}
        skipped: list[str] = []
        licence = ""
        with open_zip(source) as archive:
            budget = allowed_bytes(source.size)
            for name in _files(archive):
                member = Source.from_bytes(
                    read_member(archive, name, source), f"{source.name}/{name}"
                )
                budget -= member.size + _unpacked_bytes(member)
                if budget < 0:
                    raise FormatError(f"{source.name}: its members unpack to too much")
                found = _read_member(member)
                if found is None:
                    skipped.append(name)
                    if _is_licence(name) and member.size <= _MOST_LICENCE_BYTES:
                        licence = member.content().decode("utf-8", errors="replace").strip()
                    continue
                for spectra in found:
                    groups.setdefault((spectra.axis, spectra.kind), []).append(spectra)
        if not groups:
            raise FormatError(
                f"{source.name}: expected an archive of spectrum files, but no member is of a "
                f"known format (members: {', '.join(skipped[:5]) or 'none'})"
            )
        return [_merge(parts, source, skipped, licence) for parts in groups.values()]


def _files(archive: zipfile.ZipFile) -> list[str]:
    """Members that may hold data: no folders, no hidden files, no leavings of operating systems."""
    return [
        info.filename
        for info in archive.infolist()
        if not info.is_dir()
        and not any(part.startswith((".", "__")) for part in PurePosixPath(info.filename).parts)
    ]


def _unpacked_bytes(member: Source) -> int:
    # A workbook or store in the archive is a zip too: what it unpacks to counts as well.
    if not is_zip(member):
        return 0
    with open_zip(member) as inner:
        return sum(info.file_size for info in inner.infolist())


def _read_member(member: Source) -> list[Spectra] | None:
    # The registry names this module, so it is asked for only now.
    from spectraloom.io.registry import READERS

    for reader in READERS:
        if reader is not READER and reader.sniff(member):
            try:
                return [of_this_file(one, member.file, reader.name) for one in reader.read(member)]
            except NoTableError:
                return None  # notes and lists lie beside spectra
    return None


def _is_licence(name: str) -> bool:
    return PurePosixPath(name).stem.lower() in _LICENCE_NAMES


def _merge(parts: list[Spectra], source: Source, skipped: list[str], licence: str) -> Spectra:
    try:
        merged = Spectra.concatenate(parts)
    except SpectraloomError as error:
        raise FormatError(f"{source.name}: its members do not go together: {error}") from error
    attrs = {**merged.attrs, "source": source.file}
    if skipped:
        attrs["skipped"] = skipped
    if licence:
        attrs["licence"] = licence
    return merged.replace(attrs=attrs)


READER = ArchiveReader()
