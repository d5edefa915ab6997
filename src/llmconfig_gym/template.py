"""A command of the user's own: a template that is filled in without a shell, and the numbers that it prints.

`python train.py --lr {lr}` is split into arguments first and filled in second, so that no value, whatever it holds,
becomes a second argument or a second command.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmconfig_gym.errors import InvalidCommand
from llmconfig_gym.parameter import Value

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.]*)\}")
_NUMBER = r"([+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|inf(?:inity)?|nan))"


@dataclass(frozen=True)
class Template:
    """A command split into arguments, with `{name}` where a value goes."""

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, command: str | Sequence[str], what: str) -> Template:
        """The template that a person wrote as one text, or as a list of arguments.

        Args:
            what: what it is called in messages, such as `--command`.

        Raises:
            InvalidCommand: it cannot be split into arguments, or has none.
        """
        try:
            parts = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as problem:
            raise InvalidCommand(f"{what} cannot be split into arguments ({problem}): {command}") from None
        if not parts:
            raise InvalidCommand(f"{what} is empty; expected something like: python train.py --lr {{lr}}")
        return cls(tuple(parts))

    @property
    def names(self) -> frozenset[str]:
        """What it asks for."""
        return frozenset(name for part in self.parts for name in _PLACEHOLDER.findall(part))

    def fill(self, values: Mapping[str, Value]) -> list[str]:
        """The arguments with every placeholder filled in; all of `names` must be known."""
        return [_PLACEHOLDER.sub(lambda m: _text(values[m[1]]), part) for part in self.parts]


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_number(output: str, name: str) -> float | None:
    """The last `name=number` or `name: number` in a program's output; it may be nan or inf. None if there is none."""
    found = re.findall(rf"(?<![\w.]){re.escape(name)}[\"']?\s*[=:]\s*{_NUMBER}(?!\w)", output, re.IGNORECASE)
    return float(found[-1]) if found else None
