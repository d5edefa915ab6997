"""From plain data to a dataclass: every field checked against its annotation, what is wrong said in one line.

What may be annotated: dataclasses, numbers, texts, booleans, `Literal`, `X | None`, `tuple[X, ...]`, `tuple[X, X]` and
`Mapping[str, X]`. A number may be written as people do (1e-3, 7B).
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from llmconfig_gym.description import as_quantity, require
from llmconfig_gym.errors import InvalidDescription
from llmconfig_gym.parameter import shown
from llmconfig_gym.plain import is_number

T = TypeVar("T")


def build(kind: type[T], data: object, where: str = "") -> T:
    """An instance of a dataclass.

    Args:
        where: what the data is, for messages: the path of keys to it.

    Raises:
        InvalidDescription: a key is unknown or missing, or a value is of the wrong kind or out of range.
    """
    data = {} if data is None else data  # a section whose every line is commented out
    known = {f.name: f for f in fields(kind) if f.init}  # type: ignore[arg-type]  # a dataclass
    require(isinstance(data, Mapping), f"{where or 'it'} maps {', '.join(known)} to values", data)
    assert isinstance(data, Mapping)
    for key in data:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            advice = f"did you mean {close[0]!r}? " if close else ""
            place = f"{where} has no {shown(key)}" if where else f"there is no {shown(key)}"
            raise InvalidDescription(f"{place}; {advice}the keys are {', '.join(known)}")
    hints = get_type_hints(kind)
    values = {key: _value(hints[key], value, f"{where}.{key}".lstrip(".")) for key, value in data.items()}
    for name, f in known.items():
        if name not in values and f.default is MISSING and f.default_factory is MISSING:
            raise InvalidDescription(f"{where or 'it'} lacks {name}")
    try:
        return kind(**values)
    except InvalidDescription as problem:
        raise InvalidDescription(f"{where}: {problem}" if where else str(problem)) from None


def _value(hint: Any, value: object, where: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return build(hint, value, where)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _value(next(t for t in inner if t is not type(None)), value, where)
    if origin is Literal:
        require(any(value == c and type(value) is type(c) for c in inner), f"{where} is {_any_of(inner)}", value)
        return value
    if origin is tuple:
        require(isinstance(value, list | tuple), f"{where} is a list", value)
        assert isinstance(value, list | tuple)
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        require(len(kinds) == len(value), f"{where} is a list of {len(kinds)}", value)
        return tuple(_value(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is not None and issubclass(origin, Mapping):
        require(isinstance(value, Mapping), f"{where} maps names to values", value)
        assert isinstance(value, Mapping)
        return {str(k): _value(inner[1], v, f"{where}.{k}") for k, v in value.items()}
    return _plain(hint, value, where)


def _plain(hint: Any, value: object, where: str) -> Any:
    if hint in (int, float):
        number = as_quantity(value)
        require(is_number(number), f"{where} is a number", value)
        assert isinstance(number, int | float)
        require(hint is float or float(number).is_integer(), f"{where} is a whole number", value)
        return hint(number)
    require(isinstance(value, hint), f"{where} is {'true or false' if hint is bool else 'a text'}", value)
    return value


def _any_of(choices: tuple[object, ...]) -> str:
    return " or ".join(map(str, choices))
