"""What a reader is given: the name, the size and the first bytes of a file, stream or folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from spectraloom.errors import FormatError

HEAD_BYTES = 64 * 1024
MAX_BYTES = 512 * 1024**2


@dataclass(frozen=True, slots=True)
class Source:
    """One file, stream or folder, looked at but not yet read.

    Build one with :meth:`from_path` or :meth:`from_stream`.

    Parameters
    ----------
    name : str
        For messages: the path as given, or the name of the stream.
    path : Path or None
        None for a stream; may be a folder (a zarr store).
    size : int
        Bytes; 0 for a folder.
    head : bytes
        The first 64 KiB; empty for a folder.
    """

    name: str
    path: Path | None
    size: int
    head: bytes
    _bytes: bytes | None = field(default=None, repr=False)

    @classmethod
    def from_path(cls, path: str | Path) -> Source:
        """Look at a file or folder.

        Raises
        ------
        FormatError
            If it is not there, cannot be opened, or is neither file nor folder.
        """
        path = Path(path)
        try:
            if path.is_dir():
                return cls(str(path), path, 0, b"")
            if not path.exists():
                raise FormatError(f"{path}: there is no such file")
            if not path.is_file():
                # A pipe or device could block for ever.
                raise FormatError(f"{path}: expected a file or folder, this is neither")
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
            return cls(str(path), path, path.stat().st_size, head)
        except (OSError, ValueError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"{path}: cannot be opened: {error}") from error

    @classmethod
    def from_stream(cls, stream: BinaryIO, name: str = "stream") -> Source:
        """Take a binary stream from where it stands to its end.

        Raises
        ------
        FormatError
            If it gives text instead of bytes, cannot be read, or holds more than 512 MiB.
        """
        try:
            data = stream.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            raise FormatError(f"{name}: the stream cannot be read: {error}") from error
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise FormatError(f"{name}: expected a binary stream, this one gives text")
        return cls.from_bytes(bytes(data), name)

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Source:
        """Take what is already in memory, e.g. a member of an archive."""
        _require_size(name, len(data))
        return cls(name, None, len(data), data[:HEAD_BYTES], data)

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder."""
        return self.path is not None and self._bytes is None and self.path.is_dir()

    @property
    def file(self) -> str:
        """Base name, for the column ``file`` and ``attrs["source"]``."""
        return self.path.name if self.path is not None else Path(self.name).name

    def content(self) -> bytes:
        """Whole content.

        Raises
        ------
        FormatError
            If it holds more than 512 MiB or cannot be read.
        """
        if self._bytes is not None:
            return self._bytes
        if self.path is None or self.is_folder:
            raise FormatError(f"{self.name}: expected a file, this is a folder")
        _require_size(self.name, self.size)
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise FormatError(f"{self.name}: cannot be read: {error}") from error
        _require_size(self.name, len(data))
        return data


def _require_size(name: str, size: int) -> None:
    if size > MAX_BYTES:
        raise FormatError(
            f"{name}: holds more than {MAX_BYTES // 1024**2} MiB, the most that is read in one "
            "piece: split it, or store it as a folder of files"
        )
