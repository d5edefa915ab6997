"""Nested records become flat ones, and text stays data."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmconfig_gym.importing.nested import flatten, loads, parse_mapping

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), PLAIN, max_size=4))
def test_json_and_printed_dictionaries_read_alike(record: dict[str, Any]) -> None:
    assert parse_mapping(json.dumps(record)) == record
    assert parse_mapping(repr(record)) == record


def test_printed_nan_and_infinity() -> None:
    record = parse_mapping("{'a': nan, 'b': -inf, 'c': (1, 2)}")
    assert math.isnan(record["a"])
    assert record["b"] == -math.inf
    assert record["c"] == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "{'a': __import__('os')}",
        "{'a': open('x')}",
        "{**{'a': 1}}",
        "{'a': 1 + 1}",
        "{'a': b'bytes'}",
        "{'a': 1, 'a': 2}",
        '{"a": 1, "a": 2}',
        "[1]",
        "{",
        "{'a': " + "[" * 5000,
        "{'a': '\\d'",
        "{'a': " + "-" * 5000 + "1}",
    ],
)
def test_what_is_no_plain_mapping_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_mapping(text)


@given(st.text(max_size=40))
def test_any_text_is_a_mapping_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(parse_mapping(text), dict)


def test_a_repeated_key_is_named() -> None:
    with pytest.raises(ValueError, match="'lr' appears twice"):
        loads('{"lr": 1, "lr": 2}')


def test_flatten_names_nested_cells_in_order() -> None:
    record = {"config": {"lr": {"value": 0.1, "desc": None}, "opt": {"name": " adam ", "betas": [0.9, 0.95]}}, "x": {}}
    assert list(flatten(record)) == [
        ("config.lr", 0.1),
        ("config.opt.name", "adam"),
        ("config.opt.betas", "[0.9, 0.95]"),
        ("x", None),
    ]
