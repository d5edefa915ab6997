"""Reads pickles of plain data without letting them run anything.

A pickle is a program. The one used here admits three names, `numpy.dtype` and numpy's `scalar` (under its old and
its new module), and even those are not numpy's own: they are the small substitutes below, which turn the eight or
four bytes of a number into a Python float or int and can do nothing else. Everything else is refused.
"""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path
from typing import Any

from llmconfig_gym.errors import UnsafePickle

_NUMBERS = {"f8": struct.Struct("<d"), "f4": struct.Struct("<f"), "i8": struct.Struct("<q"), "i4": struct.Struct("<i")}
_STATE = (3, "<", None, None, None, -1, -1, 0)
"""How numpy pickles a little-endian number type: no fields, no sub-arrays, no metadata."""


class _DType:
    """The number type of one pickled scalar."""

    __slots__ = ("number",)

    def __init__(self, number: struct.Struct) -> None:
        self.number = number

    def __setstate__(self, state: object) -> None:
        if state != _STATE:
            raise UnsafePickle(f"a number type other than a plain little-endian one: {state!r:.80}")


class _MakeDType:
    """Stands for `numpy.dtype`."""

    __slots__ = ()

    def __call__(self, code: object, align: object = False, copy: object = False) -> _DType:
        if not isinstance(code, str) or code not in _NUMBERS:
            raise UnsafePickle(f"a value of type {code!r:.80}; expected one of {', '.join(_NUMBERS)}")
        return _DType(_NUMBERS[code])


class _MakeScalar:
    """Stands for numpy's `scalar`."""

    __slots__ = ()

    def __call__(self, dtype: object, data: object) -> float | int:
        if not isinstance(dtype, _DType) or not isinstance(data, bytes) or len(data) != dtype.number.size:
            raise UnsafePickle("a numpy scalar that is not the bytes of one number")
        value: float | int = dtype.number.unpack(data)[0]
        return value


_ADMITTED = {
    ("numpy", "dtype"): _MakeDType(),
    ("numpy.core.multiarray", "scalar"): _MakeScalar(),
    ("numpy._core.multiarray", "scalar"): _MakeScalar(),
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise UnsafePickle(f"it asks for {module}.{name}, which is not admitted") from None

    def persistent_load(self, pid: Any, /) -> Any:
        raise UnsafePickle("it asks for an object outside itself")


def loads(data: bytes, where: str = "pickle") -> Any:
    """The plain data in a pickle: lists, dicts, strings, numbers; numpy scalars come as Python numbers.

    Args:
        data: the pickle.
        where: what to call it in an error.

    Raises:
        UnsafePickle: it asks for any name but numpy's `dtype` and `scalar`, or is broken.
    """
    try:
        return _Reader(io.BytesIO(data)).load()
    except UnsafePickle as problem:
        raise UnsafePickle(f"{where} was not read: {problem}; expected plain data, do not load it otherwise") from None
    except Exception as problem:  # the pickle machine raises nearly anything when a pickle is broken
        kind = type(problem).__name__
        raise UnsafePickle(f"{where} is a broken pickle ({kind}: {problem}); delete it and fetch it anew") from None


def load(path: Path) -> Any:
    """The plain data in a pickle file; see `loads`.

    Raises:
        UnsafePickle: it asks for any name but numpy's `dtype` and `scalar`, or is broken.
    """
    return loads(path.read_bytes(), str(path))
