"""Pickled numpy arrays read as data: a small interpreter that can build, but never import or call.

A pickle is a program. The library's own machine imports whatever the program names; this one knows
only the instructions that lists, dictionaries, tuples, numbers, texts and numpy arrays need, and
gives numpy's own constructors a meaning of its own. A program that names or does anything else is
refused before it has any effect. Nothing is allocated beyond what the bytes themselves hold.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

from spectraloom._typing import Array
from spectraloom.errors import FormatError
from spectraloom.io.npy.numpy_array import require_unicode

MAX_STEPS = 5_000_000
_NUMBERS = frozenset(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)) | {
    "b1",
    "f2",
    "f4",
    "f8",
}
_TEXT = re.compile(r"U\d{1,4}")
_MOST_DIMENSIONS = 64  # as numpy has; the product of a million sides would take hours
_BYTE_ORDERS = ("<", ">", "|", "=")


class _Name(Enum):
    """The only names that a program may speak, and none of them is a Python object."""

    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    RECONSTRUCT = "numpy.core.multiarray._reconstruct"
    SCALAR = "numpy.core.multiarray.scalar"


class _Mark(Enum):
    MARK = "mark"


class _Type:
    """A numpy type in the making."""

    __slots__ = ("code", "dtype")

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or not (
            code in _NUMBERS or code in ("O", "O8") or _TEXT.fullmatch(code)
        ):
            raise FormatError("it holds numpy data of a type other than numbers, texts and objects")
        self.code = code
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in _BYTE_ORDERS:
            raise FormatError("a numpy type in it is damaged")
        if state[1] in "<>":
            self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """A numpy array in the making.

    Attributes
    ----------
    content : ndarray or list or None
        Numbers or texts; a flat list for an array of objects; None if nothing was stored.
    """

    __slots__ = ("content",)

    def __init__(self) -> None:
        self.content: Array | list[Any] | None = None

    def build(self, state: Any) -> None:
        """Fill from the state that numpy writes: version, shape, type, order, data."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise FormatError("an array in it is damaged")
        _, shape, kind, fortran, data = state
        if (
            not isinstance(shape, tuple)
            or len(shape) > _MOST_DIMENSIONS
            or not all(type(length) is int and 0 <= length < 2**63 for length in shape)
            or not isinstance(kind, _Type)
            or type(fortran) is not bool
        ):
            raise FormatError("an array in it is damaged")
        if kind.dtype.kind == "O":
            if not isinstance(data, list) or len(data) != math.prod(shape) or len(shape) > 1:
                raise FormatError("an array of objects in it is damaged or has several dimensions")
            self.content = data
            return
        if not isinstance(data, bytes) or len(data) != math.prod(shape) * kind.dtype.itemsize:
            raise FormatError("an array in it declares another size than it has")
        flat = np.frombuffer(data, kind.dtype) if data else np.zeros(0, kind.dtype)
        require_unicode(flat, "a pickled array")
        try:
            self.content = flat.reshape(shape, order="F" if fortran else "C")
        except (ValueError, OverflowError) as error:
            raise FormatError("an array in it is damaged") from error


def _scalar(kind: Any, data: Any) -> Any:
    if not isinstance(kind, _Type) or kind.dtype.kind == "O" or not isinstance(data, bytes):
        raise FormatError("it holds a numpy number that is none")
    if len(data) != kind.dtype.itemsize or not data:
        raise FormatError("a numpy number in it is damaged")
    flat = np.frombuffer(data, kind.dtype)
    require_unicode(flat, "a pickled array")
    return flat[0].item()


def read_pickled(content: bytes, name: str) -> Any:
    """What a pickled structure of lists, dictionaries, tuples, numbers, texts and arrays holds.

    Parameters
    ----------
    content : bytes
        The pickle, protocol 2 to 5.
    name : str
        For messages.

    Returns
    -------
    object
        Plain Python objects; numpy arrays are :class:`PickledArray`.

    Raises
    ------
    FormatError
        If the program names anything but numpy's constructors, uses any other instruction, is
        damaged or too long. Nothing was imported or called.
    """
    machine = _Machine()
    try:
        for step, (instruction, argument, _) in enumerate(pickletools.genops(content)):
            if step > MAX_STEPS:
                raise FormatError(f"it takes more than {MAX_STEPS} steps to read")
            if instruction.name == "STOP":
                return machine.result()
            action = _ACTIONS.get(instruction.name)
            if action is None:
                raise FormatError(f"it uses the instruction {instruction.name}")
            action(machine, argument)
    except FormatError as error:
        raise FormatError(
            f"{name}: refused, only numpy arrays, numbers, texts, lists and dictionaries are read "
            f"from pickles: {error}"
        ) from None
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise FormatError(f"{name}: the pickle is damaged or cut off: {error}") from error
    raise FormatError(f"{name}: the pickle is cut off")


