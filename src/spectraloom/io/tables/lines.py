"""What each line of a table is: a spectrum, its axis, a count of channels, or something else.

Instruments export one spectrum as several columns (channel, energy, counts, counts/s, error ...).
A line is taken for a spectrum only if its title does not say that it is something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spectraloom._typing import Array, FloatArray
from spectraloom.errors import FormatError
from spectraloom.io.tables.axis import axis_marker
from spectraloom.io.tables.columns import canonical_name

HEADERS = (
    "'energy_keV' (or 'center_keV') if the numbers are centres of channels, 'lower_edge_keV' if "
    "they are lower edges; eV, MeV, nm ... are known, too"
)
# An axis without a unit, or one side of its channels.
_AXIS_WORDS = re.compile(
    r"((lower|upper|low|high|left|right|min|max|mid|mean|bin|channel|photon)_)*"
    r"(energy|energies|energie|energien|wavelength|wavelengths|wellenlaenge|wellenlänge|"
    r"wavenumber|wavenumbers|edge|edges|center|centre|centers|centres|kev|mev|ev|nm)"
    r"(_(lower|upper|low|high|left|right|min|max|edge|edges|center|centre|bin|bins|axis|"
    r"ev|kev|mev|nm))*"
)
# These may also be properties of a spectrum, or names of one.
_SHORT_WORDS = {"e", "x", "time", "shift", "frequency", "mass", "lambda"}
_RATES = re.compile(r"cps|(counts?_)?rate|counts?_(per_)?(s|sec|second|seconds)(_1)?")
_DENSITIES = re.compile(r"(cps|rate|counts?(_per)?(_s|_sec)?)(_per)?_(ev|kev|mev|nm)(_1)?")
_INTENSITIES = re.compile(r"(intensity|intensities)(_.*)?")
_ERRORS = re.compile(
    r"(.*_)?(error|errors|err|uncertainty|uncertainties|unc|sigma|std|stdev|variance)(_.*)?"
)
_TIMES = {"live_time", "real_time", "start_time", "dead_time"}
_FEW = 16  # fewer channels may increase by chance


def is_axis_word(cell: str, *, short: bool = False) -> bool:
    """Whether a cell names an axis without saying all that must be known of it.

    Parameters
    ----------
    cell : str
    short : bool
        Whether words such as ``E`` count, which may also name a spectrum.
    """
    name = canonical_name(cell)
    return _AXIS_WORDS.fullmatch(name) is not None or (short and name in _SHORT_WORDS)


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a table, sorted by what they are.

    Parameters
    ----------
    way, quantity, unit : str
        How the axis is given, as :func:`axis_marker` says it.
    coordinates : ndarray, shape (n_coordinates,)
        Its numbers.
    spectra : list of int
        Lines that are spectra.
    """

    way: str
    quantity: str
    unit: str
    coordinates: FloatArray
    spectra: list[int]


def sort_lines(
    marker: str, coordinates: FloatArray, titles: Sequence[str], values: Array, name: str
) -> Lines:
    """Find the axis among the head and the lines beside it.

    Parameters
    ----------
    marker : str
        Cell that names the numbers of the head; empty if none does (they are channels).
    coordinates : ndarray, shape (n_coordinates,)
        Numbers of the head.
    titles : sequence of str
        Title of each line.
    values : ndarray, shape (n_lines, n_coordinates)
    name : str
        Of the table, for messages.

    Raises
    ------
    FormatError
        If a title says that its line is no spectrum, there are two axes, channels are not
        numbered one by one, or no spectrum is left.
    """
    axes = [(marker, axis_marker(marker) or ("channel", "channel", ""), coordinates)]
    spectra = []
    for line, title in enumerate(titles):
        found = axis_marker(title)
        if found is not None:
            axes.append((title, found, values[line]))
        else:
            _require_spectrum(title, len(titles), name)
            spectra.append(line)
    measured = [axis for axis in axes if axis[1][0] != "channel"]
    if len(measured) > 1:
        raise FormatError(
            f"{name}: two lines name an axis, {measured[0][0]!r} and {measured[1][0]!r}: leave one"
        )
    if len(axes) > 1:
        for title, (way, _, _), numbers in axes:
            if way == "channel":
                _require_channels(title, numbers, name)
    if not spectra:
        raise FormatError(f"{name}: there is an axis, but no spectrum beside it")
    _, (way, quantity, unit), numbers = (measured or axes)[0]
    return Lines(way, quantity, unit, numbers, spectra)


