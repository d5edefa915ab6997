"""Levels and ids."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.experiment import LEVELS
from llmconfig_gym.importing.levels import experiment_ids, parse_levels, split_levels


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, (0, 0, 1)), (2, (1, 0, 1)), (3, (1, 1, 1)), (4, (2, 1, 1)), (5, (3, 1, 1)), (6, (2, 2, 2)), (17, (7, 5, 5))],
)
def test_thirds(count: int, sizes: tuple[int, int, int]) -> None:
    split = split_levels(count)
    assert tuple(split.count(level) for level in LEVELS) == sizes


@given(st.integers(1, 200))
def test_levels_rise_with_cost_and_there_is_a_target(count: int) -> None:
    split = split_levels(count)
    assert len(split) == count
    assert split == sorted(split, key=LEVELS.index)
    assert split[-1] == "high"


def test_levels_by_hand() -> None:
    assert split_levels(4, parse_levels("low=1, high=3")) == ["low", "high", "high", "high"]


@pytest.mark.parametrize("text", ["low=1,medium=1,high=1", "low=4", "high=5"])
def test_levels_that_do_not_add_up(text: str) -> None:
    with pytest.raises(ImportProblem, match="add up to 4 experiments, at least one high"):
        split_levels(4, parse_levels(text))


@pytest.mark.parametrize("text", ["", "low", "low=x", "top=1", "low=1,low=2", "low=-1", "low=1e3"])
def test_levels_that_say_nothing(text: str) -> None:
    with pytest.raises(ImportProblem, match="such as low=6,medium=4,high=7"):
        parse_levels(text)


def test_ids_are_short_and_say_the_fidelity() -> None:
    fidelities: list[dict[str, float | str]] = [{"N": 214663680, "tokens": 1e11}, {}, {"scale": "s/../x"}]
    assert experiment_ids("mine", fidelities) == ["mine/N215M-tokens100B", "mine/all", "mine/scale_s_.._x"]


@given(
    st.lists(st.dictionaries(st.text(max_size=12), st.floats(1, 1e20) | st.text(max_size=12), max_size=3), max_size=8)
)
def test_ids_are_safe_and_distinct_even_where_case_is_not(fidelities: list[dict[str, float | str]]) -> None:
    ids = experiment_ids("mine", fidelities)
    assert len({i.lower() for i in ids}) == len(fidelities)
    for id_ in ids:
        assert re.fullmatch(r"mine/[A-Za-z0-9][A-Za-z0-9._+-]*", id_)  # what a suite admits as a file name
