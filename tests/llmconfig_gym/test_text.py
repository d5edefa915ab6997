"""Numbers as text: what is written reads back, in few digits, the same way everywhere."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmconfig_gym.text import number, value_text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.00138, 3, "1.38e-3"),
        (2e10, 3, "2.0e10"),
        (1e-3, 3, "1.0e-3"),
        (256, 3, "256"),
        (256.0, 3, "256"),
        (99_999, 3, "99999"),
        (131_072, 3, "1.31e5"),
        (2.2255, 5, "2.2255"),
        (2.22550, 3, "2.23"),
        (0.01, 3, "0.01"),
        (0.5, 3, "0.5"),
        (999.6, 3, "1000"),
        (99_999.7, 3, "1.0e5"),
        (-0.00138, 3, "-1.38e-3"),
        (0.0, 3, "0"),
        (-0.0, 3, "0"),
        (math.nan, 3, "nan"),
        (math.inf, 3, "inf"),
        (-math.inf, 3, "-inf"),
        (True, 3, "true"),
    ],
)
def test_examples(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text


@given(st.floats(-1e300, 1e300, allow_subnormal=False), st.integers(2, 9))
def test_a_written_number_reads_back_within_half_a_unit_of_its_last_digit(value: float, digits: int) -> None:
    assert math.isclose(float(number(value, digits)), value, rel_tol=0.5000001 * 10 ** (1 - digits))


@given(st.integers(-99_999, 99_999))
def test_whole_numbers_below_100000_read_back_exactly(value: int) -> None:
    assert number(value) == str(value) == number(float(value))


@given(st.floats(-1e300, 1e300, allow_subnormal=False), st.integers(2, 9))
def test_what_reads_back_is_written_the_same_way_again(value: float, digits: int) -> None:
    text = number(value, digits)
    assert number(float(text), digits) == text


@given(st.floats(1e-300, 1e300, allow_subnormal=False))
def test_text_is_short(value: float) -> None:
    assert len(number(value)) <= 9


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        ("gelu", "gelu"),
        (64, "64"),
        (1.381e-3, "1.38e-3"),
        ({"web": 0.25, "code": 0.75}, "{web: 0.25, code: 0.75}"),
    ],
)
def test_any_configuration_value_is_written_as_a_person_would(value: object, text: str) -> None:
    assert value_text(value) == text
