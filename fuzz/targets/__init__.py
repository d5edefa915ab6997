"""The targets, one module per reader of outside bytes.

Each has `RUNS` (inputs of a whole campaign), `LONGEST` (bytes of an input), `WORDS` (pieces that the format has),
`seeds()` (inputs to begin with, made by code) and `read(data)`, which raises nothing but the packages' typed errors.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

NAMES = tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


class Target(Protocol):
    """What a module of this package offers."""

    RUNS: int
    LONGEST: int
    WORDS: Sequence[bytes]

    def seeds(self) -> list[bytes]:
        """Inputs that are read without an error, or nearly."""

    def read(self, data: bytes) -> object:
        """Read them as the product does."""


def target(name: str) -> Target:
    """The target of this name."""
    return cast(Target, import_module(f"fuzz.targets.{name}"))
