"""Plain data from outside (JSON, YAML, a suite on disk): what it may be, and the parameters that it stands for.

Nothing read from outside is trusted to have the right type: every field is checked here before a parameter is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llmconfig_gym.errors import InvalidSpace
from llmconfig_gym.parameter import Categorical, Grid, Integer, Parameter, Real, Simplex, shown

LARGEST = 1e300
"""Largest number a space may be defined with: differences of two such numbers are finite."""


def is_text(value: object) -> bool:
    """Whether `value` is text."""
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether `value`, read from disk or written by hand, is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _list_of(*fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list | tuple) and all(any(f(v) for f in fits) for v in value)


_FIELDS: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "name": ("text", is_text),
    "unit": ("text", is_text),
    "about": ("text", is_text),
    "relative": ("true or false", _is_flag),
    "log": ("true or false", _is_flag),
    "low": ("a finite number", is_number),
    "high": ("a finite number", is_number),
    "levels": ("a list of finite numbers", _list_of(is_number)),
    "choices": ("a list of texts or booleans", _list_of(is_text, _is_flag)),
    "components": ("a list of texts", _list_of(is_text)),
}
"""What each field of a parameter written by hand, or read from disk, must be."""

KINDS: dict[str, type[Parameter]] = {cls.kind: cls for cls in (Grid, Integer, Real, Categorical, Simplex)}


def parameter_from_dict(data: object) -> Parameter:
    """The parameter that `Parameter.to_dict` wrote, or that a person wrote in a YAML space.

    Raises:
        InvalidSpace: the kind is unknown, a field is missing or superfluous, or the values make no range.
    """
    if not isinstance(data, Mapping):
        raise InvalidSpace(f"a parameter must map its fields to their values, found {shown(data)}")
    fields = dict(data)
    kind = fields.pop("kind", None)
    if not is_text(kind) or kind not in KINDS:
        raise InvalidSpace(f"a parameter's kind must be one of {', '.join(KINDS)}, found {shown(kind)}")
    whole = kind == Integer.kind
    for key, value in fields.items():
        what, fits = _FIELDS.get(key, ("", None))
        if fits is not None and not fits(value):
            raise InvalidSpace(f"parameter {shown(fields.get('name'))}: {key} must be {what}, found {shown(value)}")
        if whole and key in ("low", "high") and not isinstance(value, int):
            raise InvalidSpace(f"parameter {shown(fields.get('name'))}: {key} must be whole, found {shown(value)}")
        if isinstance(value, list):
            fields[key] = tuple(value)
    try:
        return KINDS[kind](**fields)
    except TypeError as problem:
        raise InvalidSpace(f"parameter {shown(fields.get('name'))} of kind {kind}: {problem}") from None
