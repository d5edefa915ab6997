"""Small changes to an input: of its bytes, of its words, or, where it is JSON, of one value or key in it.

Bytes alone seldom get past a parser. Most of what can go wrong behind one is a value of another kind, so JSON (also one
line of JSON lines) is changed as what it says: a value replaced, moved, nested, taken out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

_RECURSION: Any = {"a": [{"a": [{"a": [{"a": [0]}]}]}]}
AWKWARD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e308, -1e308, 5e-324, 2**31, 2**63, -(2**64), 10**400),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "a", "0", "1e3", "7B", "nan", "true", "null", "x" * 300),
    *("\x00", "\ud800", "é", "../../x", "/etc/passwd", "C:\\x", "{lr}", "a\nb", "<x>", [], {}, [0], [[]], {"": 0}),
    *({"a": 1}, ["a", "b"], [1, 2, 3], _RECURSION, "low", "high", "minimize", "real", "grid"),
)
"""Values that people and programs write where something else is expected."""


def mutate(data: bytes, rng: Random, words: Sequence[bytes] = (), longest: int = 4096) -> bytes:
    """A changed copy of at most `longest` bytes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        data = (rng.random() < 0.7 and mutate_json(data, rng)) or _mutate_bytes(data, rng, words)
    return data[:longest]


def mutate_json(data: bytes, rng: Random) -> bytes:
    """JSON with a value or key changed, also in one line of many; empty for what is none."""
    lines = data.split(b"\n")
    tries = [(None, data)] if len(lines) < 3 else []
    if not tries:
        at = rng.randrange(len(lines))
        tries = [(at, lines[at])]
    for at, text in tries:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return _mutate_whole(data, rng) if at is not None else b""
        made = _dumps(_changed(value, rng))
        if at is None:
            return made
        lines[at] = made
    return b"\n".join(lines)


def _mutate_whole(data: bytes, rng: Random) -> bytes:
    try:
        return _dumps(_changed(json.loads(data), rng))
    except (ValueError, RecursionError):
        return b""


def _dumps(value: Any) -> bytes:
    try:
        return json.dumps(value).encode()
    except (ValueError, RecursionError):  # longer than Python writes a number, or deeper than it nests
        return b""


def _changed(value: Any, rng: Random) -> Any:
    places = list(_places(value))
    if not places:
        return rng.choice(AWKWARD)
    box, key = rng.choice(places)
    action = rng.randrange(8)
    if action < 3:
        box[key] = rng.choice(AWKWARD)
    elif action == 3:
        other, at = rng.choice(places)
        box[key] = json.loads(json.dumps(other[at]))
    elif action == 4:
        del box[key]
    elif action == 5 and isinstance(box, dict):
        box[str(rng.choice((*AWKWARD[:24], *box)))] = box.pop(key)
    elif action == 6:
        box[key] = rng.choice(([box[key]], [box[key], box[key]], {"a": box[key]}, str(box[key])))
    elif isinstance(box, list):
        box.insert(key, rng.choice(AWKWARD))
    else:
        box[str(rng.choice(AWKWARD[:24]))] = rng.choice(AWKWARD)
    return value


def _places(value: Any) -> Any:
    """All (container, key) in plain data."""
    stack = [value]
    while stack:
        box = stack.pop()
        if isinstance(box, dict | list):
            for key in list(box) if isinstance(box, dict) else range(len(box)):
                yield box, key
                stack.append(box[key])


def _mutate_bytes(data: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    if not data:
        return rng.choice(list(words) or [b"0"])
    at, action = rng.randrange(len(data)), rng.randrange(7)
    end = min(len(data), at + rng.choice((1, 1, 2, 4, 8, 32)))
    if action == 0:
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if action == 1:
        return data[:at] + data[end:]
    if action == 2:
        return (
            data[:at]
            + bytes(rng.choice((0, 255, 128, 10, 34, 39, 44, 123, 91, 45)) for _ in range(end - at))
            + data[end:]
        )
    if action == 3:
        return data[:at] + data[at:end] * rng.choice((2, 2, 3, 50)) + data[end:]
    if action == 4:
        return data[: rng.randrange(len(data))]
    word = rng.choice(words) if words else bytes([rng.randrange(256)])
    return data[:at] + word + data[at if action == 5 else end :]
