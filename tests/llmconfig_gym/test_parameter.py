"""Parameters: checking, encoding, sameness and plain data, for every kind."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from llmconfig_gym.errors import InvalidConfig, InvalidSpace
from llmconfig_gym.parameter import (
    Categorical,
    Grid,
    Integer,
    Ordered,
    Parameter,
    Real,
    Simplex,
    Value,
    shown,
)
from llmconfig_gym.text import number

UNIT = st.floats(0, 1)


def draw_value(data: st.DataObject, p: Parameter) -> Value:
    """A legal value, drawn without the help of `decode` wherever that is possible."""
    if isinstance(p, Grid | Categorical):
        return data.draw(st.sampled_from(p.options))
    if isinstance(p, Integer):
        return data.draw(st.integers(p.low, p.high))
    if isinstance(p, Real):
        return data.draw(st.floats(p.low, p.high))
    assert isinstance(p, Simplex)
    raw = data.draw(st.lists(UNIT, min_size=p.width, max_size=p.width).filter(lambda w: sum(w) > 1e-3))
    return {c: w / sum(raw) for c, w in zip(p.components, raw, strict=True)}


@given(data=st.data())
def test_legal_values_are_encoded_in_the_unit_cube(data: st.DataObject, parameters: SearchStrategy[Parameter]) -> None:
    p = data.draw(parameters)
    encoded = p.encode(draw_value(data, p))
    assert encoded.shape == (p.width,)
    assert (encoded >= -1e-12).all()
    assert (encoded <= 1 + 1e-12).all()


@given(data=st.data())
def test_decode_undoes_encode(data: st.DataObject, parameters: SearchStrategy[Parameter]) -> None:
    p = data.draw(parameters)
    value = draw_value(data, p)
    again = p.decode(p.encode(value))
    if isinstance(p, Real | Simplex):
        assert np.allclose(p.encode(again), p.encode(value), rtol=0, atol=1e-9)
    else:
        assert again == value
        assert type(again) is type(value)


@given(data=st.data())
def test_whatever_is_decoded_is_legal(data: st.DataObject, parameters: SearchStrategy[Parameter]) -> None:
    p = data.draw(parameters)
    vector = data.draw(st.lists(st.floats(-3, 3), min_size=p.width, max_size=p.width))
    value = p.decode(np.array(vector))
    assert p.check(value) == value
    if isinstance(p, Integer | Real):
        assert isinstance(value, int | float)
        assert p.low <= value <= p.high
    if isinstance(p, Grid | Categorical):
        assert value in p.options


@given(data=st.data())
def test_check_gives_a_value_or_an_invalid_config_for_anything(
    data: st.DataObject, parameters: SearchStrategy[Parameter], json_values: SearchStrategy[Any]
) -> None:
    p, anything = data.draw(parameters), data.draw(json_values)
    message = ""
    try:
        value = p.check(anything)
    except InvalidConfig as problem:
        message = str(problem)
    else:
        assert p.check(value) == value
    assert "\n" not in message


@given(data=st.data())
def test_legal_values_pass_the_check_unchanged(data: st.DataObject, parameters: SearchStrategy[Parameter]) -> None:
    p = data.draw(parameters)
    value = draw_value(data, p)
    assert p.check(value) == value
    assert p.check(json.loads(json.dumps(value))) == value


@given(data=st.data())
def test_three_written_digits_name_a_setting(data: st.DataObject, parameters: SearchStrategy[Parameter]) -> None:
    p = data.draw(parameters)
    assume(isinstance(p, Ordered))
    value = draw_value(data, p)
    assert isinstance(value, int | float)
    assume(float(number(value)) > 0 or not getattr(p, "log", False))
    assert p.same(p.check(float(number(value))), value)


@given(data=st.data())
def test_same_and_same_many_agree(data: st.DataObject, parameters: SearchStrategy[Parameter]) -> None:
    p = data.draw(parameters)
    pairs = []
    for _ in range(4):
        a = draw_value(data, p)
        near = data.draw(st.booleans()) and isinstance(p, Grid | Real) and isinstance(a, int | float)
        pairs.append((a, a * data.draw(st.floats(0.99, 1.01)) if near else draw_value(data, p)))  # type: ignore[operator]
    columns = []
    for side in zip(*pairs, strict=True):
        columns.append(np.array([list(v.values()) if isinstance(v, dict) else v for v in side]))
    assert p.same_many(*columns).tolist() == [p.same(a, b) for a, b in pairs]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Grid("lr", ()),
        lambda: Grid("lr", (2.0, 1.0)),
        lambda: Grid("lr", (1.0, 1.0)),
        lambda: Grid("lr", (0.0, 1.0), log=True),
        lambda: Grid("lr", (1.0, math.inf)),
        lambda: Grid("lr", (1.0, math.nan, 3.0)),
        lambda: Grid("lr", (-1.7e308, 1.7e308)),
        lambda: Integer("n", 4, 3),
        lambda: Integer("n", 0, 3, log=True),
        lambda: Integer("n", 0, 2**60),
        lambda: Real("x", 2.0, 1.0),
        lambda: Real("x", 0.0, 1.0, log=True),
        lambda: Real("x", math.nan, 1.0),
        lambda: Real("x", -1.7e308, 1.7e308),
        lambda: Categorical("c", ()),
        lambda: Categorical("c", ("a", "a")),
        lambda: Categorical("c", ("auto", True)),
        lambda: Simplex("w", ("web",)),
        lambda: Simplex("w", ("web", "web")),
    ],
)
def test_a_parameter_without_a_legal_or_with_an_ambiguous_value_is_refused(make: Any) -> None:
    with pytest.raises(InvalidSpace, match=r"^(lr|n|x|c|w): "):
        make()


@pytest.mark.parametrize(
    ("p", "value", "says"),
    [
        (Grid("bs", (1, 2, 4)), True, "bs must be a number, found True"),
        (Grid("bs", (1, 2, 4)), "2", "bs must be a number, found '2'"),
        (Grid("bs", (1, 2, 4)), math.nan, "bs must be a finite number, found nan"),
        (Grid("bs", (1, 2, 4)), 10**400, "too large"),
        (Grid("lr", (1e-4, 1e-3), log=True), 0, "lr must be positive, found 0; legal: 1.0e-4, 1.0e-3"),
        (Integer("n", 1, 9), 2.5, "n must be a whole number, found 2.5; legal: whole numbers from 1 to 9"),
        (Categorical("bias", (True, False)), 1, "bias must be one of true, false, found 1"),
        (Categorical("act", ("gelu", "relu")), "GELU", "act must be one of gelu, relu, found 'GELU'"),
        (Simplex("w", ("web", "code")), [0.5, 0.5], "w must map components to weights"),
        (Simplex("w", ("web", "code")), {"web": 0.5, "math": 0.5}, "w has no component 'math'; legal: .* web, code"),
        (Simplex("w", ("web", "code")), {"web": 0.5, "code": 0.4}, "must sum to 1, found a sum of 0.9"),
        (Simplex("w", ("web", "code")), {"web": 1.5, "code": -0.5}, "w.code must not be negative, found -0.5"),
        (Simplex("w", ("web", "code")), {"web": True}, "w.web must be a number, found True"),
    ],
)
def test_a_refusal_says_what_was_found_and_what_is_legal(p: Parameter, value: object, says: str) -> None:
    with pytest.raises(InvalidConfig, match=says):
        p.check(value)


def test_a_component_that_is_not_named_has_no_weight() -> None:
    assert Simplex("w", ("web", "code")).check({"code": 1}) == {"web": 0.0, "code": 1.0}


def test_tiny_settings_are_told_apart() -> None:
    epsilon = Grid("epsilon", (1e-15, 1e-12, 1e-8), log=True)
    assert not epsilon.same(1e-15, 1e-12)
    assert epsilon.same(1e-15, 1.004e-15)


def test_whole_numbers_are_told_apart_as_long_as_all_their_digits_are_written() -> None:
    steps = Integer("steps", 1, 10**6)
    assert not steps.same(99_998, 99_999)
    assert steps.same(131_072, 131_000)


@given(data=st.data())
def test_what_was_found_is_shown_in_one_short_printable_line(
    data: st.DataObject, json_values: SearchStrategy[Any]
) -> None:
    text = shown(data.draw(json_values))
    assert len(text) <= 60
    assert text.isascii()
    assert text.isprintable()


def test_what_can_hardly_be_printed_is_refused_in_one_short_line(awkward: Any) -> None:
    assert len(shown(awkward)) <= 60
    for p in (Grid("g", (1, 2)), Integer("n", 1, 2), Real("x", 1, 2), Categorical("c", ("a", "b"))):
        with pytest.raises(InvalidConfig):
            p.check(awkward)
    with pytest.raises(InvalidConfig):
        Simplex("w", ("a", "b")).check({"a": awkward})