def _require_spectrum(title: str, n: int, name: str) -> None:
    word = canonical_name(title)
    if is_axis_word(title):
        raise FormatError(
            f"{name}: the line {title!r} looks like an axis, but does not say all of it: write "
            f"{HEADERS}; if it is a spectrum, give it another title"
        )
    if n > 1 and _ERRORS.fullmatch(word):
        raise FormatError(
            f"{name}: the line {title!r} holds uncertainties by its title, which tables of spectra "
            "do not: leave it out, or give it another title if it is a spectrum"
        )
    if word in _TIMES:
        raise FormatError(
            f"{name}: {title!r} stands among the titles of spectra: give it a line of its own at "
            "the head of the table, with one cell for each spectrum"
        )


def _require_channels(title: str, numbers: FloatArray, name: str) -> None:
    known = numbers[:-1] if np.isnan(numbers[-1]) else numbers  # where all edges are given
    whole = known.size > 0 and float(known[0]).is_integer()
    if not whole or not np.array_equal(known, known[0] + np.arange(known.size)):
        raise FormatError(
            f"{name}: expected {title or 'the channel numbers'!r} to rise in steps of 1; if it is "
            "no number of channels, give it another title or leave it out"
        )


def own_cells(
    metadata: Mapping[str, Sequence[str]], spectra: Sequence[int], name: str
) -> dict[str, list[str]]:
    """Cells of metadata of the spectra alone.

    A property of the only spectrum may stand below (or beside) the axis, where instruments write
    it: ``Live time,300``.

    Raises
    ------
    FormatError
        If a cell belongs to no spectrum.
    """
    owned: dict[str, list[str]] = {}
    for key, cells in metadata.items():
        mine = [cells[line] for line in spectra]
        others = [cell for line, cell in enumerate(cells) if cell and line not in set(spectra)]
        if len(others) == 1 and mine == [""]:
            mine, others = others, []
        if others:
            raise FormatError(
                f"{name}: the cell {others[0][:40]!r} of {key!r} stands beside an axis, not a "
                "spectrum: give it to a spectrum"
            )
        owned[key] = mine
    return owned


def require_named_axis(
    names: Mapping[int, str], metadata: Mapping[str, Sequence[str]], name: str
) -> None:
    """Refuse names of an axis in a table whose axis has no name and so would be channels.

    Raises
    ------
    FormatError
        If there is one among the names of the metadata or among their cells.
    """
    for head in names.values():
        cells = metadata.get(head, ())
        texts = any(cell and not _is_float(cell) for cell in cells)
        if is_axis_word(head) or (texts and is_axis_word(head, short=True)):
            raise FormatError(
                f"{name}: the cell {head!r} does not say what the numbers beside it are: write "
                f"{HEADERS}; if they are channels, write 'channel'"
            )
        for cell in cells:
            if is_axis_word(cell) or axis_marker(cell) is not None:
                raise FormatError(
                    f"{name}: {cell!r} names an axis, but {head!r} before it does not say what the "
                    "first numbers are: write 'channel' there if they are channels"
                )


def kind_of(titles: Sequence[str], quantity: str, name: str) -> str:
    """Kind of the spectra where no line ``# kind:`` says it.

    Raises
    ------
    FormatError
        If the titles speak of several kinds, or of densities.
    """
    usual = "counts" if quantity in ("energy", "channel") else "intensity"
    kinds = []
    for title in titles:
        word = canonical_name(title)
        if _DENSITIES.fullmatch(word):
            raise FormatError(
                f"{name}: {title!r} is a density, not what a channel holds: multiply it by the "
                "widths of the channels, or add a first line '# kind: intensity'"
            )
        rate, intensity = _RATES.fullmatch(word), _INTENSITIES.fullmatch(word)
        kinds.append("rate" if rate else "intensity" if intensity else usual)
    if len(set(kinds)) > 1:
        raise FormatError(
            f"{name}: the titles {', '.join(map(repr, titles[:4]))} speak of "
            f"{' and '.join(dict.fromkeys(kinds))}: leave one kind in the table, or say it by a "
            "first line such as '# kind: counts'"
        )
    return kinds[0]


def require_no_ramp(values: Array, titles: Sequence[str], name: str) -> None:
    """Refuse counts that increase from every channel to the next, as only an axis does.

    Raises
    ------
    FormatError
        If there are such counts, over 16 channels or more.
    """
    if values.shape[1] < _FEW:
        return
    for title, row in zip(titles, values, strict=True):
        if (np.diff(row) > 0).all():
            shown = f"the line {title!r}" if title else "a line without a title"
            raise FormatError(
                f"{name}: {shown} increases from every channel to the next, as an axis does: "
                f"name it {HEADERS}; if it is a spectrum, add a first line '# kind: counts'"
            )


def _is_float(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
