"""Going on without files that cannot be used, and saying which they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

from spectraloom.data.spectra import Spectra
from spectraloom.errors import DataError, SpectraloomError
from spectraloom.io import read_groups

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that was left out.

    Parameters
    ----------
    file : str
    reason : str
        What was wrong with it.
    """

    file: str
    reason: str

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return asdict(self)


def read_usable(source: Any, left_out: list[LeftOut] | None) -> list[Spectra]:
    """Read spectra, one Spectra for each axis.

    Parameters
    ----------
    source : path, glob, folder or sequence of these
    left_out : list of LeftOut or None
        Files that cannot be read are added to it; with None one such file stops all.

    Raises
    ------
    FormatError
        If there is nothing to read.
    """
    if left_out is None:
        return read_groups(source)
    return read_groups(
        source,
        on_bad=lambda name, error: left_out.append(
            LeftOut(name, str(error).removeprefix(f"{name}: "))
        ),
    )


def use_each(
    groups: Sequence[Spectra],
    use: Callable[[Spectra, int], T],
    left_out: list[LeftOut] | None,
) -> tuple[list[T], list[Spectra]]:
    """Do something with each group of spectra.

    Parameters
    ----------
    groups : sequence of Spectra
    use : callable
        ``use(group, number)``, the number of the group.
    left_out : list of LeftOut or None
        Files that cannot be used are added to it: those of a group are tried one by one where the
        group cannot be used as a whole. With None one such file stops all.

    Returns
    -------
    done : list
        What `use` gave.
    used : list of Spectra
        What it was given.

    Raises
    ------
    DataError
        If no file can be used.
    """
    done: list[T] = []
    used: list[Spectra] = []
    for number, group in enumerate(groups):
        for part, answer in _tried(group, number, use, left_out):
            done.append(answer)
            used.append(part)
    if not used and left_out:
        raise DataError(
            f"none of {len(left_out)} files can be used; {left_out[0].file}: {left_out[0].reason}"
        )
    return done, used


def _tried(
    group: Spectra,
    number: int,
    use: Callable[[Spectra, int], T],
    left_out: list[LeftOut] | None,
) -> Iterator[tuple[Spectra, T]]:
    try:
        answer = use(group, number)
    except SpectraloomError as error:
        if left_out is None:
            raise
        files = np.asarray(group.columns.get("file", np.full(len(group), ""))).astype(np.str_)
        names = list(dict.fromkeys(files.tolist()))
        if len(names) < 2:
            # Stores keep no column of files; the note is there unless several were merged.
            source = group.attrs.get("source", f"spectra with {group.axis.describe()}")
            left_out.append(LeftOut(names[0] or str(source), str(error)))
            return
        for name in names:
            yield from _tried(group[files == name], number, use, left_out)
    else:
        yield group, answer
