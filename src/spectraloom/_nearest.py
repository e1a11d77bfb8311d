"""Known names that are spelled nearly like one that is not there, for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST = 3
_LONGEST = 60  # letters that are compared: the time goes with their square


def did_you_mean(name: str, known: Iterable[str], *, closeness: float = 0.6) -> str:
    """A question after known names that are spelled nearly like another.

    Only letters and digits are compared, small and capital alike.

    Parameters
    ----------
    name : str
        What was given.
    known : iterable of str
        Names as they are written.
    closeness : float
        Least part of the letters that both names share, from 0 to 1 (``ratio`` of
        :class:`difflib.SequenceMatcher`).

    Returns
    -------
    str
        To follow what is wrong: at most three names, nearest first; empty if none is near.

    Examples
    --------
    >>> did_you_mean("nickle", ["iron", "Nickel", "nickeline"])
    "; did you mean 'Nickel' or 'nickeline'?"
    """
    spelled = {_plain(one): one for one in known}
    near = difflib.get_close_matches(_plain(name), spelled, n=_MOST, cutoff=closeness)
    if not near:
        return ""
    *others, last = (repr(spelled[one]) for one in near)
    return f"; did you mean {', '.join(others)}{' or ' if others else ''}{last}?"


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))[:_LONGEST]