class _Machine:
    """Stack and memory of one run."""

    __slots__ = ("memory", "stack")

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def result(self) -> Any:
        if len(self.stack) != 1:
            raise FormatError("its end leaves something over")
        return self.stack[0]

    def pop_to_mark(self) -> list[Any]:
        position = len(self.stack) - 1
        while self.stack[position] is not _Mark.MARK:
            position -= 1
            if position < 0:
                raise FormatError("a mark is missing")
        items = self.stack[position + 1 :]
        del self.stack[position:]
        return items

    def pop(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise FormatError("the stack is empty")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        if any(item is _Mark.MARK for item in items):
            raise FormatError("a mark is out of place")
        return items


def _protocol(_: _Machine, argument: Any) -> None:
    if argument > 5:
        raise FormatError(f"protocol {argument} is unknown")


def _ignore(_machine: _Machine, _argument: Any) -> None:
    """FRAME only groups bytes."""


def _push(machine: _Machine, argument: Any) -> None:
    machine.stack.append(argument)


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.stack.append(value)


def _fresh(make: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.stack.append(make())


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.stack.append(tuple(machine.pop(count)))


def _tuple(machine: _Machine, _: Any) -> None:
    machine.stack.append(tuple(machine.pop_to_mark()))


def _extend(machine: _Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) is not list:
        raise FormatError("something is appended to what is no list")
    target.extend(items)


def _append(machine: _Machine, _: Any) -> None:
    _extend(machine, machine.pop(1))


def _appends(machine: _Machine, _: Any) -> None:
    _extend(machine, machine.pop_to_mark())


def _update(machine: _Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) is not dict or len(items) % 2:
        raise FormatError("something is set in what is no dictionary")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) is not str:
            raise FormatError("a dictionary key is no text")
        target[key] = value


def _set_item(machine: _Machine, _: Any) -> None:
    _update(machine, machine.pop(2))


def _set_items(machine: _Machine, _: Any) -> None:
    _update(machine, machine.pop_to_mark())


def _put(machine: _Machine, argument: Any) -> None:
    machine.memory[argument] = machine.stack[-1]


def _memoize(machine: _Machine, _: Any) -> None:
    machine.memory[len(machine.memory)] = machine.stack[-1]


def _get(machine: _Machine, argument: Any) -> None:
    machine.stack.append(machine.memory[argument])


def _named(module: Any, attribute: Any) -> _Name:
    if module == "numpy._core.multiarray":  # numpy 2 wrote the file
        module = "numpy.core.multiarray"
    try:
        return _Name(f"{module}.{attribute}")
    except ValueError:
        raise FormatError(f"it names {str(module)[:80]}.{str(attribute)[:80]}") from None


def _global(machine: _Machine, argument: Any) -> None:
    module, _, attribute = argument.partition(" ")
    machine.stack.append(_named(module, attribute))


def _stack_global(machine: _Machine, _: Any) -> None:
    module, attribute = machine.pop(2)
    if type(module) is not str or type(attribute) is not str:
        raise FormatError("it names something that is no text")
    machine.stack.append(_named(module, attribute))


def _reduce(machine: _Machine, _: Any) -> None:
    maker, given = machine.pop(2)
    if type(given) is not tuple:
        raise FormatError("a constructor is given no arguments")
    if maker is _Name.RECONSTRUCT and given[:1] == (_Name.NDARRAY,):
        machine.stack.append(PickledArray())
    elif maker is _Name.DTYPE and given:
        machine.stack.append(_Type(given[0]))
    elif maker is _Name.SCALAR and len(given) == 2:
        machine.stack.append(_scalar(*given))
    else:
        raise FormatError("it calls something that is no constructor of numpy arrays")


def _build(machine: _Machine, _: Any) -> None:
    (state,) = machine.pop(1)
    target = machine.stack[-1]
    if not isinstance(target, (PickledArray, _Type)):
        raise FormatError("it sets the state of something that is no numpy array")
    target.build(state)


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _protocol,
    "FRAME": _ignore,
    "MARK": _constant(_Mark.MARK),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _push),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _push),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _push),
    "EMPTY_LIST": _fresh(list),
    "EMPTY_DICT": _fresh(dict),
    "EMPTY_TUPLE": _constant(()),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": _tuple,
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _memoize,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
}
