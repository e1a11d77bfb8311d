"""The ``.npy`` format without pickles: a header, checked, and then nothing but numbers or texts."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.errors import FormatError

MAGIC = b"\x93NUMPY"
_PLAIN_KINDS = "biufcUM"
_MAX_EMPTY = 10**8


def read_header(content: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, Fortran order, type and the offset of the data.

    Raises
    ------
    FormatError
        If there is no valid ``.npy`` header.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            header = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            header = np.lib.format.read_array_header_2_0(stream)
        else:
            raise FormatError(f"{name}: .npy version {version} is not read, only 1.0 and 2.0")
    except FormatError:
        raise
    except (
        ValueError,
        TypeError,
        SyntaxError,
        RecursionError,
        MemoryError,
        OverflowError,
    ) as error:
        raise FormatError(f"{name}: the .npy header is damaged: {error}") from error
    shape, fortran, dtype = header
    if any(isinstance(length, bool) or length < 0 for length in shape):
        raise FormatError(f"{name}: the .npy header declares the shape {shape}")
    return shape, fortran, dtype, stream.tell()


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
    if dtype.kind not in _PLAIN_KINDS or dtype.names is not None or dtype.subdtype is not None:
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
    if dtype.kind == "U":
        _check_texts(flat, name)
    return array


def _check_texts(flat: Array, name: str) -> None:
    # Numbers above the last Unicode character make numpy fail later, at any touch.
    if flat.size and flat.itemsize:
        order = flat.dtype.byteorder
        codes = flat.view(np.dtype(np.uint32).newbyteorder(order))
        if int(codes.max()) > 0x10FFFF:
            raise FormatError(f"{name}: holds texts that are not Unicode")
