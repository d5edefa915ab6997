"""Nested records to flat ones: JSON objects, and dictionaries as Python prints them, become dotted columns.

Text is parsed as data. A dictionary printed by Python (what `DataFrame.to_csv` makes of W&B's config) is read from its
syntax tree, literals only: nothing in a table is ever evaluated.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

Cell: TypeAlias = bool | int | float | str | None

_LONGEST = 1_000_000


def loads(text: str) -> Any:
    """A JSON document; a key that appears twice in one object is an error, not a silent choice.

    Raises:
        ValueError: it is not JSON, nested too deeply, or repeats a key.
    """
    try:
        return json.loads(text, object_pairs_hook=_distinct)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        repeated = next(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {repeated!r} appears twice")
    return result


def parse_mapping(text: str) -> dict[str, Any]:
    """The mapping that a cell holds, as JSON or as Python prints a dictionary.

    Raises:
        ValueError: it holds none.
    """
    try:
        value = loads(text)
    except ValueError:
        value = _python_literal(text)
    if not isinstance(value, dict):
        raise ValueError("it is not a mapping")
    return value


def _python_literal(text: str) -> Any:
    if len(text) > _LONGEST:
        raise ValueError("it is too long")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of odd escapes in other people's strings
            return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("it is neither JSON nor a printed dictionary") from None


def _value(node: ast.expr) -> Any:
    """The plain value of a literal's syntax tree."""
    if isinstance(node, ast.Dict) and all(k is not None for k in node.keys):
        keys = [str(_value(k)) for k in node.keys if k is not None]
        return _distinct(list(zip(keys, map(_value, node.values), strict=True)))
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [_value(e) for e in node.elts]
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str | None):
        return node.value
    if isinstance(node, ast.Name) and node.id in ("nan", "inf"):
        return float(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        operand = _value(node.operand)
        if isinstance(operand, int | float):
            return -operand if isinstance(node.op, ast.USub) else operand
    raise ValueError("it holds something that is not plain data")


def flatten(record: Mapping[str, Any]) -> Iterator[tuple[str, Cell]]:
    """The cells of a record, nested mappings as dotted names; W&B's `{"value": x, "desc": ...}` is x."""
    stack: list[tuple[str, Any]] = [(_name(k), v) for k, v in reversed(list(record.items()))]
    while stack:
        name, value = stack.pop()
        if isinstance(value, Mapping) and "value" in value and set(value) <= {"value", "desc"}:
            value = value["value"]
        if isinstance(value, Mapping) and value:
            stack.extend((f"{name}.{_name(k)}", v) for k, v in reversed(list(value.items())))
        else:
            yield name, _cell(value)


def _name(key: object) -> str:
    return " ".join(str(key).split()) or "unnamed"


def _cell(value: Any) -> Cell:
    """One value as a cell: plain scalars stay, everything else becomes text."""
    if isinstance(value, str):
        return value.strip()
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):  # an empty one: flatten took the others apart
        return None
    if isinstance(value, list | tuple):
        return json.dumps(value, default=str)
    return str(value)
