"""The steel-sphere layout: simulated and measured spectra as bare columns of counts.

The data set published with SemSun has one text file for each nuclide and thickness of a steel
sphere around the source, ``Co60/GRS_NaITl_Co60_STEEL5__2mm.dat``: a count a line, two underscores
for the decimal point in the name. Beside them lie measured backgrounds,
``SPS_NaITl_..._1keVCanal_...txt``, and simulations after a gain shift,
``GRS_NaITl_Co60_STEEL0__001mm_drift.neg_10dat``. A bare column of numbers has no mark of its own,
so the name of the file has to tell, and only together with such a content.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np

from spectraloom._typing import FloatArray
from spectraloom.data import Axis, Spectra
from spectraloom.errors import FormatError, SpectraloomError
from spectraloom.io.records import Record, group_records
from spectraloom.io.source import Source

_SIMULATED = re.compile(
    r"(?:[^_\W]+)_(?P<detector>[^_\W]+)_(?P<nuclide>[^_\W]+)_"
    r"STEEL(?P<thickness>\d{1,6}(?:(?:__|\.)\d{1,9})?)mm"
    r"(?:_drift)?(?:\.(?P<negative>neg_)?(?P<percent>\d{1,3}))?\.?dat",
    re.ASCII | re.IGNORECASE,
)
_MEASURED = re.compile(
    r"(?:[^_\W]+)_(?P<detector>[^_\W]+)_(?:.*_)?(?P<width>\d{1,3}(?:\.\d{1,6})?)"
    r"keV(?:Canal|Channel)(?:_.*)?\.(?:txt|dat)",
    re.ASCII | re.IGNORECASE,
)
# A negative or missing number is refused when the file is read, with its line.
_LINE = re.compile(rb"[ \t]*[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?[ \t]*")
_MOST_BYTES = 4 * 1024**2
_LONGEST_NAME = 255
_LINES_LOOKED_AT = 20
_SIMULATED_WIDTH = 1.0  # keV


class SteelSphereReader:
    """Reads the bare columns of counts of the steel-sphere layout, told by their names."""

    name = "steel sphere"
    suffixes: tuple[str, ...] = (".dat", ".txt")

    def sniff(self, source: Source) -> bool:
        """Whether the name is of the layout and the first lines are a number each."""
        if source.is_folder or _columns_of(source.file) is None:
            return False
        lines = source.head.rstrip().splitlines()
        if len(source.head) < source.size:
            lines = lines[:-1]
        return bool(lines) and all(map(_LINE.fullmatch, lines[:_LINES_LOOKED_AT]))

    def read(self, source: Source) -> list[Spectra]:
        """One Spectra with one spectrum.

        The lines of a simulation are channels of 1 keV from 0 keV: the files do not say so, but the
        documentation and the programs of the data set do. (Its photopeaks lie about one channel
        below the energies of the lines.) The name of a background says how wide its channels are.

        Columns: ``labels`` (the nuclide as written in the name, or ``background``), ``detector``,
        ``material`` (``steel``), ``thickness`` in mm, ``gain_shift`` (0.1: a count of energy E is
        recorded at 1.1 E; 0 for simulations without drift), ``file``. Of a background, thickness
        and gain shift are nan.

        Raises
        ------
        FormatError
            If a line is not one count, or the file is larger than 4 MiB.
        """
        found = _columns_of(source.file)
        if found is None:
            raise FormatError(f"{source.name}: the name is not of the steel-sphere layout")
        columns, width = found
        counts = _counts(source)
        try:
            record = Record(counts, _axis(width, counts.size), columns=columns)
            return group_records([record], {"source": source.file, "format": self.name})
        except SpectraloomError as error:
            raise FormatError(f"{source.name}: {error}") from error


def _columns_of(file: str) -> tuple[dict[str, Any], float] | None:
    """What the name of a file says: columns, and the width of a channel in keV."""
    if len(file) > _LONGEST_NAME:
        return None
    simulated = _SIMULATED.fullmatch(file)
    if simulated is not None:
        percent = int(simulated["percent"] or 0)
        columns = {
            "labels": (simulated["nuclide"],),
            "detector": simulated["detector"],
            "material": "steel",
            "thickness": float(simulated["thickness"].replace("__", ".")),
            # "drift.10" is a gain 10 % too low, "drift.neg_10" one too high: their peaks show it.
            "gain_shift": (1 if simulated["negative"] else -1) * percent / 100 or 0.0,
            "file": file,
        }
        return columns, _SIMULATED_WIDTH
    measured = _MEASURED.fullmatch(file)
    if measured is None or not float(measured["width"]) > 0:
        return None
    columns = {
        "labels": ("background",),
        "detector": measured["detector"],
        "material": "",
        "thickness": np.nan,
        "gain_shift": np.nan,
        "file": file,
    }
    return columns, float(measured["width"])


def _counts(source: Source) -> FloatArray:
    if source.size > _MOST_BYTES:
        raise FormatError(
            f"{source.name}: expected a column of counts of at most {_MOST_BYTES // 1024**2} MiB, "
            f"found {source.size / 1024**2:.1f} MiB"
        )
    lines = source.content().rstrip().splitlines()
    for number, line in enumerate(lines, 1):
        if not _LINE.fullmatch(line):
            shown = line[:40].decode("ascii", errors="replace")
            raise FormatError(f"{source.name}, line {number}: expected one count, found {shown!r}")
    if not lines:
        raise FormatError(f"{source.name}: expected a count a line, the file is empty")
    return np.array([float(line) for line in lines])


@lru_cache(maxsize=16)
def _axis(width: float, n_channels: int) -> Axis:
    # Hundreds of files share one axis; comparing them is free if it is one object.
    return Axis.regular(0.0, width * n_channels, n_channels)


READER = SteelSphereReader()
