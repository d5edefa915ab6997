"""Plain data from outside: it stands for a parameter, or it is refused in a line that says why."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from llmconfig_gym.errors import InvalidSpace
from llmconfig_gym.parameter import Parameter
from llmconfig_gym.plain import is_number, is_text, parameter_from_dict


@given(data=st.data())
def test_a_parameter_is_the_same_after_a_trip_through_json(
    data: st.DataObject, parameters: SearchStrategy[Parameter]
) -> None:
    p = data.draw(parameters)
    assert parameter_from_dict(json.loads(json.dumps(p.to_dict()))) == p


@given(data=st.data())
def test_plain_data_makes_a_parameter_or_an_invalid_space(
    data: st.DataObject, parameters: SearchStrategy[Parameter], json_values: SearchStrategy[Any]
) -> None:
    fields = data.draw(parameters).to_dict()
    key = data.draw(st.sampled_from([*fields, "log", "about", "unknown"]))
    fields[key] = data.draw(json_values)
    message = ""
    try:
        p = parameter_from_dict(fields)
    except InvalidSpace as problem:
        message = str(problem)
    else:
        assert p.legal() is not None
        assert parameter_from_dict(p.to_dict()) == p
        assert p.check(p.decode(np.full(p.width, 0.3))) is not None
    assert "\n" not in message


@given(data=st.data())
def test_anything_at_all_is_a_parameter_or_an_invalid_space(
    data: st.DataObject, json_values: SearchStrategy[Any]
) -> None:
    with suppress(InvalidSpace):
        assert isinstance(parameter_from_dict(data.draw(json_values)), Parameter)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"kind": "gird", "name": "lr"}, "must be one of grid, integer, real, categorical, simplex, found 'gird'"),
        ({"kind": ["grid"]}, "must be one of grid"),
        ({"kind": "grid", "name": "lr"}, "missing 1 required"),
        ({"kind": "grid", "name": "lr", "levels": [1, 2], "step": 1}, "unexpected keyword argument 'step'"),
        ({"kind": "real", "name": "lr", "low": "1e-4", "high": 1}, "low must be a finite number, found '1e-4'"),
        ({"kind": "real", "name": "lr", "low": 0, "high": 10**400}, "high must be a finite number"),
        ({"kind": "integer", "name": "n", "low": 0.5, "high": 2}, "low must be whole, found 0.5"),
        ({"kind": "grid", "name": "lr", "levels": [1, True]}, "levels must be a list of finite numbers"),
        ({"kind": "categorical", "name": "c", "choices": [1, 2]}, "choices must be a list of texts or booleans"),
        ({"kind": "categorical", "name": "c", "choices": {"a": 1}}, "choices must be a list of texts or booleans"),
        ({"kind": "simplex", "name": "w", "components": "abc"}, "components must be a list of texts"),
        ({"kind": "real", "name": 7, "low": 0, "high": 1}, "name must be text, found 7"),
        ({"kind": "real", "name": "x", "low": 0, "high": 1, "log": "yes"}, "log must be true or false"),
        ("real", "must map its fields to their values"),
    ],
)
def test_a_definition_that_cannot_be_says_what_is_wrong_with_it(data: object, says: str) -> None:
    with pytest.raises(InvalidSpace, match=says):
        parameter_from_dict(data)


def test_what_can_hardly_be_printed_defines_nothing(awkward: Any) -> None:
    for fields in (awkward, {"kind": awkward}, {"kind": "grid", "name": "x", "levels": awkward}):
        with pytest.raises(InvalidSpace):
            parameter_from_dict(fields)


@pytest.mark.parametrize("value", [True, None, "1", float("nan"), float("inf"), 10**400, -(10**400), [1]])
def test_only_finite_numbers_are_numbers(value: Any) -> None:
    assert not is_number(value)
    assert is_number(-1.5)
    assert is_number(10**15)
    assert is_text(value) == isinstance(value, str)
