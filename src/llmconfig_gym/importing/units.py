"""Quantities as people write them in this field: 7B, 20e9, 1.4T, 512k, 45%, 1_000_000.

Suffixes are powers of ten whatever their case: k thousand, m million, b or g billion, t trillion (a `125m` model has
125 million parameters). Commas are not read: `0,001` means a thousandth to some people and one to others.
"""

from __future__ import annotations

import re

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.text import number

_EXPONENTS = {"": 0, "%": -2, "k": 3, "m": 6, "b": 9, "g": 9, "t": 12}
_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+))(?:[eE]([+-]?[0-9]{1,6}))?\s*(%|[kKmMbBgGtT])?"
)
_SIZE_IN_NAME = re.compile(r"(?<![A-Za-z0-9.])([0-9]+(?:\.[0-9]+)?[kKmMbBtT])(?![A-Za-z0-9])")
_LONGEST = 400
_SHORT = (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3))


def try_quantity(text: str) -> float | None:
    """The number that `text` writes, or None if it writes none. A number too large for a float is infinite."""
    stripped = text.strip()
    match = _QUANTITY.fullmatch(stripped) if len(stripped) <= _LONGEST else None
    if match is None:
        return None
    mantissa, exponent, suffix = match.groups(default="")
    return float(f"{mantissa}e{int(exponent or 0) + _EXPONENTS[suffix.lower()]}")


def parse_quantity(text: str) -> float:
    """The number that `text` writes.

    Raises:
        ImportProblem: it writes none.
    """
    value = try_quantity(text)
    if value is None:
        raise ImportProblem(f"{text!r} is not a quantity; expected a number such as 7e9, 7B, 1.4T, 512k or 45%")
    return value


def size_in_name(text: str) -> float | None:
    """The size that a model's name carries (`some-model-0.5B-chat` -> 5e8); None unless it carries exactly one."""
    found = _SIZE_IN_NAME.findall(text)
    return try_quantity(found[0]) if len(found) == 1 else None


def short_quantity(value: float) -> str:
    """A number short enough for an identifier: 2.147e8 -> `215M`, 2048 -> `2048`, 3e19 -> `3.0e19`."""
    if 1e3 <= abs(value) < 9.995e14 and not (abs(value) < 1e5 and float(value).is_integer()):
        for suffix, unit in _SHORT:
            if abs(value) >= 0.9995 * unit:
                return f"{value / unit:.3g}{suffix}"
    return number(value)
