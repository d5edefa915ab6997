"""Fidelity and cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmconfig_gym.errors import ImportProblem
from llmconfig_gym.importing.columns import Column, read_columns
from llmconfig_gym.importing.read import Table
from llmconfig_gym.importing.scale import group_codes, guess_cost, guess_fidelity, inversely, merge_close, varies_within
from llmconfig_gym.parameter import WRITTEN


def columns(**data: list[Any]) -> dict[str, Column]:
    return read_columns(Table(Path("t.csv"), pd.DataFrame(data, dtype=object), "line"))


def fidelity(**data: list[Any]) -> tuple[set[str], set[str]]:
    found = columns(**data)
    why, follows = guess_fidelity(list(found.values()), len(next(iter(data.values()))))
    return set(why), set(follows)


@given(st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=30))
def test_merging_moves_nothing_further_than_three_digits_can_tell(values: list[float]) -> None:
    raw = np.array(values)
    merged = merge_close(raw)
    assert np.all(np.abs(merged - raw) <= 1.01 * WRITTEN * raw)
    assert set(merged) <= set(raw)
    order = np.argsort(raw)
    assert np.all(np.diff(merged[order]) >= 0)


def test_merging_prefers_the_most_frequent_then_the_shortest() -> None:
    assert merge_close(np.array([0.00276, 0.002762, 0.002762, 0.1])).tolist() == [0.002762, 0.002762, 0.002762, 0.1]
    assert merge_close(np.array([0.002762, 0.00276])).tolist() == [0.00276, 0.00276]
    assert np.isnan(merge_close(np.array([np.nan, 1.0]))[0])


def test_rows_of_one_fidelity_share_a_code() -> None:
    c = columns(N=["7B", 7e9, "1B"], scale=["a", "a", "b"])
    assert group_codes(c.values(), 3).tolist() == [1, 1, 0]
    assert group_codes([], 3).tolist() == [0, 0, 0]
    assert group_codes(columns(D=[1.9998e10, 2.0001e10]).values(), 2).tolist() == [0, 0]


def test_variation_is_seen_within_a_group_only() -> None:
    groups = np.array([0, 0, 1, 1])
    c = columns(a=[1, 1, 2, 2], b=[1, 2, 1, 1], c=[1, None, 2, "x"])
    assert [varies_within(c[n], groups) for n in "abc"] == [False, True, False]


def test_scales_go_by_name() -> None:
    assert fidelity(N=[1, 2], tokens=[3, 3], lr=[1, 2]) == ({"N", "tokens"}, set())
    assert fidelity(lr=[1, 2], x=[1, 2]) == (set(), set())


def test_steps_that_follow_from_tokens_or_batch_are_no_scale() -> None:
    assert fidelity(tokens=[100, 100], batch=[1, 2], steps=[100, 50]) == ({"tokens"}, {"steps"})
    assert fidelity(batch=[1, 2, 4], steps=[1000, 500, 251]) == (set(), {"steps"})
    assert fidelity(batch=[1, 2, 1, 2], steps=[100, 100, 200, 200]) == ({"steps"}, set())


def test_models_known_by_name_give_their_size() -> None:
    assert fidelity(model=["m-1B", "m-7B"], lr=[1, 2]) == ({"model"}, set())
    assert fidelity(model=["m-1B", "m-7B"], N=[1e9, 7e9]) == ({"N"}, set())
    assert fidelity(model=["base", "chat"], lr=[1, 2]) == (set(), set())


def test_a_lone_width_is_a_scale_beside_training_settings_only() -> None:
    assert fidelity(width=[64, 128], lr=[1, 2])[0] == {"width"}
    assert fidelity(width=[64, 128], depth=[2, 4], lr=[1, 2])[0] == set()
    assert fidelity(width=[64, 128], x=[1, 2])[0] == set()


def test_a_cost_of_few_values_is_the_scale_of_last_resort() -> None:
    assert fidelity(flops=[1e18, 1e18, 1e19, 1e19], lr=[1, 2, 1, 2])[0] == {"flops"}
    assert fidelity(gpu_hours=[1.1, 1.2, 10.3, 9.8], lr=[1, 2, 1, 2])[0] == set()
    assert fidelity(N=[1, 1, 2, 2], flops=[1, 1, 2, 2])[0] == {"N"}


def test_inverse_proportion_allows_for_rounding() -> None:
    c = columns(a=[1000, 500, 333], b=[1, 2, 3], c=[1000, 600, 333])
    groups = np.zeros(3, dtype=np.int64)
    assert inversely(c["a"], c["b"], groups)
    assert not inversely(c["c"], c["b"], groups)


@pytest.mark.parametrize(
    ("data", "scale", "rule", "unit"),
    [
        ({"N": [1e8, 1e9], "tokens": [1e9, 1e9], "gpu_hours": [1, 2]}, ["N", "tokens"], "column", "GPU hours"),
        ({"N": [1e8, 1e9], "tokens": [1e9, 1e9], "gpu_hours": [1, None]}, ["N", "tokens"], "6ND", "FLOPs"),
        ({"N": [1e8, 1e9], "tokens": [1e9, 1e9]}, ["N", "tokens"], "6ND", "FLOPs"),
        ({"N": [1, 7], "tokens": [20, 20]}, ["N", "tokens"], "product", "relative cost"),
        ({"N": [1e8, 1e9], "steps": [10, 20]}, ["N", "steps"], "product", "relative cost"),
        ({"flops": [1e18, 1e19]}, ["flops"], "column", "FLOPs"),
        ({"lr": [1, 2]}, [], "one", "relative cost"),
    ],
)
def test_cost_rules(data: dict[str, list[Any]], scale: list[str], rule: str, unit: str) -> None:
    c = columns(**data)
    cost = guess_cost(c, scale, [x for n, x in c.items() if n not in scale], None)
    assert (cost.rule, cost.unit) == (rule, unit)


def test_a_named_cost_wins() -> None:
    c = columns(N=[1e8, 1e9], tokens=[1, 1], dear=[3, 4])
    assert guess_cost(c, ["N", "tokens"], [], "dear").text() == "dear, in dear"


def test_words_have_no_cost() -> None:
    with pytest.raises(ImportProblem, match="holds words, so the cost of a run is unknown; name a column with --cost"):
        guess_cost(columns(scale=["s", "l"]), ["scale"], [], None)
