"""A look at XML before the native parser sees it: closed, shallow and without entities."""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

from spectraloom.errors import FormatError

MAX_DEPTH = 100
_TAG = re.compile(rb"<(/?)[A-Za-z_][^<>]*?(/?)>")
_DECLARED = re.compile(rb"^(<\?xml[^>]*?)\s+encoding\s*=\s*[\"'][^\"']*[\"']")


def as_utf8(content: bytes) -> bytes:
    """Text without byte order mark, NUL padding and surrounding white space; UTF-16 as UTF-8."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        content = content.decode("utf-16", errors="replace").encode()
        content = _DECLARED.sub(rb"\1", content)
    return content.removeprefix(b"\xef\xbb\xbf").strip(b"\0 \t\r\n")


class DepthError(Exception):
    """Elements are nested deeper than any spectrum file needs."""


def check_xml(content: bytes, name: str, expected: str, handler: Any = None) -> None:
    """Parse XML to its end and refuse what is damaged or dangerous.

    A native parser that recurses into elements would overflow its stack on deep nesting, and a
    file that was cut off may still hold some spectra: both are refused here.

    Parameters
    ----------
    content : bytes
        The document, UTF-8 or as it declares itself.
    name, expected : str
        Name of the file and of the format, for messages.
    handler : object, optional
        Its ``start(tag, attributes)``, ``end(tag)`` and ``text(data)`` are called.

    Raises
    ------
    FormatError
        If the XML is not well formed, declares entities or nests too deep.
    """
    if re.search(rb"<!(DOCTYPE|ENTITY)", content, re.IGNORECASE):
        raise FormatError(f"{name}: expected {expected} without entity declarations")
    try:
        _parse(content, None, handler)
    except expat.ExpatError as error:
        # Instruments write Latin-1 letters (such as the micro sign) into files they call UTF-8.
        if error.code != expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]:
            raise _damaged(name, expected, error) from error
        if handler is not None:
            handler.restart()
        try:
            _parse(content, "iso-8859-1", handler)
        except expat.ExpatError as second:
            raise _damaged(name, expected, second) from second
        except (DepthError, ValueError) as second:
            raise FormatError(f"{name}: expected {expected}: {second}") from second
    except (DepthError, ValueError, LookupError) as error:
        raise FormatError(f"{name}: expected {expected}: {error}") from error


def check_sloppy_xml(content: bytes, name: str, expected: str) -> None:
    """Only the nesting of tags, for formats whose files are not quite XML.

    Raises
    ------
    FormatError
        If tags nest too deep.
    """
    depth = 0
    for tag in _TAG.finditer(content):
        if tag[1]:
            depth -= 1
        elif not tag[2]:
            depth += 1
        if depth > MAX_DEPTH:
            raise FormatError(f"{name}: expected {expected}: elements nest too deep")


def _damaged(name: str, expected: str, error: expat.ExpatError) -> FormatError:
    return FormatError(
        f"{name}: expected {expected}, but its XML is damaged or cut off "
        f"({expat.ErrorString(error.code)}, line {error.lineno})"
    )


def _parse(content: bytes, encoding: str | None, handler: Any) -> None:
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise DepthError("elements nest too deep")
        if handler is not None:
            handler.start(tag.rpartition(":")[2], attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        if handler is not None:
            handler.end(tag.rpartition(":")[2])

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    if handler is not None:
        parser.CharacterDataHandler = handler.text
    parser.Parse(content, True)
