"""The target: how it is written, what it means in a file, and how far away it is."""

from __future__ import annotations

import pytest

from autollmresearch.errors import InvalidTarget
from autollmresearch.live.target import extrapolation, parse_target
from llmconfig_gym.experiment import Fidelity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("N=7e9,tokens=2e10", {"N": 7e9, "tokens": 2e10}),
        ("N=7B, tokens=20e9", {"N": 7e9, "tokens": 2e10}),
        ("N=350M,tokens=1.4T", {"N": 3.5e8, "tokens": 1.4e12}),
        ("width=512,data=large", {"width": 512, "data": "large"}),
        ("rate=0.5", {"rate": 0.5}),
    ],
)
def test_targets_as_people_write_them(text: str, expected: dict[str, object]) -> None:
    assert parse_target(text) == expected
    assert all(isinstance(v, int) for k, v in parse_target(text).items() if k in ("N", "tokens", "width"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected distinct names with values, such as N=7e9,tokens=2e10"),
        ("7e9", "expected distinct names with values"),
        ("N=", "expected distinct names with values"),
        ("N=1,N=2", "expected distinct names with values"),
        ("N=7Q", "target N: '7Q' is not a quantity; expected a number such as 7e9, 7B"),
        ("N=0", "target N: expected a positive number such as 7e9 or 7B, found '0'"),
        ("N=-7B", "target N: expected a positive number"),
        ("N=1e999", "target N: 1e999 is too large"),
    ],
)
def test_targets_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(InvalidTarget, match=message):
        parse_target(text)


def test_extrapolation_says_by_how_much() -> None:
    known = [Fidelity({"N": 1e8, "data": "small"}, 1.0), Fidelity({"N": 3e8, "data": "small"}, 2.0)]
    assert extrapolation({"N": 7e9}, known, "runs.csv") == [
        "extrapolating: N 7.0e9 is 23x beyond the largest run, 3.0e8"
    ]
    assert extrapolation({"N": 4.5e8}, known, "runs.csv") == [
        "extrapolating: N 4.5e8 is 1.5x beyond the largest run, 3.0e8"
    ]
    assert extrapolation({"N": 1e7}, known, "runs.csv") == [
        "extrapolating: N 1.0e7 is 10x below the smallest run, 1.0e8"
    ]
    assert extrapolation({"N": 2e8}, known, "runs.csv") == extrapolation({"N": 3e8}, known, "runs.csv") == []
    (note,) = extrapolation({"data": "large"}, known, "runs.csv")
    assert note == "no run of runs.csv has data large: nothing is known of how it differs"
