"""Actions: from what an agent wrote to the one configuration it commits to, or a refusal that says what is wrong.

Strict about meaning: exactly one configuration, every key once, numbers that are numbers. Forgiving about form:
thoughts may or may not be tagged, the JSON may stand in `<config>` tags, in a code fence, alone or in the middle of
prose, end in a trailing comma, use single quotes, or put a number in quotes. Reading takes time in proportion to the
text, and never raises: whatever a model writes is data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llmconfig_gym.errors import InvalidConfig
from llmconfig_gym.experiment import Outcome
from llmconfig_gym.parameter import Ordered, Simplex, shown
from llmconfig_gym.space import Space

MAX_TEXT = 65_536
"""Longest action in characters; a longer one is invalid."""

FORM = '<config>{"name": value, ...}</config>'
"""How a configuration is written."""

_OPEN, _CLOSE, _THOUGHT = "<config>", "</config>", "</think>"
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)


def read_action(action: object, space: Space | None = None) -> Mapping[str, Any] | Outcome:
    """The configuration in an action, or an `invalid` outcome that says why there is none.

    A mapping is taken as it is. In a text, what follows the thoughts counts; only where no configuration is found
    there, the whole text. Several blocks may hold the same configuration, not different ones.

    Args:
        space: whose numbers may also stand in quotes; None leaves every value as it was written.
    """
    try:
        if isinstance(action, Mapping):
            return action
        if not isinstance(action, str):
            raise InvalidConfig(f"an action is a mapping or text, found a {type(action).__name__}")
        if len(action) > MAX_TEXT:
            raise InvalidConfig(f"an action has at most {MAX_TEXT} characters, found {len(action)}")
        return _the_one(action, space)
    except InvalidConfig as problem:
        return Outcome("invalid", message=f"invalid: {problem}.")


def _the_one(text: str, space: Space | None) -> dict[str, Any]:
    """The configuration that a text commits to. Raises `InvalidConfig` if it is not exactly one."""
    said = text[text.rfind(_THOUGHT) + len(_THOUGHT) :] if _THOUGHT in text else text
    for part in dict.fromkeys((said, text)):
        found = [c if space is None else _unquoted(c, space) for c in _configurations(part)]
        distinct = [c for i, c in enumerate(found) if c not in found[:i]]
        if len(distinct) > 1:
            raise InvalidConfig(f"found {len(distinct)} different configurations in one turn; write one, as {FORM}")
        if distinct:
            return distinct[0]
    if _OPEN in said:
        raise InvalidConfig(f"the configuration is no JSON object, or was cut off; write {FORM}")
    raise InvalidConfig(f"no configuration was found; write {FORM}")


def _configurations(text: str) -> list[dict[str, Any]]:
    """JSON objects in a text's closed blocks; where it has no block, in the text. Raises `InvalidConfig`."""
    found: list[dict[str, Any]] = []
    for piece in list(_blocks(text)) or [text]:
        whole = _loads(piece)
        found += [c for c in ([whole] if whole is not None else map(_loads, _braces(piece))) if isinstance(c, dict)]
    return found


def _blocks(text: str) -> Iterator[str]:
    """What stands between each closing tag and the opening tag nearest before it."""
    start = 0
    while (end := text.find(_CLOSE, start)) >= 0:
        opening = text.rfind(_OPEN, start, end)
        if opening >= 0:
            yield text[opening + len(_OPEN) : end]
        start = end + len(_CLOSE)


def _braces(text: str) -> Iterator[str]:
    """Outermost `{...}` pieces of a text that is more than JSON (a brace inside quotes is counted, too)."""
    depth = start = 0
    for match in re.finditer(r"[{}]", text):
        if match.group() == "{":
            if depth == 0:
                start = match.start()
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                yield text[start : match.end()]


def _loads(text: str) -> Any:
    """JSON, also with trailing commas or single quotes; None for what is none.

    Raises:
        InvalidConfig: it is JSON that says two things at once.
    """
    repaired = _TRAILING_COMMA.sub(r"\1", text if '"' in text else text.replace("'", '"'))
    for attempt in (text, repaired):
        try:
            return json.loads(attempt, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            continue
    return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidConfig(f"{shown(twice)} has two values in one configuration; give it one")
    return result


def _unquoted(config: dict[str, Any], space: Space) -> dict[str, Any]:
    """The configuration with numbers of ordered parameters and of mixtures freed of quotes."""
    result = dict(config)
    for p in space.parameters:
        value = config.get(p.name)
        if isinstance(p, Ordered):
            result |= {p.name: _number(value)} if isinstance(value, str) else {}
        elif isinstance(p, Simplex) and isinstance(value, dict):
            result[p.name] = {name: _number(weight) for name, weight in value.items()}
    return result


def _number(value: Any) -> Any:
    """The number that a text spells in full, else the value as it is."""
    if not isinstance(value, str) or len(value) > 64 or not _NUMBER.fullmatch(value):
        return value
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
