"""The ``.npy`` format without pickles: a header, checked, and then nothing but numbers or texts."""

from __future__ import annotations

import ast
import math
import re
import struct
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.errors import FormatError

MAGIC = b"\x93NUMPY"
_LENGTHS = {b"\x01\x00": "<H", b"\x02\x00": "<I"}
_MAX_HEADER = 10_000
_DESCR = re.compile(r"[<>|=]?[biufcmMUSO]\d*(\[\w+\])?", re.ASCII)
_PLAIN_KINDS = "biufcUM"
_MAX_EMPTY = 10**8


def read_header(content: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, Fortran order, type and the offset of the data.

    numpy's own reader repairs headers of Python 2 on the way and fails on damaged ones in many
    ways, so the few lines it takes are here.

    Raises
    ------
    FormatError
        If there is no valid ``.npy`` header, or one of structured data.
    """
    start = len(MAGIC) + 2
    length_format = _LENGTHS.get(content[len(MAGIC) : start])
    if not content.startswith(MAGIC) or length_format is None:
        raise FormatError(f"{name}: expected an .npy file of version 1.0 or 2.0")
    try:
        (length,) = struct.unpack_from(length_format, content, start)
        start += struct.calcsize(length_format)
        text = content[start : start + length]
        if len(text) != length or length > _MAX_HEADER:
            raise ValueError("it is cut off or too long")
        header = ast.literal_eval(text.decode("latin-1").strip())
        shape, fortran, descr = header["shape"], header["fortran_order"], header["descr"]
        if not isinstance(descr, str) or not _DESCR.fullmatch(descr):
            raise ValueError("it declares structured or unknown data")
        if (
            not isinstance(shape, tuple)
            or not all(type(side) is int and side >= 0 for side in shape)
            or type(fortran) is not bool
        ):
            raise ValueError("it declares no valid shape")
        return shape, fortran, np.dtype(descr), start + length
    except (
        struct.error,
        ValueError,
        TypeError,
        KeyError,
        SyntaxError,
        RecursionError,
        MemoryError,
    ) as error:
        raise FormatError(f"{name}: the .npy header is damaged: {str(error)[:100]}") from error


def read_array(content: bytes, name: str) -> Array:
    """Array of numbers, texts or times from the bytes of an ``.npy`` file.

    The size that the header declares must be the size that is there, so nothing is allocated on
    the word of a file.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str
        For messages.

    Raises
    ------
    FormatError
        If the content is no plain array, or is cut off.
    """
    shape, fortran, dtype, offset = read_header(content, name)
    if dtype.kind not in _PLAIN_KINDS:
        raise FormatError(f"{name}: expected an array of numbers or texts, found {dtype}")
    count = math.prod(shape)
    there = len(content) - offset
    if count * dtype.itemsize != there or (dtype.itemsize == 0 and count > _MAX_EMPTY):
        raise FormatError(
            f"{name}: the header declares {count} x {dtype.itemsize} bytes, but {there} bytes "
            "follow: the file is cut off or damaged"
        )
    try:
        if there == 0:
            return np.zeros(shape, dtype)
        flat = np.frombuffer(content, dtype, offset=offset)
        array = flat.reshape(shape, order="F" if fortran else "C")
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise FormatError(f"{name}: cannot shape the array as {shape}: {error}") from error
    require_unicode(flat, name)
    return array


def require_unicode(flat: Array, name: str) -> None:
    """Refuse texts with codes above the last character: numpy would fail later, at any touch.

    Raises
    ------
    FormatError
        If there is such a code.
    """
    if flat.dtype.kind == "U" and flat.size and flat.itemsize:
        codes = flat.view(np.dtype(np.uint32).newbyteorder(flat.dtype.byteorder))
        if int(codes.max()) > 0x10FFFF:
            raise FormatError(f"{name}: holds texts that are not Unicode")
