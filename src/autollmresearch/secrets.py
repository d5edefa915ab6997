"""Secrets of the environment: what must be in no log, prompt or result, and how it is cut out of other people's words.

A secret is what a variable with a telling name holds (`..._KEY`, `..._TOKEN`, `...SECRET...`, `...PASSWORD...`), or the
password in an address that any variable holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

LEAST = 8
"""Characters from which on a value is a secret: `x` or `EMPTY` are what servers without keys are given."""

_TELLING = re.compile(r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")


def without_secrets(text: str, more: Mapping[str, str] | None = None) -> str:
    """`text` with every secret of this process's environment, or of `more`, replaced by its variable's name."""
    found = dict(_secrets({**os.environ, **(more or {})}))
    for value in sorted(found, key=len, reverse=True):  # one may hold another
        text = text.replace(value, f"[{found[value]}]")
    return text


def _secrets(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in environment.items():
        if _TELLING.search(name) and len(value.strip()) >= LEAST:
            yield value.strip(), name
        elif password := _PASSWORD.search(value):
            yield password[1], name
