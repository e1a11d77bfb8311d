"""Answers that are remembered for as long as what they are about is in use."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

_MOST = 32  # answers about one object; then the oldest is forgotten

Owner = TypeVar("Owner")
Rest = ParamSpec("Rest")
Answer = TypeVar("Answer")


def remembered(
    question: Callable[Concatenate[Owner, Rest], Answer],
) -> Callable[Concatenate[Owner, Rest], Answer]:
    """Ask a function once for each set of arguments, while its first argument lives.

    ``functools.lru_cache`` would keep the first argument, such as the templates of a model, alive
    after everybody else has let go of it.

    Parameters
    ----------
    question : callable
        Of an object that never changes and is hashed by identity, and of hashable arguments.
    """
    known: WeakKeyDictionary[Owner, dict[Any, Answer]] = WeakKeyDictionary()

    @wraps(question)
    def asked(owner: Owner, /, *args: Rest.args, **settings: Rest.kwargs) -> Answer:
        about = known.setdefault(owner, {})
        key = (args, tuple(sorted(settings.items())))
        if key not in about:
            answer = question(owner, *args, **settings)
            if len(about) >= _MOST:
                about.pop(next(iter(about)), None)
            about[key] = answer
            return answer
        return about[key]

    return asked
