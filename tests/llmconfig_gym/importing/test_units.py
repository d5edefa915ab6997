"""Quantities as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing.units import parse_quantity, short_quantity, size_in_name, try_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7B", 7e9),
        ("7 b", 7e9),
        ("20e9", 2e10),
        ("1.4T", 1.4e12),
        ("512k", 512_000.0),
        ("125m", 1.25e8),
        ("0.5B", 5e8),
        ("45%", 0.45),
        ("1_000_000", 1e6),
        ("-3", -3.0),
        (" 1e-3 ", 1e-3),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3k", 1e6),
        ("1e99999", math.inf),
    ],
)
def test_quantities_are_read(text: str, value: float) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", "abc", "1,000", "0,001", "7BB", "B", "1e", "nan", "inf", "0x10", "1 2", "٣", "9" * 500]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    assert try_quantity(text) is None
    with pytest.raises(ImportProblem, match="is not a quantity; expected"):
        parse_quantity(text)


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_none(text: str) -> None:
    value = try_quantity(text)
    assert value is None or not math.isnan(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_reads_back(value: float) -> None:
    assert parse_quantity(repr(value)) == value


@given(st.integers(1, 10**6), st.sampled_from([("k", 3), ("M", 6), ("b", 9), ("T", 12)]))
def test_suffixes_are_powers_of_ten(count: int, suffix: tuple[str, int]) -> None:
    assert parse_quantity(f"{count}{suffix[0]}") == float(count * 10 ** suffix[1])


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Model2.5-0.5B-Instruct", 5e8),
        ("pile_410m", 4.1e8),
        ("some/llm-3-8b", 8e9),
        ("gpt2", None),
        ("mix-8x7B", None),
        ("7B-to-1B", None),
        ("", None),
    ],
)
def test_a_name_carries_one_size_or_none(name: str, size: float | None) -> None:
    assert size_in_name(name) == size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.147e8, "215M"),
        (1e11, "100B"),
        (2048, "2048"),
        (1.4e12, "1.4T"),
        (999_999_999, "1B"),
        (3e19, "3.0e19"),
        (0.5, "0.5"),
    ],
)
def test_short_quantities(value: float, text: str) -> None:
    assert short_quantity(value) == text


@given(st.floats(1, 9e14))
def test_a_short_quantity_reads_back_to_three_digits(value: float) -> None:
    assert parse_quantity(short_quantity(value)) == pytest.approx(value, rel=6e-3)
